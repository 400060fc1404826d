"""Intervals cover what they claim, do not depend on the order of records, and refuse uneven comparisons."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from embreg.stats import Interval, correlation, mean_interval, paired_interval


def records(table: np.ndarray, value: str = "kendall_tau") -> pd.DataFrame:
    """One row per (function, seed) of an array of that shape."""
    f, s = np.indices(table.shape)
    return pd.DataFrame({"task": f.ravel(), "seed": s.ravel(), value: table.ravel()})


def crossed(
    rng: np.random.Generator, shape: tuple[int, int], sizes: tuple[float, float, float]
) -> np.ndarray:
    """Effects of functions, of seeds and of neither, around a true mean of 0."""
    functions, seeds, rest = sizes
    return (
        functions * rng.normal(size=(shape[0], 1))
        + seeds * rng.normal(size=shape[1])
        + rest * rng.normal(size=shape)
    )


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        ((10, 3), (1, 0.3, 0.5)),  # functions differ most, as they do here
        ((10, 3), (0.3, 1, 0.3)),  # seeds matter most: the hard case with three of them
        ((6, 4), (1, 0, 1)),
        ((23, 12), (1, 0.3, 0.5)),
        ((8, 1), (1, 0, 0.5)),  # one seed: the functions are all there is to resample
    ],
)
def test_coverage(shape: tuple[int, int], sizes: tuple[float, float, float]) -> None:
    """Nominal 95 % covers at least 90 %; 600 trials tell it to 1.2 %."""
    rng, hits, widths, trials = np.random.default_rng(0), 0, [], 600
    for _ in range(trials):
        table = crossed(rng, shape, sizes)
        got = mean_interval(records(table, "y"), "y", n_resamples=300)
        hits += got.low < 0 < got.high
        widths.append(got.high - got.low)
    assert hits / trials >= 0.90
    # Not by being wide beyond reason: a t interval that knows the true standard error, times 1.6.
    error = math.sqrt(
        sizes[0] ** 2 / shape[0] + sizes[1] ** 2 / shape[1] + sizes[2] ** 2 / (shape[0] * shape[1])
    )
    degrees = min(n - 1 for n, size in zip(shape, sizes, strict=False) if size and n > 1)
    assert np.median(widths) < 1.6 * 2 * error * scipy.stats.t.ppf(0.975, degrees)


def test_value_is_the_mean_and_lies_inside() -> None:
    table = crossed(np.random.default_rng(0), (6, 3), (1, 1, 1))
    got = mean_interval(records(table, "y"), "y")
    assert got.value == pytest.approx(table.mean())
    assert got.low < got.value < got.high
    wider = mean_interval(records(table, "y"), "y", level=0.99)
    assert wider.low < got.low and got.high < wider.high


def test_order_of_records_plays_no_part() -> None:
    table = records(crossed(np.random.default_rng(0), (6, 3), (1, 1, 1)))
    table["kendall_tau"] /= 10
    shuffled = table.sample(frac=1, random_state=1)
    assert mean_interval(table) == mean_interval(shuffled)
    other = table.assign(kendall_tau=table.kendall_tau**2)
    assert paired_interval(table, other) == paired_interval(shuffled, other)
    assert paired_interval(table, other) == paired_interval(table, other.sample(frac=1, random_state=2))


def test_deterministic_for_a_random_state() -> None:
    table = records(crossed(np.random.default_rng(0), (5, 3), (1, 1, 1)), "y")
    assert mean_interval(table, "y") == mean_interval(table, "y")
    assert mean_interval(table, "y", random_state=1).low != mean_interval(table, "y").low


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_unit_of_the_value(unit: float) -> None:
    table = crossed(np.random.default_rng(0), (5, 3), (1, 1, 1))
    one, many = mean_interval(records(table, "y"), "y"), mean_interval(records(table * unit, "y"), "y")
    np.testing.assert_allclose(many, np.array(one) * unit, rtol=1e-9)
    other = table + 1
    one = paired_interval(records(table, "y"), records(other**2, "y"), "y")
    many = paired_interval(records(table * unit, "y"), records(other**2 * unit, "y"), "y")
    np.testing.assert_allclose(many, np.array(one) * unit, rtol=1e-9)


def test_pairs_take_out_what_both_share() -> None:
    rng = np.random.default_rng(0)
    base = crossed(rng, (8, 3), (1, 1, 0.1))
    a, b = records(base + 0.2, "y"), records(base + 0.01 * rng.normal(size=(8, 3)), "y")
    got = paired_interval(a, b, "y")
    assert got.decided and got.value == pytest.approx(0.2, abs=0.01)
    assert not mean_interval(a, "y").decided
    reverse = paired_interval(b, a, "y")
    np.testing.assert_allclose(reverse.value, -got.value)


def test_a_constant_difference_has_no_width() -> None:
    table = np.arange(6.0).reshape(2, 3) / 10
    got = paired_interval(records(table + 0.1), records(table))
    np.testing.assert_allclose(got, 0.1, rtol=1e-12)
    assert got.high - got.low < 1e-15


def test_correlations_stay_in_their_range_and_differences_need_not() -> None:
    high = records(np.array([[0.99, 0.5], [0.9, 0.2]]))
    assert mean_interval(high).high == 1.0
    assert mean_interval(high.assign(kendall_tau=-high.kendall_tau)).low == -1.0
    assert mean_interval(high.rename(columns={"kendall_tau": "mse"}), "mse").high > 1.0
    assert paired_interval(high, high.assign(kendall_tau=-high.kendall_tau)).high > 1.0


def test_one_cell_shows_no_variation() -> None:
    got = mean_interval(records(np.array([[0.5]])))
    assert (got.value, got.low, got.high) == (0.5, -math.inf, math.inf)
    assert not got.decided


def test_one_function_or_one_seed() -> None:
    few = np.array([[0.1, 0.4, 0.3]])
    by_seed, by_function = mean_interval(records(few)), mean_interval(records(few.T))
    np.testing.assert_allclose(by_seed, by_function, atol=0.05)
    assert by_seed.low < few.mean() < by_seed.high


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[:-1], "every task needs every seed, however: 1 cells are missing"),
        (lambda t: t.assign(kendall_tau=[0.1, np.nan, 0.3, np.nan]), "2 cells are missing"),
        (lambda t: pd.concat([t, t.iloc[[1]]]), r"\[0, 1\] is there twice; select one suite"),
        (lambda t: t.iloc[:0], "needs records, however: there is none"),
        (
            lambda t: t.drop(columns="seed"),
            r"columns task, seed and kendall_tau, however: missing \['seed'\]",
        ),
        (lambda t: t.rename(columns={"kendall_tau": "tau"}), r"missing \['kendall_tau'\]"),
        (lambda t: t.assign(kendall_tau=np.inf), "finite values, however: column 'kendall_tau' holds"),
    ],
)
def test_what_a_mean_refuses(change: Any, message: str) -> None:
    table = records(np.array([[0.1, 0.2], [0.3, 0.4]]))
    with pytest.raises(ValueError, match=message):
        mean_interval(change(table))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.iloc[:-1],
            r"same \(task, seed\) on both sides, however: \[\(1, 1\)\] is on one only",
        ),
        (lambda t: t.assign(seed=t.seed + 1), r"\(0, 0\)"),
        (lambda t: pd.concat([t, t.iloc[[1]]]), "one cell more often"),
        (lambda t: t.assign(kendall_tau=[0.1, np.nan, 0.3, 0.4]), "1 cells are missing"),
        (lambda t: t.drop(columns="task"), r"missing \['task'\]"),
    ],
)
def test_what_a_pair_refuses(change: Any, message: str) -> None:
    table = records(np.array([[0.1, 0.2], [0.3, 0.4]]))
    with pytest.raises(ValueError, match=message):
        paired_interval(table, change(table))
    with pytest.raises(ValueError, match=message):
        paired_interval(change(table), table)


@pytest.mark.parametrize("level", [0, 1, 1.5, -0.1, float("nan")])
def test_a_level_lies_between_0_and_1(level: float) -> None:
    table = records(np.array([[0.1, 0.2], [0.3, 0.4]]))
    for call in (
        lambda: mean_interval(table, level=level),
        lambda: paired_interval(table, table, level=level),
        lambda: correlation([1, 2, 3, 4], [1, 3, 2, 4], level=level),
    ):
        with pytest.raises(ValueError, match="level must be between 0 and 1"):
            call()


def test_resamples_are_at_least_one() -> None:
    with pytest.raises(ValueError, match="n_resamples must be at least 1, however: got 0"):
        mean_interval(records(np.array([[0.1, 0.2]])), n_resamples=0)


# --- correlation ---------------------------------------------------------------------------------------


@given(st.integers(0, 1000), st.integers(4, 30), st.sampled_from([0.5, 0.9, 0.95]))
def test_correlation_is_scipys(seed: int, n: int, level: float) -> None:
    x, y = np.random.default_rng(seed).normal(size=(2, n))
    got, expected = correlation(x, y, level=level), scipy.stats.pearsonr(x, y)
    assert got.value == pytest.approx(expected.statistic, abs=1e-12)
    np.testing.assert_allclose(got[1:], expected.confidence_interval(level), atol=1e-12)
    # and that is Fisher's: ±z/√(n-3) around atanh(r)
    half = scipy.stats.norm.ppf((1 + level) / 2) / math.sqrt(n - 3)
    center = math.atanh(got.value)
    np.testing.assert_allclose(got[1:], np.tanh([center - half, center + half]), atol=1e-9)


def test_exact_correlation() -> None:
    got = correlation([1, 2, 3, 4], [2, 4, 6, 8])
    assert got.value == pytest.approx(1) and got.low == pytest.approx(1)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1, 2, 3], [1, 3, 2], "at least 4 points, however: got 3"),
        ([1, 1, 1, 1], [1, 2, 3, 4], "undefined for constant input"),
        ([1, 2, 3, np.nan], [1, 2, 3, 4], "must be finite"),
        ([1, 2, 3, 4], [1, 2, 3], "shape"),
    ],
)
def test_what_a_correlation_refuses(x: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        correlation(x, y)


# --- Interval -------------------------------------------------------------------------------------------


def test_text_of_an_interval() -> None:
    assert str(Interval(0.576, 0.514, 0.641)) == "0.58 [0.51, 0.64]"
    assert str(Interval(-0.001, -0.25, -0.0)) == "0.00 [-0.25, 0.00]"  # zero has no sign


@pytest.mark.parametrize(
    ("low", "high", "decided"), [(0.1, 0.2, True), (-0.2, -0.1, True), (-0.1, 0.2, False), (0.0, 0.2, False)]
)
def test_decided_is_zero_outside(low: float, high: float, decided: bool) -> None:
    assert Interval((low + high) / 2, low, high).decided is decided
