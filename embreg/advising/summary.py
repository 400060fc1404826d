"""Advice as text for a terminal."""

from __future__ import annotations

import shutil
import textwrap
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from embreg.stats import Interval

if TYPE_CHECKING:
    from embreg.advice import Advice

__all__ = ["data_card", "summary_of"]

_SHOWN = 8


def _width() -> int:
    return min(110, max(60, shutil.get_terminal_size((100, 20)).columns))


def _wrap(text: str, indent: str = "  ") -> str:
    return textwrap.fill(
        text, _width(), initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False
    )


def data_card(advice: Advice) -> str:
    """What the columns were taken for, and what is odd about them.

    Parameters
    ----------
    advice : Advice

    Returns
    -------
    str
    """
    columns = advice.columns
    used = columns[columns["used"].astype(bool)]
    kinds = [f"{count} {kind}" for kind, count in Counter(used["kind"]).most_common()]
    lines = [
        f"{advice.source}: {advice.n_rows:,} rows, target {advice.target}",
        _wrap(f"used: {', '.join(kinds)}"),
    ]
    for kind, part in used.groupby("kind", sort=False):
        names = part["name"].tolist()
        more = f" and {len(names) - 12} more" if len(names) > 12 else ""
        lines.append(_wrap(f"{kind}: {', '.join(names[:12])}{more}", "    "))
    for row in columns[~columns["used"].astype(bool)].itertuples():
        lines.append(_wrap(f"left out: {row.name} ({row.why})"))
    for row in advice.findings.itertuples():
        lines.append(_wrap(f"note: {row.message}; {row.action}"))
    return "\n".join(lines)


def summary_of(advice: Advice) -> str:
    """Data, the best candidates, and the answer.

    Parameters
    ----------
    advice : Advice

    Returns
    -------
    str
    """
    board = advice.scoreboard
    shown = board[
        (board.index < _SHOWN) | board["candidate"].isin([advice.reference, advice.best_llm, "mean"])
    ]
    longest = max(len(name) for name in shown["candidate"])
    folds = len(advice.records.drop_duplicates(["repeat", "fold"]))
    lines = [
        data_card(advice),
        "",
        f"Kendall's τ on rows not trained on, {folds} folds; then less {advice.reference}",
    ]
    for row in shown.to_dict("records"):
        own = str(Interval(row["kendall_tau"], row["low"], row["high"]))
        paired = str(Interval(row["difference"], row["difference_low"], row["difference_high"]))
        mark = "->" if row["candidate"] == advice.best else "  "
        than = "" if np.isnan(row["probability"]) else paired
        lines.append(f"{mark} {row['candidate']:<{longest}}  {own:<20}  {than}".rstrip())
    if len(shown) < len(board):
        lines.append(f"   and {len(board) - len(shown)} more")
    lines += ["", textwrap.fill(advice.answer, _width(), break_on_hyphens=False), f"Advised: {advice.best}."]
    return "\n".join(lines)
