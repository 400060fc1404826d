"""Finished blocks of a long computation, kept beside its output until the output is whole.

A part carries its own checksum in its name, and gets that name when it is written: a process may be
killed at any moment, and a damaged part is computed again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from embreg._files import atomic_path
from embreg.streaming.tables import RequestError

__all__ = ["Parts", "differences", "exclusive", "metadata_of"]

KEY = b"embreg"
"""Under which a Parquet file says what it is."""

_MANIFEST = "manifest.json"
_NAME = re.compile(r"(\d{8})\.([0-9a-f]{32})\.parquet")


def differences(one: Any, other: Any, name: str = "") -> list[str]:
    """What differs between two JSON-like values, with dots between the names.

    Examples
    --------
    >>> differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}})
    ['a.c (2 there, 3 now)']
    """
    if isinstance(one, dict) and isinstance(other, dict):
        keys = list(dict.fromkeys([*one, *other]))
        return [d for k in keys for d in differences(one.get(k), other.get(k), f"{name}.{k}" if name else k)]
    return [] if one == other else [f"{name} ({_short(one)} there, {_short(other)} now)"]


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


@contextmanager
def exclusive(out: Path) -> Iterator[None]:
    """Keep other processes from writing the same output, whose folder is made.

    Raises
    ------
    RequestError
        Another process does, or nothing can be written there.
    """
    from filelock import FileLock, Timeout

    path = out.with_name(out.name + ".lock")
    lock = FileLock(str(path), timeout=0)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        path.touch()  # where that cannot be, the lock would wait for it
        lock.acquire()
    except Timeout:
        raise RequestError(
            f"{out} must be written by one process at a time, however: another holds {path.name}"
        ) from None
    except OSError as error:
        why = f"{error.strerror} ({error.filename})" if error.filename else str(error)
        raise RequestError(f"{out} cannot be written: {why}; give another --out") from error
    try:
        yield
    finally:
        # Before the release: whoever gets the lock of a removed file sees that, and tries again.
        with suppress(OSError):
            path.unlink(missing_ok=True)
        lock.release()


def metadata_of(path: Path) -> dict[str, Any] | None:
    """What a Parquet file says of itself; None when it is not one of ours."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found = json.loads((pq.read_schema(path).metadata or {})[KEY])
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return None
    return found if isinstance(found, dict) else None


class Parts:
    """Folder of the finished blocks of one output.

    Parameters
    ----------
    out : Path
        The output; the folder is ``<out>.parts`` beside it.
    """

    def __init__(self, out: Path) -> None:
        self.folder = out.with_name(out.name + ".parts")

    def manifest(self) -> dict[str, Any] | None:
        """What the parts were computed with; None when there are none, or they cannot be told."""
        try:
            found = json.loads((self.folder / _MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def empty(self) -> bool:
        """Whether no block is finished."""
        return not self.folder.is_dir() or not self._paths()

    def begin(self, manifest: Mapping[str, Any]) -> None:
        """Start with an empty folder."""
        self.remove()
        self.folder.mkdir(parents=True)
        with atomic_path(self.folder / _MANIFEST) as tmp:
            tmp.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")

    def remove(self) -> None:
        """Remove the parts and their folder.

        Raises
        ------
        RequestError
            Something else is in the folder.
        """
        if not self.folder.exists():
            return
        ours = [p for p in self.folder.iterdir() if _NAME.fullmatch(p.name) or ".tmp" in p.name]
        manifest = self.folder / _MANIFEST
        other = sorted({p.name for p in self.folder.iterdir()} - {p.name for p in ours} - {_MANIFEST})
        if other:
            raise RequestError(
                f"{self.folder} must hold finished blocks only, however: {other[0]!r} is in it; move it away"
            )
        manifest.unlink(missing_ok=True)  # first: what is left after a kill is no valid state
        for path in ours:
            path.unlink(missing_ok=True)
        self.folder.rmdir()

    def write(self, number: int, table: Any, **settings: Any) -> None:
        """Keep a block.

        Parameters
        ----------
        number : int
        table : pyarrow.Table
        **settings
            Of `pyarrow.parquet.write_table`.
        """
        import pyarrow.parquet as pq

        tmp = self.folder / f"{number:08d}.tmp"
        try:
            pq.write_table(table, tmp, **settings)
            os.replace(tmp, self.folder / f"{number:08d}.{_digest(tmp.read_bytes())}.parquet")
        except OSError as error:
            raise OSError(
                f"{tmp} cannot be written ({error}); finished blocks are kept, and the next call goes on"
            ) from error
        finally:
            with suppress(OSError):
                tmp.unlink(missing_ok=True)

    def check(self) -> tuple[set[int], int]:
        """Numbers of the whole parts; those that are damaged are removed and counted."""
        good, damaged = set(), 0
        for path in sorted(self.folder.iterdir()):
            if match := _NAME.fullmatch(path.name):
                if _digest(path.read_bytes()) == match[2] and int(match[1]) not in good:
                    good.add(int(match[1]))
                else:
                    path.unlink()
                    damaged += 1
        return good, damaged

    def total(self, names: Sequence[str]) -> dict[str, int]:
        """Sums of what the parts say of themselves."""
        said = [metadata_of(path) or {} for path in self._paths()]
        return {name: sum(m.get(name, 0) for m in said) for name in names}

    def join(self, out: Path, said: Mapping[str, Any], number: int, **settings: Any) -> None:
        """Write the parts as one file, one at a time.

        Parameters
        ----------
        out : Path
        said : mapping
            What the file says of itself.
        number : int
            Of parts that there must be.
        **settings
            Of `pyarrow.parquet.ParquetWriter`.

        Raises
        ------
        OSError
            A part is absent, or is not what was written.
        """
        import pyarrow.parquet as pq

        paths = self._paths()
        if len(paths) != number:
            raise OSError(f"{self.folder} must hold {number} blocks, however: got {len(paths)}; call again")
        schema = _table(paths[0]).schema.with_metadata({KEY: json.dumps(said)})
        with atomic_path(out) as tmp, pq.ParquetWriter(tmp, schema, **settings) as writer:
            for path in paths:
                part = _table(path)
                writer.write_table(part.replace_schema_metadata(schema.metadata), row_group_size=len(part))

    def _paths(self) -> list[Path]:
        return sorted(p for p in self.folder.iterdir() if _NAME.fullmatch(p.name))


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _table(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = path.read_bytes()
    if _digest(content) != path.name.split(".")[1]:
        raise OSError(f"{path} was damaged after it was written; the next call computes it again")
    return pq.read_table(pa.BufferReader(content))
