"""How a tokenizer groups the digits of numbers, and what a change of one digit changes (section 2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from embreg.numerals import DIGITS, Numeral, encode, numeral_spans, numerals

__all__ = ["alignment", "change_by_place", "describe", "digit_places", "digits_per_token"]


def digit_places(numeral: str) -> list[int | None]:
    """Power of ten of every digit of a number's text: None for those of an exponent.

    Examples
    --------
    >>> digit_places("-12.5")
    [1, 0, -1]
    >>> digit_places("1.5e-03")
    [0, -1, None, None]
    """
    mantissa, _, exponent = numeral.partition("e")
    whole, _, rest = mantissa.partition(".")
    left, right = (sum(c in DIGITS for c in part) for part in (whole, rest))
    places: list[int | None] = [*range(left - 1, -1, -1), *range(-1, -right - 1, -1)]
    return places + [None for c in exponent if c in DIGITS]


def digits_per_token(found: Iterable[Numeral]) -> pd.Series:
    """How many digits of a number its tokens hold: share of the tokens that hold any.

    Parameters
    ----------
    found : iterable of Numeral

    Returns
    -------
    Series
        Number of digits, from 1 on, to the share of tokens with so many; unknown tokens hold none.

    Raises
    ------
    ValueError
        No token holds a digit.

    Examples
    --------
    >>> from embreg.numerals import tokenizer_of
    >>> rows = numerals(tokenizer_of("all-MiniLM-L6-v2"), ["[-1.2345]"])
    >>> digits_per_token(rows[0]).round(2).to_dict()
    {1: 0.67, 3: 0.33}
    """
    counts = Counter(
        sum(c in DIGITS for c in piece)
        for number in found
        for piece, unknown in zip(number.pieces, number.unknown, strict=True)
        if not unknown
    )
    counts.pop(0, None)
    if not counts:
        raise ValueError("shares need a token that holds a digit, however: there is none")
    return pd.Series(counts, dtype=float).sort_index() / sum(counts.values())


def alignment(found: Iterable[Numeral]) -> pd.Series:
    """Whether a place of the number always falls into the same place of a token.

    Tenths that share a token with the hundredths in one number and stand alone in the next are two different
    symbols to the model. For each place this is the share of numbers in which the token that holds it covers
    the places that it covers most often; 1 is perfect.

    Parameters
    ----------
    found : iterable of Numeral

    Returns
    -------
    Series
        Power of ten, from large to small, to the share. Exponents and digits in unknown tokens are left out.

    Raises
    ------
    ValueError
        No token holds such a digit.

    Examples
    --------
    >>> from embreg.numerals import tokenizer_of
    >>> rows = numerals(tokenizer_of("all-MiniLM-L6-v2"), ["[0.1234,0.9876]"])
    >>> [number.pieces for number in rows[0]]
    [('0', '.', '123', '4'), ('0', '.', '98', '7', '6')]
    >>> alignment(rows[0]).to_dict()
    {0: 1.0, -1: 0.5, -2: 0.5, -3: 0.5, -4: 1.0}
    """
    groups: dict[int, Counter[tuple[int | None, ...]]] = {}
    for number in found:
        places = iter(digit_places(number.text))
        for piece, unknown in zip(number.pieces, number.unknown, strict=True):
            group = tuple(next(places) for c in piece if c in DIGITS)
            for place in group:
                if place is not None and not unknown:
                    groups.setdefault(place, Counter())[group] += 1
    if not groups:
        raise ValueError("alignment needs a token that holds a digit, however: there is none")
    return pd.Series({p: max(groups[p].values()) / groups[p].total() for p in sorted(groups, reverse=True)})


def change_by_place(tokenizer: Any, texts: Sequence[str], *, random_state: int = 0) -> pd.DataFrame:
    """Share of a number's tokens that change when one of its digits does.

    If tokens were near where numbers are, a change of the last digit would change fewer of them than a change
    of the first.

    Parameters
    ----------
    tokenizer : as for `numerals`
    texts : sequence of str
        The first number of each is changed; rows without a number are left out.
    random_state : int
        Of the digits that take the place of others.

    Returns
    -------
    DataFrame
        ``row, place, changed``: power of ten of the digit, and the number of tokens between what the two rows
        begin and end with alike, over the number of tokens of the number.

    Examples
    --------
    >>> from embreg.numerals import tokenizer_of
    >>> out = change_by_place(tokenizer_of("all-MiniLM-L6-v2"), ["[0.1234]"])
    >>> out.place.tolist()
    [0, -1, -2, -3, -4]
    """
    rng = np.random.default_rng(random_state)
    cases, others = [], []
    for row, (text, found) in enumerate(zip(texts, numerals(tokenizer, texts), strict=True)):
        for start, end in numeral_spans(text)[:1]:
            where = [i for i in range(start, end) if text[i] in DIGITS]
            for i, place in zip(where, digit_places(text[start:end]), strict=True):
                if place is not None:
                    other = str((int(text[i]) + rng.integers(1, 10)) % 10)
                    cases.append((row, place, len(found[0].tokens)))
                    others.append(text[:i] + other + text[i + 1 :])
    before, after = ([e.ids for e in encode(tokenizer, t)] for t in (texts, others))
    rows = [
        {"row": row, "place": place, "changed": min(1.0, _between(before[row], ids) / size)}
        for (row, place, size), ids in zip(cases, after, strict=True)
    ]
    return pd.DataFrame(rows, columns=["row", "place", "changed"])


def describe(tokenizer: Any, texts: Sequence[str]) -> dict[str, float]:
    """What a tokenizer makes of rows, in one line of a table.

    Returns
    -------
    dict
        ``tokens_per_row`` (special tokens counted), ``unknown_per_row``, ``tokens_per_number``,
        ``digits_per_token`` (over tokens that hold any), ``aligned`` (the mean of `alignment` over places),
        ``shared`` (of the tokens of numbers, the share that holds something else too).

    Raises
    ------
    ValueError
        Rows without a number.

    Examples
    --------
    >>> from embreg.numerals import tokenizer_of
    >>> about = describe(tokenizer_of("all-MiniLM-L6-v2"), ["[0.1234,0.9876]"])
    >>> about["tokens_per_row"], about["digits_per_token"], about["aligned"]
    (14.0, 1.4285714285714286, 0.7)
    """
    found = [number for row in numerals(tokenizer, texts) for number in row]
    if not found:
        raise ValueError(f"rows must hold a number, however: there is none in {list(texts[:1])}")
    encodings, unknown = encode(tokenizer, texts), tokenizer.unk_token_id
    per_token = digits_per_token(found)
    return {
        "tokens_per_row": float(np.mean([len(e.ids) for e in encodings])),
        "unknown_per_row": float(np.mean([sum(k == unknown for k in e.ids) for e in encodings])),
        "tokens_per_number": float(np.mean([len(number.tokens) for number in found])),
        "digits_per_token": float((per_token.index * per_token).sum()),
        "aligned": float(alignment(found).mean()),
        "shared": float(np.mean([flag for number in found for flag in number.shared])),
    }


def _between(a: Sequence[int], b: Sequence[int]) -> int:
    """Tokens between what both sequences begin with and what both end with, of the longer one."""
    least = min(len(a), len(b))
    head = next((i for i in range(least) if a[i] != b[i]), least)
    tail = next((i for i in range(least - head) if a[-1 - i] != b[-1 - i]), least - head)
    return max(len(a), len(b)) - head - tail
