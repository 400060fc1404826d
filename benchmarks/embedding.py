"""Tokens a second of the embedding engine beside sentence-transformers: ``python -m benchmarks.embedding``.

Run from the repository, on a machine with nothing else to do (``make bench``). Contenders run by turns in
one process, on the same strings, with the same pooling; their vectors are compared in the same run, and a
difference beyond float32's rounding ends it with exit code 1. Targets stand beside the figures, met or not.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._compare import measure_model
from benchmarks._extra import measure_lengths, measure_others, measure_steps
from benchmarks._facts import facts_of
from benchmarks._rows import mixed_rows
from benchmarks._tables import show, tables_of
from embreg._files import atomic_path
from embreg._machine import load_average
from embreg._provenance import commit, cores
from embreg.commands.parser import Parser, UsageError, positive
from embreg.models import DEFAULT, MODELS, spec_of

__all__ = ["main", "merge"]

FORMAT = 1
_ROOT = Path(__file__).resolve().parents[1]


def say(line: str) -> None:
    """Report progress, apart from the figures."""
    print(line, file=sys.stderr, flush=True)


def _parser() -> Parser:
    parser = Parser(prog="python -m benchmarks.embedding", description=__doc__)
    parser.add_argument("--model", help=f"a name or a folder (default {DEFAULT})")
    parser.add_argument("--all", action="store_true", help="every named model whose weights are here")
    parser.add_argument("--lengths", action="store_true", help="T5 at short and at long rows")
    parser.add_argument("--steps", action="store_true", help="what each optimisation brings")
    parser.add_argument("--others", action="store_true", help="backends that are left out")
    parser.add_argument("--rows", type=positive, default=200, help="rows of each dof (default 200)")
    parser.add_argument("--dofs", type=positive, nargs="+", default=[5, 25, 50], help="default 5 25 50")
    parser.add_argument("--repeat", type=positive, default=5, help="rounds (default 5)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda (default auto)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="add what was measured to this file")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and keep.

    Without ``--lengths``, ``--steps`` and ``--others`` the models are compared; with any of them only if
    ``--model`` or ``--all`` is given too.

    Returns
    -------
    int
        1 when vectors differ that should be equal, 2 when the command is wrong, else 0. Targets that are
        missed do not count.
    """
    try:
        args = _parser().parse_args(arguments)
        names = _models(args)
    except UsageError as error:
        say(f"error: {error}")
        return 2
    load = load_average()
    if load is not None and load > 0.3 * cores():
        say(f"warning: load average {load:.2f}: this machine is not quiet, speeds are too low")
    results, problems = _measure(args, names)
    for name, table in tables_of(results).items():
        print(f"\n{name}\n{show(table)}")
    print()
    for name, fact in facts_of(results).items():
        if name in ("status", "machine", "versions", "peak_float32", "peak_bfloat16"):
            print(f"{name}: {fact['text']}")
    for problem in problems:
        say(f"error: {problem}")
    if problems:
        if args.json:
            say(f"{args.json} was left as it is")
        return 1
    if args.json:
        merge(args.json, results)
    return 0


def _models(args: argparse.Namespace) -> list[str]:
    """Models to compare with sentence-transformers."""
    if args.all:
        if args.model:
            raise UsageError("--model and --all exclude each other")
        return _present()
    if args.model or not (args.lengths or args.steps or args.others):
        return [args.model or DEFAULT]
    return []


def _present() -> list[str]:
    from embreg.weights import list_models

    return [row["name"] for row in list_models() if row["present"]]


def _measure(args: argparse.Namespace, names: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    results: dict[str, Any] = {}
    problems: list[str] = []
    texts = mixed_rows(args.dofs, args.rows)
    common = {"repeat": args.repeat, "say": say}
    model = args.model or DEFAULT
    for name in names:
        say(f"== {name}")
        found, wrong = measure_model(name, texts, device=args.device, **common)
        results.setdefault("models", {})[name] = found
        problems += wrong
    if args.steps:
        results["steps"] = measure_steps(model, texts, device=args.device, **common)
    if args.lengths:
        results["lengths"] = measure_lengths(_t5(args.model), args.rows, device=args.device, **common)
    if args.others:
        results["others"], wrong = measure_others(model, texts, **common)
        problems += wrong
    made = commit(_ROOT)
    for part in [*results.get("models", {}).values(), *results.get("others", {}).values()] + [
        results[k] for k in ("steps", "lengths") if k in results
    ]:
        part["run"]["commit"] = made
    return results, problems


def _t5(model: str | None) -> str:
    """Choose the model for long rows: `model` if it reads them, else one that is here."""
    here = [model] if model else _present()
    for name in here:
        spec = spec_of(name) if name in MODELS else None
        if (spec is None and model) or (spec is not None and spec.context is None):
            return name
    return next(n for n in _present() if MODELS[n].context is None)


def merge(path: Path, results: dict[str, Any]) -> None:
    """Put `results` into the file at `path`, beside what it has of other parts, and renew its summary.

    A backend that could not be measured this time keeps its earlier figures: not every environment has
    every backend.
    """
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    parts: tuple[str, ...] = ("models", "steps", "lengths", "others")
    sections: dict[str, Any] = {k: kept[k] for k in parts if k in kept}
    for name, part in results.items():
        if name == "models":
            sections[name] = {**sections.get(name, {}), **part}
        elif name == "others":
            old = sections.get(name, {})
            better = {n: o for n, o in part.items() if "missing" not in o or "missing" in old.get(n, o)}
            sections[name] = {n: {**old, **better}[n] for n in [*part, *(n for n in old if n not in part)]}
        else:
            sections[name] = part
    whole = {"format": FORMAT, "facts": facts_of(sections), "tables": tables_of(sections), **sections}
    with atomic_path(path) as tmp:
        tmp.write_text(
            json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    sys.exit(main())
