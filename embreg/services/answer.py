"""Vectors in the answer of a service, in the order of the texts, or what is wrong with it."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np

from embreg.services.errors import BadAnswer

__all__ = ["billed", "vectors"]


def vectors(answer: Any, n: int) -> np.ndarray:
    """Vectors of `n` texts as float32 of shape ``(n, d)``.

    Raises
    ------
    BadAnswer
        Another number of vectors than of texts, numbers of texts that are not 0 … n-1, vectors of
        different widths or of something else than numbers. Nothing of such an answer is used: a service
        that left one out may have counted the others anew.
    """
    data = getattr(answer, "data", None)
    if not isinstance(data, list):
        raise BadAnswer("something that is no list of embeddings")
    if len(data) != n:
        raise BadAnswer(f"{len(data)} vectors for {n} texts")
    found = [_vector(getattr(item, "embedding", None)) for item in data]
    widths = sorted({len(v) for v in found})
    if len(widths) != 1 or widths[0] == 0:
        raise BadAnswer(f"vectors of widths {widths}")
    out = np.empty((n, widths[0]), dtype=np.float32)
    for place, vector in zip(_places(data), found, strict=True):
        out[place] = vector
    return out


def billed(answer: Any) -> int | None:
    """Tokens that the service says it read; None when it does not say."""
    usage = getattr(answer, "usage", None)
    for name in ("total_tokens", "prompt_tokens"):
        count = getattr(usage, name, None)
        if isinstance(count, int) and count > 0:
            return count
    return None


def _places(data: list[Any]) -> list[int]:
    """Number of the text that each vector belongs to."""
    numbers: list[Any] = [getattr(item, "index", None) for item in data]
    if all(i is None for i in numbers):  # then the order is all there is
        return list(range(len(data)))
    # Servers that write protocol buffers as JSON leave zeros out.
    numbers = [0 if i is None else i for i in numbers]
    if sorted(map(str, numbers)) != sorted(map(str, range(len(data)))):
        raise BadAnswer(f"vectors that are not numbered 0 to {len(data) - 1}")
    return [int(i) for i in numbers]


def _vector(value: Any) -> np.ndarray:
    """One vector, from base64 or from a list: servers may answer with either, whatever was asked for."""
    try:
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as such
            if isinstance(value, str):
                raw = base64.b64decode(value, validate=True)
                return np.frombuffer(raw, dtype="<f4").astype(np.float32)
            if not isinstance(value, list):
                raise BadAnswer(f"a vector of type {type(value).__name__}")
            # JSON has no NaN: servers write null, which becomes one again here.
            return np.asarray(value, dtype=np.float64).reshape(len(value)).astype(np.float32)
    except (ValueError, TypeError, binascii.Error):
        raise BadAnswer("a vector that does not hold numbers") from None
