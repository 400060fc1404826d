"""Named models: where their weights come from, what they are, and how a name becomes a folder.

The source of weights is the Hugging Face hub, by repository and pinned commit; where the hub cannot be
reached, some models also install from a package registry, by version and SHA-256 (`embreg.weights`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType

from embreg._hub_table import hub_specs
from embreg._model_table import DEFAULT, OFFLINE, packaged_specs
from embreg._shape import Shape, shape_of
from embreg._specs import LocalModel, ModelSpec, PackageSource, WeightsUnavailable

__all__ = [
    "DEFAULT",
    "MODELS",
    "OFFLINE",
    "LocalModel",
    "ModelSpec",
    "PackageSource",
    "Shape",
    "resolve",
    "shape_of",
    "spec_of",
]


def _table() -> Mapping[str, ModelSpec]:
    return MappingProxyType({s.name: s for s in (*packaged_specs(), *hub_specs())})


MODELS: Mapping[str, ModelSpec] = _table()
"""Every named model, by name."""


def spec_of(model: str) -> ModelSpec | None:
    """Entry of the table for a name or a hub repository; None for a repository that is not in it.

    Raises
    ------
    ValueError
        `model` is neither a name in the table nor of the form ``organisation/repository``.

    Examples
    --------
    >>> spec_of("all-MiniLM-L6-v2").dim
    384
    >>> spec_of("google/t5-v1_1-small").name
    't5-v1_1-small'
    >>> spec_of("all-MiniLM-L6")
    Traceback (most recent call last):
    ...
    ValueError: unknown model 'all-MiniLM-L6'. Did you mean 'all-MiniLM-L6-v2'? Named models: ...
    """
    if model in MODELS:
        return MODELS[model]
    if re.fullmatch(r"[\w.-]+/[\w.-]+", model):
        return next((s for s in MODELS.values() if s.hub == model), None)
    lower = {n.lower(): n for n in MODELS}
    close = get_close_matches(model.lower().split("/")[-1], lower, n=1, cutoff=0.5)
    hint = f" Did you mean {lower[close[0]]!r}?" if close else ""
    offline = [name for name, spec in MODELS.items() if spec.package is not None]
    raise ValueError(
        f"unknown model {model!r}.{hint} Named models: {', '.join(offline)}, and "
        f"{len(MODELS) - len(offline)} of the hub (embreg models ls). A hub repository "
        "(organisation/repository) or the path of a local folder works too"
    )


def from_hub(repository: str, revision: str | None, *, network: bool) -> tuple[Path, str]:
    """`embreg._hub.snapshot`, whose error names a repository of the table that is spelt almost so."""
    from embreg import _hub

    try:
        return _hub.snapshot(repository, revision, network=network)
    except WeightsUnavailable as error:
        known = [s.hub for s in MODELS.values() if s.hub is not None]
        near = get_close_matches(repository, known, 1, cutoff=0.85) if repository not in known else []
        if not near:
            raise
        raise WeightsUnavailable(f"{error}. Did you mean {near[0]!r}?") from error


def resolve(model: str | Path = DEFAULT, *, revision: str | None = None, fetch: bool = True) -> LocalModel:
    """Folder on this machine that holds `model`, fetched and verified when it is not there yet.

    Parameters
    ----------
    model : str or Path
        A name of the table, a local folder, or a hub repository (``organisation/repository``). A
        repository that the table knows is the same as its name.
    revision : str, optional
        Hub commit, tag or branch; overrides the pinned one. The commit it stands for is recorded.
    fetch : bool
        Whether the network may be used. It is not used either while ``EMBREG_OFFLINE=1`` or
        ``HF_HUB_OFFLINE=1``.

    Returns
    -------
    LocalModel

    Raises
    ------
    ValueError
        Unknown name; the model asks for remote code, or has no safetensors; a revision of something that
        is not on the hub.
    FileNotFoundError
        No such folder, or an incomplete one.
    embreg.weights.WeightsError
        The weights are not here and cannot be fetched, or what came is not what was pinned.

    Examples
    --------
    >>> resolve("flan-t5-small-title", fetch=False)
    Traceback (most recent call last):
    ...
    ValueError: unknown model 'flan-t5-small-title'. Did you mean 'flan-t5-small-titles'? Named models: ...
    """
    from embreg import weights
    from embreg._folder import folder_digests, offline

    path = Path(model).expanduser()
    # A name of the table wins over a folder that happens to be called so.
    if isinstance(model, Path) or (model not in MODELS and (path.is_dir() or model[:1] in ("/", ".", "~"))):
        if revision is not None:
            raise ValueError(f"the folder {path} has no revisions, however: got revision={revision!r}")
        return LocalModel(path, None, "local", *folder_digests(path))
    model = str(model)
    spec = spec_of(model)
    network = fetch and not offline("EMBREG_OFFLINE", "HF_HUB_OFFLINE")
    if spec is not None and spec.package is not None and revision in (None, spec.revision):
        path, found = weights.get(spec, network=network)
    else:
        repository = spec.hub if spec is not None else model
        if repository is None:
            raise ValueError(f"{model!r} is not on the hub, however: got revision={revision!r}")
        pinned = revision or (spec.revision if spec is not None else None)
        path, found = from_hub(repository, pinned, network=network)
    return LocalModel(path, spec, found, *folder_digests(path))
