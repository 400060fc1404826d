"""Statistics about order: whether metrics order methods alike, and whether size orders models."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from embreg._parameters import hint
from embreg.claims.measured import Measured, measured
from embreg.stats import mean_interval

__all__ = ["doubling", "rank_agreement", "size_agreement"]

_ERRORS = {"mse", "mae"}  # the lower the better


def rank_agreement(
    table: pd.DataFrame, *, other: str, value: str = "kendall_tau", average: str | None = None
) -> Measured:
    """Kendall correlation of methods ordered by `value` and by `other`, task by task, and its mean.

    A method is a representation with a head. With `average` the order is taken at each value of that column
    (such as ``dof``) and the correlations of a task and seed are averaged.

    Examples
    --------
    >>> t = pd.DataFrame({"representation": list("abc"), "head": "mlp", "task": "f", "seed": 0,
    ...                   "kendall_tau": [0.1, 0.2, 0.3], "mse": [3.0, 2.0, 1.0]})
    >>> rank_agreement(t, other="mse").interval.value
    1.0
    """
    from embreg.metrics import kendall_tau

    if other not in table.columns:
        raise ValueError(f"no column {other!r} in the table{hint(other, map(str, table.columns))}")
    sign = -1.0 if other in _ERRORS else 1.0
    place = ["task", "seed", *([average] if average else [])]
    if (again := table.duplicated([*place, "representation", "head"])).any():
        twice = table.loc[again, [*place, "representation", "head"]].iloc[0].to_dict()
        raise ValueError(f"a method needs one row for each task and seed, however: {twice} is there twice")
    rows = [
        {**dict(zip(place, key, strict=True)), "difference": kendall_tau(part[value], sign * part[other])}
        for key, part in table.groupby(place)
    ]
    return _mean(pd.DataFrame(rows), "rank correlation")


def size_agreement(table: pd.DataFrame, *, value: str = "kendall_tau", head: str = "mlp") -> Measured:
    """Kendall correlation of a model's parameters with `value` over models, task by task, and its mean.

    Examples
    --------
    >>> t = pd.DataFrame({"model": ["all-mpnet-base-v2", "all-MiniLM-L6-v2"], "task": "f", "seed": 0,
    ...                   "head": "mlp", "kendall_tau": [0.5, 0.25]})
    >>> size_agreement(t.assign(representation=t.model)).interval.value
    1.0
    """
    from embreg.metrics import kendall_tau

    table = table[(table["head"] == head) & table["model"].notna()]
    sizes = _sizes(table)
    rows = [
        {"task": task, "seed": seed, "difference": kendall_tau(part.representation.map(sizes), part[value])}
        for (task, seed), part in table.groupby(["task", "seed"])
    ]
    return _mean(pd.DataFrame(rows), "rank correlation")


def doubling(
    table: pd.DataFrame, *, models: Sequence[str], value: str = "kendall_tau", head: str = "mlp"
) -> Measured:
    """What each doubling of parameters adds, over these representations (`scaling.per_doubling`).

    Examples
    --------
    >>> t = pd.DataFrame({"representation": ["all-MiniLM-L6-v2", "all-mpnet-base-v2"], "task": "f", "seed": 0,
    ...                   "head": "mlp", "kendall_tau": [0.25, 0.5]})
    >>> doubling(t.assign(model=t.representation), models=t.representation.tolist()).interval.value > 0
    True
    """
    from embreg.scaling import per_doubling

    known = table["representation"].drop_duplicates().tolist()
    if lost := [m for m in models if m not in known]:
        raise ValueError(
            f"no row has representation {lost[0]!r}{hint(lost[0], known)}; there are: {', '.join(known)}"
        )
    table = table[table["representation"].isin(list(models))]
    slopes = per_doubling(table, _sizes(table), head=head, value=value)
    return _mean(slopes.rename(columns={"slope": "difference"}), "Kendall τ for each doubling")


def _sizes(table: pd.DataFrame) -> dict[str, float]:
    from embreg.scaling import size_table

    pairs = table[["representation", "model"]].drop_duplicates()
    sizes = size_table(dict(zip(pairs["representation"], pairs["model"], strict=True)))
    return {str(k): float(v) for k, v in zip(sizes["label"], sizes["parameters"], strict=True)}


def _mean(found: pd.DataFrame, unit: str) -> Measured:
    cells = found.groupby(["task", "seed"])["difference"].mean().reset_index()
    return measured(mean_interval(cells, "difference"), unit, cells, cells=cells)
