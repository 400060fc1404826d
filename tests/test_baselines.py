"""Baselines: each the library's own model, tuned like the head, exact where it should be."""

from __future__ import annotations

import json
import pickle
import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from embreg.baselines import BASELINES, Tuned, baseline
from embreg.tasks import bbob_targets, split_rows
from embreg.training.baseline_gp import MaternGP, has_room, quietly
from embreg.training.baseline_rows import Features

Parts = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]

LIGHT: dict[str, Any] = {
    "gp": [{"length_scales": "one"}, {"length_scales": "per feature", "max_iter": 3}],
    "random_forest": {"n_estimators": [5], "max_features": [1.0, "sqrt"]},
    "xgboost": {"max_depth": [2, 4], "n_estimators": [20]},
    "xgboost_paper": [dict(point, n_estimators=20) for point in BASELINES["xgboost_paper"].grid[::300]],
}


def sphere_and_others(dof: int = 6, n: int = 120) -> Parts:
    """Split rows and several targets of one task."""
    rows, Y = bbob_targets(("Sphere", "Rastrigin", "Discus"), dof, n=n)
    train, val, test = split_rows(n, 0)
    X = rows.to_numpy()
    return X[train], Y[train], X[val], Y[val], X[test], Y[test]


def light(name: str) -> Tuned:
    return baseline(name, grid=LIGHT.get(name))


def best_of(fits: list[Any], X_val: np.ndarray, y_val: np.ndarray) -> tuple[int, float]:
    """Index and error of the first fit with the least squared error."""
    errors = [float(((fit.predict(X_val) - y_val) ** 2).mean()) for fit in fits]
    return int(np.argmin(errors)), min(errors)


def standard(parts: Parts) -> tuple[list[np.ndarray], np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X scaled by scikit-learn, y and y_val scaled by hand, and the shift and scale of y."""
    X, Y, X_val, Y_val, X_test, _ = parts
    scaler = StandardScaler().fit(X)
    shift, scale = Y.mean(0), Y.std(0)
    return (
        [scaler.transform(v) for v in (X, X_val, X_test)],
        (Y - shift) / scale,
        (Y_val - shift) / scale,
        shift,
        scale,
    )


# --- one by one: what a reader would write with the library ----------------------------------------------


def test_mean() -> None:
    X, Y, X_val, Y_val, X_test, _ = sphere_and_others()
    model = baseline("mean").fit(X, Y, X_val=X_val, y_val=Y_val)
    np.testing.assert_allclose(model.predict(X_test), np.broadcast_to(Y.mean(0), (len(X_test), 3)))
    np.testing.assert_allclose(model.tried_["val_mse"], ((Y_val - Y.mean(0)) ** 2).mean(0) / Y.var(0))


@pytest.mark.parametrize("name", ["ridge", "ridge_squares"])
def test_ridge_is_scikit_learns_penalty_by_penalty(name: str) -> None:
    from sklearn.linear_model import Ridge

    parts = sphere_and_others()
    parts[1][:] += np.random.default_rng(0).normal(size=parts[1].shape) * parts[1].std(0)
    scaled, Y, Y_val, shift, scale = standard(parts)
    if name == "ridge_squares":
        scaler = StandardScaler().fit(np.hstack([scaled[0], scaled[0] ** 2]))
        scaled = [scaler.transform(np.hstack([v, v**2])) for v in scaled]
    A, B, C = scaled
    model = baseline(name).fit(parts[0], parts[1], X_val=parts[2], y_val=parts[3])
    assert len({p["alpha"] for p in model.best_params_}) > 1  # so that each target has its own
    for t in range(3):
        fits = [Ridge(alpha=p["alpha"], solver="cholesky").fit(A, Y[:, t]) for p in BASELINES[name].grid]
        best, error = best_of(fits, B, Y_val[:, t])
        assert model.best_params_[t] == BASELINES[name].grid[best]
        assert model.tried_.query("target == @t")["val_mse"].min() == pytest.approx(error)
        np.testing.assert_allclose(
            model.predict(parts[4])[:, t], fits[best].predict(C) * scale[t] + shift[t], rtol=1e-6
        )


@pytest.mark.parametrize("function", ["Sphere", "LinearSlope"])
def test_ridge_on_squares_is_exact_on_additive_quadratics_at_100_dof(function: str) -> None:
    rows, Y = bbob_targets((function,), 100, n=500)
    X, (train, val, test) = rows.to_numpy(), split_rows(500, 0)
    assert len(train) == 400
    model = baseline("ridge_squares").fit(X[train], Y[train], X_val=X[val], y_val=Y[val])
    error = np.abs(model.predict(X[test]) - Y[test]).max() / Y[train].std()
    assert error < 1e-6 and model.best_params_ == [{"alpha": 1e-6}]


def test_ridge_takes_other_parameters_of_the_library() -> None:
    X, Y, X_val, Y_val, _, _ = sphere_and_others()
    grid = [{"alpha": 1.0, "solver": "lbfgs", "positive": True}, {"alpha": 1.0}]
    model = baseline("ridge", grid=grid).fit(X, Y, X_val=X_val, y_val=Y_val)
    assert all(p in grid for p in model.best_params_) and model.predict(X).shape == Y.shape


@pytest.mark.parametrize("width", [6, 150])
def test_bayesian_ridge_is_scikit_learns_also_when_it_is_rotated(width: int) -> None:
    """150 columns on 60 rows are fitted as 61; mean and deviation stay, also off the training rows."""
    from sklearn.linear_model import BayesianRidge

    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, width)) * 3 + 1
    y = X[:, :3].sum(1) + rng.normal(size=100)
    model = baseline("bayesian_ridge").fit(X[:60], y[:60], X_val=X[60:80], y_val=y[60:80])
    scaler, shift, scale = StandardScaler().fit(X[:60]), y[:60].mean(), y[:60].std()
    plain = BayesianRidge().fit(scaler.transform(X[:60]), (y[:60] - shift) / scale)
    mean, std = plain.predict(scaler.transform(X[80:]), return_std=True)
    got = model.predict(X[80:], return_std=True)
    np.testing.assert_allclose(got[0], mean * scale + shift, rtol=1e-6)
    np.testing.assert_allclose(got[1], std * scale, rtol=1e-6)
    assert model.models_[0][1].coef_.shape == ((6,) if width == 6 else (61,))
    assert model.best_params_ == {"alpha": pytest.approx(plain.lambda_ / plain.alpha_, rel=1e-3)}


def slow_knn(X: np.ndarray, y: np.ndarray, k: int, points: np.ndarray) -> np.ndarray:
    center, scale = X.mean(0), X.std(0)
    out = []
    for point in (points - center) / scale:
        distances = [float(((row - point) ** 2).sum()) for row in (X - center) / scale]
        out.append(np.mean([y[i] for i in sorted(range(len(X)), key=distances.__getitem__)[:k]]))
    return np.array(out)


def test_knn_against_brute_force() -> None:
    X, Y, X_val, Y_val, X_test, _ = sphere_and_others()
    model = baseline("knn").fit(X, Y, X_val=X_val, y_val=Y_val)
    assert len({p["n_neighbors"] for p in model.best_params_}) > 1  # so that each target has its own
    for t in range(Y.shape[1]):
        errors = {
            k: float(np.mean((slow_knn(X, Y[:, t], k, X_val) - Y_val[:, t]) ** 2))
            for k in (1, 2, 3, 5, 8, 13, 21)
        }
        best = min(errors, key=errors.__getitem__)
        assert model.best_params_[t] == {"n_neighbors": best}
        np.testing.assert_allclose(model.predict(X_test)[:, t], slow_knn(X, Y[:, t], best, X_test))
        tried = model.tried_.query("target == @t")["val_mse"] * Y[:, t].var()
        np.testing.assert_allclose(tried, list(errors.values()))


def test_knn_with_few_rows_tries_what_there_is_and_says_so() -> None:
    x = np.arange(4.0)[:, None]
    model = baseline("knn").fit(x, x, X_val=x[:2], y_val=x[:2])
    assert model.best_params_ == [{"n_neighbors": 1}] and model.predict(x[2:]).tolist() == [[2.0], [3.0]]
    assert model.tried_["val_mse"].isna().tolist() == [False] * 3 + [True] * 4
    with pytest.raises(ValueError, match="a point that applies to n=4 rows of 1 features"):
        baseline("knn", grid={"n_neighbors": [5, 8]}).fit(x, x, X_val=x, y_val=x)


def test_random_forest_is_scikit_learns() -> None:
    from sklearn.ensemble import RandomForestRegressor

    X, Y, X_val, Y_val, X_test, _ = sphere_and_others(n=80)
    grid = LIGHT["random_forest"]
    model = baseline("random_forest", grid=grid, random_state=3).fit(X, Y, X_val=X_val, y_val=Y_val)
    shift, scale = model.y_mean_, model.y_scale_  # to the last digit: splits that tie are decided by it
    np.testing.assert_allclose([shift, scale], [Y.mean(0), Y.std(0)])
    for t in range(3):
        y, y_val = ((v[:, t] - shift[t]) / scale[t] for v in (Y, Y_val))
        fits = [
            RandomForestRegressor(n_estimators=5, max_features=m, random_state=3).fit(X, y)
            for m in grid["max_features"]
        ]
        best, _ = best_of(fits, X_val, y_val)
        assert model.best_params_[t]["max_features"] == grid["max_features"][best]
        expected = fits[best].predict(X_test) * scale[t] + shift[t]
        np.testing.assert_allclose(model.predict(X_test)[:, t], expected, rtol=1e-9)


def test_xgboost_is_the_librarys_with_a_depth_by_validation() -> None:
    from xgboost import XGBRegressor

    parts = sphere_and_others()
    X, _, X_val, _, X_test, _ = parts
    _, Y, Y_val, shift, scale = standard(parts)
    model = baseline("xgboost").fit(X, parts[1], X_val=X_val, y_val=parts[3])
    for t in range(3):
        fits = [
            XGBRegressor(
                n_estimators=500, learning_rate=0.1, max_depth=depth, subsample=0.8, colsample_bytree=0.8,
                early_stopping_rounds=30, tree_method="hist", max_bin=64, n_jobs=1, random_state=0,
            ).fit(X, Y[:, t], eval_set=[(X_val, Y_val[:, t])], verbose=False)
            for depth in (3, 6)
        ]  # fmt: skip
        best = fits[int(np.argmin([fit.best_score for fit in fits]))]
        assert model.best_params_[t] == {"max_depth": best.max_depth, "trees": best.best_iteration + 1}
        expected = best.predict(X_test).astype(float) * scale[t] + shift[t]
        np.testing.assert_allclose(model.predict(X_test)[:, t], expected, rtol=1e-9)
        assert model.tried_.query("target == @t")["trees"].tolist() == [f.best_iteration + 1 for f in fits]


def test_xgboost_learns_and_can_do_without_early_stopping() -> None:
    X, Y, X_val, Y_val, X_test, Y_test = sphere_and_others(dof=2, n=500)
    data = {"X_val": X_val, "y_val": Y_val[:, 0]}
    model = baseline("xgboost").fit(X, Y[:, 0], **data)
    assert np.corrcoef(model.predict(X_test), Y_test[:, 0])[0, 1] > 0.98
    model = baseline("xgboost", grid=[{"early_stopping_rounds": None, "n_estimators": 7}])
    assert model.fit(X, Y[:, 0], **data).best_params_["trees"] == 7


def test_the_papers_grid_has_every_combination_once() -> None:
    grid = BASELINES["xgboost_paper"].grid
    assert len({json.dumps(point, sort_keys=True) for point in grid}) == 3**6 == len(grid)
    assert {point["learning_rate"] for point in grid} == {0.001, 0.01, 0.1}
    assert {point["max_depth"] for point in grid} == {3, 5, 7}


# --- Gaussian process ------------------------------------------------------------------------------------


def wave(n: int, d: int, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, size=(n, d))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] + noise * rng.normal(size=n)


@pytest.mark.parametrize(("d", "columns"), [(3, 3), (130, 61)])
def test_gp_with_one_length_scale_is_scikit_learns(d: int, columns: int) -> None:
    """Its own optimiser from the same start ends at the same place; 130 columns on 60 rows are rotated."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    X, y = wave(100, d, 0.1)
    model = baseline("gp", grid=[{"nu": 2.5, "length_scales": "one"}])
    model.fit(X[:60], y[:60], X_val=X[60:80], y_val=y[60:80])
    scaler, shift, scale = StandardScaler().fit(X[:60]), y[:60].mean(), y[:60].std()
    unit = d**0.5
    kernel = ConstantKernel(1.0, (1e-3, 1e5)) * Matern(unit, (1e-2 * unit, 1e3 * unit), nu=2.5)
    plain = GaussianProcessRegressor(kernel + WhiteKernel(1e-2, (1e-6, 1e1)))
    with warnings.catch_warnings(action="ignore"):
        plain.fit(scaler.transform(X[:60]), (y[:60] - shift) / scale)
    mean, std = plain.predict(scaler.transform(X[80:]), return_std=True)
    got = model.predict(X[80:], return_std=True)
    np.testing.assert_allclose(got[0], mean * scale + shift, atol=2e-3)
    np.testing.assert_allclose(got[1], std * scale, rtol=2e-3)
    process = model.models_[0][1].process_
    assert process.X_train_.shape[1] == columns
    assert process.log_marginal_likelihood_value_ == pytest.approx(
        plain.log_marginal_likelihood_value_, abs=1e-3
    )


def test_gp_finds_the_features_that_matter() -> None:
    X, y = wave(120, 8)
    with quietly():
        one, each = (MaternGP(length_scales=c).fit(X, y) for c in ("one", "per feature"))
    scales = each.process_.kernel_.k1.k2.length_scale
    assert scales.shape == (8,) and np.argmin(scales) == 0 and scales[2:].min() > 5 * scales[:2].max()
    likelihood = "log_marginal_likelihood_value_"
    assert getattr(each.process_, likelihood) > getattr(one.process_, likelihood) + 20
    assert each.facts_["at_bounds"] >= 1 and one.facts_["converged"]


def test_gp_covers() -> None:
    """A deviation of an observation: nineteen rows in twenty lie within 1.96 of them."""
    X, y = wave(600, 2, noise=0.3)
    model = baseline("gp", grid=[{"length_scales": "one"}, {}]).fit(X[:300], y[:300])
    mean, std = model.predict(X[300:], return_std=True)
    assert mean.shape == std.shape == (300,) and std.min() > 0.2
    assert 0.91 < (np.abs(mean - y[300:]) < 1.96 * std).mean() < 0.985
    np.testing.assert_array_equal(mean, model.predict(X[300:]))
    far = model.predict(X[:1] + 100, return_std=True)[1]
    assert far.item() > 1.5 * std.max()


def test_gp_shares_a_length_scale_where_there_are_too_many_and_says_so() -> None:
    X, y = wave(40, 101)
    model = baseline("gp").fit(X, y)
    assert model.best_params_["length_scales"] == "one"
    tried = model.tried_.set_index(["length_scales", "nu"])["val_mse"]
    assert tried["per feature"].isna().all() and tried["one"].notna().all()
    with pytest.raises(ValueError, match=r"a point that applies to n=36 rows of 101 features"):
        baseline("gp", grid={"length_scales": ["per feature"]}).fit(X, y)
    assert has_room(1000, 100) and not has_room(2000, 100) and has_room(2000, 30)


def test_gp_is_exact_and_so_has_a_limit() -> None:
    X = np.random.default_rng(0).normal(size=(2002, 2))
    with pytest.raises(
        ValueError, match=r"gp takes at most 2000 training rows, however: n=2001; fit it to a"
    ):
        baseline("gp").fit(X[:2001], X[:2001, 0], X_val=X[2001:], y_val=X[2001:, 0])


def test_gp_leaves_filters_of_warnings_and_threads_as_they_were() -> None:
    from threadpoolctl import threadpool_info

    X, y = wave(30, 2)
    before = list(warnings.filters), [pool["num_threads"] for pool in threadpool_info()]
    model = baseline("gp").fit(X, y)  # pytest makes an error of a warning
    assert model.tried_["at_bounds"].max() > 0
    assert (list(warnings.filters), [pool["num_threads"] for pool in threadpool_info()]) == before


def test_gp_refuses_an_unknown_choice() -> None:
    X, y = wave(30, 2)
    with pytest.raises(ValueError, match="length_scales must be 'per feature' or 'one', however: got 'two'"):
        baseline("gp", grid=[{"length_scales": "two"}]).fit(X, y)


# --- all of them -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BASELINES)
def test_each_target_is_as_if_alone_and_the_winner_has_the_least_error(name: str) -> None:
    X, Y, X_val, Y_val, X_test, Y_test = sphere_and_others(n=60)
    model = light(name).fit(X, Y, X_val=X_val, y_val=Y_val)
    predicted = model.predict(X_test)
    assert predicted.shape == Y_test.shape and predicted.dtype == float
    assert json.loads(json.dumps(model.best_params_)) == model.best_params_
    assert len(model.tried_) == 3 * len(model.grid_)
    for t in range(3):
        alone = light(name).fit(X, Y[:, t], X_val=X_val, y_val=Y_val[:, t])
        assert alone.predict(X_test).shape == (len(X_test),)
        np.testing.assert_allclose(alone.predict(X_test), predicted[:, t], rtol=1e-9)
        assert alone.best_params_ == model.best_params_[t]
        error = ((model.predict(X_val)[:, t] - Y_val[:, t]) ** 2).mean() / Y[:, t].var()
        tried = model.tried_.query("target == @t").reset_index(drop=True)
        assert tried["val_mse"].min() == pytest.approx(error, rel=1e-6)
        point = model.grid_[int(tried["val_mse"].argmin())]
        assert point.items() <= model.best_params_[t].items()


@pytest.mark.parametrize("name", BASELINES)
def test_the_same_in_every_run(name: str) -> None:
    X, Y, X_val, Y_val, X_test, _ = sphere_and_others(n=60)
    one, two = (light(name).fit(X, Y, X_val=X_val, y_val=Y_val) for _ in range(2))
    np.testing.assert_array_equal(one.predict(X_test), two.predict(X_test))
    pd.testing.assert_frame_equal(one.tried_, two.tried_)
    again = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(one.predict(X_test), again.predict(X_test))


@pytest.mark.parametrize("name", ["random_forest", "xgboost"])
def test_random_state_is_that_of_the_model(name: str) -> None:
    X, Y, X_val, Y_val, X_test, _ = sphere_and_others(n=60)
    fits = [clone(light(name)).set_params(random_state=s) for s in (1, 2)]
    one, two = (m.fit(X, Y, X_val=X_val, y_val=Y_val).predict(X_test) for m in fits)
    assert not np.array_equal(one, two)


@pytest.mark.parametrize("name", BASELINES)
def test_unit_of_y_plays_no_part(name: str) -> None:
    X, Y, X_val, Y_val, X_test, _ = sphere_and_others(n=60)
    model = light(name)
    predicted, chosen = (model.fit(X, Y, X_val=X_val, y_val=Y_val).predict(X_test), model.best_params_)
    for exponent in (-600, 20, 600):  # exact, so that no rounding decides between trees
        unit = 2.0**exponent
        scaled = light(name).fit(X, Y * unit, X_val=X_val, y_val=Y_val * unit)
        np.testing.assert_allclose(scaled.predict(X_test) / unit, predicted, rtol=1e-9)
        assert scaled.best_params_ == chosen


@settings(max_examples=20)
@given(
    exponents=st.lists(st.integers(-300, 300), min_size=6, max_size=6),
    name=st.sampled_from(["ridge", "ridge_squares", "knn", "bayesian_ridge"]),
)
def test_units_of_features_play_no_part_where_they_are_scaled(exponents: list[int], name: str) -> None:
    X, Y, X_val, Y_val, X_test, _ = sphere_and_others(n=40)
    units = 2.0 ** np.array(exponents)
    plain = baseline(name).fit(X, Y, X_val=X_val, y_val=Y_val).predict(X_test)
    scaled = baseline(name).fit(X * units, Y, X_val=X_val * units, y_val=Y_val).predict(X_test * units)
    np.testing.assert_allclose(scaled, plain, rtol=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1, -7e200, 1e-200])
@pytest.mark.parametrize("name", BASELINES)
def test_a_constant_column_and_a_constant_target_are_no_trouble(name: str, value: float) -> None:
    X, Y, X_val, Y_val, X_test, _ = sphere_and_others(n=40)
    X, X_val, X_test = (np.column_stack([v, np.ones(len(v))]) for v in (X, X_val, X_test))
    Y = np.column_stack([np.full(len(Y), value), Y[:, 0]])
    model = light(name).fit(X, Y, X_val=X_val, y_val=np.column_stack([Y_val[:, 1], Y_val[:, 0]]))
    predicted = model.predict(X_test)
    assert (predicted[:, 0] == value).all() and np.isfinite(predicted).all()
    assert model.best_params_[0] == {} and model.tried_.query("target == 0")["val_mse"].isna().all()
    assert model.tried_.query("target == 1")["val_mse"].notna().all()
    only = light(name).fit(X, Y[:, 0])
    assert (only.predict(X_test) == value).all() and only.best_params_ == {}
    if BASELINES[name].has_std:
        assert (only.predict(X_test, return_std=True)[1] == 0).all()


@pytest.mark.parametrize("name", [name for name, spec in BASELINES.items() if not spec.has_std])
def test_a_deviation_that_is_not_there_is_an_error(name: str) -> None:
    X, Y, X_val, Y_val, _, _ = sphere_and_others(n=40)
    model = light(name).fit(X, Y, X_val=X_val, y_val=Y_val)
    with pytest.raises(
        ValueError, match=r"one of \('bayesian_ridge', 'gp'\), however: got.*embreg.conformal"
    ):
        model.predict(X, return_std=True)


def test_deviations_of_several_targets_are_in_their_units() -> None:
    X, Y, X_val, Y_val, X_test, _ = sphere_and_others(n=60)
    model = light("gp").fit(X, Y, X_val=X_val, y_val=Y_val)
    mean, std = model.predict(X_test, return_std=True)
    alone = light("gp").fit(X, Y[:, 2], X_val=X_val, y_val=Y_val[:, 2]).predict(X_test, return_std=True)
    np.testing.assert_array_equal([mean[:, 2], std[:, 2]], alone)
    assert mean.shape == std.shape == (len(X_test), 3)


def test_rows_of_its_own_are_held_out_as_the_head_does() -> None:
    from sklearn.model_selection import train_test_split

    X, Y = sphere_and_others()[:2]
    model = baseline("ridge", random_state=5).fit(X, Y)
    A, B, a, b = train_test_split(X, Y, test_size=round(0.1 * len(X)), random_state=np.random.RandomState(5))
    given_rows = baseline("ridge").fit(A, a, X_val=B, y_val=b)
    pd.testing.assert_frame_equal(model.tried_, given_rows.tried_)
    np.testing.assert_allclose(model.y_mean_, a.mean(0))


@parametrize_with_checks([baseline(name) for name in ("mean", "ridge", "knn", "bayesian_ridge")])
def test_is_a_scikit_learn_estimator(estimator: Tuned, check: Any) -> None:
    check(estimator)


# --- rotation --------------------------------------------------------------------------------------------


def test_rotated_rows_have_the_products_and_lengths_of_the_scaled() -> None:
    rng = np.random.default_rng(0)
    X, new = rng.normal(size=(20, 140)) * 5, rng.normal(size=(9, 140)) * 5
    scaled, rotated = Features.learn(X, "scaled"), Features.learn(X, "rotated")
    assert rotated(new).shape == (9, 21)
    np.testing.assert_allclose(rotated(new) @ rotated(X).T, scaled(new) @ scaled(X).T, atol=1e-9)
    np.testing.assert_allclose((rotated(new) ** 2).sum(1), (scaled(new) ** 2).sum(1))
    np.testing.assert_allclose(rotated(X)[:, -1], 0, atol=1e-9)
    tall = rng.normal(size=(200, 140))
    assert Features.learn(tall, "rotated")(tall).shape == (200, 140)


# --- errors ----------------------------------------------------------------------------------------------


def words(values: np.ndarray) -> np.ndarray:
    return np.full(values.shape, "blue", dtype=object)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (lambda X: X, lambda y: np.where(y == y.max(), np.nan, y), "Input y contains NaN"),
        (lambda X: X, lambda y: np.where(y == y.max(), np.inf, y), "Input y contains infinity"),
        (lambda X: np.where(X.max() == X, np.nan, X), lambda y: y, "Input X contains NaN"),
        (lambda X: X[:1], lambda y: y[:1], r"1 sample\(s\).*minimum of 2 is required"),
        (lambda X: X[:2], lambda y: y[:2], "two training rows are needed, however: n_samples=2 leaves 1"),
        (lambda X: words(X), lambda y: y, "could not convert string to float"),
        (lambda X: X, lambda y: words(y), "could not convert string"),
        (lambda X: X, lambda y: y[:-1], "inconsistent numbers of samples"),
        (lambda X: X[:, 0], lambda y: y, "Expected 2D array, got 1D array"),
    ],
)
@pytest.mark.parametrize("name", ["ridge", "knn", "xgboost"])
def test_data_that_cannot_be_fitted_is_an_error(name: str, X: Any, y: Any, message: str) -> None:
    data, target = sphere_and_others()[:2]
    with pytest.raises(ValueError, match=message):
        baseline(name).fit(X(data), y(target[:, 0]))


def test_validation_rows_must_fit() -> None:
    X, Y, X_val, Y_val, _, _ = sphere_and_others()
    model = baseline("ridge")
    for arguments, message in (
        ({"X_val": X_val}, "X_val and y_val go together"),
        ({"X_val": X_val, "y_val": Y_val[:, :2]}, r"y_val must hold finite values of shape \(12, 3\)"),
        ({"X_val": X_val, "y_val": Y_val * np.nan}, "36 not finite"),
        ({"X_val": X_val[:, :2], "y_val": Y_val}, "X has 2 features, but Tuned is expecting 6"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(X, Y, **arguments)
    more = model.fit(X_val, Y_val, X_val=X, y_val=Y)  # more of them than of training rows
    assert np.isfinite(more.predict(X)).all()


def test_predict_checks_its_rows() -> None:
    X, Y = sphere_and_others()[:2]
    with pytest.raises(NotFittedError):
        baseline("ridge").predict(X)
    model = baseline("ridge_squares").fit(X, Y)
    with pytest.raises(ValueError, match="X has 5 features, but Tuned is expecting 6"):
        model.predict(X[:, :5])
    with pytest.raises(ValueError, match="row 1 lies too far from the training rows"):
        model.predict(np.where(np.arange(len(X))[:, None] == 1, 1e200, X))


def test_no_finite_error_at_all_is_an_error() -> None:
    X, Y, X_val, Y_val, _, _ = sphere_and_others()
    Y_val[:, 1] = 1e300
    with pytest.raises(FloatingPointError, match=r"however: targets \[1\] have none"):
        baseline("ridge").fit(X, Y, X_val=X_val, y_val=Y_val)


def test_a_grid_of_ones_own() -> None:
    X, Y = sphere_and_others()[:2]
    as_dict = baseline("ridge", grid={"alpha": np.array([0.5, 2.0])}).fit(X, Y)
    as_list = baseline("ridge", grid=[{"alpha": 0.5}, {"alpha": 2.0}]).fit(X, Y)
    assert as_dict.grid_ == as_list.grid_ == ({"alpha": 0.5}, {"alpha": 2.0})
    pd.testing.assert_frame_equal(as_dict.tried_, as_list.tried_)
    assert as_dict.tried_.columns.tolist() == ["target", "alpha", "val_mse"]
    whole = baseline("knn", grid={"n_neighbors": np.arange(1, 4)}).fit(X, Y[:, 0])
    assert type(whole.best_params_["n_neighbors"]) is int
    assert baseline("ridge").fit(X, Y).grid_ == BASELINES["ridge"].grid


@pytest.mark.parametrize(
    "grid", [[], {}, {"alpha": []}, "alpha", [1.0], 3, {"alpha": 1.0}, {"solver": "svd"}]
)
def test_a_grid_without_points_is_an_error(grid: Any) -> None:
    X, Y = sphere_and_others()[:2]
    with pytest.raises(ValueError, match="grid must be a sequence of dicts or a dict of sequences"):
        baseline("ridge", grid=grid).fit(X, Y)


@pytest.mark.parametrize("name", BASELINES)
def test_a_grid_of_unknown_parameters_is_an_error(name: str) -> None:
    X, Y = sphere_and_others()[:2]
    with pytest.raises(ValueError, match=rf"{name} must be tuned on some of \[.*got \['depht'\]"):
        baseline(name, grid={"depht": [3]}).fit(X, Y)


@pytest.mark.parametrize("name", ["lightgbm", "", None, "MLP"])
def test_an_unknown_name_is_told_the_known(name: Any) -> None:
    with pytest.raises(
        ValueError, match=r"must be one of \('mean', 'ridge', 'ridge_squares'.*'xgboost_paper'\)"
    ):
        baseline(name)
    with pytest.raises(ValueError, match="must be one of"):
        Tuned(name).fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0])


@pytest.mark.parametrize("name", ["xgboost", "xgboost_paper"])
def test_a_missing_library_says_how_to_get_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = sphere_and_others()[:2]
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(ImportError, match=rf"{name} needs a library: pip install 'embreg\[boosting\]'"):
        baseline(name).fit(X, Y)


@pytest.mark.parametrize("name", BASELINES)
def test_a_spec_reads_as_a_sentence_and_its_grid_is_plain(name: str) -> None:
    spec = BASELINES[name]
    assert spec.description.endswith(".") and len(spec.description) < 100
    assert json.loads(json.dumps(spec.grid)) == list(spec.grid)
    for point in spec.grid[:3]:
        assert point.items() <= spec.make(0, **point).get_params().items()
