"""The table of `embreg run --dry-run`: every run, its cost, and why it would run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from embreg._execute import run_folder
from embreg.keys import is_current, run_key
from embreg.plan import EFFICIENCY, Plan, gemm_rate, plan, together
from embreg.profiles import RunSpec

__all__ = ["print_plan"]


def print_plan(specs: Sequence[RunSpec], root: Path, *, force: bool = False, jobs: int = 1) -> None:
    """Print what `embreg run` would do, and its cost, as a table; nothing is executed.

    Parameters
    ----------
    specs : sequence of RunSpec
    root : Path
        Folder of the project.
    force : bool
        Count current runs too.
    jobs : int
        Runs at the same time; their memory adds up.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"profile {specs[0].profile}: {len(specs)} runs" if specs else "no runs")
    table.add_column("run", overflow="fold")
    for name in ("rows", "tokens", "FLOP", "time", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    due: list[Plan] = []
    total, known = 0.0, False
    for spec in specs:
        key = run_key(root / "notebooks" / f"{spec.notebook}.ipynb", spec.parameters, root)
        current, reason = is_current(run_folder(spec, root), key)
        if current and not force:
            table.add_row(spec.name, *["—"] * 5, "current: nothing to do", style="dim")
            continue
        cost = plan(spec.parameters)
        before = _before(spec, root)
        due.append(cost)
        known |= before is not None
        total += cost.seconds if before is None else before
        about = "" if cost.exact else "≈ "
        table.add_row(
            spec.name,
            f"{cost.rows:,}",
            f"{about}{cost.tokens:,}",
            _flop(cost.flops),
            f"≈ {_clock(cost.seconds)}" if before is None else f"{_clock(before)} last time",
            _size(cost.bytes),
            "; ".join(["forced" if current else reason, *cost.notes]),
        )
    if len(due) > 1:
        peak = sum(sorted((p.bytes for p in due), reverse=True)[:jobs])
        table.add_section()
        shared = together(due)
        total = min(total, shared.seconds) if not known else total
        table.add_row(
            "together", f"{shared.rows:,}", f"{shared.tokens:,}", _flop(shared.flops), f"≈ {_clock(total)}",
            _size(peak), f"{len(due)} to run; equal rows of several runs are embedded once",
        )  # fmt: skip
    console = Console()
    # Without a terminal rich folds to 80 columns; a log or a file has room.
    console = console if console.is_terminal else Console(width=160)
    console.print(table)
    if due:
        rate = gemm_rate()
        console.print(
            "Upper bounds: rows already in the store cost nothing. ≈ time: forward passes only, at "
            f"{EFFICIENCY:.0%} of this machine's {rate / 1e9:,.0f} GFLOP/s (a matrix product, measured now); "
            "training of heads comes on top. ≈ tokens: from characters, for want of the model's tokenizer.",
            style="dim",
            highlight=False,
        )


def _before(spec: RunSpec, root: Path) -> float | None:
    """Seconds the same run took, when it was done with the same parameters."""
    try:
        made = json.loads((run_folder(spec, root) / "run.json").read_text(encoding="utf-8"))
        same = made["parameters"] == json.loads(json.dumps(spec.parameters))
        return float(made["seconds"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _flop(flops: float) -> str:
    for unit, name in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G")):
        if flops >= unit:
            return f"{flops / unit:.1f} {name}"
    return "0" if not flops else "< 1 G"


def _clock(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _size(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size else "—"
