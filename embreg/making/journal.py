"""What was measured, line by line: an append-only file a task that survives a kill at any moment."""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from embreg.making._lock import JournalError, locked

__all__ = ["FORMAT", "Entry", "Journal", "JournalError", "Log", "read"]

FORMAT = 1
"""Raised when the lines change."""

_SYNC = 1.0  # seconds between two waits for the disk


@dataclass(frozen=True, slots=True)
class Entry:
    """One measurement.

    Parameters
    ----------
    index, repeat : int
        Which row, and which measurement of it.
    row : str
        Digest of the row's values: a row that is drawn otherwise later must not be taken for this one.
    y : float or None
    reason : str or None
        Why there is no y.
    seconds : float

    Examples
    --------
    >>> Entry(0, 0, "1f2e", 1.5, None, 0.2).y
    1.5
    """

    index: int
    repeat: int
    row: str
    y: float | None
    reason: str | None
    seconds: float


@dataclass
class Log:
    """What a journal holds: see `read`.

    Attributes
    ----------
    header : dict
        ``format, family, task, space, versions, machine, started``; empty when there is no whole first line.
    entries : dict of (int, int) to Entry
        By index and repeat.
    machines : list of dict
        All that measured, in order.
    size, torn : int
        Bytes of whole lines, and of a broken last one.
    """

    header: dict[str, Any] = field(default_factory=dict)
    entries: dict[tuple[int, int], Entry] = field(default_factory=dict)
    machines: list[dict[str, Any]] = field(default_factory=list)
    size: int = 0
    torn: int = 0


def read(path: Path) -> Log:
    """Read a journal. A last line that was not written to its end is left out.

    Raises
    ------
    JournalError
        A damaged line that is not the last.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "sort.jsonl"
    >>> with Journal(path, {"task": "sort", "machine": {}}) as journal:
    ...     journal.add(Entry(0, 0, "1f2e", 1.5, None, 0.2))
    >>> read(path).entries[0, 0].y
    1.5
    """
    log = Log()
    *lines, tail = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            _take(log, _parse(line), first=number == 1)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # A machine that lost power may have kept the end of the last line and not its middle.
            if number == len(lines) and not tail:
                log.torn = len(line) + 1
                return log
            raise JournalError(
                f"{path}, line {number}: must be whole, however: {error}. Cut the file off before that line "
                "to keep the lines above it, or begin anew with --fresh, which sets the file aside"
            ) from error
        log.size += len(line) + 1
    log.torn = len(tail)
    return log


def _line(content: dict[str, Any]) -> bytes:
    """One line with a checksum, which tells a damaged digit from a true one."""
    body = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))[:-1]
    return f'{body},"crc":"{zlib.crc32(body.encode()):08x}"}}\n'.encode()


def _parse(line: bytes) -> dict[str, Any]:
    body, comma, check = line.rpartition(b',"crc":"')
    if not comma or check != f'{zlib.crc32(body):08x}"}}'.encode():
        raise ValueError("its checksum does not fit its content")
    return dict(json.loads(body + b"}"))


def _take(log: Log, content: dict[str, Any], *, first: bool) -> None:
    if first:
        log.header = content
        log.machines.append(content["machine"])
    elif "machine" in content:
        log.machines.append(content["machine"])
    else:
        entry = Entry(
            content["index"], content["repeat"], content["row"], content.get("y"),
            content.get("infeasible"), content["seconds"],
        )  # fmt: skip
        if (entry.y is None) == (entry.reason is None):
            raise ValueError("it must hold either y or the reason why there is none")
        if (entry.index, entry.repeat) in log.entries:
            raise ValueError(f"row {entry.index}, repeat {entry.repeat} stands in an earlier line too")
        log.entries[entry.index, entry.repeat] = entry


class Journal:
    """The journal of one task, open for writing by this process alone; a context manager.

    Parameters
    ----------
    path : Path
        Made, with its folder, when it is not there.
    header : dict
        Its first line. A journal that is there goes on only if its own says the same, but for ``machine``
        and ``started``.
    fresh : bool
        Set a journal that is there aside as ``<path>.old`` and begin anew.
    say : callable
        Gets a line about whatever happened to the journal.

    Attributes
    ----------
    log : Log

    Raises
    ------
    JournalError
        Another process writes it, it is damaged, or its header differs.

    Examples
    --------
    >>> import tempfile
    >>> with Journal(Path(tempfile.mkdtemp()) / "sort.jsonl", {"machine": {}}) as journal:
    ...     journal.add(Entry(0, 0, "1f2e", None, "does not compile", 0.2))
    ...     len(journal.log.entries)
    1
    """

    def __init__(
        self,
        path: Path,
        header: dict[str, Any],
        *,
        fresh: bool = False,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.path, self.header, self.fresh, self.say = path, header, fresh, say
        self.log = Log()
        self._file = -1
        self._synced = time.monotonic()
        self._stack = ExitStack()

    def __enter__(self) -> Journal:
        with ExitStack() as stack:
            stack.enter_context(locked(self.path))
            if self.fresh and self.path.exists():
                aside = _free(self.path)
                os.replace(self.path, aside)
                self.say(f"{self.path.name} was set aside as {aside.name}")
            self._open()
            stack.callback(self._close)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _open(self) -> None:
        if self.path.exists():
            self.log = read(self.path)
            if self.log.header:
                self._same()
        self._file = os.open(
            self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666
        )
        try:
            if self.log.torn:
                os.ftruncate(self._file, self.log.size)
                self.say(f"{self.path}: the last line was not written to its end, and was cut off")
            if not self.log.header:
                self._write(self.header)
                self.log = Log(self.header, machines=[self.header["machine"]])
            elif self.header["machine"] not in self.log.machines:
                self._write({"machine": self.header["machine"]})
                self.log.machines.append(self.header["machine"])
                self.say(f"{self.path}: begun on another machine; the data card will name both")
        except BaseException:
            os.close(self._file)
            raise

    def _same(self) -> None:
        from embreg.streaming.parts import differences

        free = ("machine", "started")
        there, here = ({k: v for k, v in h.items() if k not in free} for h in (self.log.header, self.header))
        if found := differences(there, here):
            raise JournalError(
                f"{self.path} must come from the same search space and versions, however: it differs in "
                f"{', '.join(found)}. Begin anew with --fresh, which sets the file aside as "
                f"{_free(self.path).name}"
            )

    def add(self, entry: Entry) -> None:
        """Write one measurement; it survives the end of this process from here on.

        Raises
        ------
        OSError
            The disk is full, for instance; nothing of the line is left in the file then.
        """
        outcome = {"infeasible": entry.reason} if entry.y is None else {"y": entry.y}
        self._write({
            "index": entry.index, "repeat": entry.repeat, "row": entry.row, **outcome,
            "seconds": entry.seconds,
        })  # fmt: skip
        self.log.entries[entry.index, entry.repeat] = entry
        if time.monotonic() - self._synced >= _SYNC:
            self.sync()

    def _write(self, content: dict[str, Any]) -> None:
        line = _line(content)
        size = os.fstat(self._file).st_size
        try:
            if (written := os.write(self._file, line)) != len(line):
                raise OSError(f"{self.path}: only {written} of {len(line)} bytes could be written")
        except OSError:
            os.ftruncate(self._file, size)
            raise

    def sync(self) -> None:
        """Wait until the disk has everything."""
        os.fsync(self._file)
        self._synced = time.monotonic()

    def _close(self) -> None:
        try:
            self.sync()
        finally:
            os.close(self._file)


def _free(path: Path) -> Path:
    """Return the first name for a file set aside that is not taken."""
    names = (path.with_name(f"{path.name}.old{i or ''}") for i in range(10**6))
    return next(name for name in names if not name.exists())
