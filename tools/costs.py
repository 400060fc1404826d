"""Write book/results/costs.json: what the paper's full protocol costs, for the book's page on clusters.

    python tools/costs.py            count, and write
    python tools/costs.py --check    say whether the file is current

Tokens and operations are counted from profile ``paper`` (`embreg.plan`), as for ``embreg run --dry-run``;
tokens with the vocabulary of T5, which flan-t5-small-titles shares. Hours on a GPU are those at a stated
share of its stated peak; hours on a CPU are those at the rate of flan-t5-small-titles in
book/results/embedding.json (``make bench``). The store's bytes are those of a store that is filled here.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from embreg import plan as planning
from embreg._files import atomic_path
from embreg._shape import Shape, spec_shape
from embreg.plan import Part, plan
from embreg.profiles import RunSpec, load_profile
from embreg.store import Row, Store

ROOT = Path(__file__).resolve().parents[1]
PROFILE = "paper"
RESULT = "book/results/costs.json"
MEASURED = "book/results/embedding.json"

GPU, PEAK, SHARE = "H100 (SXM)", 989.4e12, 0.4
"""Dense bf16 operations a second that its maker states, and the share of them that is assumed."""

MEASURED_MODEL = "flan-t5-small-titles"
"""Its vocabulary is that of T5, and it is the T5 whose speed is measured."""

_FILLED = 512  # rows of a store that is filled to see what a row takes


@dataclass(frozen=True)
class Cost:
    """Of embedding everything of one model.

    Attributes
    ----------
    model : str
    shape : Shape
    rows, tokens : int
        Distinct rows, each read once.
    flops : float
        Of the forward passes.
    stored : int
        Vectors kept: each row in every space (pooling and layer) that some notebook reads.
    bytes : float
        That they take on disk.
    """

    model: str
    shape: Shape
    rows: int
    tokens: int
    flops: float
    stored: int
    bytes: float

    @property
    def gpu_hours(self) -> float:
        """Hours on one GPU."""
        return self.flops / (SHARE * PEAK) / 3600


def parts_of(spec: RunSpec) -> list[Part]:
    """Return rows that a run embeds; those of chapter 1 in balls too, which the plan does not know."""
    found = list(plan(spec.parameters).parts)
    if "ball_dof" in spec.parameters:
        p = spec.parameters
        rows = 1 + len(p["radii"]) * int(p["n_per_ball"])
        found += [
            Part(m, "json", int(d), rows, int(p["n_seeds"])) for m in p["models"] for d in [p["ball_dof"]]
        ]
    return found


def spaces_of(spec: RunSpec, shape: Shape) -> set[tuple[str, int]]:
    """Return poolings and layers that a run reads; the last layer is always read."""
    layers = {k for k in spec.parameters.get("layers", []) if k < shape.layers} | {shape.layers}
    return {(p, k) for p in spec.parameters.get("poolings", ["mean"]) for k in layers}


def count(specs: list[RunSpec]) -> list[Cost]:
    """Count every model; equal rows of several notebooks are read once and kept once."""
    rows: dict[str, dict[Part, int]] = defaultdict(dict)
    kept: dict[str, dict[tuple[Part, tuple[str, int]], int]] = defaultdict(dict)
    shapes: dict[str, Shape] = {}
    for spec in specs:
        for part in parts_of(spec):
            name, kind = part.model.split(":")[0], replace(part, seeds=0)
            shape = shapes.setdefault(name, _shape(name))
            rows[name][kind] = max(part.seeds, rows[name].get(kind, 0))
            for space in spaces_of(spec, shape):
                kept[name][kind, space] = max(part.seeds, kept[name].get((kind, space), 0))
    found = []
    for name, shape in shapes.items():
        total, tokens, flops = 0, 0.0, 0.0
        for kind, seeds in rows[name].items():
            n, length = kind.per_seed * seeds, _length(kind)
            total, tokens = total + n, tokens + n * length
            flops += n * shape.flops(length)
        vectors = sum(kind.per_seed * seeds for (kind, _), seeds in kept[name].items())
        size = vectors * bytes_of_a_row(shape.dim)
        found.append(Cost(name, shape, total, round(tokens), flops, vectors, size))
    return sorted(found, key=lambda c: c.flops)


def _shape(name: str) -> Shape:
    shape = spec_shape(name)
    if shape is None:
        raise ValueError(f"{name} is not in the table of models, so its size is not known")
    return shape


def _length(part: Part) -> float:
    """Mean tokens of a row, by the vocabulary of T5."""
    from embreg.models import MODELS, spec_of

    name, _, style = part.model.partition(":")
    spec = spec_of(name)
    same = spec is not None and spec.architecture == MODELS[MEASURED_MODEL].architecture
    length, exact = planning._length(
        ":".join(filter(None, [MEASURED_MODEL if same else name, style])), part.dof, part.style, part.task
    )
    if not exact:
        raise RuntimeError(f"the tokenizer of {MEASURED_MODEL} is not here: embreg models fetch")
    return length


def bytes_of_a_row(dim: int) -> float:
    """Bytes on disk for each row of a store of vectors of `dim` numbers."""
    vectors = np.random.default_rng(0).normal(size=(_FILLED, dim)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        store = Store({"dim": dim}, folder)
        store.put({f"row {i}": Row(v, 100, 0, False) for i, v in enumerate(vectors)})
        return sum(p.stat().st_size for p in Path(folder).iterdir()) / _FILLED


def cpu_rate(root: Path = ROOT) -> tuple[float, int, dict[str, Any]]:
    """Operations a second that the measured model reached, threads that it had, and the run."""
    measured = json.loads((root / MEASURED).read_text(encoding="utf-8"))["models"][MEASURED_MODEL]
    dtype = "bf16" if measured["auto"]["dtype"] == "bfloat16" else "fp32"
    speed = measured["contenders"][f"embreg {dtype}"]["tokens_per_s"]["median"]
    work = measured["work"]
    per_token = (work["linear_flop"] + work["attention_flop"]) / measured["tokens"]
    return speed * per_token, int(measured["run"]["threads"]), measured["run"]


def made(root: Path = ROOT) -> dict[str, Any]:
    """Content of the file."""
    costs = count(load_profile(PROFILE, root))
    rate, threads, run = cpu_rate(root)

    def core_hours(flops: float) -> float:
        return threads * flops / rate / 3600

    head = ["encoder", "parameters", "weights in bf16", "rows", "tokens", "operations", f"on one {GPU}",
            "on one core", "store"]  # fmt: skip
    rows = [
        [
            c.model.rpartition("/")[2], f"{c.shape.parameters / 1e6:,.0f} M", size(2 * c.shape.parameters),
            f"{c.rows:,}", f"{c.tokens / 1e6:,.1f} M", exponent(c.flops), hours(c.gpu_hours),
            hours(core_hours(c.flops)), size(c.bytes),
        ]
        for c in costs
    ]  # fmt: skip
    total = {
        "rows": sum(c.rows for c in costs), "tokens": sum(c.tokens for c in costs),
        "flops": sum(c.flops for c in costs), "bytes": sum(c.bytes for c in costs),
    }  # fmt: skip
    gpu = sum(c.gpu_hours for c in costs)
    rows.append(
        [
            "together", "", "", f"{total['rows']:,}", f"{total['tokens'] / 1e6:,.1f} M",
            exponent(total["flops"]), hours(gpu), hours(core_hours(total["flops"])),
            size(total["bytes"]),
        ]
    )  # fmt: skip
    overhead = total["bytes"] / sum(4 * c.shape.dim * c.stored for c in costs) - 1
    quiet = run.get("quiet", False)
    how = "on a quiet machine" if quiet else "on a machine that was not quiet: the figure is too low"
    facts = {
        "gpu": (GPU, GPU),
        "peak": (PEAK, f"{PEAK / 1e12:,.0f} TFLOP/s"),
        "share": (SHARE, f"{SHARE:.0%}"),
        "gpu_hours": (gpu, hours(gpu)),
        "core_hours": (core_hours(total["flops"]), hours(core_hours(total["flops"]))),
        "core_rate": (rate / threads, f"{rate / threads / 1e9:,.0f} GFLOP/s"),
        "core": (run["machine"]["processor"], run["machine"]["processor"]),
        "core_quiet": (quiet, how),
        "tokens": (total["tokens"], f"{total['tokens'] / 1e6:,.0f} million"),
        "rows": (total["rows"], f"{total['rows']:,}"),
        "store": (total["bytes"], size(total["bytes"])),
        "store_overhead": (overhead, f"{overhead:.0%}"),
        "largest": (costs[-1].model, costs[-1].model.rpartition("/")[2]),
        "largest_share": (costs[-1].flops / total["flops"], f"{costs[-1].flops / total['flops']:.0%}"),
    }
    return {
        "format": 1,
        "facts": {name: {"value": value, "text": text} for name, (value, text) in facts.items()},
        "tables": {"models": {"head": head, "rows": rows}},
    }


def size(count: float) -> str:
    """Bytes as text."""
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.0f} MiB"


def hours(value: float) -> str:
    """Hours as text."""
    if value >= 2:
        return f"{value:,.0f} h"
    return f"{60 * value:,.0f} min" if value >= 1 / 30 else f"{max(1, 3600 * value):,.0f} s"


def exponent(value: float) -> str:
    """Operations as text."""
    power = int(np.floor(np.log10(value)))
    return f"{value / 10**power:.1f} × 10{str(power).translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """First fact or table that is not what it should be; None when all are."""
    for kind in ("facts", "tables"):
        for name in {**old.get(kind, {}), **new[kind]}:
            before, after = old.get(kind, {}).get(name), new[kind].get(name)
            if kind == "facts" and before and after:
                before, after = before["text"], after["text"]
            if before != after:
                return f"{kind[:-1]} {name}: {before!r}, now {after!r}"
    return None


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 when it is not current"
    )
    args = parser.parse_args(argv)
    new, path = made(), ROOT / RESULT
    if not args.check:
        with atomic_path(path) as tmp:
            tmp.write_text(json.dumps(new, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return 0
    old = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if wrong := difference(old, new):
        print(f"{RESULT} is not current ({wrong}); run python tools/costs.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
