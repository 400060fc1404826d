"""Strings to embed: rows of test functions, of several lengths."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from embreg.serialize import serialize
from embreg.tasks import bbob_points

__all__ = ["dof_for", "mixed_rows", "rows_of"]


def rows_of(dof: int, n: int, seed: int = 0) -> list[str]:
    """Write the points that all tasks of a dof share, in the paper's key-value form."""
    return serialize(bbob_points(dof, max(n, 10), seed)[:n])


def mixed_rows(dofs: Sequence[int], n: int, seed: int = 0) -> list[str]:
    """Shuffle `n` rows of each dof.

    Examples
    --------
    >>> len(mixed_rows([5, 25], 10))
    20
    """
    rows = [text for dof in dofs for text in rows_of(dof, n, seed)]
    return [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]


def dof_for(tokens: int, count: Callable[[list[str]], Sequence[int]]) -> int:
    """Dof whose rows have about so many tokens.

    Parameters
    ----------
    tokens : int
        Wanted tokens of a row.
    count : callable
        Strings to their numbers of tokens.

    Examples
    --------
    >>> dof_for(60, lambda texts: [len(t) for t in texts])
    6
    """
    dof, best = 1, 1
    nearest = np.inf
    while True:
        mean = float(np.mean(count(rows_of(dof, 10))))
        if abs(mean - tokens) < nearest:
            nearest, best = abs(mean - tokens), dof
        if mean > tokens:
            return best
        # A row grows by about as many tokens with each coordinate: no need to try them all.
        dof += max(1, int(0.8 * dof * (tokens / mean - 1)))
