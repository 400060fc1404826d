"""More than one process or machine: executors to embed on (`embreg.use_workers`).

Any `concurrent.futures.Executor` will do. Here are the usual ones by name; the book's page on clusters
says how to get Dask onto Slurm and Kubernetes.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from tempfile import TemporaryFile
from types import ModuleType
from typing import Any

from embreg._provenance import cores
from embreg.engine.workers import VARIABLE, ClusterError

__all__ = ["ClusterError", "check_address", "connect", "handed_on"]

_HERE = re.compile(r"(local|processes):([1-9]\d*)")
_THERE = re.compile(r"(?:tcp|tls)://.+:\d+")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def check_address(where: str) -> str:
    """Return `where` as it is, if `connect` can read it.

    Raises
    ------
    ValueError

    Examples
    --------
    >>> check_address("local:0")
    Traceback (most recent call last):
    ...
    ValueError: a cluster must be local:N, processes:N, tcp://HOST:PORT or tls://HOST:PORT, ... 'local:0'
    """
    if not (_HERE.fullmatch(where) or _THERE.fullmatch(where)):
        raise ValueError(
            "a cluster must be local:N, processes:N, tcp://HOST:PORT or tls://HOST:PORT, however: got "
            f"{where!r}"
        )
    return where


@contextmanager
def connect(where: str, *, timeout: float = 10.0) -> Iterator[Executor]:
    """Workers as an executor, for the length of a ``with`` block.

    Parameters
    ----------
    where : str
        ``"processes:N"``: N processes of this machine. ``"local:N"``: the same as a Dask cluster, to
        which other processes can connect too. ``"tcp://HOST:PORT"``: the scheduler of a Dask cluster;
        ``"tls://HOST:PORT"`` with the certificates that Dask's configuration names.
    timeout : float
        Seconds to wait for the scheduler, and then for its first worker.

    Yields
    ------
    concurrent.futures.Executor
        For `embreg.use_workers`. What it started ends with the block.

    Raises
    ------
    ValueError
        `where` is none of these.
    ImportError
        Dask is not installed: extra ``cluster``.
    ClusterError
        No scheduler answers, or it has no workers.

    Examples
    --------
    >>> from embreg import TextEmbedder, use_workers
    >>> with connect("processes:1") as executor, use_workers(executor):
    ...     embedder = TextEmbedder()  # what it embeds here is computed there
    ...     executor.submit(abs, -1).result()
    1
    """
    check_address(where)
    here = _HERE.fullmatch(where)
    if not here:
        with _dask(where, timeout) as executor:
            yield executor
    elif here[1] == "processes":
        with _processes(int(here[2])) as executor:
            yield executor
    else:
        with _local(int(here[2])) as address, _dask(address, timeout) as executor:
            yield executor


@contextmanager
def handed_on(where: str, *, timeout: float = 10.0) -> Iterator[None]:
    """Let processes that are started inside the block embed on a cluster, by ``EMBREG_CLUSTER``.

    Parameters
    ----------
    where : str
        As for `connect`. ``"local:N"`` is started once for all of them; a scheduler is asked first
        whether it answers and has workers; each process starts ``"processes:N"`` for itself.
    timeout : float
        As for `connect`.
    """
    here, before = _HERE.fullmatch(check_address(where)), os.environ.get(VARIABLE)
    with _local(int(here[2])) if here and here[1] == "local" else _checked(where, timeout) as address:
        os.environ[VARIABLE] = address
        try:
            yield
        finally:
            os.environ.pop(VARIABLE)
            if before is not None:
                os.environ[VARIABLE] = before


@contextmanager
def _checked(where: str, timeout: float) -> Iterator[str]:
    if _THERE.fullmatch(where):
        with _dask(where, timeout):
            pass
    yield where


def _distributed() -> ModuleType:
    try:
        import distributed
    except ImportError as missing:
        raise ImportError(
            f"a Dask cluster needs: pip install 'embreg[cluster]' ({missing.name} is missing); processes:N "
            "works without"
        ) from missing
    return distributed


@contextmanager
def _dask(address: str, timeout: float) -> Iterator[Executor]:
    distributed = _distributed()
    try:
        client = distributed.Client(address, timeout=timeout, set_as_default=False)
    except (OSError, ValueError) as error:  # a timeout is an OSError
        raise ClusterError(
            f"no Dask scheduler answers at {address} within {timeout:g} s ({error}). Is the address right, "
            "is 'dask scheduler' running, and may this machine reach its port?"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=timeout)
        except OSError as error:
            raise ClusterError(
                f"the scheduler at {address} has no workers, after {timeout:g} s. Start some, 'dask worker "
                f"{address} --nthreads 1', or wait until the batch system has"
            ) from error
        yield client.get_executor(pure=False)  # or Dask digests every batch to name its task


@contextmanager
def _local(n: int) -> Iterator[str]:
    """Address of a Dask cluster of `n` processes; see `embreg.engine.local_cluster`."""
    _distributed()
    # A worker's threads can only be set before it starts.
    env = {name: value for name, value in os.environ.items() if name != VARIABLE}
    for name in _THREADS:
        given = env.get(name, "")
        share = max(1, cores() // n)
        env[name] = str(min(share, int(given)) if given.isdigit() else share)
    # The package, wherever it was imported from; -P: and nothing that lies in the current folder.
    paths = [str(Path(__file__).parents[1]), env.get("PYTHONPATH", "")]
    env["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    command = [sys.executable, "-P", "-m", "embreg.engine.local_cluster", str(n)]
    with (
        TemporaryFile() as log,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=env,
            start_new_session=True,  # out of reach of Ctrl-C
        ) as process,
    ):
        assert process.stdin and process.stdout
        try:
            address = process.stdout.readline().decode().strip()
            if not address:
                log.seek(0)
                said = log.read().decode(errors="replace").strip()[-2000:]
                raise ClusterError(f"no Dask cluster of {n} workers could be started here:\n{said}")
            yield address
        finally:
            process.stdin.close()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
            except BaseException:  # a second Ctrl-C
                process.kill()
                raise


@contextmanager
def _processes(n: int) -> Iterator[Executor]:
    context = _Spawn()
    pool = ProcessPoolExecutor(n, context, initializer=_begin)
    try:
        yield pool
    except BaseException:
        # What is under way is of no use to anyone.
        for process in context.started:
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Spawn(SpawnContext):
    """Fresh processes: a fork would copy locks, and lack the threads, of whatever the caller has used."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[SpawnProcess] = []

    def Process(self, *args: Any, **options: Any) -> SpawnProcess:  # type: ignore[override]
        process = _Process(*args, **options)
        self.started.append(process)
        return process


class _Process(SpawnProcess):
    """A process that does not import the caller's script, which need not be safe to import."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            return SpawnProcess._Popen(process_obj)  # type: ignore[attr-defined]
        finally:
            sys.modules["__main__"] = main


def _begin() -> None:
    """Prepare a worker: Ctrl-C is the caller's to handle, and the worker must not outlive the caller."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    caller = multiprocessing.parent_process()
    if caller is not None:
        caller.join()
        os._exit(1)
