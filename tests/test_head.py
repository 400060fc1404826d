"""MLPHead: equal to a plain loop that trains one configuration at a time, and careful with odd data."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from embreg import MLPHead
from embreg.training.bank import Bank, Trained, initial_weights

GRID = [(lr, wd) for lr in (1e-3, 3e-2) for wd in (0.0, 0.1, 1.0)]


pytestmark = pytest.mark.usefixtures("one_thread")


def problem(n: int = 80, d: int = 6, t: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Something an MLP can learn in a few epochs; targets of very different scale."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    Y = np.tanh(X @ rng.normal(size=(d, t))) + 0.1 * rng.normal(size=(n, t))
    return X, Y * 10.0 ** np.arange(t) + 5.0


def small(**settings: Any) -> MLPHead:
    return MLPHead(
        **{
            "hidden": (16, 8), "learning_rates": (1e-3, 1e-2), "weight_decays": (0, 0.1), "max_epochs": 25,
            "patience": 5, "batch_size": 16, "precision": "float32", "random_state": 0, **settings,
        }
    )  # fmt: skip


# --- the bank against a plain loop --------------------------------------------------------------------


def plain_loop(
    bank: Bank,
    X: np.ndarray,
    y: np.ndarray,
    X_val: np.ndarray,
    y_val: np.ndarray,
    learning_rate: float,
    weight_decay: float,
) -> Trained:
    """One MLP with autograd and torch.optim.AdamW: what a reader would write."""
    sizes = (X.shape[1], *bank.hidden, 1)
    parameters = [torch.from_numpy(w).requires_grad_() for w in initial_weights(sizes, bank.seed)]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=weight_decay, fused=False)
    inputs, targets, val_inputs, val_targets = map(torch.from_numpy, (X, y, X_val, y_val))

    def predict(rows: torch.Tensor) -> torch.Tensor:
        h = rows
        for i in range(0, len(parameters) - 2, 2):
            h = torch.relu(h @ parameters[i] + parameters[i + 1])
        return (h @ parameters[-2] + parameters[-1])[:, 0]

    order = np.random.default_rng(bank.seed)
    size = len(X) if bank.batch_size is None else bank.batch_size
    best = Trained(float("inf"), 0, 0, [])
    for epoch in range(1, bank.max_epochs + 1):
        rows = order.permutation(len(X)) if size < len(X) else np.arange(len(X))
        for start in range(0, len(X), size):
            part = torch.from_numpy(rows[start : start + size])
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(predict(inputs[part]), targets[part]).backward()
            optimizer.step()
        with torch.no_grad():
            loss = torch.nn.functional.mse_loss(predict(val_inputs), val_targets).item()
        best.epochs = epoch
        if loss < best.val_loss:
            best.val_loss, best.best_epoch = loss, epoch
            best.weights = [p.detach().numpy().copy() for p in parameters]
        if epoch - best.best_epoch >= bank.patience:
            break
    return best


@pytest.mark.parametrize("batch_size", [16, 7, None, 1000])
@pytest.mark.parametrize("hidden", [(24, 12), (10,), (8, 8, 8)])
def test_bank_equals_a_plain_loop(batch_size: int | None, hidden: tuple[int, ...]) -> None:
    """Configuration by configuration, target by target: losses to 1e-4, weights to 1e-3, epochs exactly."""
    X, Y = problem(n=60)
    X = X.astype(np.float32)
    Y = ((Y - Y.mean(0)) / Y.std(0)).astype(np.float32)
    data = X[:45], Y[:45], X[45:], Y[45:]
    bank = Bank(hidden, max_epochs=15, patience=3, batch_size=batch_size, precision="float32", seed=3)
    stopped = set()
    for t, row in enumerate(bank.train(*data, GRID)):
        for (lr, wd), fast in zip(GRID, row, strict=True):
            slow = plain_loop(bank, data[0], data[1][:, t], data[2], data[3][:, t], lr, wd)
            assert (fast.best_epoch, fast.epochs) == (slow.best_epoch, slow.epochs)
            assert fast.val_loss == pytest.approx(slow.val_loss, rel=1e-4)
            for a, b in zip(fast.weights, slow.weights, strict=True):
                np.testing.assert_allclose(a, b.reshape(a.shape), rtol=0, atol=1e-3)
            stopped.add(fast.epochs < 15)
    assert stopped == {True, False}, "the case should have both early stopping and training to the end"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_mlp_does_not_depend_on_its_neighbors(precision: str) -> None:
    """20 targets x 6 configurations fill several blocks; each alone gives the same, to 1e-6."""
    X, Y = problem(n=50, t=20)
    X = X.astype(np.float32)
    Y = ((Y - Y.mean(0)) / Y.std(0)).astype(np.float32)
    bank = Bank((12,), max_epochs=8, patience=2, batch_size=16, precision=precision, seed=1)
    together = bank.train(X[:40], Y[:40], X[40:], Y[40:], GRID)
    for t in (0, 7, 19):
        for c in (0, 5):
            [[alone]] = bank.train(X[:40], Y[:40, [t]], X[40:], Y[40:, [t]], GRID[c : c + 1])
            assert alone.val_loss == pytest.approx(together[t][c].val_loss, rel=1e-6)
            assert (alone.best_epoch, alone.epochs) == (together[t][c].best_epoch, together[t][c].epochs)


def test_initial_weights_are_those_of_linear_layers() -> None:
    W1, b1, W2, b2 = initial_weights((400, 30, 1), seed=0)
    assert [w.shape for w in (W1, b1, W2, b2)] == [(400, 30), (1, 30), (30, 1), (1, 1)]
    assert all(w.dtype == np.float32 for w in (W1, b1, W2, b2))
    assert np.abs(W1).max() <= 1 / 20 and np.abs(W1).max() > 0.999 / 20
    assert W1.std() == pytest.approx(1 / 20 / np.sqrt(3), rel=0.02)
    assert not np.array_equal(W1, initial_weights((400, 30, 1), seed=1)[0])


# --- the head ----------------------------------------------------------------------------------------


def test_head_is_the_plain_loop_with_scaling_around_it() -> None:
    """Scaling on training rows, sweep, choice and prediction, all written out once more."""
    X, Y = problem()
    head = small().fit(X[:60], Y[:60, 1], X_val=X[60:], y_val=Y[60:, 1])
    mean, scale = X[:60].mean(0), X[:60].std(0)
    y_mean, y_scale = Y[:60, 1].mean(), Y[:60, 1].std()
    A, B = (((v - mean) / scale).astype(np.float32) for v in (X[:60], X[60:]))
    a, b = (((v - y_mean) / y_scale).astype(np.float32) for v in (Y[:60, 1], Y[60:, 1]))
    seed = int(np.random.RandomState(0).randint(2**31 - 1))
    bank = Bank((16, 8), 25, 5, 16, "float32", seed)
    grid = [(1e-3, 0.0), (1e-3, 0.1), (1e-2, 0.0), (1e-2, 0.1)]
    slow = [plain_loop(bank, A, a, B, b, lr, wd) for lr, wd in grid]
    np.testing.assert_allclose(head.sweep_["val_loss"], [s.val_loss for s in slow], rtol=1e-4)
    winner = int(np.argmin([s.val_loss for s in slow]))
    assert head.best_params_ == {"learning_rate": grid[winner][0], "weight_decay": grid[winner][1]}
    h = B
    weights = slow[winner].weights
    for i in (0, 2):
        h = np.maximum(h @ weights[i] + weights[i + 1], 0)
    expected = (h @ weights[4] + weights[5])[:, 0] * y_scale + y_mean
    np.testing.assert_allclose(head.predict(X[60:]), expected, rtol=1e-3)


def test_sweep_is_tidy_and_complete() -> None:
    X, Y = problem()
    head = small(learning_rates=(1e-2, 1e-3, 5e-3), weight_decays=(1, 0)).fit(X, Y)
    sweep = head.sweep_
    assert list(sweep.columns) == [
        "target", "learning_rate", "weight_decay", "val_loss", "best_epoch", "epochs",
    ]  # fmt: skip
    wanted = [(t, lr, wd) for t in range(3) for lr in (1e-2, 1e-3, 5e-3) for wd in (1.0, 0.0)]
    assert (
        list(sweep[["target", "learning_rate", "weight_decay"]].itertuples(index=False, name=None)) == wanted
    )
    assert not sweep.isna().any().any()
    assert (sweep["best_epoch"] >= 1).all() and (sweep["best_epoch"] <= sweep["epochs"]).all()
    assert (sweep["epochs"] <= 25).all() and head.n_iter_ == sweep["epochs"].max()


def test_defaults_are_the_papers_sweep() -> None:
    head = MLPHead()
    assert (head.hidden, head.max_epochs) == ((256, 256), 300)
    assert len(head.learning_rates) * len(head.weight_decays) == 15


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_winner_has_the_smallest_loss_and_its_best_weights_predict(precision: str) -> None:
    """Predicting the validation rows gives the loss in the sweep, whatever precision trained."""
    X, Y = problem()
    head = small(precision=precision).fit(X[:60], Y[:60], X_val=X[60:], y_val=Y[60:])
    errors = ((head.predict(X[60:]) - Y[60:]) / Y[:60].std(0)) ** 2
    for t, best in enumerate(head.best_params_):
        part = head.sweep_[head.sweep_["target"] == t]
        winner = part.loc[part["val_loss"].idxmin()]
        assert best == {k: winner[k] for k in ("learning_rate", "weight_decay")}
        assert errors[:, t].mean() == pytest.approx(winner["val_loss"], rel=1e-4)


def test_best_weights_are_kept_when_training_goes_on_to_overfit() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 10)), rng.normal(size=40)  # nothing to learn: it only gets worse
    data = {"X_val": X[30:], "y_val": y[30:]}
    long = small(learning_rates=(1e-2,), weight_decays=(0,), max_epochs=60, patience=60)
    long.fit(X[:30], y[:30], **data)
    best = int(long.sweep_["best_epoch"].item())
    assert best < 30 and long.sweep_["epochs"].item() == 60
    short = clone(long).set_params(max_epochs=best).fit(X[:30], y[:30], **data)
    np.testing.assert_array_equal(long.predict(X), short.predict(X))


def test_patience_counts_epochs_without_improvement() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 10)), rng.normal(size=40)
    for patience in (1, 4):
        sweep = small(patience=patience, max_epochs=200).fit(X, y).sweep_
        assert (sweep["epochs"] == sweep["best_epoch"] + patience).all()


def test_several_targets_at_once_equal_one_by_one() -> None:
    X, Y = problem(t=5)
    data = {"X_val": X[60:], "y_val": Y[60:]}
    together = small().fit(X[:60], Y[:60], **data)
    assert together.predict(X).shape == (80, 5)
    for t in range(5):
        alone = small().fit(X[:60], Y[:60, t], X_val=X[60:], y_val=Y[60:, t])
        assert alone.best_params_ == together.best_params_[t]
        spread = np.ptp(Y[:, t])
        np.testing.assert_allclose(alone.predict(X) / spread, together.predict(X)[:, t] / spread, atol=1e-6)
    column = small().fit(X[:60], Y[:60, :1], X_val=X[60:], y_val=Y[60:, :1])
    assert column.predict(X).shape == (80, 1) and isinstance(column.best_params_, list)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_deterministic_for_a_random_state(precision: str) -> None:
    X, Y = problem()
    one, two, other = (small(random_state=s, precision=precision).fit(X, Y[:, 0]) for s in (4, 4, 5))
    np.testing.assert_array_equal(one.predict(X), two.predict(X))
    pd.testing.assert_frame_equal(one.sweep_, two.sweep_)
    assert not np.array_equal(one.predict(X), other.predict(X))


def test_global_random_state_is_left_alone() -> None:
    X, Y = problem()
    np.random.seed(0), torch.manual_seed(0)
    wanted = np.random.rand(), torch.rand(1).item()
    np.random.seed(0), torch.manual_seed(0)
    small().fit(X, Y)
    assert (np.random.rand(), torch.rand(1).item()) == wanted


def test_validation_rows_of_its_own_are_held_out_and_not_trained_on() -> None:
    """Held-out rows decide epochs and winner only: scaling comes from the others."""
    X, Y = problem()
    head = small(validation_fraction=0.25).fit(X, Y[:, 0])
    from sklearn.model_selection import train_test_split

    rng = np.random.RandomState(0)
    A, B, a, b = train_test_split(X, Y[:, 0], test_size=20, random_state=rng)
    np.testing.assert_allclose(head.x_mean_, A.mean(0))
    assert head.y_mean_ == pytest.approx(a.mean())
    loss = (((head.predict(B) - b) / a.std()) ** 2).mean()
    assert loss == pytest.approx(head.sweep_["val_loss"].min(), rel=1e-4)


def test_given_validation_rows_do_not_touch_the_scaling() -> None:
    X, Y = problem()
    head = small().fit(X[:60], Y[:60, 0], X_val=X[60:] * 100, y_val=Y[60:, 0] * 100)
    np.testing.assert_allclose(head.x_mean_, X[:60].mean(0))
    assert head.y_mean_ == pytest.approx(Y[:60, 0].mean())


def test_diverging_configuration_never_wins() -> None:
    X, Y = problem()
    with np.errstate(all="ignore"):
        head = small(learning_rates=(1e30, 1e-2), weight_decays=(0,)).fit(X, Y)
    assert {p["learning_rate"] for p in head.best_params_} == {1e-2}
    lost = head.sweep_[head.sweep_["learning_rate"] == 1e30]
    assert (lost["val_loss"] > 1e6).all() and not head.sweep_["val_loss"].isna().any()
    assert np.isfinite(head.predict(X)).all()


def test_when_all_diverge_there_is_an_error_and_no_nan() -> None:
    X, Y = problem()
    with pytest.raises(FloatingPointError, match=r"every configuration diverged, however: targets \[0\]"):
        small(learning_rates=(1e38,), weight_decays=(0,)).fit(X, Y[:, 0])


def test_standardize_makes_the_scale_of_features_irrelevant_and_is_an_option() -> None:
    X, Y = problem()
    units = 2.0 ** np.array([20, -20, 3, 0, 7, -9])  # powers of two: no rounding in between
    head, scaled = small().fit(X, Y[:, 0]), small().fit(X * units + 0, Y[:, 0])
    np.testing.assert_array_equal(head.predict(X), scaled.predict(X * units))
    raw = small(standardize=False).fit(X, Y[:, 0])
    assert raw.x_mean_.tolist() == [0] * 6 and raw.x_scale_.tolist() == [1] * 6
    assert not np.array_equal(raw.predict(X), head.predict(X))
    already = small(standardize=False).fit((X - head.x_mean_) / head.x_scale_, Y[:, 0])
    np.testing.assert_array_equal(already.predict((X - head.x_mean_) / head.x_scale_), head.predict(X))


@settings(max_examples=12)
@given(exponent=st.integers(-600, 600), shift=st.sampled_from([0.0, 1.0, -3.0]))
def test_scale_and_shift_of_y_are_irrelevant(exponent: int, shift: float) -> None:
    """Scores of a ranking do not move whether y is in dollars or in 1e-180 dollars."""
    X, Y = problem(n=40)
    unit = 2.0**exponent
    head = small(max_epochs=3)
    plain = head.fit(X, Y[:, 0] + shift).predict(X)
    np.testing.assert_allclose(head.fit(X, (Y[:, 0] + shift) * unit).predict(X) / unit, plain, rtol=1e-6)


def test_constant_column_changes_nothing_but_the_draw_of_weights() -> None:
    X, Y = problem()
    X = np.column_stack([X, np.full(80, 0.1), np.full(80, 1e9)])
    head = small().fit(X, Y[:, 0])
    assert head.x_scale_[-2:].tolist() == [1.0, 1.0]
    assert np.isfinite(head.predict(X)).all() and head.score(X, Y[:, 0]) > 0.5


@pytest.mark.parametrize("value", [0.0, 0.1, -7e200, 1e-200])
def test_constant_y_predicts_that_constant(value: float) -> None:
    X, Y = problem()
    Y[:, 1] = value
    head = small().fit(X, Y)
    assert (head.predict(X)[:, 1] == value).all()
    assert head.y_scale_[1] == 0 and np.ptp(head.predict(X)[:, 0]) > 0
    assert (small().fit(X, Y[:, 1]).predict(X) == value).all()


@pytest.mark.parametrize("size", [80, 81, 10**6])
def test_batch_as_large_as_the_training_set_is_the_whole_of_it(size: int) -> None:
    X, Y = problem()
    whole, large = small(batch_size=None).fit(X, Y[:, 0]), small(batch_size=size).fit(X, Y[:, 0])
    np.testing.assert_array_equal(whole.predict(X), large.predict(X))


def test_bfloat16_learns_as_well_as_float32() -> None:
    """On something learnable the two differ in R² by less than 0.02."""
    X, Y = problem(n=300, t=2)
    scores = {}
    for precision in ("float32", "bfloat16"):
        head = small(hidden=(32, 32), precision=precision, max_epochs=60, patience=15, batch_size=32)
        head.fit(X[:200], Y[:200], X_val=X[200:250], y_val=Y[200:250])
        assert head.precision_ == precision and all(w.dtype == np.float32 for w in head.weights_[0])
        scores[precision] = head.score(X[250:], Y[250:])
    assert scores["float32"] > 0.8
    assert scores["bfloat16"] == pytest.approx(scores["float32"], abs=0.02)


def test_data_frames_lists_and_float32_are_the_same_input() -> None:
    X, Y = problem()
    X = X.astype(np.float32)
    expected = small().fit(X, Y[:, 0]).predict(X)
    table = pd.DataFrame(X, columns=list("abcdef"))
    np.testing.assert_array_equal(small().fit(table, pd.Series(Y[:, 0])).predict(table), expected)
    np.testing.assert_array_equal(small().fit(X.tolist(), Y[:, 0].tolist()).predict(X.tolist()), expected)
    with pytest.raises(ValueError, match="feature names"):
        small().fit(table, Y[:, 0]).predict(table[list("fedcba")])


def test_inputs_are_left_as_they_were() -> None:
    X, Y = problem()
    before = X.copy(), Y.copy()
    small().fit(X, Y, X_val=X, y_val=Y).predict(X)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(Y, before[1])


# --- errors ------------------------------------------------------------------------------------------


def broken(a: np.ndarray, value: float) -> np.ndarray:
    out = a.copy()
    out.flat[5] = value
    return out


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (*[lambda X: X, lambda y: broken(y, np.nan)], "Input y contains NaN"),
        (*[lambda X: X, lambda y: broken(y, np.inf)], "Input y contains infinity"),
        (*[lambda X: broken(X, np.nan), lambda y: y], "Input X contains NaN"),
        (*[lambda X: broken(X, -np.inf), lambda y: y], "Input X contains infinity"),
        (*[lambda X: X[:1], lambda y: y[:1]], r"1 sample\(s\).*minimum of 2 is required"),
        (*[lambda X: X[:2], lambda y: y[:2]], "two training rows are needed, however: n_samples=2 leaves 1"),
        (*[lambda X: X[:0], lambda y: y[:0]], r"0 sample\(s\)"),
        (*[lambda X: X[:, :0], lambda y: y], r"0 feature\(s\)"),
        (*[lambda X: X[:, 0], lambda y: y], "Expected 2D array, got 1D array instead"),
        (*[lambda X: X, lambda y: y[:-1]], "inconsistent numbers of samples"),
        (*[lambda X: X, lambda y: np.r_[y, 0.0]], "inconsistent numbers of samples"),
        (*[lambda X: X * 1e60 ** np.arange(6), lambda y: y], "must fit float32"),
        (*[lambda X: X, lambda y: np.array(["low"] * 80)], r"could not convert string to float: .*low"),
        (*[lambda X: np.full((80, 6), "red"), lambda y: y], r"must hold numbers, .* string to float: .*red"),
        (
            *[lambda X: pd.DataFrame(X).assign(color="red").rename(columns=str), lambda y: y],
            "string to float: 'red'; turn rows with strings into features first, with TextEmbedder",
        ),
    ],
)
def test_data_that_cannot_be_fitted_is_an_error(X: Any, y: Any, message: str) -> None:
    data, target = problem()
    with pytest.raises(ValueError, match=message):
        small(standardize=False).fit(X(data), y(target[:, 0]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rates": ()}, "learning_rates must be a sequence of positive numbers, at least one"),
        ({"learning_rates": (0,)}, r"learning_rates must be .* got \(0,\)"),
        ({"learning_rates": 1e-3}, "learning_rates must be a sequence .* got 0.001"),
        ({"learning_rates": ("1e-3",)}, "learning_rates must be"),
        ({"learning_rates": (float("nan"),)}, "learning_rates must be"),
        ({"learning_rates": (float("inf"),)}, "learning_rates must be"),
        ({"weight_decays": []}, "weight_decays must be a sequence of numbers from 0, at least one"),
        ({"weight_decays": (-0.1,)}, "weight_decays must be"),
        ({"hidden": ()}, "hidden must be a sequence of whole numbers from 1, at least one"),
        ({"hidden": (16.0,)}, "hidden must be"),
        ({"hidden": (16, 0)}, "hidden must be"),
        ({"hidden": "16"}, "hidden must be"),
        ({"max_epochs": 0}, "max_epochs must be a whole number from 1, however: got 0"),
        ({"max_epochs": 2.5}, "max_epochs must be"),
        ({"patience": 0}, "patience must be"),
        ({"batch_size": 0}, "batch_size must be a whole number from 1 or None, however: got 0"),
        ({"batch_size": 0.5}, "batch_size must be"),
        ({"validation_fraction": 0}, "validation_fraction must be between 0 and 1, however: got 0"),
        ({"validation_fraction": 1.0}, "validation_fraction must be"),
        ({"validation_fraction": None}, "validation_fraction must be"),
        ({"precision": "float16"}, "dtype must be 'auto', 'float32' or 'bfloat16'"),
    ],
)
def test_wrong_parameter_is_an_error_that_names_it(settings: dict[str, Any], message: str) -> None:
    X, Y = problem()
    with pytest.raises(ValueError, match=message):
        small(**settings).fit(X, Y)


@pytest.mark.parametrize(
    ("X_val", "y_val", "message"),
    [
        (np.ones((5, 6)), None, "X_val and y_val go together"),
        (None, np.ones((5, 3)), "X_val and y_val go together"),
        (np.ones((5, 6)), np.ones((4, 3)), r"shape \(5, 3\), however: y_val.shape=\(4, 3\)"),
        (np.ones((5, 6)), np.ones(5), r"shape \(5, 3\), however: y_val.shape=\(5,\)"),
        (np.ones((5, 6)), np.ones((5, 1)), r"shape \(5, 3\), however: y_val.shape=\(5, 1\)"),
        (np.ones((5, 6)), np.full((5, 3), np.nan), "15 not finite"),
        (np.ones((5, 7)), np.ones((5, 3)), "X has 7 features, but MLPHead is expecting 6"),
        (np.full((5, 6), np.nan), np.ones((5, 3)), "Input X contains NaN"),
    ],
)
def test_validation_rows_that_do_not_fit_are_an_error(X_val: Any, y_val: Any, message: str) -> None:
    X, Y = problem()
    with pytest.raises(ValueError, match=message):
        small().fit(X, Y, X_val=X_val, y_val=y_val)


def test_more_validation_than_training_rows_are_accepted_with_a_warning() -> None:
    """They only choose: that is wasteful and not wrong."""
    X, Y = problem()
    few = {"X": X[:30], "y": Y[:30], "X_val": X[30:], "y_val": Y[30:]}
    with pytest.warns(
        UserWarning, match="more validation than training rows, however: 50 beside 30"
    ) as found:
        head = small().fit(**few)
    assert len(found) == 1 and found[0].filename == __file__
    assert np.isfinite(head.predict(X)).all()
    with pytest.warns(UserWarning, match="however: 48 beside 32"):
        small(validation_fraction=0.6).fit(X, Y)
    small().fit(X[:40], Y[:40], X_val=X[40:], y_val=Y[40:])  # as many: no warning


def test_validation_rows_of_strings_are_an_error() -> None:
    X, Y = problem()
    with pytest.raises(ValueError, match=r"must hold numbers, .* string to float: .*red"):
        small().fit(X, Y, X_val=np.full((5, 6), "red"), y_val=Y[:5])


def test_predict_refuses_what_fit_did_not_see() -> None:
    X, Y = problem()
    with pytest.raises(NotFittedError):
        small().predict(X)
    head = small().fit(X, Y)
    with pytest.raises(ValueError, match="X has 5 features, but MLPHead is expecting 6 features"):
        head.predict(X[:, :5])
    with pytest.raises(ValueError, match=r"string to float: .*red"):
        head.predict(np.full((2, 6), "red"))
    with pytest.raises(ValueError, match="Input X contains NaN"):
        head.predict(broken(X, np.nan))
    with pytest.raises(ValueError, match=r"X\[0, 5\]=1e\+300 beside a spread of"):
        head.predict(broken(X, 1e300))


# --- scikit-learn ------------------------------------------------------------------------------------


@parametrize_with_checks(
    [MLPHead((32,), (1e-2,), (0, 0.1), max_epochs=100, precision="float32", random_state=0)],
    expected_failed_checks=lambda _: {
        "check_sample_weight_equivalence_on_dense_data": "which rows are held out, and which share a batch, "
        "depends on how many there are; with rows given and batch_size=None it holds to float32: "
        "test_a_whole_weight_is_a_row_that_is_repeated",
    },
)
def test_scikit_learns_estimator_checks(estimator: MLPHead, check: Any) -> None:
    """One expected failure, with its reason."""
    check(estimator)


def test_fitted_head_survives_pickling_and_clone_forgets() -> None:
    X, Y = problem()
    head = small().fit(X, Y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(head)).predict(X), head.predict(X))
    assert not hasattr(clone(head), "weights_") and clone(head).get_params() == head.get_params()


@pytest.mark.parametrize("threads", [2, 5])
def test_the_number_of_threads_does_not_matter(threads: int) -> None:
    """Nor the number of MLPs that are trained as one block, which depends on it; to 1e-5."""
    X, Y = problem(t=7)
    single = small().fit(X, Y)
    try:
        torch.set_num_threads(threads)
        several = small().fit(X, Y)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(1)
    spread = np.ptp(Y, axis=0)
    np.testing.assert_allclose(several.predict(X) / spread, single.predict(X) / spread, atol=1e-5)
    np.testing.assert_allclose(several.sweep_["val_loss"], single.sweep_["val_loss"], rtol=1e-5)
    assert several.sweep_["epochs"].tolist() == single.sweep_["epochs"].tolist()
