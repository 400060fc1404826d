"""The engine: strings to token ids, ids to batches, batches through a backend, pooled vectors out."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from embreg import pooling as _pooling
from embreg._threads import each
from embreg.engine.backends import Backend
from embreg.engine.batching import make_batches
from embreg.engine.loading import load_config, load_tokenizer, reads

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from embreg.models import LocalModel

__all__ = ["Engine", "Ids", "Output", "Recipe", "Work", "load_engine"]

TOKENS_PER_BATCH = {"cpu": 2048, "cuda": 65536, "mps": 16384}
"""Padded tokens in one forward pass; small batches stay in a CPU's caches."""

Ids = npt.NDArray[np.int32]
"""Token ids of one row."""


@dataclass(frozen=True)
class Output:
    """One thing to read off a forward pass: a pooling of a layer."""

    pooling: str
    layer: int


class Recipe(NamedTuple):
    """Which numbers an engine computes; small enough to send to another machine.

    Attributes
    ----------
    model : str
        As `embreg.models.resolve` takes it.
    digest : str
        Of the weights; an engine that finds others refuses to start.
    weights : {"pretrained", "random"}
    seed : int
        Of random weights.
    dtype, device, backend, attention : str
        Resolved names, not ``"auto"``.
    """

    model: str
    digest: str
    weights: str
    seed: int
    dtype: str
    device: str
    backend: str
    attention: str


class Work(NamedTuple):
    """One batch: positions of its rows in the input, their ids, the width to which they are padded."""

    rows: list[int]
    ids: list[Ids]
    width: int


Read = tuple[list[int], dict[Output, np.ndarray], int]
"""Positions of rows, a vector for each by output, and the tokens computed with padding."""


class Engine:
    """A tokenizer, and a model that is loaded when the first batch comes.

    Parameters
    ----------
    local : LocalModel
        Files on disk, as `embreg.models.resolve` gives them.
    recipe : Recipe
    """

    def __init__(self, local: LocalModel, recipe: Recipe) -> None:
        self.local, self.recipe = local, recipe
        self.config = load_config(local.path)
        self.dim, self.n_layers, self.context = reads(self.config, local.path)
        self.tokenizer = load_tokenizer(local.path)
        pad, known = self.tokenizer.pad_token_id, self.config.get_text_config()
        # Masked in any case. Decoders often have none, or one added behind the rows of the embedding.
        self.pad = int(pad) if pad is not None and pad < getattr(known, "vocab_size", 1) else 0
        framed = self.tokenizer.backend_tokenizer.encode("0", add_special_tokens=True)
        body = next((k for k, s in enumerate(reversed(framed.special_tokens_mask)) if not s), 0)
        self.ending: list[int] = framed.ids[len(framed.ids) - body :]  # ``</s>`` in T5, ``[SEP]`` in BERT
        self._loading = threading.Lock()

    @cached_property
    def backend(self) -> Backend:
        """The loaded model."""
        from embreg.engine.backends import load_backend

        with self._loading:
            return self.__dict__.get("backend") or load_backend(self.local, self.config, self.recipe)

    def tokenize(self, texts: Sequence[str]) -> list[Ids]:
        """Token ids with the model's special tokens, nothing cut."""
        encode, ids = self.tokenizer.backend_tokenizer.encode_batch_fast, []
        for start in range(0, len(texts), 4096):
            # A lone surrogate cannot reach the Rust tokenizer; it reads as a question mark.
            block = [t.encode("utf-8", "replace").decode() for t in texts[start : start + 4096]]
            ids += [np.array(e.ids, dtype=np.int32) for e in encode(block, add_special_tokens=True)]
        return ids

    def truncate(self, ids: Ids, limit: int) -> Ids:
        """Cut to `limit` tokens; special tokens at the end (``</s>``, ``[SEP]``) stay there."""
        ending = self.ending[-limit:]
        return np.concatenate([ids[: limit - len(ending)], np.array(ending, dtype=np.int32)])

    def check_layer(self, layer: int) -> None:
        """Raise ValueError for a layer that the model does not have."""
        if not -self.n_layers - 1 <= layer <= self.n_layers:
            raise ValueError(
                f"layer must be from 0 to {self.n_layers} (or negative, from the end), however: got {layer}"
            )

    def count_unknown(self, ids: Ids) -> int:
        """Unknown tokens among `ids`."""
        return (
            int((ids == self.tokenizer.unk_token_id).sum()) if self.tokenizer.unk_token_id is not None else 0
        )

    def run(
        self, ids: Sequence[Ids], outputs: Sequence[Output], stage: str, executor: Executor | None = None
    ) -> Generator[Read]:
        """Yield ``(positions, vectors, padded tokens)`` batch by batch, in any order.

        Parameters
        ----------
        ids : sequence of token ids
            Already cut to what the model reads.
        outputs : sequence of Output
            All are read off the same forward pass.
        stage : {"forward", "vocab"}
            ``"vocab"`` pools the vocabulary embeddings without a forward pass.
        executor : concurrent.futures.Executor, optional
            Where batches are computed; here by default. Batches are the same, and so are the numbers.
        """
        budget = TOKENS_PER_BATCH[self.recipe.device.split(":")[0]]
        work = [
            Work(rows, [ids[i] for i in rows], width)
            for rows, width in make_batches([len(r) for r in ids], budget)
        ]
        if executor is not None:
            from embreg.engine.remote import spread

            yield from spread(executor, self, work, outputs, stage)
        else:
            yield from self.compute(work, outputs, stage)

    def compute(self, work: Sequence[Work], outputs: Sequence[Output], stage: str) -> Iterator[Read]:
        """Batches that are cut already, in this process, in any order."""
        if self.recipe.device == "cpu":
            backend = self.backend  # loaded once, before threads ask for it
            backend.expect({self.layer_index(o.layer) for o in outputs}, work)
            yield from each(lambda batch: self.read(batch, outputs, stage), work)
        else:
            yield from self._ahead(work, outputs, stage)

    def read(self, work: Work, outputs: Sequence[Output], stage: str) -> Read:
        """One batch from ids to vectors."""
        return self._finish(self._start(work, outputs, stage))

    def _ahead(self, work: Iterable[Work], outputs: Sequence[Output], stage: str) -> Generator[Read]:
        """Start a batch before the last one is read: an accelerator computes while vectors come back."""
        before = None
        for batch in work:
            started = self._start(batch, outputs, stage)
            if before is not None:
                yield self._finish(before)
            before = started
        if before is not None:
            yield self._finish(before)

    def _start(self, work: Work, outputs: Sequence[Output], stage: str) -> tuple[Work, dict, Any]:
        import torch

        cuda = self.recipe.device.startswith("cuda")
        # Only pinned memory can be copied while the device computes.
        tokens = torch.full((len(work.ids), work.width), self.pad, dtype=torch.long, pin_memory=cuda)
        mask = torch.zeros((len(work.ids), work.width), dtype=torch.long, pin_memory=cuda)
        for row, ids in enumerate(work.ids):
            tokens[row, : len(ids)] = torch.from_numpy(ids)
            mask[row, : len(ids)] = 1
        with torch.inference_mode():
            if stage == "vocab":
                table = self.backend.vocabulary(tokens)
                hidden = {o.layer: table for o in outputs}
            else:
                at = {o.layer: self.layer_index(o.layer) for o in outputs}
                states = self.backend.hidden(tokens, mask, frozenset(at.values()))
                hidden = {layer: states[index] for layer, index in at.items()}
            vectors = {}
            for o in outputs:
                vector = _pooling.get(o.pooling)(hidden[o.layer], mask)
                if vector.is_cuda:
                    pinned = torch.empty(vector.shape, dtype=vector.dtype, pin_memory=True)
                    vector = pinned.copy_(vector, non_blocking=True)
                vectors[o] = vector
        done = torch.cuda.Event() if cuda else None
        if done is not None:
            done.record()
        return work, vectors, done

    def _finish(self, started: tuple[Work, dict, Any]) -> Read:
        work, vectors, done = started
        if done is not None:
            done.synchronize()
        # Copied where rows would keep pinned memory alive.
        arrays = {o: np.array(v) if done is not None else v.cpu().numpy() for o, v in vectors.items()}
        return work.rows, arrays, len(work.ids) * work.width

    def layer_index(self, layer: int) -> int:
        """Layer counted from the input of the first block."""
        return layer if layer >= 0 else layer + self.n_layers + 1


@lru_cache(maxsize=2)
def load_engine(local: LocalModel, recipe: Recipe) -> Engine:
    """Load once per process: embedders that differ in pooling or layer share a model."""
    return Engine(local, recipe)
