"""Families of measured tasks as shipped: what there is, verified before it is read.

A family is a folder with a data card (``card.json``) and one Parquet file a task. The card holds the SHA-256
of each file. `embreg.making` holds the code that measured them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from embreg._bbob_checks import unknown
from embreg._task import Task
from embreg.making.family import FAMILIES

__all__ = ["FORMAT", "card", "families", "family", "family_folder"]

FORMAT = 1
"""Version of the files that this release reads."""

_CARD_KEYS = ("direction", "effective", "n", "nominal", "noise", "sha256", "space", "target", "unit")


def families() -> tuple[str, ...]:
    """Names of all families, in the order of the book.

    Examples
    --------
    >>> families()
    ('automl', 'training', 'compiler', 'accelerator', 'hpo_tables')
    """
    return FAMILIES


def card(name: str, folder: str | PathLike[str] | None = None) -> dict[str, Any]:
    """Read the data card of a family.

    Parameters
    ----------
    name : str
        One of `families`.
    folder : path, optional
        Where the folders of families are; without it, those that came with the package.

    Returns
    -------
    dict
        ``name, title, stands_for, what_ran, licence, noise, flaws, tolerance, versions, machine`` and
        ``tasks``, which maps each name to ``about, target, unit, direction, n, infeasible, nominal,
        effective, noise, y, seconds_per_row, sha256, bytes, space``.

    Raises
    ------
    ValueError
        Unknown family, or a card that is no JSON or lacks something.
    FileNotFoundError
        There is no card.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "compiler").mkdir()
    >>> _ = (folder / "compiler/card.json").write_text('{"name": "compiler", "tasks": {}}')
    >>> card("compiler", folder)["tasks"]
    {}
    """
    return _card(name, folder)


def family(
    name: str, tasks: Sequence[str] | None = None, *, folder: str | PathLike[str] | None = None
) -> tuple[Task, ...]:
    """Load the tasks of a family.

    Parameters
    ----------
    name : str
        One of `families`.
    tasks : sequence of str, optional
        Their names, such as ``["lz4"]``; without it all, in the order of the card.
    folder : path, optional
        Where the folders of families are; without it, those that came with the package.

    Returns
    -------
    tuple of Task
        In the order asked for. Categories have pandas' type ``str``, flags ``boolean``, integers ``Int64``
        and the rest ``float64``, so that `embreg.serialize` writes 3 as ``3`` and an inactive parameter as
        ``null``.

    Raises
    ------
    ValueError
        Unknown family or task, no task, a file whose SHA-256 is not the card's, or that is no table of this
        task.
    FileNotFoundError
        A file is missing.

    Notes
    -----
    `Task.suite` is the family and `Task.function` the task: ``"compiler/lz4"`` is the name of both together.

    Examples
    --------
    >>> family("compilers")
    Traceback (most recent call last):
        ...
    ValueError: unknown family: 'compilers'; did you mean 'compiler'? There are: automl, training, ...
    """
    known = _card(name, folder)["tasks"]
    if isinstance(tasks, str) or (tasks is not None and len(tasks) == 0):
        raise ValueError(
            f"tasks must be a list of at least one name, however: got {tasks!r}. "
            f"Leave it out for all of them: {', '.join(known)}"
        )
    names = list(known if tasks is None else tasks)
    for task in names:
        if task not in known:
            raise unknown(f"task of family {name!r}", task, known)
    return tuple(_load(name, task, known[task], folder) for task in names)


def family_folder(name: str, folder: str | PathLike[str] | None = None) -> Any:
    """Return the folder of a family, which need not be there.

    Parameters
    ----------
    name : str
    folder : path, optional
        As for `family`.

    Returns
    -------
    Path
        Or, of a package that was not unpacked, what its loader has in place of a path.

    Raises
    ------
    ValueError
        Unknown family.

    Examples
    --------
    >>> family_folder("compiler", "data").as_posix()
    'data/compiler'
    """
    if name not in FAMILIES:
        raise unknown("family", name, FAMILIES)
    root = resources.files("embreg").joinpath("data") if folder is None else Path(folder)
    return root.joinpath(name)


def _way_out(name: str, task: str | None, folder: str | PathLike[str] | None) -> str:
    make = f"embreg data make {name}" + (f" --tasks {task}" if task else "")
    if folder is not None:
        return f"Measure it again with `{make}`, or leave out folder= for what came with the package."
    return f"Install embreg again (pip install --force-reinstall --no-deps embreg), or measure it: `{make}`."


def _bytes(path: Any, name: str, task: str | None, folder: str | PathLike[str] | None) -> bytes:
    try:
        return bytes(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{path} is missing. {_way_out(name, task, folder)}") from None


def _card(name: str, folder: str | PathLike[str] | None) -> dict[str, Any]:
    path = family_folder(name, folder).joinpath("card.json")
    content = _bytes(path, name, None, folder)
    try:
        found = json.loads(content.decode("utf-8"))
        if found["name"] != name:
            raise ValueError(f"it is the card of {found['name']!r}")
        for task, entry in found["tasks"].items():
            if lost := [key for key in _CARD_KEYS if key not in entry]:
                raise ValueError(f"its task {task!r} has no {lost[0]!r}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(
            f"{path} must be the data card of family {name!r}, however: {what}. "
            f"{_way_out(name, None, folder)}"
        ) from error
    return dict(found)


def _load(name: str, task: str, entry: dict[str, Any], folder: str | PathLike[str] | None) -> Task:
    path = family_folder(name, folder).joinpath(f"{task}.parquet")
    content = _bytes(path, name, task, folder)
    found = hashlib.sha256(content).hexdigest()
    # Before it is parsed: a reader of a damaged file may do anything, and a whole one may be another's.
    if found != entry["sha256"]:
        raise ValueError(
            f"{path} is damaged: its SHA-256 must be {entry['sha256']}, however: it is {found}. "
            f"{_way_out(name, task, folder)}"
        )
    try:
        rows, y = _table(content, name, task)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}. {_way_out(name, task, folder)}") from error
    noise, effective = entry["noise"].get("sd"), entry["effective"].get("n")
    return Task(
        name=f"{name}/{task}",
        rows=rows,
        y=y,
        suite=name,
        function=task,
        dof=int(entry["nominal"]),
        seed=0,
        variant="",
        unit=entry["unit"],
        direction=entry["direction"],
        target=entry["target"],
        noise_sd=math.nan if noise is None else float(noise),
        effective_dof=None if effective is None else int(effective),
    )


def _table(content: bytes, name: str, task: str) -> tuple[pd.DataFrame, npt.NDArray[np.float64]]:
    """Rows with a type for each kind of parameter, and y."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(content))
        told = json.loads((table.schema.metadata or {}).get(b"embreg", b"{}"))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ValueError(f"it must be a Parquet file, however: {error}") from error
    if told.get("format") != FORMAT:
        raise ValueError(f"its format must be {FORMAT}, however: it is {told.get('format')!r}")
    if (told.get("family"), told.get("task")) != (name, task):
        raise ValueError(f"it must hold {name}/{task}, however: {told.get('family')}/{told.get('task')}")
    columns = table.column_names
    if columns[:1] != ["row"] or columns[-1:] != ["y"] or len(set(columns)) < max(3, len(columns)):
        raise ValueError(f"its columns must be row, the parameters and y, however: {', '.join(columns)}")
    kinds = {pa.float64(): "float64", pa.int64(): "Int64", pa.bool_(): "boolean"}
    kinds |= {pa.string(): "str", pa.large_string(): "str"}
    if odd := [field for field in table.schema if field.type not in kinds]:
        raise ValueError(
            f"column {odd[0].name!r} must be of type double, int64, string or bool, however: {odd[0].type}"
        )
    # Not to_pandas(): it would turn integers with a gap into floats, and flags with a gap into objects.
    rows = pd.DataFrame(
        {
            field.name: pd.Series(table[field.name].to_pylist(), dtype=kinds[field.type])  # type: ignore[call-overload]
            for field in table.schema
            if field.name not in ("row", "y")
        }
    )
    return rows, np.array(table["y"].to_pylist(), dtype=np.float64)
