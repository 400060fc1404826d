"""Training heads: the sweep of MLPHead beside a plain loop and scikit-learn: ``python -m benchmarks.head``.

Run from the repository, on a machine with nothing else to do (``make bench``). The three run by turns in one
process, on the same rows, targets and configurations, and their test errors are compared in the same run.
The sweep trains every target; the other two, which take minutes, some of them, evenly chosen, and are
reported per model. Targets stand beside the figures, met or not. ``--choices`` studies batch size and
patience.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks._head_choices import Design, measure_choices
from benchmarks._head_compare import measure_width
from benchmarks._head_contenders import Settings
from benchmarks._head_data import WIDTHS
from benchmarks._head_facts import facts_of
from benchmarks._head_tables import tables_of
from benchmarks._tables import show
from embreg._files import atomic_path
from embreg._machine import load_average
from embreg._provenance import commit, cores
from embreg.commands.parser import Parser, UsageError, positive

__all__ = ["main", "merge"]

FORMAT = 1
_ROOT = Path(__file__).resolve().parents[1]
_ALL = 23
# With few functions tau says little, so the narrow one, which is quick, has many.
_LOOPS, _SKLEARNS, _ROUNDS = {384: 12, 4096: 3}, {384: 8, 4096: 2}, {384: 2, 4096: 1}
_QUICK = {"targets": 3, "loops": 2, "sklearns": 1, "repeat": 1, "n": 100, "dof": 5}


def say(line: str) -> None:
    """Report progress, apart from the figures."""
    print(line, file=sys.stderr, flush=True)


def _numbers(text: str) -> list[int]:
    """Read whole numbers from 0 with commas between them."""
    parts = text.split(",")
    if not all(p.isdigit() for p in parts):
        raise argparse.ArgumentTypeError(
            f"must be whole numbers with commas between them, however: got {text!r}"
        )
    return [int(p) for p in parts]


def _parser() -> Parser:
    parser = Parser(prog="python -m benchmarks.head", description=__doc__)
    each = "one number, or one for each width"
    parser.add_argument("--dims", type=_numbers, help="widths of the features (default 384,4096)")
    parser.add_argument("--targets", type=positive, default=_ALL, help=f"of the sweep (default {_ALL})")
    parser.add_argument("--loop-targets", type=_numbers, help=f"{each} (default {_listed(_LOOPS)})")
    parser.add_argument("--sklearn-targets", type=_numbers, help=f"{each} (default {_listed(_SKLEARNS)})")
    parser.add_argument("--repeat", type=_numbers, help=f"rounds: {each} (default {_listed(_ROUNDS)})")
    parser.add_argument("--choices", action="store_true", help="study batch size and patience")
    parser.add_argument("--seeds", type=positive, default=3, help="of the study (default 3)")
    parser.add_argument(
        "--quick", action="store_true", help="few rows, targets and epochs: does it run? No figures"
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="add what was measured to this file")
    return parser


def _listed(numbers: dict[int, int]) -> str:
    return ",".join(str(n) for n in numbers.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and keep.

    With ``--choices`` the three are compared only if ``--dims`` is given too.

    Returns
    -------
    int
        2 when the command is wrong, else 0. Targets that are missed do not count.
    """
    try:
        args = _parser().parse_args(arguments)
        plans = _plans(args)
    except UsageError as error:
        say(f"error: {error}")
        return 2
    load = load_average()
    if load is not None and load > 0.3 * cores():
        say(f"warning: load average {load:.2f}: this machine is not quiet, figures are interim")
    settings = Settings(max_epochs=4) if args.quick else Settings()
    results: dict[str, Any] = {}
    made = commit(_ROOT)
    for width, plan in plans.items():
        say(f"== d = {width}")
        part = measure_width(width, settings=settings, say=say, **plan)
        results.setdefault("widths", {})[str(width)] = {**part, "reduced": args.quick}
        _keep(args.json, results, made)
    if args.choices:
        say("== batch size and patience")
        design = Design(seeds=tuple(range(args.seeds)))
        if args.quick:
            design = replace(
                design, functions=2, dofs=(2, 3), seeds=(0, 1), n=100, width=None, max_epochs=20,
                learning_rates=(1e-3, 1e-2),
            )  # fmt: skip
        results["choices"] = {**measure_choices(design, say=say), "reduced": args.quick}
        _keep(args.json, results, made)
    for name, table in tables_of(results).items():
        print(f"\n{name}\n{show(table)}")
    print()
    for name, fact in facts_of(results).items():
        if name in ("status", "machine", "versions", "choices_verdict") or name.startswith(
            ("peak", "flops", "seconds")
        ):
            print(f"{name}: {fact['text']}")
    return 0


def _plans(args: argparse.Namespace) -> dict[int, dict[str, int]]:
    """What to measure of each width."""
    if args.choices and args.dims is None:
        return {}
    dims = list(WIDTHS) if args.dims is None else args.dims
    if unknown := [d for d in dims if d not in WIDTHS]:
        raise UsageError(f"--dims knows {', '.join(map(str, WIDTHS))}, however: got {unknown}")
    given = {
        "loops": _each("--loop-targets", args.loop_targets, dims, _LOOPS),
        "sklearns": _each("--sklearn-targets", args.sklearn_targets, dims, _SKLEARNS),
        "repeat": _each("--repeat", args.repeat, dims, _ROUNDS),
    }
    if 0 in given["repeat"].values():
        raise UsageError("--repeat must be a whole number from 1, however: got 0")
    plans = {d: {"targets": args.targets, **{name: of[d] for name, of in given.items()}} for d in dims}
    return {d: {**plan, **_QUICK} for d, plan in plans.items()} if args.quick else plans


def _each(option: str, given: list[int] | None, dims: list[int], default: dict[int, int]) -> dict[int, int]:
    if given is None:
        return default
    if len(given) not in (1, len(dims)):
        raise UsageError(f"{option} takes one number or {len(dims)}, however: got {len(given)}")
    return dict(zip(dims, given if len(given) > 1 else given * len(dims), strict=True))


def _keep(path: Path | None, results: dict[str, Any], made: str | None) -> None:
    """Write after each part, so that what took minutes outlives a failure of the next."""
    parts = [*results.get("widths", {}).values(), *(results[k] for k in ("choices",) if k in results)]
    for part in parts:
        part["run"]["commit"] = made
    if path:
        merge(path, results)


def merge(path: Path, results: dict[str, Any]) -> None:
    """Put `results` into the file at `path`, beside what it has of other parts, and renew its summary."""
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    sections: dict[str, Any] = {k: kept[k] for k in ("widths", "choices") if k in kept}
    if "widths" in results:
        widths = {**sections.get("widths", {}), **results["widths"]}
        sections["widths"] = {w: widths[w] for w in sorted(widths, key=int)}
    if "choices" in results:
        sections["choices"] = results["choices"]
    whole = {"format": FORMAT, "facts": facts_of(sections), "tables": tables_of(sections), **sections}
    with atomic_path(path) as tmp:
        tmp.write_text(
            json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    sys.exit(main())
