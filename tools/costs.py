"""Write book/results/costs.json: what the paper's full protocol costs, for the book's page on clusters.

    python tools/costs.py            count, and write
    python tools/costs.py --check    say whether the file is current

All counts are those of ``embreg run --profile paper --dry-run`` (`embreg.planning`), by the tokenizers that
come with the default weights, so that the file is the same on every machine. Hours on a CPU are those at the
rate of flan-t5-small-titles in book/results/embedding.json (``make bench``).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embreg._files import atomic_path
from embreg.planning.cards import DEFAULT, SHARE, find_card
from embreg.planning.columns import size
from embreg.planning.costs import Cost
from embreg.planning.costs import count as count_parts
from embreg.planning.parts import parts_of
from embreg.planning.tokens import vocabulary_of
from embreg.profiles import RunSpec, load_profile
from embreg.services.counting import dollars
from embreg.services.table import DATE

ROOT = Path(__file__).resolve().parents[1]
PROFILE = "paper"
RESULT = "book/results/costs.json"
MEASURED = "book/results/embedding.json"
CARD = find_card(DEFAULT)

MEASURED_MODEL = "flan-t5-small-titles"
"""The T5 whose speed is measured."""


def count(specs: Sequence[RunSpec]) -> list[Cost]:
    """Count every model, the least work first; equal rows of several notebooks are read and kept once."""
    costs, notes = count_parts((p for s in specs for p in parts_of(s.parameters)), fetched=False)
    if missing := [note for note in notes if "not counted" in note]:
        raise ValueError(f"every model of the profile must be in the table of models, however: {missing}")
    for cost in costs:
        if not cost.exact and (other := vocabulary_of(cost.model)):
            raise RuntimeError(f"the tokenizer of {other} is not here: embreg models fetch {other}")
    return sorted(costs, key=lambda c: c.flops)


def cpu_rate(root: Path = ROOT) -> tuple[float, int, dict[str, Any]]:
    """Operations a second that the measured model reached, threads that it had, and the run."""
    measured = json.loads((root / MEASURED).read_text(encoding="utf-8"))["models"][MEASURED_MODEL]
    dtype = "bf16" if measured["auto"]["dtype"] == "bfloat16" else "fp32"
    speed = measured["contenders"][f"embreg {dtype}"]["tokens_per_s"]["median"]
    work = measured["work"]
    per_token = (work["linear_flop"] + work["attention_flop"]) / measured["tokens"]
    return speed * per_token, int(measured["run"]["threads"]), measured["run"]


def made(root: Path = ROOT) -> dict[str, Any]:
    """Content of the file."""
    costs = count(load_profile(PROFILE, root))
    rate, threads, run = cpu_rate(root)

    def core_hours(flops: float) -> float:
        return threads * flops / rate / 3600

    head = ["model", "parameters", "weights in bf16", "rows", "tokens", "operations",
            f"on one {CARD.title}", "on one core", "store"]  # fmt: skip
    rows = [_row(c, core_hours) for c in costs]
    total = {
        "rows": sum(c.rows for c in costs), "tokens": sum(c.tokens for c in costs),
        "flops": sum(c.flops for c in costs), "bytes": sum(c.bytes or 0 for c in costs),
    }  # fmt: skip
    gpu = sum(c.gpu_hours(CARD) for c in costs)
    rows.append(
        [
            "together", "", "", f"{total['rows']:,}", f"{total['tokens'] / 1e6:,.1f} M",
            exponent(total["flops"]), hours(gpu), hours(core_hours(total["flops"])),
            size(total["bytes"]),
        ]
    )  # fmt: skip
    numbers = sum(4 * c.shape.dim * c.stored for c in costs if c.shape)
    overhead = sum(c.bytes or 0 for c in costs if c.shape) / numbers - 1
    placed = [(c.model, p) for c in costs if (p := c.placement(CARD))]
    widest, where = max(placed, key=lambda x: (x[1].cards, x[1].bytes))
    quiet = run.get("quiet", False)
    how = "on a quiet machine" if quiet else "on a machine that was not quiet: the figure is too low"
    facts = {
        "gpu": (CARD.title, CARD.title),
        "peak": (CARD.peak, f"{CARD.peak / 1e12:,.0f} TFLOP/s"),
        "share": (SHARE, f"{SHARE:.0%}"),
        "gpu_hours": (gpu, hours(gpu)),
        "core_hours": (core_hours(total["flops"]), hours(core_hours(total["flops"]))),
        "core_rate": (rate / threads, f"{rate / threads / 1e9:,.0f} GFLOP/s"),
        "core": (run["machine"]["processor"], run["machine"]["processor"]),
        "core_quiet": (quiet, how),
        "tokens": (total["tokens"], f"{total['tokens'] / 1e6:,.0f} million"),
        "rows": (total["rows"], f"{total['rows']:,}"),
        "store": (total["bytes"], size(total["bytes"])),
        "store_overhead": (overhead, f"{overhead:.0%}"),
        "memory": (where.bytes, ("" if where.cards == 1 else f"{where.cards} × ") + size(where.bytes)),
        "memory_of": (widest, short(widest)),
        "price": price(costs),
        "largest": (costs[-1].model, short(costs[-1].model)),
        "largest_share": (costs[-1].flops / total["flops"], f"{costs[-1].flops / total['flops']:.0%}"),
    }
    return {
        "format": 1,
        "facts": {name: {"value": value, "text": text} for name, (value, text) in facts.items()},
        "tables": {"models": {"head": head, "rows": rows}},
    }


def _row(cost: Cost, core_hours: Callable[[float], float]) -> list[str]:
    about, shape = "" if cost.exact else "≈ ", cost.shape
    own = [f"{shape.parameters / 1e6:,.0f} M", size(2 * shape.parameters)] if shape else ["—", "—"]
    work = [exponent(cost.flops), hours(cost.gpu_hours(CARD)), hours(core_hours(cost.flops))]
    return [
        short(cost.model), *own, f"{cost.rows:,}", f"{about}{cost.tokens / 1e6:,.1f} M",
        *(work if cost.flops else ["—"] * 3), "not known" if cost.bytes is None else size(cost.bytes),
    ]  # fmt: skip


def price(costs: Sequence[Cost]) -> tuple[float, str]:
    """US dollars for services, and as text."""
    paid = [c for c in costs if c.shape is None]
    total = sum(c.price or 0.0 for c in paid)
    if not paid:
        return 0.0, "nothing"
    unknown = ", ".join(c.model for c in paid if c.price is None)
    known = "" if unknown and not total else f"about {dollars(total)} (prices of {DATE})"
    return total, " and ".join(filter(None, [known, unknown and f"an unknown price for {unknown}"]))


def short(model: str) -> str:
    """Name without the organisation; a service in full."""
    return model if model.startswith("service:") else model.rpartition("/")[2]


def hours(value: float) -> str:
    """Hours as text."""
    if value >= 2:
        return f"{value:,.0f} h"
    return f"{60 * value:,.0f} min" if value >= 1 / 30 else f"{max(1, 3600 * value):,.0f} s"


def exponent(value: float) -> str:
    """Operations as text."""
    power = int(np.floor(np.log10(value)))
    return f"{value / 10**power:.1f} × 10{str(power).translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """First fact or table that is not what it should be; None when all are."""
    for kind in ("facts", "tables"):
        for name in {**old.get(kind, {}), **new[kind]}:
            before, after = old.get(kind, {}).get(name), new[kind].get(name)
            if kind == "facts" and before and after:
                before, after = before["text"], after["text"]
            if before != after:
                return f"{kind[:-1]} {name}: {before!r}, now {after!r}"
    return None


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 when it is not current"
    )
    args = parser.parse_args(argv)
    new, path = made(), ROOT / RESULT
    if not args.check:
        with atomic_path(path) as tmp:
            tmp.write_text(json.dumps(new, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return 0
    old = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if wrong := difference(old, new):
        print(f"{RESULT} is not current ({wrong}); run python tools/costs.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
