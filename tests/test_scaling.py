"""Size: slopes against numpy's own fit, and ladders that say what they hold fixed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embreg.ladders import LADDERS
from embreg.scaling import per_doubling, size_effects, size_table
from embreg.stats import mean_interval

NAMES = {"L3": "paraphrase-MiniLM-L3-v2", "L6": "all-MiniLM-L6-v2", "base": "all-mpnet-base-v2"}


def records(taus: dict[str, Any], tasks: int = 3, seeds: int = 2) -> pd.DataFrame:
    """τ of each representation: a number, or an array of tasks by seeds."""
    rows = []
    for name, tau in taus.items():
        cells = np.broadcast_to(tau, (tasks, seeds))
        rows += [
            {"representation": name, "head": "mlp", "task": f"t{i}", "seed": k, "kendall_tau": cells[i, k]}
            for i in range(tasks)
            for k in range(seeds)
        ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


@given(st.lists(st.integers(1, 40), min_size=2, max_size=5, unique=True), st.integers(0, 2**32 - 1))
def test_slopes_are_those_of_polyfit(exponents: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    taus = {f"m{k}": rng.uniform(-1, 1, (3, 2)) for k in exponents}
    got = per_doubling(records(taus), {f"m{k}": 2.0**k for k in exponents}).set_index(["task", "seed"]).slope
    for (task, split), slope in got.items():
        y = [taus[f"m{k}"][int(task[1:]), split] for k in exponents]
        assert slope == pytest.approx(np.polyfit(exponents, y, 1)[0], abs=1e-9)


def test_a_gain_of_every_doubling_is_found_and_its_interval_is_that_of_tasks_and_seeds() -> None:
    noise = np.random.default_rng(1).normal(0, 0.02, (3, 8, 2))
    table = records({f"m{k}": 0.1 + 0.05 * k + noise[k] for k in range(3)}, tasks=8)
    slopes = per_doubling(table, {"m0": 1e6, "m1": 2e6, "m2": 4e6})
    interval = mean_interval(slopes, "slope")
    assert interval.low < 0.05 < interval.high and interval.decided


@pytest.mark.parametrize(
    ("sizes", "message"),
    [({"L3": 5.0}, "at least two different"), ({"L3": 5.0, "L6": 5.0}, "at least two different"),
     ({"L3": 0.0, "L6": 5.0}, "above zero")],
)  # fmt: skip
def test_sizes_that_tell_nothing(sizes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        per_doubling(records({"L3": 0.1, "L6": 0.2}), sizes)


def test_a_model_without_some_task_is_refused() -> None:
    table = records({"L3": 0.1, "L6": 0.2})
    short = table[~((table.representation == "L6") & (table.task == "t1"))]
    with pytest.raises(ValueError, match=r"the same tasks and seeds, however: \['L6'\] lack some"):
        per_doubling(short, {"L3": 1.0, "L6": 2.0})
    with pytest.raises(KeyError, match="no records of L12"):
        per_doubling(table, {"L3": 1.0, "L12": 2.0})


def test_effects_name_the_ladder_and_what_it_holds_fixed() -> None:
    table = records({"L3": 0.5, "L6": 0.25, "base": 0.5})
    sizes = {"L3": 1e6, "L6": 2e6, "base": 8e6}
    got = size_effects(table, NAMES, sizes).set_index("ladder")
    assert got.same_recipe.to_dict() == {"offline-pair": True, "offline-encoders": False, "all": False}
    pair = got.loc["offline-pair"]
    assert (pair.smallest, pair.largest, pair.models) == ("L6", "base", ("L6", "base"))
    assert pair.difference == (0.25, 0.25, 0.25)
    assert pair.doubling == (0.125, 0.125, 0.125)  # two doublings
    assert pair.sentence == LADDERS["offline-pair"].sentence
    assert got.loc["all"].sentence.startswith("Recipes differ")
    assert got.loc["all"].difference.value == 0


def test_models_on_no_ladder_are_still_compared() -> None:
    table = records({"T5": 0.5, "L6": 0.25})
    got = size_effects(table, {"T5": "flan-t5-small-titles", "L6": NAMES["L6"]}, {"T5": 2e6, "L6": 1e6})
    assert got.ladder.tolist() == ["all"]


def test_the_table_counts_operations_of_the_rows_that_were_read() -> None:
    table = size_table(NAMES, dict.fromkeys(NAMES, 10.0)).set_index("label")
    assert table.index.tolist() == ["L3", "L6", "base"]
    assert table.parameters.is_monotonic_increasing
    for row in table.itertuples():
        assert row.flops == 2 * row.body * 10 + 4 * row.layers * row.dim * 100
