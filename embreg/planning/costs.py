"""What each model costs: tokens, operations, vectors kept, memory, time on a card, and a service's price."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from embreg._shape import Shape
from embreg.planning.cards import Card
from embreg.planning.memory import Placement, place
from embreg.planning.parts import Part
from embreg.planning.tokens import mean_tokens, size_of

__all__ = ["Cost", "count", "store_bytes"]

_PAGE, _IN_PAGE, _IN_INDEX = 16384, 46, 46
"""Bytes of a page of SQLite's, as the store asks for; what a row takes in it beside its numbers (key,
checksum, counts, their lengths); and its share of the index of keys."""

_FILE = 4 * _PAGE
"""Of a space without rows."""


@dataclass(frozen=True)
class Cost:
    """Of embedding everything that one model reads.

    Attributes
    ----------
    model : str
    shape : Shape or None
        None for a service.
    rows, tokens : int
        Distinct rows, each read once.
    flops : float
        Floating-point operations of the forward passes.
    stored : int
        Vectors kept: each row in every space (pooling and layer) that is read.
    bytes : int or None
        That they take on disk; None where their width is not known.
    longest : float
        Tokens of its longest rows, on average.
    exact : bool
        False where tokens were estimated from characters, for want of a tokenizer's files.
    random : bool
        Whether it is read with random weights too.
    price : float or None
        US dollars; 0 for what runs on machines of one's own, None where a service's price is not known.
    """

    model: str
    shape: Shape | None
    rows: int
    tokens: int
    flops: float
    stored: int
    bytes: int | None
    longest: float
    exact: bool
    random: bool = False
    price: float | None = 0.0

    def placement(self, card: Card) -> Placement | None:
        """Memory on a card; None for a service."""
        if self.shape is None:
            return None
        return place(self.shape, card, longest=self.longest, random=self.random)

    def gpu_hours(self, card: Card) -> float:
        """Hours of cards: one that waits for another counts."""
        placement = self.placement(card)
        return card.hours(self.flops) * placement.cards if placement else 0.0


def count(parts: Iterable[Part], *, fetched: bool = True) -> tuple[list[Cost], list[str]]:
    """Cost of every model; rows that several parts have in common are read once and kept once.

    Parameters
    ----------
    parts : iterable of Part
    fetched : bool
        Whether files of models on this machine may be read; else only the table of models, and the
        tokenizers that come with the default weights.

    Returns
    -------
    costs : list of Cost
        One for each model, in the order of `parts`.
    notes : list of str
        What was left out, and rows longer than a model reads.

    Examples
    --------
    >>> part = Part("google/t5-v1_1-small", "json", 5, 100, 3, poolings=("mean", "max"), layers=(0, 4, 99))
    >>> [cost], _ = count([part, part])
    >>> cost.rows, cost.stored
    (300, 1800)
    """
    by_model: dict[str, list[Part]] = defaultdict(list)
    for part in parts:
        by_model[part.model].append(part)
    costs, notes = list[Cost](), list[str]()
    for model, own in by_model.items():
        found = _cost(model, own, notes, fetched=fetched)
        costs += [] if found is None else [found]
    return costs, list(dict.fromkeys(notes))


def _cost(model: str, parts: list[Part], notes: list[str], *, fetched: bool) -> Cost | None:
    from embreg.services.address import is_service, parse

    shape = service = None
    if is_service(model):
        try:
            service = parse(model)
        except ValueError as error:
            notes.append(f"{model}: not counted, {error}")
            return None
        context, dim = service.known.context if service.known else None, service.dim
    else:
        shape = size_of(model, fetched=fetched)
        if shape is None:
            notes.append(f"{model}: unknown, not counted")
            return None
        context, dim = shape.context, shape.dim
    rows: dict[Part, int] = {}
    kept: dict[tuple[str, int, int, str], dict[Part, int]] = defaultdict(dict)
    for part in parts:
        rows[part.kind] = max(part.total, rows.get(part.kind, 0))
        for space in _spaces(part, shape):
            kept[space][part.kind] = max(part.total, kept[space].get(part.kind, 0))
    tokens, flops, longest, exact = 0.0, 0.0, 0.0, True
    for kind, n in rows.items():
        length, known = mean_tokens(kind, fetched=fetched)
        tokens += n * length
        flops += n * shape.flops(length) if shape else 0.0
        longest, exact = max(longest, length), exact and known
        if context and length > context:
            about = "" if known else "≈ "
            where = f"{kind.task or f'{kind.dof} DOF'} in style {kind.format}"
            notes.append(f"{model}: rows of {where} have {about}{length:.0f} tokens, it reads {context}")
    vectors = [sum(own.values()) for own in kept.values()]
    price: float | None = 0.0
    if service is not None:
        price = None if service.price is None else tokens * service.price / 1e6
    return Cost(
        model, shape, sum(rows.values()), round(tokens), flops, sum(vectors),
        None if dim is None else sum(store_bytes(dim, n) for n in vectors),
        longest, exact, any(p.weights == "random" for p in parts), price,
    )  # fmt: skip


def _spaces(part: Part, shape: Shape | None) -> set[tuple[str, int, int, str]]:
    """Files of the store that a part fills: poolings and layers, by the weights that were read."""
    if shape is None:  # a service pools by itself, of its last layer
        return {("", 0, 0, part.weights)}
    from_top = (k if k >= 0 else shape.layers + 1 + k for k in part.layers)
    layers = {k for k in from_top if 0 <= k < shape.layers} | {shape.layers}
    return {(p, k, part.draw, part.weights) for p in part.poolings for k in layers}


def store_bytes(dim: int, rows: int) -> int:
    """Bytes on disk of a space of the store.

    Parameters
    ----------
    dim : int
        Width of a vector, whose numbers take four bytes each.
    rows : int

    Notes
    -----
    A page of the file holds whole rows; of a row longer than a page the rest goes to pages of its own. So
    it depends on the width how much is left over: at 2048, where no second row fits, half of each page.

    Examples
    --------
    >>> [store_bytes(dim, 100_000) // 100_000 for dim in (384, 2048, 4096)]
    [1685, 16430, 18478]
    """
    size, usable = 4 * dim + _IN_PAGE, _PAGE - 8
    if size <= _PAGE - 35:
        each = _PAGE / (usable // size)
    else:  # SQLite's rule for what stays, of what does not fit
        least = (_PAGE - 12) * 32 // 255 - 23
        stays = least + (size - least) % (_PAGE - 4)
        stays = stays if stays <= _PAGE - 35 else least
        each = _PAGE * (-(-(size - stays) // (_PAGE - 4))) + _PAGE / (usable // stays)
    return int(_FILE + rows * (each + _IN_INDEX))
