"""Who is compared: this engine, sentence-transformers, and a plain loop over transformers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embreg import TextEmbedder
from embreg.engine.backends import quiet

__all__ = ["SHORT", "Plain", "has_backends", "ours", "sentence_transformer"]

SHORT = {"float32": "fp32", "bfloat16": "bf16"}
"""Names of dtypes as the tables write them."""


def has_backends() -> bool:
    """Whether the engine can be told which backend to use."""
    return "backend" in TextEmbedder().get_params()


class _Resident(TextEmbedder):
    """An embedder that keeps its model: the package keeps the last few only, and here more take turns."""

    def _engine(self) -> Any:
        if not hasattr(self, "_kept"):
            self._kept = super()._engine()
        return self._kept


def ours(model: str, dtype: str, device: str, *, backend: str = "auto", store: Any = None) -> TextEmbedder:
    """Build this engine; without a store it computes everything anew in each call."""
    extra: dict[str, Any] = {"backend": backend} if has_backends() else {}
    return _Resident(model, dtype=dtype, device=device, store=store, **extra)  # type: ignore[arg-type]


def sentence_transformer(
    folder: Path, dtype: str, device: str, *, longest: int, backend: str = "torch", **options: Any
) -> Any:
    """Build sentence-transformers from the same files, with the mean of the tokens and nothing after it.

    Parameters
    ----------
    folder : Path
        Model folder.
    dtype, device : str
    longest : int
        Tokens of the longest row: its own limit, lower for some models, would cut rows.
    backend : {"torch", "openvino"}
        Its own backends.
    **options
        More arguments for the model.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    if backend == "torch":
        import torch

        options["dtype"] = getattr(torch, dtype)
    with quiet():
        encoder = Transformer(
            str(folder),
            max_seq_length=max(512, longest),
            backend=backend,
            model_kwargs=options,  # type: ignore[arg-type]
        )
        modules = [encoder, Pooling(encoder.get_embedding_dimension(), "mean")]
        return SentenceTransformer(modules=modules, device=device)


class Plain:
    """The loop that everybody writes first: transformers, padded batches, mean over the real tokens.

    Parameters
    ----------
    folder : Path
        Model folder.
    dtype, device : str
    compiled : bool
        Through ``torch.compile`` with dynamic shapes.
    """

    def __init__(self, folder: Path, dtype: str, device: str = "cpu", *, compiled: bool = False) -> None:
        import torch
        from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding, AutoTokenizer

        self.device = device
        with quiet():
            config: Any = AutoConfig.from_pretrained(folder, trust_remote_code=False)
            auto: Any = AutoModelForTextEncoding if "t5" in config.model_type else AutoModel
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            self.tokenizer.model_max_length = int(1e9)
            model = auto.from_pretrained(
                folder, dtype=getattr(torch, dtype), use_safetensors=True, trust_remote_code=False
            )
        self.model: Any = model.to(device).eval()
        if compiled:
            self.model = torch.compile(self.model, dynamic=True)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        return [len(ids) for ids in self.tokenizer(list(texts))["input_ids"]]

    def embed(
        self,
        texts: Sequence[str],
        *,
        rows: int | None = None,
        budget: int | None = None,
        by_length: bool = False,
    ) -> np.ndarray:
        """Embed in batches of so many `rows`, or of at most `budget` padded tokens.

        Parameters
        ----------
        texts : sequence of str
        rows, budget : int
            One of the two.
        by_length : bool
            Sort by number of tokens first.

        Returns
        -------
        ndarray of shape (n, d), float32
            In the order of `texts`.
        """
        import torch

        ids = self.tokenizer(list(texts))["input_ids"]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i])) if by_length else list(range(len(ids)))
        out: list[Any] = [None] * len(ids)
        with torch.inference_mode():
            for batch in cut(order, [len(i) for i in ids], rows=rows, budget=budget):
                width = max(len(ids[i]) for i in batch)
                pad = self.tokenizer.pad_token_id or 0
                tokens = torch.tensor([ids[i] + [pad] * (width - len(ids[i])) for i in batch])
                mask = torch.tensor([[1] * len(ids[i]) + [0] * (width - len(ids[i])) for i in batch])
                tokens, mask = tokens.to(self.device), mask.to(self.device)
                hidden = self.model(input_ids=tokens, attention_mask=mask).last_hidden_state.float()
                weights = mask.unsqueeze(-1).float()
                pooled = (hidden * weights).sum(1) / weights.sum(1)
                for i, vector in zip(batch, pooled.cpu().numpy(), strict=True):
                    out[i] = vector
        return np.stack(out)


def cut(
    order: Sequence[int], lengths: Sequence[int], *, rows: int | None = None, budget: int | None = None
) -> Iterator[list[int]]:
    """Cut `order` into batches of so many rows, or of at most `budget` padded tokens.

    Examples
    --------
    >>> list(cut([0, 1, 2], [5, 5, 5], rows=2))
    [[0, 1], [2]]
    >>> list(cut([0, 1, 2], [5, 5, 9], budget=10))
    [[0, 1], [2]]
    """
    batch: list[int] = []
    for i in order:
        width = max([lengths[i], *(lengths[j] for j in batch)])
        full = len(batch) == rows if budget is None else (len(batch) + 1) * width > budget
        if batch and full:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
