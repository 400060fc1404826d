"""What the pipelines of `embreg.making.automl` are asked: data sets of scikit-learn, targets and scores."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from embreg._task import stream
from embreg.making._pipeline_space import Kind, Limits

__all__ = ["PROBLEMS", "Problem", "data", "score"]

Array = npt.NDArray[Any]

# Ten classes: boosting grows ten trees a round, hence the few rounds.
_DIGITS = Limits(trees=60, rounds=24, iterations=40, hidden=96, neighbors=60, min_leaf=20)
_SMALL = Limits(trees=50, rounds=60, iterations=60, hidden=48, neighbors=30, min_leaf=16)


class Problem(NamedTuple):
    """What a pipeline is asked: features, target, and how its answer is scored."""

    kind: Kind
    limits: Limits
    data: Callable[[], tuple[Array, Array]]
    score: str


def _load(name: str) -> tuple[Array, Array]:
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return np.asarray(x, np.float64), y


def _digits_few() -> tuple[Array, Array]:
    """Thirty rows of each numeral; the choice belongs to the task and is no noise."""
    x, y = _load("digits")
    order = stream((0,), "automl/digits_few").permutation(len(y))
    keep = np.sort(np.concatenate([order[y[order] == label][:30] for label in range(10)]))
    return x[keep], y[keep]


def _digits_parity() -> tuple[Array, Array]:
    x, y = _load("digits")
    return x, y % 2


def _wine_flavanoids() -> tuple[Array, Array]:
    x, _ = _load("wine")
    return np.delete(x, 6, axis=1), x[:, 6]


def _cancer_fractal() -> tuple[Array, Array]:
    """Mean fractal dimension of the nuclei's outlines from the nine other means."""
    x, _ = _load("breast_cancer")
    return x[:, :9], x[:, 9]


PROBLEMS = {
    "digits_accuracy": Problem("classes", _DIGITS, lambda: _load("digits"), "accuracy"),
    "digits_log_loss": Problem("classes", _DIGITS, lambda: _load("digits"), "log_loss"),
    "digits_few": Problem("classes", _DIGITS, _digits_few, "log_loss"),
    "digits_parity": Problem("classes", _DIGITS, _digits_parity, "accuracy"),
    "cancer_auc": Problem("classes", _SMALL, lambda: _load("breast_cancer"), "auc"),
    "cancer_log_loss": Problem("classes", _SMALL, lambda: _load("breast_cancer"), "log_loss"),
    "wine_log_loss": Problem("classes", _SMALL, lambda: _load("wine"), "log_loss"),
    "diabetes_rmse": Problem("number", _SMALL, lambda: _load("diabetes"), "rmse"),
    "diabetes_mae": Problem("number", _SMALL, lambda: _load("diabetes"), "mae"),
    "wine_flavanoids": Problem("number", _SMALL, _wine_flavanoids, "rmse"),
    "cancer_fractal": Problem("number", _SMALL, _cancer_fractal, "rmse"),
}


@cache
def data(task: str) -> tuple[Array, Array]:
    """Features and target of a task, read once in a process."""
    return PROBLEMS[task].data()


def score(how: str, y: Array, answer: Array) -> float:
    """Score one fold; `answer` holds labels, probabilities of each class, or numbers."""
    from sklearn import metrics

    if how == "accuracy":
        return float(metrics.balanced_accuracy_score(y, answer))
    if how == "auc":
        # The logarithm of what is missing from 1: nearly all pipelines lie above 0.9.
        return float(np.log10(max(1 - metrics.roc_auc_score(y, answer[:, 1]), 1e-4)))
    if how == "log_loss":
        # One certain and wrong answer must not weigh more than all others.
        chosen = answer[np.arange(len(y)), y.astype(int)]
        return float(-np.log(np.clip(chosen, 1e-3, None)).mean())
    error = np.abs(answer - y)
    size = np.sqrt((error**2).mean()) if how == "rmse" else error.mean()
    return float(size / y.std())
