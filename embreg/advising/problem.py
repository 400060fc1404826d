"""A table as a regression problem: rows to learn from, the target, and what was done to get there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from embreg.advising.cells import dates_of, numbers_of, texts_of
from embreg.advising.checks import Finding, column_findings, leaks, sum_of_columns, target_findings
from embreg.advising.kinds import Column, cleaned, infer_columns, look_up
from embreg.advising.views import as_frame

__all__ = ["LEAST_ROWS", "Problem", "problem_of"]

LEAST_ROWS = 50


@dataclass(frozen=True, eq=False)
class Problem:
    """What is learned from.

    Parameters
    ----------
    rows : DataFrame of n rows
        The columns that are used, cleaned: float64, ``datetime64``, or objects of str and None.
    y : ndarray of shape (n,), float64
    target, name : str
    positions : ndarray of shape (n,), int64
        Number of each row in the source, from 0.
    columns : tuple of Column
        All but the target, in their order.
    findings : tuple of Finding
    groups : ndarray of shape (n,), int64, or None
        Rows of one group stay together.
    order : ndarray of shape (n,), int64, or None
        Rows come in this order; equal numbers at one moment.
    """

    rows: pd.DataFrame
    y: np.ndarray
    target: str
    name: str
    positions: np.ndarray
    columns: tuple[Column, ...]
    findings: tuple[Finding, ...]
    groups: np.ndarray | None
    order: np.ndarray | None

    @property
    def kinds(self) -> tuple[tuple[str, str], ...]:
        """Name and kind of each column that is used."""
        return tuple((c.name, c.kind) for c in self.columns if c.used)

    @property
    def texts(self) -> tuple[str, ...]:
        """Columns of free text."""
        return tuple(c.name for c in self.columns if c.used and c.kind == "text")


def problem_of(
    frame: Any,
    target: str,
    *,
    kinds: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    group: str | None = None,
    time: str | None = None,
    name: str = "table",
) -> Problem:
    """Read a table as a regression problem; whatever is done to it is a finding.

    Parameters
    ----------
    frame : DataFrame (pandas or polars)
    target : str
    kinds, drop, group, time
        As for `embreg.advise`.
    name : str
        Of the table.

    Returns
    -------
    Problem

    Raises
    ------
    ValueError
        No such column, a target that is no number or never there, infinite or of two values, fewer than 50
        rows with one, group and time at once, or no column left to learn from.

    Examples
    --------
    >>> table = pd.DataFrame({"a": range(60), "b": [1.5, 2.5] * 30, "y": [i % 7 for i in range(60)]})
    >>> problem = problem_of(table, "y")
    >>> problem.kinds, problem.columns[0].why
    ((('b', 'numeric'),), 'counts the rows')
    """
    frame = as_frame(frame)
    names = list(frame.columns)
    look_up(target, names, "column")
    if group is not None and time is not None:
        raise ValueError("rows are cut by a group or by time, however: got both; name one of them")
    for place in (group, time):
        if place is not None and look_up(place, names, "column") == target:
            raise ValueError(
                f"{place!r} is the target, however: it is to cut the rows too; name another column"
            )
    y, findings = _target(frame[target], target)
    there = np.flatnonzero(np.isfinite(y))
    frame, y = frame.iloc[there].reset_index(drop=True).drop(columns=target), y[there]
    if len(y) < LEAST_ROWS:
        raise ValueError(
            f"a comparison needs at least {LEAST_ROWS} rows with a target, however: {name} has {len(y)}; "
            "give more rows"
        )
    columns, rows = _columns(frame, kinds or {}, drop, group, time, y, findings)
    if not any(c.used for c in columns):
        why = "; ".join(f"{c.name}: {c.why}" for c in columns) or "there is none beside the target"
        raise ValueError(f"a column must be left to learn from, however: {why}. Name a kind to keep one")
    groups = order = None
    if group is not None:
        groups = pd.factorize(texts_of(frame[group]), use_na_sentinel=False)[0].astype(np.int64)
    elif time is not None:
        order = _moments(frame[time], time)
    else:
        groups = _repeated(rows, findings)
    findings += target_findings(y, target)
    return Problem(rows, y, target, name, there.astype(np.int64), columns, tuple(findings), groups, order)


def _target(column: pd.Series, target: str) -> tuple[np.ndarray, list[Finding]]:
    present = column.dropna()
    if not len(present):
        raise ValueError(
            f"the target must have values, however: {target!r} is empty in all {len(column):,} rows"
        )
    y = numbers_of(column)
    readable = np.isfinite(y[column.notna().to_numpy()]).sum()
    if pd.api.types.is_bool_dtype(present) or readable < 0.5 * len(present):
        shown = ", ".join(repr(v) for v in list(dict.fromkeys(texts_of(present)))[:3])
        raise ValueError(
            f"the target must be a number, however: {target!r} holds {shown}. That is a class; embreg "
            "predicts numbers. Name a column of numbers"
        )
    if np.isinf(y).any():
        raise ValueError(
            f"the target must be finite, however: {target!r} is {y[np.isinf(y)][0]} in row "
            f"{int(np.argmax(np.isinf(y)))}; drop that row or repair it"
        )
    if len(distinct := np.unique(y[np.isfinite(y)])) <= 2:
        what = " and ".join(f"{v:g}" for v in distinct)
        raise ValueError(
            f"the target must take more than two values, however: {target!r} is {what} only. That is a "
            "class, or nothing to predict; embreg predicts numbers"
        )
    lost = int(np.isnan(y).sum())
    findings = []
    if lost:
        odd = int(column.notna().sum()) - int(readable)
        some = f", {odd:,} of them text" if odd else ""
        findings.append(
            Finding(
                "missing_target", (target,), f"{target} is missing in {lost:,} of {len(y):,} rows{some}",
                "these rows are left out",
            )
        )  # fmt: skip
    return y, findings


def _columns(
    frame: pd.DataFrame,
    kinds: Mapping[str, str],
    drop: Sequence[str],
    group: str | None,
    time: str | None,
    y: np.ndarray,
    findings: list[Finding],
) -> tuple[tuple[Column, ...], pd.DataFrame]:
    columns = list(infer_columns(frame, kinds=kinds, drop=drop))
    for i, c in enumerate(columns):
        if c.name in (group, time) and not c.given:
            columns[i] = replace(
                c, used=False, why="names the groups" if c.name == group else "gives the order"
            )
    findings += column_findings(frame, columns)
    rows = pd.DataFrame(
        {c.name: cleaned(frame[c.name], c.kind) for c in columns if c.used}, index=frame.index
    )
    for c, tau in list(leaks(rows, columns, y)):
        columns[columns.index(c)] = replace(
            c, used=False, why=f"orders the rows as the target does (τ = {tau:.3f})"
        )
        rows = rows.drop(columns=c.name)
        findings.append(
            Finding(
                "leak", (c.name,), f"{c.name} orders the rows as the target does (τ = {tau:.3f})",
                f"left out; --kind {c.name}=numeric keeps it",
            )
        )  # fmt: skip
    if parts := sum_of_columns(rows, columns, y):
        findings.append(
            Finding(
                "sum", parts, f"the target is a sum of {', '.join(parts)}, exactly",
                "kept; drop them if they are not known before the target is",
            )
        )  # fmt: skip
    return tuple(columns), rows


def _moments(column: pd.Series, time: str) -> np.ndarray:
    numbers, dates = numbers_of(column), dates_of(column)
    ranked = (
        numbers
        if np.isfinite(numbers).all()
        else dates.astype("int64").to_numpy()
        if dates.notna().all()
        else None
    )
    if ranked is None:
        raise ValueError(
            f"every row needs its moment, however: {time!r} has cells that are neither number nor date, such "
            f"as {column[~(np.isfinite(numbers) | dates.notna())].iloc[0]!r}; repair them, or use --group"
        )
    return np.unique(ranked, return_inverse=True)[1].astype(np.int64)


def _repeated(rows: pd.DataFrame, findings: list[Finding]) -> np.ndarray | None:
    if not (again := int(rows.duplicated().sum())):
        return None
    findings.append(
        Finding(
            "duplicates", (), f"{again:,} of {len(rows):,} rows repeat the columns of another",
            "kept together, so that none is trained on and scored both",
        )
    )  # fmt: skip
    return rows.groupby(list(rows.columns), dropna=False, sort=False).ngroup().to_numpy(dtype=np.int64)
