"""Facts of the figures, for the prose of the book's page: a name, a value and the text that is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks._tables import KEPT, fast, times, verdict_of

__all__ = ["facts_of"]

Facts = dict[str, dict[str, Any]]


def facts_of(results: Mapping[str, Any]) -> Facts:
    """Facts of whatever was measured.

    Parameters
    ----------
    results : mapping
        Sections ``models``, ``steps``, ``lengths``, ``others``; any may be missing.

    Returns
    -------
    dict
        Name to ``value`` and ``text``.

    Examples
    --------
    >>> facts_of({})
    {}
    """
    from embreg.models import DEFAULT

    facts: Facts = {}
    if runs := list(_runs(results)):
        facts |= _circumstances(runs)
    if DEFAULT in results.get("models", {}):
        facts |= _default_facts(results["models"][DEFAULT])
    for name, make in {"steps": _step_facts, "lengths": _length_facts, "others": _other_facts}.items():
        if results.get(name):
            facts |= make(results[name])
    return {re.sub(r"[^a-z0-9]+", "_", name.lower()): fact for name, fact in facts.items()}


def _runs(results: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every part that was measured, with the circumstances of its run."""
    for name, part in results.get("models", {}).items():
        yield name, part["run"]
    for name in ("steps", "lengths"):
        if name in results:
            yield name, results[name]["run"]
    for part in results.get("others", {}).values():
        yield "others", part["run"]


def _fact(value: Any, text: str) -> dict[str, Any]:
    return {"value": value, "text": text}


def _circumstances(runs: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    restless = list(dict.fromkeys(name for name, run in runs if not run["quiet"]))
    most = max(run["others"] for _, run in runs)
    fewest = min(run["threads"] for _, run in runs)
    if restless:
        used = f"{fewest} of {runs[0][1]['machine']['cores']} threads"
        status = (
            f"Interim figures, to be measured again ({', '.join(restless)}): the machine was busy, or not "
            f"all of it was used ({used}; other processes took up to {most:.0%} of the processors). Ratios "
            "of contenders that ran by turns give a first idea, speeds do not."
        )
    else:
        status = f"Measured on a quiet machine: other processes took at most {most:.1%} of the processors."
    machine, versions = runs[0][1]["machine"], runs[0][1]["versions"]
    named = ("openvino", "torch", "transformers", "sentence-transformers")
    return {
        "status": _fact(not restless, status),
        "machine": _fact(
            machine,
            f"{machine['processor']}, {machine['cores']} processors"
            + (f" ({', '.join(machine['flags'])})" if machine["flags"] else ""),
        ),
        "versions": _fact(versions, ", ".join(f"{n} {versions[n]}" for n in named if n in versions)),
        "started": _fact(runs[0][1]["started"], runs[0][1]["started"][:10]),
    }


def _default_facts(model: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    best = fast(model)
    rates = {name: c["tokens_per_s"]["median"] for name, c in model["contenders"].items()}
    facts = {f"ratio_{name}": _fact(r["value"], times(r)) for name, r in model["ratios"].items()}
    facts |= {f"speed_{name}": _fact(v, f"{v:,.0f}") for name, v in rates.items()}
    facts |= {f"peak_{name}": _fact(v, f"{v / 1e9:,.0f} GFLOP/s") for name, v in model["peak"].items()}
    for kind, share in model["shares"][best].items():
        facts[f"share_{kind}"] = _fact(share, f"{100 * share:.0f} %")
    facts["padded"] = _fact(model["padded_per_real"], f"{model['padded_per_real']:.3f}")
    facts["parity"] = _fact(
        model["parity"]["embreg fp32"]["max_abs"], f"{model['parity']['embreg fp32']['max_abs']:.1g}"
    )
    if best in model["parity"]:
        drift = model["parity"][best]["max_relative"]
        facts["drift"] = _fact(drift, f"{100 * drift:.1f} %")
    facts["rows"] = _fact(model["rows"], f"{model['rows']:,}")
    facts["tokens"] = _fact(model["tokens"], f"{model['tokens']:,}")
    facts["repeat"] = _fact(model["run"]["repeat"], str(model["run"]["repeat"]))
    return facts


def _step_facts(steps: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    over = [n for n in steps["steps"][1:] if n != "from the store"]
    ratio = steps["over_first"][over[-1]]
    return {"steps_total": _fact(ratio["value"], times(ratio))}


def _length_facts(lengths: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    kept = lengths["kept"]
    plain = next(n for n in kept if n.startswith("transformers"))
    facts = {
        "kept": _fact(kept["embreg"]["value"], f"{100 * kept['embreg']['value']:.0f} %"),
        "kept_plain": _fact(kept[plain]["value"], f"{100 * kept[plain]['value']:.0f} %"),
        "kept_model": _fact(lengths["model"], lengths["model"]),
    }
    met = kept["embreg"]["value"] >= KEPT
    facts["kept_verdict"] = _fact(met, f"target ≥ {100 * KEPT:.0f} %: {verdict_of(kept['embreg'], KEPT)}")
    return facts


def _other_facts(others: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    measured = {n: o for n, o in others.items() if "missing" not in o}
    if not measured:
        return {}
    name = min(measured, key=lambda n: measured[n]["engine_faster"]["value"])
    ratio = measured[name]["engine_faster"]
    return {
        "nearest_other": _fact(name, name),
        "nearest_ratio": _fact(ratio["value"], times(ratio)),
        "others_count": _fact(len(measured), str(len(measured))),
    }
