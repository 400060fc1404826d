"""What a store lacks, asked of a service: announced, packed, checked, and kept answer by answer."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass

import numpy as np

from embreg._progress import Progress
from embreg.services.address import Service
from embreg.services.client import Caller
from embreg.services.counting import count_tokens, pack
from embreg.services.errors import ServiceError
from embreg.services.limits import Limits, limits
from embreg.services.report import Estimate
from embreg.store import Buffer, Row

__all__ = ["Spent", "check_lengths", "fill", "outlook", "request_limits"]

_ANNOUNCED: dict[tuple[str, str], int] = {}
"""Most rows that this process has announced at once, by address and model."""


@dataclass(frozen=True)
class Spent:
    """What `fill` did."""

    requests: int = 0
    retries: int = 0
    answers: int = 0
    estimated: int = 0
    billed: int | None = 0


def fill(
    service: Service,
    texts: Sequence[str],
    numbers: Sequence[int],
    rows: MutableMapping[str, Row],
    kept: Buffer,
    *,
    overflow: str,
) -> Spent:
    """Add to `rows` every text that it lacks.

    Parameters
    ----------
    service : Service
    texts, numbers : sequence of str, sequence of int
        Distinct strings that are not in `rows`, and the rows where the user finds them.
    rows : mapping
        What is known; changed in place.
    kept : Buffer
        Whose store is called ``"service"``. It is written after each answer: an answer is paid for.
    overflow : {"error", "truncate"}

    Raises
    ------
    ValueError
        A text that is empty, is no Unicode, or is longer than the model reads.
    ServiceError
        See `Caller.ask`; or vectors of another width than those before.
    FloatingPointError
        A vector that is not finite; the others of its answer are kept.
    """
    sizes = [count_tokens(t, service.provider.digits) for t in texts]
    _check_texts(texts, numbers)
    cut = check_lengths(service, sizes, numbers, overflow)
    now = limits()
    width = next((len(r.vector) for r in rows.values()), service.dim)
    billed: int | None = 0
    answers = done = 0
    with Caller(service, now) as caller, kept, Progress("embedding", len(texts)) as bar:
        _announce(service, texts, sizes, now)
        for batch in pack(sizes, *request_limits(service, now)):
            asked = sum(sizes[i] for i in batch)
            try:
                vectors, count = caller.ask([texts[i] for i in batch], asked)
                _check_width(service, vectors, width)
            except ServiceError as error:
                if done:
                    error.args = (f"{error} ({done:,} of {len(texts):,} texts were embedded before)",)
                raise
            width = vectors.shape[1]
            # The sum is the service's where it gives one; the shares of the texts stay estimates.
            share = 1.0 if count is None else count / asked
            finite = np.isfinite(vectors).all(axis=1)
            new = {
                texts[i]: Row(v, max(1, round(share * sizes[i])), 0, cut[i])
                for i, v, good in zip(batch, vectors, finite, strict=True)
                if good
            }
            rows.update(new)
            kept.add("service", new)
            kept.flush()
            if not finite.all():
                row = numbers[batch[int(np.argmin(finite))]]
                raise FloatingPointError(
                    f"{service.model} at {service.place} gives non-finite values for row {row}; leave that "
                    "row out, or take another model or precision on the server"
                )
            billed = None if billed is None or count is None else billed + count
            answers, done = answers + 1, done + len(batch)
            bar.advance(len(batch))
    return Spent(caller.requests, caller.retries, answers, sum(sizes), billed)


def check_lengths(
    service: Service, sizes: Sequence[int], numbers: Sequence[int], overflow: str
) -> list[bool]:
    """Which texts are longer than the model reads, as far as characters tell.

    Raises
    ------
    ValueError
        One is, and `overflow` is ``"error"``.
    """
    limit = service.known.context if service.known else None
    if limit is None:
        return [False] * len(sizes)
    cut = [size > limit for size in sizes]
    if overflow == "error" and any(cut):
        i = cut.index(True)
        raise ValueError(
            f"row {numbers[i]} has about {sizes[i]:,} tokens, however: {service.model} reads at most "
            f"{limit:,}; use overflow='truncate' to send it all the same (the service then cuts or "
            "refuses it; the count is an estimate by characters), or a shorter text (serialize "
            "style='values', fewer decimals)"
        )
    return cut


def request_limits(service: Service, now: Limits) -> tuple[int, int]:
    """Most rows and tokens of one request."""
    rows = now.rows or service.provider.rows
    tokens = now.tokens or service.provider.tokens
    return int(rows), int(min(tokens, now.tokens_per_minute or tokens))


def outlook(
    service: Service, texts: Sequence[str], sizes: Sequence[int], now: Limits, stored: int
) -> Estimate:
    """What sending `texts` takes."""
    tokens = sum(sizes)
    return Estimate(
        model=service.model, place=service.place, rows=len(texts) + stored, stored=stored,
        characters=sum(map(len, texts)), tokens=tokens,
        requests=sum(1 for _ in pack(sizes, *request_limits(service, now))),
        price=service.price, cost=None if service.price is None else tokens * service.price / 1e6,
    )  # fmt: skip


def _announce(service: Service, texts: Sequence[str], sizes: Sequence[int], now: Limits) -> None:
    """Say what is about to be sent where: once, and again when it is more than was ever said."""
    key = service.url, service.model
    if len(texts) <= _ANNOUNCED.get(key, 0):
        return
    _ANNOUNCED[key] = len(texts)
    where = " (this machine)" if service.here else ""
    where += " (not encrypted)" if service.url.startswith("http:") and not service.here else ""
    text = str(outlook(service, texts, sizes, now, 0))
    print(f"embreg: sends {text.replace(service.place, service.place + where, 1)}", file=sys.stderr)


def _check_texts(texts: Sequence[str], numbers: Sequence[int]) -> None:
    for text, number in zip(texts, numbers, strict=True):
        if not text.strip():
            raise ValueError(f"row {number} is empty, however: a service embeds no empty text; leave it out")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError(
                f"row {number} holds a lone surrogate, however: only whole Unicode characters can be sent; "
                "read the text again in its right encoding"
            ) from None


def _check_width(service: Service, vectors: np.ndarray, width: int | None) -> None:
    if width is None or vectors.shape[1] == width:
        return
    if service.dimensions:
        way = "it may not be able to give fewer than all; leave ?dimensions= out"
    else:
        way = (
            "another model may be served under this name by now; keep the two apart with a store folder of "
            "each (store=…)"
        )
    raise ServiceError(
        f"{service.model} at {service.place} answered with vectors of width {vectors.shape[1]}, however: "
        f"{width} was expected; {way}"
    )
