"""Batches by token budget: every row once, little padding, the same for the same input."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from embreg import TextEmbedder, serialize
from embreg.engine.batching import make_batches, padded_width
from embreg.tasks import bbob_points

lengths_of_rows = st.lists(st.integers(1, 600), max_size=200)
budgets = st.sampled_from([1, 64, 512, 2048, 65536])


@given(lengths_of_rows, budgets)
def test_every_row_is_in_one_batch_that_holds_it(lengths: list[int], budget: int) -> None:
    batches = make_batches(lengths, budget)
    assert sorted(i for rows, _ in batches for i in rows) == list(range(len(lengths)))
    for rows, width in batches:
        longest = max(lengths[i] for i in rows)
        assert width == padded_width(longest) >= longest
        assert len(rows) == 1 or len(rows) * width <= budget


@given(lengths_of_rows, budgets)
def test_padding_is_bounded_in_every_batch(lengths: list[int], budget: int) -> None:
    for rows, width in make_batches(lengths, budget):
        real = sum(lengths[i] for i in rows)
        assert len(rows) * width - real <= max(0.08 * real, budget // 64) + 1e-9


@given(lengths_of_rows, budgets)
def test_equal_input_gives_equal_batches_the_longest_first(lengths: list[int], budget: int) -> None:
    batches = make_batches(lengths, budget)
    assert batches == make_batches(list(lengths), budget)
    order = [lengths[i] for rows, _ in batches for i in rows]
    assert order == sorted(order, reverse=True)


@given(lengths_of_rows, budgets)
def test_a_batch_is_closed_only_for_a_reason(lengths: list[int], budget: int) -> None:
    """The first row of the next batch would have passed the budget or the bound on padding."""
    batches = make_batches(lengths, budget)
    for (rows, width), (after, _) in pairwise(batches):
        real = sum(lengths[i] for i in rows) + lengths[after[0]]
        size = (len(rows) + 1) * width
        assert size > budget or size - real > max(0.08 * real, budget // 64) - 1e-6


def test_widths_are_rounded_up_where_that_is_cheap() -> None:
    for length in range(1, 2000):
        width = padded_width(length)
        assert length <= width <= min(1.06 * length, length + 15)
        assert width == length or width % 16 == 0
    assert padded_width(431) == 432 and padded_width(33) == 33


def test_rows_of_very_different_length_need_little_padding() -> None:
    """At most a tenth, on what the engine is for: tables of 5, 25 and 50 numbers in one input."""
    texts = [t for d in (5, 25, 50) for t in serialize(bbob_points(d, 30, seed=0))]
    mixed = [texts[i] for i in np.random.default_rng(0).permutation(len(texts))]
    model = TextEmbedder(stage="vocab", store=None)  # batches are the same, and nothing is computed
    model.fit_transform(mixed)
    assert 1 <= model.report_.padded_tokens / model.report_.real_tokens <= 1.10
