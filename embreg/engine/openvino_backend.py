"""The OpenVINO backend: on x86-64 processors faster than torch, and equal to rounding."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from embreg.engine.backends import import_openvino
from embreg.engine.openvino_graph import graph

if TYPE_CHECKING:
    import torch

    from embreg.engine.core import Recipe, Work
    from embreg.models import LocalModel

__all__ = ["OpenVinoBackend"]

_KEPT = 6  # compiled graphs; each has weights in a layout of its own

_WORTH = 65536
"""Tokens at one width that pay for a graph of that width alone: 4 % faster, and 0.1 s to compile."""

_WIDTHS = 3  # such graphs at a time
_LARGEST = 256 * 2**20  # bytes of weights of a model that may have them


_GROUP = "32"  # activations of a token that share a scale when they are rounded to 8 bits


class OpenVinoBackend:
    """A converted model, compiled for the layers that are asked for.

    Parameters
    ----------
    local : LocalModel
    config : PretrainedConfig
    recipe : Recipe
    """

    def __init__(self, local: LocalModel, config: Any, recipe: Recipe) -> None:
        self._graph = graph(local, config, recipe)
        self._rounded = recipe.dtype == "int8"
        self._precision = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}[recipe.dtype]
        self._compiled: dict[tuple[Any, ...], Any] = {}
        self._lock = threading.Lock()
        self._streams = 1
        self._seen: Counter[int] = Counter()
        _meet_numpy()
        self._mine = threading.local()

    def hidden(
        self, tokens: torch.Tensor, mask: torch.Tensor, layers: frozenset[int]
    ) -> dict[int, torch.Tensor]:
        """Hidden states ``(n, width, d)`` of the wanted layers, valid until this thread's next call."""
        import torch

        order = tuple(sorted(layers))
        request = self._request(order, int(tokens.shape[1]))
        # Inputs are copied: a request that shared them could be left with memory that is gone.
        request.infer([tokens.numpy(), mask.numpy()])
        return {k: torch.from_numpy(request.get_output_tensor(i).data) for i, k in enumerate(order)}

    def vocabulary(self, tokens: torch.Tensor) -> torch.Tensor:
        """Never needed: `embreg.engine.backends.resolve_backend` leaves stage ``"vocab"`` to torch."""
        raise NotImplementedError("vocabulary embeddings are read by the torch backend")

    def expect(self, layers: Collection[int], work: Sequence[Work]) -> None:
        """Compile for as many threads as will ask, each with a core of its own."""
        import torch

        self._streams = torch.get_num_threads()
        order = tuple(sorted(layers))
        self._compile(order, None)
        for batch in work:
            self._seen[batch.width] += len(batch.ids) * batch.width
        if self._precision == "bf16" and self._size <= _LARGEST:
            for width, tokens in self._seen.most_common(_WIDTHS):
                if tokens >= _WORTH:
                    self._compile(order, width)

    @cached_property
    def _core(self) -> Any:
        return import_openvino().Core()

    @cached_property
    def _size(self) -> int:
        """Bytes of the weights."""
        constants = (node for node in self._graph.get_ops() if node.get_type_name() == "Constant")
        return sum(node.get_byte_size() for node in constants)

    def _request(self, layers: tuple[int, ...], width: int) -> Any:
        """A request of this thread's own: its buffers are not shared."""
        compiled = self._compiled.get((layers, self._streams, width)) or self._compile(layers, None)
        mine = self._mine.__dict__.setdefault("requests", {})
        if compiled not in mine:
            mine[compiled] = compiled.create_infer_request()
        return mine[compiled]

    def _compile(self, layers: tuple[int, ...], width: int | None) -> Any:
        """The graph of some layers, for batches of one width or of any."""
        with self._lock:
            key = layers, self._streams, width
            if key not in self._compiled:
                if len(self._compiled) == _KEPT:
                    self._compiled.pop(next(iter(self._compiled)))
                wanted = [self._graph.output(f"hidden.{k}") for k in layers]
                # Layers behind the last wanted one are cut off, and so not computed.
                part = import_openvino().Model(wanted, self._graph.get_parameters())
                if width is not None:
                    part = part.clone()
                    part.reshape({i: [-1, width] for i in range(len(part.inputs))})
                self._compiled[key] = self._compile_part(part, self._streams)
            return self._compiled[key]

    def _compile_part(self, part: Any, streams: int) -> Any:
        settings = {
            "INFERENCE_PRECISION_HINT": self._precision,
            "NUM_STREAMS": str(streams),
            "INFERENCE_NUM_THREADS": str(streams),
            # Two processes that pin their threads pin them to the same cores.
            "ENABLE_CPU_PINNING": "NO",
        }
        if self._rounded:
            # Products of int8 where the processor has them: 1.7 times as fast as float32, which bfloat16 is
            # 1.8 to 1.9 times. Larger groups are a tenth faster, and further from float32 by more than that.
            settings["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = _GROUP
        elif self._precision == "f32":
            # Its fused attention rounds differently at other widths: by 1.1e-6 of a vector instead of
            # 0.9e-6, measured. Speed is what bfloat16 is for.
            with suppress(RuntimeError):  # the setting is the plugin's own, and may go
                return self._core.compile_model(part, "CPU", {**settings, "SNIPPETS_MODE": "DISABLE"})
        return self._core.compile_model(part, "CPU", settings)


def _meet_numpy() -> None:
    """Let OpenVINO look up numpy's functions now, in one thread.

    It does so once, when it first shows a tensor as an array. Two threads that come to that point together
    wait for each other for ever: one has begun and needs the interpreter's lock, the other holds that lock
    while it waits for the first to end.
    """
    import numpy as np

    _ = import_openvino().Tensor(np.zeros(1, dtype=np.float32)).data
