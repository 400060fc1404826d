"""Requests spread evenly over time, for all threads of this process together."""

from __future__ import annotations

import threading
import time

__all__ = ["wait_turn"]

_LOCK = threading.Lock()
_NEXT: dict[str, float] = {}
"""When the next request may begin, by address."""


def wait_turn(
    place: str, tokens: int, *, requests_per_minute: float | None, tokens_per_minute: float | None
) -> float:
    """Wait until a request of `tokens` tokens may begin; returns the seconds that it took.

    Evenly spread rather than a minute's worth at once: providers count seconds too.

    Examples
    --------
    >>> wait_turn("example", 10, requests_per_minute=None, tokens_per_minute=None)
    0.0
    """
    pause = 60.0 / requests_per_minute if requests_per_minute else 0.0
    pause = max(pause, 60.0 * tokens / tokens_per_minute if tokens_per_minute else 0.0)
    if not pause:
        return 0.0
    with _LOCK:
        now = time.monotonic()
        begin = max(now, _NEXT.get(place, now))
        _NEXT[place] = begin + pause
    time.sleep(begin - now)
    return begin - now
