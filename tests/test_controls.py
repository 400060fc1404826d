"""Controls: what each keeps, what each destroys, and that nothing of the test rows is learned from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import pdist
from scipy.stats import kendalltau
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from embreg.controls import (
    CONTROLS,
    BagOfRandomFeatures,
    apply_control,
    control_rows,
    control_strings,
    digit_map,
)
from embreg.serialize import serialize

APPLIED = [name for name, c in CONTROLS.items() if c.level in ("traditional", "features")]
LEARNED = [name for name in APPLIED if name != "shuffled_rows"]
RANDOM = ["projection", "fourier", "bag", "bag_own"]
seeds = st.integers(0, 2**31 - 1)
coordinates = st.floats(-5, 5)


def points(n: int = 40, d: int = 6, seed: int = 0, dtype: Any = float) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(dtype)


# --- the bag of random features ------------------------------------------------------------------------


@parametrize_with_checks(
    [BagOfRandomFeatures(width=3), BagOfRandomFeatures(width=3, shared=False)],
    expected_failed_checks=lambda estimator: {},
)
def test_sklearn_contract(estimator: Any, check: Any) -> None:
    check(estimator)


def slow_bag(bag: BagOfRandomFeatures, X: np.ndarray) -> np.ndarray:
    out = np.zeros((len(X), bag.width))
    for i, row in enumerate(X):
        for k in range(bag.width):
            for j, z in enumerate(row):
                one = bag.maps_[0] if bag.shared else bag.maps_[j]
                w, b = one.random_weights_[0, k], one.random_offset_[k]
                out[i, k] += math.cos(w * z + b) / len(row)
    return out


@pytest.mark.parametrize("shared", [True, False])
def test_bag_against_loops(shared: bool) -> None:
    X = points(7, 5)
    bag = BagOfRandomFeatures(width=9, gamma=2.0, shared=shared, random_state=3).fit(X)
    np.testing.assert_allclose(bag.transform(X), slow_bag(bag, X), atol=1e-12)


@given(arrays(float, 5, elements=coordinates), st.permutations(range(5)), seeds)
def test_bag_does_not_see_the_order_of_coordinates(x: np.ndarray, order: list[int], seed: int) -> None:
    bag = BagOfRandomFeatures(width=8, random_state=seed).fit(x[None])
    np.testing.assert_allclose(bag.transform(x[None, order]), bag.transform(x[None]), atol=1e-12)


def test_bag_own_sees_it() -> None:
    X = points()
    own = BagOfRandomFeatures(width=8, shared=False).fit(X)
    swapped = X[:, [1, 0, 2, 3, 4, 5]]
    assert (np.abs(own.transform(X) - own.transform(swapped)).max(1) > 1e-3).all()
    assert len(own.maps_) == 6
    weights = np.concatenate([m.random_weights_.ravel() for m in own.maps_])
    assert len(set(weights)) == weights.size


@given(arrays(float, (2, 5), elements=coordinates), st.sets(st.integers(0, 4)), st.booleans(), seeds)
def test_bag_is_additive(two: np.ndarray, which: set[int], shared: bool, seed: int) -> None:
    # f(x, y) + f(x', y') = f(x, y') + f(x', y), wherever x ends and y begins
    mixed = two.copy()
    mixed[:, list(which)] = two[::-1][:, list(which)]
    bag = BagOfRandomFeatures(width=8, shared=shared, random_state=seed).fit(two)
    np.testing.assert_allclose(bag.transform(mixed).sum(0), bag.transform(two).sum(0), atol=1e-12)


def test_fourier_is_not_additive() -> None:
    # What the property above would not find, if anything had it.
    two = points(2)
    mixed = np.column_stack([two[::-1, :3], two[:, 3:]])
    out = apply_control("fourier", np.vstack([two, mixed, points()]), train=np.arange(4, 44), width=8)
    assert np.abs(out[:2].sum(0) - out[2:4].sum(0)).max() > 0.1


@pytest.mark.parametrize("gamma", [0.2, 0.5, 3.0])
def test_bag_of_one_coordinate_approximates_its_kernel(gamma: float) -> None:
    X = points(30, 1)
    features = BagOfRandomFeatures(width=20_000, gamma=gamma).fit(X).transform(X)
    # the mean of 2 cos cos over the random maps is the kernel
    np.testing.assert_allclose(2 * features @ features.T / 20_000, rbf_kernel(X, gamma=gamma), atol=0.05)


def test_bag_learns_symmetric_functions_from_few_rows_and_no_others() -> None:
    """The reason that it is here: a symmetric additive target needs no more rows in 50 dimensions."""
    X = points(260, 50)
    targets = {"symmetric": (X**2).sum(1), "shifted": ((X - points(1, 50, seed=9)) ** 2).sum(1)}
    tau = {}
    for name in ("bag", "bag_own"):
        features = apply_control(name, X, train=np.arange(200), width=512)
        features = StandardScaler().fit(features[:200]).transform(features)
        for kind, y in targets.items():
            model = RidgeCV(np.logspace(-3, 6, 19)).fit(features[:200], y[:200])
            tau[name, kind] = kendalltau(model.predict(features[200:]), y[200:]).statistic
    assert tau["bag", "symmetric"] > 0.95
    assert tau["bag", "shifted"] < 0.6
    assert tau["bag_own", "shifted"] > tau["bag", "shifted"] + 0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0}, "width must be a whole number of at least 1, however: got 0"),
        ({"width": 2.0}, "width must be"),
        ({"width": True}, "width must be"),
        ({"gamma": 0.0}, "gamma must be a positive finite number, however: got 0.0"),
        ({"gamma": math.nan}, "gamma must be"),
        ({"gamma": math.inf}, "gamma must be"),
        ({"gamma": "scale"}, "gamma must be"),
    ],
)
def test_bag_refuses(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BagOfRandomFeatures(**settings).fit(points())


# --- controls of features ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", APPLIED)
def test_seeds_reproduce(name: str) -> None:
    X, train = points(), np.arange(30)
    one, again, other = (apply_control(name, X, train=train, random_state=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    # Principal components draw nothing.
    assert np.array_equal(one, other) == (name in ("pca", "standard_pca"))


@pytest.mark.parametrize("name", LEARNED)
@given(st.permutations(range(20)), st.integers(3, 18), seeds)
def test_nothing_is_learned_from_other_rows(name: str, order: list[int], n_train: int, seed: int) -> None:
    X = points(20, 4, seed)
    train, rest = np.array(order[:n_train]), np.array(order[n_train:])
    changed = X.copy()
    changed[rest] = 1e3 * points(len(rest), 4, seed + 1)
    before, after = (apply_control(name, F, train=train, width=2) for F in (X, changed))
    np.testing.assert_array_equal(before[train], after[train])
    # and one row of features comes from that row alone
    changed[rest[1:]] = X[rest[1:]]
    after = apply_control(name, changed, train=train, width=2)
    np.testing.assert_array_equal(before[rest[1:]], after[rest[1:]])


def test_rows_outside_training_do_change_what_a_careless_control_would_give() -> None:
    X = points()
    for name in ("pca", "standard_pca", "fourier"):
        few, all_of_them = (apply_control(name, X, train=np.arange(n), width=3) for n in (20, 40))
        assert np.abs(few - all_of_them).max() > 1e-3


@pytest.mark.parametrize("width", [400, 4096])  # of 1,000 features and of 50: downwards, and upwards
def test_projection_keeps_distances(width: int) -> None:
    X = points(25, 1000 if width < 1000 else 50)
    out = apply_control("projection", X, train=np.arange(20), width=width)
    assert out.shape == (25, width)
    # Johnson and Lindenstrauss: the ratio of squares has a standard deviation of sqrt(2 / width).
    ratio = pdist(out) ** 2 / pdist(X) ** 2
    assert np.abs(ratio - 1).max() < 5 * math.sqrt(2 / width)


def test_projection_is_linear_and_upwards_loses_nothing() -> None:
    X = points(30, 6)
    out = apply_control("projection", X, train=np.arange(20), width=64)
    back, *_ = np.linalg.lstsq(out, X, rcond=None)
    np.testing.assert_allclose(out @ back, X, atol=1e-9)


def test_fourier_approximates_the_kernel_of_its_rule() -> None:
    X, train = points(40, 6), np.arange(30)
    features = apply_control("fourier", X, train=train, width=20_000)
    gamma = 1 / np.mean([((a - b) ** 2).sum() for a in X[train] for b in X[train]])
    np.testing.assert_allclose(features @ features.T, rbf_kernel(X, gamma=gamma), atol=0.05)


def test_the_two_rules_of_gamma_agree_in_one_dimension() -> None:
    x = StandardScaler().fit_transform(points(50, 1))
    gamma = 1 / np.mean((x - x.T) ** 2)
    assert BagOfRandomFeatures().gamma == pytest.approx(gamma)


@given(arrays(float, (12, 3), elements=st.floats(-100, 100)), seeds)
def test_shuffled_rows_keep_the_rows(X: np.ndarray, seed: int) -> None:
    out = apply_control("shuffled_rows", X, train=np.arange(8), random_state=seed)
    assert sorted(map(tuple, out)) == sorted(map(tuple, X))


def test_shuffled_rows_are_chance() -> None:
    X = points(60, 2)
    y = X.sum(1)
    taus = [
        kendalltau(apply_control("shuffled_rows", X, train=np.arange(48), random_state=s).sum(1), y).statistic
        for s in range(300)
    ]
    # the null distribution of tau itself
    n, mean = 60, np.mean(taus)
    spread = math.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1)))
    assert abs(mean) < 4 * spread / math.sqrt(300)
    assert np.std(taus) == pytest.approx(spread, rel=0.2)


def test_shuffled_rows_keep_the_type() -> None:
    assert apply_control("shuffled_rows", points(dtype=np.float32), train=np.arange(9)).dtype == np.float32


# --- principal components ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("standard", [False, True])
def test_components_against_the_eigenvectors_of_the_covariance(standard: bool, dtype: Any) -> None:
    X = (points(50, 5, dtype=dtype) * np.array([1, 2, 4, 8, 16]) + 3).astype(dtype)
    train = np.arange(40)
    got = apply_control("standard_pca" if standard else "pca", X, train=train, width=3)
    Z = X.astype(float) - X[train].astype(float).mean(0)
    if standard:
        Z /= Z[train].std(0)
    values, vectors = np.linalg.eigh(np.cov(Z[train].T))
    assert got.shape == (50, 3)
    np.testing.assert_allclose(got[train].var(0, ddof=1), values[::-1][:3], rtol=1e-6)
    np.testing.assert_allclose(np.abs(got), np.abs(Z @ vectors[:, ::-1][:, :3]), atol=1e-5)


def test_standardising_makes_the_unit_of_a_feature_play_no_part() -> None:
    X, train, unit = points(), np.arange(30), np.array([1, 1e3, 1e-3, 5, 1, 1])
    np.testing.assert_allclose(
        apply_control("standard_pca", X * unit, train=train, width=3),
        apply_control("standard_pca", X, train=train, width=3),
        atol=1e-9,
    )
    plain = apply_control("pca", X * unit, train=train, width=1)[:, 0]
    assert abs(np.corrcoef(plain, X[:, 1])[0, 1]) > 0.999


@pytest.mark.parametrize(("n_train", "d", "most"), [(10, 30, 9), (30, 6, 6)])
@pytest.mark.parametrize("name", ["pca", "standard_pca"])
def test_no_more_components_than_training_rows_span(name: str, n_train: int, d: int, most: int) -> None:
    X, train = points(40, d), np.arange(n_train)
    assert apply_control(name, X, train=train).shape == (40, most)
    assert apply_control(name, X, train=train, width=most).shape == (40, most)
    with pytest.raises(ValueError, match=rf"width must be at most {most}, as {n_train} training rows of {d}"):
        apply_control(name, X, train=train, width=most + 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_directions_of_rounding_errors_are_no_components(dtype: Any) -> None:
    X = (points(40, 3) @ points(3, 20, seed=1) + 5).astype(dtype)
    # scikit-learn alone gives the fourth, and a head would scale it up to the first
    assert PCA(4).fit(X[:30]).transform(X[:30]).std(0)[3] < 1e-5
    assert apply_control("pca", X, train=np.arange(30)).shape == (40, 3)
    with pytest.raises(ValueError, match="width must be at most 3, "):
        apply_control("pca", X, train=np.arange(30), width=4)


# --- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pca", "standard_pca", "fourier"])
def test_rows_that_are_all_the_same(name: str) -> None:
    X = points()
    X[:30] = 0.1
    with pytest.raises(ValueError, match="training rows must differ, however: all 30 are the same"):
        apply_control(name, X, train=np.arange(30))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"name": "permuted_digits"},
            "control must be one of .*'projection'.* here, however: got 'permuted_d",
        ),
        ({"name": "nothing"}, "control must be one of"),
        ({"features": points()[0]}, r"features must be numbers of shape \(n, d\), however: got float64 of "),
        ({"features": np.array([["a"]])}, "features must be numbers"),
        ({"features": np.zeros((40, 0))}, "features must be numbers"),
        ({"features": np.where(points() == points()[2, 1], np.nan, points())}, r"features\[2, 1\]=nan"),
        ({"train": np.arange(40) < 30}, r"train must be row numbers, at least one, however: got bool"),
        ({"train": np.array([], dtype=int)}, "train must be row numbers"),
        ({"train": np.array([3, 3])}, "different row numbers from 0 to 39, however: got 2 from 3 to 3, 1 of"),
        ({"train": np.array([-1, 3])}, "different row numbers"),
        ({"train": np.array([3, 40])}, "different row numbers"),
        ({"width": 0}, "width must be a whole number of at least 1, however: got 0"),
        ({"width": 8.0}, "width must be"),
        (
            {"name": "shuffled_rows", "width": 8},
            "width must be None for control 'shuffled_rows', however: got 8",
        ),
        ({"random_state": -1}, "random_state must be a whole number of at least 0, however: got -1"),
        ({"random_state": None}, "random_state must be a whole number"),
    ],
)
def test_apply_refuses(change: dict[str, Any], message: str) -> None:
    given_ = {"name": "bag", "features": points(), "train": np.arange(30)} | change
    with pytest.raises(ValueError, match=message):
        apply_control(given_.pop("name"), given_.pop("features"), **given_)


def test_default_width() -> None:
    shapes = {name: apply_control(name, points(), train=np.arange(30)).shape for name in RANDOM}
    assert set(shapes.values()) == {(40, 512)}


# --- controls of rows ----------------------------------------------------------------------------------


@given(arrays(float, (6, 4), elements=st.floats(-1e300, 1e300)), seeds)
def test_shuffled_coordinates_keep_the_values_of_each_row(x: np.ndarray, seed: int) -> None:
    rows = pd.DataFrame(x, columns=list("abcd"), index=[5, 3, 8, 8, 1, 0])
    out = control_rows("shuffled_coordinates", rows, random_state=seed)
    pd.testing.assert_index_equal(out.index, rows.index)
    pd.testing.assert_index_equal(out.columns, rows.columns)
    np.testing.assert_array_equal(np.sort(out.to_numpy(), axis=1), np.sort(x, axis=1))


@pytest.mark.parametrize("dtype", ["int64", "float32", "Int64", "Float64", "uint8"])
def test_shuffled_coordinates_keep_the_type(dtype: str) -> None:
    rows = pd.DataFrame({"a": [1, 2, 3], "b": [4, 5, 6]}, dtype=dtype)
    out = control_rows("shuffled_coordinates", rows)
    assert (out.dtypes == rows.dtypes).all()
    assert [sorted(r) for r in out.to_numpy()] == [sorted(r) for r in rows.to_numpy()]


def test_shuffled_coordinates_keep_large_integers() -> None:
    rows = pd.DataFrame({"a": [2**53 + 1], "b": [2**53 + 3]})
    assert sorted(control_rows("shuffled_coordinates", rows).iloc[0]) == [2**53 + 1, 2**53 + 3]


def test_shuffled_coordinates_go_everywhere_and_each_row_has_its_own_permutation() -> None:
    rows = pd.DataFrame(np.tile([1.0, 2.0, 3.0], (3000, 1)), columns=list("abc")) + np.arange(3000)[:, None]
    out = control_rows("shuffled_coordinates", rows) - np.arange(3000)[:, None]
    orders = out.value_counts(normalize=True)
    assert len(orders) == 6
    assert (orders - 1 / 6).abs().max() < 0.03
    again, other = (control_rows("shuffled_coordinates", rows, random_state=s) for s in (0, 1))
    pd.testing.assert_frame_equal(again - np.arange(3000)[:, None], out)
    assert not other.equals(again)


def test_shuffled_coordinates_leave_the_original_alone() -> None:
    rows = pd.DataFrame(points(5, 3))
    before = rows.copy()
    control_rows("shuffled_coordinates", rows)
    pd.testing.assert_frame_equal(rows, before)


@given(st.integers(10, 60), st.integers(2, 100), seeds)
def test_points_of_one_box_share_a_range(n: int, d: int, seed: int) -> None:
    rows = pd.DataFrame(np.random.default_rng(seed).uniform(-5, 5, (n, d)))
    assert control_rows("shuffled_coordinates", rows).shape == (n, d)


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        (
            {"a": [1.0, 2.0], "b": ["x", "y"]},
            TypeError,
            r"columns must all be numbers of one type, however: got",
        ),
        ({"a": [1.0, 2.0], "b": [1, 2]}, TypeError, r"got \['float64', 'int64'\]"),
        ({"a": ["x", "y"], "b": ["x", "y"]}, TypeError, "columns must all be numbers"),
        ({"a": [True, False], "b": [True, False]}, TypeError, r"got \['bool'\]"),
        ({"a": [1.0, 2.0]}, ValueError, "at least 2 columns to shuffle, however: got 1"),
        ({"a": [1.0, 2.0], "b": [1.0, np.nan]}, ValueError, "row 1, column 'b' is nan"),
        ({"a": [1.0, -np.inf], "b": [1.0, 1.0]}, ValueError, "row 1, column 'a' is -inf"),
        (
            {"lr": np.linspace(0.001, 0.1, 20), "width": np.linspace(16.0, 512.0, 20)},
            ValueError,
            r"must share one range, however: 'lr' goes from 0.001 to 0.1 and 'width' from 16.0 to 512.0",
        ),
        (
            {"a": np.linspace(0, 1, 20), "b": np.linspace(2, 3, 20)},
            ValueError,
            r"'a' goes from 0.0 to 1.0 and 'b' from 2.0 to 3.0; rescale",
        ),
        (
            {"a": np.linspace(-1, 1, 20), "b": np.linspace(-100, 100, 20)},
            ValueError,
            r"'a' goes from -1.0 to 1.0 and 'b' from -100.0 to 100.0",
        ),
        ({"a": np.linspace(-1, 1, 20), "b": np.zeros(20)}, ValueError, "columns must share one range"),
    ],
)
def test_shuffled_coordinates_refuse(rows: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        control_rows("shuffled_coordinates", pd.DataFrame(rows))


def test_rows_and_strings_refuse_other_controls_and_tables() -> None:
    rows = pd.DataFrame(points())
    with pytest.raises(ValueError, match=r"one of \['shuffled_coordinates'\] here, however: got 'bag'"):
        control_rows("bag", rows)
    with pytest.raises(ValueError, match=r"one of \['permuted_digits'\] here, however: got 'shuffled_coord"):
        control_strings("shuffled_coordinates", rows)
    for call in (control_rows, control_strings):
        name = "shuffled_coordinates" if call is control_rows else "permuted_digits"
        with pytest.raises(TypeError, match="rows must be a pandas DataFrame, however: got ndarray"):
            call(name, points())  # type: ignore[operator]


# --- permuted digits -----------------------------------------------------------------------------------


@given(seeds)
def test_digit_map_is_a_permutation_and_no_digit_stays(seed: int) -> None:
    digits = digit_map(seed)
    assert sorted(digits) == sorted(digits.values()) == list("0123456789")
    assert all(a != b for a, b in digits.items())
    assert digits == digit_map(seed)


def test_digit_maps_differ() -> None:
    assert len({tuple(digit_map(s).items()) for s in range(50)}) == 50


LEFT = {"json": "{", "pairs": "", "values": "["}
RIGHT = {"json": "}", "pairs": "", "values": "]"}
BETWEEN = {"json": ",", "pairs": "; ", "values": ","}
EQUALS = {"json": ":", "pairs": "=", "values": None}


def by_hand(text: str, style: str, table: dict[int, Any]) -> str:
    """Replace digits after the first sign of equality of each part: for names and values without either."""
    inner = text[len(LEFT[style]) : len(text) - len(RIGHT[style])]
    parts = []
    for part in inner.split(BETWEEN[style]):
        name, equals, value = part.partition(EQUALS[style]) if EQUALS[style] else ("", "", part)
        parts.append(name + equals + value.translate(table))
    return LEFT[style] + BETWEEN[style].join(parts) + RIGHT[style]


@pytest.mark.parametrize("style", ["json", "pairs", "values"])
@given(
    arrays(float, st.tuples(st.integers(1, 4), st.integers(1, 13)), elements=st.floats(-1e6, 1e6)),
    st.integers(0, 6),
    seeds,
)
def test_digits_round_trip(style: Any, x: np.ndarray, decimals: int, seed: int) -> None:
    rows = pd.DataFrame(x, columns=[f"x{j}" for j in range(x.shape[1])])
    plain = serialize(rows, style=style, decimals=decimals)
    got = control_strings("permuted_digits", rows, style, decimals, seed)
    there = str.maketrans(digit_map(seed))
    back = str.maketrans({b: a for a, b in digit_map(seed).items()})
    assert got == [by_hand(text, style, there) for text in plain]
    assert [by_hand(text, style, back) for text in got] == plain
    # whatever differed still differs, and whatever was the same still is
    assert [a == b for a in got for b in got] == [a == b for a in plain for b in plain]
    assert [len(a) for a in got] == [len(a) for a in plain]


@pytest.mark.parametrize("style", ["json", "pairs", "values"])
def test_digits_of_odd_tables(style: Any) -> None:
    # Names and categories with every separator in them, two columns of one name, one that is a number.
    rows = pd.DataFrame(
        [["v1, x2:3; x=4}", 7, True, None, 1.5, pd.Timestamp("2020-01-02")]],
        columns=["a1:2", "x1,x2=3", "x1,x2=3", "gap9", 12, "day"],
    )
    table = str.maketrans(digit_map(5))
    values = ["v1, x2:3; x=4}", "7", "true", "null", "1.50", "2020-01-02T00:00:00"]
    expected = LEFT[style] + BETWEEN[style].join(
        ("" if style == "values" else f"{name}{EQUALS[style]}") + value.translate(table)
        for name, value in zip(rows.columns, values, strict=True)
    )
    assert control_strings("permuted_digits", rows, style, 2, 5) == [expected + RIGHT[style]]
    assert serialize(rows, style=style, decimals=2)[0].translate(table) != expected or style == "values"


def test_digits_refuse() -> None:
    with pytest.raises(ValueError, match=r"values must have digits to permute, however: none of \['x1'\]"):
        control_strings("permuted_digits", pd.DataFrame({"x1": ["relu", "tanh"]}))
    with pytest.raises(ValueError, match="style must be one of"):
        control_strings("permuted_digits", pd.DataFrame({"x1": [1.0]}), "yaml")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="column 'x1' is inf"):
        control_strings("permuted_digits", pd.DataFrame({"x0": [1.0, 1.0], "x1": [1.0, np.inf]}))
    assert control_strings("permuted_digits", pd.DataFrame({"x1": []})) == []


# --- the list ------------------------------------------------------------------------------------------


def test_controls_describe_themselves() -> None:
    assert {c.level for c in CONTROLS.values()} == {"rows", "strings", "features", "traditional"}
    assert [name for name, c in CONTROLS.items() if c.sized] == LEARNED
    assert all(c.about and "\n" not in c.about for c in CONTROLS.values())
    with pytest.raises(TypeError):
        CONTROLS["mine"] = CONTROLS["bag"]  # type: ignore[index]
