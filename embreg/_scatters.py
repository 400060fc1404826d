"""Scatter plots of the book: points with a fitted line, by group, and with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from embreg._plot_style import COLORS, MARKERS

__all__ = ["points", "scatter_fit", "scatter_groups"]


def scatter_fit(ax: Any, x: np.ndarray, y: np.ndarray, labels: Sequence[str] = ()) -> None:
    """Points with a least-squares line; the outermost points are named.

    Parameters
    ----------
    ax : matplotlib Axes
    x, y : ndarray of shape (n,)
    labels : sequence of n str, optional

    Raises
    ------
    ValueError
        Shapes that do not fit, or values that are not finite.

    Examples
    --------
    >>> from embreg.plots import panels
    >>> fig, axes = panels(1)
    >>> scatter_fit(axes[0], np.arange(3.0), np.arange(3.0), ["a", "b", "c"])
    >>> [text.get_text() for text in axes[0].texts]
    ['a', 'c']
    >>> import matplotlib.pyplot as plt
    >>> plt.close(fig)
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.ndim != 1 or x.shape != y.shape or not len(x) or len(labels) not in (0, len(x)):
        raise ValueError(
            f"x, y and labels must have one length, however: {x.shape=}, {y.shape=}, {len(labels)} labels"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("x and y must be finite, however: there is a NaN or infinity; drop those points")
    ax.scatter(x, y, color=COLORS[0], s=22)
    if np.ptp(x) > 0:
        line = np.polynomial.Polynomial.fit(x, y, 1)
        ends = np.array([x.min(), x.max()])
        ax.plot(ends, line(ends), color=COLORS[1], lw=1.5)
    ax.axhline(0, color="0.6", lw=0.8)
    ax.axvline(0, color="0.6", lw=0.8)
    extremes = dict.fromkeys([int(np.argmin(y)), int(np.argmax(y)), int(np.argmin(x)), int(np.argmax(x))])
    for i in extremes if len(labels) else ():
        ax.annotate(labels[i], (x[i], y[i]), fontsize=7, xytext=(3, 3), textcoords="offset points")


def scatter_groups(ax: Any, points: pd.DataFrame, *, x: str, y: str, by: str) -> None:
    """Points with a color and a marker for each group, and a line at zero.

    Parameters
    ----------
    ax : matplotlib Axes
    points : DataFrame
        Columns `x`, `y`, `by`.
    x, y, by : str

    Examples
    --------
    >>> from embreg.plots import panels
    >>> fig, axes = panels(1)
    >>> points = pd.DataFrame({"a": [0.0, 1.0], "b": [1.0, 0.0], "shift": [0, 4]})
    >>> scatter_groups(axes[0], points, x="a", y="b", by="shift")
    >>> axes[0].get_legend_handles_labels()[1]
    ['0', '4']
    >>> import matplotlib.pyplot as plt
    >>> plt.close(fig)
    """
    ax.axhline(0, color="0.6", lw=0.8)
    for i, (name, part) in enumerate(points.groupby(by)):
        label = f"{name:g}" if isinstance(name, int | float) else str(name)
        color, marker = COLORS[i % len(COLORS)], MARKERS[i % len(MARKERS)]
        ax.scatter(part[x], part[y], color=color, marker=marker, s=26, alpha=0.8, label=label)


def points(
    ax: Any, table: pd.DataFrame, *, x: str, by: str, name: str = "", joined: Sequence[str] = ()
) -> None:
    """Estimates with their intervals at places on a logarithmic axis, a color and a marker for each group.

    Parameters
    ----------
    ax : matplotlib Axes
    table : DataFrame
        Columns `x`, `by`, `name` where given, ``value``, ``low``, ``high``.
    x, by : str
        `x` must be above zero.
    name : str
        Column of a text beside each point; empty for none.
    joined : sequence of str
        Groups whose points are joined by a line, in order of `x`: those that are one series.

    Raises
    ------
    ValueError
        An `x` that is not above zero.

    Examples
    --------
    >>> from embreg.plots import panels
    >>> fig, axes = panels(1)
    >>> table = pd.DataFrame({"size": [1e6, 2e6], "of": "T5", "value": [0.5, 0.6], "low": 0.4, "high": 0.7})
    >>> points(axes[0], table, x="size", by="of", joined=["T5"])
    >>> axes[0].get_legend_handles_labels()[1]
    ['T5']
    >>> import matplotlib.pyplot as plt
    >>> plt.close(fig)
    """
    if not (table[x] > 0).all():
        raise ValueError(f"{x} must be above zero on a logarithmic axis, however: got {table[x].min()}")
    from matplotlib.ticker import EngFormatter

    low, high = table[x].min() / 1.5, table[x].max() * 1.5
    ax.set_xscale("log")
    ax.set_xlim(low, high)  # one place alone would leave the axis without a width
    ax.set_xticks(_round_numbers(low, high))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.minorticks_off()
    beside = table.groupby(x).cumcount() - (table.groupby(x)[x].transform("size") - 1) / 2
    for i, (group, part) in enumerate(table.groupby(by, sort=False)):
        part = part.sort_values(x)
        # Side by side, so that intervals at one place do not hide each other.
        at = part[x] * (high / low) ** (0.02 * beside[part.index])
        ends = np.abs(part[["low", "high"]].to_numpy().T - part["value"].to_numpy())
        ax.errorbar(at, part["value"], yerr=ends, color=COLORS[i % len(COLORS)], label=str(group), ms=6,
                    lw=1.2, fmt=MARKERS[i % len(MARKERS)] + ("-" if group in joined else ""))  # fmt: skip
    for row in table.to_dict("records") if name else ():
        ax.annotate(row[name], (row[x], row["value"]), fontsize=7, xytext=(5, 3), textcoords="offset points")


def _round_numbers(low: float, high: float) -> list[float]:
    """Three to a few places between two numbers that a reader knows at a glance."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for leading in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        found = [d * 10.0**p for p in powers for d in leading if low <= d * 10.0**p <= high]
        if len(found) >= 3:
            break
    return found
