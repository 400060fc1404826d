"""One fit: a head on features, chosen on validation rows, scored on test rows, and remembered."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from embreg._task import Split, split_rows
from embreg.memo import array_digest, memoize

__all__ = ["check_head", "fit_and_score", "heads", "make_head"]


def heads() -> tuple[str, ...]:
    """Names of all heads: ``mlp`` and the baselines.

    Examples
    --------
    >>> heads()[0]
    'mlp'
    """
    from embreg.baselines import BASELINES

    return ("mlp", *BASELINES)


def check_head(head: str) -> None:
    """Refuse a head that does not exist."""
    if head not in heads():
        raise ValueError(f"head must be one of {heads()}, however: got {head!r}")


def make_head(head: str, seed: int = 0, mlp: Mapping[str, Any] | None = None) -> Any:
    """An unfitted head by name: `MLPHead` with the parameters of `mlp`, or a tuned baseline.

    Examples
    --------
    >>> make_head("mlp", 3, {"patience": 5}).random_state
    3
    """
    check_head(head)
    if head == "mlp":
        from embreg.head import MLPHead

        return MLPHead(**{"random_state": seed, **(mlp or {})})
    from embreg.baselines import baseline

    return baseline(head, random_state=seed)


def fit_and_score(
    features: np.ndarray | None,
    rows: pd.DataFrame,
    Y: np.ndarray,
    *,
    head: str = "mlp",
    seed: int = 0,
    mlp: Mapping[str, Any] | None = None,
    parts: Split | None = None,
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
    parts : Split, optional
        Row numbers for training, validation and test in place of 8-1-1.

    Returns
    -------
    list of dict
        Per column: every metric on the test rows, again as ``val_…`` on the validation rows (None where
        there is but one), ``width``, ``chosen``, ``fit_seconds``.

    Raises
    ------
    ValueError
        An unknown head; rows, features and Y of different length.
    """
    check_head(head)
    lengths = len(rows), len(Y), len(Y) if features is None else len(features)
    if len(set(lengths)) > 1:
        raise ValueError(f"rows, Y and features must be equally long, however: {lengths}")
    parts = parts or split_rows(len(Y), seed)
    if features is None:
        from embreg._features import traditional

        features = traditional(rows, parts.train)
    key = {
        "features": array_digest(features),
        "targets": array_digest(Y),
        "parts": [array_digest(part) for part in parts],
        "head": head,
        "seed": seed,
        "mlp": dict(mlp or {}) if head == "mlp" else None,
        "precision": _precision(mlp) if head == "mlp" else None,
    }
    return memoize(key, lambda: list(_fit(np.asarray(features), Y, parts, head, seed, mlp or {})))


def _fit(
    X: np.ndarray, Y: np.ndarray, parts: Split, head: str, seed: int, mlp: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    from embreg.metrics import score_all

    started = time.perf_counter()
    train, val, test = parts
    model = make_head(head, seed, mlp).fit(X[train], Y[train], X_val=X[val], y_val=Y[val])
    predicted = model.predict(X[test])
    seconds = (time.perf_counter() - started) / Y.shape[1]
    on_val = model.predict(X[val]) if len(val) > 1 else None
    for t in range(Y.shape[1]):
        scores = score_all(Y[test, t], predicted[:, t])
        seen = dict.fromkeys(scores) if on_val is None else score_all(Y[val, t], on_val[:, t])
        yield {**scores, **{f"val_{name}": value for name, value in seen.items()}, "width": X.shape[1],
               "chosen": str(model.best_params_[t]), "fit_seconds": round(seconds, 4)}  # fmt: skip


def _precision(mlp: Mapping[str, Any] | None) -> str:
    from embreg.engine.backends import resolve_dtype

    return resolve_dtype((mlp or {}).get("precision", "auto"), "cpu")
