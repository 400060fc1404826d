"""Batches by token budget: rows of about equal length together, so that little padding is computed."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["make_batches", "padded_width"]

STEP = 16
"""Kernels work on blocks of 16 numbers; a width between two multiples costs as much as the next one."""

_WIDTH_WASTE = 1.06
"""Rounding a width up gains some 8 % in attention, measured; it may not cost more than this."""

_BATCH_WASTE = 1.08
"""Padded tokens for each real one: shorter rows wait for a batch of their own."""

_SLACK = 64
"""Padding up to this part of the budget costs less than another pass, and is allowed in any case."""


def padded_width(length: int) -> int:
    """Width of a batch whose longest row has `length` tokens.

    Examples
    --------
    >>> padded_width(221), padded_width(43)
    (224, 43)
    """
    up = -(-length // STEP) * STEP
    return up if up <= _WIDTH_WASTE * length else length


def make_batches(lengths: Sequence[int], budget: int) -> list[tuple[list[int], int]]:
    """Cut rows into batches of at most `budget` padded tokens, the longest rows first.

    Parameters
    ----------
    lengths : sequence of int
        Tokens of each row, at least 1.
    budget : int
        A single row that is longer is a batch of its own.

    Returns
    -------
    list of (list of int, int)
        Positions of the rows, and the width to which they are padded. In any batch 8 % of padding at
        most, or a 64th of the budget where that is more. Large batches come first, so that cores that
        share them end at about the same time.

    Examples
    --------
    >>> make_batches([3, 100, 3, 99], budget=256)
    [([1, 3], 100), ([0, 2], 3)]
    """
    batches: list[tuple[list[int], int]] = []
    batch: list[int] = []
    width = real = 0
    # The position settles ties, so that equal input gives equal batches.
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        size = (len(batch) + 1) * width
        waste = max(budget // _SLACK, (_BATCH_WASTE - 1) * (real + lengths[i]))
        if batch and (size > budget or size - real - lengths[i] > waste):
            batches.append((batch, width))
            batch, real = [], 0
        if not batch:
            width = padded_width(lengths[i])
        batch.append(i)
        real += lengths[i]
    if batch:
        batches.append((batch, width))
    return batches
