"""Rows as a baseline sees them: which ones choose, and how features are scaled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import validate_data

from embreg._scaling import rescale, spread

__all__ = ["Features", "Kind", "Rows", "hold_out", "validation"]

Kind = Literal["raw", "scaled", "squares", "rotated"]


_WIDE = 100
"""Columns from which on fewer are worth a rotation."""


@dataclass(frozen=True)
class Rows:
    """Training and validation rows, scaled: X of shape (n, d), Y of shape (n, t)."""

    X: np.ndarray
    Y: np.ndarray
    X_val: np.ndarray
    Y_val: np.ndarray


@dataclass(frozen=True)
class Features:
    """Scaling that was learned on training rows; call it to apply it.

    ``"raw"`` is float32 and otherwise untouched: trees ask for no more. ``"scaled"`` has mean 0 and
    variance 1. ``"squares"`` has the squares of these beside them, scaled likewise: it spans what (x, x²)
    span and does not overflow where x² would.

    ``"rotated"`` is ``"scaled"``, and with more columns than rows (and than 100), coordinates along the
    training rows instead: one per row and one for the length of what lies outside them, 0 on the training
    rows. Inner products of any row with a training row, and every row's length, stay as they were. So a
    model that prefers no direction, such as one with one penalty or one length scale, is the same model
    in n + 1 columns.

    Parameters
    ----------
    kind : str
    shift, scale : ndarray of shape (d,)
    again : tuple of two ndarray of shape (2d,), or None
        Shift and scale of the second time, for squares.
    axes : ndarray of shape (n, d), or None
        Orthonormal rows.

    Examples
    --------
    >>> X = np.array([[1.0, 0.0, 2.0], [3.0, 1.0, 2.0]])
    >>> Features.learn(X, "scaled")(X).tolist()
    [[-1.0, -1.0, 0.0], [1.0, 1.0, 0.0]]
    >>> Features.learn(X, "squares")(X).shape
    (2, 6)
    """

    kind: Kind
    shift: np.ndarray
    scale: np.ndarray
    again: tuple[np.ndarray, np.ndarray] | None = None
    axes: np.ndarray | None = None

    @classmethod
    def learn(cls, X: np.ndarray, kind: Kind) -> Features:
        """From training rows of shape (n, d)."""
        if kind == "raw":
            return cls(kind, np.zeros(X.shape[1]), np.ones(X.shape[1]))
        shift, scale = _standard(X)
        Z = (X - shift) / scale
        if kind == "squares":
            return cls(kind, shift, scale, again=_standard(np.hstack([Z, Z**2])))
        if kind == "rotated" and X.shape[1] > max(_WIDE, X.shape[0]):
            return cls(kind, shift, scale, axes=np.linalg.svd(Z, full_matrices=False)[2])
        return cls(kind, shift, scale)

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Scaled rows; ValueError where one lies too far out to be a number."""
        if self.kind == "raw":
            return rescale(X, self.shift, self.scale)
        with np.errstate(over="ignore", invalid="ignore"):  # the error below says more
            Z = (X - self.shift) / self.scale
            if self.again is not None:
                Z = (np.hstack([Z, Z**2]) - self.again[0]) / self.again[1]
            if self.axes is not None:
                along = Z @ self.axes.T
                outside = np.linalg.norm(Z - along @ self.axes, axis=1, keepdims=True)
                Z = np.hstack([along, outside])
        if not np.isfinite(Z).all():
            i = int(np.argwhere(~np.isfinite(Z))[0, 0])
            raise ValueError(
                f"features must be finite once scaled, however: row {i} lies too far from the training "
                "rows; drop it, or rescale its columns"
            )
        return Z


def _standard(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scale = spread(X)
    return np.where(scale > 0, X.mean(0), X[0]), np.where(scale > 0, scale, 1.0)


def hold_out(X: np.ndarray, y: np.ndarray, rng: np.random.RandomState) -> tuple[np.ndarray, ...]:
    """``X, X_val, y, y_val`` with a tenth of the rows held out, at least one.

    Raises
    ------
    ValueError
        Fewer than two rows are left to train on.

    Examples
    --------
    >>> X = np.arange(40.0).reshape(20, 2)
    >>> [len(part) for part in hold_out(X, X[:, 0], np.random.RandomState(0))]
    [18, 2, 18, 2]
    """
    n_val = max(1, round(0.1 * len(X)))
    if len(X) - n_val < 2:
        raise ValueError(
            f"at least two training rows are needed, however: n_samples={len(X)} leaves {len(X) - n_val} "
            f"beside {n_val} for validation; give more rows, or X_val and y_val"
        )
    return tuple(train_test_split(X, y, test_size=n_val, random_state=rng))


def validation(
    estimator: Any, X_val: Any, y_val: Any, columns: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Validation rows that fit what `estimator` was given, as arrays of float64.

    Raises
    ------
    ValueError
        One of the two is missing, their shapes do not fit, or a value is not finite.
    """
    if X_val is None or y_val is None:
        raise ValueError("X_val and y_val go together, however: got one without the other")
    X_val = validate_data(estimator, X_val, reset=False, dtype=np.float64)
    y_val = np.asarray(y_val, dtype=float)
    if y_val.shape != (len(X_val), *columns) or not np.isfinite(y_val).all():
        raise ValueError(
            f"y_val must hold finite values of shape {(len(X_val), *columns)}, however: "
            f"y_val.shape={y_val.shape}, {int((~np.isfinite(y_val)).sum())} not finite"
        )
    return X_val, y_val
