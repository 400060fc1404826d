"""Forward passes: token ids in, pooled vectors out, for every requested pooling and layer at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from embreg import pooling as _pooling
from embreg._fused import fuse
from embreg._progress import without_widgets
from embreg._threads import each

if TYPE_CHECKING:
    import torch

    from embreg.models import LocalModel

__all__ = ["Engine", "Output", "load_engine", "resolve_device", "resolve_dtype"]

_T5 = ("t5", "mt5", "umt5")
_POOLERS = ("bert", "roberta", "xlm-roberta", "mpnet")

TOKENS_PER_BATCH = {"cpu": 2048, "cuda": 65536, "mps": 16384}
"""Padded tokens in one forward pass; small batches stay in a CPU's caches."""


@dataclass(frozen=True)
class Output:
    """One thing to read off a forward pass: a pooling of a layer."""

    pooling: str
    layer: int


def resolve_device(device: str) -> str:
    """``"auto"`` is CUDA, then Apple's MPS, then the CPU.

    Examples
    --------
    >>> resolve_device("cpu")
    'cpu'
    """
    if device != "auto":
        return device
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def resolve_dtype(dtype: str, device: str) -> str:
    """``"auto"`` is bfloat16 where the processor multiplies it natively, else float32.

    Never float16: T5's activations overflow it.

    Raises
    ------
    ValueError
        Anything but auto, float32 and bfloat16.

    Examples
    --------
    >>> resolve_dtype("float32", "cpu")
    'float32'
    """
    if dtype in ("float32", "bfloat16"):
        return dtype
    if dtype != "auto":
        raise ValueError(
            f"dtype must be 'auto', 'float32' or 'bfloat16' (float16 overflows in T5), however: got {dtype!r}"
        )
    import torch

    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    if device != "cpu":
        return "float32"
    # torch has no public question for this; without the answer float32 is right, only slower.
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    return "bfloat16" if native else "float32"


class Engine:
    """A loaded model and tokenizer.

    Parameters
    ----------
    local : LocalModel
        Files on disk, as `embreg.models.resolve` gives them.
    weights : {"pretrained", "random"}
        ``"random"`` keeps the architecture and draws fresh weights from `seed` (section 3.3).
    dtype, device : str
        Resolved names, not ``"auto"``.
    seed : int
        Of the fresh weights.
    """

    def __init__(self, local: LocalModel, *, weights: str, dtype: str, device: str, seed: int) -> None:
        import torch

        self.device, self.dtype = device, getattr(torch, dtype)
        with _quiet():
            from transformers import AutoConfig, AutoTokenizer

            config = AutoConfig.from_pretrained(local.path, trust_remote_code=False)
            self.tokenizer = AutoTokenizer.from_pretrained(local.path, use_fast=True, trust_remote_code=False)
            self.model = fuse(_load(local, config, weights, self.dtype, seed)).to(device).eval()
        if not self.tokenizer.is_fast:
            raise ValueError(f"{local.path} has no fast tokenizer (tokenizer.json)")
        # Its own limit differs from what the positions allow; the embedder decides, so nothing is cut here.
        self.tokenizer.model_max_length = int(1e9)
        self.tokenizer.backend_tokenizer.no_truncation()
        self.tokenizer.backend_tokenizer.no_padding()
        self.dim = int(self.model.get_input_embeddings().weight.shape[1])
        self.n_layers = int(config.num_hidden_layers)
        self.context = _context(config)
        pad = self.tokenizer.pad_token_id
        self.pad = int(pad) if pad is not None else 0  # masked in any case
        framed = self.tokenizer.backend_tokenizer.encode("0", add_special_tokens=True)
        body = framed.special_tokens_mask[::-1].index(0)
        self.ending: list[int] = framed.ids[len(framed.ids) - body :]  # ``</s>`` in T5, ``[SEP]`` in BERT

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids with the model's special tokens, nothing cut."""
        encode, ids = self.tokenizer.backend_tokenizer.encode_batch, []
        for start in range(0, len(texts), 4096):
            # A lone surrogate cannot reach the Rust tokenizer; it reads as a question mark.
            block = [t.encode("utf-8", "replace").decode() for t in texts[start : start + 4096]]
            ids += [e.ids for e in encode(block, add_special_tokens=True)]
        return ids

    def truncate(self, ids: list[int], limit: int) -> list[int]:
        """Cut to `limit` tokens; special tokens at the end (``</s>``, ``[SEP]``) stay there."""
        ending = self.ending[-limit:]
        return ids[: limit - len(ending)] + ending

    def check_layer(self, layer: int) -> None:
        """Raise ValueError for a layer that the model does not have."""
        if not -self.n_layers - 1 <= layer <= self.n_layers:
            raise ValueError(
                f"layer must be from 0 to {self.n_layers} (or negative, from the end), however: got {layer}"
            )

    def count_unknown(self, ids: Sequence[int]) -> int:
        """Unknown tokens among `ids`."""
        return ids.count(self.tokenizer.unk_token_id)

    def run(
        self, ids: Sequence[Sequence[int]], outputs: Sequence[Output], stage: str
    ) -> Iterator[tuple[list[int], dict[Output, np.ndarray], int]]:
        """Yield ``(positions, vectors, padded tokens)`` batch by batch, in any order.

        Parameters
        ----------
        ids : sequence of token id lists
            Already cut to what the model reads.
        outputs : sequence of Output
            All are read off the same forward pass.
        stage : {"forward", "vocab"}
            ``"vocab"`` pools the vocabulary embeddings without a forward pass.
        """
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        batches = _batches(order, [len(r) for r in ids], TOKENS_PER_BATCH[self.device.split(":")[0]])

        def one(batch: list[int]) -> tuple[list[int], dict[Output, np.ndarray], int]:
            return self._batch(batch, [ids[i] for i in batch], outputs, stage)

        yield from each(one, batches) if self.device == "cpu" else map(one, batches)

    def _batch(
        self, positions: list[int], ids: Sequence[Sequence[int]], outputs: Sequence[Output], stage: str
    ) -> tuple[list[int], dict[Output, np.ndarray], int]:
        """One forward pass over rows of about equal length."""
        import torch

        width = max(map(len, ids))
        tokens = torch.full((len(ids), width), self.pad, dtype=torch.long)
        mask = torch.zeros((len(ids), width), dtype=torch.long)
        for row, tokens_of_row in enumerate(ids):
            tokens[row, : len(tokens_of_row)] = torch.tensor(tokens_of_row)
            mask[row, : len(tokens_of_row)] = 1
        tokens, mask = tokens.to(self.device), mask.to(self.device)
        with torch.inference_mode():
            hidden = self._hidden(tokens, mask, outputs, stage)
            vectors = {o: _pooling.get(o.pooling)(hidden[o.layer], mask).cpu().numpy() for o in outputs}
        return positions, vectors, tokens.numel()

    def _hidden(
        self, tokens: torch.Tensor, mask: torch.Tensor, outputs: Sequence[Output], stage: str
    ) -> dict[int, torch.Tensor]:
        if stage == "vocab":
            table = self.model.get_input_embeddings()(tokens)
            return {o.layer: table for o in outputs}
        layers = {o.layer for o in outputs}
        every = layers != {-1}
        result = self.model(input_ids=tokens, attention_mask=mask, output_hidden_states=every)
        if not every:
            return {-1: result.last_hidden_state}
        states = result.hidden_states
        if len(states) != self.n_layers + 1:
            raise ValueError(
                f"{type(self.model).__name__} gives {len(states)} hidden states, however: {self.n_layers} "
                "layers should give one more; only layer=-1 can be read of it"
            )
        return {k: result.last_hidden_state if k in (-1, self.n_layers) else states[k] for k in layers}


def _batches(order: Sequence[int], lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Cut rows, sorted by length, into batches of at most `budget` padded tokens."""
    batch: list[int] = []
    for i in order:
        if batch and (len(batch) + 1) * lengths[i] > budget:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from alarming: a bar of one second, that BERT's pooler is unused, missing widgets."""
    with without_widgets():
        from transformers.utils import logging

        had_bar, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
        logging.disable_progress_bar()
        logging.set_verbosity_error()
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            if had_bar:
                logging.enable_progress_bar()


def _load(local: LocalModel, config: Any, weights: str, dtype: Any, seed: int) -> Any:
    import torch
    from transformers import AutoModel, AutoModelForTextEncoding

    # Only the encoder of an encoder-decoder is used (section 2), so only it is loaded.
    auto: Any = AutoModelForTextEncoding if config.model_type in _T5 else AutoModel
    # BERT's pooler is a head for another task; a checkpoint without one would get random weights there.
    extra = {"add_pooling_layer": False} if config.model_type in _POOLERS else {}
    if weights == "pretrained":
        extra |= {"use_safetensors": True, "local_files_only": True}
        return auto.from_pretrained(local.path, dtype=dtype, trust_remote_code=False, **extra)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        # Drawn in float32 whatever the model computes in, so that a seed means one set of weights.
        model = auto.from_config(config, dtype=torch.float32, trust_remote_code=False, **extra)
    return model.to(dtype)


def _context(config: Any) -> int | None:
    """Longest input in tokens, or None where positions are relative and unlimited (T5)."""
    if config.model_type in _T5:
        return None
    limit = getattr(config, "max_position_embeddings", None)
    if limit and config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        return int(limit) - 2  # their positions start behind the padding index
    return int(limit) if limit else None


@lru_cache(maxsize=2)
def load_engine(local: LocalModel, weights: str, dtype: str, device: str, seed: int) -> Engine:
    """Load once per process: embedders that differ in pooling or layer share a model."""
    return Engine(local, weights=weights, dtype=dtype, device=device, seed=seed)
