"""Where the time of training heads goes, for benchmarks: the same code with a clock around its parts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from embreg.training.bank import Bank, Data
from embreg.training.block import Block

__all__ = ["PARTS", "breakdown"]

PARTS = {"_batch": "batches", "_step": "products", "_update": "optimiser", "_validate": "validation"}
"""Method of `Block` to what it does: rows of a batch; forward and backward pass, with gradients to float32;
AdamW, with weights to bfloat16 after it; loss on the validation rows, best weights kept."""


def breakdown(
    bank: Bank, data: Data, rate: tuple[float, float], *, targets: int | None = None
) -> dict[str, float]:
    """Seconds per part for one block of MLPs on one thread.

    Parameters
    ----------
    bank : Bank
    data : Data
    rate : (float, float)
        Learning rate and weight decay.
    targets : int, optional
        MLPs in the block: the first columns of Y; all by default.

    Returns
    -------
    dict of str to float
        The values of `PARTS`, ``"rest"`` (first weights, order of rows, the loop) and ``"total"``. On a card
        each part waits for the card, which is slower than not to ask.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> data = Data(*(rng.normal(size=s).astype("f4") for s in [(40, 3), (40, 2), (9, 3), (9, 2)]))
    >>> list(breakdown(Bank((8,), 2, 2, 16, "float32", 0), data, (1e-3, 0.0)))
    ['batches', 'products', 'optimiser', 'validation', 'rest', 'total']
    """
    import torch

    seconds = dict.fromkeys(PARTS.values(), 0.0)

    def wait() -> None:
        if torch.device(bank.device).type == "cuda":
            torch.cuda.synchronize()

    def timed(name: str, part: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            wait()
            start, inside = time.perf_counter(), sum(seconds.values())
            out = part(*args)
            wait()
            # Parts inside this one have their own account.
            inside = sum(seconds.values()) - inside
            seconds[name] += time.perf_counter() - start - inside
            return out

        return run

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = bank.rows(data)
        wait()
        start = time.perf_counter()
        with torch.inference_mode():
            block = Block(bank, rows, range(data.Y.shape[1])[:targets], rate, bank.seed)
            for method, name in PARTS.items():
                setattr(block, method, timed(name, getattr(block, method)))
            block.train()
        total = time.perf_counter() - start
    finally:
        torch.set_num_threads(before)
    return {**seconds, "rest": total - sum(seconds.values()), "total": total}
