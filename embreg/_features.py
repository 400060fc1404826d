"""Features of representations: φ_trad learned on training rows, φ_LLM in shared forward passes, controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from embreg.representation import Representation

__all__ = ["embed", "features_of", "traditional"]


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
    representations: Sequence[Representation], rows: pd.DataFrame, seed: int = 0
) -> dict[Representation, tuple[np.ndarray | None, dict[str, Any]]]:
    """Vectors of each representation's language model, and what its records say of the strings.

    Representations that differ in label, pooling, layer and controls of the vectors alone are read off
    one forward pass.

    Parameters
    ----------
    representations : sequence of Representation
    rows : DataFrame of n rows
    seed : int
        Of controls that change rows or strings.

    Returns
    -------
    dict
        Representation to ``(vectors, about)``. Vectors of shape (n, d), float32, or None without a
        model; ``about`` holds ``tokens_per_row, unk_rate, truncated, embed_seconds`` (the share of this
        call; next to nothing when stored) and, where a model computed, its ``dtype``.
    """
    out: dict[Representation, tuple[np.ndarray | None, dict[str, Any]]] = {}
    groups: dict[Representation, list[Representation]] = {}
    for rep in representations:
        group = replace(rep, label="", pooling="mean", layer=-1)
        if rep.level not in ("rows", "strings"):
            group = replace(group, control="", width=None)
        groups.setdefault(group, []).append(rep)
    for members in groups.values():
        first = members[0]
        if first.model is None:
            nothing = {"tokens_per_row": np.nan, "unk_rate": np.nan, "truncated": 0, "embed_seconds": 0.0}
            out |= {rep: (None, nothing) for rep in members}
            continue
        embedder = first.embedder()
        poolings = list(dict.fromkeys(r.pooling for r in members))
        layers = list(dict.fromkeys(r.layer for r in members))
        strings = first.strings(_controlled(first, rows, seed), seed)
        vectors = embedder.transform_many(strings, poolings=poolings, layers=layers)
        about = {
            "dtype": embedder.space_["dtype"],
            "tokens_per_row": float(embedder.report_.tokens_per_row.mean()),
            "unk_rate": embedder.report_.unk_rate,
            "truncated": embedder.report_.truncated,
            "embed_seconds": round(embedder.report_.seconds / len(members), 4),
        }
        out |= {rep: (vectors[rep.pooling, rep.layer], about) for rep in members}
    return out


def features_of(
    rep: Representation, vectors: np.ndarray | None, rows: pd.DataFrame, train: np.ndarray, seed: int = 0
) -> np.ndarray:
    """What a head is trained on: φ_trad, φ_LLM or a control, learned on the training rows alone.

    Parameters
    ----------
    rep : Representation
    vectors : ndarray of shape (n, d), or None
        Of its language model, from `embed`.
    rows : DataFrame of n rows
    train : ndarray of int
        Numbers of the training rows.
    seed : int
        Of a control.

    Returns
    -------
    ndarray of shape (n, width)

    Examples
    --------
    >>> rows, train = pd.DataFrame({"a": [1.0, 3.0, 7.0], "b": [0.0, 1.0, 0.0]}), np.array([0, 1])
    >>> features_of(Representation("bag", control="bag", width=64), None, rows, train).shape
    (3, 64)
    """
    from embreg.controls import apply_control

    if vectors is None:
        vectors = traditional(_controlled(rep, rows, seed), train)
    elif rep.control == "concat":
        return np.hstack([traditional(rows, train), vectors])
    if rep.level in ("traditional", "features"):
        return apply_control(rep.control, vectors, train=train, width=rep.width, random_state=seed)
    return vectors


def _controlled(rep: Representation, rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    from embreg.controls import control_rows

    return control_rows(rep.control, rows, random_state=seed) if rep.level == "rows" else rows
