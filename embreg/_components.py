"""Principal components that training rows do have: directions of rounding errors are refused."""

from __future__ import annotations

import numpy as np

__all__ = ["principal_components"]


def principal_components(
    X: np.ndarray, train: np.ndarray, width: int | None, *, standard: bool = False
) -> np.ndarray:
    """Principal components of all rows, learned on the training rows alone.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Finite numbers.
    train : ndarray of int
        Numbers of the training rows.
    width : int or None
        Number of components; None for as many as the training rows span.
    standard : bool
        Give every column mean 0 and variance 1 on the training rows first.

    Returns
    -------
    ndarray of shape (n, width), float64
        The largest first.

    Raises
    ------
    ValueError
        Training rows that are all the same, or that span fewer than `width` directions: those whose
        singular value exceeds what rounding to the type of X leaves beside the largest one.

    Examples
    --------
    >>> X = np.array([[0.0, 0.0], [2.0, 2.0], [4.0, 4.0], [9.0, 9.0]])
    >>> np.abs(principal_components(X, np.array([0, 1, 2]), None)).round(4).tolist()
    [[2.8284], [0.0], [2.8284], [9.8995]]
    """
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    n, d = X[train].shape
    if not np.ptp(X[train], axis=0).any():
        raise ValueError(f"training rows must differ, however: all {n} are the same")
    rounding = max(n, d) * float(np.finfo(X.dtype if X.dtype.kind == "f" else float).eps)
    X = X.astype(float)
    if standard:
        X = StandardScaler().fit(X[train]).transform(X)
    most = min(n - 1, d)  # n rows about their mean span n - 1 directions
    if width is None or width <= most:
        # "full" draws nothing: the same components whatever the seed.
        pca = PCA(n_components=width or most, svd_solver="full").fit(X[train])
        most = int((pca.singular_values_ > pca.singular_values_[0] * rounding).sum())
    if width is not None and width > most:
        raise ValueError(
            f"width must be at most {most}, as {n} training rows of {d} features span no more directions, "
            f"however: got {width}"
        )
    return pca.transform(X)[:, :most]
