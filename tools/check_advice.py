"""Was the advice right? Ten held-out tables, 70 % advised on and 30 % kept back: book/results/advice.json.

Advice is right when its pipeline has a τ on the rows that were kept back within 0.02 of that of the best of
all candidates there, each fitted on the same 70 %. Stopped, it goes on where it was::

    python tools/check_advice.py                  # a quarter of an hour on two quiet cores
    python tools/check_advice.py auto evals       # some tables
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from embreg._files import atomic_path
from embreg._provenance import machine, package_commit, versions
from embreg.advice import advise
from embreg.advising.candidates import candidates_of, pipeline_of
from embreg.advising.problem import problem_of
from embreg.advising.verdict import MARGIN
from embreg.metrics import kendall_tau, score_all
from embreg.tables import HELD_OUT, load_table

MODEL = "all-MiniLM-L6-v2"
ROWS = 800
OUT = Path(__file__).parents[1] / "book/results/advice.json"
JOURNAL = Path("_build/advice.jsonl")


def check(name: str) -> dict[str, Any]:
    """Advice on 70 % of a table, and every candidate on the rest."""
    table = load_table(name)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(table))[:ROWS]
    frame = table.rows.iloc[order].assign(**{table.target: table.y[order]}).reset_index(drop=True)
    cut = round(0.7 * len(frame))
    seen, kept = frame.iloc[:cut], frame.iloc[cut:]
    started = time.perf_counter()
    advice = advise(seen, table.target, models=MODEL, repeats=1, explain=False, budget="20m")
    took = time.perf_counter() - started
    problem = problem_of(seen, table.target)
    y = kept[table.target].to_numpy(dtype=float)
    predicted = {}
    for candidate in candidates_of(problem, [MODEL]):
        pipeline = pipeline_of(candidate, problem).fit(problem.rows, problem.y, head__residuals=[1.0])
        predicted[candidate.name] = pipeline.predict(kept)
    taus = {c: score_all(y, p)["kendall_tau"] for c, p in predicted.items()}
    best = max(taus, key=lambda c: taus[c])
    draws = [rng.integers(len(y), size=len(y)) for _ in range(500)]
    short = [_tau(y[d], predicted[best][d]) - _tau(y[d], predicted[advice.best][d]) for d in draws]
    low, high = np.quantile(short, [0.025, 0.975])
    return {
        "table": name, "rows": len(frame), "columns": len(problem.kinds), "texts": len(problem.texts),
        "verdict": advice.verdict, "answer": advice.answer, "chosen": advice.best, "tau": taus[advice.best],
        "best": best, "best_tau": taus[best], "shortfall": taus[best] - taus[advice.best],
        "low": float(low), "high": float(high), "right": bool(taus[advice.best] >= taus[best] - MARGIN),
        "chance": advice.early["chance"], "seconds": took, "taus": taus,
    }  # fmt: skip


def _tau(y: np.ndarray, predicted: np.ndarray) -> float:
    return kendall_tau(y, predicted) if np.ptp(predicted) > 0 and np.ptp(y) > 0 else 0.0


def shown(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Facts and tables as the book's pages read them."""
    right, asked = sum(r["right"] for r in rows), sum(r["verdict"] in ("yes", "no") for r in rows)
    text = f"It was right on {right} of {len(rows)} tables, and a plain yes or no on {asked} of them."
    if left := [name for name in HELD_OUT if name not in {r["table"] for r in rows}]:
        text += f" Not checked yet: {', '.join(left)}."
    head = [
        "table",
        "rows",
        "columns (text)",
        "answer",
        "advised",
        "its τ",
        "best there",
        "its τ",
        "short by",
        "right",
    ]
    body = [
        [
            r["table"], f"{r['rows']:,}", f"{r['columns']} ({r['texts']})", r["verdict"], r["chosen"],
            f"{r['tau']:.2f}", r["best"], f"{r['best_tau']:.2f}",
            f"{r['shortfall']:.2f} [{r['low']:.2f}, {r['high']:.2f}]", "yes" if r["right"] else "no",
        ]
        for r in rows
    ]  # fmt: skip
    answers = {"head": ["table", "answer"], "rows": [[r["table"], r["answer"]] for r in rows]}
    return {
        "facts": {"right": {"value": right, "text": text}},
        "tables": {"check": {"head": head, "rows": body}, "answers": answers},
    }  # fmt: skip


def main() -> int:
    """Check what has not been checked, and write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="TABLE", help="default: all")
    names = parser.parse_args().names or list(HELD_OUT)
    done = {}
    if JOURNAL.is_file():
        done = {row["table"]: row for row in map(json.loads, JOURNAL.read_text().splitlines())}
    JOURNAL.parent.mkdir(parents=True, exist_ok=True)
    for name in names:
        if name in done:
            continue
        done[name] = check(name)
        with JOURNAL.open("a") as journal:
            journal.write(json.dumps(done[name]) + "\n")
        r = done[name]
        print(f"{name}: {r['verdict']}, {r['chosen']} {r['tau']:.3f}, best {r['best']} {r['best_tau']:.3f}, "
              f"{'right' if r['right'] else 'wrong'}", flush=True)  # fmt: skip
    rows = [done[name] for name in HELD_OUT if name in done]
    made = {
        "commit": package_commit(),
        "versions": versions(),
        "machine": machine(),
        **shown(rows),
        "rows": rows,
    }
    with atomic_path(OUT) as tmp:
        tmp.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{OUT.name}: {len(rows)} tables, right on {sum(r['right'] for r in rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
