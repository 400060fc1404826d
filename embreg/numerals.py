"""What a number becomes: the tokens that a model's tokenizer cuts it into (section 2, step 1).

The same four decimals are one token a digit to one model, and to another groups of one to three digits whose
ends depend on the digits themselves. Here each number of a row is followed into its tokens; `embreg.digits`
measures what comes of it.

A number is what `serialize` writes as one. Digits beside a letter or an underscore, and those in front of
``:`` or ``=``, belong to a name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["DIGITS", "Numeral", "encode", "numeral_spans", "numerals", "tokenizer_of"]

DIGITS = frozenset("0123456789")
"""What a digit is here."""

_NUMERAL = re.compile(
    r"(?<![\w.])(?:(?:- )?[0-9](?: [0-9.])+|- [0-9]|-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)(?![\w:=]|\.[0-9])"
)


class Numeral(NamedTuple):
    """A number in a row, and what its tokens hold of it.

    Attributes
    ----------
    text : str
        As it stands in the row.
    pieces : tuple of str
        What each of its tokens holds of it, in order; spaces may be in none.
    tokens : tuple of int
        Numbers of these tokens in the row, special tokens counted.
    unknown : tuple of bool
        Whether the token is the unknown one, which says nothing of what it stands for.
    shared : tuple of bool
        Whether the token holds characters beside the number too: a comma, or even digits of the next number.
    """

    text: str
    pieces: tuple[str, ...]
    tokens: tuple[int, ...]
    unknown: tuple[bool, ...]
    shared: tuple[bool, ...]


def tokenizer_of(model: str) -> Any:
    """The tokenizer of a model as the engine reads it; no weight is loaded.

    Parameters
    ----------
    model : str
        As for `TextEmbedder`, services left out: what they cut is not seen from outside.

    Raises
    ------
    ValueError
        An unknown model, a service, or no fast tokenizer.

    Examples
    --------
    >>> tokenizer_of("all-MiniLM-L6-v2").tokenize("0.1234")
    ['0', '.', '123', '##4']
    """
    from embreg.engine.loading import load_tokenizer
    from embreg.models import resolve
    from embreg.services.address import is_service

    if is_service(model):
        raise ValueError(
            f"a tokenizer is read from a model's files, however: {model!r} is behind an endpoint; name a "
            "local model or one of the hub"
        )
    return load_tokenizer(resolve(model).path)


def numeral_spans(text: str) -> list[tuple[int, int]]:
    """Where the numbers of a row stand: start and end of each.

    Examples
    --------
    >>> numeral_spans("{x0:-1.50,x1:2e-03}")
    [(4, 9), (13, 18)]
    >>> numeral_spans("[- 1 . 5,2]")
    [(1, 8), (9, 10)]
    """
    return [match.span() for match in _NUMERAL.finditer(text)]


def numerals(tokenizer: Any, texts: Sequence[str]) -> list[list[Numeral]]:
    """Each number of each row with its tokens.

    Parameters
    ----------
    tokenizer : fast tokenizer of transformers
        From `tokenizer_of`.
    texts : sequence of n str
        Rows, as `serialize` writes them.

    Returns
    -------
    list of n lists of Numeral
        In the order in which the numbers stand.

    Raises
    ------
    ValueError
        A digit that is in no token.

    Notes
    -----
    Each character belongs to one token, the last that claims it: SentencePiece's mark of the begin of a word
    claims the first character too.

    Examples
    --------
    >>> [[number]] = numerals(tokenizer_of("all-MiniLM-L6-v2"), ["[-1.2345]"])
    >>> number.pieces, number.tokens
    (('-', '1', '.', '234', '5'), (2, 3, 4, 5, 6))
    """
    unknown = tokenizer.unk_token_id
    out = []
    for text, encoding in zip(texts, encode(tokenizer, texts), strict=True):
        owner = _owners(text, encoding)
        found = []
        for start, end in numeral_spans(text):
            mine = list(dict.fromkeys(int(k) for k in owner[start:end] if k >= 0))
            if lost := [i for i in range(start, end) if owner[i] < 0 and text[i] in DIGITS]:
                raise ValueError(
                    f"every digit must fall into a token, however: {text[lost[0]]!r} at {lost[0]} of "
                    f"{text!r} is in none; this tokenizer drops what it reads"
                )
            held = {k: [i for i in range(start, end) if owner[i] == k] for k in mine}
            found.append(
                Numeral(
                    text[start:end],
                    tuple("".join(text[i] for i in held[k]) for k in mine),
                    tuple(mine),
                    tuple(encoding.ids[k] == unknown for k in mine),
                    tuple(_beside(text, owner, k, start, end) for k in mine),
                )
            )
        out.append(found)
    return out


def encode(tokenizer: Any, texts: Sequence[str]) -> list[Any]:
    """Rows as the engine cuts them: ids and offsets of each.

    Examples
    --------
    >>> [row.tokens for row in encode(tokenizer_of("all-MiniLM-L6-v2"), ["1.5"])]
    [['[CLS]', '1', '.', '5', '[SEP]']]
    """
    return list(tokenizer.backend_tokenizer.encode_batch(list(texts), add_special_tokens=True))


def _owners(text: str, encoding: Any) -> np.ndarray:
    """Number of the token that each character belongs to, -1 for none."""
    owner = np.full(len(text), -1)
    for k, (start, end) in enumerate(encoding.offsets):  # special tokens are added, and claim nothing
        owner[start:end] = k
    return owner


def _beside(text: str, owner: np.ndarray, token: int, start: int, end: int) -> bool:
    """Whether a token owns a character, other than a space, outside the number."""
    outside = np.flatnonzero(owner == token)
    return any(not text[i].isspace() for i in outside if not start <= i < end)
