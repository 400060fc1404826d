"""``embreg fit`` and ``embreg predict``: one candidate fitted and kept, and rows predicted with intervals."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from embreg.commands.advise import data_options, kinds_of
from embreg.commands.parser import UsageError, command

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the commands to the subparsers `commands`."""
    fit = command(
        commands, "fit", _fit, "fit a model on a table and keep it",
        'embreg fit houses.csv --target price --candidate "trad+llm, xgboost" --out model',
        "embreg fit houses.csv --target price --out model            the one that embreg advise advises",
        "",
        "A candidate is a representation and a head. Representations: trad (plain features), llm (embedded",
        "rows), trad+llm; where there is free text also words (trad and counted words), text (the text alone",
        "embedded) and trad+text. Heads: ridge, xgboost, gp, mlp. No pickle.",
    )  # fmt: skip
    data_options(fit)
    fit.add_argument("--candidate", "-c", metavar="C", help="which; default: as embreg advise says")
    fit.add_argument("--out", "-o", type=Path, required=True, metavar="DIR", help="the model")
    fit.add_argument("--budget", "-b", default="10m", metavar="TIME", help="of the comparison; default: 10m")
    predict = command(
        commands, "predict", _predict, "predict the rows of a table by a kept model, with intervals",
        "embreg predict model new.csv --out predicted.csv",
        "embreg predict model new.csv --out predicted.parquet --level 0.8 --keep id",
        "",
        "Columns are found by name; others are ignored, missing ones are an error. The output has one row",
        "for each of the input: predicted, low and high. The interval holds the truth in about LEVEL of rows",
        "like those that the model was fitted on.",
    )  # fmt: skip
    predict.add_argument(
        "model", type=Path, metavar="MODEL", help="the folder that fit or advise --save wrote"
    )
    predict.add_argument("data", metavar="DATA", help="the table")
    predict.add_argument(
        "--out", "-o", type=Path, required=True, metavar="FILE", help="FILE.csv or FILE.parquet"
    )
    predict.add_argument("--level", type=float, metavar="P", help="of the intervals; default: as fitted, 0.9")
    predict.add_argument(
        "--keep",
        nargs="+",
        action="extend",
        default=[],
        metavar="COLUMN",
        help="columns to copy to the output",
    )


def _fit(args: argparse.Namespace) -> int:
    from embreg import save

    kinds, models = kinds_of(args.kinds), args.models or ["all-MiniLM-L6-v2"]
    if args.candidate is not None:
        from embreg.advice import fit

        model = fit(
            args.data, args.target, candidate=args.candidate, models=models, kinds=kinds, drop=args.drop,
            random_state=args.seed,
        )  # fmt: skip
    else:
        from embreg.advice import advise
        from embreg.commands.advise import say

        advice = advise(
            args.data, args.target, models=models, kinds=kinds, drop=args.drop, budget=args.budget,
            explain=False, random_state=args.seed, say=say,
        )  # fmt: skip
        print(advice)
        model = advice.best_
    save(model, args.out)
    print(args.out)
    return 0


def _predict(args: argparse.Namespace) -> int:
    import pandas as pd

    from embreg import load
    from embreg._files import atomic_path
    from embreg.advising.reading import read_table

    if args.out.suffix not in (".csv", ".parquet"):
        raise UsageError(f"--out must be FILE.csv or FILE.parquet, however: got {args.out}")
    if args.level is not None and not 0 < args.level < 1:
        raise UsageError(f"--level must be between 0 and 1, however: got {args.level}")
    frame, _ = read_table(args.data)
    if lost := [name for name in args.keep if name not in frame.columns]:
        raise UsageError(f"{args.data} has no column {lost[0]!r} to keep")
    if clash := sorted({"predicted", "low", "high"} & set(args.keep)):
        raise UsageError(
            f"a kept column cannot be called {clash[0]!r}, however: the output has one; rename it"
        )
    model = load(args.model)
    if not hasattr(model, "steps") or not hasattr(model[-1], "half_width_"):
        raise UsageError(
            f"{args.model} must be a model of embreg fit or advise --save, however: it is another one"
        )
    if args.level is not None:
        model.set_params(head__level=args.level)
    mean, low, high = model.predict(frame, return_interval=True)
    out = pd.concat(
        [
            frame[args.keep].reset_index(drop=True),
            pd.DataFrame({"predicted": mean, "low": low, "high": high}),
        ],
        axis=1,
    )
    with atomic_path(args.out) as tmp:
        if args.out.suffix == ".csv":
            out.to_csv(tmp, index=False)
        else:
            out.to_parquet(tmp, index=False)
    print(f"{args.out}: {len(out):,} rows")
    return 0
