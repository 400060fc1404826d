"""Poolings: each equals a slow twin that walks token by token, and none sees the padding."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from embreg import pooling
from embreg.pooling import POOLINGS

Vector = list[float]


def average(tokens: list[Vector], weights: list[float], total: float) -> Vector:
    return [
        math.fsum(w * t[j] for t, w in zip(tokens, weights, strict=True)) / total
        for j in range(len(tokens[0]))
    ]


TWINS: dict[str, Callable[[list[Vector]], Vector]] = {
    "mean": lambda tokens: average(tokens, [1.0] * len(tokens), len(tokens)),
    "padded_mean": lambda tokens: average(tokens, [1.0] * len(tokens), 1024),
    "max": lambda tokens: [max(t[j] for t in tokens) for j in range(len(tokens[0]))],
    "cls": lambda tokens: tokens[0],
    "last": lambda tokens: tokens[-1],
    "mean_sqrt": lambda tokens: average(tokens, [1.0] * len(tokens), math.sqrt(len(tokens))),
    "weighted_mean": lambda tokens: average(
        tokens, [k + 1.0 for k in range(len(tokens))], len(tokens) * (len(tokens) + 1) / 2
    ),
}
"""The tokens of one row, without padding, to its vector, in Python floats."""


@st.composite
def batches(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states and a mask with at least one real token in each row; padding may stand anywhere."""
    n, length, d = draw(st.integers(1, 4)), draw(st.integers(1, 7)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    mask = rng.integers(0, 2, (n, length))
    mask[np.arange(n), rng.integers(0, length, n)] = 1
    hidden = rng.normal(size=(n, length, d)) * 10.0 ** draw(st.integers(-3, 3))
    return torch.tensor(hidden, dtype=torch.float32), torch.tensor(mask)


@pytest.mark.parametrize("name", POOLINGS)
@given(batch=batches())
def test_pooling_equals_its_slow_twin(name: str, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    hidden, mask = batch
    out = POOLINGS[name](hidden, mask)
    assert out.dtype == torch.float32 and out.shape == (len(hidden), hidden.shape[2])
    for row in range(len(hidden)):
        tokens = [hidden[row, k].tolist() for k in range(hidden.shape[1]) if mask[row, k]]
        np.testing.assert_allclose(
            out[row].numpy(), TWINS[name](tokens), rtol=1e-5, atol=1e-6 * float(hidden.abs().max())
        )


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("side", ["left", "right", "both"])
@pytest.mark.parametrize("filling", [0.0, 1e4, float("nan"), float("inf"), float("-inf")])
def test_padding_does_not_matter(name: str, side: str, filling: float) -> None:
    rng = torch.Generator().manual_seed(0)
    hidden, mask = torch.randn(3, 5, 4, generator=rng), torch.ones(3, 5, dtype=torch.long)
    bare = POOLINGS[name](hidden, mask)
    left, right = {"left": (6, 0), "right": (0, 6), "both": (2, 3)}[side]
    padded = torch.nn.functional.pad(hidden, (0, 0, left, right), value=filling)
    wide = torch.nn.functional.pad(mask, (left, right))
    torch.testing.assert_close(POOLINGS[name](padded, wide), bare, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", POOLINGS)
@given(batch=batches())
def test_inputs_are_left_as_they_were(name: str, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    hidden, mask = batch
    before = hidden.clone(), mask.clone()
    out = POOLINGS[name](hidden, mask)
    out.fill_(7.0)  # nor is the result a view into them
    assert torch.equal(hidden, before[0]) and torch.equal(mask, before[1])


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("dtype", [torch.bool, torch.int32, torch.int64, torch.float32])
def test_mask_of_any_dtype(name: str, dtype: torch.dtype) -> None:
    hidden, mask = torch.randn(2, 4, 3), torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])
    assert torch.equal(POOLINGS[name](hidden, mask.to(dtype)), POOLINGS[name](hidden, mask))


@pytest.mark.parametrize("name", POOLINGS)
def test_bfloat16_is_summed_in_float32(name: str) -> None:
    """In bfloat16 itself, 1 + 1 + … stops growing at 256."""
    hidden, mask = torch.ones(1, 1000, 1, dtype=torch.bfloat16), torch.ones(1, 1000, dtype=torch.long)
    out = POOLINGS[name](hidden, mask)
    assert out.dtype == torch.float32
    assert out.item() == pytest.approx(TWINS[name]([[1.0]] * 1000)[0], rel=1e-6)


@pytest.mark.parametrize("name", POOLINGS)
def test_row_of_padding_only_is_an_error_that_names_it(name: str) -> None:
    mask = torch.tensor([[1, 0], [0, 0], [1, 1]])
    with pytest.raises(ValueError, match=r"at least one token in every row, however: row 1 has none"):
        POOLINGS[name](torch.zeros(3, 2, 4), mask)


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((2, 3, 4), (2, 4)), ((2, 3, 4), (2, 3, 1))])
def test_shapes_that_do_not_fit_are_an_error(
    name: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]
) -> None:
    with pytest.raises(ValueError, match=r"mask of shape \(n, length\), however: hidden.shape="):
        POOLINGS[name](torch.zeros(shapes[0]), torch.ones(shapes[1]))


def test_padded_mean_refuses_a_row_longer_than_its_length() -> None:
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0]])
    with pytest.raises(ValueError, match=r"length=2, however: row 1 has 3 tokens; raise length, or use mean"):
        pooling.padded_mean(torch.ones(2, 4, 1), mask, length=2)
    # Padding beyond the length is no token and no error.
    assert pooling.padded_mean(torch.ones(2, 4, 1), mask, length=3).ravel().tolist() == pytest.approx(
        [2 / 3, 1.0]
    )


def test_padded_mean_lets_the_number_of_tokens_leak_into_the_scale() -> None:
    """What sets the authors' public code apart from the paper's mean, stated as a number."""
    one, two = torch.ones(1, 1, 3), torch.ones(1, 2, 3)
    ratio = pooling.padded_mean(two, torch.ones(1, 2)) / pooling.padded_mean(one, torch.ones(1, 1))
    assert ratio.ravel().tolist() == [2.0, 2.0, 2.0]
    assert torch.equal(pooling.mean(two, torch.ones(1, 2)), pooling.mean(one, torch.ones(1, 1)))


def test_names() -> None:
    assert list(POOLINGS) == list(TWINS)
    with pytest.raises(ValueError, match=r"pooling must be one of \('mean', .*\), however: got 'average'"):
        pooling.get("average")
