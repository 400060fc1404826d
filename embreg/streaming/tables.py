"""Tables on disk, read block by block: what is shared by CSV, JSON Lines and Parquet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embreg._progress import Progress

if TYPE_CHECKING:
    from embreg.streaming.choice import Choice

__all__ = ["FORMATS", "Block", "RequestError", "Settled", "Table", "TableError", "open_table"]

FORMATS = {
    "csv": (".csv", ".csv.gz"),
    "tsv": (".tsv", ".tsv.gz"),
    "jsonl": (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz"),
    "parquet": (".parquet", ".pq"),
}
"""Formats, and the endings of file names that stand for them."""

_MAGIC = {
    b"PAR1": "a Parquet file; use --format parquet",
    b"PK\x03\x04": "an archive or an Excel workbook; save the sheet as CSV (UTF-8)",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV (UTF-8)",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; decompress it",
    b"BZh": "compressed with bzip2; decompress it",
    b"\xfd7zXZ": "compressed with xz; decompress it",
    b"\xff\xfe": "text in UTF-16; save it as UTF-8",
    b"\xfe\xff": "text in UTF-16; save it as UTF-8",
    b"ARROW1": "an Arrow file; save it as Parquet",
}


class TableError(ValueError):
    """The file does not hold what it should; says where."""


class RequestError(ValueError):
    """What was asked for cannot be done with this file; says what can."""


@dataclass(frozen=True)
class Settled:
    """What is known of a table after it was read once.

    Attributes
    ----------
    rows : int
    types : dict of str to str
        See `embreg.streaming.cells`; empty where the file itself states the types.
    """

    rows: int
    types: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """As a dict, for `Settled(**saved)`."""
        return asdict(self)


@dataclass(frozen=True)
class Block:
    """Consecutive rows.

    Attributes
    ----------
    number, start : int
        Of the block, and of its first row, from 0.
    cells : dict of str to list
        Python values of the columns that make the strings.
    kept : dict of str to pyarrow.Array
        Columns for the output.
    lines : sequence of int, optional
        Line of the file where each row begins, from 1.
    """

    number: int
    start: int
    cells: Mapping[str, Sequence[Any]]
    kept: dict[str, Any]
    lines: Sequence[int] | None

    def where(self, row: int) -> str:
        """Where the user finds a row, given by its number in the table."""
        return f"row {row}" if self.lines is None else f"line {self.lines[row - self.start]}"


class Table(ABC):
    """A file of rows. It is read more than once and never held in memory."""

    def __init__(self, path: Path, form: str) -> None:
        self.path, self.form = path, form
        self.names: list[str] = []
        self.index: tuple[str, ...] = ()
        """Columns that are an index to pandas, and so no part of its frames."""
        self._stamp = self._now()

    def _now(self) -> tuple[int, int]:
        now = self.path.stat()
        return now.st_size, now.st_mtime_ns

    def description(self) -> dict[str, Any]:
        """How the file is read."""
        return {"format": self.form}

    def check_unchanged(self) -> None:
        """Raise TableError when the file is not what it was when it was opened."""
        if self._now() != self._stamp:
            raise self.error("it must stay as it is while it is read, however: it changed; start again")

    @abstractmethod
    def settle(self, choice: Choice) -> Settled:
        """Read all of it: count rows, settle types, and find what cannot be written as a string."""

    @abstractmethod
    def blocks(
        self, choice: Choice, settled: Settled, size: int, skip: Collection[int] = ()
    ) -> Generator[Block, None, None]:
        """Yield blocks of `size` rows in order, without those whose numbers are in `skip`."""

    def error(self, message: str, line: int | None = None) -> TableError:
        """Error about this file."""
        return TableError(f"{self.path}{f', line {line}' if line else ''}: {message}")

    def reading(self) -> Progress:
        """Bar for one pass over the file, in bytes."""
        return Progress(f"reading {self.path.name}", self.path.stat().st_size)


def open_table(path: str | Path, form: str | None = None, separator: str | None = None) -> Table:
    """Open a table and read the names of its columns.

    Parameters
    ----------
    path : str or Path
    form : {"csv", "tsv", "jsonl", "parquet"}, optional
        By the ending of the name.
    separator : str, optional
        Between the cells of a CSV file.

    Raises
    ------
    RequestError
        No such file, or its format is not known.
    TableError
        It is not what it should be.
    """
    path = Path(path).expanduser()
    if not path.exists():
        near = get_close_matches(path.name, [p.name for p in path.parent.glob("*")], 1)
        raise RequestError(f"no file {path}{f'; did you mean {near[0]!r}?' if near else ''}")
    if not path.is_file():
        raise RequestError(
            f"the input must be a regular file (it is read more than once), however: got {path}"
        )
    name = path.name.lower()
    endings = {e: f for f, names in FORMATS.items() for e in names}
    form = form or next((f for e, f in endings.items() if name.endswith(e)), None)
    if form not in FORMATS:
        raise RequestError(
            f"the format of {path.name} must be one of {', '.join(FORMATS)}, however: got "
            f"{form or 'a name that does not say'}; use --format"
        )
    if separator is not None and (form not in ("csv", "tsv") or len(separator) != 1 or separator in '"\r\n'):
        raise RequestError(f"a separator must be one character of a CSV file, however: got {separator!r}")
    with path.open("rb") as file:
        head = file.read(6)
    if not head:
        raise TableError(f"{path} is empty")
    for magic, what in _MAGIC.items():
        if head.startswith(magic) and (form, magic) != ("parquet", b"PAR1"):
            raise TableError(f"{path} must be {form}, however: it is {what}")
    if form == "parquet":
        from embreg.streaming.parquet_table import ParquetTable

        return ParquetTable(path)
    if form == "jsonl":
        from embreg.streaming.json_table import JsonTable

        return JsonTable(path)
    from embreg.streaming.csv_table import CsvTable

    return CsvTable(path, form, separator)
