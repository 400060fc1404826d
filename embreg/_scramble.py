"""Tables and strings with something taken from them: which column a value is in, which number a digit is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

__all__ = ["permuted_digits", "shuffled_coordinates"]

_FACTOR = 4.0
_FEW = 10
"""Fewer rows say too little about the range of a column."""


def shuffled_coordinates(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Values of each row in a random order of their own, see `controls.control_rows`.

    Parameters
    ----------
    rows : DataFrame of n rows and d >= 2 columns
    rng : Generator

    Returns
    -------
    DataFrame
        Same index, columns and type.

    Examples
    --------
    >>> rows = pd.DataFrame({"a": [1.5], "b": [2.5]})
    >>> sorted(shuffled_coordinates(rows, np.random.default_rng(0)).iloc[0])
    [1.5, 2.5]
    """
    _frame(rows)
    types = list(dict.fromkeys(rows.dtypes))
    real = [pd.api.types.is_any_real_numeric_dtype(t) for t in types]  # leaves booleans out
    if len(types) > 1 or not all(real):
        raise TypeError(
            f"columns must all be numbers of one type, however: got {[str(t) for t in types]}; "
            "convert them, as a value of one column is written into another"
        )
    if rows.shape[1] < 2:
        raise ValueError(f"rows must have at least 2 columns to shuffle, however: got {rows.shape[1]}")
    values = rows.to_numpy(dtype=float, na_value=np.nan)
    if not np.isfinite(values).all():
        i, j = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(
            f"values must be finite numbers, however: row {i}, column {rows.columns[j]!r} is {values[i, j]}"
        )
    if len(rows) >= _FEW:
        _one_range(values, [str(c) for c in rows.columns])
    places = rng.permuted(np.tile(np.arange(rows.shape[1]), (len(rows), 1)), axis=1)
    # The table's own numbers, not the floats above: those do not hold every integer.
    mixed = np.take_along_axis(rows.to_numpy(), places, axis=1)
    return pd.DataFrame(mixed, index=rows.index, columns=rows.columns).astype(types[0])


def permuted_digits(
    rows: pd.DataFrame,
    digits: Mapping[str, str],
    *,
    style: Literal["json", "pairs", "values"] = "json",
    decimals: int = 4,
) -> list[str]:
    """Strings of rows in which every digit of a value is replaced, see `controls.control_strings`.

    Parameters
    ----------
    rows : DataFrame of n rows
    digits : mapping
        Digit to digit.
    style, decimals : str, int
        As for `serialize`.

    Returns
    -------
    list of str

    Examples
    --------
    >>> permuted_digits(pd.DataFrame({"x1": [1.5]}), {"1": "5", "5": "1"}, decimals=2)
    ['{x1:5.10}']
    """
    from embreg.serialize import serialize

    _frame(rows)
    serialize(rows.iloc[:1], style=style, decimals=decimals)  # refuses what is wrong by its own name
    table = str.maketrans(dict(digits))
    # Column by column: within a whole string, a comma may belong to a value.
    columns = [serialize(rows.iloc[:, [j]], style="values", decimals=decimals) for j in range(rows.shape[1])]
    cells = [[text[1:-1] for text in column] for column in columns]
    replaced = [[text.translate(table) for text in column] for column in cells]
    if len(rows) and replaced == cells:
        raise ValueError(f"values must have digits to permute, however: none of {list(rows.columns)} has any")
    written = np.array(replaced, dtype=object).reshape(rows.shape[1], len(rows)).T
    return serialize(pd.DataFrame(written, columns=rows.columns), style=style, decimals=decimals)


def _frame(rows: Any) -> None:
    if not isinstance(rows, pd.DataFrame):
        raise TypeError(f"rows must be a pandas DataFrame, however: got {type(rows).__name__}")


def _one_range(values: np.ndarray, names: list[str]) -> None:
    low, high, middle = values.min(0), values.max(0), np.median(values, axis=0)
    width = high - low
    one, other = int(np.argmin(width)), int(np.argmax(width))
    if width[other] <= _FACTOR * width[one]:
        one, other = int(np.argmin(middle)), int(np.argmax(middle))
        if middle[other] - middle[one] <= width.max():
            return
    raise ValueError(
        f"columns must share one range, however: {names[one]!r} goes from {low[one]} to {high[one]} and "
        f"{names[other]!r} from {low[other]} to {high[other]}; rescale them first"
    )
