"""How the small networks of the training family descend: schedules of the rate, and the optimisers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["OPTIMIZERS", "SCHEDULES", "Descent", "rate"]

OPTIMIZERS = ("sgd", "momentum", "nesterov", "rmsprop", "adagrad", "adam", "adamw")
SCHEDULES = ("constant", "linear", "cosine", "polynomial", "exponential")


def rate(step: int, steps: int, row: Mapping[str, Any]) -> float:
    """Return the learning rate of step number `step`, counted from 0, of `steps`.

    Parameters
    ----------
    step, steps : int
    row : mapping
        learning_rate, lr_schedule and warmup_fraction; all schedules but the constant one also
        lr_decay_steps_factor (the share of all steps after which the rate stays as it is) and lr_end_factor
        (the share of the rate that is then left); the polynomial one lr_decay_power as well.

    Raises
    ------
    ValueError
        A schedule that is not one of `SCHEDULES`.

    Examples
    --------
    >>> linear = {"learning_rate": 0.1, "lr_schedule": "linear", "warmup_fraction": 0.0,
    ...           "lr_decay_steps_factor": 0.5, "lr_end_factor": 0.2}
    >>> [round(rate(step, 8, linear), 3) for step in (0, 2, 4, 7)]
    [0.1, 0.06, 0.02, 0.02]
    """
    peak, warm = float(row["learning_rate"]), float(row["warmup_fraction"]) * steps
    if step < warm:
        peak *= (step + 1) / (warm + 1)
    schedule = row["lr_schedule"]
    if schedule == "constant":
        return peak
    done, end = min(1.0, step / (row["lr_decay_steps_factor"] * steps)), float(row["lr_end_factor"])
    if schedule == "exponential":
        return float(peak * end**done)
    if schedule == "linear":
        left = 1 - done
    elif schedule == "cosine":
        left = (1 + math.cos(math.pi * done)) / 2
    elif schedule == "polynomial":
        left = (1 - done) ** row["lr_decay_power"]
    else:
        raise ValueError(f"lr_schedule must be one of {SCHEDULES}, however: got {schedule!r}")
    return float(peak * (end + (1 - end) * left))


class Descent:
    """One optimiser at work on all weights as one vector, which is what makes a step of a small net cheap.

    Parameters
    ----------
    weights : Tensor, shape (p,)
        Changed in place.
    row : mapping
        optimizer and weight_decay, and what this optimiser takes of one_minus_momentum,
        one_minus_beta2 and epsilon. The decay is added to the gradient, but for adamw, which shrinks the
        weights by themselves.

    Raises
    ------
    ValueError
        An optimiser that is not one of `OPTIMIZERS`.

    Examples
    --------
    >>> import torch
    >>> w = torch.ones(2)
    >>> Descent(w, {"optimizer": "sgd", "weight_decay": 0.0}).step(torch.tensor([1.0, 2.0]), 0.5)
    >>> w.tolist()
    [0.5, 0.0]
    """

    def __init__(self, weights: Any, row: Mapping[str, Any]) -> None:
        import torch

        self.kind = row["optimizer"]
        if self.kind not in OPTIMIZERS:
            raise ValueError(f"optimizer must be one of {OPTIMIZERS}, however: got {self.kind!r}")
        self.weights = weights
        self.decay = float(row["weight_decay"])
        if self.kind in ("momentum", "nesterov", "adam", "adamw"):
            self.beta1 = 1 - float(row["one_minus_momentum"])
            self.first = torch.zeros_like(weights)
        if self.kind in ("rmsprop", "adagrad", "adam", "adamw"):
            self.epsilon = float(row["epsilon"])
            self.second = torch.zeros_like(weights)
        if self.kind in ("rmsprop", "adam", "adamw"):
            self.beta2 = 1 - float(row["one_minus_beta2"])
        self.steps = 0

    def step(self, gradient: Any, rate: float) -> None:
        """Move the weights once; `gradient` is a vector as long as they are, and may be changed."""
        self.steps += 1
        if self.kind == "adamw":
            self.weights.mul_(1 - rate * self.decay)
        else:
            gradient.add_(self.weights, alpha=self.decay)
        if self.kind == "sgd":
            self.weights.add_(gradient, alpha=-rate)
        elif self.kind in ("momentum", "nesterov"):
            self.first.mul_(self.beta1).add_(gradient)
            move = gradient.add_(self.first, alpha=self.beta1) if self.kind == "nesterov" else self.first
            self.weights.add_(move, alpha=-rate)
        else:
            self._adapt(gradient, rate)

    def _adapt(self, gradient: Any, rate: float) -> None:
        """Divide by a running root mean square (by the root of the sum for adagrad)."""
        move, fix1, fix2 = gradient, 1.0, 1.0
        if self.kind == "adagrad":
            self.second.addcmul_(gradient, gradient)
        else:
            self.second.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        if self.kind in ("adam", "adamw"):
            self.first.mul_(self.beta1).add_(gradient, alpha=1 - self.beta1)
            move, fix1, fix2 = self.first, 1 - self.beta1**self.steps, 1 - self.beta2**self.steps
        root = self.second.sqrt().div_(math.sqrt(fix2)).add_(self.epsilon)
        self.weights.addcdiv_(move, root, value=-rate / fix1)
