"""Progress bars that appear only on a terminal and only when something takes a while."""

from __future__ import annotations

import sys
import time
from typing import Any

__all__ = ["Progress"]

_PATIENCE = 2.0  # seconds of silence before a bar is worth showing


class Progress:
    """Bar on stderr after two seconds; silent when stderr is not a terminal.

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

    def __init__(self, label: str, total: float) -> None:
        self.label, self.total, self.done = label, total, 0.0
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        self._started = time.perf_counter()
        return self

    def advance(self, amount: float) -> None:
        """Add finished work."""
        self.done += amount
        if self._bar is None:
            if not sys.stderr.isatty() or time.perf_counter() - self._started < _PATIENCE:
                return
            from rich.console import Console
            from rich.progress import Progress as Bar

            self._bar = Bar(console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(self.label, total=self.total)
            self._bar.start()
        self._bar.update(self._task, completed=self.done)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
