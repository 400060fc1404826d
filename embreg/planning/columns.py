"""Tables that stay readable, where columns that do not fit are left out, and numbers as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Column", "clock", "fitting", "number", "size", "table_of"]

_GAP = 2  # between two columns


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    name : str
    cells : sequence of str
    need : int
        Columns of small need are the first to go.
    folds : int
        Text, which stands on the left, may take several lines of this width or more; 0 is a number, which
        stays whole.
    """

    name: str
    cells: Sequence[str]
    need: int = 0
    folds: int = 0

    @property
    def width(self) -> int:
        """Characters of the longest cell."""
        return max(map(len, (self.name, *self.cells)))


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """Columns that fit side by side; text folds first, then columns go by their need.

    Examples
    --------
    >>> columns = [Column("run", ["02_dimension_scaling"], 9, 12), Column("rows", ["100,000"], 1)]
    >>> [[c.name for c in fitting(columns, width)] for width in (40, 22, 20)]
    [['run', 'rows'], ['run', 'rows'], ['run']]
    """
    kept = list(columns)
    while len(kept) > 1:
        least = sum(min(c.width, c.folds or c.width) for c in kept) + _GAP * (len(kept) - 1)
        if least <= width:
            break
        # Of two that are needed as much the later one goes.
        del kept[min(reversed(range(len(kept))), key=lambda i: kept[i].need)]
    return kept


def table_of(columns: Sequence[Column], width: int, *, title: str, last: bool, dim: Sequence[int]) -> Any:
    """Table of rich.

    Parameters
    ----------
    columns : sequence of Column
        Their cells have one length.
    width : int
    title : str
    last : bool
        Whether the last row is a sum.
    dim : sequence of int
        Rows of which nothing is to be done.
    """
    from rich import box
    from rich.table import Table

    kept = fitting(columns, width)
    look = {"box": box.SIMPLE_HEAD, "show_edge": False, "pad_edge": False, "padding": (0, 1, 0, 0)}
    table = Table(title=title, title_justify="left", **look)  # type: ignore[arg-type]
    for column in kept:
        justify: Any = "left" if column.folds else "right"
        table.add_column(column.name, justify=justify, overflow="fold", no_wrap=not column.folds)
    rows = list(zip(*(c.cells for c in kept), strict=True))
    for i, row in enumerate(rows):
        if last and i == len(rows) - 1:
            table.add_section()
        table.add_row(*row, style="dim" if i in dim else None)
    return table


def number(value: float) -> str:
    """Count of tokens or operations with a unit.

    Examples
    --------
    >>> number(0), number(512), number(97_392_040), number(2.6e17)
    ('0', '512', '97.4 M', '260 P')
    """
    for unit, name in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:,.3g} {name}" if value < 999.5 * unit else f"{value / unit:,.0f} {name}"
    return f"{value:,.0f}"


def clock(seconds: float) -> str:
    """Duration.

    Examples
    --------
    >>> clock(0.2), clock(36), clock(660), clock(706_752)
    ('< 1 s', '36 s', '11 min', '196 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 0.5 or not seconds else "< 1 s"
    hours = seconds / 3600
    return (
        f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{hours:,.1f} h"
        if hours < 100
        else f"{hours:,.0f} h"
    )


def size(count: float) -> str:
    """Bytes.

    Examples
    --------
    >>> size(0), size(3e6), size(16e9)
    ('0', '3 MiB', '14.9 GiB')
    """
    if not count:
        return "0"
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{max(1, count / 2**20):,.0f} MiB"
