"""Families of models ordered by size, and whether one recipe made all of them (section 4 of the paper).

A difference between two models is one of size only when everything else is held fixed: the data, the
objective and the tokenizer. A ladder says what its models share, in a sentence that a page can print.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from embreg.models import MODELS

__all__ = ["LADDERS", "Ladder", "ladder_rows", "ladders_of", "same_recipe"]


@dataclass(frozen=True)
class Ladder:
    """Models in order of size.

    Parameters
    ----------
    name : str
    models : tuple of str
        Names of `embreg.models.MODELS`, by parameters and from small to large.
    recipe : str
        One sentence: what the models share, or in what they differ.
    same_recipe : bool
        Whether a comparison within the ladder holds the training recipe fixed.
    axis : {"size", "architecture", "decoder"}
        What the ladder compares.
    reachable : {"hub", "registry"}
        Where its weights come from.

    Examples
    --------
    >>> print(LADDERS["offline-encoders"].sentence)
    Recipes differ: the models were not pre-trained and tuned on the same data or by one objective...
    """

    name: str
    models: tuple[str, ...]
    recipe: str
    same_recipe: bool
    axis: Literal["size", "architecture", "decoder"]
    reachable: Literal["hub", "registry"]

    @property
    def sentence(self) -> str:
        """What a page must say beside a comparison of these models."""
        return f"{'Recipe held fixed' if self.same_recipe else 'Recipes differ'}: {self.recipe}"


def _of_hub(prefix: str) -> tuple[str, ...]:
    return tuple(sorted((n for n in MODELS if n.startswith(prefix)), key=lambda n: MODELS[n].parameters))


def _ladders() -> Mapping[str, Ladder]:
    ladders = (
        Ladder(
            "t5-v1_1",
            _of_hub("t5-v1_1-"),
            "encoders of five sizes, pre-trained on C4 alone with one objective and one tokenizer; their "
            "shapes are not one shape scaled (the feed-forward block is 2 to 2.75 times as wide as the "
            "model).",
            True,
            "size",
            "hub",
        ),
        Ladder(
            "pythia",
            _of_hub("pythia-"),
            "decoders of eight sizes, trained on the same data (the Pile) in the same order, for the same "
            "number of tokens; the learning rate falls with size.",
            True,
            "size",
            "hub",
        ),
        Ladder(
            "qwen3-embedding",
            _of_hub("Qwen3-Embedding-"),
            "decoders of three sizes tuned to embed by one published procedure, each from the Qwen3 base "
            "model of its size; the training data are not public.",
            True,
            "size",
            "hub",
        ),
        Ladder(
            "bert-miniatures",
            _of_hub("bert_uncased_L-"),
            "24 encoders, six depths by four widths, pre-trained as masked language models on the same text "
            "with the same vocabulary and the recipe of BERT-Base; heads are 64 wide in all of them.",
            True,
            "size",
            "hub",
        ),
        Ladder(
            "offline-encoders",
            ("paraphrase-MiniLM-L3-v2", "all-MiniLM-L6-v2", "bge-small-en-v1.5", "all-mpnet-base-v2"),
            "the models were not pre-trained and tuned on the same data or by one objective, and the weights "
            "of one are rounded to 7 or 8 bits, so a difference is not one of depth or width alone.",
            False,
            "architecture",
            "registry",
        ),
        Ladder(
            "offline-pair",
            ("all-MiniLM-L6-v2", "all-mpnet-base-v2"),
            "both were tuned on the same sentence pairs with the same objective, batch size and number of "
            "steps; the models that they started from (MiniLM, distilled, and MPNet) were not pre-trained "
            "alike.",
            True,
            "size",
            "registry",
        ),
        Ladder(
            "offline-decoder",
            ("all-mpnet-base-v2", "SmolLM2-135M-Instruct"),
            "an encoder tuned to embed and a decoder of similar size tuned to follow instructions, its "
            "weights rounded to 4 bits; tokenizer, data and objective all differ.",
            False,
            "decoder",
            "registry",
        ),
    )
    return MappingProxyType({ladder.name: ladder for ladder in ladders})


LADDERS: Mapping[str, Ladder] = _ladders()
"""Every ladder, by name."""


def ladders_of(model: str) -> tuple[Ladder, ...]:
    """Ladders that a named model stands on.

    Raises
    ------
    ValueError
        `model` is no name of the table.

    Examples
    --------
    >>> [ladder.name for ladder in ladders_of("all-MiniLM-L6-v2")]
    ['offline-encoders', 'offline-pair']
    """
    if model not in MODELS:
        from embreg.models import spec_of

        spec = spec_of(model)  # a near miss is answered there
        if spec is None:
            return ()
        model = spec.name
    return tuple(ladder for ladder in LADDERS.values() if model in ladder.models)


def same_recipe(*models: str) -> Ladder | None:
    """Find the ladder on which all of `models` stand and which holds the recipe fixed.

    Returns
    -------
    Ladder or None
        None: a comparison of these models is not one of size alone.

    Raises
    ------
    ValueError
        Fewer than two models, or an unknown one.

    Examples
    --------
    >>> same_recipe("pythia-70m", "pythia-1b").name
    'pythia'
    >>> same_recipe("paraphrase-MiniLM-L3-v2", "all-MiniLM-L6-v2") is None
    True
    """
    if len(set(models)) < 2:
        raise ValueError(f"a comparison must have two models or more, however: got {models}")
    shared = set.intersection(*({ladder.name for ladder in ladders_of(m)} for m in models))
    return next((ladder for name, ladder in LADDERS.items() if name in shared and ladder.same_recipe), None)


def ladder_rows(name: str) -> list[dict[str, Any]]:
    """Rows of a table of one ladder, from small to large.

    Parameters
    ----------
    name : str
        A name of `LADDERS`.

    Returns
    -------
    list of dict
        Keys ``model``, ``parameters``, ``body`` (those that every token meets, in all layers), ``dim``,
        ``layers``, ``context``, ``architecture``, ``licence``.

    Raises
    ------
    ValueError
        Unknown ladder.

    Examples
    --------
    >>> [row["dim"] for row in ladder_rows("qwen3-embedding")]
    [1024, 2560, 4096]
    """
    if name not in LADDERS:
        raise ValueError(f"unknown ladder {name!r}. There are: {', '.join(LADDERS)}")
    rows = []
    for spec in (MODELS[model] for model in LADDERS[name].models):
        rows.append(
            {
                "model": spec.name,
                "parameters": spec.parameters,
                "body": spec.parameters - spec.vocab * spec.dim,
                "dim": spec.dim,
                "layers": spec.layers,
                "context": spec.context,
                "architecture": spec.architecture,
                "licence": spec.licence,
            }
        )
    return rows
