"""How many instructions a C program executes that gcc built with given flags, counted under valgrind."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from embreg.making.family import Infeasible, MissingTool

__all__ = ["FIXED", "KERNELS", "count", "require", "versions"]

KERNELS = Path(__file__).parent / "kernels"
"""Folder of the C sources."""

FIXED = (
    # No C library and no start-up code of a distribution: see kernels/start.h. Addresses are fixed.
    *("-static", "-nostdlib", "-no-pie", "-fno-pie"),
    # Distributions switch these on or off in their gcc; each of them adds instructions.
    *("-fno-stack-protector", "-fno-stack-clash-protection", "-fcf-protection=none", "-U_FORTIFY_SOURCE"),
    *("-fno-asynchronous-unwind-tables", "-pipe", "-w"),
)
"""Flags of every row."""

_LIMIT = 600  # seconds: far above what any row takes, so that a program that never ends is noticed
_LEAST_GCC = 12
_NEEDED = {"abm", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"}


def count(source: str, flags: Sequence[str], expected: int, extra: Mapping[str, bytes] | None = None) -> int:
    """Build a kernel, run it, and return the number of instructions it executed.

    Parameters
    ----------
    source : str
        File name in `KERNELS`.
    flags : sequence of str
        For gcc, before those of `FIXED`.
    expected : int
        The checksum that the program must print.
    extra : mapping of str to bytes, optional
        Files the source includes, by relative path; they are there while gcc runs.

    Returns
    -------
    int
        The same wherever gcc and valgrind are the same: the environment is emptied, no library is linked
        that looks at the processor, and the stack is aligned to a page.

    Raises
    ------
    Infeasible
        gcc refuses the flags, the program crashes, does not end, or prints another checksum.
    MissingTool
        gcc or valgrind is not here.
    """
    with tempfile.TemporaryDirectory(prefix="embreg-gcc-") as scratch:
        folder = Path(scratch)
        for name, data in (extra or {}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        build = [_program("gcc"), *flags, *FIXED, f"-I{folder}", str(KERNELS / source), "-o", "program"]
        built = _run(build, folder)
        if built.returncode:
            lines = built.stderr.splitlines()
            said = [line for line in lines if "error" in line] or lines
            raise Infeasible(f"gcc ended with {built.returncode}: {' '.join(said[:2])}")
        # Without the server for debuggers nothing is written outside the folder.
        tool = [_program("valgrind"), "--tool=cachegrind", "--cache-sim=no", "--vgdb=no"]
        ran = _run([*tool, "--cachegrind-out-file=counts", "./program"], folder)
        if ran.returncode:
            raise Infeasible(f"the program ended with {ran.returncode}")
        if ran.stdout != f"{expected}\n":
            raise Infeasible(f"the checksum must be {expected}, however: got {ran.stdout[:40]!r}")
        found = re.search(r"^summary: *(\d+)", (folder / "counts").read_text(), re.MULTILINE)
        if found is None:
            raise RuntimeError(
                "cachegrind must write a line 'summary:', as 3.19 does, however: there is none"
            )
        return int(found[1])


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    # Variables such as CPATH and VALGRIND_OPTS, and a .valgrindrc at home, would change what is counted.
    clean = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TMPDIR": str(folder)}
    try:
        return subprocess.run(
            command, cwd=folder, env=clean, capture_output=True, text=True, check=False, timeout=_LIMIT
        )
    except subprocess.TimeoutExpired as error:
        raise Infeasible(f"{Path(command[0]).name} did not end within {_LIMIT} s") from error


def _program(name: str) -> str:
    """Path of a program. Looked up each time: PATH may change, and it costs next to nothing."""
    if path := shutil.which(name):
        return path
    raise MissingTool(
        f"{name} is not on the PATH. Debian and Ubuntu: apt-get install gcc libc6-dev valgrind. Elsewhere: "
        "the packages gcc and valgrind"
    )


def require() -> None:
    """Raise `MissingTool` unless this machine can build and count every row.

    Raises
    ------
    MissingTool
        No Linux on x86-64, a processor without AVX2, no valgrind, or no gcc from 12 on.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise MissingTool(
            "rows hold flags for x86-64 processors (march) and programs make system calls of Linux, however: "
            f"this is {sys.platform} on {platform.machine()}. Use Linux on x86-64"
        )
    if missing := _NEEDED - _features():
        raise MissingTool(
            "the processor must have what -march=x86-64-v3 uses, however: it lacks "
            f"{', '.join(sorted(missing))}. Use a machine whose processor has AVX2"
        )
    _program("valgrind")
    said = _first_line("gcc", "-dumpfullversion")
    if not re.match(r"\d+\.", said) or int(said.split(".")[0]) < _LEAST_GCC:
        raise MissingTool(
            f"gcc must be GNU gcc from version {_LEAST_GCC} on, however: {_program('gcc')} says {said!r}. "
            "Debian and Ubuntu: apt-get install gcc"
        )


@cache
def _features() -> set[str]:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    found = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    return set(found[1].split()) if found else set()


def _first_line(program: str, option: str) -> str:
    done = subprocess.run([_program(program), option], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).partition("\n")[0].strip()


def versions() -> dict[str, str]:
    """Return the versions that counts depend on. The C library is not among them: none is linked."""
    return {"gcc": _first_line("gcc", "--version"), "valgrind": _first_line("valgrind", "--version")}
