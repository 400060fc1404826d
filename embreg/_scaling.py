"""Scaling of features and targets, safe for columns that are constant, tiny or huge."""

from __future__ import annotations

import numpy as np

__all__ = ["rescale", "spread"]


def spread(values: np.ndarray) -> np.ndarray:
    """Standard deviation of each column, exactly 0 where it is constant.

    Scaled before it is squared: a target of 1e-200 or 1e200 is as good as one of 1.

    Parameters
    ----------
    values : ndarray of shape (n, d), float64

    Returns
    -------
    ndarray of shape (d,), float64

    Examples
    --------
    >>> spread(np.array([[0.1, 1e-200], [0.1, 3e-200]])).tolist()
    [0.0, 1e-200]
    """
    centred = values - values.mean(0)
    largest = np.abs(centred).max(0)
    out = largest * (centred / np.where(largest > 0, largest, 1.0)).std(0)
    # A mean that was rounded leaves a constant column a spread of rounding errors.
    return np.where(values.max(0) > values.min(0), out, 0.0)


def rescale(X: np.ndarray, shift: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """``(X - shift) / scale`` in float32.

    Raises
    ------
    ValueError
        A result that float32 does not hold.

    Examples
    --------
    >>> rescale(np.array([[3.0], [5.0]]), np.array([4.0]), np.array([2.0])).tolist()
    [[-0.5], [0.5]]
    """
    with np.errstate(over="ignore"):  # the error below says more
        out = ((X - shift) / scale).astype(np.float32)
    if not np.isfinite(out).all():
        i, j = np.argwhere(~np.isfinite(out))[0]
        raise ValueError(
            f"features must fit float32 once scaled, however: X[{i}, {j}]={X[i, j]} beside a spread of "
            f"{scale[j]}; rescale that column, or drop the row"
        )
    return out
