"""From a table to advice, step by step, within a budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from embreg._task import whole
from embreg.advising.candidates import HEADS, Candidate, candidates_of
from embreg.advising.comparing import Features, Outcome, compare
from embreg.advising.folds import folds
from embreg.advising.following import follow
from embreg.advising.glance import announce, glance
from embreg.advising.plan import Plan, make_plan, measure_rates, sampled, wanted_of
from embreg.advising.problem import Problem
from embreg.advising.verdict import Judgement, judge

__all__ = ["run"]

Say = Callable[[str], None]


def run(
    problem: Problem,
    models: Sequence[str],
    *,
    budget_s: float,
    repeats: int = 4,
    heads: Sequence[str] = HEADS,
    explain: bool = True,
    random_state: int = 0,
    say: Say = lambda line: None,
) -> dict[str, Any]:
    """Fields of an `embreg.advice.Advice`.

    Parameters
    ----------
    problem : Problem
    models, heads : sequence of str
    budget_s : float
    repeats : int
        Most repeats of the folds.
    explain : bool
        Also learning curve, importances and costs.
    random_state : int
    say : callable
        Receives the early look and the plan before what they are about.

    Returns
    -------
    dict
    """
    started = time.perf_counter()
    took: dict[str, float] = {}

    def lap(step: str, since: float) -> None:
        took[step] = time.perf_counter() - since

    candidates = candidates_of(problem, models, heads)
    announce(problem, models, say)
    early, smoothness = glance(problem, models[0], random_state)
    say(early["sentence"])
    rates = measure_rates(problem, candidates, random_state)
    plan = make_plan(
        problem, candidates, rates, budget_s, spent_s=time.perf_counter() - started,
        most_repeats=1 if problem.order is not None else whole("repeats", repeats, 1),
    )  # fmt: skip
    say(str(plan))
    lap("look at a sample, and measure", started)
    problem, candidates = sampled(problem, plan.rows, random_state), list(plan.candidates)
    features, since = Features(problem), time.perf_counter()
    for part, model in sorted(wanted_of(problem, candidates)):
        features.embed(part, model)
    lap("embed", since)
    since = time.perf_counter()
    cuts = list(
        folds(
            len(problem.y), repeats=plan.repeats, n_splits=plan.n_splits, groups=problem.groups,
            order=problem.order, random_state=random_state,
        )
    )  # fmt: skip
    outcome = compare(
        features, candidates, cuts, total=len(cuts), random_state=random_state,
        deadline=started + budget_s * 0.9,
    )  # fmt: skip
    lap("compare", since)
    found = _judged(outcome, candidates, len(problem.y))
    since = time.perf_counter()
    out = follow(
        features, candidates, outcome, cuts, found, explain=explain, random_state=random_state,
        deadline=started + budget_s,
    )  # fmt: skip
    lap("curve, importances, costs, last fits", since)
    if outcome.stopped:
        say(
            f"the budget was over after {len(outcome.shares)} of {len(cuts)} folds: intervals are wider "
            "for it"
        )
    return {
        **out, **_said(problem, features, plan, took), "early": early, "smoothness": smoothness,
        "models": tuple(models), "seconds": time.perf_counter() - started, "budget_s": budget_s,
    }  # fmt: skip


def _judged(outcome: Outcome, candidates: Sequence[Candidate], n: int) -> Judgement:
    with_llm = [c.name for c in candidates if c.uses_llm]
    without = [c.name for c in candidates if not c.uses_llm]
    return judge(outcome.table, with_llm, without, test_share=outcome.test_share, n=n)


def _said(problem: Problem, features: Features, plan: Plan, took: Mapping[str, float]) -> dict[str, Any]:
    """Tables of the columns, the findings and the plan."""
    findings = [
        {"code": f.code, "columns": ", ".join(f.columns), "message": f.message, "action": f.action}
        for f in problem.findings
    ]
    for (part, model), report in features.reports.items():
        if report.truncated:
            what = "free text" if part == "text" else "rows as strings"
            findings.append({
                "code": "long_rows", "columns": "",
                "message": f"{report.truncated:,} of {report.rows:,} {what} are longer than {model} reads",
                "action": "the end of them was not read; name a model with a longer context, or drop columns",
            })  # fmt: skip
    for sentence in plan.left_out:
        findings.append({"code": "budget", "columns": "", "message": sentence, "action": "planned so"})
    steps = plan.table.assign(took_s=np.nan)
    done = pd.DataFrame({"step": list(took), "estimate_s": np.nan, "took_s": list(took.values())})
    return {
        "columns": pd.DataFrame([vars(c) for c in problem.columns]),
        "findings": pd.DataFrame(findings, columns=["code", "columns", "message", "action"]),
        "plan": pd.concat([steps, done], ignore_index=True), "n_rows": len(problem.y), "kinds": problem.kinds,
    }  # fmt: skip
