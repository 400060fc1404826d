"""One figure style for the whole book."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from embreg._plot_style import COLORS, LINES, MARKERS
from embreg._scatters import points, scatter_fit, scatter_groups
from embreg.stats import mean_interval

__all__ = [
    "COLORS",
    "curves",
    "histograms",
    "intervals",
    "line",
    "panels",
    "points",
    "scatter_fit",
    "scatter_groups",
    "style",
]


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


def panels(
    n: int, *, columns: int = 3, width: float = 3.6, height: float = 3.0, share: bool = True
) -> tuple[Any, list]:
    """A figure of `n` axes in rows of `columns`, sharing both scales by default.

    Parameters
    ----------
    n, columns : int
    width, height : float
        Of one panel, in inches.
    share : bool
        One scale for all panels.

    Returns
    -------
    fig : matplotlib Figure
    axes : list of n matplotlib Axes

    Raises
    ------
    ValueError
        `n` or `columns` below 1.

    Examples
    --------
    >>> fig, axes = panels(4)
    >>> len(axes)
    4
    >>> import matplotlib.pyplot as plt
    >>> plt.close(fig)
    """
    import matplotlib.pyplot as plt

    if n < 1 or columns < 1:
        raise ValueError(f"a figure needs at least one panel and one column, however: got {n=}, {columns=}")
    style()
    columns = min(n, columns)
    rows = -(-n // columns)
    fig, grid = plt.subplots(
        rows, columns, figsize=(width * columns, height * rows), squeeze=False, sharex=share, sharey=share,
        layout="constrained",
    )  # fmt: skip
    axes = list(grid.flat)
    for k in range(n, len(axes)):
        axes[k].set_visible(False)
        if k >= columns:  # the panel above an empty place is the lowest of its column
            axes[k - columns].tick_params(labelbottom=True)
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
    """Mean against `x`, one line per group, with 95 % bands over tasks and seeds.

    Parameters
    ----------
    ax : matplotlib Axes
    records : DataFrame
        Columns `x`, `by`, `value`, ``task``, ``seed``.
    x, by, value : str
    order : sequence of str, optional
        Groups in the order of the legend; a group keeps its color when others are absent.
    log : bool
        Logarithmic `x` with ticks at the data.

    Returns
    -------
    DataFrame
        The plotted numbers: `by`, `x`, ``value``, ``low``, ``high``.

    Raises
    ------
    ValueError
        No records, a group that `order` leaves out, or what `mean_interval` refuses.

    Examples
    --------
    >>> records = pd.DataFrame({"task": [1, 2], "seed": 0, "kendall_tau": [0.2, 0.4]})
    >>> records = records.assign(dof=5, head="mlp")
    >>> fig, axes = panels(1)
    >>> curves(axes[0], records, x="dof", by="head").value.round(3).tolist()
    [0.3]
    >>> import matplotlib.pyplot as plt
    >>> plt.close(fig)
    """
    groups = list(records[by].drop_duplicates() if order is None else order)
    if left_out := set(records[by]) - set(groups):
        raise ValueError(
            f"order must name every {by} of the records, however: {sorted(left_out)} would not be drawn"
        )
    if records.empty:
        raise ValueError("curves need records, however: there is none")
    rows = []
    for i, group in enumerate(groups):
        part = records[records[by] == group]
        if part.empty:
            continue
        ticks = sorted(part[x].unique())
        ends = [mean_interval(part[part[x] == t], value) for t in ticks]
        rows += [{by: group, x: t, **e._asdict()} for t, e in zip(ticks, ends, strict=True)]
        line(ax, ticks, [e.value for e in ends], i, label=str(group))
        band = [e.low for e in ends], [e.high for e in ends]
        ax.fill_between(ticks, *band, color=COLORS[i % len(COLORS)], alpha=0.15, lw=0)
    ticks = sorted(records[x].unique())
    if log:
        ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()
    return pd.DataFrame(rows)


def histograms(ax: Any, values: Mapping[str, np.ndarray], *, bins: int = 30) -> None:
    """Overlaid densities on common bins, one color each, with their means dashed (Fig. 3).

    Parameters
    ----------
    ax : matplotlib Axes
    values : mapping of label to ndarray
        Not negative. Infinite values cannot be drawn: the label says how many there are. The largest
        hundredth shares the last bin.
    bins : int

    Raises
    ------
    ValueError
        A label without a finite value.

    Examples
    --------
    >>> fig, axes = panels(1)
    >>> histograms(axes[0], {"a": np.array([0.0, 1.0, np.inf])})
    >>> axes[0].get_legend_handles_labels()[1]
    ['a (1 infinite)']
    >>> import matplotlib.pyplot as plt
    >>> plt.close(fig)
    """
    finite = {k: np.asarray(v)[np.isfinite(v)] for k, v in values.items()}
    if empty := [k for k, v in finite.items() if not len(v)]:
        raise ValueError(f"a histogram needs finite values, however: {empty} has none")
    top = max(float(np.quantile(v, 0.99)) for v in finite.values())
    edges = np.linspace(0, top or 1.0, bins + 1)
    for i, (label, v) in enumerate(finite.items()):
        color, lost = COLORS[i % len(COLORS)], len(values[label]) - len(v)
        label = f"{label} ({lost} infinite)" if lost else label
        ax.hist(np.minimum(v, edges[-1]), edges, density=True, alpha=0.45, color=color, label=label)
        ax.axvline(v.mean(), color=color, lw=1.5, ls="--")


def line(ax: Any, x: Any, y: Any, i: int, *, label: str) -> None:
    """The line of group number `i`, in its color, marker and dashes.

    Parameters
    ----------
    ax : matplotlib Axes
    x, y : array-like of shape (n,)
    i : int
    label : str

    Examples
    --------
    >>> fig, axes = panels(1)
    >>> line(axes[0], [1, 2], [0.5, 0.7], 0, label="8 functions")
    >>> import matplotlib.pyplot as plt
    >>> plt.close(fig)
    """
    color, marker = COLORS[i % len(COLORS)], MARKERS[i % len(MARKERS)]
    ax.plot(x, y, color=color, marker=marker, ls=LINES[i // len(COLORS) % len(LINES)], ms=5, label=label)


def intervals(ax: Any, table: pd.DataFrame, *, y: str, by: str) -> None:
    """Estimates with their intervals, a line of the axis for each `y` and a marker for each `by`.

    Parameters
    ----------
    ax : matplotlib Axes
    table : DataFrame
        Columns `y`, `by`, ``value``, ``low``, ``high``; the first `y` is drawn on top.
    y, by : str

    Examples
    --------
    >>> fig, axes = panels(1)
    >>> table = pd.DataFrame({"head": ["mlp", "gp"], "on": "φ", "value": 0.5, "low": 0.4, "high": 0.6})
    >>> intervals(axes[0], table, y="head", by="on")
    >>> [label.get_text() for label in axes[0].get_yticklabels()]
    ['mlp', 'gp']
    >>> import matplotlib.pyplot as plt
    >>> plt.close(fig)
    """
    names = list(table[y].drop_duplicates())
    groups = list(table[by].drop_duplicates())
    for i, group in enumerate(groups):
        part = table[table[by] == group]
        # Side by side, so that intervals of one line do not hide each other.
        places = np.array([names.index(n) for n in part[y]]) + 0.22 * (i - (len(groups) - 1) / 2)
        ends = np.abs(part[["low", "high"]].to_numpy().T - part["value"].to_numpy())
        ax.errorbar(part["value"], places, xerr=ends, fmt=MARKERS[i % len(MARKERS)], label=group,
                    color=COLORS[i % len(COLORS)], ms=5, lw=1.2)  # fmt: skip
    ax.set_yticks(range(len(names)), names)
    # Set, not toggled: panels share this axis.
    ax.set_ylim(len(names) - 0.5, -0.5)
