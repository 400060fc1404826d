"""From a journal to what is shipped: a Parquet file a task, and the data card of the family."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from embreg._files import atomic_path
from embreg.making._card import task_entry, write_card
from embreg.making._draws import Settled, settle
from embreg.making.family import Family, TaskSpec
from embreg.making.journal import Log

__all__ = ["Agreement", "agreement", "pack"]

KEY, FORMAT = b"embreg", 1
"""Where a Parquet file says what it is, and the version of these files: `embreg.families` reads them."""


def pack(family: Family, task: str, log: Log, into: Path, *, n: int | None = None) -> Path:
    """Write the rows of a finished journal, and their entry in the data card.

    Equal journals give equal files, byte by byte, with the same version of pyarrow.

    Parameters
    ----------
    family : Family
    task : str
    log : Log
        From `embreg.making.journal.read`.
    into : Path
        ``<into>/<family>/<task>.parquet`` and ``<into>/<family>/card.json`` are written.
    n : int, optional
        Rows; default: what the task says.

    Returns
    -------
    Path
        The table.

    Raises
    ------
    JournalError
        The journal is not finished, holds other rows, or the card that is there is damaged.

    Examples
    --------
    >>> from embreg.making.family import get_family
    >>> pack(get_family("hpo_tables"), "hpobench_car", Log(), Path("data"))
    Traceback (most recent call last):
    ...
    embreg.making._lock.JournalError: hpo_tables/hpobench_car must be measured before ...
    """
    import pyarrow.parquet as pq

    spec = family.spec(task)
    settled = settle(family, task, log.entries, spec.n if n is None else n)
    rows = family.space(task).frame([draw.row for draw, _ in settled.kept])
    path = Path(into) / family.name / f"{task}.parquet"
    # The table before the card, which holds its digest: whoever reads between the two is told that they do
    # not belong together, and the next call of the same command puts it right.
    with atomic_path(path) as tmp:
        pq.write_table(
            _table(family, spec, settled, rows), tmp, compression="zstd", compression_level=19,
            write_statistics=False,
        )  # fmt: skip
        with open(tmp, "rb+") as f:
            os.fsync(f.fileno())
    entry = task_entry(family, spec, log, settled, rows, path)
    write_card(path.with_name("card.json"), family, {task: entry})
    return path


def _table(family: Family, spec: TaskSpec, settled: Settled, rows: Any) -> Any:
    """Columns ``row``, the parameters and ``y``; a parameter that is inactive is null, whatever its type."""
    import pyarrow as pa

    kinds = {"real": pa.float64(), "integer": pa.int64(), "category": pa.string(), "flag": pa.bool_()}
    columns: dict[str, Any] = {"row": pa.array([draw.index for draw, _ in settled.kept], pa.int64())}
    for parameter in family.space(spec.name).parameters:
        values = [draw.row[parameter.name] for draw, _ in settled.kept]
        columns[parameter.name] = pa.array(values, kinds[parameter.kind])
    columns["y"] = pa.array([entry.y for _, entry in settled.kept], pa.float64())
    about = {
        "format": FORMAT, "family": family.name, "task": spec.name, "unit": spec.unit,
        "direction": spec.direction,
    }  # fmt: skip
    return pa.table(columns).replace_schema_metadata({KEY: json.dumps(about).encode()})


class Agreement(NamedTuple):
    """How two tables of one task compare.

    Parameters
    ----------
    rows : int
        Rows that are in both.
    exact, near : int
        Of these, those with the same y, and those whose y is within the tolerance (the same ones included).
    other : int
        Rows of one index with other parameters.
    """

    rows: int
    exact: int
    near: int
    other: int


def agreement(made: Any, shipped: Any, tolerance: float) -> Agreement:
    """Compare two tables of one task, row by row.

    Parameters
    ----------
    made, shipped : pyarrow.Table
        As written by `pack`.
    tolerance : float
        Largest difference, in standard deviations of the shipped y.

    Examples
    --------
    >>> import pyarrow as pa
    >>> one, other = (pa.table({"row": [0, 2], "a": [1, 2], "y": [1.0, y]}) for y in (3.0, 3.1))
    >>> agreement(one, other, 0.1)
    Agreement(rows=2, exact=1, near=2, other=0)
    """
    there = {row["row"]: row for row in shipped.to_pylist()}
    pairs = [(row, there[row["row"]]) for row in made.to_pylist() if row["row"] in there]
    same = [(a["y"], b["y"]) for a, b in pairs if {**a, "y": 0} == {**b, "y": 0}]
    spread = float(np.std(shipped["y"].to_numpy(), ddof=1)) if len(shipped) > 1 else 0.0
    return Agreement(
        len(pairs),
        sum(a == b for a, b in same),
        sum(a == b or abs(a - b) <= tolerance * spread for a, b in same),
        len(pairs) - len(same),
    )
