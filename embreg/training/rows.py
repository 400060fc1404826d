"""Training and validation rows of `embreg.MLPHead`, with their weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split

from embreg.training.checks import checked
from embreg.training.weighting import check_weights

__all__ = ["WeightedRows", "held_out", "rows_of", "validation_rows"]


class WeightedRows(NamedTuple):
    """Features, targets of shape (n, t) and the weights of the rows; None where all are equal."""

    X: np.ndarray
    Y: np.ndarray
    weights: np.ndarray | None


def rows_of(X: np.ndarray, y: np.ndarray, weights: Any, name: str) -> WeightedRows:
    """Rows with checked weights, without those of weight 0: they would still fill batches.

    Examples
    --------
    >>> rows_of(np.ones((3, 2)), np.arange(3), [2, 0, 1], "sample_weight").Y.tolist()
    [[0.0], [2.0]]
    """
    Y = np.asarray(y, dtype=float).reshape(len(y), -1)
    w = check_weights(weights, X, name)
    if w is None:
        return WeightedRows(X, Y, None)
    there = w > 0
    return WeightedRows(X[there], Y[there], _unequal(w[there]))


def validation_rows(head: Any, X_val: Any, y_val: Any, columns: tuple[int, ...]) -> tuple[Any, Any]:
    """Validation rows that fit the training rows, `columns` the shape of one y."""
    if X_val is None or y_val is None:
        raise ValueError(
            "X_val and y_val go together, and sample_weight_val with them, however: got one without the other"
        )
    X_val = checked(head, X_val, reset=False)
    y_val = np.asarray(y_val, dtype=float)
    if y_val.shape != (len(X_val), *columns) or not np.isfinite(y_val).all():
        raise ValueError(
            f"y_val must hold finite values of shape {(len(X_val), *columns)}, however: "
            f"y_val.shape={y_val.shape}, {int((~np.isfinite(y_val)).sum())} not finite"
        )
    return X_val, y_val


def held_out(
    rows: WeightedRows, fraction: float, rng: np.random.RandomState
) -> tuple[WeightedRows, WeightedRows]:
    """Cut rows into some for training and a fraction for validation.

    Raises
    ------
    ValueError
        Fewer than two training rows would be left.

    Examples
    --------
    >>> rows = WeightedRows(np.ones((10, 2)), np.ones((10, 1)), None)
    >>> train, val = held_out(rows, 0.2, np.random.RandomState(0))
    >>> len(train.X), len(val.X)
    (8, 2)
    """
    n = len(rows.X)
    n_val = max(1, round(fraction * n))
    if n - n_val < 2:
        raise ValueError(
            f"at least two training rows are needed, however: n_samples={n} leaves {n - n_val} "
            f"beside {n_val} for validation; give more rows, or X_val and y_val"
        )
    train, val = train_test_split(np.arange(n), test_size=n_val, random_state=rng)
    w = rows.weights
    first, second = (
        WeightedRows(rows.X[part], rows.Y[part], None if w is None else _unequal(w[part]))
        for part in (train, val)
    )
    return first, second


def _unequal(weights: np.ndarray) -> np.ndarray | None:
    return None if (weights == weights[0]).all() else weights
