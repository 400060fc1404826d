"""Processes with contenders in them, as `embreg.latency` starts, asks and ends them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from embreg._contender_host import FORKS
from embreg.representation import Representation

__all__ = ["Host", "started"]

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from embreg._contender_host import main; main(sys.argv[2])"
)


@contextmanager
def started(
    contenders: Mapping[str, tuple[Representation, str]], rows: pd.DataFrame, y: np.ndarray, settings: Any
) -> Iterator[tuple[dict[str, Any], Any]]:
    """Processes that have loaded and warmed up; they end with the block, whatever happens in it."""
    from embreg._provenance import cores

    names = list(contenders)
    hosts = [names] if FORKS else [[name] for name in names]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="embreg-costs-")))
        open_host = partial(Host, folder, contenders, rows, y, settings, cores())
        pool = stack.enter_context(ThreadPoolExecutor(1 if FORKS else cores()))
        running: dict[str, Host] = {}
        about: dict[str, Any] = {}

        def start(number: int) -> None:
            host = open_host(number, hosts[number])
            stack.callback(host.close)
            for name in hosts[number]:
                running[name], about[name] = host, host.read(name)

        list(pool.map(start, range(len(hosts))))
        yield about, lambda name: running[name].ask(name)


class Host:
    """A process with some contenders in it, or one for each of them below it."""

    def __init__(
        self, folder: Path, contenders: Mapping[str, tuple[Representation, str]], rows: pd.DataFrame,
        y: np.ndarray, settings: Any, at_once: int, number: int, names: Sequence[str],
    ) -> None:  # fmt: skip
        own = folder / str(number)
        own.mkdir()
        described = [{"representation": asdict(contenders[n][0]), "head": contenders[n][1]} for n in names]
        job = {"contenders": described, "settings": settings, "at_once": at_once}
        (own / "job.json").write_text(json.dumps(job), encoding="utf-8")
        rows.to_parquet(own / "rows.parquet", index=False)
        np.save(own / "y.npy", np.asarray(y, dtype=float))
        self._names, self._said = list(names), (own / "stderr").open("w+", encoding="utf-8", errors="replace")
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, json.dumps([str(p) for p in sys.path]), str(own)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, encoding="utf-8",
        )  # fmt: skip

    def ask(self, name: str) -> dict[str, Any]:
        """One turn of a contender."""
        print(self._names.index(name), file=self._process.stdin, flush=True)
        return self.read(name)

    def read(self, name: str) -> dict[str, Any]:
        """Its next answer."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        answer = json.loads(line) if line else {"error": self._end()}
        if "error" in answer:
            raise RuntimeError(f"{name} could not be measured: {answer['error']}")
        return dict(answer)

    def _end(self) -> str:
        self._said.seek(0)
        last = self._said.read().strip().splitlines()[-3:]
        return "its process ended, which happens where memory is short" + (
            f" ({' | '.join(last)})" if last else ""
        )

    def close(self) -> None:
        """End the process, gently where it listens."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._said.close()
