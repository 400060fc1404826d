"""Make room: remove what a store has not used for long, or what is too much."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from embreg.storage.spacefile import leftovers, spaces, store_folder
from embreg.storage.sqlite import LOGS, TROUBLE, exclusive, is_damage, last_use

__all__ = ["RECENT", "Freed", "gc"]

RECENT = 600.0
"""Seconds after its last use in which a space may be waiting for the next rows of a long batch."""


@dataclass(frozen=True)
class Freed:
    """One file that was chosen to be removed.

    Attributes
    ----------
    path : Path
    label : str
    size : int
        Bytes.
    why : str
        Why it was chosen.
    kept : str
        Why it is still there; empty otherwise.
    failed : bool
        It is still there because the system refused.
    """

    path: Path
    label: str
    size: int
    why: str
    kept: str = ""
    failed: bool = False


def gc(
    folder: str | Path | None = None,
    *,
    older_than: float | None = None,
    max_size: float | None = None,
    damaged: bool = False,
    dry_run: bool = False,
) -> list[Freed]:
    """Remove spaces, least recently used first, and damaged files that were set aside.

    A space that was used in the last ten minutes, or that another process has open, is kept.

    Parameters
    ----------
    folder : str or Path, optional
        ``home()/store`` by default.
    older_than : float, optional
        Seconds: spaces not used for longer go.
    max_size : float, optional
        Bytes: spaces go until the rest, with the damaged files that stay, is no larger.
    damaged : bool
        Remove files that were set aside, and temporary files of processes that were killed.
    dry_run : bool
        Remove nothing.

    Returns
    -------
    list of Freed
        In the order of removal.

    Examples
    --------
    >>> import os, tempfile, numpy as np
    >>> from embreg.store import Row, Store
    >>> store = Store({"model": "m"}, tempfile.mkdtemp())
    >>> store.put({"a": Row(np.ones(2), 3, 0, False)})
    >>> os.utime(store.path, (0, 0))
    >>> [freed.why for freed in gc(store.folder, older_than=3600)]
    ['unused for long']
    """
    folder = store_folder(folder)
    now = time.time()
    out: list[Freed] = []
    rest = 0
    for path in leftovers(folder):
        size = _size(path)
        if damaged:
            out.append(Freed(path, path.name, size, "set aside"))
        else:
            rest += size
    by_use = sorted(spaces(folder), key=lambda f: f.used)
    rest += sum(f.size for f in by_use)
    for file in by_use:
        old = older_than is not None and now - file.used > older_than
        large = max_size is not None and rest > max_size
        if not (old or large):
            continue
        freed = Freed(file.path, file.label, file.size, "unused for long" if old else "over the size")
        if now - file.used < RECENT:
            freed = replace(freed, kept="used in the last ten minutes")
        elif not dry_run:
            freed = _remove(freed)
        if not freed.kept:
            rest -= file.size
        out.append(freed)
    if not dry_run:
        out = [_unlink(f) if f.why == "set aside" else f for f in out]
    return out


def _remove(freed: Freed) -> Freed:
    """Remove one space."""
    try:
        with exclusive(freed.path):
            if time.time() - last_use(freed.path) < RECENT:
                return replace(freed, kept="used at this moment")
    except FileNotFoundError:
        return freed
    except TROUBLE as error:
        if not is_damage(error):
            return replace(freed, kept=f"in use ({error})")
        # Not a database: nobody can be writing to it.
        for end in LOGS:
            _unlink(replace(freed, path=freed.path.with_name(freed.path.name + end)))
    # A writer that comes in between sees that its file has gone, and makes a new one.
    return _unlink(freed)


def _unlink(freed: Freed) -> Freed:
    try:
        freed.path.unlink(missing_ok=True)
    except OSError as error:
        return replace(freed, kept=str(error), failed=True)
    return freed


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
