"""``embreg reproduce``: how many figures of a profile agree with the committed ones."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embreg.commands.parser import UsageError, command, positive

if TYPE_CHECKING:
    from embreg.reproducing.comparing import Deviation
    from embreg.reproduction import Report, RunReport

__all__ = ["add"]

_WIDTH = 80  # without a terminal: a log
_MOST = 20  # deviations that are listed


def add(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    """Add the command to the subparsers `commands`; `parents` have ``--profile`` and ``--root``."""
    reproduce = command(
        commands, "reproduce", _reproduce, "compare the results of a profile with the committed ones",
        "embreg reproduce --profile offline             execute what is not current, then compare",
        "embreg reproduce --profile smoke --no-run      compare what is there",
        "embreg reproduce 02 --profile offline          the runs of one notebook",
        "embreg reproduce --profile offline --json book/results/reproduced/NAME.json",
        "                                               one machine of the book's page on it",
        "embreg reproduce --profile offline --write     make the runs the new reference",
        "",
        "The reference is book/results/reference/PROFILE.json. How far a number may move, and why, is in",
        "embreg/reproducing/rules.py and on the book's page; times and memory are not compared.",
        "Exit code: 0 all agree, 1 some differ or are missing, 2 wrong usage.",
        parents=parents,
    )  # fmt: skip
    reproduce.add_argument("names", nargs="*", metavar="NAME", help="as for embreg run; default: all")
    reproduce.add_argument(
        "--run", action=argparse.BooleanOptionalAction, default=True,
        help="execute what is not current first; default: yes",
    )  # fmt: skip
    reproduce.add_argument(
        "--jobs", "-j", type=positive, default=1, metavar="N", help="runs at the same time; default: 1"
    )
    reproduce.add_argument("--json", type=Path, metavar="FILE", help="write the comparison as JSON, too")
    reproduce.add_argument(
        "--write", action="store_true", help="write the reference from the runs instead of comparing with it"
    )


def _reproduce(args: argparse.Namespace) -> int:
    from embreg.profiles import find_root, load_profile, select
    from embreg.reproduction import compare_with_reference, execute_stale, write_reference

    if args.write and args.json:
        raise UsageError("--json must be of a comparison, however: --write compares nothing; leave one out")
    if args.json and args.names:
        raise UsageError(
            f"--json must be of a whole profile, however: got {' '.join(args.names)}; leave out the names"
        )
    root = find_root(args.root)
    select(load_profile(args.profile, root), args.names)  # a slip is told before anything runs
    failed = execute_stale(args.profile, root, args.names, jobs=args.jobs) if args.run else []
    if args.write:
        path = write_reference(args.profile, root, args.names)
        print(f"{path.relative_to(root).as_posix()}: {path.stat().st_size:,} bytes")
        return 0
    report = compare_with_reference(args.profile, root, args.names)
    if args.json:
        from embreg._files import atomic_path

        with atomic_path(args.json) as tmp:
            text = json.dumps(report.record(root), indent=1, ensure_ascii=False)
            tmp.write_text(text + "\n", encoding="utf-8")
    _show(report)
    if failed:
        print(f"embreg: {len(failed)} runs failed: {', '.join(failed)}", file=sys.stderr)
    return 0 if report.agrees else 1


def _show(report: Report) -> None:
    from rich.console import Console

    from embreg.planning.columns import Column, table_of

    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    runs = report.runs
    columns = [
        Column("run", [*(r.name for r in runs), "together"], 99, 24),
        Column("numbers", [*(_part(r.outcome.agreed, r.outcome.of) for r in runs),
                           _part(report.agreed, report.of)], 90),
        Column("figures", [*(_part(r.drawn_agreed, r.drawn) for r in runs),
                           _part(sum(r.drawn_agreed for r in runs), sum(r.drawn for r in runs))], 50),
        Column("largest deviation", [*map(_largest, runs), _distance(report.largest)], 80, 16),
    ]  # fmt: skip
    title = f"profile {report.profile} beside its reference: what agrees"
    console.print(table_of(columns, console.width, title=title, last=True, dim=[]))
    lines = []
    for d in report.beyond[:_MOST]:
        lines += [f"{d.run}: {d.what}", f"  {_number(d.reference)} → {_number(d.found)}, {_allowed(d)}"]
    if (more := len(report.beyond) - _MOST) > 0:
        lines.append(f"and {more:,} more")
    for run in runs:
        lines += _one_sided(f"{run.name}: in the reference alone", run.outcome.lost)
        lines += _one_sided(f"{run.name}: not in the reference", run.outcome.new)
    if said := [f"{r.name}/{name}" for r in runs for name in r.outcome.said]:
        lines.append(f"Not counted: {len(said)} sentences have other words: {', '.join(said)}")
    if (worst := report.largest) is not None and worst.within:
        lines.append(f"The largest deviation is that of {worst.run}, {worst.what}.")
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if not report.agrees:
        done = sum(r.agrees for r in runs)
        print(f"embreg: {done} of {len(runs)} runs agree with their reference", file=sys.stderr)


def _part(agreed: int, of: int) -> str:
    return f"{agreed:,} of {of:,}"


def _largest(run: RunReport) -> str:
    return run.trouble or _distance(run.outcome.largest)


def _distance(d: Deviation | None) -> str:
    return "none" if d is None else _allowed(d)


def _allowed(d: Deviation) -> str:
    size = f"{d.size:.2g}" if d.size < float("inf") else "no number on one side"
    return f"{size}, allowed {d.allowed:.2g}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


def _one_sided(label: str, names: Sequence[str]) -> list[str]:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return [f"{label}: {'; '.join(names[:5])}{more}"] if names else []
