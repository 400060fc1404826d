"""The torch backend: the reference on every device."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from embreg.engine.backends import quiet
from embreg.engine.fused import fuse

if TYPE_CHECKING:
    import torch

    from embreg.engine.core import Recipe, Work
    from embreg.models import LocalModel

__all__ = ["TorchBackend", "load_model"]

_T5 = ("t5", "mt5", "umt5")
_POOLERS = ("bert", "roberta", "xlm-roberta", "mpnet")


class TorchBackend:
    """A transformers model.

    Parameters
    ----------
    local : LocalModel
    config : PretrainedConfig
    recipe : Recipe
    """

    def __init__(self, local: LocalModel, config: Any, recipe: Recipe) -> None:
        self.n_layers = int(config.num_hidden_layers)
        self.model = load_model(local, config, recipe, device=recipe.device)
        self.device = self.model.get_input_embeddings().weight.device

    def hidden(
        self, tokens: torch.Tensor, mask: torch.Tensor, layers: frozenset[int]
    ) -> dict[int, torch.Tensor]:
        """Hidden states ``(n, width, d)`` of the wanted layers; 0 is the input of the first block."""
        tokens, mask = (t.to(self.device, non_blocking=True) for t in (tokens, mask))
        every = layers != {self.n_layers}
        result = self.model(input_ids=tokens, attention_mask=mask, output_hidden_states=every)
        if not every:
            return {self.n_layers: result.last_hidden_state}
        states = result.hidden_states
        if len(states) != self.n_layers + 1:
            raise ValueError(
                f"{type(self.model).__name__} gives {len(states)} hidden states, however: {self.n_layers} "
                "layers should give one more; only layer=-1 can be read of it"
            )
        return {k: result.last_hidden_state if k == self.n_layers else states[k] for k in layers}

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
    ImportError
        A model that has to be spread, without the extra ``gpu``.
    """
    import torch

    dtype = getattr(torch, recipe.dtype)
    with quiet():
        from transformers import AutoModel, AutoModelForTextEncoding

        # Only the encoder of an encoder-decoder is used (section 2), so only it is loaded.
        auto: Any = AutoModelForTextEncoding if config.model_type in _T5 else AutoModel
        # BERT's pooler is a head for another task; a checkpoint without one would get random weights there.
        extra: dict[str, Any] = {"add_pooling_layer": False} if config.model_type in _POOLERS else {}
        if recipe.attention != "auto":
            extra["attn_implementation"] = recipe.attention
        if recipe.weights == "random":
            with torch.random.fork_rng():
                torch.manual_seed(recipe.seed)
                # Drawn in float32 whatever it computes in, so that a seed means one set of weights.
                model = auto.from_config(config, dtype=torch.float32, trust_remote_code=False, **extra)
            return fuse(model.to(dtype)).to(device).eval()
        spread = device == "cuda" and _too_large(auto, config, dtype)
        if spread:
            extra["device_map"] = "auto"
        model = auto.from_pretrained(
            local.path,
            dtype=dtype,
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=True,
            **extra,
        )
    # What moves values between cards hangs on the modules that fusing would replace.
    return model.eval() if spread else fuse(model).to(device).eval()


def _too_large(auto: Any, config: Any, dtype: torch.dtype) -> bool:
    """Whether the weights, and a fifth for activations, pass the memory that the first card has left."""
    import torch

    with torch.device("meta"):
        empty = auto.from_config(config, dtype=dtype)
    size = sum(p.numel() * p.element_size() for p in empty.parameters())
    return bool(1.2 * size > torch.cuda.mem_get_info(0)[0])
