"""GGUF decoder -> transformers folder: weights dequantised to float32, and the tokenizer in the same file.

transformers reads such files too, but a tokenizer that it makes from one leaves out that SmolLM2 takes each
digit by itself, and its configuration file differs from release to release. What is written here is the same
wherever it is written, and its keys and shapes are held against the transformers class.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["GGUF_VERSION", "gguf_library", "gguf_to_folder"]

GGUF_VERSION = 1
"""Raised when the written folder changes for the same input, so that old conversions are redone."""

_OUTER = {"token_embd.weight": "embed_tokens.weight", "output_norm.weight": "norm.weight"}
_INNER = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
_CONTROL = 3  # type of a token that is never made from text


def _unrotated(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of queries or keys in torch's order: the format has the two halves of a rotation side by side."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _config(field: Mapping[str, Any]) -> dict[str, Any]:
    width, heads = field["llama.embedding_length"], field["llama.attention.head_count"]
    return {
        "architectures": ["LlamaModel"],
        "model_type": "llama",
        "vocab_size": len(field["tokenizer.ggml.tokens"]),
        "hidden_size": width,
        "num_hidden_layers": field["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": field["llama.attention.head_count_kv"],
        "intermediate_size": field["llama.feed_forward_length"],
        "max_position_embeddings": field["llama.context_length"],
        "hidden_act": "silu",
        # The file holds a float32; the number that was meant has few digits.
        "rms_norm_eps": float(f"{field['llama.attention.layer_norm_rms_epsilon']:.3g}"),
        "rope_parameters": {"rope_type": "default", "rope_theta": float(field["llama.rope.freq_base"])},
        "tie_word_embeddings": True,
        "bos_token_id": field["tokenizer.ggml.bos_token_id"],
        "eos_token_id": field["tokenizer.ggml.eos_token_id"],
        "pad_token_id": field["tokenizer.ggml.padding_token_id"],
    }


def _state(tensors: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> dict[str, np.ndarray]:
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    state = {}
    for name, value in tensors.items():
        if name in _OUTER:
            state[_OUTER[name]] = value
            continue
        block, _, rest = name.removeprefix("blk.").partition(".")
        kind = rest.removesuffix(".weight")
        if kind in heads:
            value = _unrotated(value, heads[kind])
        state[f"layers.{block}.{_INNER[kind]}.weight" if kind in _INNER else name] = value
    return {k: np.ascontiguousarray(v, dtype=np.float32) for k, v in state.items()}


def _check_keys(state: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> None:
    """Compare names and shapes with those of the transformers class, built without memory for weights."""
    import torch
    from transformers import LlamaConfig, LlamaModel

    settings = {k: v for k, v in config.items() if k not in ("architectures", "model_type")}
    with torch.device("meta"):
        expected = {k: tuple(v.shape) for k, v in LlamaModel(LlamaConfig(**settings)).state_dict().items()}
    found = {k: v.shape for k, v in state.items()}
    if expected != found:
        missing, extra = sorted(expected.keys() - found), sorted(found.keys() - expected)
        wrong = sorted(k for k in expected.keys() & found if expected[k] != found[k])
        raise ValueError(
            f"the file is not a LlamaModel: missing {missing[:3]} ({len(missing)}), unexpected {extra[:3]} "
            f"({len(extra)}), of another shape {wrong[:3]} ({len(wrong)})"
        )


def _tokenizer(field: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Contents of the tokenizer's two files."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    kind, split = field["tokenizer.ggml.model"], field["tokenizer.ggml.pre"]
    if (kind, split) != ("gpt2", "smollm"):
        raise ValueError(
            "the tokenizer must be byte-level BPE (gpt2) that splits like smollm, however: got "
            f"{kind!r} and {split!r}"
        )
    tokens = field["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ", 1)) for merge in field["tokenizer.ggml.merges"]]
    made = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    made.decoder = decoders.ByteLevel()
    control = [t for t, n in zip(tokens, field["tokenizer.ggml.token_type"], strict=True) if n == _CONTROL]
    made.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in control])
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "padding_side": "right"}
    for name in ("bos", "eos", "unknown", "padding"):
        key = {"unknown": "unk_token", "padding": "pad_token"}.get(name, f"{name}_token")
        settings[key] = tokens[field[f"tokenizer.ggml.{name}_token_id"]]
    return made.to_str(), {
        **settings,
        "clean_up_tokenization_spaces": False,
        "model_max_length": field["llama.context_length"],
    }


def gguf_library() -> Any:
    """Return the ``gguf`` package.

    Raises
    ------
    ImportError
        It is not installed.
    """
    try:
        import gguf
    except ImportError as error:
        raise ImportError("converting a GGUF model needs `gguf`: pip install 'embreg[gguf]'") from error
    return gguf


def gguf_to_folder(path: str | Path, out: str | Path) -> Path:
    """Write a folder that transformers loads, from a GGUF file of the Llama architecture.

    Parameters
    ----------
    path : path
        Weights in any of the format's precisions; its tokenizer is byte-level BPE that splits like SmolLM2's.
    out : path
        Existing or new folder; gets ``model.safetensors`` (float32), ``config.json``, ``tokenizer.json`` and
        ``tokenizer_config.json``.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    ValueError
        Another architecture or tokenizer, a file that is cut short, or weights that are missing, unexpected
        or of another shape.
    ImportError
        The ``gguf`` package is not installed.
    """
    gguf = gguf_library()
    from safetensors.numpy import save_file

    try:
        reader = gguf.GGUFReader(path)
    except (ValueError, IndexError) as error:
        raise ValueError(f"{path} is not a readable GGUF file: {error}") from error
    field = {name: each.contents() for name, each in reader.fields.items()}
    if field.get("general.architecture") != "llama":
        raise ValueError(
            f"{path} must be of the llama architecture, however: got {field.get('general.architecture')!r}"
        )
    try:
        config, tokenizer = _config(field), _tokenizer(field)
    except KeyError as error:
        raise ValueError(f"{path} is not a whole llama model: it has no {error}") from error
    tensors = {t.name: gguf.dequantize(t.data, t.tensor_type) for t in reader.tensors}
    state = _state(tensors, config)
    _check_keys(state, config)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    save_file(state, str(out / "model.safetensors"), metadata={"format": "pt"})
    texts = {"config.json": json.dumps(config, indent=2), "tokenizer.json": tokenizer[0]}
    texts["tokenizer_config.json"] = json.dumps(tokenizer[1], ensure_ascii=False, indent=2)
    for name, text in texts.items():
        (out / name).write_text(text + "\n", encoding="utf-8")
    return out
