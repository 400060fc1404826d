"""Memory of this process: what it holds now, and the most that it has held."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["own", "peak", "resident"]


def own() -> int:
    """Bytes in memory that are this process's own: not code, nor files that the system may drop again.

    On a system that does not tell them apart, all that it has in memory.

    Raises
    ------
    ImportError
        As `resident`.

    Examples
    --------
    >>> 0 < own() <= resident()
    True
    """
    found = _status("RssAnon")
    return resident() if found is None else found + (_status("RssShmem") or 0)


def resident() -> int:
    """Bytes that this process has in memory now, pages of files that it shares with others included.

    Raises
    ------
    ImportError
        psutil is not installed, on a system without ``/proc``.

    Examples
    --------
    >>> 0 < resident() <= peak()
    True
    """
    found = _status("VmRSS")
    return _by_psutil("rss") if found is None else found


def peak() -> int:
    """Most bytes that this process has had in memory.

    Raises
    ------
    ImportError
        As `resident`.
    """
    # Not getrusage where there is another way: on Linux a process starts with the peak of its parent.
    if (found := _status("VmHWM")) is not None:
        return max(found, resident())  # the kernel updates the one a little later than the other
    if sys.platform == "win32":
        return _by_psutil("peak_wset")
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return max(used if sys.platform == "darwin" else 1024 * used, resident())


def _status(name: str) -> int | None:
    """Line of ``/proc/self/status`` in bytes; None where there is none."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{name}:"):
                return 1024 * int(line.split()[1])
    return None


def _by_psutil(name: str) -> int:
    try:
        import psutil  # type: ignore[import-untyped]
    except ImportError:
        raise ImportError("measuring memory needs psutil here: pip install 'embreg[run]'") from None
    return int(getattr(psutil.Process().memory_info(), name))
