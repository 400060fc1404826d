"""The answer as one sentence, and what it costs."""

from __future__ import annotations

import numpy as np

from embreg.advising.verdict import MARGIN, Judgement
from embreg.stats import Interval

__all__ = ["answer_of", "percent"]


def percent(probability: float) -> str:
    """Probability in whole per cent; never 0 or 100, which no data of this kind give.

    Examples
    --------
    >>> percent(0.942), percent(0.9999)
    ('94 %', '> 99 %')
    """
    if probability > 0.99:
        return "> 99 %"
    return "< 1 %" if probability < 0.01 else f"{100 * probability:.0f} %"


def answer_of(
    found: Judgement,
    *,
    best_llm: str,
    reference: str,
    n: int,
    ms_per_row: float = np.nan,
    ratio: Interval | None = None,
) -> str:
    """Say what was found.

    Parameters
    ----------
    found : Judgement
    best_llm, reference : str
        Best candidates with and without a language model.
    n : int
        Rows.
    ms_per_row : float
        Of `best_llm`; NaN where nobody measured.
    ratio : Interval, optional
        How many times as long `best_llm` takes as `reference`.

    Returns
    -------
    str

    Examples
    --------
    >>> found = Judgement("yes", Interval(0.03, 0.01, 0.05), 0.99, Interval(0.6, 0.5, 0.7), None)
    >>> print(answer_of(found, best_llm="φ_trad + φ_LLM, xgboost", reference="φ_trad, xgboost", n=500,
    ...                 ms_per_row=40.0, ratio=Interval(200.0, 150.0, 260.0)))
    Yes: φ_trad + φ_LLM, xgboost is ahead of φ_trad, xgboost, the best without a language model, by
    0.03 [0.01, 0.05] in τ (probability that it is ahead: 99 %). It takes 40 ms a row on this machine,
    200 [150, 260] times as long.
    """
    ahead = f"probability that it is ahead: {percent(found.probability)}"
    d = found.difference
    if found.verdict == "nothing":
        return (
            f"There is nothing to predict here, as far as {n:,} rows can tell: the best of all candidates "
            f"has τ = {found.skill}, where 0 is chance."
        )
    if found.verdict == "yes":
        but = ", but by little" if d.value < MARGIN else ""
        text = (
            f"Yes{but}: {best_llm} is ahead of {reference}, the best without a language model, by {d} in τ "
            f"({ahead})."
        )
    elif found.verdict == "no":
        text = (
            f"No: {reference}, without a language model, is better or as good: with one, τ changes by {d} "
            f"({best_llm}; {ahead}), and less than {MARGIN} is called nothing."
        )
    else:
        rows = (
            f"About {found.rows_needed:,} rows would decide a difference like this one."
            if found.rows_needed
            else "No number of rows within reach would decide a difference this small."
        )
        text = (
            f"Undecided on {n:,} rows: from {reference}, the best without a language model, to {best_llm} τ "
            f"changes by {d}, which holds both a gain and none ({ahead}). {rows}"
        )
    return text + _cost(ms_per_row, ratio, found.verdict)


def _cost(ms: float, ratio: Interval | None, verdict: str) -> str:
    if not np.isfinite(ms) or ratio is None:
        return ""
    who = "It" if verdict == "yes" else "An embedding"
    how = f"{ratio.value:,.3g} [{ratio.low:,.3g}, {ratio.high:,.3g}]"
    return f" {who} takes {ms:.3g} ms a row on this machine, {how} times as long."
