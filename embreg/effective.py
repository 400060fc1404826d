"""How many parameters of a table its target depends on, as far as a model can see."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from embreg._task import stream

__all__ = ["EffectiveDof", "boosted_trees", "effective_dof", "tree_features"]

_MOST_CATEGORIES = 255
"""What the trees take as categories; above, the codes are read as numbers."""
_LEAST = 20


class EffectiveDof(NamedTuple):
    """A count of parameters, with what it rests on.

    Parameters
    ----------
    n : int
        Columns whose importance exceeds the threshold.
    importances : dict of str to float
        Mean drop of R² on held-out rows when a column is shuffled, in the order of the columns.
    r2 : float
        Mean R² on held-out rows before anything is shuffled. Near zero the model learnt nothing, and the
        count says nothing.

    Examples
    --------
    >>> EffectiveDof(1, {"a": 1.9, "b": 0.0}, 0.98).n
    1
    """

    n: int
    importances: dict[str, float]
    r2: float


def effective_dof(
    rows: pd.DataFrame,
    y: npt.ArrayLike,
    *,
    threshold: float = 0.01,
    n_splits: int = 5,
    n_repeats: int = 3,
    random_state: int = 0,
) -> EffectiveDof:
    """Count the columns that a model of boosted trees needs to predict y.

    Of `n_splits` random cuts into 70 % and 30 % of the rows, each trains scikit-learn's
    HistGradientBoostingRegressor and measures how far R² falls on the rows held out when one column is
    shuffled (permutation importance). A column counts when its mean fall exceeds `threshold`.

    Parameters
    ----------
    rows : DataFrame, shape (n, d)
        From 20 rows. Numbers and booleans are numbers, everything else is a category; missing values stay
        missing, and trees split on that too.
    y : array-like of shape (n,)
        Finite, not constant.
    threshold : float
        In units of R², from 0.
    n_splits, n_repeats : int
        Cuts, and shuffles of each column in each of them, from 1.
    random_state : int
        Seed of the cuts and the shuffles.

    Returns
    -------
    EffectiveDof
        The count, the importance of each column, and the model's own R².

    Raises
    ------
    ValueError
        Too few rows, two columns of one name, an infinite number, y that is constant, not finite or of
        another length, or an argument below its limit.

    Notes
    -----
    The count is a lower bound that depends on the data, no property of the system. It understates:

    - with few rows (a weak effect drowns in the model's own error: compare `r2` with what is possible);
    - where columns act only together. Trees grow greedily and see nothing of a parity of two columns or more
      as long as neither has an effect alone;
    - where columns say nearly the same: one takes the importance of all, or they share it and each falls
      short. A parameter that decides which others are active is such a case, as their gaps tell its value;
    - where effects are many and small, each below the threshold: at most 2 / `threshold` additive columns of
      equal weight can pass;
    - under noise and heavy tails, which lower R² and every fall with it: take the logarithm of such a y.

    It overstates where the model learns next to nothing (`r2` below about 0.1), or the threshold is near 0:
    shuffling any column that such a model splits on changes R² by chance, and some changes are falls.

    Examples
    --------
    >>> rows = pd.DataFrame(np.random.default_rng(0).random((200, 4)), columns=list("abcd"))
    >>> found = effective_dof(rows, rows["a"] + 2 * rows["c"])
    >>> found.n, [name for name, fall in found.importances.items() if fall > 0.01]
    (2, ['a', 'c'])
    """
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import ShuffleSplit
    from threadpoolctl import threadpool_limits

    if not threshold >= 0:
        raise ValueError(f"threshold must be a number from 0, however: got {threshold!r}. Try 0.01.")
    for name, value in (("n_splits", n_splits), ("n_repeats", n_repeats)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, however: got {value!r}. Pass 1 or more.")
    target = np.asarray(y, dtype=np.float64)
    features, categorical = tree_features(rows)
    if target.shape != (len(rows),) or len(rows) < _LEAST:
        raise ValueError(
            f"rows and y must have one length of at least {_LEAST}, however: got {len(rows)} rows and y of "
            f"shape {target.shape}. Measure more rows."
        )
    if not np.isfinite(target).all() or np.ptp(target) == 0:
        raise ValueError(
            "y must be finite and vary, however: it holds "
            f"{'one value only' if np.isfinite(target).all() else 'NaN or infinity'}. "
            "Nothing can be learnt from it; leave the task out or repair it."
        )
    seeds = stream((random_state,), "effective dof").integers(2**31 - 1, size=(n_splits, 2))
    cuts = ShuffleSplit(n_splits, test_size=0.3, random_state=random_state).split(features)
    falls, scores = [], []
    # One thread: on tables of this size several wait for each other, twenty times as long on a busy machine.
    with threadpool_limits(limits=1):
        for (train, test), (model_seed, shuffle_seed) in zip(cuts, seeds.tolist(), strict=True):
            model = boosted_trees(categorical, model_seed).fit(features[train], target[train])
            found = permutation_importance(
                model, features[test], target[test], scoring="r2", n_repeats=n_repeats,
                random_state=shuffle_seed,
            )  # fmt: skip
            falls.append(found.importances_mean)
            scores.append(model.score(features[test], target[test]))
    mean = np.mean(falls, axis=0)
    importances = {str(c): float(fall) for c, fall in zip(rows.columns, mean, strict=True)}
    return EffectiveDof(int((mean > threshold).sum()), importances, float(np.mean(scores)))


def boosted_trees(categorical: npt.NDArray[np.bool_], random_state: int) -> Any:
    """Return the unfitted model of the data checks, with scikit-learn's own defaults.

    Parameters
    ----------
    categorical : ndarray of bool, shape (d,)
        See `tree_features`.
    random_state : int

    Examples
    --------
    >>> boosted_trees(np.array([False]), 0).max_iter
    100
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(
        categorical_features=categorical if categorical.any() else None, random_state=random_state
    )


def tree_features(rows: pd.DataFrame) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Turn a table of mixed types into numbers for trees.

    Parameters
    ----------
    rows : DataFrame, shape (n, d)

    Returns
    -------
    features : ndarray of float64, shape (n, d)
        Numbers as they are, booleans as 0 and 1, categories as codes in the order of their text; NaN
        where missing.
    categorical : ndarray of bool, shape (d,)
        Columns of codes. More than 255 categories are read as numbers: the trees take no more.

    Raises
    ------
    ValueError
        Two columns of one name, no column, or an infinite number.

    Examples
    --------
    >>> tree_features(pd.DataFrame({"lr": [0.1, None], "act": ["tanh", "relu"]}))
    (array([[0.1, 1. ],
           [nan, 0. ]]), array([False,  True]))
    """
    if rows.columns.has_duplicates or not len(rows.columns):
        raise ValueError(
            "columns must have different names, however: got "
            f"{', '.join(map(str, rows.columns)) or 'no column'}. Rename or add one."
        )
    features = np.empty(rows.shape)
    categorical = np.zeros(rows.shape[1], dtype=bool)
    for j, name in enumerate(rows.columns):
        column = rows[name]
        if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
            features[:, j] = column.to_numpy(dtype=np.float64, na_value=np.nan)
            if np.isinf(features[:, j]).any():
                raise ValueError(
                    f"column {name!r} must be finite, however: it holds an infinity. "
                    "Replace it, or leave it missing."
                )
            continue
        codes, categories = pd.factorize(column.astype("str").where(column.notna()), sort=True)
        features[:, j] = np.where(codes < 0, np.nan, codes)
        categorical[j] = len(categories) <= _MOST_CATEGORIES
    return features, categorical
