"""What is odd about a table, each with what is done about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from embreg.advising.cells import MISSING_WORDS, numbers_of, texts_of
from embreg.advising.kinds import Column

__all__ = ["Finding", "column_findings", "leaks", "sum_of_columns", "target_findings"]

FEW_ROWS = 200
LEAK = 0.99
"""Kendall's τ with the target from which on a column is the target under another name."""
_MANY = 50
_NEAR_CONSTANT = 0.9
_HEAVY = 10.0


@dataclass(frozen=True)
class Finding:
    """Something about the data that a reader should know.

    Parameters
    ----------
    code : str
    columns : tuple of str
    message, action : str
        What was seen, and what was done about it or how to do otherwise.
    """

    code: str
    columns: tuple[str, ...]
    message: str
    action: str


def column_findings(frame: pd.DataFrame, columns: Sequence[Column]) -> Iterator[Finding]:
    """Findings on single columns: left out, gaps, cells that do not fit their kind, many categories.

    Parameters
    ----------
    frame : DataFrame
        As it was read.
    columns : sequence of Column
    """
    for kind, what in (("identifier", "identifiers"), ("constant", "the same in every row, or empty")):
        if names := tuple(
            c.name for c in columns if c.kind == kind and not c.used and c.why != "dropped by you"
        ):
            yield Finding(
                kind, names, f"{_list(names)}: {what}", f"left out; --kind {names[0]}=category keeps it"
            )
    used = [c for c in columns if c.used]
    if gaps := [c for c in used if c.missing]:
        worst = max(gaps, key=lambda c: c.missing)
        yield Finding(
            "missing_values", tuple(c.name for c in gaps),
            f"{len(gaps)} columns have gaps, {worst.name} most ({worst.missing:,} of {len(frame):,} rows)",
            "φ_trad takes the mean and marks the gap, a string leaves it out; no row is dropped",
        )  # fmt: skip
    for c in used:
        if c.kind == "numeric" and (odd := _odd(frame[c.name])):
            shown = ", ".join(repr(v) for v in odd[:3])
            yield Finding(
                "mixed_column", (c.name,),
                f"{c.name} has {len(odd):,} cells that are no finite number, such as {shown}",
                f"read as missing; --kind {c.name}=category keeps them as they are",
            )  # fmt: skip
        if c.kind == "category" and c.distinct > _MANY:
            yield Finding(
                "many_categories", (c.name,), f"{c.name} has {c.distinct:,} categories",
                f"φ_trad gets as many columns; --kind {c.name}=text counts its words instead",
            )  # fmt: skip


def _odd(column: pd.Series) -> list[str]:
    values = numbers_of(column)
    wrong = column.notna().to_numpy() & ~np.isfinite(values)
    if not wrong.any():
        return []
    found = texts_of(column[wrong]).tolist()
    return [v for v in found if v is not None and v.strip().lower() not in MISSING_WORDS]


def target_findings(y: np.ndarray, target: str) -> Iterator[Finding]:
    """Findings on the target: few rows, hardly any variation, heavy tails.

    Parameters
    ----------
    y : ndarray of shape (n,)
    target : str
    """
    n = len(y)
    if n < FEW_ROWS:
        yield Finding(
            "few_rows",
            (),
            f"{n} rows are few",
            "intervals are wide; differences below 0.1 in τ will stay undecided",
        )
    values, counts = np.unique(y, return_counts=True)
    if (share := counts.max() / n) > _NEAR_CONSTANT:
        yield Finding(
            "near_constant_target", (target,),
            f"{target} is {values[counts.argmax()]:g} in {100 * share:.0f} % of the rows",
            "kept; τ ranks the few others, so that its intervals are wide",
        )  # fmt: skip
        return
    low, middle, high = np.quantile(y, [0.25, 0.5, 0.75])
    reach = np.abs(y - middle).max() / (high - low) if high > low else 0.0
    if reach > _HEAVY:
        yield Finding(
            "heavy_tail", (target,),
            f"{target} reaches {reach:.0f} times the distance of its quartiles away from its median",
            "kept; τ does not mind, but heads are fitted to squared errors: try the logarithm as the target",
        )  # fmt: skip


def leaks(rows: pd.DataFrame, columns: Sequence[Column], y: np.ndarray) -> Iterator[tuple[Column, float]]:
    """Numeric columns that order the rows as the target does, with their τ; not those whose kind was given.

    Parameters
    ----------
    rows : DataFrame
        Cleaned.
    columns : sequence of Column
    y : ndarray of shape (n,)
    """
    from scipy.stats import kendalltau

    for c in columns:
        if c.kind != "numeric" or not c.used or c.given:
            continue
        values = rows[c.name].to_numpy(dtype=float)
        there = np.isfinite(values)
        if there.mean() < 0.5 or len(np.unique(values[there])) <= 2 or np.ptp(y[there]) == 0:
            continue
        tau = float(kendalltau(values[there], y[there]).statistic)
        if abs(tau) > LEAK:
            yield c, tau


def sum_of_columns(rows: pd.DataFrame, columns: Sequence[Column], y: np.ndarray) -> tuple[str, ...]:
    """Numeric columns whose weighted sum is the target, exactly; empty where there is none.

    Parameters
    ----------
    rows : DataFrame
        Cleaned.
    columns : sequence of Column
    y : ndarray of shape (n,)
    """
    names = [c.name for c in columns if c.kind == "numeric" and c.used]
    if len(names) < 2 or len(y) <= 2 * len(names):
        return ()
    X = rows[names].to_numpy(dtype=float)
    there = np.isfinite(X).all(1)
    if there.sum() <= 2 * len(names) or np.ptp(y[there]) == 0:
        return ()
    spread = X[there].std(0)
    kept = np.flatnonzero(spread > 0)
    if not len(kept):
        return ()
    Z = (X[there][:, kept] - X[there][:, kept].mean(0)) / spread[kept]
    target = (y[there] - y[there].mean()) / y[there].std()
    weights = np.linalg.lstsq(Z, target, rcond=None)[0]
    if ((target - Z @ weights) ** 2).mean() > 1e-9:
        return ()
    return tuple(names[k] for k, w in zip(kept, weights, strict=True) if abs(w) > 0.01)


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
