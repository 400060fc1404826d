"""From records to sentences: paired differences, and words that say no more than the interval."""

from __future__ import annotations

from typing import Any

import pandas as pd

from embreg.stats import Interval, mean_interval, paired_interval

__all__ = ["differences", "falls", "mean_of", "say", "select"]


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
    """Paired mean of a − b for each value of `by`, with the share of functions where a is ahead.

    Parameters
    ----------
    records : DataFrame
        Of one suite, from `experiment.compare`.
    a, b : (representation, head)
    by, value : str

    Returns
    -------
    DataFrame
        `by`, ``difference, low, high, ahead``: ``ahead`` is the share of functions whose average over
        seeds is higher under a.

    Examples
    --------
    >>> t = pd.DataFrame({"representation": ["u", "v"], "head": "mlp", "dof": 5, "function": "f", "seed": 0,
    ...                   "kendall_tau": [0.5, 0.4]})
    >>> differences(t, ("u", "mlp"), ("v", "mlp")).difference.item()
    0.1
    """
    rows = []
    for level in sorted(records[by].unique()):
        left, right = (select(records, *side, **{by: level}) for side in (a, b))
        d = paired_interval(left, right, value)
        means = left.groupby("function")[value].mean() - right.groupby("function")[value].mean()
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
    >>> t = pd.DataFrame({"representation": "u", "head": "mlp", "dof": [5, 9], "function": "f", "seed": 0,
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
    >>> t = pd.DataFrame({"representation": "u", "head": "mlp", "function": "f", "seed": [0]})
    >>> t["kendall_tau"] = 0.5
    >>> mean_of(t, ("u", "mlp")).value
    0.5
    """
    return mean_interval(select(records, *side, **where))
