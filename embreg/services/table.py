"""What is known of embedding services: addresses, keys, limits and prices.

Limits and prices are those that the providers published on `DATE`; they change without a word to us.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

__all__ = ["CUSTOM", "DATE", "PROVIDERS", "Known", "Provider"]

DATE = "2026-04"
"""Month in which prices and limits were read."""


@dataclass(frozen=True)
class Known:
    """A model whose width, limit and price are known.

    Attributes
    ----------
    dim : int
        Width when no other is asked for.
    context : int
        Most tokens that it reads of one text.
    price : float
        US dollars per million tokens of input.
    shortens : bool
        Whether ``?dimensions=N`` may ask for fewer.
    """

    dim: int
    context: int
    price: float
    shortens: bool = True


@dataclass(frozen=True)
class Provider:
    """A service, or a program that serves models.

    Attributes
    ----------
    name : str
    url : str
        Up to the version, without ``/embeddings``.
    keys : tuple of str
        Environment variables that may hold the key, in this order.
    needs_key : bool
        False where a server may run without one.
    rows, tokens : int
        Most texts, and most tokens of all texts, in one request.
    encoding : {"base64", "float"}
        How vectors are asked for. base64 is smaller and keeps every bit; not all servers take it.
    digits : int
        Digits that one token holds at most, for the estimate of tokens.
    url_variable : str
        Environment variable that replaces `url`; empty for none.
    free : bool
        It runs on the user's own machines: nobody sends a bill.
    models : mapping of str to Known
    """

    name: str
    url: str
    keys: tuple[str, ...]
    needs_key: bool
    rows: int
    tokens: int
    encoding: str = "float"
    digits: int = 1
    url_variable: str = ""
    free: bool = False
    models: Mapping[str, Known] = field(default_factory=dict)


def _table() -> Mapping[str, Provider]:
    openai = Provider(
        "openai", "https://api.openai.com/v1", ("OPENAI_API_KEY",), True,
        rows=2048, tokens=300_000, encoding="base64", digits=3, url_variable="OPENAI_BASE_URL",
        models={
            "text-embedding-3-small": Known(1536, 8191, 0.02),
            "text-embedding-3-large": Known(3072, 8191, 0.13),
            "text-embedding-ada-002": Known(1536, 8191, 0.10, shortens=False),
        },
    )  # fmt: skip
    # Answers base64 with 400, and a 101st text likewise. Reads 2048 tokens of a text and drops the rest
    # without a word, which is why rows are measured here first. Price, tokens a request and that length are
    # second-hand: its own page decides.
    gemini = Provider(
        "gemini", "https://generativelanguage.googleapis.com/v1beta/openai",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"), True, rows=100, tokens=20_000,
        models={"gemini-embedding-001": Known(3072, 2048, 0.15)},
    )  # fmt: skip
    # The programs below are set up by whoever runs them: these limits are cautious guesses, and
    # `embreg.service.use_limits` replaces them.
    ollama = Provider(
        "ollama", "http://localhost:11434/v1", ("OLLAMA_API_KEY",), False, rows=64, tokens=32_768, free=True
    )
    vllm = Provider(
        "vllm", "http://localhost:8000/v1", ("VLLM_API_KEY",), False,
        rows=256, tokens=65_536, encoding="base64", free=True,
    )  # fmt: skip
    tei = Provider(
        "tei", "http://localhost:8080/v1", ("TEI_API_KEY",), False,
        rows=32, tokens=16_384, encoding="base64", free=True,
    )  # fmt: skip
    return MappingProxyType({p.name: p for p in (openai, gemini, ollama, vllm, tei)})


PROVIDERS: Mapping[str, Provider] = _table()
"""Every named provider, by name."""

CUSTOM = Provider("", "", ("EMBREG_SERVICE_KEY",), False, rows=32, tokens=16_384)
"""Any other address: the smallest limits, and the key from a variable that no other program sets."""
