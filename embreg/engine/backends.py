"""Which library computes a forward pass, in which precision, on which device."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from embreg._progress import without_widgets
from embreg._static import STATIC
from embreg.engine.memory import require_room

if TYPE_CHECKING:
    import torch

    from embreg.engine.core import Recipe, Work
    from embreg.models import LocalModel

__all__ = [
    "Backend",
    "import_openvino",
    "load_backend",
    "model_type",
    "quiet",
    "resolve_backend",
    "resolve_device",
    "resolve_dtype",
]

OPENVINO_TYPES = ("bert", "distilbert", "electra", "mpnet", "mt5", "roberta", "t5", "xlm-roberta")
"""Model types of which the tests show that OpenVINO and torch agree."""


class Backend(Protocol):
    """A loaded model."""

    def hidden(
        self, tokens: torch.Tensor, mask: torch.Tensor, layers: frozenset[int]
    ) -> dict[int, torch.Tensor]:
        """Hidden states ``(n, width, d)`` of the wanted layers; 0 is the input of the first block."""

    def vocabulary(self, tokens: torch.Tensor) -> torch.Tensor:
        """Vocabulary embeddings of the tokens."""

    def expect(self, layers: Collection[int], work: Sequence[Work]) -> None:
        """Prepare for the batches that will come."""


def load_backend(local: LocalModel, config: Any, recipe: Recipe) -> Backend:
    """Load the model of a recipe.

    Raises
    ------
    ImportError
        ``backend="openvino"`` without the extra ``cpu``.
    MemoryError
        It does not fit; the message says what would.
    """
    if config.model_type == STATIC:
        from embreg.engine.static_backend import StaticBackend

        return StaticBackend(local, config, recipe)
    require_room(local, config, recipe)
    if recipe.backend == "openvino":
        from embreg.engine.openvino_backend import OpenVinoBackend

        return OpenVinoBackend(local, config, recipe)
    from embreg.engine.torch_backend import TorchBackend

    return TorchBackend(local, config, recipe)


def resolve_backend(backend: str, local: LocalModel, *, stage: str, dtype: str, device: str) -> str:
    """``"auto"`` is OpenVINO on an x86-64 processor where it is installed and known to agree, else torch.

    Parameters
    ----------
    backend : {"auto", "torch", "openvino"}
    local : LocalModel
    stage : {"forward", "vocab"}
        Nothing is computed in ``"vocab"``, so torch looks the vectors up.
    dtype, device : str
        Resolved names.

    Raises
    ------
    ValueError
        OpenVINO was asked for and cannot do this.
    ImportError
        OpenVINO was asked for and is not installed.
    """
    if backend == "torch" or stage == "vocab":
        return "torch"
    kind = model_type(local.path)
    obstacle = None
    if device != "cpu":
        obstacle = f"device={device!r}: it computes on the CPU only; use backend='torch'"
    elif kind not in OPENVINO_TYPES:
        obstacle = f"a model of type {kind!r}: tested are {', '.join(OPENVINO_TYPES)}; use backend='torch'"
    elif dtype == "bfloat16" and find_spec("openvino") and not _has_bfloat16():
        obstacle = "dtype='bfloat16': this processor lacks it; use dtype='float32' or backend='torch'"
    if backend == "openvino":
        if obstacle:
            raise ValueError(f"backend='openvino' cannot be used with {obstacle}")
        if find_spec("openvino") is None:
            raise ImportError(
                "backend='openvino' needs OpenVINO: pip install 'embreg[cpu]', or backend='torch'"
            )
        return backend
    # On other processors it was not measured.
    here = platform.machine().lower() in ("x86_64", "amd64") and find_spec("openvino") is not None
    return "openvino" if here and obstacle is None else "torch"


def resolve_device(device: str) -> str:
    """``"auto"`` is CUDA, then Apple's MPS, then the CPU.

    Raises
    ------
    ValueError
        A device that torch does not know, or does not find here.

    Examples
    --------
    >>> resolve_device("cpu")
    'cpu'
    """
    if device == "cpu":
        return device
    import torch

    if device != "auto":
        kind, _, number = device.partition(":")
        here = {"cpu": 1, "mps": int(torch.backends.mps.is_available()), "cuda": torch.cuda.device_count()}
        if kind not in here or not (number or "0").isdecimal():
            raise ValueError(
                f"device must be 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps', however: got {device!r}"
            )
        if int(number or 0) >= here[kind]:
            raise ValueError(
                f"device={device!r} is not to be had: torch {torch.__version__} finds {here[kind]} of {kind} "
                "here; use device='cpu', or a build of torch for the card"
            )
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def resolve_dtype(dtype: str, device: str, *, int8: bool = False) -> str:
    """``"auto"`` is bfloat16 where the processor multiplies it natively, else float32.

    Never float16: T5's activations overflow it; and never int8, which moves an embedding further.

    Parameters
    ----------
    dtype, device : str
    int8 : bool
        Whether int8 may be asked for: a model's weights can be rounded to it, what is trained cannot.

    Raises
    ------
    ValueError
        Anything but auto, float32 and bfloat16, and int8 where it may be.

    Examples
    --------
    >>> resolve_dtype("float32", "cpu")
    'float32'
    """
    if dtype in ("float32", "bfloat16") or (int8 and dtype == "int8"):
        return dtype
    if dtype != "auto":
        known = "'auto', 'float32', 'bfloat16' or 'int8'" if int8 else "'auto', 'float32' or 'bfloat16'"
        raise ValueError(f"dtype must be {known} (float16 overflows in T5), however: got {dtype!r}")
    import torch

    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    if device != "cpu":
        return "float32"
    # torch has no public question for this; without the answer float32 is right, only slower.
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    return "bfloat16" if native else "float32"


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from alarming: a bar of one second, that BERT's pooler is unused, missing widgets."""
    with without_widgets():
        from transformers.utils import logging

        had_bar, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
        logging.disable_progress_bar()
        logging.set_verbosity_error()
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            if had_bar:
                logging.enable_progress_bar()


@lru_cache(maxsize=64)
def model_type(folder: Path) -> str:
    """Model type that the configuration of a folder states.

    Examples
    --------
    >>> from embreg.models import resolve
    >>> model_type(resolve("all-MiniLM-L6-v2").path)
    'bert'
    """
    return str(json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type"))


def import_openvino() -> Any:
    """Import OpenVINO without its telemetry.

    Imported as it is, it reports every import and conversion to its makers and leaves files in the home
    folder. It does without where that module is missing, which is what it is told here.
    """
    name = "openvino_telemetry"
    if name not in sys.modules:  # who has imported it has made the choice
        sys.modules[name] = None  # type: ignore[assignment]
    import openvino

    return openvino


@lru_cache(maxsize=1)
def _has_bfloat16() -> bool:
    core = import_openvino().Core()
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
