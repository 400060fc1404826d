"""A table on disk to embeddings on disk, block by block: memory is bounded by the block, not by the file."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embreg._progress import Progress, carried
from embreg.embedder import TextEmbedder
from embreg.engine.report import EmbedReport
from embreg.serialize import Notation, Style
from embreg.streaming.choice import choose
from embreg.streaming.job import COUNTS, Job, column_names
from embreg.streaming.parts import Parts, differences, exclusive, metadata_of
from embreg.streaming.tables import RequestError, Settled, TableError, open_table

__all__ = ["FileReport", "RequestError", "TableError", "embed_file"]


@dataclass(frozen=True)
class FileReport:
    """What one `embed_file` did.

    Attributes
    ----------
    path : Path
        The output.
    rows : int
        Of the output.
    earlier : int
        Rows that were finished before this call.
    computed, stored, repeated : int
        Of the other rows: strings that went through the model, strings that the store had, and rows
        that repeat another one of their block.
    tokens, truncated : int
        Of all rows: tokens that the model read, and rows that were cut.
    unk_rate : float
        Share of unknown tokens.
    tokens_per_second : float
        Through the model, loading included; NaN when it had nothing to do.
    """

    path: Path
    rows: int
    earlier: int
    computed: int
    stored: int
    repeated: int
    tokens: int
    truncated: int
    unk_rate: float
    tokens_per_second: float


def _silent(line: str) -> None:
    pass


def embed_file(
    data: str | Path,
    out: str | Path,
    embedder: TextEmbedder | None = None,
    *,
    poolings: Sequence[str] | None = None,
    layers: Sequence[int] | None = None,
    text: str | None = None,
    columns: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    keep: Sequence[str] | str = (),
    style: Style = "json",
    decimals: int = 4,
    notation: Notation = "decimal",
    file_format: str | None = None,
    separator: str | None = None,
    block_rows: int | None = None,
    force: bool = False,
    say: Callable[[str], None] = _silent,
) -> FileReport:
    r"""Embed the rows of a CSV, JSON Lines or Parquet file into a Parquet file.

    The file is read more than once, first to settle the types of its columns, so that all rows are
    written alike. Finished blocks are kept in ``<out>.parts``: a call that was stopped is taken up by
    the next one with the same settings.

    Parameters
    ----------
    data : str or Path
        Text files are in UTF-8, plain or compressed with gzip. Cells of CSV are read as
        `pandas.read_csv` reads them, except that whole numbers with a gap stay whole numbers.
    out : str or Path
        Ends in ``.parquet``.
    embedder : TextEmbedder, optional
        By default one with its defaults.
    poolings, layers : as for `TextEmbedder.transform_many`
    text : str, optional
        Column that holds the strings. Without it `embreg.serialize` makes one of each row.
    columns, drop : sequence of str, optional
        Columns that make the string, in this order, or those that do not. By default all do but the
        index that pandas puts into Parquet.
    keep : sequence of str, or "all"
        Columns that are copied to the output. This does not take them out of the string.
    style, decimals, notation : as for `embreg.serialize`
    file_format : {"csv", "tsv", "jsonl", "parquet"}, optional
        By the ending of the name.
    separator : str, optional
        Between the cells of a CSV file.
    block_rows : int, optional
        8192, or fewer where their vectors would take more than 128 MiB.
    force : bool
        Replace an output, or finished blocks, of other settings.
    say : callable
        Called with one line about what is done.

    Returns
    -------
    FileReport

    Raises
    ------
    RequestError
        A ValueError; names a wrong setting: a column that is not there, an output that exists.
    TableError
        A ValueError; names the line or row of the file that will not do.

    Notes
    -----
    The output has the kept columns, a column of lists of d float32 for each pooling and layer
    (``mean``, or ``mean_layer2``), and ``n_tokens``. The metadata of its schema, under ``embreg``, say
    in JSON how it was made.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np, pandas as pd
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "data.csv").write_text("x0,x1,y\n1,2.5,3\n2,4.5,6\n")
    >>> embedder = TextEmbedder(dtype="float32", store=None)
    >>> embed_file(folder / "data.csv", folder / "x.parquet", embedder, drop=["y"], keep=["y"]).rows
    2
    >>> frame = pd.read_parquet(folder / "x.parquet")
    >>> list(frame), np.stack(frame["mean"]).shape
    (['y', 'mean', 'n_tokens'], (2, 384))
    """
    embedder = TextEmbedder() if embedder is None else embedder
    poolings = list(dict.fromkeys([embedder.pooling] if poolings is None else poolings))
    layers = list(dict.fromkeys([embedder.layer] if layers is None else layers))
    if not poolings or not layers:
        raise RequestError(f"poolings and layers need an entry, however: got {poolings} and {layers}")
    how: dict[str, Any] = {"style": style, "decimals": decimals, "notation": notation}
    if block_rows is not None and block_rows < 1:
        raise RequestError(f"block_rows must be at least 1, however: got {block_rows}")
    path, outputs = _output(out, data), column_names(poolings, layers)
    table = open_table(data, file_format, separator)
    choice = choose(table, text=text, columns=columns, drop=drop, keep=keep, taken=[*outputs, "n_tokens"])
    job = Job(embedder, table, choice, outputs, how)
    try:
        job.check()
    except (ValueError, FileNotFoundError) as error:
        raise RequestError(str(error)) from error
    with exclusive(path):
        return _run(job, path, block_rows, force, say)


def _output(out: str | Path, data: str | Path) -> Path:
    path = Path(out).expanduser()
    if path.is_dir():
        raise RequestError(
            f"the output must be a file, however: {path} is a folder; try {path / 'x.parquet'}"
        )
    if path.suffix not in (".parquet", ".pq"):
        raise RequestError(f"the output is Parquet and must end in .parquet, however: got {path.name!r}")
    if path.resolve() == Path(data).expanduser().resolve():
        raise RequestError(f"the output must not be the input, however: both are {path}")
    return path


def _run(job: Job, out: Path, block_rows: int | None, force: bool, say: Callable[[str], None]) -> FileReport:
    described, parts = job.describe(), Parts(out)
    found = metadata_of(out)
    if found is not None and not force and not _other(found, described):
        parts.remove()  # left by a kill just before the end
        say(f"{out} is finished, with these settings and this input: nothing to do")
        return _report(out, found, found["rows"], [])
    manifest = _to_resume(parts, out, found, described, block_rows, force)
    resumed = manifest is not None
    if manifest is None:
        manifest = {**described, **job.prepare(block_rows)}
        parts.begin(manifest)
    settled, size = Settled(**manifest["settled"]), manifest["block_rows"]
    done, damaged = parts.check()
    earlier = sum(min(size, settled.rows - k * size) for k in done)
    if resumed:
        again = f"; damaged blocks, computed again: {damaged}" if damaged else ""
        say(f"going on: {earlier:,} of {settled.rows:,} rows are done{again}")
    n_blocks = -(-settled.rows // size)
    try:
        reports = _embed(job, parts, settled, size, done, earlier, say) if len(done) < n_blocks else []
    except Exception:
        if parts.empty():
            parts.remove()
        raise
    said = {**described, "dim": manifest["dim"], "file": job.table.path.name, "rows": settled.rows}
    said |= parts.total(COUNTS)
    parts.join(out, said, n_blocks, **job.writing())
    parts.remove()
    return _report(out, said, earlier, reports)


def _embed(
    job: Job, parts: Parts, settled: Settled, size: int, done: set[int], earlier: int,
    say: Callable[[str], None],
) -> list[EmbedReport]:  # fmt: skip
    """Make the parts that are not there."""
    reports = []
    with Progress(f"embedding {job.table.path.name}", settled.rows) as bar:
        bar.advance(earlier)
        with closing(job.blocks(settled, size, done)) as blocks:
            for block, texts in blocks:
                if block.start == 0:
                    say(f"the first row reads: {_short(texts[0])}")
                with carried(bar, len(texts)):
                    columns, report = job.embed(block, texts)
                job.table.check_unchanged()
                parts.write(block.number, columns, **job.writing())
                reports.append(report)
    return reports


def _other(there: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What was asked for differently; `there` also says what came of it."""
    return differences({k: there.get(k) for k in now}, now)


def _to_resume(
    parts: Parts, out: Path, found: dict[str, Any] | None, now: dict[str, Any], size: int | None, force: bool
) -> dict[str, Any] | None:
    """Manifest of parts to go on with; None to begin.

    Raises
    ------
    RequestError
        Something is in the way, and `force` is not given.
    """
    manifest = parts.manifest()
    if manifest is not None:
        other = _other(manifest, now)
        if size not in (None, manifest["block_rows"]):
            other.append(f"block_rows ({manifest['block_rows']} there, {size} now)")
        if not other:  # an output that is in the way was given up by the call that began
            return manifest
        if not force and not parts.empty():
            raise RequestError(
                f"{parts.folder.name} holds finished blocks with other settings: {', '.join(other[:3])}"
                f"{' …' if len(other) > 3 else ''}; give the same ones to go on, another --out, or --force "
                "to start over"
            )
    if out.exists() and not force:
        why = (
            f"has other settings: {', '.join(_other(found, now)[:3])}"
            if found
            else "was not made by embreg embed"
        )
        raise RequestError(f"{out} exists and {why}; give another --out, or --force to replace it")
    return None


def _report(out: Path, said: dict[str, Any], earlier: int, reports: list[EmbedReport]) -> FileReport:
    seconds, real = sum(r.seconds for r in reports), sum(r.real_tokens for r in reports)
    return FileReport(
        path=out,
        rows=said["rows"],
        earlier=earlier,
        computed=sum(r.distinct - r.hits for r in reports),
        stored=sum(r.hits for r in reports),
        repeated=sum(r.rows - r.distinct for r in reports),
        tokens=said["tokens"],
        truncated=said["truncated"],
        unk_rate=said["unknown_tokens"] / max(1, said["tokens"]),
        tokens_per_second=real / seconds if real else math.nan,
    )


def _short(text: str) -> str:
    shown = repr(text)[1:-1]
    return shown if len(shown) <= 150 else f"{shown[:120]} … {shown[-25:]}"
