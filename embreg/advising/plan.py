"""How much of a comparison fits into the time there is, from what a few rows took on this machine."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from embreg.advising.candidates import GP_ROWS, Candidate, head_of, parts_of, transformer_of
from embreg.advising.problem import Problem
from embreg.planning.columns import clock

__all__ = ["Plan", "Rates", "make_plan", "measure_rates", "seconds_of"]

_PILOT_ROWS = 150
_PILOT_TEXTS = 24
_LEAST_ROWS = 300
_N_SPLITS = 5
_AFTER = 0.25
"""Share of the budget for what follows the comparison: curve, importances, costs, the last fits."""

# Time of a fit grows as the number of training rows to this power.
_GROWTH = {"mean": 0.0, "ridge": 1.0, "xgboost": 0.8, "mlp": 1.0, "gp": 2.5}


def seconds_of(budget: str | float) -> float:
    """Seconds of a budget such as ``"10m"``, ``"90s"``, ``"1.5h"``, or of a number of seconds.

    Raises
    ------
    ValueError
        Not a time, or not above 0.

    Examples
    --------
    >>> seconds_of("10m"), seconds_of("1h30m"), seconds_of(45)
    (600.0, 5400.0, 45.0)
    >>> seconds_of("soon")
    Traceback (most recent call last):
    ...
    ValueError: a budget must be a time such as 10m, 90s or 1h30m, however: got 'soon'
    """
    units = {"h": 3600, "m": 60, "min": 60, "s": 1, "": 1}
    text = str(budget).strip().lower()
    found = re.findall(r"(\d+(?:\.\d+)?)\s*(h|min|m|s|)(?=\d|\s|$)", text)
    total = sum(float(number) * units[unit] for number, unit in found)
    if "".join(n + u for n, u in found) != re.sub(r"\s", "", text) or not 0 < total < float("inf"):
        raise ValueError(f"a budget must be a time such as 10m, 90s or 1h30m, however: got {budget!r}")
    return total


@dataclass(frozen=True)
class Rates:
    """What a few rows took.

    Attributes
    ----------
    embed_s : dict
        ``(part, model)`` to seconds a row; NaN for a service, whose time is the network's.
    fit_s : dict
        ``(head, wide)`` to seconds of a fit on `rows` rows; wide with an embedding in it.
    rows : int
        Rows of the fits.
    """

    embed_s: dict[tuple[str, str], float]
    fit_s: dict[tuple[str, bool], float]
    rows: int

    def fold(self, candidates: Sequence[Candidate], n_train: int) -> float:
        """Seconds of one fold of all candidates with so many training rows."""
        total = 0.0
        for c in candidates:
            rows = min(n_train, GP_ROWS) if c.head == "gp" else n_train
            total += self.fit_s[c.head, c.uses_llm] * (rows / self.rows) ** _GROWTH[c.head]
        return total


@dataclass(frozen=True)
class Plan:
    """What will be done.

    Attributes
    ----------
    candidates : tuple of Candidate
    rows : int
        Of the table; fewer than there are where time is short.
    repeats, n_splits : int
    left_out : tuple of str
        Sentences on what there is no time for.
    steps : tuple of (str, float)
        Name and estimated seconds.
    budget_s : float
    """

    candidates: tuple[Candidate, ...]
    rows: int
    repeats: int
    n_splits: int
    left_out: tuple[str, ...]
    steps: tuple[tuple[str, float], ...]
    budget_s: float

    def __str__(self) -> str:
        total = sum(s for _, s in self.steps if np.isfinite(s))
        steps = [*self.steps, (f"in all, of a budget of {clock(self.budget_s)}", total)]
        width = max(len(name) for name, _ in steps)
        times = [clock(s) if np.isfinite(s) else "unknown" for _, s in steps]
        lines = [f"  {name:<{width}} {shown:>8}" for (name, _), shown in zip(steps, times, strict=True)]
        lines += [f"  {sentence}" for sentence in self.left_out]
        return "\n".join(["plan (times from a few rows on this machine):", *lines])

    @property
    def table(self) -> pd.DataFrame:
        """``step, estimate_s``."""
        return pd.DataFrame(self.steps, columns=["step", "estimate_s"])


def measure_rates(problem: Problem, candidates: Sequence[Candidate], random_state: int = 0) -> Rates:
    """Embed a few rows and fit each head on a few, and time it.

    Parameters
    ----------
    problem : Problem
    candidates : sequence of Candidate
    random_state : int
        Of the rows.

    Returns
    -------
    Rates
    """
    from embreg.services.address import is_service

    n = min(_PILOT_ROWS, len(problem.y))
    few = np.sort(np.random.default_rng(random_state).permutation(len(problem.y))[:n])
    rows, y = problem.rows.iloc[few], problem.y[few]
    embed_s: dict[tuple[str, str], float] = {}
    width = 384
    for part, model in sorted(wanted_of(problem, candidates)):
        if is_service(model):
            embed_s[part, model] = float("nan")
            continue
        # Without the store: how long it takes is asked, not whether it has been done.
        made = transformer_of(part, problem.kinds, model, store=None)
        made.fit_transform(rows.iloc[:2])
        started = time.perf_counter()
        width = max(width, made.transform(rows.iloc[:_PILOT_TEXTS]).shape[1])
        embed_s[part, model] = (time.perf_counter() - started) / min(n, _PILOT_TEXTS)
    trad = np.zeros((n, 0))
    if any(kind != "text" for _, kind in problem.kinds):
        trad = transformer_of("trad", problem.kinds, None).fit_transform(rows)
    noise = np.random.default_rng(random_state).normal(size=(n, width))
    fit_s: dict[tuple[str, bool], float] = {}
    val = n // 8
    for head, wide in sorted({(c.head, c.uses_llm) for c in candidates}):
        X = np.hstack([trad, noise]) if wide else trad if trad.shape[1] else noise
        head_of(head, random_state).fit(
            X[:24], y[:24], X_val=X[24:32], y_val=y[24:32]
        )  # imports are not counted
        started = time.perf_counter()
        head_of(head, random_state).fit(X[val:], y[val:], X_val=X[:val], y_val=y[:val])
        fit_s[head, wide] = time.perf_counter() - started
    return Rates(embed_s, fit_s, n - val)


def wanted_of(problem: Problem, candidates: Sequence[Candidate]) -> set[tuple[str, str]]:
    """What has to be embedded: part of a candidate and language model."""
    return {
        (part, c.model)
        for c in candidates
        if c.model
        for part in parts_of(c, problem.kinds)
        if part in ("llm", "text")
    }


def make_plan(
    problem: Problem,
    candidates: Sequence[Candidate],
    rates: Rates,
    budget_s: float,
    *,
    spent_s: float = 0.0,
    most_repeats: int = 4,
) -> Plan:
    """Fit the comparison into a budget: first fewer repeats, then no Gaussian process, then fewer rows.

    Parameters
    ----------
    problem : Problem
    candidates : sequence of Candidate
    rates : Rates
    budget_s, spent_s : float
        Seconds in all, and those that are gone.
    most_repeats : int
        1 for rows in order, which have no other.

    Returns
    -------
    Plan

    Raises
    ------
    ValueError
        Not even the smallest comparison fits; says what it needs.
    """
    n = len(problem.y)
    per_row = float(np.nansum(list(rates.embed_s.values())))
    after = _AFTER * (budget_s - spent_s)

    def cost(kept: Sequence[Candidate], rows: int, repeats: int) -> float:
        return per_row * rows + repeats * _N_SPLITS * rates.fold(kept, round(0.7 * rows))

    room = budget_s - spent_s - after
    kept, rows, left_out = list(candidates), n, []
    if cost(kept, n, 1) > room and {c.head for c in kept} > {"mean", "gp"}:
        kept = [c for c in kept if c.head != "gp"]
        left_out.append("no Gaussian process: there is no time for it; a larger budget has it")
    if cost(kept, n, 1) > room:
        sizes = np.linspace(min(n, _LEAST_ROWS), n, 60).astype(int).tolist()
        rows = max((r for r in sizes if cost(kept, r, 1) <= room), default=0)
        if not rows:
            least = (cost(kept, min(n, _LEAST_ROWS), 1) / (1 - _AFTER) + spent_s) * 1.2
            raise ValueError(
                f"a comparison of {len(kept)} candidates on {min(n, _LEAST_ROWS)} rows needs about "
                f"{clock(least)} here, however: the budget is {clock(budget_s)}; give it more, or name fewer "
                "models or heads"
            )
        left_out.append(
            f"{rows:,} of {n:,} rows, drawn at random: there is no time for all; a larger budget has them"
        )
    repeats = max(r for r in range(1, most_repeats + 1) if r == 1 or cost(kept, rows, r) <= room)
    steps = [
        (f"embed {rows:,} rows by {model}, {'free text' if part == 'text' else 'as strings'}", seconds * rows)
        for (part, model), seconds in rates.embed_s.items()
    ]
    fits = repeats * _N_SPLITS * len(kept)
    steps.append(
        (
            f"{len(kept)} candidates on {repeats} × {_N_SPLITS} folds, {fits} fits",
            cost(kept, rows, repeats) - per_row * rows,
        )
    )
    steps.append(("learning curve, importances, costs, last fits", after))
    return Plan(tuple(kept), rows, repeats, _N_SPLITS, tuple(left_out), tuple(steps), budget_s)


def sampled(problem: Problem, rows: int, random_state: int = 0) -> Problem:
    """A random sample of the rows of a problem, in their order."""
    if rows >= len(problem.y):
        return problem
    kept = np.sort(np.random.default_rng(random_state).permutation(len(problem.y))[:rows])

    def part(values: Any) -> Any:
        return None if values is None else values[kept]

    return replace(
        problem, rows=problem.rows.iloc[kept].reset_index(drop=True), y=problem.y[kept],
        positions=problem.positions[kept], groups=part(problem.groups), order=part(problem.order),
    )  # fmt: skip
