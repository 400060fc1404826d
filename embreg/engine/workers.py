"""Which executor embeds: that of a ``with`` block, that of ``EMBREG_CLUSTER``, or none: this process."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Executor

__all__ = ["VARIABLE", "ClusterError", "use_workers", "workers"]

VARIABLE = "EMBREG_CLUSTER"
"""Environment variable that names a cluster as `embreg.cluster.connect` takes it."""


class ClusterError(RuntimeError):
    """Workers cannot be reached, or must not compute: the message says why and what to do."""


_CURRENT: ContextVar[tuple[Executor | None] | None] = ContextVar("embreg_workers", default=None)
# By process too: a fork must not use its parent's connection.
_OPEN: dict[tuple[int, str], tuple[Executor, ExitStack]] = {}
_LOCK = threading.Lock()


@contextmanager
def use_workers(executor: Executor | None) -> Iterator[None]:
    """Embed on the workers of `executor` inside the block.

    The store is read and written by this process alone, and the numbers are those of this process.

    Parameters
    ----------
    executor : concurrent.futures.Executor or None
        From `embreg.cluster.connect`; or processes of this machine
        (`concurrent.futures.ProcessPoolExecutor`), or a Dask cluster's (``Client(...).get_executor()``).
        None embeds in this process, whatever ``EMBREG_CLUSTER`` says.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from embreg import TextEmbedder, use_workers
    >>> with ThreadPoolExecutor(1) as pool, use_workers(pool):
    ...     TextEmbedder(dtype="float32", store=None).fit_transform(["{x0:1.0000}"]).shape
    (1, 384)
    """
    token = _CURRENT.set((executor,))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def workers() -> Executor | None:
    """Return the executor in use, or None for this process.

    Without a block of `use_workers` it is the cluster that the environment variable ``EMBREG_CLUSTER``
    names: connected to by the first call, closed when the process ends.

    Raises
    ------
    ClusterError
        That cluster cannot be reached.

    Examples
    --------
    >>> with use_workers(None):
    ...     print(workers())
    None
    """
    chosen = _CURRENT.get()
    if chosen is not None:
        return chosen[0]
    where = os.environ.get(VARIABLE, "").strip()
    if not where:
        return None
    with _LOCK:
        key = os.getpid(), where
        if key not in _OPEN:
            from embreg.cluster import connect

            stack = ExitStack()
            _OPEN[key] = stack.enter_context(connect(where)), stack
            atexit.register(_close)
        return _OPEN[key][0]


def _close() -> None:
    """Close what `workers` has connected to."""
    for key in [k for k in _OPEN if k[0] == os.getpid()]:
        _OPEN.pop(key)[1].close()
