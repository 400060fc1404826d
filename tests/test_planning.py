"""Costs behind a dry run: cards, memory by the engine's own rule, the store's size, and what is printed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embreg._plan_table import print_plan
from embreg._shape import Shape, spec_shape
from embreg.cli import main
from embreg.engine import memory
from embreg.engine.core import TOKENS_PER_BATCH
from embreg.plan import plan, together
from embreg.planning.cards import CARDS, SHARE, Card, find_card
from embreg.planning.columns import Column, fitting
from embreg.planning.costs import store_bytes
from embreg.planning.memory import activations, place
from embreg.planning.parts import parts_of
from embreg.planning.words import summary
from embreg.profiles import RunSpec
from embreg.store import Row, Store

GIB = 2**30


# --- cards ---------------------------------------------------------------------------------------------


def test_cards_are_those_of_their_makers() -> None:
    """Dense bf16, in TFLOP/s, and gigabytes."""
    stated = {"A100": (312, 80), "H100": (989.4, 80), "H200": (989.4, 141), "L4": (121, 24)}
    stated |= {"A100 40GB": (312, 40), "L40S": (362.05, 48), "RTX 4090": (165.2, 24)}
    assert {n: (round(c.peak / 1e12, 2), c.memory / 1e9) for n, c in CARDS.items()} == stated
    for name, card in CARDS.items():
        assert find_card(name) is find_card(card.title) is card
        assert card.hours(SHARE * card.peak * 3600) == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("h100", "H100"),
        ("H100 SXM", "H100"),
        ("a100 80GB", "A100"),
        ("A100-40GB", "A100 40GB"),
        ("RTX4090", "RTX 4090"),
    ],
)
def test_a_card_may_be_written_in_several_ways(name: str, meant: str) -> None:
    assert find_card(name).name == meant


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("H10", "did you mean 'H100'?"),
        ("rtx 409", "did you mean 'RTX 4090'?"),
        ("T4", "must have bfloat16"),
        ("V100", "must have bfloat16"),
        ("", "There are: A100"),
    ],
)
def test_what_is_no_card_is_answered(name: str, answer: str) -> None:
    with pytest.raises(ValueError, match=re.escape(answer)):
        find_card(name)


# --- memory --------------------------------------------------------------------------------------------


def t5(size: str) -> Shape:
    shape = spec_shape(f"google/t5-v1_1-{size}")
    assert shape is not None
    return shape


@pytest.mark.parametrize("size", ["small", "xl", "xxl"])
@pytest.mark.parametrize("random", [False, True])
def test_on_one_card_it_is_what_the_engine_asks_for(size: str, random: bool) -> None:
    shape, card = t5(size), find_card("H200")
    weights = "random" if random else "pretrained"
    asked = memory.bytes_needed(shape.parameters, dtype="bfloat16", weights=weights)
    # With rows of one token hardly anything is added to the weights; a batch has as many as ever.
    batch = 2 * shape.parameters + activations(shape, TOKENS_PER_BATCH["cuda"], 1.0, width=2)
    got = place(shape, card, longest=1.0, random=random)
    assert (got.cards, got.bytes, got.fits) == (1, max(asked, batch), True)
    assert place(shape, card, longest=500.0, random=random).bytes > got.bytes


@settings(max_examples=50)
@given(st.integers(1, 12), st.integers(0, 300), st.integers(1, 100), st.integers(30, 400))
def test_over_several_cards_it_is_the_engines_own_layout(
    layers: int, vocabulary: int, block: int, room: int
) -> None:
    """A model of torch's with blocks of this size, laid out by what loads models."""
    import torch

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.empty(block, dtype=torch.bfloat16, device="meta"))

    class Model(torch.nn.Module):
        _no_split_modules = ("Block",)

        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Embedding(vocabulary, 1, dtype=torch.bfloat16, device="meta")
            self.blocks = torch.nn.ModuleList(Block() for _ in range(layers))

    model, card = Model(), Card("c", "c", 1.0, room)
    shape = Shape(0, layers, layers * block, layers * block + vocabulary, None)
    got = place(shape, card, longest=0.0)
    if memory.ROOM * 2 * shape.parameters <= room:
        assert got.cards == 1
        return
    where = memory.spread_over(model, [room] * 50)
    if where is None:
        assert not got.fits
        return
    assert got.cards == max(where.values()) + 1
    held = [0] * got.cards
    for name, part in model.named_modules():
        if name in where:
            held[where[name]] += sum(2 * p.numel() for p in part.parameters())
    assert got.bytes == max(int(memory.ROOM * h) for h in held)
    assert got.fits
    # One card fewer is refused.
    assert memory.spread_over(model, [room] * (got.cards - 1)) is None


def test_a_model_on_two_cards_takes_the_hours_of_both() -> None:
    [cost] = plan({"model": "EleutherAI/pythia-12b", "dofs": [5], "n": 1000}).models
    small, large = replace(find_card("L4"), peak=1e15), replace(find_card("H200"), peak=1e15)
    one, two = (cost.placement(c) for c in (large, small))
    assert one and two and (one.cards, two.cards) == (1, 2)
    assert cost.gpu_hours(small) == pytest.approx(2 * cost.gpu_hours(large))


def test_random_weights_are_not_spread() -> None:
    shape, card = t5("xxl"), replace(find_card("L4"), memory=12 * 10**9)
    assert place(shape, card, longest=1.0).cards == 1
    got = place(shape, card, longest=1.0, random=True)
    assert (got.cards, got.fits) == (1, False) and got.bytes > 4 * shape.parameters


# --- store ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [64, 384, 512, 768, 1024, 2048, 3072, 4096, 5120])
def test_a_row_of_the_store_takes_what_a_filled_one_shows(dim: int, tmp_path: Path) -> None:
    rows = 1500
    vectors = np.zeros((rows, dim), np.float32)
    store = Store({"dim": dim}, tmp_path)
    store.put({f"row {i}": Row(v, 100, 0, False) for i, v in enumerate(vectors)})
    filled = sum(p.stat().st_size for p in tmp_path.iterdir())
    assert store_bytes(dim, rows) == pytest.approx(filled, rel=0.03)
    assert store_bytes(dim, rows) > 4 * dim * rows


# --- what is printed -----------------------------------------------------------------------------------


COLUMN = st.tuples(st.integers(1, 30), st.integers(0, 9), st.sampled_from([0, 5, 12]))


@given(st.lists(COLUMN, min_size=1, max_size=9), st.integers(1, 200))
def test_columns_that_are_kept_fit(shape: list[tuple[int, int, int]], width: int) -> None:
    columns = [Column(str(i), ["x" * w], need, folds) for i, (w, need, folds) in enumerate(shape)]
    kept = fitting(columns, width)
    least = sum(min(c.width, c.folds or c.width) for c in kept) + 2 * (len(kept) - 1)
    assert least <= width or len(kept) == 1
    gone = [c for c in columns if c not in kept]
    assert all(g.need <= k.need for g in gone for k in kept)
    assert kept == [c for c in columns if c in kept]


def project(folder: Path, runs: dict[str, dict[str, Any]]) -> list[RunSpec]:
    (folder / "notebooks").mkdir(exist_ok=True)
    for name in runs:
        (folder / "notebooks" / f"{name}.ipynb").write_text(json.dumps({"cells": []}))
    return [RunSpec(name, name, "paper", parameters) for name, parameters in runs.items()]


MINE = "https://example.org/v1#mine"
RUNS: dict[str, dict[str, Any]] = {
    "02_dimension_scaling": {
        "models": [f"google/t5-v1_1-{size}" for size in ("small", "xxl")],
        "dofs": [5, 25],
        "n": 500,
    },
    "13_cost_of_everything": {
        "models": ["service:openai/text-embedding-3-large", f"service:{MINE}", "pythia-12b"],
        "dofs": [25],
        "n": 500,
    },
}


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_tables_fit_the_terminal(
    width: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    print_plan(project(tmp_path, RUNS), tmp_path, card=find_card("L4"))
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text  # no number is cut
    flat = " ".join(text.split())
    for name in (
        "tokens",
        "FLOP",
        "on L4",
        "memory on L4",
        "store",
        "price",
        "never ran",
        "02_dimension_scaling",
    ):
        assert name in flat
    [line] = [line for line in text.splitlines() if line.startswith("pythia-12b")]
    assert re.search(r"2 × \d+\.\d GiB", line)
    assert "5 models, ≈ " in flat and "GPU-hours on one L4 (at 40 % of its peak)" in flat
    assert f"the price of service:{MINE} is not known" in flat
    assert "on each of 2 cards, store" in flat


def test_without_a_terminal_there_is_room(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    print_plan(project(tmp_path, RUNS), tmp_path)
    text = capsys.readouterr().out
    head = text.splitlines()[1].split()
    assert {"why", "here", "rows", "H100"} <= set(head)
    assert max(map(len, text.splitlines())) <= 160


def test_the_sentence_is_that_of_the_parts() -> None:
    card = find_card("H100")
    assert "less than 0.01 GPU-hours" in summary(plan(RUNS["02_dimension_scaling"] | {"dofs": [2]}), card)
    plans = [plan({**p, "n": 20_000}) for p in RUNS.values()]
    every = together(plans)
    text = summary(every, card)
    hours = sum(c.flops for c in every.models) / (0.4 * 989.4e12) / 3600
    assert f"{hours:.2g} GPU-hours on one H100" in text
    largest = max(p.bytes for c in every.models if (p := c.placement(card)))
    assert f"(pythia-12b) needs {largest / GIB:.1f} GiB on one card" in text
    assert f"services ≈ ${every.price:.2g}" in text


# --- the command line ----------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path) -> Path:
    runs = {"01_a": {}}
    project(tmp_path, runs)
    (tmp_path / "notebooks" / "profiles.yml").write_text("smoke:\n  01_a: {}\n")
    cell = {"cell_type": "code", "id": "p", "metadata": {"tags": ["parameters"]}, "execution_count": None,
            "outputs": [], "source": "model = 'google/t5-v1_1-xl'\ndof = 5\nn = 100"}  # fmt: skip
    book = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "notebooks" / "01_a.ipynb").write_text(json.dumps(book))
    return tmp_path


def test_a_dry_run_counts_on_the_card_that_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, title in (([], "H100 (SXM)"), (["--card", "rtx4090"], "RTX 4090")):
        assert main(["run", "--dry-run", "--root", str(here), *arguments]) == 0
        assert f"GPU-hours on one {title} (at 40 % of its peak)" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--dry-run", "--card", "H10"], "unknown card 'H10'; did you mean 'H100'?"),
        (["--dry-run", "--card", "T4"], "must have bfloat16"),
        (["--card", "H100"], "--card must come with --dry-run"),
    ],
)
def test_a_slip_in_the_card_is_wrong_usage(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], answer: str
) -> None:
    assert main(["run", "--root", str(here), *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and answer in err and err.count("\n") == 1


# --- one table -------------------------------------------------------------------------------------------

MODEL = "all-MiniLM-L6-v2"


def test_one_table_is_counted_with_its_free_text() -> None:
    car = {"data": "hpo_tables/hpobench_car", "models": [MODEL], "n_samples": 120}
    [part] = parts_of(car)
    assert (part.total, part.format, part.task) == (120, "json:s", "hpo_tables/hpobench_car")
    # The same rows as a chapter on measured tasks reads: embedded once for both.
    [measured] = parts_of({"tasks": ["hpo_tables/hpobench_car"], "models": [f"{MODEL}:json:s"], "n": 120})
    assert measured == part
    assert parts_of({**car, "saved": "somewhere"}) == []
    assert [p.total for p in parts_of({**car, "n_samples": 0})] == [1000]
    assert [p.total for p in parts_of({**car, "data": "coffee"})] == [2 * 120]


def test_a_file_is_counted_too(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b,y\n" + "".join(f"{i / 7},{i % 5},{i}\n" for i in range(30)))
    assert plan({"data": str(path), "models": [MODEL], "n_samples": 0}).rows == 30
