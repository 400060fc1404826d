"""How large a model is: from the table of named models, else from its configuration file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Shape", "folder_shape", "shape_of", "spec_shape"]


@dataclass(frozen=True)
class Shape:
    """Size of a model.

    Attributes
    ----------
    dim, layers : int
        Width of a token's vector, and number of blocks.
    body, parameters : int
        Parameters that every token meets, and all with the vocabulary.
    context : int or None
        Tokens that it reads; None where positions set no limit.
    """

    dim: int
    layers: int
    body: int
    parameters: int
    context: int | None

    def flops(self, tokens: float) -> float:
        """Floating-point operations of a forward pass over one row.

        Parameters
        ----------
        tokens : float
            Length of the row. A mean length of many rows gives a little less than the mean of their
            operations, as attention grows with the square.

        Examples
        --------
        >>> Shape(dim=2, layers=1, body=10, parameters=30, context=None).flops(3)
        132
        """
        return 2 * self.body * tokens + 4 * self.layers * self.dim * tokens**2


def shape_of(model: str) -> Shape:
    """Size of a named model, a hub repository or a local folder; fetches its files if need be.

    Raises
    ------
    ValueError
        The configuration file does not tell width and layers.

    Examples
    --------
    >>> shape_of("flan-t5-small-titles").layers
    8
    """
    from embreg.models import resolve

    try:
        known = spec_shape(model)
    except ValueError:  # a folder has no entry
        known = None
    found = known or folder_shape(resolve(model).path)
    if found is None:
        raise ValueError(f"the config.json of {model!r} does not tell its width and layers")
    return found


def spec_shape(model: str) -> Shape | None:
    """Size of a model of the table; None for one that is not in it.

    Raises
    ------
    ValueError
        `model` is neither a name in the table nor a hub repository.
    """
    from embreg.models import spec_of

    spec = spec_of(model)
    if spec is None:
        return None
    return Shape(
        spec.dim, spec.layers, spec.parameters - spec.vocab * spec.dim, spec.parameters, spec.context
    )


def folder_shape(folder: Path | None) -> Shape | None:
    """Size by the folder's config.json, parameters estimated; None when it does not tell."""
    if folder is None:
        return None
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= config.get("text_config") or {}  # of a model that reads pictures too
    dim = config.get("hidden_size") or config.get("d_model") or config.get("n_embd")
    names = ("num_hidden_layers", "num_layers", "n_layer")
    layers = next((config[n] for n in names if config.get(n) is not None), None)
    if not dim or layers is None:  # a table of vectors has no layers
        return None
    body = layers * _block(config, dim)
    everything = body + dim * config.get("vocab_size", 0)
    # T5's configuration has n_positions, which nothing in it reads.
    relative = str(config.get("model_type")).endswith("t5")
    context = None if relative else config.get("max_position_embeddings") or config.get("n_positions")
    return Shape(dim, layers, body, everything, context)


def _block(config: dict[str, Any], dim: int) -> int:
    """Parameters of the matrices of one block."""
    heads = config.get("num_attention_heads") or config.get("num_heads") or config.get("n_head") or 1
    head = config.get("head_dim") or config.get("d_kv") or dim // heads
    shared = config.get("num_key_value_heads") or heads  # several queries may share a key
    wide = config.get("intermediate_size") or config.get("d_ff") or config.get("n_inner") or 4 * dim
    gated = "num_key_value_heads" in config or config.get("model_type") in ("modernbert", "nomic_bert")
    gated = gated or str(config.get("feed_forward_proj")).startswith("gated")
    return int(2 * dim * head * (heads + shared) + (3 if gated else 2) * dim * wide)
