"""One way from rows to predictions, timed step by step: what `embreg.latency` measures in each process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from embreg._resident import own, peak, resident
from embreg.representation import Representation

__all__ = ["Contender", "operations"]


class Contender:
    """A representation and a head, fitted to one target.

    Parameters
    ----------
    rep : Representation
        A language model of this machine, or φ_trad.
    head : str
        As for `experiment.compare`.
    rows : DataFrame of n rows
    y : ndarray of shape (n,)
    sample : int
        The first so many rows are what is timed.
    single : int
        And so many of these, one at a time.
    seed : int
        Of the split and of the head.
    mlp : mapping, optional
        Parameters of `MLPHead`.

    Attributes
    ----------
    about : dict
        ``tokens`` of a row, ``width``, ``operations`` of the head on one row, ``dtype, device, backend``,
        and in bytes ``model`` (what the process has of its own that it had not before), ``peak`` (the most it
        has held more than before, files included) and ``card``.
    """

    def __init__(
        self, rep: Representation, head: str, rows: pd.DataFrame, y: np.ndarray, *, sample: int, single: int,
        seed: int = 0, mlp: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        from embreg._task import split_rows

        before, held = own(), resident()
        self._rep, self._head, self._seed, self._mlp = rep, head, seed, mlp
        self._sample = rows.iloc[:sample]
        self._ones = [rows.iloc[[i]] for i in range(single)]
        self._train, self._val, _ = split_rows(len(rows), seed)
        self._y = np.asarray(y, dtype=float)
        if rep.model is None:
            from embreg.features import TabularFeatures

            self._features: Any = TabularFeatures().fit(rows.iloc[self._train])
            self._X: np.ndarray = self._features.transform(rows)
        else:
            # Nothing that is stored may be timed; for the fit stored vectors do.
            self._features = rep.embedder().set_params(store=None)
            self._X = rep.embedder().fit_transform(rep.strings(rows))
        self._fit()
        self.turn()
        self.about = {**self._facts(), "model": own() - before, "peak": peak() - held}

    def represent(self, rows: pd.DataFrame) -> np.ndarray:
        """Features of rows, strings included."""
        if self._rep.model is None:
            return np.asarray(self._features.transform(rows))
        return np.asarray(self._features.fit_transform(self._rep.strings(rows)))

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predictions of shape (n,)."""
        return np.asarray(self._model.predict(X))

    def turn(self) -> dict[str, float]:
        """Seconds of one turn: ``represent`` and ``predict`` all rows, ``single`` row, ``fit``."""
        clock = [time.perf_counter()]
        for row in self._ones:
            self.predict(self.represent(row))
        clock.append(time.perf_counter())
        X = self.represent(self._sample)
        clock.append(time.perf_counter())
        self.predict(X)
        clock.append(time.perf_counter())
        self._fit()
        single, represent, predict, fit = np.diff([*clock, time.perf_counter()]).tolist()
        n = len(self._sample)
        return {
            "single": single / len(self._ones),
            "represent": represent / n,
            "predict": predict / n,
            "fit": fit,
        }

    def _fit(self) -> None:
        from embreg._fit import make_head

        X, y = self._X, self._y
        self._model = make_head(self._head, self._seed, self._mlp).fit(
            X[self._train], y[self._train], X_val=X[self._val], y_val=y[self._val]
        )

    def _facts(self) -> dict[str, Any]:
        facts = {"tokens": None, "width": int(self._X.shape[1]), "operations": operations(self._model),
                 "dtype": None, "device": "cpu", "backend": None, "card": 0}  # fmt: skip
        if self._rep.model is None:
            return facts
        space = self._features.space_
        facts |= {
            "dtype": space["dtype"],
            "device": space["device"],
            "backend": space.get("backend", "torch"),
        }
        facts["tokens"] = float(self._features.report_.tokens_per_row.mean())
        if str(facts["device"]).startswith("cuda"):
            import torch

            facts["card"] = int(torch.cuda.max_memory_allocated())
        return facts


def operations(model: Any) -> float | None:
    """Operations of a fitted head on one row: products and sums, or comparisons on the way down trees.

    Parameters
    ----------
    model : MLPHead or Tuned
        Fitted to one target.

    Returns
    -------
    float or None
        None for a head that nobody has counted for.

    Examples
    --------
    >>> from embreg.baselines import baseline
    >>> X = np.random.default_rng(0).normal(size=(40, 3))
    >>> operations(baseline("ridge").fit(X, X[:, 0]))
    6.0
    """
    if hasattr(model, "members_"):
        return float(sum(2 * w.size for member in model.members_ for w in member[0][::2]))  # without biases
    best, width = model.best_params_, model.n_features_in_
    known = {"mean": 0.0, "ridge": 2.0 * width, "bayesian_ridge": 2.0 * width, "ridge_squares": 5.0 * width}
    if model.name.startswith("xgboost"):
        return float(best["trees"] * best["max_depth"]) if best else 0.0
    return known.get(model.name)
