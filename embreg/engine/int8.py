"""int8: the matrices of linear layers in eight bits, one scale for each output channel.

The vocabulary table, norms and biases stay as they are, and so does whatever is no linear layer, such as the
experts of a mixture that lie in one tensor.

On torch a matrix is held in eight bits and multiplied out in front of its product, which is one of floating
point: float32, so that a row depends on its batch no more than in float32, and on a CUDA card bfloat16, where
products in float32 take many times as long. OpenVINO multiplies in int8 where the processor can: it rounds
activations as well, each 32 of a token by their own largest value. Nothing is clipped, so that T5's outliers,
a hundred times the usual value, cost no more than those 32 their accuracy.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Rounded", "round_graph", "round_layers", "round_matrix"]

_LARGEST = 127  # of both signs: -128 would have no counterpart


class Rounded(NamedTuple):
    """A matrix as ``values * scale``.

    Attributes
    ----------
    values : ndarray of shape (m, n), int8
    scale : ndarray of shape (m, 1), float32
        Size of a step, by row.
    """

    values: npt.NDArray[np.int8]
    scale: npt.NDArray[np.float32]


def round_matrix(matrix: npt.NDArray[np.float32]) -> Rounded:
    """Round a matrix to 8 bits, symmetrically: the largest number of a row, of either sign, becomes 127.

    Parameters
    ----------
    matrix : ndarray of shape (m, n), float32
        A row for each output channel.

    Returns
    -------
    Rounded
        Off by at most half a step. A row of zeros has step 1.

    Raises
    ------
    ValueError
        A number that is not finite.

    Examples
    --------
    >>> values, scale = round_matrix(np.array([[-2.54, 0.0, 1.0]], dtype=np.float32))
    >>> values.tolist(), round(float(scale[0, 0]), 6)
    ([[-127, 0, 50]], 0.02)
    """
    largest = np.maximum(matrix.max(axis=1, keepdims=True), -matrix.min(axis=1, keepdims=True))
    if not np.isfinite(largest).all():
        raise ValueError(
            "a matrix must be finite to be rounded to int8, however: row "
            f"{int(np.isfinite(largest).argmin())} holds NaN or infinity; its weights are damaged"
        )
    scale = (largest / np.float32(_LARGEST)).astype(np.float32)
    scale[scale == 0] = 1
    return Rounded(np.rint(matrix / scale).astype(np.int8), scale)


def round_layers(model: Any) -> int:
    """Replace a model's linear layers by ones that hold their matrix in 8 bits; the old ones are let go.

    Parameters
    ----------
    model : Module
        In float32 on the CPU; changed in place.

    Returns
    -------
    int
        How many.

    Raises
    ------
    ValueError
        There are none.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 2))
    >>> round_layers(model), model[0].weight.dtype
    (1, torch.int8)
    """
    import torch
    from transformers.pytorch_utils import Conv1D

    count = 0
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            # Not what is derived from them: it may compute something else.
            if type(child) is torch.nn.Linear:
                setattr(parent, name, _layer()(child.weight.detach(), child.bias))
            elif type(child) is Conv1D:  # GPT-2's linear layer, which holds the matrix the other way round
                setattr(parent, name, _layer()(child.weight.detach().T, child.bias))
            else:
                continue
            count += 1
    if not count:
        raise ValueError(
            f"dtype='int8' rounds linear layers, however: {type(model).__name__} has none; use "
            "dtype='float32' or 'bfloat16'"
        )
    return count


@lru_cache(maxsize=1)
def _layer() -> Any:
    """The class of a rounded layer; torch is not imported before one is needed."""
    import torch

    class Int8Linear(torch.nn.Module):
        """``torch.nn.Linear`` with its matrix in 8 bits; `weight` is what transformers looks at."""

        weight: torch.Tensor
        scale: torch.Tensor
        bias: torch.nn.Parameter | None

        def __init__(self, matrix: torch.Tensor, bias: Any) -> None:
            super().__init__()
            self.out_features, self.in_features = matrix.shape
            values, scale = round_matrix(matrix.numpy())
            self.register_buffer("weight", torch.from_numpy(np.ascontiguousarray(values)))
            self.register_buffer("scale", torch.from_numpy(scale))
            self.register_parameter("bias", bias)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.linear(x, (self.weight * self.scale).to(x.dtype), self.bias)

    return Int8Linear


def round_graph(model: Any) -> int:
    """Put a rounded matrix in front of an OpenVINO graph's products with a constant.

    Parameters
    ----------
    model : openvino.Model
        In float32; changed in place.

    Returns
    -------
    int
        How many.

    Raises
    ------
    ValueError
        There are none.
    """
    from embreg.engine.backends import import_openvino

    import_openvino()
    from openvino import opset8 as ops

    count = 0
    for node in model.get_ops():
        if node.get_type_name() != "MatMul":
            continue
        held = node.input_value(1).get_node()
        if held.get_type_name() != "Constant" or len(held.shape) != 2:
            continue
        rows = bool(node.get_attributes()["transpose_b"])
        matrix = held.get_data()
        values, scale = round_matrix(matrix if rows else matrix.T)
        if not rows:
            values, scale = np.ascontiguousarray(values.T), scale.T
        # The plugin knows these three as one: the matrix stays in 8 bits.
        product = ops.multiply(ops.convert(ops.constant(values), "f32"), ops.constant(scale))
        node.input(1).replace_source_output(product.output(0))
        count += 1
    if not count:
        raise ValueError(
            f"dtype='int8' rounds products with a matrix, however: the graph {model.get_friendly_name()} has "
            "none; use dtype='float32' or 'bfloat16'"
        )
    return count
