"""What a notebook needs before it can show anything: the table by its name, and the advice on it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from embreg.advice import Advice

__all__ = ["advice_on", "is_file", "open_data"]

_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".gz")


def is_file(data: str) -> bool:
    """Whether a name is that of a file, and not of a measured task or an ordinary table.

    Examples
    --------
    >>> is_file("houses.csv"), is_file("hpo_tables/hpobench_car"), is_file("coffee")
    (True, False, False)
    """
    return data.lower().endswith(_ENDINGS) or Path(data).is_file()


def open_data(
    data: str, target: str = "", *, n_samples: int = 0, random_state: int = 0
) -> tuple[pd.DataFrame, str, str]:
    """A table, its target and its name.

    Parameters
    ----------
    data : str
        A measured task such as ``hpo_tables/hpobench_car``, an ordinary table such as ``coffee``
        (`embreg.tables`), or a file.
    target : str
        Column to predict; may be left out where the table has one of its own.
    n_samples : int
        Most rows, drawn at random; 0 for all.
    random_state : int
        Of the draw.

    Returns
    -------
    table : DataFrame
        With the target.
    target, name : str

    Raises
    ------
    ValueError
        No such table, or a file without `target`.

    Examples
    --------
    >>> table, target, name = open_data("hpo_tables/hpobench_car", n_samples=100)
    >>> table.shape, target, name
    ((100, 6), 'validation accuracy of one run', 'hpobench_car')
    """
    if is_file(data):
        from embreg.advising.reading import read_table

        table, name = read_table(data)
        if not target:
            raise ValueError(
                f"target must be the column to predict, however: none was named for {name}; it has: "
                f"{', '.join(map(str, table.columns[:20]))}"
            )
    else:
        table, own, name = _named(data)
        target = target or own
    if 0 < n_samples < len(table):
        kept = np.sort(np.random.default_rng(random_state).permutation(len(table))[:n_samples])
        table = table.iloc[kept].reset_index(drop=True)
    return table, target, name


def _named(data: str) -> tuple[pd.DataFrame, str, str]:
    family_name, slash, task_name = data.partition("/")
    if slash:
        from embreg.families import family

        task = family(family_name, [task_name])[0]
        # The words of a target, without its name in the source and its range.
        rows, y, name, own = task.rows, task.y, task_name, task.target.partition(" (")[0]
    else:
        from embreg.tables import TABLES, load_table

        if data not in TABLES:
            raise ValueError(
                f"data must be a file, a task such as hpo_tables/hpobench_car, or one of "
                f"{', '.join(TABLES)}, however: got {data!r}, and there is no such file"
            )
        loaded = load_table(data)
        rows, y, name, own = loaded.rows, loaded.y, data, loaded.target
    own = own if own and own not in rows else "y"
    return rows.assign(**{own: y}), own, name


def advice_on(
    data: str,
    target: str = "",
    *,
    saved: str = "",
    n_samples: int = 0,
    models: Sequence[str] = (),
    heads: Sequence[str] = (),
    budget: str | float = "10m",
    repeats: int = 4,
    kinds: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    group: str = "",
    time: str = "",
    seed: int = 0,
    say: Callable[[str], None] | None = None,
) -> tuple[Advice, pd.DataFrame | None]:
    """Advice that was saved, or a new one; and the table it is about, where that is at hand.

    Parameters
    ----------
    data, target, n_samples
        As for `open_data`; with `saved`, `data` may be empty.
    saved : str
        Folder of an advice that was given before: then nothing is computed.
    models, heads, budget, repeats, kinds, drop, group, time, say
        As for `embreg.advise`; empty for none, or for its default. Without `say` it is printed.
    seed : int
        Of the draw of rows, of folds and of heads.

    Returns
    -------
    advice : Advice
    table : DataFrame or None
    """
    from embreg.advice import DEFAULT, Advice, advise

    if saved:
        advice = Advice.load(saved)
        return advice, open_data(data, advice.target)[0] if data else None
    table, target, name = open_data(data, target, n_samples=n_samples, random_state=seed)
    advice = advise(
        table, target, models=list(models) or DEFAULT, heads=list(heads) or None, budget=budget,
        repeats=repeats, kinds=dict(kinds or {}), drop=list(drop), group=group or None, time=time or None,
        random_state=seed, say=say or _print,
    )  # fmt: skip
    # Handed over as a table, it is still known by the name of its file.
    path = data if is_file(data) and not n_samples else None
    return replace(advice, source=name, settings={**advice.settings, "path": path}), table


def _print(text: str) -> None:
    for line in text.splitlines():
        print(textwrap.fill(line, 88, break_on_hyphens=False, subsequent_indent="  ", drop_whitespace=True))
