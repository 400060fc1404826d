"""Figures about rows and columns: errors, importances, smoothness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from embreg._plot_style import COLORS
from embreg.plots import panels

if TYPE_CHECKING:
    from embreg.advice import Advice

__all__ = ["Drawn", "errors", "importances", "plain", "smoothness"]

Drawn = tuple[Any, str]
"""A matplotlib Figure, and what it shows in words."""

_POINTS, _COLUMNS, _LETTERS = 400, 12, 22


def plain(text: object, letters: int = _LETTERS) -> str:
    r"""Text of a user as matplotlib shall draw it: nothing in it is a formula, and it has an end.

    Examples
    --------
    >>> plain("price ($)"), plain("a very long name of a column", 10)
    ('price (\\$)', 'a very lo…')
    """
    return _short(text, letters).replace("$", r"\$")


def _short(text: object, letters: int = 60) -> str:
    shown = "".join(c if c.isprintable() else " " for c in str(text)).strip() or "(no name)"
    return shown if len(shown) <= letters else shown[: letters - 1].rstrip() + "…"


def errors(advice: Advice) -> Drawn:
    """Predicted against true value with intervals, and the errors of the rows in order of size.

    Parameters
    ----------
    advice : Advice

    Returns
    -------
    figure : matplotlib Figure
    text : str
        What it shows.
    """
    table = advice.predictions
    fig, (above, below) = panels(2, columns=1, width=4.8, height=3.6, share=False)
    inside = ((table["low"] <= table["y"]) & (table["y"] <= table["high"])).to_numpy()
    # Enough to see the shape, and few enough for a file that is quick to open.
    drawn = np.random.default_rng(0).permutation(len(table))[:_POINTS]
    part, held = table.iloc[drawn], inside[drawn]
    span = [float(table["y"].min()), float(table["y"].max())]
    above.plot(span, span, color="0.35", lw=1, ls=":")
    above.vlines(part["y"], part["low"], part["high"], color="0.75", lw=0.7, zorder=1)
    looks = (held, COLORS[0], "o", "in the interval"), (~held, COLORS[1], "^", "outside")
    for where, color, marker, word in looks:
        if where.any():
            spot = part[where]
            above.scatter(
                spot["y"], spot["predicted"], color=color, marker=marker, s=16, label=word, zorder=2
            )
    above.set(xlabel=plain(f"true {advice.target}", 40), ylabel="predicted")
    above.legend(loc="upper left", bbox_to_anchor=(0, -0.2), ncols=2)
    share = 100 * (np.arange(len(table)) + 1) / len(table)
    sizes = {advice.best: np.abs(table["predicted"] - table["y"])}
    if advice.reference != advice.best:
        sizes[advice.reference] = np.abs(table["reference"] - table["y"])
    for (name, values), color, dashes in zip(
        sizes.items(), (COLORS[1], COLORS[0]), ("--", "-"), strict=False
    ):
        color, dashes = (color, dashes) if len(sizes) == 2 else (COLORS[0], "-")
        below.plot(share, np.sort(values), color=color, ls=dashes, lw=2, label=name)
    below.set(xlabel="per cent of the rows", ylabel="error at most", ylim=(0, None), xlim=(0, 100))
    below.legend(loc="upper left", bbox_to_anchor=(0, -0.2))
    text = (
        f"Of {len(table):,} rows, each predicted by models that had not seen it, {100 * inside.mean():.0f} % "
        f"lie in their interval. Half of the errors are below {_middle(sizes[advice.best], 0.5)}, nine in "
        f"ten below {_middle(sizes[advice.best], 0.9)}"
    )
    if advice.reference in sizes and len(sizes) == 2:
        other = sizes[advice.reference]
        text += f"; of the reference below {_middle(other, 0.5)} and {_middle(other, 0.9)}"
    some = f" {_POINTS} of the rows are drawn." if len(table) > _POINTS else ""
    return fig, f"{text}.{some}"


def _middle(values: ArrayLike, share: float) -> str:
    return f"{np.quantile(np.asarray(values, dtype=float), share):.2g}"


def importances(advice: Advice) -> Drawn:
    """Which columns matter, by permutation and by SHAP, the same columns beside each other.

    Parameters
    ----------
    advice : Advice

    Returns
    -------
    figure : matplotlib Figure
    text : str
        What it shows.
    """
    table = advice.importance
    wide = table.pivot(index="column", columns="method", values="value")
    methods = [m for m in ("permutation", "shap") if m in wide]
    order = [str(name) for name in wide[methods[0]].sort_values(ascending=False).index]
    shown = order[:_COLUMNS]
    fig, axes = panels(len(methods), columns=2, width=2.6, height=1.1 + 0.34 * len(shown), share=False)
    labels = {"permutation": "fall of τ", "shap": "mean |SHAP|"}
    for ax, method, color, hatch in zip(axes, methods, COLORS, ("", "///"), strict=False):
        part = table[table["method"] == method].set_index("column").reindex(shown)
        ends = np.nan_to_num(np.clip([part["value"] - part["low"], part["high"] - part["value"]], 0, None))
        ax.barh(range(len(shown)), part["value"], color=color, alpha=0.75, hatch=hatch, edgecolor="white")
        ax.errorbar(part["value"], range(len(shown)), xerr=ends, fmt="none", color="black", lw=1)
        names = [plain(name) for name in shown] if ax is axes[0] else [""] * len(shown)
        ax.set_yticks(range(len(shown)), names)
        ax.set(title=method if method != "shap" else "SHAP", xlabel=labels[method])
        ax.set_ylim(len(shown) - 0.5, -0.5)
        ax.axvline(0, color="0.4", lw=0.8)
    return fig, _importance_text(wide, order, methods)


def _importance_text(wide: pd.DataFrame, order: list[str], methods: list[str]) -> str:
    value = {method: dict(zip(map(str, wide.index), wide[method], strict=True)) for method in methods}
    text = ""
    if "permutation" in value:
        top = [f"{_short(name)} ({value['permutation'][name]:z.2f})" for name in order[:2]]
        text = f"Shuffling a column costs most τ for {', then '.join(top)}, of {len(order)} columns. "
    if "shap" in value:
        first = max(value["shap"], key=value["shap"].__getitem__)
        moved = f"{value['shap'][first]:.2g} in units of y"
        text += f"By SHAP {_short(first)} moves predictions most, by {moved}. "
    return (text + (f"Drawn are {_COLUMNS}." if len(order) > _COLUMNS else "")).strip()


def smoothness(advice: Advice) -> Drawn:
    """Histograms of the Lipschitz factors of both representations, on a logarithmic axis (Fig. 3).

    Parameters
    ----------
    advice : Advice

    Returns
    -------
    figure : matplotlib Figure
    text : str
        What it shows.
    """
    table = advice.smoothness
    usable = table[np.isfinite(table["factor"]) & (table["factor"] > 0)]
    fig, (ax,) = panels(1, width=4.8, height=3.4)
    low, high = np.quantile(usable["factor"], [0.005, 0.995])
    edges = np.geomspace(low, max(high, low * 1.01), 26)
    middles = {}
    looks = ((COLORS[0], "-", "", "o"), (COLORS[1], "--", "///", "D"))
    for (name, part), (color, dashes, hatch, marker) in zip(
        usable.groupby("representation", sort=False), looks, strict=False
    ):
        values = np.clip(part["factor"], low, high)
        middles[name] = float(part["factor"].median())
        ax.hist(values, edges, histtype="stepfilled", color=color, alpha=0.3, hatch=hatch, label=name)
        ax.hist(values, edges, histtype="step", color=color, lw=1.5, ls=dashes)
        ax.axvline(middles[name], color=color, lw=1.6, ls=dashes)
        ax.plot(middles[name], 0, color=color, marker=marker, ms=9, clip_on=False, zorder=3)
    ax.set_xscale("log")
    ax.set(xlabel="Lipschitz factor of a row (small is smooth)", ylabel="rows")
    fig.legend(loc="outside lower left", ncols=2)
    z = float(advice.early["z"])
    told = " and ".join(f"{value:.2g} on {name}" for name, value in middles.items())
    lost = len(table) - len(usable)
    text = (
        f"The middle Lipschitz factor is {told}, over {len(usable) // len(middles):,} rows of a sample. "
        f"The gap Z between the two is {z:z.2f}; above 0 it speaks for the embedding."
    )
    return fig, text + (f" Left out: {lost} factors that are 0 or infinite." if lost else "")
