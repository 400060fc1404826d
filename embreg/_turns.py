"""Timing by turns: every contender once per repetition, so that what slows the machine slows them all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Ratio", "alternate", "geometric", "spread", "times_faster"]


class Ratio(NamedTuple):
    """How many times faster one is than another, with the ends of a 95 % interval (None: one repetition)."""

    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.low is None:
            return f"{self.value:.2f}×"
        return f"{self.value:.2f}× [{self.low:.2f}, {self.high:.2f}]"


def alternate(
    contenders: Mapping[str, Callable[[], Any]],
    repeat: int,
    *,
    between: Callable[[], Any] | None = None,
    say: Callable[[str], Any] = lambda line: None,
) -> dict[str, list[float]]:
    """Seconds of each contender, `repeat` times round-robin.

    Each round starts with the next contender, so that none always follows the same neighbour.

    Parameters
    ----------
    contenders : mapping of name to callable
        Warmed up already.
    repeat : int
        Rounds.
    between : callable, optional
        Called before each round (the peak of the machine is measured there).
    say : callable
        Receives a line of progress after each run.

    Returns
    -------
    dict of name to list of float
        One entry per round: entries of one round are a pair.

    Examples
    --------
    >>> seconds = alternate({"a": lambda: None, "b": lambda: None}, 3)
    >>> {name: len(s) for name, s in seconds.items()}
    {'a': 3, 'b': 3}
    """
    names = list(contenders)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(repeat):
        if between is not None:
            between()
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            start = time.perf_counter()
            contenders[name]()
            seconds[name].append(time.perf_counter() - start)
            say(f"round {turn + 1}/{repeat}  {name}: {seconds[name][-1]:.2f} s")
    return seconds


def times_faster(fast: Sequence[float], slow: Sequence[float]) -> Ratio:
    """Geometric mean of the paired ratios ``slow / fast``, with Student's interval on the logarithms.

    Parameters
    ----------
    fast, slow : sequence of float
        Seconds, of the same rounds in the same order.

    Examples
    --------
    >>> str(times_faster([1.0, 1.0, 1.0], [2.0, 2.0, 2.0]))
    '2.00× [2.00, 2.00]'
    >>> str(times_faster([1.0], [3.0]))
    '3.00×'
    """
    return geometric(np.asarray(slow, float) / np.asarray(fast, float))


def geometric(values: ArrayLike) -> Ratio:
    """Geometric mean of positive numbers, with Student's interval on their logarithms.

    Parameters
    ----------
    values : array-like of shape (rounds,)

    Examples
    --------
    >>> str(geometric([2.0, 8.0, 4.0]))
    '4.00× [0.71, 22.38]'
    """
    from scipy import stats

    logs = np.log(np.asarray(values, float))
    mean = float(logs.mean())
    if len(logs) < 2:
        return Ratio(float(np.exp(mean)), None, None)
    half = float(stats.t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / np.sqrt(len(logs)))
    return Ratio(*(float(np.exp(v)) for v in (mean, mean - half, mean + half)))


def spread(amount: float, seconds: Sequence[float]) -> dict[str, float]:
    """Rates ``amount / seconds``: their median, lowest and highest.

    Examples
    --------
    >>> spread(100, [1.0, 2.0, 4.0])
    {'median': 50.0, 'low': 25.0, 'high': 100.0}
    """
    rates = [amount / s for s in seconds]
    return {"median": statistics.median(rates), "low": min(rates), "high": max(rates)}
