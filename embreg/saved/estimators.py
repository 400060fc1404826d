"""Estimators as class, parameters and fitted attributes, and those with state of their own kind."""

from __future__ import annotations

import re
import warnings
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from embreg.saved.allowed import CLASSES, class_of, name_of_class

if TYPE_CHECKING:
    from embreg.saved.state import Decoder, Encoder

__all__ = ["allowed_name", "pack", "unpack"]

_ATTRIBUTE = re.compile(r"_?[A-Za-z]\w*")
_TREES = ("Forest", "DecisionTree", "ExtraTree", "GradientBoosting", "Bagging")


def pack(estimator: Any, encoder: Encoder, where: str) -> dict[str, Any]:
    """Node of an estimator.

    Parameters
    ----------
    estimator : estimator
        With ``get_params``; of a class in `embreg.saved.allowed.CLASSES`.
    encoder : Encoder
        Takes the arrays.
    where : str
        The way to it, for errors and names.

    Raises
    ------
    ValueError
        A class that is not in the list, an attribute that has no exact form.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from embreg.saved.state import Encoder
    >>> pack(Ridge(alpha=2.0), Encoder(), "model")["params"]["alpha"]
    2.0
    """
    kind = type(estimator)
    name = allowed_name(kind, where)
    params = estimator.get_params(deep=False)
    state = {k: v for k, v in vars(estimator).items() if k not in params}
    if name == "sklearn.pipeline.Pipeline":
        params["memory"] = None  # its cache is of pickles
    elif name == "sklearn.neighbors.KNeighborsRegressor":
        state.pop("_tree", None)  # grown again from the rows
    elif name == "embreg.embedder.TextEmbedder":
        params, state = _embedder(estimator, params, state)
    elif name == "sklearn.gaussian_process.GaussianProcessRegressor" and callable(params["optimizer"]):
        params["optimizer"] = "fmin_l_bfgs_b"  # what searched is over; a new fit takes the usual one
    elif name == "xgboost.XGBRegressor":
        booster = state.pop("_Booster", None)
        raw = None if booster is None else np.frombuffer(bytes(booster.save_raw("ubj")), np.uint8)
        state = {"booster": raw}
    else:
        for key in state:
            _check_attribute(kind, key)
    return {
        "$": "estimator",
        "class": name,
        "params": {k: encoder.encode(v, f"{where}.{k}") for k, v in params.items()},
        "state": {k: encoder.encode(v, f"{where}.{k}") for k, v in state.items()},
    }


def unpack(node: dict[str, Any], decoder: Decoder) -> Any:
    """Estimator of a node.

    Parameters
    ----------
    node : dict
        As `pack` made it.
    decoder : Decoder

    Raises
    ------
    ValueError
        A class that is not in the list, an attribute that would hide a method, a language model whose
        weights are others than those that were used.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from embreg.saved.state import Decoder, Encoder
    >>> unpack(pack(Ridge(alpha=2.0), Encoder(), "model"), Decoder({}))
    Ridge(alpha=2.0)
    """
    kind = class_of(node["class"])
    params = {k: decoder.decode(v) for k, v in node["params"].items()}
    state = {k: decoder.decode(v) for k, v in node["state"].items()}
    if params.get("memory") is not None:
        raise ValueError("a pipeline's cache holds pickles and is never loaded, however: memory is set")
    estimator = kind(**params)
    if node["class"] == "xgboost.XGBRegressor":
        if state["booster"] is not None:
            estimator.load_model(bytearray(state["booster"].tobytes()))
        return estimator
    if node["class"] == "sklearn.neighbors.KNeighborsRegressor" and "_fit_X" in state:
        estimator.fit(state.pop("_fit_X"), state.pop("_y"))
    for key, value in state.items():
        _check_attribute(kind, key)
        setattr(estimator, key, value)
    if node["class"] == "embreg.embedder.TextEmbedder":
        _check_embedder(estimator)
    return estimator


def _check_attribute(kind: type, key: str) -> None:
    """Data goes beside the methods of a class, never in their place."""
    if not _ATTRIBUTE.fullmatch(key) or hasattr(kind, key):
        raise ValueError(f"{kind.__name__}.{key} is no attribute that fitting sets: not saved, not loaded")


def allowed_name(kind: type, where: str) -> str:
    """Entry of the list for a class; ValueError that says what can be saved instead for any other."""
    name = name_of_class(kind)
    if name is not None:
        return name
    text = (
        f"{where} must be of a class that can be saved without pickle, however: it is a "
        f"{kind.__module__}.{kind.__qualname__}; "
    )
    if any(word in kind.__name__ for word in _TREES):
        raise ValueError(
            f"{text}scikit-learn's trees can be written as pickles alone. XGBoost, a Gaussian process, "
            "nearest neighbours, ridge and MLPHead can be saved; or keep the training rows and fit it again"
        )
    names = sorted({c.rpartition(".")[2] for c in CLASSES})
    raise ValueError(text + f"those are {', '.join(names)}")


def _embedder(
    embedder: Any, params: dict[str, Any], state: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    if isinstance(params["model"], PurePath):
        params["model"] = str(params["model"])
    if params["store"] is not None:
        params["store"] = "auto"  # a folder of this machine is not the model's
    state = {k: v for k, v in state.items() if k in ("dim_", "n_features_in_", "space_")}
    # Without its weights: what they were is enough to know them again.
    state.setdefault("space_", embedder._space())
    return params, state


def _check_embedder(embedder: Any) -> None:
    then, now = embedder.space_, embedder._space()
    if other := [k for k in ("weights", "tokenizer") if then[k] != now[k]]:
        raise ValueError(
            f"the language model must be the one that was used, however: {' and '.join(other)} of "
            f"{embedder.model!r} ({now['model']}) have another SHA-256 than when the model was saved "
            f"({then['model']}): the head would read other embeddings; bring those files back, or fit again"
        )
    keys = [k for k in now if k not in ("model", "outputs") and then.get(k) != now[k]]
    if keys:
        changed = ", ".join(f"{k} {then.get(k)!r} -> {now[k]!r}" for k in keys)
        warnings.warn(
            f"embeddings of {embedder.model!r} may differ from those that the head was fitted on: {changed}",
            UserWarning,
            stacklevel=2,
        )
