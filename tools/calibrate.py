"""Measure how often a cheap look at a table called what a comparison found: embreg/advising/calibration.json.

Every table gets the look of `embreg advise --quick` and a comparison of ridge, boosted trees and the MLP, one
repeat of five folds. Stopped, it goes on where it was::

    python tools/calibrate.py            # 45 tables, about a quarter of an hour on two cores
    python tools/calibrate.py --list     # what there is, and what is done
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from embreg._files import atomic_path
from embreg._provenance import machine, package_commit, versions
from embreg.advising.candidates import candidates_of
from embreg.advising.comparing import Features, compare
from embreg.advising.folds import folds
from embreg.advising.glance import look_at
from embreg.advising.problem import Problem, problem_of
from embreg.advising.verdict import nested

MODEL = "all-MiniLM-L6-v2"
HEADS = ("ridge", "xgboost", "mlp")
ROWS = 200
PER_FAMILY, FUNCTIONS = 6, 12
"""The first so many measured tasks of each family, and functions: time is what limits this."""
FAMILIES = ("automl", "training", "compiler", "accelerator", "hpo_tables")
DOFS = (10,)
JOURNAL = Path("_build/calibration.jsonl")
OUT = Path(__file__).parents[1] / "embreg/advising/calibration.json"


def tables() -> Iterator[tuple[str, str, pd.DataFrame, np.ndarray]]:
    """Family, name, rows and target of every table."""
    from embreg.tables import TABLES, load_table
    from embreg.tasks import bbob, bbob_functions, family

    for name in FAMILIES:
        for task in family(name)[:PER_FAMILY]:
            yield name, task.name, task.rows, task.y
    for name in TABLES:
        table = load_table(name)
        yield "ordinary", name, table.rows, table.y
    for dof in DOFS:
        for function in list(bbob_functions("paper"))[:FUNCTIONS]:
            task = bbob(function, dof, n=ROWS)
            yield "bbob", task.name, task.rows, task.y


def measure(name: str, rows: pd.DataFrame, y: np.ndarray) -> dict[str, Any]:
    """The look and the comparison of one table, on at most `ROWS` rows drawn at random."""
    kept = np.sort(np.random.default_rng(0).permutation(len(y))[:ROWS])
    frame = rows.iloc[kept].assign(**{"the target": y[kept]})
    problem: Problem = problem_of(frame, "the target", name=name)
    look = look_at(problem, MODEL)[0]
    candidates = candidates_of(problem, [MODEL], HEADS)
    cuts = list(folds(len(problem.y), groups=problem.groups))
    scores = compare(Features(problem), candidates, cuts, total=len(cuts)).table
    sides = [[c.name for c in candidates if c.uses_llm is llm] for llm in (True, False)]
    with_llm, without = (float(nested(scores, side).mean()) for side in sides)
    return {
        "n": len(problem.y), "z": round(look.z, 4) if np.isfinite(look.z) else None,
        "knn_gap": round(look.knn_gap, 4), "difference": round(with_llm - without, 4),
        "won": with_llm > without,
    }  # fmt: skip


def main() -> int:
    """Measure what is missing, and write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="list the tables and stop")
    parser.add_argument(
        "--journal", type=Path, default=Path("_build/calibration.jsonl"), help="of what is done"
    )
    args = parser.parse_args()
    done = {}
    if args.journal.is_file():
        done = {row["task"]: row for row in map(json.loads, args.journal.read_text().splitlines())}
    every = list(tables())
    if args.list:
        print(
            "\n".join(f"{family:12} {name:40} {'done' if name in done else ''}" for family, name, *_ in every)
        )
        return 0
    args.journal.parent.mkdir(parents=True, exist_ok=True)
    for number, (family, name, rows, y) in enumerate(every, 1):
        if name in done:
            continue
        started = time.perf_counter()
        try:
            row = {"task": name, "family": family, **measure(name, rows, y)}
        except ValueError as error:
            print(f"[{number}/{len(every)}] {name}: left out: {error}", file=sys.stderr)
            continue
        done[name] = row
        with args.journal.open("a") as journal:
            journal.write(json.dumps(row) + "\n")
        print(f"[{number}/{len(every)}] {name}: Z {row['z']}, difference {row['difference']} in "
              f"{time.perf_counter() - started:.0f} s", flush=True)  # fmt: skip
    found = [done[name] for _, name, *_ in every if name in done]
    made = {
        "about": f"A look and a comparison of {', '.join(HEADS)} by {MODEL}; tools/calibrate.py",
        "commit": package_commit(), "versions": versions(), "machine": machine(), "rows": "ROWS",
    }  # fmt: skip
    lines = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in found)
    text = json.dumps(made, indent=1, ensure_ascii=False).replace('"ROWS"', f"[\n  {lines}\n ]")
    with atomic_path(OUT) as tmp:
        tmp.write_text(text + "\n", encoding="utf-8")
    print(f"{OUT.name}: {len(found)} tables")
    return 0


if __name__ == "__main__":
    sys.exit(main())
