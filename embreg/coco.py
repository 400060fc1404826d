"""The 24 functions of COCO's noiseless suite (Hansen et al. 2009), shifted and rotated.

They come from ``cma.bbobbenchmarks``, which is pure Python and so installs wherever Python does. Values
include the offset f_opt of the instance, as those of COCO and of IOHprofiler do. They agree with
IOHprofiler's (package ``ioh``) to 1e-7 relative, except for `SharpRidge` (f13) above 40 dimensions: there
IOHprofiler follows the later definition of the large-scale suite, with ceil(d / 40) linear dimensions, and
this module the original one with a single one.

The readable names are those of `embreg.bbob` for the 21 functions that both families have.
"""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from embreg._bbob_checks import as_points, finite, unknown
from embreg._bbob_transforms import Array

__all__ = ["FUNCTIONS", "LEAST_DOF", "MAX_INSTANCE", "evaluate", "number"]

FUNCTIONS: tuple[str, ...] = (
    "Sphere",
    "Ellipsoidal",
    "Rastrigin",
    "BuecheRastrigin",
    "LinearSlope",
    "AttractiveSector",
    "StepEllipsoidal",
    "Rosenbrock",
    "RosenbrockRotated",
    "EllipsoidalRotated",
    "Discus",
    "BentCigar",
    "SharpRidge",
    "DifferentPowers",
    "RastriginRotated",
    "Weierstrass",
    "SchaffersF7",
    "SchaffersF7IllConditioned",
    "GriewankRosenbrock",
    "Schwefel",
    "Gallagher101Me",
    "Gallagher21Me",
    "Katsuura",
    "Lunacek",
)
"""Names in COCO's order: the first is f1, the last f24."""

LEAST_DOF = 2
"""The suite is defined from two coordinates on."""

MAX_INSTANCE = 200_000
"""Beyond, the seeds that COCO derives from the instance leave the range of its random number generator."""


def number(function: str) -> int:
    """Return COCO's number of a function.

    Parameters
    ----------
    function : str
        A readable name of `FUNCTIONS`, or ``"f1"`` to ``"f24"``.

    Returns
    -------
    int
        1 to 24.

    Raises
    ------
    ValueError
        Unknown function.

    Examples
    --------
    >>> number("SharpRidge"), number("f24")
    (13, 24)
    """
    short = [f"f{i}" for i in range(1, len(FUNCTIONS) + 1)]
    if function in FUNCTIONS:
        return FUNCTIONS.index(function) + 1
    if function in short:
        return short.index(function) + 1
    raise unknown("COCO function (by name, or f1 to f24)", function, FUNCTIONS)


def evaluate(function: str, points: Any, instance: int = 1) -> Array:
    """Evaluate one of COCO's functions on a batch of points.

    Parameters
    ----------
    function : str
        A readable name of `FUNCTIONS`, or ``"f1"`` to ``"f24"``.
    points : array-like, shape (n, d)
        One point a row. The functions are meant for [-5, 5]^d, d ≥ 2.
    instance : int
        From 1: sets the place of the optimum, the rotations and the offset f_opt.

    Returns
    -------
    ndarray of float64, shape (n,)
        Values including f_opt, to be minimized.

    Raises
    ------
    ValueError
        Unknown function; wrong shape; fewer than two coordinates; instance out of range; a point or a value
        that is not finite.
    ImportError
        ``cma`` is not installed, or its test functions are no longer what this module knows.

    Examples
    --------
    >>> evaluate("f1", [[0.0, 0.0], [1.0, -1.0]]).round(2).tolist()
    [80.88, 80.06]
    """
    index = number(function)
    if isinstance(instance, bool) or not isinstance(instance, Integral) or not 1 <= instance <= MAX_INSTANCE:
        raise ValueError(
            f"instance must be a whole number from 1 to {MAX_INSTANCE}, however: got {instance!r}. "
            "COCO's own experiments use 1 to 15."
        )
    name = FUNCTIONS[index - 1]
    x = as_points(points, name, LEAST_DOF)
    return finite(_call_cma(index, int(instance), x), name)


def _call_cma(index: int, instance: int, x: Array) -> Array:
    """Evaluate through `cma`; the one place that knows its interface.

    An object of `cma` keeps the rotations and shapes of its last call. A fresh one each time costs 10 to 40
    ms at 100 coordinates, and makes a value depend on nothing but the arguments, also where several threads
    ask at once.
    """
    try:
        from cma import bbobbenchmarks
    except ImportError as error:
        raise ImportError("COCO's functions need the package cma: pip install 'embreg[tasks]'") from error
    try:
        problem, _ = bbobbenchmarks.instantiate(index, iinstance=instance)
        values = np.asarray(problem(x), dtype=np.float64)
    except (AttributeError, KeyError, TypeError) as error:
        raise ImportError(_changed(f"{type(error).__name__}: {error}")) from error
    if values.shape != (len(x),):
        raise ImportError(_changed(f"values of shape {values.shape} for {len(x)} points"))
    return values


def _changed(what: str) -> str:
    from importlib.metadata import version

    return (
        "cma.bbobbenchmarks no longer does what embreg.coco expects of it, however: installed is cma "
        f"{version('cma')} ({what}). Install the release named in constraints.txt."
    )
