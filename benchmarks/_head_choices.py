"""Batch size and patience of the heads: what each pair does to tau, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._head_contenders import Settings, sweep
from benchmarks._head_data import Problem, chosen, embedded
from benchmarks._head_study import Curves, stop, train_curves
from embreg._machine import Watch
from embreg._turns import alternate

__all__ = ["REFERENCE", "Design", "measure_choices", "outcomes"]

REFERENCE = (64, 30)
"""Batch size and patience that the others are compared with: the defaults of `MLPHead`."""

TIMED_EPOCHS = 8
"""Epochs whose time is measured for each batch size."""


@dataclass(frozen=True)
class Design:
    """What the study tries, and on what.

    Parameters
    ----------
    batches : tuple of int or None
        None is all training rows.
    patiences : tuple of int
    functions : int
        Evenly chosen.
    dofs, seeds : tuple of int
    n : int
        Rows of a table.
    width : int or None
        Of the embedding; None leaves φ_trad alone.
    learning_rates, weight_decays : tuple of float
        A part of the grid, from its slow end to its fast one.
    """

    batches: tuple[int | None, ...] = (16, 32, 64, 128, None)
    patiences: tuple[int, ...] = (5, 10, 30, 60, 100)
    functions: int = 8
    dofs: tuple[int, ...] = (5, 25)
    seeds: tuple[int, ...] = (0, 1, 2)
    n: int = 500
    width: int | None = 384
    learning_rates: tuple[float, ...] = (5e-4, 1e-3, 5e-3, 1e-2)
    weight_decays: tuple[float, ...] = (0.1,)
    max_epochs: int = 300

    def problems(self) -> Iterator[tuple[str, int, int, Problem]]:
        """Representation, dof, seed and what is trained there."""
        from embreg._features import traditional
        from embreg.tasks import bbob_functions, bbob_targets, split_rows

        names = chosen(bbob_functions("paper"), self.functions)
        for seed, dof in product(self.seeds, self.dofs):
            rows, Y = bbob_targets(names, dof, n=self.n, seed=seed)
            parts = split_rows(self.n, seed)
            yield "φ_trad", dof, seed, Problem(names, traditional(rows, parts.train), Y, parts)
            if self.width is not None:
                yield "φ_LLM", dof, seed, Problem(names, embedded(self.width, rows), Y, parts)


def measure_choices(design: Design, *, say: Callable[[str], Any]) -> dict[str, Any]:
    """Train at every batch size with the largest patience, and read the smaller ones off the same runs.

    Returns
    -------
    dict
        JSON-like: the design, and per pair its tau, the paired difference from `REFERENCE`, epochs and
        seconds of the paper's sweep.
    """
    from embreg.engine.backends import resolve_dtype

    precision = resolve_dtype("auto", "cpu")
    grid = list(product(design.learning_rates, design.weight_decays))
    rows: list[dict[str, Any]] = []
    with Watch() as watch:
        cells = list(design.problems())
        for k, (name, dof, seed, problem) in enumerate(cells, 1):
            X, Y = problem.standardised()
            for batch in design.batches:
                curves = train_curves(
                    X, Y, problem.parts, grid, batch_size=batch, patience=max(design.patiences),
                    max_epochs=design.max_epochs, precision=precision, seed=seed,
                )  # fmt: skip
                for patience in design.patiences:
                    place = {"representation": name, "dof": dof, "seed": seed, "batch": batch or 0}
                    rows += [
                        {**place, "patience": patience, **r} for r in outcomes(curves, problem, patience)
                    ]
            say(f"choices     {k}/{len(cells)}  {name}, dof {dof}, seed {seed}")
        speed = _speeds(cells[-1][3], design, say)
    records = pd.DataFrame(rows)
    records["task"] = records["representation"] + "/" + records["name"] + "/" + records["dof"].astype(str)
    return {
        "run": {**watch.record, "device": "cpu"},
        "design": asdict(design), "precision": precision, "reference": list(REFERENCE),
        "tasks": int(records["task"].nunique()), "seconds_per_model_epoch": speed,
        "pairs": list(_pairs(records, speed)),
    }  # fmt: skip


def outcomes(curves: Curves, problem: Problem, patience: int) -> Iterator[dict[str, Any]]:
    """Per target: tau of the configuration that the validation rows choose, and epochs of all of them."""
    for t, name in enumerate(problem.names):
        ends = [stop(losses, patience) for losses in curves.losses[:, t]]
        smallest = [
            losses[best - 1] if best else np.inf
            for losses, (best, _) in zip(curves.losses[:, t], ends, strict=True)
        ]
        c = int(np.argmin(smallest))
        tau = problem.tau(t, curves.predicted[c, t, ends[c][0] - 1].astype(float))
        yield {"name": name, "kendall_tau": tau, "epochs": float(np.mean([end for _, end in ends]))}


def _speeds(problem: Problem, design: Design, say: Callable[[str], Any]) -> dict[str, float]:
    """Seconds that `MLPHead` takes for one epoch of one model, by batch size."""
    base = Settings(design.learning_rates, design.weight_decays, max_epochs=TIMED_EPOCHS)
    calls = {}
    for batch in design.batches:
        size = batch or len(problem.parts.train)
        # Nothing stops early, so that the epochs are known.
        settings = replace(base, batch_size=size, patience=TIMED_EPOCHS)
        calls[str(batch or 0)] = partial(sweep, problem, settings)
    calls[next(iter(calls))]()
    models = TIMED_EPOCHS * len(base.grid) * len(problem.names)
    return {k: float(np.median(s)) / models for k, s in alternate(calls, 3).items()}


def _pairs(records: pd.DataFrame, speed: dict[str, float]) -> Iterator[dict[str, Any]]:
    from embreg.stats import mean_interval, paired_interval

    def of(batch: int, patience: int) -> pd.DataFrame:
        return records[(records["batch"] == batch) & (records["patience"] == patience)]

    models = len(Settings().grid) * 23
    for batch, patience in product(records["batch"].unique(), records["patience"].unique()):
        here, there = of(batch, patience), of(*REFERENCE)
        epochs = float(here["epochs"].mean())
        by = {
            str(name): _plain(paired_interval(part, there[there["representation"] == name]))
            for name, part in here.groupby("representation")
        }
        yield {
            "batch": int(batch), "patience": int(patience),
            "tau": mean_interval(here).value,
            "difference": _plain(paired_interval(here, there)),
            "by_representation": by, "epochs": epochs,
            "seconds": epochs * speed[str(batch)] * models,
        }  # fmt: skip


def _plain(interval: Sequence[float]) -> dict[str, float | None]:
    return {
        k: float(v) if np.isfinite(v) else None
        for k, v in zip(("value", "low", "high"), interval, strict=True)
    }
