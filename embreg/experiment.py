"""Compare representations and heads on the synthetic functions (section 3): one tidy row per result."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
import pandas as pd

from embreg._features import embed, traditional
from embreg._progress import Progress
from embreg.memo import array_digest, memoize

__all__ = ["TRADITIONAL", "Representation", "Suite", "compare", "fit_and_score"]

_STYLES = ("json", "pairs", "values")


@dataclass(frozen=True)
class Representation:
    """A way to turn rows into vectors; ``model=None`` is φ_trad.

    Parameters
    ----------
    label : str
        Name in records and figures.
    model : str or None
        As for `TextEmbedder`.
    style, decimals : str, int
        As for `serialize`.
    pooling, layer, stage, weights, dtype : as for `TextEmbedder`

    Examples
    --------
    >>> Representation.of("flan-t5-small-titles").style
    'json'
    >>> Representation.of("all-MiniLM-L6-v2:values:2").decimals
    2
    """

    label: str
    model: str | None = None
    style: Literal["json", "pairs", "values"] = "json"
    decimals: int = 4
    pooling: str = "mean"
    layer: int = -1
    stage: Literal["forward", "vocab"] = "forward"
    weights: Literal["pretrained", "random"] = "pretrained"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"

    @classmethod
    def of(cls, text: str, **settings: Any) -> Representation:
        """From ``model``, ``model:style`` or ``model:style:decimals``, as notebooks write it.

        Raises
        ------
        ValueError
            No model, an unknown style, decimals that are no number, or more parts than three.
        """
        parts = text.split(":")
        good = parts[0] and parts[1:2] in ([], *([s] for s in _STYLES))
        if not good or len(parts) > 3 or (len(parts) == 3 and not parts[2].isdecimal()):
            raise ValueError(
                f"a representation is written model[:style[:decimals]] with style one of {_STYLES}, "
                f"however: got {text!r}"
            )
        if len(parts) > 1:
            settings["style"] = parts[1]
        if len(parts) > 2:
            settings["decimals"] = int(parts[2])
        return cls(**{"label": parts[0], "model": parts[0], **settings})

    def strings(self, rows: Any) -> list[str]:
        """The strings that the model reads."""
        from embreg.serialize import serialize

        return serialize(rows, style=self.style, decimals=self.decimals)

    def embedder(self) -> Any:
        """The `TextEmbedder` of this representation."""
        from embreg.embedder import TextEmbedder

        if self.model is None:
            raise ValueError(f"{self.label} has no language model")
        return TextEmbedder(
            self.model, pooling=self.pooling, layer=self.layer, stage=self.stage, weights=self.weights,
            dtype=self.dtype,
        )  # fmt: skip


TRADITIONAL = Representation("φ_trad")
"""Numbers scaled, categories one-hot, no language model."""


@dataclass(frozen=True)
class Suite:
    """Which functions, on which points.

    Parameters
    ----------
    variant : {"paper", "coco"}
        As for `tasks.bbob`.
    shift : float
        As for `tasks.bbob`.
    functions : tuple of str
        Empty means all of the variant.

    Examples
    --------
    >>> Suite("paper", shift=4.0).label
    'paper, shifted'
    """

    variant: Literal["paper", "coco"] = "paper"
    shift: float = 0.0
    functions: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Name in records and figures."""
        return f"{self.variant}, shifted" if self.shift else self.variant

    def targets(
        self, dof: int, n_samples: int, seed: int
    ) -> tuple[tuple[str, ...], pd.DataFrame, np.ndarray]:
        """Names, rows (shared by every function) and targets of shape (n, functions)."""
        from embreg.tasks import bbob_functions, bbob_targets

        names = self.functions or tuple(bbob_functions(self.variant))
        rows, Y = bbob_targets(names, dof, n=n_samples, seed=seed, variant=self.variant, shift=self.shift)
        return names, rows, Y


def compare(
    representations: Sequence[Representation],
    suites: Sequence[Suite],
    *,
    dofs: Sequence[int],
    seeds: Sequence[int],
    n_samples: int = 500,
    heads: Mapping[str, Sequence[str]] | None = None,
    mlp: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Fit every head on every representation of every suite; one row per function and seed.

    Points, splits and initial weights depend on the seed alone, so that any two rows that agree in
    suite, function, dof and seed are a pair. Points of one dof and seed are embedded once for all
    suites, and representations that differ in pooling and layer alone share a forward pass.

    Parameters
    ----------
    representations : sequence of Representation
        Each with a label of its own.
    suites : sequence of Suite
    dofs, seeds : sequence of int
    n_samples : int
        Points per function, split 8-1-1.
    heads : mapping, optional
        Representation label to head names (``"mlp"`` or one of `baselines.BASELINES`); a label that
        is absent gets ``["mlp"]``.
    mlp : mapping, optional
        Parameters of `MLPHead`.

    Returns
    -------
    DataFrame
        Where: ``suite, function, dof, seed``. What: ``representation, model, style, decimals, pooling,
        layer, stage, weights, dtype`` (the one computed in; all but the first are missing for φ_trad),
        ``head, n_samples``. Scores on the test rows: ``kendall_tau, pearson, mse, mae, r2, constant``
        (see `metrics.score_all`). About the fit: ``width`` of the features, ``chosen`` on the
        validation rows, ``fit_seconds`` per target. About the strings: ``tokens_per_row, unk_rate,
        truncated``.

    Raises
    ------
    ValueError
        An empty sequence, a label used twice, heads for an unknown label, an unknown head.
    TypeError
        An unknown parameter in `mlp`.

    Examples
    --------
    >>> suite, heads = Suite(functions=("Sphere",)), {"φ_trad": ["ridge_squares"]}
    >>> out = compare([TRADITIONAL], [suite], dofs=[2], seeds=[0], n_samples=60, heads=heads)
    >>> round(out.kendall_tau.item(), 2)
    1.0
    """
    heads = {r.label: ["mlp"] for r in representations} | dict(heads or {})
    given = {"representations": representations, "suites": suites, "dofs": dofs, "seeds": seeds}
    _check(given, heads, mlp)
    records: list[dict[str, Any]] = []
    cells = [(d, s) for s in seeds for d in dofs]
    with Progress("comparing", len(cells) * len(representations)) as bar:
        for dof, seed in cells:
            data = [(suite.label, *suite.targets(dof, n_samples, seed)) for suite in suites]
            # Every suite has these rows.
            embedded = embed(representations, data[0][2])
            for rep in representations:
                features, about = embedded[rep]
                for (suite, names, rows, Y), head in product(data, heads[rep.label]):
                    scores = fit_and_score(features, rows, Y, head=head, seed=seed, mlp=mlp)
                    for name, score in zip(names, scores, strict=True):
                        place = {"suite": suite, "function": name, "dof": dof, "seed": seed}
                        records.append({**place, **_describe(rep), "head": head, "n_samples": n_samples,
                                        **score, **about})  # fmt: skip
                bar.advance(1)
    return pd.DataFrame(records)


def fit_and_score(
    features: np.ndarray | None,
    rows: pd.DataFrame,
    Y: np.ndarray,
    *,
    head: str = "mlp",
    seed: int = 0,
    mlp: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Train on 80 % of the rows, choose on 10 %, score on 10 %, for every column of Y.

    Parameters
    ----------
    features : ndarray of shape (n, d), or None
        None is φ_trad, learned on the training rows.
    rows : DataFrame of n rows
    Y : ndarray of shape (n, t)
    head : str
    seed : int
        Of the split and of the head.
    mlp : mapping, optional
        Parameters of `MLPHead`.

    Returns
    -------
    list of dict
        Per column: every metric on the test rows, ``width``, ``chosen``, ``fit_seconds``.

    Raises
    ------
    ValueError
        An unknown head; rows, features and Y of different length.
    """
    from embreg.tasks import split_rows

    _check_head(head)
    lengths = len(rows), len(Y), len(Y) if features is None else len(features)
    if len(set(lengths)) > 1:
        raise ValueError(f"rows, Y and features must be equally long, however: {lengths}")
    parts = split_rows(len(Y), seed)
    if features is None:
        features = traditional(rows, parts.train)
    key = {
        "features": array_digest(features),
        "targets": array_digest(Y),
        "head": head,
        "seed": seed,
        "mlp": dict(mlp or {}) if head == "mlp" else None,
        "precision": _precision(mlp) if head == "mlp" else None,
    }
    return memoize(key, lambda: list(_fit(np.asarray(features), Y, parts, head, seed, mlp or {})))


def _fit(
    X: np.ndarray, Y: np.ndarray, parts: Any, head: str, seed: int, mlp: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    from embreg.baselines import BASELINES
    from embreg.head import MLPHead
    from embreg.metrics import score_all

    started = time.perf_counter()
    train, val, test = parts
    chosen: Any
    if head == "mlp":
        model = MLPHead(**{"random_state": seed, **mlp})
        model.fit(X[train], Y[train], X_val=X[val], y_val=Y[val])
        predicted, chosen = model.predict(X[test]), model.best_params_
    else:
        predicted, chosen = BASELINES[head](X[train], Y[train], X[val], Y[val], X[test])
    seconds = (time.perf_counter() - started) / Y.shape[1]
    for t in range(Y.shape[1]):
        yield {**score_all(Y[test, t], predicted[:, t]), "width": X.shape[1], "chosen": str(chosen[t]),
               "fit_seconds": round(seconds, 4)}  # fmt: skip


def _describe(rep: Representation) -> dict[str, Any]:
    fields = {"representation": rep.label, **asdict(rep)}
    del fields["label"]
    return fields if rep.model else {k: v if k == "representation" else None for k, v in fields.items()}


def _check(
    given: Mapping[str, Sequence[Any]], heads: Mapping[str, Sequence[str]], mlp: Mapping[str, Any] | None
) -> None:
    """Refuse what would fail, or mislead, after hours of work."""
    from embreg.head import MLPHead

    for name, values in given.items():
        if len(values) == 0:
            raise ValueError(f"{name} must hold at least one, however: got {values!r}")
    labels = [r.label for r in given["representations"]]
    if twice := sorted({name for name in labels if labels.count(name) > 1}):
        raise ValueError(f"every representation needs a label of its own, however: {twice} are used twice")
    if unknown := sorted(set(heads) - set(labels)):
        raise ValueError(f"heads must be for one of {labels}, however: got {unknown}")
    for label, names in heads.items():
        if isinstance(names, str) or len(names) == 0:
            raise ValueError(
                f"heads of {label!r} must be a list of at least one name, however: got {names!r}"
            )
        for name in names:
            _check_head(name)
    MLPHead(**(mlp or {}))


def _check_head(head: str) -> None:
    from embreg.baselines import BASELINES

    if head != "mlp" and head not in BASELINES:
        raise ValueError(f"head must be 'mlp' or one of {tuple(BASELINES)}, however: got {head!r}")


def _precision(mlp: Mapping[str, Any] | None) -> str:
    from embreg.engine.backends import resolve_dtype

    return resolve_dtype((mlp or {}).get("precision", "auto"), "cpu")
