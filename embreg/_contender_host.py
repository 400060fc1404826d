"""The process in which contenders wait for their turn, each in one of its own where processes can fork.

Importing the libraries takes longer than loading a model, so it is done once and before the forks; where
there is no forking (or no safe one: macOS), a host has one contender. A line in is the number of a
contender, a line out its answer as JSON; an empty line in ends the host.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from embreg._resident import own
from embreg.representation import Representation

__all__ = ["FORKS", "main"]

FORKS = sys.platform == "linux"
"""Whether contenders share a host."""


def main(folder: str) -> None:
    """Serve the contenders that ``job.json`` in a folder describes, with the rows beside it."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    job = json.loads((Path(folder) / "job.json").read_text(encoding="utf-8"))
    rows, y = pd.read_parquet(Path(folder) / "rows.parquet"), np.load(Path(folder) / "y.npy")
    sizes = _libraries(job["contenders"])

    def serve(number: int, send: Callable[[Any], Any], receive: Callable[[], str]) -> None:
        described = job["contenders"][number]
        rep = Representation(**described["representation"])
        try:
            from embreg._contender import Contender

            one = Contender(rep, described["head"], rows, y, **job["settings"])
            libraries = sum(sizes[name] for name in _needed(described))
            send({"about": {**one.about, "libraries": libraries}, "threads": _threads()})
            while receive():
                send({"turn": one.turn()})
        except Exception as error:  # the caller names the contender and raises
            send({"error": f"{type(error).__name__}: {error}"})

    if len(job["contenders"]) == 1:
        serve(0, lambda answer: print(json.dumps(answer), file=answers), lambda: sys.stdin.readline().strip())
    else:
        _relay(len(job["contenders"]), job["at_once"], serve, answers)


def _needed(described: dict[str, Any]) -> list[str]:
    """Libraries of one contender."""
    names = ["torch", "transformers", "openvino"] if described["representation"]["model"] else []
    if described["head"] == "mlp":
        names.append("torch")
    if described["head"].startswith("xgboost"):
        names.append("xgboost")
    return list(dict.fromkeys(names))


def _libraries(contenders: list[dict[str, Any]]) -> dict[str, int]:
    """Import what they need, and tell what each library takes in bytes."""
    wanted = {name for one in contenders for name in _needed(one)}
    sizes = {}
    for name in ("torch", "transformers", "openvino", "xgboost"):
        before = own()
        if name in wanted:
            _import(name)
        sizes[name] = own() - before
    return sizes


def _import(name: str) -> None:
    if name == "openvino":
        from importlib.util import find_spec

        from embreg.engine.backends import import_openvino

        if find_spec("openvino") is not None:
            import_openvino()
        return
    library = importlib.import_module(name)
    if name == "transformers":  # it imports its parts when they are first asked for
        for part in ("AutoConfig", "AutoModel", "AutoTokenizer", "PreTrainedTokenizerFast"):
            getattr(library, part)


def _threads() -> int | None:
    return int(sys.modules["torch"].get_num_threads()) if "torch" in sys.modules else None


def _relay(count: int, at_once: int, serve: Callable[..., None], answers: IO[str]) -> None:
    """Fork a process for each contender, and hand lines to and from them."""
    children: list[tuple[IO[str], IO[str]]] = []
    started: list[str] = []
    for number in range(count):
        if len(children) - len(started) == at_once:
            started.append(children[len(started)][1].readline())
        children.append(_fork(number, serve, children))
    started += [read.readline() for _, read in children[len(started) :]]
    for line in started:
        print(line.strip(), file=answers)
    for line in iter(lambda: sys.stdin.readline().strip(), ""):
        write, read = children[int(line)]
        print("go", file=write)
        print(read.readline().strip(), file=answers)
    for write, read in children:
        write.close()
        read.close()
    for _ in children:
        os.wait()  # the time that they used counts as this process's own


def _fork(
    number: int, serve: Callable[..., None], others: list[tuple[IO[str], IO[str]]]
) -> tuple[IO[str], IO[str]]:
    (read_order, order), (read_answer, answer) = os.pipe(), os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns of forks beside threads; those of OpenBLAS are idle, and made for it.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        os.close(read_order)
        os.close(answer)
        return os.fdopen(order, "w", buffering=1), os.fdopen(read_answer)
    code = 1
    try:
        for stream in (pipe for pair in others for pipe in pair):
            stream.close()
        os.close(order)
        os.close(read_answer)
        with os.fdopen(read_order) as orders, os.fdopen(answer, "w", buffering=1) as out:
            serve(
                number,
                lambda message: print(json.dumps(message), file=out),
                lambda: orders.readline().strip(),
            )
        code = 0
    finally:
        os._exit(code)
    raise AssertionError
