"""Runs: many notebooks through a `concurrent.futures.Executor`, each skipped when its result is current."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from embreg._execute import OWNER, PROGRESS, RunResult, execute, owner, run_folder
from embreg._files import atomic_path, digest
from embreg._provenance import cores
from embreg.keys import is_current, notebook_is_current, run_key
from embreg.profiles import ProfileError, RunSpec, defaults_of, select

__all__ = ["RunResult", "execute", "refresh", "run_all", "run_folder", "stale"]


@dataclass(frozen=True)
class _Todo:
    spec: RunSpec
    key: dict[str, Any]
    why: str


def stale(specs: Sequence[RunSpec], root: Path, *, force: bool = False) -> list[tuple[RunSpec, str]]:
    """Runs that have to be executed, each with the reason.

    Parameters
    ----------
    specs : sequence of RunSpec
    root : Path
        Folder of the project.
    force : bool
        Take current runs too.
    """
    return [(t.spec, t.why) for t in _todo(specs, root, force) if t.why]


def _todo(specs: Sequence[RunSpec], root: Path, force: bool) -> list[_Todo]:
    found = []
    for spec in specs:
        key = run_key(root / "notebooks" / f"{spec.notebook}.ipynb", spec.parameters, root)
        current, reason = is_current(run_folder(spec, root), key)
        found.append(_Todo(spec, key, ("forced" if force else "") if current else reason))
    return found


def run_all(
    specs: Sequence[RunSpec],
    root: Path,
    *,
    jobs: int = 1,
    force: bool = False,
    executor: Executor | None = None,
    show: bool = True,
) -> list[RunResult]:
    """Execute runs; those with a current result are skipped, and a failed one does not stop the others.

    Parameters
    ----------
    specs : sequence of RunSpec
    root : Path
        Folder of the project.
    jobs : int
        Runs at the same time; they share the processor's threads.
    force : bool
        Execute current runs too.
    executor : concurrent.futures.Executor, optional
        Where runs go; default: processes on this machine. It stays open. Its workers must see `root` under
        the same path.
    show : bool
        Tell on stderr how far it is: bars on a terminal, else one line for each finished run.

    Returns
    -------
    list of RunResult
        In the order of `specs`.

    Raises
    ------
    KeyboardInterrupt
        After its kernels were ended and its temporary folders removed.
    """
    from embreg._show import display

    root = Path(root).resolve()
    todo = _todo(specs, root, force)
    results = {
        t.spec.name: RunResult(t.spec.name, "current", "nothing changed", 0.0, run_folder(t.spec, root))
        for t in todo
        if not t.why
    }
    due = [t for t in todo if t.why]
    for t in due:
        _sweep(run_folder(t.spec, root))
    with display(len(todo), enabled=show) as screen:
        for result in results.values():
            screen.finished(result)
        if due and executor is not None:
            _drain(executor, due, root, None, results, screen)  # its workers know their cores
        elif due:
            jobs = max(1, min(jobs, len(due)))
            threads = max(1, cores() // jobs)
            with _processes(jobs) as pool:
                _drain(pool, due, root, threads, results, screen)
            lost = [t for t in due if t.spec.name not in results]
            # One dead worker breaks the whole pool: each unfinished run gets another try, by itself.
            for t in lost:
                _sweep(run_folder(t.spec, root))
                with _processes(1) as pool:
                    _drain(pool, [t], root, threads, results, screen)
                if t.spec.name not in results:
                    reason = "its process was killed; most often the system is out of memory"
                    folder = run_folder(t.spec, root)
                    results[t.spec.name] = RunResult(t.spec.name, "failed", reason, 0.0, folder)
                    screen.finished(results[t.spec.name])
    return [results[s.name] for s in specs]


def _drain(
    pool: Executor,
    due: Sequence[_Todo],
    root: Path,
    threads: int | None,
    results: dict[str, RunResult],
    screen: Any,
) -> None:
    """Submit `due` and collect results; runs whose worker died are left out of `results`."""
    waiting: dict[Future[RunResult], _Todo] = {}
    for t in due:
        future = pool.submit(execute, t.spec, root, key=t.key, threads=threads, why=t.why)
        waiting[future] = t
    while waiting:
        done, _ = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
        for future in done:
            t = waiting.pop(future)
            error = future.exception()
            if isinstance(error, BrokenExecutor):
                continue
            if error is None:
                result = future.result()
            else:
                # Not the notebook's own error: a full disk, or a worker that somebody stopped.
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                result = RunResult(t.spec.name, "failed", reason, 0.0, run_folder(t.spec, root))
            results[t.spec.name] = result
            screen.finished(result)
        screen.running({t.spec.name: _cells(run_folder(t.spec, root)) for t in waiting.values()})


def _cells(folder: Path) -> tuple[int, int] | None:
    """Cell at work and number of cells of a run under way, None before it started."""
    for path in folder.parent.glob(f".{folder.name}.*.tmp/{PROGRESS}"):
        try:
            done, total = path.read_text().split()
            return int(done), int(total)
        except (OSError, ValueError):
            continue
    return None


@contextmanager
def _processes(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Pool of fresh processes that end with this one, and with their kernels when it is interrupted."""
    # "spawn": a fork would copy a process that may hold threads of torch or of the progress display.
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_start_worker)
    others = set(multiprocessing.active_children())
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """Prepare a worker: Ctrl-C is the caller's to handle, and the worker must not outlive the caller."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # A handler rather than SIG_IGN, which kernels would inherit.
    signal.signal(signal.SIGINT, lambda _signal, _frame: None)
    signal.signal(signal.SIGTERM, stop)
    sys.excepthook = lambda kind, value, trace: (
        None if issubclass(kind, KeyboardInterrupt) else sys.__excepthook__(kind, value, trace)
    )
    threading.Thread(target=_follow_caller, daemon=True).start()


def _follow_caller() -> None:
    caller = multiprocessing.parent_process()
    if caller is None:
        return
    caller.join()
    os.kill(os.getpid(), signal.SIGTERM)  # ends the kernel and removes the temporary folder
    time.sleep(8)
    os._exit(1)


def _sweep(folder: Path) -> None:
    """Remove what a killed process left beside `folder`; give back an earlier result it had put aside."""
    for old in folder.parent.glob(f".{folder.name}.*.old"):
        if time.time() - old.stat().st_mtime < 60:
            continue  # another process may be between its two renames
        if not folder.exists() and (old / folder.name).is_dir():
            os.replace(old / folder.name, folder)
        shutil.rmtree(old, ignore_errors=True)
    for tmp in folder.parent.glob(f".{folder.name}.*.tmp"):
        try:
            mine = json.loads((tmp / OWNER).read_text())
        except (OSError, ValueError):
            continue
        if mine["node"] == owner()["node"] and not _alive(mine["pid"]):
            shutil.rmtree(tmp, ignore_errors=True)


def _alive(pid: int) -> bool:
    import psutil  # type: ignore[import-untyped]  # comes with ipykernel

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def refresh(
    notebooks: Sequence[str], root: Path, *, force: bool = False, jobs: int = 1, show: bool = True
) -> list[RunResult]:
    """Execute committed notebooks with their defaults and put the outputs into ``notebooks/``.

    A notebook whose outputs are current is left alone, to the byte; one that fails too, its error is in
    ``runs/smoke/<name>.failed/``.

    Parameters
    ----------
    notebooks : sequence of str
        Names, or starts of names such as ``02``; none: all.
    root : Path
        Folder of the project.
    force, jobs, show
        As in `run_all`.
    """
    folder = Path(root) / "notebooks"
    specs = [RunSpec(p.stem, p.stem, "smoke", defaults_of(p)) for p in sorted(folder.glob("*.ipynb"))]
    if not specs:
        raise ProfileError(f"no notebooks in {folder}")
    specs = select(specs, notebooks)
    # A fresh clone has no runs/, but its notebooks tell by themselves whether they are current.
    due = [s for s in specs if force or not notebook_is_current(folder / f"{s.name}.ipynb", root)[0]]
    done = {r.name: r for r in run_all(due, root, jobs=jobs, force=force, show=show)}
    for result in done.values():
        if result.status != "failed":
            _commit_outputs(result.folder / "notebook.ipynb", folder / f"{result.name}.ipynb")
    return [done.get(s.name, RunResult(s.name, "current", "nothing changed", 0.0, folder)) for s in specs]


def _commit_outputs(result: Path, target: Path) -> None:
    def lasting(text: str) -> str:
        content = json.loads(text)
        made = content["metadata"].get("embreg", {})
        for name in ("started", "seconds", "commit", "machine"):
            made.pop(name, None)
        return digest(content)

    text = result.read_text(encoding="utf-8")
    # A second run of the same code on another day must not show up in the history.
    if lasting(text) != lasting(target.read_text(encoding="utf-8")):
        with atomic_path(target) as tmp:
            tmp.write_text(text, encoding="utf-8")
