"""Wins, ranks and sizes: equal to slow twins and to direct calls of SciPy and statsmodels, at every edge."""

from __future__ import annotations

import itertools
import math
import sys
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from embreg.comparison import (
    correct,
    correlation_bootstrap,
    effect_size,
    wilcoxon,
    win_rate,
)
from embreg.reference import against
from embreg.stats import correlation, paired_interval

statsmodels = pytest.importorskip("statsmodels")


def records(table: Any, value: str = "kendall_tau") -> pd.DataFrame:
    """One row per (task, seed) of an array of shape (tasks, seeds)."""
    table = np.asarray(table, float)
    t, s = np.indices(table.shape)
    return pd.DataFrame({"task": t.ravel(), "seed": s.ravel(), value: table.ravel()})


def two(differences: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two sides, one seed, whose differences by task are these."""
    column = np.asarray(differences, float)[:, None]
    return records(column), records(0 * column)


# τ with one decimal: equal, tied and cancelling values are common, as they are in small test sets.
tables = st.integers(1, 12).flatmap(
    lambda tasks: st.integers(1, 3).flatmap(
        lambda seeds: st.tuples(
            *[
                st.lists(
                    st.lists(st.integers(-10, 10), min_size=seeds, max_size=seeds),
                    min_size=tasks,
                    max_size=tasks,
                )
            ]
            * 2
        )
    )
)


# --- win rate --------------------------------------------------------------------------------------------


@given(tables, st.sampled_from([0, 1, 3]))
def test_wins_are_counted_as_by_hand(sides: tuple[list[list[int]], list[list[int]]], margin: int) -> None:
    """In tenths and fractions, where nothing is rounded; margins lie on values that occur."""
    score = [0, 0, 0]
    for x, y in zip(*sides, strict=True):
        gap = Fraction(sum(x) - sum(y), len(x))
        score[0 if gap > margin else 2 if gap < -margin else 1] += 1
    a, b = (records(np.array(s) / 10) for s in sides)
    got = win_rate(a, b, margin=margin / 10)
    assert [got.wins, got.ties, got.losses] == score
    assert got.value == pytest.approx((score[0] + score[1] / 2) / sum(score))
    assert got.low <= got.value <= got.high


@given(tables, st.sampled_from([0.0, 0.1]))
def test_win_rates_of_two_sides_add_up_to_one(sides: Any, margin: float) -> None:
    a, b = (records(np.array(s) / 10) for s in sides)
    one, other = win_rate(a, b, margin=margin), win_rate(b, a, margin=margin)
    assert one.value + other.value == pytest.approx(1)
    assert one.low + other.high == pytest.approx(1) and one.high + other.low == pytest.approx(1)
    assert (one.wins, one.ties, one.losses) == (other.losses, other.ties, other.wins)


@given(st.integers(0, 20), st.integers(0, 20), st.sampled_from([0.5, 0.9, 0.95]))
def test_without_ties_it_is_wilsons_interval(wins: int, losses: int, level: float) -> None:
    if wins + losses == 0:
        return
    got = win_rate(*two([1] * wins + [-1] * losses), level=level)
    expected = scipy.stats.binomtest(wins, wins + losses).proportion_ci(level, method="wilson")
    np.testing.assert_allclose(got[1:3], expected, atol=1e-9)


def test_the_interval_of_a_win_rate_covers() -> None:
    """With ties the interval covers at least as often as it says: too wide, never too narrow."""
    from statsmodels.stats.proportion import proportion_confint

    rng = np.random.default_rng(0)
    for n, shares in itertools.product((8, 23), ([0.5, 0.3, 0.2], [0.3, 0.4, 0.3], [0.8, 0.15, 0.05])):
        wins, ties, _ = rng.multinomial(n, shares, size=4000).T
        low, high = proportion_confint(wins + ties / 2, n, method="wilson")
        truth = shares[0] + shares[1] / 2
        assert ((low <= truth) & (truth <= high)).mean() > 0.94
        a = two([1] * wins[0] + [0] * ties[0] + [-1] * (n - wins[0] - ties[0]))
        np.testing.assert_allclose(win_rate(*a)[1:3], (low[0], high[0]))


def test_a_win_rate_without_evidence_is_wide() -> None:
    got = win_rate(*two([0.0] * 10))
    assert got.value == 0.5 and got.low < 0.3 and got.high > 0.7 and not got.decided
    assert got.low == pytest.approx(1 - got.high)
    assert win_rate(*two([1.0] * 10)).decided and win_rate(*two([-1.0] * 10)).decided
    assert not win_rate(*two([1.0])).decided  # one task decides nothing
    assert str(got) == "0.50 [0.24, 0.76] (0 won, 10 tied, 0 lost)"


def test_seeds_of_a_task_are_no_tasks() -> None:
    """Three seeds of one outcome leave every answer where one seed has it."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 8, 1))
    once, thrice = (tuple(records(np.repeat(x, k, axis=1)) for x in (a, b)) for k in (1, 3))
    assert win_rate(*once) == win_rate(*thrice)
    assert wilcoxon(*once) == wilcoxon(*thrice)
    np.testing.assert_allclose(effect_size(*once).d, effect_size(*thrice).d, rtol=1e-9)


# --- signed ranks ----------------------------------------------------------------------------------------


def exact_p(d: list[int]) -> float:
    """All signs of all differences, tried one by one; zeros have ranks and no sign."""
    ranks = scipy.stats.rankdata(np.abs(d))
    moving = [r for r, x in zip(ranks, d, strict=True) if x]
    seen = sum(np.sign(x) * r for r, x in zip(ranks, d, strict=True))
    sums = [
        sum(s * r for s, r in zip(signs, moving, strict=True))
        for signs in itertools.product((1, -1), repeat=len(moving))
    ]
    return float(np.mean(np.abs(sums) >= abs(seen) - 1e-9))


@given(st.lists(st.integers(-6, 6), min_size=1, max_size=8))
def test_p_is_exact_for_few_tasks_with_ties_and_zeros(d: list[int]) -> None:
    got = wilcoxon(*two(np.array(d) / 10))
    assert got.p_value == pytest.approx(exact_p(d))
    assert (got.n, got.zeros) == (len(d), d.count(0))


@given(st.integers(0, 1000), st.integers(2, 60), st.integers(1, 3))
def test_signed_ranks_are_scipys(seed: int, tasks: int, seeds: int) -> None:
    a, b = np.random.default_rng(seed).normal(size=(2, tasks, seeds))
    got, expected = wilcoxon(records(a), records(b)), scipy.stats.wilcoxon(a.mean(1), b.mean(1))
    assert got[:2] == pytest.approx((expected.statistic, expected.pvalue))


@settings(max_examples=30)
@given(tables)
def test_sides_swapped_have_the_same_p(sides: Any) -> None:
    a, b = (records(np.array(s) / 10) for s in sides)
    assert wilcoxon(a, b) == wilcoxon(b, a)
    assert 0 < wilcoxon(a, b).p_value <= 1


def test_equal_sides_have_p_one() -> None:
    a = records(np.random.default_rng(0).normal(size=(7, 2)))
    assert wilcoxon(a, a) == (0.0, 1.0, 7, 7)


@pytest.mark.parametrize(("n", "p"), [(1, 1.0), (5, 0.0625), (6, 0.03125)])
def test_smallest_p_of_few_tasks(n: int, p: float) -> None:
    assert wilcoxon(*two(np.arange(1.0, n + 1))).p_value == pytest.approx(p)


# --- effect size -----------------------------------------------------------------------------------------


@given(st.integers(0, 1000), st.integers(3, 20))
def test_effect_sizes_agree_with_the_tests_they_belong_to(seed: int, n: int) -> None:
    d = np.random.default_rng(seed).normal(0.3, size=n)
    size = effect_size(*two(d))
    assert size.d.value == pytest.approx(scipy.stats.ttest_1samp(d, 0).statistic / math.sqrt(n))
    # The smaller sum of ranks is W, the two together n(n+1)/2.
    gap = n * (n + 1) / 2 - 2 * scipy.stats.wilcoxon(d).statistic
    assert abs(size.rank_biserial.value) == pytest.approx(gap / (n * (n + 1) / 2))


def test_ends_of_d_are_those_of_a_plain_bootstrap() -> None:
    d = np.random.default_rng(0).normal(0.5, size=15)

    def plain(x: np.ndarray) -> float:
        return x.mean() / x.std(ddof=1)

    expected = scipy.stats.bootstrap(
        (d,), plain, n_resamples=2000, random_state=np.random.default_rng(3)
    ).confidence_interval
    np.testing.assert_allclose(effect_size(*two(d), random_state=3).d[1:], expected, rtol=1e-9)


@settings(max_examples=30)
@given(tables)
def test_sides_swapped_turn_the_effect(sides: Any) -> None:
    a, b = (records(np.array(s) / 10) for s in sides)
    one, other = effect_size(a, b), effect_size(b, a)
    np.testing.assert_allclose(one.d.value, -other.d.value)
    np.testing.assert_allclose(one.rank_biserial.value, -other.rank_biserial.value, atol=1e-12)


def test_intervals_of_effect_sizes_cover() -> None:
    """Nominal 95 %, 23 tasks; 150 trials tell it to 1.8 %."""
    rng, truth = np.random.default_rng(0), 0.5
    hits = [
        size.d.low <= truth <= size.d.high
        for size in (effect_size(*two(rng.normal(truth, size=23))) for _ in range(150))
    ]
    assert np.mean(hits) > 0.90


@pytest.mark.parametrize(
    ("differences", "d", "ranks"),
    [
        ([0.0, 0.0, 0.0], 0.0, 0.0),
        ([0.1, 0.1, 0.1], math.inf, 1.0),
        ([-0.1] * 7, -math.inf, -1.0),
        ([0.3], math.nan, 1.0),
        ([0.3, 0.1], 0.2 / math.sqrt(0.02), 1.0),
    ],
)
def test_what_shows_no_spread_has_no_interval(differences: list[float], d: float, ranks: float) -> None:
    size = effect_size(*two(differences))
    np.testing.assert_allclose(size.d.value, d)
    assert size.rank_biserial.value == pytest.approx(ranks)
    assert np.isnan([*size.d[1:], *size.rank_biserial[1:]]).all()
    assert not size.d.decided and not size.rank_biserial.decided


def test_all_tasks_won_leave_the_ranks_without_an_interval() -> None:
    size = effect_size(*two(np.arange(1.0, 9.0)))
    assert size.rank_biserial.value == 1.0 and math.isnan(size.rank_biserial.low)
    assert size.d.low < size.d.value < size.d.high


# --- what all of them refuse -----------------------------------------------------------------------------


@pytest.mark.parametrize("call", [win_rate, wilcoxon, effect_size])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[:-1], r"same \(task, seed\) on both sides, however: \[\(1, 1\)\] is on one only"),
        (lambda t: pd.concat([t, t.iloc[[1]]]), "one cell more often"),
        (lambda t: t.assign(kendall_tau=[0.1, np.nan, 0.3, 0.4]), "1 cells are missing"),
        (lambda t: t.assign(kendall_tau=[0.1, np.inf, 0.3, 0.4]), "holds an infinity"),
        (lambda t: t.drop(columns="task"), r"missing \['task'\]"),
        (lambda t: t.iloc[:0], "there is none"),
    ],
)
def test_pairs_must_match(call: Any, change: Any, message: str) -> None:
    table = records([[0.1, 0.2], [0.3, 0.4]])
    for a, b in ((table, change(table)), (change(table), table)):
        with pytest.raises(ValueError, match=message) as ours:
            call(a, b)
        if "infinity" not in message:
            with pytest.raises(ValueError) as theirs:
                paired_interval(a, b)
            assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize("level", [0, 1, 95, math.nan])
def test_a_level_lies_between_0_and_1(level: float) -> None:
    a, b = two([0.1, 0.2, 0.3, -0.1])
    for call in (win_rate, effect_size):
        with pytest.raises(ValueError, match="level must be between 0 and 1"):
            call(a, b, level=level)
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        correlation_bootstrap(a.kendall_tau, a.task, level=level)


@pytest.mark.parametrize("margin", [-0.1, math.nan, math.inf])
def test_a_margin_is_at_least_0(margin: float) -> None:
    with pytest.raises(ValueError, match="margin must be at least 0 and finite"):
        win_rate(*two([0.1]), margin=margin)


def test_without_statsmodels_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.split(".")[0] == "statsmodels"] + ["statsmodels"]:
        monkeypatch.setitem(sys.modules, name, None)
    for call in (lambda: win_rate(*two([0.1])), lambda: correct([0.1])):
        with pytest.raises(ImportError, match=r"embreg\[stats\]"):
            call()
    assert wilcoxon(*two([0.1])).p_value == 1  # SciPy is enough here


# --- many comparisons ------------------------------------------------------------------------------------


@settings(max_examples=5)  # statsmodels collects garbage at each call, which takes a while in a large process
@given(st.lists(st.integers(0, 20).map(lambda i: i / 100), min_size=6, max_size=12))
def test_corrections_as_defined(p: list[float]) -> None:
    """Holm's step down and Benjamini and Hochberg's step up, written out."""
    n, order = len(p), sorted(range(len(p)), key=lambda i: p[i])
    holm, bh, down, up = [0.0] * n, [0.0] * n, 0.0, 1.0
    for rank, i in enumerate(order):
        down = max(down, min(1.0, (n - rank) * p[i]))
        holm[i] = down
    for rank in reversed(range(n)):
        up = min(up, p[order[rank]] * n / (rank + 1))
        bh[order[rank]] = up
    np.testing.assert_allclose(correct(p), holm, atol=1e-12)
    np.testing.assert_allclose(correct(p, "fdr_bh"), bh, atol=1e-12)
    assert (correct(p) >= correct(p, "fdr_bh") - 1e-12).all()


@pytest.mark.parametrize(
    ("p", "method", "message"),
    [
        ([], "holm", r"n at least 1, however: got \(0,\)"),
        ([[0.1]], "holm", r"got \(1, 1\)"),
        ([0.1, math.nan], "holm", "between 0 and 1, however: got nan"),
        ([0.1, 1.1], "fdr_bh", "however: got 1.1"),
        ([0.1], "bonferroni", "'holm' or 'fdr_bh', however: got 'bonferroni'"),
    ],
)
def test_what_a_correction_refuses(p: Any, method: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        correct(p, method)


# --- correlation -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_bootstrap_of_a_correlation_is_scipys(method: Any) -> None:
    x, noise = np.random.default_rng(0).normal(size=(2, 25))
    y = np.round(x + noise, 1)  # with ties
    call = {"pearson": scipy.stats.pearsonr, "spearman": scipy.stats.spearmanr}[method]
    expected = scipy.stats.bootstrap(
        (x, y),
        lambda x, y: call(x, y).statistic,
        paired=True,
        vectorized=False,
        n_resamples=2000,
        random_state=np.random.default_rng(0),
    ).confidence_interval
    got = correlation_bootstrap(x, y, method=method)
    assert got.value == pytest.approx(call(x, y).statistic)
    np.testing.assert_allclose(got[1:], expected, atol=1e-9)


def test_beside_fishers_for_normal_points() -> None:
    x, noise = np.random.default_rng(1).normal(size=(2, 400))
    np.testing.assert_allclose(correlation_bootstrap(x, x + noise), correlation(x, x + noise), atol=0.02)


def test_an_outlier_widens_the_bootstrap_and_not_fishers() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 30))
    x[0] = y[0] = 30.0
    assert correlation(x, y).low > 0.9
    assert correlation_bootstrap(x, y).low < 0.5


def test_edges_of_a_correlation() -> None:
    line = correlation_bootstrap([1, 2, 3, 4, 5], [2, 4, 6, 8, 10])
    assert line.value == 1 and math.isnan(line.low) and math.isnan(line.high)
    few = correlation_bootstrap([0, 0, 0, 1], [0.1, 0.2, 0.1, 0.9])  # a third of the resamples is constant
    assert few.low <= 0 <= few.value


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1, 2, 3], [1, 3, 2], "at least 4 points, however: got 3"),
        ([1, 1, 1, 1], [1, 2, 3, 4], "undefined for constant input"),
        ([1, 2, 3, math.nan], [1, 2, 3, 4], "must be finite"),
        ([1, 2, 3, 4], [1, 2, 3], "shape"),
    ],
)
def test_what_a_correlation_refuses(x: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        correlation_bootstrap(x, y)
    with pytest.raises(ValueError, match="'pearson' or 'spearman'"):
        correlation_bootstrap([1, 2, 3, 4], [1, 2, 4, 3], method="kendall")  # type: ignore[arg-type]


# --- the table -------------------------------------------------------------------------------------------


@pytest.fixture
def many() -> pd.DataFrame:
    rng, parts = np.random.default_rng(0), []
    for dof in (5, 25):
        hard = rng.normal(0, 0.2, size=(8, 3))
        for shift, side in ((0, ("x", "mlp")), (0.3, ("llm", "mlp")), (0.0, ("llm", "ridge"))):
            part = records(hard + shift + rng.normal(0, 0.05, size=hard.shape))
            parts.append(part.assign(representation=side[0], head=side[1], dof=dof))
    return pd.concat(parts, ignore_index=True)


def test_the_table_holds_what_the_functions_say(many: pd.DataFrame) -> None:
    table = against(many, ("x", "mlp"), margin=0.01)
    assert table[["dof", "representation", "head"]].to_numpy().tolist() == [
        [dof, "llm", head] for dof in (5, 25) for head in ("mlp", "ridge")
    ]
    for row in table.itertuples():
        part = many[many.dof == row.dof]
        own = part[(part.representation == row.representation) & (part["head"] == row.head)]
        base = part[part.representation == "x"]
        d, size = paired_interval(own, base), effect_size(own, base)
        assert (row.difference, row.low, row.high) == d
        rate = (row.win_rate, row.win_low, row.win_high, row.wins, row.ties, row.losses)
        assert rate == win_rate(own, base, margin=0.01)
        assert row.p == wilcoxon(own, base).p_value
        np.testing.assert_array_equal((row.d, row.d_low, row.d_high), size.d)
        ranks = (row.rank_biserial, row.rank_biserial_low, row.rank_biserial_high)
        np.testing.assert_array_equal(ranks, size.rank_biserial)
        assert (row.tasks, row.seeds) == (8, 3)
    np.testing.assert_allclose(table.p_corrected, correct(table.p))
    assert (table.p_corrected[table["head"] == "mlp"] < 0.05).all()
    assert (against(many, ("x", "mlp"), correction="fdr_bh").p_corrected <= table.p_corrected).all()


def test_order_of_records_plays_no_part(many: pd.DataFrame) -> None:
    table = against(many, ("x", "mlp"))
    pd.testing.assert_frame_equal(table, against(many.sample(frac=1, random_state=1), ("x", "mlp")))


def test_columns_that_split_the_table(many: pd.DataFrame) -> None:
    one = many[many.dof == 5]
    whole = against(one, ("x", "mlp"), by=())
    pd.testing.assert_frame_equal(whole, against(one, ("x", "mlp")).drop(columns="dof"))
    both = pd.concat([many.assign(model="a"), many.assign(model=None)])
    table = against(both, ("x", "mlp"), by=["dof", "model"])
    assert len(table) == 8 and table.model.isna().sum() == 4  # what has no model is compared too


def test_uneven_pairs_are_named(many: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"'representation': 'llm', 'head': 'ridge'.*'dof': 25.*on one only"):
        against(many.iloc[:-1], ("x", "mlp"))
    with pytest.raises(KeyError, match="no records of x"):
        against(many[(many.dof == 5) | (many.representation != "x")], ("x", "mlp"))
    with pytest.raises(ValueError, match=r"needs others than x \+ mlp"):
        against(many[many.representation == "x"], ("x", "mlp"))
    with pytest.raises(ValueError, match=r"needs columns \['suite'\]"):
        against(many, ("x", "mlp"), by="suite")
    with pytest.raises(ValueError, match=r"one cell more often|is there twice"):
        against(pd.concat([many, many]), ("x", "mlp"))
