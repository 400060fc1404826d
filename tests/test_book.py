"""The book: what is staged, what is refused, what a page says, and when nothing is rendered."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import embreg
from embreg.book import BookError, build, stage

REPO = Path(__file__).parents[1]
PROFILES = {"smoke": {}, "offline": {"01_one": [{"dof": 5}, {"run": "wide", "dof": 9}]}}
INDEX = """# Home

We find {fact}`01_one/headline` (profile {fact}`01_one/@profile`, {fact}`01_one/@commit`), as $x^2$ grows.
See [one](notebooks/01_one.ipynb) and [two](notebooks/02_two.ipynb).
"""


def cell(kind: str, source: str, **more: Any) -> dict[str, Any]:
    identity = hashlib.sha256(source.encode()).hexdigest()[:8]
    extra = {"outputs": [], "execution_count": 1} if kind == "code" else {}
    return {"cell_type": kind, "id": identity, "metadata": {}, "source": source, **extra, **more}


def notebook(title: str, meta: dict[str, Any] | None = None) -> dict[str, Any]:
    printed = {"output_type": "stream", "name": "stdout", "text": "7\n"}
    cells = [
        cell("markdown", f"# {title}\n\nText."),
        cell("code", "dof = 3", metadata={"tags": ["parameters"]}),
        cell("code", "print(7)", outputs=[printed], execution_count=2),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {
        "kernelspec": kernel,
        "language_info": {"name": "python"},
        **({"embreg": meta} if meta else {}),
    }
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def save(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def save_run(root: Path, name: str, title: str, text: str = "0.58 [0.51, 0.64]", dof: int = 5) -> Path:
    meta = {
        "run": name,
        "notebook": name.partition("--")[0],
        "profile": "offline",
        "parameters": {"dof": dof},
        "digest": "ab" * 32,
        "facts": {"headline": {"value": 0.58, "text": text}},
        "seconds": 187.3,
        "commit": "0123456789abcdef+changes",
    }
    folder = root / "runs" / "offline" / name
    save(folder / "notebook.ipynb", notebook(title, meta))
    save(folder / "run.json", meta)
    (folder / "records.parquet").write_bytes(b"PAR1")
    return folder / "notebook.ipynb"


def make(root: Path) -> Path:
    """A small book with the real configuration, extensions and style."""
    shutil.copy(REPO / "_config.yml", root)
    shutil.copytree(
        REPO / "book" / "_ext", root / "book" / "_ext", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(REPO / "book" / "_static", root / "book" / "_static")
    shutil.copy(REPO / "book" / "references.bib", root / "book")
    chapters = [{"file": "notebooks/01_one"}, {"file": "notebooks/02_two"}]
    toc = {"format": "jb-book", "root": "index", "parts": [{"caption": "Part", "chapters": chapters}]}
    (root / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    (root / "index.md").write_text(INDEX, encoding="utf-8")
    save(root / "notebooks" / "01_one.ipynb", notebook("One"))
    save(root / "notebooks" / "02_two.ipynb", notebook("Two"))
    (root / "notebooks" / "profiles.yml").write_text(yaml.safe_dump(PROFILES), encoding="utf-8")
    save_run(root, "01_one", "One")
    save_run(root, "01_one--wide", "One (wide: dof 9)", dof=9)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = make(tmp_path_factory.mktemp("book"))
    return root, build("offline", root)


def test_stage_takes_runs_where_the_profile_has_them_and_committed_notebooks_elsewhere(root: Path) -> None:
    source = stage("offline", root)
    assert source == root / "_build" / "offline" / "src"
    assert (source / "notebooks/01_one.ipynb").read_bytes() == (
        root / "runs/offline/01_one/notebook.ipynb"
    ).read_bytes()
    assert (source / "notebooks/02_two.ipynb").read_bytes() == (root / "notebooks/02_two.ipynb").read_bytes()
    assert (source / "notebooks/records/01_one--wide.parquet").is_file()


def test_further_runs_become_sections_below_their_chapter(root: Path) -> None:
    save_run(root, "01_one--by-hand", "One (by-hand: dof 7)", dof=7)
    save_run(root, "01_one--broken.failed", "One (broken)")
    toc = yaml.safe_load((stage("offline", root) / "_toc.yml").read_text(encoding="utf-8"))
    one, two = toc["parts"][0]["chapters"]
    assert [s["file"] for s in one["sections"]] == ["notebooks/01_one--wide", "notebooks/01_one--by-hand"]
    assert "sections" not in two


def test_stage_writes_only_what_changed_and_removes_what_left(root: Path) -> None:
    source = stage("offline", root)
    before = {p: p.stat().st_mtime_ns for p in source.rglob("*") if p.is_file()}
    (root / "index.md").write_text(INDEX + "\nMore.\n", encoding="utf-8")
    (root / "book/_static/logo.svg").unlink()
    shutil.rmtree(root / "runs/offline/01_one--wide")
    slim = {**PROFILES, "offline": {"01_one": {}}}
    (root / "notebooks/profiles.yml").write_text(yaml.safe_dump(slim), encoding="utf-8")
    stage("offline", root)
    after = {p: p.stat().st_mtime_ns for p in source.rglob("*") if p.is_file()}
    gone = {p.relative_to(source).as_posix() for p in before.keys() - after.keys()}
    written = {p.relative_to(source).as_posix() for p in after if before.get(p) != after[p]}
    assert gone == {
        "book/_static/logo.svg",
        "notebooks/01_one--wide.ipynb",
        "notebooks/records/01_one--wide.parquet",
    }
    assert written == {"index.md", "_toc.yml"}


def not_executed(content: dict[str, Any]) -> None:
    content["cells"][2]["execution_count"] = None


def failed(content: dict[str, Any]) -> None:
    error = {"output_type": "error", "ename": "ValueError", "evalue": "no data", "traceback": []}
    content["cells"][2]["outputs"] = [error]


def papermill_failed(content: dict[str, Any]) -> None:
    content["metadata"]["papermill"] = {"exception": True}


def no_digest(content: dict[str, Any]) -> None:
    del content["metadata"]["embreg"]["digest"]


def other_profile(content: dict[str, Any]) -> None:
    content["metadata"]["embreg"]["profile"] = "smoke"


def same_title(content: dict[str, Any]) -> None:
    content["cells"][0]["source"] = "# One (wide: dof 9)"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (not_executed, "01_one: cell 2 was not executed; run `embreg run 01_one --profile offline`"),
        (failed, "cell 2 failed with ValueError: no data"),
        (papermill_failed, "its execution ended with an error"),
        (no_digest, "holds no embreg.digest"),
        (other_profile, "belongs to profile 'smoke', not 'offline'"),
        (same_title, "its title, 'One (wide: dof 9)', is also the one of 01_one"),
    ],
)
def test_a_notebook_that_is_no_result_is_refused(
    root: Path, spoil: Callable[[dict[str, Any]], None], message: str
) -> None:
    path = root / "runs/offline/01_one/notebook.ipynb"
    content = json.loads(path.read_text(encoding="utf-8"))
    spoil(content)
    save(path, content)
    with pytest.raises(BookError, match=re.escape(message)):
        stage("offline", root)


def test_a_committed_notebook_without_outputs_is_refused(root: Path) -> None:
    content = notebook("Two")
    not_executed(content)
    save(root / "notebooks/02_two.ipynb", content)
    with pytest.raises(BookError, match="02_two: cell 2 was not executed"):
        stage("offline", root)


def test_a_missing_run_names_the_command_and_the_failed_try(root: Path) -> None:
    shutil.move(root / "runs/offline/01_one", root / "runs/offline/01_one.failed")
    with pytest.raises(BookError, match=r"the last try failed: .*01_one\.failed.*embreg run 01_one"):
        stage("offline", root)


def test_pages_hold_facts_run_records_and_local_formulas(built: tuple[Path, Path]) -> None:
    root, first = built
    assert first == root / "_build/offline/_build/html/index.html"
    home = first.read_text(encoding="utf-8")
    assert re.search(r'<span class="embreg-fact">\s*0\.58 \[0\.51, 0\.64\]\s*</span>', home)
    assert "0123456789ab with changes" in home
    assert "mathjax/tex-svg.js" in home and "cdn" not in home
    page = (first.parent / "notebooks/01_one--wide.html").read_text(encoding="utf-8")
    record = re.sub(r"<[^>]+>|\s+", " ", page).partition("Run record")[2]
    assert re.search(r"dof\s+=\s+9", record) and "3 min 7 s" in record
    assert re.search(r'href="\.\./_downloads/\w+/01_one--wide\.parquet"', page)
    # The repository holds the notebook, not its further runs.
    assert "blob/main/notebooks/01_one.ipynb" in page and "main/notebooks/01_one--wide" not in page


def test_nothing_is_rendered_when_nothing_changed(
    built: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, first = built

    def render(*args: object, **kwargs: object) -> None:
        raise AssertionError("rendered again")

    monkeypatch.setattr("embreg.book.subprocess.run", render)
    assert build("offline", root) == first
    first.with_name("search.html").unlink()
    with pytest.raises(AssertionError, match="rendered again"):
        build("offline", root)


def test_a_new_fact_reaches_the_page_that_quotes_it(built: tuple[Path, Path]) -> None:
    root, _ = built
    save_run(root, "01_one", "One", text="0.61 [0.55, 0.67]")
    assert "0.61 [0.55, 0.67]" in build("offline", root).read_text(encoding="utf-8")


def test_a_missing_fact_fails_the_build_and_goes_on_failing(built: tuple[Path, Path]) -> None:
    root, _ = built
    (root / "index.md").write_text(INDEX.replace("01_one/headline", "01_one/headlin"), encoding="utf-8")
    for _ in range(2):  # an incremental build would repeat no warning
        with pytest.raises(BookError, match=r"index\.md:3.*'01_one/headlin' is not in .*has: headline"):
            build("offline", root)
    (root / "index.md").write_text(INDEX, encoding="utf-8")
    build("offline", root)


def test_a_fault_in_a_page_fails_the_build(built: tuple[Path, Path]) -> None:
    root, _ = built
    (root / "index.md").write_text(INDEX + "\n![](https://example.org/a.png)\n", encoding="utf-8")
    with pytest.raises(BookError, match=r"remote img: https://example\.org/a\.png"):
        build("offline", root)


def test_the_project_calls_itself_the_same_everywhere() -> None:
    citation = yaml.safe_load((REPO / "CITATION.cff").read_text(encoding="utf-8"))
    config = yaml.safe_load((REPO / "_config.yml").read_text(encoding="utf-8"))
    assert citation["repository-code"] == config["repository"]["url"]
    assert citation["version"] == embreg.__version__


def test_mathjax_is_the_file_its_note_says() -> None:
    folder = REPO / "book/_static/mathjax"
    digest = hashlib.sha256((folder / "tex-svg.js").read_bytes()).hexdigest()
    assert digest in (folder / "README.md").read_text(encoding="utf-8")
    assert "Apache License" in (folder / "LICENSE").read_text(encoding="utf-8")


def test_a_committed_notebook_with_a_warning_is_refused(root: Path) -> None:
    loud = notebook("Two")
    text = f"{Path.home()}/package/module.py:3: UserWarning: deprecated"
    loud["cells"][2]["outputs"].append({"output_type": "stream", "name": "stderr", "text": [text]})
    save(root / "notebooks" / "02_two.ipynb", loud)
    with pytest.raises(BookError, match=r"02_two: cell 2 wrote to stderr: .*UserWarning"):
        stage("offline", root)
