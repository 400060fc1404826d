"""The files of a store folder: what each holds, how large it is and when it was used."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from embreg._files import digest, home
from embreg.storage.sqlite import LOGS, TROUBLE, connect, descriptions, last_use

__all__ = ["SpaceFile", "leftovers", "pick", "read_space", "space_of", "spaces", "store_folder"]

_STALE = 600.0  # seconds after which a temporary file has no process any more


@dataclass(frozen=True)
class SpaceFile:
    """One file of a store.

    Attributes
    ----------
    path : Path
    space : dict
        What it says that it holds; empty when it is new or cannot be read.
    rows : int
    size : int
        Bytes, its log included.
    used : float
        Seconds since the epoch when it was last written, or read from by an embedder (within an hour).
    problem : str
        Why it cannot be read; empty otherwise. `embreg.spaces.verify` looks closer.
    """

    path: Path
    space: dict[str, Any]
    rows: int
    size: int
    used: float
    problem: str = ""

    @property
    def digest(self) -> str:
        """Name of the space: 32 hexadecimal digits, by which its file is called."""
        return self.path.stem

    @property
    def model(self) -> str:
        """Name of the model, as far as the file tells."""
        return _model(self.space)

    @property
    def label(self) -> str:
        """Digest, model, pooling and layer, for messages."""
        space = self.space
        known = [self.model, space.get("pooling"), space.get("layer")] if space else []
        return " ".join([self.digest[:8], *(str(v) for v in known if v is not None)])


def _model(space: Mapping[str, Any]) -> str:
    from embreg.models import MODELS

    revision, seed = space.get("model"), space.get("random")
    name = "?" if revision is None else str(revision)
    for spec in MODELS.values():
        if name in (spec.revision, spec.package.requirement if spec.package else None):
            name = spec.name
            break
    else:
        if name == "local":
            name = f"local {str(space.get('weights'))[:8]}"
        elif len(name) == 40:  # a commit
            name = name[:12]
    return name if seed is None else f"{name}, random {seed}"


def store_folder(folder: str | Path | None) -> Path:
    """Folder of a store, ``home()/store`` by default."""
    return home() / "store" if folder is None else Path(folder).expanduser()


def spaces(folder: str | Path | None = None) -> list[SpaceFile]:
    """What a store holds, by name of the file; to ask is not to use.

    Parameters
    ----------
    folder : str or Path, optional
        ``home()/store`` by default.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from embreg.store import Row, Store
    >>> folder = tempfile.mkdtemp()
    >>> Store({"model": "m", "pooling": "max"}, folder).put({"a": Row(np.ones(2), 3, 0, False)})
    >>> [(s.label, s.rows) for s in spaces(folder)]
    [('18c202f4 m max', 1)]
    """
    found = (read_space(path) for path in sorted(store_folder(folder).glob("*.sqlite")))
    return [file for file in found if file is not None]


def read_space(path: Path) -> SpaceFile | None:
    """Look into one file; None when it has gone."""
    space: dict[str, Any] = {}
    rows, problem = 0, ""
    try:
        size, used = path.stat().st_size, last_use(path)
        if size:
            with connect(path) as db:
                space = space_of(path, descriptions(db))
                rows = db.execute("SELECT count(*) FROM rows").fetchone()[0] if space else 0
    except FileNotFoundError:
        return None
    except (*TROUBLE, ValueError) as error:
        problem = str(error)
    for end in LOGS:
        with suppress(OSError):
            size += path.with_name(path.name + end).stat().st_size
    return SpaceFile(path, space, rows, size, used, problem)


def space_of(path: Path, found: Sequence[bytes]) -> dict[str, Any]:
    """Read what a file says that it holds.

    Raises
    ------
    ValueError
        It says something else than its name.
    """
    if not found:
        return {}
    try:
        space = json.loads(found[0])
        right = len(found) == 1 and digest(space)[:32] == path.stem
    except (ValueError, TypeError):
        right = False
    if not right:
        raise ValueError("it describes another space than its name does")
    return space


def leftovers(folder: str | Path | None = None) -> list[Path]:
    """Damaged files that were set aside, and temporary files of processes that were killed."""
    folder = store_folder(folder)
    found = list(folder.glob("*.damaged"))
    for path in folder.glob(".*.sqlite.*.tmp*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE:
                found.append(path)
    return sorted(found)


def pick(files: Sequence[SpaceFile], names: Sequence[str], folder: Path) -> list[SpaceFile]:
    """Those whose digest begins with one of `names`; all when there are no names.

    Raises
    ------
    ValueError
        A name fits none, or several; lists near ones.
    """
    if not names:
        return list(files)
    out: dict[Path, SpaceFile] = {}
    for name in names:
        fits = [f for f in files if f.digest.startswith(name.lower().removesuffix(".sqlite"))]
        if len(fits) == 1:
            out[fits[0].path] = fits[0]
            continue
        if fits:
            problem = f"{name!r} begins {len(fits)} spaces; give more digits"
        else:
            problem = f"no space of {folder} begins with {name!r}"
            start = {f.digest[: max(1, len(name))]: f for f in files}
            close = [start[s] for s in get_close_matches(name.lower(), start, 5, 0.3)]
            fits = close or list(files)
        more = ", …" if len(fits) > 5 else ""
        listed = ", ".join(f"{f.digest[:12]} ({' '.join(f.label.split()[1:])})" for f in fits[:5])
        raise ValueError(f"{problem}; {'there are: ' + listed + more if listed else 'it is empty'}")
    return list(out.values())
