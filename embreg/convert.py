"""ONNX encoder -> transformers folder: weights rebuilt in float32, strictly, with no onnxruntime.

Some registries carry a model only as an ONNX graph, often with 8-bit weights. The graph is read as
data: its weights are dequantised and given the names the transformers class expects. Running the
rebuilt model in floating point avoids the graph's dynamic 8-bit activations, which clip T5's outliers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from embreg._onnx import attention_divisors, onnx_weights

__all__ = ["CONVERTER_VERSION", "Architecture", "onnx_to_folder"]

Architecture = Literal["t5", "bert"]

CONVERTER_VERSION = 1
"""Raised when the written folder changes for the same input, so that old conversions are redone."""

# What remains of a name once the exporter's prefix is gone, and what transformers puts before it.
_KEYS: dict[str, tuple[str, str]] = {
    "t5": (r"(?:^|\.)((?:block\.\d+|final_layer_norm|embed_tokens)\..*)$", "encoder."),
    "bert": (r"(?:^|\.)((?:embeddings\.(?:word|position|token_type|LayerNorm)|encoder\.layer\.\d+)\S*)$", ""),
}
_SPECIAL: dict[str, dict[str, str]] = {
    "t5": {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"},
    "bert": {
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    },
}


def _state(graph: Any, architecture: Architecture) -> dict[str, np.ndarray]:
    pattern, prefix = _KEYS[architecture]
    state = {}
    for name, value in onnx_weights(graph).items():
        if re.search(r"(?:^|\.)(?:pooler\.\S+|position_ids|token_type_ids)$", name):
            continue  # buffers that hold 0, 1, 2, ..., and BERT's pooler, which embeddings do not use
        match = re.search(pattern, name)
        state[prefix + match[1] if match else name] = value
    if architecture == "t5":
        state["shared.weight"] = state.pop("encoder.embed_tokens.weight")
    return state


def _layers(state: Mapping[str, np.ndarray]) -> int:
    return 1 + max(int(m[1]) for k in state if (m := re.search(r"(?:block|layer)\.(\d+)\.", k)))


def _t5_config(state: Mapping[str, np.ndarray]) -> dict[str, Any]:
    block = "encoder.block.0.layer."
    buckets, heads = state[block + "0.SelfAttention.relative_attention_bias.weight"].shape
    inner, width = state[block + "0.SelfAttention.q.weight"].shape
    gated = block + "1.DenseReluDense.wi_0.weight" in state
    return {
        "architectures": ["T5EncoderModel"],
        "model_type": "t5",
        "vocab_size": state["shared.weight"].shape[0],
        "d_model": width,
        "d_kv": inner // heads,
        "d_ff": state[block + "1.DenseReluDense.wo.weight"].shape[1],
        "num_layers": _layers(state),
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
        "relative_attention_max_distance": 128,
        "feed_forward_proj": "gated-gelu" if gated else "relu",
        "layer_norm_epsilon": 1e-6,
        "dropout_rate": 0.1,
        "is_encoder_decoder": False,
        "use_cache": False,
        # The encoder's embedding is the shared one; only the shared one is stored.
        "tie_word_embeddings": True,
        "pad_token_id": 0,
        "eos_token_id": 1,
    }


def _bert_config(state: Mapping[str, np.ndarray], graph: Any, heads: int | None) -> dict[str, Any]:
    vocabulary, width = state["embeddings.word_embeddings.weight"].shape
    if heads is None:
        # The graph divides attention scores by sqrt(width of a head): the only trace of the heads' number.
        roots = set(attention_divisors(graph, "layer.0/attention/self/"))
        if len(roots) != 1:
            raise ValueError(f"cannot tell the number of heads from this graph ({roots}); give `heads`")
        heads = width // round(roots.pop() ** 2)
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": vocabulary,
        "hidden_size": width,
        "num_hidden_layers": _layers(state),
        "num_attention_heads": heads,
        "intermediate_size": state["encoder.layer.0.intermediate.dense.weight"].shape[0],
        "max_position_embeddings": state["embeddings.position_embeddings.weight"].shape[0],
        "type_vocab_size": state["embeddings.token_type_embeddings.weight"].shape[0],
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
    }


def _check_keys(state: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> None:
    """Compare names and shapes with those of the transformers class, built without memory for weights."""
    import torch
    from transformers import BertConfig, BertModel, T5Config, T5EncoderModel

    settings = {k: v for k, v in config.items() if k not in ("architectures", "model_type")}
    with torch.device("meta"):
        model: Any
        if config["model_type"] == "t5":
            model = T5EncoderModel(T5Config(**settings))
        else:
            model = BertModel(BertConfig(**settings), add_pooling_layer=False)
    optional = {"encoder.embed_tokens.weight", "embeddings.position_ids", "embeddings.token_type_ids"}
    expected = {k: tuple(v.shape) for k, v in model.state_dict().items() if k not in optional}
    found = {k: v.shape for k, v in state.items()}
    if expected != found:
        missing, extra = sorted(expected.keys() - found), sorted(found.keys() - expected)
        wrong = sorted(k for k in expected.keys() & found if expected[k] != found[k])
        raise ValueError(
            f"the graph is not a {type(model).__name__}: missing {missing[:3]} ({len(missing)}), "
            f"unexpected {extra[:3]} ({len(extra)}), of another shape {wrong[:3]} ({len(wrong)})"
        )


def _tokenizer_files(
    tokenizer_json: Path, architecture: Architecture, config: Mapping[str, Any]
) -> dict[str, Any]:
    """Contents of the tokenizer's two files, without the truncation and padding an exporter left in them."""
    from tokenizers import Tokenizer

    content = json.loads(tokenizer_json.read_text(encoding="utf-8"))
    content["truncation"] = content["padding"] = None
    special = _SPECIAL[architecture]
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokens = tokenizer.encode("a b").tokens
    first, last = ([], ["</s>"]) if architecture == "t5" else (["[CLS]"], ["[SEP]"])
    if tokens[: len(first)] != first or tokens[-1:] != last:
        raise ValueError(f"{tokenizer_json} does not add the special tokens of {architecture}: got {tokens}")
    if tokenizer.get_vocab_size() > config["vocab_size"]:
        raise ValueError(
            f"{tokenizer_json} has {tokenizer.get_vocab_size()} tokens, however: the model embeds "
            f"{config['vocab_size']}"
        )
    settings: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", **special}
    settings |= {"padding_side": "right", "clean_up_tokenization_spaces": False}
    if "max_position_embeddings" in config:
        settings["model_max_length"] = config["max_position_embeddings"]
    return {"tokenizer.json": content, "tokenizer_config.json": settings}


def onnx_to_folder(
    onnx_path: str | Path,
    tokenizer_json: str | Path,
    out: str | Path,
    architecture: Architecture,
    *,
    heads: int | None = None,
) -> Path:
    """Write a folder that transformers loads, from an exported encoder and its tokenizer.

    Parameters
    ----------
    onnx_path : path
        Graph of a T5 encoder or of BERT, weights in float32 or in 8 bits (dequantised here).
    tokenizer_json : path
        Tokenizer in the format of the tokenizers library; truncation and padding are removed.
    out : path
        Existing or new folder; gets ``model.safetensors`` (float32), ``config.json``,
        ``tokenizer.json`` and ``tokenizer_config.json``.
    architecture : {"t5", "bert"}
    heads : int, optional
        Attention heads of a BERT, when the graph does not tell.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    ValueError
        The graph or the tokenizer is not one of `architecture`: missing or unexpected weights,
        shapes that disagree, special tokens not added.
    ImportError
        The ``onnx`` package is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError("converting an ONNX model needs `onnx`: pip install 'embreg[models]'") from error
    from safetensors.numpy import save_file

    if architecture not in _KEYS:
        raise ValueError(f"architecture must be one of {sorted(_KEYS)}, however: got {architecture!r}")
    graph = onnx.load(str(onnx_path)).graph
    try:
        state = _state(graph, architecture)
        config = _t5_config(state) if architecture == "t5" else _bert_config(state, graph, heads)
    except KeyError as error:
        raise ValueError(
            f"{onnx_path} is not an encoder of kind {architecture}: it has no {error}"
        ) from error
    _check_keys(state, config)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    save_file(state, str(out / "model.safetensors"), metadata={"format": "pt"})
    files = {"config.json": config, **_tokenizer_files(Path(tokenizer_json), architecture, config)}
    for name, content in files.items():
        text = json.dumps(content, ensure_ascii=False, indent=None if name == "tokenizer.json" else 2)
        (out / name).write_text(text + "\n", encoding="utf-8")
    return out
