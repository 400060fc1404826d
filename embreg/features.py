"""TabularFeatures: the traditional representation φ_trad (section 2): numbers scaled, categories one-hot."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["TabularFeatures"]


class TabularFeatures(TransformerMixin, BaseEstimator):
    """Numeric columns normalised, categorical columns one-hot, constant columns dropped.

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
    feature_names_out_ : list of str

    Notes
    -----
    A missing number takes the training mean, and a column that had missing values in training gets a
    second one, ``<name>_missing``, that is 1 where the value was missing. A missing category is a
    category of its own when training had it. A category that training did not have is all zeros.
    Booleans are categories. Values missing in a column that was complete in training are filled the
    same way with a warning, since no feature can show them.

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
        y : ignored

        Raises
        ------
        ValueError
            Unknown scaling, an infinite number, no rows, or every column constant.
        """
        if self.scaling not in ("standard", "minmax"):
            raise ValueError(f"scaling must be 'standard' or 'minmax', however: got {self.scaling!r}")
        frame = self._frame(X, reset=True)
        self.columns_ = [self._learn(str(name), frame.iloc[:, j]) for j, name in enumerate(frame.columns)]
        self.feature_names_out_ = [n for c in self.columns_ for n in _names(c)]
        if not self.feature_names_out_:
            raise ValueError(
                f"every one of the {len(self.columns_)} columns is constant or empty, however: at least one must vary"
            )
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Features of each row.

        Parameters
        ----------
        X : DataFrame with the columns of `fit` (others are an error), or array of shape (n, d)

        Returns
        -------
        ndarray of shape (n, d_trad), float64
        """
        check_is_fitted(self, "columns_")
        frame = self._frame(X, reset=False)
        parts = [_encode(c, frame.iloc[:, j]) for j, c in enumerate(self.columns_)]
        return np.column_stack([p for p in parts if p.shape[1]])

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the output columns: the input's own, ``<name>_missing`` or ``<name>=<category>``."""
        check_is_fitted(self, "columns_")
        return np.array(self.feature_names_out_, dtype=object)

    def _frame(self, X: Any, *, reset: bool) -> pd.DataFrame:
        if hasattr(X, "to_pandas"):  # polars; through objects, so that pyarrow types play no part
            X = pd.DataFrame({c: X[c].to_list() for c in X.columns})
        if isinstance(X, pd.DataFrame):
            if len(X) == 0:
                raise ValueError(f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is required.")
            if not reset:
                known, given = [c["name"] for c in self.columns_], [str(c) for c in X.columns]
                missing = [c for c in known if c not in given]
                extra = [c for c in given if c not in known]
                if missing or extra:
                    raise ValueError(f"columns must be those of fit, however: missing {missing}, unexpected {extra}")
                X = X.set_axis(given, axis=1)[known]
            validate_data(self, X, reset=reset, skip_check_array=True)
            return X
        array = validate_data(self, X, reset=reset, dtype=None, ensure_all_finite="allow-nan")
        if array.dtype.kind not in "OUSb" and not np.isrealobj(array):
            raise ValueError("Complex data not supported")
        names = [f"x{j}" for j in range(array.shape[1])]
        frame = pd.DataFrame(array, columns=names)
        return frame.infer_objects() if array.dtype == object else frame

    def _learn(self, name: str, column: pd.Series) -> dict[str, Any]:
        present = column.dropna()
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            values = present.to_numpy(dtype=float)
            if not np.isfinite(values).all():
                raise ValueError(f"Input X contains infinity: column {name!r}; replace or drop those rows")
            missing = len(present) < len(column)
            varies = len(values) > 0 and values.max() > values.min()
            if not varies and not (missing and len(values)):
                return {"name": name, "kind": "dropped", "why": "constant" if len(values) else "empty"}
            shift, scale = (values.mean(), values.std()) if self.scaling == "standard" else (
                values.min(), np.ptp(values))  # fmt: skip
            fill = float(values.mean())
            return {"name": name, "kind": "numeric", "shift": float(shift), "scale": float(scale) or 1.0,
                    "fill": fill, "missing": missing, "varies": bool(varies)}  # fmt: skip
        categories = sorted({str(v) for v in present})
        missing = len(present) < len(column)
        if len(categories) + missing < 2:
            return {"name": name, "kind": "dropped", "why": "constant" if categories else "empty"}
        return {"name": name, "kind": "categorical", "categories": categories, "missing": missing}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _names(column: dict[str, Any]) -> list[str]:
    name = column["name"]
    if column["kind"] == "numeric":
        return ([name] if column["varies"] else []) + ([f"{name}_missing"] if column["missing"] else [])
    if column["kind"] == "categorical":
        return [f"{name}={c}" for c in column["categories"]] + ([f"{name}_missing"] if column["missing"] else [])
    return []


def _encode(column: dict[str, Any], values: pd.Series) -> np.ndarray:
    absent = values.isna().to_numpy()
    if absent.any() and not column.get("missing", True):
        warnings.warn(
            f"column {column['name']!r} was complete in fit, however: {int(absent.sum())} values are missing now; "
            "they are read as the training mean (numbers) or as no category",
            UserWarning,
            stacklevel=3,
        )
    if column["kind"] == "numeric":
        try:
            numbers = values.astype(object).where(~absent, column["fill"]).to_numpy().astype(float)
        except (TypeError, ValueError) as error:
            raise ValueError(f"column {column['name']!r} was numeric in fit, however: {error}") from None
        if not np.isfinite(numbers).all():
            raise ValueError(f"Input X contains infinity: column {column['name']!r}; replace or drop those rows")
        scaled = (numbers - column["shift"]) / column["scale"]
        parts = ([scaled] if column["varies"] else []) + ([absent.astype(float)] if column["missing"] else [])
        return np.column_stack(parts)
    if column["kind"] == "categorical":
        text = values.astype(object).map(str).to_numpy()
        parts = [((text == c) & ~absent).astype(float) for c in column["categories"]]
        return np.column_stack(parts + ([absent.astype(float)] if column["missing"] else []))
    return np.empty((len(values), 0))
