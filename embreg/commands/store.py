"""``embreg store``: what is kept of embeddings: list, verify, make room, export."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embreg.commands.parser import Parser, UsageError, command, examples
from embreg.storage.quantities import age, ago, count, shown, size

if TYPE_CHECKING:
    from embreg.spaces import Check, SpaceFile

__all__ = ["add"]

_SPACE_HELP = "start of a name in embreg store ls"


def add(commands: Any) -> None:
    """Add the command to the subparsers `commands`."""
    where = Parser(add_help=False)
    where.add_argument(
        "--store", type=Path, metavar="DIR",
        help="folder of the store; default: store in EMBREG_HOME, or in the user's cache folder",
    )  # fmt: skip
    store = commands.add_parser(
        "store",
        help="list, verify, clear or export the embeddings that are kept",
        description="List, verify, clear or export the embeddings that are kept. Each file is a space:\n"
        "a model, pooling, layer and whatever else changes the numbers.",
        **examples(
            "embreg store ls",
            "embreg store verify --repair",
            "embreg store gc --max-size 5GB",
            "embreg store export 8d3f21ab --out vectors.parquet",
        ),
    )
    parts = store.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser, required=True)

    ls = command(
        parts, "ls", _ls, "list the spaces: model, pooling, layer, rows, size, last use",
        "embreg store ls",
        "embreg store ls --sort used            the most recently used first",
        "embreg store ls --json                 all that distinguishes the spaces: versions, digests, device",
        parents=[where],
    )  # fmt: skip
    ls.add_argument("--sort", type=_order, metavar="{size,used}", default="size", help="default: size")
    ls.add_argument("--json", action="store_true", help="print a JSON list instead of a table")

    verify = command(
        parts, "verify", _verify, "check every row and every file",
        "embreg store verify                    all spaces",
        "embreg store verify 8d3f 02c1          those whose names begin so",
        "embreg store verify --repair           remove what is damaged, keep all the rest",
        "",
        "What is damaged is never served: without a repair too it is computed again when it is next asked",
        "for. A file whose structure is damaged is set aside as *.damaged, its whole rows go to a new one.",
        "Exit code: 0 all is well, or is again; 1 damage was found, or a file cannot be read.",
        parents=[where],
    )  # fmt: skip
    verify.add_argument(
        "names", nargs="*", metavar="SPACE", help="start of a name in embreg store ls; default: all"
    )
    verify.add_argument("--repair", action="store_true", help="remove what is damaged")

    gc = command(
        parts, "gc", _gc, "make room: remove spaces by age or size, and damaged files",
        "embreg store gc --older-than 30d       not used for 30 days; s, min, h, d or w",
        "embreg store gc --max-size 5GB         the least recently used, until 5 GB are left",
        "embreg store gc --damaged              files that were set aside as damaged",
        "embreg store gc --max-size 0B -n       what would go",
        "",
        "Nothing is asked. Reading is use, too. A space that was used in the last ten minutes, or that",
        "another process has open, is kept. What was removed is computed again when it is next asked for.",
        "Exit code: 0 all well, 1 a file could not be removed.",
        parents=[where],
    )  # fmt: skip
    gc.add_argument("--older-than", type=age, metavar="AGE", help="remove spaces unused for so long")
    gc.add_argument("--max-size", type=size, metavar="SIZE", help="remove spaces until no more is left")
    gc.add_argument("--damaged", action="store_true", help="remove files that were set aside as damaged")
    gc.add_argument("--dry-run", "-n", action="store_true", help="print what would go, remove nothing")

    export = command(
        parts, "export", _export, "write a space as Parquet or safetensors",
        "embreg store export 8d3f --out vectors.parquet",
        "embreg store export 8d3f --out vectors.parquet --texts rows.txt",
        "embreg store export 8d3f --out vectors.safetensors",
        "",
        "The store keeps digests of strings (column key), not the strings. --texts takes a UTF-8 file of one",
        "string a line and puts each beside its row, in column text; the other rows have none. The settings",
        "that made the vectors are in the file's metadata, under embreg.space:",
        "  pandas.read_parquet('vectors.parquet'); pyarrow.parquet.read_schema('vectors.parquet').metadata",
        parents=[where],
    )  # fmt: skip
    export.add_argument("space", metavar="SPACE", help=_SPACE_HELP)
    export.add_argument("--out", type=Path, required=True, metavar="FILE", help="*.parquet or *.safetensors")
    export.add_argument("--texts", type=Path, metavar="FILE", help="strings to put beside their rows")


def _order(text: str) -> str:
    if text not in ("size", "used"):
        raise argparse.ArgumentTypeError(f"must be size or used, however: got {text!r}")
    return text


def _folder(args: argparse.Namespace) -> Path:
    from embreg.storage.spacefile import store_folder

    if args.store is not None and not args.store.expanduser().is_dir():
        raise UsageError(f"--store must be a folder, however: there is none at {args.store}")
    return store_folder(args.store)


def _ls(args: argparse.Namespace) -> int:
    from embreg.spaces import spaces

    folder = _folder(args)
    files = sorted(spaces(folder), key=lambda f: f.used if args.sort == "used" else f.size, reverse=True)
    if args.json:
        import json

        print(json.dumps([_entry(file) for file in files], indent=2))
        return 0
    if files:
        _table(files)
    rows, total = sum(file.rows for file in files), sum(file.size for file in files)
    print(f"{count(len(files), 'space')}, {count(rows, 'row')}, {shown(total)} in {folder}")
    _mention_leftovers(folder)
    return 0


def _mention_leftovers(folder: Path) -> None:
    from embreg.spaces import leftovers

    if aside := leftovers(folder):
        which = f"{count(len(aside), 'file')} set aside, {shown(sum(p.stat().st_size for p in aside))}"
        print(f"{which}: embreg store gc --damaged removes them")


def _entry(file: SpaceFile) -> dict[str, Any]:
    from datetime import UTC, datetime

    used = datetime.fromtimestamp(file.used, UTC).isoformat(timespec="seconds")
    return {
        "digest": file.digest, "path": str(file.path), "model": file.model, "rows": file.rows,
        "bytes": file.size, "used": used, "problem": file.problem or None, "space": file.space,
    }  # fmt: skip


def _table(files: list[SpaceFile]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    digits = 8
    while digits < 32 and len({f.digest[:digits] for f in files}) < len(files):
        digits += 1
    table = Table(box=None, pad_edge=False)
    for name in ("space", "model", "pooling", "layer", "stage", "dtype", "backend", "rows", "size", "used"):
        right = name in {"layer", "rows", "size", "used"}
        table.add_column(name, justify="right" if right else "left", no_wrap=name != "model")
    for file in files:
        known = (file.space.get(k) for k in ("pooling", "layer", "stage", "dtype", "backend"))
        name = f"cannot be read: {file.problem}" if file.problem else file.model
        cells = [file.digest[:digits], name, *("—" if v is None else str(v) for v in known)]
        cells += [f"{file.rows:,}", shown(file.size), ago(file.used)]
        table.add_row(*map(escape, cells))
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)


def _verify(args: argparse.Namespace) -> int:
    from embreg.spaces import verify

    try:
        checks = verify(folder := _folder(args), args.names, repair=args.repair)
    except ValueError as error:
        raise UsageError(str(error)) from error
    for check in checks:
        print(f"{check.file.label}: {_found(check)}")
    _mention_leftovers(folder)
    bad = [check for check in checks if not check.clean]
    if not bad:
        print(f"{count(len(checks), 'space')} verified, {count(sum(c.rows for c in checks), 'row')}")
        return 0
    print(f"embreg: {len(bad)} of {count(len(checks), 'space')} not in order", file=sys.stderr)
    if not args.repair:
        print("Damaged rows are never served; they are computed again, with a warning, when next asked for.\n"
              "embreg store verify --repair removes them now.", file=sys.stderr)  # fmt: skip
    return 1


def _found(check: Check) -> str:
    parts = []
    if check.damaged:
        parts.append(f"{check.damaged:,} of {check.rows + check.damaged:,} rows are damaged")
    if check.fault:
        parts.append(f"the file is damaged: {check.fault}" if check.repairable else check.fault)
    if check.repaired:
        aside = f", the old file is set aside as {check.file.path.name}.damaged" if check.fault else ""
        parts.append(f"repaired, {count(check.rows, 'row')} kept{aside}")
    return "; ".join(parts) or f"{count(check.rows, 'row')}, all whole"


def _gc(args: argparse.Namespace) -> int:
    from embreg.spaces import gc

    if args.older_than is None and args.max_size is None and not args.damaged:
        raise UsageError(
            "say what may go: --older-than 30d, --max-size 5GB or --damaged (embreg store gc --help)"
        )
    chosen = gc(
        _folder(args), older_than=args.older_than, max_size=args.max_size, damaged=args.damaged,
        dry_run=args.dry_run,
    )  # fmt: skip
    for one in chosen:
        print(f"{one.label}: {shown(one.size)}, {one.why}{f'; kept: {one.kept}' if one.kept else ''}")
    gone = [one for one in chosen if not one.kept]
    verb = "would be freed" if args.dry_run else "freed"
    print(f"{shown(sum(one.size for one in gone))} {verb}, {count(len(gone), 'file')}")
    return int(any(one.failed for one in chosen))


def _export(args: argparse.Namespace) -> int:
    from embreg.spaces import export, pick, read_texts, spaces

    folder = _folder(args)
    try:
        [file] = pick(spaces(folder), [args.space], folder)
        if args.out.suffix not in (".parquet", ".safetensors"):
            raise ValueError(f"--out must end in .parquet or .safetensors, however: got {args.out.name!r}")
    except ValueError as error:
        raise UsageError(str(error)) from error
    texts = None if args.texts is None else read_texts(args.texts)
    rows = export(file, args.out, texts=texts)
    print(f"{args.out}: {count(rows, 'row')} of {file.label}, {shown(args.out.stat().st_size)}")
    return 0
