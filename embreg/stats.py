"""Intervals: averages over tasks and seeds, and correlations over tasks."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

__all__ = ["Interval", "correlation", "mean_interval", "paired_interval"]

_CELL: list[Hashable] = ["task", "seed"]


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
        return f"{self.value:z.2f} [{self.low:z.2f}, {self.high:z.2f}]"

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
    """Mean over tasks and seeds with a bootstrap interval that respects both.

    All tasks of one seed share their points, and all seeds of one task share its difficulty:
    neither is n independent draws. The bootstrap therefore resamples tasks and seeds separately
    and crosses them (Owen 2007, "The pigeonhole bootstrap").

    Parameters
    ----------
    records : DataFrame
        One row per (task, seed), columns ``task``, ``seed`` and `value`.
    value : str
        Column to average.
    level : float
        Coverage of the interval, between 0 and 1.
    n_resamples : int
    random_state : int

    Returns
    -------
    Interval
        In units of `value`; the same for any order of the records. Ends of a correlation stay within
        [-1, 1].

    Raises
    ------
    ValueError
        A missing column or cell, two rows for one cell, a value that is not finite: the comparison
        would not be over the same things.

    Notes
    -----
    With three seeds a bootstrap sees a third of their variance less than there is, and takes its ends
    from a normal distribution where Student's is due: where seeds matter, intervals of nominal 95 %
    then cover 75 %. So the ends are stretched away from the mean by the factor that makes up for
    both, with Satterthwaite's degrees of freedom. With only one seed (or one task) the interval
    is about the tasks (or seeds) alone; one task with one seed shows no variation at all, and
    its interval is infinite.

    Examples
    --------
    >>> records = pd.DataFrame({"task": [1, 1, 2, 2], "seed": [0, 1, 0, 1]})
    >>> records["kendall_tau"] = [0.2, 0.4, 0.6, 0.8]
    >>> round(mean_interval(records).value, 3)
    0.5
    """
    mean, low, high = _bootstrap(_grid(records, value), level, n_resamples, random_state)
    if value in ("kendall_tau", "pearson") and np.isfinite(low):
        low, high = max(low, -1.0), min(high, 1.0)
    return Interval(mean, low, high)


def paired_interval(
    a: pd.DataFrame,
    b: pd.DataFrame,
    value: str = "kendall_tau",
    *,
    level: float = 0.95,
    random_state: int = 0,
) -> Interval:
    """Mean of ``a - b`` over the same functions and seeds, compared pair by pair.

    Parameters
    ----------
    a, b : DataFrame
        As for `mean_interval`; the order of the rows plays no part.
    value : str
        Column to compare.
    level : float
        Coverage of the interval, between 0 and 1.
    random_state : int

    Returns
    -------
    Interval
        In units of `value`.

    Raises
    ------
    ValueError
        The two do not hold the same (task, seed) cells, or what `mean_interval` refuses.

    Examples
    --------
    >>> a = pd.DataFrame({"task": [1, 2], "seed": [0, 0], "kendall_tau": [0.5, 0.7]})
    >>> b = pd.DataFrame({"task": [2, 1], "seed": [0, 0], "kendall_tau": [0.6, 0.4]})
    >>> str(paired_interval(a, b))
    '0.10 [0.10, 0.10]'
    """
    _require(a, value)
    _require(b, value)
    left, right = (t.set_index(_CELL)[value].sort_index() for t in (a, b))
    if not left.index.equals(right.index):
        odd = list(left.index.symmetric_difference(right.index)[:3]) or "one cell more often"
        raise ValueError(f"pairs need the same (task, seed) on both sides, however: {odd} is on one only")
    # What the subtraction leaves of rounding (0.5 - 0.4 is not 0.1) is no variation between seeds.
    largest = max(left.abs().max(), right.abs().max())
    unit = 10.0 ** np.floor(np.log10(largest)) if largest > 0 else 1.0
    difference = (((left - right) / unit).round(12) * unit).reset_index()
    return Interval(*_bootstrap(_grid(difference, value), level, 2000, random_state))


def correlation(x: ArrayLike, y: ArrayLike, *, level: float = 0.95) -> Interval:
    """Pearson correlation with Fisher's interval (SciPy's), as in Table 2 but not without one.

    Parameters
    ----------
    x, y : array-like of shape (n,), n ≥ 4
    level : float
        Coverage of the interval, between 0 and 1.

    Returns
    -------
    Interval

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

    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, however: got {level!r}")
    value = pearson(x, y)
    if (n := np.size(x)) < 4:
        raise ValueError(f"an interval of a correlation needs at least 4 points, however: got {n}")
    ends = pearsonr(np.asarray(x, float), np.asarray(y, float)).confidence_interval(level)
    return Interval(value, float(ends.low), float(ends.high))


def _require(records: pd.DataFrame, value: str) -> None:
    if missing := [c for c in (*_CELL, value) if c not in records.columns]:
        raise ValueError(f"records need columns task, seed and {value}, however: missing {missing}")
    if records.empty:
        raise ValueError("an average needs records, however: there is none")


def _grid(records: pd.DataFrame, value: str) -> np.ndarray:
    """Values of shape (tasks, seeds), both in their sorted order."""
    _require(records, value)
    if records.duplicated(_CELL).any():
        twice = records.loc[records.duplicated(_CELL), _CELL].iloc[0].tolist()
        raise ValueError(
            f"one record per (task, seed) is needed, however: {twice} is there twice; "
            "select one suite, representation and head first"
        )
    table = records.pivot(index="task", columns="seed", values=value)
    if gaps := int(table.isna().to_numpy().sum()):
        raise ValueError(f"every task needs every seed, however: {gaps} cells are missing")
    values = table.to_numpy(float)
    if not np.isfinite(values).all():
        raise ValueError(f"an average needs finite values, however: column {value!r} holds an infinity")
    return values


def _bootstrap(
    table: np.ndarray, level: float, n_resamples: int, random_state: int
) -> tuple[float, float, float]:
    """Mean and ends from the pigeonhole bootstrap of all axes: tasks, seeds and, of `draws`, weights."""
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, however: got {level!r}")
    if n_resamples < 1:
        raise ValueError(f"n_resamples must be at least 1, however: got {n_resamples!r}")
    mean = float(table.mean())
    if table.size == 1:
        return mean, -np.inf, np.inf
    rng = np.random.default_rng(random_state)
    weights = [_multiplicities(rng, n, n_resamples) for n in table.shape]
    axes = "fsk"[: table.ndim]
    product = ",".join([f"b{axes[0]}", axes, *(f"b{axis}" for axis in list(axes[1:]))])
    draws = np.einsum(f"{product}->b", weights[0], table, *weights[1:]) / table.size
    ends = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    low, high = mean + (ends - mean) * _stretch(table, level)
    return mean, float(low), float(high)


def _stretch(table: np.ndarray, level: float) -> float:
    """How much wider than the bootstrap's the interval has to be where there is little to resample."""
    from scipy.stats import norm, t

    true = seen = spread = 0.0
    for axis in range(table.ndim):
        means = table.mean(tuple(other for other in range(table.ndim) if other != axis))
        if (n := len(means)) > 1:
            variance = float(means.var(ddof=1)) / n
            true += variance
            seen += variance * (n - 1) / n
            spread += variance**2 / (n - 1)
    if spread == 0:
        return 1.0
    degrees = true**2 / spread
    quantile = (1 + level) / 2
    return float(t.ppf(quantile, degrees) / norm.ppf(quantile) * np.sqrt(true / seen))


def _multiplicities(rng: np.random.Generator, n: int, times: int) -> np.ndarray:
    return rng.multinomial(n, np.full(n, 1 / n), size=times).astype(float)
