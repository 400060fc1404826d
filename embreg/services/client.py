"""One service, called through the client of OpenAI's package: bounded tries, and a key that nobody sees."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from embreg._folder import offline
from embreg.services import answer as _answer
from embreg.services.address import Service
from embreg.services.errors import BadAnswer, ServiceError, Trouble, said
from embreg.services.limits import Limits
from embreg.services.pace import wait_turn

__all__ = ["Caller"]

_LONGEST = 60.0  # seconds between tries, unless the service asks for more
_BAD = 2  # answers that are no embeddings: each of them is paid for
_AGAIN = (408, 409, 425, 429)


class Caller:
    """Asks a service for vectors; to be closed.

    Parameters
    ----------
    service : Service
    limits : Limits

    Raises
    ------
    ServiceError
        No key, or ``EMBREG_OFFLINE`` and an address on another machine.
    ImportError
        The extra ``service`` is not installed.
    """

    def __init__(self, service: Service, limits: Limits) -> None:
        self.service, self.limits = service, limits
        self.requests = self.retries = 0
        if offline("EMBREG_OFFLINE") and not service.here:
            raise ServiceError(
                f"{service.place} is on another machine, however: EMBREG_OFFLINE is set; unset it, or use a "
                "service on this machine or a model whose weights are here"
            )
        self._client = _open(service, limits.timeout, _key(service))

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, texts: Sequence[str], tokens: int) -> tuple[np.ndarray, int | None]:
        """Vectors of shape ``(n, d)``, and the tokens that the service counted.

        Parameters
        ----------
        texts : sequence of str
        tokens : int
            Estimate, for the pace.

        Raises
        ------
        ServiceError
            The service refused, or failed as often as it may.
        """
        bad = 0
        for tries in range(1, int(self.limits.tries) + 1):
            wait_turn(
                self.service.url, tokens, requests_per_minute=self.limits.requests_per_minute,
                tokens_per_minute=self.limits.tokens_per_minute,
            )  # fmt: skip
            self.requests += 1
            # An exception of the client holds the request with the key in its headers: it must not become
            # the cause or context of ours, so it ends where it is caught.
            found = self._once(texts)
            if not isinstance(found, Trouble):
                return found
            bad += found.answered
            if not found.again or bad == _BAD:
                raise ServiceError(f"{self._name} {found.text}")
            if tries == self.limits.tries:
                raise ServiceError(f"{self._name} {found.text}; given up after {tries} tries")
            if found.wait > self.limits.patience:
                raise ServiceError(
                    f"{self._name} {found.text}, and asks to wait {found.wait:,.0f} s; run this again "
                    f"later, or allow it with embreg.service.use_limits(patience={found.wait:.0f})"
                )
            self.retries += 1
            time.sleep(max(found.wait, _pause(self.limits.backoff, tries)))
        raise AssertionError("unreachable")

    @property
    def _name(self) -> str:
        return f"{self.service.model} at {self.service.place}"

    def _once(self, texts: Sequence[str]) -> tuple[np.ndarray, int | None] | Trouble:
        import openai

        service = self.service
        size = {"dimensions": service.dimensions} if service.dimensions else {}
        try:
            reply = self._client.embeddings.create(
                model=service.model, input=list(texts), encoding_format=service.provider.encoding, **size
            )
            return _answer.vectors(reply, len(texts)), _answer.billed(reply)
        except BadAnswer as error:
            return self._useless(str(error))
        except openai.APIStatusError as error:
            return self._refused(error, len(texts))
        except openai.APITimeoutError:
            return Trouble(
                f"did not answer within {self.limits.timeout:g} s; allow more with "
                "embreg.service.use_limits(timeout=…), or send less with rows=…",
                again=True,
            )
        except openai.APIConnectionError as error:
            if service.here and _is_refused(error):
                return Trouble(
                    "cannot be reached: nothing listens there; is the server running?", again=False
                )
            return Trouble("cannot be reached; is the address right, and the network there?", again=True)
        except (openai.OpenAIError, ValueError):  # such as a body that is cut or no JSON
            return self._useless("something that cannot be read")

    def _useless(self, what: str) -> Trouble:
        hint = "" if "/v" in self.service.url else "; most addresses end in /v1"
        text = f"answered with {what}, not with embeddings in OpenAI's format{hint}"
        return Trouble(text, again=True, answered=True)

    def _refused(self, error: Any, n: int) -> Trouble:
        code, service = int(error.status_code), self.service
        if code in (401, 403):  # in its own words a service may quote the key
            names = " or ".join(service.provider.keys)
            return Trouble(f"refuses the key in {names}, or has none (HTTP {code})", again=False)
        words = said(error.body, "no reason given", self._client.api_key)
        if code == 404:
            text = f"does not know the model {service.model!r}, or the address is wrong (HTTP 404: {words})"
            return Trouble(text, again=False)
        if 300 <= code < 400:
            return Trouble(f"sends on to another address (HTTP {code}); give that one", again=False)
        text = f"answers HTTP {code}: {words}"
        if code == 413 or (code in (400, 422) and n > 1):
            text += f" ({n} texts were sent; embreg.service.use_limits(rows=…, tokens=…) sends fewer)"
        spent = getattr(error, "code", None) == "insufficient_quota"  # waiting brings no money
        again = (code in _AGAIN or (code >= 500 and code != 501)) and not spent
        return Trouble(text, again=again, wait=_asked(error.response.headers))


def _key(service: Service) -> str:
    """Key from the environment, empty where a service needs none."""
    for name in service.provider.keys:
        key = os.environ.get(name, "").strip()
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise ServiceError(f"{name} must hold one key, however: it has characters that no key has")
        if key:
            return key
    if service.provider.needs_key:
        raise ServiceError(
            f"{service.place} needs a key, however: {' and '.join(service.provider.keys)} are not set; set "
            f"one in the environment (never in code), as in: export {service.provider.keys[0]}=…"
        )
    return ""


def _open(service: Service, timeout: float, key: str) -> Any:
    try:
        import openai
    except ImportError as error:
        raise ImportError(
            "a service is called through OpenAI's client, however: it is not installed; "
            "pip install 'embreg[service]'"
        ) from error
    host = urlsplit(service.url).hostname or ""
    host = f"[{host}]" if ":" in host else host
    # What is sent goes where the user was told and nowhere else: no redirects, and on this machine no proxy.
    proxies: dict[str, Any] = {"mounts": {f"all://{host}": None}} if service.here else {}
    http = openai.DefaultHttpxClient(follow_redirects=False, timeout=timeout, **proxies)
    client = openai.OpenAI(
        api_key=key or "none", base_url=service.url, timeout=timeout, max_retries=0, http_client=http
    )
    if service.provider.name != "openai":  # read from variables that are meant for OpenAI alone
        client.organization = client.project = None
    return client


def _asked(headers: Any) -> float:
    """Seconds that a service asks to wait; 0 when it does not."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) / unit
        except ValueError:
            try:
                seconds = parsedate_to_datetime(value).timestamp() - time.time()
            except ValueError:
                continue
        if 0 < seconds < float("inf"):
            return seconds
    return 0.0


def _pause(backoff: float, tries: int) -> float:
    """Seconds before the next try; at random, so that programs that failed together do not return so."""
    longest = min(backoff * 2.0 ** (tries - 1), _LONGEST)
    return longest * random.uniform(0.5, 1.0)


def _is_refused(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ConnectionRefusedError):
            return True
        error = error.__cause__ or error.__context__
    return False
