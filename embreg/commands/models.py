"""``embreg models``: list models and ladders of models, and get weights."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from embreg.commands.parser import Parser, UsageError, command, examples

__all__ = ["add"]

_RIGHT = {"dims", "layers", "tokens", "parameters", "models", "download"}


def add(commands: Any) -> None:
    """Add the command to the subparsers `commands`."""
    models = commands.add_parser(
        "models",
        help="list or get model weights",
        description="List or get model weights.",
        **examples("embreg models ls", "embreg models ladders", "embreg models fetch all-MiniLM-L6-v2"),
    )
    parts = models.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser, required=True)
    listed = command(parts, "ls", _ls,
                     "list the named models: size, limits, licence, where from, and whether they are here",
                     "embreg models ls", "embreg models ls --here",
                     "embreg models ls --ladder pythia")  # fmt: skip
    listed.add_argument("--ladder", metavar="NAME", help="only the models of one ladder, from small to large")
    listed.add_argument("--here", action="store_true", help="only the models that are on this machine")
    command(parts, "ladders", _ladders,
            "list families of models by size, and which of them hold the training recipe fixed",
            "embreg models ladders")  # fmt: skip
    fetch = command(parts, "fetch", _fetch, "get weights, verify and keep them",
                    "embreg models fetch                     the three that the notebooks use by default",
                    "embreg models fetch all-mpnet-base-v2   a larger one, by name",
                    "embreg models fetch offline-encoders    every model of a ladder",
                    "embreg models fetch --profile offline   what the runs of a profile read",
                    "embreg models fetch t5-v1_1-small --dry-run",
                    "",
                    "What is here is not fetched again: a call that failed half-way is repeated as it was.",
                    )  # fmt: skip
    fetch.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="a model or a ladder, see embreg models ls and embreg models ladders; default, without "
        "--profile: three small offline ones",
    )
    fetch.add_argument(
        "--profile",
        "-P",
        action="append",
        default=[],
        metavar="PROFILE",
        help="the models of every run of a profile in notebooks/profiles.yml; repeatable",
    )
    fetch.add_argument(
        "--dry-run",
        "-n",
        action="store_true",
        help="print what is here and what would be downloaded, fetch nothing",
    )
    fetch.add_argument(
        "--root", type=Path, metavar="DIR", help="the project; default: found from here upwards"
    )


def _show(heads: list[str], rows: list[list[str]], wraps: set[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in heads:
        right = name in _RIGHT
        table.add_column(name, justify="right" if right else "left", no_wrap=name not in wraps)
    for row in rows:
        table.add_row(*row)
    console = Console()
    (console if console.is_terminal else Console(width=200)).print(table)


def _known_ladder(name: str) -> tuple[str, ...]:
    import difflib

    from embreg.ladders import LADDERS

    if name not in LADDERS:
        near = difflib.get_close_matches(name, LADDERS, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"unknown ladder {name!r}; {hint}There are: {', '.join(LADDERS)}")
    return LADDERS[name].models


def _ls(args: argparse.Namespace) -> int:
    from embreg.weights import list_models

    rows = {row["name"]: row for row in list_models()}
    if args.ladder is not None:
        rows = {name: rows[name] for name in _known_ladder(args.ladder)}
    shown = []
    for row in rows.values():
        if args.here and not row["present"]:
            continue
        size = f"{row['bytes'] / 1e6:,.0f} MB" if row["bytes"] else "yes"
        shown.append([
            row["name"], size if row["present"] else "—",
            f"{row['download'] / 1e6:,.0f} MB" if row["download"] else "—", str(row["dim"]),
            str(row["layers"]), f"{row['context']:,}" if row["context"] else "any",
            f"{row['parameters'] / 1e6:,.0f} M", row["licence"], ", ".join(row["ladders"]) or "—",
            row["source"],
        ])  # fmt: skip
    heads = ["model", "here", "download", "dims", "layers", "tokens", "parameters", "licence", "ladder"]
    _show([*heads, "source"], shown, {"source", "ladder", "licence"})
    return 0


def _ladders(args: argparse.Namespace) -> int:
    from embreg.ladders import LADDERS
    from embreg.models import MODELS

    rows = []
    for ladder in LADDERS.values():
        small, large = (MODELS[ladder.models[i]].parameters / 1e6 for i in (0, -1))
        rows.append([
            ladder.name, str(len(ladder.models)), f"{small:,.0f} to {large:,.0f} M", ladder.axis,
            ladder.reachable, ladder.sentence,
        ])  # fmt: skip
    _show(["ladder", "models", "parameters", "compares", "from", "recipe"], rows, {"recipe"})
    return 0


_MENTIONED = 100_000_000
"""Bytes of a download that is not begun without a word."""


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _wanted(args: argparse.Namespace) -> tuple[str, ...]:
    """Models that the arguments name, each once; what needs no fetching is told."""
    from embreg._wanted import models_of_runs, named
    from embreg.models import OFFLINE
    from embreg.profiles import find_root, load_profile

    try:  # a slip in the last name must not show after the first download
        names = named(args.names)
        if not args.profile:
            return names or OFFLINE
        root = find_root(args.root)
        runs = [spec.parameters for profile in args.profile for spec in load_profile(profile, root)]
        of_runs = models_of_runs(runs)
    except ValueError as error:
        raise UsageError(str(error)) from error
    for name in of_runs.skipped:
        _tell(f"{name}: a service or a local folder, nothing to fetch")
    return tuple(dict.fromkeys([*names, *of_runs.models]))


def _fetch(args: argparse.Namespace) -> int:
    from embreg._wanted import absent, download_size, download_text
    from embreg.weights import WeightsError, fetch, installed

    names = _wanted(args)
    missing = absent(names)
    size, known = download_size(missing)
    total = f"{len(missing)} of {len({*names, *missing})} models to download, {download_text(missing)}"
    if args.dry_run:
        for name in dict.fromkeys([*missing, *names]):
            print(f"{name}: {download_text([name]) if name in missing else f'here, {installed(name)}'}")
        print(total if missing else "nothing to download")
        return 0
    if size > _MENTIONED or not known:
        _tell(total)
    several = bool(args.names or args.profile)
    failed = []
    for name in names:
        if several and name not in missing and name not in args.names:
            print(installed(name))  # a name that was typed may have moved on, on the hub
            continue
        try:
            print(fetch(name, say=_tell))
        except (WeightsError, ImportError, ValueError) as error:
            if len(names) == 1 or not several:
                raise
            _tell(f"embreg: {name}: {error}")
            failed.append(name)
    if failed:
        _tell(f"embreg: {len(failed)} of {len(names)} models not fetched: {', '.join(failed)}; the same "
              "command goes on from here")  # fmt: skip
    elif not missing and several:
        _tell("nothing was downloaded: all of it is here")
    return 1 if failed else 0
