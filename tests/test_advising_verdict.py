"""What is concluded from paired scores: intervals, a nested choice, and verdicts at their limits."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from embreg.advising.verdict import MARGIN, corrected, judge, nested, rows_to_decide
from embreg.metrics import kendall_tau
from embreg.stats import Interval


def frame(taus):
    """Scores of shape (repeats, folds, candidates) as records."""
    return pd.DataFrame(
        [
            {"repeat": r, "fold": f, "candidate": f"c{c}", "kendall_tau": taus[r, f, c]}
            for r in range(taus.shape[0])
            for f in range(taus.shape[1])
            for c in range(taus.shape[2])
        ]
    )


def test_interval_is_students_with_the_variance_of_nadeau_and_bengio():
    from scipy import stats

    d, share = np.array([0.02, 0.05, -0.01, 0.03, 0.04]), 0.2
    scale = np.sqrt((1 / 5 + 0.25) * d.var(ddof=1))
    found = corrected(d, share)
    assert found.interval[1:] == pytest.approx(stats.t.interval(0.95, 4, loc=d.mean(), scale=scale))
    assert found.probability == pytest.approx(1 - stats.t.cdf(0, 4, loc=d.mean(), scale=scale))


def test_no_spread_is_a_point():
    assert corrected([0.1, 0.1], 0.2) == (Interval(0.1, 0.1, 0.1), 1.0)
    assert corrected([0.0, 0.0], 0.2).probability == 0.5
    assert corrected([-0.1, -0.1], 0.2).probability == 0.0


@pytest.mark.parametrize("wrong", [([0.1], 0.2), ([0.1, np.nan], 0.2), ([0.1, 0.2], 0.0), ([0.1, 0.2], 1.0)])
def test_corrected_refuses(wrong):
    with pytest.raises(ValueError, match="however"):
        corrected(*wrong)


@pytest.mark.slow
def test_interval_covers_the_mean_over_tables_where_the_plain_one_does_not():
    """Two linear models, one without a column, on many tables: is the true mean difference inside?"""
    from scipy import stats

    rng, differences = np.random.default_rng(0), []
    for _ in range(120):
        X = rng.normal(size=(100, 3))
        y = X @ [1.0, 0.5, 0.15] + rng.normal(size=100)
        cuts = [cut for repeat in range(2) for cut in KFold(5, shuffle=True, random_state=repeat).split(X)]
        taus = [
            [
                kendall_tau(
                    y[test], LinearRegression().fit(X[train][:, :k], y[train]).predict(X[test][:, :k])
                )
                for k in (3, 2)
            ]
            for train, test in cuts
        ]
        differences.append(np.subtract(*np.transpose(taus)))
    truth = np.mean(differences)
    ours = [corrected(d, 0.2).interval for d in differences]
    covered = np.mean([i.low <= truth <= i.high for i in ours])
    plain = [stats.t.interval(0.95, 9, loc=d.mean(), scale=d.std(ddof=1) / np.sqrt(10)) for d in differences]
    naive = np.mean([low <= truth <= high for low, high in plain])
    assert covered >= 0.9
    assert naive < covered


@given(st.integers(1, 3), st.integers(2, 5), st.integers(1, 4), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_nested_choice_equals_the_obvious_loop(repeats, n_folds, n_candidates, seed):
    taus = np.random.default_rng(seed).random((repeats, n_folds, n_candidates))
    names = [f"c{c}" for c in range(n_candidates)]
    found = nested(frame(taus), names)
    for r in range(repeats):
        for f in range(n_folds):
            means = [np.mean([taus[r, g, c] for g in range(n_folds) if g != f]) for c in range(n_candidates)]
            assert found[r, f] == taus[r, f, int(np.argmax(means))]


def test_nested_choice_is_free_of_the_winners_luck():
    """Ten candidates without skill: the best mean is far above 0, the nested score on average is not."""
    rng, names = np.random.default_rng(0), [f"c{c}" for c in range(10)]
    tables = [rng.normal(scale=0.1, size=(1, 5, 10)) for _ in range(200)]
    best = np.mean([t.mean((0, 1)).max() for t in tables])
    chosen = np.mean([nested(frame(t), names).mean() for t in tables])
    assert best > 0.05
    assert abs(chosen) < 0.015


def test_a_lone_fold_of_a_repeat_is_chosen_for_by_the_others():
    taus = np.array([[[0.9, 0.1], [0.9, 0.1]]])
    more = pd.concat([
        frame(taus),
        pd.DataFrame({"repeat": 1, "fold": 0, "candidate": ["c0", "c1"], "kendall_tau": [0.2, 0.8]}),
    ])  # fmt: skip
    assert nested(more, ["c0", "c1"])[1, 0] == 0.2


def test_nested_refuses_gaps():
    gap = frame(np.ones((1, 3, 2))).iloc[1:]
    with pytest.raises(ValueError, match="every candidate"):
        nested(gap, ["c0", "c1"])


def judged(difference, noise=0.01, level=0.5, n=500):
    rng = np.random.default_rng(1)
    base = level + noise * rng.normal(size=(1, 20, 1))
    taus = np.concatenate([base, base + difference + noise * rng.normal(size=(1, 20, 1))], axis=2)
    return judge(frame(taus), ["c1"], ["c0"], test_share=0.2, n=n)


def test_verdicts():
    assert judged(0.1).verdict == "yes" and judged(0.1).probability > 0.99
    assert judged(-0.1).verdict == "no" and judged(-0.1).probability < 0.01
    assert judged(0.0, noise=0.001).verdict == "no"  # equal, and surely so
    assert judged(0.01, noise=0.05).verdict == "undecided"
    assert judged(0.01, noise=0.001).verdict == "yes"  # small, but surely there
    assert judged(0.0, noise=0.1, level=0.0).verdict == "nothing"


def test_only_undecided_asks_for_rows():
    found = judged(0.01, noise=0.05)
    assert found.rows_needed is not None and found.rows_needed > 500
    assert judged(0.1).rows_needed is None


@given(st.floats(-0.1, 0.15), st.floats(0.021, 0.5), st.integers(50, 5000))
@settings(max_examples=60, deadline=None)
def test_rows_to_decide_would_decide(value, half, n):
    found = Interval(value, value - half, value + half)
    needed = rows_to_decide(found, n)
    if needed is None:
        return
    shrunk = half * np.sqrt(n / needed)
    assert value - shrunk >= -1e-9 or value + shrunk <= MARGIN + 1e-9
