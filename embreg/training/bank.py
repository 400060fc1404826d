"""Many small MLPs trained side by side on one X: every target times every configuration.

The MLPs are cut into blocks (see `embreg.training.block`), one block a core. Every MLP of one seed starts
from the same random weights and sees the same batches, so its result does not depend on which
others are trained beside it (a plain loop gives the same; the tests hold the two together).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from embreg._progress import Progress
from embreg._threads import each
from embreg.training.block import Block, Rows
from embreg.training.mlp import Trained, forward, initial_weights

__all__ = ["Bank", "Data", "Job", "Trained", "forward", "initial_weights"]

MODELS_PER_BLOCK = 24
"""MLPs trained at once on a processor: the functions of a suite fit, and more gain nothing."""
WEIGHTS_PER_BLOCK = 1 << 23
"""Nor do more numbers than this, which take memory for every core."""
LEAST_PER_BLOCK = 4
"""Fewer would spend more time between the products than in them."""


class Data(NamedTuple):
    """What MLPs are trained on.

    Attributes
    ----------
    X, X_val : ndarray of shape (n, d) and (v, d), float32
    Y, Y_val : ndarray of shape (n, t) and (v, t), float32
        Standardised targets.
    weights, weights_val : ndarray of shape (n,) and (v,), or None
        What each row's squared error is multiplied by, 1 on average; None is 1 for all.
    """

    X: np.ndarray
    Y: np.ndarray
    X_val: np.ndarray
    Y_val: np.ndarray
    weights: np.ndarray | None = None
    weights_val: np.ndarray | None = None


class Job(NamedTuple):
    """One MLP: column of Y, learning rate and weight decay, and seed of its weights and batches."""

    target: int
    rate: tuple[float, float]
    seed: int


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
        Of the initial weights and the order of batches, in `train`.
    device : str
        As in torch. On a card blocks run one after another and hold every target of a configuration.
    models_per_block : int or None
        Most MLPs in a block; None decides by device, cores and the amount of work.
    """

    hidden: tuple[int, ...]
    max_epochs: int
    patience: int
    batch_size: int | None
    precision: str
    seed: int
    device: str = "cpu"
    models_per_block: int | None = None

    def train(
        self,
        X: np.ndarray,
        Y: np.ndarray,
        X_val: np.ndarray,
        Y_val: np.ndarray,
        configurations: Sequence[tuple[float, float]],
        *,
        weights: np.ndarray | None = None,
        weights_val: np.ndarray | None = None,
        best_only: bool = False,
    ) -> list[list[Trained]]:
        """Train one MLP per target and configuration.

        Parameters
        ----------
        X, Y, X_val, Y_val, weights, weights_val
            As in `Data`.
        configurations : sequence of (learning rate, weight decay)
        best_only : bool
            Drop the weights of configurations that another of the same target beats: with many
            targets and wide features all of them would be gigabytes.

        Returns
        -------
        list of list of Trained
            ``result[target][configuration]``.
        """
        jobs = [Job(t, rate, self.seed) for t in range(Y.shape[1]) for rate in configurations]
        result: list[Any] = [None] * len(jobs)
        # The first of equals wins, in whichever order blocks end.
        winner: dict[int, tuple[float, int]] = {}
        for i, mlp in self.run(Data(X, Y, X_val, Y_val, weights, weights_val), jobs):
            result[i] = mlp
            t = jobs[i].target
            if best_only:
                loser = max(winner[t], (mlp.val_loss, i)) if t in winner else None
                winner[t] = min(winner.get(t, (mlp.val_loss, i)), (mlp.val_loss, i))
                if loser is not None:
                    result[loser[1]].weights = []
        c = len(configurations)
        return [result[t * c : (t + 1) * c] for t in range(Y.shape[1])]

    def run(self, data: Data, jobs: Sequence[Job]) -> Iterable[tuple[int, Trained]]:
        """Train the MLPs of `jobs`.

        Yields
        ------
        (int, Trained)
            Place in `jobs` and what was found, in the order in which blocks end.
        """
        import torch

        rows = self.rows(data)
        # A block has one configuration, so that one fused update serves all of it.
        groups: dict[tuple[tuple[float, float], int], list[int]] = {}
        for i, job in enumerate(jobs):
            groups.setdefault((job.rate, job.seed), []).append(i)
        size = self._size(len(jobs), rows.X.shape[1])
        blocks = [
            (key, group[start : start + size])
            for key, group in groups.items()
            for start in range(0, len(group), size)
        ]

        def one(
            block: tuple[tuple[tuple[float, float], int], list[int]],
        ) -> tuple[list[int], list[Trained]]:
            (rate, seed), part = block
            with torch.inference_mode():
                return part, Block(self, rows, [jobs[i].target for i in part], rate, seed).train()

        with Progress("training heads", len(jobs)) as bar:
            for part, trained in each(one, blocks) if self.device == "cpu" else map(one, blocks):
                yield from zip(part, trained, strict=True)
                bar.advance(len(part))

    def _size(self, models: int, width: int) -> int:
        import torch

        if self.models_per_block is not None:
            return self.models_per_block
        if self.device != "cpu":
            return models
        numbers = sum((a + 1) * b for a, b in pairwise((width, *self.hidden, 1)))
        most = min(MODELS_PER_BLOCK, WEIGHTS_PER_BLOCK // numbers)
        # Two blocks or more for each core: some stop early, and their core should find more to do.
        share = -(-models // (2 * torch.get_num_threads()))
        return max(1, min(most, max(LEAST_PER_BLOCK, share)))

    def rows(self, data: Data) -> Rows:
        """The data as tensors on the device, the features once in the precision of the products."""
        import torch

        def tensor(a: np.ndarray) -> Any:
            return torch.from_numpy(np.ascontiguousarray(a, dtype=np.float32)).to(self.device)

        X, Y, X_val, Y_val = (tensor(a) for a in data[:4])
        weights = [None if w is None else tensor(w).unsqueeze(-1) for w in data[4:]]
        return Rows(X.to(getattr(torch, self.precision)), Y, X_val, Y_val, *weights)
