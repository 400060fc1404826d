"""A table from a file or from memory, as it is; what its columns mean is decided elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from embreg.advising.views import as_frame
from embreg.streaming.tables import TableError, open_table

__all__ = ["read_table"]


def read_table(
    source: Any, form: str | None = None, separator: str | None = None
) -> tuple[pd.DataFrame, str]:
    """A table and its name.

    Parameters
    ----------
    source : DataFrame (pandas or polars), list of dict, str or Path
        A path is of a CSV, TSV, JSON Lines (each also as .gz) or Parquet file; text is UTF-8.
    form : {"csv", "tsv", "jsonl", "parquet"}, optional
        By the ending of the name.
    separator : str, optional
        Of a CSV file.

    Returns
    -------
    frame : DataFrame
        Missing values as `pandas.read_csv` knows them.
    name : str
        Of the file, or ``"table"``.

    Raises
    ------
    embreg.streaming.tables.RequestError
        No such file, or its format is not known.
    embreg.streaming.tables.TableError
        It is not what it should be, or has no rows.

    Examples
    --------
    >>> read_table(pd.DataFrame({"a": [1]}))[1]
    'table'
    >>> read_table("no.csv")
    Traceback (most recent call last):
    ...
    embreg.streaming.tables.RequestError: no file no.csv
    """
    if not isinstance(source, str | Path):
        return as_frame(source), "table"
    table = open_table(source, form, separator)
    try:
        if table.form == "parquet":
            frame = pd.read_parquet(table.path)
        elif table.form == "jsonl":
            frame = pd.read_json(table.path, lines=True, dtype=False)
        else:
            # Types are those of the whole file: read in one piece.
            separator = separator or ("\t" if table.form == "tsv" else ",")
            frame = pd.read_csv(table.path, sep=separator, encoding="utf-8-sig", low_memory=False)
    except (ValueError, OSError, EOFError) as error:
        what = str(error).strip().split("\n")[0]
        raise TableError(f"{table.path} cannot be read as {table.form}: {what}") from error
    if not isinstance(frame.index, pd.RangeIndex):  # a line with more cells than the header
        if table.form != "parquet":
            raise TableError(
                f"{table.path}: rows have more cells than the header has names; repair the header"
            )
        frame = frame.reset_index(drop=not all(frame.index.names))
    if not len(frame):
        raise TableError(f"{table.path} has a header and no rows")
    return as_frame(frame), table.path.name
