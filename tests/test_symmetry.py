"""Symmetry in the coordinates: measured on functions whose symmetry is known."""

from __future__ import annotations

import numpy as np
import pytest

from embreg import bbob
from embreg.experiment import Suite
from embreg.metrics import kendall_tau
from embreg.symmetry import symmetry
from embreg.tasks import bbob_functions, bbob_points, bbob_shift


def of(function: str, shift: float = 0.0, dof: int = 10, seed: int = 0) -> float:
    suite = Suite(shift=shift, functions=(function,))
    return float(symmetry(suite, dof=dof, seed=seed).symmetry.item())


def test_a_sum_over_coordinates_is_symmetric_until_its_optimum_moves() -> None:
    assert of("Sphere") == pytest.approx(1.0)
    curve = [of("Sphere", shift) for shift in (0.0, 1.0, 2.0, 4.0)]
    assert curve == sorted(curve, reverse=True) and curve[-1] < 0.4


def test_where_one_coordinate_is_a_million_times_another_order_is_everything() -> None:
    assert abs(of("Discus", dof=25)) < 0.2


def test_it_is_tau_between_two_orders_of_the_same_numbers() -> None:
    """A twin written out, with orders of its own: the same up to chance."""
    dof, shift, name = 10, 2.0, "Rastrigin"
    x = bbob_points(dof, 2000, 0).to_numpy()
    rng = np.random.default_rng(1)
    other = np.stack([rng.permutation(row) for row in x])
    s = bbob_shift(name, dof, seed=0, shift=shift)
    expected = kendall_tau(bbob.evaluate(name, x - s), bbob.evaluate(name, other - s))
    found = symmetry(Suite(shift=shift, functions=(name,)), dof=dof, n_samples=2000).symmetry.item()
    assert found == pytest.approx(expected, abs=0.05)


def test_every_function_at_every_seed() -> None:
    suite = Suite(shift=1.0)
    out = symmetry(suite, dof=5, seed=3, n_samples=100)
    assert tuple(out.task) == bbob_functions("paper") and (out.seed == 3).all() and (out["shift"] == 1).all()
    assert out.symmetry.between(-1, 1).all()
    assert not symmetry(suite, dof=5, seed=4, n_samples=100).symmetry.equals(out.symmetry)


def test_other_variants_are_refused() -> None:
    with pytest.raises(ValueError, match="variant 'paper', however: got 'coco'"):
        symmetry(Suite("coco"), dof=5)
