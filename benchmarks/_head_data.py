"""What the heads are trained on: one table, its embedding, and the functions that share it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["WIDTHS", "Problem", "chosen", "embedded", "load"]

WIDTHS = {
    384: "φ_LLM of all-MiniLM-L6-v2",
    4096: "φ_LLM of flan-t5-small-titles, its 8 layers side by side",
}
"""Width of the features to what they are; rows are written as plain values with two decimals."""


@dataclass(frozen=True)
class Problem:
    """One X, several targets, and the same three parts of the rows for everybody.

    Parameters
    ----------
    names : list of str
        Of the targets.
    X : ndarray of shape (n, d)
    Y : ndarray of shape (n, t)
    parts : Split
        Row numbers of train, val and test.
    """

    names: list[str]
    X: np.ndarray
    Y: np.ndarray
    parts: Any

    def standardised(self) -> tuple[np.ndarray, np.ndarray]:
        """X and Y, mean 0 and variance 1 on the training rows, float32: what plain loops get."""
        from sklearn.preprocessing import StandardScaler

        train = self.parts.train
        X, Y = (StandardScaler().fit(v[train]).transform(v).astype(np.float32) for v in (self.X, self.Y))
        return X, Y

    def tau(self, target: int, predicted: np.ndarray) -> float:
        """Kendall's tau of a prediction of the test rows."""
        from embreg.metrics import score_all

        return score_all(self.Y[self.parts.test, target], predicted)["kendall_tau"]


def chosen(items: Sequence[Any], n: int) -> list[Any]:
    """Choose `n` of the items, evenly.

    Examples
    --------
    >>> chosen("abcdefg", 3), chosen("ab", 5)
    (['a', 'd', 'g'], ['a', 'b'])
    """
    if n >= len(items):
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, n).round().astype(int)]


def embedded(width: int, rows: Any) -> np.ndarray:
    """Embed a table; vectors come from the store where they were computed before.

    Raises
    ------
    ValueError
        No representation of this width.
    """
    from embreg.embedder import TextEmbedder
    from embreg.serialize import serialize

    texts = serialize(rows, style="values", decimals=2)
    if width == 384:
        return TextEmbedder("all-MiniLM-L6-v2").fit_transform(texts)
    if width != 4096:
        raise ValueError(f"width must be one of {tuple(WIDTHS)}, however: got {width}")
    layers = list(range(1, 9))
    found = TextEmbedder("flan-t5-small-titles").transform_many(texts, layers=layers)
    return np.concatenate([found["mean", k] for k in layers], axis=1)


def load(width: int, *, targets: int, n: int, dof: int, seed: int = 0) -> Problem:
    """Functions of `embreg.tasks`, evenly chosen, on the rows they share."""
    from embreg.tasks import bbob_functions, bbob_targets, split_rows

    names = chosen(bbob_functions("paper"), targets)
    rows, Y = bbob_targets(names, dof, n=n, seed=seed)
    return Problem(names, embedded(width, rows), Y, split_rows(n, seed))
