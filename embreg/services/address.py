"""Which service a model's name stands for: ``service:provider/model`` or ``service:https://host/v1#model``."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from embreg.services import table
from embreg.services.table import Known, Provider

__all__ = ["FORMAT", "Service", "check_service", "is_service", "parse"]

PREFIX = "service:"

FORMAT = 1
"""Raised when something else than the service's own answer is stored."""

_WAYS = (
    "service:PROVIDER/MODEL or service:https://host/v1#MODEL, both with ?dimensions=N at the end if need be"
)


@dataclass(frozen=True)
class Service:
    """A model behind an address.

    Attributes
    ----------
    provider : Provider
        `table.CUSTOM` for an address that is in no table.
    url : str
    model : str
        As the service calls it.
    dimensions : int or None
        Width that is asked for; None for the model's own.
    """

    provider: Provider
    url: str
    model: str
    dimensions: int | None = None

    @property
    def known(self) -> Known | None:
        """What the table says of the model."""
        return self.provider.models.get(self.model)

    @property
    def dim(self) -> int | None:
        """Width of a vector, where it is known before the first answer."""
        return self.dimensions or (self.known.dim if self.known else None)

    @property
    def place(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc

    @property
    def here(self) -> bool:
        """Whether nothing that is sent leaves this machine."""
        return is_loopback(urlsplit(self.url).hostname or "")

    @property
    def price(self) -> float | None:
        """US dollars per million tokens: 0 on machines of one's own, None when it is not known."""
        if self.known and self.url == self.provider.url:  # another address has prices of its own
            return self.known.price
        return 0.0 if self.provider.free else None

    def space(self) -> dict[str, Any]:
        """Everything that decides the numbers, as far as a user can tell: the key of the store.

        The address is part of it: two servers may serve different weights under one name.
        """
        name = f"{self.provider.name}/{self.model}" if self.provider.name else f"{self.url}#{self.model}"
        size = f"?dimensions={self.dimensions}" if self.dimensions else ""
        return {
            "format": f"service {FORMAT}",
            "model": f"{PREFIX}{name}{size}",
            "provider": self.provider.name or None,
            "address": self.url,
            "service_model": self.model,
            "dimensions": self.dimensions,
            # What other spaces have too, for whoever lists or compares them.
            "weights": None, "tokenizer": None, "random": None, "dtype": "float32",
        }  # fmt: skip


def is_service(model: object) -> bool:
    """Tell whether a model's name is that of a service.

    Examples
    --------
    >>> is_service("service:ollama/nomic-embed-text"), is_service("all-MiniLM-L6-v2")
    (True, False)
    """
    return isinstance(model, str) and model.startswith(PREFIX)


def parse(model: str) -> Service:
    """Service that a name stands for.

    Raises
    ------
    ValueError
        An unknown provider (did you mean …), no model, an address that is none or carries a password.

    Examples
    --------
    >>> service = parse("service:gemini/gemini-embedding-001?dimensions=768")
    >>> service.place, service.model, service.dim
    ('generativelanguage.googleapis.com', 'gemini-embedding-001', 768)
    >>> parse("service:http://localhost:9000/v1#my/model").url
    'http://localhost:9000/v1'
    >>> parse("service:gemni/gemini-embedding-001")
    Traceback (most recent call last):
    ...
    ValueError: unknown service 'gemni'. Did you mean 'gemini'? Named services: openai, gemini, ollama, ...
    """
    rest = model.removeprefix(PREFIX)
    if "://" in rest:
        url, _, name = rest.partition("#")
        provider, url = table.CUSTOM, _checked(url, "the address of a service")
    else:
        prefix, _, name = rest.partition("/")
        if prefix not in table.PROVIDERS:
            close = get_close_matches(prefix.lower(), table.PROVIDERS, n=1, cutoff=0.5)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(
                f"unknown service {prefix!r}.{hint} Named services: {', '.join(table.PROVIDERS)}. A model of "
                f"a service is written {_WAYS}"
            )
        provider = table.PROVIDERS[prefix]
        other = os.environ.get(provider.url_variable, "").strip() if provider.url_variable else ""
        url = _checked(other, provider.url_variable) if other else provider.url
    name, _, option = name.partition("?")
    if not name:
        raise ValueError(f"a service needs the name of a model, however: got none; write {_WAYS}")
    service = Service(provider, url, name, _dimensions(option) if option else None)
    known = service.known
    if known and service.dimensions and (service.dimensions > known.dim or not known.shortens):
        most = f"at most {known.dim}" if known.shortens else f"{known.dim} and no other number"
        raise ValueError(f"{name} gives {most} dimensions, however: got dimensions={service.dimensions}")
    return service


def check_service(settings: Mapping[str, Any]) -> None:
    """Refuse what has no meaning where another program holds the weights.

    Parameters
    ----------
    settings : mapping
        Parameters of a `TextEmbedder`.

    Raises
    ------
    ValueError
        Names the parameter and what to do.
    """
    service = parse(settings["model"])
    # Defaults stand for the service's own ways: its pooling, of its last layer.
    fixed = {
        "pooling": ("mean",), "layer": (-1,), "stage": ("forward",), "weights": ("pretrained",),
        "dtype": ("auto", "float32"), "device": ("auto",), "backend": ("auto",), "attention": ("auto",),
        "max_tokens": (None,),
    }  # fmt: skip
    for name, allowed in fixed.items():
        if settings[name] not in allowed:
            raise ValueError(
                f"{name} is decided by a service ({service.model} at {service.place}), however: got "
                f"{name}={settings[name]!r}; leave {name} at its default, or take a model whose weights are "
                "here"
            )
    if settings["overflow"] not in ("error", "truncate"):
        raise ValueError(f"overflow must be 'error' or 'truncate', however: got {settings['overflow']!r}")


def is_loopback(host: str) -> bool:
    """Tell whether a host can only be this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _dimensions(option: str) -> int:
    name, _, value = option.partition("=")
    if name != "dimensions" or not value.isdecimal() or int(value) < 1:
        raise ValueError(f"a service takes ?dimensions=N with N at least 1, however: got ?{option}")
    return int(value)


def _checked(url: str, what: str) -> str:
    """Address without its last slash."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = parts = None
    if parts is None or not host or parts.scheme not in ("http", "https"):
        raise ValueError(f"{what} must be http://… or https://…, however: it is no such address")
    if parts.username or parts.password or parts.query or parts.fragment:
        # Not shown: an address is kept with the results, and what stands there may be a secret.
        raise ValueError(
            f"{what} must hold no user, password or query, however: the one of {host} does; a key goes into "
            f"the environment variable {table.CUSTOM.keys[0]}"
        )
    path = parts.path.rstrip("/")
    if path.endswith("/embeddings"):
        raise ValueError(
            f"{what} must end before /embeddings (most end in /v1), however: got {parts.netloc}{path}"
        )
    return f"{parts.scheme}://{parts.netloc}{path}"
