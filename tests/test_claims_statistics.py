"""Statistics of claims against slow twins, limits at their edges, and what would decide the undecided."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embreg.claims import STATISTICS
from embreg.claims.limits import Limit, side_of, what_would_decide
from embreg.claims.measured import Measured, out_of
from embreg.claims.rows import choose
from embreg.claims.verdicts import overall
from embreg.metrics import kendall_tau
from embreg.stats import Interval, correlation, paired_interval

U, V = {"representation": "u", "head": "mlp"}, {"representation": "v", "head": "mlp"}


def records(tasks: str = "abcdef", seeds: int = 3, dofs: tuple[int, ...] = (5, 25, 100)) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        {"representation": r, "head": h, "task": t, "seed": s, "dof": d, "n_samples": d,
         "kendall_tau": rng.uniform(-0.2, 0.9), "mse": rng.uniform()}
        for r, h, t, s, d in product("uv", ("mlp", "ridge"), tasks, range(seeds), dofs)
    ]  # fmt: skip
    return pd.DataFrame(rows).sample(frac=1, random_state=1, ignore_index=True)


def cell(table: pd.DataFrame, side: dict[str, Any], **where: Any) -> float:
    """The one τ of a cell, by a plain loop."""
    found = [
        row["kendall_tau"]
        for row in table.to_dict("records")
        if all(row[k] == v for k, v in {**side, **where}.items())
    ]
    assert len(found) == 1
    return float(found[0])


def test_paired_difference_is_that_of_stats() -> None:
    t = records(dofs=(5,))
    got = STATISTICS["paired_difference"](t, a=U, b=V)
    pairs = product("abcdef", range(3))
    expected = np.mean([cell(t, U, task=x, seed=s) - cell(t, V, task=x, seed=s) for x, s in pairs])
    assert got.interval.value == pytest.approx(expected)
    assert got.interval == pytest.approx(paired_interval(choose(t, U), choose(t, V)))
    assert (got.n, got.seeds, got.unit) == (6, 3, "Kendall τ")


def test_an_average_over_dof_comes_before_the_interval() -> None:
    t = records()
    got = STATISTICS["paired_difference"](t, a=U, b=V, average="dof")
    means = t.groupby(["representation", "head", "task", "seed"], as_index=False)["kendall_tau"].mean()
    assert got.interval == pytest.approx(paired_interval(choose(means, U), choose(means, V)))
    with pytest.raises(ValueError, match="average"):
        STATISTICS["paired_difference"](t, a=U, b=V)
    gap = t.drop(t[(t.dof == 25) & (t.task == "a") & (t.representation == "u")].index)
    with pytest.raises(ValueError, match="each of its values once in every cell"):
        STATISTICS["paired_difference"](gap, a=U, b=V, average="dof")


def test_falls_and_their_difference() -> None:
    t = records()

    def change(side: dict[str, Any], task: str, seed: int) -> float:
        return cell(t, side, task=task, seed=seed, dof=100) - cell(t, side, task=task, seed=seed, dof=5)

    pairs = list(product("abcdef", range(3)))
    fall = STATISTICS["fall"](t, side=U).interval
    assert fall.value == pytest.approx(np.mean([change(U, *p) for p in pairs]))
    both = STATISTICS["fall_difference"](t, a=U, b=V)
    assert both.interval.value == pytest.approx(np.mean([change(U, *p) - change(V, *p) for p in pairs]))
    assert both.cells is not None and len(both.cells) == len(pairs)
    middle = STATISTICS["fall"](t, side=U, start=25, end=5).interval.value
    assert middle == pytest.approx(
        np.mean([cell(t, U, task=x, seed=s, dof=5) - cell(t, U, task=x, seed=s, dof=25) for x, s in pairs])
    )


def test_a_constant_fall_has_an_interval_without_width() -> None:
    t = records().assign(kendall_tau=lambda t: np.where(t.representation == "u", 0.5, 1 - t.dof / 200))
    assert tuple(STATISTICS["fall"](t, side=V).interval) == pytest.approx((-0.475, -0.475, -0.475))
    assert tuple(STATISTICS["fall_difference"](t, a=U, b=V).interval) == pytest.approx((0.475, 0.475, 0.475))


def test_win_share_counts_tasks() -> None:
    t = records(dofs=(5,))
    won = sum(
        sum(cell(t, U, task=x, seed=s) for s in range(3)) > sum(cell(t, V, task=x, seed=s) for s in range(3))
        for x in "abcdef"
    )
    got = STATISTICS["win_share"](t, a=U, b=V).interval
    p, n, z = won / 6, 6, 1.959963984540054
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    wilson = ((middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n))
    assert tuple(got) == pytest.approx((p, *wilson))


def test_a_clean_sweep_of_the_suite_clears_the_limit_of_heads_llm_every() -> None:
    t = pd.DataFrame([{"head": h, "task": i, "seed": 0, "kendall_tau": float(h == "mlp")}
                      for h in ("mlp", "xgboost") for i in range(23)])  # fmt: skip
    got = STATISTICS["win_share"](t, a={"head": "mlp"}, b={"head": "xgboost"}).interval
    assert 0.85 < got.low < 0.86


def test_correlation_over_tasks() -> None:
    rng = np.random.default_rng(0)
    t = pd.DataFrame({"task": list("abcdefgh") * 2, "dof": [5] * 8 + [9] * 8, "x": rng.normal(size=16)})
    t["y"] = t.x + rng.normal(size=16)
    parts = [correlation(p.x.to_numpy(), p.y.to_numpy()) for _, p in t.groupby("dof")]
    single = STATISTICS["correlation"](t[t.dof == 5], x="x", y="y")
    assert single.interval == parts[0]
    both = STATISTICS["correlation"](t, x="x", y="y", average="dof").interval
    assert tuple(both) == pytest.approx(tuple((a + b) / 2 for a, b in zip(*parts, strict=True)))
    with pytest.raises(ValueError, match="one row for each"):
        STATISTICS["correlation"](t, x="x", y="y")


def test_correlation_by_seed() -> None:
    rng = np.random.default_rng(0)
    t = pd.DataFrame({"seed": np.repeat([0, 1, 2], 9), "x": rng.normal(size=27), "y": rng.normal(size=27)})
    got = STATISTICS["correlation_by_seed"](t, x="x", y="y")
    taus = [kendall_tau(p.x, p.y) for _, p in t.groupby("seed")]
    assert got.interval.value == pytest.approx(np.mean(taus))
    assert got.interval.low < min(taus)  # three seeds are few
    assert str(got).endswith("(1 setting, 3 seeds)")


def test_rank_agreement_by_counting_pairs() -> None:
    t = records(tasks="ab", seeds=2, dofs=(5, 25))
    taus = []
    for task, seed, dof in product("ab", range(2), (5, 25)):
        part = t[(t.task == task) & (t.seed == seed) & (t.dof == dof)].to_dict("records")
        signs = [
            np.sign(x["kendall_tau"] - y["kendall_tau"]) * np.sign(y["mse"] - x["mse"])
            for i, x in enumerate(part)
            for y in part[:i]
        ]
        taus.append(np.mean(signs))
    got = STATISTICS["rank_agreement"](t, other="mse", average="dof").interval.value
    assert got == pytest.approx(np.mean(taus))
    with pytest.raises(ValueError, match="is there twice"):
        STATISTICS["rank_agreement"](t, other="mse")


def test_size_statistics() -> None:
    # 14, 22 and 109 million parameters.
    models = ["paraphrase-MiniLM-L3-v2", "all-MiniLM-L6-v2", "all-mpnet-base-v2"]
    taus = {"f": [0.1, 0.2, 0.3], "g": [0.3, 0.1, 0.2]}
    t = pd.DataFrame(
        [
            {"representation": m, "model": m, "head": "mlp", "task": task, "seed": 0, "kendall_tau": v}
            for task, values in taus.items()
            for m, v in zip(models, values, strict=True)
        ]
    )
    assert STATISTICS["size_agreement"](t).interval.value == pytest.approx((1 - 1 / 3) / 2)
    ends = STATISTICS["doubling"](t, models=[models[0], models[2]]).interval.value
    from embreg.models import shape_of

    doublings = math.log2(shape_of(models[2]).parameters / shape_of(models[0]).parameters)
    assert ends == pytest.approx((0.2 - 0.1) / 2 / doublings)
    with pytest.raises(ValueError, match="did you mean 'all-mpnet-base-v2'"):
        STATISTICS["doubling"](t, models=["all-mpnet-base-v1"])


def test_spread_change_by_hand() -> None:
    gaps = {9: [0.4, 0.0, -0.2], 99: [0.2, 0.1, 0.1]}
    rows = [
        {
            "representation": r,
            "head": "mlp",
            "task": t,
            "seed": 0,
            "n_samples": n,
            "kendall_tau": g if r == "u" else 0,
        }
        for n, values in gaps.items()
        for t, g in zip("abc", values, strict=True)
        for r in "uv"
    ]
    t = pd.DataFrame(rows)
    spread = STATISTICS["spread_change"](t, a=U, b=V).interval.value
    assert spread == pytest.approx((0.1 + 0 + 0) / 3 - (0.4 + 0 + 0.2) / 3)
    size = STATISTICS["spread_change"](t, a=U, b=V, around="zero").interval.value
    assert size == pytest.approx((0.2 + 0.1 + 0.1) / 3 - (0.4 + 0 + 0.2) / 3)


def test_advantage_correlation() -> None:
    t = records(dofs=(5,))
    t["dof"] = t.task.map({x: i for i, x in enumerate("abcdef")})
    gaps = [
        np.mean([cell(t, U, task=x, seed=s) - cell(t, V, task=x, seed=s) for s in range(3)]) for x in "abcdef"
    ]
    got = STATISTICS["advantage_correlation"](t, a=U, b=V, x="dof").interval
    assert got.value == pytest.approx(np.corrcoef(range(6), gaps)[0, 1])
    assert got.low <= got.value <= got.high


def test_draws_of_random_weights_are_part_of_the_interval() -> None:
    rows = [
        {"weights": w, "weights_seed": k, "task": t, "seed": s, "kendall_tau": 0.5 + lift}
        for t, s in product("abcd", range(3))
        for w, k, lift in [("pretrained", 0, 0), ("random", 0, -0.3), ("random", 1, 0.1), ("random", 2, 0.2)]
    ]
    got = STATISTICS["paired_difference"](
        pd.DataFrame(rows), a={"weights": "random"}, b={"weights": "pretrained"}
    )
    assert got.interval.value == pytest.approx(0)
    # Over tasks and seeds nothing varies: all of the width comes from three draws.
    assert got.interval.low < -0.3 and got.interval.high > 0.3


def test_choose_names_what_there_is() -> None:
    t = records()
    assert choose(t, {"head": "mlp", "dof": "max"}).dof.unique().tolist() == [100]
    assert choose(t, {"dof": "min"}).dof.unique().tolist() == [5]
    # In a column of words it is a word: a pooling is called max.
    words = pd.DataFrame({"representation": ["mean", "max"]})
    assert len(choose(words, {"representation": "max"})) == 1
    with pytest.raises(ValueError, match=r"no column 'heads'.*did you mean 'head'"):
        choose(t, {"heads": "mlp"})
    with pytest.raises(ValueError, match=r"no row has head 'ridgee'.*did you mean 'ridge'.*there are: "):
        choose(t, {"head": ["mlp", "ridgee"]})


def test_pairs_need_both_sides() -> None:
    t = records(dofs=(5,))
    short = t.drop(t[(t.representation == "u") & (t.task == "a")].index)
    with pytest.raises(ValueError, match="on one side only"):
        STATISTICS["paired_difference"](short, a=U, b=V)
    empty = t.assign(kendall_tau=t.kendall_tau.where(t.index != choose(t, U).index[0]))
    with pytest.raises(ValueError, match="missing in 1"):
        STATISTICS["paired_difference"](empty, a=U, b=V)


ABOVE, BELOW, WITHIN = ({"above": 0.5}, {"below": 0.5}, {"within": [-0.5, 0.5]})


@pytest.mark.parametrize(
    ("given_limit", "low", "high", "verdict"),
    [
        (ABOVE, 0.51, 0.6, "reproduced"),
        (ABOVE, 0.5, 0.6, "undecided"),  # touches the limit
        (ABOVE, 0.4, 0.6, "undecided"),
        (ABOVE, 0.4, 0.5, "undecided"),
        (ABOVE, 0.4, 0.49, "not reproduced"),
        (ABOVE, 0.5, 0.5, "undecided"),
        (BELOW, 0.4, 0.49, "reproduced"),
        (BELOW, 0.4, 0.5, "undecided"),
        (BELOW, 0.51, 0.6, "not reproduced"),
        (WITHIN, -0.49, 0.49, "reproduced"),
        (WITHIN, -0.5, 0.49, "undecided"),
        (WITHIN, -0.6, 0.6, "undecided"),
        (WITHIN, 0.5, 0.6, "undecided"),
        (WITHIN, 0.51, 0.6, "not reproduced"),
        (WITHIN, -0.7, -0.51, "not reproduced"),
        (ABOVE, -math.inf, math.inf, "undecided"),
    ],
)
def test_side_of_a_limit(given_limit: dict[str, Any], low: float, high: float, verdict: str) -> None:
    value = (low + high) / 2 if math.isfinite(low) else 0.7
    assert side_of(Interval(value, low, high), Limit.of(given_limit)) == verdict


@pytest.mark.parametrize("bad", [(math.nan, 0, 1), (0, math.nan, 1), (0, -1, math.nan), (0.5, 1, 0)])
def test_no_verdict_on_what_is_no_interval(bad: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="an interval"):
        side_of(Interval(*bad), Limit.of(ABOVE))


numbers = st.floats(-10, 10)


@given(numbers, numbers, numbers)
def test_above_and_below_are_mirror_images(x: float, y: float, limit: float) -> None:
    interval = Interval((x + y) / 2, min(x, y), max(x, y))
    above, below = (side_of(interval, Limit.of({k: limit})) for k in ("above", "below"))
    swap = {"reproduced": "not reproduced", "not reproduced": "reproduced", "undecided": "undecided"}
    assert below == swap[above]
    mirrored = Interval(-interval.value, -interval.high, -interval.low)
    assert side_of(mirrored, Limit.of({"below": -limit})) == above


@given(numbers, numbers, numbers, st.floats(0.01, 5), st.floats(0, 5))
def test_a_wider_interval_never_turns_a_verdict_round(
    x: float, y: float, at: float, size: float, more: float
) -> None:
    interval = Interval((x + y) / 2, min(x, y), max(x, y))
    wider = Interval(interval.value, interval.low - more, interval.high + more)
    for limit in (Limit.of({"above": at}), Limit.of({"below": at}), Limit.of({"within": [at, at + size]})):
        assert side_of(wider, limit) in (side_of(interval, limit), "undecided")


@given(st.lists(st.sampled_from(["reproduced", "not reproduced", "undecided"]), min_size=1))
def test_a_claim_of_parts_is_as_true_as_its_worst(sides: list[str]) -> None:
    assert (overall(sides) == "reproduced") == all(s == "reproduced" for s in sides)
    assert (overall(sides) == "not reproduced") == any(s == "not reproduced" for s in sides)


def limited(value: float, low: float, high: float, n: int, **more: Any) -> str:
    return what_would_decide(
        Measured(Interval(value, low, high), "share", n, 3, **more), Limit.of({"above": 0.5})
    )


def test_what_would_decide_a_share() -> None:
    # Twice the distance away it takes a quarter: 20 · (0.2 / 0.1)².
    assert "about 80 tasks would decide it, instead of 20" in limited(0.6, 0.4, 0.8, 20)
    assert "about 24 tasks" in limited(0.45, 0.3, 0.5 + 0.00001, 23)  # never fewer than there are
    text = limited(0.6, 0.4, 0.8, 8, of="functions", available=23)
    assert "about 32 functions, however: there are 23" in text
    assert "no feasible number" in limited(0.5, 0.4, 0.6, 20)
    assert "no feasible number of tasks or seeds" in limited(0.501, 0.4, 0.6, 20)
    assert "at least two seeds" in limited(0.6, -math.inf, math.inf, 1)


def cells(task: float, seed: float, residual: float, mean: float, n: int = 8, seeds: int = 4) -> Measured:
    """Effects of fixed size that are exactly orthogonal, so that nothing is left to chance."""
    from embreg.stats import mean_interval

    def effect(k: int, size: float) -> np.ndarray:
        return size * np.resize([1.0, -1.0], k)

    grid = (
        mean
        + effect(n, task)[:, None]
        + effect(seeds, seed)[None]
        + residual * np.outer(effect(n, 1), effect(seeds, 1))
    )
    i, j = np.indices(grid.shape)
    table = pd.DataFrame({"task": i.ravel(), "seed": j.ravel(), "difference": grid.ravel()})
    return Measured(mean_interval(table, "difference"), "Kendall τ", n, seeds, "functions", 23, table)


def test_what_would_decide_a_mean() -> None:
    zero = Limit.of({"above": 0})
    # Seeds differ and tasks do not: more seeds.
    assert "seeds on the same 8 functions" in what_would_decide(cells(0.0, 0.1, 0.01, 0.05), zero)
    # Tasks differ: some more of them, or more than there are, or more than anybody has.
    few = what_would_decide(cells(0.1, 0.0, 0.01, 0.08), zero)
    assert "functions would decide it, instead of 8" in few
    assert "however: there are 23" in what_would_decide(cells(0.1, 0.0, 0.01, 0.03), zero)
    assert "no feasible number" in what_would_decide(cells(0.1, 0.0, 0.01, 0.001), zero)


def test_what_would_decide_one_task() -> None:
    one = Measured(Interval(0.1, -0.1, 0.3), "Kendall τ", 1, 3)
    text = what_would_decide(one, Limit.of({"above": 0}))
    assert text.endswith("about 12 seeds on the same task would decide it, instead of 3")


def test_out_of() -> None:
    assert out_of(["Sphere", "Discus"]) == ("functions", 23)
    kind, count = out_of(["compiler/sort", "automl/cancer_auc"])
    assert kind == "tasks" and count is not None and count > 20


@pytest.mark.parametrize(
    ("given_limit", "message"),
    [
        ({}, "one limit.*got none"),
        ({"above": 0, "below": 1}, "one limit.*got above and below"),
        ({"above": "0"}, "finite number"),
        ({"above": math.inf}, "finite number"),
        ({"above": True}, "finite number"),
        ({"within": 0.1}, r"within must be \[low, high\]"),
        ({"within": [1, 0]}, "from low to high"),
    ],
)
def test_limits_that_are_none(given_limit: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Limit.of(given_limit)
