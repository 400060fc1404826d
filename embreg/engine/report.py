"""EmbedReport: what one call of an embedder did."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["EmbedReport"]


@dataclass(frozen=True)
class EmbedReport:
    """What one `transform` did.

    Attributes
    ----------
    rows, distinct : int
        Strings given, and different ones among them; equal strings are embedded once.
    hits : int
        Distinct strings that the store had.
    tokens_per_row : ndarray of shape (rows,), int
        Tokens that the model read of each row.
    unk_rate : float
        Share of unknown tokens: a high one says that the model cannot tell rows apart.
    truncated : int
        Rows that were cut.
    real_tokens, padded_tokens : int
        Read in this call, without and with padding; 0 when everything was stored.
    forward_passes : int
        Batches that went through the model; 0 when everything was stored.
    seconds : float
        Wall time.
    """

    rows: int
    distinct: int
    hits: int
    tokens_per_row: np.ndarray
    unk_rate: float
    truncated: int
    real_tokens: int
    padded_tokens: int
    forward_passes: int
    seconds: float
