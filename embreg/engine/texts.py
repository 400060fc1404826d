"""The strings in what a user passes to an embedder, or an error that says what to pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any

import numpy as np
from scipy.sparse import issparse

__all__ = ["strings"]

_HINT = "embreg.serialize makes one string of each row"


def strings(X: Any) -> list[str]:
    """The input as a list of str.

    Parameters
    ----------
    X : sequence of str, array of shape (n,) or (n, 1), or Series

    Raises
    ------
    TypeError
        Anything else: a single str, a table, numbers, missing values, something without an order.
    ValueError
        No strings at all.

    Examples
    --------
    >>> strings(np.array([["a"], ["b"]]))
    ['a', 'b']
    >>> strings([1.5])
    Traceback (most recent call last):
    ...
    TypeError: every row must be a str, however: row 0 is float 1.5; embreg.serialize makes ...
    """
    if isinstance(X, (str, bytes)):
        raise TypeError(f"a list of strings is needed, however: got one {type(X).__name__} {X[:40]!r}")
    if hasattr(X, "columns"):
        raise TypeError(f"strings are needed, however: got a table of {len(X.columns)} columns; {_HINT}")
    if issparse(X):
        raise TypeError(f"strings are needed, however: got a sparse {type(X).__name__} of shape {X.shape}")
    if isinstance(X, np.ndarray):
        if X.ndim != 1 and (X.ndim != 2 or X.shape[1] != 1):
            raise TypeError(
                f"strings of shape (n,) or (n, 1) are needed, however: X.shape={X.shape}; {_HINT}"
            )
        X = X.ravel().tolist()
    # An iterator could be read once only, and fit and transform both read; a set has no order.
    if isinstance(X, (Iterator, Mapping, Set)) or not hasattr(X, "__iter__"):
        raise TypeError(f"a sequence of strings is needed, however: got {type(X).__name__}; pass a list")
    texts = list(X)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(
                f"every row must be a str, however: row {i} is {type(text).__name__} {text!r:.60}; {_HINT}"
            )
    if not texts:
        raise ValueError("at least one string is needed, however: the input is empty")
    return texts
