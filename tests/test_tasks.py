"""Tasks: shared points, shifts, splits, and what is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embreg import bbob as vizier
from embreg import coco, tasks

few = settings(max_examples=25, deadline=None)


def task_of(n: int) -> tasks.Task:
    return tasks.Task(
        name="t",
        rows=pd.DataFrame({"a": np.arange(n)}),
        y=np.arange(n, dtype=float),
        suite="own",
        function="f",
        dof=1,
        seed=0,
        variant="own",
    )


# Points


def test_one_table_of_points_for_every_function_variant_and_shift() -> None:
    shared = tasks.bbob_points(5, n=30, seed=3)
    for name in tasks.bbob_functions("paper"):
        for shift in (0.0, 4.0):
            pd.testing.assert_frame_equal(tasks.bbob(name, 5, n=30, seed=3, shift=shift).rows, shared)
    for name in tasks.bbob_functions("coco"):
        pd.testing.assert_frame_equal(tasks.bbob(name, 5, n=30, seed=3, variant="coco").rows, shared)


@few
@given(st.integers(1, 30), st.integers(10, 60), st.integers(0, 2**40))
def test_points_are_in_the_box_reproducible_and_nested(dof: int, n: int, seed: int) -> None:
    rows = tasks.bbob_points(dof, n, seed)
    assert list(rows.columns) == [f"x{i}" for i in range(dof)] and len(rows) == n
    assert (rows.dtypes == np.float64).all() and rows.to_numpy().min() >= -5 and rows.to_numpy().max() <= 5
    pd.testing.assert_frame_equal(tasks.bbob_points(dof, n, seed), rows)
    pd.testing.assert_frame_equal(tasks.bbob_points(dof, n + 7, seed).iloc[:n], rows)
    assert not np.array_equal(tasks.bbob_points(dof, n, seed + 1), rows)


def test_points_stay_the_same_from_release_to_release() -> None:
    assert tasks.bbob_points(2, 10, 0).iloc[0].round(6).tolist() == [-3.745132, -0.803107]
    assert tasks.bbob_shift("Sphere", 2, shift=4.0).round(6).tolist() == [-3.766909, -0.568582]
    assert tasks.bbob("Sphere", 2, n=10).split(0).train.tolist() == [2, 7, 9, 6, 5, 1, 4, 3]


# Targets


@few
@given(
    st.sampled_from(tasks.bbob_functions("paper")),
    st.integers(2, 12),
    st.integers(0, 99),
    st.sampled_from([0.0, 1.0, 4.0]),
)
def test_shift_evaluates_f_at_x_minus_s(name: str, dof: int, seed: int, shift: float) -> None:
    task = tasks.bbob(name, dof, n=10, seed=seed, shift=shift)
    s = tasks.bbob_shift(name, dof, seed=seed, shift=shift)
    assert s.shape == (dof,) and (np.abs(s) <= shift).all()
    assert (task.y == vizier.evaluate(name, task.rows.to_numpy() - s)).all()


def test_shifts_share_a_direction_per_function_and_differ_between_functions() -> None:
    one = tasks.bbob_shift("Sphere", 10, shift=1.0)
    np.testing.assert_allclose(tasks.bbob_shift("Sphere", 10, shift=4.0), 4.0 * one, rtol=1e-15)
    assert not np.allclose(tasks.bbob_shift("Discus", 10, shift=1.0), one)
    assert not np.allclose(tasks.bbob_shift("Sphere", 10, seed=1, shift=1.0), one)


def test_coco_takes_seed_plus_one_as_its_instance() -> None:
    task = tasks.bbob("f8", 5, n=20, seed=1, variant="coco")
    assert task.function == "Rosenbrock"
    assert (task.y == coco.evaluate("f8", task.rows, instance=2)).all()


@pytest.mark.parametrize(("variant", "shift"), [("paper", 0.0), ("paper", 2.0), ("coco", 0.0)])
def test_targets_are_the_columns_of_the_tasks(variant: str, shift: float) -> None:
    names = tasks.bbob_functions(variant)
    rows, targets = tasks.bbob_targets(names, 3, n=12, seed=2, variant=variant, shift=shift)
    assert targets.shape == (12, len(names)) and targets.dtype == np.float64
    for column, name in enumerate(names):
        task = tasks.bbob(name, 3, n=12, seed=2, variant=variant, shift=shift)
        assert (targets[:, column] == task.y).all()
        pd.testing.assert_frame_equal(rows, task.rows)


def test_variants_share_21_names() -> None:
    paper, of_coco = tasks.bbob_functions("paper"), tasks.bbob_functions("coco")
    assert paper == vizier.PAPER_FUNCTIONS and of_coco == coco.FUNCTIONS
    assert len(set(paper) & set(of_coco)) == 21


def test_names_of_tasks_differ() -> None:
    made = [
        tasks.bbob("Sphere", 2, n=10),
        tasks.bbob("Sphere", 3, n=10),
        tasks.bbob("Sphere", 2, n=10, seed=1),
        tasks.bbob("Sphere", 2, n=10, shift=1.5),
        tasks.bbob("Sphere", 2, n=10, variant="coco"),
        tasks.bbob("Discus", 2, n=10),
    ]
    assert len({task.name for task in made}) == len(made)


# Tasks and splits


def test_a_task_cannot_be_changed() -> None:
    y = np.zeros(10)
    task = dataclasses.replace(task_of(10), y=y)
    y[0] = 1.0
    assert task.y[0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        task.y[0] = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.name = "other"  # type: ignore[misc]


def test_split_of_500() -> None:
    assert [len(part) for part in task_of(500).split(0)] == [400, 50, 50]


@few
@given(st.integers(10, 300), st.integers(0, 2**40))
def test_split_is_a_reproducible_partition(n: int, seed: int) -> None:
    task = task_of(n)
    split = task.split(seed)
    assert sorted(np.concatenate(split).tolist()) == list(range(n))
    assert len(split.val) == len(split.test) == n // 10
    again = task.split(seed)
    assert all((a == b).all() for a, b in zip(split, again, strict=True))


def test_split_shuffles_by_seed_and_is_shared_by_tasks_of_one_length() -> None:
    first, second = tasks.bbob("Sphere", 2, n=100), tasks.bbob("Discus", 9, n=100, seed=4)
    assert (first.split(1).test == second.split(1).test).all()
    assert not np.array_equal(first.split(1).test, first.split(2).test)


# Errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (dict(function="Rastigrin"), r"'Rastigrin'; did you mean 'Rastrigin'.*Lunacek"),
        (dict(function="f1"), r"unknown function of variant 'paper': 'f1'"),
        (dict(function="NegativeSphere", variant="coco"), r"unknown COCO function.*'NegativeSphere'"),
        (dict(function="FonsecaFleming"), r"constant 1 .*embreg.bbob.evaluate"),
        (dict(variant="papr"), r"unknown variant: 'papr'; did you mean 'paper'\? There are: paper, coco"),
        (dict(dof=0), r"dof must be a whole number of at least 1, however: got 0\. Pass 1 or more"),
        (dict(dof=2.0), r"dof must be a whole number .*got 2\.0"),
        (dict(function="RosenbrockRotated", dof=1), r"RosenbrockRotated needs at least 2 .*got 1"),
        (dict(variant="coco", dof=1), r"Sphere needs at least 2 .*got 1"),
        (dict(n=9), r"n must be a whole number of at least 10, however: got 9"),
        (dict(n=True), r"n must be .*got True"),
        (dict(seed=-1), r"seed must be .*at least 0, however: got -1"),
        (dict(seed=200_000, variant="coco"), r"seed must be below 200000 .*got 200000"),
        (dict(shift=-1.0), r"shift must be a finite number of at least 0, however: got -1\.0"),
        (dict(shift=float("nan")), r"shift must be .*got nan"),
        (dict(shift=float("inf")), r"shift must be .*got inf"),
        (dict(shift="2"), r"shift must be .*got '2'"),
        (dict(shift=1.0, variant="coco"), r"shift must be 0 for variant 'coco', however: got 1\.0\."),
        (dict(shift=1e200), r"a value of Sphere must be finite.*smaller shift"),
    ],
)
def test_errors_of_bbob(call: dict[str, Any], message: str) -> None:
    arguments = {"function": "Sphere", "dof": 3, **call}
    with pytest.raises(ValueError, match=message):
        tasks.bbob(arguments.pop("function"), arguments.pop("dof"), **arguments)


@pytest.mark.parametrize("functions", ["Sphere", []])
def test_targets_need_a_list(functions: Any) -> None:
    with pytest.raises(ValueError, match="functions must be a list of at least one name, however: got"):
        tasks.bbob_targets(functions, 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_y_must_be_finite(bad: float) -> None:
    y = np.zeros(10)
    y[4] = bad
    with pytest.raises(
        ValueError, match=rf"t: y must be finite, however: got {bad} at row 4 \(1 of 10 rows\)"
    ):
        dataclasses.replace(task_of(10), y=y)


def test_y_must_match_the_rows() -> None:
    with pytest.raises(ValueError, match=r"each of the 10 rows, however: got shape \(9,\)"):
        dataclasses.replace(task_of(10), y=np.zeros(9))


def test_a_split_needs_ten_rows() -> None:
    with pytest.raises(ValueError, match="needs at least 10 rows, however: got 9"):
        task_of(9).split(0)


@pytest.mark.parametrize("seed", [-1, 0.5, None])
def test_a_split_needs_a_seed(seed: Any) -> None:
    with pytest.raises(ValueError, match="seed must be a whole number of at least 0, however: got"):
        task_of(10).split(seed)
