"""Configuration and tokenizer of a folder: what the engine must know before any weight is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from embreg._static import STATIC
from embreg.engine.backends import model_type, quiet

__all__ = ["Reads", "load_config", "load_tokenizer", "reads"]

_T5 = ("t5", "mt5", "umt5")
_OFFSET = (
    "camembert",
    "data2vec-text",
    "longformer",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
)
"""Model types whose positions start behind the padding index."""


class Reads(NamedTuple):
    """Size of a model, by its configuration.

    Attributes
    ----------
    dim, layers : int
        Width of a token's vector, and number of blocks.
    context : int or None
        Longest input in tokens; None where positions are relative and unlimited (T5).
    """

    dim: int
    layers: int
    context: int | None


def load_config(folder: Path) -> Any:
    """Configuration of a folder, of an architecture that transformers knows or of a static embedding.

    Raises
    ------
    ValueError
        The installed transformers does not know the model's type, or a static embedding's configuration
        does not tell its shape.
    """
    if model_type(folder) == STATIC:
        from embreg.engine.static_backend import static_config

        return static_config(folder)
    with quiet():
        import transformers

        try:
            return transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
        except (ValueError, KeyError) as error:
            raise ValueError(
                f"{folder / 'config.json'} cannot be used with transformers {transformers.__version__}, "
                f"however: embreg runs architectures that are part of it, and no remote code: {error}"
            ) from error


def reads(config: Any, folder: Path) -> Reads:
    """Width, blocks and context of a text model.

    Raises
    ------
    ValueError
        The configuration is not one of a text model.
    """
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    dim, layers = (getattr(text, name, None) for name in ("hidden_size", "num_hidden_layers"))
    if not isinstance(dim, int) or not isinstance(layers, int):
        raise ValueError(
            f"{folder / 'config.json'} must tell hidden_size and num_hidden_layers, however: type "
            f"{config.model_type!r} gives {dim!r} and {layers!r}; use a text encoder or decoder"
        )
    limit = getattr(text, "max_position_embeddings", None)
    if config.model_type in _T5 or not isinstance(limit, int) or limit < 1:
        return Reads(dim, layers, None)
    return Reads(dim, layers, limit - 2 if config.model_type in _OFFSET else limit)


def load_tokenizer(folder: Path) -> Any:
    """Fast tokenizer of a folder: its tokenizer.json as it is, else what transformers makes of other files.

    Nothing is cut or padded by it, and its chat template plays no part.

    Raises
    ------
    ValueError
        There is none, and none can be made.
    """
    from embreg._folder import _TOKENIZER_FILES

    with quiet():
        from transformers import AutoTokenizer, PreTrainedTokenizerFast

        # Some classes of transformers 5 read the words of tokenizer.json and put rules of their own in the
        # place of its others: a GPT2Tokenizer forgets that SmolLM2's splits numbers into digits.
        whole = (folder / "tokenizer.json").is_file()
        kind: Any = PreTrainedTokenizerFast if whole else AutoTokenizer
        reason: Exception | str = "its class has no fast form"
        try:
            tokenizer = kind.from_pretrained(folder, use_fast=True, trust_remote_code=False)
        except Exception as error:  # of whatever kind: converters fail each in their own way
            tokenizer, reason = None, error
    if not getattr(tokenizer, "is_fast", False):
        files = [name for name in _TOKENIZER_FILES if (folder / name).is_file()]
        raise ValueError(
            f"{folder} must hold a fast tokenizer (tokenizer.json), however: of "
            f"{', '.join(files)} transformers makes none ({reason}); add the tokenizer.json of "
            "the same model, save one with tokenizer.save_pretrained, or use another model"
        ) from (reason if isinstance(reason, Exception) else None)
    # Its own limit differs from what the positions allow; the embedder decides, so nothing is cut here.
    tokenizer.model_max_length = int(1e9)
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    return tokenizer
