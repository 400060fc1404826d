"""Facts of the heads' figures, for the prose of the book's page: name, value and the text that is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks._facts import Facts, _circumstances
from benchmarks._facts import _fact as fact
from benchmarks._head_tables import MARGIN, batch_text, number
from benchmarks._tables import times

__all__ = ["facts_of"]

_PACKAGES = ("torch", "scikit-learn", "numpy")


def facts_of(results: Mapping[str, Any]) -> Facts:
    """Facts of whatever was measured.

    Parameters
    ----------
    results : mapping
        Sections ``widths`` and ``choices``; either may be missing.

    Returns
    -------
    dict
        Name to ``value`` and ``text``.

    Examples
    --------
    >>> facts_of({})
    {}
    """
    facts: Facts = {}
    if runs := list(_runs(results)):
        facts |= _circumstances(runs)
        versions = facts["versions"]["value"]
        named = ", ".join(f"{n} {versions[n]}" for n in _PACKAGES if n in versions)
        facts["versions"] = fact(versions, named)
        if reduced := [name for name, part in _sections(results) if part.get("reduced")]:
            text = f"Figures of a quick trial, not of the whole measurement ({', '.join(reduced)}). "
            facts["status"] = fact(False, text + facts["status"]["text"])
    for width, part in results.get("widths", {}).items():
        facts |= {f"{name}_{width}": f for name, f in _width_facts(part).items()}
    if "choices" in results:
        facts |= {f"choices_{name}": f for name, f in _choice_facts(results["choices"]).items()}
    return {re.sub(r"[^a-z0-9]+", "_", name.lower()): f for name, f in facts.items()}


def _sections(results: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for width, part in results.get("widths", {}).items():
        yield f"d = {width}", part
    if "choices" in results:
        yield "choices", results["choices"]


def _runs(results: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, part in _sections(results):
        yield name, part["run"]


def _width_facts(part: Mapping[str, Any]) -> Facts:
    sweep, shares, peak = part["sweep"], part["breakdown"]["shares"], part["peak"]
    settings, epochs = part["settings"], sum(sweep["epochs"]) / part["models"]
    seconds, targets = sweep["per_model"] * part["models"], len(part["names"])
    facts = {
        "representation": fact(part["representation"], part["representation"]),
        "precision": fact(part["precision"], part["precision"]),
        "targets": fact(targets, str(targets)),
        "models": fact(part["models"], str(part["models"])),
        "configurations": fact(part["models"] // targets, str(part["models"] // targets)),
        "dof": fact(part["dof"], str(part["dof"])),
        "rows": fact(part["rows"], str(part["rows"])),
        "batch": fact(settings["batch_size"], str(settings["batch_size"])),
        "patience": fact(settings["patience"], str(settings["patience"])),
        "rounds": fact(part["run"]["repeat"], str(part["run"]["repeat"])),
        "seconds": fact(seconds, f"{seconds:,.0f} s"),
        "epochs": fact(epochs, f"{epochs:.0f}"),
        "flops": fact(sweep["flops"], f"{sweep['flops'] / 1e9:,.0f} GFLOP/s"),
        "slower": fact(part["breakdown"]["slower"], f"{part['breakdown']['slower']:.2f}"),
        "profiled": fact(part["breakdown"]["epochs"], str(part["breakdown"]["epochs"])),
    }
    for name, value in peak.items():
        facts[f"peak_{name}"] = fact(value, f"{value / 1e9:,.0f} GFLOP/s")
        facts[f"share_{name}"] = fact(sweep["flops"] / value, f"{100 * sweep['flops'] / value:.0f} %")
    products = sum(v for k, v in shares.items() if k.startswith("products"))
    facts["products"] = fact(products, f"{100 * products:.0f} %")
    for name in ("optimiser", "validation"):
        facts[name] = fact(shares[name], f"{100 * shares[name]:.0f} %")
    most = max(shares, key=lambda k: shares[k])
    facts["largest"] = fact(most, most)
    for name, other in part["others"].items():
        ratio = other["ratio"]
        facts[f"ratio_{name}"] = fact(ratio["value"], times({k: ratio[k] for k in ("value", "low", "high")}))
        facts[f"tau_{name}"] = fact(other["tau"]["value"], number(other["tau"]))
        facts[f"functions_{name}"] = fact(other["tau"]["functions"], str(other["tau"]["functions"]))
    return facts


def _choice_facts(choices: Mapping[str, Any]) -> Facts:
    design, chosen = choices["design"], choices["reference"]
    pairs = {(p["batch"], p["patience"]): p for p in choices["pairs"]}
    ours = pairs[tuple(chosen)]
    rest = [p for k, p in pairs.items() if k != tuple(chosen)]
    better = [p for p in rest if (p["difference"]["low"] or 0) > 0]
    # Not known to lose the margin: the whole interval lies above it.
    as_good = [p for p in pairs.values() if p is ours or _above(p["difference"], -MARGIN)]
    best = max(rest, key=lambda p: p["difference"]["value"])
    cheap = min(as_good, key=lambda p: p["seconds"])
    cost = cheap["seconds"] / ours["seconds"]
    return {
        "functions": fact(design["functions"], str(design["functions"])),
        "dofs": fact(design["dofs"], " and ".join(map(str, design["dofs"]))),
        "seeds": fact(len(design["seeds"]), str(len(design["seeds"]))),
        "rates": fact(design["learning_rates"], ", ".join(f"{v:g}" for v in design["learning_rates"])),
        "decays": fact(design["weight_decays"], ", ".join(f"{v:g}" for v in design["weight_decays"])),
        "tasks": fact(choices["tasks"], str(choices["tasks"])),
        "precision": fact(choices["precision"], choices["precision"]),
        "batch": fact(chosen[0], str(chosen[0])),
        "patience": fact(chosen[1], str(chosen[1])),
        "tau": fact(ours["tau"], f"{ours['tau']:.3f}"),
        "seconds": fact(ours["seconds"], f"{ours['seconds']:.0f} s"),
        "others": fact(len(rest), str(len(rest))),
        "best": fact([best["batch"], best["patience"]], _pair(best)),
        "best_difference": fact(best["difference"]["value"], number(best["difference"], 3)),
        "best_cost": fact(best["seconds"] / ours["seconds"], f"{best['seconds'] / ours['seconds']:.1f}×"),
        "cheapest": fact([cheap["batch"], cheap["patience"]], _pair(cheap)),
        "cheapest_difference": fact(cheap["difference"]["value"], number(cheap["difference"], 3)),
        "cheapest_cost": fact(cost, f"{cost:.2f}×"),
        "verdict": fact(not better, _verdict(better, rest, cheap is ours)),
    }  # fmt: skip


def _above(found: Mapping[str, Any], limit: float) -> bool:
    return found["low"] is not None and found["low"] > limit


def _pair(pair: Mapping[str, Any]) -> str:
    return f"batch {batch_text(pair['batch'])}, patience {pair['patience']}"


def _verdict(better: list[Any], rest: list[Any], cheapest: bool) -> str:
    if better:
        most = max(better, key=lambda p: p["difference"]["value"])
        text = (
            f"The evidence does not support the choice as the most accurate: {len(better)} of {len(rest)} "
            f"other pairs have an interval above zero, at most {_pair(most)} with "
            f"{number(most['difference'], 3)}"
        )
    else:
        text = f"None of the {len(rest)} other pairs is better by an interval above zero"
    dearer = "no cheaper pair has" if cheapest else "a cheaper pair has, too,"
    return f"{text}; {dearer} an interval that stays above -{MARGIN:g}."
