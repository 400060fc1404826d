"""TextEmbedder: strings to vectors with a frozen language model (sections 2 and 3.3)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from embreg import pooling as _pooling
from embreg.engine.fill import fill
from embreg.engine.report import EmbedReport
from embreg.engine.space import check_settings, describe_space
from embreg.engine.texts import strings
from embreg.services.address import check_service, is_service
from embreg.store import Buffer, Row, Store

__all__ = ["EmbedReport", "TextEmbedder"]


class TextEmbedder(TransformerMixin, BaseEstimator):
    """Frozen language model as a scikit-learn transformer: strings to float32 ``(n, d)``.

    Parameters
    ----------
    model : str
        A name in `embreg.models.MODELS`, a hub id ``org/name``, a local folder, or a service
        (``service:gemini/gemini-embedding-001``; see `embreg.service`). A service decides pooling, layer,
        precision and device by itself: those parameters keep their defaults.
    pooling : str
        One of `embreg.pooling.POOLINGS`; the paper's canonical choice is the mean.
    layer : int
        Hidden layer to read: 0 is the input of the first block, ``-1`` the last output. Plays no part
        in stage ``"vocab"``.
    stage : {"forward", "vocab"}
        ``"vocab"`` pools the vocabulary embeddings and skips the forward pass (section 3.3).
    weights : {"pretrained", "random"}
        ``"random"`` keeps the architecture with fresh weights drawn from `seed` (section 3.3).
    dtype : {"auto", "float32", "bfloat16", "int8"}
        ``"auto"`` is bfloat16 where the processor has it. bfloat16 moves an embedding by about
        1 % and makes it depend on the batch at that level; float32 does neither. ``"int8"`` rounds the
        matrices of linear layers and moves it by 2 to 6 %; see `embreg.engine.int8`.
    max_tokens : int, optional
        Tokens read of a row; the model's own limit by default.
    overflow : {"error", "truncate"}
        What a longer row is: an error, or cut and counted in ``report_.truncated``.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
    store : "auto", path or None
        Where vectors are kept between calls; ``"auto"`` is ``$EMBREG_HOME/store``, None keeps nothing.
    seed : int
        Of random weights; unused otherwise.
    backend : {"auto", "openvino", "torch"}
        ``"auto"`` is OpenVINO on an x86-64 processor where it is installed (extra ``cpu``) and the
        model's type is tested, else torch, which is the reference.
    attention : {"auto", "eager", "sdpa"}
        Which code of transformers computes attention; ``"auto"`` is its own choice.

    Attributes
    ----------
    dim_ : int
        Width d of the embedding (set by `fit`).
    report_ : EmbedReport
        Of the last `transform`.
    space_ : dict
        Everything that changes the numbers (set by `transform`); it is the key of the store.

    Raises
    ------
    ValueError
        A row longer than the model reads (names the row, its length, the limit and the ways out),
        an empty input, a bad parameter.
    TypeError
        Something other than strings; `embreg.serialize` makes strings of rows.
    FloatingPointError
        A vector that is not finite.

    Examples
    --------
    >>> embedder = TextEmbedder("all-MiniLM-L6-v2", dtype="float32", store=None)
    >>> embedder.fit_transform(["{x0:1.0000}", "{x0:2.0000}"]).shape
    (2, 384)
    >>> embedder.report_.unk_rate
    0.0
    """

    def __init__(
        self,
        model: str = "all-MiniLM-L6-v2",
        *,
        pooling: str = "mean",
        layer: int = -1,
        stage: Literal["forward", "vocab"] = "forward",
        weights: Literal["pretrained", "random"] = "pretrained",
        dtype: Literal["auto", "float32", "bfloat16", "int8"] = "auto",
        max_tokens: int | None = None,
        overflow: Literal["error", "truncate"] = "error",
        device: str = "auto",
        store: str | Path | None = "auto",
        seed: int = 0,
        backend: Literal["auto", "openvino", "torch"] = "auto",
        attention: Literal["auto", "eager", "sdpa"] = "auto",
    ) -> None:
        self.model = model
        self.pooling = pooling
        self.layer = layer
        self.stage = stage
        self.weights = weights
        self.dtype = dtype
        self.max_tokens = max_tokens
        self.overflow = overflow
        self.device = device
        self.store = store
        self.seed = seed
        self.backend = backend
        self.attention = attention

    def fit(self, X: Iterable[str], y: Any = None) -> TextEmbedder:
        """Check the parameters and the input; the model is frozen, so nothing is learned.

        Parameters
        ----------
        X : sequence of str, array of shape (n,) or (n, 1), or Series
        y : ignored
        """
        self._check()
        texts = strings(X)
        if is_service(self.model):
            self.dim_, self.n_features_in_ = self._local().dim or self.transform(texts[:1]).shape[1], 1
            return self
        # The table knows the width, so that nothing is loaded when every row is stored already.
        spec = self._local().spec
        self.dim_ = spec.dim if spec is not None else self._engine().dim
        self.n_features_in_ = 1
        return self

    def transform(self, X: Iterable[str]) -> np.ndarray:
        """Embed strings.

        Parameters
        ----------
        X : sequence of str, array of shape (n,) or (n, 1), or Series

        Returns
        -------
        ndarray of shape (n, d), float32
            In the order of the input.
        """
        return self.transform_many(X)[self.pooling, self.layer]

    def transform_many(
        self, X: Iterable[str], *, poolings: Sequence[str] | None = None, layers: Sequence[int] | None = None
    ) -> dict[tuple[str, int], np.ndarray]:
        """Embed strings once and read every pooling of every layer off the same forward pass.

        Parameters
        ----------
        X : as in `transform`
        poolings : sequence of str, optional
            The embedder's own by default.
        layers : sequence of int, optional
            Likewise.

        Returns
        -------
        dict
            ``(pooling, layer)`` to float32 array ``(n, d)``.

        Examples
        --------
        >>> embedder = TextEmbedder(dtype="float32", store=None)
        >>> out = embedder.transform_many(["{x0:1.0000}"], poolings=["mean", "max"], layers=[0, -1])
        >>> sorted(out), embedder.report_.forward_passes
        ([('max', -1), ('max', 0), ('mean', -1), ('mean', 0)], 1)
        """
        if is_service(self.model):
            from embreg.services.transform import transform_many

            return transform_many(self, X, poolings, layers)
        from embreg.engine.core import Output

        started = time.perf_counter()
        self._check()
        texts = strings(X)
        poolings = [self.pooling] if poolings is None else list(poolings)
        layers = [self.layer] if layers is None else list(layers)
        if not poolings or not layers:
            raise ValueError(f"poolings and layers need an entry, however: got {poolings} and {layers}")
        wanted = [Output(_pooling.get(p).__name__, int(k)) for k in layers for p in poolings]
        distinct = list(dict.fromkeys(texts))
        base, warned = self._space(), set[str]()
        stores = {o: self._open(base, o, warned) for o in wanted}
        rows: dict[Output, dict[str, Row]] = {o: s.get(distinct) if s else {} for o, s in stores.items()}
        missing = [t for t in distinct if any(t not in rows[o] for o in wanted)]
        counts = (0, 0, 0)
        if missing:
            number = {text: i for i, text in reversed(list(enumerate(texts)))}
            counts = fill(
                self._engine(), missing, [number[t] for t in missing], wanted, rows, Buffer(stores),
                stage=self.stage, max_tokens=self.max_tokens, overflow=self.overflow,
            )  # fmt: skip
        first = rows[wanted[0]]
        per_row = np.array([first[t].n_tokens for t in texts])
        self.space_ = {**base, "outputs": [[o.pooling, o.layer] for o in wanted]}
        self.dim_, self.n_features_in_ = len(first[texts[0]].vector), 1
        self.report_ = EmbedReport(
            rows=len(texts),
            distinct=len(distinct),
            hits=len(distinct) - len(missing),
            tokens_per_row=per_row,
            unk_rate=float(sum(first[t].n_unk for t in texts) / max(1, per_row.sum())),
            truncated=sum(first[t].truncated for t in texts),
            real_tokens=counts[0],
            padded_tokens=counts[1],
            forward_passes=counts[2],
            seconds=time.perf_counter() - started,
        )
        return {(o.pooling, o.layer): np.stack([rows[o][t].vector for t in texts]) for o in wanted}

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names ``e0 … e{d-1}``."""
        check_is_fitted(self, "dim_")
        return np.array([f"e{j}" for j in range(self.dim_)], dtype=object)

    def _check(self) -> None:
        (check_service if is_service(self.model) else check_settings)(self.get_params())

    def _engine(self) -> Any:
        if is_service(self.model):
            from embreg.services.transform import ServiceEngine

            return ServiceEngine(self)
        from embreg.engine.core import Recipe, load_engine

        local, (device, dtype, backend) = self._local(), self._resolved()
        recipe = Recipe(
            model=str(self.model), digest=local.weights_digest, weights=self.weights,
            seed=int(self.seed) if self.weights == "random" else 0,
            dtype=dtype, device=device, backend=backend, attention=self.attention,
        )  # fmt: skip
        return load_engine(local, recipe)

    def _local(self) -> Any:
        if is_service(self.model):
            from embreg.services.address import parse

            self._check()
            return parse(self.model)
        from embreg.models import resolve

        return resolve(self.model)

    def _resolved(self) -> tuple[str, str, str]:
        from embreg.engine.backends import resolve_backend, resolve_device, resolve_dtype

        device = resolve_device(self.device)
        dtype = resolve_dtype(self.dtype, device, int8=True)
        backend = resolve_backend(self.backend, self._local(), stage=self.stage, dtype=dtype, device=device)
        return device, dtype, backend

    def _space(self) -> dict[str, Any]:
        if is_service(self.model):
            return self._local().space()
        device, dtype, backend = self._resolved()
        return describe_space(
            self._local(), stage=self.stage, weights=self.weights, seed=self.seed, dtype=dtype, device=device,
            max_tokens=self.max_tokens, overflow=self.overflow, backend=backend, attention=self.attention,
        )  # fmt: skip

    def _open(self, base: dict[str, Any], output: Any, warned: set[str]) -> Store | None:
        if self.store is None:
            return None
        layer = 0 if self.stage == "vocab" else output.layer
        space = {**base, "pooling": output.pooling, "layer": layer}
        return Store(space, None if self.store == "auto" else self.store, warned=warned)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = True  # of one column
        tags.input_tags.one_d_array = True
        tags.transformer_tags.preserves_dtype = []  # float32, whatever the strings came in
        tags.requires_fit = False
        return tags
