"""The machine that something was timed on: what it is, and whether it had anything else to do."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["QUIET", "Watch", "flags", "load_average"]

QUIET = 0.05
"""Share of the processors that others may use before a measurement no longer counts as quiet."""

_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "bf16", "sve")
_PACKAGES = ("sentence-transformers", "onnxruntime", "ctranslate2", "optimum-intel")


def flags() -> list[str]:
    """Instruction sets of the processor that matter to matrix products; empty where it does not tell."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return []
    words = {w for line in text.splitlines() if line.startswith(("flags", "Features")) for w in line.split()}
    return [f for f in _FLAGS if f in words]


def load_average() -> float | None:
    """Processes that wanted to run, averaged over the last minute; None on Windows."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _versions() -> dict[str, str]:
    from embreg._provenance import versions

    found = versions()
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


class Watch:
    """Context that measures what other processes take meanwhile.

    Attributes
    ----------
    record : dict
        Complete after the block: start, machine, versions, threads, load before, ``others`` (share of
        all processors that other processes used) and ``quiet``. Nothing in it names a host or a user.

    Examples
    --------
    >>> with Watch() as watch:
    ...     pass
    >>> 0 <= watch.record["others"] <= 1
    True
    """

    def __init__(self) -> None:
        self.record: dict[str, Any] = {}

    def __enter__(self) -> Watch:
        import torch

        from embreg._provenance import cores, machine

        self._cores = os.cpu_count() or 1
        self.record = {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {**machine(), "flags": flags()},
            "versions": _versions(),
            "threads": torch.get_num_threads(),
            "all_cores": torch.get_num_threads() >= cores(),
            "nice": os.nice(0) if hasattr(os, "nice") else None,
            "load_before": load_average(),
        }
        self._before = self._clocks()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        busy, own, wall = (b - a for a, b in zip(self._before, self._clocks(), strict=True))
        others = min(1.0, max(0.0, busy - own) / max(wall * self._cores, 1e-9))
        self.record["others"] = others
        # A single thread leaves the other cores idle: such a run is for trying things out.
        self.record["quiet"] = others <= QUIET and self.record["all_cores"]
        self.record["wall_seconds"] = wall

    @staticmethod
    def _clocks() -> tuple[float, float, float]:
        """Seconds that all processors, and this process, have been busy; and the time."""
        try:
            import psutil  # type: ignore[import-untyped]
        except ImportError:
            raise ImportError("telling what others take needs psutil: pip install 'embreg[run]'") from None

        c = psutil.cpu_times()
        # The kernel counts a guest's time within user time already.
        busy = c.user + c.system + sum(getattr(c, k, 0.0) for k in ("nice", "irq", "softirq", "steal"))
        own = psutil.Process().cpu_times()
        return busy, own.user + own.system + own.children_user + own.children_system, time.perf_counter()
