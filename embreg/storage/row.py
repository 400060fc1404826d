"""One stored string: its key, its vector and what the tokenizer said of it, and the check of all three."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np

__all__ = ["Record", "Row", "is_whole", "key_of", "pack", "unpack"]

Record: TypeAlias = "tuple[bytes, bytes, int, int, int, bytes]"
"""A row of the table: key, vector, n_tokens, n_unk, truncated, checksum."""

_TYPES = (bytes, bytes, int, int, int, bytes)


@dataclass(frozen=True)
class Row:
    """One stored string: its vector and what the tokenizer said of it.

    Attributes
    ----------
    vector : ndarray of shape (d,), float32
    n_tokens, n_unk : int
        Tokens that the model read, and unknown tokens among them.
    truncated : bool
        The string was longer than the model reads and was cut.
    """

    vector: np.ndarray
    n_tokens: int
    n_unk: int
    truncated: bool


def key_of(text: str) -> bytes:
    """Digest under which a string is stored.

    Examples
    --------
    >>> len(key_of("a text"))
    20
    """
    # surrogatepass: a lone surrogate is a legal Python string and must have a key of its own.
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).digest()


def pack(key: bytes, row: Row) -> Record:
    """Row as it is written."""
    vector = np.asarray(row.vector).astype("<f4").tobytes()
    counts = int(row.n_tokens), int(row.n_unk), int(row.truncated)
    return key, vector, *counts, _checksum(key, vector, *counts)


def unpack(record: Record) -> Row:
    """Row as it was before `pack`; its vector may be changed."""
    vector = np.frombuffer(bytearray(record[1]), "<f4").astype(np.float32, copy=False)
    return Row(vector, record[2], record[3], bool(record[4]))


def _checksum(key: bytes, vector: bytes, n_tokens: int, n_unk: int, truncated: int) -> bytes:
    # One string: three updates take longer than the copy.
    return blake2b(key + vector + b"%d,%d,%d" % (n_tokens, n_unk, truncated), digest_size=8).digest()


def is_whole(record: tuple[Any, ...]) -> bool:
    """Tell whether a row is what was written; a flipped bit in its header changes types."""
    return tuple(map(type, record)) == _TYPES and record[5] == _checksum(*record[:5])
