"""Differences of pairs without noise of rounding, and SciPy's BCa bootstrap with its edge cases settled."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

from embreg.stats import _CELL, Interval, _grid, _require

_RESAMPLES = 2000


def check_level(level: float) -> None:
    """Refuse what is no coverage."""
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, however: got {level!r}")


def pairs(a: pd.DataFrame, b: pd.DataFrame, value: str) -> tuple[np.ndarray, float]:
    """Differences of shape (tasks, seeds), and the largest number that went into one."""
    _require(a, value)
    _require(b, value)
    left, right = (t.set_index(_CELL)[value].sort_index() for t in (a, b))
    if not left.index.equals(right.index):
        odd = list(left.index.symmetric_difference(right.index)[:3]) or "one cell more often"
        raise ValueError(f"pairs need the same (task, seed) on both sides, however: {odd} is on one only")
    largest = float(max(left.abs().max(), right.abs().max()))
    return _rounded(_grid((left - right).reset_index(), value), largest), largest


def task_differences(a: pd.DataFrame, b: pd.DataFrame, value: str) -> np.ndarray:
    """Differences of means over seeds, shape (tasks,); equal ones are equal bit by bit, as ranks need it."""
    table, largest = pairs(a, b, value)
    return _rounded(table.mean(1), largest)


def bca(
    samples: tuple[np.ndarray, ...], statistic: Callable[..., np.ndarray], level: float, random_state: int
) -> Interval:
    """Statistic of one or of paired samples, each (n,), with BCa ends; NaN for those that do not exist."""
    from scipy.stats import DegenerateDataWarning, bootstrap

    value = float(statistic(*samples))
    if len(samples[0]) < 3:  # the jackknife inside leaves one out, and one point has no spread
        return Interval(value, np.nan, np.nan)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", DegenerateDataWarning)  # its ends are NaN, which says the same
        ends = bootstrap(
            samples,
            statistic,
            paired=len(samples) > 1,
            vectorized=True,
            n_resamples=_RESAMPLES,
            confidence_level=level,
            random_state=np.random.default_rng(random_state),
        ).confidence_interval
    return Interval(value, float(ends.low), float(ends.high))


def _rounded(values: np.ndarray, largest: float) -> np.ndarray:
    """To 13 digits of the largest number that went in: 0.5 - 0.4 is 0.1."""
    if not 0 < largest < np.inf:
        return values
    return np.round(values, min(12 - int(np.floor(np.log10(largest))), 300))
