"""Where a result came from: versions, commit and machine, without names of hosts, users or folders."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["commit", "cores", "machine", "package_commit", "versions"]

# Packages whose version can move a number or a figure.
_PACKAGES = (
    "embreg", "cma", "mapie", "matplotlib", "numpy", "openvino", "pandas", "papermill", "scikit-learn",
    "scipy", "statsmodels", "tokenizers", "torch", "transformers", "xgboost", "xgboost-cpu",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that matter to results.

    Examples
    --------
    >>> "numpy" in versions()
    True
    """
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit(root: Path) -> str | None:
    """Commit of the checkout at `root`, ``+changes`` when tracked files differ from it; None without git."""
    try:
        head = _git(root, "rev-parse", "HEAD")
        changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return head + ("+changes" if changes else "")


@lru_cache(maxsize=1)
def package_commit() -> str | None:
    """Commit of the package's own checkout; None when it is installed without one."""
    root = Path(__file__).resolve().parents[1]
    # A package inside an environment must not take the commit of the project around it.
    return commit(root) if (root / ".git").exists() else None


def _git(root: Path, *command: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *command], capture_output=True, text=True, timeout=20, check=True
    )
    return done.stdout.strip()


def cores() -> int:
    """Processors this process may use.

    Examples
    --------
    >>> cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@lru_cache(maxsize=1)
def _processor() -> str:
    try:
        if sys.platform == "darwin":
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(
                command, capture_output=True, text=True, timeout=5, check=True
            ).stdout.strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except (OSError, subprocess.SubprocessError):
        pass
    return platform.processor() or platform.machine()


def machine() -> dict[str, str | int]:
    """Kind of machine: ``platform``, ``processor``, ``cores``.

    Examples
    --------
    >>> sorted(machine())
    ['cores', 'platform', 'processor']
    """
    return {
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": cores(),
    }
