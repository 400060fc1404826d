"""MLPHead: the paper's regression head, a small MLP trained on frozen features (section 2.2, App. B)."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from embreg._scaling import rescale, spread

__all__ = ["MLPHead"]


class MLPHead(RegressorMixin, BaseEstimator):
    """Two hidden ReLU layers, mean squared error, AdamW, the best of a sweep by validation loss.

    Every pair of learning rate and weight decay is trained; each stops when its validation loss has
    not improved for `patience` epochs and keeps its best weights; the configuration with the
    smallest validation loss predicts. y is standardised on the training rows, as in the paper.

    Parameters
    ----------
    hidden : tuple of int
        Widths of the hidden layers; the paper has (256, 256).
    learning_rates, weight_decays : sequence of float
        The sweep; the defaults are the paper's 15 configurations.
    max_epochs : int
        The paper has 300.
    patience : int
        Epochs without improvement before a configuration stops; the paper does not say.
    batch_size : int or None
        Rows per step, None for all. The paper does not say.
    standardize : bool
        Features to mean 0 and variance 1 on the training rows; the paper does not say.
    validation_fraction : float
        Share of the rows held out when `fit` gets no validation rows of its own.
    precision : {"auto", "float32", "bfloat16"}
        Of the products in training; ``"auto"`` is bfloat16 where the processor has it. Weights, the
        optimiser and predictions are float32. Recorded in ``precision_``.
    random_state : int, RandomState or None
        Initial weights, order of batches and the held-out rows.

    Attributes
    ----------
    sweep_ : DataFrame
        One row per target and configuration: ``target, learning_rate, weight_decay, val_loss,
        best_epoch, epochs``; the loss is in squared standard deviations of y, and infinite for a
        configuration that diverged at once.
    best_params_ : dict, or list of dict when y has several columns
        ``learning_rate`` and ``weight_decay`` of the winner.
    weights_ : list of list of ndarray
        Per target ``[W1, b1, W2, b2, W3, b3]``, float32.
    x_mean_, x_scale_ : ndarray of shape (d,)
        What features are shifted and divided by; 0 and 1 without `standardize`.
    y_mean_, y_scale_ : ndarray of shape (t,)
        Likewise for y; the scale is 0 for a target that is constant on the training rows, whose
        prediction is that constant.
    precision_ : str
    n_iter_ : int
        Most epochs that a configuration was trained.
    n_features_in_ : int

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(80, 3)); y = X[:, 0] + X[:, 1] ** 2
    >>> head = MLPHead(learning_rates=(1e-3, 1e-2), weight_decays=(0,), random_state=0).fit(X, y)
    >>> len(head.sweep_), head.score(X, y) > 0.8
    (2, True)
    """

    def __init__(
        self,
        hidden: Sequence[int] = (256, 256),
        learning_rates: Sequence[float] = (1e-4, 5e-4, 1e-3, 5e-3, 1e-2),
        weight_decays: Sequence[float] = (0, 0.1, 1),
        max_epochs: int = 300,
        *,
        patience: int = 30,
        batch_size: int | None = 64,
        standardize: bool = True,
        validation_fraction: float = 0.1,
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.hidden = hidden
        self.learning_rates = learning_rates
        self.weight_decays = weight_decays
        self.max_epochs = max_epochs
        self.patience = patience
        self.batch_size = batch_size
        self.standardize = standardize
        self.validation_fraction = validation_fraction
        self.precision = precision
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, X_val: Any = None, y_val: Any = None) -> MLPHead:
        """Train the sweep.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y : array-like of shape (n,) or (n, t)
            Several columns are several independent heads on one X, each with its own winner.
        X_val, y_val : array-like, optional
            Validation rows, y_val with as many columns as y; without them `validation_fraction` of the
            rows is held out.

        Raises
        ------
        ValueError
            Parameters out of range, NaN or infinite values, fewer than two training rows, validation
            rows that do not fit.
        FloatingPointError
            No configuration of a target had a finite validation loss.
        """
        from embreg._bank import Bank
        from embreg.engine.backends import resolve_dtype

        self._check()
        X, y = validate_data(
            self, X, y, multi_output=True, y_numeric=True, dtype=np.float64, ensure_min_samples=2
        )
        rng = check_random_state(self.random_state)
        if X_val is None and y_val is None:
            X, X_val, y, y_val = self._hold_out(X, y, rng)
        else:
            X_val, y_val = self._validation(X_val, y_val, y.shape[1:])
        self.one_target_ = y.ndim == 1
        Y, Y_val = (np.asarray(v, dtype=float).reshape(len(v), -1) for v in (y, y_val))
        self.y_scale_ = spread(Y)
        self.y_mean_ = np.where(self.y_scale_ > 0, Y.mean(0), Y[0])
        unit = np.where(self.y_scale_ > 0, self.y_scale_, 1.0)
        x_spread = spread(X)
        self.x_mean_ = X.mean(0) if self.standardize else np.zeros(X.shape[1])
        self.x_scale_ = np.where((x_spread > 0) & bool(self.standardize), x_spread, 1.0)
        self.precision_ = resolve_dtype(self.precision, "cpu")
        bank = Bank(
            tuple(self.hidden),
            self.max_epochs,
            self.patience,
            self.batch_size,
            self.precision_,
            int(rng.randint(2**31 - 1)),
        )
        grid = [(float(lr), float(wd)) for lr in self.learning_rates for wd in self.weight_decays]
        trained = bank.train(
            rescale(X, self.x_mean_, self.x_scale_), (Y - self.y_mean_) / unit,
            rescale(X_val, self.x_mean_, self.x_scale_), (Y_val - self.y_mean_) / unit, grid,
        )  # fmt: skip
        self._keep(trained, grid)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Prediction in the units of y.

        Parameters
        ----------
        X : array-like of shape (n, d)

        Returns
        -------
        ndarray of shape (n,), or (n, t) when fitted on several targets, float64
        """
        from embreg._bank import forward

        check_is_fitted(self, "weights_")
        X = validate_data(self, X, reset=False, dtype=np.float64)
        X = rescale(X, self.x_mean_, self.x_scale_)
        out = np.stack([forward(w, X) for w in self.weights_], axis=1).astype(float)
        out = np.where(self.y_scale_ > 0, out * self.y_scale_, 0.0) + self.y_mean_
        return out[:, 0] if self.one_target_ else out

    def _validation(self, X_val: Any, y_val: Any, columns: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val go together, however: got one without the other")
        X_val = validate_data(self, X_val, reset=False, dtype=np.float64)
        y_val = np.asarray(y_val, dtype=float)
        if y_val.shape != (len(X_val), *columns) or not np.isfinite(y_val).all():
            raise ValueError(
                f"y_val must hold finite values of shape {(len(X_val), *columns)}, however: "
                f"y_val.shape={y_val.shape}, {int((~np.isfinite(y_val)).sum())} not finite"
            )
        return X_val, y_val

    def _hold_out(self, X: np.ndarray, y: np.ndarray, rng: np.random.RandomState) -> tuple[np.ndarray, ...]:
        n_val = max(1, round(self.validation_fraction * len(X)))
        if len(X) - n_val < 2:
            raise ValueError(
                f"at least two training rows are needed, however: n_samples={len(X)} leaves {len(X) - n_val} "
                f"beside {n_val} for validation; give more rows, or X_val and y_val"
            )
        return tuple(train_test_split(X, y, test_size=n_val, random_state=rng))

    def _keep(self, trained: list[list[Any]], grid: list[tuple[float, float]]) -> None:
        rows = [
            {
                "target": t,
                "learning_rate": lr,
                "weight_decay": wd,
                "val_loss": one.val_loss,
                "best_epoch": one.best_epoch,
                "epochs": one.epochs,
            }
            for t, target in enumerate(trained)
            for (lr, wd), one in zip(grid, target, strict=True)
        ]
        self.sweep_ = pd.DataFrame(rows)
        losses = np.array([[one.val_loss for one in target] for target in trained])
        if lost := np.flatnonzero(~np.isfinite(losses).any(1)).tolist():
            raise FloatingPointError(
                f"every configuration diverged, however: targets {lost} need one with a finite validation "
                "loss; use smaller learning_rates, or standardize=True"
            )
        winners = losses.argmin(1)
        self.weights_ = [trained[t][w].weights for t, w in enumerate(winners)]
        best = [{"learning_rate": grid[w][0], "weight_decay": grid[w][1]} for w in winners]
        self.best_params_ = best[0] if self.one_target_ else best
        self.n_iter_ = int(self.sweep_["epochs"].max())

    def _check(self) -> None:
        _numbers("hidden", self.hidden, numbers.Integral, "whole numbers from 1", 1)
        _numbers("learning_rates", self.learning_rates, numbers.Real, "positive numbers", np.nextafter(0, 1))
        _numbers("weight_decays", self.weight_decays, numbers.Real, "numbers from 0", 0)
        for name in ("max_epochs", "patience", "batch_size"):
            value = getattr(self, name)
            if name == "batch_size" and value is None:
                continue
            if not isinstance(value, numbers.Integral) or value < 1:
                none = " or None" if name == "batch_size" else ""
                raise ValueError(f"{name} must be a whole number from 1{none}, however: got {value!r}")
        fraction = self.validation_fraction
        if not isinstance(fraction, numbers.Real) or not 0 < fraction < 1:
            raise ValueError(f"validation_fraction must be between 0 and 1, however: got {fraction!r}")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.non_deterministic = self.random_state is None
        return tags


def _numbers(name: str, values: Any, kind: Any, what: str, least: float) -> None:
    """Refuse what is not a sequence of at least one finite number from `least`."""
    good = not isinstance(values, str) and hasattr(values, "__len__") and len(values) > 0
    if not good or not all(isinstance(v, kind) and least <= v < float("inf") for v in values):
        raise ValueError(f"{name} must be a sequence of {what}, at least one, however: got {values!r}")
