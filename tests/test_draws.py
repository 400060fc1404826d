"""Intervals about random weights hold for other draws, and pairs keep draw, task and split together."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from embreg.draws import over_draws, pair_draws, spread
from embreg.stats import mean_interval, paired_interval


def records(cube: np.ndarray, value: str = "y") -> pd.DataFrame:
    """One row per (task, seed, draw) of an array of that shape."""
    t, s, k = np.indices(cube.shape)
    cells = {"task": t.ravel(), "seed": s.ravel(), "weights_seed": k.ravel(), value: cube.ravel()}
    return pd.DataFrame(cells)


def crossed(rng: np.random.Generator, shape: tuple[int, int, int], sizes: tuple[float, ...]) -> np.ndarray:
    """Effects of tasks, seeds, draws, draws on single tasks, and the rest, around a true mean of 0."""
    tasks, seeds, draws, both, rest = sizes
    t, s, k = shape
    return (
        tasks * rng.normal(size=(t, 1, 1))
        + seeds * rng.normal(size=(1, s, 1))
        + draws * rng.normal(size=(1, 1, k))
        + both * rng.normal(size=(t, 1, k))
        + rest * rng.normal(size=shape)
    )


# --- averages -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        ((23, 3, 3), (1, 0.3, 0.3, 0.5, 0.5)),  # tasks differ most, as they do here
        ((23, 2, 3), (0.3, 0.1, 1, 0.3, 0.3)),  # draws matter most: the hard case with three of them
        ((10, 2, 3), (0.3, 1, 1, 0.3, 0.3)),
        ((3, 3, 3), (1, 1, 1, 1, 1)),  # a family of three tasks
        ((23, 3, 5), (0, 0, 0, 0, 1)),
    ],
)
def test_an_interval_covers_other_draws_too(shape: tuple[int, int, int], sizes: tuple[float, ...]) -> None:
    """Nominal 95 % covers at least 90 %; 400 trials tell it to 1.5 %."""
    rng, hits, widths, trials = np.random.default_rng(0), 0, [], 400
    for _ in range(trials):
        got = over_draws(records(crossed(rng, shape, sizes)), "y", n_resamples=300)
        hits += got.low < 0 < got.high
        widths.append(got.high - got.low)
    assert hits / trials >= 0.90
    # Not by being wide beyond reason: a t interval that knows the true standard error, times 2; and where
    # there is nothing but a rest, which is counted with tasks, with seeds and with draws, times 3.
    t, s, k = shape
    parts = [sizes[0] ** 2 / t, sizes[1] ** 2 / s, sizes[2] ** 2 / k, sizes[3] ** 2 / (t * k)]
    error = math.sqrt(sum(parts) + sizes[4] ** 2 / (t * s * k))
    degrees = min(n - 1 for n, size in zip(shape, sizes, strict=False) if size or n == t)
    limit = 2.0 if any(sizes[:4]) else 3.0
    assert np.median(widths) < limit * 2 * error * scipy.stats.t.ppf(0.975, degrees)


def test_averaging_draws_first_would_not_cover() -> None:
    """What this module is for: where draws differ, the interval over tasks and seeds misses other draws."""
    rng, ours, first = np.random.default_rng(0), 0, 0
    for _ in range(200):
        cube = crossed(rng, (23, 3, 3), (0.3, 0.1, 1, 0.3, 0.3))
        a = over_draws(records(cube), "y", n_resamples=300)
        averaged = records(cube).groupby(["task", "seed"], as_index=False)["y"].mean()
        b = mean_interval(averaged, "y", n_resamples=300)
        assert a.value == pytest.approx(b.value)
        ours, first = ours + (a.low < 0 < a.high), first + (b.low < 0 < b.high)
    assert first / 200 < 0.6 and ours / 200 >= 0.90


def test_resampling_is_that_of_a_slow_twin() -> None:
    """Tables made of whole tasks, seeds and draws, each as often as it was drawn."""
    cube = crossed(np.random.default_rng(1), (5, 3, 4), (1, 1, 1, 1, 1))
    rng, means = np.random.default_rng(0), []
    numbers = [rng.multinomial(n, np.full(n, 1 / n), size=50) for n in cube.shape]
    for chosen in zip(*numbers, strict=True):
        rows = [np.repeat(np.arange(len(times)), times) for times in chosen]
        means.append(np.mean([cube[t, s, k] for t in rows[0] for s in rows[1] for k in rows[2]]))
    # A stretch by hand: variance of the three kinds of means, and what the bootstrap sees of it.
    kinds = [[cube.take(i, axis).mean() for i in range(cube.shape[axis])] for axis in range(3)]
    variances = [np.var(kind, ddof=1) / len(kind) for kind in kinds]
    degrees = sum(variances) ** 2 / sum(v**2 / (len(k) - 1) for v, k in zip(variances, kinds, strict=True))
    seen = sum(v * (len(k) - 1) / len(k) for v, k in zip(variances, kinds, strict=True))
    stretch = scipy.stats.t.ppf(0.975, degrees) / scipy.stats.norm.ppf(0.975)
    stretch *= math.sqrt(sum(variances) / seen)
    ends = cube.mean() + (np.quantile(means, [0.025, 0.975]) - cube.mean()) * stretch
    got = over_draws(records(cube), "y", n_resamples=50)
    assert (got.value, got.low, got.high) == pytest.approx((cube.mean(), *ends))


@given(st.integers(0, 1000))
def test_one_draw_says_what_tasks_and_seeds_say(number: int) -> None:
    rng = np.random.default_rng(number)
    shape = (int(rng.integers(2, 6)), int(rng.integers(1, 4)), 1)
    table = records(rng.uniform(-1, 1, shape), "kendall_tau")
    assert over_draws(table, n_resamples=50) == mean_interval(table, n_resamples=50)
    # φ_trad has no weights; records of a mixed table then hold objects.
    missing = table.assign(weights_seed=pd.Series([None] * len(table), dtype=object))
    assert over_draws(missing, n_resamples=50) == mean_interval(table, n_resamples=50)


def test_order_plays_no_part_and_a_correlation_has_limits() -> None:
    table = records(np.random.default_rng(0).uniform(0.9, 1.0, (3, 2, 3)) ** 0.1, "kendall_tau")
    assert over_draws(table) == over_draws(table.sample(frac=1, random_state=1))
    assert over_draws(table).high <= 1.0


# --- pairs ----------------------------------------------------------------------------------------------


def slow_pairs(a: pd.DataFrame, b: pd.DataFrame) -> dict[tuple[int, int, int], float]:
    """Every pair looked up by name."""
    out = {}
    draws = sorted(set(a.weights_seed) | set(b.weights_seed), key=int)
    several = [side for side in (a, b) if side.weights_seed.nunique() > 1]
    draws = sorted(several[0].weights_seed.unique()) if several else draws[:1]
    for t in sorted(a.task.unique()):
        for s in sorted(a.seed.unique()):
            for k in draws:
                sides = []
                for side in (a, b):
                    cell = side[(side.task == t) & (side.seed == s)]
                    sides.append(cell.y.item() if len(cell) == 1 else cell[cell.weights_seed == k].y.item())
                out[t, s, k] = sides[0] - sides[1]
    return out


@pytest.mark.parametrize(("left", "right"), [(3, 1), (1, 3), (3, 3), (1, 1)])
def test_pairs_are_those_of_a_slow_twin(left: int, right: int) -> None:
    rng = np.random.default_rng(2)
    a, b = (records(rng.normal(size=(4, 2, k))) for k in (left, right))
    got = pair_draws(a.sample(frac=1, random_state=0), b.sample(frac=1, random_state=1), "y")
    expected = slow_pairs(a, b)
    assert list(got.columns) == ["task", "seed", "weights_seed", "difference"]
    found = got.set_index(["task", "seed", "weights_seed"]).difference.to_dict()
    assert found == pytest.approx(expected)
    # And the other way round, with the other sign.
    back = pair_draws(b, a, "y")
    assert back.difference.tolist() == pytest.approx((-got.difference).tolist())


def test_what_tasks_and_splits_share_cancels() -> None:
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(6, 2, 1))
    drawn, trained = records(shared + 0.25 * np.ones((1, 1, 3))), records(shared)
    found = over_draws(pair_draws(drawn, trained, "y"), "difference")
    assert found == pytest.approx((0.25, 0.25, 0.25))


def test_pairs_of_pairs_are_changes() -> None:
    """Random less trained at 25 DOF, less the same at 5: what interaction is made of."""
    rng = np.random.default_rng(3)
    cubes = {(dof, k): rng.normal(size=(4, 2, k)) for dof in (5, 25) for k in (3, 1)}
    gaps = {d: pair_draws(records(cubes[d, 3]), records(cubes[d, 1]), "y") for d in (5, 25)}
    got = pair_draws(gaps[25], gaps[5], "difference")
    expected = (cubes[25, 3] - cubes[25, 1]) - (cubes[5, 3] - cubes[5, 1])
    assert got.difference.to_numpy() == pytest.approx(expected.ravel())


def test_with_one_draw_on_both_sides_it_is_the_paired_interval() -> None:
    rng = np.random.default_rng(4)
    a, b = (records(rng.uniform(-1, 1, (5, 3, 1)), "kendall_tau") for _ in "ab")
    ours = over_draws(pair_draws(a, b), "difference")
    assert ours == pytest.approx(paired_interval(a, b))


# --- spread ---------------------------------------------------------------------------------------------


def test_spread_is_that_of_a_slow_twin() -> None:
    cube = crossed(np.random.default_rng(5), (4, 3, 5), (1, 1, 1, 1, 1))
    for over, axis in (("weights_seed", 2), ("seed", 1)):
        n, variances, means = cube.shape[axis], [], []
        other = 3 - axis
        for t in range(4):
            for o in range(cube.shape[other]):
                cell = [cube[(t, o, i) if axis == 2 else (t, i, o)] for i in range(n)]
                variances.append(sum((v - np.mean(cell)) ** 2 for v in cell) / (n - 1))
        for i in range(n):
            means.append(cube.take(i, axis).mean())
        got = spread(records(cube), "y", over=over)
        assert got.draws == n
        assert got.single.value == pytest.approx(math.sqrt(np.mean(variances)))
        assert got.mean.value == pytest.approx(np.std(means, ddof=1))
        assert 0 <= got.single.low < got.single.value < got.single.high
        assert got.mean.low < got.mean.value < got.mean.high


def test_spread_of_means_covers_with_three_draws() -> None:
    """χ²: nominal 95 %; 400 trials tell it to 1.1 %."""
    rng, hits = np.random.default_rng(0), 0
    for _ in range(400):
        cube = crossed(rng, (5, 2, 3), (1, 1, 0.5, 0, 0))
        found = spread(records(cube), "y").mean
        hits += found.low < 0.5 < found.high
    assert 0.92 <= hits / 400 <= 0.98


def test_draws_that_agree_have_no_spread() -> None:
    same = records(np.repeat(np.random.default_rng(0).normal(size=(4, 2, 1)), 3, axis=2))
    found = spread(same, "y")
    assert found.single == pytest.approx((0, 0, 0)) and found.mean == pytest.approx((0, 0, 0), abs=1e-12)


# --- what is refused ------------------------------------------------------------------------------------


def test_uneven_records_are_refused() -> None:
    whole = records(np.random.default_rng(0).normal(size=(3, 2, 3)))
    with pytest.raises(ValueError, match="there are 17 cells of 3 × 2 × 3"):
        over_draws(whole.iloc[1:], "y")
    with pytest.raises(ValueError, match=r"\[0, 0, 0\] is there twice"):
        over_draws(pd.concat([whole, whole.head(1)]), "y")
    with pytest.raises(ValueError, match="missing weights_seed"):
        over_draws(whole.drop(columns="weights_seed"), "y")
    with pytest.raises(ValueError, match="there is none"):
        over_draws(whole.head(0), "y")
    with pytest.raises(ValueError, match="holds one that is not"):
        over_draws(whole.assign(y=np.inf), "y")
    with pytest.raises(ValueError, match="same task on both sides, however: \\[0\\]"):
        pair_draws(whole, whole[whole.task > 0], "y")
    with pytest.raises(ValueError, match="same weights_seed on both sides, however: \\[0\\]"):
        pair_draws(whole, whole[whole.weights_seed > 0], "y")
    with pytest.raises(ValueError, match="at least 2 values of weights_seed, however: got 1"):
        spread(whole[whole.weights_seed == 0], "y")
    with pytest.raises(ValueError, match=r"over must be one of .* however: got 'task'"):
        spread(whole, "y", over="task")
