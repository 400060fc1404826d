"""Whether one column of a table alone determines its target."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from embreg._task import stream
from embreg.effective import tree_features

__all__ = ["leaks"]

_LEAST_REPEATS = 20
"""Rows with a value that another row has too, below which a coincidence may look like a rule."""
_LEAST_GIVEN = 30
"""Rows with a value, of a column that has gaps."""


def leaks(rows: pd.DataFrame, y: npt.ArrayLike, *, limit: float = 0.999, n_folds: int = 3) -> dict[str, str]:
    """Find the columns that each alone determine y.

    Parameters
    ----------
    rows : DataFrame, shape (n, d)
    y : array-like of shape (n,)
    limit : float
        Held-out R² of a model of one column from which it determines y.
    n_folds : int
        Folds that are held out in turn.

    Returns
    -------
    dict of str to str
        Column to what gave it away.

    Notes
    -----
    Three looks at each column, at y and at the ranks of y (so that neither an outlier nor a logarithm hides a
    copy of y): a regression tree; a monotone curve, of numbers; and, of values that several rows share,
    whether all rows of a value have the same y. Text that reads as numbers is looked at as numbers too, and a
    column with gaps also on the rows without. A table of one column is not looked at: there the column is all
    there is.

    A column of text that no two rows share (an identifier) predicts nothing and is not found; a column that
    gives y away only together with another one is not found either.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows = pd.DataFrame({"a": rng.random(100), "loss": rng.random(100)})
    >>> leaks(rows, np.exp(9 * rows["loss"]))
    {'loss': 'a monotone curve of it predicts the ranks of y with R² 0.9996'}
    """
    from scipy.stats import rankdata

    # A row that is there twice would tell its own y, in whatever column.
    first = ~rows.duplicated().to_numpy()
    rows, target = rows[first], np.asarray(y, dtype=np.float64)[first]
    if rows.shape[1] < 2 or len(target) < 2 * n_folds or np.ptp(target) == 0:
        return {}
    folds = stream((len(target),), "leaks").permutation(len(target)) % n_folds
    targets = {"y": target, "the ranks of y": rankdata(target)}
    features, categorical = tree_features(rows)
    found: dict[str, str] = {}
    for j, name in enumerate(rows.columns):
        looks = [(features[:, j], bool(categorical[j]))]
        if pd.api.types.is_string_dtype(rows[name]) or rows[name].dtype == object:
            numbers = pd.to_numeric(rows[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
            if np.isfinite(numbers).sum() == rows[name].notna().sum() > 0:
                looks.append((numbers, False))
        for x, codes in looks:
            if said := _rule(x, target) or _model(x, targets, folds, codes, limit):
                found[str(name)] = said
                break
    return found


def _rule(x: npt.NDArray[np.float64], target: npt.NDArray[np.float64]) -> str:
    """Of values that several rows share: whether each goes with one y."""
    groups = pd.Series(target).groupby(x)
    shared = groups.transform("size").to_numpy() > 1
    if shared.sum() < _LEAST_REPEATS or np.ptp(target[shared]) == 0:
        return ""
    if (groups.transform("max") == groups.transform("min")).to_numpy()[shared].all():
        return f"all of {int(shared.sum()):,} rows that share its value with another row have that row's y"
    return ""


def _model(
    x: npt.NDArray[np.float64],
    targets: dict[str, npt.NDArray[np.float64]],
    folds: npt.NDArray[np.int64],
    codes: bool,
    limit: float,
) -> str:
    """Of one column: which model of it predicts which target, on all rows or on those that have a value."""
    from scipy.stats import rankdata
    from sklearn.isotonic import IsotonicRegression
    from sklearn.metrics import r2_score
    from sklearn.tree import DecisionTreeRegressor

    every, given = np.ones(len(x), dtype=bool), np.isfinite(x)
    kinds: list[tuple[str, Any, npt.NDArray[np.bool_]]]
    kinds = [("a tree", lambda: DecisionTreeRegressor(random_state=0), every)]
    if not given.all() and given.sum() >= _LEAST_GIVEN:
        kinds.append(("a tree", kinds[0][1], given))
    if not codes and given.sum() >= _LEAST_GIVEN and np.ptp(x[given]) > 0:
        # Not increasing="auto": it warns where the direction is in doubt, and there a curve finds nothing.
        ranks = rankdata(x[given]) - (given.sum() + 1) / 2
        rises = bool(ranks @ targets["the ranks of y"][given] >= 0)
        kinds.append(
            ("a monotone curve", lambda: IsotonicRegression(increasing=rises, out_of_bounds="clip"), given)
        )
    for kind, make, part in kinds:
        for what, target in targets.items():
            guess = np.zeros_like(target)
            for fold in np.unique(folds[part]):
                held, rest = part & (folds == fold), part & (folds != fold)
                guess[held] = make().fit(x[rest, None], target[rest]).predict(x[held, None])
            if np.ptp(target[part]) > 0 and (score := r2_score(target[part], guess[part])) >= limit:
                where = "" if part.all() else f" on the {int(part.sum()):,} rows that have it"
                return f"{kind} of it predicts {what} with R² {score:.4f}{where}"
    return ""
