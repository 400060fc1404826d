"""Backends that the engine does without: measured where they are installed, named on the book's page."""

from __future__ import annotations

import importlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks._contenders import Plain, sentence_transformer
from embreg.engine.backends import quiet

__all__ = ["OTHERS", "Other", "Unavailable"]

BUDGET = 2048
"""Padded tokens in a batch, where the backend lets us choose."""


class Unavailable(RuntimeError):
    """A backend that cannot run here; the message says why."""


class Other(NamedTuple):
    """A backend: what it computes in, how to build it, and why it is left out."""

    dtype: str
    build: Callable[[Path, int], Callable[[list[str]], np.ndarray]]
    why: str


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Unavailable(f"{name} is not installed") from error


def _torch(dtype: str) -> Callable[[Path, int], Callable[[list[str]], np.ndarray]]:
    def build(folder: Path, longest: int) -> Callable[[list[str]], np.ndarray]:
        plain = Plain(folder, dtype)
        return lambda texts: plain.embed(texts, budget=BUDGET, by_length=True)

    return build


def _compiled(dtype: str) -> Callable[[Path, int], Callable[[list[str]], np.ndarray]]:
    def build(folder: Path, longest: int) -> Callable[[list[str]], np.ndarray]:
        if shutil.which("g++") is None and shutil.which("clang++") is None:
            raise Unavailable("torch.compile needs a C++ compiler")
        plain = Plain(folder, dtype, compiled=True)
        return lambda texts: plain.embed(texts, budget=BUDGET, by_length=True)

    return build


def _pooled(plain: Plain, texts: Sequence[str], run: Callable[[list[list[int]]], np.ndarray]) -> np.ndarray:
    """Mean over real tokens of what `run` gives for token ids, in batches of `BUDGET` tokens."""
    from benchmarks._contenders import cut

    ids = plain.tokenizer(list(texts))["input_ids"]
    out: list[Any] = [None] * len(ids)
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    for batch in cut(order, [len(i) for i in ids], budget=BUDGET):
        for i, hidden in zip(batch, run([ids[i] for i in batch]), strict=True):
            out[i] = hidden[: len(ids[i])].mean(0)
    return np.stack(out)


def _padded(ids: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    width = max(map(len, ids))
    tokens, mask = np.zeros((2, len(ids), width), np.int64)
    for row, one in enumerate(ids):
        tokens[row, : len(one)], mask[row, : len(one)] = one, 1
    return tokens, mask


def _onnxruntime(dtype: str) -> Callable[[Path, int], Callable[[list[str]], np.ndarray]]:
    def build(folder: Path, longest: int) -> Callable[[list[str]], np.ndarray]:
        import torch

        ort = _module("onnxruntime")
        plain = Plain(folder, dtype)
        with tempfile.TemporaryDirectory() as made:
            path = str(Path(made) / "encoder.onnx")
            _export(plain.model, path)
            options = ort.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            try:
                session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            except Exception as error:
                said = str(error).split(" with name")[0].split(" : ")[-1]
                raise Unavailable(said) from error

        def run(ids: list[list[int]]) -> np.ndarray:
            tokens, mask = _padded(ids)
            return session.run(None, {"input_ids": tokens, "attention_mask": mask})[0]

        return lambda texts: _pooled(plain, texts, run)

    return build


def _export(model: Any, path: str) -> None:
    """Write `model` as an ONNX graph with free batch and length."""
    import warnings

    import torch

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    model.set_attn_implementation("eager")  # the faster of the two in ONNX Runtime
    names = ["input_ids", "attention_mask"]
    example = (torch.ones(2, 9, dtype=torch.long), torch.ones(2, 9, dtype=torch.long))
    free = {n: {0: "rows", 1: "tokens"} for n in [*names, "hidden"]}
    with warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                Encoder().eval(), example, path, input_names=names, output_names=["hidden"],
                dynamic_axes=free, opset_version=18, dynamo=False,
            )  # fmt: skip
        except Exception as error:
            raise Unavailable(f"torch's export of this graph: {str(error).splitlines()[0]}") from error


def _ctranslate2(folder: Path, longest: int) -> Callable[[list[str]], np.ndarray]:
    import torch

    library = _module("ctranslate2")
    converters = _module("ctranslate2.converters")
    plain = Plain(folder, "float32")
    with tempfile.TemporaryDirectory() as made:
        target = str(Path(made) / "model")
        try:
            with quiet():
                converters.TransformersConverter(str(folder)).convert(target)
        except Exception as error:
            raise Unavailable(f"its converter: {error}") from error
        encoder = library.Encoder(
            target, device="cpu", compute_type="float32", intra_threads=torch.get_num_threads()
        )
    return lambda texts: _pooled(
        plain, texts, lambda ids: np.asarray(encoder.forward_batch(ids).last_hidden_state)
    )


def _st_openvino(dtype: str) -> Callable[[Path, int], Callable[[list[str]], np.ndarray]]:
    def build(folder: Path, longest: int) -> Callable[[list[str]], np.ndarray]:
        _module("optimum.intel")
        hint = {"float32": "f32", "bfloat16": "bf16"}[dtype]
        # A copy: its export would otherwise look for, and might leave, files beside the weights.
        with tempfile.TemporaryDirectory() as made:
            copy = shutil.copytree(folder, Path(made) / "model")
            model = sentence_transformer(
                copy, dtype, "cpu", longest=longest, backend="openvino",
                ov_config={"INFERENCE_PRECISION_HINT": hint},
            )  # fmt: skip
        return lambda texts: model.encode(texts, show_progress_bar=False)

    return build


def _st_onnx(folder: Path, longest: int) -> Callable[[list[str]], np.ndarray]:
    _module("optimum.onnxruntime")
    with tempfile.TemporaryDirectory() as made:
        copy = shutil.copytree(folder, Path(made) / "model")
        model = sentence_transformer(copy, "float32", "cpu", longest=longest, backend="onnx")
    return lambda texts: model.encode(texts, show_progress_bar=False)


_FALLBACK = "kept as the fallback and the reference, not as the default"

OTHERS = {
    "torch bf16": Other("bfloat16", _torch("bfloat16"), _FALLBACK),
    "torch fp32": Other("float32", _torch("float32"), _FALLBACK),
    "torch.compile bf16": Other(
        "bfloat16", _compiled("bfloat16"), "hardly faster than torch alone; compiles for a while first"
    ),
    "torch.compile fp32": Other("float32", _compiled("float32"), "as in bf16"),
    "ONNX Runtime bf16": Other("bfloat16", _onnxruntime("bfloat16"), "no bf16 kernels for the CPU"),
    "ONNX Runtime fp32": Other("float32", _onnxruntime("float32"), "fp32 only; another graph to keep equal"),
    "CTranslate2 fp32": Other("float32", _ctranslate2, "no bf16 on this kind of CPU; few architectures"),
    "sentence-transformers, OpenVINO bf16": Other(
        "bfloat16", _st_openvino("bfloat16"), "32 rows a batch, one batch at a time"
    ),
    "sentence-transformers, OpenVINO fp32": Other("float32", _st_openvino("float32"), "as in bf16"),
    "sentence-transformers, ONNX fp32": Other(
        "float32", _st_onnx, "its package wants an older transformers than sentence-transformers does"
    ),
}
"""By the name that the tables show; each would have to win by another 1.3 times to be taken in."""
