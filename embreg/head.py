"""MLPHead: the paper's regression head, a small MLP trained on frozen features (section 2.2, App. B)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, check_random_state

from embreg._scaling import rescale
from embreg.training.checks import check_counts, check_parameters, checked, head_device
from embreg.training.rows import held_out, rows_of, validation_rows
from embreg.training.weighting import mean_one, weighted_mean, weighted_spread

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
        Of the products in training; ``"auto"`` is bfloat16 where the device has it. Weights, the
        optimiser and predictions are float32. Recorded in ``precision_``.
    ensemble : int
        MLPs per target. The first is the sweep's winner; the others are trained with the winner's
        configuration alone, from other initial weights and with another order of batches. Their mean
        predicts, and ``predict(X, return_std=True)`` tells how far they are apart.
    device : {"cpu", "cuda", "auto"} or str
        Where to train; ``"auto"`` takes a card if there is one. The default is the processor: the same
        numbers on every machine matter more than speed to who has not asked. Recorded in ``device_``.
        Predictions are made on the processor.
    random_state : int, RandomState or None
        Initial weights, order of batches and the held-out rows; each further member draws a seed.

    Attributes
    ----------
    sweep_ : DataFrame
        One row per target and configuration: ``target, learning_rate, weight_decay, val_loss,
        best_epoch, epochs``; the loss is in squared standard deviations of y, and infinite for a
        configuration that diverged at once.
    best_params_ : dict, or list of dict when y has several columns
        ``learning_rate`` and ``weight_decay`` of the winner.
    weights_ : list of list of ndarray
        Per target ``[W1, b1, W2, b2, W3, b3]`` of the sweep's winner, float32.
    members_ : list of list of list of ndarray
        ``members_[m]`` is what `weights_` is, for member m of the ensemble; ``members_[0] is weights_``.
    member_losses_ : ndarray of shape (ensemble, t)
        Smallest validation loss of each member, as in `sweep_`.
    x_mean_, x_scale_ : ndarray of shape (d,)
        What features are shifted and divided by; 0 and 1 without `standardize`.
    y_mean_, y_scale_ : ndarray of shape (t,)
        Likewise for y; the scale is 0 for a target that is constant on the training rows, whose
        prediction is that constant.
    precision_, device_ : str
    n_iter_ : int
        Most epochs that a configuration of the sweep was trained.
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
        ensemble: int = 1,
        device: str = "cpu",
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
        self.ensemble = ensemble
        self.device = device
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> MLPHead:
        """Train the sweep.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y : array-like of shape (n,) or (n, t)
            Several columns are several independent heads on one X, each with its own winner.
        sample_weight : array-like of shape (n,), float or None
            What a row's squared error is multiplied by, and its share in the means and spreads that X and
            y are scaled with. Only ratios matter. A row of weight 0 is left out; with ``batch_size=None``
            and validation rows given, a weight of 2 is a row that is there twice, up to rounding. Weights
            of rows that are held out weigh the validation loss.
        X_val, y_val : array-like, optional
            Validation rows, y_val with as many columns as y; without them `validation_fraction` of the
            rows is held out. More of them than training rows are accepted, with a warning.
        sample_weight_val : array-like of shape (v,), float or None
            Weights of the given validation rows.

        Raises
        ------
        ValueError
            Parameters out of range, strings, NaN or infinite values, fewer than two training rows,
            validation rows that do not fit, weights that are negative or all 0.
        FloatingPointError
            No configuration of a target had a finite validation loss, or a member of the ensemble had none.

        Warns
        -----
        UserWarning
            More validation than training rows.
        """
        from embreg.engine.backends import resolve_dtype
        from embreg.training.bank import Bank, Data
        from embreg.training.sweep import further_members, sweep_table, winners

        check_parameters(self)
        self.device_ = head_device(self.device)
        self.precision_ = resolve_dtype(self.precision, self.device_)
        X, y = checked(self, X, y, multi_output=True, y_numeric=True, ensure_min_samples=2)
        rng = check_random_state(self.random_state)
        train = rows_of(X, y, sample_weight, "sample_weight")
        if X_val is None and y_val is None and sample_weight_val is None:
            train, val = held_out(train, self.validation_fraction, rng)
        else:
            X_val, y_val = validation_rows(self, X_val, y_val, y.shape[1:])
            val = rows_of(X_val, y_val, sample_weight_val, "sample_weight_val")
        check_counts(train, val)
        self.one_target_ = y.ndim == 1
        self._learn_scaling(*train)
        data = Data(
            *self._scaled(train.X, train.Y), *self._scaled(val.X, val.Y), mean_one(train.weights),
            mean_one(val.weights),
        )  # fmt: skip
        seed = int(rng.randint(2**31 - 1))
        bank = Bank(
            tuple(self.hidden), self.max_epochs, self.patience, self.batch_size, self.precision_, seed,
            self.device_,
        )  # fmt: skip
        grid = [(float(lr), float(wd)) for lr in self.learning_rates for wd in self.weight_decays]
        trained = bank.train(
            *data[:4], grid, weights=data.weights, weights_val=data.weights_val, best_only=True
        )
        self.sweep_ = sweep_table(trained, grid)
        self.n_iter_ = int(self.sweep_["epochs"].max())
        chosen = winners(trained)
        best = [{"learning_rate": grid[w][0], "weight_decay": grid[w][1]} for w in chosen]
        self.best_params_ = best[0] if self.one_target_ else best
        seeds = [int(rng.randint(2**31 - 1)) for _ in range(self.ensemble - 1)]
        members = [[trained[t][w] for t, w in enumerate(chosen)]]
        members += further_members(bank, data, [grid[w] for w in chosen], seeds)
        self.members_ = [[mlp.weights for mlp in member] for member in members]
        self.weights_ = self.members_[0]
        self.member_losses_ = np.array([[mlp.val_loss for mlp in member] for member in members])
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Prediction in the units of y: the mean over the ensemble.

        Parameters
        ----------
        X : array-like of shape (n, d)
        return_std : bool
            Also give the standard deviation over the members of the ensemble (``ddof=1``). It says how
            far the fit depends on its random start, and nothing about noise in y.

        Returns
        -------
        ndarray of shape (n,), or (n, t) when fitted on several targets, float64
            With `return_std` a pair of them, mean and standard deviation.

        Raises
        ------
        ValueError
            `return_std` with a single member, or X that does not fit.
        """
        from embreg.training.bank import forward

        check_is_fitted(self, "weights_")
        if return_std and len(self.members_) < 2:
            raise ValueError(
                "return_std must have an ensemble of 2 members or more, however: fitted with ensemble=1; "
                "use MLPHead(ensemble=5)"
            )
        X = rescale(checked(self, X, reset=False), self.x_mean_, self.x_scale_)
        out = np.array([[forward(w, X) for w in member] for member in self.members_], dtype=float)
        mean = np.where(self.y_scale_ > 0, out.mean(0).T * self.y_scale_, 0.0) + self.y_mean_
        if not return_std:
            return mean[:, 0] if self.one_target_ else mean
        std = out.std(0, ddof=1).T * self.y_scale_
        return (mean[:, 0], std[:, 0]) if self.one_target_ else (mean, std)

    def _learn_scaling(self, X: np.ndarray, Y: np.ndarray, weights: np.ndarray | None) -> None:
        self.y_scale_ = weighted_spread(Y, weights)
        self.y_mean_ = np.where(self.y_scale_ > 0, weighted_mean(Y, weights), Y[0])
        spread = weighted_spread(X, weights)
        self.x_mean_ = weighted_mean(X, weights) if self.standardize else np.zeros(X.shape[1])
        self.x_scale_ = np.where((spread > 0) & bool(self.standardize), spread, 1.0)

    def _scaled(self, X: np.ndarray, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        unit = np.where(self.y_scale_ > 0, self.y_scale_, 1.0)
        return rescale(X, self.x_mean_, self.x_scale_), (Y - self.y_mean_) / unit

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.non_deterministic = self.random_state is None
        return tags
