"""What a prediction costs on this machine: time, memory and operations, from row to number.

Contenders take turns: every round has all of them in an order of its own, so that what slows the machine
slows them all, and what is said of two is said of their ratio within rounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from embreg.representation import Representation
from embreg.stats import Interval

__all__ = ["COSTS", "Costs", "measure"]

COSTS = ("batch_ms", "represent_ms", "predict_ms", "single_ms", "fit_s")
"""What is timed: per row of many (``batch``: ``represent`` and ``predict``), per row alone, and a fit."""


@dataclass(frozen=True)
class Costs:
    """What was measured.

    Attributes
    ----------
    rounds : DataFrame
        ``contender, round`` and the columns of `COSTS`, in milliseconds a row and seconds a fit.
    contenders : DataFrame
        ``contender, representation, model, head``; ``dtype, device, backend, tokens`` (of a row; missing
        without a model), ``width``; ``flops`` a row, the head's included (missing where nobody counted);
        ``libraries_mb`` and ``model_mb`` (what imports, and everything after them, add to a process that has
        pandas and scikit-learn: its own memory, without code and files that the system may drop) and their
        sum ``memory_mb``; ``peak_mb`` (the most beyond the libraries while it loads, files included);
        ``card_mb`` on a graphics card.
    machine : dict
        The machine, threads, and ``quiet``: whether others used it meanwhile.
    """

    rounds: pd.DataFrame
    contenders: pd.DataFrame
    machine: dict[str, Any]

    def interval(self, contender: str, cost: str = "batch_ms") -> Interval:
        """Geometric mean over rounds, with Student's interval of the logarithms."""
        from embreg._turns import geometric

        return Interval(*geometric(self._values(contender, cost)))  # type: ignore[arg-type]

    def ratio(self, a: str, b: str, cost: str = "batch_ms") -> Interval:
        """How many times as much a costs as b, from the rounds that both were in."""
        from embreg._turns import geometric

        return Interval(*geometric(self._values(a, cost) / self._values(b, cost)))  # type: ignore[arg-type]

    def compare(self, a: str, b: str, cost: str) -> Interval:
        """Logarithm of how many times as much a costs as b, for `pareto.standing`.

        Of `COSTS` with the interval of `ratio`; any other column of `contenders` is taken to be exact.
        """
        if cost in COSTS:
            return Interval(*np.log(self.ratio(a, b, cost)).tolist())
        values = self.contenders.set_index("contender")[cost]
        difference = float(np.log(values[a]) - np.log(values[b]))
        return Interval(difference, difference, difference)

    def table(self) -> pd.DataFrame:
        """`contenders` with each of `COSTS`, its ends (``…_low``, ``…_high``) and ``tokens_per_s``."""
        out = self.contenders.copy()
        for cost in COSTS:
            found = [self.interval(name, cost) for name in out.contender]
            for end, column in (("value", cost), ("low", f"{cost}_low"), ("high", f"{cost}_high")):
                out[column] = [getattr(one, end) for one in found]
        out["tokens_per_s"] = 1000 * out.tokens / out.represent_ms
        return out

    @property
    def circumstances(self) -> str:
        """One sentence: machine, threads, and whether the times count."""
        m = self.machine
        used = f"other processes took {m['others']:.0%} of the processors"
        verdict = (
            "quiet" if m["quiet"] else "not quiet, or not all of it used: times are too long, ratios less so"
        )
        here = f"{m['machine']['processor']}, {m['threads']} of {m['machine']['cores']} threads"
        return f"{here}; {used} ({verdict})."

    def _values(self, contender: str, cost: str) -> np.ndarray:
        if cost not in COSTS:
            raise ValueError(f"cost must be one of {COSTS}, however: got {cost!r}")
        part = self.rounds[self.rounds.contender == contender]
        if part.empty:
            known = list(self.contenders.contender)
            raise KeyError(f"contender must be one of {known}, however: got {contender!r}")
        return part.sort_values("round")[cost].to_numpy(float)


def measure(
    contenders: Mapping[str, tuple[Representation, str]],
    rows: pd.DataFrame,
    y: np.ndarray,
    *,
    sample: int = 64,
    single: int = 8,
    rounds: int = 5,
    seed: int = 0,
    mlp: Mapping[str, Any] | None = None,
) -> Costs:
    """Time and weigh contenders on this machine, each in a process of its own.

    All of them are in memory at the same time. Rows are embedded anew in every turn; vectors that the store
    has are used for the fits alone.

    Parameters
    ----------
    contenders : mapping of str to (Representation, head)
        Heads as for `experiment.compare`.
    rows : DataFrame of n rows
    y : ndarray of shape (n,)
        One target. A head is fitted to 80 % of the rows and tuned on 10 %.
    sample : int
        The first so many rows are timed, all together,
    single : int
        and so many of them one at a time.
    rounds : int
        At least 2: one has no interval.
    seed : int
        Of the split, the heads and the order of turns.
    mlp : mapping, optional
        Parameters of `MLPHead`.

    Returns
    -------
    Costs

    Raises
    ------
    ValueError
        No contenders, a control, a service (its time is the network's), an unknown head, too few rounds,
        counts that the rows do not have, rows without as many targets.
    RuntimeError
        A contender could not be measured; names it and says why.

    Examples
    --------
    >>> from embreg.experiment import TRADITIONAL
    >>> from embreg.tasks import bbob
    >>> task = bbob("Sphere", 3, n=40)
    >>> costs = measure({"ridge": (TRADITIONAL, "ridge")}, task.rows, task.y, sample=20, single=2, rounds=2)
    >>> costs.interval("ridge").value > 0, costs.contenders.flops.item()
    (True, 6.0)
    """
    _check(contenders, rows, y, sample=sample, single=single, rounds=rounds)
    from embreg._contender_calls import started
    from embreg._machine import Watch

    names, order = list(contenders), np.random.default_rng(seed)
    settings = {"sample": sample, "single": single, "seed": seed, "mlp": dict(mlp or {})}
    turns: list[dict[str, Any]] = []
    with Watch() as watch, started(contenders, rows, y, settings) as (about, ask):
        for number in range(rounds):
            for name in order.permutation(names).tolist():
                turns.append({"contender": name, "round": number, **_columns(ask(name)["turn"])})
    threads = [one["threads"] for one in about.values() if one["threads"]]
    machine = {**watch.record, **({"threads": max(threads)} if threads else {})}
    listed = [_row(name, *contenders[name], about[name]["about"]) for name in names]
    return Costs(pd.DataFrame(turns), pd.DataFrame(listed), machine)


def _check(
    contenders: Mapping[str, tuple[Representation, str]], rows: pd.DataFrame, y: np.ndarray, **counts: int
) -> None:
    from embreg._fit import check_head
    from embreg.services.address import is_service

    if not contenders:
        raise ValueError("contenders must hold at least one, however: got none")
    for name, (rep, head) in contenders.items():
        check_head(head)
        if rep.control or is_service(rep.model):
            what = (
                f"control {rep.control!r}"
                if rep.control
                else f"service {rep.model!r}, whose time is the network's"
            )
            raise ValueError(
                f"a contender must be φ_trad or a model of this machine, however: {name} is {what}"
            )
    if np.shape(y) != (len(rows),):
        raise ValueError(
            f"y must hold one number for each of the {len(rows)} rows, however: got shape {np.shape(y)}"
        )
    for name, least, most in (("sample", 1, len(rows)), ("single", 1, counts["sample"]), ("rounds", 2, None)):
        if counts[name] < least or (most is not None and counts[name] > most):
            limit = f"at least {least}" if most is None else f"from {least} to {most}"
            raise ValueError(f"{name} must be {limit}, however: got {counts[name]}")


def _columns(turn: Mapping[str, float]) -> dict[str, float]:
    ms = {name: 1000 * turn[name] for name in ("represent", "predict", "single")}
    return {"batch_ms": ms["represent"] + ms["predict"], "represent_ms": ms["represent"],
            "predict_ms": ms["predict"], "single_ms": ms["single"], "fit_s": turn["fit"]}  # fmt: skip


def _row(name: str, rep: Representation, head: str, about: Mapping[str, Any]) -> dict[str, Any]:
    from embreg.models import shape_of

    tokens = np.nan if about["tokens"] is None else about["tokens"]
    body = shape_of(rep.model).flops(tokens) if rep.model else 0.0
    return {
        "contender": name, "representation": rep.label, "model": rep.model, "head": head,
        **{key: about[key] for key in ("dtype", "device", "backend")},
        "tokens": tokens, "width": about["width"],
        "flops": np.nan if about["operations"] is None else body + about["operations"],
        "libraries_mb": about["libraries"] / 1e6, "model_mb": about["model"] / 1e6,
        "memory_mb": (about["libraries"] + about["model"]) / 1e6,
        "peak_mb": about["peak"] / 1e6, "card_mb": about["card"] / 1e6,
    }  # fmt: skip
