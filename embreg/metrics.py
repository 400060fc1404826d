"""Scores of predictions (section 2.3): Kendall's tau first, the others to show that it agrees.

Each takes ``(y_true, y_pred)`` of shape (n,) and gives a float. Where a score is undefined the
functions raise ValueError: a silent NaN would spoil an average far away from its cause.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["METRICS", "kendall_tau", "mae", "mse", "pearson", "r2", "score_all"]


def _pair(y_true: ArrayLike, y_pred: ArrayLike, least: int = 1) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(y_true, dtype=float), np.asarray(y_pred, dtype=float)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(
            "y_true and y_pred must both have shape (n,), "
            f"however: y_true.shape={a.shape}, y_pred.shape={b.shape}"
        )
    if len(a) < least:
        raise ValueError(f"at least {least} points are needed, however: got {len(a)}")
    for name, v in (("y_true", a), ("y_pred", b)):
        if not np.isfinite(v).all():
            i = int(np.flatnonzero(~np.isfinite(v))[0])
            raise ValueError(f"{name} must be finite, however: {name}[{i}]={v[i]}")
    return a, b


def _varied(metric: str, **arrays: np.ndarray) -> None:
    for name, v in arrays.items():
        if np.all(v == v[0]):
            raise ValueError(f"{metric} is undefined for constant input, however: every {name} is {v[0]}")


def _representable(metric: str, value: float) -> float:
    if not np.isfinite(value):
        raise ValueError(f"{metric} must fit into float64, however: it is {value}; rescale y_true and y_pred")
    return value


def kendall_tau(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Kendall's tau-b rank correlation, in [-1, 1]: the paper's metric (section 2.3).

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)

    Returns
    -------
    float
        Equal to `scipy.stats.kendalltau`.

    Raises
    ------
    ValueError
        Fewer than two points, constant or non-finite input, different shapes.

    Examples
    --------
    >>> round(kendall_tau([1, 2, 3, 4], [1, 3, 2, 4]), 4)
    0.6667
    """
    from scipy.stats import kendalltau

    a, b = _pair(y_true, y_pred, 2)
    _varied("kendall_tau", y_true=a, y_pred=b)
    return float(kendalltau(a, b).statistic)


def pearson(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Pearson correlation, in [-1, 1]; equal to `scipy.stats.pearsonr`.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)

    Returns
    -------
    float

    Raises
    ------
    ValueError
        Fewer than two points, constant or non-finite input, different shapes.

    Examples
    --------
    >>> round(pearson([1, 2, 3], [2, 4, 6]), 4)
    1.0
    """
    from scipy.stats import ConstantInputWarning, NearConstantInputWarning, pearsonr

    a, b = _pair(y_true, y_pred, 2)
    _varied("pearson", y_true=a, y_pred=b)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConstantInputWarning)
        warnings.simplefilter("ignore", NearConstantInputWarning)
        value = float(pearsonr(a, b).statistic)
    return _representable("pearson", value)


def mse(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean squared error, in squared units of y.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)

    Returns
    -------
    float

    Raises
    ------
    ValueError
        No point, non-finite input, different shapes, an error too large for float64.

    Examples
    --------
    >>> mse([1, 2], [1, 4])
    2.0
    """
    a, b = _pair(y_true, y_pred)
    with np.errstate(over="ignore"):
        return _representable("mse", float(np.mean((a - b) ** 2)))


def mae(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean absolute error, in units of y.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)

    Returns
    -------
    float

    Raises
    ------
    ValueError
        No point, non-finite input, different shapes, an error too large for float64.

    Examples
    --------
    >>> mae([1, 2], [1, 4])
    1.0
    """
    a, b = _pair(y_true, y_pred)
    with np.errstate(over="ignore"):
        return _representable("mae", float(np.mean(np.abs(a - b))))


def r2(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Coefficient of determination, equal to `sklearn.metrics.r2_score`.

    1 is exact, 0 is as good as the mean of `y_true`.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)

    Returns
    -------
    float

    Raises
    ------
    ValueError
        `y_true` is constant, fewer than two points, non-finite input, different shapes.

    Examples
    --------
    >>> r2([1, 2, 3], [2, 2, 2])
    0.0
    """
    a, b = _pair(y_true, y_pred, 2)
    _varied("r2", y_true=a)
    with np.errstate(over="ignore", invalid="ignore"):
        error, spread = a - b, a - a.mean()
        # Divided before they are squared: small values would vanish and large ones overflow, and the
        # quotient of what is left looks like a score.
        unit = np.abs(spread).max()
        value = 1 - np.sum((error / unit) ** 2) / np.sum((spread / unit) ** 2)
    return _representable("r2", float(value))


METRICS = {"kendall_tau": kendall_tau, "pearson": pearson, "mse": mse, "mae": mae, "r2": r2}
"""Every metric by name."""


def score_all(y_true: ArrayLike, y_pred: ArrayLike) -> dict[str, float]:
    """Every metric of one prediction; a constant prediction ranks nothing and scores 0.

    A head that learned nothing predicts a constant. Its rank and linear correlations are undefined;
    in a comparison it must count as no skill rather than be left out, so they are set to 0 here and
    ``constant`` is 1 in the record.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)

    Returns
    -------
    dict of str to float
        Every name of `METRICS`, and ``constant``.

    Raises
    ------
    ValueError
        `y_true` is constant, fewer than two points, non-finite input, different shapes.

    Examples
    --------
    >>> score_all([1.0, 2.0], [3.0, 3.0])["constant"]
    1.0
    """
    true, pred = _pair(y_true, y_pred, 2)
    constant = bool(np.all(pred == pred[0]))
    unranked = ("kendall_tau", "pearson") if constant else ()
    _varied("a score", y_true=true)
    out = {name: 0.0 if name in unranked else metric(true, pred) for name, metric in METRICS.items()}
    return {**out, "constant": float(constant)}
