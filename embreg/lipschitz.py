"""Smoothness of a representation: normalised Lipschitz factors (section 3.2, Figs. 3 and 4)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["nearest_neighbours", "nlfd", "smoothness_gap", "standardize"]

_BLOCK_BYTES = 64 * 2**20  # distances held at once
_SAME = 1e-9  # distances that agree this closely are equal: rounding must not choose between neighbours


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
    y : array-like of shape (n,) or (n, t)
        Target, any unit; several targets share one search for neighbours.
    scaling : {"unit-norm", "literal"}
        ``"unit-norm"`` multiplies by √d: after standardisation the average norm is √d, and dividing
        φ by it to make the norm 1 multiplies the factor. Widths are then comparable: repeating every
        coordinate changes nothing. ``"literal"`` divides by √d, as the paper's sentence reads; it
        makes a wide representation look smooth by its width alone.

    Returns
    -------
    ndarray of the shape of y, float64
        In units of y. Identical points (distance 0) have factor 0 when their y are equal as well,
        because the function does not vary there, and infinity when they differ, because no Lipschitz
        constant exists. Among several nearest neighbours (distances equal to 1e-9) the lowest index
        counts.

    Raises
    ------
    ValueError
        Shapes that do not fit, fewer than two points, values that are not finite, every coordinate
        constant, unknown `scaling`.

    Notes
    -----
    Distances are computed in blocks of 64 MB; the rest of the memory is a few copies of `features`.

    Examples
    --------
    >>> nlfd([[0.0], [1.0], [3.0]], [0.0, 2.0, 2.0]).round(3)
    array([2.494, 2.494, 0.   ])
    """
    X, target = np.asarray(features, dtype=float), np.asarray(y, dtype=float)
    if scaling not in ("unit-norm", "literal"):
        raise ValueError(f"scaling must be 'unit-norm' or 'literal', however: got {scaling!r}")
    if X.ndim != 2 or target.ndim not in (1, 2) or len(target) != len(X):
        raise ValueError(
            "features must have shape (n, d) and y (n,) or (n, t), however: "
            f"features.shape={X.shape}, y.shape={target.shape}"
        )
    if len(X) < 2:
        raise ValueError(f"a nearest neighbour needs at least 2 points, however: got {len(X)}")
    for name, v in (("features", X), ("y", target)):
        if not np.isfinite(v).all():
            i = int(np.argwhere(~np.isfinite(v))[0, 0])
            raise ValueError(
                f"{name} must be finite, however: row {i} holds a NaN or infinity; drop such rows"
            )
    Z = standardize(X)
    index, distance = nearest_neighbours(Z)
    rise = np.abs(target - target[index])
    distance = distance.reshape(-1, *[1] * (target.ndim - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(distance > 0, rise / distance, np.where(rise > 0, np.inf, 0.0))
    root = np.sqrt(Z.shape[1])
    return factor * root if scaling == "unit-norm" else factor / root


def standardize(X: np.ndarray) -> np.ndarray:
    """Coordinates with mean 0 and variance 1 over the batch; constant ones are dropped.

    Parameters
    ----------
    X : ndarray of shape (n, d), float64

    Returns
    -------
    ndarray of shape (n, d') with d' ≤ d, float64

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
    # Not by the spread, which is a rounding error rather than 0 for a column of one value.
    kept = X.max(0) > X.min(0)
    if not kept.any():
        raise ValueError(
            "some coordinate must vary, however: every one of the "
            f"{X.shape[1]} coordinates is constant, so nothing tells the points apart"
        )
    X = X[:, kept]
    # Powers of two first, which is exact: squares of very small or large numbers leave float64.
    Z = np.ldexp(X, -np.frexp(np.abs(X).max(0))[1])
    Z -= Z.mean(0)
    Z /= np.sqrt(np.einsum("ij,ij->j", Z, Z) / len(Z))
    return Z


def nearest_neighbours(Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of and ℓ2 distance to the nearest other point, the lowest index on ties.

    Parameters
    ----------
    Z : ndarray of shape (n, d), float64

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
    step = max(1, _BLOCK_BYTES // (8 * n))
    blocks = (np.arange(start, min(n, start + step)) for start in range(0, n, step))
    squares = np.einsum("ij,ij->i", Z, Z)
    index = np.concatenate([_search(Z, squares, rows) for rows in blocks])
    return index, np.linalg.norm(Z - Z[index], axis=1)


def _search(Z: np.ndarray, squares: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Nearest neighbours of a few rows, in memory of one number per pair."""
    # |a|² - 2ab + |b|² is one fast product, but its rounding error is not small beside the distance of
    # close points. So it serves as a lower bound only, and whatever could be nearest is measured again.
    certain = 1 - 2 * (Z.shape[1] + 8) * np.finfo(float).eps
    bound = (-2 * Z[rows]) @ Z.T
    bound += certain * squares[rows, None]
    bound += certain * squares
    places = np.arange(len(rows))
    bound[places, rows] = np.inf
    index = bound.argmin(1)
    reach = np.linalg.norm(Z[rows] - Z[index], axis=1) * (1 + 2 * _SAME)
    near = bound <= (reach**2)[:, None]
    near[places, index] = True
    for i in np.flatnonzero(near.sum(1) > 1):
        index[i] = _nearest_of(np.flatnonzero(near[i]), Z, rows[i])
    return index


def _nearest_of(candidates: np.ndarray, Z: np.ndarray, row: int) -> int:
    """Lowest index among the candidates nearest to a row."""
    distances = np.empty(len(candidates))
    step = max(1, _BLOCK_BYTES // (32 * Z.shape[1]))
    for k in range(0, len(candidates), step):
        part = slice(k, k + step)
        distances[part] = np.linalg.norm(Z[candidates[part]] - Z[row], axis=1)
        if not distances[part].all():  # nothing is nearer than an identical point
            return int(candidates[k + distances[part].argmin()])
    return int(candidates[(distances <= distances.min() * (1 + _SAME)).argmax()])


def smoothness_gap(trad: ArrayLike, llm: ArrayLike) -> float:
    r"""Gap :math:`Z = (\mu_{trad} - \mu_{llm}) / \sqrt{\sigma^2_{trad} + \sigma^2_{llm}}` (section 3.2).

    Positive when φ_LLM is the smoother one. It is an effect size: not divided by √n.

    Parameters
    ----------
    trad, llm : array-like of shape (n,)
        Factors from `nlfd` on the same points.

    Returns
    -------
    float

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
    # The range says whether a distribution has any spread: the variance of 0.1, 0.1, 0.1 is not 0.
    if np.ptp(a) == 0 and np.ptp(b) == 0:
        raise ValueError(
            f"the gap needs a spread, however: every factor of trad is {a[0]} and every one of llm is {b[0]}"
        )
    unit = max(np.abs(a).max(), np.abs(b).max())  # so that no square leaves float64
    a, b = a / unit, b / unit
    return float((a.mean() - b.mean()) / np.sqrt(a.var() + b.var()))
