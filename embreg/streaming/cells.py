"""What the cells of a column are, settled over a whole file, so that no string depends on a block.

A CSV file holds only text: numbers, booleans and missing values are recognised by the rules of
`pandas.read_csv`, except that whole numbers with a gap stay whole numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from typing import Any

__all__ = [
    "MISSING",
    "arrow_type",
    "kind_of_text",
    "kind_of_value",
    "reader",
    "settle_texts",
    "settle_values",
]

MISSING = frozenset(
    ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
     "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]
)  # fmt: skip
"""Cells that are missing values, as in `pandas.read_csv`."""

_NUMBER = re.compile(
    r"(?P<int>\s*[+-]?\d+\s*)"
    r"|(?P<float>\s*[+-]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][+-]?\d+)?\s*)"
    r"|(?P<infinite>[+-]?(?i:inf|infinity))"
    r"|(?P<bool>(?i:true|false))",
    re.ASCII,
)
_LONGEST = 300  # digits; beyond, a double is infinite and Python refuses to read the number


def kind_of_text(cell: str) -> str | None:
    """Kind of one cell of a CSV file: int, big (beyond 64 bits), float, infinite, bool, text; None: missing.

    Examples
    --------
    >>> [kind_of_text(c) for c in ("7", " -1.5e3", "TRUE", "relu", "NA", "1e999", "9" * 20)]
    ['int', 'float', 'bool', 'text', None, 'infinite', 'big']
    """
    if cell in MISSING:
        return None
    match = _NUMBER.fullmatch(cell)
    if match is None or match.lastgroup is None:
        return "text"
    if match.lastgroup == "int" and len(cell) > 18:
        return "text" if len(cell) > _LONGEST else _width(int(cell))
    if match.lastgroup == "float" and math.isinf(float(cell)):
        return "infinite"
    return match.lastgroup


def kind_of_value(value: Any) -> str | None:
    """Kind of one value of a JSON file; also nested. NaN and null are missing.

    Examples
    --------
    >>> [kind_of_value(v) for v in (7, -1.5, True, "7", None, [7])]
    ['int', 'float', 'bool', 'text', None, 'nested']
    """
    kind = type(value)
    if kind is float:
        return None if math.isnan(value) else "infinite" if math.isinf(value) else "float"
    if kind is int:
        return _width(value)
    if value is None:
        return None
    return "text" if kind is str else "bool" if kind is bool else "nested"


def _width(number: int) -> str:
    return "int" if -(2**63) <= number < 2**63 else "big"


def settle_texts(kinds: Collection[str]) -> str:
    """Type of a CSV column whose cells are of these kinds: none, bool, int, big, float or text.

    Examples
    --------
    >>> settle_texts({"int", "float"}), settle_texts({"int", "text"}), settle_texts({"int", "bool"})
    ('float', 'text', 'text')
    """
    kinds = set(kinds)
    if "text" in kinds or ("bool" in kinds and len(kinds) > 1):
        return "text"
    return settle_values(kinds)


def settle_values(kinds: Collection[str]) -> str:
    """Type of a JSON column: as of CSV; mixed where its values have no one type, mixed-float with floats.

    Values of a mixed column stay what they are, but whole numbers beside floats are written as floats.

    Examples
    --------
    >>> settle_values({"int", "float"}), settle_values({"int", "text"}), settle_values([])
    ('float', 'mixed', 'none')
    """
    kinds = set(kinds)
    floats = bool(kinds & {"float", "infinite"})
    if kinds <= {"int", "big", "float", "infinite"}:
        return "float" if floats else "big" if "big" in kinds else "int" if kinds else "none"
    if len(kinds) == 1:
        return kinds.pop()
    return "mixed-float" if floats else "mixed"


def reader(kind: str, *, text: bool) -> Callable[[Any], Any]:
    """Return the function that makes a value of a cell in a column of type `kind`.

    Parameters
    ----------
    kind : str
        From `settle_texts` (with ``text=True``) or `settle_values`; also ``"verbatim"``.
    text : bool
        The cell is the text of a CSV file.

    Examples
    --------
    >>> [reader("float", text=True)(c) for c in ("1", "NA")]
    [1.0, None]
    """
    if kind == "verbatim":
        return lambda cell: cell
    if text:
        makers: dict[str, Callable[[str], Any]] = {"int": int, "big": int, "float": float, "bool": _is_true}
        make = makers.get(kind, str)
        return lambda cell: None if cell in MISSING else make(cell)
    if kind in ("float", "mixed-float"):
        return lambda value: float(value) if type(value) is int else _present(value)
    return _present


def _is_true(cell: str) -> bool:
    return cell.lower() == "true"


def _present(value: Any) -> Any:
    return None if value != value else value  # NaN is the one value that differs from itself


def arrow_type(kind: str) -> Any:
    """Arrow's type for a kept column; whole numbers beyond 64 bits are kept as their digits."""
    import pyarrow as pa

    name = {"none": "null", "int": "int64", "float": "float64", "bool": "bool"}.get(kind, "string")
    return pa.type_for_alias(name)
