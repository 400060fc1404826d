"""Does size help? Effects of a model's size on τ, task by task (section 3.3, Fig. 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from embreg.findings import mean_difference, paired, select
from embreg.stats import Interval

__all__ = ["per_doubling", "size_effects", "size_table"]


def size_table(models: Mapping[str, str], tokens: Mapping[str, float] | None = None) -> pd.DataFrame:
    """Sizes of models, from small to large.

    Parameters
    ----------
    models : mapping of str to str
        Label to the model's name, as for `TextEmbedder`.
    tokens : mapping of str to float, optional
        Label to the mean tokens of a row, as its tokenizer counts them; for ``flops``.

    Returns
    -------
    DataFrame
        ``label, model, parameters, body`` (parameters that every token meets), ``dim, layers`` and, where
        tokens are given, ``tokens`` and ``flops`` of the forward pass over one row.

    Raises
    ------
    ValueError
        As `models.shape_of`.

    Examples
    --------
    >>> size_table({"L6": "all-MiniLM-L6-v2", "L3": "paraphrase-MiniLM-L3-v2"}).label.tolist()
    ['L3', 'L6']
    """
    from embreg.models import shape_of

    rows = []
    for label, model in models.items():
        shape = shape_of(model)
        row = {"label": label, "model": model, "parameters": shape.parameters, "body": shape.body,
               "dim": shape.dim, "layers": shape.layers}  # fmt: skip
        if tokens is not None:
            row |= {"tokens": tokens[label], "flops": shape.flops(tokens[label])}
        rows.append(row)
    return pd.DataFrame(rows).sort_values("parameters", kind="stable", ignore_index=True)


def per_doubling(
    records: pd.DataFrame, sizes: Mapping[str, float], *, head: str = "mlp", value: str = "kendall_tau"
) -> pd.DataFrame:
    """What doubling a model's size adds to τ: a least-squares slope over models for each task and seed.

    Parameters
    ----------
    records : DataFrame
        Of `experiment.compare`, one suite and DOF, or of `compare_tasks`.
    sizes : mapping of str to float
        Representation to size (parameters, width or operations), above zero; at least two different ones.
    head, value : str

    Returns
    -------
    DataFrame
        ``task, seed, slope``: the mean of ``slope`` and its interval are `stats.mean_interval`'s.

    Raises
    ------
    KeyError
        A representation without records.
    ValueError
        Fewer than two different sizes, one that is not above zero, or a task and seed that a model lacks.

    Examples
    --------
    >>> t = pd.DataFrame({"representation": ["s", "m", "l"], "head": "mlp", "task": "f", "seed": 0,
    ...                   "kendall_tau": [0.2, 0.3, 0.4]})
    >>> per_doubling(t, {"s": 1e6, "m": 2e6, "l": 4e6}).slope.round(6).tolist()
    [0.1]
    """
    if len(set(sizes.values())) < 2 or min(sizes.values()) <= 0:
        raise ValueError(
            f"sizes must be at least two different numbers above zero, however: got {dict(sizes)}"
        )
    columns = {
        name: select(records, name, head).set_index(["task", "seed"])[value].sort_index() for name in sizes
    }
    table = pd.DataFrame(columns)
    if table.isna().any(axis=None) or any(len(c) != len(table) for c in columns.values()):
        missing = table.isna().any()
        raise ValueError(
            f"every model needs the same tasks and seeds, however: {sorted(missing[missing].index)} lack some"
        )
    x = np.log2(np.array([sizes[name] for name in table.columns], dtype=float))
    x -= x.mean()
    slopes = table.to_numpy() @ x / (x @ x)
    return pd.DataFrame({"slope": slopes}, index=table.index).reset_index()


def size_effects(
    records: pd.DataFrame, labels: Mapping[str, str], sizes: Mapping[str, float], *, head: str = "mlp"
) -> pd.DataFrame:
    """Per ladder of models: the largest less the smallest, and the gain of a doubling, as pairs.

    Parameters
    ----------
    records : DataFrame
        As for `per_doubling`.
    labels : mapping of str to str
        Representation to the name of its model.
    sizes : mapping of str to float
        Representation to its number of parameters.
    head : str

    Returns
    -------
    DataFrame
        One row for each ladder of `embreg.ladders` with at least two of the models, and one for all models
        together (``ladder`` is ``"all"``, its recipes differ): ``ladder, same_recipe, models`` (a tuple, by
        size), ``smallest, largest, difference, doubling`` (both of type `Interval`) and ``sentence``.

    Examples
    --------
    >>> t = pd.DataFrame({"representation": ["a", "b"], "head": "mlp", "task": "f", "seed": 0,
    ...                   "kendall_tau": [0.25, 0.5]})
    >>> names = {"a": "all-MiniLM-L6-v2", "b": "all-mpnet-base-v2"}
    >>> size_effects(t, names, {"a": 1e6, "b": 4e6}).ladder.tolist()
    ['offline-pair', 'offline-encoders', 'all']
    """
    from embreg.ladders import LADDERS
    from embreg.models import spec_of

    names = {label: getattr(spec_of(model), "name", model) for label, model in labels.items()}
    found: list[tuple[str, bool, str, Sequence[str]]] = []
    for ladder in sorted(LADDERS.values(), key=lambda one: not one.same_recipe):
        members = [label for label, name in names.items() if name in ladder.models]
        if len({names[m] for m in members}) > 1 and ladder.axis != "decoder":
            found.append((ladder.name, ladder.same_recipe, ladder.sentence, members))
    everyone = "Recipes differ: training data, objectives, tokenizers and shapes all do."
    found.append(("all", False, everyone, list(labels)))
    rows = []
    for ladder_name, same, sentence, chosen in found:
        order = sorted(chosen, key=lambda m: sizes[m])
        slopes = per_doubling(records, {m: sizes[m] for m in order}, head=head)
        rows.append(
            {
                "ladder": ladder_name, "same_recipe": same, "models": tuple(order), "smallest": order[0],
                "largest": order[-1],
                "difference": mean_difference(paired(records, order[-1], order[0], head=head)),
                "doubling": Interval(*mean_difference(slopes.rename(columns={"slope": "difference"}))),
                "sentence": sentence,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)
