"""Compare representations and heads on the synthetic functions (section 3): one tidy row per result."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from embreg._progress import Progress
from embreg.memo import array_digest, memoize

__all__ = ["TRADITIONAL", "Representation", "Suite", "compare", "fit_and_score"]


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
            More parts than three, or decimals that are no number.
        """
        parts = text.split(":")
        if len(parts) > 3 or (len(parts) == 3 and not parts[2].isdigit()):
            raise ValueError(f"a representation is written model[:style[:decimals]], however: got {text!r}")
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

    def targets(self, dof: int, n_samples: int, seed: int) -> tuple[tuple[str, ...], pd.DataFrame, np.ndarray]:
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
    suite, function, dof and seed are a pair.

    Parameters
    ----------
    representations : sequence of Representation
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
        ``suite, function, dof, seed, representation, model, style, decimals, pooling, layer, stage,
        weights, head, n_samples, width``, every metric on the test rows, ``val_…`` is not kept;
        ``chosen`` (JSON-like), ``fit_seconds`` per target, ``tokens_per_row, unk_rate, truncated``.

    Examples
    --------
    >>> suite = Suite(functions=("Sphere",))
    >>> out = compare([TRADITIONAL], [suite], dofs=[2], seeds=[0], n_samples=60, heads={"φ_trad": ["ridge_squares"]})
    >>> round(out.kendall_tau.item(), 2)
    1.0
    """
    heads = heads or {}
    records: list[dict[str, Any]] = []
    cells = [(d, s) for s in seeds for d in dofs]
    with Progress("comparing", len(cells) * len(representations)) as bar:
        for dof, seed in cells:
            for rep in representations:
                features: tuple[Any, dict[str, Any]] | None = None
                for suite in suites:
                    names, rows, Y = suite.targets(dof, n_samples, seed)
                    # Every suite of one dof and seed has the same rows, so they are embedded once.
                    features = features or _features(rep, rows)
                    for head in heads.get(rep.label, ["mlp"]):
                        scores = fit_and_score(features[0], rows, Y, head=head, seed=seed, mlp=mlp)
                        for name, score in zip(names, scores, strict=True):
                            place = {"suite": suite.label, "function": name, "dof": dof, "seed": seed}
                            records.append({**place, **_describe(rep), "head": head, "n_samples": n_samples,
                                            **score, **features[1]})  # fmt: skip
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
    """
    from embreg.baselines import BASELINES
    from embreg.tasks import split_rows

    if head != "mlp" and head not in BASELINES:
        raise ValueError(f"head must be 'mlp' or one of {tuple(BASELINES)}, however: got {head!r}")
    parts = split_rows(len(Y), seed)
    if features is None:
        from embreg.features import TabularFeatures

        features = TabularFeatures().fit(rows.iloc[parts.train]).transform(rows)
    key = {
        "features": array_digest(features),
        "targets": array_digest(Y),
        "head": head,
        "seed": seed,
        "mlp": {k: v for k, v in (mlp or {}).items()} if head == "mlp" else None,
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


def _features(rep: Representation, rows: pd.DataFrame) -> tuple[np.ndarray | None, dict[str, Any]]:
    if rep.model is None:
        return None, {"tokens_per_row": np.nan, "unk_rate": np.nan, "truncated": 0}
    embedder = rep.embedder()
    vectors = embedder.fit_transform(rep.strings(rows))
    report = embedder.report_
    return vectors, {
        "tokens_per_row": float(report.tokens_per_row.mean()),
        "unk_rate": report.unk_rate,
        "truncated": report.truncated,
    }


def _describe(rep: Representation) -> dict[str, Any]:
    fields = {"representation": rep.label, **asdict(rep)}
    del fields["label"]
    return fields if rep.model else {**fields, "style": None, "decimals": None, "pooling": None, "layer": None,
                                     "stage": None, "weights": None, "dtype": None}  # fmt: skip


def _precision(mlp: Mapping[str, Any] | None) -> str:
    from embreg._engine import resolve_dtype

    return resolve_dtype((mlp or {}).get("precision", "auto"), "cpu")
