"""Times, sizes and numbers of things, as one types and reads them."""

from __future__ import annotations

import argparse
import re
import time

__all__ = ["age", "ago", "count", "shown", "size"]

_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_BYTES = {"b": 1, **{f"{p}b": 1000**i for i, p in enumerate("kmgt", 1)}}
_BYTES |= {f"{p}ib": 1024**i for i, p in enumerate("kmgt", 1)}


def _quantity(text: str, units: dict[str, int], example: str) -> float:
    fits = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", text.strip())
    if fits and (unit := units.get(fits[2].lower())):
        return float(fits[1]) * unit
    raise argparse.ArgumentTypeError(f"must be like {example}, however: got {text!r}")


def age(text: str) -> float:
    """Read a time such as ``30d`` as seconds.

    Examples
    --------
    >>> age("1.5h")
    5400.0
    """
    return _quantity(text, _SECONDS, "30d, 12h or 2w")


def size(text: str) -> float:
    """Read a size such as ``5GB`` as bytes.

    Examples
    --------
    >>> size("2KiB")
    2048.0
    """
    return _quantity(text, _BYTES, "5GB, 500MB or 2GiB")


def shown(size: float) -> str:
    """Write a number of bytes.

    Examples
    --------
    >>> shown(999), shown(1234), shown(5e9)
    ('999 B', '1.2 kB', '5.0 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def ago(moment: float) -> str:
    """Write how long ago a moment was, given in seconds since the epoch.

    Examples
    --------
    >>> ago(time.time() - 7200)
    '2 hours ago'
    """
    passed = max(0.0, time.time() - moment)
    for unit, seconds in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if passed >= seconds:
            return f"{count(int(passed // seconds), unit)} ago"
    return "just now"


def count(n: int, what: str) -> str:
    """Write a number of things.

    Examples
    --------
    >>> count(1, "row"), count(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{n:,} {what}{'' if n == 1 else 's'}"
