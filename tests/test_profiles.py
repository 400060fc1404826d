"""Profiles: every slip is found before anything runs, and the message says what to write instead."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embreg.profiles import (
    ProfileError,
    RunSpec,
    defaults_of,
    find_root,
    load_profile,
    parse_value,
    profile_names,
    select,
    with_overrides,
)

PARAMETERS = "dofs = [5]\nn: int = 40\nrate = 0.5\nstyle = 'json'\nflag = False\nlimit = None  # no limit"


def notebook(path: Path, source: str | None = PARAMETERS, tags: tuple[str, ...] = ("parameters",)) -> None:
    cells: list[dict[str, Any]] = [{"cell_type": "markdown", "source": "# T", "metadata": {}}]
    if source is not None:
        cells += [{"cell_type": "code", "source": source, "metadata": {"tags": [tag]}} for tag in tags]
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "notebooks").mkdir()
    notebook(tmp_path / "notebooks" / "02_scaling.ipynb")
    notebook(tmp_path / "notebooks" / "03_other.ipynb", "n = 1")
    profiles(tmp_path, "smoke: {02_scaling: {}, 03_other: }")
    return tmp_path


def profiles(root: Path, text: str) -> None:
    (root / "notebooks" / "profiles.yml").write_text(text)


def problem(root: Path, text: str, profile: str = "smoke") -> str:
    profiles(root, text)
    with pytest.raises(ProfileError) as caught:
        load_profile(profile, root)
    return str(caught.value)


def test_defaults_are_the_notebooks_own(root: Path) -> None:
    specs = load_profile("smoke", root)
    assert [s.name for s in specs] == ["02_scaling", "03_other"]
    want = {"dofs": [5], "n": 40, "rate": 0.5, "style": "json", "flag": False, "limit": None}
    assert specs[0].parameters == want
    assert specs[0].suffix == ""


def test_further_runs_have_names_and_titles_of_their_own(root: Path) -> None:
    profiles(
        root, "smoke:\n  02_scaling:\n  - {n: 50}\n  - {run: wide, dofs: [5, 25]}\n  - {run: same, n: 50}"
    )
    chapter, wide, same = load_profile("smoke", root)
    assert (chapter.name, wide.name, same.name) == ("02_scaling", "02_scaling--wide", "02_scaling--same")
    assert chapter.parameters["n"] == 50
    assert wide.suffix == " (wide: dofs 5, 25; n 40)"
    assert same.suffix == " (same)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("smoke: {02_scaling: {dof: [5]}}", "unknown parameter 'dof' (did you mean 'dofs'?)"),
        ("smoke: {02_scaling: {dofs: 5}}", "dofs must be a list like [5]; however: got the number 5"),
        ("smoke: {02_scaling: {dofs: [a]}}", "it holds the text 'a'"),
        ("smoke: {02_scaling: {dofs: '[5]'}}", "however: got the text '[5]'"),
        ("smoke: {02_scaling: {n: 1.5}}", "n must be a whole number like 40; however: got 1.5"),
        ("smoke: {02_scaling: {n: true}}", "however: got the bool True"),
        ("smoke: {02_scaling: {flag: 1}}", "however: got the number 1"),
        ("smoke: {02_scalin: {}}", "no such notebook (did you mean '02_scaling'?)"),
        ("smoke: {02_scaling: [{}, {}]}", "two runs are named '02_scaling'"),
        ("smoke: {02_scaling: [{}, {run: a/b}]}", "however: got 'a/b'"),
        ("smoke: {02_scaling: [{}, {run: a--b}]}", "however: got 'a--b'"),
        ("smoke: {02_scaling: 5}", "must be a mapping of parameters or a list of them; however: got 5"),
        ("smoke: {02_scaling: []}", "however: got []"),
        ("smoke: [02_scaling]", "must map notebooks to parameters"),
        ("- smoke", "must map profiles to notebooks"),
        ("smoke: {02_scaling: {n: 1, n: 2}}", "'n' is given twice"),
        ("smoke: {", "profiles.yml"),
        # A slip in a profile that nobody runs today is a slip all the same.
        ("smoke: {02_scaling: {}}\npaper: {02_scaling: {m: 1}}", "paper / 02_scaling: unknown parameter 'm'"),
    ],
)
def test_each_slip_is_named(root: Path, text: str, expected: str) -> None:
    assert expected in problem(root, text)


def test_all_problems_come_at_once(root: Path) -> None:
    text = problem(root, "smoke: {02_scaling: {m: 1, n: x}, 03_other: {k: 1}, 04_none: {}}")
    assert "4 problems" in text
    for part in ("'m'", "n must be a number", "'k'", "04_none: no such notebook"):
        assert part in text


@pytest.mark.parametrize(
    ("source", "tags", "expected"),
    [
        (None, (), "exactly one cell tagged 'parameters'; however: 0 found"),
        ("n = 1", ("parameters", "parameters"), "however: 2 found"),
        ("n = f(1)", ("parameters",), "default must be a literal; however: 'n = f(1)'"),
        ("import os", ("parameters",), "assignments only; however: 'import os'"),
        ("n = = 1", ("parameters",), "no Python"),
    ],
)
def test_a_notebook_without_readable_parameters(
    root: Path, source: str | None, tags: tuple[str, ...], expected: str
) -> None:
    notebook(root / "notebooks" / "03_other.ipynb", source, tags)
    assert expected in problem(root, "smoke: {03_other: {}}")


def test_a_damaged_notebook(root: Path) -> None:
    (root / "notebooks" / "03_other.ipynb").write_text('{"cells": [')
    assert "03_other.ipynb is not a notebook" in problem(root, "smoke: {03_other: {}}")


def test_defaults_follow_the_file(root: Path) -> None:
    path = root / "notebooks" / "03_other.ipynb"
    assert defaults_of(path) == {"n": 1}
    notebook(path, "n = 22")
    assert defaults_of(path) == {"n": 22}


def test_null_stands_for_not_set(root: Path) -> None:
    profiles(root, "smoke: {02_scaling: {limit: 7, n: null}}")
    assert load_profile("smoke", root)[0].parameters["limit"] == 7


def test_unknown_profile_lists_the_profiles(root: Path) -> None:
    profiles(root, "smoke: {}\noffline: {}")
    assert profile_names(root) == ["smoke", "offline"]
    with pytest.raises(
        ProfileError, match=r"unknown profile 'offlin' \(did you mean 'offline'\?\).*smoke, offline"
    ):
        load_profile("offlin", root)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), ("-2E+5", -2e5), ("1.5", 1.5), ("3", 3), ("[5, 1e2]", [5, 100.0]), ("json", "json"),
     ("true", True), ("null", None), ("{a: 1}", {"a": 1}), ("x1e3", "x1e3"), ("1e", "1e")],
)  # fmt: skip
def test_values_are_yaml_with_real_exponents(text: str, value: object) -> None:
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


@given(
    st.recursive(st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans(), st.lists)
)
def test_any_json_value_survives_the_command_line(value: object) -> None:
    assert parse_value(json.dumps(value)) == value


def test_a_value_that_is_no_yaml() -> None:
    with pytest.raises(ProfileError, match=r"must be YAML.*however: got '\[5'"):
        parse_value("[5")


def test_no_code_in_yaml() -> None:
    with pytest.raises(ProfileError):
        parse_value("!!python/object/apply:os.system [echo]")


def test_names_select_runs() -> None:
    specs = [RunSpec(n, n.split("--")[0], "smoke") for n in ("02_a", "02_a--x", "03_b", "03_c")]
    names = [["02_a"], ["02_a--x"], ["02"], ["notebooks/03_b.ipynb"], ["03_c", "02_a--x"], []]
    chosen = [[s.name for s in select(specs, n)] for n in names]
    assert chosen == [["02_a", "02_a--x"], ["02_a--x"], ["02_a", "02_a--x"], ["03_b"], ["02_a--x", "03_c"],
                      [s.name for s in specs]]  # fmt: skip
    with pytest.raises(ProfileError, match=r"no run is named '02_aa' \(did you mean '02_a'\?\)"):
        select(specs, ["02_aa"])
    with pytest.raises(ProfileError, match="fits several notebooks: 03_b, 03_c"):
        select(specs, ["03"])


def test_overrides_are_checked_like_the_file(root: Path) -> None:
    specs = load_profile("smoke", root)
    assert [s.parameters["n"] for s in with_overrides(specs, {"n": 7}, root)] == [7, 7]
    with pytest.raises(ProfileError, match="03_other: unknown parameter 'dofs'"):
        with_overrides(specs, {"dofs": [1]}, root)
    with pytest.raises(ProfileError, match="n must be a number like 40"):
        with_overrides(specs, {"n": "many"}, root)


def test_a_run_beside_the_profiles(root: Path) -> None:
    profiles(root, "smoke: {02_scaling: [{}, {run: wide, n: 9}]}")
    (beside,) = with_overrides(load_profile("smoke", root), {"rate": 2}, root, "mine")
    assert (beside.name, beside.suffix) == ("02_scaling--mine", " (mine: rate 2.0)")
    assert beside.parameters["n"] == 40
    with pytest.raises(ProfileError, match=r"however: got '\.\./x'"):
        with_overrides(load_profile("smoke", root), {}, root, "../x")


def test_the_project_is_found_upwards(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (root / "a" / "b").mkdir(parents=True)
    assert find_root(root / "a" / "b") == root.resolve()
