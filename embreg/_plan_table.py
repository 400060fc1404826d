"""The tables of `embreg run --dry-run`: every run and every model, what they cost, and why a run is due."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from embreg._execute import run_folder
from embreg.keys import is_current, run_key
from embreg.plan import Plan, plan, together
from embreg.planning.cards import DEFAULT, Card, find_card
from embreg.planning.columns import Column, clock, number, size, table_of
from embreg.planning.words import footer, placed, price, short, stored, summary
from embreg.profiles import RunSpec

__all__ = ["print_plan"]

_LOG_WIDTH = 160  # without a terminal rich folds to 80 columns; a log or a file has room


def print_plan(
    specs: Sequence[RunSpec], root: Path, *, force: bool = False, jobs: int = 1, card: Card | None = None
) -> None:
    """Print what `embreg run` would do, and its cost, as tables; nothing is executed.

    Parameters
    ----------
    specs : sequence of RunSpec
    root : Path
        Folder of the project.
    force : bool
        Count current runs too.
    jobs : int
        Runs at the same time; their memory adds up.
    card : Card, optional
        Accelerator that is counted beside this machine; default an H100.
    """
    from rich.console import Console

    card = card or find_card(DEFAULT)
    console = Console()
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console = Console(width=_LOG_WIDTH)
    rows: list[dict[str, str]] = []
    idle, due = list[int](), list[Plan]()
    why, notes = (defaultdict[str, list[str]](list) for _ in range(2))
    total, known = 0.0, False
    for spec in specs:
        key = run_key(root / "notebooks" / f"{spec.notebook}.ipynb", spec.parameters, root)
        current, reason = is_current(run_folder(spec, root), key)
        if current and not force:
            idle.append(len(rows))
            rows.append({"run": spec.name, "why": "current: nothing to do"})
            why["current: nothing to do"].append(spec.name)
            continue
        cost, before = plan(spec.parameters), _before(spec, root)
        due.append(cost)
        known |= before is not None
        total += cost.seconds if before is None else before
        reason = "forced" if current else reason
        why[reason].append(spec.name)
        for note in cost.notes:
            notes[note].append(spec.name)
        estimate = f"≈ {clock(cost.seconds)}".replace("≈ <", "<") if cost.flops else "—"
        last = estimate if before is None else f"{clock(before)} last time"
        rows.append({"run": spec.name, **_cells(cost, card, last, cost.bytes), "why": reason})
    every = together(due)
    if len(due) > 1:
        peak = sum(sorted((p.bytes for p in due), reverse=True)[:jobs])
        seconds = total if known else min(total, every.seconds)
        rows.append({"run": "together", **_cells(every, card, f"≈ {clock(seconds)}", peak),
                     "why": f"{len(due)} to run"})  # fmt: skip
    columns = [
        Column(name, [row.get(name, "—") for row in rows], need, {"run": 20, "why": 14}.get(name, 0))
        for name, need in _run_columns(every, card).items()
    ]
    title = f"profile {specs[0].profile}: {len(specs)} runs" if specs else "no runs"
    shown = table_of(columns, console.width, title=title, last=len(due) > 1, dim=idle)
    console.print(shown)
    if "why" not in [column.header for column in shown.columns]:
        _say(console, [f"{reason}: {', '.join(names)}" for reason, names in why.items()])
    if every.models:
        console.print()
        console.print(_models(every, card, console.width))
    _say(console, [f"{note} ({', '.join(names)})" for note, names in notes.items()])
    if every.models:
        _say(console, ["", summary(every, card)])
    if due:
        _say(console, ["", *footer(every, card, len(due))])


def _run_columns(every: Plan, card: Card) -> dict[str, int]:
    """Name and need of the columns of runs, in their order."""
    on = f"on {card.name}"
    columns = {"run": 99, "rows": 6, "tokens": 7, "FLOP": 8, "time here": 4, "memory here": 0, on: 9,
               f"memory {on}": 2, "store": 5, "price": 9, "why": 1}  # fmt: skip
    paid = any(c.shape is None for c in every.models)
    return {name: need for name, need in columns.items() if paid or name != "price"}


def _cells(cost: Plan, card: Card, last: str, here: int) -> dict[str, str]:
    on, largest = f"on {card.name}", cost.largest(card)
    return {
        "rows": f"{cost.rows:,}",
        "tokens": ("" if cost.exact else "≈ ") + number(cost.tokens),
        "FLOP": number(cost.flops),
        "time here": last,
        "memory here": size(here),
        on: clock(3600 * cost.gpu_hours(card)) if largest else "—",
        f"memory {on}": placed(largest[1] if largest else None),
        "store": stored(cost.models),
        "price": price(cost.models),
    }  # fmt: skip


def _models(every: Plan, card: Card, width: int) -> object:
    """Table of the models, the least work first."""
    costs = sorted(every.models, key=lambda c: c.flops)
    shapes = [c.shape for c in costs]
    on = f"on {card.name}"
    columns = [
        Column("model", [short(c.model) for c in costs], 99, 20),
        Column("parameters", [number(s.parameters) if s else "service" for s in shapes], 4),
        Column("rows", [f"{c.rows:,}" for c in costs], 2),
        Column("tokens", [("" if c.exact else "≈ ") + number(c.tokens) for c in costs], 6),
        Column("FLOP", [number(c.flops) for c in costs], 5),
        Column("weights in bf16", [size(2 * s.parameters) if s else "—" for s in shapes], 1),
        Column(f"memory {on}", [placed(c.placement(card)) for c in costs], 9),
        Column(on, [clock(3600 * c.gpu_hours(card)) if c.shape else "—" for c in costs], 8),
        Column("store", [stored([c]) for c in costs], 7),
    ]
    if any(s is None for s in shapes):
        columns.append(Column("price", [price([c]) for c in costs], 10))
    return table_of(columns, width, title="models", last=False, dim=[])


def _say(console: Any, lines: Sequence[str]) -> None:
    for line in lines:
        console.print(line, style="dim", highlight=False, markup=False)


def _before(spec: RunSpec, root: Path) -> float | None:
    """Seconds the same run took, when it was done with the same parameters."""
    try:
        made = json.loads((run_folder(spec, root) / "run.json").read_text(encoding="utf-8"))
        same = made["parameters"] == json.loads(json.dumps(spec.parameters))
        return float(made["seconds"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
