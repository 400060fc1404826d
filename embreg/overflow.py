"""Rows longer than a model reads: which coordinates are left, and what can still be known of f."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from embreg.experiment import Suite
from embreg.representation import Representation

__all__ = ["CutSuite", "ceiling", "columns_read"]


@dataclass(frozen=True, kw_only=True)
class CutSuite(Suite):
    """Functions whose rows keep what a model reads of them, and the middle of the range for the rest.

    The targets are those of the whole rows. With φ_trad it is the fair control of a model that cuts.

    Parameters
    ----------
    variant, shift, functions : as for `Suite`
    reader : Representation
        Whose limit cuts.

    Examples
    --------
    >>> reader = Representation.of("all-MiniLM-L6-v2:values:1", max_tokens=8)
    >>> names, rows, Y = CutSuite(functions=("Sphere",), reader=reader).targets(3, 10, 0)
    >>> int((rows != 0).sum(axis=1).max())
    1
    """

    reader: Representation

    @property
    def label(self) -> str:
        """Name in records: says whose limit cuts."""
        return f"{super().label}, as read by {self.reader.label}"

    def targets(
        self, dof: int, n_samples: int, seed: int
    ) -> tuple[tuple[str, ...], pd.DataFrame, np.ndarray]:
        """Names, cut rows and targets of the whole rows."""
        names, rows, Y = super().targets(dof, n_samples, seed)
        known = np.arange(dof) < columns_read(self.reader, rows)[:, None]
        return names, rows.where(known, 0.0), Y


def columns_read(representation: Representation, rows: pd.DataFrame) -> np.ndarray:
    """How many columns of each row a model reads in full; those behind them are cut.

    Parameters
    ----------
    representation : Representation
        With a model; its `max_tokens` or the model's own context is the limit.
    rows : DataFrame of n rows
        Of numbers alone, none missing.

    Returns
    -------
    ndarray of shape (n,), int64
        Numbers of leading columns, all of whose tokens are read.

    Raises
    ------
    ValueError
        No language model, a service, or a row whose numbers cannot be told apart in its string.

    Examples
    --------
    >>> rep = Representation.of("all-MiniLM-L6-v2:values:1", max_tokens=8)
    >>> columns_read(rep, pd.DataFrame([[0.5, 0.5, 0.5], [-0.5, -0.5, -0.5]])).tolist()
    [1, 1]
    """
    from embreg.numerals import numerals, tokenizer_of

    embedder = representation.embedder()
    texts = representation.strings(rows)
    found = numerals(tokenizer_of(embedder.model), texts)
    if odd := [i for i, numbers in enumerate(found) if len(numbers) != rows.shape[1]]:
        raise ValueError(
            f"each of the {rows.shape[1]} columns must be one number of the string, however: row {odd[0]} "
            f"holds {len(found[odd[0]])}, in {texts[odd[0]][:80]!r}; give columns of numbers, "
            "none of them missing"
        )
    engine = embedder._engine()  # its weights stay where they are
    context = engine.context if representation.stage == "forward" else None
    limits = [n for n in (context, representation.max_tokens) if n is not None]
    if not limits:
        return np.full(len(rows), rows.shape[1])
    kept = min(limits) - len(engine.ending)  # the engine keeps what ends a row
    return np.array([sum(n.tokens[-1] < kept for n in numbers) for numbers in found])


def ceiling(suite: Suite, read: np.ndarray, *, dof: int, seed: int = 0, n_draws: int = 100) -> pd.DataFrame:
    """Kendall's τ of the best guess from the coordinates that were read.

    What was cut is drawn anew, many times, and f ranked among the values of all rows each time; the mean rank
    is the guess. A model that knows f and nothing of what was cut can hardly do better.

    Parameters
    ----------
    suite : Suite
        Of variant ``"paper"``.
    read : ndarray of shape (n,)
        Leading coordinates known of each row, from `columns_read`.
    dof, seed : int
    n_draws : int

    Returns
    -------
    DataFrame
        ``task, seed, kendall_tau``, a row per function, over all n points.

    Raises
    ------
    ValueError
        Another variant: its functions cannot be evaluated at points of one's own. Fewer draws than one, or a
        number read that is not from 0 to `dof`.

    Examples
    --------
    >>> whole = ceiling(Suite(functions=("Sphere",)), np.full(60, 4), dof=4)
    >>> half = ceiling(Suite(functions=("Sphere",)), np.full(60, 2), dof=4)
    >>> whole.kendall_tau.item(), round(half.kendall_tau.item(), 1)
    (1.0, 0.4)
    """
    from embreg import bbob
    from embreg._task import stream, whole
    from embreg.metrics import kendall_tau
    from embreg.tasks import bbob_shift

    if suite.variant != "paper":
        raise ValueError(f"a ceiling is measured on variant 'paper', however: got {suite.variant!r}")
    read, n_draws = np.asarray(read), whole("n_draws", n_draws, 1)
    if read.ndim != 1 or not ((read >= 0) & (read <= dof)).all():
        raise ValueError(f"read must hold a number from 0 to {dof} for each row, however: got {read}")
    names, rows, Y = suite.targets(dof, len(read), seed)
    known = np.arange(dof) < read[:, None]
    draws = stream((dof, seed), "coordinates that were cut").uniform(-5, 5, (n_draws, *rows.shape))
    points = np.where(known, rows.to_numpy(), draws).reshape(-1, dof)
    out = []
    for t, name in enumerate(names):
        values = bbob.evaluate(name, points - bbob_shift(name, dof, seed=seed, shift=suite.shift))
        ordered = np.sort(Y[:, t])
        ranks = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
        guess = ranks.reshape(n_draws, -1).mean(axis=0)
        flat = np.ptp(guess) == 0 or np.ptp(Y[:, t]) == 0
        out.append({"task": name, "seed": seed, "kendall_tau": 0.0 if flat else kendall_tau(Y[:, t], guess)})
    return pd.DataFrame(out)
