"""What follows from paired scores of folds: intervals, probabilities, and one sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from embreg.stats import Interval

__all__ = ["MARGIN", "Comparison", "Judgement", "corrected", "judge", "nested", "rows_to_decide"]

MARGIN = 0.02
"""A smaller difference in τ is called none."""

Verdict = Literal["yes", "no", "undecided", "nothing"]


class Comparison(NamedTuple):
    """Mean of paired differences, its interval, and the probability that it is above 0."""

    interval: Interval
    probability: float


def corrected(differences: ArrayLike, test_share: float, *, level: float = 0.95) -> Comparison:
    """Interval of a mean over folds whose training rows overlap.

    Folds are no independent draws: they train on the same rows, and their plain standard error is far too
    small. Nadeau and Bengio (2003) replace 1/k in the variance of the mean by 1/k + n_test/n_train; Student's
    distribution with that scale is also the posterior of the mean under a flat prior (Corani and Benavoli,
    2015), so that one number serves as a probability.

    Parameters
    ----------
    differences : array-like of shape (k,)
        One per fold, k from 2.
    test_share : float
        Rows scored, as a share of the rows scored and trained on, between 0 and 1.
    level : float
        Of the interval.

    Returns
    -------
    Comparison
        Without any spread the interval is a point, and the probability 0, 1, or ½ where nothing differs.

    Raises
    ------
    ValueError
        Fewer than two folds, values that are not finite, a share outside of 0 to 1.

    Examples
    --------
    >>> found = corrected([0.02, 0.04, 0.03, 0.05, 0.01], 0.2)
    >>> str(found.interval), round(found.probability, 2)
    ('0.03 [0.00, 0.06]', 0.98)
    """
    from scipy.stats import t

    d = np.asarray(differences, dtype=float)
    if d.ndim != 1 or len(d) < 2 or not np.isfinite(d).all():
        raise ValueError(f"differences must be finite, of at least 2 folds, however: got {d}")
    if not 0 < test_share < 1:
        raise ValueError(f"test_share must be between 0 and 1, however: got {test_share!r}")
    mean, variance = float(d.mean()), float(d.var(ddof=1))
    if np.ptp(d) == 0:
        return Comparison(Interval(mean, mean, mean), 0.5 if mean == 0 else float(mean > 0))
    scale = math.sqrt(variance * (1 / len(d) + test_share / (1 - test_share)))
    half = float(t.ppf((1 + level) / 2, len(d) - 1)) * scale
    return Comparison(Interval(mean, mean - half, mean + half), float(t.cdf(mean / scale, len(d) - 1)))


def nested(scores: pd.DataFrame, candidates: Sequence[str]) -> pd.Series:
    """Score of the best of several candidates, where the best of a fold is chosen on the other folds.

    The largest of many mean scores is too large by the luck that made it largest. Here a fold has no part
    in choosing the candidate whose score it gives.

    Parameters
    ----------
    scores : DataFrame
        ``repeat, fold, candidate, kendall_tau``.
    candidates : sequence of str

    Returns
    -------
    Series
        τ by ``(repeat, fold)``. A repeat of one fold alone is chosen for by the folds of all others.

    Examples
    --------
    >>> scores = pd.DataFrame({"repeat": 0, "fold": [0, 0, 1, 1, 2, 2], "candidate": list("ababab"),
    ...                        "kendall_tau": [0.9, 0.1, 0.2, 0.3, 0.1, 0.2]})
    >>> nested(scores, ["a", "b"]).tolist()
    [0.1, 0.2, 0.1]
    """
    part = scores[scores["candidate"].isin(list(candidates))]
    table = part.pivot(index=["repeat", "fold"], columns="candidate", values="kendall_tau")[list(candidates)]
    if table.isna().to_numpy().any():
        raise ValueError("every candidate must have a score in every fold, however: some are missing")
    repeat = table.index.get_level_values("repeat").to_numpy()
    values = table.to_numpy()
    out = np.empty(len(table))
    for i in range(len(table)):
        others = repeat == repeat[i]
        if others.sum() == 1:
            others = np.full(len(table), True)
        others[i] = False
        out[i] = values[i, values[others].mean(0).argmax()]
    return pd.Series(out, index=table.index, name="kendall_tau")


@dataclass(frozen=True)
class Judgement:
    """Verdict on one table.

    Attributes
    ----------
    verdict : {"yes", "no", "undecided", "nothing"}
        Whether a language model helps; ``"nothing"`` where no candidate predicts y better than chance.
    difference : Interval
        τ of the best candidate with a language model less that of the best without.
    probability : float
        That the difference is above 0.
    skill : Interval
        τ of the best candidate of all.
    rows_needed : int or None
        About how many rows would decide a difference like this one; None where it is decided, or where no
        number of rows within a thousand times as many would.
    """

    verdict: Verdict
    difference: Interval
    probability: float
    skill: Interval
    rows_needed: int | None


def judge(
    scores: pd.DataFrame, with_llm: Sequence[str], without: Sequence[str], *, test_share: float, n: int
) -> Judgement:
    """Compare the best candidate with a language model to the best without.

    Yes where the whole interval lies above 0; no where it lies below `MARGIN`, so that no gain worth having
    is left; undecided otherwise. The best on each side is chosen on other folds, see `nested`.

    Parameters
    ----------
    scores : DataFrame
        ``repeat, fold, candidate, kendall_tau``, every candidate in every fold.
    with_llm, without : sequence of str
        Candidates of the two sides.
    test_share : float
        See `corrected`.
    n : int
        Rows of the table.

    Returns
    -------
    Judgement

    Examples
    --------
    >>> folds = [(k, c, t) for k in range(5) for c, t in [("llm", 0.5 + k / 100), ("trad", 0.3 + k / 50)]]
    >>> scores = pd.DataFrame(folds, columns=["fold", "candidate", "kendall_tau"]).assign(repeat=0)
    >>> judge(scores, ["llm"], ["trad"], test_share=0.2, n=100).verdict
    'yes'
    """
    a, b = nested(scores, with_llm), nested(scores, without)
    compared = corrected(a - b, test_share)
    skill = corrected(nested(scores, [*with_llm, *without]), test_share).interval
    difference = compared.interval
    verdict: Verdict
    if skill.low <= 0:
        verdict = "nothing"
    elif difference.low > 0:
        verdict = "yes"
    elif difference.high < MARGIN:
        verdict = "no"
    else:
        verdict = "undecided"
    needed = rows_to_decide(difference, n) if verdict == "undecided" else None
    return Judgement(verdict, difference, compared.probability, skill, needed)


def rows_to_decide(difference: Interval, n: int) -> int | None:
    """About how many rows would decide, if the difference stays and its interval shrinks as 1/√n.

    Parameters
    ----------
    difference : Interval
    n : int
        Rows that it comes from.

    Returns
    -------
    int or None
        Rounded up to two digits; None beyond a thousand times n.

    Examples
    --------
    >>> rows_to_decide(Interval(0.02, -0.02, 0.06), 500)
    2000
    """
    # To the nearer way out: all above 0, or all below the margin.
    room = max(difference.value, MARGIN - difference.value)
    needed = n * ((difference.high - difference.low) / 2 / room) ** 2
    if not needed <= 1000 * n:
        return None
    unit = 10 ** max(0, math.floor(math.log10(needed)) - 1)
    return int(math.ceil(needed / unit - 1e-9) * unit)
