"""The controls: exact where they should be, equal to a brute-force twin, the same in every run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embreg.baselines import BASELINES, knn, ridge_squares, xgboost
from embreg.tasks import bbob_targets, split_rows

Parts = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def sphere_and_others(dof: int = 6, n: int = 120) -> Parts:
    """Split rows and several targets of one task."""
    rows, Y = bbob_targets(("Sphere", "Rastrigin", "Discus"), dof, n=n)
    train, val, test = split_rows(n, 0)
    X = rows.to_numpy()
    return X[train], Y[train], X[val], Y[val], X[test], Y[test]


# --- ridge -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["Sphere", "LinearSlope"])
def test_ridge_is_exact_on_additive_quadratics_at_100_dof(function: str) -> None:
    rows, Y = bbob_targets((function,), 100, n=500)
    X, (train, val, test) = rows.to_numpy(), split_rows(500, 0)
    assert len(train) == 400
    predicted, chosen = ridge_squares(X[train], Y[train], X[val], Y[val], X[test])
    error = np.abs(predicted - Y[test]).max() / Y[train].std()
    assert error < 1e-6
    assert chosen == [{"alpha": pytest.approx(1e-6)}]


def test_ridge_is_the_normal_equations() -> None:
    X, Y, X_val, Y_val, X_test, _ = sphere_and_others()
    Y = Y + np.random.default_rng(0).normal(size=Y.shape) * Y.std(0)  # so that a penalty is worth having
    predicted, chosen = ridge_squares(X, Y, X_val, Y_val, X_test)
    A, B = (np.hstack([v, v**2]) for v in (X, X_test))
    center, scale = A.mean(0), A.std(0)
    A, B = (A - center) / scale, (B - center) / scale

    def leave_one_out(alpha: float, y: np.ndarray) -> float:
        errors = []
        for i in range(len(A)):
            rest = np.arange(len(A)) != i
            C = A[rest] - A[rest].mean(0)
            w = np.linalg.solve(C.T @ C + alpha * np.eye(C.shape[1]), C.T @ (y[rest] - y[rest].mean()))
            errors.append((A[i] - A[rest].mean(0)) @ w + y[rest].mean() - y[i])
        return float(np.mean(np.square(errors)))

    for t in range(Y.shape[1]):
        y = (Y[:, t] - Y[:, t].mean()) / Y[:, t].std()
        alpha = chosen[t]["alpha"]
        w = np.linalg.solve(A.T @ A + alpha * np.eye(A.shape[1]), A.T @ y)
        np.testing.assert_allclose(predicted[:, t], B @ w * Y[:, t].std() + Y[:, t].mean(), rtol=1e-6)
        grid = np.logspace(-6, 4, 21)
        assert alpha == pytest.approx(grid[np.argmin([leave_one_out(a, y) for a in grid])])


# --- nearest neighbours ----------------------------------------------------------------------------------


def slow_knn(X: np.ndarray, y: np.ndarray, k: int, points: np.ndarray) -> np.ndarray:
    center, scale = X.mean(0), X.std(0)
    out = []
    for point in (points - center) / scale:
        distances = [float(((row - point) ** 2).sum()) for row in (X - center) / scale]
        out.append(np.mean([y[i] for i in sorted(range(len(X)), key=distances.__getitem__)[:k]]))
    return np.array(out)


def test_knn_against_brute_force() -> None:
    X, Y, X_val, Y_val, X_test, _ = sphere_and_others()
    predicted, chosen = knn(X, Y, X_val, Y_val, X_test)
    assert len({c["k"] for c in chosen}) > 1  # so that each target has its own
    for t in range(Y.shape[1]):
        errors = {
            k: float(np.mean((slow_knn(X, Y[:, t], k, X_val) - Y_val[:, t]) ** 2))
            for k in (1, 2, 3, 5, 8, 13, 21)
        }
        best = min(errors, key=errors.__getitem__)
        assert chosen[t] == {"k": best}
        np.testing.assert_allclose(predicted[:, t], slow_knn(X, Y[:, t], best, X_test))


def test_knn_with_few_rows_tries_what_there_is() -> None:
    x = np.arange(4.0)[:, None]
    predicted, chosen = knn(x, x, x[:2], x[:2], x[2:])
    assert chosen == [{"k": 1}] and predicted.tolist() == [[2.0], [3.0]]


# --- boosted trees ---------------------------------------------------------------------------------------


def test_xgboost_is_deterministic_and_each_target_is_as_if_alone() -> None:
    X, Y, X_val, Y_val, X_test, _ = sphere_and_others()
    predicted, chosen = xgboost(X, Y, X_val, Y_val, X_test)
    again, _ = xgboost(X, Y, X_val, Y_val, X_test)
    np.testing.assert_array_equal(predicted, again)
    for t in range(Y.shape[1]):
        alone, choice = xgboost(X, Y[:, [t]], X_val, Y_val[:, [t]], X_test)
        np.testing.assert_array_equal(alone[:, 0], predicted[:, t])
        assert choice == [chosen[t]]
        assert chosen[t]["max_depth"] in (3, 6) and 1 <= chosen[t]["trees"] <= 500


def test_xgboost_learns() -> None:
    X, Y, X_val, Y_val, X_test, Y_test = sphere_and_others(dof=2, n=500)
    predicted, _ = xgboost(X, Y, X_val, Y_val, X_test)
    assert np.corrcoef(predicted[:, 0], Y_test[:, 0])[0, 1] > 0.98


# --- all of them -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BASELINES)
def test_shapes_and_choices(name: str) -> None:
    X, Y, X_val, Y_val, X_test, Y_test = sphere_and_others()
    for t in (1, 3):
        predicted, chosen = BASELINES[name](X, Y[:, :t], X_val, Y_val[:, :t], X_test)
        assert predicted.shape == Y_test[:, :t].shape and predicted.dtype == float
        assert len(chosen) == t
        assert all(type(v) in (int, float) for c in chosen for v in c.values())  # goes into JSON


@pytest.mark.parametrize("name", BASELINES)
def test_unit_of_y_plays_no_part(name: str) -> None:
    X, Y, X_val, Y_val, X_test, _ = sphere_and_others()
    scale = 2.0**20  # exact, so that no rounding decides between trees
    predicted, chosen = BASELINES[name](X, Y, X_val, Y_val, X_test)
    scaled, choice = BASELINES[name](X, Y * scale, X_val, Y_val * scale, X_test)
    np.testing.assert_allclose(scaled, predicted * scale, rtol=1e-9)
    assert choice == chosen


@pytest.mark.parametrize("name", BASELINES)
def test_a_constant_column_and_a_constant_target_are_no_trouble(name: str) -> None:
    X, Y, X_val, Y_val, X_test, _ = sphere_and_others()
    X, X_val, X_test = (np.column_stack([v, np.ones(len(v))]) for v in (X, X_val, X_test))
    Y, Y_val = (np.column_stack([v[:, :1], np.full(len(v), 7.0)]) for v in (Y, Y_val))
    predicted, _ = BASELINES[name](X, Y, X_val, Y_val, X_test)
    assert np.isfinite(predicted).all()
    np.testing.assert_allclose(predicted[:, 1], 7.0, rtol=1e-6)


def test_a_missing_library_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    arguments: list[Any] = list(sphere_and_others())[:5]
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(ImportError, match=r"pip install 'embreg\[boosting\]'"):
        xgboost(*arguments)
