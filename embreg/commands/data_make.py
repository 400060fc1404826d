"""``embreg data make``: the tasks of a family, measured again or for the first time."""

from __future__ import annotations

import argparse
import sys
from importlib import resources
from pathlib import Path
from typing import Any

from embreg.commands.parser import UsageError, command, positive
from embreg.storage.quantities import count

__all__ = ["add_make", "known_family", "say"]


def add_make(parts: Any) -> None:
    """Add the command to the subparsers `parts`."""
    make = command(
        parts, "make", _make, "measure the tasks of a family, or go on where it stopped",
        "embreg data make compiler --jobs 2",
        "embreg data make compiler --tasks sort crc --rows 100",
        "embreg data make compiler --into DIR      DIR/compiler/*.parquet and DIR/compiler/card.json",
        "embreg data make my.module --into DIR     a family of your own: a module that holds FAMILY",
        "",
        "Every finished row is kept at once. Stopped? The same command goes on; at most the rows in progress",
        "are measured again. What was measured under other versions is not mixed in: --fresh sets it aside.",
        "Afterwards the result is compared with the tables that came with the package.",
        "Exit code: 0 all well, 1 something failed, 2 wrong usage (nothing was measured), 130 interrupted.",
    )  # fmt: skip
    make.add_argument("family", metavar="FAMILY", help="see embreg data ls; or a module of yours")
    make.add_argument("--tasks", nargs="+", action="extend", metavar="TASK", help="default: all")
    make.add_argument(
        "--jobs", "-j", type=positive, default=1, metavar="N",
        help="rows measured at the same time, each by one thread; default: 1",
    )  # fmt: skip
    make.add_argument("--rows", type=positive, metavar="N", help="rows per task; default: as shipped")
    make.add_argument(
        "--repeats", type=_natural, metavar="R",
        help="measure the first rows R times more, to estimate the noise; default: what the family says",
    )  # fmt: skip
    make.add_argument(
        "--into", type=Path, metavar="DIR",
        help="write tables and cards there; default: data in EMBREG_HOME, or in the user's cache folder",
    )  # fmt: skip
    make.add_argument(
        "--journals", type=Path, metavar="DIR",
        help="where measured rows are kept; default: making in EMBREG_HOME, or in the user's cache folder",
    )  # fmt: skip
    make.add_argument("--fresh", action="store_true", help="set aside what was measured, and begin anew")


def _natural(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"must be a whole number from 0, however: got {text!r}")
    return int(text)


def say(line: str) -> None:
    """Print a line that is no result."""
    print(line, file=sys.stderr)


def known_family(name: str) -> str:
    """Return the name of a family, or raise UsageError with the nearest one."""
    from embreg._bbob_checks import unknown
    from embreg.families import families

    if name not in families():
        raise UsageError(str(unknown("family", name, families())))
    return name


def _make(args: argparse.Namespace) -> int:
    from embreg._files import home
    from embreg.making._workers import resolve
    from embreg.making.driver import make

    if "." not in args.family and ":" not in args.family:
        known_family(args.family)
    try:
        family, _ = resolve(args.family)
    except ValueError as error:
        raise UsageError(str(error)) from error
    except ModuleNotFoundError as error:
        raise UsageError(f"{args.family} cannot be imported: {error}") from error
    _known_tasks(family, args.tasks)
    into = (home() / "data" if args.into is None else args.into).expanduser()
    made = make(
        args.family, args.tasks, n=args.rows, repeats=args.repeats, jobs=args.jobs, into=into,
        fresh=args.fresh, folder=None if args.journals is None else args.journals.expanduser(), say=say,
    )  # fmt: skip
    for one in made:
        print(f"{one.parquet}: {_compared(family, one)}")
    return 0


def _known_tasks(family: Any, tasks: list[str] | None) -> None:
    from embreg._bbob_checks import unknown

    names = [spec.name for spec in family.specs]
    for task in tasks or ():
        if task not in names:
            raise UsageError(str(unknown(f"task of family {family.name!r}", task, names)))


def _compared(family: Any, made: Any) -> str:
    """How a table compares with the one that came with the package."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from embreg.making.pack import agreement

    shipped = resources.files("embreg").joinpath("data", family.name, f"{made.task}.parquet")
    rows = count(made.n, "row")
    if not shipped.is_file():
        return rows
    try:
        there = pq.read_table(pa.BufferReader(shipped.read_bytes()))
        found = agreement(pq.read_table(made.parquet), there, family.tolerance)
    except (pa.ArrowException, OSError, KeyError) as error:
        return f"{rows}; the table that came with the package cannot be read: {error}"
    text = f"{rows}; of {found.rows:,} that came with the package too {found.exact:,} are equal"
    if family.tolerance:
        text += f", {found.near:,} within the tolerance ({family.tolerance:g} standard deviations)"
    return text + (f"; {found.other:,} have other parameters" if found.other else "")
