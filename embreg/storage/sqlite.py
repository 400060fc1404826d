"""The SQLite file of one embedding space: how it is opened, written, read and set aside."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from embreg.storage.row import Record, Row, is_whole, unpack

__all__ = [
    "LOGS", "PATIENCE", "TROUBLE", "connect", "descriptions", "exclusive", "holds", "insert", "is_damage",
    "last_use", "read", "scan", "set_aside",
]  # fmt: skip

PATIENCE = 60.0
"""Seconds to wait for another process that is writing."""

LOGS = ("-wal", "-shm")
"""What SQLite puts beside a file while it is in use."""

_BLOCK = 500  # parameters in one SQL statement; SQLite's default limit was 999 for long
_COLUMNS = "key, vector, n_tokens, n_unk, truncated, sum"
# Several vectors of any usual width fill a page with little left over; a page is also what one small
# write costs.
_PAGE = 16384

# UnicodeDecodeError: SQLite's message quotes a damaged name.
TROUBLE = (sqlite3.Error, OSError, UnicodeDecodeError)
"""What reading or writing a file may raise."""

# Trouble that says nothing about the content of the file. Whatever else SQLite reports is damage.
_PASSING = {
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOLFS,
}  # fmt: skip


@contextmanager
def connect(path: Path, space: Mapping[str, Any] | None = None) -> Iterator[sqlite3.Connection]:
    """Connection that is closed at the end: sqlite3's own context manager leaves it open.

    Parameters
    ----------
    path : Path
    space : mapping, optional
        Given for writing: the file is made when it is absent. Reading works on read-only media.

    Raises
    ------
    sqlite3.Error, OSError
        The file is absent, damaged, or holds another space than `space`.
    """
    mode = "rw" if space is None else "rwc"  # rw also tidies up the log when the last one closes
    if space is None and not (os.access(path.parent, os.W_OK) and os.access(path, os.W_OK)):
        # SQLite would have to put a log beside the file; with no writer at work, it needs none.
        log = path.with_name(path.name + "-wal")
        mode = "ro" if log.exists() else "ro&immutable=1"
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=PATIENCE)
    try:
        db.text_factory = bytes  # what should be a blob is never decoded
        if space is not None:
            _create(db, space)
        yield db
    finally:
        # After an error in a damaged file, closing may fail as well; the first error says more.
        with suppress(sqlite3.Error):
            db.close()


def _create(db: sqlite3.Connection, space: Mapping[str, Any]) -> None:
    """Begin to write; the tables, when they are new, appear together with the first rows."""
    db.execute(f"PRAGMA page_size={_PAGE}")  # of a new file
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute("BEGIN IMMEDIATE")
    # Not WITHOUT ROWID, as in files of the first versions: rows as long as these then take up to three
    # times the room and four times as long to write.
    db.execute(
        "CREATE TABLE IF NOT EXISTS rows (key BLOB PRIMARY KEY NOT NULL, vector BLOB NOT NULL, "
        "n_tokens INTEGER NOT NULL, n_unk INTEGER NOT NULL, truncated INTEGER NOT NULL, sum BLOB NOT NULL)"
    )
    db.execute("CREATE TABLE IF NOT EXISTS space (description TEXT PRIMARY KEY)")
    db.execute("INSERT OR IGNORE INTO space VALUES (?)", [_text(space)])
    holds(db, space)


def holds(db: sqlite3.Connection, space: Mapping[str, Any]) -> bool:
    """Tell whether there are rows of `space` in the file, or nothing at all yet.

    Raises
    ------
    sqlite3.DatabaseError
        There is something else.
    """
    found = descriptions(db)
    if found and found != [_text(space).encode()]:
        raise sqlite3.DatabaseError("it describes another space")
    return bool(found)


def descriptions(db: sqlite3.Connection) -> list[bytes]:
    """What the file says that it holds, which should be one text; nothing in a file just begun.

    Raises
    ------
    sqlite3.DatabaseError
        It says nothing, and is not new.
    """
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if not tables and db.execute("PRAGMA page_count").fetchone()[0] <= 1:
        return []
    found = [text for (text,) in db.execute("SELECT description FROM space")]
    if not found:
        raise sqlite3.DatabaseError("it describes no space")
    return found


def _text(space: Mapping[str, Any]) -> str:
    return json.dumps(space, sort_keys=True)


@contextmanager
def exclusive(path: Path) -> Iterator[sqlite3.Connection]:
    """Connection to a file that nobody else has open, and nobody else can use until the end.

    Raises
    ------
    sqlite3.OperationalError
        Another process has it open (``database is locked``).
    """
    name = f"{path.absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(name, uri=True, timeout=1.0)) as db:
        db.text_factory = bytes
        # With a log too: whoever has the file open then holds a lock on it, reading or not.
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        try:
            db.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:
                raise
            # By its permissions, or by a flipped bit; reading takes the lock as well.
            db.execute("BEGIN")
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield db


def insert(db: sqlite3.Connection, records: Iterable[Record]) -> None:
    """Add rows, without a commit.

    Raises
    ------
    sqlite3.DatabaseError
        They are not found again: the tree is damaged.
    """
    records = list(records)
    db.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?, ?)", records)
    sums = {r[0]: r[5] for r in records}
    if dict(_select(db, "key, sum", list(sums))) != sums:
        raise sqlite3.DatabaseError("rows that were added are not found")


def read(db: sqlite3.Connection, wanted: Mapping[bytes, str], found: dict[str, Row]) -> int:
    """Fill `found` with the rows of the keys `wanted`; returns how many rows failed their check."""
    damaged = 0
    for record in _select(db, _COLUMNS, list(wanted)):
        # A damaged index may lead to a row that is whole and another one.
        if is_whole(record) and record[0] in wanted:
            found[wanted[record[0]]] = unpack(record)
        else:
            damaged += 1
    return damaged


def _select(db: sqlite3.Connection, columns: str, keys: list[bytes]) -> Iterator[tuple[Any, ...]]:
    for start in range(0, len(keys), _BLOCK):
        block = keys[start : start + _BLOCK]
        marks = ",".join("?" * len(block))
        yield from db.execute(f"SELECT {columns} FROM rows WHERE key IN ({marks})", block)


def scan(db: sqlite3.Connection, *, backwards: bool = False) -> Iterator[Record | None]:
    """Every row of the file, in the order of the file; None for one that fails its check."""
    order = ""
    if backwards:
        [(sql,)] = db.execute("SELECT sql FROM sqlite_master WHERE name = 'rows'")
        order = f"ORDER BY {'key' if b'WITHOUT ROWID' in sql else 'rowid'} DESC"
    for record in db.execute(f"SELECT {_COLUMNS} FROM rows {order}"):
        yield record if is_whole(record) else None


def is_damage(error: Exception) -> bool:
    """Tell an error of the content from one of the moment (locked, full, not allowed)."""
    # The low byte is the kind of error, the rest its details.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return not isinstance(error, OSError) and code & 0xFF not in _PASSING


def last_use(path: Path) -> float:
    """Seconds since the epoch when the file was last written or read from.

    Raises
    ------
    FileNotFoundError
    """
    used = path.stat().st_mtime
    with suppress(OSError):
        log = path.with_name(path.name + "-wal").stat()
        if log.st_size:  # an empty one belongs to a process that only looks
            used = max(used, log.st_mtime)
    return used


def set_aside(path: Path) -> None:
    """Rename a damaged file and its logs to ``*.damaged``, over what was set aside before."""
    for suffix in ("", *LOGS):
        part = path.with_name(path.name + suffix)
        with suppress(OSError):
            part.replace(part.with_name(part.name + ".damaged"))
