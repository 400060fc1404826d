"""Where the time of the sweep goes: torch's profiler on a part of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from benchmarks._head_contenders import Settings, sweep
from benchmarks._head_data import Problem

__all__ = ["EPOCHS", "PARTS", "breakdown", "part_of"]

EPOCHS = 30
"""Epochs of the profiled part: the events of a whole sweep would fill the memory."""

PARTS = (
    "products, forward",
    "products, backward",
    "optimiser",
    "casts and copies",
    "batches gathered",
    "bias, ReLU, loss",
    "validation",
    "Python, NumPy, waiting",
)
"""What the time of the threads is split into; the last is what no operation of torch accounts for."""

_PRODUCTS = ("aten::bmm", "aten::mm", "aten::addmm", "aten::baddbmm", "aten::mv", "aten::addmv")


def breakdown(problem: Problem, settings: Settings) -> dict[str, Any]:
    """Profile every target at the middle learning rate, all weight decays, for `EPOCHS` epochs.

    Returns
    -------
    dict
        ``shares`` of `PARTS`, of the time of all threads; ``slower``, what profiling costs: how many times
        as long as without.
    """
    import torch
    from torch._C._profiler import _ExperimentalConfig
    from torch.profiler import ProfilerActivity, profile

    rates = settings.learning_rates
    part = replace(
        settings, learning_rates=(rates[len(rates) // 2],), max_epochs=min(EPOCHS, settings.max_epochs)
    )
    started = time.perf_counter()
    sweep(problem, part)
    plain = time.perf_counter() - started
    # The workers are other threads than this one, which is all that a profiler records by itself.
    every_thread = _ExperimentalConfig(profile_all_threads=True)
    kinds = [ProfilerActivity.CPU]
    with profile(activities=kinds, record_shapes=True, experimental_config=every_thread) as found:
        started = time.perf_counter()
        sweep(problem, part)
        wall = time.perf_counter() - started
    train, val, _ = problem.parts
    sizes = {len(train), min(settings.batch_size, len(train)), len(train) % settings.batch_size}
    total = wall * torch.get_num_threads()
    spent = Counter[str]()
    for thread in _by_thread(found.events()):
        phase = "forward"
        for event in thread:
            where, phase = part_of(event, phase, sizes - {0}, len(val), problem.X.shape[1])
            spent[where] += event.self_cpu_time_total / 1e6
    shares = {name: spent[name] / total for name in PARTS}
    shares[PARTS[-1]] = max(0.0, 1 - sum(spent.values()) / total)
    return {"shares": shares, "slower": wall / plain, "epochs": part.max_epochs}


def _by_thread(events: Iterable[Any]) -> list[list[Any]]:
    """Events of each thread in the order in which they began."""
    threads: dict[int, list[Any]] = {}
    for event in events:
        threads.setdefault(event.thread, []).append(event)
    return [sorted(found, key=lambda e: e.time_range.start) for found in threads.values()]


def part_of(event: Any, phase: str, sizes: set[int], val: int, width: int) -> tuple[str, str]:
    """Part that an operation belongs to, and whether the products are on their way forward or back.

    The way back begins with a product over the rows of a batch (the gradient of a matrix), and ends with one
    that reads the features again. Only the products of validation tell by their rows that they are.

    Parameters
    ----------
    event : FunctionEvent
    phase : str
        ``"forward"`` or ``"backward"``, of the operation before.
    sizes : set of int
        Rows that a batch may have.
    val, width : int
        Validation rows; columns of the features.

    Returns
    -------
    part, phase : str
    """
    shapes = [tuple(s) for s in event.input_shapes or () if len(s) >= 2]
    if event.name in _PRODUCTS and shapes:
        rows, inner = shapes[0][-2:]
        if rows == val and val not in sizes:
            return "validation", "forward"
        if inner in sizes and inner != width:
            phase = "backward"
        elif inner == width and rows in sizes:
            phase = "forward"
        return f"products, {phase}", phase
    if "Adam" in event.name or "adam" in event.name:
        return "optimiser", phase
    if event.name in ("aten::copy_", "aten::_to_copy", "aten::to", "aten::clone", "aten::contiguous"):
        return "casts and copies", phase
    if event.name in ("aten::index", "aten::index_select", "aten::gather"):
        return "batches gathered", phase
    if shapes and shapes[0][-2] == val and val not in sizes:
        return "validation", phase
    return "bias, ReLU, loss", phase
