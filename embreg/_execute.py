"""Execution of one notebook: its own kernel, a temporary folder, an atomic rename at the end.

`execute` needs nothing from the process that calls it, so it can be sent to any
`concurrent.futures.Executor`, on this machine or on another one that sees the same folder.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from embreg._files import atomic_path, digest, sha256_file
from embreg._kernel import LOG, kill, manager_class
from embreg._provenance import column_values, commit, cores, machine, models_used, versions
from embreg.keys import run_key
from embreg.profiles import RunSpec, defaults_of

__all__ = ["OWNER", "PROGRESS", "RunResult", "execute", "execute_cells", "run_folder"]

OWNER, PROGRESS, SCRATCH = ".owner", ".progress", ".scratch"  # of a run that is under way


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes
    ----------
    name : str
    status : {"ran", "current", "failed"}
    reason : str
        Why it ran, or why it did not have to, or its error in one line.
    seconds : float
    folder : Path
        Where the result is; of a failed run, where its notebook shows the error.
    """

    name: str
    status: str
    reason: str
    seconds: float
    folder: Path


class _FailedError(Exception):
    """The notebook raised: leave the earlier result where it is."""


def run_folder(spec: RunSpec, root: Path) -> Path:
    """Folder of a run's result.

    Examples
    --------
    >>> run_folder(RunSpec("02_a", "02_a", "smoke"), Path("x")).as_posix()
    'x/runs/smoke/02_a'
    """
    return root / "runs" / spec.profile / spec.name


def execute(
    spec: RunSpec,
    root: Path,
    *,
    key: Mapping[str, Any] | None = None,
    threads: int | None = None,
    why: str = "",
) -> RunResult:
    """Execute a run and put its result in place, whole or not at all.

    Parameters
    ----------
    spec : RunSpec
        The run, already checked (`embreg.profiles.load_profile`).
    root : Path
        Folder of the project.
    key : mapping, optional
        The run's key; worked out here when not given.
    threads : int, optional
        Processor threads the notebook may use; default: all of them.
    why : str
        Reason of the run, handed through to the result.

    Returns
    -------
    RunResult
        A notebook that raises gives ``status="failed"``, not an exception: its error is in view in
        ``runs/<profile>/<name>.failed/notebook.ipynb``, and an earlier result stays in place.
    """
    root = Path(root).resolve()
    source = root / "notebooks" / f"{spec.notebook}.ipynb"
    key = key or run_key(source, spec.parameters, root)
    target = run_folder(spec, root)
    failed = target.with_name(f"{spec.name}.failed")
    threads = threads or cores()
    started, clock = datetime.now(UTC), time.perf_counter()
    try:
        with atomic_path(target, directory=True) as tmp:
            _open_to_readers(tmp)
            (tmp / OWNER).write_text(json.dumps(owner()))
            notebook, error = execute_cells(spec, source, tmp, threads)
            seconds = time.perf_counter() - clock
            made = {
                "run": spec.name,
                "notebook": spec.notebook,
                "profile": spec.profile,
                "parameters": key["parameters"],
                "key": dict(key),
                "digest": digest(key),
                "facts": _facts(tmp),
                "seeds": column_values(tmp, "seed"),
                "models": models_used(tmp, key["parameters"]),
                "records": [f for f in _contents(tmp) if f != "facts.json"],
                "started": started.isoformat(timespec="seconds"),
                "seconds": round(seconds, 1),
                "versions": versions(),
                "commit": commit(root),
                "machine": {**machine(), "threads": threads},
                **({"error": error} if error else {}),
            }
            _finish(notebook, made, tmp)
            if error:
                with atomic_path(failed, directory=True) as view:
                    shutil.copytree(tmp, view, dirs_exist_ok=True)
                raise _FailedError
    except _FailedError:
        return RunResult(spec.name, "failed", error or "", seconds, failed)
    shutil.rmtree(failed, ignore_errors=True)
    return RunResult(spec.name, "ran", why, seconds, target)


def owner() -> dict[str, Any]:
    """Process that works on a temporary folder, so that a later call can tell a dead one's remains."""
    import platform

    # The host's name is digested: remains of a crash may end up in someone's backup or bug report.
    return {"pid": os.getpid(), "node": digest(platform.node())[:16]}


def _open_to_readers(folder: Path) -> None:
    # Temporary folders are private; the result should be as readable as any new folder.
    probe = folder / ".mode"
    probe.mkdir()
    folder.chmod(probe.stat().st_mode)
    probe.rmdir()


def _contents(folder: Path) -> list[str]:
    """Files a notebook saved, relative to its folder."""
    own = {"notebook.ipynb", "run.json", OWNER, PROGRESS}
    files = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return sorted(f for f in files if f not in own)


def _facts(folder: Path) -> dict[str, Any]:
    path = folder / "facts.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _finish(notebook: Any, made: dict[str, Any], folder: Path) -> None:
    import nbformat

    notebook.metadata["embreg"] = made
    (folder / "notebook.ipynb").write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    for name in (OWNER, PROGRESS):
        (folder / name).unlink(missing_ok=True)
    files = {name: sha256_file(folder / name) for name in ["notebook.ipynb", *_contents(folder)]}
    text = json.dumps({**made, "files": files}, indent=1, ensure_ascii=False)
    (folder / "run.json").write_text(text + "\n", encoding="utf-8")


def execute_cells(spec: RunSpec, source: Path, folder: Path, threads: int) -> tuple[Any, str | None]:
    """Execute a notebook with the parameters of a run, in a kernel of its own.

    Parameters
    ----------
    spec : RunSpec
    source : Path
        The notebook.
    folder : Path
        Where what the notebook saves goes, and ``notebook.ipynb`` as papermill leaves it.
    threads : int

    Returns
    -------
    notebook : NotebookNode
        Executed and cleaned; up to its error, where it has one.
    error : str or None
        In one line.
    """
    try:
        import nbformat
        import papermill
        from papermill.exceptions import PapermillExecutionError
    except ImportError as missing:
        text = f"running notebooks needs 'pip install embreg[run]' ({missing.name} is missing)"
        raise ImportError(text) from missing

    original = nbformat.read(source, as_version=4)
    defaults = defaults_of(source)
    given = {k: v for k, v in spec.parameters.items() if k not in defaults or v != defaults[k]}
    cells = len(original.cells) + bool(given)
    output = folder / "notebook.ipynb"
    error: str | None = None
    said = ""

    def show(cell: Any, cell_index: int) -> None:
        (folder / PROGRESS).write_text(f"{cell_index} {cells}")

    # The kernel's settings, history and connection file: never the user's own, gone afterwards.
    scratch = folder / SCRATCH
    scratch.mkdir(mode=0o700)
    managers: list[Any] = []
    try:
        papermill.execute_notebook(
            _literal(source),
            _literal(output),
            given,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            start_timeout=180,
            kernel_manager_class=manager_class(folder, scratch, threads, managers),
            # Jupyter and nbval start a kernel beside the notebook: here too.
            resources={"metadata": {"path": str(source.parent)}},
            iopub_timeout=60,
            record_timing=False,
            coalesce_streams=True,  # where a stream is cut depends on timing
            on_cell_start=show,
        )
    except PapermillExecutionError as problem:
        error = _one_line(problem.ename, problem.evalue)
    except Exception as problem:
        if not output.is_file():
            raise
        error = _one_line(type(problem).__name__, str(problem))
        said = _tail(scratch / LOG)
    finally:
        for manager in managers:
            kill(manager)
        shutil.rmtree(scratch, ignore_errors=True)
    done = nbformat.read(output, as_version=4)
    _clean(done, original, spec.suffix)
    if error and not any(o.output_type == "error" for c in done.cells for o in c.get("outputs", ())):
        note = f"**The run stopped without an error in a cell:** {error}{said}"
        done.cells.insert(0, nbformat.v4.new_markdown_cell(note, id="run-error"))
    return done, error


def _tail(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace").strip() if log.is_file() else ""
    return f"\n\n```text\n{text[-2000:]}\n```" if text else ""


def _literal(path: Path) -> str:
    # papermill fills {…} in paths as a format string.
    return str(path).replace("{", "{{").replace("}", "}}")


def _one_line(name: str, text: str) -> str:
    if name == "DeadKernelError":
        text = "the kernel died; most often the system stopped it for want of memory"
    return " ".join(f"{name}: {text}".split())[:500]


def _clean(done: Any, original: Any, suffix: str) -> None:
    """Drop what differs between two equal runs: times, random ids, the exact Python version."""
    done.metadata = original.metadata
    done.metadata.pop("embreg", None)
    done.metadata.pop("papermill", None)
    kept = {cell.get("id"): cell.metadata for cell in original.cells}
    for index, cell in enumerate(done.cells):
        cell.metadata.pop("papermill", None)
        cell.metadata = kept.get(cell.get("id"), cell.metadata)
        tags = cell.metadata.get("tags", [])
        if "injected-parameters" in tags:
            cell.id = "injected-parameters"
        elif "papermill-error-cell-tag" in tags:
            cell.id = f"papermill-error-{index}"
    if suffix:
        for cell in done.cells:
            lines = cell.source.split("\n")
            titles = [i for i, line in enumerate(lines) if line.startswith("# ")]
            if cell.cell_type == "markdown" and titles:
                lines[titles[0]] = lines[titles[0]].rstrip() + suffix
                cell.source = "\n".join(lines)
                return
