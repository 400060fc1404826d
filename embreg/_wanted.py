"""Which models a command line asks for: by name, by ladder, or by what the runs of a profile read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

__all__ = ["Wanted", "absent", "download_size", "download_text", "models_of_runs", "named"]

_NAMES = ("models", "model", "task_models", "random_models", "static_models", "cut_model")


class Wanted(NamedTuple):
    """Models to fetch, and what needs no fetching.

    Attributes
    ----------
    models : tuple of str
        Names of the table or repositories of the hub, each once.
    skipped : tuple of str
        Services and local folders.
    """

    models: tuple[str, ...]
    skipped: tuple[str, ...]


def models_of_runs(parameters: Iterable[Mapping[str, Any]]) -> Wanted:
    """Models that runs with these parameters read.

    Parameters
    ----------
    parameters : iterable of mapping
        All parameters of each run; models are in ``models``, ``model``, ``task_models``,
        ``random_models``, ``static_models`` and ``cut_model``, with formats behind their names.

    Returns
    -------
    Wanted
        In the order in which they are met.

    Raises
    ------
    ValueError
        A model that is neither in the table nor a repository, a folder or a service.

    Examples
    --------
    >>> models_of_runs([{"models": ["all-MiniLM-L6-v2:values:2", "service:openai/text-embedding-3-small"]},
    ...                 {"model": "all-MiniLM-L6-v2", "random_models": ["pythia-70m:json:s"]}])
    Wanted(models=('all-MiniLM-L6-v2', 'pythia-70m'), skipped=('service:openai/text-embedding-3-small',))
    """
    from embreg.models import spec_of
    from embreg.services.address import is_service

    models, skipped = dict[str, None](), dict[str, None]()
    for run in parameters:
        for key in _NAMES:
            value = run.get(key) or []
            for text in [value] if isinstance(value, str) else value:
                name = _without_format(str(text))
                if is_service(name) or name[:1] in ("/", ".", "~"):
                    skipped[name] = None
                else:
                    spec = spec_of(name)
                    models[spec.name if spec is not None else name] = None
    return Wanted(tuple(models), tuple(skipped))


def _without_format(text: str) -> str:
    from embreg.representation import Representation

    try:
        return str(Representation.of(text).model)
    except ValueError:  # the notebook's own word for a format, such as "auto"
        return text.partition(":")[0]


def named(names: Sequence[str]) -> tuple[str, ...]:
    """Models that names stand for: of the table, of the hub, or of a whole ladder.

    Raises
    ------
    ValueError
        A name that is none of them.

    Examples
    --------
    >>> named(["offline-pair", "all-MiniLM-L6-v2"])
    ('all-MiniLM-L6-v2', 'all-mpnet-base-v2')
    >>> named(["offline-pairs"])
    Traceback (most recent call last):
    ...
    ValueError: unknown model 'offline-pairs'. Did you mean the ladder 'offline-pair'? Named models: ...
    """
    from embreg.ladders import LADDERS
    from embreg.models import spec_of

    out = dict[str, None]()
    for name in names:
        if name in LADDERS:
            out.update(dict.fromkeys(LADDERS[name].models))
            continue
        try:
            spec_of(name)
        except ValueError as error:
            near = get_close_matches(name, LADDERS, 1, cutoff=0.8)
            if not near:
                raise
            rest = str(error).partition(" Named models: ")[2]
            raise ValueError(
                f"unknown model {name!r}. Did you mean the ladder {near[0]!r}? Named models: {rest}"
            ) from error
        out[name] = None
    return tuple(out)


def absent(models: Sequence[str]) -> tuple[str, ...]:
    """Those of `models` that are not on this machine, behind those that lend them a tokenizer.

    Examples
    --------
    >>> absent(["all-MiniLM-L6-v2"])
    ()
    """
    from embreg.models import MODELS
    from embreg.weights import installed

    out = dict[str, None]()
    for name in models:
        if installed(name) is None:
            package = MODELS[name].package if name in MODELS else None
            if package is not None and package.tokenizer_of:
                out.update(dict.fromkeys(absent([package.tokenizer_of])))
            out[name] = None
    return tuple(out)


def download_text(models: Sequence[str]) -> str:
    """What fetching `models` downloads, to be read.

    A repository of the hub has two bytes for each parameter, or more; of one that is not in the table nothing
    is known.

    Examples
    --------
    >>> download_text(["all-mpnet-base-v2"]), download_text(["pythia-70m", "someone/something"])
    ('405 MB', 'at least 89 MB')
    """
    size, known = download_size(models)
    text = f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"
    return text if known else f"at least {text}" if size else "of unknown size"


def download_size(models: Sequence[str]) -> tuple[int, bool]:
    """Bytes that fetching `models` downloads, and whether that is all.

    Examples
    --------
    >>> download_size(["all-mpnet-base-v2", "someone/something"])
    (404534822, False)
    """
    from embreg.models import spec_of

    total, known = 0, True
    for spec in map(spec_of, models):
        if spec is None or spec.package is None:
            total, known = total + (2 * spec.parameters if spec is not None else 0), False
        else:
            total += spec.package.download
    return total, known
