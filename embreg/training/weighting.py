"""Weights of rows: checked, brought to a mean of 1, and the mean and spread that they give."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight

from embreg._scaling import spread

__all__ = ["check_weights", "mean_one", "weighted_mean", "weighted_spread"]


def check_weights(weights: Any, X: np.ndarray, name: str) -> np.ndarray | None:
    """Weights of the rows of X as scikit-learn checks them; None when all are equal.

    Parameters
    ----------
    weights : float, array-like of shape (n,), or None
    X : ndarray of shape (n, d)
    name : str
        For the error.

    Returns
    -------
    ndarray of shape (n,), float64, or None
        The largest is 1.

    Raises
    ------
    ValueError
        Negative or NaN weights, a wrong length, or no positive one.

    Examples
    --------
    >>> check_weights([1, 2], np.ones((2, 3)), "sample_weight").tolist()
    [0.5, 1.0]
    >>> check_weights([3, 3], np.ones((2, 3)), "sample_weight") is None
    True
    """
    if weights is None:
        return None
    try:
        out = _check_sample_weight(weights, X, dtype=np.float64, ensure_non_negative=True)
    except ValueError as error:
        # scikit-learn knows one name only.
        raise ValueError(str(error).replace("sample_weight", name)) from None
    if not (out > 0).any():
        raise ValueError(f"{name} must have a positive weight, however: all {len(out)} are zero")
    return None if (out == out[0]).all() else out / out.max()


def mean_one(weights: np.ndarray | None) -> np.ndarray | None:
    """Weights divided by their mean: the size of a step stays what it is without weights.

    Examples
    --------
    >>> mean_one(np.array([0.5, 1.0, 1.5])).tolist()
    [0.5, 1.0, 1.5]
    """
    return None if weights is None else weights / weights.mean()


def weighted_mean(values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Mean of each column; a weight of 2 is a row that is there twice.

    Parameters
    ----------
    values : ndarray of shape (n, d), float64
    weights : ndarray of shape (n,), or None

    Examples
    --------
    >>> weighted_mean(np.array([[1.0], [4.0]]), np.array([2.0, 1.0])).tolist()
    [2.0]
    """
    if weights is None:
        return np.asarray(values.mean(0))
    return np.asarray((weights / weights.sum()) @ values)


def weighted_spread(values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Standard deviation of each column, as `embreg._scaling.spread`; a weight of 2 is a row twice.

    Examples
    --------
    >>> v = np.array([[1.0], [4.0]])
    >>> bool(np.isclose(weighted_spread(v, np.array([2.0, 1.0])), spread(v[[0, 0, 1]])).all())
    True
    """
    if weights is None:
        return spread(values)
    centred = values - weighted_mean(values, weights)
    largest = np.abs(centred).max(0)
    squares = (centred / np.where(largest > 0, largest, 1.0)) ** 2
    out = largest * np.sqrt(weighted_mean(squares, weights))
    return np.where(values.max(0) > values.min(0), out, 0.0)
