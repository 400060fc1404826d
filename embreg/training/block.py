"""A stack of MLPs with one configuration, trained as one: each layer is one batched product.

Gradients are written out by hand: with autograd the bookkeeping costs as much as the products at
this size. The memory's speed is what limits training, so a piece of a layer goes through product,
AdamW and rounding before the next one, and what is large is allocated once: a fresh array for every
product costs more in page faults than the product itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from embreg.training.mlp import Trained, initial_weights

if TYPE_CHECKING:
    from embreg.training.bank import Bank

__all__ = ["Block", "Rows"]

PIECE = 1 << 19
"""Weights that are updated at once on a processor: gradient, AdamW and rounding then meet in its cache."""


class Rows(NamedTuple):
    """Training and validation rows as tensors on one device.

    Attributes
    ----------
    X, X_val : Tensor of shape (n, d) and (v, d)
        X in the precision of the products, X_val in float32.
    Y, Y_val : Tensor of shape (n, t) and (v, t), float32
    weights, weights_val : Tensor of shape (n, 1) and (v, 1), float32, or None
        What each row's squared error is multiplied by, 1 on average; None is 1 for all.
    """

    X: Any
    Y: Any
    X_val: Any
    Y_val: Any
    weights: Any = None
    weights_val: Any = None


class _Piece(NamedTuple):
    """Views on a part of one layer's stack, small enough to stay in the processor's cache.

    `grad` and `product` (the gradient in the precision of the products) are scratch that all pieces
    share; `rounded` is None where the products are in float32.
    """

    models: slice
    rows: slice
    param: Any
    mean: Any
    square: Any
    rounded: Any
    grad: Any
    product: Any


class Block:
    """One stack of MLPs with one configuration; those that stopped leave the stack.

    Parameters
    ----------
    bank : Bank
        Settings.
    rows : Rows
    targets : sequence of int
        Columns of Y, one MLP for each.
    rate : (float, float)
        Learning rate and weight decay.
    seed : int
        Of the initial weights and the order of batches.
    """

    def __init__(
        self, bank: Bank, rows: Rows, targets: Sequence[int], rate: tuple[float, float], seed: int
    ) -> None:
        import torch

        self.bank, self.torch, self.rate, self.seed = bank, torch, rate, seed
        self.rows, self.dtype, self.device = rows, rows.X.dtype, rows.X.device
        self.Y = rows.Y[:, list(targets)].T.unsqueeze(-1).contiguous()
        self.Y_val = rows.Y_val[:, list(targets)].T.unsqueeze(-1).contiguous()
        sizes = (rows.X.shape[1], *bank.hidden, 1)
        start = [torch.from_numpy(w).to(self.device) for w in initial_weights(sizes, seed)]
        self.alive = list(range(len(targets)))
        self.found = [Trained(float("inf"), 0, 0, []) for _ in targets]
        self.steps = torch.zeros((), device=self.device)
        params = [w.expand(len(targets), *w.shape).clone() for w in start]
        self.best = [torch.empty_like(p) for p in params]
        self._build(params, [torch.zeros_like(p) for p in params], [torch.zeros_like(p) for p in params])

    def train(self) -> list[Trained]:
        """Train all to their end; weights come back as numpy arrays wherever they were trained."""
        n = len(self.rows.X)
        size = n if self.bank.batch_size is None else min(self.bank.batch_size, n)
        order = np.random.default_rng(self.seed)
        for epoch in range(1, self.bank.max_epochs + 1):
            rows = self._permutation(order, n) if size < n else None
            for start in range(0, n, size):
                batch = self._batch(None if rows is None else rows[start : start + size])
                self._step(*batch)
            if not self._validate(epoch):
                break
        for i, found in enumerate(self.found):
            if found.best_epoch:
                found.weights = [b[i].cpu().numpy().copy() for b in self.best]
        return self.found

    def _permutation(self, order: np.random.Generator, n: int) -> Any:
        rows = self.torch.from_numpy(order.permutation(n))
        if self.device.type != "cuda":
            return rows
        # Only pinned memory can be copied while the card computes.
        return rows.pin_memory().to(self.device, non_blocking=True)

    def _batch(self, part: Any) -> tuple[Any, Any, Any]:
        X, Y, weights = self.rows.X, self.Y, self.rows.weights
        if part is None:
            return X, Y, weights
        return X[part], Y[:, part], None if weights is None else weights[part]

    def _hidden(self, X: Any, weights: list[Any]) -> list[Any]:
        """Activations of every layer, the prediction last."""
        acts, h = [], X
        for i in range(0, len(weights), 2):
            h = self.torch.matmul(h, weights[i]).add_(weights[i + 1])
            if i < len(weights) - 2:
                h.relu_()
            acts.append(h)
        return acts

    def _step(self, X: Any, Y: Any, row_weights: Any) -> None:
        torch, weights = self.torch, self.rounded
        self.steps += 1
        acts = self._hidden(X, weights)
        delta = (acts[-1].float() - Y).mul_(2 / Y.shape[1])
        if row_weights is not None:
            delta.mul_(row_weights)
        delta = delta.to(self.dtype)
        biases: list[Any] = []
        for i in range(len(weights) - 2, -1, -2):
            # All MLPs share X: turned once, it need not be turned inside the product of each.
            left = acts[i // 2 - 1].transpose(1, 2) if i else X.T.contiguous()
            right = delta
            if i:
                # The gradient passes where the unit was active.
                delta = torch.matmul(delta, weights[i].transpose(1, 2))
                delta = torch.ops.aten.threshold_backward(delta, acts[i // 2 - 1], 0)
            for piece in self.pieces[i]:
                rows = left[piece.models, piece.rows] if i else left[piece.rows]
                torch.matmul(rows, right[piece.models], out=piece.product)
                if piece.product is not piece.grad:
                    piece.grad.copy_(piece.product)
                self._update([piece], [piece.grad])
            biases.append(right.sum(1, keepdim=True, dtype=torch.float32))
        # Biases are small: one call for all of them.
        self._update([layer[0] for layer in self.pieces[-1::-2]], biases)

    def _update(self, pieces: list[_Piece], grads: list[Any]) -> None:
        """AdamW on pieces of one step.

        By the operation behind `torch.optim.AdamW(fused=True)`: what Python does around it takes as
        long as the update of a piece.
        """
        self.torch._fused_adamw_(
            [p.param for p in pieces], grads, [p.mean for p in pieces], [p.square for p in pieces], [],
            [self.steps] * len(pieces), lr=self.rate[0], weight_decay=self.rate[1], beta1=0.9, beta2=0.999,
            eps=1e-8, amsgrad=False, maximize=False,
        )  # fmt: skip
        for piece in pieces:
            if piece.rounded is not None:
                piece.rounded.copy_(piece.param)

    def _validate(self, epoch: int) -> bool:
        """Keep the best weights, drop those that stopped; False when none is left."""
        # In float32 whatever trains: what is chosen here is what predicts later.
        errors = (self._hidden(self.rows.X_val, self.params)[-1] - self.Y_val).square_()
        if self.rows.weights_val is not None:
            errors.mul_(self.rows.weights_val)
        losses = errors.mean((1, 2)).tolist()
        stay, better = [], []
        for k, (i, loss) in enumerate(zip(self.alive, losses, strict=True)):
            found = self.found[i]
            found.epochs = epoch
            if loss < found.val_loss:
                found.val_loss, found.best_epoch = loss, epoch
                better.append((i, k))
            # A loss that is not finite cannot recover.
            if epoch - found.best_epoch < self.bank.patience and np.isfinite(loss):
                stay.append(k)
        self._keep(better)
        if stay and len(stay) < len(losses):
            self._compact(stay)
        return bool(stay)

    def _keep(self, better: list[tuple[int, int]]) -> None:
        """Copy weights of MLPs whose loss is their best so far: (place in `best`, place in `params`)."""
        if better:
            self.torch._foreach_copy_(
                [b[i] for i, _ in better for b in self.best], [p[k] for _, k in better for p in self.params]
            )

    def _compact(self, stay: list[int]) -> None:
        self.Y, self.Y_val = self.Y[stay], self.Y_val[stay]
        self.alive = [self.alive[k] for k in stay]
        self._build(*([p[stay] for p in stack] for stack in (self.params, self.means, self.squares)))

    def _build(self, params: list[Any], means: list[Any], squares: list[Any]) -> None:
        """Take the stacks of parameters and of AdamW's two moments, and cut them into pieces."""
        torch = self.torch
        self.params, self.means, self.squares = params, means, squares
        self.rounded = [p.to(self.dtype) for p in params]
        low = self.dtype != torch.float32
        most = PIECE if self.device.type == "cpu" else None
        # A bias is the sum over all its rows, and small.
        cuts = [_cuts(p.shape, None if i % 2 else most) for i, p in enumerate(params)]
        largest = max(p[cut].numel() for p, layer in zip(params, cuts, strict=True) for cut in layer)
        grads = torch.empty(largest, device=self.device)
        products = torch.empty(largest, device=self.device, dtype=self.dtype)
        self.pieces: list[list[_Piece]] = []
        for i, layer in enumerate(cuts):
            self.pieces.append([])
            for models, rows in layer:
                param, mean, square, rounded = (
                    stack[i][models, rows] for stack in (params, means, squares, self.rounded)
                )
                grad = grads[: param.numel()].view(param.shape)
                # A bias' gradient is a sum, in float32; that of weights is a product.
                product = products[: param.numel()].view(param.shape) if low and i % 2 == 0 else grad
                piece = _Piece(models, rows, param, mean, square, rounded if low else None, grad, product)
                self.pieces[-1].append(piece)


def _cuts(shape: tuple[int, int, int], most: int | None) -> list[tuple[slice, slice]]:
    """Cut a stack of matrices into pieces of at most `most` numbers: some matrices, or some rows of one.

    Examples
    --------
    >>> _cuts((3, 4, 5), 40)
    [(slice(0, 2, None), slice(0, 4, None)), (slice(2, 3, None), slice(0, 4, None))]
    >>> _cuts((1, 4, 5), 10)
    [(slice(0, 1, None), slice(0, 2, None)), (slice(0, 1, None), slice(2, 4, None))]
    """
    k, n_in, n_out = shape
    if most is None:
        return [(slice(0, k), slice(0, n_in))]
    models = max(1, most // (n_in * n_out))
    rows = min(n_in, max(1, most // n_out))
    return [
        (slice(i, min(i + models, k)), slice(r, min(r + rows, n_in)))
        for i in range(0, k, models)
        for r in range(0, n_in, rows)
    ]
