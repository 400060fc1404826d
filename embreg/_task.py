"""What a regression task is: a table of points, a target, and a way to cut it in three."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["LEAST_ROWS", "Split", "Task", "split_rows", "stream", "whole"]

LEAST_ROWS = 10
"""Below, a tenth of the rows is less than one row."""


class Split(NamedTuple):
    """Row numbers of the three parts of a task.

    Parameters
    ----------
    train, val, test : ndarray of int64
        Disjoint; together every row.

    Examples
    --------
    >>> Split(np.array([3, 0]), np.array([1]), np.array([2])).train
    array([3, 0])
    """

    train: npt.NDArray[np.int64]
    val: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Task:
    """A table of points and the target to predict from them.

    Parameters
    ----------
    name : str
        Says in one word what the other fields say.
    rows : DataFrame, shape (n, d)
        One point a row; for BBOB float64 columns x0, x1, …
    y : ndarray of float64, shape (n,)
        Targets. A read-only copy is kept.
    suite, function, variant : str
        Where the target comes from; of measured data the family and the task.
    dof : int
        Degrees of freedom: the number of coordinates, or of parameters, inactive ones included.
    seed : int
        Seed of the points.
    shift : float
        Largest shift per coordinate.
    unit : str
        Of y; ``"1"`` for a ratio, empty where y has none.
    direction : {"min", "max"}
        Which end of y is the good one.
    target : str
        What y is, in words.
    noise_sd : float
        Standard deviation of y between repeats of a row: 0 where they are equal, NaN where unknown.
    effective_dof : int or None
        How many parameters a model was seen to use (see `embreg.effective.effective_dof`), None where
        nobody counted.

    Raises
    ------
    ValueError
        `y` is not one finite number for each row, `direction` is neither of the two, or `noise_sd` is
        negative or infinite.

    Examples
    --------
    >>> from embreg.tasks import bbob
    >>> task = bbob("Sphere", 3, n=20)
    >>> task.name, len(task), list(task.rows.columns), task.y.dtype
    ('bbob-paper/Sphere/d3/seed0', 20, ['x0', 'x1', 'x2'], dtype('float64'))
    """

    name: str
    rows: pd.DataFrame
    y: npt.NDArray[np.float64]
    suite: str
    function: str
    dof: int
    seed: int
    variant: str
    shift: float = 0.0
    unit: str = ""
    direction: Literal["min", "max"] = "min"
    target: str = ""
    noise_sd: float = math.nan
    effective_dof: int | None = None

    def __post_init__(self) -> None:
        y = np.array(self.y, dtype=np.float64, copy=True)
        if y.shape != (len(self.rows),):
            raise ValueError(
                f"{self.name}: y must hold one number for each of the {len(self.rows)} rows, "
                f"however: got shape {y.shape}. Pass rows and y of equal length."
            )
        if not np.isfinite(y).all():
            bad = ~np.isfinite(y)
            raise ValueError(
                f"{self.name}: y must be finite, however: got {y[bad][0]} at row {int(np.argmax(bad))} "
                f"({int(bad.sum())} of {len(y)} rows). Drop these rows, and say so, or repair the source."
            )
        if self.direction not in ("min", "max"):
            raise ValueError(
                f"{self.name}: direction must be 'min' or 'max', however: got {self.direction!r}. "
                "Say which end of y is the good one."
            )
        if self.noise_sd < 0 or math.isinf(self.noise_sd):
            raise ValueError(
                f"{self.name}: noise_sd must be a finite number from 0, however: got {self.noise_sd!r}. "
                "Leave it out (NaN) where the noise is not known."
            )
        y.setflags(write=False)
        object.__setattr__(self, "y", y)

    def __len__(self) -> int:
        return len(self.y)

    @property
    def noise_ratio(self) -> float:
        """Noise as a share of the spread of y: `noise_sd` over the standard deviation of `y`, as sampled.

        Where the noise of rows is independent, it leaves an R² of about 1 less its square to be learnt. NaN
        where the noise is not known or `y` is constant.

        Examples
        --------
        >>> Task("t", pd.DataFrame({"a": [0, 1, 2]}), np.array([1.0, 3.0, 5.0]), "own", "f", 1, 0, "",
        ...      noise_sd=0.5).noise_ratio
        0.25
        """
        spread = float(self.y.std(ddof=1)) if len(self.y) and np.ptp(self.y) > 0 else math.nan
        return float(self.noise_sd) / spread

    def split(self, seed: int = 0) -> Split:
        """Shuffle the rows and cut them 8-1-1, as the paper does.

        Parameters
        ----------
        seed : int
            Seed of the shuffle. Tasks of equal length are cut alike, so that one embedding and one set of
            features serves all functions of a split.

        Returns
        -------
        Split
            Row numbers of train, val and test: disjoint, together every row. Val and test hold a tenth each,
            rounded down; train holds the rest.

        Raises
        ------
        ValueError
            Fewer than 10 rows, or a seed that is not a whole number from 0.

        Examples
        --------
        >>> from embreg.tasks import bbob
        >>> [len(part) for part in bbob("Sphere", 5).split(seed=1)]
        [400, 50, 50]
        """
        return split_rows(len(self), seed)


def split_rows(n: int, seed: int = 0) -> Split:
    """Cut n shuffled rows 8-1-1: what `Task.split` does, for tables that are no task.

    Parameters
    ----------
    n : int
        Number of rows, from 10.
    seed : int
        Seed of the shuffle, from 0.

    Returns
    -------
    Split
        Row numbers of train, val and test.

    Raises
    ------
    ValueError
        Fewer than 10 rows, or a seed that is not a whole number from 0.

    Examples
    --------
    >>> [len(part) for part in split_rows(25)]
    [21, 2, 2]
    """
    if n < LEAST_ROWS:
        raise ValueError(
            f"a split into 8-1-1 needs at least {LEAST_ROWS} rows, however: got {n}. "
            "Make a task with more rows."
        )
    generator = stream((whole("seed", seed, 0),), "split")
    order = generator.permutation(n).astype(np.int64)
    tenth = n // 10
    return Split(order[2 * tenth :], order[:tenth], order[tenth : 2 * tenth])


def stream(numbers: tuple[int, ...], purpose: str) -> np.random.Generator:
    """Return the random numbers of one purpose, independent of those of any other.

    Parameters
    ----------
    numbers : tuple of int
        What the numbers may depend on, such as a seed.
    purpose : str
        What they are for. It is digested with SHA-256, as Python's own hash differs from run to run.

    Returns
    -------
    Generator
        In its first state.

    Examples
    --------
    >>> a, b = stream((0,), "points"), stream((0,), "split")
    >>> bool(a.random() == b.random())
    False
    """
    key = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:4], "little")
    return np.random.default_rng(np.random.SeedSequence(numbers, spawn_key=(key,)))


def whole(name: str, value: Any, least: int) -> int:
    """Return a whole number as an int, or raise.

    Parameters
    ----------
    name : str
        What it is called, for the error.
    value : Any
        What was given; numpy's integers are welcome, bool and float are not.
    least : int
        Smallest number allowed.

    Returns
    -------
    int
        The number.

    Raises
    ------
    ValueError
        No whole number, or too small.

    Examples
    --------
    >>> whole("dof", np.int64(5), 1)
    5
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(
            f"{name} must be a whole number of at least {least}, however: got {value!r}. "
            f"Pass {least} or more, as an int."
        )
    return int(value)
