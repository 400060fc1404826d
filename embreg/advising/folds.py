"""Repeated folds, the same for every candidate: rows to train on, to tune on, and to score."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, KFold, train_test_split

__all__ = ["Fold", "folds"]

TUNED = 1 / 8
"""Share of the rows outside a test part that choose among the points of a grid."""


class Fold(NamedTuple):
    """Row numbers of one fit and its scores.

    Parameters
    ----------
    repeat, number : int
        Which shuffle, and which fold of it.
    train, val, test : ndarray of int64
        Disjoint. A candidate is fitted on `train`, tuned on `val` and scored on `test`.
    """

    repeat: int
    number: int
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def folds(
    n: int,
    *,
    repeats: int = 1,
    n_splits: int = 5,
    groups: np.ndarray | None = None,
    order: np.ndarray | None = None,
    random_state: int = 0,
) -> Iterator[Fold]:
    """Cut n rows into folds, again for each repeat.

    Parameters
    ----------
    n : int
        Number of rows.
    repeats : int
        Shuffles. Rows in order have one order: then it must be 1.
    n_splits : int
        Folds of a repeat, from 2.
    groups : ndarray of shape (n,), optional
        Rows of one group stay together, in the test part, among those that tune, or in training.
    order : ndarray of shape (n,), optional
        Training rows come before the rows that tune, and these before the test rows: each fold tests the
        next stretch of rows on all that came before. Rows of one moment stay together.
    random_state : int

    Yields
    ------
    Fold
        The first repeats of more are the same folds.

    Raises
    ------
    ValueError
        Groups and order at once, several repeats of an order, too few rows, groups or moments.

    Examples
    --------
    >>> [len(part) for part in next(folds(100))[2:]]
    [70, 10, 20]
    >>> first = next(folds(60, order=np.arange(60)))
    >>> bool(first.train.max() < first.val.min() and first.val.max() < first.test.min())
    True
    """
    if groups is not None and order is not None:
        raise ValueError("rows are cut by groups or by an order, however: got both; name one of them")
    if order is not None:
        if repeats != 1:
            raise ValueError(f"rows in order can be cut once, however: repeats={repeats}; use 1")
        yield from _ahead(order, n_splits)
        return
    if (parts := n if groups is None else len(np.unique(groups))) < 2 * n_splits:
        what = "rows" if groups is None else "groups"
        raise ValueError(f"{n_splits} folds need at least {2 * n_splits} {what}, however: got {parts}")
    rows = np.arange(n)
    for repeat in range(repeats):
        seed = int(np.random.SeedSequence([random_state, repeat]).generate_state(1)[0])
        if groups is None:
            cuts = KFold(n_splits, shuffle=True, random_state=seed).split(rows)
        else:
            cuts = GroupKFold(n_splits, shuffle=True, random_state=seed).split(rows, groups=groups)
        for number, (rest, test) in enumerate(cuts):
            train, val = _tune(rest, groups, seed + number)
            yield Fold(repeat, number, train, val, test)


def _tune(rest: np.ndarray, groups: np.ndarray | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    seed %= 2**32
    if groups is None:
        train, val = train_test_split(rest, test_size=TUNED, random_state=seed)
    else:
        cut = GroupShuffleSplit(1, test_size=TUNED, random_state=seed)
        inner, outer = next(cut.split(rest, groups=groups[rest]))
        train, val = rest[inner], rest[outer]
    return np.sort(train), np.sort(val)


def _ahead(order: np.ndarray, n_splits: int) -> Iterator[Fold]:
    rows = np.argsort(order, kind="stable")
    moments = order[rows]
    n = len(rows)
    # The first stretch is only trained on. A cut between rows of one moment moves to the end of that moment.
    ends = [_end(moments, round(n * k / (n_splits + 1))) for k in range(1, n_splits + 2)]
    for number, (start, stop) in enumerate(pairwise(ends)):
        inner = _end(moments, round(start * (1 - TUNED)))
        if inner >= start > 0:  # few moments: the last one tunes
            inner = int(np.searchsorted(moments, moments[start - 1], side="left"))
        if not 1 < inner < start < stop:
            raise ValueError(
                f"{n_splits} folds in order need {n_splits + 1} stretches of different moments, however: "
                f"{n} rows have {len(np.unique(order))} moments, unevenly many rows each; use groups instead"
            )
        yield Fold(
            0, number, *(np.sort(part) for part in (rows[:inner], rows[inner:start], rows[start:stop]))
        )


def _end(moments: np.ndarray, place: int) -> int:
    """First row at or after `place` that starts a moment."""
    if place == 0 or place >= len(moments):
        return min(place, len(moments))
    return int(np.searchsorted(moments, moments[place - 1], side="right"))
