"""The 24 test functions of google-vizier, taken to be the paper's BBOB (its synthetic experiments).

They are related to, but are not, the 24 functions of COCO (for those see `embreg.coco`): 21 are variants of
COCO's without shift of the optimum and without an offset of the value, and three are new (`NegativeSphere`,
`NegativeMinDifference`, `FonsecaFleming`). google-vizier's ``seed`` sets nothing but the rotations, and its
default of 0 makes every one the identity, so no rotation appears here. Two things differ from COCO's
definition on purpose, as in google-vizier: `GriewankRosenbrock` is centered so that its optimum lies at the
origin, and the optima of the Gallagher functions lie on a fixed grid along one line in place of random
places.

Points are rows, values are float64, and nothing that is passed in is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from embreg._bbob_checks import as_points, finite, unknown
from embreg._bbob_transforms import Array, fractions, ladder, oscillate, outside, signs, skew

__all__ = ["ALL_FUNCTIONS", "PAPER_FUNCTIONS", "PENALIZED", "evaluate", "least_dof"]

TWO_PI = 2.0 * np.pi


def _sphere(x: Array) -> Array:
    return (x**2).sum(axis=1)


def _rastrigin(x: Array) -> Array:
    z = ladder(10.0, x.shape[1]) * skew(oscillate(x), 0.2)
    return 10.0 * (x.shape[1] - np.cos(TWO_PI * z).sum(axis=1)) + (z**2).sum(axis=1)


def _bueche_rastrigin(x: Array) -> Array:
    d = x.shape[1]
    steeper = (np.arange(d) % 2 == 0) & (x > 0.0)
    z = np.where(steeper, 10.0, 1.0) * ladder(10.0, d) * oscillate(x)
    return 10.0 * (d - np.cos(TWO_PI * z).sum(axis=1)) + (z**2).sum(axis=1) + 100.0 * outside(x)


def _linear_slope(x: Array) -> Array:
    return (ladder(100.0, x.shape[1]) * (5.0 - x)).sum(axis=1)


def _attractive_sector(x: Array) -> Array:
    corner = signs(x.shape[1], 1.0)
    z = ladder(10.0, x.shape[1]) * (x - corner)
    z = np.where(z * corner > 0.0, 100.0, 1.0) * z
    return oscillate((z**2).sum(axis=1)) ** 0.9


def _step_ellipsoidal(x: Array) -> Array:
    d = x.shape[1]
    z = ladder(10.0, d) * x
    # The test is z > 1/2, not |z| > 1/2 as in COCO: all negative coordinates take the finer steps.
    steps = np.where(z > 0.5, np.floor(0.5 + z), np.floor(0.5 + 10.0 * z) / 10.0)
    hill = (10.0 ** (2.0 * fractions(d)) * steps**2).sum(axis=1)
    return 0.1 * np.maximum(np.abs(z[:, 0]) / 1000.0, hill) + outside(x)


def _valley(z: Array) -> Array:
    """Return the terms of Rosenbrock's function, one for each pair of neighbors."""
    return 100.0 * (z[:, :-1] ** 2 - z[:, 1:]) ** 2 + (z[:, :-1] - 1.0) ** 2


def _rosenbrock_rotated(x: Array) -> Array:
    return _valley(max(1.0, x.shape[1] ** 0.5 / 8.0) * x + 0.5).sum(axis=1)


def _ellipsoidal(x: Array) -> Array:
    return (10.0 ** (6.0 * fractions(x.shape[1])) * oscillate(x) ** 2).sum(axis=1)


def _discus(x: Array) -> Array:
    squares = oscillate(x) ** 2
    return 1e6 * squares[:, 0] + squares[:, 1:].sum(axis=1)


def _bent_cigar(x: Array) -> Array:
    squares = skew(x, 0.5) ** 2
    return squares[:, 0] + 1e6 * squares[:, 1:].sum(axis=1)


def _sharp_ridge(x: Array) -> Array:
    squares = (ladder(10.0, x.shape[1]) * x) ** 2
    return squares[:, 0] + 100.0 * np.sqrt(squares[:, 1:].sum(axis=1))


def _different_powers(x: Array) -> Array:
    return np.sqrt((np.abs(x) ** (2.0 + 4.0 * fractions(x.shape[1]))).sum(axis=1))


def _weierstrass(x: Array) -> Array:
    d = x.shape[1]
    z = ladder(0.01, d) * oscillate(x)
    waves = np.zeros(len(x))
    lowest = 0.0
    for k in range(12):
        waves += 0.5**k * np.cos(TWO_PI * 3.0**k * (z + 0.5)).sum(axis=1)
        lowest += 0.5**k * np.cos(np.pi * 3.0**k)
    return 10.0 * (waves / d - lowest) ** 3 + 10.0 * outside(x) / d


def _schaffers(x: Array, condition: float) -> Array:
    z = ladder(condition, x.shape[1]) * skew(x, 0.5)
    radius = np.sqrt(z[:, :-1] ** 2 + z[:, 1:] ** 2)
    rings = np.sqrt(radius) * (1.0 + np.sin(50.0 * radius**0.2) ** 2)
    return rings.mean(axis=1) ** 2 + 10.0 * outside(x)


def _griewank_rosenbrock(x: Array) -> Array:
    d = x.shape[1]
    terms = _valley(max(1.0, d**0.5 / 8.0) * x + 1.0)
    return 10.0 * (terms / 4000.0 - np.cos(terms)).sum(axis=1) / (d - 1) + 10.0


def _schwefel(x: Array) -> Array:
    d = x.shape[1]
    peak = 4.2096874633
    z = 2.0 * signs(d, -1.0) * x
    z[:, 1:] += 0.25 * (z[:, :-1] - peak)  # the right-hand side is read in full before it is written
    z = 100.0 * (ladder(10.0, d) * (z - peak) + peak)
    waves = (z * np.sin(np.sqrt(np.abs(z)))).sum(axis=1)
    return -waves / (100.0 * d) + 4.189828872724339 + 100.0 * outside(z / 100.0)


def _katsuura(x: Array) -> Array:
    d = x.shape[1]
    z = ladder(100.0, d) * x
    rough = np.zeros_like(z)
    for j in range(1, 33):
        finer = 2.0**j * z
        rough += np.abs(finer - np.rint(finer)) / 2.0**j
    factors = (1.0 + np.arange(1, d + 1) * rough) ** (10.0 / d**1.2)
    return 10.0 / d**2 * factors.prod(axis=1) - 10.0 / d**2 + outside(x)


def _lunacek(x: Array) -> Array:
    d = x.shape[1]
    mu = 2.5
    scale = 1.0 - 1.0 / (2.0 * (d + 20.0) ** 0.5 - 8.2)
    other = -(((mu**2 - 1.0) / scale) ** 0.5)
    z = 2.0 * x
    near = ((z - mu) ** 2).sum(axis=1)
    far = d + scale * ((z - other) ** 2).sum(axis=1)
    waves = d - np.cos(TWO_PI * ladder(100.0, d) * (z - mu)).sum(axis=1)
    return np.minimum(near, far) + 10.0 * waves + 1e4 * outside(x)


def _gallagher(x: Array, peaks: int) -> Array:
    d = x.shape[1]
    best = 10.0 * np.exp(-(ladder(1000.0, d) * x**2).sum(axis=1) / (2.0 * d))  # the global one, at the origin
    for i in range(peaks - 1):
        place = -5.0 + 10.0 * (i * d + np.arange(d) + 1.0) / (d * peaks + 2.0)
        condition = 1000.0 ** (2.0 * i / (peaks - 2))
        widths = ladder(condition, d) / condition**0.25
        height = 1.1 + 8.0 * i / (peaks - 2.0)
        best = np.maximum(best, height * np.exp(-(widths * (x - place) ** 2).sum(axis=1) / (2.0 * d)))
    return oscillate(10.0 - best) ** 2 + outside(x)


def _negative_sphere(x: Array) -> Array:
    return 100.0 + (x**2).sum(axis=1) - 2.0 * x[:, 0] ** 2


def _negative_min_difference(x: Array) -> Array:
    return 10.0 - np.diff(x, axis=1).min(axis=1) + 1e-8 * x.sum(axis=1)


def _fonseca_fleming(x: Array) -> Array:
    return 1.0 - np.exp(-_sphere(x))


_FUNCTIONS: Mapping[str, Callable[[Array], Array]] = MappingProxyType(
    {
        "Sphere": _sphere,
        "Rastrigin": _rastrigin,
        "BuecheRastrigin": _bueche_rastrigin,
        "LinearSlope": _linear_slope,
        "AttractiveSector": _attractive_sector,
        "StepEllipsoidal": _step_ellipsoidal,
        "RosenbrockRotated": _rosenbrock_rotated,
        "Ellipsoidal": _ellipsoidal,
        "Discus": _discus,
        "BentCigar": _bent_cigar,
        "SharpRidge": _sharp_ridge,
        "DifferentPowers": _different_powers,
        "Weierstrass": _weierstrass,
        "SchaffersF7": lambda x: _schaffers(x, 10.0),
        "SchaffersF7IllConditioned": lambda x: _schaffers(x, 1000.0),
        "GriewankRosenbrock": _griewank_rosenbrock,
        "Schwefel": _schwefel,
        "Katsuura": _katsuura,
        "Lunacek": _lunacek,
        "Gallagher101Me": lambda x: _gallagher(x, 101),
        "Gallagher21Me": lambda x: _gallagher(x, 21),
        "NegativeSphere": _negative_sphere,
        "NegativeMinDifference": _negative_min_difference,
        "FonsecaFleming": _fonseca_fleming,
    }
)

# Sums over neighboring coordinates, of which one coordinate has none; and Lunacek, whose second basin lies at
# the root of a number that is negative there.
_FROM_TWO = frozenset(
    (
        "RosenbrockRotated",
        "SchaffersF7",
        "SchaffersF7IllConditioned",
        "GriewankRosenbrock",
        "Lunacek",
        "NegativeMinDifference",
    )
)

ALL_FUNCTIONS: tuple[str, ...] = tuple(_FUNCTIONS)
"""Names of the 24 functions, in google-vizier's order."""

PAPER_FUNCTIONS: tuple[str, ...] = tuple(name for name in ALL_FUNCTIONS if name != "FonsecaFleming")
"""The 23 functions taken to be the paper's, which says 23 and does not say which.

`FonsecaFleming` is left out: it is 1 - exp(-‖x‖²), and in float64 this is exactly 1 where ‖x‖² is above 37. A
point drawn from [-5, 5]^d has ‖x‖² = 8.3 d on average, so from 10 coordinates on nearly every value, and from
20 on every value, is the same number: there is nothing to learn, and no rank correlation is defined.
"""

PENALIZED: tuple[str, ...] = (
    "BuecheRastrigin",
    "StepEllipsoidal",
    "Weierstrass",
    "SchaffersF7",
    "SchaffersF7IllConditioned",
    "Katsuura",
    "Lunacek",
    "Gallagher101Me",
    "Gallagher21Me",
)
"""The functions that add a multiple of the squared distance from the box [-5, 5]^d.

Inside the box it is zero. A shift moves points out of it, and the penalty can then be nearly all that is
left: at a shift of up to 4 per coordinate and 25 coordinates the ranks of `Lunacek` and of both `Gallagher`
functions are those of the penalty. Results under a shift should therefore be looked at with and without
these. (`Schwefel` has a penalty too, on coordinates of its own, which is at work in the middle of the box
already.)
"""


def least_dof(function: str) -> int:
    """Return the fewest coordinates that a function is defined for.

    Parameters
    ----------
    function : str
        One of `ALL_FUNCTIONS`.

    Returns
    -------
    int
        1 or 2.

    Raises
    ------
    ValueError
        Unknown function.

    Examples
    --------
    >>> least_dof("Sphere"), least_dof("RosenbrockRotated")
    (1, 2)
    """
    if function not in _FUNCTIONS:
        raise unknown("BBOB function", function, ALL_FUNCTIONS)
    return 2 if function in _FROM_TWO else 1


def evaluate(function: str, points: Any) -> Array:
    """Evaluate one of google-vizier's BBOB functions on a batch of points.

    Parameters
    ----------
    function : str
        One of `ALL_FUNCTIONS`.
    points : array-like, shape (n, d)
        One point a row. The functions are meant for [-5, 5]^d; outside, most of them add a steep penalty.

    Returns
    -------
    ndarray of float64, shape (n,)
        Values, to be minimized.

    Raises
    ------
    ValueError
        Unknown function; wrong shape; too few coordinates; a point or a value that is not finite.

    Examples
    --------
    >>> evaluate("Sphere", [[3.0, 4.0], [0.0, 0.0]]).tolist()
    [25.0, 0.0]
    """
    x = as_points(points, function, least_dof(function))
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is an error in the next line
        values = _FUNCTIONS[function](x)
    return finite(values, function)
