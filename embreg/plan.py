"""What runs would cost, before they run: tokens, floating-point operations, time, memory and money.

The count is an upper bound: rows that the store already holds cost nothing, and a run repeated later finds
all of its rows there. Heads, metrics and figures are not in the operations; where the same run was done
before, its measured duration takes the place of the estimate.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from embreg.planning.cards import Card
from embreg.planning.costs import Cost, count
from embreg.planning.memory import Placement, memory_here
from embreg.planning.parts import Part, parts_of

__all__ = ["EFFICIENCY", "Cost", "Part", "Plan", "gemm_rate", "plan", "together"]

EFFICIENCY = 0.6
"""Share of the machine's matrix rate that a small encoder reaches on a CPU (measured: 0.6 to 0.7, and 0.4
without OpenVINO)."""


@dataclass(frozen=True)
class Plan:
    """Cost of embedding everything a run may embed.

    Attributes
    ----------
    parts : tuple of Part
        What the counts below are the sum of, as far as rows are distinct.
    models : tuple of Cost
        The same for each model.
    rows : int
        Distinct strings to embed.
    tokens : int
    flops : float
        Floating-point operations of the forward passes.
    seconds : float
        At the rate of this machine; a service's time is not in it.
    bytes : int
        Peak memory of the largest model here: weights and activations in float32.
    exact : bool
        False where tokens were estimated from characters, for want of a tokenizer's files.
    notes : tuple of str
        What was left out of the count, and rows longer than a model reads.
    """

    parts: tuple[Part, ...] = ()
    models: tuple[Cost, ...] = ()
    rows: int = 0
    tokens: int = 0
    flops: float = 0.0
    seconds: float = 0.0
    bytes: int = 0
    exact: bool = True
    notes: tuple[str, ...] = ()

    @property
    def store(self) -> int:
        """Bytes of the store, without models whose width is not known."""
        return sum(cost.bytes or 0 for cost in self.models)

    @property
    def price(self) -> float:
        """US dollars for services, without those whose price is not known."""
        return sum(cost.price or 0.0 for cost in self.models)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Services whose price is not known."""
        return tuple(cost.model for cost in self.models if cost.price is None)

    def gpu_hours(self, card: Card) -> float:
        """Hours on such cards."""
        return sum(cost.gpu_hours(card) for cost in self.models)

    def largest(self, card: Card) -> tuple[Cost, Placement] | None:
        """Model that takes most memory on such cards, and how; None where none runs on one."""
        placed = [(c, p) for c in self.models if (p := c.placement(card))]
        return max(placed, key=lambda x: (x[1].cards, x[1].bytes), default=None)


@lru_cache(maxsize=1)
def gemm_rate(budget: float = 0.2) -> float:
    """Operations a second of a 1024³ product on this machine, in the dtype that ``dtype="auto"`` takes.

    Measured in `budget` seconds, by torch where it is installed.

    Examples
    --------
    >>> gemm_rate() > 1e8
    True
    """
    a: Any
    try:
        import torch

        from embreg.engine.backends import resolve_dtype

        a = torch.ones((1024, 1024), dtype=getattr(torch, resolve_dtype("auto", "cpu")))
    except ImportError:
        a = np.ones((1024, 1024), dtype=np.float32)
    a @ a  # the first product also sets the library up
    best, end = float("inf"), time.perf_counter() + budget
    while time.perf_counter() < end or best == float("inf"):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2 * 1024**3 / best


def plan(parameters: Mapping[str, Any]) -> Plan:
    """Cost of a run with these parameters.

    It understands the names that the notebooks share, and adds up the parts that a run has:

    - points of benchmark functions: ``models`` or ``model`` and ``random_models``, ``dofs`` or ``dof``,
      ``n_seeds`` or ``seeds``, ``n_samples``, ``n`` or ``sizes``, ``n_test``, ``styles`` or ``style``;
    - measured tasks: ``families`` with ``tasks_per_family``, or ``tasks``; ``task_rows`` of each, else
      ``n_samples``; ``task_models``, else ``models``; ``formats``;
    - balls of points: ``ball_dof``, ``radii``, ``n_per_ball``;
    - of all of these: ``random_seeds``, as many more readings with random weights; ``dtypes``, each a
      reading; ``poolings`` and ``layers``, in which vectors are kept.

    Parameters
    ----------
    parameters : mapping
        All parameters of a run.

    Returns
    -------
    Plan
        One forward pass serves all functions, poolings and layers; rows that recur are embedded once.

    Examples
    --------
    >>> plan({"models": ["all-MiniLM-L6-v2"], "dofs": [5], "n_samples": 100, "n_seeds": 2}).rows
    200
    >>> paid = plan({"models": ["service:openai/text-embedding-3-small"], "dofs": [5], "n": 1000})
    >>> f"${paid.price:.4f}"
    '$0.0009'
    >>> plan({"perplexity": 30}).rows
    0
    """
    parts = parts_of(parameters)
    if not parts:
        return Plan(notes=("embeds nothing that its parameters tell of",))
    return _sum(parts)


def together(plans: Sequence[Plan]) -> Plan:
    """Cost of several runs after one another: the second finds the rows of the first in the store."""
    return _sum(part for one in plans for part in one.parts)


def _sum(parts: Iterable[Part]) -> Plan:
    every = tuple(parts)
    costs, notes = count(every)
    known = {cost.model for cost in costs}
    flops = sum(c.flops for c in costs)
    return Plan(
        parts=tuple(part for part in every if part.model in known),
        models=tuple(costs),
        rows=sum(c.rows for c in costs),
        tokens=sum(c.tokens for c in costs),
        flops=flops,
        seconds=flops / (EFFICIENCY * gemm_rate()) if flops else 0.0,
        bytes=max((memory_here(c.shape, c.longest) for c in costs if c.shape), default=0),
        exact=all(c.exact for c in costs),
        notes=tuple(notes),
    )
