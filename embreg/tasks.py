"""Regression tasks: tables of points with a target, from test functions or measured on real systems.

Measured tasks come in families: see `families` and `family`.

All BBOB tasks of one number of coordinates (`dof`) and one seed share their points, whatever the function,
the shift and the variant: embedding a point once serves them all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from embreg import bbob as _vizier
from embreg import coco as _coco
from embreg._bbob_checks import unknown
from embreg._task import LEAST_ROWS, Split, Task, split_rows, stream, whole
from embreg.families import families, family

__all__ = [
    "Split",
    "Task",
    "bbob",
    "bbob_functions",
    "bbob_points",
    "bbob_shift",
    "bbob_targets",
    "families",
    "family",
    "split_rows",
]

VARIANTS = ("paper", "coco")


def bbob_functions(variant: str = "paper") -> tuple[str, ...]:
    """List the functions of a variant.

    Parameters
    ----------
    variant : {"paper", "coco"}
        google-vizier's functions less the constant one (see `embreg.bbob.PAPER_FUNCTIONS`), or COCO's.

    Returns
    -------
    tuple of str
        23 or 24 names; 21 of them are in both.

    Raises
    ------
    ValueError
        Unknown variant.

    Examples
    --------
    >>> len(bbob_functions("paper")), len(bbob_functions("coco"))
    (23, 24)
    """
    if variant not in VARIANTS:
        raise unknown("variant", variant, VARIANTS)
    return _vizier.PAPER_FUNCTIONS if variant == "paper" else _coco.FUNCTIONS


def bbob_points(dof: int, n: int = 500, seed: int = 0) -> pd.DataFrame:
    """Draw the points that all tasks of a dof and a seed share.

    Parameters
    ----------
    dof : int
        Number of coordinates, from 1.
    n : int
        Number of points, from 10. The first points of a longer table are those of a shorter one.
    seed : int
        From 0.

    Returns
    -------
    DataFrame of float64, shape (n, dof)
        Columns x0, x1, …; uniform in [-5, 5].

    Raises
    ------
    ValueError
        An argument below its limit, or no whole number.

    Examples
    --------
    >>> bbob_points(2, n=10).shape
    (10, 2)
    """
    dof, n, seed = whole("dof", dof, 1), whole("n", n, LEAST_ROWS), whole("seed", seed, 0)
    x = stream((dof, seed), "points").uniform(-5.0, 5.0, size=(n, dof))
    return pd.DataFrame(x, columns=[f"x{i}" for i in range(dof)])


def bbob_shift(function: str, dof: int, *, seed: int = 0, shift: float = 0.0) -> npt.NDArray[np.float64]:
    """Draw the shift s of a function: the paper's variant then evaluates f(x - s).

    It is `shift` times a direction drawn from a stream of its own for each (function, dof, seed). So the
    optima of two functions move to unrelated places, and a larger `shift` moves the same optimum further the
    same way.

    Parameters
    ----------
    function : str
        One of ``bbob_functions("paper")``.
    dof : int
        Number of coordinates.
    seed : int
        Seed of the points and of the direction.
    shift : float
        Largest shift per coordinate, from 0.

    Returns
    -------
    ndarray of float64, shape (dof,)
        Uniform in [-shift, shift].

    Raises
    ------
    ValueError
        A negative, infinite or NaN shift; an unknown function; a dof or seed below its limit.

    Examples
    --------
    >>> bool((abs(bbob_shift("Sphere", 5, shift=2.0)) <= 2.0).all())
    True
    """
    function = _checked_function(function, "paper")
    dof, seed, shift = whole("dof", dof, 1), whole("seed", seed, 0), _checked_shift(shift, "paper")
    return shift * stream((dof, seed), f"shift of {function}").uniform(-1.0, 1.0, size=dof)


def bbob_targets(
    functions: Sequence[str],
    dof: int,
    *,
    n: int = 500,
    seed: int = 0,
    variant: str = "paper",
    shift: float = 0.0,
) -> tuple[pd.DataFrame, npt.NDArray[np.float64]]:
    """Evaluate many functions on the points they share.

    Parameters
    ----------
    functions : sequence of str
        Names from `bbob_functions`; COCO's also as ``"f1"`` to ``"f24"``.
    dof, n, seed, variant, shift
        See `bbob`.

    Returns
    -------
    rows : DataFrame of float64, shape (n, dof)
        The points.
    targets : ndarray of float64, shape (n, len(functions))
        One column a function; each equals `bbob`'s ``y``.

    Raises
    ------
    ValueError
        As `bbob`; also an empty list, or one name in place of a list.

    Examples
    --------
    >>> rows, targets = bbob_targets(["Sphere", "Discus"], 5, n=20)
    >>> rows.shape, targets.shape
    ((20, 5), (20, 2))
    """
    if isinstance(functions, str) or len(functions) == 0:
        raise ValueError(
            f"functions must be a list of at least one name, however: got {functions!r}. "
            "bbob_functions(variant) lists them all."
        )
    names = [_checked_function(function, variant) for function in functions]
    shift = _checked_shift(shift, variant)
    if variant == "coco" and whole("seed", seed, 0) >= _coco.MAX_INSTANCE:
        raise ValueError(
            f"seed must be below {_coco.MAX_INSTANCE} for variant 'coco', whose instance is seed + 1, "
            f"however: got {seed!r}. Choose a smaller one."
        )
    rows = bbob_points(dof, n, seed)
    x = rows.to_numpy()
    columns = []
    for name in names:
        if variant == "coco":
            columns.append(_coco.evaluate(name, x, instance=int(seed) + 1))
        else:
            columns.append(_vizier.evaluate(name, x - bbob_shift(name, dof, seed=seed, shift=shift)))
    return rows, np.stack(columns, axis=1)


def bbob(
    function: str, dof: int, *, n: int = 500, seed: int = 0, variant: str = "paper", shift: float = 0.0
) -> Task:
    """Make a task from a BBOB function (the paper's synthetic tasks).

    Parameters
    ----------
    function : str
        A name from `bbob_functions`; COCO's also as ``"f1"`` to ``"f24"``.
    dof : int
        Degrees of freedom: the number of coordinates, each uniform in [-5, 5]. From 1, or 2 where the
        function needs it.
    n : int
        Number of points, from 10; the paper's number is taken to be 500.
    seed : int
        Seed of the points, of the shift, and, as ``seed + 1``, COCO's instance.
    variant : {"paper", "coco"}
        google-vizier's functions, with the optimum of most at or near the origin and no rotation; or COCO's,
        with the optimum moved and most functions rotated, by their own definition.
    shift : float
        Evaluate f(x - s) with s uniform in [-shift, shift] per coordinate (see `bbob_shift`), on the same
        points. Some functions penalize leaving the box, see `embreg.bbob.PENALIZED`. Must be 0 for "coco".

    Returns
    -------
    Task
        Points and values.

    Raises
    ------
    ValueError
        Unknown function or variant; `dof`, `n` or `seed` below its limit; `shift` negative, infinite, NaN, or
        not 0 for "coco"; a value that is not finite.

    Examples
    --------
    >>> task = bbob("Rastrigin", 10, shift=4.0)
    >>> task.rows.shape, task.name
    ((500, 10), 'bbob-paper/Rastrigin/d10/seed0/shift4')
    """
    rows, targets = bbob_targets([function], dof, n=n, seed=seed, variant=variant, shift=shift)
    function, shift = _checked_function(function, variant), float(shift)
    moved = f"/shift{shift:g}" if shift else ""
    return Task(
        name=f"bbob-{variant}/{function}/d{dof}/seed{seed}{moved}",
        rows=rows,
        y=targets[:, 0],
        suite="bbob",
        function=function,
        dof=int(dof),
        seed=int(seed),
        variant=variant,
        shift=shift,
    )


def _checked_function(function: str, variant: str) -> str:
    known = bbob_functions(variant)
    if variant == "coco":
        return known[_coco.number(function) - 1]
    if function == "FonsecaFleming":
        raise ValueError(
            "'FonsecaFleming' is left out of the 23 functions: in float64 it is the constant 1 from about "
            "10 coordinates on, so there is nothing to learn. Choose another of bbob_functions('paper'), "
            "or call embreg.bbob.evaluate for the values themselves."
        )
    if function not in known:
        raise unknown(f"function of variant {variant!r}", function, known)
    return function


def _checked_shift(shift: Any, variant: str) -> float:
    if isinstance(shift, bool) or not isinstance(shift, Real) or not math.isfinite(shift) or shift < 0:
        raise ValueError(
            f"shift must be a finite number of at least 0, however: got {shift!r}. "
            "0 leaves the functions as they are."
        )
    if variant == "coco" and shift != 0:
        raise ValueError(
            f"shift must be 0 for variant 'coco', however: got {shift!r}. "
            "COCO's functions are shifted by their own definition: choose another seed, or variant='paper'."
        )
    return float(shift)
