"""NLFD against an O(n²) twin, what must not change it, identical points, and bounded memory."""

from __future__ import annotations

import math
import statistics
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from embreg import lipschitz, nlfd, smoothness_gap
from embreg.lipschitz import nearest_neighbours, standardize


def slow_nlfd(features: Any, y: Any, scaling: str = "unit-norm") -> list[float]:
    """The definition, point by point, in plain Python."""
    columns = [list(map(float, c)) for c in zip(*features, strict=True)]
    columns = [c for c in columns if max(c) > min(c)]
    scaled = [[(v - statistics.fmean(c)) / statistics.pstdev(c) for v in c] for c in columns]
    points = list(zip(*scaled, strict=True))
    d, factors = len(columns), []
    for i, here in enumerate(points):
        distances = {j: math.dist(here, there) for j, there in enumerate(points) if j != i}
        least = min(distances.values())
        j = min(j for j, distance in distances.items() if distance <= least * (1 + 1e-9))
        rise = abs(float(y[i]) - float(y[j]))
        factor = rise / distances[j] if distances[j] > 0 else (math.inf if rise > 0 else 0.0)
        factors.append(factor * math.sqrt(d) if scaling == "unit-norm" else factor / math.sqrt(d))
    return factors


def points(n: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * rng.lognormal(size=d) + rng.normal(size=d)
    return X, (X**2).sum(1) + rng.normal(size=n)


# Few levels: plenty of ties and identical points, as in one-hot features.
GRIDS = st.integers(1, 3).flatmap(
    lambda d: st.lists(
        st.tuples(st.lists(st.integers(-2, 2), min_size=d, max_size=d), st.integers(-5, 5)),
        min_size=2,
        max_size=25,
    )
)


@given(GRIDS, st.sampled_from(["unit-norm", "literal"]))
def test_against_the_slow_twin_on_grids(rows: list[tuple[list[int], int]], scaling: Any) -> None:
    X, y = [x for x, _ in rows], [v for _, v in rows]
    assume(any(len(set(c)) > 1 for c in zip(*X, strict=True)))
    np.testing.assert_allclose(nlfd(X, y, scaling=scaling), slow_nlfd(X, y, scaling), rtol=1e-9)


@pytest.mark.parametrize("scaling", ["unit-norm", "literal"])
@pytest.mark.parametrize(("n", "d"), [(2, 1), (60, 1), (80, 7), (50, 200)])
def test_against_the_slow_twin(n: int, d: int, scaling: Any) -> None:
    X, y = points(n, d)
    np.testing.assert_allclose(nlfd(X, y, scaling=scaling), slow_nlfd(X, y, scaling), rtol=1e-9)


def test_close_points_among_far_ones() -> None:
    # the fast product |a|² - 2ab + |b|² loses these distances entirely
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(5, 3)) * 1e3
    X = np.repeat(centers, 8, axis=0) + 1e-6 * rng.normal(size=(40, 3))
    y = rng.normal(size=40)
    np.testing.assert_allclose(nlfd(X, y), slow_nlfd(X, y), rtol=1e-6)
    assert (nearest_neighbours(standardize(X))[0] // 8 == np.arange(40) // 8).all()


def test_several_targets_share_the_neighbours() -> None:
    X, y = points(40, 5)
    Y = np.column_stack([y, -3 * y, np.sin(y)])
    for scaling in ("unit-norm", "literal"):
        together = nlfd(X, Y, scaling=scaling)  # type: ignore[arg-type]
        for t in range(3):
            alone = nlfd(X, Y[:, t], scaling=scaling)  # type: ignore[arg-type]
            np.testing.assert_array_equal(together[:, t], alone)


def on_grid(X: np.ndarray) -> np.ndarray:
    """The same points with many exact ties."""
    return np.round(X)


CHANGES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "scaling": lambda X, rng: X * 10 ** rng.uniform(-6, 6, X.shape[1]),
    "tiny": lambda X, rng: X * 1e-200,
    "huge": lambda X, rng: X * 1e200,
    "shift": lambda X, rng: X + rng.normal(size=X.shape[1]) * 10,
    "sign": lambda X, rng: X * rng.choice([-1, 1], X.shape[1]),
    "permutation": lambda X, rng: X[:, rng.permutation(X.shape[1])],
    "duplication": lambda X, rng: np.repeat(X, 3, axis=1),
    "constants": lambda X, rng: np.column_stack([np.full(len(X), 0.1), X, np.ones(len(X))]),
}


@pytest.mark.parametrize("make", [lambda X: X, on_grid], ids=["points", "grid"])
@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_nothing(change: str, make: Callable[[np.ndarray], np.ndarray]) -> None:
    for seed in range(5):
        X, y = points(60, 4, seed)
        X = make(X)
        changed = CHANGES[change](X, np.random.default_rng(seed))
        np.testing.assert_allclose(nlfd(changed, y), nlfd(X, y), rtol=1e-9)


def test_unit_of_y_is_the_unit_of_the_factors() -> None:
    X, y = points(40, 4)
    np.testing.assert_allclose(nlfd(X, -7 * y + 3), 7 * nlfd(X, y), rtol=1e-9)


def test_order_of_the_points_plays_no_part() -> None:
    X, y = points(40, 4)
    order = np.random.default_rng(1).permutation(40)
    np.testing.assert_allclose(nlfd(X[order], y[order]), nlfd(X, y)[order], rtol=1e-9)


@pytest.mark.parametrize("d", [1, 4, 300])
def test_literal_is_unit_norm_by_width(d: int) -> None:
    X, y = points(30, d)
    np.testing.assert_allclose(nlfd(X, y, scaling="literal"), nlfd(X, y) / d, rtol=1e-12)
    # which is why the literal reading makes whatever is wide look smooth
    wide = nlfd(np.repeat(X, 4, axis=1), y, scaling="literal")
    np.testing.assert_allclose(wide, nlfd(X, y, scaling="literal") / 4, rtol=1e-9)


def test_unit_norm_is_the_factor_on_features_of_average_norm_one() -> None:
    X, y = points(50, 6)
    Z = (X - X.mean(0)) / X.std(0)
    Z /= np.sqrt((Z**2).sum(1).mean())
    index, distance = nearest_neighbours(Z)
    np.testing.assert_allclose(nlfd(X, y), np.abs(y - y[index]) / distance, rtol=1e-9)


# --- identical points ------------------------------------------------------------------------------------


def test_rule_for_identical_points() -> None:
    X = [[0.0], [0.0], [5.0], [5.0], [9.0]]
    got = nlfd(X, [1.0, 1.0, 2.0, 3.0, 3.0])
    assert got[:4].tolist() == [0.0, 0.0, math.inf, math.inf]  # equal y, different y
    # the last one is equally far from points 2 and 3: the lower index counts, so it rises by 1
    assert got[4] == pytest.approx(1.0 / (4 / np.std([0, 0, 5, 5, 9])))


def test_the_lowest_index_counts_among_many_duplicates() -> None:
    # seven identical points: 0 looks at 1, all others look at 0
    X = np.array([[0.3, 0.7]] * 7 + [[1.0, 2.0], [5.0, 1.0]])
    index, distance = nearest_neighbours(standardize(X))
    assert index[:7].tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert (distance[:7] == 0).all() and (distance[7:] > 0).all()
    assert index[7] == 0  # equally far from all seven
    y = [4.0, 1.0, 4.0, 4.0, 4.0, 4.0, 4.0, 0.0, 0.0]
    assert nlfd(X, y)[:7].tolist() == [math.inf, math.inf, 0.0, 0.0, 0.0, 0.0, 0.0]


def test_many_duplicates_in_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    # every point is a candidate for every other: they are measured in pieces
    X = np.tile([[0.0, 1.0], [1.0, 0.0]], (300, 1)).astype(float)
    whole = nearest_neighbours(standardize(X))
    monkeypatch.setattr(lipschitz, "_BLOCK_BYTES", 1000)
    pieces = nearest_neighbours(standardize(X))
    np.testing.assert_array_equal(whole[0], pieces[0])
    assert whole[0].tolist() == [2, 3] + [0, 1] * 299


# --- size ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [1, 8 * 50, 8 * 50 * 7, 2**26])
def test_blocks_change_nothing(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = points(50, 3)
    expected = nlfd(X, y)
    monkeypatch.setattr(lipschitz, "_BLOCK_BYTES", block)
    np.testing.assert_allclose(nlfd(X, y), expected, rtol=1e-12)


def peak(call: Callable[[], object]) -> int:
    """Most bytes held at once during a call."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_one_block_and_a_few_copies_of_the_features() -> None:
    n, d = 12_000, 8
    X, y = np.random.default_rng(0).normal(size=(n, d)), np.zeros(n)
    allowed = 1.3 * lipschitz._BLOCK_BYTES + 8 * X.nbytes
    assert peak(lambda: nlfd(X, y)) < allowed < 8 * n * n / 10  # all distances at once are 1.15 GB


def test_memory_of_a_block_at_a_hundred_thousand_points() -> None:
    # one of some 1,200 blocks: they follow one another, and each leaves only its indices behind
    n, d = 100_000, 4
    X = standardize(np.random.default_rng(0).normal(size=(n, d)))
    rows = np.arange(lipschitz._BLOCK_BYTES // (8 * n))
    squares = (X**2).sum(1)
    used = peak(lambda: lipschitz._search(X, squares, rows))
    assert 0.9 * lipschitz._BLOCK_BYTES < used < 1.3 * lipschitz._BLOCK_BYTES


# --- errors and the gap ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.ones((3, 2)), np.arange(3.0), "every one of the 2 coordinates is constant"),
        (np.full((3, 1), 0.1), np.arange(3.0), "every one of the 1 coordinates is constant"),
        (np.zeros((3, 0)), np.arange(3.0), "every one of the 0 coordinates"),
        ([[1.0]], [1.0], "at least 2 points, however: got 1"),
        ([[1.0], [np.nan]], [1.0, 2.0], "features must be finite, however: row 1"),
        ([[1.0], [2.0]], [np.inf, 2.0], "y must be finite, however: row 0"),
        ([[1.0], [2.0]], [[1.0, 2.0], [3.0, np.nan]], "y must be finite, however: row 1"),
        ([[1.0], [2.0]], [1.0, 2.0, 3.0], r"features.shape=\(2, 1\), y.shape=\(3,\)"),
        ([1.0, 2.0], [1.0, 2.0], r"features.shape=\(2,\)"),
        ([[1.0], [2.0]], 1.0, r"y.shape=\(\)"),
    ],
)
def test_what_nlfd_refuses(X: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nlfd(X, y)


def test_unknown_scaling() -> None:
    with pytest.raises(ValueError, match="'unit-norm' or 'literal', however: got 'none'"):
        nlfd([[1.0], [2.0]], [1.0, 2.0], scaling="none")  # type: ignore[arg-type]


def test_the_input_is_left_alone() -> None:
    X, y = points(20, 3)
    before = X.copy()
    nlfd(X, y)
    standardize(X)
    np.testing.assert_array_equal(X, before)


FACTORS = st.lists(st.floats(0, 1e6), min_size=2, max_size=20)


@given(FACTORS, FACTORS)
def test_gap_is_the_formula(a: list[float], b: list[float]) -> None:
    spread = math.sqrt(statistics.pvariance(a) + statistics.pvariance(b))
    assume(spread > 1e-6 * max(*a, *b))
    expected = (statistics.fmean(a) - statistics.fmean(b)) / spread
    assert smoothness_gap(a, b) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert smoothness_gap(b, a) == pytest.approx(-expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("unit", [1e-200, 1e-3, 1e200])
def test_gap_does_not_depend_on_the_unit_of_y(unit: float) -> None:
    a, b = np.array([2.0, 4.0, 9.0]), np.array([1.0, 1.0, 2.0])
    assert smoothness_gap(a * unit, b * unit) == pytest.approx(smoothness_gap(a, b), rel=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1.0, 1.0], [2.0, 2.0], "every factor of trad is 1.0 and every one of llm is 2.0"),
        ([0.1] * 3, [0.3] * 3, "the gap needs a spread"),
        ([1.0, np.inf], [1.0, 2.0], "trad holds 1 factors that are not finite"),
        ([1.0, 2.0], [np.nan, np.inf], "llm holds 2 factors that are not finite"),
        ([1.0], [1.0, 2.0], r"trad must have shape \(n,\) with n >= 2, however: shape=\(1,\)"),
        ([1.0, 2.0], [[1.0, 2.0]], r"llm must have shape"),
    ],
)
def test_what_the_gap_refuses(a: Any, b: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        smoothness_gap(a, b)
