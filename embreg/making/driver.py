"""Measures the tasks of a family: in processes, resumably, every finished row in a journal at once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from embreg._bbob_checks import unknown
from embreg._files import digest, home
from embreg._progress import Progress
from embreg._provenance import machine
from embreg._task import whole
from embreg.making._draws import settle
from embreg.making._run import MeasureError, Run
from embreg.making._workers import resolve, workers
from embreg.making.family import Family, TaskSpec
from embreg.making.journal import FORMAT, Journal

__all__ = ["Made", "MeasureError", "make"]

_ATTRIBUTES = ("title", "stands_for", "what_ran", "licence", "noise", "flaws", "tolerance", "specs")


@dataclass(frozen=True)
class Made:
    """One task that is measured.

    Attributes
    ----------
    family, task : str
    n : int
        Rows with a y.
    infeasible : int
        Rows without, among those up to the last one needed.
    new : int
        Measurements made by this call, repeats among them.
    journal : Path
    parquet : Path or None
        Where the table was written.
    """

    family: str
    task: str
    n: int
    infeasible: int
    new: int
    journal: Path
    parquet: Path | None


def make(
    family: str | Family,
    tasks: Sequence[str] | None = None,
    *,
    n: int | None = None,
    repeats: int | None = None,
    n_repeated: int | None = None,
    jobs: int = 1,
    folder: Path | None = None,
    into: Path | None = None,
    fresh: bool = False,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
) -> list[Made]:
    """Measure tasks of a family. Whatever the journals hold already is not measured again.

    Parameters
    ----------
    family : str or Family
        Its name; a module of yours that holds ``FAMILY``; or such an object, which workers must be able to
        import.
    tasks : sequence of str, optional
        Default: all.
    n : int, optional
        Rows per task; default: what the task says.
    repeats, n_repeated : int, optional
        How often the first rows are measured again for an estimate of the noise, and how many of them;
        default: what the family says (its ``repeats``, ``n_repeated``), else 3 and 20.
    jobs : int
        Processes that measure, with one thread each.
    folder : Path, optional
        Of the journals; default: ``making`` in `embreg._files.home`.
    into : Path, optional
        Write each finished task to ``<into>/<family>/<task>.parquet`` and the data card beside it.
    fresh : bool
        Set journals that are there aside and begin anew.
    say : callable
        Gets lines about what happens.

    Returns
    -------
    list of Made

    Raises
    ------
    ValueError
        Unknown family or task, or a number out of range.
    MissingTool
        Something is needed that is not on this machine.
    JournalError
        A journal is damaged, in use, or from another search space or other versions.
    MeasureError
        A row raised an error, a worker died, or most rows are infeasible.

    Examples
    --------
    >>> make("compiler", ["no_such_program"])
    Traceback (most recent call last):
    ...
    ValueError: unknown task of family 'compiler': 'no_such_program'...
    """
    found, reference = resolve(family)
    specs = _chosen(found, tasks)
    jobs = whole("jobs", jobs, 1)
    repeats = whole("repeats", getattr(found, "repeats", 3) if repeats is None else repeats, 0)
    again = whole("n_repeated", getattr(found, "n_repeated", 20) if n_repeated is None else n_repeated, 0)
    sizes = {spec.name: spec.n if n is None else whole("n", n, 1) for spec in specs}
    found.require()
    headers = _headers(found, specs)
    place = (home() / "making" if folder is None else Path(folder)) / found.name
    made = []
    with ExitStack() as stack:
        # All are opened first: what is wrong with the last one must not show after hours.
        journals = {
            name: stack.enter_context(Journal(place / f"{name}.jsonl", header, fresh=fresh, say=say))
            for name, header in headers.items()
        }
        pool = stack.enter_context(workers(reference, jobs))
        total = sum(size + min(again, size) * repeats for size in sizes.values())
        with Progress(f"measuring {found.name}", total) as bar:
            for spec in specs:
                run = Run(found, spec.name, journals[spec.name], pool, jobs, bar)
                try:
                    first = run.rows(sizes[spec.name])
                    run.repeats(first[:again], repeats)
                except KeyboardInterrupt:
                    say(f"{run.name}: {run.done()} of {sizes[spec.name]} rows are kept")
                    raise
                made.append(_finish(run, sizes[spec.name], into, say))
    return made


def _chosen(family: Family, tasks: Sequence[str] | None) -> list[TaskSpec]:
    """Tasks that are asked for; what would fail later, when the first of them is written, fails here."""
    if lost := [name for name in _ATTRIBUTES if not hasattr(family, name)]:
        raise ValueError(
            f"family {family.name!r} must say its {lost[0]!r}, however: it has no such attribute"
        )
    known = [spec.name for spec in family.specs]
    if isinstance(tasks, str) or (tasks is not None and not tasks):
        raise ValueError(f"tasks must be a list of at least one name, however: got {tasks!r}")
    for task in known if tasks is None else tasks:
        if task not in known:
            raise unknown(f"task of family {family.name!r}", task, known)
        if odd := {"row", "y"} & set(family.space(task).names):
            raise ValueError(f"{family.name}/{task}: a parameter must not be called {odd.pop()!r}; rename it")
    return [spec for spec in family.specs if tasks is None or spec.name in tasks]


def _headers(family: Family, specs: Sequence[TaskSpec]) -> dict[str, dict[str, object]]:
    """First lines of the journals."""
    here = {k: v for k, v in machine().items() if k != "cores"}
    common = {"versions": family.versions(), "machine": here}
    started = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        spec.name: {
            "format": FORMAT, "family": family.name, "task": spec.name,
            "space": digest(family.space(spec.name).describe()), **common, "started": started,
        }
        for spec in specs
    }  # fmt: skip


def _finish(run: Run, n: int, into: Path | None, say: Callable[[str], None]) -> Made:
    from embreg.making.pack import pack

    run.journal.sync()  # what a table is made of must not be lost where the table is not
    rows = settle(run.family, run.task, run.journal.log.entries, n)
    path = None if into is None else pack(run.family, run.task, run.journal.log, Path(into), n=n)
    seconds = sorted(entry.seconds for _, entry in rows.kept)[n // 2]
    infeasible = rows.reasons.total()
    say(f"{run.name}: {n} rows, {infeasible} infeasible, {run.new} measured now, {seconds:.2g} s a row")
    return Made(run.family.name, run.task, n, infeasible, run.new, run.journal.path, path)
