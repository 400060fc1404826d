"""What `TextEmbedder` does when its model is a service."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from embreg.engine.texts import strings
from embreg.services.address import Service, check_service, parse
from embreg.services.counting import count_tokens
from embreg.services.fill import Spent, fill, outlook
from embreg.services.limits import limits
from embreg.services.report import Estimate, ServiceReport
from embreg.store import Buffer, Row, Store

if TYPE_CHECKING:
    from embreg.embedder import TextEmbedder

__all__ = ["ServiceEngine", "estimate", "transform_many"]


def transform_many(
    embedder: TextEmbedder, X: Iterable[str], poolings: Sequence[str] | None, layers: Sequence[int] | None
) -> dict[tuple[str, int], np.ndarray]:
    """Embed strings by a service: as `TextEmbedder.transform_many`, with the one output that there is."""
    started = time.perf_counter()
    for name, asked in (("pooling", poolings), ("layer", layers)):
        for value in () if asked is None else asked:
            check_service({**embedder.get_params(), name: value})
    service, texts = _service(embedder), strings(X)
    distinct = list(dict.fromkeys(texts))
    store = _store(embedder, service)
    rows: dict[str, Row] = store.get(distinct) if store else {}
    missing = [t for t in distinct if t not in rows]
    spent = Spent()
    if missing:
        number = {text: i for i, text in reversed(list(enumerate(texts)))}
        spent = fill(
            service, missing, [number[t] for t in missing], rows, Buffer({"service": store}),
            overflow=embedder.overflow,
        )  # fmt: skip
    out = np.stack([rows[t].vector for t in texts])
    embedder.space_ = {**service.space(), "outputs": [[embedder.pooling, embedder.layer]]}
    embedder.dim_, embedder.n_features_in_ = out.shape[1], 1
    tokens = spent.estimated if spent.billed is None else spent.billed
    embedder.report_ = ServiceReport(
        rows=len(texts), distinct=len(distinct), hits=len(distinct) - len(missing),
        tokens_per_row=np.array([rows[t].n_tokens for t in texts]), unk_rate=0.0,
        truncated=sum(rows[t].truncated for t in texts), real_tokens=tokens, padded_tokens=tokens,
        forward_passes=spent.answers, seconds=time.perf_counter() - started,
        service=f"{service.model} at {service.place}", requests=spent.requests, retries=spent.retries,
        estimated_tokens=spent.estimated, billed_tokens=spent.billed,
        cost=None if service.price is None else tokens * service.price / 1e6,
    )  # fmt: skip
    return {(embedder.pooling, embedder.layer): out}


def estimate(X: Iterable[str], embedder: TextEmbedder | str) -> Estimate:
    """What embedding strings by a service would send and cost; nothing is sent.

    Parameters
    ----------
    X : sequence of str, array of shape (n,) or (n, 1), or Series
    embedder : TextEmbedder or str
        Or the name of a model, ``service:…``. Rows that its store has are not counted.

    Returns
    -------
    Estimate
        Its text is one line for people.

    Raises
    ------
    ValueError
        A model that is no service: it costs nothing but time (see ``embreg run --dry-run``).

    Examples
    --------
    >>> about = estimate(["{x0:1.0000}"] * 500, "service:gemini/gemini-embedding-001")
    >>> about.rows, about.tokens, about.date
    (1, 11, '2026-04')
    """
    from embreg.embedder import TextEmbedder

    embedder = TextEmbedder(embedder) if isinstance(embedder, str) else embedder
    service, distinct = _service(embedder), list(dict.fromkeys(strings(X)))
    store = _store(embedder, service)
    stored = set(store.get(distinct)) if store else set()
    missing = [t for t in distinct if t not in stored]
    sizes = [count_tokens(t, service.provider.digits) for t in missing]
    return outlook(service, missing, sizes, limits(), len(stored))


class ServiceEngine:
    """As much of an `Engine` as can be known of a service: `embreg.stream` asks for it.

    Parameters
    ----------
    embedder : TextEmbedder
    """

    def __init__(self, embedder: TextEmbedder) -> None:
        self._embedder, self._service = embedder, _service(embedder)

    @property
    def dim(self) -> int:
        """Width of a vector, asked of the service where no table says it."""
        known = self._service.dim
        return known if known else self._embedder.transform(["width"]).shape[1]

    @property
    def context(self) -> int:
        """Tokens that the model reads; where nobody knows, more than any text has."""
        return self._service.known.context if self._service.known else 1 << 40

    def check_layer(self, layer: int) -> None:
        """Refuse all layers but the last output."""
        check_service({**self._embedder.get_params(), "layer": layer})

    def tokenize(self, texts: Sequence[str]) -> list[np.ndarray]:
        """As many ids as tokens are estimated."""
        return [np.zeros(count_tokens(t, self._service.provider.digits), np.int32) for t in texts]

    def truncate(self, ids: np.ndarray, limit: int) -> np.ndarray:
        """First `limit` ids."""
        return ids[:limit]


def _service(embedder: TextEmbedder) -> Service:
    from embreg.services.address import is_service

    if not is_service(embedder.model):
        raise ValueError(f"a service is written service:…, however: got model={embedder.model!r}")
    check_service(embedder.get_params())
    return parse(embedder.model)


def _store(embedder: TextEmbedder, service: Service) -> Store | None:
    if embedder.store is None:
        return None
    space: dict[str, Any] = {**service.space(), "pooling": "service", "layer": None}
    return Store(space, None if embedder.store == "auto" else embedder.store)
