"""Table of token vectors -> model folder: a static embedding, which looks vectors up and computes nothing.

Such a folder has the files of a transformers folder, but its architecture (``"model_type": "static"``) is
none of transformers: `embreg.engine.static_backend` reads it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

__all__ = ["STATIC", "STATIC_TENSOR", "STATIC_VERSION", "static_to_folder"]

STATIC = "static"
"""Model type in the config.json of such a folder."""

STATIC_TENSOR = "embedding.weight"
"""Name of the one tensor: a row for each token."""

STATIC_VERSION = 1
"""Raised when the written folder changes for the same input, so that old conversions are redone."""

_PRECISIONS = ("F32", "F16", "BF16")


def static_to_folder(weights: str | Path, tokenizer_json: str | Path, out: str | Path) -> Path:
    """Write a folder that `TextEmbedder` loads, from a table of token vectors and its tokenizer.

    Parameters
    ----------
    weights : path
        safetensors with one tensor, ``embedding.weight`` of shape (tokens, width), in float32, float16 or
        bfloat16; copied as it is.
    tokenizer_json : path
        Tokenizer in the format of the tokenizers library. What it adds around a text is left out: a mean
        over tokens would be moved by it and nothing else. So are truncation and padding.
    out : path
        Existing or new folder; gets ``model.safetensors``, ``config.json``, ``tokenizer.json`` and
        ``tokenizer_config.json``.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    ValueError
        The file holds anything but one such table, or the tokenizer has tokens that the table lacks.
    """
    from safetensors import SafetensorError, safe_open
    from tokenizers import Tokenizer

    try:
        with safe_open(str(weights), "numpy") as file:
            found = {k: file.get_slice(k) for k in file.keys()}  # noqa: SIM118
            tensors = {k: (part.get_dtype(), tuple(part.get_shape())) for k, part in found.items()}
    except SafetensorError as error:
        raise ValueError(f"{weights} is not a readable safetensors file: {error}") from error
    kind, shape = tensors.get(STATIC_TENSOR, ("", ()))
    if len(tensors) != 1 or len(shape) != 2 or kind not in _PRECISIONS:
        raise ValueError(
            f"{weights} must hold one tensor {STATIC_TENSOR!r} of shape (tokens, width), of "
            f"{', '.join(_PRECISIONS)}, however: got {tensors}"
        )
    content: dict[str, Any] = json.loads(Path(tokenizer_json).read_text(encoding="utf-8"))
    content |= {"truncation": None, "padding": None, "post_processor": None}
    text = json.dumps(content, ensure_ascii=False)
    tokens = Tokenizer.from_str(text).get_vocab_size()
    if tokens > shape[0]:
        raise ValueError(
            f"{tokenizer_json} has {tokens} tokens, however: the table has a vector for {shape[0]}"
        )
    config = {
        "architectures": ["StaticEmbedding"],
        "model_type": STATIC,
        "vocab_size": shape[0],
        "hidden_size": shape[1],
        "num_hidden_layers": 0,
    }
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    if isinstance(unknown := content["model"].get("unk_token"), str):
        settings["unk_token"] = unknown
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(weights, out / "model.safetensors")
    files = {"config.json": json.dumps(config, indent=2), "tokenizer.json": text}
    files["tokenizer_config.json"] = json.dumps(settings, ensure_ascii=False, indent=2)
    for name, written in files.items():
        (out / name).write_text(written + "\n", encoding="utf-8")
    return out
