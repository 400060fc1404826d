"""One small MLP: its first weights, its prediction, and what training it gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

__all__ = ["Trained", "forward", "initial_weights"]


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

    Examples
    --------
    >>> [w.shape for w in initial_weights((3, 8, 1), seed=0)]
    [(3, 8), (1, 8), (8, 1), (1, 1)]
    """
    rng = np.random.default_rng(seed)
    out = []
    for n_in, n_out in pairwise(sizes):
        bound = 1 / np.sqrt(n_in)
        out.append(rng.uniform(-bound, bound, (n_in, n_out)).astype(np.float32))
        out.append(rng.uniform(-bound, bound, (1, n_out)).astype(np.float32))
    return out


def forward(weights: Sequence[np.ndarray], X: np.ndarray) -> np.ndarray:
    """Prediction of one MLP, shape (n,), in float32.

    Parameters
    ----------
    weights : sequence of ndarray
        ``[W1, b1, …]`` as in `Trained`.
    X : ndarray of shape (n, d)

    Examples
    --------
    >>> float(forward(initial_weights((3, 8, 1), seed=0), np.ones((2, 3)))[0]) != 0
    True
    """
    h = X.astype(np.float32)
    for i in range(0, len(weights) - 2, 2):
        h = np.maximum(h @ weights[i] + weights[i + 1], 0)
    return (h @ weights[-2] + weights[-1])[:, 0]
