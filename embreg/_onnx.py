"""The weights in an ONNX graph, dequantised and under the names torch gave them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["attention_divisors", "dequantize", "onnx_weights"]

_LINEAR = {"MatMul", "MatMulInteger"}


def dequantize(values: np.ndarray, scale: np.ndarray, zero_point: np.ndarray | int = 0) -> np.ndarray:
    """Float32 weights of 8-bit ones: ``(values - zero_point) * scale``.

    Parameters
    ----------
    values : ndarray of int8 or uint8, shape (..., columns)
    scale : ndarray of float32, scalar or shape (columns,)
    zero_point : int or ndarray of the dtype of `values`, scalar or shape (columns,)

    Returns
    -------
    ndarray of float32, same shape as `values`

    Raises
    ------
    ValueError
        The scale is neither one number nor one per column.

    Examples
    --------
    >>> dequantize(np.array([[0, 128, 255]], np.uint8), np.float32(0.5), np.uint8(128)).tolist()
    [[-64.0, 0.0, 63.5]]
    """
    columns = values.shape[-1] if values.ndim else 1
    if np.size(scale) not in (1, columns):
        raise ValueError(
            f"a scale must be one number or one per column ({columns}), however: got {np.shape(scale)}"
        )
    shifted = values.astype(np.float32) - np.asarray(zero_point).astype(np.float32)
    return (shifted * np.asarray(scale, np.float32)).astype(np.float32)


def _initializers(graph: Any) -> dict[str, np.ndarray]:
    """Every weight of the graph by name; an 8-bit one appears once, dequantised, without its suffix."""
    from onnx import numpy_helper

    raw = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    out: dict[str, np.ndarray] = {}
    for name in [n for n in raw if n.endswith("_quantized")]:
        base = name.removesuffix("_quantized")
        values, scale = raw.pop(name), raw.pop(base + "_scale")
        out[base] = dequantize(values, scale, raw.pop(base + "_zero_point", np.zeros((), np.int8)))
    return raw | out


def onnx_weights(graph: Any) -> dict[str, np.ndarray]:
    """Weights of an exported torch model under the names torch gave them.

    Parameters
    ----------
    graph : onnx.GraphProto
        An export that keeps module paths as node names (torch's exporter does). A matrix of a
        linear layer loses its torch name on export, and is named here after its node.

    Returns
    -------
    dict of str to ndarray of float32
        Matrices of linear layers are transposed back to torch's ``(out, in)``.

    Raises
    ------
    ValueError
        A matrix has neither a torch name nor a linear layer that uses it.

    Examples
    --------
    >>> from onnx import TensorProto, helper, numpy_helper
    >>> weight = numpy_helper.from_array(np.ones((2, 3), np.float32), "onnx::MatMul_7")
    >>> node = helper.make_node("MatMul", ["x", "onnx::MatMul_7"], ["y"], name="/enc/proj/MatMul")
    >>> graph = helper.make_graph([node], "g", [], [], [weight])
    >>> {name: value.shape for name, value in onnx_weights(graph).items()}
    {'enc.proj.weight': (3, 2)}
    """
    pending = _initializers(graph)
    # Names that the exporter made up are "onnx::..." or, like those of nodes, "/path/...".
    out = {n: pending.pop(n) for n in list(pending) if "." in n and not n.startswith(("onnx::", "/"))}
    named = set()
    for node in graph.node:
        matrix = node.input[1].removesuffix("_quantized") if node.op_type in _LINEAR else ""
        if matrix in pending and pending[matrix].ndim == 2:
            path = node.name.rsplit("/MatMul", 1)[0].strip("/").replace("/", ".")
            out[path + ".weight"] = pending[matrix].T
            named.add(matrix)
    if left := sorted(n for n, v in pending.items() if v.ndim == 2 and n not in named):
        raise ValueError(f"{len(left)} matrices of the graph belong to no linear layer, first: {left[:3]}")
    return {n: np.ascontiguousarray(v, dtype=np.float32) for n, v in out.items()}


def attention_divisors(graph: Any, path: str) -> Iterator[float]:
    """Scalar constants that divide something inside the module whose node path contains `path`."""
    from onnx import numpy_helper

    values = {n.output[0]: n.attribute[0].t for n in graph.node if n.op_type == "Constant"}
    for node in graph.node:
        if node.op_type == "Div" and path in node.name and node.input[1] in values:
            yield float(numpy_helper.to_array(values[node.input[1]]))
