"""The embedding space: everything that changes the numbers, and so the key under which they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from numbers import Integral
from typing import TYPE_CHECKING, Any

from embreg import pooling

if TYPE_CHECKING:
    from embreg.models import LocalModel

__all__ = ["check_settings", "describe_space"]

FORMAT = 3
"""Raised when the package itself computes or stores something else than before."""

_CHOICES = {
    "stage": ("forward", "vocab"),
    "weights": ("pretrained", "random"),
    "overflow": ("error", "truncate"),
    "backend": ("auto", "openvino", "torch"),
    "attention": ("auto", "eager", "sdpa"),
}
_LIBRARIES = ("torch", "transformers", "tokenizers")
_OF_BACKEND = {"torch": (), "openvino": ("openvino",)}


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse parameters of a `TextEmbedder` that mean nothing.

    Raises
    ------
    ValueError
        Names the parameter, what it may be and what it is.

    Examples
    --------
    >>> check_settings({"pooling": "mean", "layer": -1, "seed": 0, "max_tokens": 0, "stage": "vocab",
    ...                 "weights": "random", "overflow": "error", "backend": "auto", "attention": "auto"})
    Traceback (most recent call last):
    ...
    ValueError: max_tokens must be at least 1, however: got 0
    """
    for name, allowed in _CHOICES.items():
        if settings[name] not in allowed:
            raise ValueError(f"{name} must be one of {allowed}, however: got {settings[name]!r}")
    pooling.get(settings["pooling"])
    for name in ("layer", "seed", "max_tokens"):
        value, none = settings[name], " or None" if name == "max_tokens" else ""
        if not isinstance(value, Integral) and not (none and value is None):
            raise ValueError(f"{name} must be a whole number{none}, however: got {value!r}")
    if settings["max_tokens"] is not None and settings["max_tokens"] < 1:
        raise ValueError(f"max_tokens must be at least 1, however: got {settings['max_tokens']}")


def describe_space(
    local: LocalModel,
    *,
    stage: str,
    weights: str,
    seed: int,
    dtype: str,
    device: str,
    max_tokens: int | None,
    overflow: str,
    backend: str,
    attention: str,
) -> dict[str, Any]:
    """All of a space but pooling and layer, which share a forward pass.

    Parameters
    ----------
    local : LocalModel
    stage, weights, seed, max_tokens, overflow, attention : as for `TextEmbedder`
    dtype, device, backend : str
        Resolved names, not ``"auto"``.

    Returns
    -------
    dict
        JSON-like.
    """
    return {
        "format": FORMAT,
        "model": local.revision,
        # The digest covers config.json, and so the architecture that random weights fill.
        "weights": local.weights_digest,
        "random": int(seed) if weights == "random" else None,
        "tokenizer": local.tokenizer_digest,
        "stage": stage,
        "dtype": dtype,
        "device": device.split(":")[0],
        "backend": backend,
        # "auto" is decided by the configuration and transformers' version, and both are here.
        "attention": attention,
        "max_tokens": None if max_tokens is None else int(max_tokens),
        "overflow": overflow,
        "versions": {name: version(name) for name in (*_LIBRARIES, *_OF_BACKEND[backend])},
    }
