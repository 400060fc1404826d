"""CSV files (RFC 4180), strictly: nothing is skipped, cut or filled in."""

from __future__ import annotations

import csv
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

from embreg._progress import Progress
from embreg.streaming import cells as _cells
from embreg.streaming.choice import Choice
from embreg.streaming.text_table import LONGEST, Record, TextTable

__all__ = ["CsvTable"]


class CsvTable(TextTable):
    """Cells with a one-character separator between them, below a line of names."""

    texts = True

    def __init__(self, path: Path, form: str, separator: str | None) -> None:
        super().__init__(path, form)
        self.separator = separator or ("\t" if form == "tsv" else ",")
        with closing(self._rows()) as rows:
            _, names = next(rows, (1, []))
        self.names = names
        what = "the first line must hold the names of the columns, however: it"
        if not names:
            raise self.error(f"{what} is empty", 1)
        if twice := [n for i, n in enumerate(names) if n in names[:i]]:
            raise self.error(f"every column needs a name of its own, however: {twice[0]!r} comes twice", 1)
        if {_cells.kind_of_text(n) for n in names} <= {"int", "float"} and any("." in n for n in names):
            raise self.error(f"{what} holds numbers ({', '.join(names[:3])}); put names above them", 1)
        others = [c for c in ",;\t|" if c != self.separator and c in names[0]]
        if len(names) == 1 and others and separator is None:
            raise self.error(
                f"cells must be separated by {self.separator!r}, however: {others[0]!r} stands in the only "
                f"name {names[0]!r:.40}; use --separator {others[0]!r}, or --separator {self.separator!r} if "
                "there is one column",
                1,
            )

    def description(self) -> dict[str, Any]:
        """How the file is read."""
        return {"format": self.form, "separator": self.separator}

    def records(self, choice: Choice, bar: Progress | None = None) -> Generator[Record, None, None]:
        """Yield rows; cells are in the order of ``choice.used``."""
        places, width = [self.names.index(name) for name in choice.used], len(self.names)
        with closing(self._rows(bar)) as rows:
            next(rows)
            blank = None
            for line, row in rows:
                if not row:
                    blank = blank or line
                    continue
                if width == 1 and blank is not None:  # of more columns, an empty line holds no row
                    raise self.error(
                        'an empty line may be a missing value or nothing; write it as "", or take it out',
                        blank,
                    )
                if len(row) != width:
                    raise self.error(
                        f"a row must have {width} cells, as the header has, however: got {len(row)}", line
                    )
                yield line, [row[i] for i in places]

    def _rows(self, bar: Progress | None = None) -> Generator[tuple[int, list[str]], None, None]:
        # A limit of the whole process; it is only ever raised.
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST))
        with closing(self.lines(bar)) as lines:
            rows, line = csv.reader(lines, delimiter=self.separator, strict=True), 1
            try:
                for row in rows:
                    yield line, row
                    line = rows.line_num + 1
            except csv.Error as error:
                raise self.error(_plain(str(error), self.separator), line) from None


def _plain(message: str, separator: str) -> str:
    """Say what Python's reader of CSV means."""
    if "unexpected end of data" in message or "field limit" in message:
        return "a quote that opens in this row is never closed"
    if "expected after" in message:
        return (
            f"a closing quote must be followed by {separator!r} or the end of the line, however: text "
            "follows; a quote inside quotes is written twice"
        )
    if "new-line" in message:
        return "a line must end in \\n or \\r\\n, however: a lone \\r is in it; save it with usual line ends"
    return message
