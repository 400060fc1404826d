"""Poolings: token vectors to one vector per row (section 2, step 4; ablated in Fig. 13).

Every pooling is a pure function of ``hidden``, a float tensor of shape ``(n, length, d)``, and
``mask``, an integer or boolean tensor of shape ``(n, length)`` that is 1 for real tokens and 0 for
padding, wherever the padding stands and whatever it holds, NaN included. The result has shape
``(n, d)`` and dtype float32; inputs are left as they were. A row without a single real token raises
ValueError.

Examples
--------
>>> import torch
>>> hidden = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [9.0, 9.0]]])
>>> mask = torch.tensor([[1, 1, 0]])
>>> mean(hidden, mask).tolist(), max(hidden, mask).tolist(), last(hidden, mask).tolist()
([[2.0, 4.0]], [[3.0, 6.0]], [[3.0, 6.0]])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["POOLINGS", "cls", "get", "last", "max", "mean", "mean_sqrt", "padded_mean", "weighted_mean"]

PADDED_LENGTH = 1024
"""Length that the authors' public code pads every row to before it averages."""


def _prepare(hidden: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """`hidden` in float32, 0 at padding, and the mask as 0.0 or 1.0 of shape (n, length, 1)."""
    if hidden.ndim != 3 or mask.shape != hidden.shape[:2]:
        raise ValueError(
            "pooling needs hidden of shape (n, length, d) and mask of shape (n, length), however: "
            f"hidden.shape={tuple(hidden.shape)}, mask.shape={tuple(mask.shape)}"
        )
    real = mask.to(hidden.device) != 0
    empty = ~real.any(1)
    if bool(empty.any()):
        row = int(empty.nonzero()[0])
        raise ValueError(f"pooling needs at least one token in every row, however: row {row} has none")
    real = real.unsqueeze(-1)
    # Filled rather than multiplied by the mask: 0 times a NaN in the padding would be NaN.
    return hidden.float().masked_fill(~real, 0.0), real.float()


def mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Average over the real tokens: the paper's canonical pooling.

    Examples
    --------
    >>> import torch
    >>> mean(torch.ones(1, 4, 2), torch.tensor([[1, 1, 0, 0]])).tolist()
    [[1.0, 1.0]]
    """
    h, m = _prepare(hidden, mask)
    return h.sum(1) / m.sum(1)


def padded_mean(hidden: Tensor, mask: Tensor, *, length: int = PADDED_LENGTH) -> Tensor:
    """Sum over the real tokens divided by a fixed length: what the authors' public code computes.

    The number of tokens leaks into the scale of the vector.

    Parameters
    ----------
    hidden, mask : Tensor
        See the module.
    length : int
        The fixed length; 1024 in the authors' code.

    Raises
    ------
    ValueError
        A row has more real tokens than `length` (their code would cut it).

    Examples
    --------
    >>> import torch
    >>> padded_mean(torch.ones(1, 4, 2), torch.tensor([[1, 1, 0, 0]]), length=4).tolist()
    [[0.5, 0.5]]
    """
    h, m = _prepare(hidden, mask)
    counts = m[..., 0].sum(1)
    if bool((counts > length).any()):
        row = int((counts > length).nonzero()[0])
        raise ValueError(
            f"padded_mean divides by length={length}, however: row {row} has {int(counts[row])} tokens; "
            "raise length, or use mean"
        )
    return h.sum(1) / length


def max(hidden: Tensor, mask: Tensor) -> Tensor:
    """Largest value per coordinate over the real tokens (Fig. 13).

    Examples
    --------
    >>> import torch
    >>> max(torch.tensor([[[-5.0], [-7.0], [0.0]]]), torch.tensor([[1, 1, 0]])).tolist()
    [[-5.0]]
    """
    h, m = _prepare(hidden, mask)
    return h.masked_fill(m == 0, float("-inf")).amax(1)


def cls(hidden: Tensor, mask: Tensor) -> Tensor:
    """First real token: ``[CLS]`` in BERT-like models, an ordinary token in T5.

    Examples
    --------
    >>> import torch
    >>> cls(torch.tensor([[[9.0], [1.0], [2.0]]]), torch.tensor([[0, 1, 1]])).tolist()
    [[1.0]]
    """
    h, m = _prepare(hidden, mask)
    return _pick(h, m[..., 0].argmax(1))


def last(hidden: Tensor, mask: Tensor) -> Tensor:
    """Last real token, under left or right padding (Fig. 13): ``</s>`` in T5, ``[SEP]`` in BERT.

    Examples
    --------
    >>> import torch
    >>> last(torch.tensor([[[1.0], [2.0], [9.0]]]), torch.tensor([[1, 1, 0]])).tolist()
    [[2.0]]
    """
    h, m = _prepare(hidden, mask)
    length = m.shape[1]
    return _pick(h, length - 1 - m[..., 0].flip(1).argmax(1))


def mean_sqrt(hidden: Tensor, mask: Tensor) -> Tensor:
    """Sum over the real tokens divided by the square root of their number.

    Examples
    --------
    >>> import torch
    >>> mean_sqrt(torch.ones(1, 5, 1), torch.tensor([[1, 1, 1, 1, 0]])).tolist()
    [[2.0]]
    """
    h, m = _prepare(hidden, mask)
    return h.sum(1) / m.sum(1).sqrt()


def weighted_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Average with weights 1, 2, 3 … over the real tokens, for causal models (Muennighoff 2022).

    Examples
    --------
    >>> import torch
    >>> weighted_mean(torch.tensor([[[0.0], [3.0], [9.0]]]), torch.tensor([[1, 1, 0]])).tolist()
    [[2.0]]
    """
    h, m = _prepare(hidden, mask)
    weights = m.cumsum(1) * m
    return (h * weights).sum(1) / weights.sum(1)


def _pick(hidden: Tensor, positions: Tensor) -> Tensor:
    import torch

    return hidden[torch.arange(len(hidden), device=hidden.device), positions]


POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": mean,
    "padded_mean": padded_mean,
    "max": max,
    "cls": cls,
    "last": last,
    "mean_sqrt": mean_sqrt,
    "weighted_mean": weighted_mean,
}
"""Every pooling by name, in the order in which figures show them."""


def get(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Pooling function of a name.

    Raises
    ------
    ValueError
        Unknown name; the message lists the known ones.

    Examples
    --------
    >>> get("mean") is mean
    True
    """
    if name not in POOLINGS:
        raise ValueError(f"pooling must be one of {tuple(POOLINGS)}, however: got {name!r}")
    return POOLINGS[name]
