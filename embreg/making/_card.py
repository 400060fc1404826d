"""Data cards: what a family's measured tasks are, and what is known about their numbers."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embreg._files import atomic_path, sha256_file
from embreg.making._draws import Settled
from embreg.making._lock import JournalError, locked
from embreg.making.family import Family, TaskSpec
from embreg.making.journal import Log

__all__ = ["noise_of", "task_entry", "write_card"]

_METHOD = (
    "Columns whose shuffling lowers the R² of boosted trees on held-out rows by more than the threshold, in "
    "the mean over five cuts into 70 % and 30 %; a lower bound (embreg.effective)."
)
_THRESHOLD = 0.01
_SHARED = ("versions", "machine")  # once for the family, and in a task only where they differ


def noise_of(log: Log, settled: Settled) -> dict[str, float | int | None]:
    """Noise of y: the pooled standard deviation within rows that were measured more than once.

    Returns
    -------
    dict
        ``sd``; ``ratio``, which is sd over the standard deviation of y; ``n_rows`` that were measured again,
        and ``n_repeats``, how often at most.
    """
    groups: dict[int, list[float]] = {draw.index: [] for draw, _ in settled.kept}
    for (index, _), entry in sorted(log.entries.items()):
        if index in groups and entry.y is not None:
            groups[index].append(entry.y)
    several = [np.array(group) for group in groups.values() if len(group) > 1]
    sd = ratio = None
    if several:
        squares = sum(float(((g - g.mean()) ** 2).sum()) for g in several)
        # A mean of equal numbers need not be one of them: rounding must not pass for noise.
        squares = 0.0 if all(np.ptp(g) == 0 for g in several) else squares
        sd = math.sqrt(squares / sum(len(g) - 1 for g in several))
        spread = _sd([entry.y for _, entry in settled.kept])
        ratio = _tidy(sd / spread) if spread else None
    return {
        "sd": None if sd is None else _tidy(sd),
        "ratio": ratio,
        "n_rows": len(several),
        "n_repeats": max((len(g) - 1 for g in several), default=0),
    }


def task_entry(
    family: Family, spec: TaskSpec, log: Log, settled: Settled, rows: Any, parquet: Path
) -> dict[str, Any]:
    """Entry of one task: everything but a date, so that equal journals make equal cards."""
    space = family.space(spec.name)
    y = np.array([entry.y for _, entry in settled.kept], dtype=np.float64)
    machines = {key: "; ".join(dict.fromkeys(str(m[key]) for m in log.machines)) for key in log.machines[0]}
    return {
        "about": spec.about, "target": spec.target, "unit": spec.unit, "direction": spec.direction,
        "n": len(y),
        "infeasible": {"n": settled.reasons.total(), "reasons": dict(settled.reasons.most_common(10))},
        "nominal": len(space), "effective": _effective(rows, y), "noise": noise_of(log, settled),
        "y": {
            "min": _tidy(y.min()), "median": _tidy(np.median(y)), "max": _tidy(y.max()), "sd": _tidy(_sd(y)),
            "distinct": len(np.unique(y)),
        },
        "seconds_per_row": _tidy(np.median([entry.seconds for _, entry in settled.kept]), 3),
        "sha256": sha256_file(parquet), "bytes": parquet.stat().st_size,
        "versions": log.header["versions"], "machine": machines,
        "space": space.describe(),
    }  # fmt: skip


def _effective(rows: Any, y: npt.NDArray[np.float64]) -> dict[str, Any]:
    from embreg.effective import effective_dof

    try:
        found = effective_dof(rows, y, random_state=0)
    except ValueError as error:  # too few rows, or a y that does not vary: the card says so
        return {"n": None, "why": str(error)}
    importances = {name: round(value, 4) for name, value in found.importances.items()}
    return {
        "n": found.n, "threshold": _THRESHOLD, "r2": round(found.r2, 4), "method": _METHOD,
        "importances": dict(sorted(importances.items(), key=lambda item: -item[1])),
    }  # fmt: skip


def _sd(values: Sequence[float | None] | npt.NDArray[np.float64]) -> float:
    array = np.asarray(values, dtype=np.float64)
    return float(array.std(ddof=1)) if len(array) > 1 and np.ptp(array) else 0.0


def _tidy(value: float, digits: int = 6) -> float:
    return float(f"{float(value):.{digits}g}")


def write_card(path: Path, family: Family, entries: Mapping[str, dict[str, Any]]) -> None:
    """Put entries of tasks into a family's card, beside those that are there.

    Tasks that the family no longer has are left out. What is the same for all tasks, versions and machine,
    stands once; a task that was measured elsewhere says so itself.

    Raises
    ------
    JournalError
        The card that is there is damaged, or another process holds it for long.
    """
    with locked(path, timeout=60):
        known = {**_old(path), **entries}
        known = {spec.name: known[spec.name] for spec in family.specs if spec.name in known}
        first = next(iter(known.values()))
        shared = {key: first[key] for key in _SHARED}
        tasks = {
            # Their own versions and machine last, so that the order of calls does not show in the card.
            name: {k: v for k, v in entry.items() if k not in _SHARED}
            | {k: entry[k] for k in _SHARED if entry[k] != shared[k]}
            for name, entry in known.items()
        }
        content = {
            "name": family.name, "title": family.title, "stands_for": family.stands_for,
            "what_ran": family.what_ran, "licence": family.licence, "noise": family.noise,
            "flaws": list(family.flaws), "tolerance": family.tolerance, **shared, "tasks": tasks,
        }  # fmt: skip
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        with atomic_path(path) as tmp, open(tmp, "wb") as f:
            f.write(text.encode())
            f.flush()
            os.fsync(f.fileno())


def _old(path: Path) -> dict[str, dict[str, Any]]:
    """Entries of a card, each with its own versions and machine."""
    if not path.exists():
        return {}
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        shared = {key: card[key] for key in _SHARED}
        return {name: {**shared, **entry} for name, entry in card["tasks"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise JournalError(
            f"{path} must be a data card, however: {type(error).__name__}: {error}. Remove it, and make all "
            "tasks of the family: what is in the journals is not measured again"
        ) from error
