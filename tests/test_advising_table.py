"""From a file to a problem: kinds of columns, cells, findings, and the views that pipelines read."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import embreg
from embreg.advising.cells import dates_of, numbers_of, texts_of
from embreg.advising.kinds import infer_column, infer_columns
from embreg.advising.problem import problem_of
from embreg.advising.reading import read_table
from embreg.advising.views import TableRows, as_frame
from embreg.streaming.tables import RequestError, TableError

RNG = np.random.default_rng(0)


def table(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame({
        "size": rng.uniform(10, 99, n).round(2), "rooms": rng.integers(1, 6, n),
        "town": rng.choice(["Rome", "Oslo", "Łódź"], n),
        "sold": pd.date_range("2024-01-31", periods=n).astype(str),
        "note": [f"a house number {i} with view" for i in range(n)], "new": rng.random(n) < 0.5,
        "price": rng.normal(size=n),
    })  # fmt: skip


def codes(problem) -> set[str]:
    return {f.code for f in problem.findings}


# --- Cells --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "number"),
    [("1", 1), (" -2.5 ", -2.5), ("1e3", 1000), ("1,234", 1234), ("12,345,678.5", 12345678.5), ("12 %", 12),
     (Decimal("0.1"), 0.1), (True, 1), ("1,5", None), ("1,2345", None), ("1_000", None), ("n/a", None),
     ("", None),     (None, None), ("abc", None), ("0x10", None), (datetime.date(2024, 1, 1), None)],
)  # fmt: skip
def test_numbers(cell, number):
    (found,) = numbers_of(pd.Series([cell], dtype=object))
    assert np.isnan(found) if number is None else found == number


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_numbers_as_text_are_the_same_numbers(values):
    as_text = pd.Series([repr(v) for v in values], dtype=object)
    np.testing.assert_array_equal(numbers_of(as_text), np.array(values))


def test_dates_are_read_cell_by_cell():
    cells = [
        "2024-02-03",
        "03/04/2024",
        "31/12/2024",
        "31.12.2024",
        "2024-02-03T10:00:00Z",
        "20240203",
        "soon",
        None,
    ]
    together = dates_of(pd.Series(cells, dtype=object))
    alone = [dates_of(pd.Series([c], dtype=object)).iloc[0] for c in cells]
    for a, b in zip(together, alone, strict=True):
        assert a == b or (pd.isna(a) and pd.isna(b))
    assert together.iloc[1] == pd.Timestamp("2024-03-04")  # ambiguous: the month first
    assert together.iloc[2] == pd.Timestamp("2024-12-31")
    assert together.isna().tolist() == [False] * 5 + [True] * 3


def test_zones_become_utc():
    zoned = pd.Series(pd.date_range("2024-06-01 02:00", periods=2, tz="Europe/Rome"))
    assert dates_of(zoned).iloc[0] == pd.Timestamp("2024-06-01 00:00")


@pytest.mark.parametrize("cell", [b"x", [1], {"a": 1}, (1, 2)])
def test_texts_refuse_what_has_none(cell):
    column = pd.Series([cell], dtype=object, name="box")
    with pytest.raises(ValueError, match="'box'"):
        texts_of(column)


# --- Kinds --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "name", "kind", "used"),
    [
        (RNG.normal(size=60), "x", "numeric", True),
        (["1.5", "2", "n/a"] * 20, "x", "numeric", True),
        (["1"] * 57 + ["two"] * 3, "x", "category", True),  # 95 % and one distinct number are not enough
        ([str(i % 9) for i in range(57)] + ["two"] * 3, "x", "numeric", True),
        ([str(i % 9) for i in range(56)] + ["two"] * 4, "x", "category", True),
        (range(60), "row", "identifier", False),
        (RNG.permutation(60) * 7, "customer_id", "identifier", False),
        (RNG.permutation(60) * 7, "customerId", "identifier", False),
        (RNG.permutation(60) * 7, "humid", "numeric", True),
        ([f"k{i:04d}" for i in range(60)], "code", "identifier", False),
        (["a", "b"] * 30, "letter", "category", True),
        ([True, False] * 30, "flag", "category", True),
        ([f"the {i} words of it" for i in range(60)], "note", "text", True),
        (["one of three words"] * 30 + ["and another of them"] * 30, "note", "category", True),
        (pd.date_range("2024-01-01", periods=60), "day", "date", True),
        (pd.date_range("2024-01-01", periods=60).astype(str), "day", "date", True),
        ([7] * 60, "same", "constant", False),
        ([None] * 60, "void", "constant", False),
    ],
)
def test_kinds(values, name, kind, used):
    found = infer_column(pd.Series(list(values), dtype=object).infer_objects(), name)
    assert (found.kind, found.used) == (kind, used), found


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "category", "string"])
def test_pandas_own_types(dtype):
    values = {"Int64": [1, None, 3], "boolean": [True, False, None]}.get(dtype, ["a", "b", None])
    column = pd.Series(values * 20, dtype=dtype)
    assert infer_column(column, "c").kind == ("numeric" if dtype == "Int64" else "category")
    assert infer_column(column, "c").missing == 20


def test_the_user_knows_better():
    frame = pd.DataFrame({"zip": range(60), "id": range(60)})
    zip_code, id_ = infer_columns(frame, kinds={"zip": "category"}, drop=["id"])
    assert (zip_code.kind, zip_code.used, id_.used, id_.why) == ("category", True, False, "dropped by you")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"kinds": {"zap": "text"}}, "did you mean 'zip'"), ({"kinds": {"zip": "number"}}, "must be one of"),
     ({"drop": ["zap"]}, "did you mean 'zip'"), ({"kinds": {"zip": "text"}, "drop": ["zip"]}, "given both")],
)  # fmt: skip
def test_kinds_refuse(wrong, says):
    with pytest.raises(ValueError, match=says):
        infer_columns(pd.DataFrame({"zip": [1, 2]}), **wrong)


# --- Problems -----------------------------------------------------------------------------------------------


def test_a_clean_table_has_few_findings():
    problem = problem_of(table(), "price")
    names = ["size", "rooms", "town", "sold", "note", "new"]
    kinds = ["numeric", "numeric", "category", "date", "text", "category"]
    assert problem.kinds == tuple(zip(names, kinds, strict=True))
    assert codes(problem) == {"few_rows"}
    assert problem.texts == ("note",) and problem.groups is None


def finds(code: str, change, **options) -> tuple:
    """Finding of a changed table; the unchanged one has none of that code."""
    frame = table(240)
    assert code not in codes(problem_of(frame, "price"))
    problem = problem_of(change(frame), "price", **options)
    (found,) = [f for f in problem.findings if f.code == code]
    assert found.message and found.action
    return problem, found


def test_rows_without_a_target_are_left_out_and_counted():
    problem, found = finds("missing_target", lambda t: t.assign(price=t.price.where(t.index > 2)))
    assert "3 of 240" in found.message and problem.positions[0] == 3 and len(problem.y) == 237


def test_repeated_rows_stay_together():
    problem, found = finds("duplicates", lambda t: pd.concat([t, t.head(20)]))
    assert "20 of 260" in found.message
    assert problem.groups is not None and problem.groups[:20].tolist() == problem.groups[240:].tolist()
    assert len(np.unique(problem.groups)) == 240


def test_a_column_that_is_the_target_is_left_out_unless_asked_for():
    leaky = lambda t: t.assign(log_price=np.exp(t.price))  # noqa: E731
    problem, found = finds("leak", leaky)
    assert found.columns == ("log_price",) and "log_price" not in dict(problem.kinds)
    kept = problem_of(leaky(table(240)), "price", kinds={"log_price": "numeric"})
    assert "log_price" in dict(kept.kinds) and "leak" not in codes(kept)


def test_a_sum_of_columns_is_said():
    rng = np.random.default_rng(2)
    parts = rng.normal(size=(240, 2))
    problem, found = finds("sum", lambda t: t.assign(a=parts[:, 0], b=parts[:, 1], price=parts @ [1.0, 2.0]))
    assert found.columns == ("a", "b") and "a" in dict(problem.kinds)


def test_other_findings():
    finds("identifier", lambda t: t.assign(id=range(240)))
    finds("constant", lambda t: t.assign(same=1))
    assert (
        "17 of 240"
        in finds("missing_values", lambda t: t.assign(size=t["size"].where(t.index > 16)))[1].message
    )
    mixed = finds(
        "mixed_column", lambda t: t.assign(size=t["size"].astype(object).where(t.index != 5, "large"))
    )
    assert "'large'" in mixed[1].message and np.isnan(mixed[0].rows["size"][5])
    infinite = finds("mixed_column", lambda t: t.assign(size=t["size"].where(t.index != 5, np.inf)))
    assert np.isnan(infinite[0].rows["size"][5])
    finds("many_categories", lambda t: t.assign(town=[f"t{i % 60}" for i in range(240)]))
    finds("near_constant_target", lambda t: t.assign(price=[0.0] * 225 + list(range(1, 16))))
    finds("heavy_tail", lambda t: t.assign(price=t.price.where(t.index != 7, 1e6)))
    finds("few_rows", lambda t: t.head(150))


@pytest.mark.parametrize(
    ("change", "options", "says"),
    [
        (lambda t: t, {"target": "prise"}, "did you mean 'price'"),
        (lambda t: t.assign(price=None), {}, "empty in all 60 rows"),
        (lambda t: t, {"target": "town"}, "That is a class"),
        (lambda t: t, {"target": "new"}, "That is a class"),
        (lambda t: t.assign(price=[0, 1] * 30), {}, "0 and 1 only"),
        (lambda t: t.assign(price=t.price.where(t.index != 3, np.inf)), {}, "inf in row 3"),
        (lambda t: t.head(49), {}, "at least 50 rows"),
        (lambda t: t[["price"]], {}, "a column must be left"),
        (lambda t: t[["price"]].assign(same=1), {}, "same: one value"),
        (lambda t: t, {"group": "town", "time": "sold"}, "got both"),
        (lambda t: t, {"group": "twon"}, "did you mean 'town'"),
        (lambda t: t, {"group": "price"}, "is the target"),
        (lambda t: t, {"time": "town"}, "neither number nor date"),
        (lambda t: t.rename(columns={"rooms": "size"}), {}, "'size' is there twice"),
        (lambda t: t.assign(box=[[1]] * 60), {}, "'box' holds a list"),
    ],
)
def test_problems_that_are_none(change, options, says):
    with pytest.raises(ValueError, match=says):
        problem_of(change(table()), **{"target": "price", **options})


def test_groups_and_order():
    grouped = problem_of(table(), "price", group="town")
    assert len(np.unique(grouped.groups)) == 3 and "town" not in dict(grouped.kinds)
    ordered = problem_of(table().iloc[::-1], "price", time="sold")
    assert ordered.order.tolist() == list(range(60))[::-1] and "sold" not in dict(ordered.kinds)


# --- Files --------------------------------------------------------------------------------------------------


def same(a, b) -> None:
    pd.testing.assert_frame_equal(a.rows, b.rows)
    np.testing.assert_array_equal(a.y, b.y)
    assert a.kinds == b.kinds


def test_every_format_gives_the_same_problem(tmp_path: Path):
    frame = table()
    frame.loc[4, "size"] = None
    frame.loc[5, "note"] = None
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_csv(tmp_path / "t.tsv.gz", index=False, sep="\t")
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True, double_precision=15)
    first = problem_of(frame, "price")
    for name in ("t.csv", "t.tsv.gz", "t.parquet", "t.jsonl"):
        found, called = read_table(tmp_path / name)
        assert called == name
        other = problem_of(found, "price")
        pd.testing.assert_frame_equal(first.rows, other.rows, check_exact=False)
        assert first.kinds == other.kinds
    same(first, problem_of(pl.from_pandas(frame), "price"))


@pytest.mark.parametrize(
    ("name", "content", "error", "says"),
    [
        ("t.csv", b"", TableError, "is empty"),
        ("t.csv", b"a,b\n", TableError, "no rows"),
        ("t.csv", b"a,b\n1,2\n3,4,5\n", TableError, "cannot be read as csv"),
        ("t.csv", b"a,b\n1,\xff\xfe\n", TableError, "utf"),
        ("t.csv", b"PK\x03\x04rest", TableError, "Excel"),
        ("t.parquet", b"PAR1 and no more", TableError, "parquet"),
        ("t.jsonl", b'{"a": 1}\n{"a": \n', TableError, "jsonl"),
        ("t.txt", b"a\n1\n", RequestError, "format"),
        ("t.csv.gz", b"not packed", TableError, "t.csv.gz"),
    ],
)
def test_files_that_are_none(tmp_path: Path, name, content, error, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=r"(?i)" + says):
        read_table(tmp_path / name)


def test_a_folder_and_nothing(tmp_path: Path):
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(RequestError, match="regular file"):
        read_table(tmp_path / "t.csv")
    with pytest.raises(TypeError, match="got int"):
        read_table(3)


# --- Views --------------------------------------------------------------------------------------------------

COLUMNS = problem_of(table(), "price").kinds


@pytest.mark.parametrize("view", ["numbers", "strings", "text"])
def test_a_row_alone_is_the_row_in_a_table(view):
    frame = table()
    frame.loc[3, ["size", "town", "sold", "note"]] = None
    whole = TableRows(COLUMNS, view).fit_transform(frame)
    for i in (0, 3, 59):
        alone = TableRows(COLUMNS, view).transform(frame.iloc[[i]])
        if view == "text":
            assert alone.tolist() == [whole[i]]
        else:
            pd.testing.assert_frame_equal(alone, whole.iloc[[i]], check_dtype=False)


@given(st.permutations(list(table().columns)))
@settings(max_examples=10)
def test_order_and_other_columns_play_no_part(names):
    for view in ("numbers", "strings"):
        a = TableRows(COLUMNS, view).transform(table())
        b = TableRows(COLUMNS, view).transform(table()[names].assign(more=1))
        pd.testing.assert_frame_equal(a, b)


def test_strings_of_rows():
    rows = [{"a": 3.0, "b": 2.5, "d": "2024-01-02", "t": None, "c": True}]
    columns = [("a", "numeric"), ("b", "numeric"), ("d", "date"), ("t", "text"), ("c", "category")]
    written = embreg.serialize(
        TableRows(columns, "strings").transform(rows), notation="shortest", missing="omit"
    )
    assert written == ["{a:3,b:2.5,d:2024-01-02,c:true}"]
    assert TableRows(columns, "text").transform(rows).tolist() == ["null"]


def test_views_refuse():
    with pytest.raises(ValueError, match="did you mean 'size'"):
        TableRows([("sizes", "numeric")]).transform(table())
    with pytest.raises(ValueError, match="view must be"):
        TableRows(COLUMNS, "words").transform(table())
    with pytest.raises(TypeError, match="DataFrame"):
        as_frame(np.ones((2, 2)))


def test_views_are_saved_and_loaded(tmp_path: Path):
    from sklearn.pipeline import make_pipeline

    from embreg import TabularFeatures

    model = make_pipeline(TableRows(COLUMNS, "numbers"), TabularFeatures()).fit(table())
    embreg.save(model, tmp_path / "m")
    np.testing.assert_array_equal(embreg.load(tmp_path / "m").transform(table()), model.transform(table()))
