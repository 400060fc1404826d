"""From trained MLPs to a head: table and winners of the sweep, and further members of an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from embreg.training.bank import Bank, Data, Job, Trained

__all__ = ["further_members", "sweep_table", "winners"]


def sweep_table(trained: list[list[Trained]], grid: Sequence[tuple[float, float]]) -> pd.DataFrame:
    """One row per target and configuration.

    Examples
    --------
    >>> sweep_table([[Trained(0.5, 3, 9, [])]], [(1e-3, 0.1)]).to_dict("records")[0]["val_loss"]
    0.5
    """
    return pd.DataFrame(
        {
            "target": t,
            "learning_rate": lr,
            "weight_decay": wd,
            "val_loss": one.val_loss,
            "best_epoch": one.best_epoch,
            "epochs": one.epochs,
        }
        for t, target in enumerate(trained)
        for (lr, wd), one in zip(grid, target, strict=True)
    )


def winners(trained: list[list[Trained]]) -> list[int]:
    """Configuration of the smallest validation loss, for each target.

    Raises
    ------
    FloatingPointError
        No configuration of a target has a finite one.

    Examples
    --------
    >>> winners([[Trained(0.5, 1, 1, []), Trained(0.4, 1, 1, [])]])
    [1]
    """
    losses = np.array([[one.val_loss for one in target] for target in trained])
    if lost := np.flatnonzero(~np.isfinite(losses).any(1)).tolist():
        raise FloatingPointError(
            f"every configuration diverged, however: targets {lost} need one with a finite validation "
            "loss; use smaller learning_rates, or standardize=True"
        )
    return [int(w) for w in losses.argmin(1)]


def further_members(
    bank: Bank, data: Data, rates: Sequence[tuple[float, float]], seeds: Sequence[int]
) -> list[list[Trained]]:
    """Train each target with its own configuration once more for every seed.

    Parameters
    ----------
    bank : Bank
    data : Data
    rates : sequence of (float, float)
        Learning rate and weight decay, one pair for each target.
    seeds : sequence of int
        Of initial weights and order of batches, one for each member.

    Returns
    -------
    list of list of Trained
        ``result[member][target]``.

    Raises
    ------
    FloatingPointError
        A member without a finite validation loss.
    """
    jobs = [Job(t, rate, seed) for seed in seeds for t, rate in enumerate(rates)]
    found: dict[int, Any] = dict(bank.run(data, jobs)) if jobs else {}
    if lost := sorted({jobs[i].target for i, mlp in found.items() if not np.isfinite(mlp.val_loss)}):
        raise FloatingPointError(
            f"a member of the ensemble diverged, however: targets {lost} need a finite validation loss "
            "from every start; use smaller learning_rates, or standardize=True"
        )
    t = len(rates)
    return [[found[m * t + i] for i in range(t)] for m in range(len(seeds))]
