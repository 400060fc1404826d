"""The torch backend: the reference on every device."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from embreg.engine.backends import quiet
from embreg.engine.fused import fuse
from embreg.engine.int8 import round_layers
from embreg.engine.loading import reads
from embreg.engine.memory import ROOM, free_cards, spread_over

if TYPE_CHECKING:
    import torch

    from embreg.engine.core import Recipe, Work
    from embreg.models import LocalModel

__all__ = ["TorchBackend", "empty_model", "load_model"]

_T5 = ("t5", "mt5", "umt5")
_POOLERS = ("bert", "camembert", "mpnet", "nomic_bert", "roberta", "xlm-roberta")


class TorchBackend:
    """A transformers model.

    Parameters
    ----------
    local : LocalModel
    config : PretrainedConfig
    recipe : Recipe

    Raises
    ------
    ValueError
        The model does not read text alone.
    """

    def __init__(self, local: LocalModel, config: Any, recipe: Recipe) -> None:
        self.n_layers = reads(config, local.path).layers
        self.model = load_model(local, config, recipe, device=recipe.device)
        taken = inspect.signature(self.model.forward).parameters
        if missing := {"input_ids", "attention_mask"} - taken.keys():
            raise ValueError(
                f"{type(self.model).__name__} takes no {' and no '.join(sorted(missing))}, however: a model "
                "must read tokens and a mask; use a text encoder or decoder"
            )
        self._places = "position_ids" in taken
        self.device = self.model.get_input_embeddings().weight.device

    def hidden(
        self, tokens: torch.Tensor, mask: torch.Tensor, layers: frozenset[int]
    ) -> dict[int, torch.Tensor]:
        """Hidden states ``(n, width, d)`` of the wanted layers; 0 is the input of the first block."""
        extra = {}
        # A model numbers positions from the left edge. The engine pads on the right, where that is right.
        if self._places and not bool(mask[:, 0].all()):
            extra["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0).to(self.device)
        tokens, mask = (t.to(self.device, non_blocking=True) for t in (tokens, mask))
        every = layers != {self.n_layers}
        result = self.model(input_ids=tokens, attention_mask=mask, output_hidden_states=every, **extra)
        last, states = (getattr(result, n, None) for n in ("last_hidden_state", "hidden_states"))
        kind = type(self.model).__name__
        if last is None or last.shape[:2] != tokens.shape:
            raise ValueError(
                f"{kind} gives no hidden state of every token (its output holds {', '.join(result.keys())}), "
                "however: those are what is pooled; use a text encoder or decoder, or stage='vocab'"
            )
        if not every:
            return {self.n_layers: last}
        if states is None or len(states) != self.n_layers + 1:
            raise ValueError(
                f"{kind} gives {len(states or ())} hidden states, however: {self.n_layers} "
                "layers should give one more; only layer=-1 can be read of it"
            )
        return {k: last if k == self.n_layers else states[k] for k in layers}

    def vocabulary(self, tokens: torch.Tensor) -> torch.Tensor:
        """Vocabulary embeddings of the tokens."""
        table: torch.Tensor = self.model.get_input_embeddings()(tokens.to(self.device))
        return table

    def expect(self, layers: Collection[int], work: Sequence[Work]) -> None:
        """Nothing to prepare."""


def load_model(local: LocalModel, config: Any, recipe: Recipe, *, device: str) -> Any:
    """Load the part of a model that makes embeddings, in evaluation mode.

    Parameters
    ----------
    local : LocalModel
    config : PretrainedConfig
    recipe : Recipe
        Weights, seed, dtype and attention.
    device : str
        ``"cuda"`` alone spreads a model over all cards when it does not fit on one.

    Raises
    ------
    ValueError
        The weight files lack some of the model's weights, or hold them in another shape.
    ImportError
        A model that has to be spread, without the extra ``gpu``.
    """
    import torch

    rounded = recipe.dtype == "int8"
    dtype = torch.float32 if rounded else getattr(torch, recipe.dtype)
    auto, extra = _class(config, recipe)
    with quiet():
        if recipe.weights == "random":
            with torch.random.fork_rng():
                torch.manual_seed(recipe.seed)
                # Drawn in float32 whatever it computes in, so that a seed means one set of weights.
                model = auto.from_config(config, dtype=torch.float32, trust_remote_code=False, **extra)
            model = _encoder(model, config)
            return fuse(_round(model, device) if rounded else _cast(model, dtype)).to(device).eval()
        # Rounded by the time they reach a card, weights take a quarter, and are not spread.
        spread = not rounded and device == "cuda" and _too_large(auto, config, dtype)
        if spread:
            extra["device_map"] = _device_map(config, recipe)
        model, found = auto.from_pretrained(
            local.path,
            dtype=dtype,
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            **extra,
        )
    # transformers draws what it does not find, and would only have warned.
    if missing := sorted(found["missing_keys"]):
        raise ValueError(
            f"{local.path} must hold every weight of {type(model).__name__}, however: it lacks "
            f"{len(missing)}, first: {missing[0]}; its config.json is of another model, or it was cut"
        )
    model = _encoder(model, config)
    if rounded:
        model = _round(model, device)
    # What moves values between cards hangs on the modules that fusing would replace.
    return model.eval() if spread else fuse(model).to(device).eval()


def empty_model(config: Any, recipe: Recipe) -> Any:
    """What `load_model` would load, without memory for it.

    Parameters
    ----------
    config : PretrainedConfig
    recipe : Recipe

    Returns
    -------
    PreTrainedModel
        On the meta device.
    """
    auto, extra = _class(config, recipe)
    dtype = "float32" if recipe.dtype == "int8" else recipe.dtype
    return _encoder(_empty(auto, config, dtype, extra), config)


def _class(config: Any, recipe: Recipe) -> tuple[Any, dict[str, Any]]:
    """Class of transformers that loads the model, and settings that leave out what is not used."""
    with quiet():
        from transformers import AutoModel, AutoModelForTextEncoding

    # Only the encoder of an encoder-decoder is used (section 2), so only it is loaded.
    auto: Any = AutoModelForTextEncoding if config.model_type in _T5 else AutoModel
    # BERT's pooler is a head for another task; a checkpoint without one would get random weights there.
    extra: dict[str, Any] = {"add_pooling_layer": False} if config.model_type in _POOLERS else {}
    if recipe.attention != "auto":
        extra["attn_implementation"] = recipe.attention
    return auto, extra


def _encoder(model: Any, config: Any) -> Any:
    """The encoder of an encoder-decoder whose class loads both, as BART's does; no cache for tokens."""
    if getattr(model.config, "use_cache", False):
        model.config.use_cache = False
    both = getattr(config, "is_encoder_decoder", False) and config.model_type not in _T5
    return model.get_encoder() if both else model


def _empty(auto: Any, config: Any, dtype: Any, extra: dict[str, Any]) -> Any:
    import torch

    with quiet(), torch.random.fork_rng(devices=[]), torch.device("meta"):
        model = auto.from_config(config, dtype=getattr(torch, str(dtype).removeprefix("torch.")), **extra)
    model.tie_weights()  # so that what is shared counts once
    return model


def _cast(model: Any, dtype: torch.dtype) -> Any:
    """Parameters in `dtype`, and buffers as they are: rounded rotary frequencies would be other positions."""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    return model


def _round(model: Any, device: str) -> Any:
    """Matrices in 8 bits; the rest in what `embreg.engine.int8` computes in on this device."""
    import torch

    round_layers(model)
    for parameter in model.parameters():
        # Copied: what still lay in the file would keep all of it in memory.
        parameter.data = parameter.data.clone()
    return _cast(model, torch.bfloat16) if device.startswith("cuda") else model


def _device_map(config: Any, recipe: Recipe) -> Any:
    """Which card holds what."""
    if find_spec("accelerate") is None:
        raise ImportError(
            f"{recipe.model} does not fit on one card and needs accelerate to be spread over several: "
            "pip install 'embreg[gpu]'"
        )
    return spread_over(empty_model(config, recipe), free_cards("cuda")) or "auto"


def _too_large(auto: Any, config: Any, dtype: torch.dtype) -> bool:
    """Whether the weights, and a fifth for activations, pass the memory that the first card has left."""
    empty = _empty(auto, config, dtype, {})
    size = sum(p.numel() * p.element_size() for p in empty.parameters())
    return ROOM * size > free_cards("cuda:0")[0]
