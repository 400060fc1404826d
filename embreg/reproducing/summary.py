"""The numbers of a run: its facts, and each of its tables, averaged where it holds single fits."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from embreg.reproducing.rules import is_exact, reason_to_skip

__all__ = ["summarize", "table_summary", "words_of"]

# Columns of numbers that say where a number belongs. All other numbers are results.
_COORDINATES = {
    "dof", "DOF", "dofs", "rows", "n_samples", "seed", "draw", "weights_seed", "shift", "layer", "radius",
    "level", "decimals", "n_tasks", "n_seeds", "max_tokens", "train_rows",
}  # fmt: skip
# Columns of words that are results, or say what made them, and so cannot say where a number belongs.
_SAID = {
    "commit", "versions", "chosen", "verdict", "limit", "prediction", "sentence", "smallest", "largest",
    "standing", "found", "text", "alt", "verdicts",
}  # fmt: skip
_SAID_WORDS = {"by", "beaten", "take", "words"}
_FIT = {"task", "seed"}  # what an average is taken over
_NUMBER = re.compile(r"(?<![\w.])[-+−]?(\d+(,\d{3})*(\.\d+)?|\.\d+)(e[-+]?\d+)?%?")


def summarize(folder: str | Path) -> dict[str, Any]:
    """What is compared of a run.

    Parameters
    ----------
    folder : str or Path
        ``runs/<profile>/<run name>``.

    Returns
    -------
    dict
        ``facts``: name to ``[value]`` or ``[value, low, high]``, whole numbers as they are; ``words``: name
        of a sentence to its text without numbers; ``drawn``: names of figures; ``fits``: test rows of each
        fit, fits of a mean, and seeds, as far as ``records`` tell; ``tables``: file name to what
        `table_summary` gives.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "facts.json").write_text('{"gap": {"value": 0.5, "low": 0.4, "high": 0.6, "text": ""}}')
    >>> summarize(folder)
    {'facts': {'gap': [0.5, 0.4, 0.6]}, 'words': {}, 'drawn': [], 'fits': {}, 'tables': {}}
    """
    folder = Path(folder)
    path = folder / "facts.json"
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    numbers, words = dict[str, Any](), dict[str, str]()
    for name, fact in sorted(facts.items()):
        if reason_to_skip(name):
            continue
        if isinstance(fact["value"], str):
            words[name] = words_of(fact["value"])
        else:
            ends = [fact["low"], fact["high"]] if "low" in fact else []
            numbers[name] = [_rounded(v) for v in (fact["value"], *ends)]
    read = {p.stem: pd.read_parquet(p) for p in sorted(folder.glob("*.parquet"))}
    tables = {name: table_summary(table, name) for name, table in read.items()}
    drawn = sorted(p.stem for p in (folder / "figures").glob("*.svg"))
    return {
        "facts": numbers,
        "words": words,
        "drawn": drawn,
        "fits": _fits(read.get("records"), folder),
        "tables": {name: table for name, table in tables.items() if table is not None},
    }


def table_summary(table: pd.DataFrame, name: str = "records") -> dict[str, Any] | None:
    """Numbers of a table and where each belongs.

    A table of single fits (it has the column ``seed``) is averaged over tasks and seeds within whatever else
    tells its rows apart, such as suite, dof, representation and head; its intervals are those of a mean of
    ``n`` independent numbers, which the fits are not: they serve as a measure of spread alone. Any other
    table is kept row by row.

    Parameters
    ----------
    table : DataFrame
    name : str
        Name of its file without the ending.

    Returns
    -------
    dict or None
        ``of``: names of the columns that place a row; ``columns``: names of the numbers, an interval's as
        ``name``, ``name_low``, ``name_high``; ``exact``: those that must be equal; ``single``: whether it
        held single fits; ``rows``: places and numbers. None where nothing is compared.

    Examples
    --------
    >>> fits = pd.DataFrame({"task": ["a", "b"], "seed": 0, "head": "mlp", "kendall_tau": [0.2, 0.4]})
    >>> out = table_summary(fits)
    >>> out["columns"], out["rows"]
    (['n', 'kendall_tau', 'kendall_tau_low', 'kendall_tau_high'], [[2, 0.3, 0.104, 0.496]])
    """
    table = table.drop(columns=[c for c in table if c in _SAID or reason_to_skip(str(c), of=name)])
    table.columns = table.columns.map(str)
    place = [str(c) for c in table if _places(table[c], str(c))]
    numbers = [str(c) for c in table if c not in place and pd.api.types.is_numeric_dtype(table[c])
               and not pd.api.types.is_bool_dtype(table[c])]  # fmt: skip
    single = "seed" in table
    place = _distinguishing(table, [c for c in place if not (single and c in _FIT)])
    if not numbers or table.empty:
        return None
    exact = [c for c in numbers if is_exact(c, whole=pd.api.types.is_integer_dtype(table[c]))]
    done = _averaged(table, place, numbers, exact) if single else _kept(table, place, numbers)
    return {**done, "single": single, "exact": [c for c in ("n", *exact) if c in done["columns"]]}


def _fits(records: pd.DataFrame | None, folder: Path) -> dict[str, int]:
    if records is None or not {"task", "seed", "n_samples"} <= set(records):
        return {}
    path = folder / "run.json"
    parameters = json.loads(path.read_text(encoding="utf-8"))["parameters"] if path.is_file() else {}
    # Rows are split 8-1-1, unless the run has test rows of its own.
    test_rows = int(parameters.get("n_test") or records["n_samples"].min() // 10)
    suites = records["suite"].nunique() if "suite" in records else 1
    cells = len(records.drop_duplicates(["task", "seed", *(["suite"] if "suite" in records else [])]))
    return {"test_rows": test_rows, "fits": cells // suites, "seeds": int(records["seed"].nunique())}


def words_of(sentence: str) -> str:
    """A sentence without its numbers.

    Examples
    --------
    >>> words_of("At 100 DOF x1 is behind by 0.26 [0.11, 0.40] on 74% of 1,000.")
    'At # DOF x1 is behind by # [#, #] on # of #.'
    """
    return _NUMBER.sub("#", sentence)


def _places(column: pd.Series, name: str) -> bool:
    if set(re.findall(r"[a-z]+", name)) & _SAID_WORDS:
        return False
    kept = column.dropna()
    text = not pd.api.types.is_numeric_dtype(column) and all(isinstance(v, str) for v in kept)
    return text or pd.api.types.is_bool_dtype(column) or name in _COORDINATES


def _distinguishing(table: pd.DataFrame, candidates: Sequence[str]) -> list[str]:
    """Columns that tell groups of rows apart, without those that follow from the ones before them."""
    kept: list[str] = []
    groups = 1
    for column in candidates:
        found = len(table.drop_duplicates([*kept, column]))
        if found > groups:
            kept, groups = [*kept, column], found
    return kept


def _averaged(table: pd.DataFrame, place: list[str], numbers: list[str], exact: list[str]) -> dict[str, Any]:
    columns, rows = ["n"], list[list[Any]]()
    for name in numbers:
        columns += [name] if name in exact else [name, f"{name}_low", f"{name}_high"]
    parts = table.groupby(place, dropna=False, sort=False) if place else [((), table)]
    for at, part in parts:
        row = [_place(v) for v in at] + [len(part)]
        for name in numbers:
            mean, spread = part[name].mean(), part[name].std(ddof=1)
            half = 1.96 * spread / math.sqrt(max(1, part[name].count()))
            ends = [] if name in exact else [mean - half, mean + half]
            row += [_rounded(v) for v in (mean, *ends)]
        rows.append(row)
    return {"of": place, "columns": columns, "rows": rows}


def _kept(table: pd.DataFrame, place: list[str], numbers: list[str]) -> dict[str, Any]:
    # "low" and "high" are the ends of the number before them, "x_low" and "x_high" of x or "x_value".
    names = list(numbers)
    for i, name in enumerate(numbers):
        base, _, end = name.rpartition("_")
        if end not in ("low", "high"):
            continue
        before = [n for n in numbers[:i] if n.rpartition("_")[2] not in ("low", "high")]
        of = next((n for n in (base, f"{base}_value") if base and n in numbers), "" if base else before[-1:])
        if of:
            names[i] = f"{of if isinstance(of, str) else of[0]}_{end}"
    count = dict[tuple[Any, ...], int]()
    twice = len(table.drop_duplicates(place)) < len(table) if place else len(table) > 1
    rows = []
    for record in table[[*place, *numbers]].itertuples(index=False, name=None):
        at = tuple(_place(v) for v in record[: len(place)])
        count[at] = count.get(at, 0) + 1
        values = [_rounded(v) for v in record[len(place) :]]
        rows.append([*at, *([count[at]] if twice else []), *values])
    return {"of": [*place, *(["row"] if twice else [])], "columns": names, "rows": rows}


def _place(value: Any) -> Any:
    """A place as JSON writes it; 5 and 5.0 are one."""
    if value is None or value != value:
        return None
    if isinstance(value, str):
        return value
    number = value.item() if hasattr(value, "item") else value
    return int(number) if not isinstance(number, bool) and number == int(number) else number


def _rounded(value: Any) -> int | float | None:
    """A number of six digits, a whole one as it is, None for what is no finite number."""
    number = value.item() if hasattr(value, "item") else value
    if isinstance(number, int):
        return int(number)
    if number is None or not math.isfinite(number):
        return None
    return float(f"{number:.6g}") + 0.0
