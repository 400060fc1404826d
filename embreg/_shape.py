"""How large a model is: from the table of named models, else from its configuration file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

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
    dim = config.get("hidden_size") or config.get("d_model") or config.get("n_embd")
    layers = config.get("num_hidden_layers") or config.get("num_layers") or config.get("n_layer")
    if not dim or not layers:
        return None
    body = 12 * layers * dim * dim  # attention 4 d², a feed-forward block of four times the width 8 d²
    everything = body + dim * config.get("vocab_size", 0)
    return Shape(dim, layers, body, everything, config.get("max_position_embeddings"))
