"""TextEmbedder: the numbers are those of a plain loop over transformers, whatever the batch or the store."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import sqlite3
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data

from embreg import TextEmbedder, serialize, spaces
from embreg.engine import backends as _backends
from embreg.engine import batching as _batching
from embreg.engine import core as _engine
from embreg.engine import space as _space
from embreg.engine.core import load_engine
from embreg.models import MODELS, resolve
from embreg.pooling import POOLINGS
from embreg.store import StoreWarning
from tests.tiny import BERT_CONTEXT, LAYERS, tiny_bert, tiny_t5

REAL = ["all-MiniLM-L6-v2", "flan-t5-small-titles"]
ROWS = ["x", "{x0:1.2346,x1:-4.5}", "", "12", "x0=1.2346; x1=-4.5", "{x0:1.2346,x1:-4.5}", "a b c d e f"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("models")
    return {"t5": tiny_t5(base / "t5"), "bert": tiny_bert(base / "bert")}


@pytest.fixture(params=["t5", "bert"])
def folder(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    return folders[request.param]


pytestmark = pytest.mark.usefixtures("one_thread")


def embedder(model: Path | str, **settings: Any) -> TextEmbedder:
    """The reference backend; tests/test_backends.py holds the other one against it."""
    return TextEmbedder(str(model), **{"dtype": "float32", "store": None, "backend": "torch", **settings})


@contextmanager
def counted(model: TextEmbedder) -> Iterator[list[int]]:
    """Rows of every forward pass, as the model itself sees them."""
    seen: list[int] = []
    hook = model._engine().backend.model.register_forward_hook(
        lambda module, args, kwargs, out: seen.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    try:
        yield seen
    finally:
        hook.remove()


# --- a plain loop over transformers ------------------------------------------------------------------


@lru_cache(maxsize=8)
def plain_model(path: Path) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer, T5EncoderModel

    t5 = json.loads((path / "config.json").read_text())["model_type"] == "t5"
    cls = T5EncoderModel if t5 else AutoModel
    return cls.from_pretrained(path, dtype=torch.float32).eval(), AutoTokenizer.from_pretrained(path)


def plain_states(path: Path, text: str) -> list[torch.Tensor]:
    """Every hidden state of one row, alone in its batch and so without padding: (tokens, d) each."""
    model, tokenizer = plain_model(path)
    with torch.no_grad():
        out = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True)
    return [h[0] for h in out.hidden_states[:-1]] + [out.last_hidden_state[0]]


def plain_mean(path: Path, texts: Sequence[str]) -> np.ndarray:
    return np.stack([plain_states(path, t)[-1].mean(0).numpy() for t in texts])


@pytest.mark.parametrize("model", REAL)
def test_real_models_equal_plain_transformers_row_by_row(model: str) -> None:
    """To 1e-5 in float32, in batches that mix lengths."""
    rng = np.random.default_rng(0)
    texts = [t for d in (1, 3, 10) for t in serialize(rng.uniform(-5, 5, (3, d)))] + ROWS
    out = embedder(model).fit_transform(texts)
    assert out.dtype == np.float32 and out.shape == (len(texts), MODELS[model].dim)
    np.testing.assert_allclose(out, plain_mean(resolve(model).path, texts), rtol=0, atol=1e-5)


def test_tiny_models_equal_plain_transformers_row_by_row(folder: Path) -> None:
    np.testing.assert_allclose(
        embedder(folder).fit_transform(ROWS), plain_mean(folder, ROWS), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("model", REAL)
def test_tokens_are_those_of_the_models_own_tokenizer(model: str) -> None:
    """Not of a class of transformers that means well: the file decides."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(resolve(model).path / "tokenizer.json"))
    tokenizer.no_truncation(), tokenizer.no_padding()
    texts = [*ROWS, "  two  spaces\nline ", "naïve 😀 \0 \ufffd </s> [SEP] <unk>", "7" * 3000]
    ids = embedder(model)._engine().tokenize(texts)
    assert [i.tolist() for i in ids] == [tokenizer.encode(t).ids for t in texts]


@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_pooling_and_layer_equals_the_plain_loop(folder: Path, pooling: str) -> None:
    mask = torch.ones(1, 1)
    for layer in range(LAYERS + 1):
        out = embedder(folder, pooling=pooling, layer=layer).fit_transform(ROWS)
        for text, vector in zip(ROWS, out, strict=True):
            hidden = plain_states(folder, text)[layer][None]
            expected = POOLINGS[pooling](hidden, mask.expand(1, hidden.shape[1]))[0]
            np.testing.assert_allclose(vector, expected.numpy(), rtol=0, atol=1e-5)


# --- padding, batches, threads, precision ------------------------------------------------------------


def long_and_short(n: int = 40) -> list[str]:
    rng = np.random.default_rng(1)
    return ["".join(rng.choice(list("0123456789.,:"), rng.integers(1, 40))) for _ in range(n)]


@pytest.mark.parametrize("budget", [1, 64, 300, 10**6])
def test_batches_do_not_matter(folder: Path, budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To 1e-5 in float32, from one row at a time to all rows padded to the longest."""
    texts = long_and_short()
    alone = np.vstack([embedder(folder).fit_transform([t]) for t in texts])
    monkeypatch.setitem(_engine.TOKENS_PER_BATCH, "cpu", budget)
    model = embedder(folder)
    with counted(model) as batches:
        out = model.fit_transform(texts)
    np.testing.assert_allclose(out, alone, rtol=0, atol=1e-5)
    report = model.report_
    assert sum(batches) == len(set(texts)) and len(batches) == report.forward_passes
    assert report.real_tokens == sum(dict(zip(texts, report.tokens_per_row.tolist(), strict=True)).values())
    if budget == 1:
        assert set(batches) == {1}
    if budget == 10**6:
        assert report.forward_passes == 1
        longest = _batching.padded_width(int(report.tokens_per_row.max()))
        assert report.padded_tokens == len(set(texts)) * longest


@pytest.mark.parametrize("model", REAL)
def test_batches_do_not_matter_to_real_models(model: str) -> None:
    rng = np.random.default_rng(0)
    texts = [serialize(rng.uniform(-5, 5, (1, d)))[0] for d in (1, 2, 20, 5, 1)]
    together = embedder(model).fit_transform(texts)
    alone = np.vstack([embedder(model).fit_transform([t]) for t in texts])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)
    np.testing.assert_allclose(embedder(model).fit_transform(texts[::-1])[::-1], together, rtol=0, atol=1e-5)


@pytest.mark.parametrize("threads", [2, 4])
def test_threads_do_not_matter(folder: Path, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_engine.TOKENS_PER_BATCH, "cpu", 64)
    texts, many = long_and_short(), {"poolings": list(POOLINGS), "layers": range(LAYERS + 1)}
    single = embedder(folder).transform_many(texts, **many)
    try:
        torch.set_num_threads(threads)
        several = embedder(folder).transform_many(texts, **many)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(1)
    for key in single:
        np.testing.assert_allclose(several[key], single[key], rtol=0, atol=1e-5)


@pytest.mark.parametrize("model", REAL)
def test_bfloat16_stays_within_two_percent(model: str) -> None:
    """Of a vector's length, against float32 and between batches."""
    rng = np.random.default_rng(0)
    texts = [serialize(rng.uniform(-5, 5, (1, d)))[0] for d in (1, 2, 20, 5, 1)]
    exact = embedder(model).fit_transform(texts)
    half = embedder(model, dtype="bfloat16")
    out = half.fit_transform(texts)
    assert out.dtype == np.float32 and half.space_["dtype"] == "bfloat16"
    alone = np.vstack([half.fit_transform([t]) for t in texts])
    length = np.linalg.norm(exact, axis=1)
    assert (np.linalg.norm(out - exact, axis=1) / length).max() < 2e-2
    assert (np.linalg.norm(out - alone, axis=1) / length).max() < 2e-2
    assert not np.array_equal(out, exact), "bfloat16 was not used"


def test_dtype_auto_is_one_of_the_two_and_recorded(folder: Path) -> None:
    model = embedder(folder, dtype="auto")
    model.fit_transform(ROWS)
    assert model.space_["dtype"] == _backends.resolve_dtype("auto", "cpu") in ("float32", "bfloat16")
    with pytest.raises(ValueError, match=r"'bfloat16' or 'int8' \(float16 overflows in T5\)"):
        embedder(folder, dtype="float16").fit_transform(ROWS)


# --- several poolings and layers ---------------------------------------------------------------------


def test_transform_many_reads_everything_off_one_forward_pass(folder: Path) -> None:
    layers = [0, 2, -1]
    model = embedder(folder)
    with counted(model) as batches:
        many = model.transform_many(ROWS, poolings=list(POOLINGS), layers=layers)
    assert sum(batches) == len(set(ROWS)) and len(batches) == model.report_.forward_passes
    assert set(many) == {(p, k) for p in POOLINGS for k in layers}
    for (pooling, layer), vectors in many.items():
        single = embedder(folder, pooling=pooling, layer=layer).fit_transform(ROWS)
        np.testing.assert_array_equal(vectors, single)


def test_transform_many_defaults_to_the_embedders_own(folder: Path) -> None:
    model = embedder(folder, pooling="max", layer=1)
    [(key, vectors)] = model.transform_many(ROWS).items()
    assert key == ("max", 1)
    np.testing.assert_array_equal(vectors, model.transform(ROWS))
    assert set(model.transform_many(ROWS, layers=np.arange(2))) == {("max", 0), ("max", 1)}
    assert set(model.transform_many(ROWS, poolings=["cls", "cls"])) == {("cls", 1)}


def test_transform_many_of_nothing_is_an_error(folder: Path) -> None:
    for wanted in ({"poolings": []}, {"layers": []}):
        with pytest.raises(ValueError, match="poolings and layers need an entry"):
            embedder(folder).transform_many(ROWS, **wanted)
    with pytest.raises(ValueError, match="pooling must be one of"):
        embedder(folder).transform_many(ROWS, poolings=["mean", "average"])


def test_layers_count_from_the_input_and_from_the_end(folder: Path) -> None:
    out = embedder(folder).transform_many(ROWS, layers=range(-LAYERS - 1, LAYERS + 1))
    for k in range(LAYERS + 1):
        np.testing.assert_array_equal(out["mean", k], out["mean", k - LAYERS - 1])
    np.testing.assert_array_equal(out["mean", LAYERS], embedder(folder).fit_transform(ROWS))
    distinct = {out["mean", k].tobytes() for k in range(LAYERS + 1)}
    assert len(distinct) == LAYERS + 1
    for bad in (LAYERS + 1, -LAYERS - 2):
        with pytest.raises(ValueError, match=rf"layer must be from 0 to {LAYERS} .*, however: got {bad}"):
            embedder(folder, layer=bad).fit_transform(ROWS)


def test_layer_k_is_the_output_of_the_first_k_blocks(folders: dict[str, Path]) -> None:
    """A T5 cut down to k blocks, without the norm behind its last one, and a BERT cut down likewise."""
    from transformers import AutoModel, AutoTokenizer, T5EncoderModel

    for kind, path in folders.items():
        tokenizer = AutoTokenizer.from_pretrained(path)
        for k in range(LAYERS):
            if kind == "t5":
                model = T5EncoderModel.from_pretrained(path)
                model.encoder.block = model.encoder.block[:k]
                model.encoder.final_layer_norm = torch.nn.Identity()
            else:
                model = AutoModel.from_pretrained(path)
                model.encoder.layer = model.encoder.layer[:k]
            model.config.num_hidden_layers = k
            with torch.no_grad():
                hidden = model.eval()(**tokenizer("x0:1.5", return_tensors="pt")).last_hidden_state[0]
            out = embedder(path, layer=k).fit_transform(["x0:1.5"])[0]
            np.testing.assert_allclose(out, hidden.mean(0).numpy(), rtol=0, atol=1e-5)


# --- no forward pass, random weights -----------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["mean", "max", "weighted_mean"])
def test_vocab_stage_is_a_look_up_without_a_forward_pass(folder: Path, pooling: str) -> None:
    model = embedder(folder, stage="vocab", pooling=pooling)
    with counted(model) as batches:
        out = model.fit_transform(ROWS)
    assert batches == [] and model.report_.forward_passes == 0
    plain, tokenizer = plain_model(folder)
    table = plain.get_input_embeddings().weight.detach()
    for text, vector in zip(ROWS, out, strict=True):
        tokens = table[tokenizer(text)["input_ids"]][None]
        expected = POOLINGS[pooling](tokens, torch.ones(tokens.shape[:2]))[0]
        np.testing.assert_allclose(vector, expected.numpy(), rtol=0, atol=1e-6)


def test_vocab_stage_has_no_context_and_no_layers(folders: dict[str, Path]) -> None:
    """No position is looked up; a T5's layer 0 is the look-up itself."""
    model = embedder(folders["bert"], stage="vocab", layer=99)
    assert model.fit_transform(["1" * 500]).shape == (1, 16)
    assert model.report_.tokens_per_row.tolist() == [502]
    zero = embedder(folders["t5"], layer=0).fit_transform(ROWS)
    vocab = embedder(folders["t5"], stage="vocab").fit_transform(ROWS)
    np.testing.assert_allclose(zero, vocab, rtol=0, atol=1e-6)


@pytest.mark.parametrize("stage", ["forward", "vocab"])
def test_random_weights_are_those_of_their_seed(folder: Path, stage: str) -> None:
    def embed(seed: int) -> np.ndarray:
        load_engine.cache_clear()
        return embedder(folder, weights="random", stage=stage, seed=seed).fit_transform(ROWS)

    one, again, other = embed(3), embed(3), embed(4)
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-3
    assert np.abs(one - embedder(folder, stage=stage).fit_transform(ROWS)).max() > 1e-3
    assert np.isfinite(one).all() and one.shape == (len(ROWS), 16)


def test_random_weights_leave_the_global_random_state_alone(folder: Path) -> None:
    load_engine.cache_clear()
    torch.manual_seed(0), np.random.seed(0)
    wanted = torch.rand(1).item(), np.random.rand()
    torch.manual_seed(0), np.random.seed(0)
    embedder(folder, weights="random", seed=7).fit_transform(ROWS)
    assert (torch.rand(1).item(), np.random.rand()) == wanted


def test_random_weights_do_not_depend_on_the_dtype(folder: Path) -> None:
    exact, half = (
        embedder(folder, weights="random", dtype=d)._engine().backend.model.state_dict()
        for d in ("float32", "bfloat16")
    )
    for name, tensor in exact.items():
        assert torch.equal(tensor.bfloat16(), half[name]), name


def test_seed_plays_no_part_in_pretrained_weights(folder: Path) -> None:
    np.testing.assert_array_equal(
        embedder(folder, seed=1).fit_transform(ROWS), embedder(folder, seed=2).fit_transform(ROWS)
    )


# --- long rows ---------------------------------------------------------------------------------------


def test_row_longer_than_the_model_reads_is_an_error_with_two_ways_out(folders: dict[str, Path]) -> None:
    fits, long = "1" * (BERT_CONTEXT - 2), "1" * (BERT_CONTEXT - 1)
    model = embedder(folders["bert"])
    assert model.fit_transform([fits]).shape == (1, 16)
    with pytest.raises(ValueError) as caught:
        model.fit_transform(["x", fits, long, long])
    message = str(caught.value)
    assert message.startswith(f"row 2 has {BERT_CONTEXT + 1} tokens, however: ")
    assert f"reads at most {BERT_CONTEXT}" in message and str(folders["bert"]) in message
    assert "use overflow='truncate' to cut and count such rows" in message
    assert "or a shorter text" in message and "or a model with a longer context" in message


def test_real_limits() -> None:
    """all-MiniLM-L6-v2 reads 512 tokens, though its own setting says less; the T5 arm has no limit."""
    long = " ".join(["1"] * 511)
    with pytest.raises(
        ValueError, match=r"row 0 has 513 tokens, however: all-MiniLM-L6-v2 reads at most 512"
    ):
        embedder(REAL[0]).fit_transform([long])
    assert embedder(REAL[0]).fit_transform([long[:-2]]).shape == (1, 384)
    model = embedder(REAL[1])
    model.fit_transform([" ".join(["1"] * 700)])
    assert model.report_.tokens_per_row[0] > 700


def test_max_tokens_is_a_limit_of_the_users_own(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"row 1 has \d+ tokens, however: max_tokens allows at most 8; "):
        embedder(folder, max_tokens=8).fit_transform(["x", "123456789"])
    with pytest.raises(ValueError, match="max_tokens must be at least 1, however: got 0"):
        embedder(folder, max_tokens=0).fit_transform(ROWS)


@pytest.mark.parametrize("limit", [3, 7, 12])
def test_truncation_equals_the_tokenizers_own_and_is_counted(folder: Path, limit: int) -> None:
    """The special token at the end stays at the end."""
    model = embedder(folder, max_tokens=limit, overflow="truncate", pooling="last", layer=0)
    texts = ["x", "12345", "12}", "1234567890", "1234567890", "{" * 30]
    out = model.fit_transform(texts)
    _, tokenizer = plain_model(folder)
    engine = model._engine()
    lengths = []
    for text in texts:
        cut = tokenizer(text, truncation=True, max_length=limit)["input_ids"]
        whole = engine.tokenize([text])[0]
        assert (engine.truncate(whole, limit) if len(whole) > limit else whole).tolist() == cut
        assert cut[-1] in tokenizer.all_special_ids
        lengths.append(len(cut))
    assert model.report_.tokens_per_row.tolist() == lengths
    too_long = [len(engine.tokenize([t])[0]) > limit for t in texts]
    assert model.report_.truncated == sum(too_long)
    assert model.report_.real_tokens == sum(lengths) - lengths[3]
    np.testing.assert_array_equal(out[3], out[4])


def test_truncation_of_a_real_model() -> None:
    model = embedder(REAL[0], overflow="truncate")
    out = model.fit_transform(["1 " * 600, "1 " * 800, "x"])
    np.testing.assert_array_equal(out[0], out[1])
    assert model.report_.truncated == 2 and model.report_.tokens_per_row.tolist() == [512, 512, 3]


def test_padded_mean_names_the_row_that_is_longer_than_its_length(folders: dict[str, Path]) -> None:
    texts = ["x", "1" * 1023, "1" * 1024]
    with pytest.raises(
        ValueError, match=r"row 2 has 1025 tokens, however: pooling 'padded_mean' divides by 1024"
    ):
        embedder(folders["t5"], pooling="padded_mean").fit_transform(texts)
    model = embedder(folders["t5"], pooling="padded_mean", max_tokens=1024, overflow="truncate")
    assert model.fit_transform(texts).shape == (3, 16) and model.report_.truncated == 1


# --- what is reported --------------------------------------------------------------------------------


def test_report(folders: dict[str, Path], tmp_path: Path) -> None:
    model = embedder(folders["t5"], store=tmp_path)
    texts = ["{1}", "12345", "{1}", "1"]
    model.fit_transform(texts)
    report = model.report_
    assert (report.rows, report.distinct, report.hits, report.truncated) == (4, 3, 0, 0)
    assert report.tokens_per_row.tolist() == [4, 6, 4, 2]
    assert report.unk_rate == pytest.approx((2 + 0 + 2 + 0) / 16)
    assert (report.real_tokens, report.padded_tokens, report.forward_passes) == (12, 18, 1)
    assert report.seconds > 0
    model.transform([*texts, "123"])
    report = model.report_
    assert (report.rows, report.distinct, report.hits) == (5, 4, 3)
    assert report.tokens_per_row.tolist() == [4, 6, 4, 2, 4]
    assert report.unk_rate == pytest.approx(4 / 20)
    assert (report.real_tokens, report.padded_tokens, report.forward_passes) == (4, 4, 1)
    model.transform(texts)
    report = model.report_
    assert (report.hits, report.real_tokens, report.padded_tokens, report.forward_passes) == (3, 0, 0, 0)
    assert report.tokens_per_row.tolist() == [4, 6, 4, 2] and report.unk_rate == pytest.approx(4 / 16)


def test_unknown_tokens_of_braces() -> None:
    """T5 has no braces in its vocabulary, and the report says so; BERT has them."""
    t5, bert = embedder(REAL[1]), embedder(REAL[0])
    for model in (t5, bert):
        model.fit_transform(["{x0:1.2346,x1:-4.5000}", "x0=1"])
    tokens = t5.report_.tokens_per_row
    assert t5.report_.unk_rate == pytest.approx(2 / tokens.sum()) and bert.report_.unk_rate == 0


def test_equal_strings_are_embedded_once_and_order_is_kept(folder: Path) -> None:
    texts = ["b", "a", "b", "ccc", "a", "b"]
    model = embedder(folder)
    with counted(model) as batches:
        out = model.fit_transform(texts)
    assert sum(batches) == 3 and model.report_.distinct == 3
    for text, vector in zip(texts, out, strict=True):
        np.testing.assert_array_equal(vector, out[texts.index(text)])
        np.testing.assert_allclose(vector, embedder(folder).fit_transform([text])[0], rtol=0, atol=1e-6)
    out[0] = 0  # rows of equal strings are copies, not views of one
    assert np.abs(out[2]).max() > 0


# --- the store ---------------------------------------------------------------------------------------


def files(folder: Path) -> set[str]:
    return {p.name for p in folder.glob("*.sqlite")}


def test_second_call_is_served_from_the_store_without_a_model(tmp_path: Path) -> None:
    model = embedder(REAL[0], store=tmp_path)
    out = model.fit_transform(ROWS)
    load_engine.cache_clear()
    again = clone(model)
    np.testing.assert_array_equal(again.fit_transform(ROWS[::-1])[::-1], out)
    assert again.report_.forward_passes == 0 and again.report_.hits == len(set(ROWS))
    assert load_engine.cache_info().misses == 0, "the model was loaded for nothing"


def test_partial_hits_compute_only_what_is_missing(folder: Path, tmp_path: Path) -> None:
    model = embedder(folder, store=tmp_path)
    model.fit_transform(["a", "b"])
    with counted(model) as batches:
        out = model.transform(["c", "a", "d", "b", "c"])
    assert batches == [2]
    np.testing.assert_allclose(out, embedder(folder).fit_transform(["c", "a", "d", "b", "c"]), atol=1e-6)


def test_transform_and_transform_many_share_rows(folder: Path, tmp_path: Path) -> None:
    model = embedder(folder, store=tmp_path)
    many = model.transform_many(ROWS, poolings=["mean", "max"], layers=[0, -1])
    assert len(files(tmp_path)) == 4
    for (pooling, layer), vectors in many.items():
        single = embedder(folder, store=tmp_path, pooling=pooling, layer=layer)
        np.testing.assert_array_equal(single.transform(ROWS), vectors)
        assert single.report_.forward_passes == 0


def test_what_is_stored_stays_when_another_pooling_is_asked_for(folder: Path, tmp_path: Path) -> None:
    """In bfloat16 another batch gives slightly other numbers; rows must not change under the user."""
    model = embedder(folder, store=tmp_path, dtype="bfloat16")
    first = model.fit_transform(["1", "12"])
    both = model.transform_many([*long_and_short(), "1", "12"], poolings=["mean", "max"])
    np.testing.assert_array_equal(both["mean", -1][-2:], first)
    np.testing.assert_array_equal(model.transform(["1", "12"]), first)


def test_a_damaged_row_is_computed_again_with_a_warning(folder: Path, tmp_path: Path) -> None:
    model = embedder(folder, store=tmp_path)
    out = model.fit_transform(ROWS)
    [path] = tmp_path.glob("*.sqlite")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE rows SET vector = zeroblob(length(vector)) WHERE n_tokens = 2")
    with pytest.warns(StoreWarning, match="fail their checksum and are computed again"):
        np.testing.assert_allclose(model.transform(ROWS), out, rtol=0, atol=1e-6)
    model.transform(ROWS)
    assert model.report_.forward_passes == 0


def test_a_store_that_cannot_be_written_is_one_warning_and_right_results(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setitem(_engine.TOKENS_PER_BATCH, "cpu", 8)
    model = embedder(folder, store=tmp_path / "file" / "store")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        many = model.transform_many(ROWS, poolings=["mean", "max"], layers=[0, -1])
    assert model.report_.forward_passes > 1
    assert [w.category for w in caught] == [StoreWarning]
    np.testing.assert_allclose(many["mean", -1], embedder(folder).fit_transform(ROWS), rtol=0, atol=1e-5)


SPACE: list[dict[str, Any]] = [
    {"stage": "vocab"},
    {"weights": "random"},
    {"weights": "random", "seed": 1},
    {"pooling": "max"},
    {"layer": 0},
    {"layer": 1},
    {"max_tokens": 40},
    {"max_tokens": 41},
    {"overflow": "truncate"},
    {"dtype": "bfloat16"},
    {"dtype": "int8"},
]


def test_every_setting_that_changes_numbers_has_a_file_of_its_own(folder: Path, tmp_path: Path) -> None:
    seen: set[str] = set()
    for settings in [{}, *SPACE]:
        model = embedder(folder, store=tmp_path, **settings)
        out = model.fit_transform(ROWS)
        assert model.report_.hits == 0, settings
        assert len(files(tmp_path) - seen) == 1, settings
        seen = files(tmp_path)
        np.testing.assert_array_equal(out, embedder(folder, **settings).fit_transform(ROWS))
    for settings in [{}, *SPACE]:  # and each finds its own again
        model = embedder(folder, store=tmp_path, **settings)
        model.fit_transform(ROWS)
        assert model.report_.hits == len(set(ROWS)) and files(tmp_path) == seen


def test_settings_that_change_nothing_share_a_file(folder: Path, tmp_path: Path) -> None:
    for settings in ({}, {"seed": 5}, {"device": "cpu"}, {"max_tokens": np.int64(40)}, {"max_tokens": 40}):
        embedder(folder, store=tmp_path, **settings).fit_transform(ROWS)
    assert len(files(tmp_path)) == 2
    for layer in (0, 1, -1):
        embedder(folder, store=tmp_path, stage="vocab", layer=layer).fit_transform(ROWS)
    assert len(files(tmp_path)) == 3


@pytest.mark.parametrize("weights", ["pretrained", "random"])
@pytest.mark.parametrize("part", ["weights", "tokenizer", "architecture"])
def test_other_files_in_the_models_folder_are_another_space(tmp_path: Path, part: str, weights: Any) -> None:
    folder = tiny_t5(tmp_path / "model")
    model = embedder(folder, store=tmp_path / "store", weights=weights)
    before = model.fit_transform(ROWS)
    if part == "weights":
        tiny_t5(folder, seed=1)
    elif part == "architecture":
        tiny_t5(folder, d_ff=48)
    else:
        path = folder / "tokenizer.json"
        words = json.loads(path.read_text())
        vocabulary = words["model"]["vocab"]
        vocabulary["1"], vocabulary["2"] = vocabulary["2"], vocabulary["1"]
        path.write_text(json.dumps(words))
    after = model.fit_transform(ROWS)
    assert model.report_.hits == 0 and len(files(tmp_path / "store")) == 2
    if (part, weights) != ("weights", "random"):
        assert np.abs(before - after).max() > 1e-3
    np.testing.assert_array_equal(after, embedder(folder, weights=weights).fit_transform(ROWS))


def test_every_ingredient_of_the_space_counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that a test cannot change for real: revision, device, versions, the package's own format."""
    local = resolve(folder)
    settings: dict[str, Any] = {
        "stage": "forward", "weights": "pretrained", "seed": 0, "dtype": "float32", "device": "cpu",
        "max_tokens": None, "overflow": "error", "backend": "torch", "attention": "auto",
    }  # fmt: skip
    base = _space.describe_space(local, **settings)
    json.dumps(base)  # what a store writes down
    others = [
        _space.describe_space(replace(local, **{name: "other"}), **settings)
        for name in ("revision", "weights_digest", "tokenizer_digest")
    ]
    others.append(_space.describe_space(local, **{**settings, "device": "cuda"}))
    for name in ("torch", "transformers", "tokenizers"):
        with monkeypatch.context() as patch:
            patch.setattr(_space, "version", lambda n, name=name: "0.0" if n == name else "1.0")
            one = _space.describe_space(local, **settings)
            patch.setattr(_space, "version", lambda n: "1.0")
            assert one != _space.describe_space(local, **settings), name
    monkeypatch.setattr(_space, "FORMAT", 0)
    others.append(_space.describe_space(local, **settings))
    assert all(o != base for o in others)
    assert {"torch", "transformers", "tokenizers"} == set(base["versions"])


# --- odd input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (pd.DataFrame({"a": [1], "b": [2]}), "got a table of 2 columns; embreg.serialize makes one string"),
        (pd.DataFrame({"a": ["text"]}), "got a table of 1 columns"),
        ("one text", "a list of strings is needed, however: got one str 'one text'"),
        (b"bytes", "got one bytes"),
        ([1, 2], "row 0 is int 1; embreg.serialize makes one string of each row"),
        (["a", 1.5], "row 1 is float 1.5"),
        (["a", float("nan")], "row 1 is float nan"),
        (["a", None], "row 1 is NoneType None"),
        (pd.Series(["a", pd.NA], dtype="string"), "row 1 is NAType <NA>"),
        (pd.Series([1.0, 2.0]), "row 0 is float 1.0"),
        ([["a"], ["b"]], r"row 0 is list \['a'\]"),
        (np.ones(3), "row 0 is float 1.0"),
        (np.ones((2, 3)), r"X.shape=\(2, 3\); embreg.serialize"),
        (np.array([["a", "b"]]), r"X.shape=\(1, 2\)"),
        (np.array("a"), r"X.shape=\(\)"),
        ({"a": 1}, "a sequence of strings is needed, however: got dict; pass a list"),
        ({"a", "b"}, "however: got set"),
        ((t for t in "ab"), "however: got generator"),
        (None, "however: got NoneType"),
        (5, "however: got int"),
    ],
)
def test_wrong_input_is_a_type_error_that_says_what_came(
    folders: dict[str, Path], X: Any, message: str
) -> None:
    for method in ("fit", "transform", "transform_many"):
        with pytest.raises(TypeError, match=message):
            getattr(embedder(folders["t5"]), method)(X)


@pytest.mark.parametrize("X", [[], (), np.array([], dtype=object), pd.Series([], dtype=object)])
def test_empty_input_is_a_value_error(folders: dict[str, Path], X: Any) -> None:
    with pytest.raises(ValueError, match="at least one string is needed, however: the input is empty"):
        embedder(folders["t5"]).fit_transform(X)


def test_every_kind_of_sequence_is_read_alike(folder: Path) -> None:
    import polars as pl

    expected = embedder(folder).fit_transform(ROWS)
    column = np.array(ROWS, dtype=object)
    for X in (tuple(ROWS), column, column[:, None], np.array(ROWS), pd.Series(ROWS, index=range(7, 0, -1)),
              pd.Series(ROWS, dtype="string"), pl.Series(ROWS), np.array(ROWS)[:, None]):  # fmt: skip
        np.testing.assert_array_equal(embedder(folder).fit_transform(X), expected)


def test_strange_strings(folder: Path, tmp_path: Path) -> None:
    """Emoji, lone surrogates, NUL, control characters, nothing at all: embedded, told apart in the store."""
    texts = [
        "",
        "😀",
        "\ud800",
        "a\udfffb",
        "a?b",
        "\0",
        "a\0b",
        "\n\t\r",
        "\u202e",
        "e\u0301",
        "é",
        "\ufffd",
    ]
    model = embedder(folder, store=tmp_path)
    out = model.fit_transform(texts)
    assert np.isfinite(out).all() and (model.report_.tokens_per_row >= 1).all()
    np.testing.assert_array_equal(out[3], out[4])  # a lone surrogate reads as a question mark
    np.testing.assert_array_equal(model.transform(texts), out)
    assert model.report_.forward_passes == 0
    [check] = spaces.verify(folder=tmp_path)
    assert check.clean and check.rows == len(texts)


@pytest.mark.parametrize("model", REAL)
def test_strange_strings_in_real_models(model: str) -> None:
    out = embedder(model).fit_transform(["", "😀 {x}", "\ud83d", "\0\0", "\ufffd", "ﬁ Ⅷ ²"])
    assert np.isfinite(out).all()


def test_a_string_of_a_hundred_thousand_characters(folders: dict[str, Path]) -> None:
    long = "1234567890" * 10_000
    with pytest.raises(ValueError, match="row 0 has 100002 tokens"):
        embedder(folders["bert"]).fit_transform([long])
    model = embedder(folders["t5"], max_tokens=64, overflow="truncate")
    model.fit_transform([long])
    assert model.report_.tokens_per_row.tolist() == [64] and model.report_.truncated == 1


def test_attention_that_does_not_fit_in_memory_is_an_error_with_a_way_out(folders: dict[str, Path]) -> None:
    """T5 has no limit of positions, and attention over n tokens takes n² of memory."""
    texts = ["x", "1234567890" * 10_000]
    with pytest.raises(ValueError, match=r"row 1 has 100001 tokens, .* 240 GB and \d+ GB are free") as got:
        embedder(folders["t5"], overflow="truncate").fit_transform(texts)
    [limit] = re.findall(r"max_tokens=(\d+) or less", str(got.value))
    assert 1_000 < int(limit) < 100_000
    assert embedder(folders["t5"], stage="vocab").fit_transform(texts).shape == (2, 16)  # no attention there


def test_a_row_without_a_single_token_is_an_error(tmp_path: Path) -> None:
    """As in decoders, whose tokenizers frame nothing."""
    folder = tiny_bert(tmp_path / "model")
    words = json.loads((folder / "tokenizer.json").read_text())
    words["post_processor"] = None
    (folder / "tokenizer.json").write_text(json.dumps(words))
    model = embedder(folder, overflow="truncate", max_tokens=4)
    with pytest.raises(ValueError, match=r"row 1 has no tokens, however: .* needs at least one"):
        model.fit_transform(["12", ""])
    model.fit_transform(["12}}}}}"])  # an unknown token at the end is no special one to be kept
    ids = np.array([5, 6, 7, 8, 1], dtype=np.int32)
    assert model._engine().truncate(ids, 4).tolist() == [5, 6, 7, 8]


def test_values_that_are_not_finite_are_an_error_and_not_stored(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tiny_t5(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    for name in [n for n in weights if "final_layer_norm" in n]:
        weights[name] = weights[name] * float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    torch.set_num_threads(2)
    try:
        with pytest.raises(FloatingPointError, match=r"non-finite values for row 0 in float32; its weights"):
            embedder(folder, store=tmp_path / "store").fit_transform(["x"])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert files(tmp_path / "store") == set()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stage": "token"}, r"stage must be one of \('forward', 'vocab'\), however: got 'token'"),
        ({"weights": "none"}, "weights must be one of"),
        ({"overflow": "cut"}, r"overflow must be one of \('error', 'truncate'\), however: got 'cut'"),
        ({"pooling": "avg"}, r"pooling must be one of \('mean', .* however: got 'avg'"),
        ({"layer": 0.5}, "layer must be a whole number, however: got 0.5"),
        ({"layer": None}, "layer must be a whole number, however: got None"),
        ({"seed": "a"}, "seed must be a whole number, however: got 'a'"),
        ({"max_tokens": 1.5}, "max_tokens must be a whole number or None, however: got 1.5"),
        ({"max_tokens": -1}, "max_tokens must be at least 1, however: got -1"),
        ({"dtype": "float64"}, "dtype must be 'auto', 'float32', 'bfloat16' or 'int8'"),
        ({"model": "no-such-model"}, "unknown model 'no-such-model'"),
    ],
)
def test_wrong_parameter_is_an_error_that_names_it(
    folders: dict[str, Path], settings: dict[str, Any], message: str
) -> None:
    model = embedder(folders["t5"]).set_params(**settings)
    with pytest.raises(ValueError, match=message):
        model.fit_transform(ROWS)


# --- scikit-learn ------------------------------------------------------------------------------------


def test_clone_parameters_and_pickle(folder: Path) -> None:
    model = embedder(folder, pooling="max", layer=1, max_tokens=40, overflow="truncate", seed=3)
    assert clone(model).get_params() == model.get_params()
    assert pickle.loads(pickle.dumps(model)).get_params() == model.get_params()
    out = model.fit_transform(ROWS)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(ROWS), out)
    assert len(pickle.dumps(model)) < 10_000, "the model itself does not travel with the estimator"
    assert repr(TextEmbedder(pooling="max")) == "TextEmbedder(pooling='max')"


def test_nothing_happens_before_it_is_asked_for() -> None:
    """As scikit-learn wants it: a wrong parameter is found by fit, and nothing is loaded by init."""
    model = TextEmbedder("no-such-model", pooling="no-such-pooling", dtype="float1")
    with pytest.raises(NotFittedError):
        model.get_feature_names_out()


def test_names_of_features_and_tables(folder: Path) -> None:
    model = embedder(folder).fit(ROWS)
    assert model.get_feature_names_out().tolist() == [f"e{j}" for j in range(16)]
    table = (
        embedder(folder).set_output(transform="pandas").fit_transform(pd.Series(ROWS, index=list("abcdefg")))
    )
    assert table.columns.tolist() == [f"e{j}" for j in range(16)]


def test_works_in_a_pipeline(folder: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-5, 5, (60, 1))
    texts = serialize(x, decimals=2)
    pipeline = make_pipeline(embedder(folder, pooling="max"), Ridge(1e-3))
    vectors = embedder(folder, pooling="max").fit_transform(texts)
    expected = Ridge(1e-3).fit(vectors[:40], x[:40, 0]).predict(vectors[40:])
    np.testing.assert_allclose(pipeline.fit(texts[:40], x[:40, 0]).predict(texts[40:]), expected, rtol=1e-3)
    search = GridSearchCV(pipeline, {"textembedder__pooling": ["mean", "last"]}, cv=2).fit(texts, x[:, 0])
    assert search.best_params_["textembedder__pooling"] in ("mean", "last")


NUMBERS = "the check passes numbers, where strings are needed"
ONE_COLUMN = "the check takes the input for a table of several columns, and gets one of strings"
STRINGS_AS_INPUT = {
    "check_fit_score_takes_y": NUMBERS,
    "check_estimators_overwrite_params": NUMBERS,
    "check_dont_overwrite_parameters": ONE_COLUMN,
    "check_estimators_fit_returns_self": NUMBERS,
    "check_readonly_memmap_input": NUMBERS,
    "check_n_features_in_after_fitting": NUMBERS,
    "check_positive_only_tag_during_fit": NUMBERS,
    "check_estimators_dtypes": NUMBERS,
    "check_complex_data": "complex numbers are refused, with a TypeError and not the ValueError it wants",
    "check_dtype_object": NUMBERS,
    "check_estimators_empty_data_messages": "an array of no rows or columns of numbers is refused as numbers",
    "check_pipeline_consistency": NUMBERS,
    "check_estimators_nan_inf": "NaN is refused as every number is, with a TypeError",
    "check_estimator_sparse_array": "the check itself turns a sparse column into a format it cannot have",
    "check_estimators_pickle": NUMBERS,
    "check_f_contiguous_array_estimator": ONE_COLUMN,
    "check_transformer_data_not_an_array": ONE_COLUMN,
    "check_transformer_general": ONE_COLUMN,
    "check_transformers_unfitted_stateless": NUMBERS,
    "check_methods_sample_order_invariance": ONE_COLUMN,
    "check_methods_subset_invariance": ONE_COLUMN,
    "check_fit2d_1sample": ONE_COLUMN,
    "check_fit2d_1feature": ONE_COLUMN,
    "check_dict_unchanged": ONE_COLUMN,
    "check_fit_idempotent": NUMBERS,
    "check_fit_check_is_fitted": NUMBERS,
    "check_n_features_in": NUMBERS,
    "check_fit1d": NUMBERS,
    "check_fit2d_predict1d": ONE_COLUMN,
}
"""scikit-learn's checks that fail, and why: all of them for the one reason that strings are the input."""


def outcome(estimator: Any) -> dict[str, list[Any]]:
    out: dict[str, list[Any]] = {}
    for result in check_estimator(estimator, on_skip=None, on_fail=None):
        out.setdefault(result["check_name"], []).append(result["exception"])
    return out


@pytest.mark.filterwarnings("ignore")  # of the checks themselves
def test_scikit_learns_checks_fail_for_strings_only(folders: dict[str, Path]) -> None:
    found = outcome(embedder(folders["t5"]))
    failed = {name for name, exceptions in found.items() if any(exceptions) and "array_api" not in name}
    assert failed == {name for name in STRINGS_AS_INPUT if name in found}


class OfNumbers(TextEmbedder):
    """The embedder behind a door that takes tables of numbers: what scikit-learn can check."""

    def fit(self, X: Any, y: Any = None) -> OfNumbers:
        width = validate_data(self, X).shape[1]
        super().fit(serialize(np.asarray(X, dtype=float), style="values", decimals=6))
        self.n_features_in_ = width
        return self

    def transform(self, X: Any) -> np.ndarray:
        table = validate_data(self, X, reset=False, dtype=np.float64)
        out = super().transform(serialize(table, style="values", decimals=6))
        self.n_features_in_ = table.shape[1]
        return out

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = False
        return tags


@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks_pass_once_numbers_are_made_strings(folders: dict[str, Path]) -> None:
    """Order, subsets, pickling, repeated fits, parameters left alone: with one exception.

    ``check_dict_unchanged`` wants a transform to leave no trace; ``report_`` and ``space_`` say what the
    last transform did.
    """
    found = outcome(OfNumbers(str(folders["t5"]), dtype="float32", store=None))
    failed = {n: e for n, exceptions in found.items() for e in exceptions if e and "array_api" not in n}
    assert set(failed) == {"check_dict_unchanged"}, failed


def test_local_copies_of_one_model_share_rows(folder: Path, tmp_path: Path) -> None:
    """Content decides, not the path: a folder that was moved finds its rows again."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    embedder(folder, store=tmp_path / "store").fit_transform(ROWS)
    model = embedder(copy, store=tmp_path / "store")
    model.fit_transform(ROWS)
    assert model.report_.hits == len(set(ROWS))
