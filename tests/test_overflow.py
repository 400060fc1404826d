"""Rows that are cut: what is left is what the engine reads, and what can be known of f falls with it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from embreg import bbob, experiment
from embreg.experiment import TRADITIONAL, Representation, Suite
from embreg.metrics import kendall_tau
from embreg.overflow import CutSuite, ceiling, columns_read
from tests.tiny import tiny_bert, tiny_decoder, tiny_t5

pytestmark = pytest.mark.usefixtures("one_thread")


def reader(folder: Path, limit: int | None = None, **settings: object) -> Representation:
    return Representation.of(
        "x:values:1", **{"label": "r", "model": str(folder), "overflow": "truncate", "max_tokens": limit,
                         "dtype": "float32", **settings},
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["bert", "smollm"])
def test_what_is_cut_moves_nothing_and_what_is_read_does(kind: str, tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "m") if kind == "bert" else tiny_decoder(tmp_path / "m", kind)
    rep = reader(folder, 30)
    rows = pd.DataFrame(np.random.default_rng(0).uniform(-5, 5, (40, 12)))
    read = columns_read(rep, rows)
    assert ((read >= 3) & (read < 12)).all() and len(set(read)) > 1

    def vectors(table: pd.DataFrame) -> np.ndarray:
        return rep.embedder().set_params(store=None, backend="torch").fit_transform(rep.strings(table))

    base = vectors(rows)
    for i, k in enumerate(read):
        behind, inside = rows.iloc[[i]].copy(), rows.iloc[[i]].copy()
        behind.iloc[:, k + 1 :] = 1.0  # column k may be read in part
        inside.iloc[:, k - 1] += 1.0
        np.testing.assert_array_equal(vectors(behind)[0], base[i])
        assert not np.allclose(vectors(inside)[0], base[i], atol=1e-4)


def test_a_row_that_fits_loses_nothing_and_a_model_without_a_limit_reads_all(tmp_path: Path) -> None:
    rows = pd.DataFrame([[0.5] * 4])
    bert = tiny_bert(tmp_path / "bert")
    whole = len(rows.columns)
    length = reader(bert).embedder()._engine().tokenize(reader(bert).strings(rows))[0].size
    assert columns_read(reader(bert, length), rows).tolist() == [whole]
    assert columns_read(reader(bert, length - 1), rows).tolist() == [whole]  # the bracket is gone
    assert columns_read(reader(bert, length - 2), rows).tolist() == [whole - 1]
    assert columns_read(reader(bert), pd.DataFrame([[0.5] * 40]))[0] < 40  # its context is 48
    assert columns_read(reader(bert, stage="vocab"), pd.DataFrame([[0.5] * 40]))[0] == 40
    assert columns_read(reader(tiny_t5(tmp_path / "t5")), pd.DataFrame([[0.5] * 40]))[0] == 40
    assert columns_read(reader(bert, 1), rows).tolist() == [0]


def test_columns_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="each of the 2 columns must be one number of the string, however: row 0 holds 1"
    ):
        columns_read(reader(tiny_bert(tmp_path / "m")), pd.DataFrame({"a": [1.0], "b": ["relu"]}))


def test_a_cut_suite_keeps_targets_and_blanks_columns(tmp_path: Path) -> None:
    rep = reader(tiny_bert(tmp_path / "m"), 30)
    whole, cut = Suite(functions=("Sphere",)), CutSuite(functions=("Sphere",), reader=rep)
    (_, rows, Y), (_, left, same) = whole.targets(10, 20, 3), cut.targets(10, 20, 3)
    np.testing.assert_array_equal(Y, same)
    for k, before, after in zip(columns_read(rep, rows), rows.to_numpy(), left.to_numpy(), strict=True):
        np.testing.assert_array_equal(after, [*before[:k], *[0.0] * (10 - k)])
    assert cut.label == "paper, as read by r"


def test_phi_trad_of_a_cut_suite_stays_below_the_ceiling(tmp_path: Path) -> None:
    rep = reader(tiny_bert(tmp_path / "m"), 30)
    suite = CutSuite(functions=("Sphere",), reader=rep)
    out = experiment.compare([TRADITIONAL], [suite], dofs=[10], seeds=[0], n_samples=300, n_test=300,
                             heads={"φ_trad": ["ridge_squares"]})  # fmt: skip
    read = columns_read(rep, Suite().targets(10, 600, 0)[1])
    best = ceiling(Suite(functions=("Sphere",)), read, dof=10).kendall_tau.item()
    assert best - 0.15 < out.kendall_tau.item() < best + 0.03 < 0.9


# The ceiling


def test_the_ceiling_of_a_sum_is_that_of_two_normal_parts() -> None:
    """f is nearly normal, and so is what is known of it: τ = 2/π arcsin √(share known)."""
    for known in (2, 10, 18):
        got = ceiling(Suite(functions=("Sphere",)), np.full(600, known), dof=20).kendall_tau.item()
        assert got == pytest.approx(2 / math.pi * math.asin(math.sqrt(known / 20)), abs=0.05)


def test_everything_known_is_one_and_nothing_known_is_chance() -> None:
    suite = Suite(functions=("Rastrigin", "LinearSlope", "BentCigar"))
    assert (ceiling(suite, np.full(100, 5), dof=5).kendall_tau == 1).all()
    assert ceiling(suite, np.zeros(300), dof=5).kendall_tau.abs().max() < 0.15


def test_each_row_knows_its_own_columns() -> None:
    """A twin written out: row by row, draw by draw."""
    suite, dof, seed = Suite(functions=("Rastrigin",), shift=2.0), 4, 1
    read = np.array([0, 1, 2, 3, 4] * 12)
    _, rows, Y = suite.targets(dof, len(read), seed)
    from embreg.tasks import bbob_shift

    rng, guess = np.random.default_rng(5), []
    for k, row in zip(read, rows.to_numpy(), strict=True):
        points = np.array([[*row[:k], *rng.uniform(-5, 5, dof - k)] for _ in range(1000)])
        values = bbob.evaluate("Rastrigin", points - bbob_shift("Rastrigin", dof, seed=seed, shift=2.0))
        guess.append(np.mean([(Y[:, 0] < v).mean() + (Y[:, 0] == v).mean() / 2 for v in values]))
    got = ceiling(suite, read, dof=dof, seed=seed, n_draws=1000).kendall_tau.item()
    assert got == pytest.approx(kendall_tau(Y[:, 0], np.array(guess)), abs=0.03)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="variant 'paper', however: got 'coco'"):
        ceiling(Suite("coco"), np.array([1] * 20), dof=5)
    with pytest.raises(ValueError, match="a number from 0 to 5"):
        ceiling(Suite(), np.array([6] * 20), dof=5)
    with pytest.raises(ValueError, match="n_draws must be a whole number of at least 1"):
        ceiling(Suite(), np.array([1] * 20), dof=5, n_draws=0)
