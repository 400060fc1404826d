"""The command line ``embreg``: run notebooks, build the book, get model weights.

What ``make book`` does, on any system::

    embreg models fetch --profile offline
    embreg run --profile offline
    embreg book --profile offline
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from embreg.commands import advise as _cli_advise
from embreg.commands import claims as _cli_claims
from embreg.commands import data as _cli_data
from embreg.commands import embed as _cli_embed
from embreg.commands import model as _cli_model
from embreg.commands import models as _cli_models
from embreg.commands import reproduce as _cli_reproduce
from embreg.commands import store as _cli_store
from embreg.commands.parser import Parser, UsageError, command, examples, positive

__all__ = ["main"]

_NAME_HELP = "a notebook (all its runs), a run, or the start of a notebook's name such as 02; default: all"


def _parser() -> argparse.ArgumentParser:
    root = Parser(add_help=False)
    root.add_argument(
        "--root", type=Path, metavar="DIR", help="the project; default: found from here upwards"
    )
    profile = Parser(add_help=False)
    profile.add_argument(
        "--profile",
        "-P",
        default="smoke",
        help="set of parameters in notebooks/profiles.yml: smoke (a minute or two), offline (real results on "
        "a laptop), paper (the full grid); default: smoke",
    )
    work = Parser(add_help=False)
    work.add_argument(
        "--jobs", "-j", type=positive, default=1, metavar="N", help="runs at the same time; default: 1"
    )
    work.add_argument("--force", "-f", action="store_true", help="execute current runs too")

    parser = Parser(
        prog="embreg",
        description="Regression from text embeddings: run the experiments, build the book.",
        **examples(
            "embreg models fetch --profile offline get and verify the weights that its notebooks read",
            "embreg run --profile offline          execute the notebooks; what is current is skipped",
            "embreg book --profile offline         render the book, print its first page",
            "embreg run 02 -p dofs '[5]' --dry-run what one experiment would cost",
            "",
            "EMBREG_DEBUG=1 shows the traceback of an error.",
            "EMBREG_HOME=DIR is where weights and embeddings are kept.",
            "EMBREG_CLUSTER=WHERE is where embeddings are computed, as for embreg run --cluster.",
        ),
    )
    parser.add_argument("--version", action="version", version=f"embreg {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser)

    run = command(
        commands, "run", _run, "execute the notebooks of a profile into runs/<profile>/",
        "embreg run --profile offline --jobs 2",
        "embreg run 02 --profile offline                    every run of one notebook",
        "embreg run 02_dimension_scaling -p dofs '[5]' -p n_seeds 5",
        "embreg run 02 -p dofs '[5]' --as low-dof           beside the profile's result, not in its place",
        "embreg run --profile paper --dry-run               tokens, GPU-hours, memory, store; runs nothing",
        "embreg run --profile paper --dry-run --card L4     the same on another accelerator",
        "embreg run --profile paper --cluster tcp://host:8786",
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
    run.add_argument(
        "--card",
        metavar="NAME",
        help="with --dry-run: count hours and memory on this accelerator, such as A100, H200 or L4; default: "
        "H100",
    )
    run.add_argument(
        "--cluster",
        metavar="WHERE",
        help="compute embeddings on tcp://HOST:PORT (a Dask scheduler), local:N (a Dask cluster here) or "
        "processes:N; the notebooks run here. Default: EMBREG_CLUSTER, else none",
    )

    book = command(
        commands, "book", _book, "render the book with the results of a profile",
        "embreg book --profile offline",
        "embreg book --profile smoke --run    execute what is not current first",
        "embreg book --profile offline --pdf  also _build/offline/embreg.pdf, printed by Chromium or Chrome",
        parents=[profile, work, root],
    )  # fmt: skip
    book.add_argument("--run", action="store_true", help="execute the profile's notebooks first")
    book.add_argument("--pdf", action="store_true", help="print the whole book as one PDF too")

    _cli_advise.add(commands)
    _cli_model.add(commands)
    _cli_claims.add(commands)
    _cli_reproduce.add(commands, [profile, root])
    _cli_models.add(commands)
    _cli_embed.add(commands)
    _cli_store.add(commands)
    _cli_data.add(commands)

    notebooks = command(
        commands, "notebooks", _notebooks, "execute the committed notebooks with their defaults, in place",
        "embreg notebooks           those whose outputs are not current",
        "embreg notebooks 02 -f",
        parents=[work, root],
    )  # fmt: skip
    notebooks.add_argument("names", nargs="*", metavar="NAME", help=_NAME_HELP)
    return parser


def _version() -> str:
    from embreg import __version__

    return __version__


def _project(args: argparse.Namespace) -> Path:
    from embreg.profiles import find_root

    return find_root(args.root)


def _run(args: argparse.Namespace) -> int:
    from embreg.profiles import load_profile, parse_value, select, with_overrides

    card = _card(args)
    root = _project(args)
    specs = select(load_profile(args.profile, root), args.names)
    given = {key: parse_value(value) for key, value in args.parameters}
    if given or args.as_run:
        specs = with_overrides(specs, given, root, args.as_run)
    if args.dry_run:
        from embreg._plan_table import print_plan

        print_plan(specs, root, force=args.force, jobs=args.jobs, card=card)
        return 0
    if where := args.cluster or os.environ.get("EMBREG_CLUSTER"):
        from embreg.cluster import check_address, handed_on
        from embreg.runs import stale

        try:
            check_address(where)
        except ValueError as error:
            raise UsageError(str(error)) from error
        if stale(specs, root, force=args.force):
            with handed_on(where):
                return _execute(specs, root, args)
    return _execute(specs, root, args)


def _card(args: argparse.Namespace) -> Any:
    """Accelerator that a dry run counts on; None for the default one."""
    if args.card is None:
        return None
    if not args.dry_run:
        raise UsageError(
            f"--card must come with --dry-run, however: got --card {args.card} alone; a run takes what is "
            "there"
        )
    from embreg.planning.cards import find_card

    try:
        return find_card(args.card)
    except ValueError as error:
        raise UsageError(str(error)) from error


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
    if args.pdf:
        from embreg._pdf import find_browser, print_book

        find_browser()  # before the minutes that the pages take
    print(build(args.profile, root))
    if args.pdf:
        print(print_book(args.profile, root))
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
    if isinstance(error, UsageError):
        return True
    from embreg.profiles import ProfileError

    return isinstance(error, ProfileError)


if __name__ == "__main__":
    sys.exit(main())
