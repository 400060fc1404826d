"""Do prediction intervals hold what they promise? Coverage and width over data sets and splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from embreg._features import embed, features_of
from embreg._progress import Progress
from embreg.representation import Representation

__all__ = ["METHODS", "coverage_study"]

METHODS = {
    "split": "split conformal around the MLP (MAPIE)",
    "cross": "cross conformal around the MLP (MAPIE)",
    "gp": "posterior of a Gaussian process",
    "bayesian_ridge": "posterior of Bayesian ridge",
    "ensemble": "spread of an ensemble of MLPs, as a normal distribution",
}
"""Ways to an interval, and what each is."""


def coverage_study(
    representations: Sequence[Representation],
    *,
    functions: Sequence[str],
    dof: int,
    seeds: Sequence[int],
    n_samples: int = 500,
    methods: Sequence[str] = tuple(METHODS),
    level: float = 0.9,
    ensemble: int = 5,
    mlp: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Coverage and width of intervals on synthetic functions and on the diabetes data.

    Parameters
    ----------
    representations : sequence of Representation
    functions : sequence of str
        Of the paper's variant.
    dof, n_samples : int
        Of the functions.
    seeds : sequence of int
        Each draws points, and splits the rows: 80 % to fit (and calibrate), 20 % to test.
    methods : sequence of str
        Of `METHODS`.
    level : float
        Share of rows that an interval promises to hold.
    ensemble : int
        MLPs of ``"ensemble"``.
    mlp : mapping, optional
        Parameters of `MLPHead`.

    Returns
    -------
    DataFrame
        ``task, seed, representation, method, level, coverage, width``: the share of test rows inside, and
        the mean width in standard deviations of the training y.

    Raises
    ------
    ValueError
        An unknown method, or what the methods themselves refuse.

    Examples
    --------
    >>> from embreg.representation import TRADITIONAL
    >>> out = coverage_study([TRADITIONAL], functions=[], dof=2, seeds=[0], methods=["bayesian_ridge"])
    >>> out.task.tolist(), bool(0.7 < out.coverage.item() < 1)
    (['diabetes'], True)
    """
    if unknown := [m for m in methods if m not in METHODS]:
        raise ValueError(f"methods must be of {tuple(METHODS)}, however: got {unknown}")
    records: list[dict[str, Any]] = []
    tables = [(seed, *table) for seed in seeds for table in _tables(functions, dof, n_samples, seed)]
    with Progress("intervals", len(tables) * len(representations)) as bar:
        for seed, names, rows, Y in tables:
            embedded = embed(representations, rows, seed)
            order = np.random.default_rng(seed).permutation(len(rows))
            test, train = order[: len(rows) // 5], order[len(rows) // 5 :]
            for rep in representations:
                X = np.asarray(features_of(rep, embedded[rep][0], rows, train, seed), dtype=float)
                for name, y in zip(names, Y.T, strict=True):
                    for method in methods:
                        found = _measure(method, X, y, train, test, seed, level, ensemble, mlp or {})
                        records.append({"task": name, "seed": seed, "representation": rep.label,
                                        "method": method, "level": level, **found})  # fmt: skip
                bar.advance(1)
    return pd.DataFrame(records)


def _tables(
    functions: Sequence[str], dof: int, n: int, seed: int
) -> list[tuple[list[str], pd.DataFrame, np.ndarray]]:
    from sklearn.datasets import load_diabetes

    from embreg.tasks import bbob_targets

    data = load_diabetes(as_frame=True, scaled=False)
    tables = [(["diabetes"], data.data, data.target.to_numpy(float)[:, None])]
    if functions:
        tables.append((list(functions), *bbob_targets(functions, dof, n=n, seed=seed)))
    return tables


def _measure(
    method: str, X: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray, seed: int, level: float,
    ensemble: int, mlp: Mapping[str, Any],
) -> dict[str, float]:  # fmt: skip
    from scipy.stats import norm

    from embreg._fit import make_head
    from embreg.conformal import ConformalRegressor, coverage, mean_width

    if method in ("split", "cross"):
        head = make_head("mlp", seed, mlp)
        model = ConformalRegressor(head, method=method, level=level, random_state=seed)  # type: ignore[arg-type]
        _, low, high = model.fit(X[train], y[train]).predict_interval(X[test])
    else:
        head = (
            make_head("mlp", seed, {**mlp, "ensemble": ensemble})
            if method == "ensemble"
            else make_head(method, seed)
        )
        mean, spread = head.fit(X[train], y[train]).predict(X[test], return_std=True)
        half = norm.ppf((1 + level) / 2) * spread
        low, high = mean - half, mean + half
    return {"coverage": coverage(low, high, y[test]), "width": mean_width(low, high) / float(y[train].std())}
