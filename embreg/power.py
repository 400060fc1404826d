"""How many tasks and seeds tell a difference apart: variance components of pairs, and power from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from embreg._paired import check_level, pairs

__all__ = ["Components", "components", "power", "power_table", "seeds_needed", "tasks_needed"]

_MOST = 100_000


class Components(NamedTuple):
    """Variances of a paired difference: between tasks, between seeds, and what neither explains.

    Examples
    --------
    >>> Components(task=0.01, seed=0.0, residual=0.005).task
    0.01
    """

    task: float
    seed: float
    residual: float


def components(a: pd.DataFrame, b: pd.DataFrame, value: str = "kendall_tau") -> Components:
    """Variance components of ``a - b`` from a complete table of tasks and seeds.

    Parameters
    ----------
    a, b : DataFrame
        Columns ``task``, ``seed`` and `value`, of the same (task, seed) cells; at least two tasks and two
        seeds.
    value : str
        Column to compare.

    Returns
    -------
    Components
        In squared units of `value`.

    Raises
    ------
    ValueError
        One task or one seed, the two do not hold the same cells, or what `embreg.stats.mean_interval`
        refuses.
    ImportError
        Without statsmodels (``embreg[stats]``).

    Notes
    -----
    Mean squares of the two-way analysis of variance (statsmodels) are set equal to their expectations under
    random tasks and seeds; a component that comes out negative is 0. A balanced table needs no more. A
    likelihood (statsmodels' MixedLM) would have to hold crossed effects as one group with a dense matrix, and
    does not converge where a component is 0, which is common here.

    A component of few seeds is itself hardly known: with five seeds an estimate of 1 fits true values from
    0.36 to 8.3 (χ² with 4 degrees of freedom, 95 %).

    Examples
    --------
    >>> a = pd.DataFrame({"task": [1, 1, 2, 2], "seed": [0, 1, 0, 1], "kendall_tau": [0.5, 0.5, 0.7, 0.7]})
    >>> c = components(a, a.assign(kendall_tau=0.4))
    >>> round(c.task, 3), round(c.seed, 3), round(c.residual, 3)
    (0.02, 0.0, 0.0)
    """
    try:
        from statsmodels.formula.api import ols
        from statsmodels.stats.anova import anova_lm
    except ImportError as error:
        raise ImportError("variance components need statsmodels: pip install 'embreg[stats]'") from error
    table, largest = pairs(a, b, value)
    if min(table.shape) < 2:
        raise ValueError(f"components need at least 2 tasks and 2 seeds, however: got {table.shape}")
    task, seed = np.indices(table.shape)
    cells = pd.DataFrame({"y": table.ravel(), "task": task.ravel(), "seed": seed.ravel()})
    with np.errstate(divide="ignore", invalid="ignore"):  # F, which is not used, of a table without residual
        squares = anova_lm(ols("y ~ C(task) + C(seed)", data=cells).fit())["mean_sq"]
    squares = squares.where(squares > (1e-12 * largest) ** 2, 0.0)  # what rounding leaves is no component
    rest = float(squares["Residual"])
    n_tasks, n_seeds = table.shape
    return Components(
        max(0.0, (float(squares["C(task)"]) - rest) / n_seeds),
        max(0.0, (float(squares["C(seed)"]) - rest) / n_tasks),
        rest,
    )


def power(
    components: Components, difference: float, n_tasks: int, n_seeds: int, *, level: float = 0.95
) -> float:
    """Chance that `embreg.stats.paired_interval` leaves out zero when the true difference is `difference`.

    Parameters
    ----------
    components : Components
    difference : float
        Not 0; its sign plays no part.
    n_tasks, n_seeds : int
    level : float
        Coverage of the interval, between 0 and 1.

    Returns
    -------
    float
        Between 0 and 1. With one seed it is 0 when there is a seed component: one seed cannot show what
        others would do, and an interval that covers them has no end. (`paired_interval` is then about
        tasks alone.) The same holds for one task.

    Raises
    ------
    ValueError
        A count below 1, a component below 0, a difference of 0 or not finite.
    ImportError
        Without statsmodels (``embreg[stats]``).

    Notes
    -----
    Power of a t test (statsmodels) of a mean of variance task / T + seed / S + residual / (T S), with
    Satterthwaite's degrees of freedom. The bootstrap of `paired_interval` counts the residual up to three
    times, once with the tasks and once with the seeds, which makes it wider than that t interval; the test's
    size is lowered accordingly. Simulations agree within a few points.

    Examples
    --------
    >>> round(power(Components(task=0.01, seed=0.0, residual=0.005), 0.05, n_tasks=23, n_seeds=5), 2)
    0.53
    """
    _check(components, difference, n_tasks=n_tasks, n_seeds=n_seeds)
    return float(_power(components, difference, np.array([n_tasks]), np.array([n_seeds]), level)[0])


def tasks_needed(
    components: Components, difference: float, n_seeds: int, *, power: float = 0.8, level: float = 0.95
) -> float:
    """Smallest number of tasks with which `n_seeds` seeds tell the difference apart.

    Parameters
    ----------
    components, difference, n_seeds, level
        As for `power`.
    power : float
        Chance of telling it apart, between 0 and 1.

    Returns
    -------
    float
        A whole number, or infinity when no number up to 100,000 does: what differs between seeds is not
        averaged away by tasks.

    Raises
    ------
    ValueError, ImportError
        As for `power`.

    Examples
    --------
    >>> tasks_needed(Components(task=0.01, seed=0.0, residual=0.005), 0.05, n_seeds=5)
    41.0
    >>> tasks_needed(Components(task=0.01, seed=0.01, residual=0.005), 0.05, n_seeds=5)
    inf
    """
    _check(components, difference, n_seeds=n_seeds)
    return _smallest(lambda n: _power(components, difference, n, np.full_like(n, n_seeds), level), power)


def seeds_needed(
    components: Components, difference: float, n_tasks: int, *, power: float = 0.8, level: float = 0.95
) -> float:
    """Smallest number of seeds with which `n_tasks` tasks tell the difference apart.

    Parameters
    ----------
    components, difference, n_tasks, level
        As for `power`.
    power : float
        Chance of telling it apart, between 0 and 1.

    Returns
    -------
    float
        As `tasks_needed`; infinity when tasks differ too much for so few of them.

    Raises
    ------
    ValueError, ImportError
        As for `power`.

    Examples
    --------
    >>> seeds_needed(Components(task=0.01, seed=0.001, residual=0.005), 0.1, n_tasks=23)
    3.0
    """
    _check(components, difference, n_tasks=n_tasks)
    return _smallest(lambda n: _power(components, difference, np.full_like(n, n_tasks), n, level), power)


def power_table(
    components: Components,
    differences: Sequence[float] = (0.02, 0.05, 0.1),
    n_tasks: Sequence[int] = (8, 23, 50),
    n_seeds: Sequence[int] = (1, 3, 5, 12),
    *,
    level: float = 0.95,
) -> pd.DataFrame:
    """`power` for every combination.

    Parameters
    ----------
    components : Components
    differences : sequence of float
    n_tasks, n_seeds : sequence of int
    level : float

    Returns
    -------
    DataFrame
        ``difference, n_tasks, n_seeds, power``.

    Raises
    ------
    ValueError, ImportError
        As for `power`.

    Examples
    --------
    >>> table = power_table(Components(0.01, 0.001, 0.005), (0.1,), (8,), (1, 3))
    >>> table.power.round(2).tolist()
    [0.0, 0.48]
    """
    rows = [
        {"difference": d, "n_tasks": t, "n_seeds": s, "power": power(components, d, t, s, level=level)}
        for d in differences
        for t in n_tasks
        for s in n_seeds
    ]
    return pd.DataFrame(rows, columns=["difference", "n_tasks", "n_seeds", "power"])


def _power(
    c: Components, difference: float, tasks: np.ndarray, seeds: np.ndarray, level: float
) -> np.ndarray:
    """Power for arrays of counts."""
    from scipy.stats import t

    try:
        from statsmodels.stats.power import TTestPower
    except ImportError as error:
        raise ImportError("power needs statsmodels: pip install 'embreg[stats]'") from error
    check_level(level)
    rest = c.residual / (tasks * seeds)
    variance = c.task / tasks + c.seed / seeds + rest
    # Squared errors of the mean as task means and seed means show them. A single one shows nothing.
    by_task = np.where(tasks > 1, c.task / tasks + rest, 0.0)
    by_seed = np.where(seeds > 1, c.seed / seeds + rest, 0.0)
    blind = ((tasks == 1) & (c.task > 0)) | ((seeds == 1) & (c.seed > 0)) | (tasks * seeds == 1)
    certain = ~blind & (variance == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = (by_task + by_seed) ** 2 / (
            by_task**2 / np.maximum(tasks - 1, 1) + by_seed**2 / np.maximum(seeds - 1, 1)
        )
        # What `stats._bootstrap` expects of its draws' variance, after `stats._stretch`.
        seen = by_task * (tasks - 1) / tasks + by_seed * (seeds - 1) / seeds
        draws = seen + rest * (tasks - 1) * (seeds - 1) / (tasks * seeds)
        wider = np.sqrt(draws / seen * (by_task + by_seed) / variance)
    usable = ~blind & ~certain
    result = np.where(certain, 1.0, 0.0)
    df, wider = df[usable], wider[usable]
    size = t.sf(t.ppf((1 + level) / 2, df) * wider, df)
    effect = abs(difference) / np.sqrt(variance[usable] * tasks[usable])
    # NaN stands for tails that underflow: 1 from some 36 standard errors on, 0 on the far side from some 4.
    up, down = (
        np.nan_to_num(TTestPower().power(effect, tasks[usable], size, df=df, alternative=side), nan=limit)
        for side, limit in (("larger", 1.0), ("smaller", 0.0))
    )
    result[usable] = np.clip(up + down, 0.0, 1.0)
    return result


def _smallest(reached: Any, power: float) -> float:
    """Smallest count with enough power. More may also cost degrees of freedom, so each is looked at."""
    if not 0 < power < 1:
        raise ValueError(f"power must be between 0 and 1, however: got {power!r}")
    for first, last in ((1, 1_000), (1_001, _MOST)):
        counts = np.arange(first, last + 1)
        enough = np.flatnonzero(reached(counts) >= power)
        if enough.size:
            return float(counts[enough[0]])
    return np.inf


def _check(components: Components, difference: float, **counts: int) -> None:
    for name, n in counts.items():
        if n < 1 or n != int(n):
            raise ValueError(f"{name} must be a whole number of at least 1, however: got {n!r}")
    if not (np.isfinite(components).all() and min(components) >= 0):
        raise ValueError(f"components must be finite and at least 0, however: got {components}")
    if difference == 0 or not np.isfinite(difference):
        raise ValueError(f"difference must be finite and other than 0, however: got {difference!r}")
