"""Points in growing balls, and how far apart their embeddings are (section 3.2, Fig. 5)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

__all__ = ["balls", "distances", "project"]


def balls(
    dof: int, radii: Sequence[float], *, n_samples: int = 60, seed: int = 0
) -> tuple[pd.DataFrame, np.ndarray]:
    """Points drawn uniformly from ℓ2 balls round a random reference point, which is the first row.

    Uniform points of a cube in many dimensions are all about equally far from each other; balls of
    growing radius show near and far points.

    Parameters
    ----------
    dof : int
    radii : sequence of float
        At most 2.5: the reference is uniform in [-2.5, 2.5], so every point lies in the box [-5, 5].
    n_samples : int
        Points per ball.
    seed : int

    Returns
    -------
    rows : DataFrame of shape (1 + len(radii) * n_samples, dof)
    radius : ndarray
        Radius of the ball that each row was drawn from; 0 for the reference.

    Raises
    ------
    ValueError
        A radius that is not in (0, 2.5].

    Examples
    --------
    >>> rows, radius = balls(3, [1.0, 2.0], n_samples=4)
    >>> rows.shape, bool((np.linalg.norm(rows - rows.iloc[0], axis=1) <= radius).all())
    ((9, 3), True)
    """
    bad = [r for r in radii if not 0 < r <= 2.5]
    if bad:
        raise ValueError(f"radii must be above 0 and at most 2.5 (the box ends there), however: got {bad[0]}")
    rng = np.random.default_rng([seed, dof])
    center = rng.uniform(-2.5, 2.5, (1, dof))
    parts = [center]
    for r in radii:
        direction = rng.normal(size=(n_samples, dof))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        parts.append(center + direction * r * rng.uniform(size=(n_samples, 1)) ** (1 / dof))
    x = np.vstack(parts)
    radius = np.concatenate([[0.0], np.repeat(np.asarray(radii, float), n_samples)])
    return pd.DataFrame(x, columns=[f"x{j}" for j in range(dof)]), radius


def distances(rows: pd.DataFrame, features: np.ndarray) -> pd.DataFrame:
    """Distance of every point to the first, in the numbers and in the embedding.

    Parameters
    ----------
    rows : DataFrame of shape (n, dof)
    features : ndarray of shape (n, d)

    Returns
    -------
    DataFrame
        ``numeric`` and ``embedded``, n - 1 rows; the second is divided by its largest value, since
        embeddings of different models have different scales.

    Examples
    --------
    >>> rows, _ = balls(2, [1.0], n_samples=3)
    >>> float(distances(rows, rows.to_numpy()).embedded.max())
    1.0
    """
    x = rows.to_numpy(float)
    embedded = np.linalg.norm(features[1:] - features[0], axis=1)
    return pd.DataFrame(
        {"numeric": np.linalg.norm(x[1:] - x[0], axis=1), "embedded": embedded / embedded.max()}
    )


def project(features: np.ndarray, *, perplexity: float = 30.0, random_state: int = 0) -> np.ndarray:
    """t-SNE to the plane after standardising the coordinates (Figs. 1 and 5).

    Parameters
    ----------
    features : ndarray of shape (n, d)
    perplexity : float
        Lowered to a third of the points where there are few.
    random_state : int

    Returns
    -------
    ndarray of shape (n, 2)

    Examples
    --------
    >>> project(np.random.default_rng(0).normal(size=(20, 4))).shape
    (20, 2)
    """
    from sklearn.manifold import TSNE

    from embreg.lipschitz import standardize

    z = standardize(np.asarray(features, float))
    least = min(perplexity, (len(z) - 1) / 3)
    return TSNE(2, perplexity=least, init="pca", random_state=random_state, n_jobs=1).fit_transform(z)
