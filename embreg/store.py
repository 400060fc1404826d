"""Embeddings on disk: one SQLite file per embedding space, one row per distinct string.

A space is everything that changes the numbers (model, digests, pooling, layer, dtype, versions);
its digest names the file, so that a vector can never be served for another setting. Each row has
a checksum. A row or file that fails its check is recomputed with a warning.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
import warnings
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embreg._files import digest, home

__all__ = ["Buffer", "Row", "Store", "StoreWarning"]

PATIENCE = 60.0
"""Seconds to wait for another process that is writing."""

_SECONDS = 2.0  # between writes of a buffer
_BLOCK = 500  # parameters in one SQL statement; SQLite's default limit was 999 for long

# UnicodeDecodeError: SQLite's message quotes a damaged name.
_TROUBLE = (sqlite3.Error, OSError, UnicodeDecodeError)
# Trouble that says nothing about the content of the file. Whatever else SQLite reports is damage.
_PASSING = {
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOLFS,
}  # fmt: skip


class StoreWarning(UserWarning):
    """The store could not be read or written; results are right all the same."""


@dataclass(frozen=True)
class Row:
    """One stored string: its vector and what the tokenizer said of it.

    Attributes
    ----------
    vector : ndarray of shape (d,), float32
    n_tokens, n_unk : int
        Tokens that the model read, and unknown tokens among them.
    truncated : bool
        The string was longer than the model reads and was cut.
    """

    vector: np.ndarray
    n_tokens: int
    n_unk: int
    truncated: bool


class Store:
    """Content-addressed rows of one embedding space.

    Parameters
    ----------
    space : mapping
        JSON-like description of everything that changes the numbers.
    folder : str or Path, optional
        Where the files live; ``home()/store`` by default.
    warned : set of str, optional
        Kinds of trouble that were reported already. Stores that share one set give one warning of a
        kind together.

    Examples
    --------
    >>> import tempfile
    >>> store = Store({"model": "m"}, tempfile.mkdtemp())
    >>> store.put({"a text": Row(np.ones(2, np.float32), 3, 0, False)})
    >>> store.get(["a text", "another"])["a text"].vector
    array([1., 1.], dtype=float32)
    """

    def __init__(
        self, space: Mapping[str, Any], folder: str | Path | None = None, *, warned: set[str] | None = None
    ) -> None:
        self.space = dict(space)
        self.folder = Path(folder).expanduser() if folder is not None else home() / "store"
        self.path = self.folder / f"{digest(self.space)[:32]}.sqlite"
        self._warned: set[str] = set() if warned is None else warned

    def get(self, texts: Iterable[str]) -> dict[str, Row]:
        """Stored rows of the given strings; those that are absent or damaged are left out."""
        wanted = {_key(t): t for t in texts}
        found: dict[str, Row] = {}
        try:
            if not self.path.stat().st_size:  # another process is about to fill it
                return {}
            with self._connect(write=False) as db:
                damaged = _read(db, wanted, found)
                faults = db.execute("PRAGMA integrity_check(1)").fetchone()[0] if damaged else b"ok"
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except _TROUBLE as error:
            if _is_damage(error):
                self._set_aside(error)
            else:
                self._warn("read", f"{self.path} cannot be read now ({error}); its rows are computed again")
            return {}
        if damaged:
            self._warn("damage", f"{damaged} rows of {self.path} fail their checksum and are computed again")
        if faults != b"ok":  # rows that are added could be out of reach: better a new file
            self._set_aside(faults.decode(errors="replace"))
            self.put(found)
        return found

    def put(self, rows: Mapping[str, Row]) -> None:
        """Add rows in one transaction; a full or read-only disk gives one warning."""
        values = []
        for text, row in rows.items():
            counts = int(row.n_tokens), int(row.n_unk), int(row.truncated)
            head = (_key(text), np.asarray(row.vector).astype("<f4").tobytes(), *counts)
            values.append((*head, _checksum(*head)))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                self._insert(values)
            except _TROUBLE as error:
                if not _is_damage(error):
                    raise
                self._set_aside(error)
                self._insert(values)
        except _TROUBLE as error:
            self._warn("write", f"embeddings are not kept: {self.path} cannot be written ({error})")

    def _insert(self, values: list[tuple]) -> None:
        with self._connect(write=True) as db:
            db.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?, ?)", values)
            back: dict[str, Row] = {}
            if _read(db, {v[0]: v[0].hex() for v in values}, back) or len(back) < len(values):
                raise sqlite3.DatabaseError("rows that were added are not found")
            db.commit()

    @contextmanager
    def _connect(self, *, write: bool) -> Iterator[sqlite3.Connection]:
        """A connection that is closed at the end: sqlite3's own context manager leaves it open."""
        mode = "rwc" if write else "rw"  # rw also tidies up the log when the last one closes
        if not write and not (os.access(self.folder, os.W_OK) and os.access(self.path, os.W_OK)):
            # SQLite would have to put a log beside the file; with no writer at work, it needs none.
            log = self.path.with_name(self.path.name + "-wal")
            mode = "ro" if log.exists() else "ro&immutable=1"
        name = f"{self.path.absolute().as_uri()}?mode={mode}"
        db = sqlite3.connect(name, uri=True, timeout=PATIENCE)
        try:
            db.text_factory = bytes  # what should be a blob is never decoded
            if write:
                _create(db, self.space)
            yield db
        finally:
            # After an error in a damaged file, closing may fail as well; the first error says more.
            with suppress(sqlite3.Error):
                db.close()

    def _set_aside(self, error: object) -> None:
        self._warn(
            "damage", f"{self.path} cannot be read ({error}); it is set aside as *.damaged and rebuilt"
        )
        for suffix in ("", "-wal", "-shm"):
            part = self.path.with_name(self.path.name + suffix)
            with suppress(OSError):
                part.replace(part.with_name(part.name + ".damaged"))

    def _warn(self, kind: str, message: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            warnings.warn(message, StoreWarning, stacklevel=4)


def _create(db: sqlite3.Connection, space: Mapping[str, Any]) -> None:
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute(
        "CREATE TABLE IF NOT EXISTS rows (key BLOB PRIMARY KEY, vector BLOB NOT NULL, "
        "n_tokens INTEGER NOT NULL, n_unk INTEGER NOT NULL, truncated INTEGER NOT NULL, "
        "sum BLOB NOT NULL) WITHOUT ROWID"
    )
    db.execute("CREATE TABLE IF NOT EXISTS space (description TEXT PRIMARY KEY)")
    db.execute("INSERT OR IGNORE INTO space VALUES (?)", [json.dumps(space, sort_keys=True)])
    db.commit()


def _read(db: sqlite3.Connection, wanted: Mapping[bytes, str], found: dict[str, Row]) -> int:
    """Fill `found`; returns how many rows failed their check."""
    keys, damaged = list(wanted), 0
    for start in range(0, len(keys), _BLOCK):
        block = keys[start : start + _BLOCK]
        marks = ",".join("?" * len(block))
        query = f"SELECT key, vector, n_tokens, n_unk, truncated, sum FROM rows WHERE key IN ({marks})"
        for *head, stored in db.execute(query, block):
            # A flipped bit in a row's header changes types.
            if [type(v) for v in head] != [bytes, bytes, int, int, int] or stored != _checksum(*head):
                damaged += 1
                continue
            key, vector, n_tokens, n_unk, truncated = head
            array = np.frombuffer(vector, "<f4").astype(np.float32)
            found[wanted[key]] = Row(array, n_tokens, n_unk, bool(truncated))
    return damaged


def _is_damage(error: Exception) -> bool:
    # The low byte is the kind of error, the rest its details.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return not isinstance(error, OSError) and code & 0xFF not in _PASSING


class Buffer:
    """Rows on their way to several stores, written every two seconds and at the end, whatever ends it.

    A transaction for every batch would take longer than a small batch; a process that is killed loses
    two seconds of work.

    Parameters
    ----------
    stores : mapping
        Name to `Store`, or to None where nothing is kept.

    Examples
    --------
    >>> import tempfile
    >>> store = Store({"model": "m"}, tempfile.mkdtemp())
    >>> with Buffer({"mean": store, "max": None}) as buffer:
    ...     buffer.add("mean", {"a text": Row(np.ones(2, np.float32), 3, 0, False)})
    >>> len(store.get(["a text"]))
    1
    """

    def __init__(self, stores: Mapping[Any, Store | None]) -> None:
        self._stores = {name: store for name, store in stores.items() if store is not None}
        self._rows: dict[Hashable, dict[str, Row]] = {name: {} for name in self._stores}
        self._written = time.monotonic()

    def add(self, name: Hashable, rows: Mapping[str, Row]) -> None:
        """Take rows for the store `name`."""
        if name in self._rows:
            self._rows[name].update(rows)
        if time.monotonic() - self._written > _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        for name, rows in self._rows.items():
            if rows:
                self._stores[name].put(rows)
                rows.clear()
        self._written = time.monotonic()

    def __enter__(self) -> Buffer:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()


def _key(text: str) -> bytes:
    # surrogatepass: a lone surrogate is a legal Python string and must have a key of its own.
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).digest()


def _checksum(key: bytes, vector: bytes, n_tokens: int, n_unk: int, truncated: int) -> bytes:
    h = hashlib.blake2b(key, digest_size=8)
    h.update(vector)
    h.update(f"{n_tokens},{n_unk},{truncated}".encode())
    return h.digest()
