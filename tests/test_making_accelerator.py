"""Family `accelerator`: zigzag for real, against bounds that any accelerator obeys."""

from __future__ import annotations

import json
import logging
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embreg.making import _zigzag
from embreg.making.accelerator import FAMILY, LAYERS
from embreg.making.family import Infeasible, MissingTool, get_family
from embreg.making.space import Value

TASKS = [spec.name for spec in FAMILY.specs]

# An accelerator that is never short of anything but multipliers.
AMPLE: dict[str, Value] = {
    "array_rows": 8,
    "array_cols": 8,
    "dataflow": "K|C",
    "input_bits": 8,
    "weight_bits": 8,
    "acc_bits": 24,
    "input_rf": 64,
    "weight_rf": 64,
    "output_rf": 64,
    "sharing": "shared",
    "buffer_kb": 1024,
    "weight_buffer_kb": None,
    "output_buffer_kb": None,
    "buffer_bw": 2**20,
    "buffer_ports": "2rw",
    "double_buffer": False,
    "dram_bw": 2**20,
}


@pytest.fixture
def zigzag() -> None:
    """Skip where zigzag is not; in CI it must be."""
    try:
        FAMILY.require()
    except MissingTool as error:
        if os.environ.get("CI"):
            pytest.fail(f"in CI this must run, however: {error}")
        pytest.skip(str(error))


def feasible(task: str, start: int = 0) -> Iterator[tuple[dict[str, Value], float]]:
    """Drawn rows of a task that have a y, with it."""
    for index in range(start, start + 100):
        row = FAMILY.draw(task, index)
        try:
            yield row, FAMILY.measure(task, row)
        except Infeasible:
            continue


def bits_outside(task: str, row: dict[str, Value]) -> int:
    """What must cross to the memory outside at least once: a product of matrices, every operand whole."""
    loops = LAYERS[task].loops
    inputs, weights = int(row["input_bits"] or 0), int(row["weight_bits"] or 0)
    moved = loops["B"] * loops["C"] * inputs + loops["K"] * loops["C"] * weights
    return moved + loops["B"] * loops["K"] * inputs


# What is drawn.


def test_the_family_is_found_by_its_name() -> None:
    assert get_family("accelerator") is FAMILY
    assert FAMILY.tolerance == 0.0
    assert len(TASKS) >= 8
    assert set(TASKS) == set(LAYERS)
    assert all(spec.n == 500 and spec.direction == "min" for spec in FAMILY.specs)


def test_an_unknown_task_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"no task 'lstm'; it has: conv3x3, "):
        FAMILY.space("lstm")
    with pytest.raises(ValueError, match=r"no task 'lstm'"):
        FAMILY.measure("lstm", {})


@pytest.mark.parametrize("task", TASKS)
def test_rows_are_those_of_the_space(task: str) -> None:
    space = FAMILY.space(task)
    for index in range(50):
        row = FAMILY.draw(task, index)
        assert tuple(row) == space.names
        assert row == FAMILY.draw(task, index)
        assert row["dataflow"] in LAYERS[task].dataflows
        assert (row["weight_buffer_kb"] is None) == (row["sharing"] == "shared")
        assert (row["output_buffer_kb"] is None) == (row["sharing"] != "all_apart")
        # The smallest register file holds one operand, or the row would fail for a dull reason.
        for name, width in (("input", "input"), ("weight", "weight"), ("output", "acc")):
            assert 8 * int(row[f"{name}_rf"] or 0) >= int(row[f"{width}_bits"] or 0)


@pytest.mark.parametrize("task", TASKS)
def test_the_two_loops_of_a_dataflow_are_different_loops_of_the_layer(task: str) -> None:
    for rows, columns in LAYERS[task].dataflows.values():
        assert rows != columns
        assert {rows, columns} <= set(LAYERS[task].loops)
        assert min(LAYERS[task].loops[rows], LAYERS[task].loops[columns]) > 1


# What is measured.


@pytest.mark.parametrize("task", TASKS)
def test_rows_of_every_task_measure_and_repeat_to_the_last_bit(zigzag: None, task: str) -> None:
    rows = feasible(task)
    found = [next(rows) for _ in range(2)]
    assert len({y for _, y in found}) == 2
    row, y = found[0]
    assert FAMILY.measure(task, row) == y
    assert FAMILY.measure(task, row, repeat=1) == y  # as `noise` says
    for row, y in found:
        units = int(row["array_rows"] or 0) * int(row["array_cols"] or 0)
        # No unit multiplies more than once a cycle.
        assert math.exp(y) >= LAYERS[task].macs / units * (1 - 1e-9)


def test_values_do_not_depend_on_the_order_of_sets(zigzag: None) -> None:
    """The loops of a layer are in sets within zigzag: another process, with other hashes, must agree."""
    code = (
        "import json; from embreg.making.accelerator import FAMILY\n"
        "print(json.dumps([FAMILY.measure(t, FAMILY.draw(t, 1)) for t in ('gemm', 'depthwise')]))"
    )
    said = []
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        assert done.stderr == ""
        said.append(json.loads(done.stdout))
    here = [FAMILY.measure(task, FAMILY.draw(task, 1)) for task in ("gemm", "depthwise")]
    assert said == [here, here]


def test_a_product_of_matrices_moves_its_operands_about_once_or_more(zigzag: None) -> None:
    """Moving every operand once is the least; zigzag's count falls short of it by what `flaws` says."""
    shares = []
    for task in ("gemm", "gemm_tall", "gemm_batch16"):
        rows = feasible(task, 19)
        for row, y in (next(rows) for _ in range(6)):
            shares.append(math.exp(y) / (bits_outside(task, row) / int(row["dram_bw"] or 0)))
    assert 0.75 < min(shares) < 1
    assert np.median(shares) > 1


@pytest.mark.parametrize(
    ("rows", "columns", "flow", "parallel"),
    [
        (8, 8, "K|C", {"K": 8, "C": 8}),
        (16, 4, "K|C", {"K": 16, "C": 4}),
        (5, 32, "K|B", {"K": 5, "B": 32}),
        (7, 9, "C|B", {"C": 7, "B": 9}),
    ],
)
def test_ample_memories_leave_the_cycles_of_the_loops(
    zigzag: None, rows: int, columns: int, flow: str, parallel: dict[str, int]
) -> None:
    """Counted by hand: a loop of n steps on u units takes n / u cycles, rounded up."""
    row = AMPLE | {"array_rows": rows, "array_cols": columns, "dataflow": flow}
    by_hand = math.prod(math.ceil(n / parallel.get(loop, 1)) for loop, n in LAYERS["gemm"].loops.items())
    assert by_hand <= math.exp(FAMILY.measure("gemm", row)) + 1e-6
    assert math.exp(FAMILY.measure("gemm", row)) <= by_hand * 1.05 + 20  # filling and emptying


@settings(max_examples=10, deadline=None)
@given(
    task=st.sampled_from(["gemm", "attention"]),
    index=st.integers(0, 200),
    name=st.sampled_from(["dram_bw", "buffer_bw"]),
    factor=st.integers(2, 8),
)
def test_more_bandwidth_never_costs_cycles(task: str, index: int, name: str, factor: int) -> None:
    try:
        FAMILY.require()
        row = FAMILY.draw(task, index)
        y = FAMILY.measure(task, row)
    except (Infeasible, MissingTool):
        return
    assert FAMILY.measure(task, {**row, name: int(row[name] or 0) * factor}) <= y + 1e-12


def test_what_is_kept_apart_is_what_the_row_says(zigzag: None) -> None:
    """A starved buffer of weights slows a row that has one, and a row with one for everything too."""
    narrow = AMPLE | {"buffer_bw": 32}
    assert FAMILY.measure("gemm", narrow) > FAMILY.measure("gemm", AMPLE) + 0.5
    apart = narrow | {"sharing": "all_apart", "weight_buffer_kb": 1024, "output_buffer_kb": 1024}
    assert FAMILY.measure("gemm", apart) < FAMILY.measure("gemm", narrow)  # three times the ports
    single = narrow | {"buffer_ports": "1rw"}
    assert FAMILY.measure("gemm", single) > FAMILY.measure("gemm", narrow)


def test_a_layer_that_cannot_fit_is_infeasible(zigzag: None) -> None:
    tiny = AMPLE | {"array_rows": 32, "array_cols": 32, "buffer_kb": 1, "acc_bits": 32}
    with pytest.raises(Infeasible, match="fits into the memories in no order"):
        FAMILY.measure("gemm", tiny)
    assert FAMILY.measure("gemm", tiny | {"buffer_kb": 1024}) > 0


def test_what_zigzag_refuses_is_an_error_and_not_infeasible(zigzag: None) -> None:
    with pytest.raises(ValueError, match="zigzag must accept the accelerator, however: it refuses"):
        FAMILY.measure("gemm", AMPLE | {"array_rows": -1})


def test_the_window_of_a_convolution_stays_together(zigzag: None) -> None:
    """A twin by brute force: of the orders of six loops, those where FX is followed by FY."""
    from itertools import permutations
    from types import SimpleNamespace as Loop

    loops = [(Loop(name=name), 2) for name in ("K", "C", "OY", "OX", "FY", "FX")]
    kept = [order for order in permutations(loops) if _zigzag._together(order)]
    assert len(kept) == math.factorial(5)
    assert all("FXFY" in "".join(loop.name for loop, _ in order) for order in kept)
    assert _zigzag._together(loops[:5])  # one loop of the window alone may stand anywhere


# How it behaves on a machine.


def test_a_row_is_silent_and_leaves_no_file(
    zigzag: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    logger = logging.getLogger("zigzag")
    before = logger.level, list(logging.getLogger().handlers)
    with caplog.at_level(logging.DEBUG):
        FAMILY.measure("conv5x5", AMPLE | {"array_rows": 32})  # more rows than channels: zigzag would warn
        with pytest.raises(Infeasible):
            FAMILY.measure(
                "gemm", AMPLE | {"array_rows": 32, "array_cols": 32, "buffer_kb": 1, "acc_bits": 32}
            )
    assert (logger.level, list(logging.getLogger().handlers)) == before
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.name.startswith("zigzag")]
    assert not list(tmp_path.rglob("*"))


def test_zigzag_would_have_spoken(
    zigzag: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The test above can fail: without `silent`, the same row is logged."""
    from contextlib import nullcontext

    monkeypatch.setattr(_zigzag, "silent", nullcontext)
    with caplog.at_level(logging.DEBUG):
        FAMILY.measure("gemm", AMPLE)
    assert [record for record in caplog.records if record.name.startswith("zigzag")]


@pytest.mark.parametrize("task", ["conv3x3", "conv3x3_stride2"])
def test_the_slowest_kind_of_row_is_still_quick(zigzag: None, task: str) -> None:
    """No loop is spread whole, so that six are left to order: in 120 ways, not in the 720 there are."""
    row = AMPLE | {"array_rows": 4, "array_cols": 4}
    started = time.process_time()
    FAMILY.measure(task, row)
    assert time.process_time() - started < 4


@pytest.mark.parametrize("package", ["six", "zigzag"])
def test_a_missing_package_is_named_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    row = FAMILY.draw("gemm", 0)
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)  # as Python blocks an import
    for use in (FAMILY.require, FAMILY.versions, lambda: FAMILY.measure("gemm", row)):
        with pytest.raises(MissingTool, match=rf'{package}.* pip install "embreg\[data\]"'):
            use()


def test_versions_name_all_that_a_value_depends_on(zigzag: None) -> None:
    said: dict[str, Any] = FAMILY.versions()
    assert set(said) == {"zigzag-dse", "numpy", "python"}
    assert said["numpy"] == np.__version__
