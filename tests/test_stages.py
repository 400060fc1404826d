"""Stages change what they say and no more, and many sets of weights are drawn once each."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embreg.engine import core
from embreg.experiment import TRADITIONAL, Representation, Suite, compare
from embreg.stages import STAGES, read_ahead, stages
from embreg.tasks import bbob_points
from tests.tiny import tiny_t5

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing stored, nothing remembered, nothing loaded."""
    monkeypatch.setenv("EMBREG_HOME", str(tmp_path))
    core.load_engine.cache_clear()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_t5(tmp_path_factory.mktemp("models") / "t5"))


def base(model: str) -> Representation:
    return Representation("tiny", model, style="values", decimals=2, dtype="float32")


def test_a_stage_changes_weights_and_stage_alone(model: str) -> None:
    made = stages(base(model), 3)
    assert list(made) == list(STAGES) and [len(reps) for reps in made.values()] == [1, 3, 1, 3]
    for name, reps in made.items():
        for k, rep in enumerate(reps):
            changed = {key for key, v in asdict(rep).items() if v != asdict(base(model))[key]}
            assert changed <= {"label", "stage", "weights", "weights_seed"}
            assert rep.weights_seed == k
            assert (rep.weights == "random", rep.stage == "vocab") == ("random" in name, "vocab" in name)
    labels = [rep.label for reps in made.values() for rep in reps]
    assert len(set(labels)) == len(labels)


def test_without_draws_nothing_is_random(model: str) -> None:
    assert list(stages(base(model), 0)) == ["pretrained", "vocabulary"]
    assert list(stages(base(model), 2, ["vocabulary"])) == ["vocabulary"]


def test_stages_see_what_they_say(model: str) -> None:
    """Random weights are others for every draw; a vocabulary ignores order, a forward pass does not."""
    made = stages(base(model), 2)
    vectors = {
        rep.label: rep.embedder().transform(["[1.23,4.56]", "[6.54,3.21]"])
        for reps in made.values()
        for rep in reps
    }
    flat = [v[0] for v in vectors.values()]
    assert all(not np.allclose(a, b, atol=1e-3) for i, a in enumerate(flat) for b in flat[:i])
    for label, (one, other) in vectors.items():  # the same tokens in another order
        assert np.allclose(one, other, atol=1e-5) == ("vocabulary" in label), label


def test_one_number_is_one_set_of_weights(model: str) -> None:
    """What goes into the first block of a T5 is its vocabulary: of draw k, the random vocabulary k."""
    made = stages(base(model), 2)
    for network, table in (("pretrained", "vocabulary"), ("random weights", "random vocabulary")):
        for whole, alone in zip(made[network], made[table], strict=True):
            below = replace(whole, layer=0).embedder().transform(["[1.23,4.56]"])
            assert np.allclose(below, alone.embedder().transform(["[1.23,4.56]"]), atol=1e-6)


@pytest.mark.parametrize(
    ("rep", "message"),
    [
        (TRADITIONAL, "a base must be a pretrained model"),
        (Representation("x", "m", stage="vocab"), "stage 'vocab'"),
        (Representation("x", "m", weights="random"), "weights 'random'"),
    ],
)
def test_a_base_is_pretrained_and_read_whole(rep: Representation, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stages(rep, 1)


def test_unknown_stages_and_counts_are_refused(model: str) -> None:
    with pytest.raises(ValueError, match=r"a stage must be one of .* however: got 'soft'"):
        stages(base(model), 1, ["soft"])
    with pytest.raises(ValueError, match="draws must be at least 0, however: got -1"):
        stages(base(model), -1)


def test_every_set_of_weights_is_loaded_once(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison alone loads each set of weights once a table: there are more of them than stay loaded."""
    made = [rep for reps in stages(base(model), 2).values() for rep in reps]
    tables = [bbob_points(dof, 20, seed) for dof in (2, 3) for seed in (0, 1)]
    loads: list[tuple[str, int, str]] = []
    engine = core.Engine

    def counted(local: Any, recipe: core.Recipe) -> core.Engine:
        loads.append((recipe.weights, recipe.seed, recipe.backend))
        return engine(local, recipe)

    monkeypatch.setattr(core, "Engine", counted)
    # Another format of the same weights comes last and must not load them again.
    again = (replace(base(model), style="pairs"), tables[:1])
    assert read_ahead([*((rep, tables) for rep in made), again, (TRADITIONAL, tables)]) == 3
    assert len(loads) == len(set(loads))  # a look-up may have a backend of its own
    before = len(loads)
    mlp = {"hidden": (4,), "learning_rates": (1e-2,), "weight_decays": (0,), "max_epochs": 1}
    suite, seeds = Suite(functions=("Sphere",)), [0, 1]
    out = compare([*made, TRADITIONAL], [suite], dofs=[2, 3], seeds=seeds, n_samples=20, mlp=mlp)
    assert len(loads) == before and len(out) == 4 * 7


def test_what_would_not_be_found_again_is_refused(model: str) -> None:
    control = Representation("shuffled", model, control="shuffled_coordinates")
    with pytest.raises(ValueError, match="not read ahead, however: got 'shuffled'"):
        read_ahead([(control, [])])
