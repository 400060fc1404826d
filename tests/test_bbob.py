"""The test functions: google-vizier's against recorded values, COCO's against IOHprofiler's."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embreg import bbob, coco
from embreg._bbob_transforms import oscillate, outside, signs, skew

GOLDEN = json.loads((Path(__file__).parent / "golden" / "vizier_bbob.json").read_text(encoding="utf-8"))
EVERY = [*((bbob, name) for name in bbob.ALL_FUNCTIONS), *((coco, name) for name in coco.FUNCTIONS)]
IDS = [f"{family.__name__.split('.')[-1]}-{name}" for family, name in EVERY]


def points(n: int, d: int, seed: int = 0, reach: float = 5.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-reach, reach, (n, d))


@pytest.fixture(scope="module")
def ioh() -> ModuleType:
    if sys.version_info >= (3, 13):
        return pytest.importorskip(
            "ioh", reason="ioh has no wheels past Python 3.12, the cross-check runs below"
        )
    import ioh  # a plain import: where ioh can be had, its absence is a failure, not a skip

    return ioh


# google-vizier's functions


def test_golden_file_covers_every_function_and_dof() -> None:
    covered = {(case["function"], case["dim"]) for case in GOLDEN["cases"]}
    assert covered == {(name, dof) for name in bbob.ALL_FUNCTIONS for dof in (2, 5, 10, 25, 100)}


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: f"{case['function']}-{case['dim']}")
def test_values_are_google_viziers(case: dict) -> None:
    values = bbob.evaluate(case["function"], GOLDEN["x"][str(case["dim"])])
    np.testing.assert_allclose(values, case["y"], rtol=1e-9, atol=0)


def test_the_paper_has_23_functions() -> None:
    assert len(bbob.ALL_FUNCTIONS) == 24
    assert set(bbob.ALL_FUNCTIONS) - set(bbob.PAPER_FUNCTIONS) == {"FonsecaFleming"}


@pytest.mark.parametrize("dof", [20, 100])
def test_fonseca_fleming_is_constant(dof: int) -> None:
    assert np.unique(bbob.evaluate("FonsecaFleming", points(500, dof))).tolist() == [1.0]


@pytest.mark.parametrize("dof", [2, 5, 25, 100])
@pytest.mark.parametrize("name", bbob.PAPER_FUNCTIONS)
def test_the_other_functions_vary(name: str, dof: int) -> None:
    assert len(np.unique(bbob.evaluate(name, points(50, dof)))) > 40


def test_exactly_the_penalized_functions_have_a_penalty(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, beyond = points(10, 5), points(10, 5, reach=9.0)
    with_penalty = {name: bbob.evaluate(name, beyond) for name in bbob.ALL_FUNCTIONS}
    at_home = {name: bbob.evaluate(name, inside) for name in bbob.ALL_FUNCTIONS}
    monkeypatch.setattr(bbob, "outside", lambda x: np.zeros(len(x)))
    changed = {name for name in with_penalty if (bbob.evaluate(name, beyond) != with_penalty[name]).any()}
    changed_at_home = {name for name in at_home if (bbob.evaluate(name, inside) != at_home[name]).any()}
    assert changed == {*bbob.PENALIZED, "Schwefel"}
    assert changed_at_home == {"Schwefel"}


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_oscillation_keeps_sign_and_order(a: float, b: float) -> None:
    low, high = oscillate(np.array(sorted((a, b))))
    assert low <= high or np.isclose(low, high, rtol=1e-12)
    assert np.sign(low) == np.sign(min(a, b)) and np.sign(high) == np.sign(max(a, b))


def test_transformations_by_hand() -> None:
    assert oscillate(np.array([2.0]))[0] == pytest.approx(
        2.0 * np.exp(0.049 * (np.sin(10 * np.log(2)) + np.sin(7.9 * np.log(2)))), rel=1e-14
    )
    assert skew(np.array([[9.0, 9.0, -9.0]]), 0.5).tolist() == [[9.0, 9.0 ** (1 + 0.5 * 0.5 * 3), -9.0]]
    assert outside(np.array([[5.0, -5.0], [6.0, -8.0]])).tolist() == [0.0, 10.0]
    assert signs(4, 1.0).tolist() == [1.0, -1.0, 1.0, -1.0]


# COCO's functions


@pytest.mark.parametrize("name", coco.FUNCTIONS)
def test_values_are_iohs(name: str, ioh: ModuleType) -> None:
    index = coco.number(name)
    for dof in (5, 20, 40, 50):
        if name == "SharpRidge" and dof > 40:
            continue  # the next test says why
        x = points(15, dof)
        for instance in (1, 2):
            expected = np.array(ioh.get_problem(index, instance, dof)(x))
            np.testing.assert_allclose(coco.evaluate(name, x, instance), expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("dof", [50, 100])
def test_sharp_ridge_has_one_linear_dimension_where_ioh_has_more(dof: int, ioh: ModuleType) -> None:
    """COCO's 2009 definition has one linear dimension; ioh has ceil(d / 40), and divides by their number."""
    from cma.bbobbenchmarks import F13

    x = points(10, dof)
    problem = F13(1)
    problem(x)
    z = (x - problem.xopt) @ problem.linearTF

    def ridge(linear: int) -> np.ndarray:
        squares = z**2
        flat, steep = squares[:, :linear].sum(axis=1), squares[:, linear:].sum(axis=1)
        return problem.fopt + flat / linear + 100.0 * np.sqrt(steep / linear)

    np.testing.assert_allclose(coco.evaluate("f13", x), ridge(1), rtol=1e-12)
    np.testing.assert_allclose(np.array(ioh.get_problem(13, 1, dof)(x)), ridge(ceil(dof / 40)), rtol=1e-7)


def test_last_instance_is_still_iohs(ioh: ModuleType) -> None:
    x = points(5, 5)
    expected = np.array(ioh.get_problem(24, coco.MAX_INSTANCE, 5)(x))
    np.testing.assert_allclose(coco.evaluate("f24", x, coco.MAX_INSTANCE), expected, rtol=1e-7)


def test_readable_names_and_numbers_agree() -> None:
    x = points(5, 5)
    for index, name in enumerate(coco.FUNCTIONS, start=1):
        assert coco.number(name) == coco.number(f"f{index}") == index
    assert (coco.evaluate("f8", x) == coco.evaluate("Rosenbrock", x)).all()


def test_threads_get_the_same_values() -> None:
    batches = [points(7, d, seed=d) for d in (2, 3, 10, 3, 2, 10)]
    alone = [coco.evaluate("f24", x) for x in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda x: coco.evaluate("f24", x), batches))
    assert all((a == b).all() for a, b in zip(alone, together, strict=True))


def test_a_changed_cma_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from cma import bbobbenchmarks

    monkeypatch.delattr(bbobbenchmarks, "instantiate")
    with pytest.raises(ImportError, match=r"cma \d.*instantiate.*constraints.txt"):
        coco.evaluate("f1", points(3, 2))
    monkeypatch.setattr(bbobbenchmarks, "instantiate", lambda *_, **__: (lambda x: x, 0.0), raising=False)
    with pytest.raises(ImportError, match=r"shape \(3, 2\) for 3 points"):
        coco.evaluate("f1", points(3, 2))


def test_a_missing_cma_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cma", None)
    with pytest.raises(ImportError, match="pip install"):
        coco.evaluate("f1", points(3, 2))


# Both families


@pytest.mark.parametrize(("family", "name"), EVERY, ids=IDS)
def test_batch_equals_row_by_row_and_leaves_input_alone(family: ModuleType, name: str) -> None:
    x = points(6, 4, reach=7.0)
    before = x.copy()
    x.setflags(write=False)
    batch = family.evaluate(name, x)
    assert (x == before).all()
    assert batch.dtype == np.float64 and batch.shape == (6,)
    single = np.concatenate([family.evaluate(name, row[None, :]) for row in x])
    # COCO's rotations are matrix products, whose last digits depend on the shape of the batch.
    np.testing.assert_allclose(batch, single, rtol=0 if family is bbob else 1e-10)
    assert (family.evaluate(name, np.asfortranarray(x)) == batch).all()
    assert (family.evaluate(name, x.tolist()) == batch).all()


@pytest.mark.parametrize(("family", "name"), EVERY, ids=IDS)
def test_least_dof_is_accepted_and_less_is_an_error(family: ModuleType, name: str) -> None:
    least = bbob.least_dof(name) if family is bbob else coco.LEAST_DOF
    assert np.isfinite(family.evaluate(name, points(5, least))).all()
    with pytest.raises(ValueError, match=f"{name} needs at least {least} coord.*got {least - 1}"):
        family.evaluate(name, np.zeros((5, least - 1)))


@pytest.mark.parametrize("family", [bbob, coco])
def test_errors(family: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"unknown .*'sphere'; did you mean 'Sphere'.*Lunacek"):
        family.evaluate("sphere", points(3, 2))
    with pytest.raises(ValueError, match=r"'xyzzy'\. There are"):
        family.evaluate("xyzzy", points(3, 2))
    with pytest.raises(ValueError, match=r"shape \(n, d\), however: got shape \(2,\)"):
        family.evaluate("Sphere", [1.0, 2.0])
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="finite, however: 1 of 3 rows are not, the first at row 1"):
            family.evaluate("Sphere", [[0, 0], [bad, 0], [0, 0]])


def test_overflow_is_an_error() -> None:
    with pytest.raises(ValueError, match="a value of Sphere must be finite"):
        bbob.evaluate("Sphere", [[1e200, 0.0]])


@pytest.mark.parametrize("instance", [0, -1, 1.0, True, "1", coco.MAX_INSTANCE + 1])
def test_instance_errors(instance: object) -> None:
    with pytest.raises(ValueError, match="instance must be a whole number from 1 to 200000, however: got"):
        coco.evaluate("Sphere", points(3, 2), instance)
