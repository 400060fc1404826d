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
Notation = Literal["decimal", "scientific", "digits", "shortest"]
Names = bool | Literal["numbered"]
Missing = Literal["null", "omit"]

_NULL = "null"
_STYLES = ("json", "pairs", "values")
_NOTATIONS = ("decimal", "scientific", "digits", "shortest")


def serialize(
    rows: Any,
    *,
    style: Style = "json",
    decimals: int = 4,
    notation: Notation = "decimal",
    names: Names = True,
    missing: Missing = "null",
) -> list[str]:
    """Write each row of a table as one string.

    The default is the paper's key-value form with a fixed key order (section 2; the ablation
    without names is its Fig. 9). The same input gives the same string on every machine: numbers
    are rounded from their exact binary value, half to even, and ``-0.0000`` becomes ``0.0000``.

    Parameters
    ----------
    rows : DataFrame (pandas or polars), list of dicts, or array of shape (n, d)
        One row per string. Columns of an array are called ``x0 … x{d-1}``; in a list of lists every
        cell keeps its own type. Dicts must all have the same keys; the first one sets the order.
    style : {"json", "pairs", "values"}
        ``{x0:1.2346,x1:-4.5000}``, ``x0=1.2346; x1=-4.5000``, or ``[1.2346,-4.5000]``.
    decimals : int
        Digits after the point (of the mantissa in scientific notation), 0 to 17.
    notation : {"decimal", "scientific", "digits", "shortest"}
        ``-4.5000``, ``-4.5000e+00``, ``- 4 . 5 0 0 0`` (digits apart, one token each), or ``-4.5``: the
        shortest text that reads back as the same float64, whatever `decimals` is.
    names : bool or "numbered"
        Write the column names; ``"numbered"`` writes x0, x1, … in their place. Without them ``json``
        becomes ``{1.2346,-4.5000}``; ``values`` never has any.
    missing : {"null", "omit"}
        Write a missing value as ``null``, or leave it out with its name, as a parameter that is not
        active is left out of a Vizier trial.

    Returns
    -------
    list of str
        In the order of the rows; no rows give an empty list. Integers and booleans (``true``,
        ``false``) keep their exact form, strings are written as they are, dates and times in ISO
        8601, a missing value (None, NaN, NaT, ``pandas.NA``) as ``null``.

    Raises
    ------
    ValueError
        Unknown style, notation, `names` or `missing`, `decimals` out of range, an infinite number, dicts
        with different keys, an array that is not 2-D, rows without columns; values left out where
        there are no names, so that nobody could tell which.
    TypeError
        Rows of an unknown kind, or a cell that has no one way to be written (bytes, durations,
        complex numbers, nested lists, other objects).

    Notes
    -----
    What a table holds decides what is written: pandas turns integers with a gap into floats, so
    that 1 becomes ``1.0000`` there, unless the column has pandas' ``Int64`` type.

    Examples
    --------
    >>> serialize([{"x0": 1.23456, "x1": -4.5}])
    ['{x0:1.2346,x1:-4.5000}']
    >>> serialize([[1.23456, -4.5]], style="values", decimals=2)
    ['[1.23,-4.50]']
    >>> serialize([{"lr": 0.001, "act": "relu"}], style="pairs", notation="scientific", decimals=1)
    ['lr=1.0e-03; act=relu']
    >>> serialize([{"lr": 0.001, "depth": None}], notation="shortest", missing="omit")
    ['{lr:0.001}']
    """
    if style not in _STYLES:
        raise ValueError(f"style must be one of {_STYLES}, however: got {style!r}")
    if notation not in _NOTATIONS:
        raise ValueError(f"notation must be one of {_NOTATIONS}, however: got {notation!r}")
    if isinstance(decimals, bool) or not isinstance(decimals, numbers.Integral) or not 0 <= decimals <= 17:
        raise ValueError(f"decimals must be a whole number from 0 to 17, however: got {decimals!r}")
    if names not in (True, False, "numbered"):
        raise ValueError(f"names must be True, False or 'numbered', however: got {names!r}")
    if missing not in ("null", "omit"):
        raise ValueError(f"missing must be 'null' or 'omit', however: got {missing!r}")
    if style == "values":
        names = False
    if missing == "omit" and not names:
        raise ValueError(
            "missing='omit' needs names, or nobody could tell which value is left out, however: got "
            f"style={style!r}, names={names!r}; use missing='null'"
        )
    columns, table = _table(rows)
    left, between, equals, right = {
        "json": ("{", ",", ":", "}"),
        "pairs": ("", "; ", "=", ""),
        "values": ("[", ",", "", "]"),
    }[style]
    shown = [f"x{j}" for j in range(len(columns))] if names == "numbered" else columns
    prefix = [f"{c}{equals}" if names else "" for c in shown]
    out = []
    for i, row in enumerate(table):
        cells = [_cell(v, int(decimals), notation, i, c) for v, c in zip(row, columns, strict=True)]
        written = [
            p + (_NULL if cell is None else cell)
            for p, cell in zip(prefix, cells, strict=True)
            if cell is not None or missing == "null"
        ]
        out.append(left + between.join(written) + right)
    return out


def _table(rows: Any) -> tuple[list[str], Iterable[Sequence[Any]]]:
    """Column names and an iterable of row tuples of any supported table."""
    if hasattr(rows, "iter_rows") and hasattr(rows, "columns"):  # polars
        columns, table = rows.columns, rows.iter_rows()
    elif hasattr(rows, "itertuples") and hasattr(rows, "columns"):  # pandas
        columns, table = rows.columns, rows.itertuples(index=False, name=None)
    elif isinstance(rows, np.ndarray):
        return _array(rows)
    elif isinstance(rows, Sequence) and not isinstance(rows, str | bytes):
        if all(isinstance(r, Mapping) for r in rows):
            return _dicts(rows)
        if odd := [i for i, r in enumerate(rows) if isinstance(r, Mapping)]:
            raise ValueError(
                f"rows must be all dicts or all lists, however: row {odd[0]} is a dict, others are not"
            )
        return _array(_cells(rows))
    else:
        raise TypeError(
            "rows must be a DataFrame (pandas or polars), a list of dicts or a 2-D array, "
            f"however: got {type(rows).__name__}"
        )
    _some_columns(len(rows), len(columns))
    return [str(c) for c in columns], table


def _array(x: np.ndarray) -> tuple[list[str], Iterable[Sequence[Any]]]:
    if x.ndim != 2:
        raise ValueError(
            f"an array of rows must be 2-D (n, d), however: x.shape={x.shape}; "
            "use x.reshape(1, -1) for one row or x.reshape(-1, 1) for one column"
        )
    if x.dtype.kind in "mM":  # tolist() gives bare integers for some units and dates for others
        raise TypeError(
            f"an array cannot hold dates here, however: x.dtype={x.dtype}; put them in a DataFrame"
        )
    _some_columns(*x.shape)
    return [f"x{j}" for j in range(x.shape[1])], x.tolist()


def _cells(rows: Sequence[Any]) -> np.ndarray:
    """Array of the very objects in a list of lists: a common type would turn 1 into 1.0 or '1'."""
    try:
        x = np.array(rows, dtype=object)
    except ValueError:  # parts that fit in some of their dimensions only
        x = np.empty(len(rows), dtype=object)
    if x.ndim == 1 and all(
        isinstance(r, Sequence | np.ndarray) and not isinstance(r, str | bytes) for r in rows
    ):
        i = next((i for i, r in enumerate(rows) if len(r) != len(rows[0])), 0)
        raise ValueError(
            f"every row must have the same length, however: row {i} has {len(rows[i])} values, "
            f"row 0 has {len(rows[0])}"
        )
    return x


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
    _some_columns(len(rows), len(keys))
    return [str(k) for k in keys], ([row[k] for k in keys] for row in rows)


def _some_columns(n: int, d: int) -> None:
    if n and not d:
        raise ValueError(f"rows need at least one column, however: got {n} rows and no column")


def _cell(value: Any, decimals: int, notation: str, row: int, column: str) -> str | None:
    """Text of a value; None where it is missing (a string "null" is not)."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, numbers.Integral):
        text = str(int(value))
        return " ".join(text) if notation == "digits" else text
    if isinstance(value, numbers.Real | Decimal):
        number = float(value)
        if math.isnan(number):
            return None
        if math.isinf(number):
            raise ValueError(
                f"a number must be finite, however: row {row}, column {column!r} is {number}; "
                "replace it, or write None for a missing value"
            )
        if notation == "shortest":
            return repr(number + 0.0)  # -0.0 becomes 0.0
        text = _number(number, decimals, scientific=notation == "scientific")
        return " ".join(text) if notation == "digits" else text
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    # Not str(value): it may hold a memory address, the order of a set, or a library's own taste.
    raise TypeError(
        f"a cell must be a number, a boolean, a string, a date or missing, however: row {row}, column "
        f"{column!r} is of type {type(value).__name__}; write it as a string or as numbers first"
    )


def _number(number: float, decimals: int, *, scientific: bool) -> str:
    if number == 0:
        number = 0.0
    if scientific:
        return f"{number:.{decimals}e}"
    # Python's own formatting rounds the exact binary value half to even, as Decimal does; it is the
    # same on every platform. Only the sign of a rounded zero needs care.
    text = f"{number:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text
