"""Tables of the heads' figures, for the terminal and for the book's page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks._head_profile import PARTS
from benchmarks._tables import Table, times, verdict_of

__all__ = ["MARGIN", "TARGETS", "number", "tables_of"]

TARGETS = {"loop": 3.0, "scikit-learn": 4.0}
"""How many times faster than each the sweep should be, on two quiet cores."""

MARGIN = 0.005
"""By how much its mean Kendall tau may be lower."""


def tables_of(results: Mapping[str, Any]) -> dict[str, Table]:
    """Tables of whatever was measured.

    Parameters
    ----------
    results : mapping
        Sections ``widths`` and ``choices``; either may be missing.

    Examples
    --------
    >>> tables_of({})
    {}
    """
    tables: dict[str, Table] = {}
    if widths := results.get("widths"):
        tables |= {"targets": _targets(widths), "times": _times(widths), "errors": _errors(widths)}
        tables["parts"] = _parts(widths)
    if choices := results.get("choices"):
        tables |= {"taus": _taus(choices), "costs": _costs(choices)}
    return tables


def number(found: Mapping[str, Any], digits: int = 4) -> str:
    """Write a difference with its interval.

    Examples
    --------
    >>> number({"value": 0.00012, "low": -0.002, "high": None})
    '+0.0001'
    >>> number({"value": 0.00012, "low": -0.002, "high": 0.001})
    '+0.0001 [-0.0020, +0.0010]'
    """
    if found["low"] is None or found["high"] is None:
        return f"{found['value']:+z.{digits}f}"
    return "{value:+z.{d}f} [{low:+z.{d}f}, {high:+z.{d}f}]".format(**found, d=digits)


def _targets(widths: Mapping[str, Any]) -> Table:
    rows = []
    for width, part in widths.items():
        for name, other in part["others"].items():
            ratio, target = other["ratio"], TARGETS[name]
            shown = times({k: ratio[k] for k in ("value", "low", "high")})
            rows.append([f"d = {width}, over {_names(name)}", f"≥ {target:g}×", shown,
                         str(ratio["targets"]), verdict_of(ratio, target)])  # fmt: skip
    for width, part in widths.items():
        for name, other in part["others"].items():
            tau = other["tau"]
            rows.append([f"d = {width}, τ less that of {_names(name)}", f"≥ -{MARGIN:g}", number(tau),
                         str(tau["functions"]), verdict_of(tau, -MARGIN)])  # fmt: skip
    return {"head": ["what", "target", "measured", "functions", ""], "rows": rows}


def _names(name: str) -> str:
    return {"loop": "the plain loop"}.get(name, name)


def _times(widths: Mapping[str, Any]) -> Table:
    rows = []
    for width, part in widths.items():
        models, found = part["models"], part["sweep"]
        rows.append([width, f"this sweep ({_short(part)})", f"{1e3 * found['per_model']:,.0f}",
                     f"{found['per_model'] * models:,.0f}"])  # fmt: skip
        for name, other in part["others"].items():
            n = other["tau"]["functions"]
            whole = "" if n == len(part["names"]) else "about "
            rows.append([width, _names(name), f"{1e3 * other['per_model']:,.0f}",
                         f"{whole}{other['per_model'] * models:,.0f}"])  # fmt: skip
    return {"head": ["d", "who trains", "ms a model", "seconds for all"], "rows": rows}


def _errors(widths: Mapping[str, Any]) -> Table:
    rows = [
        [width, _names(name), str(tau["functions"]), f"{tau['mean']:.3f}", f"{tau['other']:.3f}", number(tau)]
        for width, part in widths.items()
        for name, tau in ((n, o["tau"]) for n, o in part["others"].items())
    ]  # fmt: skip
    head = ["d", "beside", "functions", "this sweep's mean τ", "its mean τ", "difference"]
    return {"head": head, "rows": rows}


def _short(part: Mapping[str, Any]) -> str:
    return {"bfloat16": "bf16", "float32": "fp32"}[part["precision"]]


def _parts(widths: Mapping[str, Any]) -> Table:
    rows = [
        [name, *(f"{100 * w['breakdown']['shares'][name]:.0f} %" for w in widths.values())] for name in PARTS
    ]
    return {"head": ["what", *(f"d = {w}" for w in widths)], "rows": rows}


def _grid(choices: Mapping[str, Any]) -> tuple[list[int], list[int], dict[tuple[int, int], Any]]:
    pairs = {(p["batch"], p["patience"]): p for p in choices["pairs"]}
    return list(dict.fromkeys(b for b, _ in pairs)), list(dict.fromkeys(p for _, p in pairs)), pairs


def batch_text(batch: int) -> str:
    """Write a batch size; 0 is all rows."""
    return str(batch) if batch else "all rows"


def _taus(choices: Mapping[str, Any]) -> Table:
    batches, patiences, pairs = _grid(choices)
    rows = []
    for b in batches:
        cells = []
        for p in patiences:
            reference = [b, p] == list(choices["reference"])
            cells.append("the choice" if reference else number(pairs[b, p]["difference"], 3))
        rows.append([batch_text(b), *cells])
    return {"head": ["batch", *(f"patience {p}" for p in patiences)], "rows": rows}


def _costs(choices: Mapping[str, Any]) -> Table:
    batches, patiences, pairs = _grid(choices)
    rows = [
        [batch_text(b), *(f"{pairs[b, p]['seconds']:.0f} s ({pairs[b, p]['epochs']:.0f})" for p in patiences)]
        for b in batches
    ]
    return {"head": ["batch", *(f"patience {p}" for p in patiences)], "rows": rows}
