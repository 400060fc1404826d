"""The book's table of costs: current, and confirmed by a slow count of strings."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from embreg import TextEmbedder
from embreg.geometry import balls
from embreg.plan import plan, together
from embreg.planning.parts import written
from embreg.profiles import RunSpec, load_profile
from embreg.serialize import serialize
from embreg.tasks import bbob_targets

ROOT = Path(__file__).resolve().parents[1]


def load_tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"embreg_{name}", ROOT / "tools" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


costs = load_tool("costs")


def test_the_file_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    """After a change of profile paper, of the models or of the benchmark: python tools/costs.py."""
    code = costs.main(["--check"])
    assert (code, capsys.readouterr().err) == (0, "")


def test_a_change_is_found() -> None:
    new = costs.made()
    assert costs.difference(new, new) is None
    old = json.loads(json.dumps(new))
    old["tables"]["models"]["rows"][0][1] = "36 M"
    assert costs.difference(old, new).startswith("table models: ")
    old = json.loads(json.dumps(new))
    old["facts"]["rows"]["text"] = "1"
    assert costs.difference(old, new) == f"fact rows: '1', now {new['facts']['rows']['text']!r}"
    assert costs.difference({}, new) is not None


def test_the_count_is_that_of_the_strings() -> None:
    """Small runs of all kinds, whose rows are written out here, told apart, and counted by a real model."""
    model = "flan-t5-small-titles"
    grid = {"models": [model], "dofs": [5, 9], "n_seeds": 2, "n_samples": 40}
    specs = [
        RunSpec("02", "02", "p", grid),
        RunSpec("04", "04", "p", {"model": model, "dofs": [5], "n_seeds": 2, "n_samples": 40,
                                  "poolings": ["mean", "max"]}),
        RunSpec("10", "10", "p", {**grid, "dofs": [9], "n_seeds": 3, "layers": [0, 4, 99]}),
        RunSpec("01", "01", "p", {"models": [model], "dof": 5, "n_samples": 40, "n_seeds": 2, "ball_dof": 9,
                                  "radii": [1.0, 2.0], "n_per_ball": 3}),
    ]  # fmt: skip

    def task(dof: int, seeds: int) -> set[str]:
        frames = (bbob_targets(["Sphere"], dof, n=40, seed=s)[0] for s in range(seeds))
        return {text for frame in frames for text in serialize(frame)}

    ball = {t for s in range(2) for t in serialize(balls(9, [1.0, 2.0], n_samples=3, seed=s)[0])}
    stored: dict[Any, set[str]] = {
        ("mean", 8): task(5, 2) | task(9, 3) | ball,
        ("max", 8): task(5, 2),
        ("mean", 0): task(9, 3),
        ("mean", 4): task(9, 3),
    }
    [found] = costs.count(specs)
    assert found.rows == len(stored["mean", 8])
    assert found.stored == sum(map(len, stored.values()))
    engine = TextEmbedder(model, store=None, dtype="float32")._engine()
    tokens = sum(map(len, engine.tokenize(sorted(stored["mean", 8]))))
    assert found.tokens == pytest.approx(tokens, rel=0.02)  # the plan counts twenty rows of each kind
    assert found.flops > 2 * found.shape.body * tokens * 0.98


def test_every_model_of_the_profile_is_counted() -> None:
    wanted = set()
    for spec in load_profile("paper", ROOT):
        wanted |= set(spec.parameters.get("models") or [spec.parameters["model"]])
        wanted |= set(spec.parameters.get("task_models", []))
    assert {c.model for c in costs.count(load_profile("paper", ROOT))} == {written(w)[0] for w in wanted}


def test_a_model_that_is_in_no_table_is_refused() -> None:
    spec = RunSpec("02", "02", "p", {"models": ["nobody/knows"], "dofs": [5], "n_samples": 10})
    with pytest.raises(ValueError, match="nobody/knows: unknown"):
        costs.count([spec])


def test_the_counts_are_those_of_a_dry_run() -> None:
    """Where no other tokenizer is on this machine than those that come with the default weights."""
    specs = load_profile("paper", ROOT)
    every = together([plan(spec.parameters) for spec in specs])
    known = {c.model: c for c in every.models}
    for cost in costs.count(specs):
        if cost.exact:
            assert (cost.tokens, cost.flops) == (known[cost.model].tokens, known[cost.model].flops)
        assert (cost.rows, cost.stored) == (known[cost.model].rows, known[cost.model].stored)


def test_prices_as_text() -> None:
    def of(*models: str) -> str:
        spec = RunSpec("13", "13", "p", {"models": list(models), "dofs": [5], "n_samples": 1000})
        return str(costs.price(costs.count([spec]))[1])

    assert of("flan-t5-small-titles") == "nothing"
    assert of("service:https://example.org/v1#m") == "an unknown price for service:https://example.org/v1#m"
    both = of("service:gemini/gemini-embedding-001", "service:https://example.org/v1#m")
    assert both.startswith("about $0.00") and both.endswith("#m")


def test_numbers_as_text() -> None:
    assert [costs.hours(h) for h in (0.0001, 0.01, 0.5, 3)] == ["1 s", "36 s", "30 min", "3 h"]
    assert [costs.size(s) for s in (2**20, 3 * 2**30)] == ["1 MiB", "3.0 GiB"]
    assert costs.exponent(1.26e17) == "1.3 × 10¹⁷"
