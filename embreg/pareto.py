"""Which way is worth its cost: sets that nothing dominates, with and without intervals, and what to take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from embreg.stats import Interval

__all__ = ["draw", "legend", "pareto", "standing", "take"]

_SHADES = {"front": 1.0, "undecided": 0.4, "dominated": 0.0}  # of a marker's face

Compare = Callable[[str, str], Interval]
"""A difference, first less second, with its interval."""


def pareto(points: pd.DataFrame, costs: Sequence[str], quality: str) -> np.ndarray:
    """Which points nothing dominates.

    A point is dominated by another that costs no more in any respect, is no worse, and is cheaper in some
    respect or better. Of equal points none dominates the other.

    Parameters
    ----------
    points : DataFrame
        Columns `costs` (less is better) and `quality` (more is better).
    costs : sequence of str
    quality : str

    Returns
    -------
    ndarray of shape (n,), bool

    Raises
    ------
    ValueError
        No costs, or a value that is missing: such a point can be compared with nothing.

    Examples
    --------
    >>> points = pd.DataFrame({"ms": [1.0, 2.0, 3.0], "τ": [0.5, 0.4, 0.6]})
    >>> pareto(points, ["ms"], "τ").tolist()
    [True, False, True]
    """
    if isinstance(costs, str) or len(costs) == 0:
        raise ValueError(f"costs must be a list of at least one column, however: got {costs!r}")
    values = np.column_stack([points[list(costs)].to_numpy(float), -points[quality].to_numpy(float)])
    if np.isnan(values).any():
        lost = np.flatnonzero(np.isnan(values).any(axis=1)).tolist()
        raise ValueError(
            f"points must have every cost and a quality, however: rows {lost} lack one; drop them"
        )
    distinct, which = np.unique(values, axis=0, return_inverse=True)
    # Sorted by the first cost, then the next: whatever dominates a point comes before it.
    kept = np.zeros(len(distinct), dtype=bool)
    for i, point in enumerate(distinct):
        kept[i] = not (distinct[:i][kept[:i]] <= point).all(axis=1).any()
    return np.asarray(kept[which.reshape(-1)])


def standing(names: Sequence[str], quality: Compare, cost: Compare) -> pd.DataFrame:
    """What intervals say of each point: on the front, dominated, or neither for sure.

    Parameters
    ----------
    names : sequence of str
    quality : callable
        ``quality(a, b)`` is the paired difference of a less b.
    cost : callable
        ``cost(a, b)`` likewise; an interval without width where a cost is known exactly. Logarithms of
        ratios serve as well.

    Returns
    -------
    DataFrame
        ``name``; ``standing``: *dominated* when another is, by whole intervals, no dearer and no worse, and
        cheaper or better; *front* when by whole intervals no other is so; *undecided* otherwise; and ``by``,
        the others that dominate it, or that may.

    Raises
    ------
    ValueError
        Names that are not different.

    Examples
    --------
    >>> tau, ms = {"a": 0.5, "b": 0.4}, {"a": 1.0, "b": 2.0}
    >>> def exactly(values):
    ...     return lambda a, b: Interval(*[values[a] - values[b]] * 3)
    >>> standing(["a", "b"], exactly(tau), exactly(ms)).standing.tolist()
    ['front', 'dominated']
    >>> unsure = lambda a, b: Interval(tau[a] - tau[b], tau[a] - tau[b] - 0.2, tau[a] - tau[b] + 0.2)
    >>> standing(["a", "b"], unsure, exactly(ms)).standing.tolist()
    ['front', 'undecided']
    """
    if len(set(names)) != len(names):
        raise ValueError(f"names must be different, however: got {list(names)}")
    rows = []
    for a in names:
        sure, maybe = [], []
        for b in names:
            if b == a:
                continue
            gain, extra = quality(b, a), cost(b, a)
            # For a pair without intervals both conditions are that of `pareto`.
            if extra.high <= 0 and gain.low >= 0 and (extra.high < 0 or gain.low > 0):
                sure.append(b)
            elif extra.low <= 0 and gain.high >= 0 and (extra.low < 0 or gain.high > 0):
                maybe.append(b)
        state = "dominated" if sure else "undecided" if maybe else "front"
        rows.append({"name": a, "standing": state, "by": ", ".join(sure or maybe)})
    return pd.DataFrame(rows)


def take(
    points: pd.DataFrame, budgets: Sequence[float], quality: Compare, *, name: str, cost: str, value: str
) -> pd.DataFrame:
    """For each budget, the cheapest point that cannot be told apart from the best that it buys.

    Parameters
    ----------
    points : DataFrame
        Columns `name`, `cost` and `value` (the quality).
    budgets : sequence of float
    quality : callable
        ``quality(a, b)`` is the paired difference of a less b.
    name, cost, value : str

    Returns
    -------
    DataFrame
        ``budget, take``, its `cost` and `value`, ``best`` (by estimate) and ``short``, what the best has
        more by estimate, with its interval; ``take`` is empty where the budget buys nothing.

    Examples
    --------
    >>> points = pd.DataFrame({"name": ["small", "large"], "ms": [1.0, 9.0], "τ": [0.5, 0.55]})
    >>> same = lambda a, b: Interval(0.05, -0.1, 0.2)
    >>> take(points, [0.5, 2, 10], same, name="name", cost="ms", value="τ")["take"].tolist()
    ['', 'small', 'small']
    """
    rows: list[dict[str, Any]] = []
    ordered = points.sort_values([cost, name], kind="stable")
    for budget in budgets:
        within = ordered[ordered[cost] <= budget]
        if within.empty:
            rows.append(
                {"budget": budget, "take": "", cost: np.nan, value: np.nan, "best": "", "short": None}
            )
            continue
        best = str(within[name].iloc[int(within[value].to_numpy().argmax())])
        for one in within.to_dict("records"):
            short = Interval(0.0, 0.0, 0.0) if one[name] == best else quality(best, str(one[name]))
            if short.low <= 0:
                break
        rows.append(
            {
                "budget": budget,
                "take": one[name],
                cost: one[cost],
                value: one[value],
                "best": best,
                "short": short,
            }
        )
    return pd.DataFrame(rows)


def draw(ax: Any, points: pd.DataFrame, *, cost: str, color: str, marker: str) -> None:
    """Quality against a cost on a logarithmic scale, filled where a point is on the front for sure.

    Parameters
    ----------
    ax : matplotlib Axes
    points : DataFrame
        Columns `cost` (positive, missing where it is not known; with ``…_low`` and ``…_high`` where it has
        an interval), ``value, low, high`` (the quality), ``standing`` (see `standing`; a point without one is
        left out), `color` and `marker` (what a point's color and marker stand for).
    cost, color, marker : str

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> fig, ax = plt.subplots()
    >>> points = pd.DataFrame({"ms": [1.0, 4.0], "value": [0.5, 0.4], "low": 0.3, "high": 0.6,
    ...                        "standing": ["front", "undecided"], "model": ["a", "b"], "dtype": "fp32"})
    >>> draw(ax, points, cost="ms", color="model", marker="dtype")
    >>> ax.get_xscale()
    'log'
    >>> plt.close(fig)
    """
    from matplotlib.colors import to_rgba

    colors, markers = _colors(points, color), _markers(points, marker)
    shown = points[points[cost].notna() & points.standing.isin(_SHADES)]
    for point in shown.to_dict("records"):
        x, y, c = point[cost], point["value"], colors[point[color]]
        ends = [[y - point["low"]], [point["high"] - y]]
        across = None
        if f"{cost}_low" in point:
            across = [[x - point[f"{cost}_low"]], [point[f"{cost}_high"] - x]]
        ax.errorbar(x, y, yerr=ends, xerr=across, color=c, lw=0.9, alpha=0.6, fmt="none")
        face = to_rgba(c, _SHADES[point["standing"]])
        ax.plot(x, y, marker=markers[point[marker]], ms=7, mew=1.3, mec=c, mfc=face, ls="none")
    front = shown[shown.standing != "dominated"]
    front = front[pareto(front, [cost], "value")].sort_values(cost) if len(front) else front
    ax.step(front[cost], front["value"], where="post", color="0.5", lw=1, zorder=0)
    ax.set_xscale("log")


def legend(fig: Any, points: pd.DataFrame, *, color: str, marker: str) -> None:
    """Say below a figure what colors and markers of `draw` stand for.

    Parameters
    ----------
    fig : matplotlib Figure
    points : DataFrame
        As for `draw`.
    color, marker : str

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> fig, ax = plt.subplots()
    >>> legend(fig, pd.DataFrame({"model": ["a", "b"], "dtype": "fp32"}), color="model", marker="dtype")
    >>> [text.get_text() for text in fig.legends[0].get_texts()]
    ['a', 'b', 'fp32']
    >>> plt.close(fig)
    """
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=c, marker="s", ls="none", ms=7, label=str(name))
        for name, c in _colors(points, color).items()
    ]
    handles += [
        Line2D([], [], color="0.3", marker=m, mfc="none", ls="none", ms=7, label=str(name))
        for name, m in _markers(points, marker).items()
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8)


def _colors(points: pd.DataFrame, column: str) -> dict[Any, str]:
    from embreg.plots import COLORS

    return {k: COLORS[i % len(COLORS)] for i, k in enumerate(points[column].drop_duplicates())}


def _markers(points: pd.DataFrame, column: str) -> dict[Any, str]:
    return {k: "osD^vPX*"[i % 8] for i, k in enumerate(points[column].drop_duplicates())}
