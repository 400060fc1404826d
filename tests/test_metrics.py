"""Scores against scipy and scikit-learn, and errors where a score is not defined."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import assume, example, given
from hypothesis import strategies as st

from embreg import kendall_tau, mae, mse, pearson, r2
from embreg.metrics import METRICS, score_all

VALUES = st.floats(-1e6, 1e6).map(lambda v: round(v, 3)) | st.integers(-3, 3).map(float)
PAIRS = st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=30).map(lambda p: np.array(p).T)


@given(PAIRS)
def test_kendall_tau_is_scipys_and_that_of_counted_pairs(pair: np.ndarray) -> None:
    a, b = pair
    assume(np.ptp(a) > 0 and np.ptp(b) > 0)
    got = kendall_tau(a, b)
    assert got == scipy.stats.kendalltau(a, b).statistic
    signs = [(np.sign(a[i] - a[j]), np.sign(b[i] - b[j])) for i in range(len(a)) for j in range(i)]
    norm = sum(s != 0 for s, _ in signs) * sum(s != 0 for _, s in signs)
    assert got == pytest.approx(sum(s * t for s, t in signs) / norm**0.5, abs=1e-12)
    assert kendall_tau(np.exp(a / 1e6), b) == pytest.approx(got, abs=1e-12)  # ranks alone count
    assert kendall_tau(-a, b) == pytest.approx(-got, abs=1e-12)
    assert kendall_tau(b, a) == pytest.approx(got, abs=1e-12)


@given(PAIRS)
def test_pearson_is_scipys(pair: np.ndarray) -> None:
    a, b = pair
    assume(np.ptp(a) > 0 and np.ptp(b) > 0)
    got = pearson(a, b)
    assert got == pytest.approx(scipy.stats.pearsonr(a, b).statistic, abs=1e-12)
    assert got == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-6)
    assert -1 <= got <= 1


@given(PAIRS)
def test_errors_are_those_of_scikit_learn(pair: np.ndarray) -> None:
    a, b = pair
    assert mse(a, b) == pytest.approx(sklearn.metrics.mean_squared_error(a, b), rel=1e-12)
    assert mae(a, b) == pytest.approx(sklearn.metrics.mean_absolute_error(a, b), rel=1e-12)
    if np.ptp(a) > 0:
        assert r2(a, b) == pytest.approx(sklearn.metrics.r2_score(a, b), rel=1e-9, abs=1e-12)


@given(
    st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=2, max_size=8),
    st.integers(-300, 300),
)
@example([(0.0, 1.0), (1.0, 0.0)], -200)  # squares vanish: scikit-learn says 1, a perfect score
@example([(1.0, 0.0), (-1.0, 1e-200)], 200)  # squares overflow: scikit-learn says NaN
def test_r2_does_not_depend_on_the_unit(pairs: list[tuple[float, float]], exponent: int) -> None:
    a, b = (np.array(v) * 10.0**exponent for v in zip(*pairs, strict=True))
    assume(np.ptp(a) > 1e-3 * 10.0**exponent)
    x, y = [Fraction(v) for v in a], [Fraction(v) for v in b]
    mean = sum(x) / len(x)
    error = sum((u - v) ** 2 for u, v in zip(x, y, strict=True))
    exact = float(1 - error / sum((u - mean) ** 2 for u in x))
    assert r2(a, b) == pytest.approx(exact, rel=1e-9, abs=1e-9)


def test_known_values() -> None:
    assert kendall_tau([1, 2, 3, 4], [1, 2, 4, 3]) == pytest.approx(2 / 3)
    assert kendall_tau([1, 1, 2], [1, 2, 3]) == pytest.approx(2 / 6**0.5)  # tau-b: one tie
    assert pearson([1, 2, 3], [-2, -4, -6]) == pytest.approx(-1)
    assert (mse([1, 2], [3, 2]), mae([1, 2], [3, 2]), r2([1, 3], [2, 2])) == (2.0, 1.0, 0.0)
    assert r2([1.0, 2.0], [1.0, 2.0]) == 1.0
    assert r2([1, 3], [3, 1]) == -3.0


@pytest.mark.parametrize("metric", METRICS.values())
def test_input_may_be_any_array_like(metric: Callable[..., float]) -> None:
    a, b = [1.0, 2.0, 4.0], [1.5, 1.0, 3.0]
    got = metric(a, b)
    assert type(got) is float
    assert metric(np.array(a, dtype=np.float32), pd.Series(b, index=[7, 8, 9])) == pytest.approx(got)
    assert metric(tuple(a), np.array(b)) == got


@pytest.mark.parametrize(
    ("metric", "a", "b", "message"),
    [
        (
            kendall_tau,
            [1, 1],
            [1, 2],
            "kendall_tau is undefined for constant input, however: every y_true is 1",
        ),
        (kendall_tau, [1, 2], [3, 3], "every y_pred is 3"),
        (
            pearson,
            [0.1] * 3,
            [1, 2, 3],
            "pearson is undefined for constant input, however: every y_true is 0.1",
        ),
        (pearson, [1, 2, 3], [0.1] * 3, "every y_pred is 0.1"),
        (r2, [0.1] * 3, [1, 2, 3], "r2 is undefined for constant input"),
        (kendall_tau, [1], [1], "at least 2 points are needed, however: got 1"),
        (r2, [1], [1], "at least 2 points"),
        (mse, [], [], "at least 1 points are needed, however: got 0"),
        (mse, [1e200], [-1e200], "mse must fit into float64, however: it is inf; rescale"),
        (mae, [1.7e308], [-1.7e308], "mae must fit into float64"),
        (r2, [0, 1e-300], [1.0, 2.0], "r2 must fit into float64"),
    ],
)
def test_where_a_score_is_undefined(metric: Any, a: Any, b: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metric(a, b)


@pytest.mark.parametrize("metric", [*METRICS.values(), score_all])
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1.0, np.nan], [1.0, 2.0], r"y_true must be finite, however: y_true\[1\]=nan"),
        ([1.0, 2.0], [np.inf, 2.0], r"y_pred must be finite, however: y_pred\[0\]=inf"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], r"y_true.shape=\(2,\), y_pred.shape=\(3,\)"),
        ([[1.0], [2.0]], [[1.0], [2.0]], r"must both have shape \(n,\), however: y_true.shape=\(2, 1\)"),
        ([1.0, 2.0], 1.0, r"y_pred.shape=\(\)"),
    ],
)
def test_what_every_score_refuses(metric: Any, a: Any, b: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metric(a, b)


def test_a_constant_prediction_counts_as_no_skill() -> None:
    y = [1.0, 2.0, 6.0]
    expected = {"kendall_tau": 0.0, "pearson": 0.0, "mse": mse(y, [3.0] * 3), "mae": 2.0, "r2": 0.0}
    assert score_all(y, [3.0] * 3) == {**expected, "constant": 1.0}
    pred = [1.0, 3.0, 4.0]
    assert score_all(y, pred) == {**{name: f(y, pred) for name, f in METRICS.items()}, "constant": 0.0}
    with pytest.raises(ValueError, match="undefined for constant input, however: every y_true is 2"):
        score_all([2.0, 2.0], [1.0, 3.0])
    with pytest.raises(ValueError, match="at least 2 points"):
        score_all([], [])
