"""What services would charge for rows: prices times tokens, nothing is sent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from embreg.services.counting import count_tokens
from embreg.services.table import DATE, PROVIDERS

__all__ = ["price_table"]


def price_table(texts: Sequence[str]) -> pd.DataFrame:
    """Price of every known model of every service, for rows like these.

    Parameters
    ----------
    texts : sequence of str
        Strings of rows; the mean of their tokens counts, estimated from characters and rather too high.

    Returns
    -------
    DataFrame
        From the cheapest on: ``model`` (as `TextEmbedder` takes it), ``dim``, ``tokens`` of a row,
        ``dollars_per_million_tokens``, ``dollars_per_million_rows`` and ``read``, the month of the price.

    Raises
    ------
    ValueError
        No texts.

    Examples
    --------
    >>> table = price_table(["[1.25,-0.50]"])
    >>> table.dollars_per_million_rows.is_monotonic_increasing
    True
    """
    if not len(texts):
        raise ValueError("a price is for rows, however: got none")
    rows = []
    for provider in PROVIDERS.values():
        tokens = float(np.mean([count_tokens(text, provider.digits) for text in texts]))
        for name, known in provider.models.items():
            rows.append(
                {
                    "model": f"service:{provider.name}/{name}",
                    "dim": known.dim,
                    "tokens": tokens,
                    "dollars_per_million_tokens": known.price,
                    # A million rows of so many tokens are so many million tokens.
                    "dollars_per_million_rows": known.price * tokens,
                    "read": DATE,
                }
            )
    return pd.DataFrame(rows).sort_values("dollars_per_million_rows", kind="stable", ignore_index=True)
