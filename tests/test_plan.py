"""Plans: counts that a slow count confirms, and bounds that are stated."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embreg import TextEmbedder
from embreg._plan_table import print_plan
from embreg._shape import folder_shape
from embreg.models import MODELS
from embreg.plan import EFFICIENCY, Plan, gemm_rate, plan, together
from embreg.planning import costs, tokens
from embreg.planning.cards import find_card
from embreg.planning.costs import store_bytes
from embreg.planning.memory import Placement, place
from embreg.planning.parts import Part
from embreg.profiles import RunSpec
from embreg.serialize import serialize
from embreg.service import estimate
from embreg.services.counting import count_tokens
from embreg.tasks import family

MODEL = "all-MiniLM-L6-v2"


@pytest.fixture
def no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that no model is on this machine."""
    monkeypatch.setattr(tokens, "_folder", lambda model: None)


@pytest.mark.usefixtures("no_files")
def test_tokens_and_flops_of_one_model() -> None:
    got = plan({"model": MODEL, "dofs": [5, 25], "n_samples": 100, "n_seeds": 3})
    rows, counted, flops, spec = 0, 0.0, 0.0, MODELS[MODEL]
    for dof in (5, 25):
        texts = serialize(np.random.default_rng(0).uniform(-5, 5, (20, dof)))
        length = sum(map(count_tokens, texts)) / 20
        for _seed in range(3):
            for _row in range(100):
                rows += 1
                counted += length
                flops += 2 * (spec.parameters - spec.vocab * spec.dim) * length
                flops += spec.layers * 4 * spec.dim * length**2
    assert got.rows == rows
    assert got.tokens == round(counted)
    assert got.flops == pytest.approx(flops)
    assert not got.exact
    assert got.seconds == pytest.approx(flops / (EFFICIENCY * gemm_rate()))
    assert got.bytes > 4 * spec.parameters


@pytest.mark.usefixtures("no_files")
def test_lists_multiply() -> None:
    one = plan({"model": MODEL, "dof": 5, "n": 100})
    parameters = {
        "models": [MODEL, "paraphrase-MiniLM-L3-v2"],
        "dofs": [5],
        "n_samples": 100,
        "seeds": [0, 1],
    }
    many = plan({**parameters, "styles": ["json", "pairs", "values"]})
    assert one.rows == 100
    assert many.rows == 12 * one.rows
    assert many.tokens == 2 * sum(
        plan({"model": MODEL, "dof": 5, "n": 200, "style": s}).tokens for s in ("json", "pairs", "values")
    )
    assert many.bytes == one.bytes
    assert plan({**parameters, "styles": ["json", "json"], "models": [MODEL, MODEL]}).rows == 200


def test_the_models_own_tokenizer_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(",", "removed")
    tokenizer.enable_truncation(2)  # must not hide the true length
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    config = {"hidden_size": 8, "num_hidden_layers": 2, "vocab_size": 1, "max_position_embeddings": 4}
    (tmp_path / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(tokens, "_folder", lambda model: tmp_path)
    got = plan({"models": ["some/repository"], "dofs": [6], "n_samples": 10})
    assert (got.tokens, got.exact) == (60, True)
    assert got.flops == 10 * (2 * 12 * 2 * 64 * 6 + 2 * 4 * 8 * 36)
    assert got.notes == ("some/repository: rows of 6 DOF in style json have 6 tokens, it reads 4",)


@pytest.mark.usefixtures("no_files")
def test_what_is_not_counted_is_said() -> None:
    assert plan({"perplexity": 30}) == Plan(notes=("embeds nothing that its parameters tell of",))
    assert plan({"models": ["x/unknown"], "dofs": [5], "n": 10}).notes == ("x/unknown: unknown, not counted",)
    assert "reads 512" in plan({"models": [MODEL], "dofs": [100], "n": 10}).notes[0]
    # A word of the notebook's own must not break the plan.
    assert plan({"models": [MODEL], "dofs": [5], "n": 10, "style": "auto"}).rows == 10


@pytest.mark.usefixtures("no_files")
def test_an_earlier_run_tells_the_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_a.ipynb").write_text(json.dumps({"cells": []}))
    parameters = {"model": MODEL, "dof": 5, "n": 100}
    folder = tmp_path / "runs" / "smoke" / "01_a"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"parameters": parameters, "seconds": 7200.0}))
    print_plan(
        [RunSpec("01_a", "01_a", "smoke", parameters), RunSpec("01_b", "01_a", "smoke", parameters)], tmp_path
    )
    text = capsys.readouterr().out
    assert "2.0 h last time" in text
    assert re.search(r"(≈ \d+|< 1) s ", text)
    # Both runs read the same hundred rows.
    assert "100" in text.split("together")[1]


@pytest.mark.usefixtures("no_files")
def test_a_models_own_style_and_decimals_count() -> None:
    long, short = (plan({"models": [m], "dofs": [5], "n": 10}) for m in (MODEL, f"{MODEL}:values:1"))
    assert short.tokens < long.tokens


def test_measured_tasks_have_rows_of_their_own() -> None:
    """Seeds cut the same rows anew; formats are other strings."""
    size = {t.name: len(t) for t in family("compiler", ["sort", "tree"])}
    got = plan({"models": [MODEL], "tasks": list(size), "n_samples": 10_000, "n_seeds": 3, "bbob_dof": 5})
    assert got.rows == sum(size.values()) and got.exact
    task = family("compiler", ["sort"])[0]
    texts = serialize(task.rows.head(20), missing="omit", notation="shortest")
    one = plan({"models": [f"{MODEL}:json:s"], "tasks": ["compiler/sort"], "n_samples": 100, "n_seeds": 1})
    assert one.rows == 100 and one.tokens == round(100 * np.mean(slow_counts(texts)))
    two = plan({"models": [MODEL], "tasks": ["bbob/Sphere"], "formats": ["a", "b"], "n_samples": 100,
                "n_seeds": 3, "bbob_dof": 5})  # fmt: skip
    assert two.rows == 600
    whole = plan({"models": [MODEL], "families": ["compiler"], "tasks_per_family": 2, "n_samples": 50})
    assert whole.rows == 100


def test_tasks_of_one_source_share_their_rows() -> None:
    """Told apart by their strings, of all tasks of the family."""
    strings = {
        text
        for task in family("hpo_tables")
        for text in serialize(task.rows, missing="omit", notation="shortest")
    }
    every = {"models": [f"{MODEL}:json:s"], "families": ["hpo_tables"], "n_samples": 10_000}
    got = plan(every)
    assert got.rows == len(strings)
    # The first rows of a table are some of more of them.
    assert together([got, plan({**every, "n_samples": 50})]).rows == len(strings)
    assert plan({**every, "n_samples": 50}).rows < 50 * len(family("hpo_tables"))


@pytest.mark.parametrize("seeds", [0, 3])
def test_a_notebook_with_points_tables_and_random_weights(seeds: int) -> None:
    """Every reading of every string, written out."""
    from embreg.tasks import bbob_targets

    tasks = ["compiler/sort", "hpo_tables/hpobench_car", "hpo_tables/hpobench_kc1"]
    parameters = {
        "models": [MODEL, "flan-t5-small-titles:values:2"], "dofs": [2, 5], "n_seeds": 2, "n_samples": 30,
        "functions": ["Sphere"], "tasks": tasks,
        "task_rows": 40, "task_models": [f"{MODEL}:json:s"], "random_seeds": seeds,
    }  # fmt: skip
    read: set[tuple[str, str | int, str]] = set()
    for weights in ("pretrained", *range(seeds)):
        for dof in (2, 5):
            for seed in range(2):
                points = bbob_targets(["Sphere"], dof, n=30, seed=seed)[0]
                read |= {(MODEL, weights, text) for text in serialize(points)}
                short = serialize(points, style="values", decimals=2)
                # Two points may be one string; the plan does not know.
                read |= {("t5", weights, f"{dof} {seed} {i} {text}") for i, text in enumerate(short)}
        for name in ("compiler/sort", "hpo_tables/hpobench_car", "hpo_tables/hpobench_kc1"):
            rows = family(*name.split("/")[:1], [name.split("/")[1]])[0].rows.head(40)
            texts = serialize(rows, missing="omit", notation="shortest")
            read |= {(MODEL, weights, text) for text in texts}
    got = plan(parameters)
    assert got.rows == len(read)
    assert got.exact
    one, two = got.models
    counts = slow_counts([text for model, _, text in sorted(read, key=str) if model == MODEL])
    assert one.rows == len(counts)
    assert one.tokens == pytest.approx(sum(counts), rel=0.02)  # the plan counts twenty rows of each kind
    assert (one.random, two.rows) == (seeds > 0, 120 * (seeds + 1))


def test_random_weights_of_two_notebooks_are_drawn_once() -> None:
    base = {"models": [MODEL], "dofs": [5], "n_samples": 100, "n_seeds": 1}
    some, more = plan({**base, "random_seeds": 2}), plan({**base, "random_seeds": 3})
    chapter_7 = plan({**base, "random_models": [MODEL]})
    assert (some.rows, more.rows, chapter_7.rows) == (300, 400, 200)
    assert together([some, more, chapter_7]).rows == 400


def test_each_layer_and_pooling_keeps_a_vector_and_costs_no_pass() -> None:
    base = {"models": [MODEL, "flan-t5-small-titles"], "dofs": [5], "n_samples": 100}
    poolings, layers = ["mean", "max", "cls"], [0, 3, 6, 8, 99]
    one, many = plan(base), plan({**base, "poolings": poolings, "layers": layers})
    assert (many.rows, many.flops) == (one.rows, one.flops)
    for cost, last in zip(many.models, (6, 8), strict=True):
        spaces = {(p, k) for p in poolings for k in (*layers, last) if k <= last}
        assert cost.stored == 100 * len(spaces)
    assert [c.stored for c in one.models] == [100, 100]
    assert plan({**base, "layers": [-1, -2]}).models[0].stored == 200


def test_a_model_without_layers_costs_no_operations(tmp_path: Path) -> None:
    config = {"hidden_size": 8, "num_hidden_layers": 0, "vocab_size": 50}
    (tmp_path / "config.json").write_text(json.dumps(config))
    shape = folder_shape(tmp_path)
    assert shape is not None and (shape.layers, shape.body, shape.parameters) == (0, 0, 400)
    assert shape.flops(100.0) == 0
    part = Part("static", "json", 5, 100, 1, layers=(0, 4))
    assert costs._spaces(part, shape) == {("mean", 0, 0, "pretrained")}
    assert place(shape, find_card("H100"), longest=50.0) == Placement(1, 960, True)
    assert place(shape, replace(find_card("H100"), memory=500), longest=50.0).fits is False


def test_a_service_is_counted_and_priced() -> None:
    gemini = "service:gemini/gemini-embedding-001"
    base = {"dofs": [25], "n_samples": 100, "n_seeds": 2, "poolings": ["mean", "max"], "random_seeds": 2}
    got = plan({**base, "models": [f"{gemini}:values:2"]})
    texts = serialize(np.random.default_rng(0).uniform(-5, 5, (20, 25)), style="values", decimals=2)
    about = estimate(texts, TextEmbedder(gemini, store=None))
    assert about.cost is not None and about.price is not None
    assert (got.rows, got.flops, got.seconds, got.bytes) == (200, 0.0, 0.0, 0)
    assert got.price == pytest.approx(10 * about.cost)
    assert got.tokens == pytest.approx(10 * about.tokens, abs=1)
    [cost] = got.models
    assert (cost.stored, cost.exact, cost.shape) == (200, False, None)
    assert cost.bytes == store_bytes(3072, 200)
    other = plan({**base, "models": ["service:https://example.org/v1#m", "service:ollama/nomic", MODEL]})
    assert other.unpriced == ("service:https://example.org/v1#m",) and other.price == 0
    assert [c.bytes is None for c in other.models] == [True, True, False]
    assert [c.price for c in other.models] == [None, 0.0, 0.0]
    [note] = plan({**base, "models": ["service:gemni/x"]}).notes
    assert "Did you mean 'gemini'?" in note


def test_points_of_balls_are_counted() -> None:
    from embreg.geometry import balls

    base = {"models": [MODEL], "dof": 5, "n_samples": 40, "n_seeds": 2}
    ball = {"ball_dof": 9, "radii": [1.0, 2.0], "n_per_ball": 3}
    points = {t for s in range(2) for t in serialize(balls(9, [1.0, 2.0], n_samples=3, seed=s)[0])}
    assert plan({**base, **ball}).rows == plan(base).rows + len(points)


def test_an_unknown_task_is_answered() -> None:
    with pytest.raises(ValueError, match="did you mean 'sort'"):
        plan({"models": [MODEL], "tasks": ["compiler/sorts"], "n_samples": 10})


def slow_counts(texts: list[str]) -> list[int]:
    from transformers import AutoTokenizer

    from embreg.models import resolve

    tokenizer = AutoTokenizer.from_pretrained(str(resolve(MODEL).path))
    return [len(tokenizer(text).input_ids) for text in texts]


def test_every_precision_is_a_reading_of_its_own() -> None:
    base = {"models": [f"{MODEL}:values:2"], "dof": 5, "n_samples": 100, "n_seeds": 2}
    one, three = plan(base), plan({**base, "dtypes": ["float32", "bfloat16", "int8"]})
    assert (three.rows, three.tokens) == (3 * one.rows, 3 * one.tokens)


def test_values_alone_of_a_measured_task_are_counted_with_what_is_missing() -> None:
    base = {"models": [MODEL], "tasks": ["automl/digits_log_loss"], "task_rows": 40}
    named, bare = (plan({**base, "task_models": [f"{MODEL}:{form}:s"]}) for form in ("json", "values"))
    assert (named.rows, bare.rows) == (40, 40)
    assert 0 < bare.tokens != named.tokens > 0
