"""Files on disk: where they live, how they are written, how they are told apart."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["atomic_path", "digest", "home", "sha256_file"]


def home() -> Path:
    """Folder for weights, stored embeddings and interactive results.

    Returns
    -------
    Path
        ``$EMBREG_HOME`` when set, else the user's cache folder of the operating system.
        It is created when something is written, not here.

    Examples
    --------
    >>> home().name != ""
    True
    """
    if chosen := os.environ.get("EMBREG_HOME"):
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("embreg", appauthor=False)


@contextmanager
def atomic_path(path: str | Path, *, directory: bool = False) -> Iterator[Path]:
    """Temporary sibling of `path` that takes its place when the block ends without an error.

    A reader sees the old content or the whole new one, never a part; for a folder that replaces
    another there is a moment in between when neither is there. The temporary sits in the same folder
    because a rename across file systems is a copy.

    Parameters
    ----------
    path : str or Path
        Final file or folder. Its parents are created.
    directory : bool
        The temporary is a folder; an existing folder at `path` is replaced.

    Yields
    ------
    Path
        Where to write. A file does not exist yet; a folder exists and is empty.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a" / "note.txt"
    >>> with atomic_path(target) as tmp:
    ...     _ = tmp.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not from tempfile: what it makes is for the owner alone, and so would the finished folder be.
    tmp, old = (path.parent / f".{path.name}.{secrets.token_hex(8)}.{end}" for end in ("tmp", "old"))
    if directory:
        tmp.mkdir()
    try:
        yield tmp
        if directory and path.exists():
            # os.replace cannot put a folder over a full one: step the old one aside first.
            os.replace(path, old)
            try:
                os.replace(tmp, path)
            except OSError:
                os.replace(old, path)
                raise
        else:
            os.replace(tmp, path)
    finally:
        for left in (tmp, old):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


def sha256_file(path: str | Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits, read in blocks.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "empty"
    >>> target.touch()
    >>> sha256_file(target)[:8]
    'e3b0c442'
    """
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def digest(value: Any) -> str:
    """SHA-256 of a JSON-like value; independent of the order of dictionary keys.

    Raises
    ------
    TypeError
        `value` holds something JSON does not know (an array, a Path): a key made from its
        ``repr`` could be equal for different content. Keys of a dict must be strings.
    ValueError
        `value` holds a NaN or an infinity.

    Examples
    --------
    >>> digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    True
    """
    _check_keys(value)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _check_keys(value: Any) -> None:
    """Refuse keys that JSON would turn into strings: {1: 0} and {"1": 0} are not the same."""
    if isinstance(value, dict):
        if odd := [k for k in value if not isinstance(k, str)]:
            raise TypeError(f"keys of a dict must be strings, however: got {odd[0]!r}")
        value = value.values()
    elif not isinstance(value, list | tuple):
        return
    for part in value:
        _check_keys(part)
