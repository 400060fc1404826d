"""Files on disk: where they live, how they are written, how they are told apart."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
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

    A reader sees the old content or the whole new one, never a part. The temporary sits in the
    same folder because a rename across file systems is a copy.

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
    >>> target = Path(tempfile.mkdtemp()) / "a" / "note.txt"
    >>> with atomic_path(target) as tmp:
    ...     _ = tmp.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if directory:
        tmp = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    else:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
        tmp = Path(name)
        tmp.unlink()
    try:
        yield tmp
        if directory and path.exists():
            # os.replace cannot put a folder over a full one: step the old one aside first.
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
            os.replace(path, old / path.name)
            os.replace(tmp, path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(tmp, path)
    finally:
        if tmp.is_dir():
            shutil.rmtree(tmp, ignore_errors=True)
        else:
            tmp.unlink(missing_ok=True)


def sha256_file(path: str | Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits, read in blocks.

    Examples
    --------
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
        ``repr`` could be equal for different content.

    Examples
    --------
    >>> digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
