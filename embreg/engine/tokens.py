"""Token ids of strings, held to what the model reads and the poolings take."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from embreg import pooling
from embreg.engine.memory import free_memory as _free_memory

if TYPE_CHECKING:
    from embreg.engine.core import Engine, Ids

__all__ = ["read_tokens"]


def read_tokens(
    engine: Engine,
    texts: Sequence[str],
    numbers: Sequence[int],
    *,
    model: str,
    stage: str,
    max_tokens: int | None,
    overflow: str,
    poolings: Collection[str],
) -> tuple[list[Ids], list[bool]]:
    """Token ids of each string, and whether it was cut.

    Parameters
    ----------
    engine : Engine
    texts, numbers : sequence of str, sequence of int
        Strings and the rows where the user finds them.
    model, stage, max_tokens, overflow : as for `TextEmbedder`
    poolings : collection of str
        ``"padded_mean"`` has a limit of its own.

    Raises
    ------
    ValueError
        A row that is too long for the model, for `max_tokens` or for the memory, or has no token at all.
    """
    # Without a forward pass no positions are looked up, so the model's own limit does not apply.
    limits = [n for n in (engine.context if stage == "forward" else None, max_tokens) if n is not None]
    limit = min(limits, default=None)
    tokens = engine.tokenize(texts)
    cut = [False] * len(tokens)
    for i, ids in enumerate(tokens):
        row = f"row {numbers[i]} has"
        if not len(ids):
            raise ValueError(f"{row} no tokens, however: {model} needs at least one")
        if limit is not None and len(ids) > limit:
            if overflow == "error":
                who = "max_tokens allows" if limit == max_tokens else f"{model} reads"
                raise ValueError(
                    f"{row} {len(ids)} tokens, however: {who} at most {limit}; use overflow='truncate' to "
                    "cut and count such rows, or a shorter text (serialize style='values', fewer decimals), "
                    "or a model with a longer context"
                )
            cut[i] = True
            tokens[i] = engine.truncate(ids, limit)
        if "padded_mean" in poolings and len(tokens[i]) > pooling.PADDED_LENGTH:
            raise ValueError(
                f"{row} {len(tokens[i])} tokens, however: pooling 'padded_mean' divides by "
                f"{pooling.PADDED_LENGTH}; use pooling='mean', or max_tokens={pooling.PADDED_LENGTH} with "
                "overflow='truncate', as the authors' code cuts"
            )
    if tokens and stage == "forward" and engine.context is None:
        _check_memory(engine, tokens, numbers)
    return tokens, cut


def _check_memory(engine: Engine, tokens: Sequence[Ids], numbers: Sequence[int]) -> None:
    """Refuse a row whose attention does not fit: the system would end the process without a word."""
    longest = max(range(len(tokens)), key=lambda i: len(tokens[i]))
    length, free = len(tokens[longest]), _free_memory(engine.recipe.device)
    # Scores, the bias of positions and what softmax makes of both: a float for each head and pair of tokens.
    pair = 3 * 4 * int(getattr(engine.config, "num_attention_heads", 1))
    if free is not None and pair * length**2 > free:
        most = math.isqrt(free // pair)
        raise ValueError(
            f"row {numbers[longest]} has {length} tokens, however: attention over them takes "
            f"{pair * length**2 / 1e9:,.0f} GB and {free / 1e9:,.0f} GB are free; use "
            f"overflow='truncate' with max_tokens={most} or less, or cut the text into rows"
        )
