"""JSON Lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

from embreg._progress import Progress
from embreg.streaming.choice import Choice
from embreg.streaming.text_table import Record, TextTable

__all__ = ["JsonTable"]


class JsonTable(TextTable):
    """Objects that all have the same keys; the first one sets their order."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "jsonl")
        with closing(self._objects()) as objects:
            first = next(objects, None)
        if first is None:
            raise self.error("there must be rows, however: there is none")
        self.names = list(first[1])

    def records(self, choice: Choice, bar: Progress | None = None) -> Generator[Record, None, None]:
        """Yield rows; cells are in the order of ``choice.used``."""
        used, known = choice.used, set(self.names)
        what = "every row must have the same keys, however:"
        with closing(self._objects(bar)) as objects:
            for line, row in objects:
                try:
                    cells = [row[name] for name in used]
                except KeyError as error:
                    raise self.error(
                        f"{what} {error.args[0]!r} is not there; write null for a missing value", line
                    ) from None
                if choice.every and len(row) > len(known & row.keys()):
                    new = next(key for key in row if key not in known)
                    raise self.error(
                        f"{what} the first row has no {new!r}; write null for a missing value, or choose "
                        "with --columns",
                        line,
                    )
                yield line, cells

    def _objects(self, bar: Progress | None = None) -> Generator[tuple[int, dict[str, Any]], None, None]:
        what = "a line must be one JSON object, however:"
        with closing(self.lines(bar)) as lines:
            for line, text in enumerate(lines, 1):
                if not text.strip():
                    continue
                try:
                    row = json.loads(text, object_pairs_hook=_once)
                except json.JSONDecodeError as error:
                    array = "; a JSON array is not JSON Lines" if text.lstrip()[0] == "[" else ""
                    raise self.error(f"{what} {error.msg} at column {error.colno}{array}", line) from None
                except (ValueError, RecursionError) as error:
                    raise self.error(f"{what} {error}", line) from None
                if not isinstance(row, dict):
                    raise self.error(f"{what} got {type(row).__name__} {row!r:.40}", line)
                yield line, row


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Object whose keys differ: Python would take the last of two without a word."""
    out = dict(pairs)
    if len(out) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)!r} comes twice")
    return out
