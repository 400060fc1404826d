"""TableRows: columns of a table picked by name and written for one representation (section 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from embreg.advising.kinds import cleaned, look_up

__all__ = ["TableRows", "as_frame"]

View = Literal["numbers", "strings", "text"]
_VIEWS = ("numbers", "strings", "text")


def as_frame(X: Any) -> pd.DataFrame:
    """A pandas frame of a pandas or polars frame, or of a list of dicts; columns are called by text.

    Raises
    ------
    TypeError
        Something else.
    ValueError
        Two columns of one name.
    """
    if hasattr(X, "iter_rows") and hasattr(X, "columns"):  # polars
        X = pd.DataFrame({c: pd.Series(X[c].to_list(), dtype=object).infer_objects() for c in X.columns})
    elif isinstance(X, Sequence) and not isinstance(X, str) and all(isinstance(r, Mapping) for r in X):
        X = pd.DataFrame(list(X))
    if not isinstance(X, pd.DataFrame):
        raise TypeError(
            "rows must be a DataFrame (pandas or polars) or a list of dicts, however: got "
            f"{type(X).__name__}; columns are found by their names"
        )
    names = [str(c) for c in X.columns]
    if twice := [n for i, n in enumerate(names) if n in names[:i]]:
        raise ValueError(f"every column needs a name of its own, however: {twice[0]!r} is there twice")
    return X.set_axis(names, axis=1)


class TableRows(TransformerMixin, BaseEstimator):
    """Columns of a table, each cleaned by its kind, as one representation takes them.

    Nothing is learned: a row is written the same way alone and in any table.

    Parameters
    ----------
    columns : sequence of (str, str)
        Name and kind: ``numeric``, ``category``, ``date`` or ``text``.
    view : {"numbers", "strings", "text"}
        ``"numbers"`` is for `TabularFeatures`: numbers, categories, and of a date its days since 1970, month,
        weekday and hour; free text is left out. ``"strings"`` is for `serialize`: every column, whole numbers
        without a point, dates in ISO 8601. ``"text"`` is the free text alone, one string a row.

    Examples
    --------
    >>> rows = pd.DataFrame({"rooms": [3.0], "sold": ["2024-03-01"], "note": ["by the sea"], "id": [9]})
    >>> columns = [("rooms", "numeric"), ("sold", "date"), ("note", "text")]
    >>> TableRows(columns, "strings").transform(rows).to_dict("records")
    [{'rooms': 3, 'sold': '2024-03-01', 'note': 'by the sea'}]
    >>> TableRows(columns, "numbers").transform(rows).to_dict("records")
    [{'rooms': 3.0, 'sold_days': 19783.0, 'sold_month': 3.0, 'sold_weekday': 4.0, 'sold_hour': 0.0}]
    >>> TableRows(columns, "text").transform(rows).tolist()
    ['by the sea']
    """

    def __init__(self, columns: Sequence[tuple[str, str]], view: View = "numbers") -> None:
        self.columns = columns
        self.view = view

    def fit(self, X: Any, y: Any = None) -> TableRows:
        """Check that the columns are there; nothing is learned."""
        self.transform(X)
        return self

    def transform(self, X: Any) -> Any:
        """Pick and clean.

        Parameters
        ----------
        X : DataFrame (pandas or polars), or list of dict
            Other columns than those wanted are ignored.

        Returns
        -------
        DataFrame, or ndarray of str of shape (n,) for the view ``"text"``

        Raises
        ------
        ValueError
            A missing column, or a cell that has no one text.
        """
        if self.view not in _VIEWS:
            raise ValueError(f"view must be one of {_VIEWS}, however: got {self.view!r}")
        frame = as_frame(X)
        for name, _ in self.columns:
            look_up(name, list(frame.columns), "column")
        wanted = [(n, k, cleaned(frame[n], k)) for n, k in self.columns if self._shows(k)]
        if self.view == "text":
            return _joined([values for _, _, values in wanted], len(frame))
        parts: dict[str, Any] = {}
        for name, kind, values in wanted:
            if kind == "date" and self.view == "numbers":
                parts |= _date_numbers(name, values)
            else:
                cells = _written(values, kind) if self.view == "strings" else np.asarray(values)
                # As objects: pandas would turn None into its own missing value.
                parts[name] = pd.Series(cells, index=frame.index, dtype=cells.dtype)
        return pd.DataFrame(parts, index=frame.index)

    def _shows(self, kind: str) -> bool:
        return kind == "text" if self.view == "text" else self.view == "strings" or kind != "text"

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.categorical = tags.input_tags.allow_nan = True
        tags.requires_fit = False
        return tags


def _date_numbers(name: str, dates: pd.Series) -> dict[str, np.ndarray]:
    days = (dates - pd.Timestamp(0)) / pd.Timedelta(days=1)
    parts = {"days": days, "month": dates.dt.month, "weekday": dates.dt.day_of_week, "hour": dates.dt.hour}
    return {f"{name}_{part}": values.to_numpy(dtype=float, na_value=np.nan) for part, values in parts.items()}


def _written(values: Any, kind: str) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        if kind == "numeric":
            whole = np.isfinite(value) and float(value).is_integer() and abs(value) < 1e15
            out[i] = None if np.isnan(value) else int(value) if whole else float(value)
        elif kind == "date":
            midnight = not pd.isna(value) and value == value.normalize()
            out[i] = None if pd.isna(value) else value.strftime("%Y-%m-%d") if midnight else value.isoformat()
        else:
            out[i] = value
    return out


def _joined(columns: Sequence[pd.Series], n: int) -> np.ndarray:
    out = np.empty(n, dtype=object)
    for i in range(n):
        said = [str(column.iloc[i]) for column in columns if column.iloc[i] is not None]
        # What serialize writes for a missing value: a string cannot be empty.
        out[i] = "\n".join(s for s in said if s.strip()) or "null"
    return out
