"""Every figure and table leads to a record, and the record says what made it and how to make it again."""

from __future__ import annotations

import hashlib
import html
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from embreg import cli
from embreg._provenance import column_values, models_used
from embreg._record_links import PAGE, anchor, is_shown, linked
from embreg._rerun import command_of
from embreg.book import BookError, build, stage
from embreg.keys import run_key
from embreg.profiles import RunSpec, load_profile, parse_value, select, with_overrides
from embreg.runs import run_all
from tests.test_book import REPO, cell, make, notebook, save

FIGURE = (
    '<figure class="embreg-figure"><img alt="τ is 0.5" src="data:image/svg+xml;base64,PHN2Zy8+"/></figure>'
)
TABLE = '<div><table class="dataframe"><tr><td>1</td></tr></table></div>'
STYLED = '<style></style><table id="T_1"><tr><td>1</td></tr></table>'
DRAWN = {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure>"}
MODEL = {"revision": "local", "weights_digest": "5d" * 32, "tokenizer_digest": "7e" * 32}


def shown(kind: str, content: str) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": {kind: content, "text/plain": "x"}}


def outputs() -> list[list[dict[str, Any]]]:
    """Outputs of the cells of a notebook: five figures and tables in three cells."""
    printed = {"output_type": "stream", "name": "stdout", "text": ["| a |\n", "<table>\n"]}
    return [
        [printed, shown("text/html", FIGURE)],
        [shown("text/html", TABLE), printed, {**shown("text/html", STYLED), "execution_count": None}],
        [shown("text/markdown", "| a | b |\n|---|--:|\n| 1 | 2 |"), shown("text/markdown", "- plain | text")],
        [shown("text/plain", "3"), shown("text/html", "<b>3</b>"), printed],
        [shown("text/html", FIGURE.replace("0.5", "0.7"))],
    ]


SHOWN = 5


def with_outputs(meta: dict[str, Any] | None, title: str) -> dict[str, Any]:
    content = notebook(title, meta)
    content["cells"][0]["source"] += " Here is $x^2$."
    for i, made in enumerate(outputs()):
        content["cells"].append(cell("code", f"{title} {i}", outputs=made, execution_count=i + 3))
    return content


def save_run(root: Path, name: str, title: str, parameters: dict[str, Any]) -> Path:
    """A run with real files, a real key and their real digests."""
    folder = root / "runs" / "offline" / name
    shutil.rmtree(folder, ignore_errors=True)
    source = name.partition("--")[0]
    key = run_key(root / "notebooks" / f"{source}.ipynb", parameters, root)
    meta = {
        "run": name,
        "notebook": source,
        "profile": "offline",
        "parameters": parameters,
        "key": key,
        "digest": "ab" * 32,
        "facts": {"headline": {"value": 0.5, "text": "0.5"}},
        "seeds": [0, 1],
        "models": {"tiny": MODEL, "service": None},
        "seconds": 187.3,
        "started": "2026-01-02T03:04:05+00:00",
        "versions": {"numpy": "2.0"},
        "commit": "0123456789abcdef+changes",
        "machine": {"platform": "Linux x86_64", "processor": "Some *CPU*", "cores": 2, "threads": 1},
    }
    save(folder / "notebook.ipynb", with_outputs(meta, title))
    save(folder / "facts.json", meta["facts"])
    (folder / "figures").mkdir()
    for ending in ("svg", "png"):
        (folder / "figures" / f"tau.{ending}").write_text(f"{name} {ending}")
    pd.DataFrame({"seed": [1, 0], "model": ["tiny", None]}).to_parquet(folder / "records.parquet")
    sign(folder, meta)
    return folder


def sign(folder: Path, meta: dict[str, Any]) -> None:
    paths = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "run.json"]
    files = {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}
    save(folder / "run.json", {**meta, "files": files})


def make_with_records(root: Path) -> Path:
    make(root)
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    toc["parts"][0]["chapters"].append({"file": PAGE})
    (root / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    shutil.copy(REPO / f"{PAGE}.md", root / f"{PAGE}.md")
    (root / "index.md").write_text("# Home\n\nSee [one](notebooks/01_one.ipynb).\n", encoding="utf-8")
    save_run(root, "01_one", "One", {"dof": 5})
    save_run(root, "01_one--wide", "One (wide: dof 9)", {"dof": 9})
    save_run(root, "01_one--by-hand", "One (by-hand: dof 7)", {"dof": 7})
    meta: dict[str, Any] = {
        "run": "02_two",
        "notebook": "02_two",
        "profile": "smoke",
        "parameters": {"dof": 3},
    }
    save(root / "notebooks/02_two.ipynb", with_outputs(meta, "Two"))
    meta |= {"digest": "cd" * 32, "key": run_key(root / "notebooks/02_two.ipynb", {"dof": 3}, root)}
    save(root / "notebooks/02_two.ipynb", with_outputs(meta, "Two"))
    profiles = {"smoke": {"02_two": {}}, "offline": {"01_one": [{"dof": 5}, {"run": "wide", "dof": 9}]}}
    (root / "notebooks/profiles.yml").write_text(yaml.safe_dump(profiles), encoding="utf-8")
    return root


RUNS = ["01_one", "01_one--wide", "01_one--by-hand", "02_two"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_with_records(tmp_path)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = make_with_records(tmp_path_factory.mktemp("book"))
    return root, build("offline", root).parent


def made_of(root: Path, run: str) -> dict[str, Any]:
    path = root / "notebooks/02_two.ipynb" if run == "02_two" else root / f"runs/offline/{run}/notebook.ipynb"
    return dict(json.loads(path.read_text(encoding="utf-8"))["metadata"]["embreg"])


def section(page: str, run: str) -> str:
    """Part of the staged page of records about one run."""
    return page.partition(f"({anchor(run)})=\n")[2].partition("\n(run-")[0]


# --- links -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", RUNS)
def test_each_figure_and_table_has_one_link_right_below_it(root: Path, run: str) -> None:
    content = json.loads((stage("offline", root) / f"notebooks/{run}.ipynb").read_text(encoding="utf-8"))
    found = 0
    for staged, original in zip(content["cells"][3:], outputs(), strict=True):
        links = [i for i, o in enumerate(staged["outputs"]) if "embreg-record" in str(o.get("data", ""))]
        assert [i - 1 for i in links] == [i for i, o in enumerate(staged["outputs"]) if is_shown(o)]
        assert [o for i, o in enumerate(staged["outputs"]) if i not in links] == original
        found += len(links)
        for i in links:
            line = staged["outputs"][i]["data"]["text/html"]
            assert f'href="../book/records.html#{anchor(run)}"' in line
    assert found == SHOWN
    line = re.sub("<[^>]+>", "", html.unescape(line))
    profile, commit = ("smoke", "unknown") if run == "02_two" else ("offline", "0123456 with changes")
    assert line == f"record: {run} · profile {profile} · commit {commit}"


def test_what_a_run_wrote_and_what_is_committed_is_not_touched(root: Path) -> None:
    places = [p for top in ("runs", "notebooks") for p in (root / top).rglob("*") if p.is_file()]
    before = {p: p.read_bytes() for p in places}
    stage("offline", root)
    assert {p: p.read_bytes() for p in places} == before


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (shown("text/html", FIGURE), True),
        (shown("text/html", STYLED), True),
        ({"output_type": "execute_result", "data": DRAWN}, True),
        (shown("text/markdown", "a | b\n--|--\n1 | 2"), True),
        (shown("text/markdown", "a heading\n---\n"), False),
        (shown("text/html", "a <b>table</b>"), False),
        ({"output_type": "stream", "name": "stdout", "text": TABLE}, False),
        ({"output_type": "error", "ename": "E", "evalue": "<table>", "traceback": []}, False),
    ],
)
def test_what_counts_as_a_figure_or_a_table(output: dict[str, Any], expected: bool) -> None:
    assert is_shown(output) is expected


def test_the_notebook_that_is_given_stays_as_it_is() -> None:
    content = with_outputs(None, "One")
    before = json.dumps(content)
    assert linked(content, {"run": "01_one", "profile": "smoke"}, "notebooks/01_one") is not None
    assert json.dumps(content) == before
    assert linked(notebook("One"), {"run": "01_one", "profile": "smoke"}, "notebooks/01_one") is None


def test_a_book_without_the_page_has_no_links(root: Path) -> None:
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    toc["parts"][0]["chapters"].pop()
    (root / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    source = stage("offline", root)
    original = (root / "runs/offline/01_one/notebook.ipynb").read_bytes()
    assert (source / "notebooks/01_one.ipynb").read_bytes() == original
    assert (source / f"{PAGE}.md").read_bytes() == (REPO / f"{PAGE}.md").read_bytes()


def test_this_book_has_the_page() -> None:
    parts = yaml.safe_load((REPO / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    [reference] = [part for part in parts if part["caption"] == "Reference"]
    assert {"file": PAGE} in reference["chapters"]


# --- the page --------------------------------------------------------------------------------------------


def test_a_record_says_all_there_is(root: Path) -> None:
    page = (stage("offline", root) / f"{PAGE}.md").read_text(encoding="utf-8")
    assert page.startswith((REPO / f"{PAGE}.md").read_text(encoding="utf-8").rstrip())
    text = section(page, "01_one--wide")
    for expected in (
        "Seeds: 0, 1\n", "dof: 9\n", "- numpy 2.0\n", "Took: 3 min 7 s", f"Run: `{'ab' * 32}`",
        "Commit: `0123456789abcdef`, with changes that no commit holds",
        r"Machine: Linux x86\_64, Some \*CPU\*, 2 cores, 1 threads",
        f"Model: `tiny` of `local`, weights `{'5d' * 32}`, tokenizer `{'7e' * 32}`",
        "Model: `service`, which was not on the machine: no digest",
    ):  # fmt: skip
        assert expected in text


def test_an_older_record_gets_seeds_and_models_from_its_tables(root: Path) -> None:
    folder = root / "runs/offline/01_one"
    meta = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    save(folder / "run.json", {k: v for k, v in meta.items() if k not in ("seeds", "models")})
    nb = json.loads((folder / "notebook.ipynb").read_text(encoding="utf-8"))
    for name in ("seeds", "models"):
        del nb["metadata"]["embreg"][name]
    save(folder / "notebook.ipynb", nb)
    sign(folder, nb["metadata"]["embreg"])
    text = section((stage("offline", root) / f"{PAGE}.md").read_text(encoding="utf-8"), "01_one")
    assert "Seeds: 0, 1\n" in text and "Model: `tiny`; its digest was not recorded yet" in text


def test_links_lead_to_their_record_and_files_are_what_it_says(built: tuple[Path, Path]) -> None:
    pages = built[1]
    text = (pages / f"{PAGE}.html").read_text(encoding="utf-8")
    for run in RUNS:
        page = (pages / f"notebooks/{run}.html").read_text(encoding="utf-8")
        links = re.findall(r'<p class="embreg-record"><a href="([^"]+)"', page)
        assert links == [f"../book/records.html#{anchor(run)}"] * SHOWN
        assert re.search(f'id="{anchor(run)}"', text)
    offered = re.findall(
        r'href="(\.\./_downloads/[^"]+)".*?</a>,[^,]*, SHA-256\s*<code.*?([0-9a-f]{64})', text
    )
    assert len(offered) == 4 * 3  # facts, records, SVG and PNG of three runs
    for address, checksum in offered:
        assert hashlib.sha256((pages / "book" / address).read_bytes()).hexdigest() == checksum
    assert len(text) < 100_000


def test_a_page_without_a_formula_does_not_load_what_draws_formulas(built: tuple[Path, Path]) -> None:
    loads = {
        name: "mathjax/tex-svg.js" in (built[1] / f"{name}.html").read_text(encoding="utf-8")
        for name in ("index", PAGE, "notebooks/01_one")
    }
    assert loads == {"index": False, PAGE: False, "notebooks/01_one": True}


def test_a_large_file_is_named_and_not_offered(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embreg._record_page.LIMIT", 12)
    source = stage("offline", root)
    text = section((source / f"{PAGE}.md").read_text(encoding="utf-8"), "01_one")
    assert re.search(r"- `facts.json`, 1 kB, too large for the book, SHA-256 `[0-9a-f]{64}`", text)
    assert [p.name for p in sorted((source / f"{PAGE}/01_one").rglob("*.*"))] == ["tau.png", "tau.svg"]


def lose(folder: Path) -> None:
    (folder / "records.parquet").unlink()


def edit(folder: Path) -> None:
    path = folder / "notebook.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace("0.5", "0.9"), encoding="utf-8")


def forget(folder: Path) -> None:
    (folder / "run.json").unlink()


def lone(folder: Path) -> None:
    (folder / "figures/tau.png").unlink()
    meta = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    sign(folder, meta)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lose, "01_one: records.parquet is missing; run `embreg run 01_one --profile offline --force`"),
        (edit, "01_one: notebook.ipynb was changed after the run"),
        (forget, "01_one: it has no run.json"),
        (lone, "01_one: figures/tau.svg has no PNG twin"),
    ],
)
def test_a_record_that_does_not_fit_its_files_is_refused(root: Path, spoil: Any, message: str) -> None:
    spoil(root / "runs/offline/01_one")
    with pytest.raises(BookError, match=re.escape(message)):
        stage("offline", root)


def test_a_committed_figure_without_a_record_is_refused(root: Path) -> None:
    save(root / "notebooks/02_two.ipynb", with_outputs(None, "Two"))
    with pytest.raises(
        BookError, match=r"02_two: it shows figures or tables and carries no run.*embreg note"
    ):
        stage("offline", root)


# --- the command -----------------------------------------------------------------------------------------


def specs_of(command: str, root: Path) -> list[RunSpec]:
    """Runs that a command of ``embreg run`` asks for, by the command line's own parser."""
    program, *words = shlex.split(command)
    args = cli._parser().parse_args(words)
    assert program == "embreg" and args.call is cli._run
    specs = select(load_profile(args.profile, root), args.names)
    values = {key: parse_value(value) for key, value in args.parameters}
    return with_overrides(specs, values, root, args.as_run) if values or args.as_run else specs


@pytest.mark.parametrize("run", RUNS)
def test_the_command_asks_for_the_same_run_with_the_same_key(root: Path, run: str) -> None:
    page = (stage("offline", root) / f"{PAGE}.md").read_text(encoding="utf-8")
    [command] = re.findall(r"```sh\n(.*)\n```", section(page, run))
    [spec] = [s for s in specs_of(command, root) if s.name == run]
    made = made_of(root, run)
    assert run_key(root / f"notebooks/{spec.notebook}.ipynb", spec.parameters, root) == made["key"]
    assert spec.profile == made["profile"]


def test_commands_are_short_where_nothing_differs(root: Path) -> None:
    commands = [command_of(made_of(root, run), root) for run in RUNS]
    assert commands == [
        "embreg run 01_one --profile offline",
        "embreg run 01_one--wide --profile offline",
        "embreg run 01_one --profile offline -p dof 7 --as by-hand",
        "embreg run 02_two --profile smoke",
    ]
    alone = {**made_of(root, "02_two"), "profile": "other"}
    assert command_of(alone, root) == "embreg notebooks 02_two --force"
    assert cli._parser().parse_args(shlex.split(command_of(alone, root))[1:]).call is cli._notebooks


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.floats(-1e9, 1e9)
    | st.text(st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_categories=["Cc"]), max_size=6)
    | st.sampled_from(["1e-3", "yes", "null", "-x", "a: b", "it's", "org/t5:json:2", "[5]", "2026-1-1"]),
    lambda inner: st.lists(inner, max_size=3), max_leaves=4,
)  # fmt: skip


@given(value=VALUES)
def test_any_value_comes_back_from_the_command(value: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.getbasetemp() / "command"
    if not root.is_dir():
        content = notebook("One")
        content["cells"][1]["source"] = "free = None"
        save(root / "notebooks/01_one.ipynb", content)
        (root / "notebooks/profiles.yml").write_text("smoke: {01_one: {free: other}}", encoding="utf-8")
    made = {"run": "01_one", "notebook": "01_one", "profile": "smoke", "parameters": {"free": value}}
    [spec] = specs_of(command_of(made, root), root)
    assert (spec.parameters["free"], type(spec.parameters["free"])) == (value, type(value))


# --- what a run keeps ------------------------------------------------------------------------------------


def test_models_are_known_by_their_digests(tmp_path: Path) -> None:
    from embreg.models import resolve

    folder = tmp_path / "tiny"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (folder / name).write_text("{}")
    run = tmp_path / "run"
    run.mkdir()
    rows = {"model": [str(folder), None, "no-such-model"], "seed": [2.0, 0.0, float("nan")]}
    pd.DataFrame(rows).to_parquet(run / "records.parquet")
    pd.DataFrame({"model": [str(folder)]}).to_parquet(run / "more.parquet")
    local = resolve(folder)
    found = models_used(
        run, {"model": f"{folder}:values:2", "random_models": ["no-other"], "models_note": "x"}
    )
    assert found == {
        "no-such-model": None,
        str(folder): {
            "revision": "local",
            "weights_digest": local.weights_digest,
            "tokenizer_digest": local.tokenizer_digest,
        },
    }
    assert column_values(run, "seed") == [0, 2]
    seeds = pa.table({"seed": pa.array([float("nan"), 2.0, None, 1.0])}), pa.table({"seed": ["all", "a"]})
    for i, table in enumerate(seeds):
        pq.write_table(table, run / f"{i}.parquet")
    assert column_values(run, "seed") == [0, 1, 2, "a", "all"]
    assert models_used(tmp_path / "none", {"models": [str(folder)]}).keys() == {str(folder)}


def test_an_executed_run_keeps_its_seeds_and_models(tmp_path: Path) -> None:
    content = notebook("One")
    content["cells"][2]["source"] = (
        "import os, pandas\n"
        "table = pandas.DataFrame({'seed': range(dof), 'model': ['behind-an-endpoint', None, None]})\n"
        "table.to_parquet(os.environ['EMBREG_RUN_DIR'] + '/records.parquet')"
    )
    save(tmp_path / "notebooks/01_one.ipynb", content)
    (tmp_path / "notebooks/profiles.yml").write_text("smoke: {01_one: {}}", encoding="utf-8")
    [done] = run_all(load_profile("smoke", tmp_path), tmp_path, show=False)
    assert done.status == "ran", done.reason
    record = json.loads((done.folder / "run.json").read_text(encoding="utf-8"))
    assert (record["seeds"], record["models"]) == ([0, 1, 2], {"behind-an-endpoint": None})
