"""Plans: counts that a slow count confirms, and bounds that are stated."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from embreg import plan as planning
from embreg._plan_table import print_plan
from embreg.models import MODELS
from embreg.plan import Plan, gemm_rate, plan
from embreg.profiles import RunSpec
from embreg.serialize import serialize

MODEL = "all-MiniLM-L6-v2"


@pytest.fixture
def no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that no model is on this machine."""
    monkeypatch.setattr(planning, "_folder", lambda model: None)
    planning._length.cache_clear()


@pytest.mark.usefixtures("no_files")
def test_tokens_and_flops_of_one_model() -> None:
    got = plan({"model": MODEL, "dofs": [5, 25], "n_samples": 100, "n_seeds": 3})
    rows, tokens, flops, spec = 0, 0.0, 0.0, MODELS[MODEL]
    for dof in (5, 25):
        texts = serialize(np.random.default_rng(0).uniform(-5, 5, (20, dof)))
        length = sum(map(len, texts)) / 20 / 2.2
        for _seed in range(3):
            for _row in range(100):
                rows += 1
                tokens += length
                flops += 2 * (spec.parameters - spec.vocab * spec.dim) * length
                flops += spec.layers * 4 * spec.dim * length**2
    assert got.rows == rows
    assert got.tokens == round(tokens)
    assert got.flops == pytest.approx(flops)
    assert not got.exact
    assert got.seconds == pytest.approx(flops / (planning.EFFICIENCY * gemm_rate()))
    assert got.bytes > 4 * spec.parameters


@pytest.mark.usefixtures("no_files")
def test_lists_multiply() -> None:
    one = plan({"model": MODEL, "dof": 5, "n": 100})
    many = plan(
        {"models": [MODEL, MODEL], "dofs": [5], "n_samples": 100, "seeds": [0, 1], "styles": ["json"] * 3}
    )
    assert one.rows == 100
    assert many.rows == 12 * one.rows
    assert many.tokens == pytest.approx(12 * one.tokens, rel=1e-2)
    assert many.bytes == one.bytes


def test_the_models_own_tokenizer_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(",", "removed")
    tokenizer.enable_truncation(2)  # must not hide the true length
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    config = {"hidden_size": 8, "num_hidden_layers": 2, "vocab_size": 1, "max_position_embeddings": 4}
    (tmp_path / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(planning, "_folder", lambda model: tmp_path)
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
    assert re.search(r"≈ \d+ s ", text)
    # Both runs read the same hundred rows.
    assert "100" in text.split("together")[1]


@pytest.mark.usefixtures("no_files")
def test_a_models_own_style_and_decimals_count() -> None:
    long, short = (plan({"models": [m], "dofs": [5], "n": 10}) for m in (MODEL, f"{MODEL}:values:1"))
    assert short.tokens < long.tokens


def test_measured_tasks_have_rows_of_their_own() -> None:
    """Seeds cut the same rows anew; formats are other strings."""
    from embreg.tasks import family

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
    whole = plan(
        {"models": [MODEL], "families": ["hpo_tables"], "tasks_per_family": 2, "n_samples": 50, "n_seeds": 1}
    )
    assert whole.rows == 100


def slow_counts(texts: list[str]) -> list[int]:
    from transformers import AutoTokenizer

    from embreg.models import resolve

    tokenizer = AutoTokenizer.from_pretrained(str(resolve(MODEL).path))
    return [len(tokenizer(text).input_ids) for text in texts]
