"""OpenVINO's form of a model: converted from torch once, checked against it, rounded if asked, and kept."""

from __future__ import annotations

import json
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embreg._files import atomic_path, digest, home, sha256_file
from embreg.engine.backends import import_openvino, quiet
from embreg.engine.int8 import round_graph

if TYPE_CHECKING:
    from embreg.engine.core import Recipe
    from embreg.models import LocalModel

__all__ = ["ConversionError", "graph"]

FORMAT = 1
"""Raised when the conversion itself changes."""

ROUNDING = 1
"""Raised when `embreg.engine.int8` rounds otherwise."""

_FILES = ("model.xml", "model.bin")
# Of the largest hidden value, in float32. Twelve blocks of MPNet round by 1.5e-5; a mask that tracing lost
# shows as 1e-2 where a single token of padding is read.
_TOLERANCE = 1e-4


class ConversionError(RuntimeError):
    """A model has no form of OpenVINO's that computes what torch does."""


def graph(local: LocalModel, config: Any, recipe: Recipe) -> Any:
    """All hidden states of a model as an OpenVINO graph, outputs named ``hidden.0`` and on.

    In float32, but for the matrices of a recipe in int8: bfloat16 is a way to compute it.

    It is kept in ``home()/openvino``; random weights, which are many and quickly drawn, are not.

    Parameters
    ----------
    local : LocalModel
    config : PretrainedConfig
    recipe : Recipe

    Returns
    -------
    openvino.Model
        Inputs ``input_ids`` and ``attention_mask``, both int64 of any shape ``(n, length)``.

    Raises
    ------
    ConversionError
        The model cannot be traced, or the graph disagrees with torch by more than rounding.
    """
    if recipe.weights == "random":
        return _make(local, config, recipe)
    from filelock import FileLock

    key = {
        "format": FORMAT, "weights": local.weights_digest, "attention": recipe.attention,
        "versions": {name: version(name) for name in ("openvino", "torch", "transformers")},
    }  # fmt: skip
    if recipe.dtype == "int8":  # kept by itself: the file of float32 would stay in memory beside it
        key["rounding"] = ROUNDING
    folder, made = home() / "openvino" / digest(key)[:32], None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            found = _read(folder)
            if found is None:
                made = _make(local, config, recipe)
                _keep(made, folder, {**key, "model": recipe.model})
                found = _read(folder)
            if found is not None:
                return found
            raise OSError(f"what was written to {folder} cannot be read back")
    except OSError as error:
        if recipe.dtype != "int8":  # which is rounded again in no time; of float32 it has been said
            warnings.warn(
                f"the converted model is not kept in {folder} ({error}); it is converted again by every "
                "process",
                UserWarning,
                stacklevel=2,
            )
        return _make(local, config, recipe) if made is None else made


def _make(local: LocalModel, config: Any, recipe: Recipe) -> Any:
    if recipe.dtype != "int8":
        return _convert(local, config, recipe)
    made = graph(local, config, recipe._replace(dtype="float32"))
    round_graph(made)
    return made


def _read(folder: Path) -> Any:
    """The kept graph, or None when there is none or its files are not those that were written."""
    openvino = import_openvino()
    card = folder / "card.json"
    if not card.is_file():
        return None
    try:
        sums = json.loads(card.read_text(encoding="utf-8"))["sha256"]
        damaged = [name for name in _FILES if sha256_file(folder / name) != sums[name]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        damaged = [str(error)]
    if damaged:
        warnings.warn(
            f"{folder} is damaged ({', '.join(damaged)}); the model is converted again",
            UserWarning,
            stacklevel=3,
        )
        return None
    return openvino.Core().read_model(folder / _FILES[0])


def _keep(model: Any, folder: Path, key: dict[str, Any]) -> None:
    openvino = import_openvino()
    with atomic_path(folder, directory=True) as tmp:
        try:
            openvino.save_model(model, tmp / _FILES[0], compress_to_fp16=False)
        except RuntimeError as error:  # what it says of a full disk
            raise OSError(str(error)) from error
        sums = {name: sha256_file(tmp / name) for name in _FILES}
        (tmp / "card.json").write_text(json.dumps({**key, "sha256": sums}, indent=1), encoding="utf-8")


def _convert(local: LocalModel, config: Any, recipe: Recipe) -> Any:
    import torch

    from embreg.engine.torch_backend import load_model

    openvino = import_openvino()
    model = load_model(local, config, recipe._replace(dtype="float32"), device="cpu")

    class States(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
            out = self.model(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True)
            return (*out.hidden_states[:-1], out.last_hidden_state)

    states = States().eval()
    # A mask of ones would be left out of the graph.
    with quiet(), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # tracing notes every Python condition; the check below judges
        try:
            made = openvino.convert_model(states, example_input=_example(config, 2, 9, seed=0))
        except Exception as error:  # of whatever kind: tracing runs transformers' code, whose releases differ
            raise ConversionError(
                f"{recipe.model} cannot be converted to OpenVINO's form with transformers "
                f"{version('transformers')} ({type(error).__name__}: {error}); use backend='torch', or "
                "the pinned versions of constraints.txt"
            ) from error
    for number, output in enumerate(made.outputs):
        output.get_tensor().set_names({f"hidden.{number}"})
    _check(states, made, config, recipe.model)
    return made


def _example(config: Any, n: int, length: int, seed: int) -> dict[str, Any]:
    """Random tokens; all rows but the first end in padding."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, config.vocab_size, (n, length), generator=generator)
    mask = torch.ones_like(ids)
    for row in range(1, n):
        mask[row, length - row :] = 0
    return {"input_ids": ids, "attention_mask": mask}


def _check(states: Any, made: Any, config: Any, name: str) -> None:
    """Other shapes than the traced one, with padding: a condition that was frozen wrongly shows here."""
    import torch

    compiled = import_openvino().Core().compile_model(made, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for n, length in ((1, 1), (3, 17), (2, 40)):
        inputs = _example(config, n, length, seed=n)
        real = inputs["attention_mask"].bool()
        with torch.inference_mode():
            expected = states(**inputs)
        got = compiled([inputs["input_ids"].numpy(), inputs["attention_mask"].numpy()])
        for number, wanted in enumerate(expected):
            scale = max(1.0, float(wanted[real].abs().max()))
            gap = float((torch.from_numpy(got[number]) - wanted)[real].abs().max()) / scale
            if not gap <= _TOLERANCE:
                raise ConversionError(
                    f"{name}: OpenVINO's hidden state {number} is off by {gap:.1e} of the largest value, "
                    f"however: at most {_TOLERANCE:.0e} is rounding; use backend='torch'"
                )
