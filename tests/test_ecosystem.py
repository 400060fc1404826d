"""The page *Works with what you have*: its code runs as it stands, and finds what is there."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "book" / "ecosystem.md"


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    pytest.importorskip("shap", reason="the extra explain is not installed")
    pytest.importorskip("optuna", reason="the extra tuning is not installed")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 8
    out, patch = {}, pytest.MonkeyPatch()
    patch.chdir(tmp_path_factory.mktemp("page"))
    try:
        for block in blocks:
            exec(compile(block, str(PAGE), "exec"), out)
    finally:
        patch.undo()
    return out


def test_cross_validation_and_searches_learn(names):
    assert names["scores"].mean() > 0.5
    assert names["search"].best_score_ > 0.4 and set(names["search"].best_params_) == set(names["grid"])
    assert len(names["study"].trials) == 4 and names["study"].best_value > 0.3
    assert names["scores_advised"].mean() > 0.8


def test_the_column_without_meaning_matters_least(names):
    depth, act, drop = names["found"].importances_mean
    assert drop < act < depth
    shap = abs(names["explained"].values).mean(0)
    assert shap[2] < shap[1] and shap[2] < shap[0]


def test_partial_dependence_rises_with_depth(names):
    (average,) = names["curve"]["average"]
    assert average[0] < average[-1]


def test_the_advised_model_has_intervals(names):
    assert (names["low"] < names["mean"]).all() and (names["mean"] < names["high"]).all()
