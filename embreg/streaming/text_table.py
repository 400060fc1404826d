"""Tables written as text, plain or compressed with gzip: read by lines, so that an error names its line."""

from __future__ import annotations

import gzip
import zlib
from abc import abstractmethod
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from contextlib import closing
from itertools import islice
from typing import Any

from embreg._progress import Progress
from embreg.streaming import cells as _cells
from embreg.streaming.choice import Choice
from embreg.streaming.tables import Block, Settled, Table

__all__ = ["LONGEST", "Record", "TextTable"]

LONGEST = 1 << 27
"""Bytes of a line, or characters of a cell; more is no table but a mistake, and would fill the memory."""

Record = tuple[int, Sequence[Any]]
"""The line where a row begins, and its cells."""

_ROWS = 2048  # looked at together while types are settled


class TextTable(Table):
    """Rows that are written as text."""

    texts = False
    """Whether cells are text that stands for numbers and the like."""

    @abstractmethod
    def records(self, choice: Choice, bar: Progress | None = None) -> Generator[Record, None, None]:
        """Yield rows; cells are in the order of ``choice.used``."""

    def lines(self, bar: Progress | None = None) -> Generator[str, None, None]:
        """Yield lines with their ends, decoded."""
        number, before = 0, 0
        with self.path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream: Any = gzip.GzipFile(fileobj=raw) if zipped else raw
            try:
                while line := stream.readline(LONGEST):
                    number += 1
                    if len(line) == LONGEST:
                        raise self.error(f"a line must be shorter than {LONGEST >> 20} MiB", number)
                    if number == 1:
                        line = line.removeprefix(b"\xef\xbb\xbf")
                    yield line.decode()
                    if bar is not None and number % _ROWS == 0:
                        bar.advance(raw.tell() - before)
                        before = raw.tell()
            except UnicodeDecodeError as error:
                raise self.error(
                    f"text must be UTF-8, however: got the byte 0x{error.object[error.start]:02x}; save the "
                    "file as UTF-8 (in Excel: 'CSV UTF-8'), or convert it: iconv -f WINDOWS-1252 -t UTF-8",
                    number,
                ) from None
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise self.error(f"the compressed file is damaged ({error})", number + 1) from None

    def settle(self, choice: Choice) -> Settled:
        """Read all of it: count rows, settle types, and find what cannot be written as a string."""
        used, rows = choice.used, 0
        kinds: dict[str, dict[str, int]] = {name: {} for name in used}  # kind: line where it came first
        look = self._look_at_texts if self.texts else self._look_at_values
        with self.reading() as bar, closing(self.records(choice, bar)) as records:
            while part := list(islice(records, _ROWS)):
                rows += len(part)
                lines = [line for line, _ in part]
                for name, column in _columns(used, part):
                    look(name, column, lines, choice, kinds[name])
        if not rows:
            raise self.error("there must be rows, however: there is none")
        types = {name: self._settle_column(name, kinds[name], choice) for name in used}
        if choice.text is not None and self.texts:
            types[choice.text] = "verbatim"
        return Settled(rows, types)

    def _settle_column(self, name: str, kinds: dict[str, int], choice: Choice) -> str:
        settled = (_cells.settle_texts if self.texts else _cells.settle_values)(kinds)
        if name in choice.strings and "infinite" in kinds and settled != "text":
            raise self.error(
                f"a number must be finite, however: column {name!r} is infinite; replace it, or make it "
                "empty (null in JSON) for a missing value",
                kinds["infinite"],
            )
        if name in choice.keep and settled.startswith("mixed"):
            raise self.error(
                f"a column that is kept must be of one type, however: {name!r} has {', '.join(sorted(kinds))}"
            )
        return settled

    def _look_at_texts(
        self, name: str, column: Sequence[str], lines: list[int], choice: Choice, kinds: dict[str, int]
    ) -> None:
        for cell in dict.fromkeys(column):
            kind = _cells.kind_of_text(cell)
            if kind is not None and kind not in kinds:
                kinds[kind] = lines[column.index(cell)]
        if name == choice.text and "" in column:
            raise self.error(
                f"column {name!r} must hold a text in every row, however: it is empty; fill it in, or take "
                "the row out",
                lines[column.index("")],
            )

    def _look_at_values(
        self, name: str, column: Sequence[Any], lines: list[int], choice: Choice, kinds: dict[str, int]
    ) -> None:
        for line, value in zip(lines, column, strict=True):
            kind = _cells.kind_of_value(value)
            if name == choice.text and kind != "text":
                raise self.error(
                    f"column {name!r} must hold a text in every row, however: got {value!r:.40}", line
                )
            if kind == "nested":
                raise self.error(
                    f"a value must be a number, a text, a boolean or null, however: {name!r} is a "
                    f"{type(value).__name__}; leave it out, or write its parts as columns",
                    line,
                )
            if kind == "text" and name in choice.keep and _is_broken(value):
                raise self.error(
                    f"column {name!r} cannot be kept, however: it holds half of a surrogate pair, which "
                    "UTF-8 cannot",
                    line,
                )
            if kind is not None:
                kinds.setdefault(kind, line)

    def blocks(
        self, choice: Choice, settled: Settled, size: int, skip: Collection[int] = ()
    ) -> Generator[Block, None, None]:
        """Yield blocks of `size` rows in order, without those whose numbers are in `skip`."""
        readers = {name: _cells.reader(settled.types[name], text=self.texts) for name in choice.used}
        with closing(self.records(choice)) as records:
            for number, start in enumerate(range(0, settled.rows, size)):
                part = [row for row in islice(records, size) if number not in skip]
                if part:
                    yield self._block(number, start, part, choice, settled, readers)

    def _block(
        self, number: int, start: int, part: list[Record], choice: Choice, settled: Settled,
        readers: dict[str, Callable[[Any], Any]],
    ) -> Block:  # fmt: skip
        import pyarrow as pa

        cells = {name: list(map(readers[name], column)) for name, column in _columns(choice.used, part)}
        kept = {}
        for name in choice.keep:
            kind, values = settled.types[name], cells[name]
            if kind == "big":
                values = [None if v is None else str(v) for v in values]
            kept[name] = pa.array(values, _cells.arrow_type(kind))
        return Block(number, start, cells, kept, [line for line, _ in part])


def _columns(names: list[str], part: list[Record]) -> Iterable[tuple[str, Sequence[Any]]]:
    return zip(names, zip(*(cells for _, cells in part), strict=True), strict=True)


def _is_broken(text: str) -> bool:
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
