"""The table a sceptical reader asks for: everything against one reference, with all that decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, cast

import numpy as np
import pandas as pd

from embreg.comparison import correct, effect_size, wilcoxon, win_rate
from embreg.findings import select
from embreg.stats import paired_interval

__all__ = ["against"]


def against(
    records: pd.DataFrame,
    reference: tuple[str, str],
    *,
    by: str | Sequence[str] = "dof",
    value: str = "kendall_tau",
    margin: float = 0.0,
    correction: Literal["holm", "fdr_bh"] = "holm",
    level: float = 0.95,
    random_state: int = 0,
) -> pd.DataFrame:
    """Every (representation, head) against one of them, with all that decides whether it is better.

    Parameters
    ----------
    records : DataFrame
        Of one suite, from `embreg.experiment.compare`.
    reference : (representation, head)
    by : str or sequence of str
        Columns that split the comparison, such as ``dof``; ``()`` for none.
    value, margin, level, random_state
        As for `win_rate` and `effect_size`.
    correction : {"holm", "fdr_bh"}
        As for `correct`, over all rows of the result.

    Returns
    -------
    DataFrame
        A row per value of `by` and pair that has records there: `by`, ``representation, head, tasks, seeds``,
        the paired mean ``difference, low, high`` (theirs minus the reference's), ``win_rate, win_low,
        win_high, wins, ties, losses``, Wilcoxon's ``p`` and ``p_corrected``, ``d, d_low, d_high``,
        ``rank_biserial, rank_biserial_low, rank_biserial_high``. Intervals are not corrected.

    Raises
    ------
    KeyError
        The reference has no records, or none for some value of `by`.
    ValueError
        A pair does not hold the cells of the reference (it is named), or there is nothing to compare.

    Examples
    --------
    >>> t = pd.DataFrame({"representation": ["u", "v"] * 3, "head": "mlp", "dof": 5, "seed": 0})
    >>> t = t.assign(task=[0, 0, 1, 1, 2, 2], kendall_tau=[0.5, 0.4, 0.6, 0.4, 0.7, 0.4])
    >>> against(t, ("v", "mlp"))[["representation", "win_rate", "wins", "p_corrected"]].values.tolist()
    [['u', 1.0, 3, 0.25]]
    """
    columns = [by] if isinstance(by, str) else list(by)
    if missing := [c for c in (*columns, "representation", "head") if c not in records.columns]:
        raise ValueError(f"a comparison needs columns {missing}, however: there are {list(records.columns)}")
    rows: list[dict[str, Any]] = []
    for where, part in _parts(records, columns):
        base = _reference(part, reference, where)
        for side, own in _parts(part, ["representation", "head"]):
            if tuple(side.values()) == tuple(reference):
                continue
            try:
                difference = paired_interval(own, base, value, level=level, random_state=random_state)
                won = win_rate(own, base, value, margin=margin, level=level)
                test = wilcoxon(own, base, value)
                d, ranks = effect_size(own, base, value, level=level, random_state=random_state)
            except ValueError as error:
                raise ValueError(f"{side} at {where}: {error}") from error
            rows.append(
                where
                | side
                | {"tasks": own["task"].nunique(), "seeds": own["seed"].nunique()}
                | _named("difference low high", difference)
                | _named("win_rate win_low win_high wins ties losses", won)
                | {"p": test.p_value, "p_corrected": np.nan}
                | _named("d d_low d_high", d)
                | _named("rank_biserial rank_biserial_low rank_biserial_high", ranks)
            )
    if not rows:
        raise ValueError(f"a comparison needs others than {' + '.join(reference)}, however: there are none")
    table = pd.DataFrame(rows)
    table["p_corrected"] = correct(table["p"], correction)
    return table


def _parts(records: pd.DataFrame, columns: list[str]) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Values of the columns, NaN among them, and the records that have them."""
    if not columns:
        yield {}, records
        return
    for values, part in records.groupby(columns, dropna=False):
        yield dict(zip(columns, cast("tuple[Any, ...]", values), strict=True)), part


def _reference(part: pd.DataFrame, reference: tuple[str, str], where: dict[str, Any]) -> pd.DataFrame:
    try:
        return select(part, *reference)
    except KeyError as error:
        raise KeyError(f"{where}: {error.args[0]}") from None


def _named(names: str, values: tuple[float, ...]) -> dict[str, float]:
    return dict(zip(names.split(), values, strict=True))
