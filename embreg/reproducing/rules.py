"""What of a result is compared on another machine, how closely, and why: stated here and nowhere else."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

__all__ = [
    "END",
    "FEW",
    "FLOOR",
    "NOISES",
    "RELATIVE",
    "ROUNDING",
    "RULES",
    "SHARE",
    "Rule",
    "agrees",
    "is_exact",
    "noise",
    "reason_to_skip",
    "tolerance",
]

FLOOR = 0.02
"""Least tolerance of a number that training or embedding gave, in its own unit (mostly Kendall's τ)."""

RELATIVE = 0.02
"""The same for numbers above one, as a part of them."""

SHARE = 0.25
"""Part of a number's interval, from end to end, by which the number may move."""

NOISES = 3.0
"""A mean of fits may move by so many times its `noise`: thousands of them are compared."""

END = 2.0
"""The ends of an interval may move by so many times as much as the number between them."""

FEW = 20
"""Ends of intervals over fewer fits are not compared."""

ROUNDING = 1e-5
"""Numbers that must be equal may differ by this part of them: the table keeps six digits."""


class Rule(NamedTuple):
    """One line of the page on tolerances.

    Attributes
    ----------
    what : str
    limit : str
    why : str
    """

    what: str
    limit: str
    why: str


_EXACT = {
    "tokens", "tokens_per_row", "unk_rate", "unknown", "truncated", "cut", "flops", "noise_ratio",
    "effective_dof",
}  # fmt: skip

# Words of a name, and why what it holds is not compared. The only place where such names are listed.
_SKIPPED = {
    "measured on the clock, or in memory": (
        "seconds ms latency mb memory peak duration tokens_per_s fit_s fast faster dollars circumstances"
    ),
    "counted by sign or rank: one case near a limit turns it, and the differences behind it are compared": (
        "p corrected ahead win wins won losses ties rate rates biserial"
    ),
    "unbounded: one fit rules the mean; τ and the correlation of the same predictions are compared": (
        "mse mae r2"
    ),
    "follows steeply from spreads, and those are compared": "power",
    "scores on validation rows, which choose a setting and are in no figure": "val",
}
_SKIPPED_WORDS = {word: why for why, words in _SKIPPED.items() for word in words.split()}

RULES = (
    Rule(
        "tokens, unknown tokens, rows that were cut, operations, counts",
        f"equal (to a part in {1 / ROUNDING:,.0f}, for the table keeps six digits)",
        "whole numbers and their means: no arithmetic of floats is in them",
    ),
    Rule(
        "scores, their differences, correlations, distances",
        f"{FLOOR:g}, or {RELATIVE:.0%} of a number above one, or {SHARE:.0%} of its interval, whichever is "
        "most",
        "bfloat16 moves an embedding by about a hundredth of its length, another processor rounds float32 "
        "otherwise, and training multiplies both; a quarter of the interval leaves every conclusion that is "
        "not at its limit",
    ),
    Rule(
        "the same, where few test rows or few fits are behind them",
        f"at least {NOISES:g} σ/√n for n fits, σ = √(2(2m + 5) / 9m(m − 1)) for m test rows",
        "networks that were trained a little apart order m rows otherwise, and σ is how far the τ of m rows "
        "moves by chance alone; three of them, because thousands of numbers are compared",
    ),
    Rule(
        "the ends of their intervals",
        f"{END:g} times as much; not compared for fewer than {FEW} fits",
        "an end rests on the fits at the edge, the middle on all of them, and the spread of few fits is "
        "hardly known",
    ),
    *(Rule(f"names with {', '.join(words.split())}", "not compared", why) for why, words in _SKIPPED.items()),
    Rule("sentences", "their words are compared, and counted apart", "a verdict at its limit may turn"),
)
"""Every tolerance with its reason, in the order of the page."""


def reason_to_skip(name: str, *, of: str = "") -> str:
    """Why a quantity is not compared; empty where it is.

    Parameters
    ----------
    name : str
        Column of a table, or fact.
    of : str
        The table's own name: all of a table of wins was counted.

    Examples
    --------
    >>> reason_to_skip("fit_seconds"), reason_to_skip("embed_ms_low")
    ('measured on the clock, or in memory', 'measured on the clock, or in memory')
    >>> reason_to_skip("kendall_tau"), reason_to_skip("unk_rate"), reason_to_skip("effect_1_decimal")
    ('', '', '')
    """
    for text in (name, of):
        lower = text.lower()
        if lower in _EXACT:
            continue
        words = re.findall(r"[^\W_]+", lower)
        bounded = f"_{'_'.join(words)}_"
        for word, why in _SKIPPED_WORDS.items():
            if f"_{word}_" in bounded:
                return why
    return ""


def is_exact(name: str, *, whole: bool) -> bool:
    """Whether a quantity must be equal: it is made of whole numbers, or counted in the strings.

    Examples
    --------
    >>> is_exact("unk_rate", whole=False), is_exact("n", whole=True), is_exact("kendall_tau", whole=False)
    (True, True, False)
    """
    return whole or name in _EXACT


def noise(test_rows: int, fits: int) -> float:
    """How far the mean τ of some fits moves by chance: Kendall's own standard error without association.

    Parameters
    ----------
    test_rows : int
        Of each fit; from 2.
    fits : int
        From 1.

    Examples
    --------
    >>> round(noise(50, 1), 3), round(noise(50, 69), 3), round(noise(6, 4), 3)
    (0.098, 0.012, 0.177)
    """
    m = max(2, test_rows)
    return math.sqrt(2 * (2 * m + 5) / (9 * m * (m - 1)) / max(1, fits))


def tolerance(
    value: float, low: float | None = None, high: float | None = None, *, least: float = 0.0
) -> float:
    """By how much a number that training or embedding gave may differ from the reference.

    Parameters
    ----------
    value : float
        Of the reference.
    low, high : float, optional
        Ends of its interval; of none, or an infinite one, nothing is known.
    least : float
        What few test rows and few fits ask for.

    Examples
    --------
    >>> tolerance(0.5), tolerance(0.5, 0.3, 0.7), tolerance(30.0)
    (0.02, 0.1, 0.6)
    """
    width = 0.0 if low is None or high is None or not math.isfinite(high - low) else high - low
    return round(max(FLOOR, RELATIVE * abs(value), SHARE * width, least), 12)


def agrees(reference: float | None, found: float | None, allowed: float) -> bool:
    """Whether two numbers are within `allowed`; None stands for a number that is not there, and equals none.

    Examples
    --------
    >>> agrees(0.50, 0.52, 0.02), agrees(0.50, 0.5201, 0.02), agrees(None, None, 0.0), agrees(0.5, None, 1.0)
    (True, False, True, False)
    """
    if reference is None or found is None:
        return reference is found
    # A part in a million, so that what is at the limit does not hang on the rounding of the table.
    return abs(found - reference) <= allowed + 1e-6 * max(abs(reference), abs(found), allowed)
