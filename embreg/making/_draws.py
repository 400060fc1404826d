"""Which rows a task has: drawn by their index, equal ones once, those without y left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from embreg._files import digest
from embreg.making.family import Family
from embreg.making.journal import Entry, JournalError
from embreg.making.space import Value

__all__ = ["Draw", "Settled", "check_entry", "draws", "settle"]

_PATIENCE = 1000  # equal rows in a row: the space has no more


@dataclass(frozen=True, slots=True)
class Draw:
    """A row and what it is known by."""

    index: int
    row: dict[str, Value]
    key: str


def draws(family: Family, task: str) -> Iterator[Draw]:
    """Yield rows in the order of their index, without those that equal an earlier one.

    A row that is there twice would be in training and test at once, with the same y.

    Raises
    ------
    ValueError
        The space holds no more rows.
    """
    seen: set[str] = set()
    index, idle = 0, 0
    while idle < _PATIENCE:
        row = family.draw(task, index)
        whole = digest(row)
        idle += 1
        if whole not in seen:
            seen.add(whole)
            idle = 0
            yield Draw(index, row, whole[:16])
        index += 1
    raise ValueError(
        f"{family.name}/{task} must have as many different rows as are asked for, however: after {len(seen)} "
        f"rows {_PATIENCE} draws brought none that is new. Ask for fewer (--rows)"
    )


def check_entry(entry: Entry, draw: Draw, name: str) -> None:
    """Raise `JournalError` when a measurement is not of this row."""
    if entry.row != draw.key:
        raise JournalError(
            f"row {draw.index} of {name} must be the one that was measured, however: it is drawn otherwise "
            "now. Begin anew with --fresh, which sets the journal aside"
        )


@dataclass
class Settled:
    """Rows of a task with their y.

    Attributes
    ----------
    kept : list of (Draw, Entry)
        The first n with a y, by index.
    reasons : Counter
        Why the others up to there have none.
    """

    kept: list[tuple[Draw, Entry]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)


def settle(family: Family, task: str, entries: Mapping[tuple[int, int], Entry], n: int) -> Settled:
    """Return the first `n` rows that have a y.

    Raises
    ------
    JournalError
        A row was not measured yet, or was another one.
    """
    out = Settled()
    name = f"{family.name}/{task}"
    source = draws(family, task)
    while len(out.kept) < n:
        draw = next(source)
        if (entry := entries.get((draw.index, 0))) is None:
            raise JournalError(
                f"{name} must be measured before it is written, however: only {len(out.kept)} of {n} rows "
                f"are. Go on with: embreg data make {family.name} --tasks {task}"
            )
        check_entry(entry, draw, name)
        if entry.y is None:
            out.reasons[entry.reason or ""] += 1
        else:
            out.kept.append((draw, entry))
    return out
