"""Three more questions: what each step brings, what long rows cost T5, and which backends lose."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks._compare import PARITY, Race, Say, probe
from benchmarks._contenders import SHORT, Plain, has_backends, ours
from benchmarks._others import BUDGET, OTHERS, Unavailable
from benchmarks._rows import dof_for, rows_of
from embreg.models import resolve

__all__ = ["LENGTHS", "measure_lengths", "measure_others", "measure_steps"]

LENGTHS = (40, 600)
"""Tokens of a row whose speeds are compared."""

BATCH = 32
"""Rows in a batch of the plain loop; what sentence-transformers does by default."""

_BF16_DRIFT = 5e-2


def measure_steps(model: str, texts: list[str], *, repeat: int, device: str, say: Say) -> dict[str, Any]:
    """Speed after each optimisation, from the plain loop to the engine with its store.

    Returns
    -------
    dict
        JSON-like; ``steps`` lists the contenders in the order in which things are added.
    """
    auto, folder = probe(model, device), resolve(model).path
    plain = Plain(folder, "float32", auto["device"])
    tokens = sum(plain.lengths(texts))
    embed: dict[str, Callable[..., Any]] = {
        f"transformers, batches of {BATCH} rows": partial(plain.embed, rows=BATCH),
        "sorted by tokens": partial(plain.embed, rows=BATCH, by_length=True),
        f"{BUDGET:,} tokens in a batch": partial(plain.embed, budget=BUDGET, by_length=True),
    }
    last = "float32"
    if has_backends() and auto["backend"] != "torch":
        embed["this engine on torch"] = ours(model, last, device, backend="torch").fit_transform
        embed["on OpenVINO"] = ours(model, last, device).fit_transform
    else:
        embed["this engine on torch"] = ours(model, last, device).fit_transform
    if auto["dtype"] != last:
        last = auto["dtype"]
        embed["in bf16"] = ours(model, last, device).fit_transform
    with tempfile.TemporaryDirectory() as store:
        # Warming up fills the store, so that every round that counts reads it.
        embed["from the store"] = ours(model, last, device, store=store).fit_transform
        calls = {name: (partial(e, texts), tokens) for name, e in embed.items()}
        race = Race(calls, repeat, device=auto["device"], dtypes=[last], say=say)
    names = list(embed)
    return {
        "run": race.run,
        "model": model,
        "rows": len(texts),
        "tokens": tokens,
        "steps": names,
        "contenders": race.table(),
        "over_previous": {b: race.faster(b, a) for a, b in pairwise(names)},
        "over_first": {b: race.faster(b, names[0]) for b in names[1:]},
    }


def measure_lengths(model: str, rows: int, *, repeat: int, device: str, say: Say) -> dict[str, Any]:
    """Speed per token at short and long rows, for the engine and for plain torch with 32 rows a batch.

    Parameters
    ----------
    model : str
        A T5: others cannot read so much, or lose less.
    rows : int
        About so many rows in all; both lengths get the same number of tokens.
    repeat, device, say : as for `measure_model`

    Returns
    -------
    dict
        JSON-like; ``kept`` is the share of its speed at short rows that each keeps at long ones.
    """
    auto, folder = probe(model, device), resolve(model).path
    plain = Plain(folder, auto["dtype"], auto["device"])
    engine = ours(model, auto["dtype"], device)
    total = rows * sum(LENGTHS) // 2
    names: dict[str, Callable[..., Any]] = {
        "embreg": engine.fit_transform,
        f"transformers, {BATCH} rows a batch": partial(plain.embed, rows=BATCH),
    }
    if has_backends() and auto["backend"] != "torch":
        names["embreg torch"] = ours(model, auto["dtype"], device, backend="torch").fit_transform
    points, calls = [], {}
    for wanted in LENGTHS:
        dof = dof_for(wanted, plain.lengths)
        texts = rows_of(dof, max(10, total // wanted))
        tokens = sum(plain.lengths(texts))
        points.append({"dof": dof, "rows": len(texts), "tokens": tokens, "per_row": tokens / len(texts)})
        for name, embed in names.items():
            calls[f"{name} at {wanted}"] = (partial(embed, texts), tokens)
    race = Race(calls, repeat, device=auto["device"], dtypes=[auto["dtype"]], say=say)
    short, long = LENGTHS
    return {
        "run": race.run,
        "auto": auto,
        "model": model,
        "lengths": list(LENGTHS),
        "points": points,
        "engines": list(names),
        "contenders": race.table(),
        "kept": {n: race.faster(f"{n} at {long}", f"{n} at {short}") for n in names},
        "faster": {
            str(k): race.faster(f"embreg at {k}", f"transformers, {BATCH} rows a batch at {k}")
            for k in LENGTHS
        },
    }


def measure_others(
    model: str, texts: list[str], *, repeat: int, say: Say
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Backends that the engine does without, each beside the engine in the same dtype, on the CPU.

    Returns
    -------
    results : dict of name to dict
        Measured, or with ``missing``: why it could not be.
    problems : list of str
        Backends whose vectors are not the model's.
    """
    auto, folder = probe(model, "cpu"), resolve(model).path
    dtypes = list(dict.fromkeys(["float32", auto["dtype"]]))
    engines = {f"embreg {SHORT[d]}": ours(model, d, "cpu") for d in dtypes}
    vectors = {name: e.fit_transform(texts) for name, e in engines.items()}
    lengths = engines["embreg fp32"].report_.tokens_per_row
    tokens = int(lengths.sum())
    calls = {name: (partial(e.transform, texts), tokens) for name, e in engines.items()}
    results: dict[str, dict[str, Any]] = {}
    for name, other in OTHERS.items():
        say(f"building  {name}")
        try:
            if other.dtype not in dtypes:
                raise Unavailable(f"this processor has no {SHORT[other.dtype]}")
            calls[name] = (partial(other.build(folder, int(lengths.max())), texts), tokens)
        except Unavailable as error:
            results[name] = {"dtype": other.dtype, "why": other.why, "missing": str(error)}
            say(f"left out  {name}: {error}")
    race = Race(calls, repeat, device="cpu", dtypes=dtypes, say=say)
    problems = []
    for name, other in OTHERS.items():
        if name in results:
            continue
        gap = np.linalg.norm(race.first[name] - vectors["embreg fp32"], axis=1)
        drift = float((gap / np.linalg.norm(vectors["embreg fp32"], axis=1)).max())
        if not drift <= (_BF16_DRIFT if other.dtype == "bfloat16" else PARITY * 10):
            problems.append(f"{name} differs from this engine by {drift:.2g} of a row's length")
        results[name] = {
            "dtype": other.dtype,
            "why": other.why,
            "tokens_per_s": race.speed(name),
            "seconds": race.seconds[name],
            "engine_tokens_per_s": race.speed(f"embreg {SHORT[other.dtype]}"),
            "engine_faster": race.faster(f"embreg {SHORT[other.dtype]}", name),
            "max_relative": drift,
        }
    measured = {name: {**results[name], "run": race.run, "model": model} for name in OTHERS}
    return measured, problems
