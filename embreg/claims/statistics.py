"""The statistics that a claim may name: each a function of a table, with an interval over tasks and seeds.

What is resampled, and how, is decided in `embreg.stats`, `embreg.comparison` and `embreg.findings`; here it
is only put together. A side (`a`, `b`, `side`) maps columns to values, as `rows.choose` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd

from embreg.claims.measured import Measured, measured
from embreg.claims.orders import doubling, rank_agreement, size_agreement
from embreg.claims.rows import averaged, choose, interval_of, paired_cells
from embreg.stats import Interval, correlation, mean_interval

__all__ = ["STATISTICS"]

Side = Mapping[str, Any]


def paired_difference(
    table: pd.DataFrame, *, a: Side, b: Side, value: str = "kendall_tau", average: str | None = None
) -> Measured:
    """Mean of a less b on the same tasks and seeds (and draws of random weights).

    Examples
    --------
    >>> t = pd.DataFrame({"head": ["u", "v"], "task": "f", "seed": 0, "kendall_tau": [0.75, 0.5]})
    >>> paired_difference(t, a={"head": "u"}, b={"head": "v"}).interval.value
    0.25
    """
    cells = paired_cells(choose(table, a), choose(table, b), value, average)
    return measured(interval_of(cells), _unit(value), cells, cells=cells)


def fall(
    table: pd.DataFrame, *, side: Side, by: str = "dof", start: Any = "min", end: Any = "max",
    value: str = "kendall_tau", average: str | None = None,
) -> Measured:  # fmt: skip
    """Paired change of one side from `start` to `end` of the column `by`; below zero is a fall.

    Examples
    --------
    >>> t = pd.DataFrame({"head": "u", "dof": [5, 9], "task": "f", "seed": 0, "kendall_tau": [0.75, 0.5]})
    >>> fall(t, side={"head": "u"}).interval.value
    -0.25
    """
    cells = _change(table, side, by, start, end, value, average)
    return measured(interval_of(cells), _unit(value), cells, cells=cells)


def fall_difference(
    table: pd.DataFrame, *, a: Side, b: Side, by: str = "dof", start: Any = "min", end: Any = "max",
    value: str = "kendall_tau", average: str | None = None,
) -> Measured:  # fmt: skip
    """Change of a less change of b from `start` to `end` of `by`, on the same tasks and seeds.

    Above zero, a falls less (or rises more) than b.

    Examples
    --------
    >>> t = pd.DataFrame({"head": list("uuvv"), "dof": [5, 9] * 2, "task": "f", "seed": 0,
    ...                   "kendall_tau": [0.75, 0.75, 0.75, 0.5]})
    >>> fall_difference(t, a={"head": "u"}, b={"head": "v"}).interval.value
    0.25
    """
    changes = [_change(table, side, by, start, end, value, average) for side in (a, b)]
    cells = paired_cells(changes[0], changes[1], "difference")
    return measured(interval_of(cells), _unit(value), cells, cells=cells)


def win_share(
    table: pd.DataFrame, *, a: Side, b: Side, value: str = "kendall_tau", average: str | None = None,
    margin: float = 0.0,
) -> Measured:  # fmt: skip
    """Share of tasks on which a is ahead of b, a tie being a half (`comparison.win_rate`, Wilson).

    Examples
    --------
    >>> t = pd.DataFrame({"head": ["u", "v"], "task": "f", "seed": 0, "kendall_tau": [0.75, 0.5]})
    >>> win_share(t, a={"head": "u"}, b={"head": "v"}).interval.value
    1.0
    """
    from embreg.comparison import win_rate

    left, right = (averaged(choose(table, side), value, average) for side in (a, b))
    rate = win_rate(left, right, value, margin=margin)
    return measured(Interval(rate.value, rate.low, rate.high), "share", left)


def correlation_over_tasks(table: pd.DataFrame, *, x: str, y: str, average: str | None = None) -> Measured:
    """Pearson correlation of two columns over tasks (`stats.correlation`, Fisher); one row a task.

    With `average` (such as ``dof``) the correlation is taken at each of its values, and values and ends are
    averaged. Correlations at several DOF share their functions and are no independent draws: the mean of
    their ends is as wide as if all of them moved together, the widest that the interval of a mean can be.

    Examples
    --------
    >>> t = pd.DataFrame({"task": list("abcde"), "x": range(5), "y": [0.0, 1, 3, 2, 4]})
    >>> round(correlation_over_tasks(t, x="x", y="y").interval.value, 2)
    0.9
    """
    parts = [part for _, part in table.groupby(average)] if average else [table]
    found = []
    for part in parts:
        if part["task"].duplicated().any():
            raise ValueError("a correlation over tasks needs one row for each, however: one is there twice")
        found.append(correlation(part[x].to_numpy(float), part[y].to_numpy(float)))
    return measured(Interval(*np.mean(found, axis=0).tolist()), "correlation", table)


def correlation_by_seed(
    table: pd.DataFrame, *, x: str, y: str, method: Literal["kendall", "pearson"] = "kendall"
) -> Measured:
    """Correlation of two columns over the rows of each seed, and its mean over seeds.

    Examples
    --------
    >>> t = pd.DataFrame({"seed": [0, 0, 0, 1, 1, 1], "x": [1, 2, 3] * 2, "y": [1, 2, 3, 1, 3, 2]})
    >>> round(correlation_by_seed(t, x="x", y="y").interval.value, 2)
    0.67
    """
    from embreg.metrics import kendall_tau, pearson

    score = {"kendall": kendall_tau, "pearson": pearson}
    if method not in score:
        raise ValueError(f"method must be one of {list(score)}, however: got {method!r}")
    rows = [
        {"task": "points", "seed": s, "difference": score[method](p[x], p[y])}
        for s, p in table.groupby("seed")
    ]
    cells = pd.DataFrame(rows)
    return Measured(mean_interval(cells, "difference"), "correlation", 1, len(rows), "settings", None, cells)


def advantage_correlation(
    table: pd.DataFrame, *, a: Side, b: Side, x: str, value: str = "kendall_tau", average: str | None = None
) -> Measured:
    """Pearson correlation, over tasks, of a column with a less b (`findings.task_correlation`).

    Examples
    --------
    >>> t = pd.DataFrame({"head": list("uv") * 4, "task": list("aabbccdd"), "seed": 0,
    ...                   "dof": [1, 1, 2, 2, 3, 3, 4, 4], "kendall_tau": [0.25, 0, 0.5, 0, 0.75, 0, 1, 0]})
    >>> advantage_correlation(t, a={"head": "u"}, b={"head": "v"}, x="dof").interval.value
    1.0
    """
    from embreg.findings import task_correlation

    cells = paired_cells(choose(table, a), choose(table, b), value, average)
    points = cells.groupby("task")["difference"].mean().reset_index()
    levels = table.groupby("task")[x]
    if (levels.nunique() != 1).any():
        raise ValueError(f"a task needs one value of {x}, however: some have several")
    points[x] = points["task"].map(levels.first())
    return measured(task_correlation(points, x, "difference"), "correlation", cells)


def spread_change(
    table: pd.DataFrame, *, a: Side, b: Side, by: str = "n_samples", start: Any = "min", end: Any = "max",
    value: str = "kendall_tau", around: Literal["median", "zero"] = "median",
) -> Measured:  # fmt: skip
    """Change, from `start` to `end` of `by`, of how far a less b lies from its median over tasks.

    The distance is taken task by task and seed by seed, from the median of the same seed (as in the test of
    Brown and Forsythe), or with ``around: zero`` from zero: the size of the gap. Below zero, gaps come
    together.

    Examples
    --------
    >>> t = pd.DataFrame({"head": list("uv") * 4, "task": list("ffggffgg"), "seed": 0,
    ...                   "n_samples": [9] * 4 + [99] * 4, "kendall_tau": [0.5, 0, 0, 0, 0.25, 0, 0, 0]})
    >>> spread_change(t, a={"head": "u"}, b={"head": "v"}).interval.value
    -0.125
    """
    if around not in ("median", "zero"):
        raise ValueError(f"around must be 'median' or 'zero', however: got {around!r}")
    ends = []
    for level in (end, start):
        part = choose(table, {by: level})
        gaps = paired_cells(choose(part, a), choose(part, b), value)
        middle = gaps.groupby("seed")["difference"].transform("median") if around == "median" else 0.0
        ends.append(gaps.assign(difference=(gaps["difference"] - middle).abs()))
    cells = paired_cells(ends[0], ends[1], "difference")
    return measured(interval_of(cells), _unit(value), cells, cells=cells)


def _change(
    table: pd.DataFrame, side: Side, by: str, start: Any, end: Any, value: str, average: str | None
) -> pd.DataFrame:
    part = choose(table, side)
    return paired_cells(choose(part, {by: end}), choose(part, {by: start}), value, average)


def _unit(value: str) -> str:
    return {"kendall_tau": "Kendall τ", "pearson": "Pearson r"}.get(value, value)


STATISTICS: Mapping[str, Callable[..., Measured]] = MappingProxyType(
    {
        "advantage_correlation": advantage_correlation,
        "correlation": correlation_over_tasks,
        "correlation_by_seed": correlation_by_seed,
        "doubling": doubling,
        "fall": fall,
        "fall_difference": fall_difference,
        "paired_difference": paired_difference,
        "rank_agreement": rank_agreement,
        "size_agreement": size_agreement,
        "spread_change": spread_change,
        "win_share": win_share,
    }
)
"""What ``statistic`` in ``book/claims.yml`` may name."""
