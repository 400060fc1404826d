"""Results of fits on disk, addressed by everything that changes them, so that no fit is done twice.

Two notebooks that compare the same heads on the same features share the work, and a run that was
stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from embreg._files import atomic_path, digest, home

__all__ = ["array_digest", "memoize"]

_SOURCES = ("_bank.py", "_scaling.py", "baselines.py", "experiment.py", "features.py", "head.py", "metrics.py")
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch")


def array_digest(array: np.ndarray) -> str:
    """SHA-256 of shape, dtype and content.

    Examples
    --------
    >>> array_digest(np.zeros(2)) == array_digest(np.zeros((2, 1)))
    False
    """
    h = hashlib.sha256(f"{array.shape}{array.dtype.str}".encode())
    h.update(np.ascontiguousarray(array).data)
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

    Examples
    --------
    >>> import tempfile
    >>> os.environ["EMBREG_HOME"], before = tempfile.mkdtemp(), os.environ.get("EMBREG_HOME")
    >>> memoize({"a": 1}, lambda: [1.5]), memoize({"a": 1}, lambda: 1 / 0)
    ([1.5], [1.5])
    >>> _ = os.environ.pop("EMBREG_HOME") if before is None else os.environ.update(EMBREG_HOME=before)
    """
    if os.environ.get("EMBREG_MEMO") == "off":
        return compute()
    key = digest({"inputs": inputs, "code": _code()})
    path = home() / "memo" / key[:2] / f"{key}.json"
    if (stored := _read(path)) is not None:
        return stored
    result = compute()
    text = json.dumps(result, allow_nan=False)
    try:
        with atomic_path(path) as tmp:
            tmp.write_text(json.dumps({"sum": hashlib.sha256(text.encode()).hexdigest(), "result": text}))
    except OSError:
        return result  # a full or read-only disk costs time later, not results now
    return result


def _read(path: Path) -> Any:
    """Stored result, or None when it is absent or damaged."""
    try:
        stored = json.loads(path.read_text())
        text = stored["result"]
        if hashlib.sha256(text.encode()).hexdigest() != stored["sum"]:
            return None
        return json.loads(text)
    except (OSError, ValueError, KeyError, TypeError):
        return None


@lru_cache(maxsize=1)
def _code() -> dict[str, str]:
    folder = Path(__file__).parent
    sources = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in _SOURCES}
    libraries = {name: version(name) for name in _LIBRARIES}
    for name in ("xgboost-cpu", "xgboost"):
        try:
            libraries[name] = version(name)
        except ModuleNotFoundError:
            continue
    return sources | libraries
