"""Intervals: averages over functions and seeds, and correlations over functions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

__all__ = ["Interval", "correlation", "mean_interval", "paired_interval"]


class Interval(NamedTuple):
    """An estimate with the ends of its interval.

    Examples
    --------
    >>> str(Interval(0.5, 0.4, 0.6))
    '0.50 [0.40, 0.60]'
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"

    @property
    def decided(self) -> bool:
        """Zero lies outside the interval."""
        return self.low > 0 or self.high < 0


def mean_interval(
    records: pd.DataFrame,
    value: str = "kendall_tau",
    *,
    level: float = 0.95,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> Interval:
    """Mean over functions and seeds with a bootstrap interval that respects both.

    All functions of one seed share their points, and all seeds of one function share its difficulty:
    neither is n independent draws. The bootstrap therefore resamples functions and seeds separately
    and crosses them (Owen 2007, "The pigeonhole bootstrap"), which errs on the wide side.

    Parameters
    ----------
    records : DataFrame
        One row per (function, seed), columns ``function``, ``seed`` and `value`.
    value : str
        Column to average.
    level : float
        Coverage of the interval.
    n_resamples : int
    random_state : int

    Raises
    ------
    ValueError
        A missing cell or two rows for one: the comparison would not be over the same things.

    Examples
    --------
    >>> records = pd.DataFrame({"function": [1, 1, 2, 2], "seed": [0, 1, 0, 1], "kendall_tau": [.2, .4, .6, .8]})
    >>> round(mean_interval(records).value, 3)
    0.5
    """
    table = _grid(records, value)
    rng = np.random.default_rng(random_state)
    n_functions, n_seeds = table.shape
    f = _multiplicities(rng, n_functions, n_resamples)
    s = _multiplicities(rng, n_seeds, n_resamples)
    draws = np.einsum("bf,fs,bs->b", f, table, s) / (n_functions * n_seeds)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(table.mean()), float(low), float(high))


def paired_interval(
    a: pd.DataFrame, b: pd.DataFrame, value: str = "kendall_tau", *, level: float = 0.95, random_state: int = 0
) -> Interval:
    """Mean of ``a - b`` over the same functions and seeds, compared pair by pair.

    Raises
    ------
    ValueError
        The two do not hold the same (function, seed) cells.

    Examples
    --------
    >>> a = pd.DataFrame({"function": [1, 2], "seed": [0, 0], "kendall_tau": [.5, .7]})
    >>> b = pd.DataFrame({"function": [2, 1], "seed": [0, 0], "kendall_tau": [.6, .4]})
    >>> paired_interval(a, b)
    Interval(value=0.1, low=0.1, high=0.1)
    """
    left, right = (t.set_index(["function", "seed"])[value].sort_index() for t in (a, b))
    if not left.index.equals(right.index):
        odd = left.index.symmetric_difference(right.index)
        raise ValueError(f"pairs need the same (function, seed) on both sides, however: {list(odd[:3])} is on one only")
    difference = (left - right).round(12).reset_index()
    return mean_interval(difference, value, level=level, random_state=random_state)


def correlation(x: np.ndarray, y: np.ndarray, *, level: float = 0.95) -> Interval:
    """Pearson correlation with Fisher's interval (SciPy's), as in Table 2 but not without one.

    Raises
    ------
    ValueError
        Fewer than four points, for which Fisher's interval does not exist, or constant input.

    Examples
    --------
    >>> r = correlation(np.arange(5.0), np.array([0.0, 1.0, 3.0, 2.0, 4.0]))
    >>> round(r.value, 2), r.low < r.value < r.high
    (0.9, True)
    """
    from scipy.stats import pearsonr

    from embreg.metrics import pearson

    value = pearson(x, y)
    if len(x) < 4:
        raise ValueError(f"an interval of a correlation needs at least 4 points, however: got {len(x)}")
    ends = pearsonr(x, y).confidence_interval(level)
    return Interval(value, float(ends.low), float(ends.high))


def _grid(records: pd.DataFrame, value: str) -> np.ndarray:
    if records.empty:
        raise ValueError("an average needs records, however: there is none")
    if records.duplicated(["function", "seed"]).any():
        twice = records.loc[records.duplicated(["function", "seed"]), ["function", "seed"]].iloc[0].tolist()
        raise ValueError(f"one record per (function, seed) is needed, however: {twice} is there twice")
    table = records.pivot(index="function", columns="seed", values=value)
    if table.isna().to_numpy().any():
        raise ValueError(f"every function needs every seed, however: {int(table.isna().sum().sum())} cells are missing")
    return table.to_numpy(float)


def _multiplicities(rng: np.random.Generator, n: int, times: int) -> np.ndarray:
    return rng.multinomial(n, np.full(n, 1 / n), size=times).astype(float)
