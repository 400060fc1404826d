"""Rows to strings: the input x of the paper as the text an LLM reads (section 2, step 1)."""

from __future__ import annotations

import datetime
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

import numpy as np

__all__ = ["serialize"]

Style = Literal["json", "pairs", "values"]
Notation = Literal["decimal", "scientific", "digits"]

_STYLES = ("json", "pairs", "values")
_NOTATIONS = ("decimal", "scientific", "digits")


def serialize(
    rows: Any,
    *,
    style: Style = "json",
    decimals: int = 4,
    notation: Notation = "decimal",
    names: bool = True,
) -> list[str]:
    """Write each row of a table as one string.

    The default is the paper's key-value form with a fixed key order (section 2; the ablation
    without names is its Fig. 9). The same input gives the same string on every machine: numbers
    are rounded from their exact binary value, half to even, and ``-0.0000`` becomes ``0.0000``.

    Parameters
    ----------
    rows : DataFrame (pandas or polars), list of dicts, or array of shape (n, d)
        One row per string. Columns of an array are called ``x0 … x{d-1}``. Dicts must all have the
        same keys; the first one sets the order.
    style : {"json", "pairs", "values"}
        ``{x0:1.2346,x1:-4.5000}``, ``x0=1.2346; x1=-4.5000``, or ``[1.2346,-4.5000]``.
    decimals : int
        Digits after the point (of the mantissa in scientific notation), 0 to 17.
    notation : {"decimal", "scientific", "digits"}
        ``-4.5000``, ``-4.5000e+00``, or ``- 4 . 5 0 0 0`` (digits apart, one token each).
    names : bool
        Write the column names. Without them ``json`` becomes ``{1.2346,-4.5000}``.

    Returns
    -------
    list of str
        In the order of the rows. Integers and booleans keep their exact form, strings are written
        as they are, a missing value (None, NaN, NaT) is written ``null``.

    Raises
    ------
    ValueError
        Unknown style or notation, `decimals` out of range, an infinite number, dicts with
        different keys, an array that is not 2-D.
    TypeError
        Rows of an unknown kind.

    Examples
    --------
    >>> serialize([{"x0": 1.23456, "x1": -4.5}])
    ['{x0:1.2346,x1:-4.5000}']
    >>> serialize([[1.23456, -4.5]], style="values", decimals=2)
    ['[1.23,-4.50]']
    >>> serialize([{"lr": 0.001, "act": "relu"}], style="pairs", notation="scientific", decimals=1)
    ['lr=1.0e-03; act=relu']
    """
    if style not in _STYLES:
        raise ValueError(f"style must be one of {_STYLES}, however: got {style!r}")
    if notation not in _NOTATIONS:
        raise ValueError(f"notation must be one of {_NOTATIONS}, however: got {notation!r}")
    if isinstance(decimals, bool) or not isinstance(decimals, numbers.Integral) or not 0 <= decimals <= 17:
        raise ValueError(f"decimals must be a whole number from 0 to 17, however: got {decimals!r}")
    columns, table = _table(rows)
    names = names and style != "values"
    left, between, equals, right = {
        "json": ("{", ",", ":", "}"),
        "pairs": ("", "; ", "=", ""),
        "values": ("[", ",", "", "]"),
    }[style]
    prefix = [f"{c}{equals}" if names else "" for c in columns]
    out = []
    for i, row in enumerate(table):
        cells = [
            p + _cell(v, int(decimals), notation, i, c) for p, v, c in zip(prefix, row, columns, strict=True)
        ]
        out.append(left + between.join(cells) + right)
    return out


def _table(rows: Any) -> tuple[list[str], Iterable[Sequence[Any]]]:
    """Column names and an iterable of row tuples of any supported table."""
    if hasattr(rows, "columns") and hasattr(rows, "iter_rows"):  # polars
        return [str(c) for c in rows.columns], rows.iter_rows()
    if hasattr(rows, "columns") and hasattr(rows, "itertuples"):  # pandas
        return [str(c) for c in rows.columns], rows.itertuples(index=False, name=None)
    if isinstance(rows, np.ndarray):
        return _array(rows)
    if isinstance(rows, Sequence) and not isinstance(rows, str | bytes):
        if all(isinstance(r, Mapping) for r in rows):
            return _dicts(rows)
        return _array(np.asarray(rows))
    raise TypeError(
        f"rows must be a DataFrame, a list of dicts or a 2-D array, however: got {type(rows).__name__}"
    )


def _array(x: np.ndarray) -> tuple[list[str], Iterable[Sequence[Any]]]:
    if x.ndim != 2:
        raise ValueError(
            f"an array of rows must be 2-D (n, d), however: x.shape={x.shape}; "
            "use x.reshape(1, -1) for one row or x.reshape(-1, 1) for one column"
        )
    return [f"x{j}" for j in range(x.shape[1])], x.tolist()


def _dicts(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], Iterable[Sequence[Any]]]:
    if not rows:
        return [], []
    keys = list(rows[0])
    for i, row in enumerate(rows):
        if row.keys() != rows[0].keys():
            odd = sorted(str(k) for k in set(row) ^ set(keys))
            raise ValueError(
                f"every dict must have the same keys, however: row {i} differs from row 0 in {odd}; "
                "write None for a missing value"
            )
    return [str(k) for k in keys], ([row[k] for k in keys] for row in rows)


def _cell(value: Any, decimals: int, notation: str, row: int, column: str) -> str:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return "null"
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, numbers.Integral):
        text = str(int(value))
        return " ".join(text) if notation == "digits" else text
    if isinstance(value, numbers.Real | Decimal):
        number = float(value)
        if math.isnan(number):
            return "null"
        if math.isinf(number):
            raise ValueError(
                f"a number must be finite, however: row {row}, column {column!r} is {number}; "
                "replace it, or write None for a missing value"
            )
        text = _number(number, decimals, scientific=notation == "scientific")
        return " ".join(text) if notation == "digits" else text
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)


def _number(number: float, decimals: int, *, scientific: bool) -> str:
    if number == 0:
        number = 0.0
    if scientific:
        return f"{number:.{decimals}e}"
    # Python's own formatting rounds the exact binary value half to even, as Decimal does; it is the
    # same on every platform. Only the sign of a rounded zero needs care.
    text = f"{number:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text

