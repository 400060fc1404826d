"""The benchmark of the heads trains what it says, pairs what it compares, and feeds the book's page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from benchmarks import head
from benchmarks._head_choices import REFERENCE, Design, measure_choices, outcomes
from benchmarks._head_compare import flop, measure_width, over_targets, tau_difference
from benchmarks._head_contenders import Settings, Sklearn, loop, sweep
from benchmarks._head_data import WIDTHS, Problem, chosen, embedded
from benchmarks._head_facts import facts_of
from benchmarks._head_profile import PARTS, breakdown, part_of
from benchmarks._head_study import stop, train_curves
from benchmarks._head_tables import MARGIN, TARGETS, number, tables_of
from benchmarks._tables import show
from embreg import MLPHead
from embreg.tasks import bbob_targets, split_rows

REPO = Path(__file__).parents[1]
COMMITTED = REPO / "book" / "results" / "head.json"
PAGE = REPO / "book" / "heads.md"
SMALL = Settings(
    learning_rates=(1e-3, 3e-2),
    weight_decays=(0, 0.1),
    hidden=(16, 8),
    max_epochs=40,
    patience=4,
    batch_size=16,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def problem(t: int = 3, n: int = 80, dof: int = 4) -> Problem:
    names = ["Sphere", "Rastrigin", "BuecheRastrigin"][:t]
    rows, Y = bbob_targets(names, dof, n=n)
    return Problem(names, rows.to_numpy(), Y, split_rows(n))


# --- the contenders -----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [16, 500])
def test_the_loop_gives_the_sweep_s_predictions_in_float32(batch_size: int) -> None:
    """Same epochs, same winner, same tau: what is left of a difference in the benchmark is precision."""
    settings = Settings(**{**SMALL.__dict__, "batch_size": batch_size})
    data = problem()
    fitted = sweep(data, settings, precision="float32")
    test = data.parts.test
    ours = fitted.predict(data.X[test])
    for t in range(len(data.names)):
        plain = loop(data, t, settings)
        assert plain["epochs"] == fitted.sweep_.query("target == @t")["epochs"].sum()
        back = plain["predicted"] * data.Y[data.parts.train, t].std() + data.Y[data.parts.train, t].mean()
        np.testing.assert_allclose(back, ours[:, t], rtol=1e-3, atol=1e-3 * np.abs(data.Y[:, t]).max())
        assert data.tau(t, plain["predicted"]) == pytest.approx(data.tau(t, ours[:, t]), abs=1e-12)
    assert fitted.sweep_["epochs"].nunique() > 1, "the case should have early stopping"


def test_settings_are_the_heads_own_defaults() -> None:
    assert Settings().head(random_state=None).get_params() == MLPHead().get_params()
    assert len(Settings().grid) == 15
    assert (MLPHead().batch_size, MLPHead().patience) == REFERENCE


def test_scikit_learn_is_chosen_on_the_validation_rows() -> None:
    """The grid written out once more: every fit sees the training rows alone, the last one both parts."""
    data = problem(n=100)
    settings = Settings((1e-3, 1e-2), (0, 0.1), (8, 4), max_epochs=15, patience=3, batch_size=16)
    with Sklearn(jobs=1) as grid_search:
        found = grid_search(data, 1, settings)
    X, Y = data.standardised()
    train, val, test = data.parts

    def fit(lr: float, wd: float, rows: np.ndarray) -> Any:
        mlp = MLPRegressor(
            hidden_layer_sizes=(8, 4), batch_size=16, max_iter=15, early_stopping=True, n_iter_no_change=3,
            random_state=0, learning_rate_init=lr, alpha=wd,
        )  # fmt: skip
        return mlp.fit(X[rows], Y[rows, 1])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        losses = {
            pair: float(np.mean((fit(*pair, train).predict(X[val]) - Y[val, 1]) ** 2))
            for pair in settings.grid
        }
        last = fit(*min(losses, key=losses.__getitem__), np.concatenate([train, val]))
    np.testing.assert_allclose(found["predicted"], last.predict(X[test]), rtol=1e-5)
    assert found["seconds"] > 0 and found["refit_seconds"] > 0


def test_chosen_ones_are_even_and_keep_their_order() -> None:
    assert chosen(list(range(23)), 4) == [0, 7, 15, 22]
    assert chosen(list(range(5)), 9) == [0, 1, 2, 3, 4]
    assert chosen(list(range(5)), 0) == []


def test_a_width_that_nothing_has_is_refused() -> None:
    with pytest.raises(ValueError, match=r"width must be one of \(384, 4096\), however: got 7"):
        embedded(7, bbob_targets(["Sphere"], 2, n=10)[0])


# --- counting -----------------------------------------------------------------------------------------


def test_operations_by_hand() -> None:
    """Every matrix product of an epoch, multiply and add."""
    sizes = [(5, 4), (4, 3), (3, 1)]
    forward = sum(2 * 20 * a * b for a, b in sizes)
    gradients = sum(2 * 20 * a * b for a, b in sizes)
    deltas = sum(2 * 20 * a * b for a, b in sizes[1:])
    validation = sum(2 * 7 * a * b for a, b in sizes)
    assert flop(5, Settings(hidden=(4, 3)), 20, 7) == forward + gradients + deltas + validation


def test_tau_is_paired_by_function() -> None:
    found = tau_difference([("a", 0.5, 0.4), ("b", 0.9, 0.8), ("c", 0.1, 0.0)])
    assert found["value"] == pytest.approx(0.1) and found["low"] == pytest.approx(0.1)
    assert (found["mean"], found["other"]) == (pytest.approx(0.5), pytest.approx(0.4))
    one = tau_difference([("a", 0.5, 0.4)])
    assert one["low"] is None and one["high"] is None and one["functions"] == 1


def test_a_ratio_says_what_its_interval_is_over() -> None:
    found = over_targets([1.0, 1.0, 1.0], [2.0, 4.0, 8.0], [0, 1, 0])
    assert (found["value"], found["targets"], found["rounds"]) == (pytest.approx(4.0), 3, 2)
    assert found["low"] < 4.0 < found["high"]


def test_the_profile_knows_forward_from_backward() -> None:
    """The products of one step of two layers, in their order, and those of validation."""

    def event(name: str, *shapes: tuple[int, ...]) -> Any:
        return SimpleNamespace(name=name, input_shapes=[list(s) for s in shapes])

    steps = [
        (event("aten::bmm", (4, 16, 30), (4, 30, 8)), "products, forward"),
        (event("aten::bmm", (4, 16, 8), (4, 8, 1)), "products, forward"),
        (event("aten::bmm", (4, 8, 16), (4, 16, 1)), "products, backward"),
        (event("aten::bmm", (4, 16, 1), (4, 1, 8)), "products, backward"),
        (event("aten::bmm", (4, 30, 16), (4, 16, 8)), "products, backward"),
        (event("aten::_fused_adamw_", (4, 30, 8)), "optimiser"),
        (event("aten::bmm", (4, 5, 30), (4, 30, 8)), "validation"),
        (event("aten::bmm", (4, 16, 30), (4, 30, 8)), "products, forward"),
        (event("aten::index", (50, 30)), "batches gathered"),
        (event("aten::copy_", (4, 30, 8)), "casts and copies"),
    ]
    phase = "forward"
    for made, expected in steps:
        where, phase = part_of(made, phase, {16}, 5, 30)
        assert where == expected
        assert where in PARTS


def test_the_profile_accounts_for_the_time() -> None:
    found = breakdown(problem(), Settings(**{**SMALL.__dict__, "max_epochs": 5}))
    assert list(found["shares"]) == list(PARTS) and all(v >= 0 for v in found["shares"].values())
    assert sum(found["shares"].values()) == pytest.approx(1.0, abs=0.02)
    for name in ("products, forward", "products, backward", "optimiser", "validation"):
        assert found["shares"][name] > 0


# --- batch size and patience ----------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [16, None])
def test_one_run_serves_every_patience(batch_size: int | None) -> None:
    """What is read off the record is what `MLPHead` gives when it is asked for that patience."""
    data = problem(n=100)
    X, Y = data.standardised()
    grid = [(lr, wd) for lr in (1e-3, 2e-2) for wd in (0.1,)]
    curves = train_curves(
        X, Y, data.parts, grid, batch_size=batch_size, patience=9, max_epochs=25, hidden=(12, 6), seed=5
    )
    train, val, test = data.parts
    stopped = set()
    for patience in (1, 3, 9):
        fitted = MLPHead(
            (12, 6), (1e-3, 2e-2), (0.1,), 25, patience=patience, batch_size=batch_size, precision="float32",
            random_state=5,
        ).fit(data.X[train], data.Y[train], X_val=data.X[val], y_val=data.Y[val])  # fmt: skip
        predicted = fitted.predict(data.X[test])
        for t, row in enumerate(outcomes(curves, data, patience)):
            table = fitted.sweep_.query("target == @t")
            ends = [stop(losses, patience) for losses in curves.losses[:, t]]
            assert ends == list(zip(table["best_epoch"], table["epochs"], strict=True))
            assert row["epochs"] == table["epochs"].mean()
            assert row["kendall_tau"] == pytest.approx(data.tau(t, predicted[:, t]), abs=1e-12)
            stopped |= set(table["epochs"])
    assert len(stopped) > 2, "the case should stop at different epochs"


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    assert stop(np.array([2.0, np.nan, 1.0]), 5) == (1, 2)
    assert stop(np.array([np.inf, 1.0]), 5) == (0, 1)
    assert stop(np.array([1.0, 1.0, 1.0]), 2) == (1, 3)  # equal is no improvement


@pytest.fixture(scope="module")
def studied() -> dict[str, Any]:
    design = Design(
        batches=(16, 64, None), patiences=(2, 30), functions=2, dofs=(2,), seeds=(0, 1), n=100, width=None,
        learning_rates=(1e-2,), max_epochs=6,
    )  # fmt: skip
    return measure_choices(design, say=lambda line: None)


def test_every_pair_is_compared_with_the_choice(studied: dict[str, Any]) -> None:
    pairs = {(p["batch"], p["patience"]): p for p in studied["pairs"]}
    assert set(pairs) == {(b, p) for b in (16, 64, 0) for p in (2, 30)}
    assert pairs[REFERENCE]["difference"]["value"] == 0
    assert all(p["seconds"] > 0 and 1 <= p["epochs"] <= 6 for p in pairs.values())
    assert studied["tasks"] == 2
    for b in (16, 64, 0):
        assert pairs[b, 2]["epochs"] <= pairs[b, 30]["epochs"]


def test_the_verdict_follows_the_pairs(studied: dict[str, Any]) -> None:
    def with_difference(low: float, value: float, high: float) -> str:
        pairs = [
            p if (p["batch"], p["patience"]) != (16, 2)
            else {**p, "difference": {"value": value, "low": low, "high": high}}
            for p in studied["pairs"]
        ]  # fmt: skip
        same = {"value": 0.0, "low": -0.1, "high": 0.1}
        pairs = [p if (p["batch"], p["patience"]) == (16, 2) else {**p, "difference": same} for p in pairs]
        return facts_of({"choices": {**studied, "pairs": pairs}})["choices_verdict"]["text"]

    assert with_difference(-0.1, 0.0, 0.1).startswith("None of the 5 other pairs is better")
    better = with_difference(0.01, 0.02, 0.03)
    assert "does not support" in better and "batch 16, patience 2 with +0.020 [+0.010, +0.030]" in better


# --- the command --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the command writes, through its own main; twice into one file."""
    import psutil  # type: ignore[import-untyped]

    before = {p.pid for p in psutil.Process().children(recursive=True)}
    path = tmp_path_factory.mktemp("out") / "head.json"
    for options in (["--dims", "384"], ["--choices"]):
        assert head.main(["--quick", *options, "--json", str(path)]) == 0
    # Only processes that are over count as the benchmark's own work.
    after = [p for p in psutil.Process().children(recursive=True) if p.pid not in before]
    assert all("resource_tracker" in " ".join(p.cmdline()) for p in after)
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_a_quick_run_writes_facts_and_tables(measured: dict[str, Any]) -> None:
    assert measured["facts"] == json.loads(json.dumps(facts_of(measured)))
    assert measured["tables"] == tables_of(measured)
    for fact in measured["facts"].values():
        assert set(fact) == {"value", "text"} and isinstance(fact["text"], str) and fact["text"]
    for table in measured["tables"].values():
        assert {len(row) for row in table["rows"]} == {len(table["head"])} and show(table)
    assert {"targets", "times", "errors", "parts", "taus", "costs"} == set(measured["tables"])


def test_a_quick_run_says_that_it_is_no_measurement(measured: dict[str, Any]) -> None:
    status = measured["facts"]["status"]
    assert status["value"] is False
    assert status["text"].startswith(
        "Figures of a quick trial, not of the whole measurement (d = 384, choices)"
    )


def test_every_model_counts_once(measured: dict[str, Any]) -> None:
    part = measured["widths"]["384"]
    assert part["models"] == 15 * len(part["names"]) == 45
    for name, other in part["others"].items():
        assert [r["name"] for r in other["rows"]] == chosen(part["names"], len(other["rows"]))
        assert name in TARGETS
    whole = part["sweep"]
    assert whole["per_model"] == pytest.approx(np.median(whole["seconds"]) / 45)
    run = part["run"]
    assert {"machine", "versions", "threads", "others", "quiet", "commit"} <= set(run)
    assert str(Path.home()) not in json.dumps(measured)


def test_the_loop_s_seconds_are_scaled_to_all_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop may get a target that stops early: its time counts for the average one."""
    data = problem()
    monkeypatch.setattr("benchmarks._head_compare.load", lambda *a, **k: data)
    monkeypatch.setattr("benchmarks._head_compare.breakdown", lambda *a: {"shares": {}, "slower": 1.0})
    found = measure_width(
        384, targets=3, loops=2, sklearns=0, repeat=2, settings=SMALL, jobs=1, say=lambda line: None
    )
    rows, epochs = found["others"]["loop"]["rows"], found["sweep"]["epochs"]
    assert [(r["target"], r["round"]) for r in rows] == [(0, 0), (2, 1)]
    each = [
        r["seconds"] * np.mean(epochs) / epochs[r["target"]] / (found["sweep"]["seconds"][r["round"]] / 3)
        for r in rows
    ]
    assert found["others"]["loop"]["ratio"]["value"] == pytest.approx(float(np.sqrt(each[0] * each[1])))
    assert "scikit-learn" not in found["others"]


def test_targets_are_shown_met_or_not(measured: dict[str, Any]) -> None:
    part = json.loads(json.dumps(measured["widths"]["384"]))
    ratio = {"value": 3.1, "low": 2.9, "high": 3.3, "targets": 2, "rounds": 1}
    tau = {"value": -MARGIN - 1e-4, "low": -0.01, "high": 0.0, "mean": 0.5, "other": 0.5, "functions": 2}
    part["others"] = {"loop": {"ratio": ratio, "tau": tau, "per_model": 1.0, "rows": []}}
    rows = tables_of({"widths": {"384": part}})["targets"]["rows"]
    assert [row[-1] for row in rows] == ["met, interval reaches below", "not met"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--targets", "0"], "must be a whole number from 1"),
        (["--dims", "5"], "--dims knows 384, 4096, however: got"),
        (["--dims", "384", "--loop-targets", "1,2"], "--loop-targets takes one number or 1, however: got 2"),
        (["--repeat", "0"], "--repeat must be a whole number from 1"),
        (["--dims", "a"], "must be whole numbers with commas between them"),
    ],
)
def test_a_wrong_command_is_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert head.main(arguments) == 2
    assert message in capsys.readouterr().err


def test_the_module_runs_from_the_repository() -> None:
    command = [sys.executable, "-m", "benchmarks.head", "--help"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True)
    assert "--choices" in done.stdout and "--sklearn-targets" in done.stdout


# --- the book's page ------------------------------------------------------------------------------------


def test_the_committed_summary_is_what_its_figures_give() -> None:
    whole = json.loads(COMMITTED.read_text(encoding="utf-8"))
    assert whole["facts"] == json.loads(json.dumps(facts_of(whole)))
    assert whole["tables"] == tables_of(whole)
    assert {str(w) for w in WIDTHS} == set(whole["widths"]) and "choices" in whole


def test_the_page_shows_only_what_was_measured() -> None:
    whole = json.loads(COMMITTED.read_text(encoding="utf-8"))
    text = PAGE.read_text(encoding="utf-8")
    facts = re.findall(r"\{measured\}`head/(\w+)`", text)
    tables = re.findall(r"\{measured-table\} head/(\w+)", text)
    assert facts and set(facts) <= set(whole["facts"])
    assert set(tables) == set(whole["tables"])
    prose = re.sub(r"```.*?```|`[^`]*`|\{[^}]*\}", "", text, flags=re.S)
    assert not re.findall(r"\d[\d.,]*\s*(?:×|%|ms|GFLOP|seconds)", prose)


def test_numbers_have_signs() -> None:
    assert number({"value": -0.00001, "low": -0.1, "high": 0.2}, 2) == "+0.00 [-0.10, +0.20]"
