"""Features of representations: φ_trad learned on training rows, φ_LLM with shared forward passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from embreg.experiment import Representation

__all__ = ["embed", "traditional"]


def traditional(rows: pd.DataFrame, train: np.ndarray) -> np.ndarray:
    """φ_trad of all rows, learned on the training rows alone.

    Parameters
    ----------
    rows : DataFrame of n rows
    train : ndarray of int
        Numbers of the training rows.

    Returns
    -------
    ndarray of shape (n, d_trad), float64

    Examples
    --------
    >>> traditional(pd.DataFrame({"x": [1.0, 3.0, 7.0]}), np.array([0, 1])).ravel().tolist()
    [-1.0, 1.0, 5.0]
    """
    from embreg.features import TabularFeatures

    return TabularFeatures().fit(rows.iloc[train]).transform(rows)


def embed(
    representations: Sequence[Representation], rows: pd.DataFrame
) -> dict[Representation, tuple[np.ndarray | None, dict[str, Any]]]:
    """Features of each representation, and what its records say of the strings.

    Representations that differ in label, pooling and layer alone are read off one forward pass.

    Parameters
    ----------
    representations : sequence of Representation
    rows : DataFrame of n rows

    Returns
    -------
    dict
        Representation to ``(features, about)``. Features of shape (n, d), float32, or None for φ_trad,
        which a split has to come before; ``about`` holds ``tokens_per_row, unk_rate, truncated`` and,
        where a model computed, its ``dtype``.
    """
    out: dict[Representation, tuple[np.ndarray | None, dict[str, Any]]] = {}
    groups: dict[Representation, list[Representation]] = {}
    for rep in representations:
        groups.setdefault(replace(rep, label="", pooling="mean", layer=-1), []).append(rep)
    for members in groups.values():
        first = members[0]
        if first.model is None:
            nothing = {"tokens_per_row": np.nan, "unk_rate": np.nan, "truncated": 0}
            out |= {rep: (None, nothing) for rep in members}
            continue
        embedder = first.embedder()
        poolings = list(dict.fromkeys(r.pooling for r in members))
        layers = list(dict.fromkeys(r.layer for r in members))
        vectors = embedder.transform_many(first.strings(rows), poolings=poolings, layers=layers)
        about = {
            "dtype": embedder.space_["dtype"],
            "tokens_per_row": float(embedder.report_.tokens_per_row.mean()),
            "unk_rate": embedder.report_.unk_rate,
            "truncated": embedder.report_.truncated,
        }
        out |= {rep: (vectors[rep.pooling, rep.layer], about) for rep in members}
    return out
