"""What a notebook leaves behind: whole files, the same for the same input, and nothing without a text."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from embreg.records import Run, lists, load
from embreg.stats import Interval


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMBREG_RUN_DIR", str(tmp_path / "run"))
    return tmp_path / "run"


@pytest.fixture
def run(folder: Path) -> Run:
    return Run("00_example")


def facts(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "facts.json").read_text(encoding="utf-8"))


def draw() -> Any:
    fig, ax = plt.subplots()
    ax.plot([0, 1], [1, 0], label="φ_LLM")
    ax.fill_between([0, 1], [0, 0], [1, 1], alpha=0.2)
    ax.legend()
    return fig


def test_the_runner_names_the_folder(folder: Path, run: Run) -> None:
    assert run.folder == folder


def test_a_notebook_opened_by_hand_writes_below_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMBREG_RUN_DIR", raising=False)
    monkeypatch.setenv("EMBREG_HOME", str(tmp_path))
    Run("00_example").fact("tau", 0.5)
    assert (tmp_path / "interactive" / "00_example" / "facts.json").is_file()


# --- tables ----------------------------------------------------------------------------------------------


def test_records_come_back_as_they_were(folder: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    table = pd.DataFrame({"task": ["Sphere", "Discus"], "dof": [5, 100], "kendall_tau": [0.1, math.nan]})
    run.save(table)
    run.save(table.iloc[:1], "differences")
    assert capsys.readouterr().out == (
        "records.parquet: 2 rows, 5 columns\ndifferences.parquet: 1 rows, 3 columns\n"
    )
    kept = pd.read_parquet(folder / "records.parquet")
    pd.testing.assert_frame_equal(kept.drop(columns=["commit", "versions"]), table)
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "differences.parquet"), table.iloc[:1])
    assert sorted(p.name for p in folder.iterdir()) == ["differences.parquet", "records.parquet"]


def test_a_record_says_what_made_it(folder: Path, run: Run) -> None:
    run.save(pd.DataFrame({"task": ["Sphere"]}))
    [row] = pd.read_parquet(folder / "records.parquet").to_dict("records")
    assert json.loads(row["versions"])["numpy"] == np.__version__
    assert row["commit"] is None or re.fullmatch(r"[0-9a-f]{40}(\+changes)?", row["commit"])


def test_a_package_inside_another_project_does_not_take_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from embreg import _provenance

    inside = tmp_path / "site-packages" / "embreg" / "_provenance.py"
    monkeypatch.setattr(_provenance, "__file__", str(inside))
    (tmp_path / ".git").mkdir()
    _provenance.package_commit.cache_clear()
    assert _provenance.package_commit() is None
    _provenance.package_commit.cache_clear()


def test_all_records_of_a_profile_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, table in {
        "02_x": pd.DataFrame({"task": ["Sphere"], "kendall_tau": [0.5], "model": [None]}),
        "02_x--other": pd.DataFrame({"task": ["Discus"], "kendall_tau": [0.25], "model": ["m"]}),
        "03_y.failed": pd.DataFrame({"task": ["never"], "kendall_tau": [0.0]}),
        "09_z": pd.DataFrame({"task": ["diabetes"], "coverage": [0.9]}),
    }.items():
        monkeypatch.setenv("EMBREG_RUN_DIR", str(tmp_path / name))
        Run("some").save(table)
        Run("some").save(table, "differences")
    out = load(tmp_path)
    assert out.run.tolist() == ["02_x", "02_x--other", "09_z"]
    assert out.task.tolist() == ["Sphere", "Discus", "diabetes"]
    assert out.kendall_tau.tolist()[:2] == [0.5, 0.25] and math.isnan(out.kendall_tau[2])
    assert load(tmp_path / "09_z").coverage.tolist() == [0.9]


def test_a_folder_without_records_says_what_makes_them(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"once 'embreg run' made them, however: .* has none"):
        load(tmp_path)


def test_an_index_with_a_name_is_not_lost_in_silence(run: Run) -> None:
    table = pd.DataFrame({"dof": [5, 5], "tau": [0.1, 0.2]})
    with pytest.raises(ValueError, match=r"the name \['dof'\]; reset_index\(\) first"):
        run.save(table.groupby("dof").mean())
    run.save(table[table.tau > 0.1])  # what is left of a default index has no meaning


def test_a_failed_save_leaves_the_old_file(folder: Path, run: Run) -> None:
    run.save(pd.DataFrame({"a": [1]}))
    with pytest.raises(Exception, match=r"mixed|Expected|convert"):
        run.save(pd.DataFrame({"a": [1, "b", object()]}))
    assert pd.read_parquet(folder / "records.parquet").a.tolist() == [1]
    assert [p.name for p in folder.iterdir()] == ["records.parquet"]


# --- figures ---------------------------------------------------------------------------------------------


def test_figure_is_saved_twice_and_closed(folder: Path, run: Run) -> None:
    fig = draw()
    run.figure(fig, "tau", "τ falls")
    assert sorted(p.name for p in (folder / "figures").iterdir()) == ["tau.png", "tau.svg"]
    assert (folder / "figures" / "tau.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (folder / "figures" / "tau.svg").read_bytes()
    assert not plt.fignum_exists(fig.number)


def test_equal_figures_give_equal_bytes(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plt.rcParams, "svg.hashsalt", None)  # a notebook need not have called style()
    images = []
    for _ in range(2):
        shown = run.figure(draw(), "tau", "τ falls").data
        images.append([shown, *((folder / "figures" / f"tau.{k}").read_bytes() for k in ("svg", "png"))])
    assert images[0] == images[1]
    assert b"<dc:date>" not in images[0][1] and b"matplotlib.org" not in images[0][1]


def test_the_text_alternative_is_there_and_escaped(run: Run) -> None:
    html = run.figure(draw(), "tau", 'τ < 0.5 & "falls" <script>').data
    escaped = "τ &lt; 0.5 &amp; &quot;falls&quot; &lt;script&gt;"
    assert f'<img alt="{escaped}" src="data:image/svg+xml;base64,' in html
    assert f"<figcaption>{escaped}</figcaption>" in html
    assert "<script>" not in html
    assert not re.search(r'src="(?!data:)', html)  # nothing is fetched from elsewhere


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_no_figure_without_a_text_alternative(alt: str, folder: Path, run: Run) -> None:
    fig = draw()
    with pytest.raises(ValueError, match="'tau' needs a text alternative, however: alt is empty"):
        run.figure(fig, "tau", alt)
    assert not folder.exists()
    plt.close(fig)


# --- facts -----------------------------------------------------------------------------------------------


def test_facts(folder: Path, run: Run) -> None:
    assert run.fact("tau", 0.576, 0.514, 0.641) == "0.58 [0.51, 0.64]"
    assert run.fact("gap", Interval(-0.001, -0.2, 0.1)) == "0.00 [-0.20, 0.10]"
    assert run.fact("rows", np.int64(500)) == "500"
    assert run.fact("share", np.float32(0.25)) == "0.25"
    assert run.fact("share_text", 0.25, text="25 %") == "25 %"
    assert run.fact("ends_text", 0.5, 0.25, 0.75, text="about half") == "about half"
    assert run.fact("headline", "φ_LLM is ahead") == "φ_LLM is ahead"
    assert facts(folder) == {
        "tau": {"value": 0.576, "text": "0.58 [0.51, 0.64]", "low": 0.514, "high": 0.641},
        "gap": {"value": -0.001, "text": "0.00 [-0.20, 0.10]", "low": -0.2, "high": 0.1},
        "rows": {"value": 500, "text": "500"},
        "share": {"value": 0.25, "text": "0.25"},
        "share_text": {"value": 0.25, "text": "25 %"},
        "ends_text": {"value": 0.5, "text": "about half", "low": 0.25, "high": 0.75},
        "headline": {"value": "φ_LLM is ahead", "text": "φ_LLM is ahead"},
    }


def test_every_fact_is_on_disk_at_once_and_the_last_one_counts(folder: Path, run: Run) -> None:
    for k in range(3):
        run.fact("tau", float(k))
        assert facts(folder)["tau"]["value"] == k
        assert [p.name for p in folder.iterdir()] == ["facts.json"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((math.nan,), ValueError, "a fact must be finite, however: tau is nan"),
        ((np.float32("inf"),), ValueError, "must be finite"),
        ((0.5, -math.inf, math.inf), ValueError, r"must be finite, however: tau is 0.5 \[-inf, inf\]"),
        ((Interval(0.5, np.float64("nan"), 1.0),), ValueError, "must be finite"),
        ((0.5, np.float32("nan"), 1.0), ValueError, "must be finite"),
        ((0.5, 0.4), ValueError, r"two ends, however: tau is 0.5 \[0.4, None\]"),
        (("text", 0.4, 0.6), ValueError, "an interval has a number and two ends"),
        ((0.5, 0.6, 0.4), ValueError, r"from low to high, however: tau has \[0.6, 0.4\]"),
        ((None,), TypeError, "number or a string, however: tau is NoneType"),
        (([0.5],), TypeError, "tau is list"),
        ((np.array([0.5]),), TypeError, "tau is ndarray"),
    ],
)
def test_what_is_no_fact(arguments: Any, error: Any, message: str, folder: Path, run: Run) -> None:
    with pytest.raises(error, match=message):
        run.fact("tau", *arguments)
    assert not folder.exists()


BAD_NAMES = ["", "Tau", "tau-1", "tau.json", "../tau", "a/b", "τ", "tau ", "tau\n", "_tau"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_names(name: str, folder: Path, run: Run) -> None:
    message = "lower case letters, digits and underscores, however: got"
    fig = draw()
    for call in (
        lambda: run.fact(name, 0.5),
        lambda: run.save(pd.DataFrame({"a": [1]}), name),
        lambda: run.figure(fig, name, "text"),
        lambda: Run(name),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert not folder.exists()
    plt.close(fig)


# --- lists -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([5, 10], [5, 10]),
        ((5, 10), [5, 10]),
        ([], []),
        ("[5, 10]", [5, 10]),
        (" [0.001, 1.0e-2]", [0.001, 0.01]),
        ("['a:b', \"c\"]", ["a:b", "c"]),
        ("[]", []),
        ("Sphere", ["Sphere"]),
        (5, [5]),
        (None, [None]),
    ],
)
def test_lists(value: Any, expected: list[Any]) -> None:
    assert lists(value) == [expected]
    assert lists(value, value) == [expected, expected]


@pytest.mark.parametrize("text", ["[5, 10", "[a: b: c]", "[5] 6"])
def test_text_in_brackets_that_is_no_list(text: str) -> None:
    with pytest.raises(ValueError, match=r"a list is written \[a, b\], however: got"):
        lists(text)
