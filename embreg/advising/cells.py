"""Cells of a column as numbers, dates or text: the same for a whole table and for one row of it."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["dates_of", "numbers_of", "texts_of"]

MISSING_WORDS = frozenset(
    ["", "na", "n/a", "nan", "null", "none", "-", "?", "<na>", "#n/a", "nil", "missing", "unknown"]
)
"""Words that stand for no value where a column is of numbers or dates."""


def numbers_of(column: pd.Series) -> np.ndarray:
    """Column as float64; NaN where a cell is missing or is no number.

    Parameters
    ----------
    column : Series
        Numbers, booleans, decimals, or their text (``1,234.5`` and ``12 %`` too).

    Returns
    -------
    ndarray of shape (n,), float64

    Examples
    --------
    >>> numbers_of(pd.Series(["1", "1,234.5", "n/a", None, 7])).tolist()
    [1.0, 1234.5, nan, nan, 7.0]
    """
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.array([_number(v) for v in column], dtype=np.float64)


def _number(value: Any) -> float:
    if isinstance(value, int | float | Decimal | np.number | np.bool_):
        return float(value)
    if not isinstance(value, str):
        return np.nan
    text = value.strip().rstrip("%").strip()
    whole, _, rest = text.partition(".")
    groups = whole.lstrip("+-").split(",")
    if len(groups) > 1:  # 1,234,567 but not 1,5: that may be one and a half
        if any(len(g) != 3 or not g.isdigit() for g in groups[1:]) or not 1 <= len(groups[0]) <= 3:
            return np.nan
        text = text.replace(",", "")
    if "_" in rest or "_" in whole or text.lower() in MISSING_WORDS:
        return np.nan
    try:
        return float(Decimal(text))
    except (InvalidOperation, ValueError):
        return np.nan


def dates_of(column: pd.Series) -> pd.Series:
    """Column as ``datetime64[us]``, in UTC where a cell says its zone; NaT where it is missing or is no date.

    Texts are ISO 8601, or day and month with a four-digit year in an order that stands for itself:
    ``31/12/2024``, ``12/31/2024``, ``31.12.2024``; one that is ambiguous is read with the month first.

    Parameters
    ----------
    column : Series
        Dates, times or their text.

    Examples
    --------
    >>> dates_of(pd.Series(["2024-03-01", "2024-03-01T12:30:00+02:00", "soon"])).tolist()
    [Timestamp('2024-03-01 00:00:00'), Timestamp('2024-03-01 10:30:00'), NaT]
    """
    if not pd.api.types.is_datetime64_any_dtype(column):
        cells: list[Any] = column.astype(object).tolist()
        text = pd.Series([None if pd.isna(v) else str(v).strip() for v in cells], column.index, dtype=object)
        # Cell by cell: a format guessed from the first row would make the others depend on it.
        iso = pd.to_datetime(text, errors="coerce", utc=True, format="ISO8601")
        for form in (
            "%m/%d/%Y",
            "%d/%m/%Y",
            "%d.%m.%Y",
            "%m/%d/%Y %H:%M",
            "%d/%m/%Y %H:%M",
            "%d.%m.%Y %H:%M",
        ):
            if iso.isna().any():
                iso = iso.fillna(pd.to_datetime(text, errors="coerce", utc=True, format=form))
        # A bare number such as 20240301 or 2024 reads as ISO, and is a number first.
        bare = [v is not None and v.lstrip("+-").replace(".", "", 1).isdigit() for v in text]
        column = iso.mask(np.array(bare, dtype=bool))
    if column.dt.tz is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return column.astype("datetime64[us]")


def texts_of(column: pd.Series) -> pd.Series:
    """Column as objects, str or None: booleans as ``true`` and ``false``, whole numbers without a point.

    Parameters
    ----------
    column : Series

    Raises
    ------
    ValueError
        A cell that has no one text, such as bytes or a list.

    Examples
    --------
    >>> texts_of(pd.Series(["a", None, 2.0, True], dtype=object)).tolist()
    ['a', None, '2', 'true']
    """
    out = np.array([_text(v, str(column.name)) for v in column.astype(object)], dtype=object)
    return pd.Series(out, index=column.index, name=column.name, dtype=object)


def _text(value: Any, name: str) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple | dict | set | bytes | bytearray | np.ndarray):
        raise ValueError(
            f"a cell must be a number, a date, a truth value or text, however: column {name!r} holds a "
            f"{type(value).__name__}; split it into columns, or leave it out"
        )
    if pd.isna(value):
        return None
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating) and float(value).is_integer() and abs(float(value)) < 1e15:
        return str(int(value))
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
