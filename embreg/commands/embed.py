"""``embreg embed``: a table on disk to embeddings on disk."""

from __future__ import annotations

import argparse
import csv
import math
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from embreg.commands.parser import UsageError, command, positive

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the subparsers `commands`."""
    embed = command(
        commands, "embed", _embed, "embed the rows of a CSV, Parquet or JSON Lines file into a Parquet file",
        "embreg embed data.csv --out x.parquet --drop y --keep y",
        "embreg embed data.csv --out x.parquet --columns x0,x1 --style values --decimals 2",
        "embreg embed reviews.jsonl.gz --out x.parquet --text review --overflow truncate",
        "embreg embed data.parquet --out x.parquet --model t5-v1_1-small --pooling mean max --layer 0 -1",
        "",
        "Every column is part of the string that is embedded, unless --drop, --columns or --text says",
        "otherwise; --keep copies columns to the output besides. Types are those of the whole file. Empty",
        "cells, NA, nan, null, None … are missing values, as in pandas.read_csv.",
        "Stopped? The same command goes on. Exit code: 0 all well, 1 something failed, 2 wrong usage",
        "(nothing was written), 130 interrupted.",
    )  # fmt: skip
    embed.usage = "%(prog)s DATA --out FILE [options]"
    embed.add_argument(
        "data", nargs="?", metavar="DATA", help="the table: .csv, .tsv, .jsonl (these also as .gz), .parquet"
    )
    embed.add_argument("--out", "-o", required=True, metavar="FILE", help="the output, FILE.parquet")
    which = embed.add_argument_group("what is embedded")
    one = which.add_mutually_exclusive_group()
    one.add_argument("--text", metavar="COLUMN", help="the column that holds the strings")
    one.add_argument(
        "--columns",
        "-c",
        nargs="+",
        action="extend",
        metavar="COLUMN",
        help="columns that make the string of a row, in this order",
    )
    one.add_argument(
        "--drop",
        nargs="+",
        action="extend",
        metavar="COLUMN",
        help="columns that are no part of the string, such as the target",
    )
    which.add_argument(
        "--style",
        choices=("json", "pairs", "values"),
        default="json",
        help="{x0:1.2346}, x0=1.2346 or [1.2346]; default: json",
    )
    which.add_argument(
        "--decimals", type=int, default=4, metavar="N", help="digits after the point; default: 4"
    )
    which.add_argument(
        "--notation",
        choices=("decimal", "scientific", "digits"),
        default="decimal",
        help="-4.5000, -4.5000e+00 or - 4 . 5 0 0 0; default: decimal",
    )
    which.add_argument(
        "--format",
        choices=("csv", "tsv", "jsonl", "parquet"),
        dest="form",
        help="of the input; default: by its name",
    )
    which.add_argument("--separator", metavar="C", help="between the cells of a CSV file; default: a comma")
    how = embed.add_argument_group("how")
    how.add_argument(
        "--model", "-m", metavar="M", help="see embreg models ls; or a hub repository, or a folder"
    )
    how.add_argument(
        "--pooling",
        nargs="+",
        action="extend",
        metavar="P",
        help="one or more, from the same forward pass; default: mean",
    )
    how.add_argument(
        "--layer",
        nargs="+",
        action="extend",
        metavar="K",
        help="one or more; 0 is the first block's input; default: -1, the last output",
    )
    how.add_argument(
        "--max-tokens", type=positive, metavar="N", help="read of a row; default: what the model reads"
    )
    how.add_argument(
        "--overflow",
        choices=("error", "truncate"),
        default="error",
        help="what a longer row is: an error, or cut and counted; default: error",
    )
    how.add_argument(
        "--dtype",
        choices=("auto", "float32", "bfloat16", "int8"),
        default="auto",
        help="default: bfloat16 where the processor has it, else float32",
    )
    how.add_argument(
        "--device", default="auto", metavar="D", help="cpu, cuda, cuda:1, mps; default: the best there is"
    )
    how.add_argument("--no-store", action="store_true", help="neither read nor keep embeddings in the store")
    where = embed.add_argument_group("the output")
    where.add_argument(
        "--keep",
        "-k",
        nargs="+",
        action="extend",
        metavar="COLUMN",
        help="columns to copy to the output, or all",
    )
    where.add_argument(
        "--block-rows",
        type=positive,
        metavar="N",
        help="rows in memory at a time; default: 8192, fewer where vectors are large",
    )
    where.add_argument(
        "--force", "-f", action="store_true", help="replace an output, or finished blocks, of other settings"
    )


def _embed(args: argparse.Namespace) -> int:
    with _plain_warnings():
        try:
            return _run(args)
        except ModuleNotFoundError as error:
            raise ImportError(f"embedding needs {error.name}: pip install 'embreg[models]'") from error


def _run(args: argparse.Namespace) -> int:
    if args.data is None:
        raise UsageError("a table is needed, and stands first: embreg embed DATA --out FILE …")
    from embreg.embedder import TextEmbedder
    from embreg.stream import RequestError, embed_file

    poolings, layers = _names(args.pooling), _names(args.layer)
    settings = {} if args.model is None else {"model": args.model}
    embedder = TextEmbedder(
        **settings, dtype=args.dtype, device=args.device, max_tokens=args.max_tokens, overflow=args.overflow,
        store=None if args.no_store else "auto",
    )  # fmt: skip
    keep = _names(args.keep) or []
    try:
        report = embed_file(
            args.data, args.out, embedder,
            poolings=poolings, layers=None if layers is None else [_layer(k) for k in layers],
            text=args.text, columns=_names(args.columns), drop=_names(args.drop) or (),
            keep="all" if keep == ["all"] else keep,
            style=args.style, decimals=args.decimals, notation=args.notation,
            file_format=args.form, separator=_separator(args.separator), block_rows=args.block_rows,
            force=args.force, say=lambda line: print(line, file=sys.stderr),
        )  # fmt: skip
    except RequestError as error:
        raise UsageError(_as_options(str(error))) from error
    except ValueError as error:
        raise type(error)(_as_options(str(error))) from error
    print(_closing(report), file=sys.stderr)
    print(report.path)
    return 0


def _closing(r: Any) -> str:
    """What was done, in one line."""
    parts = [f"{r.rows:,} rows"]
    if r.earlier:
        parts[0] += f" ({r.earlier:,} done before)"
    if r.earlier < r.rows:
        parts.append(f"{r.computed:,} strings embedded, {r.stored:,} from the store, {r.repeated:,} repeated")
    parts.append(f"{r.tokens:,} tokens")
    if not math.isnan(r.tokens_per_second):
        parts.append(f"{r.tokens_per_second:,.0f} a second")
    parts.append(f"{100 * r.unk_rate:.2g} % unknown" if r.unk_rate else "none unknown")
    parts.append(f"{r.truncated:,} rows cut" if r.truncated else "no row cut")
    return "; ".join(parts)


def _names(given: list[str] | None) -> list[str] | None:
    """``A,B C`` as A, B and C; a name with a comma is quoted as in CSV."""
    return None if given is None else [n for item in given for n in next(csv.reader([item]), [""])]


def _as_options(message: str) -> str:
    """Write ``overflow='truncate'``, which is Python's, as it is typed here."""
    names = "decimals|dtype|max_tokens|overflow|pooling|style"
    return re.sub(
        rf"\b({names})=(?:'([^']+)'|(\w+))",
        lambda m: f"--{m[1].replace('_', '-')} {m[2] or m[3]}",
        message,
    )


def _layer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"a layer must be a whole number, however: got {text!r}") from None


def _separator(text: str | None) -> str | None:
    return "\t" if text == "\\t" else text


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Warnings as one line, once: every block has the same, and a place in the code helps nobody."""
    seen: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        if str(message) not in seen:
            seen.add(str(message))
            print(f"embreg: warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
