"""Progress bars that appear only on a terminal and only when something takes a while."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

__all__ = ["Progress", "carried", "without_widgets"]

_PATIENCE = 2.0  # seconds of silence before a bar is worth showing


class Progress:
    """Bar on stderr after two seconds; silent when stderr is not a terminal.

    Work inside other work that is shown already becomes a second line of the same display.

    Parameters
    ----------
    label : str
        What is being done.
    total : float
        Amount of work, in any unit.

    Examples
    --------
    >>> with Progress("counting", 3) as bar:
    ...     for _ in range(3):
    ...         bar.advance(1)
    """

    _shown: ClassVar[Any] = None  # the one display of this process: two would overwrite each other
    _carrier: ClassVar[tuple[Progress, float] | None] = None  # see `carried`

    def __init__(self, label: str, total: float) -> None:
        self.label, self.total, self.done = label, total, 0.0
        self._outer = Progress._carrier
        self._bar: Any = None
        self._task: Any = None
        self._owner = False
        self._started = time.perf_counter()

    def __enter__(self) -> Progress:
        self._started = time.perf_counter()
        return self

    def advance(self, amount: float) -> None:
        """Add finished work."""
        self.done += amount
        if self._outer is not None:
            bar, share = self._outer
            bar.advance(share * amount / self.total if self.total else 0.0)
            return
        if self._bar is None:
            if not sys.stderr.isatty() or time.perf_counter() - self._started < _PATIENCE:
                return
            self._show()
        self._bar.update(self._task, completed=self.done)

    def _show(self) -> None:
        if Progress._shown is None:
            from rich.console import Console
            from rich.progress import Progress as Bar

            Progress._shown = Bar(console=Console(stderr=True), transient=True)
            Progress._shown.start()
            self._owner = True
        self._bar = Progress._shown
        self._task = self._bar.add_task(self.label, total=self.total)

    def __exit__(self, *_: object) -> None:
        if self._owner:
            self._bar.stop()
            Progress._shown = None
        elif self._bar is not None:
            self._bar.remove_task(self._task)


@contextmanager
def carried(bar: Progress, share: float) -> Iterator[None]:
    """Let work inside move `bar` by `share` in all, instead of showing a line of its own.

    A line that comes and goes with every short piece of a long work flickers. A piece that shows
    nothing, or does not get to its end, is made up for when the block ends without an error.

    Parameters
    ----------
    bar : Progress
        Of the whole work.
    share : float
        Of the piece, in the unit of `bar`. At most one `Progress` is moved on in the block.

    Examples
    --------
    >>> with Progress("rows", 100) as rows, carried(rows, 10), Progress("tokens", 4000) as tokens:
    ...     tokens.advance(1000)
    ...     rows.done
    2.5
    >>> rows.done
    10.0
    """
    before, goal = Progress._carrier, bar.done + share
    Progress._carrier = bar, share
    try:
        yield
    finally:
        Progress._carrier = before
    bar.advance(goal - bar.done)


@contextmanager
def without_widgets() -> Iterator[None]:
    """Import libraries whose bars ask for Jupyter's widgets, which nothing here needs, without the warning.

    Examples
    --------
    >>> with without_widgets():
    ...     import tokenizers
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")
        yield
