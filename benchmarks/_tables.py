"""Tables of the figures, for the terminal and for the book's page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embreg._turns import Ratio

__all__ = ["KEPT", "TARGETS", "Table", "fast", "show", "tables_of", "times", "verdict", "verdict_of"]

TARGETS = {
    "default": (4.5, "its default over sentence-transformers' default"),
    "bf16": (2.0, "bf16 over bf16"),
    "fp32": (2.2, "fp32 over fp32"),
}
"""Ratios that the default model should reach on two quiet cores."""

KEPT = 0.70
"""Share of its speed per token that T5 should keep at long rows."""

_SHARE, _PADDING = 0.70, 1.10

Table = dict[str, list[Any]]
"""``head``, a list of titles, and ``rows``, a list of lists of text."""


def tables_of(results: Mapping[str, Any]) -> dict[str, Table]:
    """Tables of whatever was measured.

    Parameters
    ----------
    results : mapping
        Sections ``models``, ``steps``, ``lengths``, ``others``; any may be missing.

    Examples
    --------
    >>> tables_of({})
    {}
    """
    from embreg.models import DEFAULT

    tables: dict[str, Table] = {}
    if models := results.get("models"):
        tables["ratios"], tables["speeds"] = _ratios(models), _speeds(models)
        if DEFAULT in models:
            tables["targets"] = _targets(models[DEFAULT])
    for name, make in {"steps": _steps, "lengths": _lengths, "others": _others}.items():
        if results.get(name):
            tables[name] = make(results[name])
    return tables


def show(table: Table) -> str:
    """Lay a table out for a terminal.

    Examples
    --------
    >>> print(show({"head": ["a", "b"], "rows": [["x", "1"], ["long", "2"]]}))
    a     b
    x     1
    long  2
    """
    rows = [table["head"], *table["rows"]]
    widths = [max(len(r[j]) for r in rows) for j in range(len(table["head"]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows)


def times(ratio: Mapping[str, float | None]) -> str:
    """Write a ratio with its interval."""
    return str(Ratio(**ratio))  # type: ignore[arg-type]


def _speed(rates: Mapping[str, float]) -> str:
    return f"{rates['median']:,.0f} ({rates['low']:,.0f} to {rates['high']:,.0f})"


def verdict(met: bool) -> str:
    """Say whether a target is met."""
    return "met" if met else "not met"


def verdict_of(ratio: Mapping[str, Any], target: float) -> str:
    """Say whether a ratio meets its target, and whether its whole interval does, where it has one."""
    low = ratio["low"]
    below = ratio["value"] >= target and low is not None and low < target
    return "met, interval reaches below" if below else verdict(ratio["value"] >= target)


def fast(model: Mapping[str, Any]) -> str:
    """Name the contender that a user gets who asks for nothing."""
    return "embreg bf16" if model["auto"]["dtype"] == "bfloat16" else "embreg fp32"


def _targets(model: Mapping[str, Any]) -> Table:
    rows = []
    for name, (target, what) in TARGETS.items():
        if name in model["ratios"]:
            ratio = model["ratios"][name]
            rows.append(
                [
                    what,
                    f"≥ {target}×",
                    times(ratio),
                    verdict_of(ratio, target),
                ]
            )
    for kind, what in (("linear", "linear layers only"), ("full", "with attention")):
        share = model["shares"][fast(model)][kind]
        rows.append(
            [f"share of the matrix product's peak, {what}", f"≥ {100 * _SHARE:.0f} %", f"{100 * share:.0f} %",
             verdict(share >= _SHARE)]
        )  # fmt: skip
    padded = model["padded_per_real"]
    rows.append(["padded tokens for each real one", f"≤ {_PADDING:.2f}", f"{padded:.3f}",
                 verdict(padded <= _PADDING)])  # fmt: skip
    return {"head": ["what", "target", "measured", ""], "rows": rows}


def _ratios(models: Mapping[str, Any]) -> Table:
    rows = []
    for name, model in models.items():
        share, ratios = model["shares"][fast(model)], model["ratios"]
        cells = [times(ratios[k]) if k in ratios else "—" for k in TARGETS]
        peak = f"{100 * share['linear']:.0f} % ({100 * share['full']:.0f} %)"
        rows.append([name, *cells, peak, f"{model['padded_per_real']:.3f}"])
    head = ["model", "default over default", "bf16 over bf16", "fp32 over fp32"]
    return {"head": [*head, "share of the peak", "padded / real"], "rows": rows}


def _speeds(models: Mapping[str, Any]) -> Table:
    rows = []
    for name, model in models.items():
        for contender, c in model["contenders"].items():
            share, gap = model["shares"][contender], model["parity"].get(contender)
            if gap is None:
                shown = "the reference"
            elif contender.endswith("fp32"):
                shown = f"{gap['max_abs']:.1g}"
            else:
                shown = f"{100 * gap['max_relative']:.1f} %"
            peak = f"{100 * share['linear']:.0f} % ({100 * share['full']:.0f} %)"
            rows.append([name, contender, _speed(c["tokens_per_s"]), peak, shown])
    head = ["model", "engine", "tokens/s (range)", "share of the peak", "difference"]
    return {"head": head, "rows": rows}


def _steps(steps: Mapping[str, Any]) -> Table:
    rows = []
    for name in steps["steps"]:
        previous = steps["over_previous"].get(name)
        speed = _speed(steps["contenders"][name]["tokens_per_s"])
        rows.append([name, speed, times(previous) if previous else "—"])
    return {"head": ["step", "tokens/s (range)", "over the step before"], "rows": rows}


def _lengths(lengths: Mapping[str, Any]) -> Table:
    short, long = lengths["lengths"]
    per_row = [f"{p['per_row']:.0f} tokens a row ({p['dof']} DOF)" for p in lengths["points"]]
    rows = []
    for name in lengths["engines"]:
        cells = [_speed(lengths["contenders"][f"{name} at {k}"]["tokens_per_s"]) for k in (short, long)]
        kept = lengths["kept"][name]
        text = f"{100 * kept['value']:.0f} %"
        if kept["low"] is not None:
            text += f" [{100 * kept['low']:.0f}, {100 * kept['high']:.0f}]"
        rows.append([name, *cells, text])
    return {"head": ["engine", *(f"tokens/s at {p}" for p in per_row), "kept"], "rows": rows}


def _others(others: Mapping[str, Any]) -> Table:
    rows = []
    for name, other in others.items():
        if "missing" in other:
            rows.append([name, "not measured", "—", f"{other['why']} ({other['missing']})"])
        else:
            ratio = times(other["engine_faster"])
            rows.append([name, _speed(other["tokens_per_s"]), ratio, other["why"]])
    head = ["backend", "tokens/s (range)", "this engine, same dtype, is faster by", "why it is left out"]
    return {"head": head, "rows": rows}
