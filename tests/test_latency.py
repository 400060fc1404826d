"""Costs are measured in turns, each contender in a process of its own, with nothing read from the store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest

from embreg import _contender_calls, latency
from embreg._contender import Contender, operations
from embreg._contender_calls import Host, started
from embreg._fit import make_head
from embreg._resident import own, peak, resident
from embreg._turns import geometric
from embreg.baselines import baseline
from embreg.experiment import TRADITIONAL, Representation
from embreg.latency import COSTS, Costs, measure
from embreg.models import shape_of
from embreg.stats import Interval
from embreg.tasks import bbob
from tests.tiny import tiny_bert

pytestmark = pytest.mark.usefixtures("one_thread")

MLP = {"learning_rates": [0.01], "weight_decays": [0.0], "max_epochs": 2, "hidden": (8, 8)}
TASK = bbob("Sphere", 2, n=40)


def children() -> set[psutil.Process]:
    """Processes of this one; tests that ran before may have left some that serve later ones."""
    return set(psutil.Process().children())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Representation:
    folder = tiny_bert(tmp_path_factory.mktemp("models") / "bert")
    return Representation("tiny", str(folder), style="values", decimals=2, dtype="float32")


@pytest.fixture(scope="module")
def costs(tiny: Representation) -> Costs:
    ways = {"tiny": (tiny, "mlp"), "ridge": (TRADITIONAL, "ridge"), "trees": (TRADITIONAL, "xgboost")}
    before = children()
    found = measure(ways, TASK.rows, TASK.y, sample=12, single=2, rounds=4, mlp=MLP)
    assert children() <= before, "a process was left behind"
    return found


def test_every_round_has_every_contender_in_an_order_of_its_own(costs: Costs) -> None:
    orders = [tuple(part.contender) for _, part in costs.rounds.groupby("round")]
    assert len(orders) == 4 and all(sorted(order) == ["ridge", "tiny", "trees"] for order in orders)
    assert len(set(orders)) > 1
    assert (costs.rounds[list(COSTS)] > 0).all(axis=None)
    assert np.allclose(costs.rounds.batch_ms, costs.rounds.represent_ms + costs.rounds.predict_ms)


def test_what_is_said_of_a_contender(costs: Costs, tiny: Representation) -> None:
    about = costs.contenders.set_index("contender")
    embedder = tiny.embedder().set_params(store=None)
    embedder.fit_transform(tiny.strings(TASK.rows[:12]))
    tokens = embedder.report_.tokens_per_row.mean()
    head = 2 * (16 * 8 + 8 * 8 + 8 * 1)
    assert about.tokens["tiny"] == pytest.approx(tokens)
    assert about.flops["tiny"] == pytest.approx(shape_of(str(tiny.model)).flops(tokens) + head)
    assert about.width["tiny"] == 16 and about.width["ridge"] == 2
    assert about.dtype["tiny"] == "float32" and about.flops["ridge"] == 4
    assert about.memory_mb["tiny"] == pytest.approx(about.libraries_mb["tiny"] + about.model_mb["tiny"])
    # torch and transformers, or nothing at all.
    assert about.libraries_mb["tiny"] > 50 and about.libraries_mb["ridge"] == 0
    assert about.tokens.isna()["trees"] and about.model.isna()["ridge"]


def test_the_table_has_means_and_ends(costs: Costs) -> None:
    table = costs.table().set_index("contender")
    for cost in COSTS:
        low, mean, high = (table[f"{cost}{end}"] for end in ("_low", "", "_high"))
        assert ((low <= mean) & (mean <= high)).all()
    assert table.tokens_per_s["tiny"] == pytest.approx(
        1000 * table.tokens["tiny"] / table.represent_ms["tiny"]
    )


def test_the_record_says_where_and_how_quiet(costs: Costs) -> None:
    assert {"machine", "threads", "others", "quiet", "versions"} <= costs.machine.keys()
    assert costs.machine["machine"]["processor"] in costs.circumstances
    assert f"{costs.machine['threads']} of" in costs.circumstances


def by_hand(**times: list[float]) -> Costs:
    rounds = [
        {"contender": name, "round": i, **dict.fromkeys(COSTS, t)}
        for name, values in times.items()
        for i, t in reversed(list(enumerate(values)))
    ]
    contenders = pd.DataFrame({"contender": list(times), "flops": [10.0, 5.0], "tokens": np.nan})
    return Costs(pd.DataFrame(rounds), contenders, {})


def test_two_are_compared_within_rounds() -> None:
    """A machine that slows down threefold midway slows both: the ratio stays."""
    found = by_hand(a=[2.0, 2.1, 6.0, 6.3], b=[1.0, 1.0, 3.0, 3.0])
    assert found.ratio("a", "b") == Interval(*geometric([2.0, 2.1, 2.0, 2.1]))  # type: ignore[arg-type]
    assert found.ratio("a", "b").low > 1.9
    assert found.interval("a").low < 1.5
    back = found.compare("b", "a", "batch_ms")
    assert back.value == pytest.approx(-np.log(found.ratio("a", "b").value)) and back.high < 0
    assert found.compare("a", "b", "flops") == pytest.approx([np.log(2)] * 3)


def test_unknown_costs_and_contenders_are_named() -> None:
    found = by_hand(a=[1.0, 2.0], b=[1.0, 2.0])
    with pytest.raises(ValueError, match=r"cost must be one of .*got 'flops'"):
        found.interval("a", "flops")
    with pytest.raises(KeyError, match=r"one of \['a', 'b'\], however: got 'c'"):
        found.ratio("a", "c")


def test_nothing_stored_is_timed(tiny: Representation, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.embedder().fit_transform(tiny.strings(TASK.rows))  # everything is in the store
    one = Contender(tiny, "ridge", TASK.rows, TASK.y, sample=12, single=2)
    read: list[tuple[int, int]] = []
    represent = one.represent

    def watched(rows: pd.DataFrame) -> np.ndarray:
        out = represent(rows)
        read.append((one._features.report_.hits, one._features.report_.rows))
        return out

    monkeypatch.setattr(one, "represent", watched)
    turn = one.turn()
    assert read == [(0, 1), (0, 1), (0, 12)]
    assert set(turn) == {"single", "represent", "predict", "fit"} and min(turn.values()) > 0


def test_a_contender_predicts_what_the_experiment_would() -> None:
    from embreg._features import traditional
    from embreg._task import split_rows

    one = Contender(TRADITIONAL, "mlp", TASK.rows, TASK.y, sample=5, single=1, seed=3, mlp=MLP)
    train, val, _ = split_rows(40, 3)
    X = traditional(TASK.rows, train)
    head = make_head("mlp", 3, MLP).fit(X[train], TASK.y[train], X_val=X[val], y_val=TASK.y[val])
    assert np.array_equal(one.predict(one.represent(TASK.rows)), head.predict(X))


def test_operations_by_hand() -> None:
    X = np.random.default_rng(0).normal(size=(40, 3))
    head = make_head("mlp", 0, MLP).fit(X, X[:, 0])
    assert operations(head) == 2 * (3 * 8 + 8 * 8 + 8)
    trees = baseline("xgboost").fit(X, X[:, 0])
    deepest = [t.count("leaf") for t in trees.models_[0][1].get_booster().get_dump()]
    assert operations(trees) == trees.best_params_["trees"] * trees.best_params_["max_depth"]
    assert trees.best_params_["trees"] <= len(deepest)
    assert operations(baseline("gp").fit(X, X[:, 0])) is None


def test_what_fails_is_named(tmp_path: Path) -> None:
    lost = Representation("lost", str(tmp_path / "nothing"))
    ways = {"ridge": (TRADITIONAL, "ridge"), "lost": (lost, "ridge")}
    before = children()
    with pytest.raises(RuntimeError, match=r"lost could not be measured: FileNotFoundError: .*nothing"):
        measure(ways, TASK.rows, TASK.y, sample=4, single=1, rounds=2)
    assert children() <= before


def test_hosts_that_cannot_fork_measure_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_contender_calls, "FORKS", False)
    ways = {"ridge": (TRADITIONAL, "ridge"), "mean": (TRADITIONAL, "mean")}
    found = measure(ways, TASK.rows, TASK.y, sample=4, single=1, rounds=2)
    assert found.contenders.flops.tolist() == [4.0, 0.0]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_process_that_is_killed_is_said_to_be(tmp_path: Path) -> None:
    settings = {"sample": 4, "single": 1, "seed": 0, "mlp": {}}
    ways = {"ridge": (TRADITIONAL, "ridge"), "mean": (TRADITIONAL, "mean")}
    before = children()
    with started(ways, TASK.rows, TASK.y, settings) as (_, ask):
        assert ask("mean")["turn"]["fit"] > 0
        [host] = children() - before if _contender_calls.FORKS else [None]
        if host is None:
            return
        os.kill(min(child.pid for child in host.children()), signal.SIGKILL)
        with pytest.raises(RuntimeError, match="ridge could not be measured: its process ended"):
            ask("ridge")
    host = Host(tmp_path, ways, TASK.rows, TASK.y, settings, 1, 0, ["ridge"])
    assert "about" in host.read("ridge")
    host._process.kill()
    with pytest.raises(RuntimeError, match="its process ended"):
        host.ask("ridge")
    host.close()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"contenders": {}}, "at least one, however: got none"),
        ({"rounds": 1}, "rounds must be at least 2, however: got 1"),
        ({"sample": 41}, "sample must be from 1 to 40, however: got 41"),
        ({"single": 9}, "single must be from 1 to 8, however: got 9"),
        ({"y": TASK.y[:3]}, r"each of the 40 rows, however: got shape \(3,\)"),
        ({"contenders": {"a": (TRADITIONAL, "tree")}}, "head must be one of"),
        ({"contenders": {"a": (Representation("p", control="bag"), "mlp")}}, "a is control 'bag'"),
        ({"contenders": {"a": (Representation("s", "service:ollama/m"), "mlp")}}, "time is the network's"),
    ],
)
def test_what_would_mislead_is_refused(changed: dict[str, Any], message: str) -> None:
    given = {"contenders": {"a": (TRADITIONAL, "ridge")}, "rows": TASK.rows, "y": TASK.y, "sample": 8}
    given |= {"single": 2, "rounds": 2, **changed}
    with pytest.raises(ValueError, match=message):
        latency.measure(**given)  # type: ignore[arg-type]


def test_memory_of_this_process_is_seen() -> None:
    before, size = own(), 60_000_000
    ballast = np.ones(size, dtype=np.uint8)
    assert own() - before > 0.9 * size and resident() >= own() * 0.9
    highest = peak()
    assert highest >= resident()
    del ballast
    # The kernel's counters lag by a few pages.
    assert own() - before < 0.5 * size and peak() >= highest - 2**20


def test_a_process_does_not_start_with_the_peak_of_its_parent() -> None:
    code = "from embreg._resident import peak, resident; print(peak() - resident())"
    ballast = np.ones(400_000_000, dtype=np.uint8)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 0.5 * len(ballast)
