"""Control representations: what a language model must beat before language is the reason that it wins."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd

from embreg._bag import BagOfRandomFeatures
from embreg._components import principal_components
from embreg._scramble import permuted_digits, shuffled_coordinates
from embreg._task import stream, whole

__all__ = [
    "CONTROLS",
    "BagOfRandomFeatures",
    "Control",
    "apply_control",
    "control_rows",
    "control_strings",
    "digit_map",
]

_WIDTH = 512


@dataclass(frozen=True)
class Control:
    """What a control does, and to what.

    Parameters
    ----------
    about : str
        One line for a table.
    level : {"rows", "strings", "features", "traditional"}
        What it acts on: the table, its strings, any features, or φ_trad alone.
    sized : bool
        Whether its number of features can be chosen.

    Examples
    --------
    >>> CONTROLS["bag"].level
    'traditional'
    """

    about: str
    level: Literal["rows", "strings", "features", "traditional"]
    sized: bool = False


CONTROLS: Mapping[str, Control] = MappingProxyType({
    "projection": Control("φ_trad by a Gaussian random matrix", "traditional", sized=True),
    "fourier": Control("random Fourier features of φ_trad", "traditional", sized=True),
    "bag": Control("one random map of every coordinate, averaged: symmetric", "traditional", sized=True),
    "bag_own": Control("a random map per coordinate, averaged: not symmetric", "traditional", sized=True),
    "pca": Control("principal components", "features", sized=True),
    "standard_pca": Control("principal components of standardised features", "features", sized=True),
    "shuffled_rows": Control("features of other rows: nothing to learn, must be chance", "features"),
    "permuted_digits": Control("each digit of a value replaced by another one: information kept", "strings"),
    "shuffled_coordinates": Control("values of a row in random columns: only their multiset is kept", "rows"),
})  # fmt: skip
"""Every control by name, in the order in which tables show them."""


def apply_control(
    name: str,
    features: np.ndarray,
    *,
    train: np.ndarray,
    width: int | None = None,
    random_state: int = 0,
) -> np.ndarray:
    """Control representation of all rows, learned on the training rows alone.

    Parameters
    ----------
    name : str
        A control of level ``"traditional"``, for φ_trad, or ``"features"``, for any features.
    features : ndarray of shape (n, d)
    train : ndarray of int
        Numbers of the training rows.
    width : int, optional
        Number of features of a control that is `sized`. By default 512, or for principal components as
        many as the training rows span.
    random_state : int
        Of what is drawn: not the stream that points and splits of the same seed come from.

    Returns
    -------
    ndarray of shape (n, width), float64
        ``shuffled_rows`` keeps shape and type of `features`.

    Raises
    ------
    ValueError
        Another name, features that are not 2-D and finite, training rows that are none, twice there or
        out of range or that are all the same, a width where there is none to choose, or more principal
        components than the training rows span.

    Notes
    -----
    ``projection`` may be wider than φ_trad; it then holds what φ_trad holds, in other coordinates.
    ``fourier`` takes one over the mean squared distance of two training rows as gamma of its kernel,
    half of what scikit-learn calls ``"scale"``; for one coordinate of variance 1 this is the gamma of
    `BagOfRandomFeatures`. Heads standardise what they get, so that to them principal components are
    whitened: a component without variance would be rounding errors made as large as the first one, and
    is refused.

    Examples
    --------
    >>> features = np.random.default_rng(0).normal(size=(20, 3))
    >>> apply_control("bag", features, train=np.arange(16), width=64).shape
    (20, 64)
    """
    _control(name, "traditional", "features")
    X = np.asarray(features)
    train = _checked(X, train)
    random_state = whole("random_state", random_state, 0)
    if name == "shuffled_rows":
        if width is not None:
            raise ValueError(f"width must be None for control {name!r}, however: got {width!r}")
        return X[_stream(random_state, name).permutation(len(X))]
    if width is not None:
        width = whole("width", width, 1)
    if name in ("pca", "standard_pca"):
        return principal_components(X, train, width, standard=name == "standard_pca")
    X = X.astype(float)
    random = _random(name, X[train], width or _WIDTH, random_state)
    with warnings.catch_warnings():
        if name == "projection":
            from sklearn.exceptions import DataDimensionalityWarning

            # More components than features are what is asked for here.
            warnings.simplefilter("ignore", DataDimensionalityWarning)
        return random.fit(X[train]).transform(X)


def control_rows(name: str, rows: pd.DataFrame, random_state: int = 0) -> pd.DataFrame:
    """Rows changed by a control of level ``"rows"``.

    Parameters
    ----------
    name : {"shuffled_coordinates"}
        The values of each row go to its columns by a permutation drawn for that row.
    rows : DataFrame of n rows and d >= 2 columns
        Finite numbers of one type. From 10 rows on, columns must share one range: no range more than
        4 times as wide as another, and no two medians further apart than the widest range.
    random_state : int

    Returns
    -------
    DataFrame
        Same index, columns and type.

    Raises
    ------
    TypeError
        Rows that are no DataFrame, or columns that are no numbers or not of one type.
    ValueError
        Another name, a single column, missing or infinite values, or columns of different ranges.

    Examples
    --------
    >>> rows = pd.DataFrame({"x0": [1, 4], "x1": [2, 5], "x2": [3, 6]})
    >>> mixed = control_rows("shuffled_coordinates", rows)
    >>> np.sort(mixed.to_numpy(), axis=1).tolist()
    [[1, 2, 3], [4, 5, 6]]
    """
    _control(name, "rows")
    return shuffled_coordinates(rows, _stream(random_state, name))


def control_strings(
    name: str,
    rows: pd.DataFrame,
    style: Literal["json", "pairs", "values"] = "json",
    decimals: int = 4,
    random_state: int = 0,
) -> list[str]:
    """Strings changed by a control of level ``"strings"``.

    Parameters
    ----------
    name : {"permuted_digits"}
        Every digit of every value is replaced as `digit_map` says; names of columns keep theirs. What
        differed still differs, and replacing the other way round gives the strings of `serialize`;
        but digits no longer mean their numbers.
    rows : DataFrame of n rows
    style, decimals : str, int
        As for `serialize`.
    random_state : int

    Returns
    -------
    list of str
        In the order of the rows.

    Raises
    ------
    TypeError
        Rows that are no DataFrame, or a cell that `serialize` does not write.
    ValueError
        Another name, no digit in any value (the control would do nothing), and what `serialize` refuses.

    Examples
    --------
    >>> digit_map(0)["1"], digit_map(0)["5"]
    ('0', '8')
    >>> control_strings("permuted_digits", pd.DataFrame({"x1": [1.5], "x5": [-5.1]}), decimals=1)
    ['{x1:0.8,x5:-8.0}']
    """
    _control(name, "strings")
    return permuted_digits(rows, digit_map(random_state), style=style, decimals=decimals)


def digit_map(random_state: int = 0) -> dict[str, str]:
    """Digit to the digit that ``permuted_digits`` writes in its place; none keeps its own.

    Parameters
    ----------
    random_state : int

    Returns
    -------
    dict of 10 str to str
        A permutation, uniform among those without a fixed point.

    Examples
    --------
    >>> "".join(sorted(digit_map(0).values()))
    '0123456789'
    """
    rng = _stream(random_state, "permuted_digits")
    to = rng.permutation(10)
    while (to == np.arange(10)).any():
        to = rng.permutation(10)
    return {str(digit): str(other) for digit, other in enumerate(to)}


def _random(name: str, training: np.ndarray, width: int, random_state: int) -> Any:
    """The transformer of a random map, not fitted."""
    if name == "projection":
        from sklearn.random_projection import GaussianRandomProjection

        return GaussianRandomProjection(n_components=width, random_state=random_state)
    if name == "fourier":
        from sklearn.kernel_approximation import RBFSampler

        if not np.ptp(training, axis=0).any():
            raise ValueError(f"training rows must differ, however: all {len(training)} are the same")
        gamma = 1 / (2 * training.var(0).sum())
        return RBFSampler(gamma=gamma, n_components=width, random_state=random_state)
    return BagOfRandomFeatures(width=width, shared=name == "bag", random_state=random_state)


def _control(name: str, *levels: str) -> Control:
    known = [n for n, c in CONTROLS.items() if c.level in levels]
    if name not in known:
        raise ValueError(f"control must be one of {known} here, however: got {name!r}")
    return CONTROLS[name]


def _checked(X: np.ndarray, train: Any) -> np.ndarray:
    """Training rows as an array, once they and the features are what they must be."""
    if X.ndim != 2 or X.dtype.kind not in "fiu" or not X.shape[1]:
        raise ValueError(
            f"features must be numbers of shape (n, d), however: got {X.dtype} of shape {X.shape}"
        )
    if not np.isfinite(X).all():
        i, j = np.argwhere(~np.isfinite(X))[0]
        raise ValueError(f"features must be finite, however: features[{i}, {j}]={X[i, j]}")
    train = np.asarray(train)
    if train.ndim != 1 or train.dtype.kind not in "iu" or not len(train):
        raise ValueError(
            f"train must be row numbers, at least one, however: got {train.dtype} of shape {train.shape}"
        )
    if train.min() < 0 or train.max() >= len(X) or len(np.unique(train)) < len(train):
        raise ValueError(
            f"train must be different row numbers from 0 to {len(X) - 1}, however: got {len(train)} from "
            f"{train.min()} to {train.max()}, {len(np.unique(train))} of them different"
        )
    return train


def _stream(random_state: int, name: str) -> np.random.Generator:
    """Numbers of one control, apart from those of the points and the split of the same seed."""
    return stream((whole("random_state", random_state, 0),), f"control {name}")
