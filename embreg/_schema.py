"""Whether a table holds what the search space of its data card allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from embreg.serialize import serialize

__all__ = ["space_faults", "table_faults"]

_TYPES = {"real": "float64", "integer": "Int64", "category": "str", "flag": "boolean"}


def table_faults(rows: pd.DataFrame) -> list[str]:
    """Say what keeps a table from being written as strings, whatever it holds.

    Parameters
    ----------
    rows : DataFrame

    Returns
    -------
    list of str
        One sentence a fault.

    Examples
    --------
    >>> table_faults(pd.DataFrame({"a": [1.0, float("inf")]}))[0][:44]
    'a number must be finite, however: row 1, col'
    """
    faults = []
    names: list[object] = list(rows.columns)
    if odd := [name for name in names if not isinstance(name, str) or not name]:
        faults.append(f"names of columns must be text, however: one is {odd[0]!r}; rename it")
    if rows.columns.has_duplicates:
        twice = rows.columns[rows.columns.duplicated()][0]
        faults.append(f"names of columns must differ, however: two are {twice!r}; rename one")
    try:
        serialize(rows)
    except (TypeError, ValueError) as error:
        faults.append(str(error))
    return faults


def space_faults(rows: pd.DataFrame, space: Sequence[Mapping[str, Any]]) -> list[str]:
    """Compare a table with the search space that its rows were drawn from.

    Parameters
    ----------
    rows : DataFrame
    space : sequence of mapping
        As `embreg.making.space.Space.describe` gives it.

    Returns
    -------
    list of str
        One sentence a fault: of columns, their types, values outside the limits or choices, values where the
        parameter is inactive, and gaps where it is active.

    Examples
    --------
    >>> space = [{"name": "depth", "kind": "integer", "low": 1, "high": 9, "log": False}]
    >>> space_faults(pd.DataFrame({"depth": pd.Series([3, 12], dtype="Int64")}), space)
    ["1 of 2 values of 'depth' are outside 1 to 9, the first at row 1: 12"]
    """
    wanted = [p["name"] for p in space]
    if list(rows.columns) != wanted:
        lost = [name for name in wanted if name not in rows.columns]
        more = [str(name) for name in rows.columns if name not in wanted]
        what = "; ".join(
            part
            for part in (
                f"missing: {', '.join(lost)}" if lost else "",
                f"not in the space: {', '.join(more)}" if more else "",
            )
            if part
        )
        return [f"columns are not those of the search space ({what or 'their order differs'})"]
    faults = []
    for p in space:
        name, column = p["name"], rows[p["name"]]
        dtype = pd.Series([], dtype=_TYPES[p["kind"]]).dtype  # type: ignore[call-overload]
        if column.dtype != dtype:
            faults.append(f"column {name!r} is of type {column.dtype}, however: the space wants {dtype}")
            continue
        given = column.notna()
        if p["kind"] in ("real", "integer"):
            limits, allowed = f"{p['low']:g} to {p['high']:g}", column.between(p["low"], p["high"])
        elif p["kind"] == "category":
            limits, allowed = f"the choices {', '.join(p['choices'])}", column.isin(p["choices"])
        else:
            limits, allowed = "", given
        active = pd.Series(True, index=rows.index)
        for parent, values in p.get("when", {}).items():
            active &= rows[parent].isin(values).astype(bool)
        for bad, say in (
            (given & ~allowed.fillna(False).astype(bool), f"values of {name!r} are outside {limits}"),
            (given & ~active, f"values of {name!r} are given where it is inactive"),
            (active & ~given, f"values of {name!r} are missing where it is active"),
        ):
            if count := int(bad.sum()):
                at = int(bad.to_numpy().argmax())
                faults.append(f"{count:,} of {len(rows):,} {say}, the first at row {at}: {column.iloc[at]}")
    return faults
