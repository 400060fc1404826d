"""Where a result came from: versions, commit, machine, models and seeds, without names of hosts or users."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["column_values", "commit", "cores", "machine", "models_used", "package_commit", "versions"]

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


def column_values(folder: str | Path, column: str) -> list[Any]:
    """Values that a column takes in the tables of a run, each once and sorted; those missing left out.

    Parameters
    ----------
    folder : str or Path
        Folder of a run; its ``*.parquet`` are read.
    column : str
        Such as ``"model"`` or ``"seed"``. Tables without it are passed over.

    Raises
    ------
    ValueError
        A file that is no Parquet.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> top = Path(tempfile.mkdtemp())
    >>> pd.DataFrame({"seed": [1, 0, 1], "model": ["m", None, "m"]}).to_parquet(top / "records.parquet")
    >>> column_values(top, "seed"), column_values(top, "model"), column_values(top, "head")
    ([0, 1], ['m'], [])
    """
    found: set[Any] = set()
    paths = sorted(Path(folder).glob("*.parquet"))
    if paths:
        import pyarrow.parquet as pq
    for path in paths:
        with pq.ParquetFile(path) as file:
            if column in file.schema_arrow.names:
                found.update(file.read([column])[column].unique().to_pylist())
    kept = (value for value in found if value is not None and value == value)
    return sorted(kept, key=lambda value: (isinstance(value, str), value))


def models_used(folder: str | Path, parameters: Mapping[str, Any]) -> dict[str, dict[str, str] | None]:
    """Models of a run: those its tables name, and those among its parameters.

    Parameters
    ----------
    folder : str or Path
        Folder of the run, whose tables have the column ``model``.
    parameters : mapping
        Of the run. Looked at are ``model``, ``models`` and names that end so; a value is written
        ``name[:style[:decimals]]``.

    Returns
    -------
    dict
        Name to ``revision``, ``weights_digest`` and ``tokenizer_digest``; None for one that the tables
        name and that is not on this machine, such as a model behind an endpoint.

    Examples
    --------
    >>> models_used("no/such/folder", {"models": [], "n_seeds": 3})
    {}
    """
    from embreg._specs import WeightsError
    from embreg.models import resolve

    recorded = {str(name) for name in column_values(folder, "model")}
    out: dict[str, dict[str, str] | None] = {}
    for name in sorted(recorded | _asked(parameters)):
        try:
            local = resolve(name, fetch=False)
        except (ValueError, OSError, ImportError, WeightsError):
            # The result is there and stays: what is not known is said, and never guessed.
            if name in recorded:
                out[name] = None
            continue
        out[name] = {
            "revision": local.revision,
            "weights_digest": local.weights_digest,
            "tokenizer_digest": local.tokenizer_digest,
        }
    return out


def _asked(parameters: Mapping[str, Any]) -> set[str]:
    """Names of models among the parameters of a run."""
    names: set[str] = set()
    for key, value in parameters.items():
        if key.split("_")[-1] in ("model", "models"):
            given = value if isinstance(value, list | tuple) else [value]
            names.update(text.partition(":")[0] for text in given if isinstance(text, str))
    return names
