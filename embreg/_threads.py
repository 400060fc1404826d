"""Independent pieces of torch work, one per core, instead of one piece split over the cores.

Splitting every product over the cores makes the cores wait for each other after every operation; at
the sizes of this package that costs more than the product, and far more when something else runs on
the machine. Pieces that need nothing from each other do not wait. The result of a piece does not
depend on how many run at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

__all__ = ["each"]

T = TypeVar("T")
R = TypeVar("R")


def each(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield ``function(item)`` for every item, in the order in which they finish.

    Parameters
    ----------
    function : callable
        Work that holds no lock: torch operations release Python's.
    items : iterable
        Read as workers become free, so that little waits in memory.

    Yields
    ------
    R
        Results; the first error is raised and the rest is not begun.

    Notes
    -----
    As many workers as torch has threads (``torch.set_num_threads``, ``OMP_NUM_THREADS``), each with
    one; the setting is restored at the end.

    Examples
    --------
    >>> sorted(each(lambda x: x * x, [1, 2, 3]))
    [1, 4, 9]
    """
    import torch

    cores = torch.get_num_threads()
    if cores == 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(cores, "embreg", initializer=torch.set_num_threads, initargs=(1,))
    waiting = iter(items)
    running: set[Future[R]] = set()
    try:
        for item in waiting:
            running.add(pool.submit(function, item))
            if len(running) > cores:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (f.result() for f in done)
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (f.result() for f in done)
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(cores)
