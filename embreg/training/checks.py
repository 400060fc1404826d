"""What `embreg.MLPHead` is asked and given, checked before anything is trained."""

from __future__ import annotations

import numbers
import warnings
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

__all__ = ["check_counts", "check_parameters", "checked", "head_device"]


def check_parameters(head: Any) -> None:
    """Refuse parameters of `MLPHead` that are out of range.

    Raises
    ------
    ValueError
        It names the parameter and its value.

    Examples
    --------
    >>> from embreg import MLPHead
    >>> check_parameters(MLPHead(patience=0))
    Traceback (most recent call last):
        ...
    ValueError: patience must be a whole number from 1, however: got 0
    """
    _numbers("hidden", head.hidden, numbers.Integral, "whole numbers from 1", 1)
    _numbers("learning_rates", head.learning_rates, numbers.Real, "positive numbers", np.nextafter(0, 1))
    _numbers("weight_decays", head.weight_decays, numbers.Real, "numbers from 0", 0)
    for name in ("max_epochs", "patience", "batch_size", "ensemble"):
        value = getattr(head, name)
        if name == "batch_size" and value is None:
            continue
        if not isinstance(value, numbers.Integral) or value < 1:
            none = " or None" if name == "batch_size" else ""
            raise ValueError(f"{name} must be a whole number from 1{none}, however: got {value!r}")
    fraction = head.validation_fraction
    if not isinstance(fraction, numbers.Real) or not 0 < float(fraction) < 1:
        raise ValueError(f"validation_fraction must be between 0 and 1, however: got {fraction!r}")


def head_device(device: Any) -> str:
    """``"auto"`` is the first card of CUDA where there is one, else the processor.

    Raises
    ------
    ValueError
        Another device, or a card that torch does not find.

    Examples
    --------
    >>> head_device("cpu")
    'cpu'
    """
    from embreg.engine.backends import resolve_device

    if device == "auto":
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"
    if not isinstance(device, str) or device.partition(":")[0] not in ("cpu", "cuda"):
        raise ValueError(f"device must be 'cpu', 'cuda', 'cuda:1' or 'auto', however: got {device!r}")
    return "cpu" if device.startswith("cpu") else resolve_device(device)


def checked(head: Any, X: Any, *y: Any, **settings: Any) -> Any:
    """`validate_data`, whose error about strings also says what to do."""
    try:
        return validate_data(head, X, *y, dtype=np.float64, **settings)
    except ValueError as error:
        if "could not convert string to float" not in str(error):
            raise
        raise ValueError(
            f"X and y must hold numbers, however: {error}; turn rows with strings into features first, "
            "with TextEmbedder or TabularFeatures"
        ) from error


def check_counts(train: Any, val: Any) -> None:
    """Refuse fewer than two training rows; warn of more validation rows than those."""
    n, v = len(train.X), len(val.X)
    if n < 2:
        raise ValueError(
            f"at least two training rows must have a positive weight, however: {n} has; give more rows, "
            "or no sample_weight"
        )
    if v > n:
        warnings.warn(
            f"there are more validation than training rows, however: {v} beside {n}; validation rows only "
            "choose the configuration and the epoch: train on more of them, unless that is meant",
            UserWarning,
            stacklevel=3,
        )


def _numbers(name: str, values: Any, kind: Any, what: str, least: float) -> None:
    """Refuse what is not a sequence of at least one finite number from `least`."""
    good = not isinstance(values, str) and hasattr(values, "__len__") and len(values) > 0
    if not good or not all(isinstance(v, kind) and least <= v < float("inf") for v in values):
        raise ValueError(f"{name} must be a sequence of {what}, at least one, however: got {values!r}")
