"""Pickles of plain values, from others: opened only when they are the pinned file, and without any object."""

from __future__ import annotations

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["load_plain"]


class _PlainUnpickler(pickle.Unpickler):
    """Builds dicts, lists, tuples, sets, strings, bytes, numbers, booleans and None, and nothing else.

    Every way by which a pickle reaches code starts with a class or a function that it names, and all of
    these names pass through `find_class`.
    """

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for an object kept elsewhere ({pid!r:.60})")


def load_plain(path: str | Path, sha256: str, repair: str) -> Any:
    """Read a pickle that holds plain values only.

    Parameters
    ----------
    path : path
    sha256 : str
        SHA-256 the file must have, 64 hexadecimal digits. Anything else is not opened.
    repair : str
        What to do about a wrong file, for the error.

    Returns
    -------
    Any
        Dicts, lists, strings, numbers.

    Raises
    ------
    ValueError
        Not the pinned file, no whole pickle, or one that names a class or a function; it was not executed.
    OSError
        The file cannot be read.

    Examples
    --------
    >>> import os, tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.pkl"
    >>> _ = path.write_bytes(pickle.dumps({"a": [1.5]}))
    >>> load_plain(path, hashlib.sha256(path.read_bytes()).hexdigest(), "get it again")
    {'a': [1.5]}
    >>> _ = path.write_bytes(pickle.dumps(os.getcwd))
    >>> load_plain(path, hashlib.sha256(path.read_bytes()).hexdigest(), "get it again")
    Traceback (most recent call last):
    ...
    ValueError: ... must hold plain values only, however: it asks for ...getcwd; ...
    """
    # Read once: what is opened below is what was verified, whatever happens to the file in between.
    data = Path(path).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ValueError(
            f"{path} is not the pinned file: its SHA-256 must be {sha256}, however: got {found} "
            f"({len(data):,} bytes). It was not opened. Way out: {repair}"
        )
    try:
        return _PlainUnpickler(io.BytesIO(data)).load()
    # A stream of wrong instructions ends in errors of many kinds.
    except Exception as error:
        raise ValueError(
            f"{path} must hold plain values only, however: {error}; nothing in it was executed. "
            f"Way out: {repair}"
        ) from error
