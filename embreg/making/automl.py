"""Family ``automl``: random scikit-learn and LightGBM pipelines, cross-validated on its data sets."""

from __future__ import annotations

import platform
import warnings
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from embreg._task import stream
from embreg.making._automl_data import PROBLEMS, Problem, data, score
from embreg.making._pipeline_space import Kind, pipeline_space
from embreg.making._pipelines import model, prepare, transform_target
from embreg.making.family import Family, Infeasible, MissingTool, TaskSpec
from embreg.making.space import Space, Value

__all__ = ["FAMILY", "AutoML"]

Array = npt.NDArray[Any]
FOLDS = 3


class AutoML(Family):
    """Random pipelines on small tables.

    Examples
    --------
    >>> row = FAMILY.draw("wine_log_loss", 0)
    >>> bool(FAMILY.measure("wine_log_loss", row) < 3)
    True
    """

    name = "automl"
    stands_for = "AutoML"
    title = "Random machine-learning pipelines"
    what_ran = (
        "A scaler, a feature step and one of nine models of scikit-learn or LightGBM, each with its own "
        "hyper-parameters, fitted on a share of the training rows of each of three folds of a data set "
        "that comes with scikit-learn, and scored on the rows left out. y is the mean of the three scores. "
        "One thread. What a pipeline predicts for a number is cut at the lowest and the highest value it was "
        "trained on; a probability below 0.001 counts as 0.001."
    )
    licence = (
        "Apache-2.0, as the package that generated the tables. They hold no row of the data sets, which "
        "scikit-learn (BSD-3-Clause) distributes: optical digits, breast cancer (Wisconsin, diagnostic) and "
        "wine of the UCI repository, and the diabetes data of Efron et al. (2004)."
    )
    noise = "Another repeat has other folds, other training rows within them, and other seeds of the models."
    flaws = (
        "Most parameters are conditional: in a row about a third has a value, and `model` alone explains a "
        "good part of y. `balanced` hardly matters on digits, whose classes are of equal size.",
        "y is skewed: accuracies to the left, losses and errors to the right. A few networks with a high "
        "`lr_init` are far worse than all else.",
        "In digits_accuracy and digits_parity some rows tie at the score of a constant answer (0.1 and 0.5).",
        "All rows of a task share their folds, so part of what tells two rows apart is particular to these "
        "folds.",
        "Rows repeat to the last bit on one machine. Other processors round products of matrices "
        "differently: with OpenBLAS's kernels for SkylakeX, or for Nehalem, in place of Haswell's, 11 of 550 "
        "rows moved by more than 1e-9 standard deviations of y, one by 0.17 and the others by less than 0.1.",
    )
    tolerance = 0.25  # above all that was seen with the arithmetic of another processor: the last flaw
    specs = (
        TaskSpec("digits_accuracy", "1,797 images of 8 x 8, ten numerals.", "balanced accuracy", "1", "max"),
        TaskSpec("digits_log_loss", "1,797 images of 8 x 8, ten numerals.", "cross-entropy", "nat", "min"),
        TaskSpec("digits_few", "300 of the images, 30 of each numeral.", "cross-entropy", "nat", "min"),
        TaskSpec("digits_parity", "Odd or even, from 1,797 images.", "balanced accuracy", "1", "max"),
        TaskSpec(
            "cancer_auc",
            "Malignant or benign, 569 rows of 30 measurements.",
            "log10 of 1 - area under the ROC curve",
            "log10",
            "min",
        ),
        TaskSpec(
            "cancer_log_loss",
            "Malignant or benign, 569 rows of 30 measurements.",
            "cross-entropy",
            "nat",
            "min",
        ),
        TaskSpec("wine_log_loss", "Three cultivars, 178 rows of 13 analyses.", "cross-entropy", "nat", "min"),
        TaskSpec(
            "diabetes_rmse",
            "Progression after a year, 442 patients, 10 measurements.",
            "root of the mean squared error, over the standard deviation",
            "1",
            "min",
        ),
        TaskSpec(
            "diabetes_mae",
            "Progression after a year, 442 patients, 10 measurements.",
            "mean absolute error, over the standard deviation",
            "1",
            "min",
        ),
        TaskSpec(
            "wine_flavanoids",
            "Flavanoids of 178 wines from the 12 other analyses.",
            "root of the mean squared error, over the standard deviation",
            "1",
            "min",
        ),
        TaskSpec(
            "cancer_fractal",
            "Fractal dimension of 569 outlines from 9 other measurements.",
            "root of the mean squared error, over the standard deviation",
            "1",
            "min",
        ),
    )

    def space(self, task: str) -> Space:
        """Parameters of a task: one space for classes and one for numbers, with limits that fit the data."""
        problem = PROBLEMS[self.spec(task).name]
        return pipeline_space(problem.kind, problem.limits)

    def require(self) -> None:
        """Raise `MissingTool` without LightGBM, or without the OpenMP library that it loads."""
        try:
            import lightgbm  # noqa: F401
        except ImportError as error:
            raise MissingTool(
                f"family 'automl' needs the package lightgbm, however: {error}. "
                'Run: python -m pip install "embreg[data]"'
            ) from error
        except OSError as error:
            raise MissingTool(
                f"family 'automl' needs OpenMP for lightgbm, however: {error}. Install libgomp1 (Debian, "
                "Ubuntu) or libomp (macOS: brew install libomp)"
            ) from error

    def versions(self) -> dict[str, str]:
        """Return the versions of Python, scikit-learn, LightGBM and what they compute with."""
        packages = {name: version(name) for name in ("scikit-learn", "lightgbm", "numpy", "scipy")}
        return {"python": platform.python_version(), **packages}

    def measure(self, task: str, row: dict[str, Value], repeat: int = 0) -> float:
        """Return the mean score of three folds; `repeat` seeds the folds and all that is fitted."""
        from threadpoolctl import threadpool_limits

        problem = PROBLEMS[self.spec(task).name]
        x, y = data(task)
        seeds = stream((repeat,), f"automl/{task}/measure")
        with warnings.catch_warnings(), np.errstate(all="ignore"), threadpool_limits(1):
            # Iterations that end too early, features that are constant: the score says what they cost.
            warnings.simplefilter("ignore")
            try:
                scores = [
                    _fold(problem, row, x, y, train, test, seeds)
                    for train, test in _folds(problem.kind, y, seeds)
                ]
            except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
                # A parameter that scikit-learn refuses is both: our mistake, and not the row's.
                if isinstance(error, TypeError):
                    raise
                raise Infeasible(f"{type(error).__name__}: {error}") from error
        return float(np.mean(scores))


def _folds(kind: Kind, y: Array, seeds: np.random.Generator) -> list[tuple[Array, Array]]:
    from sklearn.model_selection import KFold, StratifiedKFold

    cut = StratifiedKFold if kind == "classes" else KFold
    return list(cut(FOLDS, shuffle=True, random_state=int(seeds.integers(2**31))).split(y[:, None], y))


def _keep(train: Array, y: Array, share: float, seeds: np.random.Generator) -> Array:
    """Return a share of the training rows, the same of every class, so that none vanishes."""
    order = train[seeds.permutation(len(train))]
    groups = [order[y[order] == label] for label in np.unique(y)]
    return np.sort(np.concatenate([group[: max(1, round(share * len(group)))] for group in groups]))


def _fold(
    problem: Problem,
    row: dict[str, Value],
    x: Array,
    y: Array,
    train: Array,
    test: Array,
    seeds: np.random.Generator,
) -> float:
    """Fit one fold on a share of its training rows and score it on its test rows."""
    classes = problem.kind == "classes"
    share: Any = row["train_share"]
    train = _keep(train, y if classes else np.zeros(len(y)), share, seeds)
    seed = int(seeds.integers(2**31))
    inside, outside = prepare(problem.kind, row, x[train], y[train], x[test], seed)
    probabilities = problem.score in ("log_loss", "auc")
    estimator = model(problem.kind, row, inside, seed, probabilities)
    if classes:
        estimator.fit(inside, y[train])
        answer = estimator.predict_proba(outside) if probabilities else estimator.predict(outside)
    else:
        target = transform_target(row["target"], y[train][:, None])
        estimator.fit(inside, target.transform(y[train][:, None]).ravel())
        answer = target.inverse_transform(np.reshape(estimator.predict(outside), (-1, 1))).ravel()
        # The exponential of what a diverged network answers knows no limit.
        answer = np.clip(answer, y[train].min(), y[train].max())
    return score(problem.score, y[test], answer)


FAMILY = AutoML()
