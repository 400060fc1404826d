"""Folds of a comparison: disjoint, paired, and honest about groups and time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embreg.advising.folds import folds


@given(st.integers(10, 120), st.integers(1, 3), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_every_row_is_scored_once_a_repeat_and_parts_are_disjoint(n, repeats, seed):
    cuts = list(folds(n, repeats=repeats, random_state=seed))
    assert len(cuts) == 5 * repeats
    for repeat in range(repeats):
        scored = np.concatenate([f.test for f in cuts if f.repeat == repeat])
        assert sorted(scored) == list(range(n))
    for f in cuts:
        assert sorted(np.concatenate(f[2:])) == list(range(n))


def test_more_repeats_begin_with_the_same_folds():
    few, more = list(folds(60, repeats=1)), list(folds(60, repeats=3))
    for a, b in zip(few, more, strict=False):
        assert [p.tolist() for p in a[2:]] == [p.tolist() for p in b[2:]]
    assert more[0].test.tolist() != more[5].test.tolist()


@given(st.integers(10, 25), st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_no_group_is_on_two_sides(n_groups, seed):
    groups = np.random.default_rng(seed).integers(n_groups, size=200)
    if len(np.unique(groups)) < 10:
        return
    for f in folds(200, groups=groups, random_state=seed):
        train, val, test = (set(groups[part]) for part in f[2:])
        assert not train & val and not train & test and not val & test


@given(st.integers(60, 200), st.integers(1, 4), st.integers(0, 3))
@settings(max_examples=30, deadline=None)
def test_order_is_kept_and_rows_of_one_moment_stay_together(n, per_moment, seed):
    order = np.random.default_rng(seed).permutation(np.arange(n) // per_moment)
    cuts = list(folds(n, order=order))
    assert len(cuts) == 5
    for f in cuts:
        assert order[f.train].max() < order[f.val].min()
        assert order[f.val].max() < order[f.test].min()
    # Every stretch but the first is scored once.
    scored = np.concatenate([f.test for f in cuts])
    assert len(scored) == len(set(scored))
    assert set(order[scored]).isdisjoint(order[cuts[0].train])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"n": 9}, "at least 10 rows"),
        ({"n": 50, "groups": np.arange(50) % 4}, "at least 10 groups"),
        ({"n": 50, "groups": np.arange(50), "order": np.arange(50)}, "got both"),
        ({"n": 50, "order": np.arange(50), "repeats": 2}, "repeats=2"),
        ({"n": 50, "order": np.zeros(50)}, "1 moments"),
    ],
)
def test_refuses(wrong, says):
    with pytest.raises(ValueError, match=says):
        list(folds(**wrong))
