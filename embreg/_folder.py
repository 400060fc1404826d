"""A model folder on disk: is it safe and complete, and which weights does it hold?"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from embreg._files import atomic_path, digest, home, sha256_file

__all__ = ["check_folder", "file_digests", "folder_digests", "offline", "weight_files"]

_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)
_SETTINGS = {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"}
_OTHER_FORMATS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.msgpack", "*.h5")


def offline(*variables: str) -> bool:
    """Whether one of the environment `variables` is switched on.

    Examples
    --------
    >>> os.environ["EMBREG_EXAMPLE"] = "1"
    >>> offline("EMBREG_EXAMPLE"), offline("EMBREG_NOT_SET")
    (True, False)
    """
    return any(os.environ.get(v, "").strip().lower() in ("1", "true", "yes", "on") for v in variables)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not readable JSON: {error}") from error


def weight_files(folder: Path) -> list[str]:
    """Names of the safetensors files transformers reads, index first when the weights are in parts."""
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").is_file():
        return ["model.safetensors"]
    if index.is_file():
        return [index.name, *sorted(set(_read_json(index)["weight_map"].values()))]
    return []


def check_folder(folder: str | Path) -> Path:
    """Refuse a folder that cannot be loaded safely, before any library opens it.

    Parameters
    ----------
    folder : path
        Expected: ``config.json``, ``model.safetensors`` (or its parts and their index), tokenizer files.

    Returns
    -------
    Path
        `folder`.

    Raises
    ------
    FileNotFoundError
        The folder, its configuration, its weights or its tokenizer is not there.
    ValueError
        The configuration asks for remote code, or the weights are only there as pickles.

    Examples
    --------
    >>> check_folder("no/such/folder")
    Traceback (most recent call last):
    ...
    FileNotFoundError: no model folder at no/such/folder
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no model folder at {folder.as_posix()}")
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder} holds no config.json, so it is not a transformers model folder")
    for name in ("config.json", "tokenizer_config.json"):
        path = folder / name
        if path.is_file() and "auto_map" in _read_json(path):
            raise ValueError(
                f"{path} asks to run Python code that came with the model (auto_map). embreg never runs "
                "remote code. Choose a model whose architecture is part of transformers; if transformers has "
                "this architecture by now, remove auto_map from a local copy"
            )
    names = weight_files(folder)
    if not names:
        others = sorted(p.name for pattern in _OTHER_FORMATS for p in folder.glob(pattern))
        if others:
            raise ValueError(
                f"{folder} holds weights only as {', '.join(others[:3])}. embreg reads safetensors only: a "
                "pickle can run code when it is opened. Save it as safetensors with model.save_pretrained in "
                "an environment you trust, or take a revision of the model that has model.safetensors"
            )
        raise FileNotFoundError(f"{folder} holds neither model.safetensors nor model.safetensors.index.json")
    if missing := [n for n in names if not (folder / n).is_file()]:
        raise FileNotFoundError(f"{folder} lacks {len(missing)} files its index names, first: {missing[0]}")
    if not any((folder / n).is_file() for n in set(_TOKENIZER_FILES) - _SETTINGS):
        raise FileNotFoundError(f"{folder} holds no tokenizer (expected tokenizer.json or spiece.model)")
    return folder


def file_digests(folder: str | Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of files in `folder`; a file is read again only when its size or time of change differs.

    Parameters
    ----------
    folder : path
    names : iterable of str
        Files inside `folder`.

    Returns
    -------
    dict
        Name -> 64 hexadecimal digits. The memory is one JSON file per folder under `home()`, because
        a model folder may be shared or read-only.
    """
    folder = Path(folder).resolve()
    place = home() / "digests" / (hashlib.sha256(str(folder).encode()).hexdigest()[:16] + ".json")
    try:
        memory = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        memory = {}
    known: dict[str, list[Any]] = memory if isinstance(memory, dict) else {}
    out, changed = {}, False
    for name in names:
        stat = (folder / name).stat()
        state = [stat.st_size, stat.st_mtime_ns]
        if known.get(name, [])[:2] != state:
            known[name] = [*state, sha256_file(folder / name)]
            changed = True
        out[name] = str(known[name][2])
    if changed:
        # Without a place to remember it (a read-only home), the answer is as good, only slower next time.
        with suppress(OSError), atomic_path(place) as tmp:
            tmp.write_text(json.dumps(known), encoding="utf-8")
    return out


def folder_digests(folder: str | Path) -> tuple[str, str]:
    """What decides an embedding: digest of configuration and weights, and digest of the tokenizer's files."""
    folder = check_folder(folder)
    weights = file_digests(folder, ["config.json", *weight_files(folder)])
    tokenizer = file_digests(folder, [n for n in _TOKENIZER_FILES if (folder / n).is_file()])
    return digest(weights), digest(tokenizer)
