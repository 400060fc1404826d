"""The study of intervals: what it records, that it sees an interval that lies, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from embreg.calibration import METHODS, coverage_study
from embreg.representation import TRADITIONAL, Representation

pytest.importorskip("mapie")
MLP = {
    "hidden": (8,),
    "learning_rates": (1e-2,),
    "weight_decays": (0,),
    "max_epochs": 5,
    "precision": "float32",
}
pytestmark = pytest.mark.usefixtures("one_thread")


def study(**settings: Any) -> pd.DataFrame:
    base: dict[str, Any] = {
        "representations": [TRADITIONAL], "functions": ["Sphere"], "dof": 3, "seeds": [0, 1],
        "n_samples": 100, "ensemble": 2, "mlp": MLP,
    }  # fmt: skip
    return coverage_study(**{**base, **settings})


def test_one_row_per_task_seed_representation_and_method() -> None:
    bag = Representation("bag", control="bag", width=16)
    out = study(representations=[TRADITIONAL, bag])
    assert len(out) == 2 * 2 * 2 * len(METHODS)
    assert not out.duplicated(["task", "seed", "representation", "method"]).any()
    assert set(out.task) == {"Sphere", "diabetes"} and (out.level == 0.9).all()
    assert out.coverage.between(0, 1).all() and (out.width >= 0).all()


def test_coverage_and_width_are_those_of_a_posterior_written_out() -> None:
    from scipy.stats import norm
    from sklearn.datasets import load_diabetes

    from embreg import TabularFeatures
    from embreg.baselines import baseline

    [found] = study(functions=[], seeds=[2], methods=["bayesian_ridge"], level=0.8).to_dict("records")
    data = load_diabetes(as_frame=True, scaled=False)
    order = np.random.default_rng(2).permutation(442)
    test, train = order[:88], order[88:]
    X = TabularFeatures().fit(data.data.iloc[train]).transform(data.data)
    y = data.target.to_numpy(float)
    mean, std = (
        baseline("bayesian_ridge", random_state=2).fit(X[train], y[train]).predict(X[test], return_std=True)
    )
    inside = np.abs(y[test] - mean) <= norm.ppf(0.9) * std
    assert found["coverage"] == pytest.approx(inside.mean())
    assert found["width"] == pytest.approx(2 * norm.ppf(0.9) * std.mean() / y[train].std())


def test_a_higher_promise_is_wider_and_covers_more() -> None:
    low, high = (study(methods=["split", "bayesian_ridge"], level=level) for level in (0.5, 0.9))
    assert (high.width > low.width).all() and high.coverage.mean() > low.coverage.mean() + 0.2


def test_unknown_methods_are_named_before_any_work() -> None:
    with pytest.raises(ValueError, match=r"methods must be of \('split', .*\), however: got \['jackknife'\]"):
        study(methods=["split", "jackknife"])
