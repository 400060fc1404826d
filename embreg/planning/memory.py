"""Memory that a model takes on a named card, and over how many cards it is spread."""

from __future__ import annotations

from dataclasses import dataclass

from embreg._shape import Shape
from embreg.planning.cards import Card

__all__ = ["Placement", "memory_here", "place"]

_MOST_CARDS = 1024


@dataclass(frozen=True)
class Placement:
    """Where a model runs.

    Attributes
    ----------
    cards : int
        That it is spread over; one block after another is computed, so the others wait meanwhile.
    bytes : int
        On the fullest of them, at its peak.
    fits : bool
        False where even that is more than the card has.
    """

    cards: int
    bytes: int
    fits: bool


def place(shape: Shape, card: Card, *, longest: float, random: bool = False) -> Placement:
    """Place a model in bfloat16 on as few cards as the engine would.

    Parameters
    ----------
    shape : Shape
    card : Card
    longest : float
        Tokens of its longest rows.
    random : bool
        Whether random weights are read too. They are drawn in float32 and never spread.

    Returns
    -------
    Placement
        Its bytes are those that the engine asks for before it loads a model, or the weights with the
        activations of a full batch where that is more: of a small model it is.

    Examples
    --------
    >>> from embreg.planning.cards import find_card
    >>> large = Shape(4096, 24, 44 * 10**9, 45 * 10**9, None)
    >>> place(large, find_card("H100"), longest=100.0).cards
    2
    """
    from embreg.engine.core import TOKENS_PER_BATCH
    from embreg.engine.memory import ROOM, bytes_needed, fill_cards

    more = activations(shape, max(TOKENS_PER_BATCH["cuda"], longest), longest, width=2)
    weights = 2 * shape.parameters
    need = bytes_needed(shape.parameters, dtype="bfloat16", weights="random" if random else "pretrained")
    if need <= card.memory or random:
        at_peak = max(need, weights + more)
        return Placement(1, at_peak, at_peak <= card.memory)
    # The vocabulary and the blocks, each whole.
    blocks = shape.layers * [(2 * shape.body // max(shape.layers, 1), None)]
    units = [(2 * (shape.parameters - shape.body), None), *blocks]
    where = fill_cards(units, [card.memory] * _MOST_CARDS)
    if where is None:  # one block is more than a card holds
        return Placement(1, need, False)
    held = [0] * (where[-1] + 1)
    for at, (size, _) in zip(where, units, strict=True):
        held[at] += size
    fullest = max(max(int(ROOM * size), size + more) for size in held)
    return Placement(len(held), fullest, fullest <= card.memory)


def memory_here(shape: Shape, longest: float) -> int:
    """Bytes of the weights and of a batch's activations in float32, on this machine's processor.

    Examples
    --------
    >>> memory_here(Shape(64, 1, 0, 1000, None), 10.0)
    6459296
    """
    from embreg.engine.core import TOKENS_PER_BATCH

    return 4 * shape.parameters + activations(shape, max(TOKENS_PER_BATCH["cpu"], longest), longest, width=4)


def activations(shape: Shape, tokens: float, longest: float, *, width: int) -> int:
    """Bytes of what one block computes of so many tokens: its states, and attention between all tokens.

    Parameters
    ----------
    shape : Shape
    tokens : float
        Of one batch.
    longest : float
        Tokens of a row.
    width : int
        Bytes of a number.
    """
    heads = max(1, shape.dim // 64)
    return int(width * tokens * (12 * shape.dim + 2 * heads * longest)) if shape.layers else 0
