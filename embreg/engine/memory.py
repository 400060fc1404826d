"""Whether a model fits, before it is loaded: its size, what is free, what would fit, and which card."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from embreg.engine.core import Recipe
    from embreg.models import LocalModel

__all__ = [
    "bytes_needed",
    "check_memory",
    "fill_cards",
    "free_cards",
    "free_memory",
    "require_room",
    "spread_over",
    "stored_parameters",
]

ROOM = 1.2
"""Memory taken for each byte of weights: a fifth more for activations."""

_BYTES = {"float32": 4, "bfloat16": 2}
_DRAWN = 4.2  # bytes of a parameter: drawn in float32, then cast one by one (measured 4.1)
_ROUNDED = 1.5  # on a card, of a parameter in int8: one byte in a matrix, two in the vocabulary's table
_CONVERTED = {"pretrained": 7.0, "random": 11.0}  # OpenVINO's form beside torch's (measured 6.8 and 10.8)
_CGROUP = Path("/sys/fs/cgroup")


def stored_parameters(folder: Path) -> int:
    """Numbers in the weight files of a folder, by their headers: nothing is loaded.

    The decoder of an encoder-decoder is counted too, though it stays on the disk.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    int
        0 where the headers cannot be read; loading says why.
    """
    from embreg._folder import weight_files

    total = 0
    with suppress(OSError, ValueError, KeyError, TypeError):
        for name in weight_files(folder):
            if name.endswith(".safetensors"):
                with open(folder / name, "rb") as f:
                    header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
                total += sum(math.prod(v["shape"]) for k, v in header.items() if k != "__metadata__")
    return total


def bytes_needed(
    parameters: int, *, dtype: str, backend: str = "torch", weights: str = "pretrained", card: bool = False
) -> int:
    """Memory that loading and running a model takes at its peak.

    Parameters
    ----------
    parameters : int
    dtype : {"float32", "bfloat16", "int8"}
        Weights are read in float32 to be rounded to int8, layer by layer; afterwards they take a quarter.
    backend : {"torch", "openvino"}
        OpenVINO's form is made from torch's in float32, and both are there for a while.
    weights : {"pretrained", "random"}
        Random weights are drawn in float32.
    card : bool
        Whether this is the memory of a card, which weights in int8 reach when they are rounded.

    Examples
    --------
    >>> bytes_needed(1_000_000, dtype="bfloat16"), bytes_needed(1_000_000, dtype="float32")
    (2400000, 4800000)
    """
    if backend == "openvino":
        return int(_CONVERTED[weights] * parameters)
    if dtype == "int8":
        return int(parameters * (ROOM * _ROUNDED if card else _DRAWN))
    return int(parameters * max(ROOM * _BYTES[dtype], _DRAWN if weights == "random" else 0.0))


def free_memory(device: str) -> int | None:
    """Bytes that can be allocated, where the system tells: on a card, or under a container's limit.

    Examples
    --------
    >>> (free_memory("cpu") or 1) > 0
    True
    """
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(torch.device(device))[0])
    found = []
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
    with suppress(OSError, ValueError):  # "max" is no number: no limit
        limit, used = (int((_CGROUP / f"memory.{n}").read_text(encoding="ascii")) for n in ("max", "current"))
        # What the group's files keep in memory is given up when somebody asks for it.
        stat = (_CGROUP / "memory.stat").read_text(encoding="ascii").split()
        found.append(limit - used + int(stat[stat.index("inactive_file") + 1]))
    return max(min(found), 0) if found else None


def free_cards(device: str) -> list[int]:
    """Free bytes of each card that `device` names: all of them for ``"cuda"``, none for the CPU."""
    if not device.startswith("cuda"):
        return []
    import torch

    names = [device] if ":" in device else [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    return [free_memory(name) or 0 for name in names]


def spread_over(model: Any, free: Sequence[int]) -> dict[str, int] | None:
    """Card of each part of a model, filled one card after another; None when it does not fit on all.

    A block stays whole: its residual stream would otherwise be added up across cards.

    Parameters
    ----------
    model : PreTrainedModel
        Loaded or on the meta device.
    free : sequence of int
        Free bytes of each card; a sixth of them is left for activations.

    Returns
    -------
    dict or None
        Names of modules to numbers of cards, as transformers' ``device_map``.
    """
    units, homes, names = [], dict[int, int](), []
    for number, (name, parameters) in enumerate(_units(model)):
        names.append(name)
        tied = next((homes[id(p)] for p in parameters if id(p) in homes), None)
        new = {id(p): p.numel() * p.element_size() for p in parameters if id(p) not in homes}
        homes |= dict.fromkeys(new, number if tied is None else tied)
        units.append((sum(new.values()), tied))
    cards = fill_cards(units, free)
    return None if cards is None else dict(zip(names, cards, strict=True))


def fill_cards(units: Sequence[tuple[int, int | None]], free: Sequence[int]) -> list[int] | None:
    """Card of each part, filled one card after another; None when they do not fit on all.

    Parameters
    ----------
    units : sequence of (int, int or None)
        Bytes of a part, in the order in which they are computed, and the number of an earlier part that it
        shares some with, and stays together with.
    free : sequence of int
        Free bytes of each card; a sixth of them is left for activations.

    Examples
    --------
    >>> fill_cards([(50, None), (40, None), (40, None), (5, 0)], [120, 120])
    [0, 0, 1, 0]
    >>> fill_cards([(50, None)], [50]) is None
    True
    """
    card, left, out = 0, [int(b / ROOM) for b in free], list[int]()
    for size, tied in units:
        if tied is None:
            while card < len(left) and size > left[card]:
                card += 1
        at = card if tied is None else out[tied]
        if at >= len(left) or size > left[at]:
            return None
        left[at] -= size
        out.append(at)
    return out


def _units(model: Any, prefix: str = "") -> list[tuple[str, list[Any]]]:
    """Names and parameters of what stays on one card: blocks, and what stands beside them."""
    whole, out = set(getattr(model, "_no_split_modules", None) or ()), []

    def walk(module: Any, name: str) -> None:
        children = list(module.named_children())
        own = next(module.parameters(recurse=False), None) is not None
        if (type(module).__name__ in whole and name) or own or not children:
            out.append((name, list(module.parameters())))
        else:
            for child, part in children:
                walk(part, f"{name}.{child}" if name else child)

    walk(model, prefix)
    return out


def require_room(local: LocalModel, config: Any, recipe: Recipe) -> None:
    """`check_memory` with what is free now, on the recipe's device.

    Raises
    ------
    MemoryError
        The model does not fit.
    """
    free, cards = free_memory("cpu"), free_cards(recipe.device)
    try:
        check_memory(local, recipe, stored_parameters(local.path), free, cards)
    except MemoryError:
        from embreg.engine.torch_backend import empty_model

        # The files may hold a decoder or a head that is not loaded.
        model = empty_model(config, recipe)
        check_memory(local, recipe, sum(p.numel() for p in model.parameters()), free, cards)


def check_memory(
    local: LocalModel, recipe: Recipe, parameters: int, free: int | None, cards: Sequence[int]
) -> None:
    """Refuse a model that does not fit: the system would end the process without a word.

    Parameters
    ----------
    local : LocalModel
    recipe : Recipe
    parameters : int
        Of the part that is loaded.
    free : int or None
        Free bytes of the computer's memory; None where the system does not tell.
    cards : sequence of int
        Free bytes of the cards of the recipe's device, none on a CPU.

    Raises
    ------
    MemoryError
        Says what it takes, what is free, and what would fit.
    """
    how: dict[str, Any] = {"dtype": recipe.dtype, "backend": recipe.backend, "weights": recipe.weights}
    how["card"] = bool(cards)
    if cards and recipe.dtype == "int8":  # rounded here first
        check_memory(local, recipe._replace(device="cpu"), parameters, free, [])
    # Random and rounded weights are not spread: they are made here, and moved to the first card.
    whole = recipe.weights == "random" or recipe.dtype == "int8"
    room = free if not cards else cards[0] if whole else sum(cards)
    need = bytes_needed(parameters, **how)
    if room is None or need <= room:
        return
    ways = []
    for change in ({"dtype": "bfloat16"}, {"backend": "torch"}, {"dtype": "bfloat16", "backend": "torch"}):
        other = bytes_needed(parameters, **{**how, **change})
        if change.items() - how.items() == change.items() and other <= room:
            ways.append(f"{', '.join(f'{k}={v!r}' for k, v in change.items())} ({_gb(other)})")
            break
    rounded = {k: bytes_needed(parameters, dtype="int8", card=k) for k in (True, False)}
    if cards and not ways and rounded[True] <= cards[0] and (free is None or rounded[False] <= free):
        ways.append(f"dtype='int8' ({_gb(rounded[True])})")
    ways += _smaller(local, parameters, how, room)
    every = free_cards("cuda") if ":" in recipe.device else []
    if len(every) > 1 and not whole and need <= sum(every):
        ways.append(f"device='cuda', which spreads it over {len(every)} cards with {_gb(sum(every))} free")
    if cards and free is not None and bytes_needed(parameters, **{**how, "card": False}) <= free:
        ways.append(f"device='cpu' ({_gb(free)} are free there)")
    ways.append(
        f"a machine, or cards together, with {_gb(need)} free (several cards: device='cuda', extra gpu)"
    )
    where = f"{len(cards)} cards" if len(cards) > 1 else recipe.device
    raise MemoryError(
        f"{recipe.model} ({parameters / 1e6:,.0f} million parameters) takes {_gb(need)} in {recipe.dtype} on "
        f"{where}, however: {_gb(room)} are free; what would fit: {'; '.join(ways)}"
    )


def _smaller(local: LocalModel, parameters: int, how: dict[str, Any], room: int) -> list[str]:
    """Largest named model of the same kind that fits, and whether it takes bfloat16."""
    from embreg.engine.backends import model_type
    from embreg.models import MODELS

    kind = model_type(local.path)
    same = [s for s in MODELS.values() if s.architecture == kind] or list(MODELS.values())
    fits = [s for s in same if s.parameters < parameters and bytes_needed(s.parameters, **how) <= room]
    best = max(fits, key=lambda s: s.parameters, default=None)
    return (
        []
        if best is None
        else [f"a smaller model such as {best.name} ({_gb(bytes_needed(best.parameters, **how))})"]
    )


def _gb(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 5e7 else f"{size / 1e6:,.1f} MB"
