"""What every command of ``embreg`` is made of: a parser whose errors say what to type instead."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

__all__ = ["Parser", "UsageError", "command", "examples", "positive"]


class UsageError(ValueError):
    """The command is wrong: exit code 2."""


class Parser(argparse.ArgumentParser):
    """Parser whose errors are one line that says what to type instead."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError; a word that is none of the known ones is answered with the nearest."""
        bad, _, choices = message.partition(" (choose from ")
        if "invalid choice: '" in bad and choices:
            word = bad.split("'")[1]
            known = [c.strip(" ')") for c in choices.split(",")]
            near = difflib.get_close_matches(word, known, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            what, _, _ = bad.removeprefix("argument ").partition(":")
            kind = "command" if what == "COMMAND" else f"value of {what}"
            message = f"unknown {kind} {word!r}; {hint}There are: {', '.join(known)}"
        raise UsageError(f"{message} ({self.prog} --help shows the usage)")


def examples(*lines: str) -> dict[str, Any]:
    """Arguments of a parser that end its help with `lines`."""
    text = "examples:\n" + "\n".join(f"  {line}" for line in lines)
    return {"epilog": text, "formatter_class": argparse.RawDescriptionHelpFormatter}


def command(
    of: Any,
    name: str,
    call: Callable[[argparse.Namespace], int],
    text: str,
    *lines: str,
    parents: Sequence[argparse.ArgumentParser] = (),
) -> argparse.ArgumentParser:
    """Add a command to the subparsers `of`: its one-line help, and lines of examples."""
    about = text[0].upper() + text[1:] + "."
    made: argparse.ArgumentParser = of.add_parser(
        name, help=text, description=about, parents=parents, **examples(*lines)
    )
    made.set_defaults(call=call)
    return made


def positive(text: str) -> int:
    """Read a whole number from 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, however: got {text!r}")
    return int(text)
