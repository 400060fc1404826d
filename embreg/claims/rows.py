"""Rows of a record that a claim speaks of: choosing them, and pairing two sides of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from embreg._parameters import hint
from embreg.stats import Interval, mean_interval

__all__ = ["averaged", "choose", "interval_of", "paired_cells"]

_DRAW = "weights_seed"


def choose(table: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    """Rows whose columns have these values.

    Parameters
    ----------
    table : DataFrame
    where : mapping
        Column to value or list of values. In a column of numbers ``"max"`` and ``"min"`` stand for the
        largest and smallest value among the rows that fit the rest.

    Raises
    ------
    ValueError
        An unknown column, or a value that no row has; the message lists what there is.

    Examples
    --------
    >>> t = pd.DataFrame({"dof": [5, 25, 25], "head": ["mlp", "mlp", "ridge"]})
    >>> choose(t, {"head": "mlp", "dof": "max"}).index.tolist()
    [1]
    """
    part = table
    # Last, since the largest is that of the rows meant.
    ends = {c: v for c, v in where.items() if v in ("max", "min") and _numeric(table, c)}
    for column, value in {**{c: v for c, v in where.items() if c not in ends}, **ends}.items():
        if column not in table.columns:
            known = ", ".join(map(str, table.columns))
            raise ValueError(
                f"no column {column!r} in the table{hint(column, map(str, table.columns))}; it has: {known}"
            )
        wanted = [getattr(part[column], value)()] if column in ends else value
        wanted = wanted if isinstance(wanted, list) else [wanted]
        found = part[part[column].isin(wanted)]
        if lost := [v for v in wanted if not (found[column] == v).any()]:
            known = ", ".join(map(str, part[column].drop_duplicates().head(12))) or "no row"
            raise ValueError(
                f"no row has {column} {lost[0]!r}{hint(str(lost[0]), map(str, part[column].unique()))}; "
                f"there are: {known}"
            )
        part = found
    return part


def _numeric(table: pd.DataFrame, column: str) -> bool:
    return column in table.columns and pd.api.types.is_numeric_dtype(table[column])


def averaged(records: pd.DataFrame, value: str, average: str | None = None) -> pd.DataFrame:
    """One row for each task, seed and draw of random weights.

    Parameters
    ----------
    records : DataFrame
    value : str
    average : str, optional
        Column, such as ``dof``, over which each cell is averaged; each needs the same values of it.

    Raises
    ------
    ValueError
        A value that is missing, or cells that do not have the same values of `average`.

    Examples
    --------
    >>> t = pd.DataFrame({"task": "f", "seed": 0, "dof": [5, 25], "kendall_tau": [0.25, 0.75]})
    >>> averaged(t, "kendall_tau", "dof").kendall_tau.tolist()
    [0.5]
    """
    for column in ("task", "seed", value, *([average] if average else [])):
        if column not in records.columns:
            raise ValueError(f"no column {column!r} in the table; it has: {', '.join(records.columns)}")
    if lost := int(records[value].isna().sum()):
        raise ValueError(f"{value} must be a number in every row, however: it is missing in {lost}")
    cell = ["task", "seed"]
    if _DRAW in records.columns:
        # φ_trad and pretrained weights are not drawn.
        records = records.assign(**{_DRAW: pd.to_numeric(records[_DRAW]).fillna(0).astype(int)})
        cell.append(_DRAW)
    if average:
        sets = {tuple(sorted(part[average])) for _, part in records.groupby(cell)}
        if len(sets) > 1 or any(len(set(one)) < len(one) for one in sets):
            raise ValueError(f"an average over {average} needs each of its values once in every cell")
        records = records.groupby(cell)[value].mean().reset_index()
    elif records.duplicated(cell).any():
        twice = records.loc[records.duplicated(cell), cell].iloc[0].to_dict()
        raise ValueError(
            f"one row for each task and seed is needed, however: {twice} is there twice; choose further by "
            "'where', or name the column to average over by 'average'"
        )
    return records[[*cell, value]]


def paired_cells(
    a: pd.DataFrame, b: pd.DataFrame, value: str = "kendall_tau", average: str | None = None
) -> pd.DataFrame:
    """`value` of a less that of b, task by task, seed by seed and draw by draw.

    Returns
    -------
    DataFrame
        ``task, seed, difference``, and ``weights_seed`` where random weights were drawn several times.

    Raises
    ------
    ValueError
        The two sides do not have the same tasks and seeds, or as `averaged`.

    Examples
    --------
    >>> t = pd.DataFrame({"task": ["f", "g"], "seed": 0, "kendall_tau": [0.5, 0.75]})
    >>> paired_cells(t, t.assign(kendall_tau=0.25)).difference.tolist()
    [0.25, 0.5]
    """
    left, right = averaged(a, value, average), averaged(b, value, average)
    if _drawn(left) or _drawn(right):
        from embreg.draws import pair_draws

        both = [t if _DRAW in t.columns else t.assign(**{_DRAW: 0}) for t in (left, right)]
        return pair_draws(both[0], both[1], value)
    x, y = (t.set_index(["task", "seed"])[value].sort_index() for t in (left, right))
    if not x.index.equals(y.index):
        odd = list(x.index.symmetric_difference(y.index)[:3])
        raise ValueError(
            f"pairs need the same tasks and seeds on both sides, however: {odd} is on one side only"
        )
    return (x - y).rename("difference").reset_index()


def interval_of(cells: pd.DataFrame, value: str = "difference") -> Interval:
    """Mean of cells over tasks, seeds and, where there are several, draws of random weights.

    Examples
    --------
    >>> str(interval_of(pd.DataFrame({"task": ["f", "g"], "seed": 0, "difference": 0.25})))
    '0.25 [0.25, 0.25]'
    """
    if _drawn(cells):
        from embreg.draws import over_draws

        return over_draws(cells, value)
    return mean_interval(cells, value)


def _drawn(cells: pd.DataFrame) -> bool:
    return _DRAW in cells.columns and cells[_DRAW].nunique() > 1
