"""The checks of `embreg.checking`: each looks at one task and returns what it found, with a level."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from embreg._leaks import leaks
from embreg._schema import space_faults, table_faults
from embreg._task import Task, stream
from embreg.effective import boosted_trees, tree_features
from embreg.making.family import FAMILIES

__all__ = ["MAX_BYTES", "MAX_ROWS", "MIN_ROWS", "MIN_TASKS", "TASK_CHECKS", "Finding"]

Finding = tuple[str, str]
"""Level and sentence."""
Entry = Mapping[str, Any] | None
"""A task's part of its family's data card; None for a task of no family."""

MIN_ROWS, MAX_ROWS, MIN_TASKS, MAX_BYTES = 500, 1500, 8, 5_000_000
_FAR = 10.0
"""In robust standard deviations; a normal distribution has nothing beyond 6."""
_FOLDS = 5


def _schema(task: Task, entry: Entry) -> list[Finding]:
    if faults := table_faults(task.rows):
        return [("error", fault) for fault in faults]
    if entry is None:
        if task.suite in FAMILIES:
            return [("error", f"the data card of family {task.suite!r} has no task {task.function!r}")]
        return []
    faults = space_faults(task.rows, entry["space"])
    for what, is_, said in (
        ("rows", len(task), entry["n"]),
        ("unit", task.unit, entry["unit"]),
        ("direction", task.direction, entry["direction"]),
        ("number of parameters", task.dof, entry["nominal"]),
    ):
        if is_ != said:
            faults.append(f"{what}: the data card says {said!r}, however: the task has {is_!r}")
    return [("error", fault) for fault in faults]


def _sizes(task: Task, entry: Entry) -> list[Finding]:
    n = len(task)
    if task.suite in FAMILIES and not MIN_ROWS <= n <= MAX_ROWS:
        return [("error", f"a task of a family has {MIN_ROWS:,} to {MAX_ROWS:,} rows, however: {n:,}")]
    if n < 100:
        return [("warning", f"{n} rows leave {n // 10} to test on: no metric is stable there; measure more")]
    return []


def _constant(task: Task, entry: Entry) -> list[Finding]:
    named = {
        str(name): column.iloc[0] for name, column in task.rows.items() if column.nunique(dropna=False) < 2
    }
    if not named:
        return []
    shown = ", ".join(f"{name} = {'missing' if pd.isna(v) else v}" for name, v in named.items())
    return [("warning", f"{len(named)} of {task.rows.shape[1]} columns have one value only: {shown}")]


def _duplicates(task: Task, entry: Entry) -> list[Finding]:
    again = task.rows.duplicated(keep=False).to_numpy()
    if not again.any():
        return []
    cells = task.rows[again].astype(object)
    cells = cells.where(cells.notna(), None)
    groups: dict[tuple[Any, ...], list[float]] = {}
    for row, value in zip(cells.itertuples(index=False, name=None), task.y[again].tolist(), strict=True):
        groups.setdefault(row, []).append(value)
    found: list[Finding] = []
    if extra := sum(len(values) - 1 for values in groups.values()):
        share = extra / len(task)
        found.append(
            (
                "warning" if share >= 0.01 else "note",
                f"{extra:,} of {len(task):,} rows are there already ({share:.1%}): a split puts some of them "
                "into training and test; drop them, or split by groups",
            )
        )
    gaps = [max(values) - min(values) for values in groups.values() if max(values) > min(values)]
    if gaps:
        spread, exact = float(task.y.std()), task.noise_sd == 0 and max(gaps) > 1e-9 * task.y.std()
        found.append(
            (
                "error" if exact else "warning",
                f"{len(gaps):,} of {len(groups):,} rows that are there more than once have more than one y, "
                f"up to {max(gaps) / spread:.2g} standard deviations apart: "
                + ("though the noise is said to be 0" if exact else "noise, or a column that is not there"),
            )
        )
    return found


def _leaks(task: Task, entry: Entry) -> list[Finding]:
    return [
        (
            "error",
            f"column {name!r} alone determines y: {how}. Take it out, or say that nothing else matters",
        )
        for name, how in leaks(task.rows, task.y).items()
    ]


def _ties(task: Task, entry: Entry) -> list[Finding]:
    values, counts = np.unique(task.y, return_counts=True)
    share, value = float(counts.max()) / len(task), float(values[counts.argmax()])
    if counts.max() == 1 or share < 0.01:
        return []
    level = "error" if share > 0.5 else "warning" if share > 0.1 else "note"
    return [
        (
            level,
            f"{len(values):,} different y in {len(task):,} rows; {share:.1%} share the most common one, "
            f"{value:.6g}",
        )
    ]


def _outliers(task: Task, entry: Entry) -> list[Finding]:
    y = task.y
    if np.ptp(y) == 0:
        return []
    found: list[Finding] = []
    skew = _skew(y)
    cure = "take the logarithm of y" if skew > 0 and y.min() > 0 else "go by rank metrics"
    off = y - np.median(y)
    # 1.4826 makes it the standard deviation of a normal distribution.
    scale = 1.4826 * float(np.median(np.abs(off)))
    if scale > 0 and (far := int((np.abs(off) > _FAR * scale).sum())):
        at = int(np.abs(off).argmax())
        found.append(
            (
                "warning",
                f"{far:,} of {len(y):,} rows are more than {_FAR:.0f} robust standard deviations from the "
                f"median {np.median(y):.6g}, the furthest {abs(off[at]) / scale:.3g} (row {at}: "
                f"{y[at]:.6g}); look at them, or {cure}",
            )
        )
    squares = np.sort((y / np.abs(y).max() - (y / np.abs(y).max()).mean()) ** 2)
    top = max(1, len(y) // 100)
    if (share := float(squares[-top:].sum() / squares.sum())) > 0.5:
        found.append(
            (
                "warning",
                f"{top} of {len(y):,} rows make {share:.0%} of the variance of y: R² and MSE are about them "
                f"alone; {cure}",
            )
        )
    if abs(skew) > 1:
        found.append(
            (
                "warning" if abs(skew) > 3 else "note",
                f"y is skewed to the {'right' if skew > 0 else 'left'} (skewness {skew:.1f})",
            )
        )
    return found


def _skew(y: npt.NDArray[np.float64]) -> float:
    z = y / np.abs(y).max()
    z = z - z.mean()
    return float((z**3).mean() / (z**2).mean() ** 1.5)


def _learnability(task: Task, entry: Entry) -> list[Finding]:
    from scipy.stats import kendalltau
    from sklearn.metrics import r2_score

    if np.ptp(task.y) == 0 or len(task) < 10 * _FOLDS:
        return []
    features, categorical = tree_features(task.rows)
    folds = stream((len(task),), "learnability").permutation(len(task)) % _FOLDS
    r2, tau = [], []
    for fold in range(_FOLDS):
        held = folds == fold
        model = boosted_trees(categorical, fold).fit(features[~held], task.y[~held])
        guess = model.predict(features[held])
        r2.append(r2_score(task.y[held], guess))
        varied = np.ptp(guess) > 0 and np.ptp(task.y[held]) > 0
        tau.append(kendalltau(task.y[held], guess).statistic if varied else 0.0)
    score, rank, ratio = float(np.mean(r2)), float(np.mean(tau)), task.noise_ratio
    learnt, room = f"boosted trees reach R² {score:.2f} and τ {rank:.2f}", 1 - ratio**2
    if np.isnan(ratio):
        noise = "the noise of y is not known"
    else:
        noise = f"the noise ratio is {ratio:.2g}, which leaves R² {max(0.0, room):.3f}"
    if room < 0.5:
        return [("warning", f"{learnt}; {noise}: most of y is noise, average repeats")]
    if score > room + 0.02:
        why = "the noise was measured on too few rows, or rows share a part of it, such as a seed"
        return [("warning", f"{learnt}; {noise}, less than what was reached: {why}")]
    if score < 0.05 and rank < 0.1:
        return [("warning", f"{learnt}: next to nothing; {noise}")]
    return [("note", f"{learnt}; {noise}")]


TASK_CHECKS: dict[str, Callable[[Task, Entry], list[Finding]]] = {
    "schema": _schema,
    "sizes": _sizes,
    "constant": _constant,
    "duplicates": _duplicates,
    "leaks": _leaks,
    "ties": _ties,
    "outliers": _outliers,
    "learnability": _learnability,
}
"""By name, in the order of the report. All but the first need a table without errors of the schema."""
