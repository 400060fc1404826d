"""Before the work: the cheap prediction from a sample, and what will leave this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from embreg.advising.candidates import Candidate, representations_of, transformer_of
from embreg.advising.comparing import Features
from embreg.advising.early import SAMPLE, EarlyLook, early_look
from embreg.advising.plan import sampled
from embreg.advising.problem import Problem

__all__ = ["announce", "glance", "look_at"]


def look_at(problem: Problem, model: str, random_state: int = 0) -> tuple[EarlyLook, tuple[str, str]]:
    """Look at a sample of at most `embreg.advising.early.SAMPLE` rows.

    Parameters
    ----------
    problem : Problem
    model : str
    random_state : int
        Of the sample.

    Returns
    -------
    look : EarlyLook
    sides : tuple of str
        The representations that were compared, without and with the model.
    """
    few = sampled(problem, SAMPLE, random_state)
    without, with_llm = representations_of(few)
    features, every = Features(few), np.arange(len(few.y))
    sides = Candidate(without[0], "mean"), Candidate(with_llm[0], "mean", model)
    trad, llm = (features.of(side, every) for side in sides)
    look = early_look(trad, llm, few.y, random_state=random_state)
    return look, (sides[0].representation, sides[1].representation)


def glance(problem: Problem, model: str, random_state: int = 0) -> tuple[dict[str, Any], pd.DataFrame]:
    """Cheap prediction from a sample: smoothness and neighbours of the two representations.

    Parameters
    ----------
    problem, model, random_state
        As for `look_at`.

    Returns
    -------
    early : dict
        ``z, knn_gap, n, left_out, chance, chance_low, chance_high, sentence``.
    smoothness : DataFrame
        ``representation, factor``: the Lipschitz factors that `z` is made of.
    """
    look, sides = look_at(problem, model, random_state)
    factors = pd.concat(
        pd.DataFrame({"representation": side, "factor": values})
        for side, values in zip(sides, look.factors, strict=True)
    )
    return look.as_dict(), factors.reset_index(drop=True)


def announce(problem: Problem, models: Sequence[str], say: Callable[[str], None]) -> None:
    """Say what will leave this machine, before the first row does."""
    from embreg.services.address import is_service

    for model in filter(is_service, models):
        from embreg.service import estimate

        parts = ["llm", *(["text"] if problem.texts and len(problem.texts) < len(problem.kinds) else [])]
        for part in parts:
            texts = transformer_of(part, problem.kinds, model)[:-1].fit_transform(problem.rows)
            say(f"leaves this machine: {estimate(list(texts), model)}")
