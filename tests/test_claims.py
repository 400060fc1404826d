"""Claims end to end: a list that is checked, records that are current, verdicts that follow from them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from embreg import claims, keys
from embreg._execute import execute
from embreg.claims import ClaimError, RecordError, load, table, verdicts, write
from embreg.claims.statistics import STATISTICS
from embreg.cli import main
from embreg.keys import run_key
from embreg.profiles import find_root, load_profile, profile_names

# Eight functions, three seeds: u is ahead of v by 0.2 at 5 DOF and by 0.4 at 25; w is u with a lot of noise.
CODE = """
import numpy as np, pandas as pd
from embreg.records import Run
run = Run("02_a")
rng = np.random.default_rng(0)
rows = []
for task in ["Sphere", "Rastrigin", "Discus", "Katsuura", "Schwefel", "Lunacek", "BentCigar", "Weierstrass"]:
    for seed in range(n_seeds):
        for dof in (5, 25):
            base = rng.uniform(0.2, 0.4)
            taus = {"u": base + 0.2 * (1 + (dof == 25)), "v": base, "w": base + 0.2 + rng.normal(0, 0.4)}
            place = {"suite": "paper", "task": task, "seed": seed, "dof": dof, "head": "mlp", "model": "u"}
            rows += [{**place, "representation": r, "kendall_tau": t} for r, t in taus.items()]
run.save(pd.DataFrame(rows))
broken = pd.DataFrame(rows).assign(kendall_tau=np.nan)
run.save(broken, "broken")
"""
U, V, W = ({"representation": r, "head": "mlp"} for r in ["@llm", "v", "w"])


def entry(name: str, **test: Any) -> dict[str, Any]:
    made = {
        "run": "02_a",
        "table": "records",
        "where": {"suite": "paper", "dof": "max"},
        "statistic": "paired_difference",
        "args": {"a": U, "b": V},
        "because": "Ahead is above zero.",
    }
    return {
        "id": name,
        "claim": "One is ahead.",
        "paper": {"where": "§9", "says": "it is ahead", "number": 0.5, "evidence": "S1"},
        "chapter": "02_a",
        "test": {**made, **test},
        "decided_by": ["offline"],
        "needs": "a record",
    }


PARTS = [
    {"name": "first", "args": {"a": U, "b": V}, "above": 0},
    {"name": "second", "args": {"a": V, "b": U}, "above": 0},
]
CLAIMS: list[dict[str, Any]] = [
    entry("ahead", above=0),
    entry("behind", below=0),
    entry("noisy", args={"a": W, "b": U}, above=-0.19),
    entry("both", all_of=PARTS, args={}),
    {**entry("larger", above=0), "decided_by": ["paper"], "needs": "a larger machine"},
]


class Project:
    """A project with claims; its record was made by the package's own runner."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, content: Any) -> None:
        text = (
            content
            if isinstance(content, str)
            else yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
        )
        (self.root / "book" / "claims.yml").write_text(text, encoding="utf-8")

    def profile(self, offline: dict[str, Any]) -> None:
        text = json.dumps({"smoke": {}, "offline": offline, "paper": {"02_a": {}}})
        (self.root / "notebooks" / "profiles.yml").write_text(text)

    def problem(self, content: Any) -> str:
        self.write(content)
        with pytest.raises(ClaimError) as caught:
            load(self.root)
        return str(caught.value)

    def verdict(self, *entries: dict[str, Any]) -> Any:
        self.write(list(entries))
        (found,) = verdicts("offline", self.root)
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("project")
    for name in ("notebooks", "book", "package"):
        (root / name).mkdir()
    (root / "package" / "code.py").write_text("A = 1\n")
    (root / "constraints.txt").write_text("numpy==2.0\n")
    cells = [
        new_markdown_cell("# T", id="title"),
        new_code_cell("models = ['u:json']\nn_seeds = 3", id="parameters", metadata={"tags": ["parameters"]}),
        new_code_cell(CODE.strip(), id="code"),
    ]
    nbformat.write(new_notebook(cells=cells), root / "notebooks" / "02_a.ipynb")
    project = Project(root)
    project.profile({"02_a": {}})
    project.write(CLAIMS)
    (spec,) = load_profile("offline", root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "package_folder", lambda: root / "package")
        key = run_key(root / "notebooks" / "02_a.ipynb", spec.parameters, root)
        assert execute(spec, root, key=key, threads=1).status == "ran"
    yield root


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    root = tmp_path / "project"
    shutil.copytree(made, root)
    monkeypatch.setattr(keys, "package_folder", lambda: root / "package")
    return Project(root)


def test_verdicts_follow_from_the_record(project: Project) -> None:
    found = {v.id: v for v in verdicts("offline", project.root)}
    assert {name: v.verdict for name, v in found.items()} == {
        "ahead": "reproduced",
        "behind": "not reproduced",
        "noisy": "undecided",
        "both": "not reproduced",
        "larger": "not testable in this profile",
    }
    ahead = found["ahead"]
    # @llm is the first model, without its format; max is the largest DOF.
    assert (ahead.value, ahead.low, ahead.high) == pytest.approx((0.4, 0.4, 0.4))
    assert (ahead.n, ahead.seeds, ahead.unit, ahead.limit, ahead.models) == (8, 3, "Kendall τ", "> 0", "u")
    assert ahead.why == "Kendall τ 0.40 [0.40, 0.40] (8 functions, 3 seeds), the whole interval is > 0."
    assert (ahead.paper_number, ahead.where, ahead.evidence, ahead.chapter) == ("0.5", "§9", "S1", "02_a")
    assert (ahead.run, ahead.record) == ("02_a", "offline/02_a/run.json")
    assert ahead.command == "embreg run 02_a --profile offline"
    run = json.loads((project.root / "runs/offline/02_a/run.json").read_text())
    assert ahead.computed_from_digest == run["files"]["records.parquet"]

    assert found["behind"].why.endswith("the whole interval is not < 0.")
    assert "would decide it" in found["noisy"].why and "reaches both sides of -0.19" in found["noisy"].why
    # Of several parts the one furthest from passing stands in the table, and all are told.
    assert (found["both"].value, found["both"].limit) == (pytest.approx(-0.4), "> 0")
    assert found["both"].why.startswith("First: Kendall τ 0.40") and "; second: " in found["both"].why
    larger = found["larger"]
    assert larger.why == "profile offline cannot decide it; paper can. It needs a larger machine."
    assert (larger.value, larger.run, larger.record, larger.command) == (None,) * 4


def test_a_claim_that_names_its_tasks_cannot_have_more_of_them(project: Project) -> None:
    named = {"suite": "paper", "dof": "max", "task": ["Sphere", "Discus", "Katsuura", "Schwefel"]}
    found = project.verdict(entry("x", where=named, args={"a": W, "b": U}, above=-0.3))
    assert found.verdict == "undecided" and found.n == 4
    assert "functions, however: there are 4" in found.why or "no feasible number" in found.why


@pytest.mark.parametrize(("tasks", "verdict"), [(3, "undecided"), (4, "reproduced")])
def test_a_few_tasks_decide_nothing_of_others_however_narrow_the_interval(
    project: Project, tasks: int, verdict: str
) -> None:
    names = ["Sphere", "Discus", "Katsuura", "Schwefel"][:tasks]
    found = project.verdict(entry("x", where={"suite": "paper", "dof": "max", "task": names}, above=0))
    assert (found.verdict, found.n) == (verdict, tasks)
    assert found.low > 0  # the interval alone would have said so
    assert ("3 functions can decide nothing of others; it takes at least 4" in found.why) is (tasks < 4)


def test_models_are_those_whose_rows_are_read(project: Project) -> None:
    assert project.verdict(entry("x", above=0)).models == "u"
    pooled = entry("x", above=0, statistic="rank_agreement", args={"other": "kendall_tau"})
    assert project.verdict(pooled).models == "u"


def test_files_hold_the_same_as_the_table(project: Project, tmp_path: Path) -> None:
    written = write("offline", project.root, tmp_path / "out")
    pd.testing.assert_frame_equal(written, table("offline", project.root))
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out/claims.parquet"), written)
    rows = json.loads((tmp_path / "out/claims.json").read_text(encoding="utf-8"))
    assert [row["id"] for row in rows] == [c["id"] for c in CLAIMS]
    assert " ".join(rows[0]).startswith(
        "id claim where paper_number paper_says evidence value low high unit n limit verdict why profile run "
        "record chapter models commit computed_from_digest"
    )
    assert rows[-1]["value"] is None and rows[-1]["n"] is None and rows[0]["n"] == 8
    text = pd.read_csv(tmp_path / "out/claims.csv")
    assert text.verdict.tolist() == written.verdict.tolist()
    assert text.value.tolist()[:-1] == pytest.approx(written.value.tolist()[:-1])
    assert str(project.root) not in (tmp_path / "out/claims.json").read_text(encoding="utf-8")


def test_nothing_is_needed_where_nothing_can_be_decided(project: Project) -> None:
    shutil.rmtree(project.root / "runs")
    assert set(table("smoke", project.root).verdict) == {"not testable in this profile"}


@pytest.mark.parametrize("how", ["missing", "parameters", "package", "file"])
def test_a_record_that_is_not_current_is_an_error(project: Project, tmp_path: Path, how: str) -> None:
    folder = project.root / "runs/offline/02_a"
    if how == "missing":
        shutil.rmtree(folder)
    elif how == "parameters":
        project.profile({"02_a": {"n_seeds": 4}})
    elif how == "package":
        (project.root / "package" / "code.py").write_text("A = 2\n")
    else:  # someone has improved the numbers by hand
        pd.read_parquet(folder / "records.parquet").assign(kendall_tau=1.0).to_parquet(
            folder / "records.parquet"
        )
    with pytest.raises(RecordError) as caught:
        write("offline", project.root, tmp_path / "out")
    text = str(caught.value)
    reason = {"missing": "never ran", "parameters": "n_seeds: 3 → 4", "package": "the package's code",
              "file": "records.parquet was changed after the run"}[how]  # fmt: skip
    assert text.startswith("4 claims have no current record in profile offline") and reason in text
    assert "ahead, behind, noisy, both" in text and "larger" not in text
    assert text.endswith("make them by: embreg run 02_a --profile offline")
    assert not (tmp_path / "out").exists()


def test_the_module_of_claims_is_no_part_of_a_key() -> None:
    assert keys._is_without_effect(Path("claims/statistics.py"))
    assert not keys._is_without_effect(Path("stats.py"))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"table": "recods"}, "no table 'recods'; it has: broken, records"),
        ({"table": "broken"}, "kendall_tau must be a number in every row, however: it is missing in 24"),
        ({"where": {"suit": "paper"}}, "no column 'suit' in the table (did you mean 'suite'?)"),
        (
            {"args": {"a": U, "b": {"representation": "x"}}},
            "no row has representation 'x'; there are: u, v, w",
        ),
        ({"where": {}}, "is there twice; choose further by 'where'"),
    ],
)
def test_a_record_that_does_not_hold_what_is_asked(
    project: Project, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecordError) as caught:
        project.verdict(entry("x", above=0, **changed))
    assert str(caught.value).startswith("claim x: paired_difference of 02_a/") and message in str(
        caught.value
    )


def test_of_several_runs_each_has_to_pass(project: Project) -> None:
    project.profile({"02_a": [{}, {"run": "more", "n_seeds": 2}]})
    key = run_key(project.root / "notebooks/02_a.ipynb", {"models": ["u:json"], "n_seeds": 2}, project.root)
    execute(load_profile("offline", project.root)[1], project.root, key=key, threads=1)
    found = project.verdict(entry("x", run=["02_a", "02_a--more"], above=0))
    assert found.verdict == "reproduced" and "02_a--more: Kendall τ" in found.why and found.n == 8
    assert found.run == "02_a, 02_a--more" and found.command == "embreg run 02_a 02_a--more --profile offline"


SLIPS: list[tuple[dict[str, Any], str]] = [
    ({"clam": "x"}, "x: unknown key 'clam' in the entry (did you mean 'claim'?)"),
    ({"needs": None}, "x: needs must be a sentence, however: got None"),
    ({"id": "X y"}, "id must be letters a-z"),
    ({"paper": {"where": "§1", "says": "x"}}, "x: paper needs evidence, number"),
    ({"paper": {"where": "§1", "says": "x", "number": None, "evidence": "S3"}}, "one of V, S2, S1"),
    ({"chapter": "02_b"}, "x: no chapter '02_b' (did you mean '02_a'?)"),
    ({"decided_by": ["ofline"]}, "x: unknown profile 'ofline' (did you mean 'offline'?)"),
    ({"decided_by": []}, "at least one profile"),
    ({"decided_by": ["smoke"]}, "x: profile smoke has no run '02_a'; leave the profile out"),
]
TESTS: list[tuple[dict[str, Any], str]] = [
    ({"statistic": "win_shar"}, "unknown statistic 'win_shar' (did you mean 'win_share'?)"),
    ({"args": {"a": {}}}, "paired_difference needs the argument b"),
    ({"args": {"a": {}, "b": {}, "avrage": "dof"}}, "no argument 'avrage' (did you mean 'average'?)"),
    ({"below": 1}, "one limit, above, below or within, however: got above and below"),
    ({"above": None}, "above must be a finite number, however: got None"),
    ({"within": [1, 2, 3]}, "got above and within"),
    ({"run": "02_b"}, "profile offline has no run '02_b' (did you mean '02_a'?)"),
    ({"run": 2}, "run must be a name or a list of names, however: got 2"),
    ({"were": {}}, "unknown key 'were' in test (did you mean 'where'?)"),
    ({"because": " "}, "because must be a sentence"),
    ({"where": "suite"}, "where must be a mapping"),
    ({"all_of": [{"name": "one"}]}, "at least two parts"),
    ({"all_of": [{"above": 0}, {"name": "b"}]}, "a part of all_of needs name"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "message"), SLIPS, ids=[m for _, m in SLIPS])
def test_slips_in_an_entry(project: Project, changed: dict[str, Any], message: str) -> None:
    text = project.problem([{**entry("x", above=0), **changed}])
    assert text.startswith("book/claims.yml: ") and message in text


@pytest.mark.parametrize(("changed", "message"), TESTS, ids=[m for _, m in TESTS])
def test_slips_in_a_test(project: Project, changed: dict[str, Any], message: str) -> None:
    text = project.problem([entry("x", **{"above": 0, **changed})])
    assert "x: " in text and message in text


def test_other_slips_in_the_file(project: Project) -> None:
    assert "x: is there twice" in project.problem([entry("x", above=0), entry("x", below=0)])
    assert "must be a list of claims" in project.problem("a: 1")
    assert "'id' is given twice" in project.problem("- {id: a, id: b}")
    # All are told at once.
    text = project.problem([{**entry("x", above=0), "chapter": "y"}, {**entry("y"), "needs": 3}, "z"])
    assert text.startswith("book/claims.yml: 4 problems") and "claim 3: the entry must be a mapping" in text
    (project.root / "book" / "claims.yml").unlink()
    with pytest.raises(ClaimError, match="cannot be read"):
        load(project.root)


def run(capsys: pytest.CaptureFixture[str], project: Project, *arguments: object) -> tuple[int, str, str]:
    code = main(["claims", "--root", str(project.root), *map(str, arguments)])
    return code, *capsys.readouterr()


def test_command_shows_a_table(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = run(capsys, project)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["claim", "verdict", "test", "here", "paper"]
    assert lines[1].split() == ["ahead", "reproduced", ">", "0", "0.40", "[0.40,", "0.40]", "0.5"]
    assert lines[5].split() == ["larger", "not", "testable", "0.5"]
    assert (
        "5 claims, profile offline: 2 not reproduced, 1 reproduced, 1 undecided, 1 not testable"
        in " ".join(out.split())
    )


def test_command_writes_files(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = {kind: tmp_path / f"c.{kind}" for kind in ("json", "csv", "parquet")}
    code, _, _ = run(capsys, project, *(part for kind, path in paths.items() for part in (f"--{kind}", path)))
    assert code == 0
    pd.testing.assert_frame_equal(pd.read_parquet(paths["parquet"]), table("offline", project.root))
    assert len(json.loads(paths["json"].read_text(encoding="utf-8"))) == len(pd.read_csv(paths["csv"])) == 5


def test_command_shows_one_claim_in_full(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run(capsys, project, "--claim", "both")
    flat = " ".join(out.split())
    assert code == 0 and max(map(len, out.splitlines())) <= 80
    for text in (
        "both: not reproduced",
        "§9: it is ahead (0.5) [S1]",
        "first: paired_difference > 0, of 02_a/records; suite: paper, dof: max",
        "second: paired_difference > 0",
        "Ahead is above zero.",
        "runs/offline/02_a/run.json",
        "embreg run 02_a --profile offline",
    ):
        assert text in flat
    assert "ahead:" not in out


def test_exit_codes(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, project, "--claim", "ahaed")
    assert code == 2 and "no claim is named 'ahaed' (did you mean 'ahead'?)" in err
    code, _, err = run(capsys, project, "--profile", "ofline")
    assert code == 2 and "did you mean 'offline'?" in err
    shutil.rmtree(project.root / "runs")
    # Only what is asked for has to be there.
    assert run(capsys, project, "--claim", "larger")[0] == 0
    code, out, err = run(capsys, project, "--claim", "ahead")
    assert (code, out) == (1, "") and "1 claim has no current record" in err
    project.write([{**entry("x", above=0), "chapter": "y"}])
    code, _, err = run(capsys, project)
    assert code == 2 and "no chapter 'y'" in err


ROOT = find_root(Path(__file__).parent)


def test_the_books_claims_are_whole() -> None:
    """Chapters, runs, statistics and arguments are checked by loading; this is about what each says."""
    found = load(ROOT)
    assert len({c.id for c in found}) == len(found) >= 30
    known = {name: {spec.name for spec in load_profile(name, ROOT)} for name in profile_names(ROOT)}
    for claim in found:
        assert set(claim.paper) == {"where", "says", "number", "evidence"}, claim.id
        assert claim.because.endswith(".") and claim.claim.endswith("."), claim.id
        assert claim.chapter in {run.split("--")[0] for run in claim.runs}, claim.id
        assert all(run in known[profile] for profile in claim.decided_by for run in claim.runs), claim.id
        # Who reads `embreg claims` gets sentences.
        assert len(claim.claim) < 130 and len(claim.because) < 220, claim.id
    assert {part.statistic for claim in found for part in claim.parts} == set(STATISTICS)
    subjects = ("dof-", "functions-", "nlfd-", "family-", "t5-size", "size-recipes", "pretraining-",
                "forward-pass-", "names-", "pooling-", "heads-", "sample-size-", "metrics-")  # fmt: skip
    for subject in subjects:
        assert any(c.id.startswith(subject) for c in found), subject


def test_public_names() -> None:
    assert set(claims.__all__) <= set(dir(claims))
