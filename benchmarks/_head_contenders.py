"""Who trains: the sweep of `MLPHead`, a plain loop in torch, and scikit-learn's own MLP."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks._head_data import Problem

__all__ = ["Settings", "Sklearn", "loop", "sweep"]


@dataclass(frozen=True)
class Settings:
    """What every contender is asked for; the defaults are those of `MLPHead`.

    Parameters
    ----------
    learning_rates, weight_decays : tuple of float
    hidden : tuple of int
        Two layers.
    max_epochs, patience, batch_size : int
    seed : int
    """

    learning_rates: tuple[float, ...] = (1e-4, 5e-4, 1e-3, 5e-3, 1e-2)
    weight_decays: tuple[float, ...] = (0, 0.1, 1)
    hidden: tuple[int, ...] = (256, 256)
    max_epochs: int = 300
    patience: int = 30
    batch_size: int = 64
    seed: int = 0

    @property
    def grid(self) -> list[tuple[float, float]]:
        """Pairs of learning rate and weight decay."""
        return [(lr, wd) for lr in self.learning_rates for wd in self.weight_decays]

    def head(self, **more: Any) -> Any:
        """`MLPHead` with these settings."""
        from embreg.head import MLPHead

        return MLPHead(
            **{
                "hidden": self.hidden, "learning_rates": self.learning_rates,
                "weight_decays": self.weight_decays, "max_epochs": self.max_epochs,
                "patience": self.patience, "batch_size": self.batch_size, "random_state": self.seed, **more,
            }
        )  # fmt: skip


def sweep(problem: Problem, settings: Settings, **more: Any) -> Any:
    """Fit every target at once; the fitted head."""
    train, val, _ = problem.parts
    X, Y = problem.X, problem.Y
    return settings.head(**more).fit(X[train], Y[train], X_val=X[val], y_val=Y[val])


def loop(problem: Problem, target: int, settings: Settings) -> dict[str, Any]:
    """Train one model after another, as a reader of the paper would write it down.

    The start and the order of the batches are those of `MLPHead`, so that only rounding is left of a
    difference.

    Returns
    -------
    dict
        ``seconds``, ``epochs`` of all configurations together, and ``predicted`` on the test rows.
    """
    import torch
    from torch.nn.functional import mse_loss

    seed = int(np.random.RandomState(settings.seed).randint(2**31 - 1))
    X, Y = (torch.from_numpy(v) for v in problem.standardised())
    y = Y[:, [target]]
    train, val, test = (torch.from_numpy(p) for p in problem.parts)
    started = time.perf_counter()
    best_loss, best_state, epochs = float("inf"), None, 0
    model = _model(X.shape[1], settings.hidden, seed)
    first = {k: v.clone() for k, v in model.state_dict().items()}
    for learning_rate, weight_decay in settings.grid:
        model.load_state_dict(first)
        optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=weight_decay)
        order, loss_here, best_epoch = np.random.default_rng(seed), float("inf"), 0
        for epoch in range(1, settings.max_epochs + 1):
            whole = settings.batch_size >= len(train)
            rows = train if whole else train[torch.from_numpy(order.permutation(len(train)))]
            for part in rows.split(settings.batch_size):
                optimizer.zero_grad()
                mse_loss(model(X[part]), y[part]).backward()
                optimizer.step()
            with torch.no_grad():
                loss = mse_loss(model(X[val]), y[val]).item()
            if loss < loss_here:
                loss_here, best_epoch = loss, epoch
                state = {k: v.clone() for k, v in model.state_dict().items()}
            if epoch - best_epoch >= settings.patience or not np.isfinite(loss):
                break
        epochs += epoch
        if loss_here < best_loss:
            best_loss, best_state = loss_here, state
    seconds = time.perf_counter() - started
    if best_state is None:
        raise FloatingPointError(f"every configuration diverged, however: {problem.names[target]} needs one")
    model.load_state_dict(best_state)
    with torch.no_grad():
        return {"seconds": seconds, "epochs": epochs, "predicted": model(X[test])[:, 0].numpy()}


def _model(width: int, hidden: Sequence[int], seed: int) -> Any:
    """Layers as torch makes them, with the weights that `MLPHead` starts from."""
    import torch

    from embreg.training.bank import initial_weights

    sizes = (width, *hidden, 1)
    layers: list[Any] = []
    for a, b in pairwise(sizes):
        layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
    start = initial_weights(sizes, seed)
    with torch.no_grad():
        for layer, weight, bias in zip(layers[::2], start[::2], start[1::2], strict=True):
            layer.weight.copy_(torch.from_numpy(weight.T.copy()))
            layer.bias.copy_(torch.from_numpy(bias[0]))
    return torch.nn.Sequential(*layers[:-1])


class Sklearn:
    """`MLPRegressor` in `GridSearchCV` on two processes; a context, so that they end.

    Its Adam has an L2 penalty where AdamW has weight decay, and it cannot be given validation rows to stop
    by: it takes a tenth of its training rows for that. The grid is decided on everybody's validation rows.
    """

    def __init__(self, jobs: int = 2) -> None:
        self.jobs = jobs

    def __enter__(self) -> Sklearn:
        return self

    def __exit__(self, *_: object) -> None:
        # Only processes that were waited for count as this process's own work (`Watch`).
        from joblib.externals.loky import get_reusable_executor  # type: ignore[import-untyped]

        if self.jobs > 1:
            get_reusable_executor().shutdown(wait=True)

    def __call__(self, problem: Problem, target: int, settings: Settings) -> dict[str, Any]:
        """As `loop`; ``seconds`` is without the final fit on training and validation rows."""
        from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
        from sklearn.model_selection import GridSearchCV, PredefinedSplit
        from sklearn.neural_network import MLPRegressor

        X, Y = problem.standardised()
        train, val, test = problem.parts
        rows = np.concatenate([train, val])
        mlp = MLPRegressor(
            hidden_layer_sizes=settings.hidden, batch_size=settings.batch_size, max_iter=settings.max_epochs,
            early_stopping=True, n_iter_no_change=settings.patience, random_state=settings.seed,
        )  # fmt: skip
        grid = {"learning_rate_init": list(settings.learning_rates), "alpha": list(settings.weight_decays)}
        part = PredefinedSplit(np.repeat([-1, 0], [len(train), len(val)]))
        search = GridSearchCV(mlp, grid, cv=part, n_jobs=self.jobs, scoring="neg_mean_squared_error")
        with warnings.catch_warnings():
            # Some need more epochs than the paper allows; one that diverges counts as the worst of the grid.
            for kind in (ConvergenceWarning, FitFailedWarning):
                warnings.simplefilter("ignore", kind)
            warnings.filterwarnings("ignore", "One or more of the test scores are non-finite")
            started = time.perf_counter()
            search.fit(X[rows], Y[rows, target])
            seconds = time.perf_counter() - started
        return {
            "seconds": seconds - search.refit_time_,
            "refit_seconds": search.refit_time_,
            "predicted": search.predict(X[test]),
        }
