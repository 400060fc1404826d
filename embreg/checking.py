"""Checks of a task before anybody trusts a number from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any

import pandas as pd

from embreg._bbob_checks import unknown
from embreg._checks import MAX_BYTES, MIN_TASKS, TASK_CHECKS, Finding
from embreg._progress import Progress
from embreg._schema import table_faults
from embreg._task import Task
from embreg.families import card, family_folder
from embreg.making.family import FAMILIES

__all__ = ["CHECKS", "check"]

CHECKS = tuple(TASK_CHECKS)
"""Names of all checks, in the order of the report."""


def check(
    tasks: Task | Iterable[Task],
    *,
    checks: Sequence[str] | None = None,
    folder: str | PathLike[str] | None = None,
) -> pd.DataFrame:
    """Look for what would make results on a task wrong or worthless.

    Parameters
    ----------
    tasks : Task or iterable of Task
        Of a family or your own.
    checks : sequence of str, optional
        Names from `CHECKS`; without it all.
    folder : path, optional
        Where the folders of families are, as for `embreg.families.family`. Tasks of a family are held against
        its data card.

    Returns
    -------
    DataFrame of str
        Columns ``task, check, level, finding``, in the order of the tasks and of `CHECKS`. An ``error`` makes
        results wrong, a ``warning`` has to be known by whoever reads them, a ``note`` says how a task is.
        What concerns a family stands under its name.

    Raises
    ------
    ValueError
        An unknown check, or no task.

    Notes
    -----
    schema
        What cannot be written as text; of families also columns, types, values and gaps that the search space
        of the data card rules out. A table that fails here is not looked at further.
    sizes
        Of families: 500 to 1,500 rows a task, 8 tasks or more, 5 MB for all families together. Of other
        tasks: too few rows to test on.
    constant
        Columns with one value.
    duplicates
        Rows that are there twice: the same y puts test rows into training; another y says that something is
        missing from the columns.
    leaks
        A column that alone determines y: from it a tree or a monotone curve predicts held-out y, or its
        ranks, with an R² of 0.999 or more, or all rows that share a value of it share y too.
    ties
        How many rows share the most common y.
    outliers
        Rows over 10 robust standard deviations from the median, a y whose variance comes from one row in a
        hundred, skew.
    learnability
        Five-fold R² and Kendall's τ of boosted trees, beside what the noise of y leaves to learn.

    Examples
    --------
    >>> rows = pd.DataFrame({"lr": [0.3, 0.1] * 30, "same": 1, "loss": [float(i) for i in range(60)]})
    >>> task = Task("own", rows, rows["loss"].to_numpy(), "own", "f", 3, 0, "")
    >>> found = check(task, checks=["constant", "leaks"])
    >>> found[["check", "level"]].to_numpy().tolist()
    [['constant', 'warning'], ['leaks', 'error']]
    """
    from threadpoolctl import threadpool_limits

    given = [tasks] if isinstance(tasks, Task) else list(tasks)
    if not given:
        raise ValueError(
            "tasks must hold at least one task, however: got none. Load some: family('compiler')"
        )
    if isinstance(checks, str):
        raise ValueError(f"checks must be a list of names, however: got {checks!r}. Pass [{checks!r}].")
    chosen = CHECKS if checks is None else tuple(checks)
    for name in chosen:
        if name not in CHECKS:
            raise unknown("check", name, CHECKS)
    names = list(dict.fromkeys(task.suite for task in given if task.suite in FAMILIES))
    cards = {name: card(name, folder) for name in names}
    out: list[tuple[str, str, str, str]] = []
    # One thread, as in `effective_dof`: the trees are small.
    with threadpool_limits(limits=1), Progress("checking", len(given)) as bar:
        for task in given:
            entry = cards[task.suite]["tasks"].get(task.function) if task.suite in cards else None
            # A table that cannot be written as text fails everywhere: that is said whatever was asked for.
            run = ["schema"] if table_faults(task.rows) else [name for name in CHECKS if name in chosen]
            for name in run:
                out += [(task.name, name, *finding) for finding in TASK_CHECKS[name](task, entry)]
            bar.advance(1)
    if "sizes" in chosen:
        out += [(name, "sizes", *finding) for name in names for finding in _few(cards[name])]
        out += [("all families", "sizes", *finding) for finding in _large(names, folder)]
    return pd.DataFrame(out, columns=["task", "check", "level", "finding"], dtype="str")


def _few(found: Mapping[str, Any]) -> list[Finding]:
    n = len(found["tasks"])
    return [("error", f"a family has {MIN_TASKS} tasks or more, however: {n}")] if n < MIN_TASKS else []


def _large(names: Sequence[str], folder: str | PathLike[str] | None) -> list[Finding]:
    """Whether all that is shipped keeps to its size; nothing to say where no family was asked for."""
    if not names:
        return []
    places = [family_folder(name, folder) for name in FAMILIES]
    total = sum(len(file.read_bytes()) for place in places if place.is_dir() for file in place.iterdir())
    if total <= MAX_BYTES:
        return []
    return [("error", f"all families have {MAX_BYTES:,} bytes or less, however: {total:,}")]
