"""Smoothness against performance, function by function (section 3.2, Fig. 4, Table 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from embreg.experiment import TRADITIONAL, Representation, Suite
from embreg.lipschitz import nlfd, smoothness_gap
from embreg.stats import correlation

__all__ = ["factors", "gap_correlations", "gaps"]


def factors(
    representation: Representation, suite: Suite, *, dof: int, seed: int, n_samples: int = 500
) -> dict[str, dict[str, np.ndarray]]:
    """Normalised Lipschitz factors of every function on one set of points.

    Parameters
    ----------
    representation : Representation
        `TRADITIONAL` is scaled on all points: the paper's batch is the whole data set.
    suite : Suite
    dof, seed, n_samples : int

    Returns
    -------
    dict
        ``result[scaling][function]`` is an array of shape (n_samples,), for both scalings.

    Examples
    --------
    >>> out = factors(TRADITIONAL, Suite(functions=("Sphere",)), dof=3, seed=0, n_samples=20)
    >>> sorted(out), out["literal"]["Sphere"].shape
    (['literal', 'unit-norm'], (20,))
    """
    from embreg.features import TabularFeatures

    names, rows, Y = suite.targets(dof, n_samples, seed)
    if representation.model is None:
        features = TabularFeatures().fit_transform(rows)
    else:
        features = representation.embedder().fit_transform(representation.strings(rows))
    unit = nlfd(features, Y)
    literal = nlfd(features, Y, scaling="literal")
    return {
        "unit-norm": {name: unit[:, t] for t, name in enumerate(names)},
        "literal": {name: literal[:, t] for t, name in enumerate(names)},
    }


def gaps(
    records: pd.DataFrame,
    representations: Sequence[Representation],
    suite: Suite,
    *,
    dofs: Sequence[int],
    seeds: Sequence[int],
    n_samples: int = 500,
) -> pd.DataFrame:
    """Smoothness gap and performance gaps of every function, averaged over seeds.

    Parameters
    ----------
    records : DataFrame
        From `experiment.compare`, with heads ``mlp`` and ``knn`` on every representation and on
        `TRADITIONAL`.
    representations : sequence of Representation
        Language models to set against `TRADITIONAL`.
    suite, dofs, seeds, n_samples : as for `experiment.compare`

    Returns
    -------
    DataFrame
        ``representation, dof, task, z, z_literal, gap_mlp, gap_knn``: Z is positive where φ_LLM
        is smoother, the gaps are Kendall-τ of φ_LLM less that of φ_trad.
    """
    rows: list[dict[str, Any]] = []
    for dof in dofs:
        for seed in seeds:
            place = {"dof": dof, "seed": seed, "n_samples": n_samples}
            trad = factors(TRADITIONAL, suite, **place)
            for rep in representations:
                llm = factors(rep, suite, **place)
                for name in trad["unit-norm"]:
                    z = {s: smoothness_gap(trad[s][name], llm[s][name]) for s in trad}
                    rows.append({"representation": rep.label, "dof": dof, "seed": seed, "task": name,
                                 "z": z["unit-norm"], "z_literal": z["literal"]})  # fmt: skip
    where = ["dof", "seed", "task"]
    table = pd.DataFrame(rows)
    here = records[records.suite == suite.label]
    for head in ("mlp", "knn"):
        taus = here[here["head"] == head][["representation", *where, "kendall_tau"]]
        base = taus[taus.representation == TRADITIONAL.label].drop(columns="representation")
        both = taus.merge(base, on=where, suffixes=("", "_trad"), validate="many_to_one")
        both[f"gap_{head}"] = both.kendall_tau - both.kendall_tau_trad
        both = both[["representation", *where, f"gap_{head}"]]
        table = table.merge(both, on=["representation", *where], validate="one_to_one")
    return table.groupby(["representation", "dof", "task"], as_index=False).mean().drop(columns="seed")


def gap_correlations(table: pd.DataFrame) -> pd.DataFrame:
    """Correlation of each predictor with the MLP's performance gap over functions, per DOF.

    Parameters
    ----------
    table : DataFrame
        From `gaps`.

    Returns
    -------
    DataFrame
        ``representation, dof, predictor, n, correlation, low, high``. Predictors: ``z``, ``z_literal``
        and, as a control, ``gap_knn``: a smoothness measure that knows y should beat the plain
        question whether nearest neighbours already predict y better in one space than in the other.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> t = pd.DataFrame({"representation": "m", "dof": 5, "task": list("abcdef"), "gap_mlp": range(6)})
    >>> for name in ("z", "z_literal", "gap_knn"):
    ...     t[name] = t.gap_mlp + rng.normal(size=6) * 0.01
    >>> gap_correlations(t).correlation.round(2).tolist()
    [1.0, 1.0, 1.0]
    """
    rows = []
    for (label, dof), part in table.groupby(["representation", "dof"], sort=False):
        for predictor in ("z", "z_literal", "gap_knn"):
            r = correlation(part[predictor].to_numpy(), part["gap_mlp"].to_numpy())
            rows.append({"representation": label, "dof": dof, "predictor": predictor, "n": len(part),
                         "correlation": r.value, "low": r.low, "high": r.high})  # fmt: skip
    return pd.DataFrame(rows)
