"""One width: the sweep for all targets beside the two plain ways for some of them, by turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._head_contenders import Settings, Sklearn, loop, sweep
from benchmarks._head_data import WIDTHS, chosen, load
from benchmarks._head_profile import breakdown
from benchmarks._work import Peak
from embreg._machine import Watch
from embreg._turns import Ratio, alternate, times_faster

__all__ = ["flop", "measure_width", "over_targets", "tau_difference"]

Say = Callable[[str], Any]


def flop(width: int, settings: Settings, train: int, val: int) -> float:
    """Operations of one model in one epoch: training (the first layer passes no gradient on) and validation.

    Examples
    --------
    >>> flop(3, Settings(hidden=(2,)), train=10, val=1)
    376.0
    """
    sizes = (width, *settings.hidden, 1)
    each = [a * b for a, b in pairwise(sizes)]
    return float(2 * train * (3 * sum(each) - each[0]) + 2 * val * sum(each))


def measure_width(
    width: int,
    *,
    targets: int,
    loops: int,
    sklearns: int,
    repeat: int,
    settings: Settings,
    n: int = 500,
    dof: int = 25,
    jobs: int = 2,
    say: Say,
) -> dict[str, Any]:
    """Compare the three; every round has one sweep and its share of the targets of the others.

    Parameters
    ----------
    width : int
        One of `WIDTHS`.
    targets, loops, sklearns : int
        How many functions the sweep, the loop and scikit-learn are given; the last two evenly chosen.
    repeat : int
        Rounds.
    settings : Settings
    n, dof : int
        Of the table.
    jobs : int
        Of `GridSearchCV`.
    say : callable

    Returns
    -------
    dict
        JSON-like.
    """
    say(f"embedding   {WIDTHS[width]}")
    problem = load(width, targets=targets, n=n, dof=dof)
    everyone = list(range(len(problem.names)))
    lists = {"loop": chosen(everyone, loops), "scikit-learn": chosen(everyone, sklearns)}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in lists}
    heads: list[Any] = []
    rounds = 0

    def next_round() -> None:
        nonlocal rounds
        peak()
        rounds += 1

    def run(name: str, train: Callable[..., dict[str, Any]]) -> None:
        for t in lists[name][rounds - 1 :: repeat]:
            one = train(problem, t, settings)
            tau = problem.tau(t, one.pop("predicted"))
            found[name].append(
                {"target": t, "name": problem.names[t], "round": rounds - 1, **one, "tau": tau}
            )
            say(f"            {name}, {problem.names[t]}: {one['seconds']:.1f} s")

    with Watch() as watch, Sklearn(jobs) as grid_search:
        short = Settings(**{**asdict(settings), "max_epochs": 2})
        say("warming up")
        precision = sweep(problem, short).precision_
        loop(problem, 0, short)
        if sklearns:
            grid_search(problem, 0, short)
        peak = Peak("cpu", list(dict.fromkeys(["float32", precision])))
        calls: dict[str, Callable[[], Any]] = {"sweep": lambda: heads.append(sweep(problem, settings))}
        calls |= {"loop": lambda: run("loop", loop)} if loops else {}
        calls |= {"scikit-learn": lambda: run("scikit-learn", grid_search)} if sklearns else {}
        seconds = alternate(calls, repeat, between=next_round, say=say)["sweep"]
        say("profiling   the sweep")
        parts = breakdown(problem, settings)
        peak()
    head, per_target = heads[-1], len(settings.grid)
    epochs = head.sweep_.groupby("target")["epochs"].sum().to_numpy()
    predicted = head.predict(problem.X[problem.parts.test])
    taus = [problem.tau(t, predicted[:, t]) for t in everyone]
    # The loop's targets need more or fewer epochs than the average one; it trains what the sweep trains.
    scale = {"loop": epochs.mean() / epochs, "scikit-learn": np.ones(len(epochs))}
    others = {}
    for name, rows in found.items():
        if rows:
            fast = [seconds[r["round"]] / len(everyone) for r in rows]
            slow = [r["seconds"] * scale[name][r["target"]] for r in rows]
            others[name] = {
                "rows": rows,
                "per_model": float(np.mean(slow)) / per_target,
                "ratio": over_targets(fast, slow, [r["round"] for r in rows]),
                "tau": tau_difference([(r["name"], taus[r["target"]], r["tau"]) for r in rows]),
            }
    work = flop(width, settings, len(problem.parts.train), len(problem.parts.val)) * int(epochs.sum())
    return {
        "run": {**watch.record, "device": "cpu", "repeat": repeat},
        "representation": WIDTHS[width], "rows": n, "dof": dof, "names": problem.names,
        "settings": asdict(settings), "models": per_target * len(everyone), "precision": precision,
        "peak": peak.best,
        "sweep": {
            "seconds": seconds, "epochs": [int(e) for e in epochs], "tau": taus,
            "per_model": float(np.median(seconds)) / per_target / len(everyone),
            "flop": work, "flops": work / float(np.median(seconds)),
        },
        "others": others, "breakdown": parts,
    }  # fmt: skip


def over_targets(fast: Sequence[float], slow: Sequence[float], rounds: Sequence[int]) -> dict[str, Any]:
    """How many times faster, and what its interval is over.

    The interval is Student's over targets: each has its own number of epochs, its own round and its own luck.

    Examples
    --------
    >>> over_targets([1.0, 1.0], [2.0, 8.0], [0, 0])["value"]
    4.0
    """
    ratio: Ratio = times_faster(fast, slow)
    return {**ratio._asdict(), "targets": len(fast), "rounds": len(set(rounds))}


def tau_difference(rows: Sequence[tuple[str, float, float]]) -> dict[str, Any]:
    """Mean of the sweep's tau less the other's, over the functions that both have, with its interval."""
    from embreg.stats import paired_interval

    ours, theirs = (
        pd.DataFrame({"task": [r[0] for r in rows], "seed": 0, "kendall_tau": [r[k] for r in rows]})
        for k in (1, 2)
    )
    found = paired_interval(ours, theirs)
    ends: Mapping[str, Any] = {
        k: v if np.isfinite(v) else None for k, v in (("low", found.low), ("high", found.high))
    }
    means = {"mean": float(ours["kendall_tau"].mean()), "other": float(theirs["kendall_tau"].mean())}
    return {"value": found.value, **ends, **means, "functions": len(rows)}
