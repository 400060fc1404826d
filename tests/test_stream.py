"""Files of rows to files of embeddings: in order, in bounded memory, and nothing lost by a kill."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import embreg
from embreg import TextEmbedder, serialize
from embreg._progress import Progress, carried
from embreg.stream import FileReport, RequestError, TableError, embed_file
from embreg.streaming.job import Job
from embreg.streaming.parts import Parts, exclusive, metadata_of
from tests.tiny import BERT_CONTEXT, tiny_bert, tiny_t5

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_t5(tmp_path_factory.mktemp("models") / "t5")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert(tmp_path_factory.mktemp("models") / "bert")


def embedder(model: Path, **given: Any) -> TextEmbedder:
    return TextEmbedder(str(model), **{"dtype": "float32", "store": None, "backend": "torch", **given})


# --- what was asked for ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "out", "expected"),
    [
        ("b.csv", "x.parquet", "no file"),
        ("data.cvs", "x.parquet", "did you mean 'data.csv'?"),
        (".", "x.parquet", "must be a regular file"),
        ("data", "x.parquet", "the format of data must be one of csv, tsv, jsonl, parquet"),
        ("data.csv", "x.csv", "must end in .parquet, however: got 'x.csv'"),
        ("data.csv", ".", "is a folder"),
        ("data.parquet", "data.parquet", "the output must not be the input"),
        ("data.csv", "data.csv/x.parquet", "cannot be written"),
    ],
)
def test_wrong_files(tmp_path: Path, t5: Path, data: str, out: str, expected: str) -> None:
    for name in ("data.csv", "data"):
        (tmp_path / name).write_text("a,b\n1,2\n")
    with pytest.raises(RequestError, match=re.escape(expected)):
        embed_file(tmp_path / data, tmp_path / out, embedder(t5))


@pytest.mark.parametrize(
    "asked",
    [
        {"poolings": ["meen"]}, {"poolings": []}, {"layers": [7]}, {"style": "yaml"}, {"decimals": 40},
        {"block_rows": 0}, {"file_format": "xlsx"}, {"separator": "ab"}, {"keep": ["n_tokens"]},
    ],
)  # fmt: skip
def test_wrong_settings_write_nothing(tmp_path: Path, t5: Path, asked: dict[str, Any]) -> None:
    (tmp_path / "a.csv").write_text("a,n_tokens\n1,2\n")
    with pytest.raises(RequestError):
        embed_file(tmp_path / "a.csv", tmp_path / "x.parquet", embedder(t5), **asked)
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


# --- vectors -----------------------------------------------------------------------------------------


def frame(n: int, seed: int = 0) -> pd.DataFrame:
    r = np.random.default_rng(seed)
    return pd.DataFrame({
        "id": [f"r{i}" for i in range(n)], "x0": r.normal(size=n).round(3), "n": r.integers(0, 4, n),
        "act": r.choice(["relu", "tanh"], n), "y": r.normal(size=n),
    })  # fmt: skip


def write(data: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        data.to_parquet(path)
    elif ".jsonl" in path.name:
        data.to_json(path, orient="records", lines=True)
    else:
        data.to_csv(path, index=False)
    return path


def vectors(path: Path, column: str = "mean") -> np.ndarray:
    return np.stack(pd.read_parquet(path)[column])


@pytest.mark.parametrize("name", ["d.csv", "d.csv.gz", "d.jsonl", "d.parquet"])
def test_vectors_are_those_of_the_strings_in_the_order_of_the_input(
    tmp_path: Path, t5: Path, name: str
) -> None:
    data, out = frame(23), tmp_path / "new" / "x.parquet"
    model = embedder(t5)
    asked: dict[str, Any] = {
        "poolings": ["mean", "max"],
        "layers": [-1, 0],
        "drop": ["y", "id"],
        "keep": ["y", "id"],
    }
    report = embed_file(write(data, tmp_path / name), out, model, block_rows=5, **asked)
    texts = serialize(data[["x0", "n", "act"]])
    expected = model.transform_many(texts, poolings=["mean", "max"], layers=[-1, 0])
    written = pd.read_parquet(out)
    assert list(written) == ["y", "id", "mean", "max", "mean_layer0", "max_layer0", "n_tokens"]
    for column, key in {"mean": ("mean", -1), "max_layer0": ("max", 0), "max": ("max", -1)}.items():
        assert vectors(out, column).dtype == np.float32
        np.testing.assert_allclose(vectors(out, column), expected[key], rtol=0, atol=1e-6)
    pd.testing.assert_series_equal(written["y"], data["y"], rtol=1e-12)
    assert list(written["id"]) == list(data["id"])
    assert list(written["n_tokens"]) == list(model.report_.tokens_per_row)
    assert report == FileReport(
        path=out, rows=23, earlier=0, computed=23 - report.repeated, stored=0, repeated=report.repeated,
        tokens=int(written["n_tokens"].sum()), truncated=0, unk_rate=pytest.approx(model.report_.unk_rate),
        tokens_per_second=report.tokens_per_second,
    )  # fmt: skip
    assert report.tokens_per_second > 0
    assert [p.name for p in out.parent.iterdir()] == ["x.parquet"]
    assert pq.ParquetFile(out).num_row_groups == 5


def test_the_file_says_how_it_was_made(tmp_path: Path, t5: Path) -> None:
    model = embedder(t5)
    out = tmp_path / "x.parquet"
    embed_file(
        write(frame(4), tmp_path / "d.csv"), out, model, drop=["y"], keep=["id"], style="pairs", decimals=2
    )
    schema = pq.read_schema(out)
    assert schema.field("mean").type == pa.list_(pa.float32(), 16)
    assert schema.field("n_tokens").type == pa.int32()
    said = json.loads(schema.metadata[b"embreg"])
    model.transform(["a"])
    assert said["space"] == {k: v for k, v in model.space_.items() if k != "outputs"}
    assert said["columns"] == {"mean": {"pooling": "mean", "layer": -1}} and said["dim"] == 16
    assert said["text"] == {
        "columns": ["id", "x0", "n", "act"], "style": "pairs", "decimals": 2, "notation": "decimal"
    }  # fmt: skip
    assert (said["model"], said["kept"], said["file"], said["rows"]) == ("t5", ["id"], "d.csv", 4)
    assert said["embreg"] == embreg.__version__ and len(said["input"]["sha256"]) == 64
    assert said["tokens"] == pd.read_parquet(out)["n_tokens"].sum()
    assert str(tmp_path) not in json.dumps(said)


def test_kept_columns_keep_their_types(tmp_path: Path, t5: Path) -> None:
    extra = pa.table({
        "i": pa.array(range(7), pa.int8()),
        "c": pa.array(["relu", "x", None, "relu", "y", "z", "x"]).dictionary_encode(),
        "n": pa.array([None, *range(6)], pa.timestamp("ns", "Europe/Vienna")),
        "m": pa.array([None, *range(6)], pa.decimal128(9, 3)),
        "l": pa.array([[i] for i in range(7)]),
        "b": pa.array([b"x"] * 7),
        "s": pa.array(["a"] * 7, pa.large_string()),
        "o": pa.nulls(7),
    })  # fmt: skip
    pq.write_table(extra, tmp_path / "d.parquet", row_group_size=3)
    embed_file(
        tmp_path / "d.parquet", tmp_path / "x.parquet", embedder(t5), columns=["i"], keep="all", block_rows=2
    )
    written = pq.read_table(tmp_path / "x.parquet")
    for name in extra.column_names:
        assert written.schema.field(name).type == extra.schema.field(name).type
        assert str(written[name].to_pylist()) == str(extra[name].to_pylist())


def test_kept_columns_of_text_files_have_the_types_of_the_whole_file(tmp_path: Path, t5: Path) -> None:
    (tmp_path / "d.csv").write_text(f"i,f,b,s,big,o\n1,1,True,a,1,\n2,2,,NA,{'9' * 20},\n,2.5,False,3,,NA\n")
    (tmp_path / "d.jsonl").write_text(
        '{"i":1,"f":1,"b":true,"s":"a","big":1,"o":null}\n'
        f'{{"i":2,"f":2,"b":null,"s":null,"big":{"9" * 20},"o":null}}\n'
        '{"i":null,"f":2.5,"b":false,"s":"3","big":null,"o":NaN}\n'
    )
    for name in ("d.csv", "d.jsonl"):
        out = tmp_path / f"{name}.parquet"
        embed_file(tmp_path / name, out, embedder(t5), columns=["i"], keep="all", block_rows=1)
        written = pq.read_table(out)
        kinds = [str(written.schema.field(c).type) for c in ("i", "f", "b", "s", "big", "o")]
        assert kinds == ["int64", "double", "bool", "string", "string", "null"]
        assert written["big"].to_pylist() == ["1", "9" * 20, None]
        assert written["s"].to_pylist() == ["a", None, "3"]
        assert written["f"].to_pylist() == [1.0, 2.0, 2.5]


def test_a_kept_column_of_csv_without_one_type_is_text(tmp_path: Path, t5: Path) -> None:
    (tmp_path / "d.csv").write_text("a,b\nTrue,1\n1,x\n0.5,2\n")
    embed_file(tmp_path / "d.csv", tmp_path / "x.parquet", embedder(t5), keep="all", block_rows=1)
    written = pq.read_table(tmp_path / "x.parquet")
    assert written["a"].to_pylist() == ["True", "1", "0.5"] and written["b"].to_pylist() == ["1", "x", "2"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('{"a":1}\n{"a":"x"}\n', "a column that is kept must be of one type, however: 'a' has int, text"),
        ('{"a":"x"}\n{"a":"\\ud800"}\n', "line 2: column 'a' cannot be kept"),
    ],
)
def test_what_cannot_be_kept_is_said_before_the_work(
    tmp_path: Path, t5: Path, lines: str, expected: str
) -> None:
    (tmp_path / "d.jsonl").write_text(lines)
    with pytest.raises(TableError, match=re.escape(expected)):
        embed_file(tmp_path / "d.jsonl", tmp_path / "x.parquet", embedder(t5), keep=["a"])
    assert embed_file(tmp_path / "d.jsonl", tmp_path / "x.parquet", embedder(t5)).rows == 2


def test_odd_texts(tmp_path: Path, t5: Path) -> None:
    texts = ["", "\0", "😀", "\ud800", "x" * 2_000, " "]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps({"t": t}) + "\n" for t in texts))
    embed_file(tmp_path / "d.jsonl", tmp_path / "x.parquet", embedder(t5), text="t", block_rows=2)
    np.testing.assert_allclose(
        vectors(tmp_path / "x.parquet"), embedder(t5).transform(texts), rtol=0, atol=1e-6
    )


def test_equal_rows_of_other_blocks_come_from_the_store(tmp_path: Path, t5: Path) -> None:
    (tmp_path / "d.csv").write_text("a,b\n" + "1,2\n3,4\n5,6\n" * 4)
    model = embedder(t5, store=tmp_path / "store")
    report = embed_file(tmp_path / "d.csv", tmp_path / "x.parquet", model, block_rows=4)
    assert (report.computed, report.stored, report.repeated) == (3, 6, 3)
    other = embed_file(tmp_path / "d.csv", tmp_path / "y.parquet", model, block_rows=12)
    assert (other.computed, other.stored, other.repeated) == (0, 3, 9)
    assert np.isnan(other.tokens_per_second)
    assert (vectors(tmp_path / "x.parquet") == vectors(tmp_path / "y.parquet")).all()


def test_blocks_are_smaller_where_vectors_are_larger(
    tmp_path: Path, t5: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embreg.streaming.job.BYTES", 16 * 4 * 4 * 3)  # three rows of four vectors
    write(frame(8), tmp_path / "d.csv")
    embed_file(
        tmp_path / "d.csv", tmp_path / "x.parquet", embedder(t5), poolings=["mean", "max"], layers=[0, -1]
    )
    file = pq.ParquetFile(tmp_path / "x.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [3, 3, 2]


@pytest.mark.parametrize("name", ["d.csv", "d.parquet"])
def test_a_row_that_is_too_long_is_found_before_the_work(tmp_path: Path, bert: Path, name: str) -> None:
    data = pd.DataFrame(
        {"t": ["short"] * 7 + ["a" * (BERT_CONTEXT - 2), "b" * (BERT_CONTEXT - 1), "c" * 500]}
    )
    write(data, tmp_path / name)
    out, where = tmp_path / "x.parquet", "line 10" if name == "d.csv" else "row 8"
    with pytest.raises(ValueError, match=f"{where} has {BERT_CONTEXT + 1} tokens, however: .* at most 48"):
        embed_file(tmp_path / name, out, embedder(bert), text="t", block_rows=4)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    report = embed_file(tmp_path / name, out, embedder(bert, overflow="truncate"), text="t", block_rows=4)
    assert report.truncated == 2 and pd.read_parquet(out)["n_tokens"].max() == BERT_CONTEXT
    with pytest.raises(ValueError, match=f"{where.split()[0]} .* however: max_tokens allows at most 20"):
        embed_file(tmp_path / name, tmp_path / "z.parquet", embedder(bert, max_tokens=20), text="t")


def test_a_row_that_is_too_long_for_the_memory_is_found_before_the_work(
    tmp_path: Path, t5: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embreg.engine.tokens._free_memory", lambda _: 1 << 29)
    (tmp_path / "d.jsonl").write_text('{"t":"short"}\n{"t":"' + "x" * 9000 + '"}\n')
    calls = numbers_of_blocks(monkeypatch)
    with pytest.raises(ValueError, match=r"d\.jsonl: line 2 has 9001 tokens, however: attention"):
        embed_file(tmp_path / "d.jsonl", tmp_path / "x.parquet", embedder(t5), text="t", block_rows=1)
    assert calls == []


def test_an_error_of_a_block_names_the_row_of_the_file(
    tmp_path: Path, t5: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were a row to pass the first look, the block it is in would say where it is."""
    monkeypatch.setattr(Job, "_check_lengths", lambda *_: None)
    (tmp_path / "d.csv").write_text("t,b\n" + "x,0\n" * 6 + "xxxxxxxxxx,0\n")
    with pytest.raises(ValueError, match=r"d\.csv: line 8 has 11 tokens"):
        embed_file(
            tmp_path / "d.csv", tmp_path / "x.parquet", embedder(t5, max_tokens=5), text="t", block_rows=4
        )


# --- stopped and taken up again ----------------------------------------------------------------------


def stopped_after(monkeypatch: pytest.MonkeyPatch, blocks: int, error: BaseException) -> None:
    """Let `blocks` be written, then fail in the middle of the next one."""
    whole, calls = Job.embed, []

    def embed(self: Job, block: Any, texts: list[str]) -> Any:
        calls.append(block.number)
        if len(calls) > blocks:
            raise error
        return whole(self, block, texts)

    monkeypatch.setattr(Job, "embed", embed)


def numbers_of_blocks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the blocks that are embedded from now on."""
    whole, calls = Job.embed, []

    def embed(self: Job, block: Any, texts: list[str]) -> Any:
        calls.append(block.number)
        return whole(self, block, texts)

    monkeypatch.setattr(Job, "embed", embed)
    return calls


@pytest.fixture
def stopped(tmp_path: Path, t5: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Input and output of a call that was interrupted after two of five blocks."""
    data, out = write(frame(18), tmp_path / "d.csv"), tmp_path / "x.parquet"
    with monkeypatch.context() as patch:
        stopped_after(patch, 2, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            embed_file(data, out, embedder(t5), drop=["y"], block_rows=4)
    assert not out.exists() and len(list(Parts(out).folder.glob("*.parquet"))) == 2
    return data, out


@pytest.mark.parametrize("name", ["d.csv", "d.jsonl", "d.parquet"])
def test_the_next_call_goes_on(tmp_path: Path, t5: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    data, out = write(frame(18), tmp_path / name), tmp_path / "x.parquet"
    asked: dict[str, Any] = {"drop": ["y"], "keep": ["y"], "block_rows": 4}
    with monkeypatch.context() as patch:
        stopped_after(patch, 2, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            embed_file(data, out, embedder(t5), **asked)
    calls, said = numbers_of_blocks(monkeypatch), []
    report = embed_file(data, out, embedder(t5), say=said.append, **asked)
    assert calls == [2, 3, 4] and (report.rows, report.earlier) == (18, 8)
    assert said == ["going on: 8 of 18 rows are done"]
    whole = embed_file(data, tmp_path / "whole.parquet", embedder(t5), **asked)
    assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()  # down to the counts
    assert (report.tokens, report.unk_rate) == (whole.tokens, whole.unk_rate)
    assert not Parts(out).folder.exists()


def test_an_error_keeps_what_is_finished(tmp_path: Path, t5: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, out = write(frame(9), tmp_path / "d.csv"), tmp_path / "x.parquet"
    for blocks, left in ((0, ["d.csv"]), (1, ["d.csv", "x.parquet.parts"])):
        with monkeypatch.context() as patch:
            stopped_after(patch, blocks, MemoryError("no memory"))
            with pytest.raises(MemoryError):
                embed_file(data, out, embedder(t5), block_rows=4)
        assert sorted(p.name for p in tmp_path.iterdir()) == left


def test_a_damaged_part_is_computed_again(
    stopped: tuple[Path, Path], t5: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = stopped
    first, second = sorted(Parts(out).folder.glob("*.parquet"))
    content = bytearray(first.read_bytes())
    content[len(content) // 2] ^= 1
    first.write_bytes(content)
    second.write_bytes(second.read_bytes()[:-10])
    (Parts(out).folder / "00000004.tmp").write_bytes(b"half")
    calls, said = numbers_of_blocks(monkeypatch), []
    embed_file(data, out, embedder(t5), drop=["y"], block_rows=4, say=said.append)
    assert calls == [0, 1, 2, 3, 4]
    assert said[0] == "going on: 0 of 18 rows are done; damaged blocks, computed again: 2"
    np.testing.assert_allclose(
        vectors(out), embedder(t5).transform(serialize(frame(18).drop(columns="y"))), rtol=0, atol=1e-6
    )


def test_a_part_that_is_damaged_at_the_end_is_not_joined(
    tmp_path: Path, t5: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = write(frame(8), tmp_path / "d.csv"), tmp_path / "x.parquet"
    whole = Parts.join

    def join(self: Parts, *args: Any, **kwargs: Any) -> None:
        path = sorted(self.folder.glob("*.parquet"))[1]
        path.write_bytes(path.read_bytes()[::-1])
        whole(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Parts, "join", join)
        with pytest.raises(OSError, match="was damaged after it was written"):
            embed_file(data, out, embedder(t5), block_rows=2)
    assert not out.exists()
    assert embed_file(data, out, embedder(t5), block_rows=2).earlier == 6


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"poolings": ["max"]}, "columns.mean"),
        ({"style": "pairs"}, 'text.style ("json" there, "pairs" now)'),
        ({"drop": ["y", "n"]}, "text.columns"),
        ({"keep": ["y"]}, 'kept ([] there, ["y"] now)'),
        ({"block_rows": 5}, "block_rows (4 there, 5 now)"),
        ({"max_tokens": 99}, "space.max_tokens (nothing there, 99 now)"),
        ({"content": "0.5"}, "input.sha256"),
    ],
)
def test_other_settings_are_refused_and_named(
    stopped: tuple[Path, Path], t5: Path, asked: dict[str, Any], named: str
) -> None:
    data, out = stopped
    model = embedder(t5, max_tokens=asked.pop("max_tokens", None))
    if "content" in asked:
        data.write_text(data.read_text() + f"r9,{asked.pop('content')},1,relu,2\n")
    asked = {"drop": ["y"], "block_rows": 4, **asked}
    with pytest.raises(RequestError) as caught:
        embed_file(data, out, model, **asked)
    assert named in str(caught.value) and "--force to start over" in str(caught.value)
    assert len(list(Parts(out).folder.glob("*.parquet"))) == 2
    report = embed_file(data, out, model, force=True, **asked)
    assert report.earlier == 0 and not Parts(out).folder.exists()


def test_a_finished_output_is_left_alone(tmp_path: Path, t5: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, out = write(frame(9), tmp_path / "d.csv"), tmp_path / "x.parquet"
    first = embed_file(data, out, embedder(t5), block_rows=4)
    before, calls, said = out.stat().st_mtime_ns, numbers_of_blocks(monkeypatch), []
    again = embed_file(data, out, embedder(t5), say=said.append)
    assert (again.rows, again.earlier, again.tokens, again.unk_rate) == (9, 9, first.tokens, first.unk_rate)
    assert calls == [] and out.stat().st_mtime_ns == before and "is finished" in said[0]
    with pytest.raises(
        RequestError, match=r"x\.parquet exists and has other settings: columns\.mean .*--force"
    ):
        embed_file(data, out, embedder(t5), poolings=["max"])
    assert list(pd.read_parquet(out)) == ["mean", "n_tokens"]
    embed_file(data, out, embedder(t5), poolings=["max"], force=True)
    assert list(pd.read_parquet(out)) == ["max", "n_tokens"]


def test_what_is_not_ours_is_not_replaced(tmp_path: Path, t5: Path) -> None:
    data, out = write(frame(3), tmp_path / "d.csv"), tmp_path / "x.parquet"
    for content in (b"my thesis", b""):
        out.write_bytes(content)
        with pytest.raises(
            RequestError, match="was not made by embreg embed; give another --out, or --force"
        ):
            embed_file(data, out, embedder(t5))
        assert out.read_bytes() == content
    Parts(out).folder.mkdir()
    (Parts(out).folder / "thesis.tex").touch()
    with pytest.raises(
        RequestError, match=r"must hold finished blocks only, however: 'thesis\.tex' is in it"
    ):
        embed_file(data, out, embedder(t5), force=True)
    (Parts(out).folder / "thesis.tex").unlink()
    assert embed_file(data, out, embedder(t5), force=True).rows == 3


def test_the_old_output_stays_until_the_new_one_is_whole(
    tmp_path: Path, t5: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = write(frame(9), tmp_path / "d.csv"), tmp_path / "x.parquet"
    embed_file(data, out, embedder(t5), block_rows=4)
    before = out.read_bytes()
    with monkeypatch.context() as patch:
        stopped_after(patch, 1, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            embed_file(data, out, embedder(t5), poolings=["max"], block_rows=4, force=True)
    assert out.read_bytes() == before
    # Force was meant once; with or without it the next call goes on rather than throw work away.
    calls = numbers_of_blocks(monkeypatch)
    embed_file(data, out, embedder(t5), poolings=["max"], block_rows=4)
    assert calls == [1, 2] and list(pd.read_parquet(out)) == ["max", "n_tokens"]


def test_a_lost_manifest_starts_over(stopped: tuple[Path, Path], t5: Path) -> None:
    data, out = stopped
    (Parts(out).folder / "manifest.json").write_text('{"format": 1, "spa')
    assert embed_file(data, out, embedder(t5), drop=["y"], block_rows=4).earlier == 0


def test_an_input_that_changes_is_noticed(tmp_path: Path, t5: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, out = write(frame(9), tmp_path / "d.csv"), tmp_path / "x.parquet"
    whole = Job.embed

    def embed(self: Job, block: Any, texts: list[str]) -> Any:
        if block.number == 1:
            data.write_text(data.read_text().replace("relu", "gelu"))
        return whole(self, block, texts)

    monkeypatch.setattr(Job, "embed", embed)
    with pytest.raises(TableError, match="it must stay as it is while it is read"):
        embed_file(data, out, embedder(t5), block_rows=4)
    assert not out.exists()


def test_one_process_at_a_time(tmp_path: Path, t5: Path) -> None:
    data, out = write(frame(3), tmp_path / "d.csv"), tmp_path / "x.parquet"
    code = "import sys, pathlib, embreg.streaming.parts as p\nwith p.exclusive(pathlib.Path(sys.argv[1])):\n"
    code += "    print(1, flush=True)\n    input()"
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(embreg.__file__).parents[1])},
    )  # fmt: skip
    with other:
        assert other.stdout is not None and other.stdout.readline() == "1\n"
        with pytest.raises(
            RequestError, match=r"one process at a time, however: another holds x\.parquet\.lock"
        ):
            embed_file(data, out, embedder(t5))
        other.kill()  # its lock dies with it
    assert embed_file(data, out, embedder(t5)).rows == 3
    with exclusive(out):
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.csv", "x.parquet"]


@pytest.mark.skipif(os.name != "posix", reason="limits of a process are POSIX's")
def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path: Path, t5: Path) -> None:
    import resource

    data, out = write(frame(60), tmp_path / "d.csv"), tmp_path / "x.parquet"
    asked: dict[str, Any] = {"block_rows": 20, "poolings": ["mean", "max"]}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, before[1]))  # a block fits, the whole does not
        with pytest.raises(OSError, match="too large"):
            embed_file(data, out, embedder(t5), **asked)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.csv", "x.parquet.parts"]
    assert embed_file(data, out, embedder(t5), **asked).earlier == 60


RUN = """
import sys, json
from embreg import TextEmbedder
from embreg.stream import embed_file
model, data, out, settings, asked = sys.argv[1:]
embedder = TextEmbedder(model, dtype="float32", store=None, backend="torch", **json.loads(settings))
embed_file(data, out, embedder, **json.loads(asked))
import resource
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def process(
    model: Path, data: Path, out: Path, asked: dict[str, Any], **settings: Any
) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(Path(embreg.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    arguments = [str(model), str(data), str(out), json.dumps(settings), json.dumps(asked)]
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments], env=env, stdout=subprocess.PIPE, text=True
    )


def until(condition: Callable[[], bool], seconds: float = 400) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_kill_at_any_moment_loses_at_most_a_block(
    tmp_path: Path, t5: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = write(frame(4000), tmp_path / "d.csv"), tmp_path / "x.parquet"
    asked = {"drop": ["y"], "block_rows": 100}
    parts = Parts(out).folder
    have = 0
    for more in (2, 3):
        running = process(t5, data, out, asked)
        with running:
            until(lambda more=more, have=have: len(list(parts.glob("*.parquet"))) >= have + more)
            running.kill()
        good = len(Parts(out).check()[0])
        assert good >= have + more and not out.exists()
        have = good
    calls = numbers_of_blocks(monkeypatch)
    report = embed_file(data, out, embedder(t5), drop=["y"], block_rows=100)
    assert report.earlier == 100 * have and len(calls) == 40 - have
    expected = embedder(t5).transform(serialize(frame(4000).drop(columns="y")))
    np.testing.assert_allclose(vectors(out), expected, rtol=0, atol=1e-6)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.csv", "x.parquet"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss differs")
def test_memory_is_bounded_by_the_block(tmp_path: Path) -> None:
    """Vectors of the large file alone take 200 MB; the process must not grow by a fifth of that."""
    model = tiny_t5(tmp_path / "wide", d_model=512)
    peaks = []
    for n in (2_000, 100_000):
        data = tmp_path / f"{n}.csv"
        r = np.random.default_rng(0)
        pd.DataFrame({"t": r.integers(0, 10**9, n), "s": "a text to keep " * 9}).to_csv(data, index=False)
        asked = {"text": "t", "keep": ["s"], "block_rows": 500}
        with process(model, data, tmp_path / f"{n}.parquet", asked, stage="vocab") as running:
            peaks.append(int(running.communicate()[0]) / 1024)
        assert pq.ParquetFile(tmp_path / f"{n}.parquet").metadata.num_rows == n
    assert peaks[1] - peaks[0] < 40, peaks


# --- the bar -----------------------------------------------------------------------------------------


def test_work_inside_moves_the_outer_bar() -> None:
    with Progress("rows", 100) as rows:
        rows.advance(40)
        with carried(rows, 20), Progress("tokens", 1000) as tokens:
            tokens.advance(500)
            assert rows.done == 50 and tokens.done == 500
        assert rows.done == 60
        with carried(rows, 20):  # nothing to show: all was stored
            pass
        assert rows.done == 80
        with pytest.raises(ZeroDivisionError), carried(rows, 20), Progress("tokens", 4) as tokens:
            tokens.advance(1)
            tokens.advance(1 / 0)
        assert rows.done == 85
        with Progress("other work", 1) as other:  # has a line of its own again
            other.advance(1)
        assert rows.done == 85


def test_rows_move_the_bar_from_where_the_last_call_stopped(
    stopped: tuple[Path, Path], t5: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, float]] = []
    whole = Progress.advance

    def advance(self: Progress, amount: float) -> None:
        whole(self, amount)
        if self.label == "embedding d.csv":
            seen.append((self.label, self.done))

    monkeypatch.setattr(Progress, "advance", advance)
    embed_file(*stopped, embedder(t5), drop=["y"], block_rows=4)
    done = [d for _, d in seen]
    assert done == sorted(done) and (done[0], done[-1]) == (8, 18)
    assert {12.0, 16.0, 18.0} <= set(done)


def test_metadata_of_other_files(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_text("no")
    for name in ("a.parquet", "b.parquet", "c.parquet"):
        assert metadata_of(tmp_path / name) is None
