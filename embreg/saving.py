"""Save and load fitted models as JSON and safetensors: no pickle, and loading executes nothing."""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from embreg._files import atomic_path

__all__ = ["FORMAT", "load", "save"]

FORMAT = 1
"""Raised when a saved model means something else than before."""

_NAME = "embreg model"
_JSON, _TENSORS = "model.json", "tensors.safetensors"
_TRIES, _PAUSE = 5, 0.02


def save(model: Any, path: str | Path) -> None:
    """Write a fitted model into a folder: ``model.json`` and ``tensors.safetensors``.

    Heads, `TabularFeatures`, `TextEmbedder`, the baselines but random forests, and pipelines and
    unions of them and of scikit-learn's common transformers and linear models can be saved.

    Parameters
    ----------
    model : estimator
        Fitted.
    path : str or Path
        Folder. It is written beside its place and put there when it is whole. A saved model that is
        there already is replaced; anything else is not.

    Raises
    ------
    ValueError
        The model is not fitted, or a part of it (named) is of a class that cannot be saved.
    FileExistsError
        Something else than a saved model is at `path`.

    Notes
    -----
    Of a language model, its name and the SHA-256 of its files are written, not its weights; `load`
    refuses other files. A folder of stored embeddings becomes ``store="auto"``, a pipeline's cache None.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.linear_model import Ridge
    >>> X = np.arange(6.0).reshape(3, 2); model = Ridge().fit(X, X[:, 0])
    >>> folder = Path(tempfile.mkdtemp()) / "ridge"
    >>> save(model, folder)
    >>> sorted(p.name for p in folder.iterdir())
    ['model.json', 'tensors.safetensors']
    >>> bool((load(folder).predict(X) == model.predict(X)).all())
    True
    """
    from embreg import __version__
    from embreg.saved.state import Encoder

    safetensors = _safetensors()
    if not isinstance(model, BaseEstimator):
        raise ValueError(f"model must be a fitted estimator, however: got {type(model).__name__}")
    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise ValueError(f"model must be fitted, however: {error}") from error
    path = Path(path).resolve()
    _check_target(path)
    encoder = Encoder()
    node = encoder.encode(model, "model")
    data = safetensors.save(encoder.tensors)
    head = {
        "format": _NAME,
        "version": FORMAT,
        "embreg": __version__,
        "libraries": {name: version(name) for name in ("numpy", "scikit-learn")},
        "tensors_sha256": hashlib.sha256(data).hexdigest(),
        "tensors": {k: {"dtype": v.dtype.name, "shape": list(v.shape)} for k, v in encoder.tensors.items()},
        "model": node,
    }
    text = json.dumps(head, indent=1, allow_nan=False)
    with atomic_path(path, directory=True) as folder:
        (folder / _TENSORS).write_bytes(data)
        (folder / _JSON).write_text(text, encoding="ascii")


def load(path: str | Path) -> Any:
    """Read what `save` wrote; it predicts the same bits.

    Only classes and functions of a fixed list are made, with data as their parameters and attributes;
    nothing in the folder is executed or unpickled.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    estimator

    Raises
    ------
    FileNotFoundError
        Nothing is at `path`.
    ValueError
        Not a saved model, one of an unknown format, truncated or altered files, tensors too many or
        too few, a class that is not in the list, a language model whose files are others.
    embreg.weights.WeightsError
        The weights of a language model are not here and cannot be fetched.

    Warns
    -----
    UserWarning
        Saved with another version of scikit-learn, or embedded in another way (data type, library).

    Examples
    --------
    >>> load("no/such/folder")
    Traceback (most recent call last):
    ...
    FileNotFoundError: no saved model at no/such/folder
    """
    from embreg.saved.state import Decoder

    path = Path(path)
    text, data = _read(path)
    head = _head(path / _JSON, text)
    tensors = _tensors(path / _TENSORS, data, head)
    decoder = Decoder(tensors)
    try:
        model = decoder.decode(head["model"])
    except (ImportError, OSError):
        raise
    except Exception as error:
        what = str(error) if type(error) is ValueError else f"it is damaged ({error!r})"
        raise ValueError(f"{path / _JSON} cannot be loaded: {what}") from error
    if not isinstance(model, BaseEstimator):
        raise ValueError(f"{path / _JSON} must hold an estimator, however: it holds a {type(model).__name__}")
    if decoder.unused:
        raise ValueError(
            f"every tensor must belong to the model, however: {path / _TENSORS} has {len(decoder.unused)} "
            f"that {_JSON} does not use, {sorted(decoder.unused)[0]!r} for one; save the model again"
        )
    return model


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError("saved models need safetensors: pip install 'embreg[models]'") from error
    return safetensors.numpy


def _check_target(path: Path) -> None:
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if path.is_dir() and {p.name for p in path.iterdir()} == {_JSON, _TENSORS}:
        try:
            if json.loads((path / _JSON).read_bytes())["format"] == _NAME:
                return
        except (ValueError, TypeError, KeyError, RecursionError):
            pass
    raise FileExistsError(
        f"only a saved model is replaced, however: {path} is something else; name another folder"
    )


def _read(path: Path) -> tuple[bytes, bytes]:
    """Both files, of one and the same save, though another process may just be replacing it."""
    for left in reversed(range(_TRIES)):
        try:
            text = (path / _JSON).read_bytes()
            data = (path / _TENSORS).read_bytes()
            # The one names the other: two halves of two saves do not pass, whenever they were read.
            if hashlib.sha256(data).hexdigest().encode() in text or not left:
                return text, data
        except (FileNotFoundError, NotADirectoryError):
            if path.is_file():
                what = "a pickle, which embreg never reads" if _pickled(path) else "a file"
                raise ValueError(f"a saved model is a folder, however: {path} is {what}") from None
            if not left:
                if not path.exists():
                    raise FileNotFoundError(f"no saved model at {path}") from None
                lost = [n for n in (_JSON, _TENSORS) if not (path / n).is_file()]
                raise ValueError(
                    f"a saved model has {_JSON} and {_TENSORS}, however: {path} lacks {' and '.join(lost)}"
                ) from None
        time.sleep(_PAUSE)
    raise AssertionError("unreachable")


def _pickled(path: Path) -> bool:
    with open(path, "rb") as f:
        return f.read(1) == b"\x80"


def _head(path: Path, text: bytes) -> dict[str, Any]:
    try:
        head = json.loads(text)
    except (ValueError, RecursionError) as error:
        what = "it is a pickle, which embreg never reads" if text[:1] == b"\x80" else str(error)
        raise ValueError(f"{path} must be JSON, however: {what}; it was cut off or altered") from error
    if not isinstance(head, dict) or head.get("format") != _NAME:
        raise ValueError(f"{path} must say 'format': {_NAME!r}, however: it does not; name a saved model")
    if type(head.get("version")) is not int or head["version"] != FORMAT:
        raise ValueError(
            f"this embreg reads format version {FORMAT}, however: {path} has {head.get('version')!r}, "
            f"written by embreg {head.get('embreg')}; load it with that release"
        )
    if lost := [k for k in ("libraries", "tensors_sha256", "tensors", "model") if k not in head]:
        raise ValueError(f"{path} must have {lost[0]!r}, however: it does not; it was altered")
    now = version("scikit-learn")
    then = head["libraries"].get("scikit-learn") if isinstance(head["libraries"], dict) else None
    if str(then).split(".")[:2] != now.split(".")[:2]:
        warnings.warn(
            f"{path} was saved with scikit-learn {then}, this is {now}: what fitting leaves behind may have "
            "changed in between; fit again if predictions look wrong",
            UserWarning,
            stacklevel=3,
        )
    return head


def _tensors(path: Path, data: bytes, head: dict[str, Any]) -> dict[str, np.ndarray]:
    sha = hashlib.sha256(data).hexdigest()
    if sha != head["tensors_sha256"]:
        raise ValueError(
            f"{path} must have the SHA-256 that {_JSON} names ({str(head['tensors_sha256'])[:12]}…), "
            f"however: it has {sha[:12]}… ({len(data)} bytes): it was cut off or altered; copy it again"
        )
    try:
        tensors: dict[str, np.ndarray] = _safetensors().load(data)
    except ImportError:
        raise
    except Exception as error:  # safetensors' own, which derives from nothing more telling
        raise ValueError(f"{path} must be a safetensors file, however: {error}") from error
    listed = head["tensors"] if isinstance(head["tensors"], dict) else {}
    extra, missing = sorted(set(tensors) - set(listed)), sorted(set(listed) - set(tensors))
    if extra or missing:
        raise ValueError(
            f"tensors must be those that {_JSON} lists, however: {path} has extra {extra[:3]} and lacks "
            f"{missing[:3]}; save the model again"
        )
    for name, tensor in tensors.items():
        found = {"dtype": tensor.dtype.name, "shape": list(tensor.shape)}
        if listed[name] != found:
            raise ValueError(f"tensor {name!r} must be {listed[name]}, however: {path} has {found}")
    return tensors
