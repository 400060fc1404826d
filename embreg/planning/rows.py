"""Rows of a table that a run names: a measured task, an ordinary table, or a file."""

from __future__ import annotations

from functools import lru_cache

import pandas as pd

__all__ = ["free_text", "rows_of"]


@lru_cache(maxsize=64)
def rows_of(name: str) -> pd.DataFrame | None:
    """Rows of a table; None for an ordinary table that was not fetched yet.

    Parameters
    ----------
    name : str
        ``family/task``, a name of `embreg.tables`, or a file; of a file its target is among the columns.

    Raises
    ------
    ValueError
        No such table.

    Examples
    --------
    >>> rows_of("hpo_tables/hpobench_car").shape
    (1000, 5)
    """
    from embreg.advising.opening import is_file
    from embreg.tables import TABLES, is_here, load_table

    if is_file(name):
        from embreg.advising.reading import read_table

        return read_table(name)[0]
    if name in TABLES:
        return load_table(name).rows if is_here(name) else None
    from embreg.families import family

    group, _, one = name.partition("/")
    return family(group, [one])[0].rows


@lru_cache(maxsize=64)
def free_text(name: str) -> bool:
    """Whether a table has a column of free text beside others, so that it is embedded on its own too.

    Examples
    --------
    >>> free_text("hpo_tables/hpobench_car")
    False
    """
    from embreg.advising.kinds import infer_columns

    rows = rows_of(name)
    if rows is None:
        return False
    kinds = {column.kind for column in infer_columns(rows, kinds=None, drop=()) if column.used}
    return "text" in kinds and len(kinds) > 1
