"""From records to sentences: paired differences, and words that say no more than the interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from embreg.stats import Interval, mean_interval, paired_interval

__all__ = [
    "best_heads",
    "bound",
    "differences",
    "falls",
    "mean_difference",
    "mean_of",
    "paired",
    "say",
    "select",
    "task_correlation",
]


def select(records: pd.DataFrame, representation: str, head: str = "mlp", **where: Any) -> pd.DataFrame:
    """Records of one representation and head, and of any further columns' values.

    Raises
    ------
    KeyError
        No record fits; the message lists what there is.

    Examples
    --------
    >>> t = pd.DataFrame({"representation": ["a"], "head": ["mlp"], "dof": [5]})
    >>> len(select(t, "a", dof=5))
    1
    """
    part = records[(records.representation == representation) & (records["head"] == head)]
    for column, value in where.items():
        part = part[part[column] == value]
    if part.empty:
        known = sorted({f"{r} + {h}" for r, h in zip(records.representation, records["head"], strict=True)})
        raise KeyError(f"no records of {representation} + {head} with {where}, however: there are {known}")
    return part


def differences(
    records: pd.DataFrame,
    a: tuple[str, str],
    b: tuple[str, str],
    *,
    by: str = "dof",
    value: str = "kendall_tau",
) -> pd.DataFrame:
    """Paired mean of a − b for each value of `by`, with the share of tasks where a is ahead.

    Parameters
    ----------
    records : DataFrame
        Of one suite, from `experiment.compare`.
    a, b : (representation, head)
    by, value : str

    Returns
    -------
    DataFrame
        `by`, ``difference, low, high, ahead``: ``ahead`` is the share of tasks whose average over
        seeds is higher under a.

    Examples
    --------
    >>> t = pd.DataFrame({"representation": ["u", "v"], "head": "mlp", "dof": 5, "task": "f", "seed": 0,
    ...                   "kendall_tau": [0.5, 0.4]})
    >>> differences(t, ("u", "mlp"), ("v", "mlp")).difference.item()
    0.1
    """
    rows = []
    for level in sorted(records[by].unique()):
        left, right = (select(records, *side, **{by: level}) for side in (a, b))
        d = paired_interval(left, right, value)
        means = left.groupby("task")[value].mean() - right.groupby("task")[value].mean()
        rows.append(
            {
                by: level,
                "difference": d.value,
                "low": d.low,
                "high": d.high,
                "ahead": float((means > 0).mean()),
            }
        )
    return pd.DataFrame(rows)


def falls(
    records: pd.DataFrame, side: tuple[str, str], *, by: str = "dof", value: str = "kendall_tau"
) -> Interval:
    """Paired change from the smallest to the largest `by`; negative is a fall.

    Examples
    --------
    >>> t = pd.DataFrame({"representation": "u", "head": "mlp", "dof": [5, 9], "task": "f", "seed": 0,
    ...                   "kendall_tau": [0.5, 0.4]})
    >>> falls(t, ("u", "mlp")).value
    -0.1
    """
    part = select(records, *side)
    low, high = part[by].min(), part[by].max()
    return paired_interval(part[part[by] == high], part[part[by] == low], value)


def say(interval: Interval, a: str, b: str, *, better: str = "ahead of", worse: str = "behind") -> str:
    """A clause about a − b that claims a direction only when the interval leaves out zero.

    Examples
    --------
    >>> say(Interval(0.1, 0.05, 0.15), "φ_LLM", "φ_trad")
    'φ_LLM is ahead of φ_trad by 0.10 [0.05, 0.15]'
    >>> say(Interval(0.1, -0.05, 0.25), "φ_LLM", "φ_trad")
    'φ_LLM and φ_trad cannot be told apart: 0.10 [-0.05, 0.25]'
    """
    if not interval.decided:
        return f"{a} and {b} cannot be told apart: {interval}"
    size = interval if interval.value > 0 else Interval(-interval.value, -interval.high, -interval.low)
    return f"{a} is {better if interval.value > 0 else worse} {b} by {size}"


def mean_of(records: pd.DataFrame, side: tuple[str, str], **where: Any) -> Interval:
    """Mean τ of one representation and head with its interval.

    Examples
    --------
    >>> t = pd.DataFrame({"representation": "u", "head": "mlp", "task": "f", "seed": [0]})
    >>> t["kendall_tau"] = 0.5
    >>> mean_of(t, ("u", "mlp")).value
    0.5
    """
    return mean_interval(select(records, *side, **where))


def best_heads(records: pd.DataFrame, by: str = "val_mse") -> pd.DataFrame:
    """Records of the head that did best on the validation rows, per task, seed and representation.

    Test rows play no part in the choice, so that the best of many heads is not flattered by having many.

    Parameters
    ----------
    records : DataFrame
        Of `experiment.compare` or `compare_tasks`, with more than one head.
    by : str
        Column to choose by: an error, the lower the better.

    Returns
    -------
    DataFrame
        One record for each cell, ``head`` replaced by ``"best"`` and kept as ``chosen_head``.

    Raises
    ------
    ValueError
        Representations that were not fitted with the same heads, or a missing value of `by`.

    Examples
    --------
    >>> t = pd.DataFrame({"task": "f", "seed": 0, "representation": "u", "head": ["mlp", "knn"],
    ...                   "val_mse": [0.5, 0.2], "kendall_tau": [0.6, 0.8]})
    >>> best_heads(t)[["head", "chosen_head", "kendall_tau"]].values.tolist()
    [['best', 'knn', 0.8]]
    """
    heads = {rep: frozenset(part["head"]) for rep, part in records.groupby("representation", sort=False)}
    if len(set(heads.values())) > 1:
        listed = "; ".join(f"{rep!s}: {', '.join(sorted(names))}" for rep, names in heads.items())
        raise ValueError(f"every representation needs the same heads for a fair choice, however: {listed}")
    if records[by].isna().any():
        raise ValueError(
            f"{by} is missing in {int(records[by].isna().sum())} records; fit with validation rows"
        )
    cell = [c for c in ("suite", "task", "dof", "seed", "representation", "n_samples") if c in records]
    best = records.loc[records.groupby(cell, sort=False)[by].idxmin()]
    return best.assign(chosen_head=best["head"], head="best")


def paired(records: pd.DataFrame, a: str, b: str, *, head: str = "mlp", **where: Any) -> pd.DataFrame:
    """τ of representation a less τ of b, task by task and seed by seed.

    Returns
    -------
    DataFrame
        ``task, seed, difference``.

    Raises
    ------
    KeyError, ValueError
        As `select`; a task and seed that one side lacks.

    Examples
    --------
    >>> t = pd.DataFrame({"representation": ["u", "v"], "head": "mlp", "task": "f", "seed": 0,
    ...                   "kendall_tau": [0.5, 0.25]})
    >>> paired(t, "u", "v").difference.tolist()
    [0.25]
    """
    left, right = (
        select(records, side, head, **where).set_index(["task", "seed"])["kendall_tau"].sort_index()
        for side in (a, b)
    )
    if not left.index.equals(right.index):
        raise ValueError(f"pairs need the same tasks and seeds on both sides, however: {a} and {b} differ")
    return (left - right).rename("difference").reset_index()


def mean_difference(pairs: pd.DataFrame) -> Interval:
    """Mean of what `paired` gives, with its interval.

    Examples
    --------
    >>> str(mean_difference(pd.DataFrame({"task": ["f", "g"], "seed": 0, "difference": [0.25, 0.25]})))
    '0.25 [0.25, 0.25]'
    """
    return mean_interval(pairs, "difference")


def task_correlation(points: pd.DataFrame, x: str, y: str, *, n_resamples: int = 2000) -> Interval:
    """Pearson correlation with an interval that takes whole tasks, each with all its points.

    The points of one task (at several shifts, say) are no independent draws, so tasks are resampled.

    Parameters
    ----------
    points : DataFrame
        Columns ``task``, `x` and `y`.
    x, y : str
    n_resamples : int

    Raises
    ------
    ValueError
        Fewer than four tasks.

    Examples
    --------
    >>> points = pd.DataFrame({"task": list("abcd"), "x": [0.0, 1.0, 2.0, 3.0], "y": [0.0, 1.0, 2.0, 3.0]})
    >>> task_correlation(points, "x", "y").value
    1.0
    """
    from scipy.stats import bootstrap

    groups = [part[[x, y]].to_numpy(float) for _, part in points.groupby("task")]
    if len(groups) < 4:
        raise ValueError(f"an interval of a correlation needs at least 4 tasks, however: got {len(groups)}")

    def pearson(chosen: np.ndarray) -> float:
        sample = np.concatenate([groups[int(i)] for i in chosen])
        # A sample that is constant says nothing of an association.
        return float(np.corrcoef(sample.T)[0, 1]) if (np.ptp(sample, axis=0) > 0).all() else 0.0

    everyone = np.arange(len(groups))
    ends = bootstrap(
        (everyone,), pearson, vectorized=False, n_resamples=n_resamples, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return Interval(round(pearson(everyone), 12), float(ends.low), float(ends.high))


def bound(
    prediction: str, interval: Interval, *, above: float | None = None, below: float | None = None
) -> dict[str, Any]:
    """A prediction with a limit that was written down first, and what its interval says of it.

    Parameters
    ----------
    prediction : str
    interval : Interval
    above, below : float
        The prediction is that the value lies above, or below, this; exactly one is given.

    Returns
    -------
    dict
        ``prediction, value, low, high, limit, verdict``: it holds or fails when the whole interval lies on
        one side of the limit.

    Raises
    ------
    ValueError
        Both limits, or none.

    Examples
    --------
    >>> bound("u is ahead", Interval(0.2, 0.1, 0.3), above=0)["verdict"]
    'holds'
    >>> bound("u is ahead", Interval(0.2, -0.1, 0.3), above=0)["verdict"]
    'undecided'
    """
    if (above is None) == (below is None):
        raise ValueError(f"a prediction has one limit, however: got above={above} and below={below}")
    limit = above if above is not None else below
    assert limit is not None
    sides = {"holds": interval.low > limit, "fails": interval.high < limit}
    if below is not None:
        sides = {"holds": interval.high < limit, "fails": interval.low > limit}
    verdict = next((name for name, true in sides.items() if true), "undecided")
    shown = f"{'>' if above is not None else '<'} {limit:g}"
    return {"prediction": prediction, "value": interval.value, "low": interval.low, "high": interval.high,
            "limit": shown, "verdict": verdict}  # fmt: skip
