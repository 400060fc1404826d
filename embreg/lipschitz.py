"""Smoothness of a representation: normalised Lipschitz factors (section 3.2, Figs. 3 and 4)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["nearest_neighbours", "nlfd", "smoothness_gap", "standardize"]

_BLOCK_BYTES = 64 * 2**20  # distances held at once


def nlfd(
    features: ArrayLike, y: ArrayLike, *, scaling: Literal["unit-norm", "literal"] = "unit-norm"
) -> np.ndarray:
    r"""Normalised Lipschitz factor of every point: its distribution is the paper's NLFD.

    Each coordinate is shifted and scaled to mean 0 and variance 1 over the batch. For each point x
    with nearest neighbour x' (ℓ2, among the others) the factor is
    :math:`|y - y'| / \lVert\phi(x) - \phi(x')\rVert`, then scaled by :math:`\sqrt d`.

    Parameters
    ----------
    features : array-like of shape (n, d)
        Representation φ(x), n ≥ 2. Constant coordinates are dropped; d counts what is left.
    y : array-like of shape (n,)
        Target, any unit.
    scaling : {"unit-norm", "literal"}
        ``"unit-norm"`` multiplies by √d: after standardisation the average norm is √d, and dividing
        φ by it to make the norm 1 multiplies the factor. Widths are then comparable: repeating every
        coordinate changes nothing. ``"literal"`` divides by √d, as the paper's sentence reads; it
        makes a wide representation look smooth by its width alone.

    Returns
    -------
    ndarray of shape (n,), float64
        In units of y. Identical points (distance 0) have factor 0 when their y are equal as well,
        because the function does not vary there, and infinity when they differ, because no Lipschitz
        constant exists. Among several nearest neighbours the lowest index counts.

    Raises
    ------
    ValueError
        Shapes that do not fit, fewer than two points, values that are not finite, every coordinate
        constant, unknown `scaling`.

    Notes
    -----
    Distances are computed in blocks of 64 MB, so memory is linear in n.

    Examples
    --------
    >>> nlfd([[0.0], [1.0], [3.0]], [0.0, 2.0, 2.0]).round(3)
    array([2.494, 2.494, 0.   ])
    """
    X, target = np.asarray(features, dtype=float), np.asarray(y, dtype=float)
    if scaling not in ("unit-norm", "literal"):
        raise ValueError(f"scaling must be 'unit-norm' or 'literal', however: got {scaling!r}")
    if X.ndim != 2 or target.shape != X.shape[:1]:
        raise ValueError(
            f"features must have shape (n, d) and y (n,), however: {X.shape=}, y.shape={target.shape}"
        )
    if len(X) < 2:
        raise ValueError(f"a nearest neighbour needs at least 2 points, however: got {len(X)}")
    if not np.isfinite(X).all() or not np.isfinite(target).all():
        raise ValueError("features and y must be finite, however: there is a NaN or infinity; drop those rows")
    Z = standardize(X)
    index, distance = nearest_neighbours(Z)
    rise = np.abs(target - target[index])
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(distance > 0, rise / distance, np.where(rise > 0, np.inf, 0.0))
    root = np.sqrt(Z.shape[1])
    return factor * root if scaling == "unit-norm" else factor / root


def standardize(X: np.ndarray) -> np.ndarray:
    """Coordinates with mean 0 and variance 1 over the batch; constant ones are dropped.

    Raises
    ------
    ValueError
        Every coordinate is constant.

    Examples
    --------
    >>> standardize(np.array([[1.0, 5.0], [3.0, 5.0]]))
    array([[-1.],
           [ 1.]])
    """
    spread = X.std(0)
    # A column of one value can have a spread of rounding errors; the range says whether it varies.
    kept = (X.max(0) > X.min(0)) & (spread > 0)
    if not kept.any():
        raise ValueError(f"every one of the {X.shape[1]} coordinates is constant: nothing tells the points apart")
    return (X[:, kept] - X[:, kept].mean(0)) / spread[kept]


def nearest_neighbours(Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of and ℓ2 distance to the nearest other point, the lowest index on ties.

    Parameters
    ----------
    Z : ndarray of shape (n, d)

    Returns
    -------
    index : ndarray of shape (n,), int
    distance : ndarray of shape (n,), float64

    Examples
    --------
    >>> nearest_neighbours(np.array([[0.0], [1.0], [3.0]]))
    (array([1, 0, 1]), array([1., 1., 2.]))
    """
    n = len(Z)
    squares = np.einsum("ij,ij->i", Z, Z)
    index = np.empty(n, dtype=int)
    step = max(1, _BLOCK_BYTES // (8 * n))
    # |a|² - 2ab + |b|² loses digits when points are close: near ties are measured again, exactly.
    tolerance = 1e-9 * max(1.0, float(squares.max()))
    for start in range(0, n, step):
        rows = np.arange(start, min(n, start + step))
        block = squares[rows, None] - 2 * Z[rows] @ Z.T + squares
        block[np.arange(len(rows)), rows] = np.inf
        index[rows] = block.argmin(1)
        near = block <= block.min(1, keepdims=True) + tolerance
        for i in np.flatnonzero(near.sum(1) > 1):
            ties = np.flatnonzero(near[i])
            index[rows[i]] = ties[np.linalg.norm(Z[ties] - Z[rows[i]], axis=1).argmin()]
    return index, np.linalg.norm(Z - Z[index], axis=1)


def smoothness_gap(trad: ArrayLike, llm: ArrayLike) -> float:
    r"""Gap :math:`Z = (\mu_{trad} - \mu_{llm}) / \sqrt{\sigma^2_{trad} + \sigma^2_{llm}}` (section 3.2).

    Positive when φ_LLM is the smoother one. It is an effect size: not divided by √n.

    Parameters
    ----------
    trad, llm : array-like of shape (n,)
        Factors from `nlfd` on the same points.

    Raises
    ------
    ValueError
        Fewer than two factors, an infinite one (identical points with different y: average or drop
        them), or no spread in both.

    Examples
    --------
    >>> smoothness_gap([2.0, 4.0], [1.0, 1.0])
    2.0
    """
    a, b = np.asarray(trad, dtype=float), np.asarray(llm, dtype=float)
    for name, v in (("trad", a), ("llm", b)):
        if v.ndim != 1 or len(v) < 2:
            raise ValueError(f"{name} must have shape (n,) with n >= 2, however: shape={v.shape}")
        if not np.isfinite(v).all():
            raise ValueError(
                f"{name} holds {int((~np.isfinite(v)).sum())} factors that are not finite (identical points "
                "with different y); average or drop those points first"
            )
    spread = np.sqrt(a.var() + b.var())
    if spread == 0:
        raise ValueError("the gap is undefined, however: neither distribution has any spread")
    return float((a.mean() - b.mean()) / spread)
