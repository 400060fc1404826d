"""Baselines and controls beside the MLP head: boosted trees, ridge on squares, nearest neighbours.

Each takes ``(X_train, Y_train, X_val, Y_val, X_test)`` with Y of shape (n, t) and gives the
predictions of shape (n_test, t) and what was chosen on the validation rows, target by target.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from typing import Any

import numpy as np

__all__ = ["BASELINES", "knn", "ridge_squares", "xgboost"]

Chosen = list[dict[str, Any]]


def ridge_squares(
    X: np.ndarray, Y: np.ndarray, X_val: np.ndarray, Y_val: np.ndarray, X_test: np.ndarray
) -> tuple[np.ndarray, Chosen]:
    """Ridge on (x, x²): exact on additive quadratics such as Sphere, whatever the dimension.

    The control behind the question whether high dimension or the head is what hurts φ_trad. The
    penalty is chosen by leave-one-out on the training rows, per target.

    Parameters
    ----------
    X, X_val, X_test : ndarray of shape (rows, d)
        Training, validation and test rows.
    Y, Y_val : ndarray of shape (rows, t)

    Returns
    -------
    predictions : ndarray of shape (n_test, t), in units of Y
    chosen : list of t dicts
        ``alpha`` of each target. The validation rows are not used.

    Examples
    --------
    >>> x = np.linspace(-1, 1, 12)[:, None]
    >>> out, _ = ridge_squares(x[:8], x[:8] ** 2, x[8:10], x[8:10] ** 2, x[10:])
    >>> bool(np.allclose(out, x[10:] ** 2, atol=1e-3))
    True
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    squares = FunctionTransformer(_with_squares)
    alphas = np.logspace(-6, 4, 21)
    model = make_pipeline(squares, StandardScaler(), RidgeCV(alphas=alphas, alpha_per_target=True))
    shift, scale = Y.mean(0), Y.std(0)
    scale = np.where(scale > 0, scale, 1.0)
    model.fit(X, (Y - shift) / scale)
    predicted = model.predict(X_test).reshape(len(X_test), -1) * scale + shift
    return predicted, [{"alpha": float(a)} for a in np.broadcast_to(model[-1].alpha_, Y.shape[1])]


def knn(
    X: np.ndarray, Y: np.ndarray, X_val: np.ndarray, Y_val: np.ndarray, X_test: np.ndarray
) -> tuple[np.ndarray, Chosen]:
    """Mean of the k nearest training rows in standardised coordinates; k by validation error.

    Parameters
    ----------
    X, X_val, X_test : ndarray of shape (rows, d)
        Training, validation and test rows.
    Y, Y_val : ndarray of shape (rows, t)

    Returns
    -------
    predictions : ndarray of shape (n_test, t), in units of Y
    chosen : list of t dicts
        ``k`` of each target, the smallest of those with the least error.

    Examples
    --------
    >>> x = np.arange(12.0)[:, None]
    >>> out, chosen = knn(x[:8], x[:8], x[8:10], x[8:10], x[10:])
    >>> out.ravel().tolist(), chosen
    ([7.0, 7.0], [{'k': 1}])
    """
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(X)
    A, B, C = (scaler.transform(v) for v in (X, X_val, X_test))
    grid = [k for k in (1, 2, 3, 5, 8, 13, 21) if k <= len(X)]
    models = [KNeighborsRegressor(k).fit(A, Y) for k in grid]
    errors = np.array([((m.predict(B).reshape(Y_val.shape) - Y_val) ** 2).mean(0) for m in models])
    best = errors.argmin(0)
    tests = np.stack([m.predict(C).reshape(len(C), -1) for m in models])
    return tests[best, :, np.arange(Y.shape[1])].T, [{"k": grid[b]} for b in best]


def xgboost(
    X: np.ndarray, Y: np.ndarray, X_val: np.ndarray, Y_val: np.ndarray, X_test: np.ndarray
) -> tuple[np.ndarray, Chosen]:
    """Boosted trees, stopped early on the validation rows; depth chosen there as well.

    Parameters
    ----------
    X, X_val, X_test : ndarray of shape (rows, d)
        Training, validation and test rows.
    Y, Y_val : ndarray of shape (rows, t)

    Returns
    -------
    predictions : ndarray of shape (n_test, t), in units of Y
    chosen : list of t dicts
        ``max_depth`` and number of ``trees`` of each target.

    Raises
    ------
    ImportError
        XGBoost is not installed.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(60, 2)); y = x[:, :1]
    >>> out, chosen = xgboost(x[:40], y[:40], x[40:50], y[40:50], x[50:])
    >>> out.shape, sorted(chosen[0])
    ((10, 1), ['max_depth', 'trees'])
    """
    try:
        from xgboost import XGBRegressor
    except ImportError as error:
        raise ImportError("boosted trees need XGBoost: pip install 'embreg[boosting]'") from error

    def one(t: int) -> tuple[np.ndarray, dict[str, Any]]:
        shift, scale = Y[:, t].mean(), Y[:, t].std() or 1.0
        best: tuple[float, Any, int] | None = None
        for depth in (3, 6):
            model = XGBRegressor(
                n_estimators=500, learning_rate=0.1, max_depth=depth, subsample=0.8, colsample_bytree=0.8,
                early_stopping_rounds=30, tree_method="hist", max_bin=64, n_jobs=1, random_state=0,
            )  # fmt: skip
            held_out = [(X_val, (Y_val[:, t] - shift) / scale)]
            model.fit(X, (Y[:, t] - shift) / scale, eval_set=held_out, verbose=False)
            if best is None or model.best_score < best[0]:
                best = (model.best_score, model, depth)
        assert best is not None
        predicted = best[1].predict(X_test).astype(float) * scale + shift
        return predicted, {"max_depth": best[2], "trees": best[1].best_iteration + 1}

    # One thread per target: on a few hundred rows XGBoost's own threads only wait for each other.
    with ThreadPoolExecutor(cpu_count() or 1) as pool:
        results = list(pool.map(one, range(Y.shape[1])))
    return np.stack([r[0] for r in results], axis=1), [r[1] for r in results]


def _with_squares(X: np.ndarray) -> np.ndarray:
    return np.hstack([X, X**2])


BASELINES: dict[str, Callable[..., tuple[np.ndarray, Chosen]]] = {
    "xgboost": xgboost,
    "ridge_squares": ridge_squares,
    "knn": knn,
}
"""Every baseline by name."""
