"""Which columns matter: permutation importance and Shapley values, on the columns as the user has them."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import pandas as pd

from embreg.metrics import score_all

__all__ = ["importances"]

_REPEATS = 5
_BACKGROUND = 4
_MOST_EXPLAINED = 60


def importances(
    pipeline: Any,
    rows: pd.DataFrame,
    y: np.ndarray,
    *,
    budget_s: float = 30.0,
    random_state: int = 0,
) -> pd.DataFrame:
    """Importance of each column to a fitted pipeline, on rows it was not trained on.

    Parameters
    ----------
    pipeline : estimator
        Takes a DataFrame.
    rows : DataFrame of n rows
    y : ndarray of shape (n,)
    budget_s : float
        Seconds; it decides on how many rows are used, down to 10 for permutations and 3 for Shapley values.
    random_state : int

    Returns
    -------
    DataFrame
        ``column, method, value, low, high``. ``permutation`` (scikit-learn): how far Kendall's τ falls when
        the column is shuffled, with Student's interval over shuffles. ``shap``: mean absolute Shapley value
        in units of y (the library's permutation explainer, against four rows), with Student's interval over
        rows; absent without the library (extra ``explain``). ``attrs["rows"]`` says how many rows each used.

    Notes
    -----
    For SHAP every column is a code of its different values, and decoded before the pipeline sees it: so
    text, categories, dates and gaps are explained like numbers.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> rng = np.random.default_rng(0)
    >>> rows = pd.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60)})
    >>> y = 3 * rows["a"].to_numpy()
    >>> found = importances(LinearRegression().fit(rows, y), rows, y)
    >>> found[found["method"] == "shap"].set_index("column")["value"].round(1)["b"]
    np.float64(0.0)
    """
    from sklearn.inspection import permutation_importance

    rng, d = np.random.default_rng(random_state), rows.shape[1]
    rows, y = rows.reset_index(drop=True), np.asarray(y, dtype=float)
    order = rng.permutation(len(rows))
    probe = rows.iloc[order[: min(16, len(rows))]]
    pipeline.predict(probe)
    started = time.perf_counter()
    # Another order of the cells, so that no embedding is read from the store.
    pipeline.predict(probe.apply(lambda column: column.sample(frac=1, random_state=random_state).to_numpy()))
    per_row = (time.perf_counter() - started) / len(probe)
    each = budget_s / 2 / max(per_row, 1e-6)
    n = int(np.clip(each / (d * _REPEATS), min(10, len(rows)), len(rows)))
    few = np.sort(order[:n])
    found = permutation_importance(
        pipeline, rows.iloc[few], y[few], scoring=_tau, n_repeats=_REPEATS, random_state=random_state
    )
    out = [
        {"column": name, "method": "permutation", **_student(found.importances[j])}
        for j, name in enumerate(rows.columns)
    ]
    shown = 0
    if (values := _shapley(pipeline, rows, order, each, random_state)) is not None:
        shown = len(values)
        out += [
            {"column": name, "method": "shap", **_student(np.abs(values[:, j]))}
            for j, name in enumerate(rows.columns)
        ]
    table = pd.DataFrame(out)
    table.attrs["rows"] = {"permutation": n, "shap": shown}
    return table


def _tau(model: Any, rows: pd.DataFrame, y: np.ndarray) -> float:
    return score_all(y, model.predict(rows))["kendall_tau"]


def _shapley(
    pipeline: Any, rows: pd.DataFrame, order: np.ndarray, each: float, random_state: int
) -> np.ndarray | None:
    """Shapley values of shape (rows explained, columns); None without the library."""
    try:
        with warnings.catch_warnings():  # of matplotlib, about how the library sets a colour
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            import shap
    except ImportError:
        return None
    d = rows.shape[1]
    codes, values = np.empty(rows.shape), []
    for j, name in enumerate(rows.columns):
        kinds, index = np.unique(rows[name].map(_key).to_numpy(dtype=str), return_index=True)
        values.append(rows[name].iloc[index].reset_index(drop=True))
        codes[:, j] = np.searchsorted(kinds, rows[name].map(_key).to_numpy(dtype=str))

    def predict(coded: np.ndarray) -> np.ndarray:
        picked = {
            name: values[j].iloc[coded[:, j].astype(int)].reset_index(drop=True)
            for j, name in enumerate(rows.columns)
        }
        return np.asarray(pipeline.predict(pd.DataFrame(picked)), dtype=float)

    background = codes[order[: min(_BACKGROUND, len(order))]]
    evaluations = 2 * d + 1
    rest = order[len(background) :]
    n = int(np.clip(each / (evaluations * len(background)), 3, _MOST_EXPLAINED))
    masker = shap.maskers.Independent(background, max_samples=len(background))
    explainer = shap.explainers.Permutation(predict, masker, seed=random_state)
    explained = explainer(codes[rest[:n]], max_evals=evaluations, silent=True)
    return np.asarray(explained.values, dtype=float)


def _key(value: Any) -> str:
    return f"{type(value).__name__}:{value!r}"


def _student(values: np.ndarray) -> dict[str, float]:
    from scipy import stats

    mean = float(values.mean())
    if len(values) < 2 or np.ptp(values) == 0:
        return {"value": mean, "low": mean, "high": mean}
    half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return {"value": mean, "low": mean - half, "high": mean + half}
