"""ONNX conversion: a small encoder is exported by hand, converted, and compared number by number."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from embreg._onnx import dequantize, onnx_weights
from embreg.convert import onnx_to_folder

T5: dict[str, Any] = {
    "vocab_size": 40,
    "d_model": 12,
    "d_kv": 5,  # not d_model / heads, so that a wrong derivation shows
    "d_ff": 20,
    "num_layers": 2,
    "num_heads": 3,
    "relative_attention_num_buckets": 8,
    "feed_forward_proj": "gated-gelu",
}
BERT: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "max_position_embeddings": 16,
}


def tokenizer_json(path: Path, kind: str, *, framed: bool = True, size: int = 8) -> Path:
    """A tokenizer of `size` words that truncates and pads, as exporters leave them."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    special = ["<pad>", "</s>", "<unk>"] if kind == "t5" else ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = {w: i for i, w in enumerate([*special, *(f"w{i}" for i in range(size - len(special)))])}
    tok = Tokenizer(models.WordLevel(words, unk_token="<unk>" if kind == "t5" else "[UNK]"))
    tok.pre_tokenizer = pre_tokenizers.Whitespace()
    if framed:
        single = "$A </s>" if kind == "t5" else "[CLS] $A [SEP]"
        used = [(w, words[w]) for w in single.split() if w != "$A"]
        tok.post_processor = processors.TemplateProcessing(single=single, special_tokens=used)
    tok.enable_truncation(3)
    tok.enable_padding(length=3, pad_token=special[0])
    tok.save(str(path))
    return path


def slow_dequantize(values: np.ndarray, scale: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """One weight at a time, in Python numbers."""
    out = np.empty(values.shape, np.float32)
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            s, z = (float(np.broadcast_to(a, values.shape[1:])[column]) for a in (scale, zero))
            out[row, column] = (int(values[row, column]) - int(z)) * s
    return out


def quantized(name: str, matrix: np.ndarray, *, per_column: bool) -> tuple[list[Any], np.ndarray]:
    """The three initializers of an 8-bit weight, and the float weight they stand for."""
    span = np.abs(matrix).max(axis=0 if per_column else None)
    scale = np.asarray(span / 127 + 1e-9, np.float32)
    zero = np.full(scale.shape, 7, np.int8)
    values = np.clip(np.round(matrix / scale) + 7, -128, 127).astype(np.int8)
    parts: list[Any] = [(values, "_quantized"), (scale, "_scale"), (zero, "_zero_point")]
    return [numpy_helper.from_array(v, name + suffix) for v, suffix in parts], slow_dequantize(
        values, scale, zero
    )


def export(
    state: dict[str, Any], path: Path, prefix: str, *, int8: bool, heads: int = 3
) -> dict[str, np.ndarray]:
    """Write `state` as torch's exporter and onnxruntime's quantiser do; return what a reader must find."""
    initializers, nodes, truth = [], [], {}
    for number, (name, tensor) in enumerate(state.items()):
        value = tensor.detach().numpy()
        linear = value.ndim == 2 and not any(
            w in name for w in ("embed", "shared", "relative_attention_bias")
        )
        key = name.removeprefix("encoder.") if prefix == "enc." else name
        if not linear:
            if int8 and value.ndim == 2:
                parts, truth[name] = quantized(prefix + key, value, per_column=False)
                initializers += parts
            else:
                initializers.append(numpy_helper.from_array(value, prefix + key))
                truth[name] = value
            continue
        matrix = f"onnx::MatMul_{number}"
        node = "/" + (prefix + key).removesuffix(".weight").replace(".", "/").replace("/layer/", "/layer.")
        node = node.replace("/block/", "/block.").replace("layer/", "layer.")
        if int8:
            parts, dequantized = quantized(matrix, value.T.copy(), per_column=number % 2 == 0)
            initializers += parts
            truth[name] = dequantized.T
            inputs = ["x", matrix + "_quantized", "x_zero_point", matrix + "_zero_point"]
            nodes.append(
                helper.make_node("MatMulInteger", inputs, [f"y{number}"], name=node + "/MatMul_quant")
            )
        else:
            initializers.append(numpy_helper.from_array(value.T.copy(), matrix))
            truth[name] = value
            nodes.append(helper.make_node("MatMul", ["x", matrix], [f"y{number}"], name=node + "/MatMul"))
    root = numpy_helper.from_array(np.asarray(np.sqrt(12 / heads), np.float32), "root")
    nodes.append(helper.make_node("Constant", [], ["root"], value=root))
    score = f"/{prefix.rstrip('.')}/encoder/layer.0/attention/self/Div"
    nodes.append(helper.make_node("Div", ["scores", "root"], ["scaled"], name=score))
    rows = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 12])]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", rows, [], initializers)), path)
    return truth


def t5_case(folder: Path, *, int8: bool = True) -> dict[str, np.ndarray]:
    """A tiny T5 encoder with random weights, exported to `folder`."""
    from transformers import T5Config, T5EncoderModel

    torch.manual_seed(3)
    state = T5EncoderModel(T5Config(**T5)).state_dict()
    state["encoder.embed_tokens.weight"] = state.pop("shared.weight")
    truth = export(state, folder / "encoder.onnx", "enc.", int8=int8)
    truth["shared.weight"] = truth.pop("encoder.embed_tokens.weight")
    tokenizer_json(folder / "tokenizer.json", "t5")
    return truth


def bert_case(folder: Path, *, int8: bool = False) -> dict[str, np.ndarray]:
    """A tiny BERT with its pooler, exported to `folder`."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(4)
    state = BertModel(BertConfig(**BERT)).state_dict()
    truth = export(state, folder / "encoder.onnx", "model.0.auto_model.", int8=int8)
    tokenizer_json(folder / "tokenizer.json", "bert")
    return {k: v for k, v in truth.items() if not k.startswith("pooler")}


def load(folder: Path) -> Any:
    """The converted model, with the report of what did not fit."""
    from transformers import BertModel, T5EncoderModel

    kind = json.loads((folder / "config.json").read_text())["model_type"]
    extra: dict[str, Any] = {} if kind == "t5" else {"add_pooling_layer": False}
    cls: Any = T5EncoderModel if kind == "t5" else BertModel
    model, report = cls.from_pretrained(folder, output_loading_info=True, use_safetensors=True, **extra)
    assert not any(report.values()), report
    return model.eval()


@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(0, 2**31 - 1),
    st.booleans(),
    st.sampled_from([np.int8, np.uint8]),
)
def test_dequantize_equals_slow_twin(
    rows: int, columns: int, seed: int, per_column: bool, dtype: Any
) -> None:
    rng = np.random.default_rng(seed)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    values = rng.integers(low, high, (rows, columns), dtype, endpoint=True)
    shape = (columns,) if per_column else ()
    scale = rng.uniform(1e-4, 2, shape).astype(np.float32)
    zero = rng.integers(low, high, shape, dtype, endpoint=True)
    found = dequantize(values, np.asarray(scale), np.asarray(zero))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, slow_dequantize(values, np.asarray(scale), np.asarray(zero)), rtol=1e-6)


def test_dequantize_refuses_a_scale_of_another_length() -> None:
    with pytest.raises(ValueError, match=r"one number or one per column \(3\), however: got \(2,\)"):
        dequantize(np.zeros((2, 3), np.int8), np.ones(2, np.float32))


@pytest.mark.parametrize("case", [t5_case, bert_case])
@pytest.mark.parametrize("int8", [True, False])
def test_every_weight_arrives(case: Callable[..., dict[str, np.ndarray]], int8: bool, tmp_path: Path) -> None:
    truth = case(tmp_path, int8=int8)
    kind = "t5" if case is t5_case else "bert"
    out = onnx_to_folder(tmp_path / "encoder.onnx", tmp_path / "tokenizer.json", tmp_path / "out", kind)  # type: ignore[arg-type]
    model = load(out)
    state = {k: v for k, v in model.state_dict().items() if k != "encoder.embed_tokens.weight"}
    assert state.keys() == truth.keys()
    for name, tensor in state.items():
        np.testing.assert_allclose(tensor.numpy(), truth[name], rtol=1e-6, err_msg=name)
    for key, value in (T5 if kind == "t5" else BERT).items():
        assert getattr(model.config, key) == value, key


def test_the_shared_embedding_is_the_encoders(tmp_path: Path) -> None:
    t5_case(tmp_path)
    out = onnx_to_folder(tmp_path / "encoder.onnx", tmp_path / "tokenizer.json", tmp_path / "out", "t5")
    model = load(out)
    assert torch.equal(model.encoder.embed_tokens.weight, model.shared.weight)


@pytest.mark.parametrize(("kind", "frame"), [("t5", (None, "</s>")), ("bert", ("[CLS]", "[SEP]"))])
def test_tokenizer_neither_truncates_nor_pads(
    kind: str, frame: tuple[str | None, str], tmp_path: Path
) -> None:
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    (t5_case if kind == "t5" else bert_case)(tmp_path)
    assert len(Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode("w0 " * 9).ids) == 3
    out = onnx_to_folder(tmp_path / "encoder.onnx", tmp_path / "tokenizer.json", tmp_path / "out", kind)  # type: ignore[arg-type]
    for tokens in (
        AutoTokenizer.from_pretrained(out).tokenize("w0 " * 9, add_special_tokens=True),
        Tokenizer.from_file(str(out / "tokenizer.json")).encode("w0 " * 9).tokens,
    ):
        assert tokens == [t for t in (frame[0], *["w0"] * 9, frame[1]) if t]


def test_conversion_is_deterministic(tmp_path: Path) -> None:
    t5_case(tmp_path)
    a, b = (
        onnx_to_folder(tmp_path / "encoder.onnx", tmp_path / "tokenizer.json", tmp_path / n, "t5")
        for n in "ab"
    )
    assert {p.name: p.read_bytes() for p in a.iterdir()} == {p.name: p.read_bytes() for p in b.iterdir()}


def edited(path: Path, change: Callable[[Any], None]) -> None:
    model = onnx.load(path)
    change(model.graph)
    onnx.save(model, path)


def test_missing_weight_is_named(tmp_path: Path) -> None:
    t5_case(tmp_path, int8=False)

    def drop(graph: Any) -> None:
        kept = [t for t in graph.initializer if t.name != "enc.block.1.layer.0.layer_norm.weight"]
        del graph.initializer[:]
        graph.initializer.extend(kept)

    edited(tmp_path / "encoder.onnx", drop)
    with pytest.raises(ValueError, match=r"missing \['encoder.block.1.layer.0.layer_norm.weight'\] \(1\)"):
        onnx_to_folder(tmp_path / "encoder.onnx", tmp_path / "tokenizer.json", tmp_path / "out", "t5")
    assert not (tmp_path / "out").exists()


def test_unexpected_weight_is_named(tmp_path: Path) -> None:
    t5_case(tmp_path)
    extra = numpy_helper.from_array(np.zeros(12, np.float32), "enc.block.1.layer.9.layer_norm.weight")
    edited(tmp_path / "encoder.onnx", lambda graph: graph.initializer.append(extra))
    with pytest.raises(ValueError, match=r"unexpected \['encoder.block.1.layer.9.layer_norm.weight'\] \(1\)"):
        onnx_to_folder(tmp_path / "encoder.onnx", tmp_path / "tokenizer.json", tmp_path / "out", "t5")


def test_matrix_of_no_layer_is_named(tmp_path: Path) -> None:
    t5_case(tmp_path)
    extra = numpy_helper.from_array(np.zeros((2, 2), np.float32), "onnx::Add_99")
    edited(tmp_path / "encoder.onnx", lambda graph: graph.initializer.append(extra))
    with pytest.raises(ValueError, match=r"1 matrices of the graph belong to no linear layer.*onnx::Add_99"):
        onnx_weights(onnx.load(tmp_path / "encoder.onnx").graph)


def test_wrong_architecture_is_an_error(tmp_path: Path) -> None:
    t5_case(tmp_path)
    for kind, message in (("bert", "not an encoder of kind bert"), ("gpt", "must be one of .*got 'gpt'")):
        with pytest.raises(ValueError, match=message):
            onnx_to_folder(tmp_path / "encoder.onnx", tmp_path / "tokenizer.json", tmp_path / "o", kind)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"framed": False}, "does not add the special tokens of t5"),
        ({"size": 41}, "41 tokens, however: .* 40"),
    ],
)
def test_tokenizer_that_does_not_fit(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    t5_case(tmp_path)
    tokenizer_json(tmp_path / "tokenizer.json", "t5", **settings)
    with pytest.raises(ValueError, match=message):
        onnx_to_folder(tmp_path / "encoder.onnx", tmp_path / "tokenizer.json", tmp_path / "out", "t5")


def test_heads_that_the_graph_does_not_tell(tmp_path: Path) -> None:
    bert_case(tmp_path)

    def drop(graph: Any) -> None:
        kept = [n for n in graph.node if n.op_type != "Div"]
        del graph.node[:]
        graph.node.extend(kept)

    edited(tmp_path / "encoder.onnx", drop)
    with pytest.raises(ValueError, match="give `heads`"):
        onnx_to_folder(tmp_path / "encoder.onnx", tmp_path / "tokenizer.json", tmp_path / "out", "bert")
    out = onnx_to_folder(
        tmp_path / "encoder.onnx", tmp_path / "tokenizer.json", tmp_path / "out", "bert", heads=6
    )
    assert load(out).config.num_attention_heads == 6
