"""Every baseline: the library's estimator, the grid it is tuned on, and its limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from embreg.training.baseline_gp import LARGEST, ROOM, MaternGP, gradient_bytes, has_room
from embreg.training.baseline_rows import Kind

__all__ = ["BASELINES", "Baseline", "look_up", "read_grid"]

Grid = tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Baseline:
    """A regressor from a library and the grid it is tuned on.

    Parameters
    ----------
    description : str
        One line.
    grid : tuple of dict
        Points, each the parameters of the library's estimator that are tried.
    make : callable
        ``make(random_state, **point)`` is the unfitted scikit-learn estimator of a point.
    features : {"raw", "scaled", "squares", "rotated"}
        What it is given; see `embreg.training.baseline_rows.Features`.
    together : bool
        One fit serves all targets with the same result as a fit for each.
    largest : int or None
        Most training rows.
    extra : str or None
        Extra of embreg to be installed.
    has_std : bool
        Whether it predicts a standard deviation.
    early : bool
        Whether a fit reads the validation rows, to stop.
    applies : callable
        ``applies(point, n, d)``: whether a point can be fitted to n rows of d features.
    memory : callable
        ``memory(n, d)``: share of the memory set aside that one fit takes; others wait.

    Examples
    --------
    >>> BASELINES["knn"].grid[:2]
    ({'n_neighbors': 1}, {'n_neighbors': 2})
    >>> BASELINES["knn"].make(0, n_neighbors=3)
    KNeighborsRegressor(n_neighbors=3)
    """

    description: str
    grid: Grid
    make: Callable[..., Any]
    features: Kind = "scaled"
    together: bool = False
    largest: int | None = None
    extra: str | None = None
    has_std: bool = False
    early: bool = False
    applies: Callable[[Mapping[str, Any], int, int], bool] = lambda point, n, d: True
    memory: Callable[[int, int], float] = lambda n, d: 0.0


def points(**values: Any) -> Grid:
    """Every combination, the last name fastest.

    Examples
    --------
    >>> points(a=(1, 2), b=(0,))
    ({'a': 1, 'b': 0}, {'a': 2, 'b': 0})
    """
    return tuple(dict(zip(values, chosen, strict=True)) for chosen in product(*values.values()))


def _mean(random_state: int, **point: Any) -> Any:
    from sklearn.dummy import DummyRegressor

    return DummyRegressor(**{"strategy": "mean", **point})


def _ridge(random_state: int, **point: Any) -> Any:
    from sklearn.linear_model import Ridge

    return Ridge(**{"solver": "svd", **point})  # exact for any penalty, and for singular products


def _bayesian_ridge(random_state: int, **point: Any) -> Any:
    from sklearn.linear_model import BayesianRidge

    return BayesianRidge(**point)


def _knn(random_state: int, **point: Any) -> Any:
    from sklearn.neighbors import KNeighborsRegressor

    return KNeighborsRegressor(**point)


def _gp(random_state: int, **point: Any) -> Any:
    return MaternGP(**point)


def _random_forest(random_state: int, **point: Any) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(**{"n_estimators": 100, "n_jobs": 1, "random_state": random_state, **point})


def _xgboost(random_state: int, **point: Any) -> Any:
    from xgboost import XGBRegressor

    fixed = {
        "n_estimators": 500, "learning_rate": 0.1, "subsample": 0.8, "colsample_bytree": 0.8,
        "early_stopping_rounds": 30, "tree_method": "hist", "max_bin": 64, "n_jobs": 1,
        "random_state": random_state,
    }  # fmt: skip
    return XGBRegressor(**{**fixed, **point})


_PENALTIES = points(alpha=tuple(float(f"{a:.3g}") for a in np.logspace(-6, 6, 25)))

BASELINES: dict[str, Baseline] = {
    "mean": Baseline(
        "The mean of the training rows, whatever the features.", ({},), _mean, features="raw", together=True
    ),
    "ridge": Baseline("Linear, with a squared penalty.", _PENALTIES, _ridge, together=True),
    "ridge_squares": Baseline(
        "Ridge on (x, x²): exact on additive quadratics such as Sphere, whatever the dimension.",
        _PENALTIES,
        _ridge,
        features="squares",
        together=True,
    ),
    "bayesian_ridge": Baseline(
        "Linear, penalty and noise by evidence, with a standard deviation. Nothing is tuned.",
        ({},),
        _bayesian_ridge,
        features="rotated",
        has_std=True,
    ),
    "knn": Baseline(
        "Mean of the k nearest training rows.",
        points(n_neighbors=(1, 2, 3, 5, 8, 13, 21)),
        _knn,
        together=True,
        applies=lambda point, n, d: point.get("n_neighbors", 5) <= n,
    ),
    "gp": Baseline(
        "Exact Gaussian process, Matérn kernel and noise by marginal likelihood, with a standard deviation.",
        points(nu=(2.5, 1.5), length_scales=("per feature", "one")),
        _gp,
        features="rotated",
        largest=LARGEST,
        has_std=True,
        applies=lambda point, n, d: point.get("length_scales") == "one" or has_room(n, d),
        memory=lambda n, d: gradient_bytes(n, d) / ROOM if has_room(n, d) else 0.0,
    ),
    "random_forest": Baseline(
        "100 trees, each on a bootstrap sample of the rows.",
        points(max_features=(1 / 3, "sqrt")),
        _random_forest,
        features="raw",
    ),
    "xgboost": Baseline(
        "Boosted trees, stopped early on the validation rows.",
        points(max_depth=(3, 6)),
        _xgboost,
        features="raw",
        extra="boosting",
        early=True,
    ),
    "xgboost_paper": Baseline(
        "Boosted trees on a grid like the paper's, of 729 points: slow, some 360 times the work of xgboost.",
        points(
            min_child_weight=(1, 5, 10),
            learning_rate=(0.001, 0.01, 0.1),
            gamma=(0.0, 0.3, 0.5),
            subsample=(0.6, 0.8, 1.0),
            colsample_bytree=(0.6, 0.8, 1.0),
            max_depth=(3, 5, 7),
        ),
        _xgboost,
        features="raw",
        extra="boosting",
        early=True,
    ),
}
"""Every baseline by name."""


def look_up(name: Any) -> Baseline:
    """Entry of `BASELINES`; ValueError, with every name, for one that is not there."""
    if not isinstance(name, str) or name not in BASELINES:
        raise ValueError(f"a baseline must be one of {tuple(BASELINES)}, however: got {name!r}")
    return BASELINES[name]


def read_grid(name: str, given: Any = None) -> Grid:
    """The points to try, each checked against the parameters that the library knows.

    Parameters
    ----------
    name : str
        One of `BASELINES`.
    given : sequence of dict, dict of sequences, or None
        None is the baseline's own grid.

    Raises
    ------
    ValueError
        No point, or a parameter that the library does not know.
    ImportError
        The library is not installed.

    Examples
    --------
    >>> read_grid("ridge", {"alpha": [1.0, 10.0]})
    ({'alpha': 1.0}, {'alpha': 10.0})
    """
    spec = look_up(name)
    try:
        known = spec.make(0).get_params()
    except ImportError as error:
        raise ImportError(f"{name} needs a library: pip install 'embreg[{spec.extra}]'") from error
    if given is None:
        return spec.grid
    try:
        if isinstance(given, Mapping):
            if any(isinstance(values, str) for values in given.values()):
                raise TypeError("letters are no points")
            given = points(**given) if given else ()
        out = tuple({key: _plain(value) for key, value in dict(point).items()} for point in given)
    except (TypeError, ValueError):
        out = ()
    if not out:
        raise ValueError(
            "grid must be a sequence of dicts or a dict of sequences, with at least one point, however: got "
            f"{given!r}"
        )
    if unknown := sorted({key for point in out for key in point} - set(known)):
        raise ValueError(f"{name} must be tuned on some of {sorted(known)}, however: got {unknown}")
    return out


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
