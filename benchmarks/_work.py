"""Operations that a model asks for, and the most that the machine can do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Peak", "Work", "work_of"]


@dataclass(frozen=True)
class Work:
    """What every token costs in an encoder.

    Attributes
    ----------
    parameters : int
        Of the encoder's layers, without embeddings (nor T5's table of relative positions).
    width : int
        Of attention: heads times size of a head.
    layers : int
    """

    parameters: int
    width: int
    layers: int

    def linear(self, lengths: Sequence[int]) -> float:
        """Operations of the linear layers: two for each parameter and token.

        Examples
        --------
        >>> Work(10, 4, 1).linear([3, 5])
        160
        """
        return 2 * self.parameters * sum(lengths)

    def attention(self, lengths: Sequence[int]) -> float:
        """Operations of the two products of attention, which grow with the square of the length.

        Examples
        --------
        >>> Work(10, 4, 1).attention([3])
        144
        """
        return sum(4 * n * n * self.width * self.layers for n in lengths)


def work_of(folder: Path) -> Work:
    """Read the work off a model folder's configuration; no weights are loaded."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding

    config: Any = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    auto: Any = AutoModelForTextEncoding if "t5" in config.model_type else AutoModel
    with torch.device("meta"):
        model = auto.from_config(config)
    layers = config.num_hidden_layers
    stack = next(m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == layers)
    tables = sum(m.weight.numel() for m in stack.modules() if isinstance(m, torch.nn.Embedding))
    heads = config.num_attention_heads
    width = heads * getattr(config, "d_kv", config.hidden_size // heads)
    return Work(sum(p.numel() for p in stack.parameters()) - tables, width, layers)


class Peak:
    """Fastest product of two square matrices seen so far, in operations a second.

    Parameters
    ----------
    device : str
    dtypes : sequence of str
        Names of torch's types.

    Attributes
    ----------
    best : dict of str to float
        By dtype; grows with each call.
    """

    def __init__(self, device: str, dtypes: Sequence[str]) -> None:
        import torch

        # A graphics card needs more work than a processor before it is busy.
        self.n = 8192 if device.startswith("cuda") else 2048
        self._pairs = {
            name: [torch.randn(self.n, self.n, device=device).to(getattr(torch, name)) for _ in range(2)]
            for name in dtypes
        }
        self._device = device
        self.best: dict[str, float] = {}

    def __call__(self, tries: int = 3) -> None:
        """Try again, on all threads."""
        for name, (a, b) in self._pairs.items():
            for _ in range(tries):
                start = time.perf_counter()
                a @ b
                self._wait()
                rate = 2 * self.n**3 / (time.perf_counter() - start)
                self.best[name] = max(rate, self.best.get(name, 0.0))

    def _wait(self) -> None:
        import torch

        if self._device.startswith("cuda"):
            torch.cuda.synchronize(self._device)
