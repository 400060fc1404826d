"""What a dry run says of costs, in words: the sentence on everything, what its figures rest on, and cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from embreg.plan import EFFICIENCY, Plan, gemm_rate
from embreg.planning.cards import SHARE, Card
from embreg.planning.columns import number, size
from embreg.planning.costs import Cost
from embreg.planning.memory import Placement
from embreg.services.counting import dollars
from embreg.services.table import DATE

__all__ = ["footer", "placed", "price", "short", "stored", "summary"]


def summary(every: Plan, card: Card) -> str:
    """One sentence on everything together.

    Examples
    --------
    >>> from embreg.plan import plan
    >>> from embreg.planning.cards import find_card
    >>> print(summary(plan({"model": "google/t5-v1_1-xxl", "dofs": [5], "n": 1000}), find_card("H100")))
    1 model, ... tokens, ... GPU-hours on one H100 (SXM) (at 40 % of its peak), the largest model
    (t5-v1_1-xxl) needs ... GiB on one card, store ...
    """
    count, about = len(every.models), "" if every.exact else "≈ "
    said = [f"{count} model{'' if count == 1 else 's'}", f"{about}{number(every.tokens)} tokens"]
    if largest := every.largest(card):
        cost, at = largest
        hours = every.gpu_hours(card)
        many = f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}" if hours >= 0.01 else "less than 0.01"
        said.append(f"{many} GPU-hours on one {card.title} (at {100 * SHARE:.0f} % of its peak)")
        where = "on one card" if at.cards == 1 else f"on each of {at.cards} cards"
        said.append(f"the largest model ({short(cost.model)}) needs {size(at.bytes)} {where}")
    said.append(f"store {stored(every.models)}")
    if any(c.shape is None for c in every.models):
        said.append(f"services {price(every.models)}")
    if every.unpriced:
        said.append(f"the price of {', '.join(every.unpriced)} is not known")
    return ", ".join(said)


def footer(every: Plan, card: Card, due: int) -> list[str]:
    """Lines on what the figures rest on.

    Parameters
    ----------
    every : Plan
        Of all runs together.
    card : Card
    due : int
        Runs that are counted.
    """
    rate = gemm_rate()
    lines = [
        "Upper bounds: rows already in the store cost nothing"
        + (f"; equal rows of the {due} runs are embedded once. " if due > 1 else ". ")
        + f"Time here: forward passes only, at {100 * EFFICIENCY:.0f} % of this machine's "
        f"{rate / 1e9:,.0f} GFLOP/s (a matrix product, measured now); training of heads comes on top.",
    ]
    if every.largest(card):
        lines.append(
            f"{card.title}: {card.peak / 1e12:,.0f} TFLOP/s in dense bf16 and {size(card.memory)}, as its "
            f"maker states; {100 * SHARE:.0f} % of the rate is assumed, not measured. Memory: weights in "
            "bf16 and a full batch of the longest rows, with attention written out, which not every model "
            "does; k × means k cards, of which one computes at a time, and all of which count."
        )
    if not every.exact:
        lines.append("≈ tokens: from characters, rather too many, for want of the model's tokenizer.")
    if any(c.shape is None for c in every.models):
        lines.append(f"Prices of {DATE}; the services' own pages decide. Their time is not counted.")
    over = [(c, p) for c in every.models if (p := c.placement(card)) and not p.fits]
    lines += [
        f"! {short(c.model)} may take {size(p.bytes)} on {'one card' if p.cards == 1 else 'a card'}, which "
        f"has {size(card.memory)}{'; random weights are not spread' if c.random else ''}: --card NAME counts "
        "on another."
        for c, p in over
    ]  # fmt: skip
    return lines


def short(model: str) -> str:
    """Name of a model without the organisation; a service in full."""
    return model if model.startswith("service:") else model.rpartition("/")[2]


def placed(where: Placement | None) -> str:
    """Memory on a card as a cell: ``2 × 35.1 GiB`` on each of two, and a mark where that is too much."""
    if where is None:
        return "—"
    times, mark = "" if where.cards == 1 else f"{where.cards} × ", "" if where.fits else " !"
    return f"{times}{size(where.bytes)}{mark}"


def stored(costs: Sequence[Cost]) -> str:
    """Size of the store as a cell."""
    return cell(sum(c.bytes or 0 for c in costs), size, unknown=any(c.bytes is None for c in costs))


def price(costs: Sequence[Cost]) -> str:
    """Price of services as a cell."""
    paid = [c for c in costs if c.shape is None]
    unknown = any(c.price is None for c in paid)
    return (
        cell(sum(c.price or 0.0 for c in paid), lambda x: f"≈ {dollars(x)}", unknown=unknown) if paid else "—"
    )


def cell(value: float, write: Callable[[float], str], *, unknown: bool) -> str:
    """Sum of which a part may not be known.

    Examples
    --------
    >>> cell(0, size, unknown=False), cell(0, size, unknown=True), cell(2**20, size, unknown=True)
    ('0', 'not known', '1 MiB + ?')
    """
    if not unknown:
        return write(value)
    return f"{write(value)} + ?" if value else "not known"
