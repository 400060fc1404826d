"""What each column of a table is: number, category, date, free text, or nothing to learn from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd

from embreg.advising.cells import MISSING_WORDS, dates_of, numbers_of, texts_of

__all__ = ["KINDS", "Column", "cleaned", "infer_column", "infer_columns", "look_up"]

KINDS = ("numeric", "category", "date", "text")
"""Kinds that a user may name."""

PARSED = 0.95
"""Share of the present values that must read as numbers, or as dates."""
_TEXT_WORDS, _TEXT_SHARE, _TEXT_DISTINCT = 3, 0.2, 20
_UNIQUE = 0.95
_ID_NAME = re.compile(r"(?i:(^|[_\W])(id|uuid|guid|index|key|nr|no)$|^unnamed: ?\d+$)|(?<=[a-z])I[dD]$")


@dataclass(frozen=True)
class Column:
    """One column and what was made of it.

    Parameters
    ----------
    name : str
    kind : str
        ``numeric``, ``category``, ``date``, ``text``, ``identifier`` or ``constant``.
    used : bool
    why : str
        What the kind was told by, or why the column is left out.
    missing, distinct : int
        Values missing, and different values.
    example : str
        The first value, shortened.
    given : bool
        The user named its kind: then no check leaves it out.
    """

    name: str
    kind: str
    used: bool
    why: str
    missing: int
    distinct: int
    example: str
    given: bool = False


def look_up(name: str, known: Sequence[str], what: str) -> str:
    """The name, if it is known; else ValueError with the nearest one."""
    if name in known:
        return name
    near = get_close_matches(str(name), known, 1) or [k for k in known if k.lower() == str(name).lower()]
    hint = f"did you mean {near[0]!r}? " if near else ""
    shown = ", ".join(repr(k) for k in known[:12]) + (
        f" and {len(known) - 12} more" if len(known) > 12 else ""
    )
    raise ValueError(f"no {what} {name!r}; {hint}There are: {shown}")


def infer_columns(
    frame: pd.DataFrame, *, kinds: Mapping[str, str] | None = None, drop: Sequence[str] = ()
) -> tuple[Column, ...]:
    """Kind of each column, in their order.

    Parameters
    ----------
    frame : DataFrame
    kinds : mapping of str to str, optional
        What the user knows better; one of `KINDS` each.
    drop : sequence of str
        Left out.

    Raises
    ------
    ValueError
        An unknown column or kind; a column both dropped and given a kind.
    """
    names = [str(c) for c in frame.columns]
    kinds = dict(kinds or {})
    for name, kind in kinds.items():
        look_up(name, names, "column")
        if kind not in KINDS:
            raise ValueError(f"the kind of {name!r} must be one of {KINDS}, however: got {kind!r}")
    for name in drop:
        if look_up(name, names, "column") in kinds:
            raise ValueError(f"a column is dropped or has a kind, however: {name!r} is given both")
    return tuple(
        infer_column(frame.iloc[:, j], name, kinds.get(name), dropped=name in drop)
        for j, name in enumerate(names)
    )


def infer_column(column: pd.Series, name: str, kind: str | None = None, *, dropped: bool = False) -> Column:
    """Kind of one column.

    In this order: no value or one is *constant*; a type of dates, or text of which 95 % read as dates, is a
    *date*; numbers, or text of which 95 % read as numbers, are *numeric*, unless they are whole numbers that
    count the rows, or are called like an identifier and differ in 95 % of the rows; truth values are
    a *category*; text of three words or more (the median), with more than 20 different values that are a
    fifth of the rows or more, is *text*; other text that differs in 95 % of more than 20 rows is an
    *identifier*, and what is left a *category*.

    Parameters
    ----------
    column : Series
    name : str
    kind : str, optional
        Given by the user.
    dropped : bool

    Examples
    --------
    >>> infer_column(pd.Series(["3", "4", "n/a"] * 20), "rooms").kind
    'numeric'
    >>> infer_column(pd.Series(range(100)), "row").why
    'counts the rows'
    """
    present = column.dropna()
    texts = texts_of(present) if not pd.api.types.is_numeric_dtype(present) else present.astype(str)
    distinct = int(texts.nunique())
    shown = str(texts.iloc[0]) if len(texts) else ""
    facts: dict[str, Any] = {"missing": len(column) - len(present), "distinct": distinct,
             "example": shown if len(shown) <= 40 else shown[:39] + "…"}  # fmt: skip
    if dropped:
        guess, _ = _guess(present, texts, name)
        return Column(name, guess, False, "dropped by you", **facts)
    if kind is not None:
        return Column(name, kind, True, "said by you", **facts, given=True)
    if distinct < 2:
        return Column(name, "constant", False, "one value" if distinct else "empty", **facts)
    guess, why = _guess(present, texts, name)
    return Column(name, guess, guess != "identifier", why, **facts)


def _guess(present: pd.Series, texts: pd.Series, name: str) -> tuple[str, str]:
    n, distinct = len(present), int(texts.nunique())
    if distinct < 2:
        return "constant", "one value"
    if pd.api.types.is_datetime64_any_dtype(present):
        return "date", "of a type of dates"
    if pd.api.types.is_bool_dtype(present):
        return "category", "truth values"
    numbers = numbers_of(present)
    real = ~texts.str.strip().str.lower().isin(list(MISSING_WORDS))
    known = max(1, int(real.sum()))
    if np.isfinite(numbers).sum() >= PARSED * known and len(np.unique(numbers[np.isfinite(numbers)])) > 1:
        return _numeric(numbers[np.isfinite(numbers)], n, distinct, name)
    if dates_of(present).notna().sum() >= PARSED * known:
        return "date", "reads as dates"
    words = float(np.median([len(text.split()) for text in texts]))
    if words >= _TEXT_WORDS and distinct > max(_TEXT_DISTINCT, _TEXT_SHARE * n):
        return "text", f"{words:g} words in the median, {distinct:,} different"
    if n > _TEXT_DISTINCT and distinct >= _UNIQUE * n:
        return "identifier", "different in nearly every row"
    return "category", f"{distinct:,} different texts"


def _numeric(numbers: np.ndarray, n: int, distinct: int, name: str) -> tuple[str, str]:
    whole = bool((numbers == np.round(numbers)).all())
    if whole and n > _TEXT_DISTINCT and distinct == n:
        steps = np.diff(numbers)
        if (steps == 1).all():
            return "identifier", "counts the rows"
    if whole and n > _TEXT_DISTINCT and distinct >= _UNIQUE * n and _ID_NAME.search(name):
        return "identifier", "named like an identifier, and different in nearly every row"
    return "numeric", "numbers"


def cleaned(column: pd.Series, kind: str) -> Any:
    """A column as its kind has it: float64 (an infinity is missing), ``datetime64[us]``, or str and None.

    Examples
    --------
    >>> cleaned(pd.Series(["1", "x"]), "numeric").tolist()
    [1.0, nan]
    """
    if kind == "numeric":
        values = numbers_of(column)
        return np.where(np.isfinite(values), values, np.nan)
    return dates_of(column) if kind == "date" else texts_of(column)
