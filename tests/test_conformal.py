"""Intervals: measured coverage, twins by hand, rows of every kind that a pipeline takes, clear errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, norm
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.datasets import load_diabetes
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import KFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from embreg import TabularFeatures, serialize, tasks
from embreg.conformal import ConformalRegressor, coverage, mean_width, rows_needed

# scikit-learn's checks that this regressor may fail, and why.
EXPECTED_FAILURES: dict[str, str] = {}


@parametrize_with_checks(
    [ConformalRegressor(Ridge(), level=0.5)], expected_failed_checks=lambda estimator: EXPECTED_FAILURES
)
def test_sklearn_contract(estimator: Any, check: Any) -> None:
    check(estimator)


def noisy(n: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, X @ [1.0, -2.0, 0.5] + rng.normal(size=n)


def table(n: int = 90) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "lr": rng.lognormal(size=n),
            "act": rng.choice(["relu", "tanh", "gelu"], n),
            "depth": rng.integers(1, 9, n),
        },
        index=rng.permutation(n) + 1000,
    )
    return frame, frame["depth"].to_numpy() + 2.0 * (frame["act"] == "relu") + rng.normal(size=n)


# ------------------------------------------------------------------------------------------- the numbers


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_split_is_the_order_statistic_of_the_residuals(level: float) -> None:
    X, y = noisy()
    new, _ = noisy(seed=1)
    model = ConformalRegressor(Ridge(), level=level, random_state=3).fit(X, y)

    n_held = round(0.25 * len(y))
    train, held = train_test_split(np.arange(len(y)), test_size=n_held, random_state=np.random.RandomState(3))
    ridge = Ridge().fit(X[train], y[train])
    residuals = sorted(abs(y[held] - ridge.predict(X[held])))
    half = residuals[math.ceil(round(level * (n_held + 1), 9)) - 1]

    mean, low, high = model.predict_interval(new)
    np.testing.assert_array_equal(mean, ridge.predict(new))
    np.testing.assert_allclose(high - mean, half, rtol=1e-12)
    np.testing.assert_allclose(mean - low, half, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(new), mean)
    assert model.n_calibration_ == n_held


def test_cross_is_jackknife_plus_by_folds() -> None:
    X, y = noisy(60)
    new, _ = noisy(20, seed=1)
    level, n = 0.8, len(y)
    lows, highs = [], []
    seed = np.random.RandomState(3).randint(2**31 - 1)
    for train, held in KFold(5, shuffle=True, random_state=seed).split(X):
        ridge = Ridge().fit(X[train], y[train])
        for i in held:
            residual = abs(y[i] - ridge.predict(X[[i]])[0])
            lows.append(ridge.predict(new) - residual)
            highs.append(ridge.predict(new) + residual)
    rank = math.ceil(round(level * (n + 1), 9))

    mean, low, high = ConformalRegressor(
        Ridge(), method="cross", level=level, random_state=3
    ).fit(X, y).predict_interval(new)  # fmt: skip
    np.testing.assert_allclose(mean, Ridge().fit(X, y).predict(new), rtol=1e-12)
    np.testing.assert_allclose(high, np.sort(highs, axis=0)[rank - 1], rtol=1e-12)
    np.testing.assert_allclose(low, np.sort(lows, axis=0)[n - rank], rtol=1e-12)


def diabetes() -> tuple[Any, np.ndarray, Any]:
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    return X, y.to_numpy(), make_pipeline(TabularFeatures(), Ridge())


def sphere() -> tuple[Any, np.ndarray, Any]:
    task = tasks.bbob("Sphere", 5, n=400)
    return task.rows, task.y, make_pipeline(TabularFeatures(), Ridge())


@pytest.mark.parametrize("data", [diabetes, sphere])
@pytest.mark.parametrize("level", [0.8, 0.9])
def test_coverage_of_split_is_nominal(data: Any, level: float) -> None:
    """Over splits the coverage is distributed as Beta(k, n + 1 - k), k the rank: its mean is k / (n + 1)."""
    X, y, model = data()
    covered, repeats, n_train = [], 40, 200
    for seed in range(repeats):
        order = np.random.default_rng(seed).permutation(len(y))
        train, test = order[:n_train], order[n_train:]
        fitted = ConformalRegressor(model, level=level, random_state=seed).fit(X.iloc[train], y[train])
        _, low, high = fitted.predict_interval(X.iloc[test])
        covered.append(coverage(low, high, y[test]))
    n_cal, n_test = fitted.n_calibration_, len(y) - n_train
    k = math.ceil(level * (n_cal + 1))
    expected = k / (n_cal + 1)
    # Of one split: the spread of the beta, and of a binomial sample of test rows.
    once = beta(k, n_cal + 1 - k)
    spread = math.sqrt(once.var() + expected * (1 - expected) / n_test)
    band = norm.ppf(0.999) * spread / math.sqrt(repeats)
    assert level <= expected < level + 1 / n_cal
    assert abs(np.mean(covered) - expected) < band, (np.mean(covered), expected, band)


@pytest.mark.parametrize("data", [diabetes, sphere])
def test_coverage_of_cross_is_at_least_nominal_and_its_width_is_steadier(data: Any) -> None:
    X, y, model = data()
    covered, widths = [], {"split": [], "cross": []}  # type: ignore[var-annotated]
    for seed in range(12):
        order = np.random.default_rng(seed).permutation(len(y))
        train, test = order[:80], order[80:]
        for method in widths:
            fitted = ConformalRegressor(model, method=method, random_state=seed)  # type: ignore[arg-type]
            _, low, high = fitted.fit(X.iloc[train], y[train]).predict_interval(X.iloc[test])
            widths[method].append(mean_width(low, high))
            if method == "cross":
                covered.append(coverage(low, high, y[test]))
    error = np.std(covered, ddof=1) / math.sqrt(len(covered))
    assert np.mean(covered) > 0.9 - 3 * error
    assert np.std(widths["cross"]) < 0.8 * np.std(widths["split"])


def test_intervals_lose_their_promise_off_the_training_rows() -> None:
    """A test of coverage that could not fail would say nothing: here it must."""
    X, y = noisy(400)
    model = ConformalRegressor(Ridge(alpha=1e4)).fit(X, y)
    far, truth = noisy(400, seed=1)
    _, low, high = model.predict_interval(5 * far)
    assert coverage(low, high, truth + 4 * far @ [1.0, -2.0, 0.5]) < 0.7


# ----------------------------------------------------------------------------------------- kinds of rows


class Words(RegressorMixin, BaseEstimator):
    """Takes a list of strings, and nothing else."""

    def fit(self, X: Any, y: Any) -> Words:
        assert isinstance(X, list) and all(type(t) is str for t in X)
        self.mean_ = float(np.mean(y))
        return self

    def predict(self, X: Any) -> np.ndarray:
        assert isinstance(X, list) and all(type(t) is str for t in X)
        return np.full(len(X), self.mean_)


@pytest.mark.parametrize("method", ["split", "cross"])
def test_tables_of_mixed_types_reach_the_pipeline_whole(method: Any) -> None:
    X, y = table()
    model = make_pipeline(TabularFeatures(), Ridge())
    by_frame = ConformalRegressor(model, method=method).fit(X, y)
    expected = by_frame.predict_interval(X[::-1])
    mean, low, high = expected
    assert (low < mean).all() and (mean < high).all() and coverage(low, high, y[::-1]) > 0.8
    assert np.ptp(mean) > 3  # the strings and numbers were read

    rows = pl.DataFrame({c: X[c].tolist() for c in X})
    by_polars = ConformalRegressor(model, method=method).fit(rows, y).predict_interval(rows[::-1])
    np.testing.assert_allclose(by_polars, expected, rtol=1e-12)


@pytest.mark.parametrize("method", ["split", "cross"])
def test_rows_as_a_list_arrive_as_a_list(method: Any) -> None:
    frame, y = table()
    texts = serialize(frame)
    ConformalRegressor(Words(), method=method).fit(texts, y).predict_interval(texts[:3])
    records = frame.to_dict("records")
    hashing = HashingVectorizer(analyzer="char_wb", ngram_range=(1, 3), n_features=64)
    of_records = make_pipeline(FunctionTransformer(serialize), hashing, Ridge())
    of_texts = make_pipeline(hashing, Ridge())
    a = ConformalRegressor(of_records, method=method).fit(records, y).predict_interval(records)
    b = ConformalRegressor(of_texts, method=method).fit(texts, y).predict_interval(texts)
    c = ConformalRegressor(of_texts, method=method).fit(pd.Series(texts), y).predict_interval(np.array(texts))
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(b, c)


def test_an_estimator_is_cloned_and_refitted() -> None:
    X, y = noisy()
    inner = make_pipeline(StandardScaler(), LinearRegression())
    model = ConformalRegressor(inner).fit(X, y)
    assert not hasattr(inner[-1], "coef_") and model.estimator_[-1].coef_.shape == (3,)
    again = clone(model).fit(X, y)
    np.testing.assert_array_equal(model.predict_interval(X), again.predict_interval(X))
    cross = model.set_params(method="cross").fit(X, y)
    assert not hasattr(cross, "estimator_")


# ------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 90, "0.9", None, float("nan")])
def test_a_level_is_between_0_and_1(level: Any) -> None:
    with pytest.raises(ValueError, match="level must be between 0 and 1, however: got"):
        ConformalRegressor(Ridge(), level=level).fit(*noisy())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "jackknife"}, "method must be 'split' or 'cross'"),
        ({"calibration_fraction": 1.0}, "calibration_fraction must be between 0 and 1"),
        ({"cv": 1}, "cv must be a whole number from 2"),
        ({"cv": 2.5}, "cv must be a whole number from 2"),
        ({"level": 0.99}, r"level=0.99 needs at least 100 calibration rows.*0.25 of n_samples=120 gives 30"),
        ({"level": 0.995, "method": "cross"}, "level=0.995 needs at least 200 calibration rows.*gives 120"),
        ({"cv": 121, "method": "cross"}, "at least 121 calibration rows"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConformalRegressor(Ridge(), **settings).fit(*noisy())


@pytest.mark.parametrize("method", ["split", "cross"])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.8, 0.3])
def test_the_number_of_rows_named_is_the_least_that_works(method: Any, level: float) -> None:
    X, y = noisy()
    n = rows_needed(level) * (2 if method == "split" else 1)
    model = ConformalRegressor(Ridge(), method=method, level=level, cv=2, calibration_fraction=0.5)
    assert np.isfinite(model.fit(X[:n], y[:n]).predict_interval(X)).all()
    with pytest.raises(ValueError, match="calibration rows"):
        model.fit(X[: n - 2], y[: n - 2])


@given(st.integers(1, 999))
def test_rows_needed_is_exact(thousandths: int) -> None:
    least = min(thousandths, 1000 - thousandths)
    assert rows_needed(thousandths / 1000) == -(-1000 // least)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros((120, 2)), r"y must have shape \(n,\)"),
        (np.full(120, np.nan), "Input y contains NaN"),
        (np.zeros(119), "inconsistent numbers of samples"),
    ],
)
def test_bad_targets(y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConformalRegressor(Ridge()).fit(noisy()[0], y)


def test_helpers_refuse_what_has_no_answer() -> None:
    for low, high, y in (([0], [1, 2], [1]), ([1], [0], [0]), ([], [], []), ([0], [1], [np.nan])):
        with pytest.raises(ValueError, match="however"):
            coverage(low, high, y)
    assert coverage([-np.inf], [np.inf], [3]) == 1.0 and mean_width([0.0], [0.0]) == 0.0
