"""Many small MLPs trained side by side on one X: every target times every configuration.

The MLPs of a block are stacked, so that each layer is one batched product. Gradients are written
out by hand: with autograd the bookkeeping costs as much as the products at this size. Every MLP
starts from the same random weights and sees the same batches, so its result does not depend on
which others are trained beside it (a plain loop gives the same; the tests hold the two together).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from embreg._progress import Progress
from embreg._threads import each

__all__ = ["Bank", "Trained", "forward", "initial_weights"]

MODELS_PER_BLOCK = 16
"""MLPs trained at once; more would leave the processor's caches."""
LEAST_PER_BLOCK = 4
"""Fewer would spend more time between the products than in them."""


@dataclass
class Trained:
    """What training one MLP gave.

    Attributes
    ----------
    val_loss : float
        Smallest validation MSE, in standardised units of y; infinite when none was finite.
    best_epoch, epochs : int
        When it was reached (0: never), and when training stopped.
    weights : list of ndarray
        ``[W1, b1, W2, b2, …]`` at the best epoch, float32; W of shape (inputs, outputs).
    """

    val_loss: float
    best_epoch: int
    epochs: int
    weights: list[np.ndarray]


def initial_weights(sizes: Sequence[int], seed: int) -> list[np.ndarray]:
    """Weights and biases uniform in ±1/sqrt(inputs), as `torch.nn.Linear` draws them.

    Parameters
    ----------
    sizes : sequence of int
        Widths from input to output, e.g. (d, 256, 256, 1).
    seed : int

    Returns
    -------
    list of ndarray
        ``[W1, b1, …]``, float32.
    """
    rng = np.random.default_rng(seed)
    out = []
    for n_in, n_out in pairwise(sizes):
        bound = 1 / np.sqrt(n_in)
        out.append(rng.uniform(-bound, bound, (n_in, n_out)).astype(np.float32))
        out.append(rng.uniform(-bound, bound, (1, n_out)).astype(np.float32))
    return out


def forward(weights: Sequence[np.ndarray], X: np.ndarray) -> np.ndarray:
    """Prediction of one MLP, shape (n,), in float32."""
    h = X.astype(np.float32)
    for i in range(0, len(weights) - 2, 2):
        h = np.maximum(h @ weights[i] + weights[i + 1], 0)
    return (h @ weights[-2] + weights[-1])[:, 0]


@dataclass(frozen=True)
class Bank:
    """Settings shared by every MLP.

    Parameters
    ----------
    hidden : sequence of int
        Widths of the hidden ReLU layers.
    max_epochs, patience : int
        Stop after `max_epochs`, or when the validation loss has not improved for `patience` epochs.
    batch_size : int or None
        Rows per step; None is the whole training set.
    precision : {"float32", "bfloat16"}
        Of the products in training; weights, the optimiser and validation stay in float32.
    seed : int
        Of the initial weights and the order of batches.
    """

    hidden: tuple[int, ...]
    max_epochs: int
    patience: int
    batch_size: int | None
    precision: str
    seed: int

    def train(
        self,
        X: np.ndarray,
        Y: np.ndarray,
        X_val: np.ndarray,
        Y_val: np.ndarray,
        configurations: Sequence[tuple[float, float]],
    ) -> list[list[Trained]]:
        """Train one MLP per target and configuration.

        Parameters
        ----------
        X, X_val : ndarray of shape (n, d) and (v, d), float32
        Y, Y_val : ndarray of shape (n, t) and (v, t), float32
            Standardised targets.
        configurations : sequence of (learning rate, weight decay)

        Returns
        -------
        list of list of Trained
            ``result[target][configuration]``.
        """
        import torch

        targets = list(range(Y.shape[1]))
        # Two blocks or more for each core: some stop early, and their core should find more to do.
        share = -(-len(targets) * len(configurations) // (2 * torch.get_num_threads()))
        size = min(MODELS_PER_BLOCK, max(LEAST_PER_BLOCK, share))
        # A block has one configuration, so that one fused update serves all of it.
        blocks = [(c, targets[i : i + size]) for c in range(len(configurations)) for i in targets[::size]]
        data = [torch.from_numpy(np.ascontiguousarray(a, dtype=np.float32)) for a in (X, Y, X_val, Y_val)]
        result: list[list[Any]] = [[None] * len(configurations) for _ in targets]

        def one(block: tuple[int, list[int]]) -> tuple[tuple[int, list[int]], list[Trained]]:
            with torch.inference_mode():
                return block, _Block(self, data, block[1], configurations[block[0]]).train()

        with Progress("training heads", len(configurations) * len(targets)) as bar:
            for (c, part), trained in each(one, blocks):
                for t, mlp in zip(part, trained, strict=True):
                    result[t][c] = mlp
                bar.advance(len(part))
        return result


class _Block:
    """One stack of MLPs with one configuration; those that stopped leave the stack."""

    def __init__(self, bank: Bank, data: list[Any], targets: list[int], rate: tuple[float, float]) -> None:
        import torch

        self.bank, self.torch, self.rate = bank, torch, rate
        self.dtype = getattr(torch, bank.precision)
        X, Y, X_val, Y_val = data
        self.X, self.X_val = X.to(self.dtype), X_val
        self.Y = Y[:, targets].T.unsqueeze(-1).contiguous()
        self.Y_val = Y_val[:, targets].T.unsqueeze(-1).contiguous()
        sizes = (X.shape[1], *bank.hidden, 1)
        start = [torch.from_numpy(w) for w in initial_weights(sizes, bank.seed)]
        self.alive = list(range(len(targets)))
        self.best = [Trained(float("inf"), 0, 0, []) for _ in targets]
        self._build([w.expand(len(targets), *w.shape).clone() for w in start], [])

    def train(self) -> list[Trained]:
        bank, n = self.bank, len(self.X)
        size = n if bank.batch_size is None else min(bank.batch_size, n)
        order = np.random.default_rng(bank.seed)
        for epoch in range(1, bank.max_epochs + 1):
            rows = self.torch.from_numpy(order.permutation(n)) if size < n else None
            for start in range(0, n, size):
                if rows is None:
                    self._step(self.X, self.Y)
                else:
                    part = rows[start : start + size]
                    self._step(self.X[part], self.Y[:, part])
            if not self._validate(epoch):
                break
        return self.best

    def _hidden(self, X: Any, weights: list[Any]) -> list[Any]:
        """Activations of every layer, the prediction last."""
        acts, h = [], X
        for i in range(0, len(weights), 2):
            h = self.torch.matmul(h, weights[i]).add_(weights[i + 1])
            if i < len(weights) - 2:
                h.relu_()
            acts.append(h)
        return acts

    def _step(self, X: Any, Y: Any) -> None:
        torch = self.torch
        weights = [p.to(self.dtype) for p in self.params]
        acts = self._hidden(X, weights)
        delta = (acts[-1].float() - Y).mul_(2 / Y.shape[1]).to(self.dtype)
        for i in range(len(weights) - 2, -1, -2):
            below = X if i == 0 else acts[i // 2 - 1]
            self.grads[i].copy_(torch.matmul(below.transpose(-1, -2), delta))
            self.grads[i + 1].copy_(delta.sum(1, keepdim=True, dtype=torch.float32))
            if i:
                # The gradient passes where the unit was active.
                delta = torch.matmul(delta, weights[i].transpose(1, 2))
                delta = torch.ops.aten.threshold_backward(delta, below, 0)
        self.optimizer.step()

    def _validate(self, epoch: int) -> bool:
        """Keep the best weights, drop those that stopped; False when none is left."""
        # In float32 whatever trains: what is chosen here is what predicts later.
        predicted = self._hidden(self.X_val, self.params)[-1]
        losses = (predicted - self.Y_val).square_().mean((1, 2)).tolist()
        stay = []
        for k, (i, loss) in enumerate(zip(self.alive, losses, strict=True)):
            best = self.best[i]
            best.epochs = epoch
            if loss < best.val_loss:
                best.val_loss, best.best_epoch = loss, epoch
                best.weights = [p[k].numpy().copy() for p in self.params]
            # A loss that is not finite cannot recover.
            if epoch - best.best_epoch < self.bank.patience and np.isfinite(loss):
                stay.append(k)
        if stay and len(stay) < len(losses):
            self._compact(stay)
        return bool(stay)

    def _compact(self, stay: list[int]) -> None:
        state = [
            {k: v[stay].contiguous() if v.ndim else v for k, v in self.optimizer.state[p].items()}
            for p in self.params
        ]
        self.Y, self.Y_val = self.Y[stay], self.Y_val[stay]
        self.alive = [self.alive[k] for k in stay]
        self._build([p[stay].contiguous() for p in self.params], state)

    def _build(self, params: list[Any], state: list[dict[str, Any]]) -> None:
        """Parameters, their gradients and the optimiser, which keeps `state` where there is one."""
        torch = self.torch
        self.params = params
        self.grads = [torch.zeros_like(p) for p in params]
        for param, grad in zip(params, self.grads, strict=True):
            param.grad = grad
        lr, wd = self.rate
        self.optimizer = torch.optim.AdamW(params, lr=lr, weight_decay=wd, fused=True)
        for param, kept in zip(params, state, strict=False):
            self.optimizer.state[param] = kept
