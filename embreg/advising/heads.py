"""IntervalHead: a head whose predictions come with an interval, as the last step of a pipeline."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.model_selection import KFold
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from embreg._task import whole

__all__ = ["IntervalHead"]


class IntervalHead(RegressorMixin, BaseEstimator):
    """A regressor and the residuals that it leaves on rows it has not seen.

    The interval is the prediction plus and minus a quantile of absolute residuals out of cross-validation:
    all rows train the model and all rows measure it. It holds about `level` of rows that are exchangeable
    with the training rows. That is no theorem, as the folds' models differ a little from the one that
    predicts (`embreg.ConformalRegressor` has one, and gives up rows for it); and it says nothing of rows from
    elsewhere.

    Parameters
    ----------
    head : estimator
        A regressor on numbers; it is cloned.
    level : float
        Between 0 and 1. May be set after `fit`.
    cv : int
        Folds, where `fit` gets no residuals.
    random_state : int
        Of the folds.

    Attributes
    ----------
    head_ : estimator
        Fitted on all rows.
    residuals_ : ndarray of shape (m,)
        Sorted absolute residuals of rows that were not trained on.
    n_features_in_ : int

    Raises
    ------
    ValueError
        From `fit`: bad parameters or residuals. From ``predict(…, return_interval=True)``: too few residuals
        for the level; says how many it takes.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 2)); y = X[:, 0] + rng.normal(size=300)
    >>> mean, low, high = IntervalHead(Ridge()).fit(X[:200], y[:200]).predict(X[200:], return_interval=True)
    >>> bool(0.8 < ((low <= y[200:]) & (y[200:] <= high)).mean() < 0.97)
    True
    """

    def __init__(self, head: Any, *, level: float = 0.9, cv: int = 5, random_state: int = 0) -> None:
        self.head = head
        self.level = level
        self.cv = cv
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, residuals: Any = None) -> IntervalHead:
        """Fit the head on all rows, and measure residuals on rows that were left out.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y : array-like of shape (n,)
        residuals : array-like of shape (m,), optional
            Of rows that were not trained on, where somebody has them: from folds that respect groups or time,
            which a shuffle does not. In a pipeline ``fit(X, y, head__residuals=…)``.
        """
        self._check_level()
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float64, ensure_min_samples=2)
        if residuals is None:
            whole("cv", self.cv, 2)
            folds = min(int(self.cv), len(y))
            residuals = np.empty(len(y))
            for train, test in KFold(folds, shuffle=True, random_state=self.random_state).split(X):
                predicted = clone(self.head).fit(X[train], y[train]).predict(X[test])
                residuals[test] = y[test] - np.asarray(predicted, dtype=float)
        found = np.abs(np.asarray(residuals, dtype=float))
        if found.ndim != 1 or not len(found) or not np.isfinite(found).all():
            raise ValueError(f"residuals must be finite, of shape (m,), however: got shape {found.shape}")
        self.residuals_ = np.sort(found)
        self.head_ = clone(self.head).fit(X, y)
        return self

    def predict(self, X: Any, return_interval: bool = False) -> Any:
        """Prediction in the units of y.

        Parameters
        ----------
        X : array-like of shape (n, d)
        return_interval : bool
            Also both ends of the interval.

        Returns
        -------
        ndarray of shape (n,), float64
            With `return_interval` a tuple of three: prediction, low and high.
        """
        check_is_fitted(self, "head_")
        X = validate_data(self, X, reset=False, dtype=np.float64)
        mean = np.asarray(self.head_.predict(X), dtype=float)
        if not return_interval:
            return mean
        half = self.half_width_
        return mean, mean - half, mean + half

    @property
    def half_width_(self) -> float:
        """Half the width of every interval, in the units of y."""
        from embreg.conformal import rows_needed

        check_is_fitted(self, "residuals_")
        self._check_level()
        m = len(self.residuals_)
        place = ceil((m + 1) * float(self.level) - 1e-9)
        if place > m:
            raise ValueError(
                f"level={self.level} needs at least {rows_needed(self.level)} residuals, however: there are "
                f"{m}; fit on more rows, or lower the level"
            )
        return float(self.residuals_[place - 1])

    def _check_level(self) -> None:
        if not 0 < float(self.level) < 1:
            raise ValueError(f"level must be between 0 and 1, however: got {self.level!r}")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = get_tags(self.head).regressor_tags.poor_score
        tags.non_deterministic = get_tags(self.head).non_deterministic
        return tags
