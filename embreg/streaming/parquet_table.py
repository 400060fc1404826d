"""Parquet files, read block by block; their types are their own."""

from __future__ import annotations

import json
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from embreg.streaming.choice import Choice
from embreg.streaming.tables import Block, RequestError, Settled, Table

__all__ = ["ParquetTable"]

_ROWS = 8192  # looked at together in the first pass
_BUFFER = 1 << 18  # bytes read ahead of a column; by default a row group is read whole


class ParquetTable(Table):
    """A Parquet file."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "parquet")
        with self._file() as file:
            self.schema, self.rows = file.schema_arrow, file.metadata.num_rows
        self.names = self.schema.names
        if twice := [n for i, n in enumerate(self.names) if n in self.names[:i]]:
            raise self.error(f"every column needs a name of its own, however: {twice[0]!r} comes twice")
        if not self.rows:
            raise self.error("there must be rows, however: there is none")
        stated = json.loads((self.schema.metadata or {}).get(b"pandas", b"{}"))
        self.index = tuple(n for n in stated.get("index_columns", ()) if isinstance(n, str))

    @contextmanager
    def _file(self) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(self.path, pre_buffer=False, buffer_size=_BUFFER) as file:
                yield file
        except (pa.ArrowException, OSError) as error:
            raise self.error(f"cannot be read as Parquet ({str(error).splitlines()[0]})") from error

    def settle(self, choice: Choice) -> Settled:
        """Check types, and look for infinite numbers and missing texts."""
        import pyarrow as pa
        import pyarrow.compute as pc

        floats = []
        for name in choice.strings:
            kind = _plain(self.schema.field(name).type)
            if not _is_simple(kind):
                raise RequestError(
                    "a cell must be a number, a boolean, a text, a date or missing, however: column "
                    f"{name!r} of {self.path} is of type {kind}; leave it out with --drop, or choose "
                    "with --columns"
                )
            if pa.types.is_floating(kind):
                floats.append(name)
        text = choice.text
        if text is not None and not _is_text(_plain(self.schema.field(text).type)):
            raise RequestError(
                f"column {text!r} must hold texts, however: it is of type {self.schema.field(text).type}; "
                "leave --text out and it is written as a string"
            )
        start, wanted = 0, floats if text is None else [text]
        with self.reading() as bar, self._file() as file:
            for batch in file.iter_batches(_ROWS, columns=wanted) if wanted else ():
                for name in wanted:
                    column = batch.column(name)
                    bad = pc.is_inf(column.cast(pa.float64())) if text is None else column.is_null()
                    if pc.any(bad).as_py():
                        row = start + pc.index(bad, True).as_py()
                        raise self.error(_bad(name, row, text is None))
                start += len(batch)
                bar.advance(bar.total * len(batch) / self.rows)
        return Settled(self.rows, {})

    def blocks(
        self, choice: Choice, settled: Settled, size: int, skip: Collection[int] = ()
    ) -> Generator[Block, None, None]:
        """Yield blocks of `size` rows in order, without those whose numbers are in `skip`."""
        with self._file() as file:
            for number, block in enumerate(_cut(file.iter_batches(size, columns=choice.used), size)):
                if number in skip:
                    continue
                needed = choice.strings if choice.text is None else (choice.text,)
                cells = {name: block.column(name).to_pylist() for name in needed}
                kept = {name: block.column(name) for name in choice.keep}
                yield Block(number, number * size, cells, kept, None)


def _cut(batches: Iterator[Any], size: int) -> Iterator[Any]:
    """Batches of any length as tables of `size` rows: a row group may end anywhere."""
    import pyarrow as pa

    waiting: list[Any] = []
    have = 0
    for batch in batches:
        while have + len(batch) >= size:
            yield pa.Table.from_batches([*waiting, batch.slice(0, size - have)])
            batch = batch.slice(size - have)
            waiting, have = [], 0
        if len(batch):
            waiting.append(batch)
            have += len(batch)
    if have:
        yield pa.Table.from_batches(waiting)


def _bad(name: str, row: int, number: bool) -> str:
    if number:
        return (
            f"a number must be finite, however: row {row} of column {name!r} is infinite; replace it, or "
            "make it null for a missing value"
        )
    return (
        f"column {name!r} must hold a text in every row, however: row {row} has none; fill it in, or take "
        "the row out"
    )


def _plain(kind: Any) -> Any:
    """Type of the values of a dictionary."""
    import pyarrow.types as types

    return kind.value_type if types.is_dictionary(kind) else kind


def _is_text(kind: Any) -> bool:
    import pyarrow.types as types

    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def _is_simple(kind: Any) -> bool:
    import pyarrow.types as types

    checks = (types.is_null, types.is_boolean, types.is_integer, types.is_floating, types.is_decimal,
              types.is_date, types.is_time, types.is_timestamp)  # fmt: skip
    return _is_text(kind) or any(check(kind) for check in checks)
