"""What runs would cost, before they run: tokens, floating-point operations, time and memory.

The count is an upper bound: rows that the store already holds cost nothing, and a run repeated later finds
all of its rows there. Heads, metrics and figures are not in the operations; where the same run was done
before, its measured duration takes the place of the estimate.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from embreg._shape import Shape, folder_shape, spec_shape

__all__ = ["EFFICIENCY", "Part", "Plan", "gemm_rate", "plan", "together"]

EFFICIENCY = 0.6
"""Share of the machine's matrix rate that a small encoder reaches on a CPU (measured: 0.6 to 0.7, and 0.4
without OpenVINO)."""

_CHARACTERS_PER_TOKEN = 2.2  # of serialised numbers, where the model's tokenizer is not on this machine
_TOKENS_PER_BATCH = 4096
_SAMPLE = 20  # rows whose tokens are counted


@dataclass(frozen=True)
class Part:
    """Rows of one kind that one model reads; equal parts of several runs are embedded once.

    Attributes
    ----------
    model : str
        As notebooks write it, ``model[:style[:decimals]]``.
    style : str
    dof : int
    per_seed, seeds : int
        Rows of one seed, and seeds.
    weights : {"pretrained", "random"}
    task : str
        Name of a measured task, whose rows are its own; empty for points of `dof` coordinates.
    """

    model: str
    style: str
    dof: int
    per_seed: int
    seeds: int
    weights: str = "pretrained"
    task: str = ""


@dataclass(frozen=True)
class Plan:
    """Cost of embedding everything a run may embed.

    Attributes
    ----------
    parts : tuple of Part
        What the counts below are the sum of.
    rows : int
        Strings to embed.
    tokens : int
    flops : float
        Floating-point operations of the forward passes.
    seconds : float
        At the rate of this machine.
    bytes : int
        Peak memory of the largest model: weights and activations in float32.
    exact : bool
        False where tokens were estimated from characters, for want of the tokenizer's files.
    notes : tuple of str
        What was left out of the count, and rows longer than a model reads.
    """

    parts: tuple[Part, ...] = ()
    rows: int = 0
    tokens: int = 0
    flops: float = 0.0
    seconds: float = 0.0
    bytes: int = 0
    exact: bool = True
    notes: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def gemm_rate(budget: float = 0.2) -> float:
    """Operations a second of a 1024³ product on this machine, in the dtype that ``dtype="auto"`` takes.

    Measured in `budget` seconds, by torch where it is installed.

    Examples
    --------
    >>> gemm_rate() > 1e8
    True
    """
    a: Any
    try:
        import torch

        from embreg.engine.backends import resolve_dtype

        a = torch.ones((1024, 1024), dtype=getattr(torch, resolve_dtype("auto", "cpu")))
    except ImportError:
        a = np.ones((1024, 1024), dtype=np.float32)
    a @ a  # the first product also sets the library up
    best, end = float("inf"), time.perf_counter() + budget
    while time.perf_counter() < end or best == float("inf"):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2 * 1024**3 / best


def plan(parameters: Mapping[str, Any]) -> Plan:
    """Cost of a run with these parameters.

    It understands the names that the notebooks share: ``models`` or ``model``, ``random_models``, ``dofs``
    or ``dof``, ``n_seeds`` or ``seeds``, ``n_samples``, ``n`` or ``sizes``, ``n_test``, ``styles`` or
    ``style``; and ``families`` with ``tasks_per_family``, or ``tasks`` with ``formats``, of measured tasks.

    Parameters
    ----------
    parameters : mapping
        All parameters of a run.

    Returns
    -------
    Plan
        Σ over models, dofs, seeds and styles. One forward pass serves all functions, poolings and layers.

    Examples
    --------
    >>> plan({"models": ["all-MiniLM-L6-v2"], "dofs": [5], "n_samples": 100, "n_seeds": 2}).rows
    200
    >>> plan({"perplexity": 30}).rows
    0
    """
    models = _several(parameters, "models", "model")
    rows = _several(parameters, "n_samples", "n", "n_points", "sizes")
    if models and rows and ("families" in parameters or "tasks" in parameters):
        return _sum(_measured(parameters, [str(m) for m in models], max(int(r) for r in rows)))
    dofs = [int(d) for d in _several(parameters, "dofs", "dof")]
    if not (models and rows and dofs):
        return Plan(notes=("embeds nothing that its parameters tell of",))
    seeds = (
        int(parameters["n_seeds"]) if "n_seeds" in parameters else len(_several(parameters, "seeds", "seed"))
    )
    styles = _several(parameters, "styles", "style") or ["json"]
    n = max(int(r) for r in rows) + int(parameters.get("n_test") or 0)
    read = [(str(m), "pretrained") for m in models]
    read += [(str(m), "random") for m in _several(parameters, "random_models")]
    return _sum(
        Part(model, style, dof, n, max(seeds, 1), weights)
        for (model, weights), dof, style in product(read, dofs, map(str, styles))
    )


def _measured(parameters: Mapping[str, Any], models: Sequence[str], n: int) -> Iterable[Part]:
    """Parts of measured tasks: their rows are the same for every seed, and differ by format."""
    from embreg.families import card

    limit = int(parameters.get("tasks_per_family") or 0) or None
    names = [str(name) for name in _several(parameters, "tasks")]
    names += [f"{family}/{task}" for family in _several(parameters, "families")
              for task in list(card(str(family))["tasks"])[:limit]]  # fmt: skip
    formats = max(len(_several(parameters, "formats")), 1)
    for name, model in product(names, models):
        family, task = name.split("/")
        if family == "bbob":
            points, dof = n * int(parameters["n_seeds"]), int(parameters["bbob_dof"])
            yield Part(model, "json", dof, points, formats)
        else:
            yield Part(model, "json", 0, min(n, card(family)["tasks"][task]["n"]), formats, task=name)


def _sum(parts: Iterable[Part]) -> Plan:
    total, tokens, flops, peak, exact, notes, counted = 0, 0.0, 0.0, 0, True, [], []
    for part in parts:
        model = _name(part.model)
        shape = _shape(model)
        if shape is None:
            notes.append(f"{model}: unknown, not counted")
            continue
        count, (length, known) = (
            part.per_seed * part.seeds,
            _length(part.model, part.dof, part.style, part.task),
        )
        counted.append(part)
        exact &= known
        total += count
        tokens += count * length
        flops += count * shape.flops(length)
        peak = max(peak, _memory(shape, length))
        if shape.context and length > shape.context:
            about = "" if known else "≈ "
            notes.append(
                f"{model}: rows of {part.task or f'{part.dof} DOF'} in style {part.style} have {about}"
                f"{length:.0f} tokens, it reads {shape.context}"
            )
    seconds = flops / (EFFICIENCY * gemm_rate()) if flops else 0.0
    return Plan(
        tuple(counted), total, round(tokens), flops, seconds, peak, exact, tuple(dict.fromkeys(notes))
    )


def together(plans: Sequence[Plan]) -> Plan:
    """Cost of several runs after one another: the second finds the rows of the first in the store."""
    seeds: dict[Part, int] = {}
    for part in (p for one in plans for p in one.parts):
        kind = replace(part, seeds=0)
        seeds[kind] = max(part.seeds, seeds.get(kind, 0))
    return _sum(replace(kind, seeds=n) for kind, n in seeds.items())


def _several(parameters: Mapping[str, Any], *names: str) -> list[Any]:
    for name in names:
        value = parameters.get(name)
        if value is not None:
            return list(value) if isinstance(value, list | tuple) else [value]
    return []


def _name(model: str) -> str:
    """Model of what notebooks write: without the format behind its name."""
    from embreg.representation import Representation

    try:
        return str(Representation.of(model).model)
    except ValueError:  # the notebook's own word for a format, such as "auto"
        return model.split(":")[0]


def _shape(model: str) -> Shape | None:
    """Size of a model, as far as it can be told without fetching it."""
    try:
        return spec_shape(model) or folder_shape(_folder(model))
    except ValueError:
        return folder_shape(_folder(model))


@lru_cache(maxsize=32)
def _folder(model: str) -> Path | None:
    """Folder of a model that is on this machine; nothing is fetched."""
    from embreg.models import resolve

    try:
        return resolve(model, fetch=False).path
    except (ValueError, OSError, RuntimeError):
        return None


@lru_cache(maxsize=256)
def _length(model: str, dof: int, style: str, task: str = "") -> tuple[float, bool]:
    """Mean tokens of a row, and whether the model's own tokenizer counted them."""
    from embreg.families import family
    from embreg.representation import Representation
    from embreg.serialize import serialize

    name = _name(model)
    if task:
        group, one = task.split("/")
        texts = Representation.of(model, missing="omit").strings(family(group, [one])[0].rows.head(_SAMPLE))
    else:
        points = np.random.default_rng(0).uniform(-5, 5, (_SAMPLE, dof))
        try:
            texts = Representation.of(model if ":" in model else f"{model}:{style}").strings(points)
        except ValueError:  # the notebook's own word, such as "auto"
            texts = serialize(points)
    folder = _folder(name)
    if folder is not None and (folder / "tokenizer.json").is_file():
        try:
            from tokenizers import Tokenizer
        except ImportError:
            pass
        else:
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            tokenizer.no_truncation()
            tokenizer.no_padding()
            return float(np.mean([len(e.ids) for e in tokenizer.encode_batch(texts)])), True
    return float(np.mean([len(t) for t in texts])) / _CHARACTERS_PER_TOKEN, False


def _memory(shape: Shape, length: float) -> int:
    tokens = max(_TOKENS_PER_BATCH, length)
    heads = max(1, shape.dim // 64)
    return int(4 * (shape.parameters + tokens * (12 * shape.dim + 2 * heads * length)))
