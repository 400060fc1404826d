"""Checks of tasks: each fault is made for real, is found, and is not found where it is not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embreg import checking, tasks
from embreg._leaks import leaks
from embreg._schema import space_faults, table_faults
from embreg.checking import CHECKS, check
from embreg.making.space import Space, category, flag, integer, real
from tests.test_families import SPACE, draw, put

few = settings(max_examples=25, deadline=None)


def own(rows: pd.DataFrame, y: Any, **fields: Any) -> tasks.Task:
    fields = {"suite": "own", "function": "f", "dof": rows.shape[1], "seed": 0, "variant": ""} | fields
    return tasks.Task("own/f", rows, np.asarray(y, dtype=float), **fields)


def sound(n: int = 200, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "lr": rng.random(n),
            "steps": pd.Series(rng.integers(1, 9, n), dtype="Int64"),
            "act": pd.Series(rng.choice(["relu", "tanh", "gelu"], n), dtype="str"),
            "bias": pd.Series(rng.random(n) < 0.5, dtype="boolean"),
        }
    )
    y = rows["lr"] + rows["steps"].astype(float) / 8 + (rows["act"] == "relu") + 0.1 * rng.normal(size=n)
    return rows, y.to_numpy()


def found(task: tasks.Task, *checks: str, level: str | None = None) -> list[str]:
    out = check(task, checks=list(checks) or None)
    return out["finding"][out["level"] == level if level else out.index >= 0].tolist()


# The report


def test_a_sound_task_has_no_error_and_no_warning_and_says_what_can_be_learnt() -> None:
    out = check(own(*sound()))
    assert list(out.columns) == ["task", "check", "level", "finding"]
    assert out["check"].tolist() == ["learnability"] and out["level"].tolist() == ["note"]


def test_findings_stand_in_the_order_of_the_tasks_and_of_the_checks() -> None:
    rows, y = sound()
    bad = own(rows.assign(same=1, copy=y), y)
    out = check([dataclasses.replace(bad, name="b"), dataclasses.replace(bad, name="a")])
    assert out["task"].tolist() == ["b"] * 3 + ["a"] * 3
    assert out["check"].tolist() == ["constant", "leaks", "learnability"] * 2
    assert set(out["level"]) <= {"error", "warning", "note"}
    # A generator is read once, and only what was asked for is run, in the order of the report all the same.
    some = check((t for t in [bad]), checks=["leaks", "constant"])
    assert some["check"].tolist() == ["constant", "leaks"]


def test_a_report_without_findings_has_its_columns() -> None:
    out = check(own(*sound()), checks=["ties"])
    assert out.empty and list(out.columns) == ["task", "check", "level", "finding"]


def test_checking_changes_nothing_and_repeats() -> None:
    task = own(*sound())
    before = task.rows.copy(deep=True)
    one, two = check(task), check(task)
    pd.testing.assert_frame_equal(one, two)
    pd.testing.assert_frame_equal(task.rows, before)


def test_what_cannot_be_checked_is_refused() -> None:
    with pytest.raises(ValueError, match="tasks must hold at least one task, however: got none"):
        check([])
    with pytest.raises(ValueError, match=r"unknown check: 'leak'; did you mean 'leaks'\? There are: schema"):
        check(own(*sound()), checks=["leak"])
    with pytest.raises(ValueError, match=r"must be a list of names, however: got 'leaks'\. Pass \['leaks'\]"):
        check(own(*sound()), checks="leaks")


# Schema


def test_a_table_that_cannot_be_written_is_told_first_and_nothing_else_is_run() -> None:
    rows, y = sound(60)
    for broken, says in (
        (rows.assign(lr=rows["lr"].replace(rows["lr"][3], np.inf)), "row 3, column 'lr' is inf"),
        (rows.assign(when=[b"x"] * 60), "column 'when' is of type bytes"),
        (pd.concat([rows, rows["lr"]], axis=1), "two are 'lr'"),
        (rows.rename(columns={"lr": 5}), "must be text, however: one is 5"),
        (rows[[]], "rows need at least one column"),
    ):
        out = check(own(broken, y), checks=["leaks", "learnability"])
        assert out["check"].unique().tolist() == ["schema"] and (out["level"] == "error").all()
        assert says in out["finding"].iloc[0]
        assert table_faults(broken) == out["finding"].tolist()


def slow_faults(rows: pd.DataFrame, space: Space) -> set[str]:
    """Parameters with a fault: every cell against its parameter, one by one."""
    bad = set()
    for i in range(len(rows)):
        row = {name: None if pd.isna(rows[name].iloc[i]) else rows[name].iloc[i] for name in space.names}
        for p in space.parameters:
            value = row[p.name]
            fault = (value is not None) != all(row[parent] in values for parent, values in p.when.items())
            if value is not None and p.kind == "category":
                fault |= value not in p.choices
            if value is not None and p.kind in ("real", "integer"):
                fault |= not p.low <= value <= p.high
            bad |= {p.name} if fault else set()
    return bad


@few
@given(
    st.integers(0, 10**6),
    st.lists(
        st.tuples(st.integers(0, 19), st.sampled_from(SPACE.names), st.sampled_from(["gap", "far", "near"])),
        max_size=3,
    ),
)
def test_faults_are_those_of_the_slow_twin(seed: int, damage: list[tuple[int, str, str]]) -> None:
    rows = SPACE.frame(draw(20, seed))
    for at, name, how in damage:
        p = next(p for p in SPACE.parameters if p.name == name)
        value: Any = {
            "real": 7.5 if how == "far" else 0.5,
            "integer": 99 if how == "far" else 1,
            "category": "none such" if how == "far" else (p.choices or ("",))[0],
            "flag": how == "near",
        }[p.kind]
        rows.loc[at, name] = None if how == "gap" else value
    rows = rows.astype(SPACE.frame(draw(1)).dtypes.to_dict())
    faults = space_faults(rows, json.loads(json.dumps(SPACE.describe())))
    named = {p.name for p in SPACE.parameters if any(f"'{p.name}'" in fault for fault in faults)}
    assert named == slow_faults(rows, SPACE)
    if not damage:
        assert faults == []


def test_limits_are_inside_and_the_message_says_where() -> None:
    space = Space([real("lr", 0.1, 1.0), integer("k", 1, 9), flag("on"), category("a", "x", "y", on=(True,))])
    good = [{"lr": 0.1, "k": 9, "on": True, "a": "x"}, {"lr": 1.0, "k": 1, "on": False, "a": None}]
    assert space_faults(space.frame(good), space.describe()) == []
    bad = [{"lr": 0.0999, "k": 10, "on": True, "a": None}, {"lr": 1.0, "k": 1, "on": False, "a": "z"}]
    assert space_faults(space.frame(bad), space.describe()) == [
        "1 of 2 values of 'lr' are outside 0.1 to 1, the first at row 0: 0.0999",
        "1 of 2 values of 'k' are outside 1 to 9, the first at row 0: 10",
        "1 of 2 values of 'a' are outside the choices x, y, the first at row 1: z",
        "1 of 2 values of 'a' are given where it is inactive, the first at row 1: z",
        "1 of 2 values of 'a' are missing where it is active, the first at row 0: nan",
    ]


def test_columns_and_types_are_those_of_the_space() -> None:
    space = Space([real("lr", 0.1, 1.0), integer("k", 1, 9)])
    rows = space.frame([{"lr": 0.5, "k": 3}])
    for broken, says in (
        (rows[["k", "lr"]], "their order differs"),
        (rows[["lr"]], "missing: k"),
        (rows.assign(z=1), "not in the space: z"),
        (rows.astype({"k": "float64"}), "column 'k' is of type float64, however: the space wants Int64"),
    ):
        (fault,) = space_faults(broken, space.describe())
        assert says in fault


def test_a_task_of_a_family_is_held_against_its_card(tmp_path: Path) -> None:
    put(tmp_path, n=30)
    (task,) = tasks.family("compiler", folder=tmp_path)
    assert check(task, checks=["schema"], folder=tmp_path).empty
    for fields, says in (
        ({"rows": task.rows.assign(lr=5.0)}, "30 of 30 values of 'lr' are outside 0.0001 to 1"),
        (
            {"rows": task.rows.head(12), "y": task.y[:12]},
            "rows: the data card says 30, however: the task has 12",
        ),
        ({"unit": "s"}, "unit: the data card says 'log', however: the task has 's'"),
        ({"direction": "min"}, "direction: the data card says 'max'"),
        ({"dof": 5}, "number of parameters: the data card says 6, however: the task has 5"),
        ({"function": "lz5"}, "the data card of family 'compiler' has no task 'lz5'"),
    ):
        out = check(dataclasses.replace(task, **fields), checks=["schema"], folder=tmp_path)
        assert out["level"].tolist() == ["error"] and says in out["finding"].iloc[0]


# Sizes


def test_sizes_of_families(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sizes(names: list[str]) -> list[list[str]]:
        loaded = tasks.family("compiler", names, folder=tmp_path)
        out = check(loaded, checks=["sizes"], folder=tmp_path)
        return out[["task", "level", "finding"]].to_numpy().tolist()

    for i, n in enumerate([500, 1500, 499, 1501, 600, 600, 600]):
        put(tmp_path, f"t{i}", n=n)
    assert sizes(["t0", "t1"]) == [["compiler", "error", "a family has 8 tasks or more, however: 7"]]
    put(tmp_path, "t7", n=500)
    assert sizes(["t0", "t1", "t7"]) == []
    assert sizes(["t2", "t3"]) == [
        ["compiler/t2", "error", "a task of a family has 500 to 1,500 rows, however: 499"],
        ["compiler/t3", "error", "a task of a family has 500 to 1,500 rows, however: 1,501"],
    ]
    # All files of all families count, whichever were asked for.
    put(tmp_path, "digits", name="automl")
    total = sum(f.stat().st_size for f in tmp_path.rglob("*.*"))
    monkeypatch.setattr(checking, "MAX_BYTES", total)
    assert sizes(["t0"]) == []
    monkeypatch.setattr(checking, "MAX_BYTES", total - 1)
    (row,) = sizes(["t0"])
    assert row[:2] == ["all families", "error"] and f"however: {total:,}" in row[2]


def test_own_tasks_are_only_told_when_too_few_rows_are_left_to_test_on() -> None:
    assert found(own(*sound(100)), "sizes") == []
    assert found(own(*sound(99)), "sizes") == [
        "99 rows leave 9 to test on: no metric is stable there; measure more"
    ]


# Constant columns


def test_constant_columns_are_named_and_a_gap_is_no_constant() -> None:
    rows, y = sound()
    text = pd.Series([None] * 200, dtype="str")
    gap = pd.Series([1.0, *[np.nan] * 199])
    (finding,) = found(own(rows.assign(one="u", none=text, gap=gap), y), "constant", level="warning")
    assert finding == "2 of 7 columns have one value only: one = u, none = missing"


# Duplicates


def slow_duplicates(rows: pd.DataFrame) -> int:
    texts = [tuple(None if pd.isna(v) else v for v in row) for row in rows.itertuples(index=False)]
    return sum(text in texts[:i] for i, text in enumerate(texts))


@few
@given(st.integers(0, 10**6), st.integers(0, 30))
def test_duplicates_are_those_of_the_slow_twin(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    rows, _ = sound(60, seed)
    rows.loc[rng.integers(60, size=20), "act"] = None
    rows = pd.concat([rows, rows.sample(n, random_state=seed)], ignore_index=True)
    task = own(rows, np.arange(len(rows)))
    out = found(task, "duplicates")
    if not (count := slow_duplicates(rows)):
        assert out == []
    else:
        assert out[0].startswith(f"{count} of {len(rows)} rows are there already")
        assert "have more than one y" in out[1]


def test_equal_rows_with_equal_y_are_a_note_or_a_warning_by_their_share() -> None:
    rows, y = sound(400)
    for n, level in ((3, "note"), (4, "note"), (5, "warning")):
        task = own(pd.concat([rows, rows.head(n)], ignore_index=True), np.r_[y, y[:n]])
        out = check(task, checks=["duplicates"])
        assert out["level"].tolist() == [level] and f"{n} of {400 + n} rows" in out["finding"].iloc[0]


def test_equal_rows_with_different_y_are_an_error_only_where_noise_is_ruled_out() -> None:
    rows, y = sound(300)
    both, values = pd.concat([rows, rows.head(1)], ignore_index=True), np.r_[y, y[0] + 2 * y.std()]
    for noise, level, says in (
        (np.nan, "warning", "noise, or a column that is not there"),
        (0.3, "warning", "noise, or a column"),
        (0.0, "error", "though the noise is said to be 0"),
    ):
        out = check(own(both, values, noise_sd=noise), checks=["duplicates"])
        assert out["level"].tolist() == ["note", level]
        assert "1 of 1 rows" in out["finding"].iloc[1] and says in out["finding"].iloc[1]
        assert "up to 2 standard deviations apart" in out["finding"].iloc[1]


# Leaks


@pytest.mark.parametrize(
    "copy",
    [
        lambda y: y,
        lambda y: -3 * y + 1,
        lambda y: np.exp(4 * y),
        lambda y: np.round(y, 2),
        lambda y: (y - np.median(y)) ** 2 * np.sign(y - np.median(y)),
        lambda y: [f"{100 * v:.6f}" for v in y],  # "105.1" stands before "23.7"
        lambda y: np.where(np.arange(len(y)) < 20, np.nan, y),
    ],
    ids=["y", "linear", "exp", "rounded", "bent", "text", "with gaps"],
)
def test_a_column_that_is_y_in_disguise_is_found_and_no_other(copy: Any) -> None:
    rows, y = sound(500)
    assert list(leaks(rows.assign(loss=copy(y)), y)) == ["loss"]


def test_an_outlier_in_y_does_not_hide_a_copy() -> None:
    rows, y = sound(500)
    y = np.where(np.arange(500) == 7, 1e6, y)
    assert list(leaks(rows.assign(loss=np.log(y - y.min() + 1)), y)) == ["loss"]


def test_of_few_rows_a_monotone_curve_tells_more_than_a_tree_up_or_down() -> None:
    rows, _ = sound(60)
    for turn in (1, -1):
        assert leaks(rows, turn * rows["lr"] ** 3)["lr"].startswith("a monotone curve")


def test_a_column_that_gives_y_away_where_it_is_given_is_found() -> None:
    rows, y = sound(500)
    half = np.where(np.arange(500) % 2 == 0, y, np.nan)
    assert leaks(rows.assign(half=half), y)["half"].endswith("on the 250 rows that have it")
    assert leaks(rows.assign(half=np.random.default_rng(2).permutation(half)), y) == {}


def test_a_function_of_one_column_that_turns_is_found_by_the_tree() -> None:
    rows, _ = sound(500)
    assert leaks(rows, np.sin(6 * rows["lr"])).keys() == {"lr"}


def test_a_category_that_stands_for_y_is_found_though_each_has_few_rows() -> None:
    rows, y = sound(300)
    rounded = np.repeat(y[:100], 3)
    rows["grade"] = pd.Series([f"g{v!r}" for v in rounded], dtype="str")
    assert leaks(rows, rounded)["grade"] == (
        "all of 300 rows that share its value with another row have that row's y"
    )


@few
@given(st.integers(0, 10**6), st.floats(0.08, 2.0))
def test_a_column_that_is_y_but_for_some_noise_is_no_leak(seed: int, noise: float) -> None:
    rows, y = sound(200, seed)
    off = np.random.default_rng(seed).normal(0, noise * y.std(), 200)
    assert leaks(rows.assign(close=y + off), y) == {}


def test_what_is_no_leak() -> None:
    rows, y = sound(200)
    # An identifier, a row listed twice, a y that hardly varies, and a table of one column.
    assert leaks(rows.assign(id=[f"run-{i}" for i in range(200)]), y) == {}
    assert leaks(pd.concat([rows, rows]), np.r_[y, y]) == {}
    assert leaks(rows, np.r_[1.0, np.zeros(199)]) == {}
    assert leaks(rows[["lr"]], rows["lr"]) == {}
    assert leaks(rows, np.ones(200)) == {}


def test_leaks_are_errors_that_name_the_column() -> None:
    rows, y = sound(300)
    (finding,) = found(own(rows.assign(score=2 * y), y), "leaks", level="error")
    assert finding.startswith("column 'score' alone determines y: ") and "Take it out" in finding


# Ties and outliers


def test_ties_by_their_share() -> None:
    rows, y = sound(200)
    assert found(own(rows, y), "ties") == []
    for n, level in (
        (2, "note"),
        (20, "note"),
        (21, "warning"),
        (100, "warning"),
        (101, "error"),
        (200, "error"),
    ):
        tied = y.copy()
        tied[:n] = 0.25
        out = check(own(rows, tied), checks=["ties"])
        assert out["level"].tolist() == [level]
        assert out["finding"].iloc[0] == (
            f"{201 - n} different y in 200 rows; {n / 200:.1%} share the most common one, 0.25"
        )


def test_outliers_are_counted_and_the_furthest_is_named() -> None:
    rows, _ = sound(400)
    y = np.random.default_rng(0).normal(size=400)
    assert found(own(rows, y), "outliers") == []
    y[[5, 9]] = [40.0, -90.0]
    far, share, skew = found(own(rows, y), "outliers")
    assert far.endswith("look at them, or go by rank metrics") and share.endswith("go by rank metrics")
    assert far.startswith("2 of 400 rows are more than 10 robust standard deviations from the median")
    assert "(row 9: -90)" in far
    assert share.startswith("4 of 400 rows make 96% of the variance of y")
    assert skew.startswith("y is skewed to the left")


def test_a_logarithm_is_advised_only_where_it_helps() -> None:
    rows, _ = sound(400)
    y = np.exp(np.random.default_rng(0).normal(0, 3, 400))
    assert found(own(rows, y), "outliers")[0].endswith("look at them, or take the logarithm of y")
    for other in (-y, y - 1):
        assert found(own(rows, other), "outliers")[0].endswith("look at them, or go by rank metrics")


def test_skew_is_scipys_and_levels_follow_it() -> None:
    from scipy.stats import skew

    rows, _ = sound(500)
    normal = np.random.default_rng(1).normal(size=500)
    for spread, level in ((0.1, None), (0.6, "note"), (1.1, "warning")):
        y = -np.exp(spread * normal)
        out = check(own(rows, y), checks=["outliers"])
        out = out[out["finding"].str.contains("skewed")]
        assert out["level"].tolist() == ([level] if level else [])
        if level:
            assert f"to the left (skewness {skew(y):.1f})" in out["finding"].iloc[0]


def test_huge_and_tied_values_are_no_obstacle() -> None:
    rows, y = sound(200)
    assert found(own(rows, 1e300 * y), "ties", "outliers") == found(own(rows, y), "ties", "outliers")
    tied = np.where(np.arange(200) < 150, 0.0, y)
    assert not any("robust" in finding for finding in found(own(rows, tied), "outliers"))
    assert found(own(rows, np.ones(200)), "outliers", "learnability") == []


# Learnability


def test_what_can_be_learnt_stands_beside_what_noise_leaves() -> None:
    rows, y = sound(400)
    (known,) = found(own(rows, y, noise_sd=0.1), "learnability", level="note")
    assert known.endswith(
        f"the noise ratio is {0.1 / y.std(ddof=1):.2g}, which leaves R² {1 - 0.01 / y.var(ddof=1):.3f}"
    )
    score = float(known.partition("R² ")[2].partition(" ")[0])
    rank = float(known.partition("τ ")[2].partition(";")[0])
    assert 0.9 < score < 1.0 and 0.7 < rank < 1.0
    (unknown,) = found(own(rows, y), "learnability", level="note")
    assert unknown.endswith("the noise of y is not known")
    # More than what the noise leaves is a contradiction.
    (odd,) = found(own(rows, y, noise_sd=0.5 * y.std(ddof=1)), "learnability", level="warning")
    assert "which leaves R² 0.750, less than what was reached" in odd


def test_noise_and_nothing_to_learn_are_warnings() -> None:
    rows, y = sound(200)
    (noisy,) = found(own(rows, y, noise_sd=0.8 * y.std()), "learnability", level="warning")
    assert "most of y is noise" in noisy
    chance = np.random.default_rng(9).normal(size=200)
    (nothing,) = found(own(rows, chance), "learnability", level="warning")
    assert "next to nothing" in nothing


def test_a_y_that_can_be_ranked_but_not_fitted_is_no_chance() -> None:
    rows, y = sound(300)
    (finding,) = found(own(rows, np.exp(4 * y)), "learnability", level="note")
    assert float(finding.partition("τ ")[2].partition(";")[0]) > 0.4


def test_every_check_is_explained() -> None:
    notes = str(check.__doc__).partition("Notes\n")[2]
    assert CHECKS == (
        "schema",
        "sizes",
        "constant",
        "duplicates",
        "leaks",
        "ties",
        "outliers",
        "learnability",
    )
    assert all(f"\n    {name}\n" in notes for name in CHECKS)
