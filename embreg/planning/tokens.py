"""How many tokens a row has, and how large the model is that reads them; nothing is fetched."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from embreg._shape import Shape, folder_shape, spec_shape
from embreg.planning.parts import Part

__all__ = ["mean_tokens", "size_of", "vocabulary_of"]

_SAMPLE = 20  # rows whose tokens are counted


def mean_tokens(part: Part, *, fetched: bool = True) -> tuple[float, bool]:
    """Mean tokens of a row, over twenty of them, and whether a tokenizer of the model's vocabulary counted.

    Without one they are estimated from the characters, rather too many.

    Parameters
    ----------
    part : Part
    fetched : bool
        Whether the tokenizer of any model on this machine may count; else only those that come with the
        default weights, so that the answer is the same everywhere.

    Examples
    --------
    >>> mean_tokens(Part("service:openai/text-embedding-3-small", "values:0", 3, 1, 1))[1]
    False
    """
    from embreg.services.address import is_service, parse
    from embreg.services.counting import count_tokens

    texts = _texts(part.format, part.dof, part.task)
    if is_service(part.model):
        digits = parse(part.model).provider.digits
        return float(np.mean([count_tokens(t, digits) for t in texts])), False
    found = _folder(part.model) if fetched else None
    if found is None or not (found / "tokenizer.json").is_file():
        other = vocabulary_of(part.model)
        found = _folder(other) if other else None
    if found is not None and (found / "tokenizer.json").is_file():
        counted = _counted(found, texts)
        if counted is not None:
            return counted, True
    return float(np.mean([count_tokens(t) for t in texts])), False


def vocabulary_of(model: str) -> str | None:
    """Model of the default weights whose tokenizer cuts strings as that of `model` does; None for none.

    Examples
    --------
    >>> vocabulary_of("google/t5-v1_1-xl"), vocabulary_of("bert_uncased_L-2_H-128_A-2")
    ('flan-t5-small-titles', 'all-MiniLM-L6-v2')
    >>> vocabulary_of("pythia-1b") is None
    True
    """
    from embreg.models import MODELS, OFFLINE, spec_of

    try:
        spec = spec_of(model)
    except ValueError:  # a folder
        return None
    if spec is None:
        return None
    # The T5s share one vocabulary, and so do the uncased BERTs: architecture and size tell them apart.
    known = {n: (MODELS[n].architecture, MODELS[n].vocab) for n in OFFLINE}
    return next((n for n, v in known.items() if v == (spec.architecture, spec.vocab)), None)


def size_of(model: str, *, fetched: bool = True) -> Shape | None:
    """Size of a model, as far as it can be told without fetching it.

    Parameters
    ----------
    model : str
    fetched : bool
        Whether files on this machine may tell; else only the table of models.
    """
    try:
        if known := spec_shape(model):
            return known
    except ValueError:  # a folder, or an unknown name
        pass
    return folder_shape(_folder(model)) if fetched else None


@lru_cache(maxsize=64)
def _folder(model: str) -> Path | None:
    """Folder of a model that is on this machine."""
    from embreg.models import resolve

    try:
        return resolve(model, fetch=False).path
    except (ValueError, OSError, RuntimeError):
        return None


@lru_cache(maxsize=256)
def _texts(form: str, dof: int, task: str) -> tuple[str, ...]:
    """Rows of one kind, as strings of this format; whichever model reads them."""
    from embreg.planning.rows import rows_of
    from embreg.representation import Representation
    from embreg.serialize import serialize

    try:
        # What is missing can be left out only where values have their names beside them.
        named = bool(task) and not form.startswith("values")
        written = Representation.of(f"any:{form}", missing="omit" if named else "null")
    except ValueError:  # the notebook's own word for a format, such as "auto"
        written = None
    table = rows_of(task) if task else None
    if table is not None:
        rows: Any = table.head(_SAMPLE)
    else:
        rows = np.random.default_rng(0).uniform(-5, 5, (_SAMPLE, dof))
    return tuple(written.strings(rows) if written else serialize(rows))


@lru_cache(maxsize=512)
def _counted(folder: Path, texts: tuple[str, ...]) -> float | None:
    """Mean tokens by the tokenizer of a folder; None without the package that reads it."""
    tokenizer = _tokenizer(folder)
    if tokenizer is None:
        return None
    return float(np.mean([len(e.ids) for e in tokenizer.encode_batch(list(texts))]))


@lru_cache(maxsize=8)
def _tokenizer(folder: Path) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return None
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
