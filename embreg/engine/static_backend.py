"""A static embedding: a vector for each token, and no forward pass."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from embreg._static import STATIC, STATIC_TENSOR

if TYPE_CHECKING:
    import torch

    from embreg.engine.core import Recipe, Work
    from embreg.models import LocalModel

__all__ = ["StaticBackend", "StaticConfig", "static_config"]


@dataclass(frozen=True)
class StaticConfig:
    """Configuration of a static embedding, by the names that configurations of transformers use.

    Attributes
    ----------
    vocab_size, hidden_size : int
        Shape of the table.
    num_hidden_layers : int
        0.
    model_type : str
    """

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int = 0
    model_type: str = STATIC

    def get_text_config(self) -> StaticConfig:
        """Itself."""
        return self


def static_config(folder: Path) -> StaticConfig:
    """Configuration of a folder whose model type is ``static``.

    Raises
    ------
    ValueError
        It does not tell the shape of the table, or tells of layers.
    """
    content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    shape = [content.get(name) for name in ("vocab_size", "hidden_size", "num_hidden_layers")]
    if not all(isinstance(n, int) for n in shape) or min(shape[:2]) < 1 or shape[2] != 0:
        raise ValueError(
            f"{folder / 'config.json'} of a static embedding must tell vocab_size and hidden_size, and "
            f"num_hidden_layers 0, however: got {shape}"
        )
    return StaticConfig(*shape)


class StaticBackend:
    """A table of token vectors; its one layer, 0 or -1, is what stage ``"vocab"`` gives too.

    Parameters
    ----------
    local : LocalModel
    config : StaticConfig
    recipe : Recipe
        Random weights are drawn from the standard normal distribution, as torch's ``Embedding`` draws them.

    Raises
    ------
    MemoryError
        It does not fit.
    ValueError
        The weight file holds another table than config.json tells of.
    """

    def __init__(self, local: LocalModel, config: StaticConfig, recipe: Recipe) -> None:
        import torch
        from safetensors.torch import load_file

        from embreg.engine.memory import check_memory, free_cards, free_memory

        shape = (config.vocab_size, config.hidden_size)
        check_memory(local, recipe, shape[0] * shape[1], free_memory("cpu"), free_cards(recipe.device))
        if recipe.weights == "random":
            # In float32 whatever it computes in, so that a seed means one table.
            table = torch.randn(shape, generator=torch.Generator().manual_seed(recipe.seed))
        else:
            tensors = load_file(local.path / "model.safetensors")
            found = {name: tuple(t.shape) for name, t in tensors.items()}
            if found != {STATIC_TENSOR: shape}:
                raise ValueError(
                    f"{local.path} must hold one tensor {STATIC_TENSOR!r} of shape {shape}, as its "
                    f"config.json says, however: got {found}"
                )
            table = tensors[STATIC_TENSOR]
        self.table = table.to(recipe.device, getattr(torch, recipe.dtype))

    def hidden(
        self, tokens: torch.Tensor, mask: torch.Tensor, layers: frozenset[int]
    ) -> dict[int, torch.Tensor]:
        """Vectors ``(n, width, d)`` of the tokens, as the one layer there is."""
        return dict.fromkeys(layers, self.vocabulary(tokens))

    def vocabulary(self, tokens: torch.Tensor) -> torch.Tensor:
        """Vectors of the tokens."""
        return self.table[tokens.to(self.table.device, non_blocking=True)]

    def expect(self, layers: Collection[int], work: Sequence[Work]) -> None:
        """Nothing to prepare."""
