"""Advice on tables whose right answer is known, and what an advice must keep to."""

import dataclasses
import time

import numpy as np
import pandas as pd
import pytest

import embreg
from embreg.advice import Advice, advise, fit
from embreg.advising.candidates import candidates_of, find_candidate, pipeline_of
from embreg.advising.comparing import Features, compare
from embreg.advising.folds import folds
from embreg.advising.problem import problem_of
from tests.text_table import text_table

FAST = {"heads": ["ridge", "xgboost"], "explain": False, "repeats": 1}
FASTER = {**FAST, "heads": ["ridge"]}


def numeric_table(n: int = 200, d: int = 3, seed: int = 0) -> pd.DataFrame:
    X = np.random.default_rng(seed).uniform(-5, 5, size=(n, d))
    return pd.DataFrame(X, columns=[f"x{j}" for j in range(d)]).assign(y=(X**2).sum(1))


@pytest.fixture(scope="module")
def on_text() -> Advice:
    return advise(text_table(), "y", heads=["ridge"], repeats=2, budget="3m")


def test_numbers_in_few_columns_say_no():
    advice = advise(numeric_table(), "y", **FAST)
    assert advice.verdict == "no" and advice.answer.startswith("No: ")
    assert advice.best == advice.reference and advice.best.startswith("φ_trad, ")
    assert advice.difference.high < 0.02


def test_a_signal_in_free_text_says_yes(on_text):
    assert on_text.verdict == "yes" and on_text.answer.startswith("Yes: ")
    assert on_text.difference.low > 0 and on_text.probability > 0.97
    assert "φ_text" in on_text.best or "φ_LLM" in on_text.best
    # Counted words are on the other side: the comparison is not with no text at all.
    assert on_text.reference.startswith("φ_words, ")


def test_a_shuffled_target_has_nothing_to_predict():
    for seed in range(3):
        table = numeric_table(120, seed=seed)
        table["y"] = np.random.default_rng(seed).permutation(table["y"])
        advice = advise(table, "y", **FASTER, random_state=seed)
        assert advice.verdict == "nothing" and "nothing to predict" in advice.answer


def test_scoreboard_is_the_records_averaged(on_text):
    means = on_text.records.groupby("candidate").kendall_tau.mean()
    board = on_text.scoreboard.set_index("candidate")
    assert board.kendall_tau.to_dict() == pytest.approx(means.to_dict())
    assert board.kendall_tau.is_monotonic_decreasing
    assert board.chosen.sum() == 1 and board.index[board.chosen][0] == on_text.best
    paired = on_text.records.pivot(index=["repeat", "fold"], columns="candidate", values="kendall_tau")
    for name in board.index:
        assert board.difference[name] == pytest.approx((paired[name] - paired[on_text.reference]).mean())


def test_every_candidate_is_scored_on_every_fold(on_text):
    assert (on_text.records.groupby(["repeat", "fold"]).candidate.nunique() == len(on_text.scoreboard)).all()


def test_parts_of_an_advice(on_text):
    assert set(on_text.importance.method) == {"permutation", "shap"}
    assert on_text.importance.groupby("method").value.idxmax().map(on_text.importance.column).eq("note").all()
    assert set(on_text.curve.candidate) >= {on_text.best, on_text.reference}
    assert (on_text.costs.ms_per_row > 0).all() and on_text.cost_ratio.value > 1
    assert sorted(on_text.predictions.row) == list(range(240))
    inside = on_text.predictions.y.between(on_text.predictions.low, on_text.predictions.high)
    assert 0.85 < inside.mean() < 0.96
    assert set(on_text.smoothness.representation) == {"φ_trad", "φ_LLM"}
    assert {"embed", "compare"} <= set(on_text.plan.step)


def test_the_model_predicts_from_a_frame(on_text):
    fresh = text_table(80, seed=7)
    mean, low, high = on_text.best_.predict(fresh.drop(columns="y"), return_interval=True)
    assert embreg.kendall_tau(fresh["y"], mean) > 0.5
    assert 0.75 < ((low <= fresh["y"]) & (fresh["y"] <= high)).mean() <= 1


def test_saved_and_loaded(on_text, tmp_path):
    on_text.save(tmp_path / "advice")
    on_text.save(tmp_path / "advice")  # replaces itself
    loaded = Advice.load(tmp_path / "advice")
    for f in dataclasses.fields(Advice):
        before, after = getattr(on_text, f.name), getattr(loaded, f.name)
        if isinstance(before, pd.DataFrame):
            pd.testing.assert_frame_equal(before, after, check_dtype=False)
        elif f.name not in ("best_", "settings", "provenance"):
            assert before == after, f.name
    rows = text_table(20, seed=9)
    np.testing.assert_array_equal(loaded.best_.predict(rows), on_text.best_.predict(rows))
    assert str(loaded) == str(on_text)


def test_saving_replaces_nothing_else(on_text, tmp_path):
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(FileExistsError, match="something else"):
        on_text.save(tmp_path)
    assert (tmp_path / "letters.txt").read_text() == "dear"


def test_loading_says_what_is_wrong(on_text, tmp_path):
    with pytest.raises(FileNotFoundError, match="no saved advice"):
        Advice.load(tmp_path / "absent")
    on_text.save(tmp_path / "advice")
    (tmp_path / "advice" / "curve.parquet").unlink()
    with pytest.raises(ValueError, match=r"curve\.parquet"):
        Advice.load(tmp_path / "advice")


def test_the_code_fits_the_same_model(on_text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text_table().to_csv("notes.csv", index=False)
    on_text = dataclasses.replace(on_text, settings={**on_text.settings, "path": "notes.csv"})
    names = {"rows": text_table(10, seed=3)}
    exec(compile(on_text.code, "code", "exec"), names)
    np.testing.assert_allclose(names["mean"], on_text.best_.predict(names["rows"]), rtol=1e-5)
    assert (tmp_path / "model" / "model.json").is_file()


def test_features_are_those_of_the_pipelines():
    table = text_table(60)
    problem = problem_of(table, "y")
    features, cut = Features(problem), next(folds(60))
    seen = set()
    for candidate in candidates_of(problem, ["all-MiniLM-L6-v2"]):
        if candidate.label in seen:
            continue
        seen.add(candidate.label)
        twin = pipeline_of(candidate, problem)[:-1].fit(problem.rows.iloc[cut.train]).transform(problem.rows)
        np.testing.assert_allclose(features.of(candidate, cut.train), twin, atol=1e-5)
    assert seen == {"φ_trad", "φ_words", "φ_LLM", "φ_text", "φ_trad + φ_LLM", "φ_trad + φ_text"}


def test_a_comparison_is_the_same_twice_and_paired():
    problem = problem_of(numeric_table(80), "y")
    candidates = [c for c in candidates_of(problem, ["all-MiniLM-L6-v2"]) if not c.uses_llm]
    runs = [compare(Features(problem), candidates, folds(80), total=5) for _ in range(2)]
    tables = [run.table.drop(columns="fit_seconds") for run in runs]
    pd.testing.assert_frame_equal(*tables)
    assert set(tables[0].candidate) == {"mean", *(f"φ_trad, {h}" for h in ("ridge", "xgboost", "gp", "mlp"))}


def test_out_of_fold_means_never_seen():
    """y is drawn apart from the columns: a model that had seen a row could know it, another cannot."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.random(100), "b": rng.random(100), "y": rng.permutation(100)})
    problem = problem_of(table, "y")
    trees = [c for c in candidates_of(problem, ["m"]) if c.name == "φ_trad, xgboost"]
    found = compare(Features(problem), trees, folds(100, repeats=2), total=10)
    out = found.out_of_fold("φ_trad, xgboost", 100)
    assert np.isfinite(out).all()
    assert abs(embreg.kendall_tau(table["y"], out)) < 0.3
    assert len(found.residuals("φ_trad, xgboost", problem.y)) == 100


def test_a_group_is_not_on_both_sides():
    """The noise of a group is learned from its other rows, unless they are kept apart."""
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(24), 10)
    place = rng.normal(size=24)[people] + 1e-3 * rng.normal(size=240)
    table = pd.DataFrame(
        {"person": [f"p{p}" for p in people], "mark": place, "y": rng.normal(size=24)[people]}
    )
    together = advise(table, "y", drop=["person"], **FAST)
    apart = advise(table, "y", group="person", **FAST)
    assert together.skill.value > 0.5
    assert apart.verdict == "nothing"


def test_time_runs_forward():
    n = 240
    table = pd.DataFrame(
        {"day": pd.date_range("2024-01-01", periods=n), "x": np.random.default_rng(0).random(n)}
    )
    table["y"] = np.arange(n) + 40 * table["x"]
    advice = advise(table.sample(frac=1, random_state=0), "y", time="day", **FASTER)
    assert set(advice.records.repeat) == {0} and len(set(advice.records.fold)) == 5
    assert "day" not in dict(advice.kinds)


def test_the_budget_is_kept_or_refused():
    started = time.perf_counter()
    advice = advise(text_table(200), "y", heads=["ridge"], budget=60, random_state=1)
    took = time.perf_counter() - started
    assert advice.seconds <= took < 66
    assert advice.plan.estimate_s.sum() <= 61
    with pytest.raises(ValueError, match="needs about"):
        advise(text_table(400), "y", budget=0.5)


def test_what_will_be_done_is_said_first():
    said = []
    advise(numeric_table(100), "y", **FASTER, say=said.append)
    assert "φ_LLM" in said[0]
    assert said[1].startswith("plan (times from a few rows on this machine):")
    assert "candidates on" in said[1] and "of a budget of 10 min" in said[1]


def test_one_candidate_alone():
    table = numeric_table(100)
    model = fit(table, "y", candidate="trad,ridge")
    assert model[-1].head.name == "ridge"
    with pytest.raises(ValueError, match="a candidate must be one of 'mean', 'trad, ridge'"):
        fit(table, "y", candidate="trees")


@pytest.mark.parametrize("text", ["φ_trad + φ_LLM, xgboost", "trad+llm,xgboost", " trad + llm , xgboost"])
def test_candidates_by_keyboard(text):
    candidates = candidates_of(problem_of(numeric_table(60), "y"), ["m"])
    assert find_candidate(text, candidates).name == "φ_trad + φ_LLM, xgboost"


def test_two_models_are_told_apart():
    names = [c.name for c in candidates_of(problem_of(numeric_table(60), "y"), ["a", "b"], ["ridge"])]
    assert len(names) == len(set(names)) == 6
    assert "φ_LLM (a), ridge" in names


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"models": []}, "models must hold at least one"),
        ({"heads": ["forest"]}, "heads must be some of"),
        ({"budget": "soon"}, "a budget must be a time"),
        ({"target": "z"}, "z"),
    ],
)
def test_refuses(wrong, says):
    with pytest.raises(ValueError, match=says):
        advise(numeric_table(60), **{"target": "y", **wrong})
