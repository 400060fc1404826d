"""Building blocks shared by the functions of `embreg.bbob`.

The names in brackets are those of the definition of the COCO functions (Hansen et al. 2009). All take a
batch, one point a row, and reduce along rows with `numpy` sums rather than matrix products: a point's value
then does not depend on the rows beside it, nor on the linear-algebra library of the machine.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

__all__ = ["Array", "fractions", "ladder", "oscillate", "outside", "signs", "skew"]


def fractions(d: int) -> Array:
    """Return the position of each coordinate, from 0 for the first to 1 for the last.

    Parameters
    ----------
    d : int
        Number of coordinates. A single coordinate counts as the last.

    Returns
    -------
    ndarray of float64, shape (d,)
        ``i / (d - 1)``.

    Examples
    --------
    >>> fractions(3).tolist()
    [0.0, 0.5, 1.0]
    """
    return np.arange(d) / (d - 1.0) if d > 1 else np.ones(1)


def ladder(alpha: float, d: int) -> Array:
    """Return the diagonal of the conditioning matrix (Λ^α): from 1 to √α in a geometric sequence.

    Parameters
    ----------
    alpha : float
        Condition number of the squared scales.
    d : int
        Number of coordinates.

    Returns
    -------
    ndarray of float64, shape (d,)
        Factors of the coordinates.

    Examples
    --------
    >>> ladder(100.0, 3).round(4).tolist()
    [1.0, 3.1623, 10.0]
    """
    return np.asarray(alpha ** (0.5 * fractions(d)))


def signs(d: int, first: float) -> Array:
    """Return alternating signs.

    Parameters
    ----------
    d : int
        Number of coordinates.
    first : float
        Sign of the first one, 1 or -1.

    Returns
    -------
    ndarray of float64, shape (d,)
        Signs.

    Examples
    --------
    >>> signs(3, -1.0).tolist()
    [-1.0, 1.0, -1.0]
    """
    return np.where(np.arange(d) % 2 == 0, first, -first)


def oscillate(x: Array) -> Array:
    """Add small smooth waves while keeping order, sign and zero (T_osz).

    Parameters
    ----------
    x : ndarray of float64
        Any shape.

    Returns
    -------
    ndarray of float64
        Same shape.

    Examples
    --------
    >>> oscillate(np.array([-1.0, 0.0, 1.0])).tolist()
    [-1.0, 0.0, 1.0]
    """
    size = np.log(np.where(x == 0.0, 1.0, np.abs(x)))
    upper = x > 0.0
    waves = np.sin(np.where(upper, 10.0, 5.5) * size) + np.sin(np.where(upper, 7.9, 3.1) * size)
    return np.asarray(np.sign(x) * np.exp(size + 0.049 * waves))


def skew(x: Array, beta: float) -> Array:
    """Stretch positive coordinates, later ones more (T_asy); others stay as they are.

    Parameters
    ----------
    x : ndarray of float64, shape (n, d)
        Points.
    beta : float
        Strength.

    Returns
    -------
    ndarray of float64, shape (n, d)
        Stretched points.

    Examples
    --------
    >>> skew(np.array([[4.0, 4.0], [-4.0, -4.0]]), 0.5).tolist()
    [[4.0, 16.0], [-4.0, -4.0]]
    """
    positive = np.maximum(x, 0.0)
    power = 1.0 + beta * fractions(x.shape[1]) * np.sqrt(positive)
    return np.where(x > 0.0, positive**power, x)


def outside(x: Array) -> Array:
    """Return the squared distance of each point from the box [-5, 5]^d (f_pen).

    Parameters
    ----------
    x : ndarray of float64, shape (n, d)
        Points.

    Returns
    -------
    ndarray of float64, shape (n,)
        Zero inside the box.

    Examples
    --------
    >>> outside(np.array([[5.0, -5.0], [7.0, -6.0]])).tolist()
    [0.0, 5.0]
    """
    return np.asarray((np.maximum(np.abs(x) - 5.0, 0.0) ** 2).sum(axis=1))
