"""One file to embed with one set of settings: how its rows become strings, and strings columns."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from embreg import __version__, pooling
from embreg._files import sha256_file
from embreg._progress import Progress
from embreg.engine.space import check_settings
from embreg.engine.tokens import read_tokens
from embreg.serialize import serialize
from embreg.streaming.choice import Choice
from embreg.streaming.parts import KEY
from embreg.streaming.tables import Block, RequestError, Settled, Table

if TYPE_CHECKING:
    from embreg.embedder import TextEmbedder
    from embreg.engine.report import EmbedReport

__all__ = ["COUNTS", "Job", "column_names"]

FORMAT = 1
"""Raised when the files that are written change."""

ROWS, BYTES = 8192, 1 << 27
"""A block has this many rows, fewer where their vectors would take more than these bytes."""

LONG = 4096
"""Bytes of a text that may be too long for the memory where a model has no limit of its own."""

COUNTS = ("tokens", "unknown_tokens", "truncated")
"""What a block, and the output, says of its rows."""

T = TypeVar("T")


def column_names(poolings: Sequence[str], layers: Sequence[int]) -> dict[str, tuple[str, int]]:
    """Names of the output's columns of vectors, and what they hold.

    Examples
    --------
    >>> column_names(["mean"], [0, -1])
    {'mean_layer0': ('mean', 0), 'mean': ('mean', -1)}
    """
    return {p if k == -1 else f"{p}_layer{k}": (p, k) for k in layers for p in poolings}


@dataclass(frozen=True)
class Job:
    """What is to be done.

    Attributes
    ----------
    embedder : TextEmbedder
    table : Table
    choice : Choice
    outputs : dict
        From `column_names`.
    how : dict
        Settings of `embreg.serialize`.
    """

    embedder: TextEmbedder
    table: Table
    choice: Choice
    outputs: dict[str, tuple[str, int]]
    how: dict[str, Any]

    @property
    def poolings(self) -> list[str]:
        """Each pooling once."""
        return list(dict.fromkeys(p for p, _ in self.outputs.values()))

    @property
    def layers(self) -> list[int]:
        """Each layer once."""
        return list(dict.fromkeys(k for _, k in self.outputs.values()))

    def check(self) -> None:
        """Refuse settings that mean nothing, and fetch the model.

        Raises
        ------
        ValueError, FileNotFoundError
            Among them a model that is not there.
        """
        check_settings(self.embedder.get_params())
        for name in self.poolings:
            pooling.get(name)
        serialize([], **self.how)
        self.embedder._local()

    def describe(self) -> dict[str, Any]:
        """Everything that decides the output; reads the file for its digest."""
        choice, model = self.choice, str(self.embedder.model)
        text = (
            {"columns": list(choice.strings), **self.how} if choice.text is None else {"column": choice.text}
        )
        return {
            "format": FORMAT,
            "embreg": __version__,
            # The folder of a local model says nothing elsewhere; its digests are in the space.
            "model": Path(model).name if Path(model).expanduser().is_dir() else model,
            "space": self.embedder._space(),
            "columns": {name: {"pooling": p, "layer": k} for name, (p, k) in self.outputs.items()},
            "text": text,
            "kept": list(choice.keep),
            "input": {**self.table.description(), "sha256": sha256_file(self.table.path)},
        }

    def prepare(self, block_rows: int | None) -> dict[str, Any]:
        """Read the file once: settle types, find rows that will not do; returns what blocks need to know."""
        engine = self.embedder._engine()  # its tokenizer; weights are loaded by the first forward pass
        try:
            for layer in self.layers:
                engine.check_layer(layer)
        except ValueError as error:
            raise RequestError(str(error)) from error
        settled = self.table.settle(self.choice)
        size = block_rows or max(1, min(ROWS, BYTES // (4 * engine.dim * len(self.outputs))))
        self._check_lengths(engine, settled, size)
        return {"settled": settled.as_json(), "block_rows": size, "dim": engine.dim}

    def _check_lengths(self, engine: Any, settled: Settled, size: int) -> None:
        """Refuse rows that are too long now, not after hours of work."""
        e = self.embedder
        limits = [engine.context or LONG] if e.stage == "forward" else []
        limits += [e.max_tokens] if e.max_tokens is not None else []
        limits = [] if e.overflow == "truncate" and (engine.context or e.max_tokens) else limits
        limits += [pooling.PADDED_LENGTH] if "padded_mean" in self.poolings else []
        if not limits:
            return
        label = f"measuring {self.table.path.name}"
        with Progress(label, settled.rows) as bar, closing(self.blocks(settled, size)) as blocks:
            for block, texts in blocks:
                # A token takes a byte at least (but for some rare characters), so most rows need no look.
                long = [i for i, t in enumerate(texts) if len(t.encode("utf-8", "replace")) + 8 > min(limits)]
                if long:
                    with self._located(block):
                        read_tokens(
                            engine, [texts[i] for i in long], long, model=str(e.model), stage=e.stage,
                            max_tokens=e.max_tokens, overflow=e.overflow, poolings=self.poolings,
                        )  # fmt: skip
                bar.advance(len(texts))

    def blocks(
        self, settled: Settled, size: int, skip: Collection[int] = ()
    ) -> Generator[tuple[Block, list[str]], None, None]:
        """Yield blocks and their strings; the next is made while the caller works on the last."""
        with closing(self.table.blocks(self.choice, settled, size, skip)) as blocks:
            yield from _ahead((block, self.texts(block)) for block in blocks)

    def texts(self, block: Block) -> list[str]:
        """Strings of a block."""
        if self.choice.text is not None:
            return list(block.cells[self.choice.text])
        names = self.choice.strings
        rows = zip(*(block.cells[name] for name in names), strict=True)
        return serialize([dict(zip(names, row, strict=True)) for row in rows], **self.how)

    def embed(self, block: Block, texts: list[str]) -> tuple[Any, EmbedReport]:
        """Columns of a block, as an Arrow table, and what the embedder reports."""
        import pyarrow as pa

        with self._located(block):
            vectors = self.embedder.transform_many(texts, poolings=self.poolings, layers=self.layers)
        report = self.embedder.report_
        columns: dict[str, Any] = dict(block.kept)
        for name, output in self.outputs.items():
            array = vectors[output]
            columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(array.reshape(-1)), array.shape[1])
        columns["n_tokens"] = pa.array(report.tokens_per_row, pa.int32())
        tokens = int(report.tokens_per_row.sum())
        counts = (tokens, round(report.unk_rate * tokens), report.truncated)
        said = json.dumps(dict(zip(COUNTS, counts, strict=True)))
        return pa.table(columns).replace_schema_metadata({KEY: said}), report

    @contextmanager
    def _located(self, block: Block) -> Iterator[None]:
        """Errors that name a row of the block name where the user finds it."""
        try:
            yield
        except (ValueError, FloatingPointError) as error:
            match = re.search(r"\brow (\d+)\b", str(error))
            if match is None:
                raise
            start, end = match.span()
            where = block.where(block.start + int(match[1]))
            text = f"{self.table.path}: {str(error)[:start]}{where}{str(error)[end:]}"
            raise type(error)(text) from error

    def writing(self) -> dict[str, Any]:
        """Settings of Parquet: dictionaries and statistics serve the kept columns, not the vectors."""
        kept = list(self.choice.keep)
        return {
            "use_dictionary": kept or False,
            "write_statistics": [*kept, "n_tokens"],
            "compression": "zstd",
        }


def _ahead(items: Iterator[T]) -> Iterator[T]:
    """Items, the next of which is made in a thread of its own."""
    with ThreadPoolExecutor(1, "embreg-reader") as pool:
        waiting = pool.submit(next, items, None)
        while (item := waiting.result()) is not None:
            waiting = pool.submit(next, items, None)
            yield item
