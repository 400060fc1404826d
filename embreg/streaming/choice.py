"""Which columns of a table are embedded, and which are kept beside the vectors."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from embreg.streaming.tables import RequestError, Table

__all__ = ["Choice", "choose"]


@dataclass(frozen=True)
class Choice:
    """Which columns are read, and for what.

    Attributes
    ----------
    strings : tuple of str
        Columns that make the string of a row, in the order of the string.
    text : str or None
        The column that is a string already; then there are no `strings`.
    keep : tuple of str
        Columns that go into the output as they are.
    every : bool
        The strings are of all columns, or of all but some.
    """

    strings: tuple[str, ...]
    text: str | None
    keep: tuple[str, ...]
    every: bool

    @property
    def used(self) -> list[str]:
        """Every column that is read, once."""
        return list(
            dict.fromkeys([*self.strings, *([self.text] if self.text is not None else []), *self.keep])
        )


def choose(
    table: Table,
    *,
    text: str | None = None,
    columns: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    keep: Sequence[str] | str = (),
    taken: Collection[str] = (),
) -> Choice:
    """Decide which columns are read, and check that they are there.

    Parameters
    ----------
    table : Table
    text, columns, drop : str, sequence of str, sequence of str
        At most one of them: the column that is a string already, those that make the string, or those
        that do not. By default all make it but pandas' index.
    keep : sequence of str, or "all"
    taken : collection of str
        Names that the output needs for itself.

    Raises
    ------
    RequestError
    """
    if sum([text is not None, columns is not None, bool(drop)]) > 1:
        raise RequestError("text, columns and drop exclude each other, however: more than one was given")
    kept = table.names if keep == "all" else [keep] if isinstance(keep, str) else list(keep)
    for asked in (columns or (), drop, kept, [text] if text is not None else []):
        _known(table, asked)
    if clash := sorted(set(kept) & set(taken)):
        raise RequestError(
            f"a kept column cannot be called {clash[0]!r}, however: the output has a column of that name; "
            "rename it in the input"
        )
    every = text is None and columns is None
    strings = list(columns or ())
    if every:
        strings = [n for n in table.names if n not in drop and n not in table.index]
    if text is None and not strings:
        raise RequestError(f"a string needs at least one column, however: none is left of {table.path}")
    if "" in strings:
        raise RequestError(
            f"every column in a string needs a name, however: column {table.names.index('')} of {table.path} "
            "has none (an index that pandas wrote?); leave it out with --drop '' or choose with --columns"
        )
    return Choice(tuple(strings), text, tuple(kept), every)


def _known(table: Table, asked: Sequence[str]) -> None:
    for i, name in enumerate(asked):
        if name not in table.names:
            near = get_close_matches(name, table.names, 1)
            if not near:
                near = [n for n in table.names if n.strip().lower() == name.strip().lower()][:1]
            shown = ", ".join(repr(n) for n in table.names[:12])
            more = f" and {len(table.names) - 12} more" if len(table.names) > 12 else ""
            raise RequestError(
                f"{table.path} has no column {name!r}; {f'did you mean {near[0]!r}? ' if near else ''}"
                f"It has {shown}{more}"
            )
        if name in asked[:i]:
            raise RequestError(f"a column must be named once, however: got {name!r} twice")
