"""Cheap prediction (section 3.2): smoothness and neighbours of a sample, and how often that was right."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd

from embreg.lipschitz import nlfd, smoothness_gap

__all__ = ["SAMPLE", "EarlyLook", "calibration", "early_look", "how_often_right"]

SAMPLE = 500
"""Most rows looked at."""
_RESAMPLES = 300


@dataclass(frozen=True, eq=False)
class EarlyLook:
    """What a sample shows.

    Attributes
    ----------
    z : float
        Smoothness gap; above 0 where φ_LLM is the smoother one. NaN where there is no spread to compare.
    knn_gap : float
        Kendall's τ of nearest neighbours on φ_LLM less that on φ_trad, cross-validated.
    n : int
        Rows looked at.
    left_out : int
        Rows whose factor is infinite: the same features as another row and another target.
    factors : tuple of two ndarray
        Finite Lipschitz factors of φ_trad and φ_LLM.
    """

    z: float
    knn_gap: float
    n: int
    left_out: int
    factors: tuple[np.ndarray, np.ndarray]

    def as_dict(self, table: pd.DataFrame | None = None) -> dict[str, Any]:
        """Numbers, the calibrated chance that an embedding helps, and a sentence.

        Parameters
        ----------
        table : DataFrame, optional
            Of `calibration`; default: the one that is shipped.
        """
        table = calibration() if table is None else table
        chance, low, high = chance_of(self.z, self.knn_gap, table)
        won, n = int(table["won"].sum()), len(table)
        word = "smoother" if self.z > 0 else "no smoother"
        near = "better" if self.knn_gap > 0 else "no better"
        ends = table[["z", "knn_gap"]].agg(["min", "max"])
        here = pd.Series({"z": self.z, "knn_gap": self.knn_gap})
        beyond = bool(((here < ends.loc["min"]) | (here > ends.loc["max"])).any())
        far = " None of them looked like this one: the chance is a guess." if beyond else ""
        sentence = (
            f"a look at {self.n} rows: y is {word} on φ_LLM than on φ_trad (Z = {self.z:.2f}), and nearest "
            f"neighbours predict it {near} (τ {self.knn_gap:+.2f}). An embedding helped on {won} of the {n} "
            f"tables measured for this; a look like this one gives it a chance of {100 * chance:.0f} % "
            f"[{100 * low:.0f}, {100 * high:.0f}].{far}"
        )
        return {
            "z": self.z, "knn_gap": self.knn_gap, "n": self.n, "left_out": self.left_out, "chance": chance,
            "chance_low": low, "chance_high": high, "sentence": sentence,
        }  # fmt: skip


def early_look(trad: np.ndarray, llm: np.ndarray, y: np.ndarray, *, random_state: int = 0) -> EarlyLook:
    """Compare two representations of the same rows without fitting a head.

    Parameters
    ----------
    trad, llm : ndarray of shape (n, d)
        Features of the same rows.
    y : ndarray of shape (n,)
    random_state : int
        Of the folds of the neighbours.

    Returns
    -------
    EarlyLook

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(80, 1))
    >>> noise = np.random.default_rng(1).normal(size=(80, 20))
    >>> look = early_look(noise, x, x[:, 0])
    >>> look.z > 0, look.knn_gap > 0.5
    (True, True)
    """
    factors = [nlfd(features, y) for features in (trad, llm)]
    finite = np.isfinite(factors[0]) & np.isfinite(factors[1])
    kept = factors[0][finite], factors[1][finite]
    spread = len(kept[0]) > 1 and (np.ptp(kept[0]) > 0 or np.ptp(kept[1]) > 0)
    gap = _neighbours(llm, y, random_state) - _neighbours(trad, y, random_state)
    z = smoothness_gap(*kept) if spread else float("nan")
    return EarlyLook(z, gap, len(y), int((~finite).sum()), kept)


def _neighbours(features: np.ndarray, y: np.ndarray, random_state: int) -> float:
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from embreg.metrics import score_all

    model = make_pipeline(StandardScaler(), KNeighborsRegressor(5))
    folds = KFold(5, shuffle=True, random_state=random_state)
    predicted = cross_val_predict(model, features, y, cv=folds)
    return score_all(y, predicted)["kendall_tau"]


@lru_cache(maxsize=1)
def calibration() -> pd.DataFrame:
    """Tables on which both the look and the comparison were made: the records behind a chance.

    Returns
    -------
    DataFrame
        ``task, family, n, z, knn_gap, difference, won``: whether the best candidate with a language model was
        ahead of the best without. Written by ``tools/calibrate.py``.
    """
    text = files("embreg.advising").joinpath("calibration.json").read_text(encoding="utf-8")
    return pd.DataFrame(json.loads(text)["rows"])


def chance_of(
    z: float, knn_gap: float, table: pd.DataFrame, random_state: int = 0
) -> tuple[float, float, float]:
    """Chance that an embedding helps, and its 95 % interval over resampled families and tables.

    A logistic regression with a mild penalty on both numbers; where `z` is NaN, its median stands for it.

    Parameters
    ----------
    z, knn_gap : float
    table : DataFrame
        ``family, z, knn_gap, won``.
    random_state : int

    Returns
    -------
    chance, low, high : float
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    X = table[["z", "knn_gap"]].to_numpy(dtype=float)
    middle = np.nanmedian(X, axis=0)
    X = np.where(np.isfinite(X), X, middle)
    at = np.where(np.isfinite([z, knn_gap]), [z, knn_gap], middle)
    won, families = table["won"].to_numpy(dtype=float), table["family"].to_numpy()
    scaler = StandardScaler().fit(X)
    # A win and a loss of half a table each at the middle: no table of wins alone makes a chance certain.
    X = np.vstack([scaler.transform(X), np.zeros((2, 2))])
    won, prior = np.concatenate([won, [1.0, 0.0]]), np.array([0.5, 0.5])
    rng, names = np.random.default_rng(random_state), np.unique(families)
    chances = []
    for draw in range(_RESAMPLES + 1):
        weights = np.ones(len(families))
        if draw:
            times = rng.multinomial(len(names), np.full(len(names), 1 / len(names)))
            weights = times[np.searchsorted(names, families)] * rng.exponential(size=len(families))
        model = LogisticRegression(C=1.0).fit(X, won, sample_weight=np.concatenate([weights, prior]))
        chances.append(float(model.predict_proba(scaler.transform(at[None]))[0, 1]))
    low, high = np.quantile(chances[1:], [0.025, 0.975])
    return chances[0], float(min(low, chances[0])), float(max(high, chances[0]))


def how_often_right(table: pd.DataFrame | None = None) -> pd.DataFrame:
    """How often the sign of each number named the side that was ahead in the comparison.

    Parameters
    ----------
    table : DataFrame, optional
        Default: the one that is shipped.

    Returns
    -------
    DataFrame
        ``sign, of, right, share, low, high``; the interval is Wilson's (statsmodels, extra ``stats``).
    """
    from statsmodels.stats.proportion import proportion_confint

    table = calibration() if table is None else table
    rows = []
    for sign in ("z", "knn_gap"):
        part = table[np.isfinite(table[sign].astype(float))]
        right = int(((part[sign] > 0) == part["won"].astype(bool)).sum())
        low, high = proportion_confint(right, len(part), method="wilson")
        rows.append(
            {
                "sign": sign,
                "of": len(part),
                "right": right,
                "share": right / len(part),
                "low": low,
                "high": high,
            }
        )
    return pd.DataFrame(rows)
