"""Describes an accelerator to zigzag-dse: an array, its register files, buffers, and a memory outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from embreg.making.space import Value

__all__ = ["accelerator", "number"]

# zigzag calls the operands of the memories I1 (input), I2 (weight) and O (output). A memory is filled from
# above (fh) and read towards the array (tl); partial sums also come up (fl) and leave upwards (th).
_READS = {"I1": ("tl",), "I2": ("tl",), "O": ("tl", "th")}
_WRITES = {"I1": ("fh",), "I2": ("fh",), "O": ("fh", "fl")}
_ALL = ("I1", "I2", "O")

_BUFFERS: dict[Value, dict[str, tuple[str, ...]]] = {
    "shared": {"buffer_kb": _ALL},
    "weights_apart": {"weight_buffer_kb": ("I2",), "buffer_kb": ("I1", "O")},
    "all_apart": {"weight_buffer_kb": ("I2",), "output_buffer_kb": ("O",), "buffer_kb": ("I1",)},
}


def number(row: Mapping[str, Value], name: str) -> int:
    """Return an integer parameter of a row, one that is active there.

    Examples
    --------
    >>> number({"array_rows": 8}, "array_rows")
    8
    """
    return int(row[name])  # type: ignore[arg-type]  # integers alone are asked for


def _port(name: str, kind: str, bits: int, allocation: Iterable[str]) -> dict[str, Any]:
    ends = list(allocation)
    return {"name": name, "type": kind, "bandwidth_min": bits, "bandwidth_max": bits, "allocation": ends}


def _ends(operands: Iterable[str], *tables: Mapping[str, tuple[str, ...]]) -> list[str]:
    return [f"{operand}, {end}" for table in tables for operand in operands for end in table[operand]]


def _memory(size: int, operands: tuple[str, ...], ports: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    # The costs are energies and areas: latency depends on none of them, and zigzag insists on a number.
    free = {"r_cost": 1.0, "w_cost": 1.0, "area": 0.0, "latency": 1}
    everything = {"size": size, "operands": list(operands), "ports": ports, "served_dimensions": ["D1", "D2"]}
    return everything | free | more


def _register_file(size: int, operand: str, bits: int) -> dict[str, Any]:
    """One in every unit of the array: reads one operand and writes one a cycle."""
    ports = [
        _port("r_port_1", "read", bits, _ends((operand,), _READS)),
        _port("w_port_1", "write", bits, _ends((operand,), _WRITES)),
    ]
    return _memory(8 * size, (operand,), ports, served_dimensions=[])


def _buffer(row: Mapping[str, Value], kilobytes: int, operands: tuple[str, ...]) -> dict[str, Any]:
    bits, ends = number(row, "buffer_bw"), _ends(operands, _READS, _WRITES)
    if row["buffer_ports"] == "1rw":
        ports = [_port("rw_port_1", "read_write", bits, ends)]
    elif row["buffer_ports"] == "1r1w":
        ports = [
            _port("r_port_1", "read", bits, _ends(operands, _READS)),
            _port("w_port_1", "write", bits, _ends(operands, _WRITES)),
        ]
    else:  # One port faces the array, the other one the memory outside.
        ports = [
            _port("rw_port_1", "read_write", bits, [end for end in ends if end.endswith("l")]),
            _port("rw_port_2", "read_write", bits, [end for end in ends if end.endswith("h")]),
        ]
    double = bool(row["double_buffer"])
    return _memory(8 * 1024 * kilobytes, operands, ports, force_double_buffering=double)


def accelerator(row: Mapping[str, Value]) -> Any:
    """Return the accelerator of a row as zigzag's own object.

    Parameters
    ----------
    row : mapping
        A row of the accelerator family.

    Returns
    -------
    zigzag.hardware.architecture.accelerator.Accelerator

    Raises
    ------
    ValueError
        zigzag refuses the description.

    Examples
    --------
    >>> from embreg.making.accelerator import FAMILY
    >>> row = FAMILY.draw("gemm", 0)
    >>> accelerator(row).operational_array.total_unit_count == row["array_rows"] * row["array_cols"]
    True
    """
    from zigzag.parser.accelerator_factory import AcceleratorFactory
    from zigzag.parser.accelerator_validator import AcceleratorValidator

    # From the array outwards: zigzag takes the order of the memories as their level.
    memories = {
        "input_rf": _register_file(number(row, "input_rf"), "I1", number(row, "input_bits")),
        "weight_rf": _register_file(number(row, "weight_rf"), "I2", number(row, "weight_bits")),
        "output_rf": _register_file(number(row, "output_rf"), "O", number(row, "acc_bits")),
    }
    for name, operands in _BUFFERS[row["sharing"]].items():
        memories[name] = _buffer(row, number(row, name), operands)
    outside = _port("rw_port_1", "read_write", number(row, "dram_bw"), _ends(_ALL, _READS, _WRITES))
    memories["dram"] = _memory(10**10, _ALL, [outside])
    array = {
        "unit_energy": 1.0,
        "unit_area": 1.0,
        "dimensions": ["D1", "D2"],
        "sizes": [number(row, "array_rows"), number(row, "array_cols")],
    }
    validator = AcceleratorValidator({"name": "drawn", "memories": memories, "operational_array": array})
    data = validator.normalized_data
    if not validator.validate():
        raise ValueError(
            f"zigzag must accept the accelerator, however: it refuses {validator.validator.errors}; "
            "the release that is installed may describe hardware differently, see constraints.txt"
        )
    return AcceleratorFactory(data).create()
