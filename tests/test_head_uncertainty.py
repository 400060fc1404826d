"""MLPHead: ensembles, weights of rows, devices, and the size of blocks."""

from __future__ import annotations

import pickle
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from embreg import MLPHead
from embreg.training import block as block_module
from embreg.training.bank import Bank, Data, forward
from embreg.training.breakdown import PARTS, breakdown
from embreg.training.weighting import weighted_mean, weighted_spread

pytestmark = pytest.mark.usefixtures("one_thread")


def problem(n: int = 60, d: int = 5, t: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    Y = np.tanh(X @ rng.normal(size=(d, t))) + 0.1 * rng.normal(size=(n, t))
    return X, Y * 10.0 ** np.arange(t) + 5.0


def small(**settings: Any) -> MLPHead:
    return MLPHead(
        **{
            "hidden": (12, 8), "learning_rates": (1e-3, 1e-2), "weight_decays": (0, 0.1), "max_epochs": 12,
            "patience": 5, "batch_size": 16, "precision": "float32", "random_state": 0, **settings,
        }
    )  # fmt: skip


def flat(lists: list[list[Any]]) -> list[Any]:
    return list(chain.from_iterable(lists))


def given_rows(X: np.ndarray, Y: np.ndarray) -> dict[str, np.ndarray]:
    return {"X": X[:40], "y": Y[:40], "X_val": X[40:], "y_val": Y[40:]}


# --- ensemble ----------------------------------------------------------------------------------------


def test_first_member_is_the_head_without_an_ensemble() -> None:
    """Bit by bit, sweep and weights; and members do not depend on how many there are."""
    rows = given_rows(*problem())
    one, three, four = (small(ensemble=k).fit(**rows) for k in (1, 3, 4))
    pd.testing.assert_frame_equal(one.sweep_, three.sweep_)
    assert one.best_params_ == three.best_params_ and one.n_iter_ == three.n_iter_
    assert (len(one.members_), len(three.members_), len(four.members_)) == (1, 3, 4)
    assert three.members_[0] is three.weights_ and three.member_losses_.shape == (3, 3)
    for a, b in ((one, three), (three, four)):
        for mine, theirs in zip(a.members_, b.members_, strict=False):
            for v, w in zip(flat(mine), flat(theirs), strict=True):
                np.testing.assert_array_equal(v, w)


def test_a_member_is_its_targets_winner_from_another_start() -> None:
    """Each further member, trained alone with its seed and its configuration, is the same MLP."""
    X, Y = problem()
    rows = given_rows(X, Y)
    head = small(ensemble=3).fit(**rows)
    rng = np.random.RandomState(0)
    seeds = [int(rng.randint(2**31 - 1)) for _ in range(3)]
    assert len(set(seeds)) == 3
    A, B = (((v - X[:40].mean(0)) / X[:40].std(0)).astype(np.float32) for v in (X[:40], X[40:]))
    a, b = ((v - Y[:40].mean(0)) / Y[:40].std(0) for v in (Y[:40], Y[40:]))
    for m, seed in enumerate(seeds):
        for t, best in enumerate(head.best_params_):
            bank = Bank((12, 8), 12, 5, 16, "float32", seed)
            [[alone]] = bank.train(A, a[:, [t]], B, b[:, [t]], [tuple(best.values())])
            assert alone.val_loss == pytest.approx(head.member_losses_[m, t], rel=1e-5)
            for v, w in zip(alone.weights, head.members_[m][t], strict=True):
                np.testing.assert_allclose(v, w, atol=1e-5)


def test_mean_and_spread_are_those_of_the_members() -> None:
    X, Y = problem()
    head = small(ensemble=4).fit(**given_rows(X, Y))
    mean, std = head.predict(X, return_std=True)
    each = np.array([small_copy(head, m).predict(X) for m in range(4)])
    np.testing.assert_allclose(mean, each.mean(0), rtol=1e-10)
    np.testing.assert_allclose(std, each.std(0, ddof=1), rtol=1e-8)
    np.testing.assert_array_equal(head.predict(X), mean)
    assert (std > 0).all() and mean.shape == std.shape == (60, 3)
    single = small(ensemble=2).fit(X, Y[:, 0])
    mean, std = single.predict(X, return_std=True)
    assert mean.shape == std.shape == (60,)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(single)).predict(X, return_std=True)[1], std)


def small_copy(head: MLPHead, m: int) -> MLPHead:
    """The head with member m alone."""
    copy = pickle.loads(pickle.dumps(head))
    copy.members_ = [copy.members_[m]]
    return copy


def test_spread_grows_away_from_the_training_rows() -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(80, 2))
    y = np.sin(3 * X[:, 0]) + X[:, 1]
    head = small(ensemble=5, hidden=(32, 32), max_epochs=60, learning_rates=(1e-2,)).fit(X, y)
    near, far = (head.predict(scale * X, return_std=True)[1].mean() for scale in (1, 10))
    assert far > 5 * near > 0


def test_constant_target_has_no_spread() -> None:
    X, Y = problem()
    Y[:, 1] = 0.1
    mean, std = small(ensemble=3).fit(X, Y).predict(X, return_std=True)
    assert (mean[:, 1] == 0.1).all() and (std[:, 1] == 0).all() and (std[:, 0] > 0).all()


def test_spread_of_a_single_member_is_an_error_that_names_ensemble() -> None:
    X, Y = problem()
    with pytest.raises(
        ValueError, match=r"return_std must .* fitted with ensemble=1; use MLPHead\(ensemble=5\)"
    ):
        small().fit(X, Y).predict(X, return_std=True)
    for wrong in (0, 1.5, None, "2"):
        with pytest.raises(ValueError, match="ensemble must be a whole number from 1, however: got"):
            small(ensemble=wrong).fit(X, Y)


# --- weights of rows ---------------------------------------------------------------------------------


@settings(max_examples=15)
@given(
    weights=st.lists(st.integers(1, 6), min_size=12, max_size=12), scale=st.sampled_from([1e-150, 1.0, 1e150])
)
def test_weighted_mean_and_spread_are_those_of_repeated_rows(weights: list[int], scale: float) -> None:
    X, w = problem(n=12)[0] * scale, np.array(weights, dtype=float)
    repeated = X.repeat(weights, axis=0)
    np.testing.assert_allclose(weighted_mean(X, w), repeated.mean(0), rtol=1e-9, atol=1e-14 * scale)
    np.testing.assert_allclose(weighted_spread(X, w) / scale, (repeated / scale).std(0), rtol=1e-9)


def test_a_whole_weight_is_a_row_that_is_repeated() -> None:
    """With all rows in each step: losses to 1e-4, predictions to 1e-3 of the spread of y."""
    X, Y = problem()
    w = np.random.default_rng(1).integers(0, 4, size=60)
    head = small(batch_size=None, max_epochs=20)
    weighted = head.fit(X[:40], Y[:40], w[:40], X_val=X[40:], y_val=Y[40:], sample_weight_val=w[40:])
    losses, got = weighted.sweep_["val_loss"], weighted.predict(X)
    a, b = X.repeat(w * (np.arange(60) < 40), axis=0), X.repeat(w * (np.arange(60) >= 40), axis=0)
    c, d = Y.repeat(w * (np.arange(60) < 40), axis=0), Y.repeat(w * (np.arange(60) >= 40), axis=0)
    repeated = small(batch_size=None, max_epochs=20).fit(a, c, X_val=b, y_val=d)
    np.testing.assert_allclose(losses, repeated.sweep_["val_loss"], rtol=1e-4)
    np.testing.assert_allclose(got / Y.std(0), repeated.predict(X) / Y.std(0), atol=1e-3)
    plain = small(batch_size=None, max_epochs=20).fit(X[:40], Y[:40], X_val=X[40:], y_val=Y[40:])
    assert not np.allclose(losses, plain.sweep_["val_loss"], rtol=1e-2), "the weights should matter"


@pytest.mark.parametrize("batch_size", [7, None])
def test_weight_of_zero_leaves_the_row_out(batch_size: int | None) -> None:
    """Bit by bit, whatever the batches, and with rows that are held out too."""
    X, Y = problem()
    w = np.tile([1.0, 2.5, 0.0], 20)
    there = w > 0
    X[~there] = 1e6  # would spoil every mean
    with_zeros = small(batch_size=batch_size).fit(X, Y, w)
    without = small(batch_size=batch_size).fit(X[there], Y[there], w[there])
    np.testing.assert_array_equal(with_zeros.predict(X[there]), without.predict(X[there]))
    pd.testing.assert_frame_equal(with_zeros.sweep_, without.sweep_)


@pytest.mark.parametrize("weight", [1.0, 7.0, 1e-300, 1e300])
def test_equal_weights_are_none(weight: float) -> None:
    X, Y = problem()
    np.testing.assert_array_equal(
        small().fit(X, Y, np.full(60, weight)).predict(X), small().fit(X, Y).predict(X)
    )


def test_only_ratios_of_weights_matter() -> None:
    X, Y = problem()
    w = np.random.default_rng(0).uniform(0.1, 3, size=60)
    np.testing.assert_array_equal(small().fit(X, Y, w).predict(X), small().fit(X, Y, w * 2.0**900).predict(X))


def test_weights_reach_every_step_and_the_validation_loss() -> None:
    """Two groups of rows that contradict each other: the heavier one is learned."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 3))
    sign = np.repeat([1.0, -1.0], 50)
    y = sign * X[:, 0]
    for heavy in (1.0, -1.0):
        w = np.where(sign == heavy, 1.0, 1e-3)
        head = small(max_epochs=60, learning_rates=(1e-2,), ensemble=2).fit(X, y, w)
        assert np.corrcoef(head.predict(X), X[:, 0])[0, 1] * heavy > 0.9
        assert head.sweep_["val_loss"].min() < 0.1, "the light rows that are held out should not count"


def test_validation_weights_choose_and_do_not_train() -> None:
    X, Y = problem()
    rows = given_rows(X, Y[:, 0])
    w = np.r_[np.ones(5), np.zeros(15)]
    head = small(max_epochs=3, patience=3).fit(**rows, sample_weight_val=w)
    first = small(max_epochs=3, patience=3).fit(X[:40], Y[:40, 0], X_val=X[40:45], y_val=Y[40:45, 0])
    pd.testing.assert_frame_equal(head.sweep_, first.sweep_)
    error = ((head.predict(X[40:45]) - Y[40:45, 0]) / Y[:40, 0].std()) ** 2
    assert error.mean() == pytest.approx(head.sweep_["val_loss"].min(), rel=1e-4)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.r_[-1.0, np.ones(59)], "Negative values in data passed to `sample_weight`"),
        (np.r_[np.nan, np.ones(59)], "Input sample_weight contains NaN"),
        (np.r_[np.inf, np.ones(59)], "Input sample_weight contains infinity"),
        (np.ones(58), r"sample_weight.shape == \(58,\), expected \(60,\)"),
        (np.ones((60, 2)), "must be 1D array or scalar"),
        (np.zeros(60), "non-zero|positive weight"),
        (np.r_[1.0, np.zeros(59)], "two training rows"),
        (np.r_[1.0, 1.0, np.zeros(58)], "two training rows"),
        (["heavy"] * 60, "could not convert string to float"),
    ],
)
def test_weights_that_cannot_be_used_are_an_error(weights: Any, message: str) -> None:
    X, Y = problem()
    with pytest.raises(ValueError, match=message):
        small().fit(X, Y, weights)


def test_validation_weights_that_cannot_be_used_are_an_error_that_names_them() -> None:
    X, Y = problem()
    rows = given_rows(X, Y)
    with pytest.raises(ValueError, match=r"sample_weight_val.shape == \(3,\), expected \(20,\)"):
        small().fit(**rows, sample_weight_val=np.ones(3))
    with pytest.raises(ValueError, match="`sample_weight_val`"):
        small().fit(**rows, sample_weight_val=-np.arange(20))
    with pytest.raises(ValueError, match="X_val and y_val go together, and sample_weight_val with them"):
        small().fit(X, Y, sample_weight_val=np.ones(60))
    with pytest.raises(ValueError, match="two training rows must have a positive weight, however: 1 has"):
        small().fit(**rows, sample_weight=np.r_[1.0, np.zeros(39)])


# --- devices, blocks and pieces ----------------------------------------------------------------------


def standardised(d: int = 5, t: int = 7) -> tuple[np.ndarray, ...]:
    X, Y = problem(d=d, t=t)
    Y = (Y - Y.mean(0)) / Y.std(0)
    return tuple(v.astype(np.float32) for v in (X[:40], Y[:40], X[40:], Y[40:]))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_blocks_as_large_as_on_a_card_give_the_same(precision: str) -> None:
    """All targets of a configuration in one block, in one piece per layer, against one MLP a block."""
    grid = [(1e-3, 0.1), (3e-2, 0.0)]
    bank = Bank((12, 8), 15, 3, 16, precision, seed=1, models_per_block=1)
    single = bank.train(*standardised(), grid)
    large = Bank((12, 8), 15, 3, 16, precision, seed=1, models_per_block=10**6).train(*standardised(), grid)
    for one, two in zip(flat(single), flat(large), strict=True):
        assert (one.best_epoch, one.epochs) == (two.best_epoch, two.epochs)
        assert one.val_loss == pytest.approx(two.val_loss, rel=1e-4)
        for a, b in zip(one.weights, two.weights, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-3 if precision == "bfloat16" else 1e-5)
    assert len({mlp.epochs for mlp in flat(large)}) > 1, "some should leave the block early"


@pytest.mark.parametrize("piece", [1, 37, 12 * 3, 12 * 11, 12 * 30, 10**9])
def test_pieces_of_a_layer_do_not_matter(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some rows of a matrix, or some matrices of a stack, are updated at once: to 1e-5."""
    whole = Bank((12, 8), 6, 2, 16, "float32", seed=1).train(*standardised(d=11), [(1e-2, 0.1)])
    monkeypatch.setattr(block_module, "PIECE", piece)
    cut = Bank((12, 8), 6, 2, 16, "float32", seed=1).train(*standardised(d=11), [(1e-2, 0.1)])
    for one, two in zip(flat(whole), flat(cut), strict=True):
        for a, b in zip(one.weights, two.weights, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


@given(
    k=st.integers(1, 9), n_in=st.integers(1, 9), n_out=st.integers(1, 9), most=st.none() | st.integers(1, 99)
)
def test_cuts_cover_a_stack_once_and_keep_to_the_limit(
    k: int, n_in: int, n_out: int, most: int | None
) -> None:
    count = np.zeros((k, n_in, n_out), dtype=int)
    for cut in block_module._cuts(count.shape, most):
        count[cut] += 1
        assert most is None or count[cut].size <= max(most, n_out)
        # Scratch and stack have the same layout: a piece lies in one run of memory.
        assert count[cut].flags.c_contiguous
    assert (count == 1).all()


def test_weights_of_losers_are_dropped_only_when_asked() -> None:
    data, grid = standardised(), [(1e-3, 0.1), (1e-2, 0.0), (1e-2, 0.0)]
    full = Bank((12,), 4, 2, 16, "float32", seed=1).train(*data, grid)
    lean = Bank((12,), 4, 2, 16, "float32", seed=1).train(*data, grid, best_only=True)
    for all_, some in zip(full, lean, strict=True):
        assert [m.val_loss for m in all_] == [m.val_loss for m in some] and all(m.weights for m in all_)
        winner = int(np.argmin([m.val_loss for m in all_]))  # the first of equals
        assert [bool(m.weights) for m in some] == [i == winner for i in range(3)]
        np.testing.assert_array_equal(some[winner].weights[0], all_[winner].weights[0])


def test_device_is_recorded_and_auto_takes_what_is_there() -> None:
    X, Y = problem()
    here = "cuda" if torch.cuda.is_available() else "cpu"
    assert small().fit(X, Y).device_ == "cpu"
    assert small(device="auto").fit(X, Y).device_ == here


@pytest.mark.parametrize("device", ["mps", "tpu", 0, None, "cud", ""])
def test_unknown_device_is_an_error(device: Any) -> None:
    X, Y = problem()
    with pytest.raises(ValueError, match="device must be 'cpu', 'cuda', 'cuda:1' or 'auto', however: got"):
        small(device=device).fit(X, Y)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_a_card_that_is_not_there_is_an_error() -> None:
    X, Y = problem()
    with pytest.raises(ValueError, match="device='cuda' is not to be had"):
        small(device="cuda").fit(X, Y)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no card")
def test_a_card_finds_what_the_processor_finds() -> None:
    rows = given_rows(*problem())
    card, processor = small(device="cuda", ensemble=2).fit(**rows), small(ensemble=2).fit(**rows)
    np.testing.assert_allclose(card.sweep_["val_loss"], processor.sweep_["val_loss"], rtol=1e-3)
    assert all(isinstance(w, np.ndarray) for w in card.members_[1][0])


def test_breakdown_adds_up_and_is_the_same_training() -> None:
    X, Y, X_val, Y_val = standardised(d=200, t=4)
    bank = Bank((64, 32), 5, 5, 16, "float32", seed=1)
    seconds = breakdown(bank, Data(X, Y, X_val, Y_val), (1e-3, 0.1))
    assert set(seconds) == {*PARTS.values(), "rest", "total"}
    assert all(v > 0 for v in seconds.values())
    assert sum(v for k, v in seconds.items() if k != "total") == pytest.approx(seconds["total"])


def test_forward_predicts_the_validation_loss() -> None:
    X, Y, X_val, Y_val = standardised()
    for t, [mlp] in enumerate(
        Bank((12, 8), 5, 5, 16, "bfloat16", seed=1).train(X, Y, X_val, Y_val, [(1e-2, 0)])
    ):
        loss = ((forward(mlp.weights, X_val) - Y_val[:, t]) ** 2).mean()
        assert loss == pytest.approx(mlp.val_loss, rel=1e-4)
