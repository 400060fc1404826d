"""What `embreg run` shows while it works: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from embreg._execute import RunResult

__all__ = ["Screen", "display"]

_MARKS = {"ran": "[green]ran[/]", "current": "[dim]current[/]", "failed": "[bold red]FAILED[/]"}


class Screen:
    """Lines of finished runs, and bars of running ones when there is a terminal.

    Parameters
    ----------
    console : rich.console.Console
    total : int
        Number of runs.
    progress : rich.progress.Progress or None
        None where nothing should move.
    """

    def __init__(self, console: Any, total: int, progress: Any) -> None:
        self._console, self._total, self._progress = console, total, progress
        self._tasks: dict[str, Any] = {}
        self._count = 0

    def finished(self, result: RunResult) -> None:
        """Print one line on a finished run."""
        from rich.markup import escape

        if (task := self._tasks.pop(result.name, None)) is not None:
            self._progress.remove_task(task)
        self._count += 1
        line = f"[{self._count}/{self._total}]"
        text = f"{escape(line)} {_MARKS[result.status]} [bold]{escape(result.name)}[/]"
        if result.status != "current":
            text += f" in {result.seconds:.1f} s: {escape(result.reason)}"
        if result.status == "failed" and (result.folder / "notebook.ipynb").is_file():
            text += f"\n      see {escape(str(result.folder / 'notebook.ipynb'))}"
        self._console.print(text, highlight=False, soft_wrap=True)

    def running(self, cells: Mapping[str, tuple[int, int] | None]) -> None:
        """Move the bars: cell at work and number of cells of each run that has started."""
        if self._progress is None:
            return
        for name, state in cells.items():
            if state is None:
                continue
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=state[1])
            self._progress.update(self._tasks[name], completed=state[0])


@contextmanager
def display(total: int, *, enabled: bool) -> Iterator[Screen]:
    """Screen on stderr for `total` runs."""
    from rich.console import Console

    console = Console(file=sys.stderr, quiet=not enabled)
    if not (enabled and console.is_terminal):
        yield Screen(console, total, None)
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(30), MofNCompleteColumn(),
               TextColumn("cells"), TimeElapsedColumn())  # fmt: skip
    with Progress(*columns, console=console, transient=True) as progress:
        yield Screen(console, total, progress)
