"""Candidates in order, each with its interval and its difference to the best without a language model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from embreg.advising.candidates import Candidate
from embreg.advising.comparing import Outcome
from embreg.advising.verdict import MARGIN, corrected

__all__ = ["choose", "scoreboard_of"]


def scoreboard_of(outcome: Outcome, candidates: Sequence[Candidate], reference: str) -> pd.DataFrame:
    """Every candidate with its interval, and the paired difference to the reference, best first.

    Parameters
    ----------
    outcome : Outcome
    candidates : sequence of Candidate
    reference : str
        Name of the best candidate without a language model.

    Returns
    -------
    DataFrame
        ``candidate, representation, head, uses_llm, kendall_tau, low, high, r2, mae, difference,
        difference_low, difference_high, probability``.
    """
    table = outcome.table
    taus = table.pivot(index=["repeat", "fold"], columns="candidate", values="kendall_tau")
    means = table.groupby("candidate")[["r2", "mae"]].mean()
    rows = []
    for c in candidates:
        own = corrected(taus[c.name], outcome.test_share).interval
        paired, probability = corrected(taus[c.name] - taus[reference], outcome.test_share)
        same = c.name == reference
        rows.append({
            "candidate": c.name, "representation": c.label, "head": c.head, "uses_llm": c.uses_llm,
            "kendall_tau": own.value, "low": own.low, "high": own.high, **means.loc[c.name].to_dict(),
            "difference": paired.value, "difference_low": paired.low, "difference_high": paired.high,
            "probability": np.nan if same else probability,
        })  # fmt: skip
    return pd.DataFrame(rows).sort_values("kendall_tau", ascending=False, ignore_index=True)


def choose(board: pd.DataFrame, reference: str) -> str:
    """Candidate to use: the best, but none with a language model for a gain of half the margin or less.

    Parameters
    ----------
    board : DataFrame
        From `scoreboard_of`.
    reference : str

    Examples
    --------
    >>> board = pd.DataFrame({"candidate": ["llm", "trad"], "kendall_tau": [0.605, 0.6]})
    >>> choose(board, "trad")
    'trad'
    """
    top = board.iloc[0]
    plain = board.loc[board["candidate"] == reference, "kendall_tau"].item()
    return str(top["candidate"]) if top["kendall_tau"] > plain + MARGIN / 2 else reference
