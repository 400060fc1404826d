"""A space as one file that other programs read: Parquet or safetensors, written row by row."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from embreg._files import atomic_path
from embreg._progress import Progress
from embreg.storage.row import Record, key_of
from embreg.storage.spacefile import SpaceFile
from embreg.storage.sqlite import connect, is_damage, scan

__all__ = ["export", "read_texts"]

_BATCH = 4096  # rows in memory at a time


def export(file: SpaceFile, out: str | Path, *, texts: Mapping[bytes, str] | None = None) -> int:
    """Write the rows of a space to one file; what is in its place is replaced when all is written.

    Parameters
    ----------
    file : SpaceFile
    out : str or Path
        ``.parquet``: columns ``key`` (hexadecimal), ``vector`` (float32, fixed length), ``n_tokens``,
        ``n_unk``, ``truncated``. ``.safetensors``: tensors of these names; ``key`` as bytes ``(n, 20)``.
        The space stands in the file's metadata, as JSON, under ``embreg.space``.
    texts : mapping, optional
        Key to string, from `read_texts`: column ``text`` (Parquet only), null where a row's is not given.
        The store itself keeps no strings.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    ValueError
        Another ending, no rows, or damaged ones.

    Examples
    --------
    >>> import tempfile
    >>> from safetensors.numpy import load_file
    >>> from embreg.spaces import spaces
    >>> from embreg.store import Row, Store
    >>> folder = Path(tempfile.mkdtemp())
    >>> Store({"model": "m"}, folder).put({"a": Row(np.ones(2), 3, 0, False)})
    >>> export(spaces(folder)[0], folder / "m.safetensors")
    1
    >>> load_file(folder / "m.safetensors")["vector"]
    array([[1., 1.]], dtype=float32)
    """
    out = Path(out)
    if out.suffix not in (".parquet", ".safetensors"):
        raise ValueError(f"the file must end in .parquet or .safetensors, however: got {out.name!r}")
    if out.suffix == ".safetensors" and texts is not None:
        raise ValueError("safetensors hold no strings; write texts to a .parquet file")
    if file.problem:
        raise ValueError(f"{file.path} cannot be read: {file.problem}; see embreg store verify")
    if not file.rows:
        raise ValueError(f"{file.path} has no rows to export")
    try:
        with atomic_path(out) as tmp, connect(file.path) as db, Progress("exporting", file.rows) as bar:
            db.execute("BEGIN")  # the same rows from the first to the last
            [(rows,)] = db.execute("SELECT count(*) FROM rows")
            blocks = _blocks(scan(db), rows, bar)
            if out.suffix == ".parquet":
                _write_parquet(tmp, blocks, file.space, texts)
            else:
                _write_safetensors(tmp, blocks, file.space, rows)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        raise ValueError(
            f"{file.path} is damaged ({error}); remove what is damaged first: "
            f"embreg store verify {file.digest[:8]} --repair"
        ) from error
    return int(rows)


def read_texts(path: str | Path) -> dict[bytes, str]:
    """Read strings, one a line, by the key of their rows.

    Raises
    ------
    ValueError
        The file is not UTF-8.
    """
    try:
        # Other line ends than these may be part of a string.
        with open(path, encoding="utf-8", newline="\n") as lines:
            texts = (line.removesuffix("\n").removesuffix("\r") for line in lines)
            return {key_of(text): text for text in texts}
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be text in UTF-8, however: {error}") from error


def _blocks(records: Iterator[Record | None], rows: int, bar: Progress) -> Iterator[dict[str, Any]]:
    """Columns of so many rows at a time, `rows` in all."""
    done, lengths = 0, set[int]()
    while block := list(islice(records, _BATCH)):
        whole = [record for record in block if record is not None]
        if len(whole) < len(block):
            raise sqlite3.DatabaseError("some rows fail their check")
        lengths |= {len(record[1]) // 4 for record in whole}
        if len(lengths) > 1:
            raise ValueError(f"a space must have vectors of one length, however: got {sorted(lengths)}")
        keys, vectors, n_tokens, n_unk, truncated, _ = zip(*whole, strict=True)
        yield {
            "key": np.frombuffer(b"".join(keys), np.uint8).reshape(len(whole), -1),
            "vector": np.frombuffer(b"".join(vectors), "<f4").reshape(len(whole), -1),
            "n_tokens": np.array(n_tokens, "<i8"),
            "n_unk": np.array(n_unk, "<i8"),
            "truncated": np.array(truncated, bool),
        }
        done += len(whole)
        bar.advance(len(whole))
    if done != rows:
        raise sqlite3.DatabaseError(f"{done} of {rows} rows are found")


def _write_parquet(
    path: Path, blocks: Iterator[dict[str, Any]], space: Mapping[str, Any], texts: Mapping[bytes, str] | None
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    try:
        for block in blocks:
            keys = [key.tobytes() for key in block["key"]]
            flat, dim = pa.array(block["vector"].reshape(-1)), block["vector"].shape[1]
            columns: dict[str, Any] = {"key": pa.array([key.hex() for key in keys])}
            if texts is not None:
                columns["text"] = pa.array([texts.get(key) for key in keys], pa.string())
            columns["vector"] = pa.FixedSizeListArray.from_arrays(flat, dim)
            for name in ("n_tokens", "n_unk", "truncated"):
                columns[name] = pa.array(block[name])
            table = pa.table(columns).replace_schema_metadata({"embreg.space": json.dumps(space)})
            if writer is None:
                # Digests and vectors repeat nothing: a dictionary of them is lost work.
                writer = pq.ParquetWriter(path, table.schema, compression="zstd", use_dictionary=False)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _write_safetensors(
    path: Path, blocks: Iterator[dict[str, Any]], space: Mapping[str, Any], rows: int
) -> None:
    """Header, then one region for each tensor; every block goes to its place in each of them."""
    kinds = {"key": "U8", "vector": "F32", "n_tokens": "I64", "n_unk": "I64", "truncated": "BOOL"}
    with open(path, "wb") as f:
        places: dict[str, int] = {}
        for block in blocks:
            if not places:
                header: dict[str, Any] = {"__metadata__": {"embreg.space": json.dumps(space)}}
                offset = 0
                for name, part in sorted(block.items(), key=lambda item: -item[1].itemsize):
                    size = rows * part[0].nbytes
                    header[name] = {
                        "dtype": kinds[name], "shape": [rows, *part.shape[1:]],
                        "data_offsets": [offset, offset + size],
                    }  # fmt: skip
                    places[name] = offset
                    offset += size
                text = json.dumps(header).encode()
                text += b" " * (-len(text) % 8)  # numbers begin at multiples of their size
                f.write(struct.pack("<Q", len(text)) + text)
                places = {name: at + 8 + len(text) for name, at in places.items()}
            for name, part in block.items():
                f.seek(places[name])
                f.write(part.tobytes())
                places[name] += part.nbytes
