"""Values of a fitted model as JSON and named tensors, and back: exact, and without pickle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd

from embreg.saved.allowed import class_of, function_of, name_of_function

__all__ = ["Decoder", "Encoder"]

_TENSORS = (
    "bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
    "uint64",
)  # fmt: skip
_PLAIN = ("str", "object", *_TENSORS)


class Encoder:
    """Value to JSON; arrays of numbers go to `tensors` and leave their name.

    What JSON cannot say itself is a dict with the key ``"$"``.

    Attributes
    ----------
    tensors : dict of str to ndarray

    Examples
    --------
    >>> encoder = Encoder()
    >>> encoder.encode({"a": (1, 2.5), "w": np.zeros(2)}, "model")
    {'a': {'$': 'tuple', 'items': [1, 2.5]}, 'w': {'$': 'tensor', 'name': 'model.w'}}
    >>> sorted(encoder.tensors)
    ['model.w']
    """

    def __init__(self) -> None:
        self.tensors: dict[str, np.ndarray] = {}
        # With the array itself, so that its id is not given to another one meanwhile.
        self._written: dict[int, tuple[np.ndarray, Any]] = {}

    def encode(self, value: Any, where: str) -> Any:
        """JSON for `value`; `where` is the way to it, for errors and names.

        Raises
        ------
        ValueError
            Something of a kind that has no exact form here.
        """
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if isfinite(value) else {"$": "float", "value": repr(value)}
        if kind is list:
            return [self.encode(v, f"{where}.{i}") for i, v in enumerate(value)]
        if kind is tuple:
            return {"$": "tuple", "items": self.encode(list(value), where)}
        if kind is dict:
            return self._dict(value, where)
        if kind is slice:
            return {"$": "slice", "items": self.encode([value.start, value.stop, value.step], where)}
        if isinstance(value, np.generic) and (value.dtype.name in _TENSORS or kind is np.str_):
            dtype = "str" if kind is np.str_ else value.dtype.name
            return {"$": "scalar", "dtype": dtype, "value": self.encode(value.item(), where)}
        if kind in (np.ndarray, np.memmap):
            return self._array(value, where)
        if kind is np.random.RandomState:
            return {"$": "random_state", "state": self.encode(value.get_state(legacy=False), where)}
        if kind is pd.DataFrame:
            return self._frame(value, where)
        if hasattr(value, "get_params") and not isinstance(value, type):
            from embreg.saved.estimators import pack

            return pack(value, self, where)
        if is_dataclass(value) and not isinstance(value, type):
            from embreg.saved.estimators import allowed_name

            known = allowed_name(kind, where)
            own = {f.name: self.encode(getattr(value, f.name), f"{where}.{f.name}") for f in fields(value)}
            return {"$": "record", "class": known, "fields": own}
        if callable(value) and (name := name_of_function(value)):
            return {"$": "function", "name": name}
        raise ValueError(
            f"{where} must be something that can be saved without pickle, however: got {value!r:.200}, a "
            f"{kind.__module__}.{kind.__qualname__}"
        )

    def _dict(self, value: dict[Any, Any], where: str) -> Any:
        if all(type(k) is str for k in value) and "$" not in value:
            return {k: self.encode(v, f"{where}.{k}") for k, v in value.items()}
        items = [[self.encode(k, where), self.encode(v, f"{where}.{k}")] for k, v in value.items()]
        return {"$": "dict", "items": items}

    def _array(self, value: np.ndarray, where: str) -> Any:
        if value.dtype.kind == "U":
            return {"$": "strings", "dtype": value.dtype.str, "shape": list(value.shape),
                    "values": value.ravel().tolist()}  # fmt: skip
        if value.dtype == object:
            values = [self.encode(v, where) for v in value.ravel().tolist()]
            return {"$": "objects", "shape": list(value.shape), "values": values}
        if value.dtype.name not in _TENSORS:
            raise ValueError(
                f"{where} must hold numbers, booleans or strings, however: its dtype is {value.dtype}"
            )
        if id(value) in self._written:
            return self._written[id(value)][1]
        name, n = where, 1
        while name in self.tensors:
            name, n = f"{where}#{n}", n + 1
        # safetensors writes the memory as it lies, and means rows first and little-endian.
        self.tensors[name] = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<")).reshape(
            value.shape
        )
        node = {"$": "tensor", "name": name}
        # A product sums in the order in which its factors lie: the last bit depends on it.
        columns_first = value.ndim > 1 and value.flags.f_contiguous and not value.flags.c_contiguous
        node = {**node, "order": "F"} if columns_first else node
        self._written[id(value)] = value, node
        return node

    def _frame(self, value: pd.DataFrame, where: str) -> Any:
        columns = []
        for j, name in enumerate(value.columns):
            column = value.iloc[:, j]
            if str(column.dtype) not in _PLAIN:
                raise ValueError(
                    f"{where} must have columns of numbers or text, however: {name!r} is {column.dtype}"
                )
            text = str(column.dtype) == "str"
            values = column.to_numpy(dtype=object) if text else column.to_numpy()
            columns.append([self.encode(name, where), str(column.dtype),
                            self._array(values, f"{where}.{name}")])  # fmt: skip
        default = isinstance(value.index, pd.RangeIndex) and value.index.equals(pd.RangeIndex(len(value)))
        index = len(value) if default else self._array(value.index.to_numpy(), f"{where}.index")
        return {"$": "frame", "columns": columns, "index": index}


class Decoder:
    """JSON and tensors to the value they came from.

    Attributes
    ----------
    unused : set of str
        Tensors that nothing asked for yet.

    Examples
    --------
    >>> decoder = Decoder({"model.w": np.zeros(2)})
    >>> decoder.decode({"a": {"$": "tuple", "items": [1]}, "w": {"$": "tensor", "name": "model.w"}})
    {'a': (1,), 'w': array([0., 0.])}
    >>> decoder.unused
    set()
    """

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        self._tensors = tensors
        self.unused = set(tensors)
        self._made: dict[tuple[str, bool], np.ndarray] = {}

    def decode(self, node: Any) -> Any:
        """Value of a node.

        Raises
        ------
        ValueError
            A kind of node, class or function that is not known.
        KeyError, TypeError, AttributeError
            A node without what its kind has.
        """
        if isinstance(node, list):
            return [self.decode(v) for v in node]
        if not isinstance(node, dict):
            return node
        if "$" not in node:
            return {k: self.decode(v) for k, v in node.items()}
        reader = _READERS.get(node["$"]) if isinstance(node["$"], str) else None
        if reader is None:
            raise ValueError(f"a node of kind {node['$']!r} is not known; known: {', '.join(_READERS)}")
        return reader(self, node)

    def _tensor(self, node: dict[str, Any]) -> np.ndarray:
        name = node["name"]
        if name not in self._tensors:
            raise ValueError(f"tensor {name!r} is named, but not in the file")
        self.unused.discard(name)
        key = name, node.get("order") == "F"
        if key not in self._made:  # a copy: aligned and writable; what was one array is one again
            self._made[key] = np.array(self._tensors[name], order="F" if key[1] else "C")
        return self._made[key]

    def _strings(self, node: dict[str, Any]) -> np.ndarray:
        if np.dtype(node["dtype"]).kind != "U":
            raise ValueError(f"strings have dtype U, however: got {node['dtype']!r}")
        return np.array(node["values"], dtype=node["dtype"]).reshape(node["shape"])

    def _objects(self, node: dict[str, Any]) -> np.ndarray:
        out = np.empty(len(node["values"]), dtype=object)
        for i, value in enumerate(node["values"]):
            out[i] = self.decode(value)
        return out.reshape(node["shape"])

    def _scalar(self, node: dict[str, Any]) -> Any:
        if node["dtype"] != "str" and node["dtype"] not in _TENSORS:
            raise ValueError(f"a scalar has one of the dtypes {_TENSORS}, however: got {node['dtype']!r}")
        return np.dtype(node["dtype"]).type(self.decode(node["value"]))

    def _random_state(self, node: dict[str, Any]) -> np.random.RandomState:
        out = np.random.RandomState(0)
        out.set_state(self.decode(node["state"]))
        return out

    def _frame(self, node: dict[str, Any]) -> pd.DataFrame:
        names, series = [], []
        for name, dtype, values in node["columns"]:
            if dtype not in _PLAIN:
                raise ValueError(f"a column has one of the dtypes {_PLAIN}, however: got {dtype!r}")
            names.append(self.decode(name))
            series.append(pd.Series(self.decode(values), dtype=dtype))
        index = node["index"]
        rows = pd.RangeIndex(index) if isinstance(index, int) else pd.Index(self.decode(index))
        frame = pd.DataFrame(dict(enumerate(series)), index=range(len(rows)))
        return frame.set_axis(names, axis=1).set_axis(rows, axis=0)

    def _record(self, node: dict[str, Any]) -> Any:
        kind: Any = class_of(node["class"])
        known: bool = is_dataclass(kind)  # a name of its own: the check would narrow the type too far
        if not known:
            raise ValueError(f"a record is of a dataclass, however: got {node['class']!r}")
        return kind(**{k: self.decode(v) for k, v in node["fields"].items()})

    def _estimator(self, node: dict[str, Any]) -> Any:
        from embreg.saved.estimators import unpack

        return unpack(node, self)


_READERS = {
    "dict": lambda d, n: {d.decode(k): d.decode(v) for k, v in n["items"]},
    "estimator": Decoder._estimator,
    "float": lambda d, n: {"inf": float("inf"), "-inf": float("-inf"), "nan": float("nan")}[n["value"]],
    "frame": Decoder._frame,
    "function": lambda d, n: function_of(n["name"]),
    "objects": Decoder._objects,
    "random_state": Decoder._random_state,
    "record": Decoder._record,
    "scalar": Decoder._scalar,
    "slice": lambda d, n: slice(*d.decode(n["items"])),
    "strings": Decoder._strings,
    "tensor": Decoder._tensor,
    "tuple": lambda d, n: tuple(d.decode(n["items"])),
}
