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
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embreg._files import digest, home

__all__ = ["Row", "Store", "StoreWarning"]

_BLOCK = 500  # parameters in one SQL statement; SQLite's default limit was 999 for long


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

    Examples
    --------
    >>> import tempfile
    >>> store = Store({"model": "m"}, tempfile.mkdtemp())
    >>> store.put({"a text": Row(np.ones(2, np.float32), 3, 0, False)})
    >>> store.get(["a text", "another"])["a text"].vector
    array([1., 1.], dtype=float32)
    """

    def __init__(self, space: Mapping[str, Any], folder: str | Path | None = None) -> None:
        self.space = dict(space)
        self.folder = Path(folder) if folder is not None else home() / "store"
        self.path = self.folder / f"{digest(self.space)[:32]}.sqlite"
        self._warned = False

    def get(self, texts: Iterable[str]) -> dict[str, Row]:
        """Stored rows of the given strings; those that are absent or damaged are left out."""
        wanted = {_key(t): t for t in texts}
        if not self.path.exists():
            return {}
        found: dict[str, Row] = {}
        damaged = 0
        try:
            with self._connect() as db:
                keys = list(wanted)
                for start in range(0, len(keys), _BLOCK):
                    block = keys[start : start + _BLOCK]
                    marks = ",".join("?" * len(block))
                    query = (
                        f"SELECT key, vector, n_tokens, n_unk, truncated, sum FROM rows WHERE key IN ({marks})"
                    )
                    for key, vector, n_tokens, n_unk, truncated, stored in db.execute(query, block):
                        if stored != _checksum(key, vector, n_tokens, n_unk, truncated):
                            damaged += 1
                            continue
                        array = np.frombuffer(vector, "<f4").astype(np.float32)
                        found[wanted[key]] = Row(array, n_tokens, n_unk, bool(truncated))
        except sqlite3.OperationalError as error:  # locked or unreadable: not a sign of damage
            self._warn(f"{self.path} cannot be read now ({error}); its rows are computed again")
            return {}
        except sqlite3.DatabaseError as error:
            self._set_aside(error)
            return {}
        if damaged:
            self._warn(f"{damaged} stored rows of {self.path.name} fail their checksum and are recomputed")
        return found

    def put(self, rows: Mapping[str, Row]) -> None:
        """Add rows in one transaction; a full or read-only disk gives one warning."""
        values = []
        for text, row in rows.items():
            head = (_key(text), row.vector.astype("<f4").tobytes(), row.n_tokens, row.n_unk, int(row.truncated))
            values.append((*head, _checksum(*head)))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._connect() as db:
                db.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?, ?)", values)
        except (sqlite3.Error, OSError) as error:
            self._warn(f"embeddings are not kept: {self.path} cannot be written ({error})")

    def _connect(self) -> _Closing:
        db = sqlite3.connect(self.path, timeout=60)
        try:
            if not os.access(self.path, os.W_OK):
                return _Closing(db)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute(
                "CREATE TABLE IF NOT EXISTS rows (key BLOB PRIMARY KEY, vector BLOB NOT NULL, "
                "n_tokens INTEGER NOT NULL, n_unk INTEGER NOT NULL, truncated INTEGER NOT NULL, "
                "sum BLOB NOT NULL) WITHOUT ROWID"
            )
            db.execute("CREATE TABLE IF NOT EXISTS space (description TEXT PRIMARY KEY)")
            db.execute("INSERT OR IGNORE INTO space VALUES (?)", [json.dumps(self.space, sort_keys=True)])
            db.commit()
        except BaseException:
            db.close()
            raise
        return _Closing(db)

    def _set_aside(self, error: Exception) -> None:
        self._warn(f"{self.path} cannot be read ({error}); it is set aside as *.damaged and rebuilt")
        for suffix in ("", "-wal", "-shm"):
            part = self.path.with_name(self.path.name + suffix)
            try:
                part.replace(part.with_name(part.name + ".damaged"))
            except OSError:
                continue

    def _warn(self, message: str) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(message, StoreWarning, stacklevel=4)


class _Closing:
    """Commit and close: sqlite3's own context manager leaves the connection open."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def __enter__(self) -> sqlite3.Connection:
        return self.db

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.db.commit()
            else:
                self.db.rollback()
        finally:
            self.db.close()


def _key(text: str) -> bytes:
    # surrogatepass: a lone surrogate is a legal Python string and must have a key of its own.
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).digest()


def _checksum(key: bytes, vector: bytes, n_tokens: int, n_unk: int, truncated: int) -> bytes:
    h = hashlib.blake2b(key, digest_size=8)
    h.update(vector)
    h.update(f"{n_tokens},{n_unk},{truncated}".encode())
    return h.digest()
