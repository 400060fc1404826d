"""One model: this engine beside sentence-transformers, the same strings by turns, parity checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks._contenders import SHORT, has_backends, ours, sentence_transformer
from benchmarks._work import Peak, work_of
from embreg._machine import Watch
from embreg._turns import alternate, spread, times_faster
from embreg.models import resolve

__all__ = ["PARITY", "Race", "measure_model", "probe"]

PARITY = 1e-5
"""Largest difference of any coordinate from sentence-transformers that float32 may show."""

Say = Callable[[str], Any]


class Race:
    """Contenders that run by turns, each on its own strings.

    Parameters
    ----------
    contenders : mapping of name to (callable, tokens)
        What runs, and how many real tokens it reads.
    repeat : int
    device : str
    dtypes : sequence of str
        Types whose matrix product is timed before each round.
    say : callable
        Receives progress.

    Attributes
    ----------
    first : dict of str to Any
        What each gave when it was warmed up.
    seconds : dict of str to list of float
    run : dict
        The machine, and whether it was quiet (`Watch`).
    peak : dict of str to float
        Operations a second of the fastest product, by dtype.
    """

    def __init__(
        self,
        contenders: Mapping[str, tuple[Callable[[], Any], int]],
        repeat: int,
        *,
        device: str,
        dtypes: Sequence[str],
        say: Say,
    ) -> None:
        self.tokens = {name: tokens for name, (_, tokens) in contenders.items()}
        self.first = {}
        for name, (call, _) in contenders.items():
            say(f"warming up  {name}")
            self.first[name] = call()
        peak = Peak(device, dtypes)
        with Watch() as watch:
            calls = {name: call for name, (call, _) in contenders.items()}
            self.seconds = alternate(calls, repeat, between=peak, say=say)
            peak()
        self.run = {**watch.record, "device": device, "repeat": repeat}
        self.peak = peak.best

    def speed(self, name: str) -> dict[str, float]:
        """Real tokens a second: median, lowest, highest."""
        return spread(self.tokens[name], self.seconds[name])

    def faster(self, fast: str, slow: str) -> dict[str, float | None]:
        """How many times more tokens a second `fast` reads, from paired rounds."""
        ratio = times_faster(self.seconds[fast], self.seconds[slow])
        scale = self.tokens[fast] / self.tokens[slow]
        return {k: None if v is None else v * scale for k, v in ratio._asdict().items()}

    def table(self) -> dict[str, dict[str, Any]]:
        """Seconds and speeds of every contender."""
        return {n: {"seconds": s, "tokens_per_s": self.speed(n)} for n, s in self.seconds.items()}


def probe(model: str, device: str) -> dict[str, str]:
    """What ``"auto"`` means on this machine: dtype, device and backend."""
    embedder = ours(model, "auto", device)
    embedder.fit_transform(["0"])
    space = embedder.space_
    return {"dtype": space["dtype"], "device": space["device"], "backend": space.get("backend", "torch")}


def measure_model(
    model: str, texts: list[str], *, repeat: int, device: str, say: Say
) -> tuple[dict[str, Any], list[str]]:
    """Compare the engine with sentence-transformers.

    Parameters
    ----------
    model : str
        Name or folder.
    texts : list of str
        Different strings: equal ones would be embedded once here and every time there.
    repeat : int
        Rounds.
    device : str
    say : callable

    Returns
    -------
    result : dict
        JSON-like.
    problems : list of str
        Why the comparison is void: vectors that differ, rows that one of the two has cut.
    """
    auto, local = probe(model, device), resolve(model)
    dtypes = list(dict.fromkeys(["float32", auto["dtype"]]))
    engines = {f"embreg {SHORT[d]}": ours(model, d, device) for d in dtypes}
    if has_backends() and auto["backend"] != "torch":
        engines |= {f"embreg torch {SHORT[d]}": ours(model, d, device, backend="torch") for d in dtypes}
    default = engines[f"embreg {SHORT[auto['dtype']]}"]
    default.fit_transform(texts)
    lengths = [int(n) for n in default.report_.tokens_per_row]
    tokens, longest = sum(lengths), max(lengths)
    peers = {
        f"sentence-transformers {SHORT[d]}": sentence_transformer(
            local.path, d, auto["device"], longest=longest
        )
        for d in dtypes
    }
    calls: dict[str, Callable[[], Any]] = {n: partial(e.fit_transform, texts) for n, e in engines.items()}
    calls |= {n: partial(p.encode, texts, show_progress_bar=False) for n, p in peers.items()}
    race = Race(
        {n: (c, tokens) for n, c in calls.items()}, repeat, device=auto["device"], dtypes=dtypes, say=say
    )
    problems = [
        f"{name} reads {seen:,} tokens of these rows, this engine {tokens:,}: one of them cuts rows"
        for name, peer in peers.items()
        if (seen := _tokens_seen(peer, texts)) != tokens
    ]
    parity, found = _parity(race.first)
    work, report = work_of(local.path), default.report_
    linear, attention = work.linear(lengths), work.attention(lengths)
    shares = {}
    for name in calls:
        dtype = {v: k for k, v in SHORT.items()}[name.rsplit(" ", 1)[1]]
        each = race.speed(name)["median"] / tokens / race.peak[dtype]
        shares[name] = {"linear": linear * each, "full": (linear + attention) * each}
    fp32, low = "sentence-transformers fp32", f"sentence-transformers {SHORT[auto['dtype']]}"
    fast = f"embreg {SHORT[auto['dtype']]}"
    ratios = {"default": race.faster(fast, fp32), "fp32": race.faster("embreg fp32", fp32)}
    if auto["dtype"] == "bfloat16":
        ratios["bf16"] = race.faster(fast, low)
    for dtype in dtypes:
        if f"embreg torch {SHORT[dtype]}" in engines:
            ours_, torch_ = f"embreg {SHORT[dtype]}", f"embreg torch {SHORT[dtype]}"
            ratios[f"torch {SHORT[dtype]}"] = race.faster(ours_, torch_)
    result = {
        "run": race.run,
        "auto": auto,
        "rows": len(texts),
        "tokens": tokens,
        "padded_per_real": report.padded_tokens / report.real_tokens,
        "forward_passes": report.forward_passes,
        "work": {"parameters": work.parameters, "linear_flop": linear, "attention_flop": attention},
        "peak": race.peak,
        "contenders": race.table(),
        "shares": shares,
        "ratios": ratios,
        "parity": parity,
    }
    return result, problems + found


def _tokens_seen(peer: Any, texts: list[str]) -> int:
    """Tokens that sentence-transformers reads, after its own cut."""
    return sum(int(peer.preprocess([t])["attention_mask"].sum()) for t in texts)


def _parity(vectors: Mapping[str, np.ndarray]) -> tuple[dict[str, Any], list[str]]:
    """Differences from sentence-transformers in float32: absolute in fp32, relative by row in bf16."""
    reference = vectors["sentence-transformers fp32"]
    out: dict[str, Any] = {}
    problems = []
    for name, found in vectors.items():
        if name == "sentence-transformers fp32":
            continue
        gap = found.astype(np.float64) - reference
        relative = np.linalg.norm(gap, axis=1) / np.linalg.norm(reference, axis=1)
        out[name] = {
            "max_abs": float(np.abs(gap).max()),
            "median_relative": float(np.median(relative)),
            "max_relative": float(relative.max()),
        }
        # Not `>`: a NaN must not pass.
        if name.endswith("fp32") and not out[name]["max_abs"] <= PARITY:
            problems.append(
                f"{name} must equal sentence-transformers within {PARITY:g}, however: the largest "
                f"difference is {out[name]['max_abs']:.2g}"
            )
    return out, problems
