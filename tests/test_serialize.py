"""Strings from rows: the exact form, the exact rounding, and one string for one input everywhere."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from embreg import serialize

ROW = {"x0": 1.23456, "x1": -4.5, "n": -12, "ok": True, "act": "relu", "gap": None}


@pytest.mark.parametrize(
    ("style", "notation", "names", "expected"),
    [
        ("json", "decimal", True, "{x0:1.2346,x1:-4.5000,n:-12,ok:true,act:relu,gap:null}"),
        ("json", "decimal", False, "{1.2346,-4.5000,-12,true,relu,null}"),
        ("json", "scientific", True, "{x0:1.2346e+00,x1:-4.5000e+00,n:-12,ok:true,act:relu,gap:null}"),
        ("json", "scientific", False, "{1.2346e+00,-4.5000e+00,-12,true,relu,null}"),
        ("json", "digits", True, "{x0:1 . 2 3 4 6,x1:- 4 . 5 0 0 0,n:- 1 2,ok:true,act:relu,gap:null}"),
        ("json", "digits", False, "{1 . 2 3 4 6,- 4 . 5 0 0 0,- 1 2,true,relu,null}"),
        ("pairs", "decimal", True, "x0=1.2346; x1=-4.5000; n=-12; ok=true; act=relu; gap=null"),
        ("pairs", "decimal", False, "1.2346; -4.5000; -12; true; relu; null"),
        ("pairs", "scientific", True, "x0=1.2346e+00; x1=-4.5000e+00; n=-12; ok=true; act=relu; gap=null"),
        ("pairs", "scientific", False, "1.2346e+00; -4.5000e+00; -12; true; relu; null"),
        ("pairs", "digits", True, "x0=1 . 2 3 4 6; x1=- 4 . 5 0 0 0; n=- 1 2; ok=true; act=relu; gap=null"),
        ("pairs", "digits", False, "1 . 2 3 4 6; - 4 . 5 0 0 0; - 1 2; true; relu; null"),
        ("values", "decimal", True, "[1.2346,-4.5000,-12,true,relu,null]"),
        ("values", "decimal", False, "[1.2346,-4.5000,-12,true,relu,null]"),
        ("values", "scientific", True, "[1.2346e+00,-4.5000e+00,-12,true,relu,null]"),
        ("values", "scientific", False, "[1.2346e+00,-4.5000e+00,-12,true,relu,null]"),
        ("values", "digits", True, "[1 . 2 3 4 6,- 4 . 5 0 0 0,- 1 2,true,relu,null]"),
        ("values", "digits", False, "[1 . 2 3 4 6,- 4 . 5 0 0 0,- 1 2,true,relu,null]"),
    ],
)
def test_golden(style: Any, notation: Any, names: bool, expected: str) -> None:
    assert serialize([ROW], style=style, notation=notation, names=names) == [expected]


def test_the_papers_string() -> None:
    assert serialize(pd.DataFrame({"x0": [1.23456], "x1": [-4.5]})) == ["{x0:1.2346,x1:-4.5000}"]


def test_numbered_names() -> None:
    expected = "{x0:1.2346,x1:-4.5000,x2:-12,x3:true,x4:relu,x5:null}"
    assert serialize([ROW], names="numbered") == [expected]
    assert serialize([ROW], names="numbered", style="values") == serialize([ROW], style="values")


def test_what_is_missing_may_be_left_out_with_its_name() -> None:
    rows = [ROW, {**ROW, "gap": 3, "x0": float("nan"), "act": "null"}]
    assert serialize(rows, missing="omit") == [
        "{x0:1.2346,x1:-4.5000,n:-12,ok:true,act:relu}",
        "{x1:-4.5000,n:-12,ok:true,act:null,gap:3}",  # the text null is a value
    ]
    # A parameter keeps its own number whatever is left out before it.
    assert serialize(rows, missing="omit", names="numbered", style="pairs")[1].startswith(
        "x1=-4.5000; x2=-12"
    )
    assert serialize([{"a": None}], missing="omit") == ["{}"]


@pytest.mark.parametrize("how", [{"style": "values"}, {"names": False}])
def test_nothing_is_left_out_where_nobody_could_tell(how: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"missing='omit' needs names, .* use missing='null'"):
        serialize([ROW], missing="omit", **how)


@pytest.mark.parametrize("how", [{"missing": "drop"}, {"names": "real"}, {"notation": "roman"}])
def test_unknown_words_are_errors(how: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"{next(iter(how))} must be .* however: got"):
        serialize([ROW], **how)


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(-0.0)
@example(5e-324)
def test_the_shortest_text_reads_back_as_the_same_number(value: float) -> None:
    (text,) = serialize([{"x": value}], notation="shortest", style="values")
    assert float(text[1:-1]) == value and not text.startswith("[-0.0]")
    assert serialize([{"x": np.float64(value)}], notation="shortest", style="values") == [text]


# --- numbers -----------------------------------------------------------------------------------------


def slow_number(value: float, decimals: int, notation: str) -> str:
    """Round the exact binary value half to even, by exact decimal arithmetic."""
    with localcontext() as context:
        context.prec = 2000
        exact = Decimal(value)
        step = Decimal(1).scaleb(-decimals)
        if notation != "scientific":
            text = f"{exact.quantize(step, ROUND_HALF_EVEN):f}"
            if set(text) <= set("-0."):
                text = text.lstrip("-")
            return " ".join(text) if notation == "digits" else text
        if exact == 0:
            return f"{step * 0:f}e+00"
        exponent = exact.adjusted()
        mantissa = exact.scaleb(-exponent).quantize(step, ROUND_HALF_EVEN)
        if abs(mantissa) == 10:
            exponent += 1
            mantissa = (mantissa / 10).quantize(step, ROUND_HALF_EVEN)
        return f"{mantissa:f}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(0, 17),
    st.sampled_from(["decimal", "scientific", "digits"]),
)
@example(0.5, 0, "decimal")  # halves go to the even neighbor,
@example(1.5, 0, "decimal")
@example(2.5, 0, "scientific")
@example(1.00005, 4, "decimal")  # which 1.00005 is not: the binary value lies above it
@example(2.675, 2, "decimal")
@example(-0.0, 4, "decimal")
@example(-0.0, 4, "scientific")
@example(-0.00004, 4, "decimal")
@example(-0.00004, 4, "digits")
@example(9.99999, 4, "scientific")
@example(5e-324, 17, "scientific")
@example(1.7976931348623157e308, 2, "decimal")
def test_rounding_is_that_of_exact_arithmetic(value: float, decimals: int, notation: Any) -> None:
    got = serialize([{"x": value}], decimals=decimals, notation=notation, style="values")
    assert got == [f"[{slow_number(value, decimals, notation)}]"]


@pytest.mark.parametrize("notation", ["decimal", "scientific", "digits"])
@pytest.mark.parametrize("value", [-0.0, -1e-9, np.float64(-0.0), Decimal("-0.0")])
def test_zero_has_no_sign(value: Any, notation: Any) -> None:
    if notation == "scientific" and value != 0:
        assert serialize([{"x": value}], notation=notation) == ["{x:-1.0000e-09}"]  # is no zero here
    else:
        assert serialize([{"x": value}], notation=notation) == serialize([{"x": 0.0}], notation=notation)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, "3"),
        (-(10**30), "-" + "1" + "0" * 30),
        (np.int8(-3), "-3"),
        (np.uint64(2**64 - 1), "18446744073709551615"),
        (True, "true"),
        (np.bool_(False), "false"),
        (np.float32(0.1), "0.1000"),
        (Decimal("1.5"), "1.5000"),
        (Fraction(1, 3), "0.3333"),
        (None, "null"),
        (float("nan"), "null"),
        (np.float32("nan"), "null"),
        (pd.NA, "null"),
        (pd.NaT, "null"),
        ("", ""),
        ("a b,c:d", "a b,c:d"),
        (np.str_("relu"), "relu"),
        (datetime.date(2024, 2, 29), "2024-02-29"),
        (datetime.datetime(2024, 2, 29, 12, 30), "2024-02-29T12:30:00"),
        (pd.Timestamp("2024-02-29 12:30"), "2024-02-29T12:30:00"),
        (datetime.time(12, 30), "12:30:00"),
    ],
)
def test_every_kind_of_cell(value: Any, expected: str) -> None:
    assert serialize([{"x": value}], names=False) == [f"{{{expected}}}"]


def test_float32_is_rounded_from_its_own_value() -> None:
    x = np.array([[0.1]], dtype=np.float32)
    assert serialize(x, decimals=10, style="values") == ["[0.1000000015]"]


# --- tables ------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=5)
COLUMNS = st.sampled_from(
    [
        st.floats(allow_infinity=False),
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        st.integers(-(2**63), 2**63 - 1),
        st.booleans(),
        TEXT,
        st.none() | TEXT,
        st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2100, 1, 1)),
    ]
)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, list[Any]]:
    n = draw(st.integers(1, 4))
    names = draw(st.lists(TEXT.filter(bool), min_size=1, max_size=4, unique=True))
    return {name: draw(st.lists(draw(COLUMNS), min_size=n, max_size=n)) for name in names}


@given(tables(), st.sampled_from(["json", "pairs", "values"]))
def test_pandas_polars_and_dicts_give_the_same_strings(table: dict[str, list[Any]], style: Any) -> None:
    dicts = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    expected = serialize(dicts, style=style)
    assert serialize(pd.DataFrame(table), style=style) == expected
    assert serialize(pl.DataFrame(table, strict=False), style=style) == expected
    assert serialize(tuple(dicts), style=style) == expected


@given(st.lists(st.lists(st.floats(allow_infinity=False), min_size=3, max_size=3), min_size=1, max_size=4))
def test_arrays_are_columns_called_x0_x1(rows: list[list[float]]) -> None:
    expected = serialize([{f"x{j}": v for j, v in enumerate(row)} for row in rows])
    array = np.array(rows)
    for same in (rows, array, np.asfortranarray(array), array.astype(object), [tuple(r) for r in rows]):
        assert serialize(same) == expected


def test_a_list_of_lists_keeps_the_type_of_each_cell() -> None:
    assert serialize([[1, 2.5, "a", None, True]], names=False) == ["{1,2.5000,a,null,true}"]


def test_missing_integers() -> None:
    # pandas has turned the integers into floats; with Int64 they stay what they are in polars
    assert serialize(pd.DataFrame({"n": [1, None]})) == ["{n:1.0000}", "{n:null}"]
    whole = ["{n:1}", "{n:null}"]
    assert serialize(pd.DataFrame({"n": pd.array([1, None], dtype="Int64")})) == whole
    assert serialize(pl.DataFrame({"n": [1, None]})) == whole
    assert serialize([{"n": 1}, {"n": None}]) == whole


def test_categories_are_written_as_their_values() -> None:
    values = ["b", "a", "b"]
    expected = ["{c:b}", "{c:a}", "{c:b}"]
    assert serialize(pd.DataFrame({"c": pd.Categorical(values)})) == expected
    assert serialize(pl.DataFrame({"c": pl.Series(values, dtype=pl.Categorical)})) == expected


def test_order_of_columns_is_that_of_the_table_and_of_the_first_dict() -> None:
    assert serialize([{"b": 1, "a": 2}, {"a": 3, "b": 4}]) == ["{b:1,a:2}", "{b:4,a:3}"]
    assert serialize(pd.DataFrame({"b": [1], "a": [2]})) == ["{b:1,a:2}"]
    assert serialize(pd.DataFrame([[1, 2]], columns=[7, "7"])) == ["{7:1,7:2}"]


def test_the_index_plays_no_part_and_the_input_is_left_alone() -> None:
    table = pd.DataFrame({"x0": [1.0, 2.0]}, index=["b", "a"])
    before = table.copy()
    assert serialize(table) == ["{x0:1.0000}", "{x0:2.0000}"]
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize(
    "nothing",
    [[], (), np.empty((0, 3)), np.empty((0, 0)), pd.DataFrame(), pd.DataFrame({"a": []}), pl.DataFrame()],
    ids=lambda v: type(v).__name__,
)
def test_no_rows_give_no_strings(nothing: Any) -> None:
    assert serialize(nothing) == []


CODE = """
from embreg import serialize
rows = [{k: hash(k) * 0 + i / 3 for i, k in enumerate(("lr", "act", "width", "depth"))} for _ in range(3)]
print(serialize(rows), serialize([[1.5, 2]], notation="digits"))
"""


def test_the_same_in_processes_with_other_hashes() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", CODE],
            env=os.environ | {"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(outputs) == 1
    assert "{lr:0.0000,act:0.3333,width:0.6667,depth:1.0000}" in outputs.pop()


# --- errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"style": "xml"}, "style must be one of .*'json', 'pairs', 'values'.* got 'xml'"),
        ({"notation": "hex"}, "notation must be one of .* got 'hex'"),
        ({"decimals": -1}, "from 0 to 17, however: got -1"),
        ({"decimals": 18}, "from 0 to 17, however: got 18"),
        ({"decimals": 2.5}, "got 2.5"),
        ({"decimals": True}, "got True"),
    ],
)
def test_wrong_parameters(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        serialize([[1.0]], **arguments)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"a": 1.0}, {"a": float("inf")}], "row 1, column 'a' is inf; replace it, or write None"),
        (np.array([[1.0, -np.inf]]), "row 0, column 'x1' is -inf"),
        ([{"a": 1}, {"b": 1}], r"row 1 differs from row 0 in \['a', 'b'\]; write None"),
        ([{"a": 1}, {"a": 1, "b": 1}], r"row 1 differs from row 0 in \['b'\]"),
        ([{"a": 1}, [1]], "all dicts or all lists, however: row 0 is a dict"),
        ([1.0, 2.0], r"must be 2-D \(n, d\), however: x.shape=\(2,\); use x.reshape\(1, -1\)"),
        (np.zeros(3), r"x.shape=\(3,\)"),
        (np.zeros((1, 2, 3)), r"x.shape=\(1, 2, 3\)"),
        (["ab", "cd"], r"x.shape=\(2,\)"),
        ([[1, 2], [3]], "same length, however: row 1 has 1 values, row 0 has 2"),
        (np.zeros((2, 0)), "at least one column, however: got 2 rows and no column"),
        (pd.DataFrame(index=[0, 1]), "at least one column, however: got 2 rows"),
        ([{}], "at least one column"),
    ],
)
def test_rows_that_are_no_table(rows: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        serialize(rows)


@pytest.mark.parametrize(
    "rows",
    [{"a": [1]}, "ab", b"ab", 3, None, pd.Series([1.0]), iter([[1.0]])],
    ids=lambda v: type(v).__name__,
)
def test_rows_of_an_unknown_kind(rows: Any) -> None:
    with pytest.raises(TypeError, match=f"rows must be a DataFrame.* got {type(rows).__name__}"):
        serialize(rows)


@pytest.mark.parametrize(
    "value",
    [b"ab", 1j, [1], {1}, object(), datetime.timedelta(1), pd.Timedelta(1), np.datetime64("2024-01-01")],
    ids=lambda v: type(v).__name__,
)
def test_a_cell_without_one_way_to_be_written_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=f"row 1, column 'b' is of type {type(value).__name__}; write it as"):
        serialize([{"b": 1}, {"b": value}])


def test_dates_in_an_array_are_refused() -> None:
    # tolist() of a numpy array gives dates for some units and integers for others
    for unit in ("D", "ns"):
        with pytest.raises(TypeError, match=f"datetime64.{unit}.; put them in a DataFrame"):
            serialize(np.array([["2024-01-01"]], dtype=f"datetime64[{unit}]"))
