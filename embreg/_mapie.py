"""What MAPIE sees of an estimator and its rows: strings and records reach the estimator as they came."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, RegressorMixin, clone

__all__ = ["Adapter", "as_given", "for_mapie"]


class Adapter(RegressorMixin, BaseEstimator):
    """What MAPIE fits: the estimator, with rows that came as a list handed on as a list."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: Any, y: np.ndarray) -> Adapter:
        """Fit a clone, ``estimator_``."""
        self.estimator_ = clone(self.estimator).fit(as_given(X), y)
        self.fitted_ = True  # MAPIE looks for this name, and warns without it
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predictions of shape (n,)."""
        out = np.asarray(self.estimator_.predict(as_given(X)), dtype=float)
        # Some regressors keep a column that they were not given.
        return out[:, 0] if out.ndim == 2 and out.shape[1] == 1 else out


class Listed(np.ndarray):
    """Items of a list as an array of objects: MAPIE takes rows by number, and counts features."""


def for_mapie(X: Any) -> Any:
    """Rows in a form that MAPIE counts and picks by number; tables and arrays are that already.

    Examples
    --------
    >>> for_mapie(["a", "b"]).shape, as_given(for_mapie(["a", "b"])[1:])
    ((2,), ['b'])
    """
    if issparse(X):
        return X.tocsr()  # the formats that have no rows by number
    if not isinstance(X, list | tuple):
        return X if hasattr(X, "shape") else np.asarray(X)
    rows = np.empty(len(X), dtype=object)
    for i, item in enumerate(X):  # not rows[:] = X, which would look into the items
        rows[i] = item
    return rows.view(Listed)


def as_given(X: Any) -> Any:
    """Undo `for_mapie`: a list again where a list was given."""
    return list(X) if isinstance(X, Listed) else X
