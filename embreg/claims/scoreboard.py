"""Verdicts on all claims from the records of one profile, as a table and as files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from embreg._files import atomic_path
from embreg.claims.claim import Claim
from embreg.claims.entries import load
from embreg.claims.records import Records
from embreg.claims.verdicts import Verdict, judge, untestable
from embreg.profiles import find_root, load_profile

__all__ = [
    "COLUMNS",
    "as_files",
    "as_table",
    "table",
    "verdicts",
    "write",
    "write_csv",
    "write_json",
    "write_parquet",
]

COLUMNS = tuple(Verdict.__dataclass_fields__)


def verdicts(
    profile: str, root: str | Path | None = None, claims: Sequence[Claim] | None = None
) -> list[Verdict]:
    """Judge the claims by the records of a profile.

    Parameters
    ----------
    profile : str
        Name of a profile; a claim that it cannot decide is *not testable* and needs no record.
    root : path, optional
        Folder of the project; found from here upwards when not given.
    claims : sequence of Claim, optional
        Some of them; default: all of ``book/claims.yml``.

    Returns
    -------
    list of Verdict
        In the order of `claims`.

    Raises
    ------
    ClaimError
        The list of claims is wrong.
    ProfileError
        Unknown profile.
    RecordError
        A record is missing, or older than what made it: it names every claim concerned and the command that
        makes all of them. Or a record that does not hold what a claim asks for.
    """
    root = find_root(root)
    specs = {spec.name: spec for spec in load_profile(profile, root)}
    claims = load(root) if claims is None else claims
    testable = [claim for claim in claims if profile in claim.decided_by]
    records = Records(profile, root, specs)
    records.require(testable)
    return [judge(claim, records) if claim in testable else untestable(claim, profile) for claim in claims]


def table(
    profile: str, root: str | Path | None = None, claims: Sequence[Claim] | None = None
) -> pd.DataFrame:
    """`verdicts` as a table, one row for each claim.

    Parameters
    ----------
    profile, root, claims
        As for `verdicts`.

    Returns
    -------
    DataFrame
        ``id, claim, where, paper_number, paper_says, evidence, value, low, high, unit, n, limit, verdict,
        why, profile, run, record, chapter, models, commit, computed_from_digest``, and ``seeds, because,
        needs, caveat, command``. Value and interval of a claim of several parts are those of the part that
        is furthest from passing. Missing where nothing was computed. The digest is the SHA-256 of the
        Parquet file as ``run.json`` has it, or a digest of several.

    Raises
    ------
    ClaimError, ProfileError, RecordError
        As for `verdicts`.
    """
    return as_table(verdicts(profile, root, claims))


def as_table(found: Sequence[Verdict]) -> pd.DataFrame:
    """Verdicts as the rows that `table` describes."""
    rows = pd.DataFrame([vars(v) for v in found], columns=list(COLUMNS))
    whole = {"n": "Int64", "seeds": "Int64"}
    numbers = {"value": "float64", "low": "float64", "high": "float64"}
    # A column without a single value must have the type it has elsewhere.
    return rows.astype({**whole, **numbers, **{c: "str" for c in COLUMNS if c not in {**whole, **numbers}}})


def write(profile: str, root: str | Path | None, folder: str | Path) -> pd.DataFrame:
    """Write ``claims.json``, ``claims.csv`` and ``claims.parquet`` into a folder.

    Parameters
    ----------
    profile, root
        As for `verdicts`.
    folder : path
        Made when it is not there.

    Returns
    -------
    DataFrame
        `table`, as written.

    Raises
    ------
    ClaimError, ProfileError, RecordError
        As for `verdicts`; then no file is written.
    """
    made = table(profile, root)
    folder = Path(folder)
    write_json(made, folder / "claims.json")
    write_csv(made, folder / "claims.csv")
    write_parquet(made, folder / "claims.parquet")
    return made


def as_files(profile: str, root: str | Path | None = None) -> dict[str, bytes]:
    """Names and contents of the files that `write` makes.

    Parameters
    ----------
    profile, root
        As for `verdicts`.

    Raises
    ------
    ClaimError, ProfileError, RecordError
        As for `verdicts`.
    """
    with TemporaryDirectory() as folder:
        write(profile, root, folder)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def write_json(made: pd.DataFrame, path: Path) -> None:
    """Write a list of objects; what is missing is null, and so is an end that is infinite."""
    rows = made.replace([np.inf, -np.inf], np.nan).astype(object).where(made.notna(), None).to_dict("records")
    with atomic_path(path) as tmp:
        text = json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False)
        tmp.write_text(text + "\n", encoding="utf-8")


def write_csv(made: pd.DataFrame, path: Path) -> None:
    """Write a line for each claim; what is missing is empty."""
    with atomic_path(path) as tmp:
        made.to_csv(tmp, index=False, encoding="utf-8", lineterminator="\n")


def write_parquet(made: pd.DataFrame, path: Path) -> None:
    """Write the columns with their types."""
    with atomic_path(path) as tmp:
        made.to_parquet(tmp, index=False)
