"""What a forward pass is made of: trained or not, and with or without the layers (section 3.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pandas as pd

from embreg.representation import Representation

__all__ = ["STAGES", "read_ahead", "stages"]

STAGES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "pretrained": {},
        "random weights": {"weights": "random"},
        "vocabulary": {"stage": "vocab"},
        "random vocabulary": {"weights": "random", "stage": "vocab"},
    }
)
"""The paper's ablations and one more, by name: what each changes in a representation."""


def stages(
    base: Representation, draws: int, names: Iterable[str] = tuple(STAGES)
) -> dict[str, list[Representation]]:
    """One model read in several stages, and with several draws where weights are random.

    Parameters
    ----------
    base : Representation
        The pretrained model and how rows are written for it.
    draws : int
        Draws of random weights, from 0: then stages with random weights are left out.
    names : iterable of str
        Of `STAGES`.

    Returns
    -------
    dict
        Name to representations, which are labelled ``"label, name"`` and, of random weights,
        ``"label, name 0"`` and on. The same number means the same weights in every stage.

    Raises
    ------
    ValueError
        An unknown stage, `draws` below 0, or a base that is none: without a model, with random weights, or
        read without its forward pass.

    Examples
    --------
    >>> made = stages(Representation.of("all-MiniLM-L6-v2"), 2)
    >>> [rep.label for rep in made["random weights"]]
    ['all-MiniLM-L6-v2, random weights 0', 'all-MiniLM-L6-v2, random weights 1']
    """
    if base.model is None or (base.stage, base.weights) != ("forward", "pretrained"):
        raise ValueError(
            "a base must be a pretrained model read by its forward pass, however: "
            f"{base.label!r} has model {base.model!r}, weights {base.weights!r} and stage {base.stage!r}"
        )
    if draws < 0:
        raise ValueError(f"draws must be at least 0, however: got {draws!r}")
    made: dict[str, list[Representation]] = {}
    for name in names:
        if name not in STAGES:
            raise ValueError(f"a stage must be one of {tuple(STAGES)}, however: got {name!r}")
        one, label = replace(base, **STAGES[name]), f"{base.label}, {name}"
        if one.weights == "pretrained":
            made[name] = [replace(one, label=label)]
        elif draws:
            made[name] = [replace(one, label=f"{label} {k}", weights_seed=k) for k in range(draws)]
    return made


def read_ahead(work: Iterable[tuple[Representation, Sequence[pd.DataFrame]]]) -> int:
    """Embed all rows that will be wanted, one set of weights after the other, into the store.

    Few models stay loaded at a time. A comparison goes from table to table and meets every representation at
    each, so with many sets of weights it would draw and convert each of them once a table.

    Parameters
    ----------
    work : iterable of (Representation, tables)
        Representations without a model are passed over.

    Returns
    -------
    int
        Sets of weights that were needed.

    Raises
    ------
    ValueError
        A control that changes rows or strings, which a comparison would not find in the store; what
        `TextEmbedder` refuses.

    Examples
    --------
    >>> read_ahead([(Representation("φ_trad"), [pd.DataFrame({"x": [1.0]})])])
    0
    """
    groups: dict[Representation, list[tuple[Representation, Sequence[pd.DataFrame]]]] = {}
    for rep, tables in work:
        if rep.level in ("rows", "strings"):
            raise ValueError(
                f"a control that changes rows or strings is not read ahead, however: got {rep.label!r}"
            )
        if rep.model is not None:
            # One engine serves every format and every stage of one set of weights.
            weights = Representation(
                "", rep.model, weights=rep.weights, weights_seed=rep.weights_seed, dtype=rep.dtype
            )
            groups.setdefault(weights, []).append((rep, tables))
    for members in groups.values():
        # The vocabulary is looked up by another backend: all of one, then all of the other.
        for rep, tables in sorted(members, key=lambda member: member[0].stage):
            embedder = rep.embedder()
            for rows in tables:
                embedder.transform(rep.strings(rows))
    return len(groups)
