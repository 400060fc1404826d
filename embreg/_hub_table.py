"""Named models of the hub that come in several sizes; their parameters are counted from published shapes."""

from __future__ import annotations

from typing import Any

from embreg._counts import parameters
from embreg._specs import ModelSpec

__all__ = ["hub_config", "hub_specs"]

_NOT_PINNED = "Not pinned: the commit found is recorded."
_PICKLES = (
    f"{_NOT_PINNED} If the main branch has only pickled weights, give a revision that has safetensors "
    "(refs/pr/N) or a local folder."
)

# Width, layers, heads, feed-forward.
_T5 = {
    "small": (512, 8, 6, 1024),
    "base": (768, 12, 12, 2048),
    "large": (1024, 24, 16, 2816),
    "xl": (2048, 24, 32, 5120),
    "xxl": (4096, 24, 64, 10240),
}
# Width, layers, heads, rows of the token embedding (padded to a multiple that grew with the machines used).
_PYTHIA = {
    "70m": (512, 6, 8, 50304),
    "160m": (768, 12, 12, 50304),
    "410m": (1024, 24, 16, 50304),
    "1b": (2048, 16, 8, 50304),
    "1.4b": (2048, 24, 16, 50304),
    "2.8b": (2560, 32, 32, 50304),
    "6.9b": (4096, 32, 32, 50432),
    "12b": (5120, 36, 40, 50688),
}
# Width, layers, heads, feed-forward, rows of the token embedding.
_QWEN3 = {
    "0.6B": (1024, 28, 16, 3072, 151669),
    "4B": (2560, 36, 32, 9728, 151665),
    "8B": (4096, 36, 32, 12288, 151665),
}
_BERT_LAYERS, _BERT_WIDTHS = (2, 4, 6, 8, 10, 12), (128, 256, 512, 768)


def _t5_config(size: str) -> dict[str, Any]:
    width, layers, heads, feed_forward = _T5[size]
    return {
        "model_type": "t5",
        "vocab_size": 32128,
        "d_model": width,
        "d_kv": 64,
        "d_ff": feed_forward,
        "num_layers": layers,
        "num_heads": heads,
        "relative_attention_num_buckets": 32,
        "feed_forward_proj": "gated-gelu",
    }


def _pythia_config(size: str) -> dict[str, Any]:
    width, layers, heads, vocabulary = _PYTHIA[size]
    return {
        "model_type": "gpt_neox",
        "vocab_size": vocabulary,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
        "max_position_embeddings": 2048,
    }


def _qwen3_config(size: str) -> dict[str, Any]:
    width, layers, heads, feed_forward, vocabulary = _QWEN3[size]
    return {
        "model_type": "qwen3",
        "vocab_size": vocabulary,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": feed_forward,
        "max_position_embeddings": 32768,
    }


def _bert_config(layers: int, width: int) -> dict[str, Any]:
    return {
        "model_type": "bert",
        "vocab_size": 30522,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": width // 64,
        "intermediate_size": 4 * width,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
    }


def _families() -> dict[str, tuple[str, dict[str, Any], str]]:
    """Name -> organisation, published shape and note."""
    t5 = (
        f"The paper's T5 family; only the encoder is used. {_PICKLES} Reads {{ and }} as <unk>. float16 "
        "gives NaN: use bfloat16 or float32."
    )
    pythia = f"Decoder: causal, so the last token or a mean is pooled. No pad token of its own. {_PICKLES}"
    qwen3 = (
        "Decoder trained to embed; its publisher pools the last token, after an instruction for queries. "
        f"{_NOT_PINNED} The publisher states a context of 32,768 tokens."
    )
    bert = f"Masked language model, not trained to embed sentences. {_PICKLES}"
    out = {f"t5-v1_1-{size}": ("google", _t5_config(size), t5) for size in _T5}
    out |= {f"pythia-{size}": ("EleutherAI", _pythia_config(size), pythia) for size in _PYTHIA}
    out |= {f"Qwen3-Embedding-{size}": ("Qwen", _qwen3_config(size), qwen3) for size in _QWEN3}
    for layers in _BERT_LAYERS:
        for width in _BERT_WIDTHS:
            name = f"bert_uncased_L-{layers}_H-{width}_A-{width // 64}"
            out[name] = ("google", _bert_config(layers, width), bert)
    return out


def hub_config(name: str) -> dict[str, Any]:
    """Entries of the published ``config.json`` that decide the size of a model of this table.

    Raises
    ------
    ValueError
        `name` is not in this table.

    Examples
    --------
    >>> hub_config("bert_uncased_L-2_H-128_A-2")["intermediate_size"]
    512
    """
    families = _families()
    if name not in families:
        raise ValueError(f"name must be one of the models of the hub's table, however: got {name!r}")
    return families[name][1]


def hub_specs() -> tuple[ModelSpec, ...]:
    """Entries of the table, family by family and from small to large.

    Examples
    --------
    >>> next(s.parameters for s in hub_specs() if s.name == "Qwen3-Embedding-0.6B")
    595776512
    """
    out = []
    for name, (organisation, config, note) in _families().items():
        layers = config["num_layers" if config["model_type"] == "t5" else "num_hidden_layers"]
        out.append(
            ModelSpec(
                name=name,
                hub=f"{organisation}/{name}",
                revision=None,
                package=None,
                dim=config["d_model" if config["model_type"] == "t5" else "hidden_size"],
                layers=layers,
                context=config.get("max_position_embeddings"),
                parameters=parameters(config),
                vocab=config["vocab_size"],
                architecture=config["model_type"],
                licence="Apache-2.0",
                note=note,
            )
        )
    return tuple(out)
