"""One training run that serves every patience: the losses and the predictions of each epoch are kept.

The MLPs, their start, their batches and their optimiser are those of `embreg.head.MLPHead`, which keeps no
such record; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from embreg._threads import each

__all__ = ["Curves", "stop", "train_curves"]


@dataclass(frozen=True)
class Curves:
    """What every epoch of every model gave.

    Attributes
    ----------
    losses : ndarray of shape (configurations, targets, epochs)
        On the validation rows; infinite after the end.
    predicted : ndarray of shape (configurations, targets, epochs, test rows)
        In standardised units; NaN after the end.
    """

    losses: np.ndarray
    predicted: np.ndarray


def stop(losses: np.ndarray, patience: int) -> tuple[int, int]:
    """Epoch of the best weights, and epoch of the end, both from 1, of early stopping on these losses.

    Examples
    --------
    >>> stop(np.array([3.0, 2.0, 2.5, 2.4, 1.0]), 2), stop(np.array([3.0, 2.0, 2.5, 2.4, 1.0]), 3)
    ((2, 4), (5, 5))
    """
    best, epoch = 0, 0
    smallest = np.inf
    for epoch, loss in enumerate(losses, 1):
        if loss < smallest:
            best, smallest = epoch, loss
        if epoch - best >= patience or not np.isfinite(loss):
            break
    return best, epoch


def train_curves(
    X: np.ndarray,
    Y: np.ndarray,
    parts: Any,
    grid: Sequence[tuple[float, float]],
    *,
    batch_size: int | None,
    patience: int,
    max_epochs: int = 300,
    hidden: tuple[int, int] = (256, 256),
    precision: str = "float32",
    seed: int = 0,
) -> Curves:
    """Train one model per configuration and target, and record each.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    Y : ndarray of shape (n, t)
        Both standardised, float32.
    parts : Split
        Row numbers of train, val and test.
    grid : sequence of (learning rate, weight decay)
    batch_size : int or None
    patience : int
        The largest that the record is to serve.
    max_epochs, hidden, precision, seed : as for `MLPHead`; precision is resolved already

    Returns
    -------
    Curves
    """
    import torch

    from embreg.training.bank import initial_weights

    dtype = getattr(torch, precision)
    start = int(np.random.RandomState(seed).randint(2**31 - 1))
    first = [torch.from_numpy(w) for w in initial_weights((X.shape[1], *hidden, 1), start)]
    train, val, test = parts
    inputs, val_inputs, test_inputs = (torch.from_numpy(X[p]) for p in parts)
    inputs = inputs.to(dtype)
    columns, n = Y.shape[1], len(train)
    size = n if batch_size is None else min(batch_size, n)
    losses = np.full((len(grid), columns, max_epochs), np.inf)
    predicted = np.full((len(grid), columns, max_epochs, len(test)), np.nan, np.float32)

    def one(c: int) -> None:
        alive = np.arange(columns)
        y, y_val = (torch.from_numpy(np.ascontiguousarray(Y[p].T))[..., None] for p in (train, val))
        params = [w.expand(columns, *w.shape).clone() for w in first]
        optimizer = _adamw(params, grid[c], [])
        order = np.random.default_rng(start)
        for epoch in range(max_epochs):
            rows = torch.from_numpy(order.permutation(n)) if size < n else torch.arange(n)
            for part in rows.split(size):
                _gradients(inputs[part], y[:, part], params, dtype)
                optimizer.step()
            here = (_forward(val_inputs, params)[-1] - y_val).square().mean((1, 2)).numpy()
            losses[c, alive, epoch] = here
            predicted[c, alive, epoch] = _forward(test_inputs, params)[-1][..., 0].numpy()
            stay = [k for k, t in enumerate(alive) if _goes_on(losses[c, t, : epoch + 1], patience)]
            if not stay:
                break
            if len(stay) < len(alive):
                state = [{k: v[stay] if v.ndim else v for k, v in optimizer.state[p].items()} for p in params]
                alive, y, y_val = alive[stay], y[stay], y_val[stay]
                params = [p[stay] for p in params]
                optimizer = _adamw(params, grid[c], state)

    def quietly(c: int) -> None:
        with torch.inference_mode():
            one(c)

    for _ in each(quietly, range(len(grid))):
        pass
    return Curves(losses, predicted)


def _goes_on(losses: np.ndarray, patience: int) -> bool:
    """Early stopping has not ended by the last of these losses."""
    best = int(np.argmin(losses)) + 1 if np.isfinite(losses).any() else 0
    return bool(np.isfinite(losses[-1])) and len(losses) - best < patience


def _adamw(params: list[Any], rate: tuple[float, float], state: list[dict[str, Any]]) -> Any:
    import torch

    for p in params:
        p.grad = torch.zeros_like(p)
    optimizer = torch.optim.AdamW(params, lr=rate[0], weight_decay=rate[1], fused=True)
    for p, kept in zip(params, state, strict=False):
        optimizer.state[p] = kept
    return optimizer


def _forward(X: Any, params: list[Any]) -> list[Any]:
    import torch

    first = torch.relu(torch.matmul(X, params[0]) + params[1])
    second = torch.relu(torch.matmul(first, params[2]) + params[3])
    return [first, second, torch.matmul(second, params[4]) + params[5]]


def _gradients(X: Any, y: Any, params: list[Any], dtype: Any) -> None:
    """Of the mean squared error, into ``.grad``."""
    import torch

    weights = [p.to(dtype) for p in params]
    acts = _forward(X, weights)
    delta = ((acts[2].float() - y) * (2 / y.shape[1])).to(dtype)
    for k, below in ((4, acts[1]), (2, acts[0]), (0, X)):
        params[k].grad.copy_(torch.matmul(below.transpose(-1, -2), delta))
        params[k + 1].grad.copy_(delta.sum(1, keepdim=True, dtype=torch.float32))
        if k:
            delta = torch.matmul(delta, weights[k].transpose(1, 2)) * (below > 0)
