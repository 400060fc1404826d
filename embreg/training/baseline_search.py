"""Fit every point of a grid to every target, and keep each target's best by validation error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from embreg._progress import Progress
from embreg.training.baseline_gp import quietly
from embreg.training.baseline_rows import Rows
from embreg.training.baseline_table import Baseline

__all__ = ["Found", "search"]

T = TypeVar("T")
R = TypeVar("R")
Point = dict[str, Any]


@dataclass
class Found:
    """What a search came to.

    Parameters
    ----------
    errors : ndarray of shape (t, points)
        Squared error on the validation rows, infinite for a fit that failed to give numbers.
    facts : list of t lists of dict
        What the library found besides, such as the number of trees.
    models : list of (list of int, estimator)
        Fitted winners and the targets that each predicts.
    """

    errors: np.ndarray
    facts: list[list[dict[str, Any]]]
    models: list[tuple[list[int], Any]] = field(default_factory=list)

    def winners(self) -> np.ndarray:
        """Point with the smallest error of each target, the first of several."""
        return self.errors.argmin(1)


def search(spec: Baseline, points: Sequence[Point], rows: Rows, random_state: int, label: str) -> Found:
    """Fit `points` to every column of ``rows.Y``.

    Parameters
    ----------
    spec : Baseline
    points : sequence of dict
        That apply to these rows.
    rows : Rows
    random_state : int
        The same for every fit.
    label : str
        Of the progress bar.
    """
    t = rows.Y.shape[1]
    with Progress(f"tuning {label}", t * len(points)) as bar:
        if not spec.together:
            return _apart(spec, points, rows, random_state, bar)
        if _penalties(spec, points):
            return _all_penalties(spec, points, rows, random_state)  # no steps to show
        return _together(spec, points, rows, random_state, bar)


def _together(spec: Baseline, points: Sequence[Point], rows: Rows, random_state: int, bar: Progress) -> Found:
    errors = []
    for point in points:
        model = spec.make(random_state, **point).fit(rows.X, rows.Y)
        errors.append(_error(model.predict(rows.X_val), rows.Y_val))
        bar.advance(rows.Y.shape[1])
    found = Found(np.stack(errors, 1), _none(rows, points))
    winners = found.winners()
    for w in np.unique(winners):
        columns = np.flatnonzero(winners == w).tolist()
        found.models.append((columns, spec.make(random_state, **points[w]).fit(rows.X, rows.Y[:, columns])))
    return found


def _penalties(spec: Baseline, points: Sequence[Point]) -> bool:
    from sklearn.linear_model import Ridge

    return isinstance(spec.make(0), Ridge) and all(set(point) == {"alpha"} for point in points)


def _all_penalties(spec: Baseline, points: Sequence[Point], rows: Rows, random_state: int) -> Found:
    """Ridge takes a penalty per target: with every target once per penalty, one decomposition does."""
    alphas, t = np.array([point["alpha"] for point in points], dtype=float), rows.Y.shape[1]
    model = spec.make(random_state, alpha=np.repeat(alphas, t)).fit(rows.X, np.tile(rows.Y, len(alphas)))
    predicted = model.predict(rows.X_val).reshape(len(rows.X_val), -1)
    errors = _error(predicted, np.tile(rows.Y_val, len(alphas))).reshape(len(alphas), t).T
    found = Found(errors, _none(rows, points))
    best = spec.make(random_state, alpha=alphas[found.winners()]).fit(rows.X, rows.Y)
    found.models.append((list(range(t)), best))
    return found


def _apart(spec: Baseline, points: Sequence[Point], rows: Rows, random_state: int, bar: Progress) -> Found:
    def fit(job: tuple[int, int]) -> tuple[float, dict[str, Any], Any]:
        t, p = job
        model = spec.make(random_state, **points[p])
        if spec.early:
            model.fit(rows.X, rows.Y[:, t], eval_set=[(rows.X_val, rows.Y_val[:, t])], verbose=False)
        else:
            model.fit(rows.X, rows.Y[:, t])
        error = float(_error(model.predict(rows.X_val), rows.Y_val[:, [t]])[0])
        return error, _facts(model), model

    n_targets = rows.Y.shape[1]
    jobs = [(t, p) for t in range(n_targets) for p in range(len(points))]
    found = Found(np.full((n_targets, len(points)), np.inf), [[] for _ in range(n_targets)])
    best: dict[int, tuple[float, Any]] = {}
    at_once = max(1, int(1 / max(spec.memory(*rows.X.shape), 1e-9)))
    for (t, p), (error, facts, model) in zip(jobs, _each(fit, jobs, at_once), strict=True):
        found.errors[t, p] = error
        found.facts[t].append(facts)
        if t not in best or error < best[t][0]:
            best[t] = error, model
        bar.advance(1)
    found.models = [([t], best[t][1]) for t in range(n_targets)]
    return found


def _each(function: Callable[[T], R], items: Sequence[T], at_once: int) -> Iterator[R]:
    """Results in order, one thread per core and each library on one thread.

    On a few hundred rows a library's own threads only wait for each other; and so a result does not
    depend on how many cores there are.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    from embreg._provenance import cores

    pool = ThreadPoolExecutor(min(cores(), at_once), "embreg")
    with threadpool_limits(1), quietly():
        try:
            yield from pool.map(function, items)
        finally:
            pool.shutdown(cancel_futures=True)


def _error(predicted: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        out = ((predicted.reshape(wanted.shape).astype(float) - wanted) ** 2).mean(0)
    return np.where(np.isnan(out), np.inf, out)


def _none(rows: Rows, points: Sequence[Point]) -> list[list[dict[str, Any]]]:
    return [[{} for _ in points] for _ in range(rows.Y.shape[1])]


def _facts(model: Any) -> dict[str, Any]:
    """What the library chose by itself."""
    if hasattr(model, "get_booster"):
        return {"trees": int(getattr(model, "best_iteration", model.get_num_boosting_rounds() - 1)) + 1}
    if hasattr(model, "lambda_"):
        return {"alpha": float(model.lambda_ / model.alpha_)}
    return dict(getattr(model, "facts_", {}))
