"""Sentences and tables that the chapters print say what the records hold, and no more."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from embreg import findings, geometry, smoothness
from embreg.experiment import TRADITIONAL, Representation, Suite
from embreg.lipschitz import nlfd, smoothness_gap
from embreg.stats import Interval


def records(seeds: int = 3) -> pd.DataFrame:
    """Two methods on four functions; ``a`` is ahead by 0.1 at 5 DOF and behind by 0.1 at 25."""
    rows = []
    rng = np.random.default_rng(0)
    for function in "fghi":
        for seed in range(seeds):
            base = rng.uniform(0.2, 0.6)
            for dof, gap in ((5, 0.1), (25, -0.1)):
                place = {"suite": "paper", "task": function, "seed": seed, "dof": dof, "head": "mlp"}
                rows.append({**place, "representation": "a", "kendall_tau": base + gap})
                rows.append({**place, "representation": "b", "kendall_tau": base})
    return pd.DataFrame(rows)


def test_differences_are_paired() -> None:
    table = findings.differences(records(), ("a", "mlp"), ("b", "mlp")).set_index("dof")
    # The spread between functions cancels: the interval of a constant difference has no width.
    assert table.difference.tolist() == pytest.approx([0.1, -0.1])
    assert (table.high - table.low).tolist() == pytest.approx([0, 0], abs=1e-9)
    assert table.ahead.tolist() == [1.0, 0.0]


def test_differences_refuse_unpaired_records() -> None:
    broken = records().iloc[1:]
    with pytest.raises(ValueError, match="same \\(task, seed\\)"):
        findings.differences(broken, ("a", "mlp"), ("b", "mlp"))


def test_falls() -> None:
    assert findings.falls(records(), ("a", "mlp")).value == pytest.approx(-0.2)
    assert findings.falls(records(), ("b", "mlp")).value == pytest.approx(0)


def test_select_lists_what_there_is() -> None:
    with pytest.raises(KeyError, match="a \\+ mlp"):
        findings.select(records(), "a", "xgboost")


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (Interval(0.2, 0.1, 0.3), "a is ahead of b by 0.20 [0.10, 0.30]"),
        (Interval(-0.2, -0.3, -0.1), "a is behind b by 0.20 [0.10, 0.30]"),
        (Interval(-0.2, -0.5, 0.1), "a and b cannot be told apart: -0.20 [-0.50, 0.10]"),
        (Interval(0.2, 0.0, 0.3), "a and b cannot be told apart: 0.20 [0.00, 0.30]"),
    ],
)
def test_a_direction_is_claimed_only_outside_zero(interval: Interval, words: str) -> None:
    assert findings.say(interval, "a", "b") == words


def test_balls_lie_in_the_box_and_reach_their_radius() -> None:
    rows, radius = geometry.balls(40, [0.5, 2.5], n_samples=200, seed=3)
    x = rows.to_numpy()
    assert np.abs(x).max() <= 5
    distance = np.linalg.norm(x - x[0], axis=1)
    assert (distance <= radius + 1e-12).all()
    # In 40 dimensions nearly all of a ball's volume is at its rim.
    assert distance[radius == 2.5].mean() > 2.4
    assert (radius == 0).sum() == 1
    with pytest.raises(ValueError, match=r"2\.5.*got 3"):
        geometry.balls(2, [3])


def test_distances_of_the_numbers_themselves() -> None:
    rows, _ = geometry.balls(3, [1.0, 2.0], n_samples=20)
    table = geometry.distances(rows, rows.to_numpy())
    assert np.corrcoef(table.numeric, table.embedded)[0, 1] == pytest.approx(1)
    assert table.embedded.max() == 1


def test_projection_repeats() -> None:
    x = np.random.default_rng(0).normal(size=(30, 5))
    assert np.array_equal(geometry.project(x), geometry.project(x))


def test_gaps_are_those_of_the_definition() -> None:
    suite, seeds = Suite(functions=("Sphere", "Discus", "Schwefel", "Rastrigin")), [0, 1]
    double, again = (Representation(name, model=name) for name in ("double", "again"))
    rng = np.random.default_rng(0)
    taus = [
        {"suite": "paper", "task": f, "dof": 3, "seed": s, "representation": r, "head": h}
        | {"kendall_tau": rng.uniform()}
        for f in suite.functions
        for s in seeds
        for r in ("double", "again", "φ_trad")
        for h in ("mlp", "knn")
    ]
    frame = pd.DataFrame(taus)

    class Doubled:
        """A language model's place taken by coordinates repeated twice, which NLFD cannot tell apart."""

        def fit_transform(self, rows: pd.DataFrame) -> np.ndarray:
            return np.hstack([rows.to_numpy()] * 2)

    # Only the text model is replaced: the records and the factors are computed by the real code.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Representation, "embedder", lambda self: Doubled())
        patch.setattr(Representation, "strings", lambda self, rows: rows)
        table = smoothness.gaps(frame, [double, again], suite, dofs=[3], seeds=seeds, n_samples=40)
    assert table.z.abs().max() < 1e-9
    expected = frame.pivot_table(index=["task", "head"], columns="representation", values="kendall_tau")
    assert len(table) == 8
    for row in table.itertuples():
        for head, gap in (("mlp", row.gap_mlp), ("knn", row.gap_knn)):
            both = expected.loc[(row.task, head)]
            assert gap == pytest.approx(both[row.representation] - both["φ_trad"])
    _, rows, Y = suite.targets(3, 40, 0)
    unit = smoothness.factors(TRADITIONAL, suite, dof=3, seed=0, n_samples=40)["unit-norm"]["Sphere"]
    assert unit == pytest.approx(nlfd(rows.to_numpy(), Y[:, 0]))
    assert smoothness_gap(unit, unit / 3) > 0  # so a positive gap is a smoother second representation


# --- pairs, and predictions written down first -----------------------------------------------------------


def test_pairs_are_differences_of_the_same_task_and_seed() -> None:
    table = records().sample(frac=1, random_state=0)
    out = findings.paired(table, "a", "b", dof=5)
    assert len(out) == 4 * 3 and out.difference.round(9).eq(0.1).all()
    assert str(findings.mean_difference(out)) == "0.10 [0.10, 0.10]"
    with pytest.raises(ValueError, match="same tasks and seeds on both sides, however: a and b differ"):
        findings.paired(table[(table.representation == "a") | (table.seed > 0)], "a", "b", dof=5)
    with pytest.raises(KeyError, match="no records of a"):
        findings.paired(table, "a", "b", dof=7)


def test_points_of_one_task_are_not_independent_draws() -> None:
    """Ten copies of every task say as much as one; the interval does not shrink."""
    rng = np.random.default_rng(0)
    one = pd.DataFrame({"task": range(12), "x": rng.normal(size=12)})
    one["y"] = one.x + rng.normal(size=12)
    many = pd.concat([one] * 10, ignore_index=True)
    a, b = (findings.task_correlation(t, "x", "y") for t in (one, many))
    assert a == pytest.approx(b)
    assert a.value == pytest.approx(np.corrcoef(one.x, one.y)[0, 1])


def test_interval_of_a_correlation_over_tasks_covers() -> None:
    rng, inside = np.random.default_rng(1), 0
    for _ in range(100):
        x = np.repeat(rng.normal(size=23), 3)
        tasks = np.repeat(rng.normal(size=23), 3)
        points = pd.DataFrame({"task": np.repeat(np.arange(23), 3), "x": x, "y": x + tasks})
        r = findings.task_correlation(points, "x", "y", n_resamples=200)
        inside += r.low <= np.sqrt(0.5) <= r.high
    assert 83 <= inside <= 100


def test_a_correlation_over_three_tasks_is_refused() -> None:
    points = pd.DataFrame({"task": [0, 1, 2] * 5, "x": range(15), "y": range(15)})
    with pytest.raises(ValueError, match="at least 4 tasks, however: got 3"):
        findings.task_correlation(points, "x", "y")


@pytest.mark.parametrize(
    ("interval", "limits", "verdict"),
    [
        ((0.1, 0.01, 0.2), {"above": 0}, "holds"),
        ((0.1, 0.0, 0.2), {"above": 0}, "undecided"),
        ((-0.1, -0.2, -0.01), {"above": 0}, "fails"),
        ((-0.1, -0.2, -0.01), {"below": 0}, "holds"),
        ((0.0, -0.015, 0.01), {"above": -0.02}, "holds"),
        ((0.0, -0.03, 0.01), {"above": -0.02}, "undecided"),
        ((0.1, 0.06, 0.2), {"below": 0.05}, "fails"),
    ],
)
def test_a_prediction_is_decided_only_by_its_whole_interval(
    interval: tuple[float, float, float], limits: dict[str, float], verdict: str
) -> None:
    found = findings.bound("p", Interval(*interval), **limits)
    assert found["verdict"] == verdict and found["prediction"] == "p"
    assert (found["value"], found["low"], found["high"]) == interval


def test_a_prediction_has_one_limit() -> None:
    for limits in ({}, {"above": 0.0, "below": 1.0}):
        with pytest.raises(ValueError, match="a prediction has one limit"):
            findings.bound("p", Interval(0, 0, 0), **limits)


def fits(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        [
            {"suite": "s", "task": task, "seed": s, "representation": rep, "head": head,
             "val_mse": rng.random(), "kendall_tau": rng.random()}
            for task in "fg" for s in (0, 1) for rep in "uv" for head in ("mlp", "knn", "gp")
        ]
    )  # fmt: skip


def test_the_best_head_is_chosen_without_the_test_rows() -> None:
    table = fits()
    best = findings.best_heads(table)
    assert len(best) == 8 and set(best["head"]) == {"best"}
    for _, row in best.iterrows():
        cell = table[
            (table.task == row.task) & (table.seed == row.seed) & (table.representation == row.representation)
        ]
        slow = min(cell.to_dict("records"), key=lambda r: r["val_mse"])
        assert (row.chosen_head, row.kendall_tau) == (slow["head"], slow["kendall_tau"])
    # Whatever the scores on test rows are, the choice is the same.
    other = findings.best_heads(table.assign(kendall_tau=-table.kendall_tau))
    assert other.chosen_head.tolist() == best.chosen_head.tolist()


def test_the_best_of_unequal_sets_of_heads_is_no_fair_choice() -> None:
    table = fits()
    with pytest.raises(
        ValueError, match="same heads for a fair choice, however: u: gp, knn, mlp; v: gp, knn"
    ):
        findings.best_heads(table[(table.representation == "u") | (table["head"] != "mlp")])
    with pytest.raises(ValueError, match="val_mse is missing in 1 records"):
        findings.best_heads(table.assign(val_mse=[np.nan, *table.val_mse[1:]]))
