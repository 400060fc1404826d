"""Every candidate on every fold: features from training rows, heads tuned on the same validation rows."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from embreg._progress import Progress
from embreg.advising.candidates import Candidate, head_of, parts_of, transformer_of
from embreg.advising.folds import Fold
from embreg.advising.problem import Problem

__all__ = ["Features", "Outcome", "compare", "quiet_gaps"]


class Features:
    """Features of every candidate on one table; each text is embedded once.

    The transformers are those of the pipelines that advice ends in, learned on training rows alone. A frozen
    language model learns nothing from any row, so its vectors serve all folds.

    Parameters
    ----------
    problem : Problem
    store : "auto", path or None
        As for `TextEmbedder`.

    Attributes
    ----------
    reports : dict
        ``(part, model)`` to the embedder's report, once it has embedded all rows.
    """

    def __init__(self, problem: Problem, store: Any = "auto") -> None:
        self.problem, self.store = problem, store
        self.reports: dict[tuple[str, str], Any] = {}
        self._embedded: dict[tuple[str, str], np.ndarray] = {}
        self._learned: dict[str, tuple[bytes, np.ndarray]] = {}

    def of(self, candidate: Candidate, train: np.ndarray) -> np.ndarray:
        """Features of all rows, shape (n, d), float64.

        Parameters
        ----------
        candidate : Candidate
        train : ndarray of int
            Rows to learn from.
        """
        parts = parts_of(candidate, self.problem.kinds)
        blocks = [self._block(part, candidate.model, train) for part in parts]
        return np.hstack(blocks) if len(blocks) > 1 else blocks[0]

    def embed(self, part: str, model: str) -> np.ndarray:
        """Vectors of all rows by a language model, shape (n, d), float32; part ``"llm"`` or ``"text"``."""
        key = part, model
        if key not in self._embedded:
            made = transformer_of(part, self.problem.kinds, model, self.store)
            self._embedded[key] = made.fit_transform(self.problem.rows)
            self.reports[key] = made[-1].report_
        return self._embedded[key]

    def _block(self, part: str, model: str | None, train: np.ndarray) -> np.ndarray:
        if part in ("llm", "text"):
            return self.embed(part, str(model))
        # Of the last rows it was learned on: candidates of one fold follow each other.
        key, (seen, block) = train.tobytes(), self._learned.get(part, (b"", np.empty(0)))
        if seen != key:
            made = transformer_of(part, self.problem.kinds, None)
            with quiet_gaps():
                block = made.fit(self.problem.rows.iloc[train]).transform(self.problem.rows)
            self._learned[part] = key, block
        return block


@contextmanager
def quiet_gaps() -> Iterator[None]:
    """Without the warning that a column had no gap in training: a finding has said how gaps are read."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="column .* was complete in fit", category=UserWarning)
        yield


@dataclass
class Outcome:
    """Scores and predictions of a comparison.

    Attributes
    ----------
    records : list of dict
        ``repeat, fold, candidate, representation, head, kendall_tau, r2, mae, val_kendall_tau, fit_seconds``.
    predictions : dict
        Candidate name to a list of ``(fold, predicted)`` of the test rows.
    test_share : float
        Mean share of the rows scored among those scored and trained on.
    stopped : bool
        The time was over before the last fold.
    """

    records: list[dict[str, Any]] = field(default_factory=list)
    predictions: dict[str, list[tuple[Fold, np.ndarray]]] = field(default_factory=dict)
    shares: list[float] = field(default_factory=list)
    stopped: bool = False

    @property
    def test_share(self) -> float:
        """Mean over folds."""
        return float(np.mean(self.shares))

    @property
    def table(self) -> pd.DataFrame:
        """`records` as a DataFrame."""
        return pd.DataFrame(self.records)

    def out_of_fold(self, candidate: str, n: int) -> np.ndarray:
        """Mean prediction of each row by models that did not see it, shape (n,); NaN where there is none."""
        total, times = np.zeros(n), np.zeros(n)
        for fold, predicted in self.predictions[candidate]:
            total[fold.test] += predicted
            times[fold.test] += 1
        with np.errstate(invalid="ignore"):
            return total / np.where(times > 0, times, np.nan)

    def residuals(self, candidate: str, y: np.ndarray) -> np.ndarray:
        """Absolute residual of each scored row, the first time it was scored."""
        out = np.full(len(y), np.nan)
        for fold, predicted in reversed(self.predictions[candidate]):
            out[fold.test] = np.abs(y[fold.test] - predicted)
        return out[np.isfinite(out)]


def compare(
    features: Features,
    candidates: Sequence[Candidate],
    cuts: Iterable[Fold],
    *,
    total: int,
    random_state: int = 0,
    deadline: float = float("inf"),
) -> Outcome:
    """Fit and score every candidate on every fold.

    Parameters
    ----------
    features : Features
    candidates : sequence of Candidate
    cuts : iterable of Fold
    total : int
        How many folds `cuts` has.
    random_state : int
    deadline : float
        Of ``time.perf_counter()``: no fold is begun that would end later than this, judged by those before
        it, once there are two.

    Returns
    -------
    Outcome

    Raises
    ------
    ValueError
        y is the same in every row of a test part: nothing there can be ranked.
    """
    from embreg.metrics import kendall_tau, score_all

    y, out = features.problem.y, Outcome()
    longest = 0.0
    with Progress("comparing", total * len(candidates)) as bar:
        for fold in cuts:
            begun = time.perf_counter()
            if len(out.shares) > 1 and begun + longest > deadline:
                out.stopped = True
                break
            if np.ptp(y[fold.test]) == 0:
                raise ValueError(
                    f"y must vary among the rows that score, however: all {len(fold.test)} of fold "
                    f"{fold.number} have y = {y[fold.test][0]:g}; this target varies too little to be ranked"
                )
            for candidate in candidates:
                X, started = features.of(candidate, fold.train), time.perf_counter()
                model = head_of(candidate.head, random_state + fold.repeat)
                model.fit(X[fold.train], y[fold.train], X_val=X[fold.val], y_val=y[fold.val])
                predicted = np.asarray(model.predict(X[fold.test]), dtype=float)
                seconds = time.perf_counter() - started
                scores = score_all(y[fold.test], predicted)
                on_val = np.asarray(model.predict(X[fold.val]), dtype=float)
                ranked = len(fold.val) > 1 and np.ptp(on_val) > 0 and np.ptp(y[fold.val]) > 0
                out.records.append({
                    "repeat": fold.repeat, "fold": fold.number, "candidate": candidate.name,
                    "representation": candidate.label, "head": candidate.head,
                    **{name: scores[name] for name in ("kendall_tau", "r2", "mae")},
                    "val_kendall_tau": kendall_tau(y[fold.val], on_val) if ranked else 0.0,
                    "fit_seconds": round(seconds, 4),
                })  # fmt: skip
                out.predictions.setdefault(candidate.name, []).append((fold, predicted))
                bar.advance(1)
            out.shares.append(len(fold.test) / (len(fold.test) + len(fold.train) + len(fold.val)))
            longest = max(longest, time.perf_counter() - begun)
    return out
