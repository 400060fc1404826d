"""Look at every row of a store, and repair what is damaged."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from embreg._files import atomic_path
from embreg._progress import Progress
from embreg.storage.row import Record
from embreg.storage.spacefile import SpaceFile, pick, space_of, spaces, store_folder
from embreg.storage.sqlite import (
    TROUBLE,
    connect,
    descriptions,
    exclusive,
    insert,
    is_damage,
    scan,
    set_aside,
)

__all__ = ["Check", "verify"]

_BATCH = 1000  # rows between two steps of the progress bar


@dataclass(frozen=True)
class Check:
    """What was found in one file.

    Attributes
    ----------
    file : SpaceFile
    rows : int
        Whole rows; after a repair, those that were kept.
    damaged : int
        Rows that fail their check.
    fault : str
        What is wrong with the file around them, or why it cannot be looked at; empty if nothing.
    repairable : bool
        There is damage, and not just a file that cannot be read now.
    repaired : bool
        Nothing of it is left in the file. What could not be read at all was set aside as ``*.damaged``.
    """

    file: SpaceFile
    rows: int
    damaged: int = 0
    fault: str = ""
    repairable: bool = False
    repaired: bool = False

    @property
    def clean(self) -> bool:
        """Every row is what was written, and will be found."""
        return self.repaired or not (self.damaged or self.fault)


def verify(
    folder: str | Path | None = None, names: Sequence[str] = (), *, repair: bool = False
) -> list[Check]:
    """Check every row of a store, its key included, and the files around them.

    An embedder checks the rows that it reads; a row whose key is damaged looks absent to it.

    Parameters
    ----------
    folder : str or Path, optional
        ``home()/store`` by default.
    names : sequence of str
        Beginnings of digests; default: all spaces.
    repair : bool
        Write the whole rows of a damaged file to a new one, which takes its place.

    Returns
    -------
    list of Check

    Raises
    ------
    ValueError
        A name fits no space, or several.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from embreg.store import Row, Store
    >>> folder = tempfile.mkdtemp()
    >>> Store({"model": "m"}, folder).put({"a": Row(np.ones(2), 3, 0, False)})
    >>> [(check.rows, check.clean) for check in verify(folder)]
    [(1, True)]
    """
    folder = store_folder(folder)
    checks = []
    chosen = pick(spaces(folder), names, folder)
    with Progress("verifying", sum(f.size for f in chosen)) as bar:
        for file in chosen:
            check = _check(file, bar)
            checks.append(_repair(check) if repair and check.repairable else check)
    return checks


def _check(file: SpaceFile, bar: Progress) -> Check:
    rows = damaged = 0
    faults: list[str] = []
    passing = ""
    try:
        if file.path.stat().st_size:
            with connect(file.path) as db:
                db.execute("BEGIN")  # one state of the file for all that follows
                known = space_of(file.path, descriptions(db))
                faults += _integrity(db, file.path)
                bar.advance(file.size / 2)
                for record in scan(db) if known else ():
                    rows, damaged = rows + (record is not None), damaged + (record is None)
                    if (rows + damaged) % _BATCH == 0:
                        bar.advance(file.size / 2 * min(1.0, _BATCH / max(1, file.rows)))
    except FileNotFoundError:
        pass  # removed meanwhile
    except (*TROUBLE, ValueError) as error:
        if is_damage(error):
            faults.append(str(error))
        else:
            passing = f"it cannot be read now ({error})"
    fault = faults[0] if faults else passing
    return Check(file, rows, damaged, " ".join(fault.split()), repairable=bool(damaged or faults))


def _integrity(db: sqlite3.Connection, path: Path) -> list[str]:
    with open(path, "rb") as f:
        version = f.read(20)[18:19]
    # SQLite takes another number for a file of the future, which it reads and refuses to write, and a file
    # of a few bytes for a new one.
    faults = [] if version in (b"\1", b"\2") else ["its header is damaged"]
    found = [text.decode(errors="replace") for (text,) in db.execute("PRAGMA integrity_check")]
    return faults + (found if found != ["ok"] else [])


def _repair(check: Check) -> Check:
    """Put the whole rows into a new file, which takes the place of the old one in one step."""
    path = check.file.path
    try:
        with atomic_path(path) as new:
            kept = _copy(path, new)
            if check.fault:  # else nothing of worth is left in the old one
                _keep(path)
    except (*TROUBLE, ValueError) as error:
        if is_damage(error):  # so much that nothing can be read
            set_aside(path)
            return replace(check, rows=0, repaired=not path.exists())
        return replace(check, fault="; ".join(filter(None, [check.fault, f"not repaired: {error}"])))
    return replace(check, rows=kept, repaired=True)


def _keep(path: Path) -> None:
    """Give a file that is about to be replaced a second name."""
    aside = path.with_name(path.name + ".damaged")
    try:
        aside.unlink(missing_ok=True)
        os.link(path, aside)
    except OSError:  # not every file system has links; without, there is no file at all for a moment
        set_aside(path)


def _copy(path: Path, new: Path) -> int:
    """Copy whole rows; returns their number."""
    with exclusive(path) as old:
        space = space_of(path, descriptions(old))
        with connect(new, space) as db:
            rows = _salvage(old)
            while batch := list(islice(rows, _BATCH)):
                insert(db, batch)
            db.commit()
            return int(db.execute("SELECT count(*) FROM rows").fetchone()[0])


def _salvage(db: sqlite3.Connection) -> Iterator[Record]:
    """Whole rows from both ends of the file, as far as one gets; some may come twice."""
    for backwards in (False, True):
        try:
            yield from (record for record in scan(db, backwards=backwards) if record is not None)
            return
        except TROUBLE:
            continue
