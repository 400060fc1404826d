"""``embreg claims``: which of the paper's claims hold by the records of a profile."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embreg.commands.parser import Parser, UsageError, command

if TYPE_CHECKING:
    from embreg.claims import Claim, Verdict

__all__ = ["add"]

_STYLES = {"reproduced": "green", "not reproduced": "red", "undecided": "yellow"}


def add(commands: Any) -> None:
    """Add the command to the subparsers `commands`."""
    root = Parser(add_help=False)
    root.add_argument(
        "--root", type=Path, metavar="DIR", help="the project; default: found from here upwards"
    )
    claims = command(
        commands, "claims", _claims, "judge the paper's claims by the records of a profile",
        "embreg claims                                     the scoreboard of profile offline",
        "embreg claims --claim dof-robust                  one claim in full: test, limit, records, why",
        "embreg claims --csv claims.csv --json claims.json also as files",
        "embreg claims --profile paper                     the full grid, once it was run",
        "",
        "The claims and their tests are in book/claims.yml: a statistic of a record, and the limit on whose",
        "side its whole 95 % interval must lie. Verdicts: reproduced (the interval is on the claimed side),",
        "not reproduced (on the other side), undecided (it reaches both; says how many tasks or seeds would",
        "tell), not testable in this profile (says what it needs). None of them is written by hand.",
        "Exit code: 0 computed, whatever the verdicts; 1 a record is missing, or older than what made it;",
        "2 wrong usage, or a mistake in book/claims.yml.",
        parents=[root],
    )  # fmt: skip
    claims.add_argument(
        "--profile", "-P", default="offline",
        help="records to judge by, a profile of notebooks/profiles.yml; default: offline",
    )  # fmt: skip
    claims.add_argument("--claim", nargs="+", default=[], metavar="ID", help="these claims only, in full")
    for kind, text in (
        ("json", "a list of objects"),
        ("csv", "a line for each"),
        ("parquet", "a typed table"),
    ):
        claims.add_argument(f"--{kind}", type=Path, metavar="FILE", help=f"write the verdicts too: {text}")


def _claims(args: argparse.Namespace) -> int:
    from embreg import claims
    from embreg.profiles import find_root

    root = find_root(args.root)
    known = claims.load(root)
    chosen = _choose(known, args.claim)
    found = claims.verdicts(args.profile, root, chosen)
    writers = {"json": claims.write_json, "csv": claims.write_csv, "parquet": claims.write_parquet}
    for kind, write in writers.items():
        if path := getattr(args, kind):
            write(claims.as_table(found), path)
    if args.claim:
        for claim, verdict in zip(chosen, found, strict=True):
            _show_one(claim, verdict)
    else:
        _show(found, args.profile)
    return 0


def _choose(known: Sequence[Claim], ids: Sequence[str]) -> list[Claim]:
    from embreg._parameters import hint

    by_id = {claim.id: claim for claim in known}
    for name in ids:
        if name not in by_id:
            raise UsageError(
                f"no claim is named {name!r}{hint(name, by_id)}; embreg claims lists them, and they are in "
                "book/claims.yml"
            )
    return [by_id[name] for name in dict.fromkeys(ids)] or list(known)


def _show(found: Sequence[Verdict], profile: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    # Together, and a blank between them, 80 columns.
    for name, width in (("claim", 26), ("verdict", 14), ("test", 7), ("here", 20), ("paper", 9)):
        table.add_column(name, max_width=width, overflow="fold")
    for v in found:
        here = "" if v.value is None else f"{v.value:z.2f} [{v.low:z.2f}, {v.high:z.2f}]"
        verdict = v.verdict.removesuffix(" in this profile")
        verdict_text = Text(verdict, _STYLES.get(v.verdict, "dim"))
        table.add_row(v.id, verdict_text, _short(v.limit or ""), here, v.paper_number or "")
    console = Console()
    console.print(table)
    kinds = [v.verdict.removesuffix(" in this profile") for v in found]
    counts = {kind: kinds.count(kind) for kind in kinds}
    text = ", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items(), key=lambda c: -c[1]))
    console.print(f"\n{len(found)} claims, profile {profile}: {text}", highlight=False)
    console.print("embreg claims --claim ID shows one in full.", highlight=False)


def _short(limit: str) -> str:
    """``±0.05`` for ``within [-0.05, 0.05]``."""
    ends = limit.removeprefix("within ").strip("[]").split(", ")
    return f"±{ends[1]}" if len(ends) == 2 and ends[0] == f"-{ends[1]}" else limit.removeprefix("within ")


def _show_one(claim: Claim, v: Verdict) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    console.print(Text(f"{v.id}: {v.verdict}", f"bold {_STYLES.get(v.verdict, '')}".strip()))
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    number = f" ({v.paper_number})" if v.paper_number else ""
    rows = [("claim", v.claim), ("paper", f"{v.where}: {v.paper_says}{number} [{v.evidence}]")]
    for part in claim.parts:
        runs = ", ".join(part.runs)
        test = f"{part.statistic} {part.limit}, of {runs}/{part.table}"
        chosen = [_mapping(m) for m in (part.where, part.args) if m]
        rows.append(
            ("test", f"{part.name + ': ' if part.name else ''}{test}; {'; '.join(chosen)}".rstrip("; "))
        )
    rows += [("because", v.because), ("why", v.why)]
    if v.caveat:
        rows.append(("but", v.caveat))
    if v.record:
        rows += [("record", f"runs/{v.record.replace(', ', ', runs/')}"), ("models", v.models or "")]
        rows += [("made at", v.commit or "no commit"), ("again", v.command or "")]
    for name, text in rows:
        table.add_row(Text(name, "dim"), Text(text))
    console.print(table)
    console.print()


def _mapping(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{k}: ({_mapping(v)})" if isinstance(v, dict) else f"{k}: {_mapping(v)}"
            for k, v in value.items()
        )
    return " or ".join(map(str, value)) if isinstance(value, list) else str(value)
