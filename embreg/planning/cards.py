"""Accelerators by name: what their makers state, and the share of it that a plan counts on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

__all__ = ["CARDS", "DEFAULT", "SHARE", "Card", "find_card"]

SHARE = 0.4
"""Share of the stated peak that a plan assumes; nothing here measures it."""

DEFAULT = "H100"

_WITHOUT_BF16 = ("P100", "T4", "V100")
"""Models run in bfloat16 on an accelerator: their rate in another type would be that of another plan."""


@dataclass(frozen=True)
class Card:
    """One accelerator.

    Attributes
    ----------
    name : str
        As the command line takes it.
    title : str
        As a text calls it.
    peak : float
        Dense operations a second in bfloat16 with sums in float32, as its maker states.
    memory : int
        Bytes, as its maker states: gigabytes of 10⁹. A system shows up to 7 % more; what its driver and
        libraries keep is about as much.

    Examples
    --------
    >>> round(find_card("H100").hours(1e18), 2)
    0.7
    """

    name: str
    title: str
    peak: float
    memory: int

    def hours(self, flops: float) -> float:
        """Hours that so many operations take at `SHARE` of the peak."""
        return flops / (SHARE * self.peak) / 3600


def _table() -> Mapping[str, Card]:
    # Where a maker states a rate "with sparsity", half of it is the dense one.
    cards = (
        ("A100", "A100 (80 GB)", 312e12, 80),
        ("A100 40GB", "A100 (40 GB)", 312e12, 40),
        ("H100", "H100 (SXM)", 989.4e12, 80),
        ("H200", "H200", 989.4e12, 141),
        ("L4", "L4", 121e12, 24),
        ("L40S", "L40S", 362.05e12, 48),
        ("RTX 4090", "RTX 4090", 165.2e12, 24),
    )
    return MappingProxyType({n: Card(n, title, peak, gb * 10**9) for n, title, peak, gb in cards})


CARDS: Mapping[str, Card] = _table()
"""Every card, by name."""


def find_card(name: str) -> Card:
    """Card of a name; case and spaces do not matter, nor do "80GB" or "SXM" where there is no other.

    Raises
    ------
    ValueError
        An unknown card (did you mean …), or one without bfloat16.

    Examples
    --------
    >>> find_card("h100 sxm").title, find_card("rtx4090").title
    ('H100 (SXM)', 'RTX 4090')
    >>> find_card("H10")
    Traceback (most recent call last):
    ...
    ValueError: unknown card 'H10'; did you mean 'H100'? There are: A100, A100 40GB, H100, H200, ...
    """
    known = {_plain(word): card for card in CARDS.values() for word in (card.name, card.title)}
    word = _plain(name)
    if word in known:
        return known[word]
    there = f"There are: {', '.join(CARDS)}"
    if word in map(_plain, _WITHOUT_BF16):
        raise ValueError(
            f"a card must have bfloat16, in which models run on an accelerator, however: {name} has none. "
            f"{there}"
        )
    close = get_close_matches(word, known, n=1, cutoff=0.5)
    hint = f"did you mean {known[close[0]].name!r}? " if close else ""
    raise ValueError(f"unknown card {name!r}; {hint}{there}")


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())
