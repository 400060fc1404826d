"""Processes that measure rows: one thread each, nothing left behind, none that outlives its caller."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Literal, NamedTuple

from embreg.cluster import _Spawn
from embreg.making.family import Family, Infeasible, MissingTool, get_family
from embreg.making.space import Value

__all__ = ["Outcome", "Workers", "resolve", "workers"]

_THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip


class Outcome(NamedTuple):
    """What came of one measurement; errors travel as text, as not every exception can travel itself."""

    kind: Literal["y", "infeasible", "missing", "error"]
    y: float
    text: str
    trace: str
    seconds: float


def resolve(family: str | Family) -> tuple[Family, str]:
    """Return a family, and the name under which a worker imports it.

    Parameters
    ----------
    family : str or Family
        One of `embreg.making.family.FAMILIES`; a module that holds ``FAMILY``, with dots; ``module:NAME``;
        or an object that its class's module holds under some name.

    Raises
    ------
    ValueError
        Unknown family, or an object that no worker could import.
    ImportError
        There is no such module.

    Examples
    --------
    >>> resolve("compilers")
    Traceback (most recent call last):
    ...
    ValueError: family must be one of ('automl', ...), however: got 'compilers'
    """
    if not isinstance(family, str):
        module = sys.modules.get(type(family).__module__)
        for name, value in vars(module).items() if module else ():
            if value is family and module is not None and module.__name__ != "__main__":
                return family, f"{module.__name__}:{name}"
        raise ValueError(
            f"family must be one that worker processes can import, however: {type(family).__module__} holds "
            f"no name for this {type(family).__name__}. Put FAMILY = {type(family).__name__}() into a module"
        )
    if "." not in family and ":" not in family:
        return get_family(family), f"embreg.making.{family}:FAMILY"
    place, _, name = family.partition(":")
    found = getattr(importlib.import_module(place), name or "FAMILY", None)
    if not isinstance(found, Family):
        raise ValueError(f"family must be a module that holds FAMILY, however: {family} does not")
    return found, f"{place}:{name or 'FAMILY'}"


class Workers:
    """Pool that measures rows of one family; made by `workers`."""

    def __init__(self, pool: ProcessPoolExecutor, context: _Spawn, reference: str) -> None:
        self._pool, self._context, self._reference = pool, context, reference

    def measure(self, task: str, row: dict[str, Value], repeat: int) -> Future[Outcome]:
        """Begin to measure."""
        return self._pool.submit(_measure, self._reference, task, row, repeat)

    def how_one_died(self) -> str:
        """What ended a worker, as far as can be told."""
        for process in self._context.started:
            end = time.monotonic() + 2
            # The pool's own thread collects them too; what it collects is known a moment later.
            while (code := process.exitcode) is None and time.monotonic() < end:
                time.sleep(0.01)
            # The pool ends the others itself, by SIGTERM.
            if code not in (None, 0, -signal.SIGTERM):
                return f"exit code {code}" if code > 0 else f"signal {signal.Signals(-code).name}"
        return "for an unknown reason"


@contextmanager
def workers(reference: str, jobs: int) -> Iterator[Workers]:
    """Processes that measure, for the length of the block; they are killed when it ends by an error."""
    context = _Spawn()
    before = {name: os.environ.get(name) for name in _THREADS}
    # Here and not in the worker, which reads them while it imports what it needs to be told anything.
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    with tempfile.TemporaryDirectory(prefix="embreg-", ignore_cleanup_errors=True) as scratch:
        pool = ProcessPoolExecutor(jobs, context, initializer=_begin, initargs=(scratch,))
        try:
            yield Workers(pool, context, reference)
        except BaseException:
            for process in context.started:
                _kill(process)
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def _kill(process: Any) -> None:
    """End a worker and the programs it runs, which are in a group of their own."""
    if hasattr(os, "killpg") and process.pid is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    with suppress(ValueError):
        process.kill()


def _begin(scratch: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller's to handle
    if hasattr(os, "setsid"):
        os.setsid()
    os.dup2(2, 1)  # what a program prints must not end in the caller's output
    # All temporary files in one folder, which the caller removes even if this process is killed.
    os.environ.update(TMPDIR=scratch, TEMP=scratch, TMP=scratch)
    tempfile.tempdir = scratch
    threading.Thread(target=_follow, args=(scratch,), daemon=True).start()


def _follow(scratch: str) -> None:
    caller = multiprocessing.parent_process()
    if caller is not None:
        caller.join()
        shutil.rmtree(scratch, ignore_errors=True)
        if hasattr(os, "killpg"):
            os.killpg(0, signal.SIGKILL)
        os._exit(1)


def _measure(reference: str, task: str, row: dict[str, Value], repeat: int) -> Outcome:
    """Measure one row, in a worker."""
    started = time.perf_counter()

    def outcome(kind: Any, y: float = 0.0, text: str = "", trace: str = "") -> Outcome:
        return Outcome(kind, y, text, trace, time.perf_counter() - started)

    try:
        place, _, name = reference.partition(":")
        family: Family = getattr(importlib.import_module(place), name)
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(1)
        started = time.perf_counter()
        y = float(family.measure(task, row, repeat))
        if y - y != 0:
            raise ValueError(
                f"measure must return a finite number, however: got {y}. Raise Infeasible for a row without y"
            )
        return outcome("y", y)
    except Infeasible as error:
        return outcome("infeasible", text=str(error) or "no reason given")
    except MissingTool as error:
        return outcome("missing", text=str(error))
    except Exception as error:
        return outcome("error", text=f"{type(error).__name__}: {error}", trace=traceback.format_exc())
