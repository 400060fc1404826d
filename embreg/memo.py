"""Results of fits on disk, addressed by everything that changes them, so that no fit is done twice.

Two notebooks that compare the same heads on the same features share the work, and a run that was
stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from embreg._files import atomic_path, digest, home

__all__ = ["array_digest", "memoize"]

# Every module that a fit runs through; what makes the features and targets shows in their digests.
_SOURCES = (
    "_fit.py", "_scaling.py", "_task.py", "baselines.py", "features.py", "head.py", "metrics.py", "training",
)  # fmt: skip
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "xgboost", "xgboost-cpu")


def array_digest(array: np.ndarray) -> str:
    """SHA-256 of shape, dtype and content.

    Parameters
    ----------
    array : ndarray
        Of numbers or booleans, in any memory order.

    Raises
    ------
    TypeError
        The array holds Python objects: their addresses are no content.

    Examples
    --------
    >>> array_digest(np.zeros(2)) == array_digest(np.zeros((2, 1)))
    False
    """
    if array.dtype.hasobject:
        raise TypeError(f"an array of numbers is needed, however: dtype is {array.dtype}; convert it first")
    h = hashlib.sha256(f"{array.shape}{array.dtype.str}".encode())
    # As bytes: hashlib does not take every type of number.
    h.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return h.hexdigest()


def memoize(inputs: dict[str, Any], compute: Callable[[], Any]) -> Any:
    """Stored result for `inputs`, or the result of `compute`, which is then stored.

    Parameters
    ----------
    inputs : dict
        JSON-like; arrays by `array_digest`. The source of the modules that compute, and the versions
        of the libraries they use, are added here.
    compute : callable
        Gives something JSON-like. ``EMBREG_MEMO=off`` always calls it.

    Returns
    -------
    JSON-like
        The same on the first call as on every later one: tuples are lists already.

    Raises
    ------
    TypeError, ValueError
        `inputs` or the result is not JSON-like, or holds a NaN or an infinity.

    Examples
    --------
    >>> import tempfile
    >>> os.environ["EMBREG_HOME"], before = tempfile.mkdtemp(), os.environ.get("EMBREG_HOME")
    >>> memoize({"a": 1}, lambda: [1.5]), memoize({"a": 1}, lambda: 1 / 0)
    ([1.5], [1.5])
    >>> _ = os.environ.pop("EMBREG_HOME") if before is None else os.environ.update(EMBREG_HOME=before)
    """
    keep = os.environ.get("EMBREG_MEMO") != "off"
    key = digest({"inputs": inputs, "code": _code()})
    path = home() / "memo" / key[:2] / f"{key}.json"
    if keep and (stored := _read(path)) is not None:
        return stored
    text = json.dumps(compute(), allow_nan=False)
    if keep:
        # A full or read-only disk costs time later, not results now.
        with suppress(OSError), atomic_path(path) as tmp:
            record = {"sum": hashlib.sha256(text.encode()).hexdigest(), "result": text}
            tmp.write_text(json.dumps(record), encoding="utf-8")
    return json.loads(text)


def _read(path: Path) -> Any:
    """Stored result, or None when it is absent or damaged."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        text = stored["result"]
        if hashlib.sha256(text.encode()).hexdigest() != stored["sum"]:
            return None
        return json.loads(text)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.py")) if path.is_dir() else [path]


@lru_cache(maxsize=1)
def _code() -> dict[str, str]:
    folder = Path(__file__).parent
    files = [path for name in _SOURCES for path in _files(folder / name)]
    sources = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }
    libraries = {}
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):  # most of them are extras
            libraries[name] = version(name)
    return sources | libraries
