"""The networks of the training family: what they compute, and how they are trained.

All randomness (initial weights, order of batches, dropout) comes from one numpy generator: torch's own normal
numbers differ between processors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from embreg.making._descent import Descent, rate

__all__ = ["ACTIVATIONS", "INITIALIZERS", "NORMALIZATIONS", "Data", "Net", "one_thread", "train"]

ACTIVATIONS = ("relu", "gelu", "tanh", "silu", "elu")
INITIALIZERS = ("he_normal", "he_uniform", "xavier_normal", "xavier_uniform", "lecun_normal")
NORMALIZATIONS = ("none", "layer", "batch")


@dataclass(frozen=True)
class Data:
    """What a net learns from and is judged on: float64 tensors, and int64 labels where it sorts.

    Attributes
    ----------
    x, y, x_val, y_val : Tensor
        Rows first; images as (n, 1, height, width). Labels have one axis, other targets two.
    outputs : int
        Classes, or columns of y.
    """

    x: Any
    y: Any
    x_val: Any
    y_val: Any
    outputs: int

    @property
    def classes(self) -> bool:
        """Whether y holds labels."""
        return self.y.ndim == 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch with one thread, whose sums have one order, and leave the caller's setting as it was."""
    import torch

    before = torch.get_num_threads()
    if before != 1:
        torch.set_num_threads(1)
    try:
        with torch.enable_grad():
            yield
    finally:
        if before != 1:
            torch.set_num_threads(before)


class Net:
    """A perceptron on tables, a convolutional net on images.

    Parameters
    ----------
    data : Data
        For the shapes.
    row : mapping
        activation, initializer, init_scale, normalization, num_layers, dropout, and hidden_width and residual
        of a perceptron, or channels, kernel_size and pooling of a convolutional net.
    rng : Generator
        Draws the initial weights, then the dropout.

    Attributes
    ----------
    flat : Tensor, shape (p,)
        All weights. `parameters` are views into it, so that a change here is a change of the net.
    """

    def __init__(self, data: Data, row: Mapping[str, Any], rng: np.random.Generator) -> None:
        import torch

        self.row, self.rng = row, rng
        self.image = data.x.ndim == 4
        shapes = list(self._shapes(data))
        self.flat = torch.zeros(sum(math.prod(s) for s in shapes), dtype=torch.float64, device="cpu")
        self.parameters: list[Any] = []
        start = 0
        for shape in shapes:
            view = self.flat[start : start + math.prod(shape)].view(shape)
            start += view.numel()
            view.copy_(torch.from_numpy(self._initial(shape)))
            self.parameters.append(view.detach().requires_grad_())
        self.moments: list[tuple[Any, Any]] = []

    def _shapes(self, data: Data) -> Iterator[tuple[int, ...]]:
        """Yield weight and bias of each layer; normalization takes the bias as its shift and adds a gain."""
        row, width = self.row, int(data.x.shape[1])
        size = int(data.x.shape[-1])
        for _ in range(row["num_layers"]):
            if self.image:
                kernel, before = row["kernel_size"], width
                width = row["channels"]
                yield width, before, kernel, kernel
                size = (size + 2 * (kernel // 2) - kernel + 1) // 2
            else:
                before, width = width, row["hidden_width"]
                yield width, before
            yield (width,)
            if row["normalization"] != "none":
                yield (width,)
        yield data.outputs, width * size**2 if self.image else width
        yield (data.outputs,)

    def _initial(self, shape: tuple[int, ...]) -> np.ndarray:
        if len(shape) == 1:
            return np.zeros(shape, dtype=np.float64)
        kind, _, law = self.row["initializer"].partition("_")
        area = math.prod(shape[2:])
        fan_in, fan_out = shape[1] * area, shape[0] * area
        sd = math.sqrt({"he": 2 / fan_in, "xavier": 2 / (fan_in + fan_out), "lecun": 1 / fan_in}[kind])
        draws = (
            self.rng.standard_normal(shape) if law == "normal" else self.rng.uniform(-1, 1, shape) * 3**0.5
        )
        return (draws * sd * self.row["init_scale"]).astype(np.float64)

    def __call__(self, x: Any, mode: str = "train") -> Any:
        """Return the outputs for a batch; `mode` is "train", "collect" (statistics of a batch) or "use"."""
        from torch.nn import functional as F

        row, weights = self.row, iter(self.parameters)
        if mode == "collect":
            self.moments = []
        activate = getattr(F, row["activation"])
        for layer in range(row["num_layers"]):
            before, weight, bias = x, next(weights), next(weights)
            plain = row["normalization"] == "none"
            if self.image:
                x = F.conv2d(x, weight, bias if plain else None, padding=row["kernel_size"] // 2)
            else:
                x = F.linear(x, weight, bias if plain else None)
            if row["normalization"] == "layer":
                x = F.group_norm(x, 1, next(weights) + 1, bias)
            elif not plain:
                x = self._batch_norm(x, next(weights) + 1, bias, layer, mode)
            x = activate(x)
            if self.image:
                x = F.max_pool2d(x, 2) if row["pooling"] == "max" else F.avg_pool2d(x, 2)
            elif row["residual"] and layer:
                x = x + before
            if mode == "train" and row["dropout"] > 0:
                x = x * self._mask(tuple(x.shape))
        return F.linear(x.flatten(1), next(weights), next(weights))

    def _batch_norm(self, x: Any, gain: Any, bias: Any, layer: int, mode: str) -> Any:
        """Normalise by the batch; "use" takes what "collect" saw: a running mean lags in so few steps."""
        import torch
        from torch.nn import functional as F

        if mode == "use":
            return F.batch_norm(x, *self.moments[layer], gain, bias, training=False)
        if mode == "collect":
            axes = [0, *range(2, x.ndim)]
            variance, mean = torch.var_mean(x, axes, correction=0)
            self.moments.append((mean, variance))
        return F.batch_norm(x, None, None, gain, bias, training=True)

    def _mask(self, shape: tuple[int, ...]) -> Any:
        import torch

        keep = 1 - self.row["dropout"]
        return torch.from_numpy((self.rng.random(shape, dtype=np.float64) < keep) / np.float64(keep))


def train(data: Data, row: Mapping[str, Any], rng: np.random.Generator) -> Any:
    """Train a net and return its outputs for the validation rows, in float64.

    Parameters
    ----------
    data : Data
    row : mapping
        What `Net`, `Descent` and `rate` take, and epochs, batch_size, label_smoothing and grad_clip (the
        longest gradient; longer ones are shortened to it).
    rng : Generator

    Returns
    -------
    Tensor, shape (rows, outputs)
        May hold what is not finite.
    """
    import torch
    from torch.nn import functional as F

    net = Net(data, row, rng)
    descent = Descent(net.flat, row)
    rows, size = len(data.x), min(row["batch_size"], len(data.x))
    # A batch that is not full is left out; the next epoch shuffles anew.
    batches = rows // size
    steps = batches * row["epochs"]
    for step in range(steps):
        if step % batches == 0:
            order = torch.from_numpy(rng.permutation(rows))
        chosen = order[step % batches * size :][:size]
        output, target = net(data.x[chosen]), data.y[chosen]
        if data.classes:
            loss = F.cross_entropy(output, target, label_smoothing=row["label_smoothing"])
        else:
            loss = F.mse_loss(output, target)
        gradient = torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, net.parameters)])
        with torch.no_grad():
            # Tensors all along: a look at the length would make every step wait for it.
            gradient.mul_((row["grad_clip"] / (gradient.norm() + 1e-12)).clamp(max=1.0))
            descent.step(gradient, rate(step, steps, row))
    with torch.no_grad():
        if row["normalization"] == "batch":
            net(data.x, "collect")
        return net(data.x_val, "use").double()
