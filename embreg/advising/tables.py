"""Tables and sentences of a report. What comes from a user's file is text here, never markup."""

from __future__ import annotations

import html
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from embreg.advising.answer import percent
from embreg.stats import Interval

if TYPE_CHECKING:
    from embreg.advice import Advice

__all__ = [
    "capital",
    "columns_table",
    "data_sentence",
    "findings_list",
    "headline",
    "plan_sentence",
    "plan_table",
    "scoreboard_table",
    "sentence",
    "shown",
    "worst_rows",
]

_CELL = 60
"""Letters of a cell that are shown."""
_CELLS = 6
"""Columns of the worst rows that are shown."""


def shown(table: pd.DataFrame) -> Any:
    """Table for a page: every cell as text, without the index.

    Parameters
    ----------
    table : DataFrame

    Returns
    -------
    IPython.display.HTML
    """
    from IPython.display import HTML

    with pd.option_context("display.max_colwidth", None):
        return HTML(table.map(_cell).to_html(index=False, escape=True, border=0, classes="embreg-text"))


def _cell(value: Any) -> str:
    if value is None or (not isinstance(value, list | tuple | dict | np.ndarray) and pd.isna(value)):
        return ""
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    return _short(value, 3 * _CELL)


def data_sentence(advice: Advice) -> Any:
    """What was read, in one paragraph.

    Parameters
    ----------
    advice : Advice

    Returns
    -------
    IPython.display.HTML
    """
    from IPython.display import HTML

    used = Counter(kind for _, kind in advice.kinds)
    kinds = ", ".join(f"{n} {kind}" for kind, n in used.most_common())
    left = len(advice.columns) - len(advice.kinds)
    out = f"; {left} left out" if left else ""
    name, target = html.escape(advice.source), html.escape(advice.target)
    return HTML(
        f"<p><b>{name}</b>: {advice.n_rows:,} rows with a value of <b>{target}</b>, which is to be "
        f"predicted. Columns used: {kinds}{out}.</p>"
    )


def columns_table(advice: Advice) -> pd.DataFrame:
    """Every column, what it was taken for, and why.

    Parameters
    ----------
    advice : Advice

    Returns
    -------
    DataFrame
    """
    table = advice.columns
    example = table["example"].map(lambda v: _short(v) if v is not None else "")
    return pd.DataFrame({
        "column": table["name"].map(_short), "kind": table["kind"],
        "used": np.where(table["used"].astype(bool), "yes", "no"), "why": table["why"],
        "missing": table["missing"], "distinct": table["distinct"], "example": example,
    })  # fmt: skip


def _short(value: object, letters: int = _CELL) -> str:
    text = re.sub(r"[ \t\r\n]+", " ", str(value)).strip(" ")  # other spaces mean something
    return text if len(text) <= letters else text[: letters - 1] + "…"


def findings_list(advice: Advice) -> Any:
    """What is odd about the data, and what was done about it.

    Parameters
    ----------
    advice : Advice

    Returns
    -------
    IPython.display.HTML
    """
    from IPython.display import HTML

    if not len(advice.findings):
        return HTML("<p>Nothing odd was found.</p>")
    items = []
    for row in advice.findings.to_dict("records"):
        # One that begins with the name of a column keeps it as it is written.
        named = any(str(row["message"]).startswith(name) for name in advice.columns["name"])
        seen = sentence(row["message"])
        seen = str(row["message"])[:1] + seen[1:] if named else seen
        items.append(f"<li>{html.escape(seen)} <em>{html.escape(sentence(row['action']))}</em></li>")
    return HTML(f"<ul>{''.join(items)}</ul>")


def sentence(text: object) -> str:
    """Text with a capital and a full stop.

    Examples
    --------
    >>> sentence("12 rows repeat others")
    '12 rows repeat others.'
    """
    words = str(text).strip()
    return capital(words) + ("" if words.endswith((".", "!", "?")) else ".")


def capital(text: str) -> str:
    """Text with a capital, but no Greek one: φ is a name.

    Examples
    --------
    >>> capital("rows"), capital("φ_trad")
    ('Rows', 'φ_trad')
    """
    return text[:1].upper() + text[1:] if text[:1].isascii() else text


def headline(advice: Advice) -> str:
    """The finding in one line, without times: they differ from one machine to the next.

    Parameters
    ----------
    advice : Advice

    Returns
    -------
    str
    """
    where = f"On {advice.n_rows:,} rows of {advice.source}"
    if advice.verdict == "nothing":
        return f"{where} there is nothing to predict: the best candidate has τ = {advice.skill}."
    verdict = {"yes": "yes", "no": "no", "undecided": "undecided"}[advice.verdict]
    return (
        f"{where}: {verdict}. With a language model, τ of the best candidate changes by {advice.difference} "
        f"(probability that it is ahead: {percent(advice.probability)}); advised is {advice.best}."
    )


def scoreboard_table(advice: Advice) -> pd.DataFrame:
    """Every candidate with its scores, best first.

    Parameters
    ----------
    advice : Advice

    Returns
    -------
    DataFrame
    """
    rows = []
    for row in advice.scoreboard.to_dict("records"):
        reference = row["candidate"] == advice.reference
        paired = Interval(row["difference"], row["difference_low"], row["difference_high"])
        marks = ["advised"] * bool(row["chosen"]) + ["reference"] * reference
        rows.append({
            "candidate": _whole(row["candidate"]) + (f" ({', '.join(marks)})" if marks else ""),
            "τ": _whole(Interval(row["kendall_tau"], row["low"], row["high"])),
            "less the reference": "" if reference else _whole(paired),
            "ahead": "" if reference else _whole(percent(row["probability"])),
            "R²": f"{row['r2']:z.2f}", "mean error": f"{row['mae']:.3g}",
        })  # fmt: skip
    return pd.DataFrame(rows)


def _whole(value: object) -> str:
    return str(value).replace(" ", "\N{NO-BREAK SPACE}")


def worst_rows(advice: Advice, table: pd.DataFrame | None = None, n: int = 8) -> pd.DataFrame:
    """Rows with the largest errors, with their most important cells where the table is at hand.

    Parameters
    ----------
    advice : Advice
    table : DataFrame, optional
        The rows that the advice is about, in the order in which they were given.
    n : int

    Returns
    -------
    DataFrame
        ``row`` counts from 0.
    """
    known = advice.predictions
    size = (known["predicted"] - known["y"]).abs()
    worst = known.loc[size.sort_values(ascending=False, kind="stable").index[:n]]
    out = pd.DataFrame({
        "row": worst["row"].astype(int), "true": worst["y"].map("{:.4g}".format),
        "predicted": worst["predicted"].map("{:.4g}".format),
        "interval": [_whole(f"{a:.4g} to {b:.4g}") for a, b in zip(worst["low"], worst["high"], strict=True)],
    })  # fmt: skip
    if table is None:
        return out.reset_index(drop=True)
    order = advice.importance.sort_values("value", ascending=False)
    first = order.loc[order["method"] == "permutation", "column"].tolist()
    names = [name for name in dict.fromkeys([*first, *(n for n, _ in advice.kinds)]) if name in table]
    cells = table.iloc[out["row"].to_numpy()][names[:_CELLS]].map(lambda v: _short(_cell(v)))
    # Side by side: a column of the table may be called as one of these.
    return pd.concat([out.reset_index(drop=True), cells.reset_index(drop=True)], axis=1)


def plan_table(advice: Advice) -> pd.DataFrame:
    """What was planned and what it took.

    Parameters
    ----------
    advice : Advice

    Returns
    -------
    DataFrame
    """

    def clock(seconds: float) -> str:
        return "" if not np.isfinite(seconds) else f"{seconds:,.0f} s" if seconds >= 1 else "< 1 s"

    plan = advice.plan
    return pd.DataFrame({
        "step": plan["step"], "planned": plan["estimate_s"].map(clock), "took": plan["took_s"].map(clock),
    })  # fmt: skip


def plan_sentence(advice: Advice) -> str:
    """Whether the budget was kept.

    Parameters
    ----------
    advice : Advice

    Returns
    -------
    str
    """
    from embreg.planning.columns import clock

    kept = "It was kept" if advice.seconds <= advice.budget_s else "It was not kept"
    return f"The budget was {clock(advice.budget_s)}. {kept}: it took {clock(advice.seconds)}."
