"""One figure style for the whole book."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from embreg.stats import mean_interval

__all__ = ["COLORS", "curves", "histograms", "panels", "scatter_fit", "style"]

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Okabe and Ito's colours, told apart under every common colour blindness."""
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def style() -> None:
    """Set matplotlib up: vector output that is the same for the same data.

    Examples
    --------
    >>> style()
    """
    import matplotlib as mpl
    import seaborn as sns

    sns.set_theme(context="notebook", style="ticks", palette=list(COLORS))
    mpl.rcParams.update(
        {
            "svg.hashsalt": "embreg",
            "svg.fonttype": "none",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.3,
            "figure.dpi": 100,
            "legend.frameon": False,
            "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica", "sans-serif"],
        }
    )


def panels(n: int, *, columns: int = 3, width: float = 3.6, height: float = 3.0, share: bool = True) -> tuple[Any, list]:
    """A figure of `n` axes in rows of `columns`, sharing both scales by default.

    Examples
    --------
    >>> fig, axes = panels(4)
    >>> len(axes)
    4
    """
    import matplotlib.pyplot as plt

    style()
    columns = min(n, columns)
    rows = -(-n // columns)
    fig, grid = plt.subplots(
        rows, columns, figsize=(width * columns, height * rows), squeeze=False, sharex=share, sharey=share,
        layout="constrained",
    )  # fmt: skip
    axes = list(grid.flat)
    for ax in axes[n:]:
        ax.set_visible(False)
    return fig, axes[:n]


def curves(
    ax: Any,
    records: pd.DataFrame,
    *,
    x: str,
    by: str,
    value: str = "kendall_tau",
    order: Sequence[str] | None = None,
    log: bool = True,
) -> pd.DataFrame:
    """Mean against `x`, one line per group, with 95 % bands over functions and seeds.

    Parameters
    ----------
    ax : matplotlib Axes
    records : DataFrame
        Columns `x`, `by`, `value`, ``function``, ``seed``.
    x, by, value : str
    order : sequence of str, optional
        Groups in the order of the legend; a group keeps its colour when others are absent.
    log : bool
        Logarithmic `x` with ticks at the data.

    Returns
    -------
    DataFrame
        The plotted numbers: `by`, `x`, ``value``, ``low``, ``high``.
    """
    groups = list(order or records[by].drop_duplicates())
    rows = []
    for i, group in enumerate(groups):
        part = records[records[by] == group]
        if part.empty:
            continue
        ticks = sorted(part[x].unique())
        ends = [mean_interval(part[part[x] == t], value) for t in ticks]
        rows += [{by: group, x: t, "value": e.value, "low": e.low, "high": e.high} for t, e in zip(ticks, ends, strict=True)]
        color = COLORS[i % len(COLORS)]
        ax.plot(ticks, [e.value for e in ends], marker=_MARKERS[i % len(_MARKERS)], color=color, label=str(group), ms=5)
        ax.fill_between(ticks, [e.low for e in ends], [e.high for e in ends], color=color, alpha=0.15, lw=0)
    ticks = sorted(records[x].unique())
    if log:
        ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()
    return pd.DataFrame(rows)


def histograms(ax: Any, values: Mapping[str, np.ndarray], *, bins: int = 30) -> None:
    """Overlaid densities on common bins, one colour each (Fig. 3)."""
    finite = {k: v[np.isfinite(v)] for k, v in values.items()}
    top = max(float(np.quantile(v, 0.99)) for v in finite.values())
    edges = np.linspace(0, top or 1.0, bins + 1)
    for i, (label, v) in enumerate(finite.items()):
        ax.hist(np.minimum(v, edges[-1]), edges, density=True, alpha=0.45, color=COLORS[i], label=label)
        ax.axvline(v.mean(), color=COLORS[i], lw=1.5, ls="--")


def scatter_fit(ax: Any, x: np.ndarray, y: np.ndarray, labels: Sequence[str] = ()) -> None:
    """Points with a least-squares line; the outermost points are named."""
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
