"""``embreg advise``: will embeddings beat boosted trees on this table?"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from embreg.commands.parser import UsageError, command

__all__ = ["add", "data_options", "kinds_of", "say"]


def data_options(parser: argparse.ArgumentParser) -> None:
    """Options on the table, the same for all commands that read one with a target."""
    parser.add_argument(
        "data", metavar="DATA", help="the table: .csv, .tsv, .jsonl (these also as .gz), .parquet"
    )
    parser.add_argument(
        "--target", "-t", required=True, metavar="COLUMN", help="the column of numbers to predict"
    )
    parser.add_argument(
        "--kind", "-k", action="append", default=[], metavar="COLUMN=KIND", dest="kinds",
        help="what a column is, where the guess is wrong: numeric, category, date or text; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--drop",
        nargs="+",
        action="extend",
        default=[],
        metavar="COLUMN",
        help="columns that may not be used",
    )
    parser.add_argument(
        "--model", "-m", action="append", default=[], metavar="M", dest="models",
        help="language model: see embreg models ls; or a hub repository, a folder, a service; repeatable; "
        "default: all-MiniLM-L6-v2",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of folds and heads; default: 0")


def add(commands: Any) -> None:
    """Add the command to the subparsers `commands`."""
    advise = command(
        commands, "advise", _advise, "say whether embeddings beat boosted trees on a table",
        "embreg advise houses.csv --target price",
        "embreg advise houses.csv --target price --budget 3m --report out/",
        "embreg advise reviews.jsonl --target stars --kind title=text --drop id",
        "embreg advise sensors.parquet --target load --time measured_at",
        "embreg advise visits.csv --target days --group patient",
        "embreg advise houses.csv --target price --quick           a guess from a sample, in seconds",
        "embreg advise houses.csv --target price --models offline-encoders",
        "",
        "Every candidate sees the same folds and is tuned on the same rows: ridge, boosted trees, a",
        "Gaussian process and an MLP on plain features, on embeddings, and on both. The plan is printed",
        "before it runs.",
        "Nothing leaves this machine unless a service: model is named; what would is printed first.",
        "Exit code: 0 an answer (also no), 1 something failed, 2 wrong usage or data, 130 interrupted.",
    )  # fmt: skip
    data_options(advise)
    advise.add_argument(
        "--models", metavar="LADDER", dest="ladder", help="every model of a ladder: see embreg models ladders"
    )
    advise.add_argument(
        "--budget", "-b", default="10m", metavar="TIME", help="such as 90s, 10m or 1h; default: 10m"
    )
    advise.add_argument(
        "--group", metavar="COLUMN", help="rows with one value here are never trained on and scored both"
    )
    advise.add_argument(
        "--time", metavar="COLUMN", help="rows are predicted from rows that came before by this"
    )
    advise.add_argument(
        "--heads", nargs="+", metavar="HEAD", help="some of ridge, xgboost, gp, mlp; default: all"
    )
    advise.add_argument(
        "--quick", "-q", action="store_true", help="only the look at a sample: seconds, no comparison"
    )
    advise.add_argument(
        "--report", "-r", type=Path, metavar="DIR",
        help="write report.html (one file), the executed notebook, the tables and the fitted model there",
    )  # fmt: skip
    advise.add_argument(
        "--save", type=Path, metavar="DIR", help="keep the fitted model there, for embreg predict"
    )


def kinds_of(given: list[str]) -> dict[str, str]:
    """``["zip=category"]`` as a dict."""
    out = {}
    for item in given:
        name, sign, kind = item.rpartition("=")
        if not sign or not name:
            raise UsageError(f"--kind must be COLUMN=KIND, such as zip=category, however: got {item!r}")
        out[name] = kind
    return out


def _models(args: argparse.Namespace) -> list[str]:
    if args.ladder is None:
        return args.models or ["all-MiniLM-L6-v2"]
    from difflib import get_close_matches

    from embreg.ladders import LADDERS

    if args.ladder == "offline":
        return [*args.models, *LADDERS["offline-encoders"].models]
    if args.ladder not in LADDERS:
        near = get_close_matches(args.ladder, LADDERS, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"unknown ladder {args.ladder!r}; {hint}There are: {', '.join(LADDERS)}")
    return [*args.models, *LADDERS[args.ladder].models]


def say(line: str) -> None:
    """Print a line to standard error."""
    # What will be done goes beside the answer, not into it.
    print(line, file=sys.stderr, flush=True)


def _advise(args: argparse.Namespace) -> int:
    if args.group and args.time:
        raise UsageError("--group and --time exclude each other, however: both were given; name one")
    kinds, models = kinds_of(args.kinds), _models(args)
    if args.quick:
        from embreg.advice import glance

        print(
            glance(
                args.data, args.target, model=models[0], kinds=kinds, drop=args.drop, random_state=args.seed
            )["sentence"]
        )
        return 0
    from embreg.advice import advise

    if args.report is not None:
        from embreg.advising.report import check_place

        check_place(args.report)  # before the minutes that an answer takes
    advice = advise(
        args.data, args.target, models=models, kinds=kinds, drop=args.drop, group=args.group, time=args.time,
        budget=args.budget, heads=args.heads, explain=args.report is not None, random_state=args.seed,
        say=say,
    )  # fmt: skip
    print(advice)
    if args.save is not None:
        from embreg import save

        save(advice.best_, args.save)
        print(f"model: {args.save}")
    if args.report is not None:
        from embreg.advising.report import write_report

        print(f"report: {write_report(advice, args.report)}")
    return 0
