"""Parameters of a model from its published shape: exact, with neither weights nor torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["parameters"]


def _bert(c: Mapping[str, Any]) -> int:
    d, ff = c["hidden_size"], c["intermediate_size"]
    norm = 2 * d
    layer = 4 * (d * d + d) + (d * ff + ff) + (ff * d + d) + 2 * norm
    positions = c["max_position_embeddings"] + c.get("type_vocab_size", 0)
    return c["num_hidden_layers"] * layer + positions * d + norm


def _mpnet(c: Mapping[str, Any]) -> int:
    # One table of relative positions for all layers, and no types of segments.
    relative = c["relative_attention_num_buckets"] * c["num_attention_heads"]
    return _bert({**c, "type_vocab_size": 0}) + relative


def _t5(c: Mapping[str, Any]) -> int:
    d, inner = c["d_model"], c["num_heads"] * c["d_kv"]
    matrices = 3 if c["feed_forward_proj"].startswith("gated") else 2
    layer = 4 * d * inner + matrices * d * c["d_ff"] + 2 * d
    # The first layer holds the table of relative positions that all of them use.
    return c["num_layers"] * layer + c["relative_attention_num_buckets"] * c["num_heads"] + d


def _gpt_neox(c: Mapping[str, Any]) -> int:
    d, ff = c["hidden_size"], c["intermediate_size"]
    layer = 4 * (d * d + d) + (d * ff + ff) + (ff * d + d) + 2 * 2 * d
    return c["num_hidden_layers"] * layer + 2 * d


def _llama(c: Mapping[str, Any]) -> int:
    d, heads = c["hidden_size"], c["num_attention_heads"]
    head = c.get("head_dim") or d // heads
    attention = 2 * d * heads * head + 2 * d * c["num_key_value_heads"] * head
    layer = attention + 3 * d * c["intermediate_size"] + 2 * d
    return c["num_hidden_layers"] * layer + d


def _qwen3(c: Mapping[str, Any]) -> int:
    return _llama(c) + c["num_hidden_layers"] * 2 * c["head_dim"]  # queries and keys are normalised


_BODY = {"bert": _bert, "mpnet": _mpnet, "t5": _t5, "gpt_neox": _gpt_neox, "llama": _llama, "qwen3": _qwen3}


def parameters(config: Mapping[str, Any]) -> int:
    """Parameters that an embedding needs: token embeddings and blocks, without pooler, head or decoder.

    Parameters
    ----------
    config : mapping
        Entries of the model's ``config.json``, by their names there. ``model_type`` is one of bert, mpnet,
        t5 (its encoder), gpt_neox, llama and qwen3.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        Another ``model_type``, or an entry that its count needs is missing.

    Examples
    --------
    >>> shape = {"model_type": "gpt_neox", "vocab_size": 50304, "hidden_size": 512}
    >>> shape |= {"intermediate_size": 2048, "num_hidden_layers": 6}
    >>> parameters(shape) - 50304 * 512  # Pythia 70M without embeddings, as published
    18915328
    """
    kind = config.get("model_type")
    if kind not in _BODY:
        raise ValueError(f"model_type must be one of {', '.join(_BODY)}, however: got {kind!r}")
    try:
        width = config["d_model" if kind == "t5" else "hidden_size"]
        return int(_BODY[kind](config) + config["vocab_size"] * width)
    except KeyError as error:
        raise ValueError(
            f"a {kind} configuration must have {error}, however: got {sorted(config)}"
        ) from error
