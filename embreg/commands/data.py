"""``embreg data``: the families of measured tasks: list, show, measure again, check, fetch."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embreg.commands.data_make import add_make, known_family, say
from embreg.commands.parser import Parser, UsageError, command, examples, positive
from embreg.storage.quantities import count

if TYPE_CHECKING:
    from embreg._task import Task

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the subparsers `commands`."""
    where = Parser(add_help=False)
    where.add_argument(
        "--from", type=Path, metavar="DIR", dest="folder",
        help="folder of the families, as made by embreg data make --into DIR; default: those of the package",
    )  # fmt: skip
    data = commands.add_parser(
        "data",
        help="list, show, measure or check the regression tasks of real systems",
        description="List, show, measure or check the regression tasks of real systems. They come in\n"
        "families, each with a data card: what ran, versions, machine, search space, noise, licence, flaws.",
        **examples(
            "embreg data ls                            families and their tasks",
            "embreg data show compiler/sort            one task, and its first rows as strings",
            "embreg data make compiler --jobs 2        measure a family again",
            "embreg data check                         leaks, duplicates, ties, outliers, learnability",
            "embreg data fetch                         ordinary tables with strings and numbers",
        ),
    )
    parts = data.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser, required=True)

    ls = command(
        parts, "ls", _ls, "list families and tasks: rows, parameters, noise, unit, licence",
        "embreg data ls",
        "embreg data ls compiler",
        "embreg data ls --from DIR                 what embreg data make --into DIR has written",
        "",
        "params: the number of parameters; used: how many of them a model was seen to use, a lower bound.",
        "noise: the standard deviation between repeats of a row, as a share of that of y.",
        parents=[where],
    )  # fmt: skip
    ls.add_argument("family", nargs="?", metavar="FAMILY", help="default: all")
    ls.add_argument("--json", action="store_true", help="print the data cards instead of a table")

    show = command(
        parts, "show", _show, "show the data card of a task, and its first rows as strings",
        "embreg data show compiler/sort",
        "embreg data show compiler/sort --rows 10",
        "embreg data show compiler/sort --json     the whole card, with the search space",
        parents=[where],
    )  # fmt: skip
    show.add_argument("task", metavar="FAMILY/TASK", help="see embreg data ls")
    show.add_argument("--rows", type=positive, default=3, metavar="N", help="rows to show; default: 3")
    show.add_argument("--json", action="store_true", help="print the task's part of the data card")

    add_make(parts)
    check = command(
        parts, "check", _check, "check tasks: schema, duplicates, leaks, ties, outliers, learnability",
        "embreg data check",
        "embreg data check compiler",
        "embreg data check compiler --from DIR     what embreg data make --into DIR has written",
        "",
        "An error makes results wrong, a warning has to be known by whoever reads them, a note says how a",
        "task is. Exit code: 0 no error, 1 an error was found or a file cannot be read, 2 wrong usage.",
        parents=[where],
    )  # fmt: skip
    check.add_argument("family", nargs="?", metavar="FAMILY", help="default: all")
    check.add_argument("--quiet", "-q", action="store_true", help="leave the notes out")
    command(
        parts, "fetch", _fetch, "get the ordinary tables, and the source of lz4; verify and keep them",
        "embreg data fetch",
        "",
        "The families come with the package; only measuring compiler/lz4 again wants its source.",
    )  # fmt: skip


def _failed(error: Exception) -> int:
    """Say what is wrong in the words of the package, which name the file and the way out."""
    say(f"embreg: {error}")
    return 1


def _folder(args: argparse.Namespace) -> Path | None:
    if args.folder is None:
        return None
    folder: Path = args.folder.expanduser()
    if not folder.is_dir():
        raise UsageError(f"--from must be a folder, however: there is none at {args.folder}")
    return folder


def _cards(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Cards of the family asked for, which must be there, or of all that are."""
    from embreg.families import card, families

    folder = _folder(args)
    cards = {}
    for name in [known_family(args.family)] if args.family else families():
        try:
            cards[name] = card(name, folder)
        except FileNotFoundError as error:
            _failed(error)
    return cards


def _ls(args: argparse.Namespace) -> int:
    cards = _cards(args)
    if args.json:
        print(json.dumps(cards, indent=2, ensure_ascii=False))
        return 0
    if not cards:
        return 1
    _print_table(
        ("task", "rows", "params", "used", "noise", "unit", "best", "y"),
        [
            (
                f"{name}/{task}", f"{entry['n']:,}", str(entry["nominal"]), _or_dash(entry["effective"]["n"]),
                _or_dash(entry["noise"]["ratio"], ".2g"), entry["unit"], entry["direction"], entry["target"],
            )
            for name, card in cards.items()
            for task, entry in card["tasks"].items()
        ],
        right={"rows", "params", "used", "noise"},
        folds={"y"},
    )  # fmt: skip
    print()
    for name, card in cards.items():
        print(f"{name}: {card['title']}; stands for {card['stands_for']}. Licence: {card['licence']}")
    tasks = [entry for card in cards.values() for entry in card["tasks"].values()]
    families = f"{len(cards)} {'family' if len(cards) == 1 else 'families'}"
    print(f"{families}, {count(len(tasks), 'task')}, {count(sum(t['n'] for t in tasks), 'row')}")
    return 0


def _or_dash(value: float | None, form: str = "") -> str:
    return "—" if value is None else format(value, form)


def _print_table(
    names: tuple[str, ...], rows: list[tuple[str, ...]], right: set[str], folds: set[str]
) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(
            name, justify="right" if name in right else "left", no_wrap=name not in folds, overflow="fold"
        )
    for row in rows:
        table.add_row(*map(escape, row))
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)


def _show(args: argparse.Namespace) -> int:
    from embreg._bbob_checks import unknown
    from embreg.families import card, family
    from embreg.serialize import serialize

    name, slash, task = args.task.partition("/")
    known_family(name)
    folder = _folder(args)
    try:
        of = card(name, folder)
    except FileNotFoundError as error:
        return _failed(error)
    if not slash or task not in of["tasks"]:
        raise UsageError(str(unknown("task", args.task, [f"{name}/{t}" for t in of["tasks"]])))
    entry = {key: of[key] for key in ("versions", "machine")} | of["tasks"][task]
    if args.json:
        print(json.dumps(entry, indent=2, ensure_ascii=False))
        return 0
    try:
        [loaded] = family(name, [task], folder=folder)
    except FileNotFoundError as error:
        return _failed(error)
    for key, text in _facts(of, entry).items():
        print(f"{key:<11}{text}")
    print(f"\nfirst rows of {len(loaded)}, and y:")
    head = loaded.rows.head(args.rows)
    for string, y in zip(serialize(head, notation="shortest"), loaded.y, strict=False):
        print(f"{string}  {y:.6g}")
    return 0


def _facts(of: dict[str, Any], entry: dict[str, Any]) -> dict[str, str]:
    """What the card says of a task, a line each."""
    effective, noise, y = entry["effective"], entry["noise"], entry["y"]
    infeasible = entry["infeasible"]
    used = effective.get("why") or (
        f"{effective['n']} seen in use (importance over {effective['threshold']}, R² {effective['r2']:.2f}): "
        + ", ".join(f"{k} {v:.2g}" for k, v in list(effective["importances"].items())[:5])
    )
    if noise["sd"] is None:
        repeated = "not measured"
    else:
        ratio = "" if noise["ratio"] is None else f", {noise['ratio']:.2g} of that of y"
        repeated = f"standard deviation {noise['sd']:.3g}{ratio} ({count(noise['n_rows'], 'row')} repeated)"
    return {
        "what": entry["about"],
        "y": f"{entry['target']} (unit {entry['unit']}, good is {entry['direction']})",
        "spread": f"{y['min']:.4g} … {y['median']:.4g} … {y['max']:.4g}, {y['distinct']:,} distinct",
        "rows": f"{entry['n']:,}; {infeasible['n']:,} more were infeasible",
        "parameters": f"{entry['nominal']}; {used}",
        "noise": f"{repeated}. {of['noise']}",
        "cost": f"{entry['seconds_per_row']:.2g} s a row",
        "ran": of["what_ran"],
        "versions": ", ".join(f"{k} {v}" for k, v in entry["versions"].items()),
        "machine": ", ".join(str(v) for v in entry["machine"].values()),
        "licence": of["licence"],
        **{f"flaw {i}": text for i, text in enumerate(of["flaws"], 1)},
    }


def _check(args: argparse.Namespace) -> int:
    from embreg.checking import check
    from embreg.families import families, family

    folder = _folder(args)
    names = [known_family(args.family)] if args.family else list(families())
    tasks: list[Task] = []
    problems: list[str] = []
    rest = 0
    for name in names:
        try:
            tasks += family(name, folder=folder)
        except (ValueError, OSError) as error:
            problems.append(name)
            print(f"{name}: error: {error}")
    for task, what, level, finding in check(tasks, folder=folder).to_numpy().tolist() if tasks else ():
        if level == "error":
            problems.append(task)
        else:
            rest += 1
        if not (args.quiet and level == "note"):
            print(f"{task}: {what}: {level}: {finding}")
    print(f"{count(len(tasks), 'task')} checked: {count(len(problems), 'error')}, {rest} warnings and notes")
    return int(bool(problems))


def _fetch(args: argparse.Namespace) -> int:
    from embreg.making._sdist import SourceError, fetch
    from embreg.making.compiler import LZ4
    from embreg.making.family import MissingTool
    from embreg.tables import ArchiveError, fetch_tables

    try:
        for name, path in fetch_tables(say=say).items():
            print(f"{name}: {path}")
        print(f"{LZ4.project}: {fetch(LZ4)}")
    except (ArchiveError, MissingTool, SourceError) as error:
        return _failed(error)
    return 0
