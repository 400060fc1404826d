"""What calling a service costs: estimated before, reported after."""

from __future__ import annotations

from dataclasses import dataclass

from embreg.engine.report import EmbedReport
from embreg.services.counting import dollars
from embreg.services.table import DATE

__all__ = ["Estimate", "ServiceReport"]


@dataclass(frozen=True)
class Estimate:
    """What embedding some texts would send and cost.

    Attributes
    ----------
    model, place : str
        As the service calls it, and host and port.
    rows, stored : int
        Distinct texts, and those of them that the store has already.
    characters, tokens, requests : int
        Of the texts that would be sent. Tokens are estimated from characters, rather too many.
    price, cost : float or None
        US dollars per million tokens, and for all of them; None when the price is not known.
    date : str
        When the price was read.

    Examples
    --------
    >>> print(Estimate("m", "example.org", 1000, 200, 40_000, 30_000, 8, 0.15, 0.0045, "2026-04"))
    800 rows (40,000 characters, about 30,000 tokens) in 8 requests to example.org for m: about $0.0045 at
    $0.15 per million tokens (price of 2026-04); 200 rows are stored and cost nothing
    """

    model: str
    place: str
    rows: int
    stored: int
    characters: int
    tokens: int
    requests: int
    price: float | None
    cost: float | None
    date: str = DATE

    def __str__(self) -> str:
        rows = self.rows - self.stored
        text = (
            f"{_count(rows, 'row')} ({self.characters:,} characters, about {self.tokens:,} tokens) in "
            f"{_count(self.requests, 'request')} to {self.place} for {self.model}: {_bill(self)}"
        )
        return text + (f"; {self.stored:,} rows are stored and cost nothing" if self.stored else "")


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _bill(estimate: Estimate) -> str:
    if estimate.price is None:
        return "its price is not known here"
    if not estimate.price:
        return "no price, it runs on a machine of yours"
    return (
        f"about {dollars(estimate.cost)} at {dollars(estimate.price)} per million tokens (price of "
        f"{estimate.date})"
    )


@dataclass(frozen=True)
class ServiceReport(EmbedReport):
    """What one `transform` by a service did.

    `tokens_per_row` is estimated where the service gave sums alone; `unk_rate` is 0, for it does not tell;
    `forward_passes` are requests that were answered.

    Attributes
    ----------
    service : str
        Model and place.
    requests, retries : int
        Requests sent in this call, and those among them that repeated a failed one.
    estimated_tokens : int
        Of the texts that were sent, from their characters.
    billed_tokens : int or None
        As the service counted; None when it did not say for every request.
    cost : float or None
        US dollars, of the billed tokens where known; None when the price is not known.
    price_date : str
        When the price was read.
    """

    service: str = ""
    requests: int = 0
    retries: int = 0
    estimated_tokens: int = 0
    billed_tokens: int | None = None
    cost: float | None = None
    price_date: str = DATE
