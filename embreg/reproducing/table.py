"""The committed table of a profile: what its runs gave, on which machine, with which versions and weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embreg._files import atomic_path

__all__ = ["FORMAT", "MAX_BYTES", "entry", "model_digests", "path_of", "read", "write"]

FORMAT = 1
MAX_BYTES = 1_000_000
"""Most that all tables together may hold: they are committed, and change with every change of results."""

_FOLDER = Path("book", "results", "reference")


def path_of(profile: str, root: Path) -> Path:
    """File of a profile's table.

    Examples
    --------
    >>> path_of("smoke", Path("x")).as_posix()
    'x/book/results/reference/smoke.json'
    """
    return root / _FOLDER / f"{profile}.json"


def read(profile: str, root: Path) -> dict[str, Any] | None:
    """Table of a profile; None where there is no file.

    Raises
    ------
    ValueError
        The file is no table of this format.
    """
    path = path_of(profile, root)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path} must be a table of reference, however: it is damaged ({error})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT or "runs" not in content:
        got = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise ValueError(
            f"{path} must be of format {FORMAT}, however: got {got!r}; write it again: embreg reproduce "
            f"--profile {profile} --write"
        )
    return content


def entry(made: Mapping[str, Any], summary: Mapping[str, Any]) -> dict[str, Any]:
    """A run as the table holds it.

    Parameters
    ----------
    made : mapping
        The run's ``run.json``.
    summary : mapping
        As `embreg.reproducing.summary.summarize` gives it.
    """
    return {
        "digest": made["digest"],
        "started": made["started"],
        "commit": made["commit"],
        "machine": made["machine"],
        "versions": made["versions"],
        "models": model_digests(made["parameters"]),
        "parameters": made["parameters"],
        **summary,
    }


def model_digests(parameters: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 of the weights that a run's parameters name; a service has none.

    Examples
    --------
    >>> model_digests({"dofs": [5]})
    {}
    """
    from embreg._wanted import models_of_runs
    from embreg.models import resolve

    models = models_of_runs([parameters]).models
    return {name: resolve(name, fetch=False).weights_digest for name in models}


def write(profile: str, runs: Mapping[str, Mapping[str, Any]], root: Path) -> Path:
    """Write a profile's table, readable line by line in a comparison of versions.

    Raises
    ------
    ValueError
        All tables together would be larger than `MAX_BYTES`.
    """
    path = path_of(profile, root)
    text = _lines({"format": FORMAT, "profile": profile, "runs": {name: runs[name] for name in sorted(runs)}})
    size = len(text.encode())
    others = sum(p.stat().st_size for p in path.parent.glob("*.json") if p != path)
    if size + others > MAX_BYTES:
        raise ValueError(
            f"tables of reference must hold at most {MAX_BYTES:,} bytes in all, however: {profile} has "
            f"{size:,} and the others {others:,}; keep fewer numbers (Run.save of large tables) or fewer runs"
        )
    with atomic_path(path) as tmp:
        tmp.write_text(text + "\n", encoding="utf-8")
    return path


def _lines(value: Any, depth: int = 0) -> str:
    """JSON with one line for each row of a table and each value of a mapping."""
    inner, outer = " " * (depth + 1), " " * depth
    if isinstance(value, Mapping) and value:
        parts = [f"{inner}{_plain(k)}: {_lines(v, depth + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(parts) + f"\n{outer}}}"
    if isinstance(value, list) and value and all(isinstance(v, list) for v in value):
        return "[\n" + ",\n".join(inner + _plain(v) for v in value) + f"\n{outer}]"
    return _plain(value)


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
