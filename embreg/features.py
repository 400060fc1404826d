"""TabularFeatures: the traditional representation φ_trad (section 2): numbers scaled, categories one-hot."""

from __future__ import annotations

import numbers
import warnings
from collections import Counter
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["TabularFeatures"]


class TabularFeatures(TransformerMixin, BaseEstimator):
    """Numeric columns normalised, categorical columns one-hot, constant columns dropped (section 2).

    Parameters
    ----------
    scaling : {"standard", "minmax"}
        Mean 0 and variance 1, or the training range to [0, 1]. The paper does not say which.

    Attributes
    ----------
    columns_ : list of dict
        What became of each input column: ``name``, ``kind`` (numeric, categorical, dropped), and its
        numbers or categories.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only when `fit` got a DataFrame.
    feature_names_out_ : list of str

    Notes
    -----
    Whatever is not a number is a category, booleans and dates too; categories are told apart by their
    text. A category that training did not have is all zeros.

    A missing number takes the training mean, and a column that had missing values in training gets a
    second one, ``<name>_missing``, that is 1 where the value was missing; a missing category is marked
    the same way. Values missing in a column that was complete in training are filled with a warning,
    since no feature can show them.

    Examples
    --------
    >>> table = pd.DataFrame({"lr": [0.1, 0.3], "act": ["relu", "tanh"], "same": [1, 1]})
    >>> features = TabularFeatures().fit(table)
    >>> features.get_feature_names_out().tolist()
    ['lr', 'act=relu', 'act=tanh']
    >>> features.transform(table).round(6).tolist()
    [[-1.0, 1.0, 0.0], [1.0, 0.0, 1.0]]
    """

    def __init__(self, scaling: Literal["standard", "minmax"] = "standard") -> None:
        self.scaling = scaling

    def fit(self, X: Any, y: Any = None) -> TabularFeatures:
        """Learn ranges and categories.

        Parameters
        ----------
        X : DataFrame (pandas or polars) or array of shape (n, d)
            Columns of an array are called ``x0 … x{d-1}``.
        y : ignored

        Raises
        ------
        ValueError
            Unknown scaling, an infinite number, a spread that float64 cannot hold, fewer than two rows,
            two columns of one name, or every column constant.
        """
        if self.scaling not in ("standard", "minmax"):
            raise ValueError(f"scaling must be 'standard' or 'minmax', however: got {self.scaling!r}")
        frame = self._frame(X, reset=True)
        if len(frame) < 2:
            raise ValueError("what varies cannot be seen in 1 sample, however: n_samples=1; give at least 2")
        self.columns_ = [_learn(str(c), frame.iloc[:, j], self.scaling) for j, c in enumerate(frame.columns)]
        self.feature_names_out_ = [n for c in self.columns_ for n in _names(c)]
        if not self.feature_names_out_:
            raise ValueError(
                "at least one column must vary, however: every one of the "
                f"{len(self.columns_)} columns is constant or empty"
            )
        if twice := _repeated(self.feature_names_out_):
            raise ValueError(f"two features would be called {twice!r}; rename a column")
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Features of each row.

        Parameters
        ----------
        X : DataFrame with the columns of `fit` in any order, or array of shape (n, d)

        Returns
        -------
        ndarray of shape (n, d_trad), float64

        Raises
        ------
        ValueError
            A missing or unexpected column, an infinite number, text in a column that was numeric.
        """
        check_is_fitted(self, "columns_")
        frame = self._frame(X, reset=False)
        parts = [_encode(c, frame.iloc[:, j]) for j, c in enumerate(self.columns_) if c["kind"] != "dropped"]
        return np.column_stack(parts)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the output columns: the input's own, ``<name>_missing`` or ``<name>=<category>``.

        Parameters
        ----------
        input_features : array-like of str, optional
            Only counted: the names are those of `fit`.
        """
        check_is_fitted(self, "columns_")
        if input_features is not None and len(input_features) != self.n_features_in_:
            raise ValueError(
                f"input_features should have length equal to number of features ({self.n_features_in_}), "
                f"however: got {len(input_features)}"
            )
        return np.array(self.feature_names_out_, dtype=object)

    def _frame(self, X: Any, *, reset: bool) -> pd.DataFrame:
        if hasattr(X, "iter_rows") and hasattr(X, "columns"):
            # polars; through Python's own objects, so that pyarrow types play no part
            X = pd.DataFrame({c: X[c].to_list() for c in X.columns})
        if not isinstance(X, pd.DataFrame):
            array = validate_data(self, X, reset=reset, dtype=None, ensure_all_finite="allow-nan")
            return pd.DataFrame(array, columns=[f"x{j}" for j in range(array.shape[1])]).infer_objects()
        if X.shape[0] == 0 or X.shape[1] == 0:
            what = "0 sample(s)" if X.shape[0] == 0 else "0 feature(s)"
            raise ValueError(f"Found array with {what} (shape={X.shape}) while a minimum of 1 is required.")
        given = [str(c) for c in X.columns]
        if twice := _repeated(given):
            raise ValueError(f"every column needs a name of its own, however: {twice!r} is there twice")
        X = X.set_axis(given, axis=1).infer_objects()
        if not reset:
            known = [c["name"] for c in self.columns_]
            missing = [c for c in known if c not in given]
            extra = [c for c in given if c not in known]
            if missing or extra:
                raise ValueError(
                    f"columns must be those of fit, however: missing {missing}, unexpected {extra}"
                )
            X = X[known]
        validate_data(self, X, reset=reset, skip_check_array=True)
        return X

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _learn(name: str, column: pd.Series, scaling: str) -> dict[str, Any]:
    present = column.dropna()
    missing = len(present) < len(column)
    if not _is_numeric(column):
        categories = sorted({str(v) for v in present})
        if len(categories) + missing < 2:
            return {"name": name, "kind": "dropped", "why": "constant" if categories else "empty"}
        return {"name": name, "kind": "categorical", "categories": categories, "missing": missing}
    values = _floats(name, present)
    if not len(values):
        return {"name": name, "kind": "dropped", "why": "empty"}
    varies = bool(values.max() > values.min())
    if not varies and not missing:
        return {"name": name, "kind": "dropped", "why": "constant"}
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        fill, low = float(values.mean()), float(values.min())
        shift, scale = (fill, values.std()) if scaling == "standard" else (low, np.ptp(values))
    if varies and not 0 < scale < np.inf:
        raise ValueError(
            f"the spread of a column must fit into float64, however: column {name!r} goes from {low} to "
            f"{values.max()}; multiply it by a constant"
        )
    scale = float(scale) if varies else 1.0
    return {
        "name": name, "kind": "numeric", "shift": shift, "scale": scale, "fill": fill, "missing": missing,
        "varies": varies,
    }  # fmt: skip


def _names(column: dict[str, Any]) -> list[str]:
    if column["kind"] == "dropped":
        return []
    name = column["name"]
    names = [f"{name}={c}" for c in column["categories"]] if column["kind"] == "categorical" else [name]
    if not column.get("varies", True):
        names = []
    return [*names, f"{name}_missing"] if column["missing"] else names


def _encode(column: dict[str, Any], values: pd.Series) -> np.ndarray:
    name, absent = column["name"], values.isna().to_numpy()
    if absent.any() and not column["missing"]:
        warnings.warn(
            f"column {name!r} was complete in fit, however: {int(absent.sum())} values are missing now; "
            "they are read as the training mean (numbers) or as no category",
            UserWarning,
            stacklevel=3,
        )
    parts: list[np.ndarray] = []
    if column["kind"] == "numeric":
        if not (absent.all() or _is_numeric(values)):
            raise ValueError(
                f"column {name!r} was numeric in fit, however: it now holds {values[~absent].iloc[0]!r}; "
                "convert it to numbers"
            )
        filled = np.full(len(values), column["fill"])
        filled[~absent] = _floats(name, values[~absent])
        if column["varies"]:
            parts = [(filled - column["shift"]) / column["scale"]]
    else:
        text = values.astype(object).map(str).to_numpy()
        parts = [((text == c) & ~absent).astype(float) for c in column["categories"]]
    return np.column_stack([*parts, absent.astype(float)] if column["missing"] else parts)


def _is_numeric(column: pd.Series) -> bool:
    """Whether a column holds numbers, be it as objects (decimals; numbers with pandas.NA among them)."""
    if pd.api.types.is_complex_dtype(column):
        raise ValueError(f"Complex data not supported: column {column.name!r}; split it into two")
    if pd.api.types.is_object_dtype(column):
        present = column.dropna()
        number = [
            isinstance(v, numbers.Real | Decimal) and not isinstance(v, bool | np.bool_) for v in present
        ]
        return bool(number) and all(number)
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _floats(name: str, present: pd.Series) -> np.ndarray:
    values = present.to_numpy(dtype=float)
    if not np.isfinite(values).all():
        raise ValueError(f"Input X contains infinity: column {name!r}; replace or drop those rows")
    return values


def _repeated(names: list[str]) -> str | None:
    return next((name for name, times in Counter(names).items() if times > 1), None)
