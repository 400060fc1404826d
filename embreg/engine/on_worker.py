"""What a worker does: load the model once, make sure that it is the caller's, compute the batches it gets."""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

from embreg import __version__
from embreg._provenance import cores
from embreg.engine.core import Engine, Output, Read, Recipe, Work, load_engine
from embreg.engine.workers import ClusterError

__all__ = ["Task", "compute", "numbers_of"]

_ONE = threading.Lock()  # tasks of one process take turns: each of them uses all of its threads
_IMPORTED_IN = os.getpid()


@dataclass(frozen=True)
class Task:
    """Batches for one worker.

    Attributes
    ----------
    recipe : Recipe
        Its model can be found from any folder.
    numbers : dict
        Of the caller, see `numbers_of`.
    work : tuple of Work
    outputs : tuple of Output
    stage : {"forward", "vocab"}
    threads : int or None
        What a worker may use where the caller knows; else as many as torch and Dask give it.
    """

    recipe: Recipe
    numbers: dict[str, str]
    work: tuple[Work, ...]
    outputs: tuple[Output, ...]
    stage: str
    threads: int | None = None


def numbers_of(backend: str) -> dict[str, str]:
    """Versions of what computes the numbers, which caller and workers must share.

    Examples
    --------
    >>> sorted(numbers_of("openvino"))
    ['embreg', 'openvino', 'torch', 'transformers']
    """
    found = {"embreg": __version__}
    for name in ("torch", "transformers", *(("openvino",) if backend == "openvino" else ())):
        try:
            # A caller without a GPU has another build of the same torch: 2.13.0+cpu.
            found[name] = version(name).partition("+")[0]
        except PackageNotFoundError:
            found[name] = "none"
    return found


def compute(task: Task) -> tuple[list[Read], float]:
    """Compute the batches of a task on this worker.

    Parameters
    ----------
    task : Task

    Returns
    -------
    list of Read, float
        As `Engine.run` yields them, and the seconds this took with the model loaded.

    Raises
    ------
    ClusterError
        This machine has other weights or other versions than the caller, or no weights at all.
    """
    if task.recipe.backend == "openvino" and _is_lame(os.getpid()):
        raise ClusterError(
            "this worker is a fork of a process that had used OpenVINO, whose threads are missing in it: it "
            "may wait for ever. Start workers afresh: embreg.cluster.connect('processes:2'), or "
            "ProcessPoolExecutor(2, multiprocessing.get_context('spawn'))"
        )
    engine = _engine(task.recipe, tuple(sorted(task.numbers.items())))
    with _ONE, _threads(task.threads):
        _ = engine.backend  # loading is not part of the pace
        started = time.perf_counter()
        reads = list(engine.compute(task.work, task.outputs, task.stage))
        return reads, time.perf_counter() - started


@lru_cache(maxsize=1)  # what holds before the first task; afterwards OpenVINO may be this process's own
def _is_lame(pid: int) -> bool:
    return pid != _IMPORTED_IN and "embreg.engine.openvino_backend" in sys.modules


@lru_cache(maxsize=2)
def _engine(recipe: Recipe, numbers: tuple[tuple[str, str], ...]) -> Engine:
    from embreg.models import resolve

    where, name = f"the worker on {platform.node()}", recipe.model
    here = numbers_of(recipe.backend)
    if odd := [f"{p} {here[p]} (caller: {v})" for p, v in numbers if here.get(p) != v]:
        raise ClusterError(
            f"{where} must have the caller's versions, however: it has {', '.join(odd)}; install the same "
            "ones on both (pip install -c constraints.txt …)"
        )
    try:
        local = resolve(name)
    except (OSError, ValueError, RuntimeError) as error:
        raise ClusterError(
            f"{where} cannot load {name!r}: {error}. Every machine needs the weights: run 'embreg models "
            "fetch' there, or let EMBREG_HOME and HF_HOME name folders that all machines share; a model in "
            "a folder must be at the same path everywhere"
        ) from error
    if local.weights_digest != recipe.digest:
        raise ClusterError(
            f"{where} must have the caller's weights of {name!r}, however: their digest is "
            f"{local.weights_digest[:16]} there ({local.path}) and {recipe.digest[:16]} with the caller. "
            "Remove the wrong copy and run 'embreg models fetch' on its machine, or copy the folder"
        )
    return load_engine(local, recipe)


@contextmanager
def _threads(limit: int | None) -> Iterator[None]:
    """Set torch's threads to this process's share of the machine."""
    import torch

    before = share = torch.get_num_threads()
    if limit is not None:
        share = min(before, limit)
    elif (tasks := _dask_threads()) > 1:
        # Dask gives each of its threads one core (OMP_NUM_THREADS=1); here one task uses them all.
        share = min(tasks * before, max(before, cores()))
    torch.set_num_threads(max(1, share))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _dask_threads() -> int:
    """Tasks that Dask runs in this process at the same time; 1 without Dask."""
    if "distributed" not in sys.modules:
        return 1
    from distributed import get_worker

    try:
        return int(get_worker().state.nthreads)
    except ValueError:  # not in a worker
        return 1
