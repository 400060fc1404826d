"""Prediction intervals with a guarantee, around any pipeline or head: conformal prediction through MAPIE."""

from __future__ import annotations

import numbers
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin
from sklearn.model_selection import KFold, train_test_split
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
    check_random_state,
    column_or_1d,
    validate_data,
)

from embreg._mapie import Adapter, for_mapie

__all__ = ["ConformalRegressor", "coverage", "mean_width", "rows_needed"]


class ConformalRegressor(MetaEstimatorMixin, RegressorMixin, BaseEstimator):
    """Mean and interval of each prediction; the interval holds the truth with probability `level`.

    That is a statement about the average over rows that are exchangeable with the training rows, not
    about each row: the interval says nothing for points from elsewhere. The score is the absolute
    residual, so a split interval is as wide for every row.

    Parameters
    ----------
    estimator : estimator
        Any regressor or pipeline that ends in one; it is cloned.
    method : {"split", "cross"}
        ``"split"`` fits once and holds `calibration_fraction` of the rows out; at least `level` is
        promised. ``"cross"`` (CV+) fits `cv` + 1 times and uses every row for both: the width depends less
        on chance when rows are few; about `level` in practice, 2 · `level` - 1 promised.
    level : float
        Between 0 and 1.
    cv : int
        Folds of ``"cross"``, shuffled.
    calibration_fraction : float
        Share of the rows that ``"split"`` holds out.
    random_state : int, RandomState or None
        Of the calibration rows, or of the folds.

    Attributes
    ----------
    mapie_ : mapie.regression.SplitConformalRegressor or CrossConformalRegressor
        Fitted; its ``conformity_scores`` are the absolute residuals.
    estimator_ : estimator
        Fitted on the rows that were not held out. Of ``"split"`` only.
    n_calibration_ : int
        Residuals behind the interval.

    Raises
    ------
    ValueError
        From `fit`: parameters out of range, too few rows for the level, y with several columns, NaN or
        infinite y.
    ImportError
        MAPIE is not installed.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 2)); y = X[:, 0] + rng.normal(size=400)
    >>> model = ConformalRegressor(Ridge(), level=0.8).fit(X[:200], y[:200])
    >>> mean, low, high = model.predict_interval(X[200:])
    >>> mean.shape, bool(0.7 < coverage(low, high, y[200:]) < 0.9)
    ((200,), True)
    """

    def __init__(
        self,
        estimator: Any,
        *,
        method: Literal["split", "cross"] = "split",
        level: float = 0.9,
        cv: int = 5,
        calibration_fraction: float = 0.25,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.estimator = estimator
        self.method = method
        self.level = level
        self.cv = cv
        self.calibration_fraction = calibration_fraction
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> ConformalRegressor:
        """Fit the estimator and measure its residuals on rows that it has not seen.

        Parameters
        ----------
        X : DataFrame, array, list of str or list of dict, of n rows
            Whatever the estimator takes.
        y : array-like of shape (n,)
        """
        self._check()
        try:
            from mapie.regression import CrossConformalRegressor, SplitConformalRegressor
        except ImportError as error:
            raise ImportError("intervals need MAPIE: pip install 'embreg[uncertainty]'") from error
        y = _target(y)
        validate_data(self, X, skip_check_array=True)  # only notes the number of features and their names
        check_consistent_length(X, y)
        self.__dict__.pop("estimator_", None)
        rng = check_random_state(self.random_state)
        rows, model = for_mapie(X), Adapter(self.estimator)
        if self.method == "cross":
            self._enough(len(y), self.cv, f"cv={self.cv}")
            # A seed, not the generator: MAPIE asks for the folds more than once, and they must be the same.
            folds = KFold(self.cv, shuffle=True, random_state=rng.randint(2**31 - 1))
            self.mapie_ = CrossConformalRegressor(model, self.level, method="plus", cv=folds)
            self.mapie_.fit_conformalize(rows, y)
            self.n_calibration_ = len(y)
            return self
        held_out = round(self.calibration_fraction * len(y))
        share = f"calibration_fraction={self.calibration_fraction} of n_samples={len(y)}"
        self._enough(held_out, 1, share)
        train, held = train_test_split(np.arange(len(y)), test_size=held_out, random_state=rng)
        model = model.fit(_safe_indexing(rows, train), y[train])
        self.mapie_ = SplitConformalRegressor(model, self.level, prefit=True)
        self.mapie_.conformalize(_safe_indexing(rows, held), y[held])
        self.estimator_, self.n_calibration_ = model.estimator_, held_out
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The estimator's own prediction, shape (n,); of ``"cross"`` the one that saw every row."""
        check_is_fitted(self, "mapie_")
        return np.asarray(self.mapie_.predict(for_mapie(X), **self._point()), dtype=float)

    def predict_interval(self, X: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Prediction and the two ends of its interval.

        Parameters
        ----------
        X : as in `fit`, of n rows

        Returns
        -------
        mean, low, high : ndarray of shape (n,), float64
            In the units of y; `mean` is what `predict` gives.
        """
        check_is_fitted(self, "mapie_")
        mean, ends = self.mapie_.predict_interval(for_mapie(X), **self._point())
        return np.asarray(mean, dtype=float), ends[:, 0, 0], ends[:, 1, 0]

    def _point(self) -> dict[str, Any]:
        # The mean of the folds' models would be another model than the one that the user asked for.
        from mapie.regression import CrossConformalRegressor

        cross = isinstance(self.mapie_, CrossConformalRegressor)
        return {"aggregate_point_predictions": None} if cross else {}

    def _enough(self, have: int, least: int, where: str) -> None:
        needed = max(rows_needed(self.level), least)
        way = "" if self.method == "cross" else ", hold out a larger share, or use method='cross'"
        if have < needed:
            raise ValueError(
                f"level={self.level} needs at least {needed} calibration rows, however: {where} gives "
                f"{have}; give more rows, or lower the level{way}"
            )

    def _check(self) -> None:
        if self.method not in ("split", "cross"):
            raise ValueError(f"method must be 'split' or 'cross', however: got {self.method!r}")
        for name in ("level", "calibration_fraction"):
            value = getattr(self, name)
            if not isinstance(value, numbers.Real) or not 0 < float(value) < 1:
                raise ValueError(f"{name} must be between 0 and 1, however: got {value!r}")
        if not isinstance(self.cv, numbers.Integral) or isinstance(self.cv, bool) or int(self.cv) < 2:
            raise ValueError(f"cv must be a whole number from 2, however: got {self.cv!r}")

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import get_tags

        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.target_tags.multi_output = False
        return tags


def _target(y: Any) -> np.ndarray:
    if y is None:
        raise ValueError("ConformalRegressor requires y to be passed, but the target y is None")
    out = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    if out.ndim == 2 and out.shape[1] > 1:
        raise ValueError(f"y must have shape (n,), however: y.shape={out.shape}; fit one model a target")
    return column_or_1d(out, warn=True)


def rows_needed(level: float) -> int:
    """Calibration rows below which an interval of this level would have to be infinite.

    As MAPIE counts: ``1 / (1 - level)`` rows, and ``1 / level`` for levels below one half.

    Examples
    --------
    >>> rows_needed(0.9), rows_needed(0.95), rows_needed(0.1)
    (10, 20, 10)
    """
    exact = Fraction(Decimal(str(float(level))))  # in floats 1 / (1 - 0.9) is more than 10
    return ceil(1 / min(exact, 1 - exact))


def coverage(low: Any, high: Any, y: Any) -> float:
    """Share of y within its interval, ends included.

    Parameters
    ----------
    low, high, y : array-like of shape (n,)

    Examples
    --------
    >>> coverage([0, 0, 0, 0], [1, 1, 1, 1], [0.5, 1.0, 2.0, -1.0])
    0.5
    """
    low, high, y = _ends(low, high, y)
    return float(((low <= y) & (y <= high)).mean())


def mean_width(low: Any, high: Any) -> float:
    """Mean length of the intervals, in the units of y.

    Examples
    --------
    >>> mean_width([0, 1], [1, 4])
    2.0
    """
    low, high = _ends(low, high)
    return float((high - low).mean())


def _ends(*values: Any) -> list[np.ndarray]:
    arrays = [np.asarray(v, dtype=float) for v in values]
    shapes = [a.shape for a in arrays]
    if len(set(shapes)) > 1 or arrays[0].ndim != 1 or not len(arrays[0]):
        raise ValueError(f"low, high and y must have one shape (n,), n >= 1, however: got {shapes}")
    if any(np.isnan(a).any() for a in arrays) or (arrays[0] > arrays[1]).any():
        raise ValueError("low must not lie above high and nothing may be NaN, however: some values do")
    return arrays
