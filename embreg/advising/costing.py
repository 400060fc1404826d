"""What a prediction takes a row on this machine: fitted pipelines by turns, without stored embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import pandas as pd

from embreg._turns import alternate, geometric
from embreg.stats import Interval

__all__ = ["row_costs"]

_ROWS = 32
_ROUNDS = 4


def row_costs(
    fitted: Mapping[str, Any], rows: pd.DataFrame, *, slow: str, fast: str, rounds: int = _ROUNDS
) -> tuple[pd.DataFrame, Interval]:
    """Milliseconds a row of each pipeline, and how many times as long one takes as another.

    Parameters
    ----------
    fitted : mapping of str to Pipeline
    rows : DataFrame
        The first 32 are predicted together, so that a model reads a batch.
    slow, fast : str
        Whose ratio is asked.
    rounds : int
        From 2: one has no interval.

    Returns
    -------
    costs : DataFrame
        ``candidate, ms_per_row, low, high``.
    ratio : Interval
        Geometric mean of the ratios within rounds.
    """
    few = rows.iloc[:_ROWS]
    with _unstored(fitted.values()):
        for model in fitted.values():
            model.predict(few)  # loads what has to be loaded
        calls = {name: partial(model.predict, few) for name, model in fitted.items()}
        seconds = alternate(calls, rounds)
    costs = []
    for name, times in seconds.items():
        value, low, high = geometric([1000 * s / len(few) for s in times])
        costs.append({"candidate": name, "ms_per_row": value, "low": low, "high": high})
    ratio = geometric([a / b for a, b in zip(seconds[slow], seconds[fast], strict=True)])
    return pd.DataFrame(costs), Interval(*ratio)  # type: ignore[arg-type]


@contextmanager
def _unstored(pipelines: Any) -> Iterator[None]:
    """Embed anew: a vector from the store takes no forward pass."""
    kept = []
    for pipeline in pipelines:
        stores = {k: v for k, v in pipeline.get_params().items() if k.endswith("textembedder__store")}
        kept.append((pipeline, stores))
        pipeline.set_params(**dict.fromkeys(stores))
    try:
        yield
    finally:
        for pipeline, stores in kept:
            pipeline.set_params(**stores)
