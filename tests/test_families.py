"""Families of measured tasks as shipped: what is read back, and what is refused before it is read."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embreg import families as shipped
from embreg import tasks
from embreg.making import pack
from embreg.making.family import FAMILIES
from embreg.making.space import Space, category, flag, integer, real
from embreg.serialize import serialize

SPACE = Space(
    [
        category("opt", "sgd", "adam"),
        real("lr", 1e-4, 1.0, log=True),
        integer("steps", 1, 9),
        flag("nesterov", opt=("sgd",)),
        integer("warmup", 0, 5, opt=("adam",)),
        category("decay", "linear", "cosine", nesterov=(True,)),
    ]
)
ARROW = {"real": pa.float64(), "integer": pa.int64(), "category": pa.string(), "flag": pa.bool_()}


def draw(n: int, seed: int = 0) -> list[dict[str, Any]]:
    return [SPACE.sample(np.random.default_rng((seed, i))) for i in range(n)]


def put(
    folder: Path,
    task: str = "lz4",
    n: int = 30,
    *,
    name: str = "compiler",
    seed: int = 0,
    noise: float | None = 0.25,
    effective: int | None = 2,
    told: dict[str, Any] | None = None,
    table: pa.Table | None = None,
) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Write one task in the shipped format and enter it in the card."""
    rows, y = draw(n, seed), np.random.default_rng(seed).normal(size=n)
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    if table is None:
        fields = [pa.field("row", pa.int64())]
        fields += [pa.field(p.name, ARROW[p.kind]) for p in SPACE.parameters] + [pa.field("y", pa.float64())]
        columns: list[list[Any]] = [[3 * i for i in range(n)]]
        columns += [[row[p] for row in rows] for p in SPACE.names] + [y.tolist()]
        table = pa.Table.from_arrays(
            [pa.array(values, field.type) for values, field in zip(columns, fields, strict=True)],
            schema=pa.schema(fields),
        )
    meta = {"format": 1, "family": name, "task": task, "unit": "log", "direction": "max", **(told or {})}
    path = place / f"{task}.parquet"
    pq.write_table(
        table.replace_schema_metadata({b"embreg": json.dumps(meta).encode()}), path, compression="zstd"
    )
    card = place / "card.json"
    known = json.loads(card.read_text()) if card.is_file() else {"name": name, "tasks": {}}
    known["tasks"][task] = {
        "about": "Packs text.", "target": "log of instructions", "unit": "log", "direction": "max", "n": n,
        "nominal": len(SPACE),
        "effective": {"n": effective, "threshold": 0.01, "method": "", "importances": {}},
        "noise": {"sd": noise, "ratio": None, "n_rows": 5, "n_repeats": 3},
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size,
        "space": SPACE.describe(),
    }  # fmt: skip
    card.write_text(json.dumps(known))
    return rows, y


# What is read back


def test_the_writer_and_the_reader_mean_the_same_format() -> None:
    assert (pack.FORMAT, pack.KEY) == (shipped.FORMAT, b"embreg")


def test_families_stand_in_the_order_of_the_book() -> None:
    assert tasks.families() == FAMILIES and tasks.family is shipped.family


@given(st.integers(10, 40), st.integers(0, 1000))
def test_rows_come_back_as_the_space_makes_them(tmp_path_factory: Any, n: int, seed: int) -> None:
    folder = tmp_path_factory.mktemp("family")
    rows, y = put(folder, n=n, seed=seed)
    (task,) = tasks.family("compiler", folder=folder)
    pd.testing.assert_frame_equal(task.rows, SPACE.frame(rows))
    assert (task.y == y).all()
    # What the language model reads is what was measured: no integer becomes 3.0000, no gap becomes false.
    assert serialize(task.rows, decimals=17) == serialize(rows, decimals=17)


def test_types_stay_where_every_value_is_missing_or_none_is(tmp_path: Path) -> None:
    put(tmp_path, n=10)
    table = pq.read_table(tmp_path / "compiler/lz4.parquet")
    for name in ("nesterov", "warmup", "decay"):
        at = table.column_names.index(name)
        table = table.set_column(at, table.field(name), pa.nulls(10, table.field(name).type))
    put(tmp_path, n=10, table=table)
    (task,) = tasks.family("compiler", folder=tmp_path)
    assert task.rows.dtypes.astype(str).to_dict() == SPACE.frame(draw(2)).dtypes.astype(str).to_dict()
    assert serialize(task.rows)[0].endswith("nesterov:null,warmup:null,decay:null}")


def test_a_task_says_what_its_card_says(tmp_path: Path) -> None:
    put(tmp_path)
    put(tmp_path, "sort", noise=None, effective=None)
    lz4, sort = tasks.family("compiler", folder=tmp_path)
    assert (lz4.name, lz4.suite, lz4.function, lz4.variant, lz4.seed) == (
        "compiler/lz4",
        "compiler",
        "lz4",
        "",
        0,
    )
    assert (lz4.unit, lz4.direction, lz4.target) == ("log", "max", "log of instructions")
    assert (lz4.dof, lz4.effective_dof, lz4.noise_sd) == (6, 2, 0.25)
    assert lz4.noise_ratio == pytest.approx(0.25 / np.std(lz4.y, ddof=1), rel=1e-12)
    assert sort.effective_dof is None and math.isnan(sort.noise_sd) and math.isnan(sort.noise_ratio)
    assert shipped.card("compiler", tmp_path)["tasks"]["sort"]["nominal"] == 6


def test_all_in_the_order_of_the_card_and_some_in_the_order_asked_for(tmp_path: Path) -> None:
    for seed, name in enumerate(("sort", "lz4", "fft")):
        put(tmp_path, name, seed=seed)
    assert [t.function for t in tasks.family("compiler", folder=tmp_path)] == ["sort", "lz4", "fft"]
    first, second = tasks.family("compiler", ["fft", "sort"], folder=tmp_path)
    assert (first.function, second.function) == ("fft", "sort") and not (first.y == second.y).all()


def test_asking_for_some_reads_no_others(tmp_path: Path) -> None:
    put(tmp_path, "sort")
    put(tmp_path, "lz4")
    (tmp_path / "compiler/sort.parquet").write_bytes(b"")
    assert len(tasks.family("compiler", ["lz4"], folder=tmp_path)) == 1


def test_a_task_of_a_family_splits_like_any_other(tmp_path: Path) -> None:
    put(tmp_path, n=40)
    (task,) = tasks.family("compiler", folder=tmp_path)
    parts = task.split(3)
    assert sorted(np.concatenate(parts)) == list(range(40)) and len(task.rows.iloc[parts.test]) == 4


# What is refused


def test_unknown_names_say_which_were_meant(tmp_path: Path) -> None:
    put(tmp_path)
    put(tmp_path, "sort")
    with pytest.raises(
        ValueError, match=r"unknown family: 'compilr'; did you mean 'compiler'\? There are: automl"
    ):
        tasks.family("compilr", folder=tmp_path)
    with pytest.raises(ValueError, match="unknown family: 'xla'"):
        shipped.card("xla", tmp_path)
    with pytest.raises(
        ValueError,
        match=r"unknown task of family 'compiler': 'lz5'; did you mean 'lz4'\? There are: lz4, sort",
    ):
        tasks.family("compiler", ["sort", "lz5"], folder=tmp_path)
    with pytest.raises(ValueError, match=r"must be a list of at least one name, however: got 'lz4'"):
        tasks.family("compiler", "lz4", folder=tmp_path)
    with pytest.raises(ValueError, match=r"got \[\]\. Leave it out for all of them: lz4, sort"):
        tasks.family("compiler", [], folder=tmp_path)


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "another"])
def test_a_damaged_file_is_named_with_the_way_out_before_it_is_parsed(
    tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path)
    put(tmp_path, "sort", seed=1)
    path = tmp_path / "compiler" / "lz4.parquet"
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    path.write_bytes(
        {
            "flipped": bytes(flipped),
            "cut": content[:-1],
            "empty": b"",
            "another": path.with_stem("sort").read_bytes(),
        }[damage]
    )
    parsed: list[Any] = []
    monkeypatch.setattr(pq, "read_table", lambda *a, **k: parsed.append(a))
    with pytest.raises(ValueError, match="its SHA-256 must be") as error:
        tasks.family("compiler", ["lz4"], folder=tmp_path)
    assert str(path) in str(error.value) and "embreg data make compiler --tasks lz4" in str(error.value)
    assert hashlib.sha256(path.read_bytes()).hexdigest() in str(error.value) and parsed == []


def test_a_missing_file_is_named_with_the_way_out(tmp_path: Path) -> None:
    put(tmp_path)
    path = tmp_path / "compiler" / "lz4.parquet"
    path.unlink()
    with pytest.raises(
        FileNotFoundError, match=r"is missing.*embreg data make compiler --tasks lz4"
    ) as error:
        tasks.family("compiler", folder=tmp_path)
    assert str(path) in str(error.value)
    with pytest.raises(FileNotFoundError, match=r"card\.json is missing.*embreg data make automl`") as error:
        tasks.family("automl", folder=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"card\.json is missing"):
        shipped.card("automl", tmp_path / "nowhere")


def test_of_the_package_itself_the_way_out_is_to_install_it_again(tmp_path: Path) -> None:
    # A copy of the package with a damaged file in it, as a broken installation has it.
    import shutil

    import embreg

    (source,) = embreg.__path__
    shutil.copytree(
        source,
        tmp_path / "embreg",
        ignore=shutil.ignore_patterns("__pycache__", "data", "engine", "training"),
    )
    put(tmp_path / "embreg" / "data")
    code = "from embreg.families import family; print(family('compiler')[0].name)"
    run = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.stdout.strip() == "compiler/lz4", done.stderr
    with open(tmp_path / "embreg/data/compiler/lz4.parquet", "ab") as f:
        f.write(b"x")
    done = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path, env=environment)
    last = done.stderr.strip().splitlines()[-1]
    assert "lz4.parquet is damaged" in last and "Install embreg again (pip install --force-reinstall" in last


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "Expecting property name"),
        ("[]", "list indices"),
        ('{"name": "compiler"}', "it has no 'tasks'"),
        ('{"name": "automl", "tasks": {}}', "it is the card of 'automl'"),
        ('{"name": "compiler", "tasks": {"lz4": {"direction": "max"}}}', "its task 'lz4' has no 'effective'"),
        ('{"name": "compiler", "tasks": {"lz4": null}}', "not iterable"),
        ("\udcff", "utf-8"),
    ],
)
def test_a_damaged_card_is_named_with_the_way_out(tmp_path: Path, content: str, says: str) -> None:
    put(tmp_path)
    card = tmp_path / "compiler" / "card.json"
    card.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match="must be the data card of family 'compiler', however") as error:
        tasks.family("compiler", folder=tmp_path)
    assert str(card) in str(error.value) and says in str(error.value)
    assert "embreg data make compiler" in str(error.value)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"format": 2}, "its format must be 1, however: it is 2"),
        ({"task": "sort"}, "it must hold compiler/lz4, however: compiler/sort"),
        ({"family": "automl"}, "it must hold compiler/lz4, however: automl/lz4"),
    ],
)
def test_a_file_of_something_else_is_refused_though_the_card_vouches_for_it(
    tmp_path: Path, told: dict[str, Any], says: str
) -> None:
    put(tmp_path, told=told)
    with pytest.raises(ValueError, match=rf"lz4\.parquet cannot be read: {says}"):
        tasks.family("compiler", folder=tmp_path)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"a": [1.0], "y": [1.0]}, "its columns must be row, the parameters and y, however: a, y"),
        ({"row": [1], "a": [1.0]}, "its columns must be row, the parameters and y"),
        ({"row": [1], "y": [1.0]}, "its columns must be row, the parameters and y"),
        (
            {"row": [1], "a": [b"x"], "y": [1.0]},
            "column 'a' must be of type double, int64, string or bool, how",
        ),
        ({"row": [1], "a": [1.0], "y": [None]}, "column 'y' must be of type double.*null"),
    ],
)
def test_a_table_of_another_shape_is_refused(tmp_path: Path, columns: dict[str, Any], says: str) -> None:
    put(tmp_path, table=pa.table(columns))
    with pytest.raises(ValueError, match=rf"lz4\.parquet cannot be read: {says}"):
        tasks.family("compiler", folder=tmp_path)


def test_what_is_no_parquet_file_is_refused_though_the_card_vouches_for_it(tmp_path: Path) -> None:
    put(tmp_path)
    path, card = tmp_path / "compiler/lz4.parquet", tmp_path / "compiler/card.json"
    path.write_bytes(b"PAR1 and nothing else")
    known = json.loads(card.read_text())
    known["tasks"]["lz4"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    card.write_text(json.dumps(known))
    with pytest.raises(ValueError, match=r"lz4\.parquet cannot be read: it must be a Parquet file"):
        tasks.family("compiler", folder=tmp_path)


def test_a_gap_in_y_is_refused(tmp_path: Path) -> None:
    put(tmp_path, n=10)
    table = pq.read_table(tmp_path / "compiler/lz4.parquet")
    table = table.set_column(7, "y", pa.array([None, *[1.0] * 9], pa.float64()))
    put(tmp_path, n=10, table=table)
    with pytest.raises(ValueError, match=r"compiler/lz4: y must be finite, however: got nan at row 0"):
        tasks.family("compiler", folder=tmp_path)


# Fields of a task


def own(**fields: Any) -> tasks.Task:
    return tasks.Task(
        "t", pd.DataFrame({"a": [0, 1, 2]}), np.array([1.0, 3.0, 5.0]), "own", "f", 1, 0, "", **fields
    )


def test_a_task_of_before_has_no_unit_no_noise_and_no_count() -> None:
    task = tasks.bbob("Sphere", 2, n=10)
    assert (task.unit, task.target, task.direction, task.effective_dof) == ("", "", "min", None)
    assert math.isnan(task.noise_sd) and math.isnan(task.noise_ratio)


def test_noise_is_a_share_of_the_spread_and_none_where_there_is_no_spread() -> None:
    assert own(noise_sd=0.5).noise_ratio == 0.25 and own(noise_sd=0.0).noise_ratio == 0.0
    flat = tasks.Task(
        "t", pd.DataFrame({"a": [0, 1]}), np.array([0.1, 0.1]), "own", "f", 1, 0, "", noise_sd=1.0
    )
    assert math.isnan(flat.noise_ratio)


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ({"direction": "up"}, "direction must be 'min' or 'max', however: got 'up'"),
        ({"noise_sd": -1.0}, "noise_sd must be a finite number from 0, however: got -1.0"),
        ({"noise_sd": math.inf}, "noise_sd must be a finite number from 0, however: got inf"),
    ],
)
def test_fields_without_a_meaning_are_refused(field: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        own(**field)


def test_importing_families_loads_neither_scikit_learn_nor_pyarrow() -> None:
    heavy = ("sklearn", "pyarrow", "torch")
    code = f"import sys, embreg.families; print(*(m for m in {heavy} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # pandas itself imports pyarrow where it is there.
    assert set(done.stdout.split()) <= {"pyarrow"}
