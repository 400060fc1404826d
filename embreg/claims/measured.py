"""What a statistic gives: a value with its interval, in which unit, over how many tasks and seeds."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from embreg.stats import Interval

__all__ = ["Measured", "measured", "out_of"]


class Measured(NamedTuple):
    """An estimate and what it rests on.

    Attributes
    ----------
    interval : Interval
    unit : str
        Such as ``Kendall τ`` or ``share``.
    n, seeds : int
        Tasks and seeds.
    of : str
        What the tasks are: ``functions`` or ``tasks``.
    available : int or None
        How many of them there are, as far as is known.
    cells : DataFrame or None
        ``task, seed, difference`` where the estimate is a mean of such.

    Examples
    --------
    >>> str(Measured(Interval(0.5, 0.25, 0.75), "share", 8, 3, "functions"))
    '0.50 [0.25, 0.75] (8 functions, 3 seeds)'
    """

    interval: Interval
    unit: str
    n: int
    seeds: int
    of: str = "tasks"
    available: int | None = None
    cells: pd.DataFrame | None = None

    def __str__(self) -> str:
        seeds = f", {self.seeds} seed{'s' * (self.seeds != 1)}" if self.seeds else ""
        return f"{self.interval} ({self.n} {self.of if self.n != 1 else self.of[:-1]}{seeds})"


def measured(
    interval: Interval, unit: str, table: pd.DataFrame, *, cells: pd.DataFrame | None = None
) -> Measured:
    """Attach to an interval how many tasks and seeds of `table` it is over.

    Examples
    --------
    >>> t = pd.DataFrame({"task": ["Sphere", "Discus"], "seed": 0})
    >>> str(measured(Interval(0.5, 0.25, 0.75), "share", t))
    '0.50 [0.25, 0.75] (2 functions, 1 seed)'
    """
    tasks = table["task"].drop_duplicates().astype(str).tolist()
    seeds = int(table["seed"].nunique()) if "seed" in table.columns else 0
    of, available = out_of(tasks)
    return Measured(interval, unit, len(tasks), seeds, of, available, cells)


def out_of(tasks: list[str]) -> tuple[str, int | None]:
    """What these tasks are and how many of the kind there are, ``None`` where there is no end.

    Examples
    --------
    >>> out_of(["Sphere"]), out_of(["sum", "odd"])
    (('functions', 23), ('tasks', None))
    """
    from embreg.families import card, families
    from embreg.tasks import bbob_functions

    for variant in ("paper", "coco"):
        if set(tasks) <= set(bbob_functions(variant)):
            return "functions", len(bbob_functions(variant))
    groups = {task.split("/")[0] for task in tasks}
    if groups <= set(families()):
        return "tasks", sum(len(card(group)["tasks"]) for group in groups)
    return "tasks", None
