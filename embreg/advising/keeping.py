"""An advice as a folder: facts as JSON, tables as Parquet, the pipeline as `embreg.save` writes it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from embreg._files import atomic_path

__all__ = ["FORMAT", "provenance_of", "read", "write"]

FORMAT = 1
_NAME = "embreg advice"
_FACTS, _MODEL = "advice.json", "model"


def provenance_of(models: Sequence[str]) -> dict[str, Any]:
    """Versions, commit, machine and the SHA-256 of the language models."""
    from embreg._machine import Watch
    from embreg._provenance import package_commit, versions
    from embreg.models import resolve
    from embreg.services.address import is_service

    digests = {m: None if is_service(m) else resolve(m).weights_digest for m in models}
    with Watch() as watch:
        pass
    machine = watch.record.get("machine", {})
    return {"commit": package_commit(), "versions": versions(), "models": digests, "machine": machine}


def write(folder: Path, facts: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], model: Any) -> None:
    """Write an advice; see `embreg.advice.Advice.save`."""
    from embreg.saving import save

    folder = folder.resolve()
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        _facts(folder)  # refuses anything else
    head = {"format": _NAME, "version": FORMAT, "facts": {k: _plain(v) for k, v in facts.items()}}
    with atomic_path(folder, directory=True) as made:
        (made / _FACTS).write_text(
            json.dumps(head, indent=1, allow_nan=False, ensure_ascii=False), encoding="utf-8"
        )
        for name, table in tables.items():
            table.to_parquet(made / f"{name}.parquet", index=False)
        save(model, made / _MODEL)


def read(folder: Path, tables: Sequence[str]) -> tuple[dict[str, Any], dict[str, pd.DataFrame], Any]:
    """Facts, tables and pipeline of a saved advice; see `embreg.advice.Advice.load`."""
    from embreg.saving import load

    facts = {k: math.nan if v == {"$": "nan"} else v for k, v in _facts(folder).items()}
    if lost := [name for name in tables if not (folder / f"{name}.parquet").is_file()]:
        raise ValueError(f"a saved advice has {lost[0]}.parquet, however: {folder} does not; it is damaged")
    read = {name: pd.read_parquet(folder / f"{name}.parquet") for name in tables}
    return facts, read, load(folder / _MODEL)


def _facts(folder: Path) -> dict[str, Any]:
    if not folder.exists():
        raise FileNotFoundError(f"no saved advice at {folder}")
    try:
        head = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        if head["format"] != _NAME:
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError) as error:
        kind = FileExistsError if isinstance(error, OSError) else ValueError
        raise kind(
            f"a saved advice has {_FACTS}, however: {folder} is something else; name another folder"
        ) from None
    if head.get("version") != FORMAT:
        raise ValueError(
            f"this embreg reads advice of format {FORMAT}, however: {folder} has {head.get('version')!r}; "
            "read it with the release that wrote it"
        )
    return dict(head["facts"])


def _plain(value: Any) -> Any:
    """JSON of facts: numbers of NumPy as Python's, NaN as a dict of its own."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"$": "nan"} if math.isnan(value) else {"$": repr(value)}
    return value
