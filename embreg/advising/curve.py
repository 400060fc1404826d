"""Learning curve: the same candidates on fewer training rows, scored on the same test rows."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from embreg._progress import Progress
from embreg.advising.candidates import Candidate, head_of
from embreg.advising.comparing import Features
from embreg.advising.folds import Fold
from embreg.advising.verdict import corrected

__all__ = ["learning_curve"]

_FRACTIONS = (1 / 8, 1 / 4, 1 / 2)
_LEAST = 20


def learning_curve(
    features: Features,
    candidates: Sequence[Candidate],
    cuts: Sequence[Fold],
    records: pd.DataFrame,
    *,
    random_state: int = 0,
    deadline: float = float("inf"),
) -> pd.DataFrame:
    """τ by the number of training rows.

    Parameters
    ----------
    features : Features
    candidates : sequence of Candidate
    cuts : sequence of Fold
        Of one repeat.
    records : DataFrame
        Of the comparison: the points of all training rows come from there.
    random_state : int
        Of the rows that are left out: fewer are part of more.
    deadline : float
        Of ``time.perf_counter()``; sizes that are not done by then are missing.

    Returns
    -------
    DataFrame
        ``candidate, n_train, kendall_tau, low, high``; the interval is that of `corrected`.
    """
    from embreg.metrics import score_all

    y, out = features.problem.y, []
    share = float(np.mean([len(f.test) / (len(f.test) + len(f.train) + len(f.val)) for f in cuts]))
    with Progress("learning curve", len(_FRACTIONS) * len(cuts) * len(candidates)) as bar:
        for fraction in _FRACTIONS:
            scores: dict[str, list[float]] = {c.name: [] for c in candidates}
            sizes = []
            for fold in cuts:
                order = np.random.default_rng([random_state, fold.number]).permutation(fold.train)
                few = np.sort(order[: max(_LEAST, len(fold.val), round(fraction * len(order)))])
                sizes.append(len(few))
                for c in candidates:
                    X = features.of(c, few)
                    model = head_of(c.head, random_state + fold.repeat)
                    model.fit(X[few], y[few], X_val=X[fold.val], y_val=y[fold.val])
                    scores[c.name].append(score_all(y[fold.test], model.predict(X[fold.test]))["kendall_tau"])
                    bar.advance(1)
            out += [
                {"candidate": name, "n_train": round(float(np.mean(sizes))), **_interval(taus, share)}
                for name, taus in scores.items()
            ]
            if time.perf_counter() > deadline:
                break
    first = {(f.repeat, f.number) for f in cuts}
    whole = records[[pair in first for pair in zip(records["repeat"], records["fold"], strict=True)]]
    n_train = round(float(np.mean([len(f.train) for f in cuts])))
    for c in candidates:
        taus = whole.loc[whole["candidate"] == c.name, "kendall_tau"].tolist()
        out.append({"candidate": c.name, "n_train": n_train, **_interval(taus, share)})
    return pd.DataFrame(out).drop_duplicates(["candidate", "n_train"], keep="last").reset_index(drop=True)


def _interval(taus: list[float], share: float) -> dict[str, float]:
    value, low, high = corrected(taus, share).interval
    return {"kendall_tau": value, "low": max(low, -1.0), "high": min(high, 1.0)}
