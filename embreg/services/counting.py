"""Tokens by characters, for want of the service's tokenizer; texts packed into requests; what they cost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

__all__ = ["count_tokens", "dollars", "pack"]

_WORDS = re.compile(r"[A-Za-z]+")
_DIGITS = re.compile(r"[0-9]+")
_REST = re.compile(r"[^\sA-Za-z0-9]")
_LETTERS = 4  # of a word, in a token


def count_tokens(text: str, digits: int = 1) -> int:
    """Estimate, rather too high: four letters of a word, `digits` digits, or one of anything else.

    Characters alone will not do: a token holds four of prose and hardly more than one of numbers.

    Examples
    --------
    >>> count_tokens("{x0:1.2346}"), count_tokens("{x0:1.2346}", digits=3), count_tokens("a sentence")
    (11, 9, 3)
    """
    words = sum(-(-len(w) // _LETTERS) for w in _WORDS.findall(text))
    numbers = sum(-(-len(d) // digits) for d in _DIGITS.findall(text))
    return max(1, words + numbers + len(_REST.findall(text)))


def pack(sizes: Sequence[int], rows: int, tokens: int) -> Iterator[range]:
    """Consecutive texts of one request: at most `rows`, and `tokens` together unless one alone has more.

    Examples
    --------
    >>> [list(r) for r in pack([5, 5, 5, 50, 5], rows=2, tokens=12)]
    [[0, 1], [2], [3], [4]]
    """
    start, total = 0, 0
    for i, size in enumerate(sizes):
        if i > start and (i - start == rows or total + size > tokens):
            yield range(start, i)
            start, total = i, 0
        total += size
    if start < len(sizes):
        yield range(start, len(sizes))


def dollars(cost: float | None) -> str:
    """Amount as it is shown.

    Examples
    --------
    >>> dollars(1.5), dollars(0.00002), dollars(0.0), dollars(None)
    ('$1.50', '$0.00002', '$0', 'an unknown amount')
    """
    if cost is None:
        return "an unknown amount"
    return "$0" if not cost else f"${cost:,.2f}" if cost >= 1 else f"${float(f'{cost:.2g}'):.7f}".rstrip("0")
