"""What follows a comparison: last fits, costs, learning curve, importances, and the answer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from embreg.advising.candidates import Candidate, pipeline_of
from embreg.advising.comparing import Features, Outcome, quiet_gaps
from embreg.advising.folds import Fold
from embreg.advising.problem import Problem
from embreg.advising.scoreboard import choose, scoreboard_of
from embreg.advising.verdict import Judgement

__all__ = ["follow"]


def follow(
    features: Features,
    candidates: Sequence[Candidate],
    outcome: Outcome,
    cuts: Sequence[Fold],
    found: Judgement,
    *,
    explain: bool,
    random_state: int,
    deadline: float,
) -> dict[str, Any]:
    """Fields of an advice that come after the scores.

    Parameters
    ----------
    features : Features
    candidates : sequence of Candidate
    outcome : Outcome
    cuts : sequence of Fold
    found : Judgement
    explain : bool
        Also learning curve and importances.
    random_state : int
    deadline : float
        Of ``time.perf_counter()``: curve and importances are cut to end by then.

    Returns
    -------
    dict
    """
    from embreg.advising.answer import answer_of

    problem, by_name = features.problem, {c.name: c for c in candidates}
    means = outcome.table.groupby("candidate")["kendall_tau"].mean()
    reference = str(means[[c.name for c in candidates if not c.uses_llm]].idxmax())
    best_llm = str(means[[c.name for c in candidates if c.uses_llm]].idxmax())
    board = scoreboard_of(outcome, candidates, reference)
    best = choose(board, reference)
    fitted = {
        name: _fit(by_name[name], problem, outcome.residuals(name, problem.y), random_state)
        for name in dict.fromkeys([best, reference, best_llm])
    }
    extra = _explained(
        features, [by_name[name] for name in fitted], fitted, outcome, cuts, best=best, best_llm=best_llm,
        reference=reference, explain=explain, random_state=random_state, deadline=deadline,
    )  # fmt: skip
    costs = extra["costs"].set_index("candidate")["ms_per_row"]
    return {
        "verdict": found.verdict, "difference": found.difference, "probability": found.probability,
        "skill": found.skill, "rows_needed": found.rows_needed, "best": best, "reference": reference,
        "best_llm": best_llm, "records": outcome.table,
        "scoreboard": board.assign(chosen=board["candidate"] == best),
        "answer": answer_of(
            found, best_llm=best_llm, reference=reference, n=len(problem.y),
            ms_per_row=float(costs.get(best_llm, np.nan)), ratio=extra["cost_ratio"],
        ),
        "predictions": _predictions(outcome, problem, fitted[best], best, reference),
        "best_": fitted[best], **extra,
    }  # fmt: skip


def _fit(candidate: Candidate, problem: Problem, residuals: np.ndarray, random_state: int) -> Any:
    made = pipeline_of(candidate, problem, random_state=random_state)
    return made.fit(problem.rows, problem.y, head__residuals=residuals)


def _predictions(outcome: Outcome, problem: Problem, model: Any, best: str, reference: str) -> pd.DataFrame:
    predicted = outcome.out_of_fold(best, len(problem.y))
    half = model[-1].half_width_
    table = pd.DataFrame({
        "row": problem.positions, "y": problem.y, "predicted": predicted, "low": predicted - half,
        "high": predicted + half, "reference": outcome.out_of_fold(reference, len(problem.y)),
    })  # fmt: skip
    return table[np.isfinite(predicted)].reset_index(drop=True)


def _explained(
    features: Features,
    shown: Sequence[Candidate],
    fitted: Mapping[str, Any],
    outcome: Outcome,
    cuts: Sequence[Fold],
    *,
    best: str,
    best_llm: str,
    reference: str,
    explain: bool,
    random_state: int,
    deadline: float,
) -> dict[str, Any]:
    from embreg.advising.costing import row_costs
    from embreg.advising.curve import learning_curve
    from embreg.advising.explaining import importances
    from embreg.services.address import is_service

    nothing: dict[str, Any] = {
        "curve": pd.DataFrame(columns=["candidate", "n_train", "kendall_tau", "low", "high"]),
        "importance": pd.DataFrame(columns=["column", "method", "value", "low", "high"]),
        "costs": pd.DataFrame(columns=["candidate", "ms_per_row", "low", "high"]),
        "cost_ratio": None,
    }
    problem, first, out = features.problem, [cut for cut in cuts if cut.repeat == 0], dict(nothing)
    # A service's time is the network's, and every row sent anew would be paid for.
    if not any(is_service(c.model) for c in shown):
        out["costs"], out["cost_ratio"] = row_costs(fitted, problem.rows, slow=best_llm, fast=reference)
    if not explain:
        return out
    done = {(r["repeat"], r["fold"]) for r in outcome.records}
    first = [cut for cut in first if (cut.repeat, cut.number) in done]
    left = deadline - time.perf_counter()
    out["curve"] = learning_curve(
        features, shown, first, outcome.table, random_state=random_state,
        deadline=time.perf_counter() + left / 3,
    )  # fmt: skip
    cut, candidate = first[0], next(c for c in shown if c.name == best)
    if not is_service(candidate.model):
        seen = np.sort(np.concatenate([cut.train, cut.val]))
        model = pipeline_of(candidate, problem, random_state=random_state)
        model.fit(
            problem.rows.iloc[seen], problem.y[seen], head__residuals=outcome.residuals(best, problem.y)
        )
        with quiet_gaps():
            out["importance"] = importances(
                model, problem.rows.iloc[cut.test], problem.y[cut.test],
                budget_s=max(5.0, (deadline - time.perf_counter()) * 0.8), random_state=random_state,
            )  # fmt: skip
    return out
