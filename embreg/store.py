"""Embeddings on disk: one SQLite file per embedding space, one row per distinct string.

A space is everything that changes the numbers (model, digests, pooling, layer, dtype, versions);
its digest names the file, so that a vector can never be served for another setting. Each row has
a checksum. A row or file that fails its check is recomputed with a warning.

`embreg.spaces` looks at all files of a folder: lists, verifies, removes and exports them.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Hashable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from embreg._files import digest, home
from embreg.storage import sqlite as _sqlite
from embreg.storage.row import Record, Row, key_of, pack
from embreg.storage.sqlite import TROUBLE

__all__ = ["Buffer", "Row", "Store", "StoreWarning"]

_SECONDS = 2.0  # between writes of a buffer
_HOUR = 3600.0  # last use is kept this exactly
_TRIES = 3


class StoreWarning(UserWarning):
    """The store could not be read or written; results are right all the same."""


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
    >>> import numpy as np
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
        wanted = {key_of(t): t for t in texts}
        found: dict[str, Row] = {}
        seen = None
        try:
            seen = self.path.stat()
            if not seen.st_size:  # another process is about to fill it
                return {}
            with _sqlite.connect(self.path) as db:
                if not _sqlite.holds(db, self.space):  # likewise
                    return {}
                damaged = _sqlite.read(db, wanted, found)
                faults = db.execute("PRAGMA integrity_check(1)").fetchone()[0] if damaged else b"ok"
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except TROUBLE as error:
            if _sqlite.is_damage(error):
                self._set_aside(error, seen)
            else:
                self._warn("read", f"{self.path} cannot be read now ({error}); its rows are computed again")
            return {}
        if time.time() - seen.st_mtime > _HOUR:
            with suppress(OSError):  # read-only media
                os.utime(self.path)
        if damaged:
            self._warn("damage", f"{damaged} rows of {self.path} fail their checksum and are computed again")
        if faults != b"ok":  # rows that are added could be out of reach: better a new file
            self._set_aside(faults.decode(errors="replace"), seen)
            self.put(found)
        return found

    def put(self, rows: Mapping[str, Row]) -> None:
        """Add rows in one transaction; a full or read-only disk gives one warning."""
        records = [pack(key_of(text), row) for text, row in rows.items()]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for _ in range(_TRIES):
                seen = self._stat()
                try:
                    self._insert(records)
                except TROUBLE as error:
                    if not _sqlite.is_damage(error):
                        raise
                    self._set_aside(error, seen)
                    self._insert(records)
                # While this waited for its turn, another process may have removed or replaced the file.
                if seen is None or _same(seen, self._stat()):
                    return
        except TROUBLE as error:
            self._warn("write", f"embeddings are not kept: {self.path} cannot be written ({error})")

    def _insert(self, records: list[Record]) -> None:
        with _sqlite.connect(self.path, self.space) as db:
            _sqlite.insert(db, records)
            db.commit()

    def _stat(self) -> os.stat_result | None:
        try:
            return self.path.stat()
        except FileNotFoundError:
            return None

    def _set_aside(self, error: object, seen: os.stat_result | None) -> None:
        self._warn(
            "damage", f"{self.path} cannot be read ({error}); it is set aside as *.damaged and rebuilt"
        )
        if _same(seen, self._stat()):  # else another process was faster, and this file is a new one
            _sqlite.set_aside(self.path)

    def _warn(self, kind: str, message: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            warnings.warn(message, StoreWarning, stacklevel=4)


def _same(one: os.stat_result | None, other: os.stat_result | None) -> bool:
    return one is not None and other is not None and os.path.samestat(one, other)


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
    >>> import numpy as np
    >>> store = Store({"model": "m"}, tempfile.mkdtemp())
    >>> with Buffer({"mean": store, "max": None}) as buffer:
    ...     buffer.add("mean", {"a text": Row(np.ones(2, np.float32), 3, 0, False)})
    >>> len(store.get(["a text"]))
    1
    """

    def __init__(self, stores: Mapping[Any, Store | None]) -> None:
        self._stores = {name: store for name, store in stores.items() if store is not None}
        self._sqlite: dict[Hashable, dict[str, Row]] = {name: {} for name in self._stores}
        self._written = time.monotonic()

    def add(self, name: Hashable, rows: Mapping[str, Row]) -> None:
        """Take rows for the store `name`."""
        if name in self._sqlite:
            self._sqlite[name].update(rows)
        if time.monotonic() - self._written > _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        for name, rows in self._sqlite.items():
            if rows:
                self._stores[name].put(rows)
                rows.clear()
        self._written = time.monotonic()

    def __enter__(self) -> Buffer:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
