"""Figures of an advice, each with the sentence that states what it shows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from embreg._plot_style import COLORS
from embreg.advising.row_figures import Drawn, errors, importances, smoothness
from embreg.plots import panels
from embreg.stats import Interval

if TYPE_CHECKING:
    from embreg.advice import Advice
    from embreg.records import Run

__all__ = ["Drawn", "costs", "errors", "importances", "learning_curve", "scoreboard", "show", "smoothness"]

# Without and with a language model: color, marker and line, so that no pair hangs on color alone.
_PLAIN, _LLM = (COLORS[0], "o", "-"), (COLORS[1], "D", "--")
_MOST = 14
"""Candidates that are drawn; the table has all of them."""

_WIDTH = 4.8
"""Inches: at the width of a phone a letter is still as large as in the text."""


def _look(advice: Advice, candidate: str) -> tuple[str, str, str]:
    board = advice.scoreboard
    return _LLM if board.loc[board["candidate"] == candidate, "uses_llm"].any() else _PLAIN


def scoreboard(advice: Advice) -> Drawn:
    """Every candidate with its interval, the best on top; the reference is a line.

    Parameters
    ----------
    advice : Advice

    Returns
    -------
    figure : matplotlib Figure
    text : str
        What it shows.
    """
    board = advice.scoreboard
    kept = [advice.reference, advice.best, advice.best_llm, "mean"]
    shown = board[(board.index < _MOST) | board["candidate"].isin(kept)].reset_index(drop=True)
    fig, (ax,) = panels(1, width=_WIDTH, height=1.3 + 0.45 * len(shown))
    level = float(board.loc[board["candidate"] == advice.reference, "kendall_tau"].iloc[0])
    ax.axvline(level, color=COLORS[0], lw=1.2, ls=":", label="the reference")
    side = shown["candidate"].map(lambda name: _look(advice, name))
    for (color, marker, _), word in ((_PLAIN, "without a language model"), (_LLM, "with one")):
        part = shown[[one[1] == marker for one in side]]
        ends = [part["kendall_tau"] - part["low"], part["high"] - part["kendall_tau"]]
        ax.errorbar(part["kendall_tau"], part.index + 0.15, xerr=ends, fmt=marker, color=color, ms=6,
                    lw=1.6, label=word)  # fmt: skip
    # The reference's line passes behind the words.
    words: dict[str, Any] = {
        "transform": ax.get_yaxis_transform(), "va": "center", "size": 10.5,
        "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    }  # fmt: skip
    numbers = shown["candidate"].str.len().max() <= 26
    for i, row in enumerate(shown.to_dict("records")):
        weight = "bold" if row["candidate"] == advice.best else "normal"
        ax.text(0, i - 0.25, row["candidate"], weight=weight, **words)
        if numbers:
            text = str(Interval(row["kendall_tau"], row["low"], row["high"]))
            ax.text(1, i - 0.25, text, ha="right", weight=weight, **words)
    ax.set(xlabel="Kendall τ on rows not trained on", ylim=(len(shown) - 0.4, -0.6), yticks=[])
    ax.spines["left"].set_visible(False)
    fig.legend(loc="outside lower left")
    return fig, _board_text(advice, len(board) - len(shown))


def _board_text(advice: Advice, left_out: int) -> str:
    board = {row["candidate"]: row for row in advice.scoreboard.to_dict("records")}

    def scored(name: str) -> str:
        row = board[name]
        return f"{name} with {Interval(row['kendall_tau'], row['low'], row['high'])}"

    text = f"Kendall τ of {len(board)} candidates. Best without a language model, the reference: "
    text += f"{scored(advice.reference)}. Best with one: {scored(advice.best_llm)}. "
    text += f"In bold the one that is advised: {advice.best}."
    return text + (f" The {left_out} not drawn are in the table." if left_out else "")


def learning_curve(advice: Advice) -> Drawn:
    """Score against the number of training rows, with bands.

    Parameters
    ----------
    advice : Advice

    Returns
    -------
    figure : matplotlib Figure
    text : str
        What it shows.
    """
    curve, names = advice.curve, list(dict.fromkeys(advice.curve["candidate"]))
    fig, (ax,) = panels(1, width=_WIDTH, height=3.6)
    ends = {}
    for name in names:
        part = curve[curve["candidate"] == name].sort_values("n_train")
        color, marker, dashes = _look(advice, name)
        ax.plot(part["n_train"], part["kendall_tau"], color=color, marker=marker, ls=dashes, ms=6, label=name)
        ax.fill_between(part["n_train"], part["low"], part["high"], color=color, alpha=0.15, lw=0)
        ends[name] = part["kendall_tau"].iloc[0], part["kendall_tau"].iloc[-1]
    ticks: list[float] = []
    for n in sorted(curve["n_train"].unique(), reverse=True):  # numbers that would touch are left out
        ticks += [n] if not ticks or n < 0.7 * ticks[-1] else []
    _on_log_axis(ax, ticks)
    ax.set(xlabel="rows trained on", ylabel="Kendall τ")
    fig.legend(loc="outside lower left")
    low, high = curve["n_train"].min(), curve["n_train"].max()
    goes = ", and ".join(f"from {a:z.2f} to {b:z.2f} for {name}" for name, (a, b) in ends.items())
    text = f"From {low:,} to {high:,} training rows τ goes {goes}."
    best = curve[curve["candidate"] == advice.best].sort_values("n_train")
    if len(best) > 1:
        last, before = best.iloc[-1], best.iloc[-2]
        doublings = np.log2(last["n_train"] / before["n_train"])
        gain = float((last["kendall_tau"] - before["kendall_tau"]) / doublings)
        so = "more rows may help" if gain > 0.02 else "more rows promise little"
        text += f" Over the last doubling {advice.best} gains {gain:z.2f}: {so}."
    return fig, text


def _on_log_axis(ax: Any, ticks: list[float]) -> None:
    ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
    ax.minorticks_off()


def costs(advice: Advice) -> Drawn:
    """Score against time a row, both with intervals.

    Parameters
    ----------
    advice : Advice

    Returns
    -------
    figure : matplotlib Figure
    text : str
        What it shows.
    """
    table = advice.costs.merge(
        advice.scoreboard[["candidate", "kendall_tau", "low", "high"]], on="candidate", suffixes=("", "_tau")
    )
    fig, (ax,) = panels(1, width=_WIDTH, height=3.4)
    for row in table.to_dict("records"):
        color, marker, _ = _look(advice, row["candidate"])
        x, y = row["ms_per_row"], row["kendall_tau"]
        across, along = [x - row["low"], row["high"] - x], [y - row["low_tau"], row["high_tau"] - y]
        ax.errorbar(x, y, xerr=np.c_[across], yerr=np.c_[along], fmt=marker, color=color, ms=7, lw=1.6,
                    label=row["candidate"])  # fmt: skip
    powers = np.arange(np.floor(np.log10(table["low"].min())), np.ceil(np.log10(table["high"].max())) + 1)
    _on_log_axis(ax, [float(f"{10.0**p:g}") for p in powers])
    ax.set(xlabel="milliseconds a row on this machine", ylabel="Kendall τ")
    fig.legend(loc="outside lower left")
    told = [
        f"{row['ms_per_row']:.3g} ms a row for {row['candidate']} (τ = {row['kendall_tau']:z.2f})"
        for row in table.to_dict("records")
    ]
    text = f"A prediction takes {_listed(told)}, on this machine."
    if advice.cost_ratio is not None:
        value, low, high = (f"{v:,.3g}" for v in advice.cost_ratio)
        text += f" With a language model it takes {value} [{low}, {high}] times as long."
    return fig, text


def _listed(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def show(run: Run, advice: Advice, name: str) -> Any:
    """Draw one of the figures of this module, keep it, and return it for display.

    Parameters
    ----------
    run : Run
        Where it is kept.
    advice : Advice
    name : {"scoreboard", "learning_curve", "errors", "importances", "smoothness", "costs"}

    Returns
    -------
    IPython.display.HTML
        Where the advice lacks what is drawn (no time was left, or a service would have been paid for), a
        sentence that says so.
    """
    from IPython.display import HTML

    draw, needed = _FIGURES[name]
    if not len(getattr(advice, needed)):
        return HTML("<p>Not computed: there was no time left, it was not asked for, or a service would have "
                    "been paid for it. A larger budget has it.</p>")  # fmt: skip
    figure, text = draw(advice)
    with warnings.catch_warnings():
        # Letters that matplotlib's font lacks are text in the SVG, and whoever reads it has them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        return run.figure(figure, name, text)


_FIGURES: dict[str, tuple[Callable[[Advice], Drawn], str]] = {
    "scoreboard": (scoreboard, "scoreboard"),
    "learning_curve": (learning_curve, "curve"),
    "errors": (errors, "predictions"),
    "importances": (importances, "importance"),
    "smoothness": (smoothness, "smoothness"),
    "costs": (costs, "costs"),
}
