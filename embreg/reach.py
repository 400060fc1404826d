"""How far a coordinate reaches into the vector of its row, by where it stands (section 2, steps 3 and 4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from embreg.representation import Representation

__all__ = ["reach", "tilt"]


def reach(
    representations: Sequence[Representation], *, dof: int, seed: int = 0, n_rows: int = 20
) -> pd.DataFrame:
    """How far a row's vector moves when one of its coordinates is drawn anew, for each of its places.

    Coordinates are independent and alike, so a difference between places is the model's: where attention is
    causal, a token changes those behind it and none in front. The sign is kept: a row that grows by a minus
    would move every token behind it to another position, which is another matter.

    Parameters
    ----------
    representations : sequence of Representation
        Each with a model and a label of its own. Those that differ in pooling or layer alone share a pass.
    dof : int
    seed, n_rows : int
        Of the rows and of what is drawn; the same for all representations.

    Returns
    -------
    DataFrame
        ``representation, task, seed, place, moved``: ``task`` numbers the rows and ``place`` the coordinates,
        from 1. ``moved`` is the Euclidean distance of standardised vectors, in units of its mean over rows
        and places of the representation.

    Raises
    ------
    ValueError
        No language model, a label used twice, or a representation that a change of coordinate never moves.

    Examples
    --------
    >>> rep = Representation.of("all-MiniLM-L6-v2:values:1", stage="vocab")
    >>> out = reach([rep], dof=3, n_rows=4)
    >>> len(out), round(float(out.moved.mean()), 6)
    (12, 1.0)
    """
    from embreg._features import embed
    from embreg._task import stream, whole

    labels = [rep.label for rep in representations]
    if bare := [rep.label for rep in representations if rep.model is None]:
        raise ValueError(f"reach is measured in language models, however: {bare[0]!r} has none")
    if len(set(labels)) < len(labels) or not labels:
        raise ValueError(f"every representation needs a label of its own, however: got {labels}")
    shape = whole("n_rows", n_rows, 2), whole("dof", dof, 2)
    base, other = stream((dof, seed), "rows and one coordinate drawn anew").uniform(-5, 5, (2, *shape))
    other = np.copysign(other, base)
    moved = np.repeat(base[:, None, :], dof, axis=1)
    moved[:, np.arange(dof), np.arange(dof)] = other
    rows = pd.DataFrame(np.vstack([base, moved.reshape(-1, dof)]), columns=[f"x{j}" for j in range(dof)])
    out = []
    for rep, (vectors, _) in embed(representations, rows, seed).items():
        assert vectors is not None
        z = vectors.astype(float) - vectors.mean(axis=0, dtype=float)
        z /= np.maximum(z.std(axis=0), 1e-12)  # as a head sees them
        distance = np.linalg.norm(z[n_rows:].reshape(n_rows, dof, -1) - z[:n_rows, None], axis=2)
        if not distance.mean() > 0:
            raise ValueError(f"a change must move a vector somewhere, however: {rep.label!r} never moves")
        for (row, place), d in np.ndenumerate(distance / distance.mean()):
            out.append(
                {"representation": rep.label, "task": row, "seed": seed, "place": place + 1, "moved": d}
            )
    return pd.DataFrame(out)


def tilt(moves: pd.DataFrame) -> pd.DataFrame:
    """By how much coordinates of the earlier half move a vector further than those of the later half.

    Parameters
    ----------
    moves : DataFrame
        From `reach`. The middle of an odd number of places is in neither half.

    Returns
    -------
    DataFrame
        ``representation, task, seed, difference``, a row for each row that was changed; what
        `findings.mean_difference` takes.

    Examples
    --------
    >>> moves = pd.DataFrame({"representation": "u", "task": 0, "seed": 0, "place": [1, 2, 3]})
    >>> tilt(moves.assign(moved=[1.5, 1.0, 0.5])).difference.tolist()
    [1.0]
    """
    half, last = moves.place.max() // 2, moves.place.max()
    row = ["representation", "task", "seed"]
    early, late = (
        moves[part].groupby(row, sort=False).moved.mean()
        for part in (moves.place <= half, moves.place > last - half)
    )
    return (early - late).rename("difference").reset_index()
