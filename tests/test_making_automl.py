"""Family `automl`: real pipelines on real data, held against scikit-learn's own cross-validation."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embreg._task import stream
from embreg.making._automl_data import PROBLEMS, data, score
from embreg.making._pipelines import model, prepare, transform_target
from embreg.making.automl import FAMILY, FOLDS, _keep
from embreg.making.family import Infeasible, MissingTool, get_family
from embreg.making.space import Value

TASKS = [spec.name for spec in FAMILY.specs]
SMALL = ("wine_log_loss", "wine_flavanoids")  # one with classes, one with numbers: both take milliseconds
MODELS = ("forest", "extra_trees", "tree", "hist_gbdt", "lightgbm", "linear", "svm", "knn", "mlp")
ALWAYS = {"scaler", "features", "model", "train_share", "winsorize"}


def first(task: str, **wanted: Value) -> dict[str, Value]:
    """Return the first row of a task that has these values."""
    rows = (FAMILY.draw(task, index) for index in range(3000))
    return next(row for row in rows if all(row[name] == value for name, value in wanted.items()))


def plain(task: str, **values: Value) -> dict[str, Value]:
    """Return a row with these values and no others but those without effect."""
    row: dict[str, Value] = dict.fromkeys(FAMILY.space(task).names)
    return row | {"scaler": "none", "features": "none", "train_share": 1.0, "winsorize": 0.0} | values


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=120,
    )


# What there is to draw


def test_the_family_is_found_and_its_tasks_have_problems() -> None:
    assert get_family("automl") is FAMILY
    assert set(TASKS) == set(PROBLEMS) and len(TASKS) == len(set(TASKS)) >= 8
    assert {spec.n for spec in FAMILY.specs} == {500}


@pytest.mark.parametrize("task", TASKS)
def test_a_row_holds_what_its_steps_and_its_model_use(task: str) -> None:
    rows = [FAMILY.draw(task, index) for index in range(300)]
    active = [{name for name, value in row.items() if value is not None} for row in rows]
    numbers = PROBLEMS[task].kind == "number"
    assert set.intersection(*active) == ALWAYS | ({"target"} if numbers else set())
    assert set.union(*active) == set(FAMILY.space(task).names)  # nothing that is never on
    assert 30 <= len(FAMILY.space(task)) <= 40
    assert {row["model"] for row in rows} == set(MODELS)
    for row, on in zip(rows, active, strict=True):
        assert ("map_size" in on) == (row["features"] == "nystroem")
        assert ("lr_init" in on) == (row["model"] == "mlp")
        assert ("gamma" in on) == (row["kernel"] in ("rbf", "poly", "sigmoid"))
        # scikit-learn's histograms take seconds to cut columns into bins when rows have weights.
        assert "balanced" not in on or row["model"] not in ("hist_gbdt", "knn", "mlp")


def test_rows_differ() -> None:
    for task in TASKS:
        assert len({json.dumps(FAMILY.draw(task, index)) for index in range(500)}) == 500


# What a row measures, beside scikit-learn's own pipelines


def own_folds(task: str, repeat: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import KFold, StratifiedKFold

    x, y = data(task)
    seed = int(stream((repeat,), f"automl/{task}/measure").integers(2**31))
    cut = StratifiedKFold if PROBLEMS[task].kind == "classes" else KFold
    return list(cut(3, shuffle=True, random_state=seed).split(x, y))


def twin(task: str, pipeline: Any, scoring: Any, repeat: int = 0) -> float:
    from sklearn.model_selection import cross_val_score

    x, y = data(task)
    return float(cross_val_score(pipeline, x, y, scoring=scoring, cv=own_folds(task, repeat)).mean())


@pytest.mark.parametrize("repeat", [0, 1])
def test_classes_score_as_in_a_pipeline_of_scikit_learn(repeat: int) -> None:
    from sklearn.decomposition import PCA
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    knn = {"model": "knn", "neighbors": 7, "weights": "distance", "metric": "manhattan"}
    row = plain("digits_parity", scaler="minmax", features="pca", pca_share=0.25, whiten=True, **knn)
    pipeline = make_pipeline(
        MinMaxScaler(),
        PCA(16, whiten=True, svd_solver="full"),
        KNeighborsClassifier(7, weights="distance", metric="manhattan"),
    )
    expected = twin("digits_parity", pipeline, "balanced_accuracy", repeat)
    assert FAMILY.measure("digits_parity", row, repeat) == pytest.approx(expected, abs=1e-12)


def test_probabilities_score_as_in_a_pipeline_of_scikit_learn() -> None:
    from sklearn.feature_selection import SelectKBest
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss, roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    values: dict[str, Value] = {
        "scaler": "standard",
        "features": "select",
        "select_share": 0.5,
        "model": "linear",
    }
    values |= {"C": 0.1, "iterations": 100, "balanced": True}
    pipeline = make_pipeline(
        StandardScaler(), SelectKBest(k=15), LogisticRegression(C=0.1, max_iter=100, class_weight="balanced")
    )

    def missing(estimator: Any, x: Any, y: Any) -> float:
        return math.log10(1 - roc_auc_score(y, estimator.predict_proba(x)[:, 1]))

    def loss(estimator: Any, x: Any, y: Any) -> float:
        chosen = np.maximum(estimator.predict_proba(x)[range(len(y)), y], 0.001)
        return log_loss(np.ones(len(y)), np.column_stack([1 - chosen, chosen]), labels=[0, 1])

    assert FAMILY.measure("cancer_auc", plain("cancer_auc", **values)) == pytest.approx(
        twin("cancer_auc", pipeline, missing), abs=1e-9
    )
    assert FAMILY.measure("cancer_log_loss", plain("cancer_log_loss", **values)) == pytest.approx(
        twin("cancer_log_loss", pipeline, loss), abs=1e-9
    )


@pytest.mark.parametrize("target", ["plain", "log"])
def test_numbers_score_as_in_a_pipeline_of_scikit_learn(target: str) -> None:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.linear_model import ElasticNet
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, RobustScaler, StandardScaler

    row = plain("diabetes_rmse", scaler="robust", target=target, model="linear", alpha=0.02, l1_ratio=0.3)
    standard: Any = StandardScaler()
    if target == "log":
        standard = make_pipeline(FunctionTransformer(np.log, np.exp, check_inverse=False), standard)
    pipeline = make_pipeline(
        RobustScaler(),
        TransformedTargetRegressor(ElasticNet(alpha=0.02, l1_ratio=0.3), transformer=standard),
    )

    x, y = data("diabetes_rmse")
    scores = []
    for train, test in own_folds("diabetes_rmse"):
        answer = pipeline.fit(x[train], y[train]).predict(x[test])
        answer = [min(max(value, min(y[train])), max(y[train])) for value in answer]
        scores.append(np.sqrt(np.mean((answer - y[test]) ** 2)) / np.std(y[test]))
    assert FAMILY.measure("diabetes_rmse", row) == pytest.approx(np.mean(scores), abs=1e-12)


def test_every_task_measures_what_it_draws() -> None:
    for task in TASKS:
        for name in ("tree", "lightgbm", "knn"):
            y = FAMILY.measure(task, first(task, model=name))
            assert isinstance(y, float) and math.isfinite(y)
            if PROBLEMS[task].score == "accuracy":
                assert 0 <= y <= 1
            elif PROBLEMS[task].score == "log_loss":
                assert 0 < y <= -math.log(1e-3)
            elif PROBLEMS[task].score == "auc":
                assert -4 <= y <= 0
            else:
                assert 0 < y < 5


# Repeats


@pytest.mark.parametrize("task", SMALL)
@pytest.mark.parametrize("name", MODELS)
def test_a_row_repeats_exactly_and_another_seed_differs(task: str, name: str) -> None:
    row = first(task, model=name)
    before = dict(row)
    y = FAMILY.measure(task, row)
    assert FAMILY.measure(task, row) == y
    assert FAMILY.measure(task, row, 1) != y
    assert row == before


def test_a_digits_row_repeats_exactly() -> None:
    row = first("digits_few", model="mlp", features="nystroem")
    assert FAMILY.measure("digits_few", row) == FAMILY.measure("digits_few", row)


def test_another_process_with_more_threads_measures_the_same() -> None:
    rows = {name: first("cancer_log_loss", model=name) for name in ("lightgbm", "hist_gbdt", "mlp", "forest")}
    code = (
        "import json\nfrom embreg.making.automl import FAMILY\n"
        f"rows = json.loads({json.dumps(json.dumps(rows))})\n"
        "print(json.dumps({k: FAMILY.measure('cancer_log_loss', row) for k, row in rows.items()}))"
    )
    done = python(code, OMP_NUM_THREADS="2", OPENBLAS_NUM_THREADS="2", PYTHONHASHSEED="77")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    here = {name: FAMILY.measure("cancer_log_loss", row) for name, row in rows.items()}
    assert json.loads(done.stdout) == here


def test_nothing_is_printed_warned_or_left_behind(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    network = plain("wine_log_loss", model="mlp", hidden=4, layers=1, activation="relu", batch=16)
    network |= {"lr_init": 0.001, "iterations": 3, "alpha": 0.1}  # ends long before it converges
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        FAMILY.measure("wine_log_loss", network)
        FAMILY.measure("wine_log_loss", first("wine_log_loss", model="lightgbm"))
        FAMILY.measure("digits_few", first("digits_few", model="tree", features="select"))  # constant columns
    assert not caught
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


# The pieces


@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    share=st.floats(0.01, 1.0),
    seed=st.integers(0, 99),
)
def test_a_share_of_the_rows_is_the_same_of_every_class(counts: list[int], share: float, seed: int) -> None:
    y = np.repeat(np.arange(len(counts)), counts)
    train = np.flatnonzero(np.random.default_rng(seed).random(len(y)) < 0.8)
    if not len(train):
        return
    kept = _keep(train, y, share, np.random.default_rng(seed))
    assert set(kept) <= set(train) and len(set(kept)) == len(kept) and (np.diff(kept) > 0).all()
    for label in set(y[train]):
        n = int((y[train] == label).sum())
        assert int((y[kept] == label).sum()) == max(1, round(share * n))
    if share == 1.0:
        assert list(kept) == list(train)


@pytest.mark.parametrize("kind", ["classes", "number"])
@given(index=st.integers(0, 200), seed=st.integers(0, 20))
def test_features_of_training_rows_know_nothing_of_the_test_rows(kind: Any, index: int, seed: int) -> None:
    task = {"classes": "wine_log_loss", "number": "wine_flavanoids"}[kind]
    row = FAMILY.draw(task, index)
    x, y = data(task)
    order = np.random.default_rng(seed).permutation(len(y))
    train, test = order[:60], order[60:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inside, outside = prepare(kind, row, x[train], y[train], x[test], 3)
        same, _ = prepare(kind, row, x[train], y[train], 1000 + 9 * x[test], 3)
        one, _ = prepare(kind, row, x[train], y[train], x[test][:1], 3)
    assert inside.shape[1] == outside.shape[1] and len(outside) == len(test)
    assert np.isfinite(inside).all() and np.isfinite(outside).all()
    np.testing.assert_array_equal(inside, same)
    np.testing.assert_array_equal(inside, one)


def test_tails_are_cut_where_the_training_rows_end() -> None:
    train = np.arange(101.0)[:, None]
    row = {"winsorize": 0.1, "scaler": "none", "features": "none"}
    inside, outside = prepare("number", row, train, train.ravel(), np.array([[-5.0], [50.0], [500.0]]), 0)
    assert (inside.min(), inside.max()) == (10.0, 90.0)
    assert outside.ravel().tolist() == [10.0, 50.0, 90.0]


def test_the_width_of_a_kernel_is_relative_to_the_features() -> None:
    row = first("wine_log_loss", model="svm", kernel="rbf")
    x = np.random.default_rng(0).normal(size=(30, 4))
    narrow, wide = (model("classes", row, scale * x, 0).gamma for scale in (1, 10))
    assert narrow == pytest.approx(100 * wide)
    assert narrow * 4 * x.var() == pytest.approx(row["gamma"])


@pytest.mark.parametrize("how", ["plain", "log", "normal"])
def test_a_target_comes_back(how: str) -> None:
    y = data("diabetes_rmse")[1][:, None]
    there = transform_target(how, y)
    scores = there.transform(y)
    assert scores.mean() == pytest.approx(0, abs=1e-9) and scores.std() == pytest.approx(1)
    np.testing.assert_allclose(there.inverse_transform(scores), y, rtol=1e-2)


def test_scores_by_hand() -> None:
    three = np.array([0, 1, 2])
    sure = np.array([[1.0, 0, 0], [0.5, 0.5, 0], [1.0, 0, 0]])
    assert score("log_loss", three, sure) == pytest.approx((0 + math.log(2) + math.log(1000)) / 3)
    assert score("accuracy", np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0])) == 0.5
    assert score("auc", np.array([0, 1]), np.array([[1.0, 0.0], [0.0, 1.0]])) == -4  # and not minus infinity
    y = np.array([0.0, 2.0])
    assert score("rmse", y, np.array([3.0, 2.0])) == pytest.approx(math.sqrt(4.5))
    assert score("mae", y, np.array([3.0, 2.0])) == 1.5


def test_few_digits_are_thirty_of_each_and_the_parity_is_that_of_the_numeral() -> None:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    few, labels = data("digits_few")
    assert np.bincount(labels).tolist() == [30] * 10
    known = {image.tobytes(): label for image, label in zip(x, y, strict=True)}
    assert [known[image.tobytes()] for image in few] == labels.tolist()
    assert (data("digits_parity")[1] == y % 2).all()


def test_no_target_is_among_the_features() -> None:
    for task in TASKS:
        x, y = data(task)
        assert all(not np.array_equal(column, y) for column in x.T)
        assert FOLDS * 10 < len(y) == len(x)


# What goes wrong


def diverged(task: str, **values: Value) -> dict[str, Value]:
    network = {"model": "mlp", "hidden": 8, "layers": 1, "activation": "relu", "batch": 16, "alpha": 0.001}
    return plain(task, target="log", iterations=20, **network, **values)


def test_a_diverged_network_gets_its_bad_score() -> None:
    _, y = data("cancer_fractal")
    bad = FAMILY.measure("cancer_fractal", diverged("cancer_fractal", lr_init=1e3))
    good = FAMILY.measure("cancer_fractal", diverged("cancer_fractal", lr_init=1e-2, scaler="standard"))
    assert 2 * good < bad < 1.2 * (y.max() - y.min()) / y.std()


def test_a_row_that_cannot_be_fitted_is_infeasible() -> None:
    with pytest.raises(Infeasible, match=r"ValueError: .*"):
        FAMILY.measure("cancer_fractal", diverged("cancer_fractal", lr_init=1e300))


def test_a_parameter_that_scikit_learn_refuses_is_no_infeasible_row() -> None:
    row = plain("wine_log_loss", model="linear", C=-1.0, iterations=5, balanced=False)
    with pytest.raises(ValueError, match="'C' parameter"):
        FAMILY.measure("wine_log_loss", row)


def test_an_unknown_task_is_named() -> None:
    with pytest.raises(ValueError, match=r"has no task 'iris'; it has: digits_accuracy"):
        FAMILY.measure("iris", {})


def test_the_tool_is_here_and_its_version_is_told() -> None:
    import lightgbm

    FAMILY.require()
    assert FAMILY.versions()["lightgbm"] == lightgbm.__version__
    assert set(FAMILY.versions()) >= {"python", "scikit-learn", "lightgbm", "numpy"}


def test_without_lightgbm_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(MissingTool, match=r"lightgbm.*pip install \"embreg\[data\]\""):
        FAMILY.require()


def test_without_openmp_the_message_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "lightgbm.py").write_text(
        "import ctypes\nctypes.CDLL('libgomp-that-is-not-here.so.1')\n", encoding="utf-8"
    )
    done = python("from embreg.making.automl import FAMILY\nFAMILY.require()", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "MissingTool" in done.stderr and "Install libgomp1" in done.stderr
