"""Batches spread over the workers of an executor; what a dead worker held is computed by the caller."""

from __future__ import annotations

import sys
import time
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import suppress
from typing import Any

from embreg._provenance import cores
from embreg.engine.core import Engine, Output, Read, Recipe, Work
from embreg.engine.on_worker import Task, compute, numbers_of
from embreg.engine.workers import ClusterError

__all__ = ["spread"]

_SECONDS = 4.0  # of one task: long against its overhead, short to lose
_FIRST = 16384  # tokens of a task before the pace of the workers is known
_MOST = 1 << 20  # tokens of a task: Dask's limit for what is sent with one is 10 MB
_BYTES = 1 << 25  # of the vectors of one task, as long as it has more than one batch
_AHEAD = 2  # tasks under way for each worker: one waits there while another is computed
_PATIENCE = 60.0  # seconds without a worker before that is said


def spread(
    executor: Executor, engine: Engine, work: Sequence[Work], outputs: Sequence[Output], stage: str
) -> Iterator[Read]:
    """Yield what the batches give, computed by the workers of `executor`, in any order.

    Parameters
    ----------
    executor : concurrent.futures.Executor
    engine : Engine
        Of the caller; it loads its model only when batches come back undone.
    work : sequence of Work
        Batches are not cut again, so that their numbers are those of one process.
    outputs, stage : as in `Engine.run`

    Raises
    ------
    ClusterError
        The executor was shut down, or a worker has other weights or versions; and whatever error a
        worker raises. What waits is cancelled then.

    Warns
    -----
    RuntimeWarning
        Workers died: what they held is computed here.
    """
    crew, queue = _Crew(executor, engine, outputs, stage, sum(map(_tokens, work))), deque(work)
    running: dict[Future[tuple[list[Read], float]], list[Work]] = {}
    lost: list[Work] = []
    try:
        while running or (queue and not crew.broken):
            while queue and not crew.broken and len(running) < crew.room():
                part = crew.take(queue)
                if (future := crew.submit(part)) is not None:
                    running[future] = part
                else:
                    lost += part
            done, _ = wait(running, timeout=_PATIENCE, return_when=FIRST_COMPLETED)
            if running and not done:
                crew.report_absence()
            errors = []
            for future in done:
                part = running.pop(future)
                try:
                    reads, seconds = future.result()
                except crew.deaths() as error:
                    lost += part
                    crew.note_death(error)
                except Exception as error:
                    errors.append(error)
                else:
                    crew.note_pace(part, seconds)
                    yield from reads
            if errors:
                raise _explained(errors[0])
    finally:
        for future in running:
            future.cancel()
    lost += queue
    if lost:
        rows = sum(len(w.rows) for w in lost)
        warnings.warn(
            f"workers were lost ({crew.reason}); their {rows} rows are computed in this process",
            RuntimeWarning,
            stacklevel=2,
        )
        yield from engine.compute(lost, outputs, stage)


class _Crew:
    """The workers: how many, how fast, whether they live."""

    def __init__(
        self, executor: Executor, engine: Engine, outputs: Sequence[Output], stage: str, tokens: int
    ) -> None:
        self._executor, self._engine = executor, engine
        self._outputs, self._stage = tuple(outputs), stage
        self._recipe = _portable(engine)
        self._numbers = numbers_of(engine.recipe.backend)
        self._client = getattr(executor, "_client", None)  # of Dask
        self._known: int | None = getattr(executor, "_max_workers", None)  # of concurrent.futures and loky
        # Only of processes on this machine is it known what they share.
        local = isinstance(executor, ProcessPoolExecutor) and self._known
        self._threads = max(1, cores() // local) if local else None
        self._counted, self._count = -float("inf"), 0
        self._left = tokens
        self._pace: float | None = None  # tokens a second of one worker
        self._warned = False
        self.broken, self.reason = False, ""

    def size(self) -> int | None:
        """Number of workers now; None where nobody knows."""
        if self._client is None:
            return self._known
        if time.monotonic() - self._counted > 5:  # a Dask cluster grows and shrinks
            with suppress(Exception):  # a lost scheduler shows in the tasks
                self._count = len(self._client.nthreads())
            self._counted = time.monotonic()
        return self._count

    def room(self) -> int:
        """Tasks that may be under way."""
        size = self.size()
        return 16 if size is None else _AHEAD * max(2, size)

    def take(self, queue: deque[Work]) -> list[Work]:
        """Batches of the next task: a few seconds of work, less towards the end so that all end together."""
        goal = _FIRST if self._pace is None else min(self._pace * _SECONDS, _MOST)
        goal = min(goal, self._left / self.room())
        part: list[Work] = []
        tokens = size = 0
        while queue and (not part or (tokens + _tokens(queue[0]) <= goal and size < _BYTES)):
            part.append(queue.popleft())
            tokens += _tokens(part[-1])
            size += 4 * self._engine.dim * len(self._outputs) * len(part[-1].rows)
        self._left -= tokens
        return part

    def submit(self, part: list[Work]) -> Future[tuple[list[Read], float]] | None:
        """Send a task; None when the workers are dead."""
        task = Task(self._recipe, self._numbers, tuple(part), self._outputs, self._stage, self._threads)
        try:
            return self._executor.submit(compute, task)
        except BrokenExecutor as error:
            self.note_death(error)
            return None
        except Exception as error:
            closed = type(error).__name__ == "ClosedClientError" or "shutdown" in str(error)
            if not closed:
                raise
            raise ClusterError(
                "the executor must be open while rows are embedded, however: this "
                f"{type(self._executor).__name__} was shut down; keep its 'with' block around the work"
            ) from error

    def deaths(self) -> tuple[type[BaseException], ...]:
        """Errors that say that a worker died, or the scheduler with all of them."""
        dask = sys.modules.get("distributed")
        return (BrokenExecutor, CancelledError, *((dask.KilledWorker,) if dask else ()))

    def note_death(self, error: BaseException) -> None:
        """Remember that tasks came back undone, and whether others can be expected to."""
        # Dask gives up a task that killed several workers; the others go on.
        self.broken |= isinstance(error, BrokenExecutor | CancelledError)
        text = str(error).partition(". ")[0].strip()
        self.reason = text or ("the scheduler is gone" if self._client else type(error).__name__)

    def note_pace(self, part: list[Work], seconds: float) -> None:
        """Learn from a finished task."""
        self._pace = sum(map(_tokens, part)) / max(seconds, 1e-3)

    def report_absence(self) -> None:
        """Say once that no worker is there to wait for."""
        if self._client is not None and self.size() == 0 and not self._warned:
            self._warned = True
            warnings.warn(
                "the cluster has no workers now; embedding waits for one (interrupt to stop: what is done is "
                "stored)",
                RuntimeWarning,
                stacklevel=3,
            )


def _tokens(work: Work) -> int:
    return len(work.ids) * work.width


def _portable(engine: Engine) -> Recipe:
    """Recipe whose model is found from any working folder."""
    if engine.local.revision == "local":
        return engine.recipe._replace(model=str(engine.local.path.resolve()))
    return engine.recipe


def _explained(error: Any) -> Exception:
    if isinstance(error, ImportError | AttributeError) and "embreg" in str(error):
        made = ClusterError(f"workers must have this version of embreg, however: {error}")
        made.__cause__ = error
        return made
    return error
