"""Parts of an advice against twins and libraries: intervals, words, importances, the early look, plans."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import embreg
from embreg.advising.candidates import candidates_of
from embreg.advising.early import calibration, chance_of, early_look, how_often_right
from embreg.advising.explaining import importances
from embreg.advising.heads import IntervalHead
from embreg.advising.plan import Rates, make_plan, sampled, seconds_of
from embreg.advising.problem import problem_of
from embreg.advising.views import TableRows
from embreg.advising.words import WordCounts


def noisy(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, X @ [1.0, -1.0, 0.5] + rng.standard_t(4, size=n)


# --- Intervals


@parametrize_with_checks([IntervalHead(Ridge())])
def test_interval_head_is_an_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_intervals_hold_what_they_say_on_fresh_rows(level):
    X, y = noisy(400)
    head = IntervalHead(Ridge(), level=level).fit(X, y)
    fresh, truth = noisy(4000, seed=1)
    mean, low, high = head.predict(fresh, return_interval=True)
    assert abs(((low <= truth) & (truth <= high)).mean() - level) < 0.05
    np.testing.assert_array_equal(mean, Ridge().fit(X, y).predict(fresh))


def test_residuals_are_those_of_cross_validation():
    X, y = noisy(60)
    head = IntervalHead(Ridge(), random_state=3).fit(X, y)
    out = cross_val_predict(Ridge(), X, y, cv=KFold(5, shuffle=True, random_state=3))
    np.testing.assert_allclose(head.residuals_, np.sort(np.abs(y - out)))
    given = IntervalHead(Ridge()).fit(X, y, residuals=-np.arange(1.0, 100.0))
    assert given.half_width_ == 90  # ceil(100 · 0.9)-th of 99


def test_the_level_may_change_and_may_be_too_high():
    X, y = noisy(30)
    head = IntervalHead(Ridge()).fit(X, y)
    narrow = head.set_params(level=0.5).half_width_
    assert narrow < head.set_params(level=0.9).half_width_
    with pytest.raises(ValueError, match=r"level=0\.99 needs at least \d+ residuals, however: there are 30"):
        head.set_params(level=0.99).predict(X, return_interval=True)


@pytest.mark.parametrize("wrong", [{"level": 0}, {"level": 1.5}, {"cv": 1}])
def test_interval_head_refuses(wrong):
    with pytest.raises(ValueError, match="however"):
        IntervalHead(Ridge(), **wrong).fit(*noisy(20))
    with pytest.raises(ValueError, match="residuals must be finite"):
        IntervalHead(Ridge()).fit(*noisy(20), residuals=[np.nan])


# --- Words


TEXTS = ["by the sea", "by the park and the sea", "no word", "", "sea sea sea"]


def test_words_are_those_of_scikit_learn():
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [t or "null" for t in TEXTS]
    ours = WordCounts(max_words=4).fit(texts)
    theirs = TfidfVectorizer(max_features=4, sublinear_tf=True).fit(texts)
    assert ours.get_feature_names_out().tolist() == theirs.get_feature_names_out().tolist()
    np.testing.assert_allclose(ours.transform(texts), theirs.transform(texts).toarray())
    assert WordCounts().fit(["1 2", "?"]).transform(["a b"]).shape == (1, 0)


def test_a_whole_pipeline_is_saved_and_loaded(tmp_path):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"a": rng.normal(size=40), "t": [f"word{i % 5} by the sea" for i in range(40)]})
    kinds = (("a", "numeric"), ("t", "text"))
    model = make_pipeline(
        FeatureUnion([
            ("trad", make_pipeline(TableRows(kinds, "numbers"), embreg.TabularFeatures())),
            ("words", make_pipeline(TableRows(kinds, "text"), WordCounts())),
        ]),
        IntervalHead(embreg.baselines.baseline("ridge")),
    ).fit(rows, rows["a"])  # fmt: skip
    embreg.save(model, tmp_path / "m")
    loaded = embreg.load(tmp_path / "m")
    for a, b in zip(*(m.predict(rows, return_interval=True) for m in (model, loaded)), strict=True):
        np.testing.assert_array_equal(a, b)


# --- Importances


def test_shapley_values_of_a_linear_model_are_known():
    """Of independent columns: weight times distance from the background's mean."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(60, 3)), columns=list("abc"))
    y = rows.to_numpy() @ [2.0, -1.0, 0.0]
    model = LinearRegression().fit(rows, y)
    found = importances(model, rows, y, budget_s=20).set_index(["method", "column"])["value"]
    order = np.random.default_rng(0).permutation(60)
    explained, middle = rows.iloc[order[4:]], rows.iloc[order[:4]].mean()
    known = ((explained - middle).abs() * [2.0, 1.0, 0.0]).mean()
    for name in "abc":
        assert found["shap", name] == pytest.approx(known[name], abs=0.02)
    assert found["permutation", "a"] > found["permutation", "b"] > 0.1
    assert abs(found["permutation", "c"]) < 1e-6


def test_words_dates_and_gaps_are_explained():
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({
        "word": rng.choice(["low", "high"], 80), "gap": rng.choice([1.0, np.nan], 80),
        "day": pd.date_range("2024-01-01", periods=80),
    })  # fmt: skip
    y = (rows["word"] == "high") * 5.0 + rows["gap"].isna() + 0.01 * rng.normal(size=80)
    kinds = (("word", "category"), ("gap", "numeric"), ("day", "date"))
    model = make_pipeline(TableRows(kinds, "numbers"), embreg.TabularFeatures(), Ridge()).fit(rows, y)
    found = importances(model, rows, y.to_numpy(), budget_s=5)
    shap = found[found["method"] == "shap"].set_index("column")["value"]
    assert shap["word"] > 4 * shap["gap"] > 8 * shap["day"]


# --- The early look


def test_an_early_look_sees_which_space_is_smoother():
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(100, 2)), rng.normal(size=(100, 30))
    y = x.sum(1)
    better, worse = early_look(noise, x, y), early_look(x, noise, y)
    assert better.z > 0 > worse.z and better.knn_gap > 0.3 and worse.knn_gap < -0.3
    assert better.z == pytest.approx(-worse.z)


def test_rows_that_no_lipschitz_constant_fits_are_counted():
    x = np.repeat(np.arange(20.0), 2)[:, None]
    y = np.random.default_rng(0).normal(size=40)
    look = early_look(x, np.hstack([x, x**2]), y)
    assert look.left_out == 40 and np.isnan(look.z)


def fake(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"family": np.repeat(list("abcd"), n // 4), "z": rng.normal(size=n)})
    return table.assign(knn_gap=table.z / 5, won=table.z + rng.normal(scale=0.5, size=n) > 0)


def test_a_chance_rises_with_what_speaks_for_it_and_has_an_interval():
    chances = [chance_of(z, z / 5, fake()) for z in (-2, 0, 2)]
    values = [c[0] for c in chances]
    assert values == sorted(values) and values[0] < 0.2 and values[2] > 0.8
    assert all(low <= value <= high for value, low, high in chances)
    assert chance_of(float("nan"), 0.0, fake())[0] == pytest.approx(values[1], abs=0.2)


def test_a_chance_is_never_certain():
    value, _, _ = chance_of(3.0, 1.0, fake().assign(won=True))
    assert value < 1


def test_how_often_right_counts_signs():
    found = how_often_right(fake()).set_index("sign")
    assert found.right["z"] == ((fake().z > 0) == fake().won).sum()
    assert (found.low < found.share).all() and (found.share < found.high).all()


def test_the_shipped_calibration_is_of_measured_tables():
    table = calibration()
    assert len(table) >= 45 and table.task.is_unique and table.family.nunique() >= 6
    assert (table.won == (table.difference > 0)).mean() > 0.95
    assert table.difference.abs().max() < 1.5


# --- Plans


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10m", 600), ("90s", 90), ("1h30m", 5400), ("1.5h", 5400), (45, 45), ("2 min", 120)],
)
def test_budgets(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5m", "0s", "5m later", "nan"])
def test_no_budgets(text):
    with pytest.raises(ValueError, match="a budget must be a time"):
        seconds_of(text)


def test_plans_shrink_with_the_budget():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(2000, 3)), columns=list("aby"))
    problem = problem_of(table, "y")
    candidates = candidates_of(problem, ["m"])
    fits = {(h, w): 0.02 for h in ("mean", "ridge", "xgboost", "gp", "mlp") for w in (True, False)}
    rates = Rates({("llm", "m"): 0.01}, fits, 100)
    plans = [make_plan(problem, candidates, rates, budget) for budget in (5000, 150, 40, 15)]
    repeats, rows = [p.repeats for p in plans], [p.rows for p in plans]
    assert repeats[0] == 4 and repeats == sorted(repeats, reverse=True)
    assert rows[0] == 2000 > rows[3] and rows == sorted(rows, reverse=True)
    assert not any(c.head == "gp" for c in plans[3].candidates)
    assert all(sum(s for _, s in p.steps) <= p.budget_s for p in plans)
    assert plans[3].left_out and not plans[0].left_out
    for plan in plans:
        assert all(sentence in str(plan) for sentence in plan.left_out)
    with pytest.raises(ValueError, match="needs about"):
        make_plan(problem, candidates, rates, 3)


def test_a_sample_keeps_what_belongs_together():
    table = pd.DataFrame({"g": list("abcdefghij") * 10, "x": range(100), "y": np.arange(100.0) % 7})
    whole = problem_of(table, "y", group="g", kinds={"x": "numeric"})
    part = sampled(whole, 30)
    assert len(part.y) == 30 and part.rows["x"].tolist() == part.positions.tolist()
    np.testing.assert_array_equal(part.y, part.positions % 7)
    assert part.groups is not None and len(part.groups) == 30
    assert sampled(whole, 200) is whole
