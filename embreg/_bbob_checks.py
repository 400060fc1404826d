"""Checks shared by the two families of test functions: of a name, of a batch of points and of its values."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

import numpy as np

from embreg._bbob_transforms import Array

__all__ = ["as_points", "finite", "unknown"]


def unknown(what: str, got: Any, known: Iterable[str]) -> ValueError:
    """Make the error for a name that is not in a list, with the nearest names that are.

    Parameters
    ----------
    what : str
        What was asked for, such as ``"BBOB function"``.
    got : Any
        The name that was given.
    known : iterable of str
        The names there are.

    Returns
    -------
    ValueError
        To be raised by the caller.

    Examples
    --------
    >>> print(unknown("fruit", "aple", ["apple", "pear"]))
    unknown fruit: 'aple'; did you mean 'apple'? There are: apple, pear
    """
    names = list(known)
    folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(str(got).casefold(), list(folded), n=2, cutoff=0.6)
    hint = f"; did you mean {' or '.join(repr(folded[match]) for match in near)}?" if near else "."
    return ValueError(f"unknown {what}: {got!r}{hint} There are: {', '.join(names)}")


def as_points(points: Any, function: str, least: int) -> Array:
    """Return a private float64 copy of a batch of points.

    Parameters
    ----------
    points : array-like, shape (n, d)
        One point a row.
    function : str
        The function the points are for, named in errors.
    least : int
        The fewest coordinates that it is defined for.

    Returns
    -------
    ndarray of float64, shape (n, d)
        A copy in row order: summing along a row then takes the same steps whatever the layout of the input.

    Raises
    ------
    ValueError
        Not two-dimensional, too few coordinates, or not finite.

    Examples
    --------
    >>> as_points([[1, 2]], "Sphere", 1).dtype
    dtype('float64')
    """
    x = np.array(points, dtype=np.float64, order="C", copy=True)
    if x.ndim != 2:
        raise ValueError(
            f"{function} takes a batch of points, shape (n, d), however: got shape {x.shape}. "
            "Reshape a single point to (1, d)."
        )
    if x.shape[1] < least:
        raise ValueError(
            f"{function} needs at least {least} coordinate{'s' * (least > 1)}, however: got {x.shape[1]}. "
            "Use more, or another function."
        )
    _raise_if_not_finite(np.isfinite(x).all(axis=1), f"a point given to {function}", "Remove or repair it.")
    return x


def finite(values: Array, function: str) -> Array:
    """Return the values of a function as they are, or raise when one is NaN or infinite.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Values of a function.
    function : str
        Its name, for the error.

    Returns
    -------
    ndarray of float64, shape (n,)
        The same array.

    Raises
    ------
    ValueError
        A value is not finite.

    Examples
    --------
    >>> finite(np.array([1.0, 2.0]), "Sphere").tolist()
    [1.0, 2.0]
    """
    way_out = "Its points lie too far outside [-5, 5]; use a smaller shift."
    _raise_if_not_finite(np.isfinite(values), f"a value of {function}", way_out)
    return values


def _raise_if_not_finite(good: Any, what: str, way_out: str) -> None:
    if not good.all():
        raise ValueError(
            f"{what} must be finite, however: {int((~good).sum())} of {good.size} rows are not, "
            f"the first at row {int(np.argmin(good))}. {way_out}"
        )
