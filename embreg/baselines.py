"""Baselines beside the MLP head, each from a library and each tuned on validation rows like the head."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from embreg._scaling import spread
from embreg._task import whole
from embreg.training.baseline_rows import Features, Rows, hold_out, validation
from embreg.training.baseline_search import Found, search
from embreg.training.baseline_table import BASELINES, Baseline, look_up, read_grid

__all__ = ["BASELINES", "Baseline", "Tuned", "baseline"]


def baseline(name: str, *, grid: Any = None, max_rows: int | None = None, random_state: Any = 0) -> Tuned:
    """Baseline by name, tuned on its grid or on another.

    Parameters
    ----------
    name : str
        One of `BASELINES`.
    grid : sequence of dict, or dict of sequences, optional
        Points to try instead of ``BASELINES[name].grid``, or values whose combinations are.
    max_rows : int, optional
        Of more training rows than this a random sample is taken. By default all are used, and more than the
        baseline takes is an error.
    random_state : int, RandomState or None
        Of the held-out rows, of the sample, and of forests and boosted trees.

    Returns
    -------
    Tuned

    Raises
    ------
    ValueError
        An unknown name.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(60, 30))
    >>> y = (X**2).sum(1)
    >>> bool(baseline("ridge_squares").fit(X[:50], y[:50]).score(X[50:], y[50:]) > 0.5)
    False
    >>> baseline("knn", grid={"n_neighbors": [3]}).fit(X, y).best_params_
    {'n_neighbors': 3}
    """
    look_up(name)
    return Tuned(name, grid=grid, max_rows=max_rows, random_state=random_state)


class Tuned(RegressorMixin, BaseEstimator):
    """A baseline, with the point of its grid that has the smallest squared error on validation rows.

    y is standardised on the training rows, and X where the model needs it. Each column of y gets its
    own winner, and is fitted as if it were alone.

    Parameters
    ----------
    name, grid, max_rows, random_state
        As for `baseline`.

    Attributes
    ----------
    best_params_ : dict, or list of dict when y has several columns
        The winning point, and what the library found besides: ``trees`` of boosted trees, ``alpha`` of
        Bayesian ridge (its noise's precision over its weights'), ``converged`` and ``at_bounds`` of a
        Gaussian process. Empty for a target that is constant on the training rows: that constant is
        predicted, and nothing is tuned.
    tried_ : DataFrame
        One row per target and point: ``target``, the point, what the library found, and ``val_mse`` in
        squared standard deviations of y. It is missing for a constant target and for a point that does
        not apply: more neighbours than rows, or a length scale per feature where these are too many.
    grid_ : tuple of dict
        Every point, also those that do not apply.
    y_mean_, y_scale_ : ndarray of shape (t,)
        What y is shifted and divided by; the scale of a constant target is 0.
    models_ : list of (list of int, estimator)
        The library's fitted estimators, and the columns of y that each predicts, on scaled features and
        in scaled units.
    n_features_in_ : int

    Notes
    -----
    A Gaussian process has a length scale per feature or one for all, whichever predicts better, and
    always one with more than 100 features, or where the gradient by length scales (n x n x d numbers)
    is over 1 GiB; ``best_params_["length_scales"]`` tells. ``at_bounds`` counts hyper-parameters at the
    end of their range: on a function without noise the variance of the noise is one. It takes at most
    2000 training rows.

    Ridge and nearest neighbours are fitted to all targets at once; everything else to one target in one
    thread, as many threads as there are cores.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(80, 3)); Y = np.column_stack([X[:, 0], X[:, 1] ** 2])
    >>> model = Tuned("ridge_squares").fit(X, Y)
    >>> model.score(X, Y) > 0.999, len(model.best_params_), len(model.tried_)
    (True, 2, 50)
    """

    def __init__(
        self, name: str, *, grid: Any = None, max_rows: int | None = None, random_state: Any = 0
    ) -> None:
        self.name = name
        self.grid = grid
        self.max_rows = max_rows
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, X_val: Any = None, y_val: Any = None) -> Tuned:
        """Try every point.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y : array-like of shape (n,) or (n, t)
        X_val, y_val : array-like, optional
            Validation rows, y_val with as many columns as y; without them a tenth of the rows is held
            out.

        Raises
        ------
        ValueError
            An unknown name, a bad grid, NaN or infinite values, fewer than two training rows, more than
            the baseline takes, validation rows that do not fit.
        FloatingPointError
            No point of a target had a finite validation error.
        ImportError
            The library is not installed.
        """
        spec = look_up(self.name)
        X, y = validate_data(
            self, X, y, multi_output=True, y_numeric=True, dtype=np.float64, ensure_min_samples=2
        )
        rng = check_random_state(self.random_state)
        if X_val is None and y_val is None:
            X, X_val, y, y_val = hold_out(X, y, rng)
        else:
            X_val, y_val = validation(self, X_val, y_val, y.shape[1:])
        if self.max_rows is not None and len(X) > whole("max_rows", self.max_rows, 2):
            kept = np.sort(rng.permutation(len(X))[: self.max_rows])
            X, y = X[kept], y[kept]
        if spec.largest is not None and len(X) > spec.largest:
            raise ValueError(
                f"{self.name} takes at most {spec.largest} training rows, however: n={len(X)}; fit it to a "
                f"sample of them, max_rows={spec.largest}, or use another baseline"
            )
        self.grid_ = read_grid(self.name, self.grid)
        self.one_target_ = y.ndim == 1
        # Column by column in memory: sums are rounded as for one target alone, and trees break ties by that.
        Y, Y_val = (np.asfortranarray(v, dtype=float).reshape(len(v), -1, order="F") for v in (y, y_val))
        self.y_scale_ = spread(Y)
        self.y_mean_ = np.where(self.y_scale_ > 0, Y.mean(0), Y[0])
        varying = np.flatnonzero(self.y_scale_ > 0)
        self.features_ = Features.learn(X, spec.features)
        with np.errstate(over="ignore"):  # then no point has a finite error, which is said
            Y, Y_val = (((v - self.y_mean_) / np.where(self.y_scale_ > 0, self.y_scale_, 1.0))[:, varying]
                        for v in (Y, Y_val))  # fmt: skip
        rows = Rows(self.features_(X), Y, self.features_(X_val), Y_val)
        usable = [p for p, point in enumerate(self.grid_) if spec.applies(point, *X.shape)]
        if not usable:
            raise ValueError(
                f"a grid must have a point that applies to n={len(X)} rows of {X.shape[1]} features, "
                f"however: got {self.grid_}"
            )
        seed = self.random_state
        seed = int(seed) if isinstance(seed, numbers.Integral) else int(rng.randint(2**31 - 1))
        found = Found(np.empty((0, len(usable))), [])
        if len(varying):
            found = search(spec, [self.grid_[p] for p in usable], rows, seed, self.name)
        self._keep(found, usable, varying)
        return self

    def _keep(self, found: Found, usable: list[int], varying: np.ndarray) -> None:
        if lost := varying[~np.isfinite(found.errors).any(1)].tolist():
            raise FloatingPointError(
                f"a point of the grid must have a finite validation error, however: targets {lost} have "
                "none; look for outliers in X_val and y_val"
            )
        t = len(self.y_scale_)
        about: list[list[dict[str, Any]]] = [[{"val_mse": np.nan} for _ in self.grid_] for _ in range(t)]
        best: list[dict[str, Any]] = [{} for _ in range(t)]
        for row, column in enumerate(varying):
            for i, p in enumerate(usable):
                about[column][p] = {**found.facts[row][i], "val_mse": found.errors[row, i]}
            winner = int(found.winners()[row])
            best[column] = {**self.grid_[usable[winner]], **found.facts[row][winner]}
        tried = pd.DataFrame(
            {"target": c, **point, **about[c][p]} for c in range(t) for p, point in enumerate(self.grid_)
        )
        self.tried_ = tried[[*tried.columns.drop("val_mse"), "val_mse"]]
        self.best_params_ = best[0] if self.one_target_ else best
        self.models_ = [(varying[columns].tolist(), model) for columns, model in found.models]

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Prediction in the units of y.

        Parameters
        ----------
        X : array-like of shape (n, d)
        return_std : bool
            Also the standard deviation of an observation, noise included.

        Returns
        -------
        ndarray of shape (n,), or (n, t) when fitted on several targets, float64
            With `return_std` a tuple of two.

        Raises
        ------
        ValueError
            `return_std` from a baseline that has none.
        """
        check_is_fitted(self, "models_")
        if return_std and not look_up(self.name).has_std:
            able = tuple(name for name, spec in BASELINES.items() if spec.has_std)
            raise ValueError(
                f"return_std must be asked of one of {able}, however: got {self.name!r}; for intervals "
                "around any model see embreg.conformal"
            )
        Z = self.features_(validate_data(self, X, reset=False, dtype=np.float64))
        mean, std = np.zeros((2, len(Z), len(self.y_scale_)))
        for columns, model in self.models_:
            if return_std:
                mean[:, columns[0]], std[:, columns[0]] = model.predict(Z, return_std=True)
            else:
                mean[:, columns] = model.predict(Z).reshape(len(Z), -1)
        mean, std = mean * self.y_scale_ + self.y_mean_, std * self.y_scale_
        if self.one_target_:
            mean, std = mean[:, 0], std[:, 0]
        return (mean, std) if return_std else mean

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.non_deterministic = self.random_state is None
        tags.regressor_tags.poor_score = self.name == "mean"
        return tags
