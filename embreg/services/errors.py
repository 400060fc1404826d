"""What goes wrong with a service, told without its key."""

from __future__ import annotations

from typing import Any

__all__ = ["BadAnswer", "ServiceError", "Trouble"]


class ServiceError(RuntimeError):
    """A service cannot be reached, refuses, or answers with something that is no embedding."""


class BadAnswer(Exception):
    """An answer that does not hold one vector for each text; says in which way."""


class Trouble:
    """What became of one request that failed.

    Parameters
    ----------
    text : str
        What happened, and the way out.
    again : bool
        Whether the same request may do better.
    answered : bool
        Whether there was an answer, which is paid for, that holds no embeddings.
    wait : float
        Seconds that the service asked to wait.
    """

    def __init__(self, text: str, *, again: bool, answered: bool = False, wait: float = 0.0) -> None:
        self.text, self.again, self.answered, self.wait = text, again, answered, wait


def said(body: Any, otherwise: str, key: str) -> str:
    """Words of the service in the body of an error, without the key, in one short line."""
    found = otherwise
    while body:
        if isinstance(body, list):
            body = body[0]
        elif isinstance(body, dict):
            inner = body.get("message") or body.get("error") or body.get("detail")
            if inner is None:
                break
            body = inner
        else:
            found = str(body)
            break
    line = " ".join((found.replace(key, "***") if key else found).split())
    return line if len(line) <= 300 else line[:299] + "…"
