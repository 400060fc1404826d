"""Weights drawn at random, read several times: averages, differences and spread over the draws (section 3.3).

A network with random weights is not one network. Tasks, splits and draws of the weights all vary, each value
of one meets all values of the others, and an interval about "random weights" has to hold for other draws as
it has to hold for other tasks.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

import numpy as np
import pandas as pd

from embreg.stats import Interval, _bootstrap, mean_interval

__all__ = ["Spread", "over_draws", "pair_draws", "spread"]

_DRAW = "weights_seed"
_CELL: list[Hashable] = ["task", "seed", _DRAW]


class Spread(NamedTuple):
    """Standard deviations between draws.

    Attributes
    ----------
    single : Interval
        Of the score of one task on one split: what another draw would change for someone with one task.
        Root mean square over tasks and splits; the interval is about other tasks and splits with these
        draws.
    mean : Interval
        Of the mean over tasks and splits: what another draw would change in a table of means. The interval is
        about other draws (χ²), and with three of them it goes from a half to six times the value.
    draws : int
    """

    single: Interval
    mean: Interval
    draws: int


def over_draws(
    records: pd.DataFrame,
    value: str = "kendall_tau",
    *,
    level: float = 0.95,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> Interval:
    """Mean over tasks, seeds and draws of the weights, with an interval that respects all three.

    `stats.mean_interval` with a third thing that is resampled. Averaging the draws first and resampling
    tasks and seeds alone would give the interval of these networks, not of random networks.

    Parameters
    ----------
    records : DataFrame
        One row per (task, seed, weights_seed), columns of these names and `value`. A missing weights_seed,
        as of φ_trad, counts as 0.
    value : str
        Column to average.
    level, n_resamples, random_state
        As for `stats.mean_interval`.

    Returns
    -------
    Interval
        With one draw that of `stats.mean_interval`. As there, ends of a correlation stay within [-1, 1].

    Raises
    ------
    ValueError
        A missing column or cell, two rows for one cell, a value that is not finite.

    Examples
    --------
    >>> records = pd.DataFrame({"task": list("ffgg"), "seed": 0, "weights_seed": [0, 1, 0, 1]})
    >>> records["kendall_tau"] = [0.25, 0.25, 0.25, 0.25]
    >>> str(over_draws(records))
    '0.25 [0.25, 0.25]'
    """
    cube = _cube(records, value)
    cube = cube if cube.shape[2] > 1 else cube[..., 0]
    mean, low, high = _bootstrap(cube, level, n_resamples, random_state)
    if value in ("kendall_tau", "pearson") and np.isfinite(low):
        low, high = max(low, -1.0), min(high, 1.0)
    return Interval(mean, low, high)


def pair_draws(a: pd.DataFrame, b: pd.DataFrame, value: str = "kendall_tau") -> pd.DataFrame:
    """`value` of a less that of b on the same task and seed, draw by draw.

    Parameters
    ----------
    a, b : DataFrame
        As for `over_draws`. A side with one draw stands beside every draw of the other; two sides with
        several must have the same ones.
    value : str
        Column to compare.

    Returns
    -------
    DataFrame
        ``task, seed, weights_seed, difference``, for `over_draws` or to be paired again.

    Raises
    ------
    ValueError
        The two do not hold the same tasks and seeds, or several draws that are not the same, or what
        `over_draws` refuses.

    Examples
    --------
    >>> drawn = pd.DataFrame({"task": "f", "seed": 0, "weights_seed": [0, 1], "kendall_tau": [0.5, 0.25]})
    >>> trained = pd.DataFrame({"task": "f", "seed": 0, "weights_seed": [0], "kendall_tau": [0.75]})
    >>> pair_draws(drawn, trained).difference.tolist()
    [-0.25, -0.5]
    """
    left, right = _complete(a, value), _complete(b, value)
    counts = left[_DRAW].nunique(), right[_DRAW].nunique()
    on = [c for c in _CELL if c != _DRAW or min(counts) > 1]
    for column in on:
        if odd := set(left[column]) ^ set(right[column]):
            few = sorted(odd, key=str)[:3]
            raise ValueError(
                f"pairs need the same {column} on both sides, however: {few} is on one side only"
            )
    drawn = left if counts[0] >= counts[1] else right
    both = left.merge(right, on=on, suffixes=("", "_b") if drawn is left else ("_a", ""))
    a_value, b_value = (value, f"{value}_b") if drawn is left else (f"{value}_a", value)
    both["difference"] = both[a_value] - both[b_value]
    return both.sort_values(["task", "seed", _DRAW], ignore_index=True)[[*_CELL, "difference"]]


def spread(
    records: pd.DataFrame, value: str = "kendall_tau", *, over: str = _DRAW, level: float = 0.95
) -> Spread:
    """How far draws of the weights lie apart.

    Parameters
    ----------
    records : DataFrame
        As for `over_draws`, with at least two draws.
    value : str
    over : {"weights_seed", "seed"}
        ``"seed"`` asks the same of the splits, which gives the draws a scale.
    level : float
        Coverage of the intervals, between 0 and 1.

    Returns
    -------
    Spread

    Raises
    ------
    ValueError
        Fewer than two draws, an `over` that is none, or what `over_draws` refuses.

    Examples
    --------
    >>> records = pd.DataFrame({"task": list("ffgg"), "seed": 0, "weights_seed": [0, 1, 0, 1]})
    >>> records["kendall_tau"] = [0.5, 0.7, 0.1, 0.3]
    >>> found = spread(records)
    >>> str(found.single), str(found.mean)
    ('0.14 [0.14, 0.14]', '0.14 [0.06, 4.51]')
    """
    from scipy.stats import chi2

    axes = {_DRAW: 2, "seed": 1}
    if over not in axes:
        raise ValueError(f"over must be one of {tuple(axes)}, however: got {over!r}")
    cube = np.moveaxis(_cube(records, value), axes[over], 2)
    tasks, others, n = cube.shape
    if n < 2:
        raise ValueError(f"a spread needs at least 2 values of {over}, however: got {n}")
    within = np.round(cube.var(axis=2, ddof=1), 15)
    task, other = np.indices((tasks, others))
    cells = pd.DataFrame({"task": task.ravel(), "seed": other.ravel(), "variance": within.ravel()})
    single = mean_interval(cells, "variance", level=level)
    middle = float(cube.mean(axis=(0, 1)).std(ddof=1))
    quantiles = chi2.ppf([(1 + level) / 2, (1 - level) / 2], n - 1)
    ends = [middle * float(np.sqrt((n - 1) / q)) for q in quantiles]
    return Spread(Interval(*(float(np.sqrt(max(v, 0.0))) for v in single)), Interval(middle, *ends), n)


def _complete(records: pd.DataFrame, value: str) -> pd.DataFrame:
    """The cells of records, each there once, with a number for every draw."""
    if missing := [str(c) for c in (*_CELL, value) if c not in records.columns]:
        raise ValueError(
            f"records need columns task, seed, {_DRAW} and {value}, however: missing {', '.join(missing)}"
        )
    if records.empty:
        raise ValueError("an average needs records, however: there is none")
    cells = records[[*_CELL, value]].copy()
    cells[_DRAW] = pd.to_numeric(cells[_DRAW]).fillna(0).astype(int)  # φ_trad has no weights
    if cells.duplicated(_CELL).any():
        twice = cells.loc[cells.duplicated(_CELL), _CELL].iloc[0].tolist()
        raise ValueError(
            f"one record per (task, seed, {_DRAW}) is needed, however: {twice} is there twice; "
            "select one suite, model, stage and head first"
        )
    return cells


def _cube(records: pd.DataFrame, value: str) -> np.ndarray:
    """Values of shape (tasks, seeds, draws), each in their sorted order."""
    cells = _complete(records, value).set_index(_CELL)[value].sort_index()
    levels = [sorted(cells.index.unique(name)) for name in _CELL]
    shape = tuple(len(one) for one in levels)
    if len(cells) < np.prod(shape):
        raise ValueError(
            f"every task needs every seed and every draw, however: there are {len(cells)} cells of "
            f"{' × '.join(map(str, shape))}"
        )
    cube = cells.to_numpy(float).reshape(shape)
    if not np.isfinite(cube).all():
        raise ValueError(f"an average needs finite values, however: column {value!r} holds one that is not")
    return cube
