"""How fast and how patiently a service is called: settings of a ``with`` block or of the environment."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace

__all__ = ["VARIABLE", "Limits", "limits", "use_limits"]

VARIABLE = "EMBREG_SERVICE_LIMITS"
"""Environment variable with settings such as ``requests_per_minute=60 timeout=30``."""

_WHOLE = ("rows", "tokens", "tries")


@dataclass(frozen=True)
class Limits:
    """Settings of `use_limits`."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    rows: float | None = None
    tokens: float | None = None
    tries: float = 6
    timeout: float = 60.0
    backoff: float = 1.0
    patience: float = 120.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and field.default is None:
                continue
            good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            good = good and (value >= 1 and value == int(value) if field.name in _WHOLE else value > 0)
            if not good:
                kind = "a whole number of at least 1" if field.name in _WHOLE else "a number above 0"
                raise ValueError(f"{field.name} must be {kind}, however: got {value!r}")


_CURRENT: ContextVar[Limits | None] = ContextVar("embreg_service_limits", default=None)


@contextmanager
def use_limits(
    *,
    requests_per_minute: float | None = None,
    tokens_per_minute: float | None = None,
    rows: int | None = None,
    tokens: int | None = None,
    tries: int | None = None,
    timeout: float | None = None,
    backoff: float | None = None,
    patience: float | None = None,
) -> Iterator[None]:
    """Call services within limits inside the block; what is not given stays as it was.

    They change no number, so they are no part of an embedding space. ``EMBREG_SERVICE_LIMITS`` sets them
    for a whole process: ``EMBREG_SERVICE_LIMITS="requests_per_minute=60 timeout=30"``.

    Parameters
    ----------
    requests_per_minute, tokens_per_minute : float, optional
        Most requests, and (estimated) tokens, that are begun in a minute, evenly spread; retries count.
    rows, tokens : int, optional
        Most texts, and tokens, of one request, instead of the provider's in the table.
    tries : int, optional
        Requests for the same texts before it is an error; 6 by default.
    timeout : float, optional
        Seconds that one answer may take; 60 by default.
    backoff : float, optional
        Seconds before the second try, doubled for each further one up to a minute; 1 by default.
    patience : float, optional
        Longest wait, in seconds, that a service may ask for (``Retry-After``); 120 by default.

    Raises
    ------
    ValueError
        A limit that is not a number above 0.

    Examples
    --------
    >>> with use_limits(requests_per_minute=60, tries=3):
    ...     limits().requests_per_minute, limits().tries, limits().timeout
    (60, 3, 60.0)
    """
    given = {
        "requests_per_minute": requests_per_minute, "tokens_per_minute": tokens_per_minute, "rows": rows,
        "tokens": tokens, "tries": tries, "timeout": timeout, "backoff": backoff, "patience": patience,
    }  # fmt: skip
    token = _CURRENT.set(replace(limits(), **{k: v for k, v in given.items() if v is not None}))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def limits() -> Limits:
    """Return the limits in use.

    Raises
    ------
    ValueError
        ``EMBREG_SERVICE_LIMITS`` holds something else than names and numbers.
    """
    current = _CURRENT.get()
    if current is not None:
        return current
    given: dict[str, float] = {}
    names = [f.name for f in fields(Limits)]
    for word in os.environ.get(VARIABLE, "").replace(",", " ").split():
        name, _, value = word.partition("=")
        try:
            if name not in names:
                raise ValueError
            given[name] = float(value)
        except ValueError:
            raise ValueError(
                f"{VARIABLE} must hold name=number with names among {', '.join(names)}, however: got {word!r}"
            ) from None
    return Limits(**given)
