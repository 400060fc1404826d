"""Numbers and their tokens: every digit is found once, in the tokenizers that models really have."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from embreg import TextEmbedder, serialize
from embreg.digits import _between, alignment, change_by_place, describe, digit_places, digits_per_token
from embreg.numerals import DIGITS, Numeral, encode, numeral_spans, numerals, tokenizer_of
from tests.tiny import tiny_decoder, tiny_sentencepiece_t5, tiny_t5

REAL = ("all-MiniLM-L6-v2", "flan-t5-small-titles")
TINY = ("smollm", "gpt_neox", "spiece")


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    top = tmp_path_factory.mktemp("tokenizers")
    found = {name: tokenizer_of(name) for name in REAL}
    for name in TINY:
        folder = top / name
        folder.mkdir()
        made = tiny_sentencepiece_t5(folder) if name == "spiece" else tiny_decoder(folder, name)
        found[name] = tokenizer_of(str(made))
    return found


NUMBERS = st.floats(-1e6, 1e6) | st.integers(-999, 999) | st.sampled_from([0.0, -0.0, 1e-9, -5.0, 4.99999])
ROWS = st.integers(1, 6).flatmap(
    lambda d: st.lists(st.lists(NUMBERS, min_size=d, max_size=d), min_size=1, max_size=3)
)
WRITTEN = {
    "style": st.sampled_from(["json", "pairs", "values"]),
    "notation": st.sampled_from(["decimal", "scientific", "digits", "shortest"]),
    "decimals": st.integers(0, 6),
}


# Where the numbers stand


@given(rows=ROWS, **WRITTEN)
@example(rows=[[-3, 0.5]], style="values", notation="digits", decimals=0)
@example(rows=[[12, -1.0]], style="pairs", notation="digits", decimals=2)
def test_every_number_that_serialize_writes_is_found_and_nothing_else(rows: Any, **how: Any) -> None:
    for row, text in zip(rows, serialize(rows, **how), strict=True):
        alone = [serialize([[value]], **{**how, "style": "values"})[0][1:-1] for value in row]
        assert [text[a:b] for a, b in numeral_spans(text)] == alone


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{x0:1,layer_2:0.5,units 64:7}", ["1", "0.5", "7"]),  # digits of names are no numbers
        ("[true,null,relu6,3]", ["3"]),
        ("lr2=1e-05; x1=-2", ["1e-05", "-2"]),
        ("{a:v1.5,b:1.5x}", []),
        ("", []),
    ],
)
def test_digits_of_names_and_words_are_no_numbers(text: str, found: list[str]) -> None:
    assert [text[a:b] for a, b in numeral_spans(text)] == found


# Their tokens


@settings(max_examples=30)
@given(rows=ROWS, **WRITTEN)
@example(rows=[[6.3, 5, 7]], style="values", notation="digits", decimals=1)  # T5 knows "3,5"
def test_pieces_joined_are_the_number_and_every_digit_is_in_one_token(
    tokenizers: dict[str, Any], rows: Any, **how: Any
) -> None:
    texts = serialize(rows, **how)
    for tokenizer in tokenizers.values():
        for text, found in zip(texts, numerals(tokenizer, texts), strict=True):
            assert [n.text for n in found] == [text[a:b] for a, b in numeral_spans(text)]
            for n in found:
                assert "".join(n.pieces).replace(" ", "") == n.text.replace(" ", "")
                assert list(n.tokens) == sorted(set(n.tokens))
                assert len(n.pieces) == len(n.tokens) == len(n.unknown) == len(n.shared)
            # T5 has a token that ends one number and begins the next: then it is marked in both.
            uses = Counter(k for n in found for k in n.tokens)
            assert all(flag for n in found for k, flag in zip(n.tokens, n.shared, strict=True) if uses[k] > 1)


def walked(tokenizer: Any, text: str) -> list[tuple[str, ...]]:
    """Pieces of each number by eating the row token by token: a twin that looks at no offset."""
    marks, special = re.compile("^##|[▁Ġ ]"), set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    owner, at = [-1] * len(text), 0
    for k, i in enumerate(tokenizer(text)["input_ids"]):
        if i in special:
            continue
        # T5 knows no brace, and no other character of these rows is unknown to any.
        piece = "?" if i == tokenizer.unk_token_id else marks.sub("", tokenizer.convert_ids_to_tokens(i))
        for character in piece:
            while text[at] == " ":
                at += 1
            assert character in ("?", text[at]), (text, at, piece)
            owner[at], at = k, at + 1
    return [
        tuple("".join(text[i] for i in range(a, b) if owner[i] == k)
              for k in dict.fromkeys(owner[i] for i in range(a, b) if owner[i] >= 0))
        for a, b in numeral_spans(text)
    ]  # fmt: skip


@pytest.mark.parametrize("name", [*REAL, *TINY])
@pytest.mark.parametrize("style", ["json", "pairs", "values"])
@pytest.mark.parametrize("notation", ["decimal", "scientific", "digits", "shortest"])
def test_pieces_are_those_of_a_walk_through_the_tokens(
    tokenizers: dict[str, Any], name: str, style: Any, notation: Any
) -> None:
    rows = np.random.default_rng(0).uniform(-50, 50, (20, 3))
    texts = serialize(rows, style=style, notation=notation)
    got = [[tuple(p.strip() for p in n.pieces) for n in row] for row in numerals(tokenizers[name], texts)]
    wanted = [walked(tokenizers[name], text) for text in texts]
    assert [[tuple(p for p in n if p) for n in row] for row in got] == wanted


def test_a_token_that_holds_a_comma_too_is_shared(tokenizers: dict[str, Any]) -> None:
    [[first, second]] = numerals(tokenizers["flan-t5-small-titles"], ["{x0:1.3696,x1:-2.3021}"])
    assert first.pieces == ("1.3", "69", "6") and first.shared == (False, False, True)  # 6 and the comma
    assert second.pieces == ("-2", ".", "30", "21") and not any(second.shared)


def test_digits_of_an_unknown_token_are_in_it_and_count_for_nothing(tokenizers: dict[str, Any]) -> None:
    long = "1" * 101  # WordPiece gives up on a word of more than 100 characters
    [[unknown, known]] = numerals(tokenizers["all-MiniLM-L6-v2"], [f"[{long},12]"])
    assert unknown.pieces == (long,) and unknown.unknown == (True,) and known.unknown == (False,)
    assert digits_per_token([unknown, known]).to_dict() == {2: 1.0}
    assert alignment([unknown, known]).to_dict() == {1: 1.0, 0: 1.0}
    with pytest.raises(ValueError, match="a token that holds a digit"):
        digits_per_token([unknown])
    with pytest.raises(ValueError, match="a token that holds a digit"):
        alignment([unknown])


def test_a_tokenizer_that_drops_digits_is_refused() -> None:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    bare = Tokenizer(models.WordLevel({"?": 0, "[": 1, "]": 2}, unk_token="?"))
    bare.pre_tokenizer = pre_tokenizers.Split(Regex("[0-9]"), "removed")
    with pytest.raises(ValueError, match=r"must fall into a token, however: '7' at 1 of '\[7\]' is in none"):
        numerals(PreTrainedTokenizerFast(tokenizer_object=bare, unk_token="?"), ["[7]"])


def test_a_service_has_no_tokenizer_here() -> None:
    with pytest.raises(ValueError, match="behind an endpoint"):
        tokenizer_of("service:openai/text-embedding-3-small")


# What follows for digits


@given(st.decimals(-(10**9), 10**9, allow_nan=False, places=6), st.sampled_from(["f", "e"]))
def test_places_are_powers_of_ten(number: Decimal, kind: str) -> None:
    text = f"{number:.6f}" if kind == "f" else f"{number:.6e}"
    digits, places = [int(c) for c in text if c in DIGITS], digit_places(text)
    value = sum(d * Decimal(10) ** p for d, p in zip(digits, places, strict=True) if p is not None)
    assert value == abs(Decimal(text.partition("e")[0]))
    apart = digit_places(" ".join(text)) if kind == "f" else places
    assert apart == places


def test_a_tokenizer_that_splits_digits_is_aligned_and_sees_no_place(tokenizers: dict[str, Any]) -> None:
    texts = serialize(np.random.default_rng(0).uniform(-5, 5, (40, 3)))
    found = [n for row in numerals(tokenizers["smollm"], texts) for n in row]
    assert digits_per_token(found).to_dict() == {1: 1.0}
    assert alignment(found).to_dict() == dict.fromkeys([0, -1, -2, -3, -4], 1.0)
    changes = change_by_place(tokenizers["smollm"], texts)
    sizes = [len(row[0].tokens) for row in numerals(tokenizers["smollm"], texts)]
    assert (changes.changed == [1 / sizes[row] for row in changes.row]).all()


def numeral(*pieces: str) -> Numeral:
    n = len(pieces)
    return Numeral("".join(pieces), pieces, tuple(range(n)), (False,) * n, (False,) * n)


def test_alignment_of_numbers_cut_by_hand() -> None:
    found = [
        numeral("1", ".", "23"),
        numeral("4", ".", "56"),
        numeral("-", "7.8", "9"),
        numeral("0", ".", "12"),
    ]
    # Units stand alone in three of four; tenths and hundredths together in three of four.
    assert alignment(found).to_dict() == {0: 0.75, -1: 0.75, -2: 0.75}
    assert digits_per_token(found).to_dict() == pytest.approx({1: 4 / 8, 2: 4 / 8})
    assert alignment([numeral("1.5", "e-03"), numeral("1.5", "e-", "04")]).to_dict() == {0: 1.0, -1: 1.0}


@pytest.mark.parametrize("name", [*REAL, *TINY])
def test_shares_count_tokens(tokenizers: dict[str, Any], name: str) -> None:
    texts = serialize(np.random.default_rng(1).uniform(-5, 5, (30, 4)), style="pairs")
    found = [n for row in numerals(tokenizers[name], texts) for n in row]
    counted = Counter(len(re.findall("[0-9]", p)) for n in found for p in n.pieces)
    del counted[0]
    share = digits_per_token(found)
    assert share.sum() == pytest.approx(1)
    assert (share * counted.total()).round(6).to_dict() == dict(sorted(counted.items()))
    assert alignment(found).between(0, 1, inclusive="right").all()


@pytest.mark.parametrize("name", [*REAL, *TINY])
def test_a_change_is_what_lies_between_equal_ends(tokenizers: dict[str, Any], name: str) -> None:
    texts = serialize(np.random.default_rng(2).uniform(-5, 5, (25, 2)))
    changes = change_by_place(tokenizers[name], texts, random_state=3)
    assert changes.equals(change_by_place(tokenizers[name], texts, random_state=3))
    assert len(changes) == 25 * 5 and changes.changed.between(0, 1, inclusive="right").all()
    # A twin that tries every way to cut a common head and tail off.
    rng = np.random.default_rng(3)
    for text, (_, part) in zip(texts, changes.groupby("row"), strict=True):
        (start, end), size = numeral_spans(text)[0], len(numerals(tokenizers[name], [text])[0][0].tokens)
        where = [i for i in range(start, end) if text[i] in DIGITS]
        for i, got in zip(where, part.changed, strict=True):
            digit = str((int(text[i]) + rng.integers(1, 10)) % 10)
            a, b = (e.ids for e in encode(tokenizers[name], [text, text[:i] + digit + text[i + 1 :]]))
            equal = [h + t for h in range(min(len(a), len(b)) + 1) for t in range(min(len(a), len(b)) + 1 - h)
                     if a[:h] == b[:h] and a[len(a) - t :] == b[len(b) - t :]]  # fmt: skip
            assert got == pytest.approx(min(1, (max(len(a), len(b)) - max(equal)) / size))


def test_equal_ends_do_not_overlap() -> None:
    assert _between([1, 1, 2], [1, 2]) == 1 and _between([1, 2], [1, 1, 2]) == 1
    assert _between([1, 2, 3], [1, 2, 3]) == 0 and _between([1, 2, 3], [4, 5]) == 3


def test_rows_without_numbers(tokenizers: dict[str, Any]) -> None:
    assert numerals(tokenizers["smollm"], ["[null]"]) == [[]] and numerals(tokenizers["smollm"], []) == []
    assert list(change_by_place(tokenizers["smollm"], ["[null]"]).columns) == ["row", "place", "changed"]
    with pytest.raises(ValueError, match=r"must hold a number, however: there is none in \['\[null\]'\]"):
        describe(tokenizers["smollm"], ["[null]"])


def test_a_description_agrees_with_the_engine(tmp_path: Path) -> None:
    folder = str(tiny_t5(tmp_path / "t5"))
    texts = serialize(pd.DataFrame(np.random.default_rng(0).uniform(-5, 5, (12, 3))))
    embedder = TextEmbedder(folder, dtype="float32", store=None, backend="torch")
    embedder.fit_transform(texts)
    about = describe(tokenizer_of(folder), texts)
    assert about["tokens_per_row"] == embedder.report_.tokens_per_row.mean()
    assert about["unknown_per_row"] == 2  # the braces
    assert embedder.report_.unk_rate == pytest.approx(2 / about["tokens_per_row"])
    assert (about["digits_per_token"], about["aligned"], about["shared"]) == (1, 1, 0)
