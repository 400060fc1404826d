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
                place = {"suite": "paper", "function": function, "seed": seed, "dof": dof, "head": "mlp"}
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
    with pytest.raises(ValueError, match="same \\(function, seed\\)"):
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
        {"suite": "paper", "function": f, "dof": 3, "seed": s, "representation": r, "head": h}
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
    expected = frame.pivot_table(index=["function", "head"], columns="representation", values="kendall_tau")
    assert len(table) == 8
    for row in table.itertuples():
        for head, gap in (("mlp", row.gap_mlp), ("knn", row.gap_knn)):
            both = expected.loc[(row.function, head)]
            assert gap == pytest.approx(both[row.representation] - both["φ_trad"])
    _, rows, Y = suite.targets(3, 40, 0)
    unit = smoothness.factors(TRADITIONAL, suite, dof=3, seed=0, n_samples=40)["unit-norm"]["Sphere"]
    assert unit == pytest.approx(nlfd(rows.to_numpy(), Y[:, 0]))
    assert smoothness_gap(unit, unit / 3) > 0  # so a positive gap is a smoother second representation
