"""Runs: executed once, whole or not at all, and again exactly when something they depend on changed."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from embreg import keys
from embreg.keys import current_key_of, is_current, notebook_is_current, run_key
from embreg.profiles import load_profile
from embreg.runs import RunResult, refresh, run_all

FACTS = """
import json, os, pathlib, sys
folder = pathlib.Path(os.environ["EMBREG_RUN_DIR"])
(folder / "facts.json").write_text(json.dumps({"n": {"value": n, "text": str(n)}}))
(folder / "figures").mkdir()
(folder / "figures" / "a.svg").write_text("<svg/>")
for i in range(3):
    print(i, flush=True)
print(sys.executable)
sorted({"a", "b", "c"}), hash("x")
"""


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    """One worker for all tests: starting one takes longer than a notebook."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        yield executor


class Project:
    """A small project of its own in a temporary folder."""

    def __init__(self, root: Path, executor: Executor | None) -> None:
        self.root, self.executor = root, executor
        (root / "notebooks").mkdir()
        (root / "package").mkdir()
        (root / "package" / "code.py").write_text("A = 1\n")
        (root / "constraints.txt").write_text("numpy==2.0\n")
        self.write("01_a")
        self.profile({"01_a": {}})

    def write(self, name: str, code: str = FACTS, parameters: str = "n = 2") -> Path:
        path = self.root / "notebooks" / f"{name}.ipynb"
        cells = [
            new_markdown_cell("# A title\n\n# not the title", id="title"),
            new_code_cell(parameters, id="parameters", metadata={"tags": ["parameters"]}),
            new_code_cell(code.strip(), id="code"),
        ]
        nbformat.write(new_notebook(cells=cells, metadata={"language_info": {"name": "python"}}), path)
        return path

    def profile(self, smoke: dict[str, Any]) -> None:
        (self.root / "notebooks" / "profiles.yml").write_text(json.dumps({"smoke": smoke}))

    def run(self, **options: Any) -> list[RunResult]:
        options.setdefault("executor", self.executor)
        return run_all(load_profile("smoke", self.root), self.root, show=False, **options)

    def one(self, **options: Any) -> RunResult:
        (result,) = self.run(**options)
        return result

    @property
    def left(self) -> list[str]:
        """Everything in the profile's folder of results."""
        return sorted(p.name for p in (self.root / "runs" / "smoke").iterdir())


@pytest.fixture
def project(tmp_path: Path, pool: Executor, monkeypatch: pytest.MonkeyPatch) -> Project:
    # Braces, blanks and dollars: papermill and Jupyter both treat paths as templates.
    root = tmp_path / "my {a} $HOME"
    root.mkdir()
    made = Project(root, pool)
    monkeypatch.setattr(keys, "package_folder", lambda: root / "package")
    return made


def output(result: RunResult) -> Any:
    return nbformat.read(result.folder / "notebook.ipynb", as_version=4)


def test_a_run_keeps_its_results_and_its_key(project: Project) -> None:
    result = project.one()
    assert (result.status, result.reason) == ("ran", "never ran")
    assert project.left == ["01_a"]
    files = sorted(p.relative_to(result.folder).as_posix() for p in result.folder.rglob("*") if p.is_file())
    assert files == ["facts.json", "figures/a.svg", "notebook.ipynb", "run.json"]

    made = output(result).metadata.embreg
    record = json.loads((result.folder / "run.json").read_text())
    assert record.pop("files").keys() == {"facts.json", "figures/a.svg", "notebook.ipynb"}
    assert record == made
    assert made.facts == {"n": {"value": 2, "text": "2"}}
    assert made.records == ["figures/a.svg"]
    assert made.parameters == {"n": 2}
    assert made.digest == keys.digest(run_key(project.root / "notebooks/01_a.ipynb", {"n": 2}, project.root))
    assert (
        not {"run", "notebook", "profile", "started", "seconds", "versions", "commit", "machine"}
        - made.keys()
    )
    # Results are published: no host and no folder of this machine in their record.
    text = json.dumps(record)
    assert str(project.root) not in text
    assert os.uname().nodename not in text if hasattr(os, "uname") else True


def test_the_kernel_is_this_interpreter(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "jupyter" / "kernels" / "python3"
    other.mkdir(parents=True)
    spec = {"argv": ["/bin/false", "{connection_file}"], "display_name": "other", "language": "python"}
    (other / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    (result,) = project.run(executor=None)  # its own process, which sees the variable
    assert result.status == "ran"
    assert sys.executable in output(result).cells[-1].outputs[0].text


def test_a_current_run_is_not_executed(project: Project) -> None:
    project.one()
    again = project.one()
    assert (again.status, again.seconds) == ("current", 0.0)
    assert project.one(force=True).reason == "forced"


def test_what_changes_a_run_and_what_does_not(project: Project) -> None:
    def reason() -> str:
        specs = load_profile("smoke", project.root)
        key = run_key(project.root / "notebooks/01_a.ipynb", specs[0].parameters, project.root)
        return is_current(project.root / "runs/smoke/01_a", key)[1]

    project.one()
    package, pins = project.root / "package" / "code.py", project.root / "constraints.txt"
    assert reason() == "current"
    package.write_text('"""About."""\n\nA = 1  # one\n')
    pins.write_text("# pins\nnumpy==2.0\n")
    (project.root / "package" / "cli.py").write_text("B = 1\n")
    notebook = nbformat.read(project.root / "notebooks/01_a.ipynb", as_version=4)
    notebook.cells[-1].execution_count = 7
    nbformat.write(notebook, project.root / "notebooks/01_a.ipynb")
    assert reason() == "current"

    package.write_text("A = 2\n")
    assert reason() == "changed: the package's code"
    pins.write_text("numpy==2.1\n")
    assert reason() == "changed: the package's code, constraints.txt"
    package.write_text("A = 1\n")
    pins.write_text("numpy==2.0\n")
    (project.root / "package" / "data").mkdir()
    (project.root / "package" / "data" / "table.csv").write_text("a\n1\n")
    assert reason() == "changed: the package's data files"
    (project.root / "package" / "data" / "table.csv").unlink()
    project.profile({"01_a": {"n": 3}})
    assert reason() == "changed: the parameters (n: 2 → 3)"
    assert project.one().reason == "changed: the parameters (n: 2 → 3)"
    project.write("01_a", FACTS + "\n1")
    assert project.one().reason == "changed: the notebook's cells"
    assert reason() == "current"


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda f: (f / "facts.json").write_text("{}"), "facts.json was changed after the run"),
        (lambda f: (f / "notebook.ipynb").unlink(), "notebook.ipynb is missing"),
        (lambda f: (f / "run.json").write_text('{"key'), "its run.json is missing or damaged"),
    ],
)
def test_a_damaged_result_is_made_again(
    project: Project, harm: Callable[[Path], object], reason: str
) -> None:
    folder = project.one().folder
    harm(folder)
    assert project.one().reason == reason
    assert project.one().status == "current"


def test_a_copied_result_shows_whether_it_is_current(project: Project) -> None:
    copy = project.root / "copy.ipynb"
    copy.write_bytes((project.one().folder / "notebook.ipynb").read_bytes())
    assert current_key_of(copy)["parameters"] == {"n": 2}
    assert notebook_is_current(copy) == (True, "current")
    project.write("01_a", FACTS + "\n1")
    assert notebook_is_current(copy) == (False, "changed: the notebook's cells")
    source = project.root / "notebooks" / "01_a.ipynb"
    assert "carries no run" in notebook_is_current(source)[1]


def test_a_second_execution_gives_the_same_bytes(project: Project) -> None:
    def content(folder: Path) -> dict[str, bytes]:
        times = re.compile(rb'"(started|seconds)": [^\n]*')
        return {
            p.name: times.sub(b"", p.read_bytes())
            for p in folder.rglob("*")
            if p.name != "run.json" and p.is_file()
        }

    project.profile({"01_a": {"n": 5}})
    first = content(project.one().folder)
    assert content(project.one(force=True).folder) == first
    assert b"papermill" not in re.sub(rb'"papermill": "[\d.]+"', b"", first["notebook.ipynb"])


def test_runs_of_one_notebook_have_titles_of_their_own(project: Project) -> None:
    project.profile({"01_a": [{}, {"run": "big", "n": 9}]})
    chapter, big = project.run()
    titles = [output(r).cells[0].source for r in (chapter, big)]
    assert titles == ["# A title\n\n# not the title", "# A title (big: n 9)\n\n# not the title"]
    injected = [c for c in output(big).cells if "injected-parameters" in c.metadata.get("tags", [])]
    assert [(c.id, c.source.strip()) for c in injected] == [("injected-parameters", "# Parameters\nn = 9")]
    assert [c.id for c in output(chapter).cells] == ["title", "parameters", "code"]


def test_a_failed_run_shows_its_error_and_is_tried_again(project: Project) -> None:
    project.one()
    project.write("01_a", "raise ValueError('no <luck>')")
    project.write("02_b")
    project.profile({"01_a": {}, "02_b": {}})
    failed, other = project.run()
    assert (failed.status, failed.reason) == ("failed", "ValueError: no <luck>")
    assert other.status == "ran"
    assert project.left == ["01_a", "01_a.failed", "02_b"]  # the earlier result is still there
    errors = [o for c in output(failed).cells for o in c.get("outputs", []) if o.output_type == "error"]
    assert errors[0].evalue == "no <luck>"
    assert output(failed).metadata.embreg.error == "ValueError: no <luck>"

    project.write("01_a", FACTS + "\n'repaired'")
    repaired, other = project.run()
    assert (repaired.status, other.status) == ("ran", "current")
    assert project.left == ["01_a", "02_b"]


def test_a_run_that_never_worked_says_so(project: Project) -> None:
    project.write("01_a", "1 / 0")
    assert project.one().reason == "ZeroDivisionError: division by zero"
    assert project.one().status == "failed"
    project.write("01_a")
    assert project.one().reason == "failed last time"


def test_a_kernel_that_dies_is_a_failed_run(project: Project) -> None:
    project.write("01_a", "import os\nos.write(2, b'last words')\nos._exit(9)")
    result = project.one()
    assert result.status == "failed"
    assert "the kernel died" in result.reason
    assert "the kernel died" in output(result).cells[0].source
    assert "last words" in "".join(c.source + str(c.get("outputs")) for c in output(result).cells)


def test_a_worker_that_dies_costs_only_time(project: Project) -> None:
    # The notebook kills the process that runs it, once.
    once = project.root / "once"
    code = f"import os, pathlib, time\nonce = pathlib.Path({str(once)!r})"
    code += "\nif not once.exists():\n    once.touch(); os.kill(os.getppid(), 9); time.sleep(30)"
    project.write("01_a", code)
    project.write("02_b")
    project.profile({"01_a": {}, "02_b": {}})
    assert [r.status for r in project.run(executor=None, jobs=1)] == ["ran", "ran"]
    assert project.left == ["01_a", "02_b"]


def test_jobs_share_the_processor(project: Project) -> None:
    project.write("01_a", "import os\nprint(os.environ['OMP_NUM_THREADS'])")
    project.profile({"01_a": [{}, {"run": "b", "n": 3}]})
    results = project.run(executor=None, jobs=2)
    from embreg._provenance import cores

    limit = min(int(os.environ.get("OMP_NUM_THREADS", "999")), max(1, cores() // 2))
    assert [output(r).cells[-1].outputs[0].text.strip() for r in results] == [str(limit)] * 2


def test_committed_notebooks_are_refreshed_in_place(project: Project) -> None:
    path = project.root / "notebooks" / "01_a.ipynb"
    assert [r.status for r in refresh([], project.root, show=False)] == ["ran"]
    notebook = nbformat.read(path, as_version=4)
    assert [c.id for c in notebook.cells] == ["title", "parameters", "code"]
    assert notebook.cells[-1].execution_count == 2
    assert notebook.metadata.embreg.profile == "smoke"
    assert notebook.metadata.embreg.facts.n.text == "2"
    assert notebook_is_current(path) == (True, "current")

    before = path.read_bytes()
    assert [r.status for r in refresh(["01"], project.root, show=False)] == ["current"]
    assert [r.status for r in refresh([], project.root, force=True, show=False)] == ["ran"]
    assert path.read_bytes() == before

    notebook.cells[-1].outputs, notebook.cells[-1].execution_count = [], None
    nbformat.write(notebook, path)
    assert "cell 2 has no output" in notebook_is_current(path)[1]
    assert [r.status for r in refresh([], project.root, show=False)] == ["current"]  # its run is still there
    assert notebook_is_current(path) == (True, "current")


def test_a_failing_notebook_is_not_refreshed(project: Project) -> None:
    path = project.write("01_a", "1 / 0")
    before = path.read_bytes()
    assert [r.status for r in refresh([], project.root, show=False)] == ["failed"]
    assert path.read_bytes() == before
