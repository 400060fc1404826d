"""Power is what simulations of the interval show, and never promises what seeds or tasks cannot give."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import example, given
from hypothesis import strategies as st

from embreg.power import Components, components, power, power_table, seeds_needed, tasks_needed
from embreg.stats import paired_interval

statsmodels = pytest.importorskip("statsmodels")


def records(table: np.ndarray) -> pd.DataFrame:
    t, s = np.indices(table.shape)
    return pd.DataFrame({"task": t.ravel(), "seed": s.ravel(), "kendall_tau": table.ravel()})


def crossed(rng: np.random.Generator, c: Components, n: int, tasks: int, seeds: int) -> np.ndarray:
    """Differences around 0 of shape (n, tasks, seeds)."""
    return (
        math.sqrt(c.task) * rng.normal(size=(n, tasks, 1))
        + math.sqrt(c.seed) * rng.normal(size=(n, 1, seeds))
        + math.sqrt(c.residual) * rng.normal(size=(n, tasks, seeds))
    )


def decided(differences: np.ndarray) -> np.ndarray:
    """Does `paired_interval` leave out zero? (n, tasks, seeds) → (n,), with its bootstrap's variance exactly.

    The test below holds it to `paired_interval` itself.
    """
    n, t, s = differences.shape
    mean = differences.mean((1, 2))
    by_task = differences.mean(2).var(1, ddof=1) / t if t > 1 else np.zeros(n)
    by_seed = differences.mean(1).var(1, ddof=1) / s if s > 1 else np.zeros(n)
    rows, columns = differences.mean(2, keepdims=True), differences.mean(1, keepdims=True)
    rest = ((differences - rows - columns + mean[:, None, None]) ** 2).sum((1, 2)) / (t * s) ** 2
    seen = by_task * (t - 1) / t + by_seed * (s - 1) / s
    df = (by_task + by_seed) ** 2 / (by_task**2 / max(t - 1, 1) + by_seed**2 / max(s - 1, 1))
    half = scipy.stats.t.ppf(0.975, df) * np.sqrt((seen + rest) * (by_task + by_seed) / seen)
    return np.abs(mean) > half


CASES = [
    (Components(1, 0.1, 0.25), 8, 3),
    (Components(1, 0.1, 0.25), 23, 12),
    (Components(1, 0, 0.25), 23, 5),
    (Components(1, 0, 0.25), 8, 1),
    (Components(0.1, 0.1, 1), 23, 5),
    (Components(0.2, 1, 0.2), 23, 12),
    (Components(0, 1, 0.2), 1, 6),
    (Components(1, 0.02, 3), 23, 5),
    (Components(0, 0, 1), 23, 12),
]


@pytest.mark.parametrize(("c", "tasks", "seeds"), CASES)
@pytest.mark.parametrize("errors", [2.0, 3.0])
def test_power_is_what_simulations_show(c: Components, tasks: int, seeds: int, errors: float) -> None:
    """Differences of 2 and 3 standard errors, where power changes fastest; 10,000 trials tell it to 0.5 %."""
    rng = np.random.default_rng(0)
    difference = errors * math.sqrt(c.task / tasks + c.seed / seeds + c.residual / (tasks * seeds))
    seen = decided(crossed(rng, c, 10_000, tasks, seeds) + difference).mean()
    assert power(c, difference, tasks, seeds) == pytest.approx(seen, abs=0.04)


def test_power_is_that_of_the_packages_interval() -> None:
    rng, c, tasks, seeds, difference = np.random.default_rng(1), Components(1, 0.1, 1), 12, 4, 0.9
    tables = crossed(rng, c, 300, tasks, seeds) + difference
    own = [paired_interval(records(t), records(0 * t)).decided for t in tables]
    twin = decided(tables)
    assert np.mean(own == twin) > 0.96
    # 300 trials: two standard errors are 6 %.
    assert power(c, difference, tasks, seeds) == pytest.approx(np.mean(own), abs=0.07)


@given(st.floats(0.01, 1), st.integers(2, 60), st.floats(0.01, 3), st.sampled_from([0.9, 0.95]))
@example(variance=0.0625, tasks=7, difference=1.0, level=0.9)  # SciPy's far tail is NaN here
@example(variance=0.01, tasks=60, difference=30.0, level=0.95)  # and here both are
def test_one_seed_without_a_seed_component_is_students_test(
    variance: float, tasks: int, difference: float, level: float
) -> None:
    """The noncentral t written out: a normal mean by an estimated spread, at 20,000 of its quantiles."""
    df, shift = tasks - 1, difference / math.sqrt(variance / tasks)
    spread = np.sqrt(scipy.stats.chi2.ppf((np.arange(20_000) + 0.5) / 20_000, df) / df)
    ends = scipy.stats.t.ppf((1 + level) / 2, df) * spread
    expected = np.mean(scipy.stats.norm.sf(ends, shift) + scipy.stats.norm.cdf(-ends, shift))
    got = power(Components(variance / 2, 0.0, variance / 2), difference, tasks, 1, level=level)
    assert got == pytest.approx(expected, abs=1e-4)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 1), st.integers(2, 40), st.integers(2, 12))
def test_tasks_and_seeds_play_the_same_part(t: float, s: float, r: float, tasks: int, seeds: int) -> None:
    one = power(Components(t, s, r), 0.3, tasks, seeds)
    assert one == pytest.approx(power(Components(s, t, r), -0.3, seeds, tasks), abs=1e-9)
    assert 0 <= one <= 1
    assert power(Components(t, s, r), 0.6, tasks, seeds) >= one - 1e-9


def test_unit_of_the_value() -> None:
    c = Components(0.01, 0.001, 0.005)
    many = Components(*(1e6 * v for v in c))
    assert power(c, 0.05, 23, 5) == pytest.approx(power(many, 50.0, 23, 5))


def test_a_level_that_is_higher_decides_less() -> None:
    c = Components(0.01, 0.001, 0.005)
    assert power(c, 0.05, 23, 5, level=0.99) < power(c, 0.05, 23, 5) < power(c, 0.05, 23, 5, level=0.9)


def test_one_of_a_kind_shows_nothing_of_its_kind() -> None:
    assert power(Components(0.01, 1e-6, 0.01), 10.0, 500, 1) == 0
    assert power(Components(0.01, 0.0, 0.01), 10.0, 500, 1) == 1
    assert power(Components(1e-6, 0.01, 0.01), 10.0, 1, 500) == 0
    assert power(Components(0.0, 0.0, 0.01), 10.0, 1, 1) == 0
    assert power(Components(0.0, 0.0, 0.0), 0.01, 2, 1) == 1
    assert power(Components(0.0, 0.0, 0.0), 0.01, 1, 1) == 0  # the interval of one cell has no end


# --- how many -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seeds", "difference"), [(1, 0.05), (5, 0.05), (5, 0.02), (12, 0.1)])
def test_tasks_needed_is_the_first_that_is_enough(seeds: int, difference: float) -> None:
    c = Components(0.01, 0.0, 0.005)
    found = tasks_needed(c, difference, seeds)
    tried = next(n for n in range(1, 10_000) if power(c, difference, n, seeds) >= 0.8)
    assert found == tried
    assert tasks_needed(c, difference, seeds, power=0.9) > found
    mirrored = Components(0.0, 0.01, 0.005)
    assert seeds_needed(mirrored, difference, seeds) == found


def test_tasks_alone_cannot_average_seeds_away() -> None:
    c = Components(0.01, 0.001, 0.005)
    assert tasks_needed(c, 0.05, 1) == math.inf
    assert tasks_needed(c, 0.02, 5) == math.inf
    assert power(c, 0.02, 10**9, 5) < 0.4
    assert seeds_needed(c, 0.02, 23) == math.inf  # nor seeds what differs between 23 tasks
    assert math.isfinite(tasks_needed(c, 0.1, 5)) and math.isfinite(seeds_needed(c, 0.1, 23))


def test_a_thousand_tasks_are_no_limit_but_a_hundred_thousand_are() -> None:
    c = Components(0.01, 0.0, 0.005)
    assert 1_000 < tasks_needed(c, 0.005, 5) < 100_000
    assert tasks_needed(c, 1e-5, 5) == math.inf


def test_the_table_is_every_combination() -> None:
    c = Components(0.01, 0.001, 0.005)
    table = power_table(c)
    assert list(table) == ["difference", "n_tasks", "n_seeds", "power"] and len(table) == 3 * 3 * 4
    for row in table.itertuples():
        assert row.power == power(c, row.difference, row.n_tasks, row.n_seeds)
    assert (table.power[table.n_seeds == 1] == 0).all()
    wide = table[table.n_seeds > 1].pivot(index=["n_tasks", "n_seeds"], columns="difference", values="power")
    assert (np.diff(wide.to_numpy(), axis=1) > 0).all()


# --- components -------------------------------------------------------------------------------------------


def by_hand(table: np.ndarray) -> tuple[float, float, float]:
    """Mean squares, cell by cell."""
    t, s = table.shape
    mean = sum(table.ravel()) / (t * s)
    rows = [sum(table[i]) / s for i in range(t)]
    columns = [sum(table[:, j]) / t for j in range(s)]
    task = s * sum((r - mean) ** 2 for r in rows) / (t - 1)
    seed = t * sum((c - mean) ** 2 for c in columns) / (s - 1)
    rest = sum((table[i, j] - rows[i] - columns[j] + mean) ** 2 for i in range(t) for j in range(s))
    rest /= (t - 1) * (s - 1)
    return max(0.0, (task - rest) / s), max(0.0, (seed - rest) / t), rest


@pytest.mark.parametrize("shape", [(2, 2), (5, 3), (23, 5)])
def test_components_as_by_hand(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    for _ in range(3):
        a, b = rng.normal(size=(2, *shape))
        got = components(records(a), records(b).sample(frac=1, random_state=0))
        np.testing.assert_allclose(got, by_hand(a - b), atol=1e-10)


def test_components_are_recovered() -> None:
    """Mean of 40 estimates; each component within three of its standard errors."""
    rng, true = np.random.default_rng(0), Components(0.02, 0.01, 0.005)
    tables = crossed(rng, true, 40, 30, 12)
    found = np.array([components(records(t), records(0 * t)) for t in tables])
    error = found.std(0, ddof=1) / math.sqrt(len(tables))
    assert (np.abs(found.mean(0) - true) < 3 * error).all()
    assert (error < 0.1 * np.array(true)).all()


def test_what_does_not_differ_has_no_component() -> None:
    base = np.random.default_rng(0).uniform(size=(6, 4))
    assert components(records(base), records(base)) == (0, 0, 0)
    assert components(records(base + 0.1), records(base)) == (0, 0, 0)
    c = components(records(base + np.arange(6)[:, None] / 10), records(base))
    assert c.task == pytest.approx(np.var(np.arange(6) / 10, ddof=1)) and c.seed == c.residual == 0
    assert power(c, 0.3, 20, 1) > 0.5  # rounding is no seed component, which would forbid it


def test_components_lead_to_power() -> None:
    """From records to the answer, by way of estimates."""
    rng, true = np.random.default_rng(0), Components(0.01, 0.0, 0.02)
    t = crossed(rng, true, 1, 200, 5)[0]
    found = components(records(t), records(0 * t))
    assert power(found, 0.05, 40, 5) == pytest.approx(power(true, 0.05, 40, 5), abs=0.1)


@pytest.mark.parametrize("shape", [(1, 3), (3, 1), (1, 1)])
def test_components_need_two_of_each(shape: tuple[int, int]) -> None:
    table = records(np.zeros(shape))
    with pytest.raises(ValueError, match="at least 2 tasks and 2 seeds"):
        components(table, table)


def test_components_need_pairs() -> None:
    table = records(np.random.default_rng(0).normal(size=(3, 3)))
    with pytest.raises(ValueError, match=r"same \(task, seed\) on both sides"):
        components(table, table.iloc[:-1])


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"difference": 0.0}, "other than 0, however: got 0.0"),
        ({"difference": math.nan}, "difference must be finite"),
        ({"n_tasks": 0}, "n_tasks must be a whole number of at least 1, however: got 0"),
        ({"n_seeds": 1.5}, "n_seeds must be a whole number"),
        ({"components": Components(-1.0, 0.0, 1.0)}, "components must be finite and at least 0"),
        ({"components": Components(1.0, math.nan, 1.0)}, "components must be finite and at least 0"),
        ({"level": 95}, "level must be between 0 and 1"),
    ],
)
def test_what_power_refuses(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"components": Components(1, 0, 1), "difference": 0.1, "n_tasks": 5, "n_seeds": 5}
    power(**good)
    with pytest.raises(ValueError, match=message):
        power(**good | change)


@pytest.mark.parametrize("target", [0, 1, 80])
def test_a_power_to_reach_lies_between_0_and_1(target: float) -> None:
    for call in (tasks_needed, seeds_needed):
        with pytest.raises(ValueError, match="power must be between 0 and 1"):
            call(Components(1, 0, 1), 0.1, 5, power=target)


def test_without_statsmodels_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.split(".")[0] == "statsmodels"] + ["statsmodels"]:
        monkeypatch.setitem(sys.modules, name, None)
    table = records(np.zeros((2, 2)))
    for call in (lambda: power(Components(1, 0, 1), 0.1, 5, 5), lambda: components(table, table)):
        with pytest.raises(ImportError, match=r"embreg\[stats\]"):
            call()
