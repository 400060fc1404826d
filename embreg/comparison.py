"""One model against another over the same tasks: win rate, signed ranks, effect size, many comparisons.

The unit is the task: seeds of one task are averaged first, as they are no further evidence about other tasks.
`embreg.stats.paired_interval` answers by how much; what is here answers how often, and how surely.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from embreg._paired import bca, check_level, task_differences
from embreg.stats import Interval

__all__ = [
    "EffectSize",
    "Wilcoxon",
    "WinRate",
    "correct",
    "correlation_bootstrap",
    "effect_size",
    "wilcoxon",
    "win_rate",
]


class WinRate(NamedTuple):
    """Share of tasks won (a tie is half a win) with the ends of its interval, and the counts."""

    value: float
    low: float
    high: float
    wins: int
    ties: int
    losses: int

    def __str__(self) -> str:
        return f"{Interval(*self[:3])} ({self.wins} won, {self.ties} tied, {self.losses} lost)"

    @property
    def decided(self) -> bool:
        """One half lies outside the interval."""
        return self.low > 0.5 or self.high < 0.5


class Wilcoxon(NamedTuple):
    """Signed-rank statistic and two-sided p-value; how many tasks there are and how many do not differ."""

    statistic: float
    p_value: float
    n: int
    zeros: int


class EffectSize(NamedTuple):
    """Cohen's d_z and the rank-biserial correlation, each with its interval."""

    d: Interval
    rank_biserial: Interval


def win_rate(
    a: pd.DataFrame,
    b: pd.DataFrame,
    value: str = "kendall_tau",
    *,
    margin: float = 0.0,
    level: float = 0.95,
) -> WinRate:
    """How many tasks a wins against b.

    A task is won when a's mean over seeds exceeds b's by more than `margin`, lost when it lies below b's by
    more than `margin`, and tied otherwise. A tie counts one half, so the rates of the two sides add up to 1.

    Parameters
    ----------
    a, b : DataFrame
        Columns ``task``, ``seed`` and `value`, of the same (task, seed) cells.
    value : str
        Column to compare; the higher wins.
    margin : float
        At least 0, in units of `value`.
    level : float
        Coverage of the interval, between 0 and 1.

    Returns
    -------
    WinRate
        With Wilson's interval (statsmodels). A tie enters as half a win: scores of 0, ½ and 1 vary less than
        wins and losses of the same mean, so with ties it is wider than it has to be, never narrower.

    Raises
    ------
    ValueError
        The two do not hold the same cells, or what `embreg.stats.mean_interval` refuses; a negative margin.
    ImportError
        Without statsmodels (``embreg[stats]``).

    Examples
    --------
    >>> a = pd.DataFrame({"task": [1, 2, 3, 4], "seed": 0, "kendall_tau": [0.5, 0.7, 0.6, 0.2]})
    >>> print(win_rate(a, a.assign(kendall_tau=[0.4, 0.5, 0.3, 0.2])))
    0.88 [0.40, 0.99] (3 won, 1 tied, 0 lost)
    """
    try:
        from statsmodels.stats.proportion import proportion_confint
    except ImportError as error:
        raise ImportError("a win rate needs statsmodels: pip install 'embreg[stats]'") from error
    if not 0 <= margin < np.inf:
        raise ValueError(f"margin must be at least 0 and finite, however: got {margin!r}")
    check_level(level)
    means = task_differences(a, b, value)
    wins, losses = int((means > margin).sum()), int((means < -margin).sum())
    ties = len(means) - wins - losses
    won = wins + ties / 2
    low, high = proportion_confint(won, len(means), alpha=1 - level, method="wilson")
    return WinRate(won / len(means), float(low), float(high), wins, ties, losses)


def wilcoxon(a: pd.DataFrame, b: pd.DataFrame, value: str = "kendall_tau") -> Wilcoxon:
    """Wilcoxon's signed-rank test (SciPy's, two-sided) of the differences of task means.

    Parameters
    ----------
    a, b, value
        As for `win_rate`.

    Returns
    -------
    Wilcoxon
        The p-value is exact for up to 50 tasks, and for up to 13 when differences are tied or zero; else it
        is the normal approximation's. Zeros keep their ranks (Pratt). When nothing differs, p is 1. With
        fewer than six tasks p is never below 0.05.

    Raises
    ------
    ValueError
        As for `win_rate`.

    Examples
    --------
    >>> a = pd.DataFrame({"task": range(6), "seed": 0, "kendall_tau": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]})
    >>> wilcoxon(a, a.assign(kendall_tau=0.0)).p_value
    0.03125
    """
    from scipy.stats import wilcoxon as signed_rank

    means = task_differences(a, b, value)
    zeros = int((means == 0).sum())
    if zeros == len(means):  # SciPy divides 0 by 0 here
        return Wilcoxon(0.0, 1.0, len(means), zeros)
    test = signed_rank(means, zero_method="pratt")
    return Wilcoxon(float(test.statistic), float(test.pvalue), len(means), zeros)


def effect_size(
    a: pd.DataFrame,
    b: pd.DataFrame,
    value: str = "kendall_tau",
    *,
    level: float = 0.95,
    random_state: int = 0,
) -> EffectSize:
    """Difference of task means in units of its own spread, and by ranks.

    Parameters
    ----------
    a, b, value
        As for `win_rate`.
    level : float
        Coverage of the intervals, between 0 and 1.
    random_state : int

    Returns
    -------
    EffectSize
        ``d`` is Cohen's d_z: mean by standard deviation over tasks; infinite when all differ by the same
        amount, 0 when none differs, NaN with one task. ``rank_biserial`` is the sum of signed ranks by that
        of all ranks, from -1 (b ahead on every task) to 1; a task without a difference keeps its rank and
        counts for neither. Intervals resample tasks (SciPy's BCa bootstrap).

    Raises
    ------
    ValueError
        As for `win_rate`.

    Notes
    -----
    An end that the bootstrap cannot give is NaN, as in SciPy: with fewer than three tasks, without spread,
    and for ``rank_biserial`` when all tasks favour one side: no resample then shows anything but ±1, which
    does not mean that no such task exists; `win_rate` has an interval for that case. With eight tasks
    nominal 95 % cover about 90 %.

    Examples
    --------
    >>> a = pd.DataFrame({"task": [1, 2, 3, 4], "seed": 0, "kendall_tau": [0.5, 0.7, 0.6, 0.2]})
    >>> size = effect_size(a, a.assign(kendall_tau=[0.4, 0.5, 0.3, 0.3]))
    >>> round(size.d.value, 2), size.rank_biserial.value
    (0.73, 0.7)
    """
    check_level(level)
    means = task_differences(a, b, value)
    return EffectSize(
        bca((means,), _d_z, level, random_state), bca((means,), _rank_biserial, level, random_state)
    )


def correct(p_values: ArrayLike, method: Literal["holm", "fdr_bh"] = "holm") -> np.ndarray:
    """P-values corrected for being many (statsmodels).

    Parameters
    ----------
    p_values : array-like of shape (n,)
    method : {"holm", "fdr_bh"}
        Holm bounds the chance of any false claim, Benjamini and Hochberg the expected share of false claims.

    Returns
    -------
    array of shape (n,)
        In the given order.

    Raises
    ------
    ValueError
        No p-value, one that is not between 0 and 1, or an unknown method.
    ImportError
        Without statsmodels (``embreg[stats]``).

    Examples
    --------
    >>> correct([0.25, 0.125, 0.5]).tolist()
    [0.5, 0.375, 0.5]
    """
    try:
        from statsmodels.stats.multitest import multipletests
    except ImportError as error:
        raise ImportError("a correction needs statsmodels: pip install 'embreg[stats]'") from error
    if method not in ("holm", "fdr_bh"):
        raise ValueError(f"method must be 'holm' or 'fdr_bh', however: got {method!r}")
    p = np.asarray(p_values, float)
    if p.ndim != 1 or not p.size:
        raise ValueError(f"p-values must be of shape (n,) with n at least 1, however: got {p.shape}")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values must be between 0 and 1, however: got {p[~((p >= 0) & (p <= 1))][0]}")
    return np.asarray(multipletests(p, method=method)[1])


def correlation_bootstrap(
    x: ArrayLike,
    y: ArrayLike,
    *,
    method: Literal["pearson", "spearman"] = "pearson",
    level: float = 0.95,
    random_state: int = 0,
) -> Interval:
    """Correlation with an interval that resamples the points, beside Fisher's of `embreg.stats.correlation`.

    Fisher's interval is right for normal x and y; this one supposes only that the points are drawn alike.

    Parameters
    ----------
    x, y : array-like of shape (n,), n ≥ 4
    method : {"pearson", "spearman"}
    level : float
        Coverage of the interval, between 0 and 1.
    random_state : int

    Returns
    -------
    Interval
        Ends are SciPy's BCa, NaN when every resample gives the same value (points on one line). A resample
        in which x or y is constant counts as a correlation of 0.

    Raises
    ------
    ValueError
        Fewer than four points, constant input, values that are not finite, shapes that differ.

    Examples
    --------
    >>> r = correlation_bootstrap([0, 1, 2, 3, 4, 5], [0, 1, 3, 2, 5, 4], method="spearman")
    >>> round(r.value, 2), r.low < r.value < r.high
    (0.89, True)
    """
    from scipy.stats import rankdata

    from embreg.metrics import pearson

    if method not in ("pearson", "spearman"):
        raise ValueError(f"method must be 'pearson' or 'spearman', however: got {method!r}")
    check_level(level)
    pearson(x, y)  # refuses what has no correlation
    if (n := np.size(x)) < 4:
        raise ValueError(f"an interval of a correlation needs at least 4 points, however: got {n}")

    def statistic(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
        if method == "spearman":
            x, y = rankdata(x, axis=axis), rankdata(y, axis=axis)
        return _pearson(x, y, axis)

    return bca((np.asarray(x, float), np.asarray(y, float)), statistic, level, random_state)


def _d_z(x: np.ndarray, axis: int = -1) -> np.ndarray:
    if x.shape[axis] == 1:
        return np.full(x.shape[:-1], np.nan)
    mean, spread = x.mean(axis), x.std(axis, ddof=1)
    spread = np.where(np.ptp(x, axis) == 0, 0.0, spread)  # without what the mean leaves of rounding
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(mean == 0, 0.0, mean / spread)


def _rank_biserial(x: np.ndarray, axis: int = -1) -> np.ndarray:
    from scipy.stats import rankdata

    n = x.shape[axis]
    return (np.sign(x) * rankdata(np.abs(x), axis=axis)).sum(axis) / (n * (n + 1) / 2)


def _pearson(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
    flat = (np.ptp(x, axis) == 0) | (np.ptp(y, axis) == 0)
    x, y = (v - v.mean(axis, keepdims=True) for v in (x, y))
    with np.errstate(divide="ignore", invalid="ignore"):
        r = (x * y).sum(axis) / np.sqrt((x * x).sum(axis) * (y * y).sum(axis))
    return np.where(flat, 0.0, np.clip(np.round(r, 12), -1.0, 1.0))
