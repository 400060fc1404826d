"""φ_trad: scikit-learn's contract, a twin from scikit-learn's parts, and every way a table can be odd."""

from __future__ import annotations

import datetime
import warnings
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from embreg import TabularFeatures

# scikit-learn's checks that this transformer may fail: none.
EXPECTED_FAILURES: dict[str, str] = {}


@parametrize_with_checks(
    [TabularFeatures(), TabularFeatures(scaling="minmax")],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
def test_sklearn_contract(estimator: Any, check: Any) -> None:
    check(estimator)


def table(n: int = 40, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "lr": rng.lognormal(size=n),
            "act": rng.choice(["relu", "tanh", "gelu"], n),
            "depth": rng.integers(1, 9, n),
            "norm": rng.choice([True, False], n),
            "same": 3.0,
            "word": "same",
            "width": rng.normal(1e3, 50, n),
        }
    )
    frame.loc[rng.choice(n, 7, replace=False), "width"] = np.nan
    return frame


@pytest.mark.parametrize("scaling", ["standard", "minmax"])
def test_against_scikit_learns_parts(scaling: Any) -> None:
    train, test = table(), table(25, seed=1)
    scaler = {"standard": StandardScaler, "minmax": MinMaxScaler}[scaling]
    # scalers leave NaN alone, and the mean of what is scaled is the scaled mean
    numeric = make_pipeline(scaler(), SimpleImputer(add_indicator=True))
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    twin = ColumnTransformer(
        [("num", numeric, ["lr", "depth", "width"]), ("cat", one_hot, ["act", "norm"])]
    ).fit(train)
    ours = TabularFeatures(scaling=scaling).fit(train)

    names = ["lr", "depth", "width", "width_missing"]
    names += ["act=gelu", "act=relu", "act=tanh", "norm=False", "norm=True"]
    assert sorted(ours.get_feature_names_out()) == sorted(names)
    for frame in (train, test):
        got = pd.DataFrame(ours.transform(frame), columns=ours.get_feature_names_out())
        np.testing.assert_allclose(got[names], twin.transform(frame), atol=1e-12)


def test_order_of_features_is_that_of_the_columns() -> None:
    names = ["lr", "act=gelu", "act=relu", "act=tanh", "depth", "norm=False", "norm=True", "width"]
    assert TabularFeatures().fit(table()).get_feature_names_out().tolist() == [*names, "width_missing"]


@given(
    st.lists(
        st.tuples(st.floats(-1e6, 1e6), st.sampled_from(["a", "b", "c"])), min_size=2, max_size=20
    ).filter(lambda rows: len({x for x, _ in rows}) > 1 or len({c for _, c in rows}) > 1)
)
def test_training_rows_are_normalised(rows: list[tuple[float, str]]) -> None:
    frame = pd.DataFrame(rows, columns=["x", "c"])
    features = TabularFeatures().fit(frame)
    out = pd.DataFrame(features.transform(frame), columns=features.get_feature_names_out())
    if "x" in out:
        assert np.isclose(out.x.mean(), 0, atol=1e-6) and np.isclose(out.x.std(ddof=0), 1)
    else:
        assert frame.x.nunique() == 1
    one_hot = out.filter(like="c=")
    assert set(one_hot.columns) == ({f"c={c}" for c in frame.c} if frame.c.nunique() > 1 else set())
    for name, column in one_hot.items():
        assert (column == (frame.c == str(name)[2:])).all()


def test_minmax_is_the_training_range() -> None:
    features = TabularFeatures(scaling="minmax").fit(pd.DataFrame({"x": [2.0, 4.0, 3.0]}))
    assert features.transform(pd.DataFrame({"x": [2.0, 4.0, 5.0]})).ravel().tolist() == [0.0, 1.0, 1.5]


def test_only_training_rows_are_learned_from() -> None:
    train, test = table(), table(25, seed=1)
    features = TabularFeatures().fit(train)
    one_by_one = np.vstack([features.transform(test.iloc[[i]]) for i in range(len(test))])
    np.testing.assert_array_equal(features.transform(test), one_by_one)


def test_polars_and_objects_give_the_same() -> None:
    train = table()
    expected = TabularFeatures().fit_transform(train)
    as_polars = pl.DataFrame(train.to_dict("list"), nan_to_null=True)
    np.testing.assert_allclose(TabularFeatures().fit_transform(as_polars), expected)
    np.testing.assert_allclose(TabularFeatures().fit_transform(train.astype(object)), expected)
    np.testing.assert_allclose(TabularFeatures().fit_transform(train.convert_dtypes()), expected)
    np.testing.assert_allclose(TabularFeatures().fit(train).transform(as_polars), expected)


def test_arrays_have_columns_x0_x1() -> None:
    x = np.array([[1.0, 5.0], [3.0, 9.0]])
    features = TabularFeatures().fit(x)
    assert features.get_feature_names_out().tolist() == ["x0", "x1"]
    assert not hasattr(features, "feature_names_in_")
    mixed = np.array([[1.0, "a"], [3.0, "b"]], dtype=object)
    assert TabularFeatures().fit(mixed).get_feature_names_out().tolist() == ["x0", "x1=a", "x1=b"]


def test_numbers_in_any_form_are_numbers() -> None:
    for column in ([Decimal("1"), Decimal("3"), None], pd.array([1, 3, None], dtype="Int64"), [1, 3, pd.NA]):
        features = TabularFeatures().fit(pd.DataFrame({"x": column}))
        assert features.get_feature_names_out().tolist() == ["x", "x_missing"]
        assert features.transform(pd.DataFrame({"x": column})).tolist() == [[-1, 0], [1, 0], [0, 1]]


def test_whatever_is_no_number_is_a_category() -> None:
    day = datetime.date(2024, 1, 1)
    frame = pd.DataFrame({"d": [day, None], "m": [1, "a"], "b": pd.Categorical([1, 2])})
    names = ["d=2024-01-01", "d_missing", "m=1", "m=a", "b=1", "b=2"]
    assert TabularFeatures().fit(frame).get_feature_names_out().tolist() == names


def test_set_output() -> None:
    frame = table()
    out = TabularFeatures().set_output(transform="pandas").fit_transform(frame)
    assert out.columns.tolist() == TabularFeatures().fit(frame).get_feature_names_out().tolist()
    assert (out.index == frame.index).all()


# --- what training did not have ------------------------------------------------------------------------


def test_unseen_category_is_all_zeros() -> None:
    features = TabularFeatures().fit(pd.DataFrame({"c": ["a", "b"]}))
    assert features.transform(pd.DataFrame({"c": ["z", "b"]})).tolist() == [[0, 0], [0, 1]]


def test_missing_in_training_gets_a_feature() -> None:
    frame = pd.DataFrame({"x": [1.0, 3.0, None], "c": ["a", None, "a"], "one": [2.0, None, 2.0]})
    features = TabularFeatures().fit(frame)
    assert features.get_feature_names_out().tolist() == ["x", "x_missing", "c=a", "c_missing", "one_missing"]
    assert features.transform(frame).tolist() == [[-1, 0, 1, 0, 0], [1, 0, 0, 1, 1], [0, 1, 1, 0, 0]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        features.transform(frame)


def test_missing_only_later_is_filled_with_a_warning() -> None:
    features = TabularFeatures().fit(pd.DataFrame({"x": [1.0, 3.0], "c": ["a", "b"]}))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        out = features.transform(pd.DataFrame({"x": [None, 3.0], "c": ["a", None]}))
    for name, warning in zip(("x", "c"), caught, strict=True):
        assert f"column '{name}' was complete in fit, however: 1 values are missing" in str(warning.message)
    assert out.tolist() == [[0, 1, 0], [1, 0, 0]]
    with pytest.warns(UserWarning, match="2 values"):
        assert features.transform(pd.DataFrame({"x": [None, None], "c": ["a", "b"]}))[:, 0].tolist() == [0, 0]


def test_columns_without_news_are_dropped_and_said_so() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0], "k": [5, 5], "w": "w", "e": [np.nan, np.nan], "n": [None, None]})
    features = TabularFeatures().fit(frame)
    dropped = {c["name"]: c["why"] for c in features.columns_ if c["kind"] == "dropped"}
    assert dropped == {"k": "constant", "w": "constant", "e": "empty", "n": "empty"}
    # a constant one may be anything later: nothing was learned from it
    assert features.transform(frame.assign(k=7, w="v", e=1.0)).tolist() == [[-1], [1]]


def test_constant_in_spite_of_rounding() -> None:
    # the mean of these is not 0.1, so a test of the standard deviation would keep the column
    frame = pd.DataFrame({"x": [0.1] * 3, "y": [1.0, 2.0, 3.0]})
    assert TabularFeatures().fit(frame).get_feature_names_out().tolist() == ["y"]


def test_reordered_columns_are_found_by_name() -> None:
    frame = table()
    features = TabularFeatures().fit(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(
            features.transform(frame[frame.columns[::-1]]), features.transform(frame)
        )


def test_names_that_are_numbers() -> None:
    frame = pd.DataFrame({0: [1.0, 2.0], 1: ["a", "b"]})
    features = TabularFeatures().fit(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert features.transform(frame).shape == (2, 3)
    assert features.get_feature_names_out().tolist() == ["0", "1=a", "1=b"]


# --- errors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"x": [1.0, 1.0], "c": ["a", "a"]}), "every one of the 2 columns is constant or empty"),
        (pd.DataFrame({"x": [1.0, np.inf]}), "infinity: column 'x'"),
        (pd.DataFrame({"x": [1.0, 1j]}), "Complex data not supported: column 'x'"),
        (
            pd.DataFrame({"x": [-1.7e308, 1.7e308]}),
            "column 'x' goes from -1.7e\\+308 to 1.7e\\+308; multiply",
        ),
        (pd.DataFrame({"x": [0.0, 1e-300]}), "column 'x' goes from 0.0 to 1e-300; multiply"),
        (pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]), "'a' is there twice"),
        (pd.DataFrame([[1, 2], [3, 4]], columns=["1", 1]), "'1' is there twice"),
        (
            pd.DataFrame({"x": [1.0, 2.0, None], "x_missing": [1, 2, 3]}),
            "two features would be called 'x_missing'; rename",
        ),
        (pd.DataFrame({"x": []}), "0 sample"),
        (pd.DataFrame(index=[0, 1]), "0 feature"),
        (pd.DataFrame({"x": [1.0]}), "n_samples=1; give at least 2"),
        (np.zeros(3), "Expected 2D array"),
    ],
)
def test_what_fit_refuses(frame: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TabularFeatures().fit(frame)


def test_unknown_scaling() -> None:
    with pytest.raises(ValueError, match="'standard' or 'minmax', however: got 'robust'"):
        TabularFeatures(scaling="robust").fit(table())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="x"), r"missing \['x'\], unexpected \[\]"),
        (lambda t: t.assign(z=1), r"missing \[\], unexpected \['z'\]"),
        (lambda t: t.rename(columns={"x": "X"}), r"missing \['x'\], unexpected \['X'\]"),
        (lambda t: t.assign(x=["1.5", "b"]), "'x' was numeric in fit, however: it now holds '1.5'; convert"),
        (lambda t: t.assign(x=[1.0, -np.inf]), "infinity: column 'x'"),
        (lambda t: t.iloc[:0], "0 sample"),
        (lambda t: pl.DataFrame({"c": ["a"]}), r"missing \['x'\]"),
        (lambda t: np.zeros((1, 3)), "3 features, but TabularFeatures is expecting 2"),
    ],
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_what_transform_refuses(change: Any, message: str) -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0], "c": ["a", "b"]})
    features = TabularFeatures().fit(frame)
    with pytest.raises(ValueError, match=message):
        features.transform(change(frame))


def test_the_input_is_left_alone() -> None:
    frame = table()
    before = frame.copy()
    TabularFeatures().fit_transform(frame)
    pd.testing.assert_frame_equal(frame, before)
