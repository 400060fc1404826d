"""Tables on disk: the strings of the whole file, whatever the block, or one line that says what is wrong."""

from __future__ import annotations

import csv
import datetime
import gzip
import json
import math
import re
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from embreg import TextEmbedder, serialize
from embreg.streaming.choice import choose
from embreg.streaming.job import Job
from embreg.streaming.parquet_table import _cut
from embreg.streaming.tables import RequestError, TableError, open_table
from embreg.streaming.text_table import LONGEST

HOW: dict[str, Any] = {"style": "json", "decimals": 4, "notation": "decimal"}
SIZES = (1, 2, 3, 5, 1000)
KEEP_TMP = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def strings_of(path: Path, size: int, **asked: Any) -> list[str]:
    """The strings of a file that is read in blocks of `size` rows."""
    table = open_table(path, asked.pop("form", None), asked.pop("separator", None))
    choice = choose(table, **asked)
    job = Job(TextEmbedder(), table, choice, {}, HOW)
    out, starts = [], []
    for block, texts in job.blocks(table.settle(choice), size):
        starts.append((block.number, block.start))
        assert len(texts) <= size
        out += texts
    assert starts == [(k, k * size) for k in range(-(-len(out) // size))]
    return out


# --- CSV: what pandas reads --------------------------------------------------------------------------


def is_infinite(cell: str) -> bool:
    try:
        return math.isinf(float(cell))
    except ValueError:
        return False


CELLS = {
    "int": st.integers(-(2**63), 2**63 - 1).map(str)
    | st.sampled_from(["007", "+5", " 3", "4 ", "-0", "\t1"]),
    "float": st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | st.sampled_from(["1.", ".5", "+.5e1", "1E5", " 2.5 ", "1e-999", "-0.0"]),
    "bool": st.sampled_from(["True", "False", "true", "FALSE", "tRue"]),
    "text": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=5).filter(
        lambda cell: not is_infinite(cell)
    )
    | st.sampled_from(["relu", "1,5", 'a "b"', "x\ny", " ", " NA", "1_000", "0x10", "1e"])
    | st.sampled_from(["--1", "٣", "+nan", "{}", "inf ", "1d5"]),
    "missing": st.sampled_from(["", "NA", "nan", "NULL", "None", "<NA>", "n/a"]),
}  # fmt: skip
COLUMN = st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=3, unique=True)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    width = draw(st.integers(2, 4))
    kinds = [draw(COLUMN) for _ in range(width)]
    cell = [st.one_of([CELLS[k] for k in ks]) for ks in kinds]
    rows = draw(st.lists(st.tuples(*cell).map(list), min_size=1, max_size=7))
    return [f"c{j}" for j in range(width)], rows


def read_with_pandas(path: Path, **how: Any) -> pd.DataFrame:
    """The whole file; the one difference that is meant: whole numbers with a gap stay whole numbers."""
    raw = pd.read_csv(path, dtype=str, **how)
    whole = {
        name: "Int64"
        for name in raw
        if raw[name].isna().any()
        and not raw[name].isna().all()
        and raw[name].dropna().map(lambda c: re.fullmatch(r"\s*[+-]?\d+\s*", c, re.ASCII) is not None).all()
    }
    return pd.read_csv(path, dtype=whole or None, low_memory=False, **how)


@KEEP_TMP
@given(tables(), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), st.sampled_from(["\n", "\r\n"]))
@example((["c0", "c1"], [["1", "x"], ["2", "NA"], ["2.5", "y"]]), csv.QUOTE_MINIMAL, "\n")
@example((["c0", "c1"], [["True", "1"], ["", ""], ["False", "3"]]), csv.QUOTE_MINIMAL, "\n")
@example((["c0", "c1"], [["1", ""], ["True", ""]]), csv.QUOTE_MINIMAL, "\n")
def test_strings_of_csv_are_those_of_pandas_whatever_the_block(
    tmp_path: Path, table: tuple[list[str], list[list[str]]], quoting: Any, end: str
) -> None:
    path = tmp_path / "data.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=quoting, lineterminator=end).writerows([table[0], *table[1]])
    expected = serialize(read_with_pandas(path))
    for size in SIZES:
        assert strings_of(path, size) == expected


def test_a_column_is_written_alike_in_all_blocks(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("n,b,s\n1,True,1\n2,False,2\n3,,3\n4.5,True,x\n")
    assert strings_of(path, 1) == [
        "{n:1.0000,b:true,s:1}", "{n:2.0000,b:false,s:2}", "{n:3.0000,b:null,s:3}", "{n:4.5000,b:true,s:x}",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "", "3"], ["1", "null", "3"]),  # pandas: 1.0000, null, 3.0000
        (["1", "9" * 20], ["1", "9" * 20]),
        (["-" + "9" * 20, "0.5"], [f"{-float('9' * 20):.4f}", "0.5000"]),
        (["9" * 400, "1"], ["9" * 400, "1"]),
        (["inf", "x"], ["inf", "x"]),
        (["2024-02-29", "2024-03-01T12:00"], ["2024-02-29", "2024-03-01T12:00"]),
        (["", "NA"], ["null", "null"]),
    ],
)
def test_types_of_csv(tmp_path: Path, cells: list[str], expected: list[str]) -> None:
    path = tmp_path / "data.csv"
    path.write_text("a,b\n" + "".join(f"{c},0\n" for c in cells))
    for size in SIZES:
        assert strings_of(path, size, columns=["a"]) == [f"{{a:{e}}}" for e in expected]


def test_csv_in_other_dress(tmp_path: Path) -> None:
    """A mark of byte order, a tab, another separator, gzip whatever the name, blank lines, no end of line."""
    text = "a,b\n1,é\n\n2,ü"
    for name, content, asked in [
        ("bom.csv", b"\xef\xbb\xbf" + text.encode(), {}),
        ("tab.tsv", text.replace(",", "\t").encode(), {}),
        ("semi.csv", text.replace(",", ";").encode(), {"separator": ";"}),
        ("data.csv.gz", gzip.compress(text.encode()), {}),
        ("two.CSV", gzip.compress(text[:5].encode()) + gzip.compress(text[5:].encode()), {}),
        ("data.txt", text.encode(), {"form": "csv"}),
    ]:
        (tmp_path / name).write_bytes(content)
        assert strings_of(tmp_path / name, 1, **asked) == ["{a:1,b:é}", "{a:2,b:ü}"], name


def test_a_text_column_of_csv_is_taken_to_the_letter(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text('t,y\nNA,1\n"two\nlines, ""x""",2\n007,3\n')
    for size in SIZES:
        assert strings_of(path, size, text="t") == ["NA", 'two\nlines, "x"', "007"]


# --- Parquet and JSON Lines --------------------------------------------------------------------------

ARROW: dict[str, tuple[Any, list[Any]]] = {
    "i": (pa.int8(), [1, -2, 3, 4, 5, 6, 7]),
    "u": (pa.uint64(), [0, 2**64 - 1, 2, 3, 4, 5, 6]),
    "f": (pa.float32(), [0.1, None, float("nan"), -0.0, 1.5, 2, 3]),
    "h": (pa.float16(), [np.float16(v) for v in (0.1, 1, 2, 3, 4, 5, 6)]),
    "b": (pa.bool_(), [True, False, None, True, True, False, None]),
    "s": (pa.string(), ["x", None, "", "é", "a,b", "NA", "1"]),
    "l": (pa.large_string(), list("abcdefg")),
    "c": (pa.dictionary(pa.int8(), pa.string()), ["relu", "tanh", None, "relu", "x", "tanh", "relu"]),
    "d": (pa.date32(), [datetime.date(2024, 2, d) for d in range(1, 8)]),
    "t": (pa.timestamp("us"), [datetime.datetime(2024, 2, d, 12, 30, 0, d) for d in range(1, 7)] + [None]),
    "n": (
        pa.timestamp("ns", "UTC"),
        [datetime.datetime(2024, 2, d, tzinfo=datetime.UTC) for d in range(1, 8)],
    ),
    "k": (pa.time64("us"), [datetime.time(12, d) for d in range(7)]),
    "m": (pa.decimal128(9, 3), [Decimal(f"{d}.125") for d in range(7)]),
    "o": (pa.null(), [None] * 7),
    "a.b": (pa.int32(), list(range(7))),
}


@pytest.fixture(scope="module")
def arrow() -> pa.Table:
    return pa.table({name: pa.array(values, kind) for name, (kind, values) in ARROW.items()})


@pytest.mark.parametrize("group", [1, 3, 7])
def test_strings_of_parquet_are_those_of_pandas(tmp_path: Path, arrow: pa.Table, group: int) -> None:
    path = tmp_path / "data.parquet"
    pq.write_table(arrow, path, row_group_size=group)
    expected = serialize(pd.read_parquet(path))
    for size in SIZES:
        assert strings_of(path, size) == expected


@pytest.mark.parametrize("lengths", [[], [7], [1, 1, 5], [3, 0, 3, 1], [2, 2, 2], [6]])
def test_batches_of_any_length_become_blocks_of_one(lengths: list[int]) -> None:
    """Releases of pyarrow differ in where they end a batch."""
    ends = np.cumsum([0, *lengths])
    batches = [pa.record_batch({"a": pa.array(range(a, b))}) for a, b in pairwise(ends)]
    for size in (1, 2, 3, 100):
        blocks = [b["a"].to_pylist() for b in _cut(iter(batches), size)]
        whole = list(range(sum(lengths)))
        assert blocks == [whole[i : i + size] for i in range(0, len(whole), size)]


def test_a_row_group_is_not_read_whole(tmp_path: Path) -> None:
    path, n = tmp_path / "data.parquet", 1_500_000
    r = np.random.default_rng(0)
    columns = {f"x{j}": pa.array(r.normal(size=n)) for j in range(2)}
    pq.write_table(pa.table(columns), path, row_group_size=n)
    del columns
    table = open_table(path)
    choice, before, most = choose(table), pa.total_allocated_bytes(), 0
    assert path.stat().st_size > 15e6
    for block in table.blocks(choice, table.settle(choice), 20_000):
        assert len(block.cells["x1"]) == 20_000
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 8e6


def test_whole_numbers_of_parquet_with_a_gap_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({"a": pa.array([1, None, 3])}), path)
    assert strings_of(path, 2) == ["{a:1}", "{a:null}", "{a:3}"]
    assert strings_of(path, 2) == serialize(pd.read_parquet(path, dtype_backend="numpy_nullable"))


def test_the_index_of_pandas_is_no_column_of_its_frame(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pd.DataFrame({"x": [1.0, 2.0]}, index=pd.Index(["a", "b"], name="id")).to_parquet(path)
    assert strings_of(path, 1) == serialize(pd.read_parquet(path)) == ["{x:1.0000}", "{x:2.0000}"]
    assert strings_of(path, 1, columns=["id", "x"]) == ["{id:a,x:1.0000}", "{id:b,x:2.0000}"]


VALUES = {
    "int": st.integers(-(2**70), 2**70),
    "float": st.floats(allow_infinity=False, allow_nan=False),
    "bool": st.booleans(),
    "text": st.text(max_size=4),
    "missing": st.none(),
}


@KEEP_TMP
@given(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=4).flatmap(
    lambda kinds: st.lists(st.tuples(*(VALUES[k] | st.none() for k in kinds)), min_size=1, max_size=7)
))  # fmt: skip
def test_strings_of_json_are_those_of_its_values(tmp_path: Path, rows: list[tuple[Any, ...]]) -> None:
    """Columns of one type each: what Python reads is what is written."""
    dicts = [{f"c{j}": v for j, v in enumerate(row)} for row in rows]
    path = tmp_path / "data.jsonl"
    path.write_text("\n\n".join(json.dumps(d) for d in dicts))
    for size in SIZES:
        assert strings_of(path, size) == serialize(dicts)


def test_whole_numbers_beside_floats_of_json_are_floats_as_in_pandas(tmp_path: Path) -> None:
    rows = [{"a": 1, "b": 1}, {"a": 2, "b": "auto"}, {"a": 2.5, "b": 0.5}, {"a": None, "b": None}]
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    expected = ["{a:1.0000,b:1.0000}", "{a:2.0000,b:auto}", "{a:2.5000,b:0.5000}", "{a:null,b:null}"]
    for size in SIZES:
        assert strings_of(path, size) == expected
    assert serialize(pd.DataFrame(rows)[["a"]]) == [e.split(",")[0] + "}" for e in expected]


# --- what is no table, or not what was asked for ------------------------------------------------------

NOT_TABLES = [
    ("a.csv", b"", "is empty"),
    ("a.csv", b"a,b\n", "there must be rows, however: there is none"),
    ("a.csv", b"\n1,2\n", "line 1: the first line must hold the names of the columns"),
    ("a.csv", b"a,b\n1,2\n3\n", "line 3: a row must have 2 cells, as the header has, however: got 1"),
    ("a.csv", b'a,b\n1,"x\ny"\n3,4,5\n', "line 4: a row must have 2 cells, as the header has"),
    ("a.csv", b'a,b\n1,"2\n3,4\n', "line 2: a quote that opens in this row is never closed"),
    ("a.csv", b'a,b\n1,"2"x\n', "line 2: a closing quote must be followed by ','"),
    ("a.csv", b"a,b\n1,caf\xe9\n", "line 2: text must be UTF-8, however: got the byte 0xe9"),
    ("a.csv", "a,b\n1,2\n".encode("utf-16"), "is text in UTF-16"),
    ("a.csv", b"a,b\r1,2\r", "line 1: a line must end in"),
    ("a.csv", b"a,b,a\n1,2,3\n", "line 1: every column needs a name of its own, however: 'a' comes twice"),
    ("a.csv", b"a;b\n1;2\n", "cells must be separated by ',', however: ';' stands"),
    ("a.csv", b"1.5,2\n3,4\n", "it holds numbers (1.5, 2)"),
    ("a.csv", b"a,b\n1,2\n1,1e999\n", "line 3: a number must be finite, however: column 'b' is infinite"),
    ("a.csv", b"a\n1\n\n3\n", "line 3: an empty line may be a missing value"),
    ("a.csv", b"PAR1....", "is a Parquet file; use --format parquet"),
    ("a.csv", b"PK\x03\x04....", "an Excel workbook"),
    ("a.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-12], "the compressed file is damaged"),
    ("a.jsonl", b"\n\n", "there must be rows"),
    ("a.jsonl", b'{"a":1}\n{"a":\n', "line 2: a line must be one JSON object, however: Expecting value"),
    ("a.jsonl", b'[{"a":1},\n{"a":2}]', "a JSON array is not JSON Lines"),
    ("a.jsonl", b'{"a":1}\n3\n', "line 2: a line must be one JSON object, however: got int 3"),
    ("a.jsonl", b'{"a":1,"a":2}\n', "line 1: a line must be one JSON object, however: the key 'a'"),
    ("a.jsonl", b'{"a":1}\n{"b":2}\n', "line 2: every row must have the same keys, however: 'a' is"),
    ("a.jsonl", b'{"a":1}\n{"a":1,"b":2}\n', "line 2: every row must have the same keys, however: the"),
    ("a.jsonl", b'{"a":1}\n{"a":{"b":1}}\n', "line 2: a value must be a number, a text, a boolean or null"),
    ("a.jsonl", b'{"a":1}\n{"a":-Infinity}\n', "line 2: a number must be finite"),
    ("a.jsonl", b'{"a":"\xff"}\n', "line 1: text must be UTF-8"),
    ("a.parquet", b"a,b\n1,2\n", "cannot be read as Parquet"),
    ("a.parquet", b"PAR1" + b"\0" * 50, "cannot be read as Parquet"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "expected"), NOT_TABLES, ids=lambda v: str(v)[:20])
def test_what_is_no_table_is_one_line_that_says_where(
    tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TableError) as caught:
        strings_of(path, 10)
    assert expected in str(caught.value) and str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert LONGEST >= 1 << 20
    monkeypatch.setattr("embreg.streaming.text_table.LONGEST", 1000)
    path = tmp_path / "a.jsonl"
    path.write_text('{"a":1}\n{"a":"' + "x" * 5000)
    with pytest.raises(TableError, match="line 2: a line must be shorter"):
        strings_of(path, 1)


def test_a_long_cell_is_read(tmp_path: Path) -> None:
    """Python's own limit is 131,072 characters."""
    path = tmp_path / "a.csv"
    path.write_text("t,b\n" + "x" * 200_000 + ",1\n")
    assert strings_of(path, 1, text="t") == ["x" * 200_000]


WRONG = [
    ({"columns": ["x", "ys"]}, "has no column 'ys'; did you mean 'y'? It has 'x', 'y', ''"),
    ({"drop": ["Y"]}, "has no column 'Y'; did you mean 'y'?"),
    ({"text": "nothing at all"}, "has no column 'nothing at all'; It has"),
    ({"columns": ["x", "x"]}, "a column must be named once, however: got 'x' twice"),
    ({"drop": ["x", "y", ""]}, "a string needs at least one column"),
    ({"text": "x", "drop": ["y"]}, "exclude each other"),
    ({}, "every column in a string needs a name, however: column 2"),
    ({"columns": ["x"], "keep": ["z"]}, "has no column 'z'"),
]


@pytest.mark.parametrize(("asked", "expected"), WRONG)
def test_wrong_columns_are_named(tmp_path: Path, asked: dict[str, Any], expected: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,y,\n1,2,3\n")
    with pytest.raises(RequestError, match=re.escape(expected).replace("at\\ all'; ", "at\\ all'; ")):
        strings_of(path, 1, **asked)
    assert strings_of(path, 1, drop=[""]) == ["{x:1,y:2}"]


@pytest.mark.parametrize(
    ("column", "asked", "error", "expected"),
    [
        (pa.array([[1]]), {}, RequestError, "column 'a' of"),
        (pa.array([b"x"]), {}, RequestError, "is of type binary"),
        (pa.array([datetime.timedelta(1)]), {}, RequestError, "is of type duration"),
        (pa.array([float("-inf")], pa.float32()), {}, TableError, "row 0 of column 'a' is infinite"),
        (pa.array([None], pa.string()), {"text": "a"}, TableError, "row 0 has none"),
        (pa.array([1.5]), {"text": "a"}, RequestError, "must hold texts, however: it is of type double"),
        (pa.array([], pa.string()), {}, TableError, "there must be rows"),
    ],
)
def test_parquet_that_will_not_do(
    tmp_path: Path, column: Any, asked: dict[str, Any], error: type[Exception], expected: str
) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": column}), path)
    with pytest.raises(error, match=re.escape(expected)):
        strings_of(path, 10, **asked)


def test_columns_that_are_not_used_may_hold_anything(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a":1,"b":[1]}\n{"a":2,"c":3,"b":null}\n')
    assert strings_of(tmp_path / "a.jsonl", 1, columns=["a"]) == ["{a:1}", "{a:2}"]
    (tmp_path / "a.csv").write_text("a,,b\n1,2,inf\n")
    assert strings_of(tmp_path / "a.csv", 1, columns=["a"]) == ["{a:1}"]
