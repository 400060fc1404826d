"""OpenVINO and torch give the same numbers, and what the book promises of batches and padding holds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from embreg import TextEmbedder, serialize
from embreg.engine import backends as _backends
from embreg.engine import openvino_graph as _ir
from embreg.engine.backends import OPENVINO_TYPES, resolve_backend
from embreg.engine.core import Engine, Output, load_engine
from embreg.models import OFFLINE, resolve
from embreg.tasks import bbob_points
from tests.tiny import LAYERS, tiny_bert, tiny_model, tiny_t5

REAL = ["all-MiniLM-L6-v2", "flan-t5-small-titles"]
ROWS = ["x", "{x0:1.2346,x1:-4.5}", "", "12", "x0=1.2346; x1=-4.5", "a b c d e f", "7" * 40]

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed (extra cpu)"),
]


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    load_engine.cache_clear()
    monkeypatch.setenv("EMBREG_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    load_engine.cache_clear()


def embedder(model: Path | str, backend: str, **settings: Any) -> TextEmbedder:
    chosen: dict[str, Any] = {"dtype": "float32", "store": None, "backend": backend, **settings}
    return TextEmbedder(str(model), **chosen)


def mixed_rows() -> list[str]:
    """From 2 to 20 coordinates, as in a real mix."""
    return [t for d in (2, 5, 20) for t in serialize(bbob_points(d, 10, seed=1))]


def off(a: np.ndarray, b: np.ndarray) -> float:
    """Largest distance of two vectors of a row, relative to its length."""
    return float((np.linalg.norm(a - b, axis=1) / np.linalg.norm(b, axis=1)).max())


# --- the two backends --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", OPENVINO_TYPES)
def test_every_type_that_openvino_may_compute_agrees_in_every_layer(kind: str, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / kind, kind)
    layers = list(range(LAYERS + 1))
    one = embedder(folder, "torch").transform_many(ROWS, poolings=["mean", "last"], layers=layers)
    other = embedder(folder, "openvino").transform_many(ROWS, poolings=["mean", "last"], layers=layers)
    for key in one:
        scale = max(1.0, float(np.abs(one[key]).max()))
        np.testing.assert_allclose(other[key], one[key], rtol=0, atol=1e-5 * scale, err_msg=str(key))


@pytest.mark.parametrize("model", OFFLINE)
def test_models_that_work_offline_agree_to_1e5(model: str) -> None:
    texts = mixed_rows()
    one = embedder(model, "torch").fit_transform(texts)
    other = embedder(model, "openvino").fit_transform(texts)
    np.testing.assert_allclose(other, one, rtol=0, atol=1e-5)


def test_random_weights_agree_and_are_not_kept(own_home: Path, tmp_path: Path) -> None:
    folder = tiny_t5(tmp_path / "t5")
    for seed in (0, 1):
        out = [
            embedder(folder, backend, weights="random", seed=seed).fit_transform(ROWS)
            for backend in ("torch", "openvino")
        ]
        np.testing.assert_allclose(out[1], out[0], rtol=0, atol=1e-5)
    assert not (own_home / "openvino").exists()


def test_layers_asked_for_together_and_alone_are_the_same(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "bert")
    together = embedder(folder, "openvino").transform_many(ROWS, layers=[0, 1, 2, -1])
    for (_, layer), vectors in together.items():
        alone = embedder(folder, "openvino", layer=layer).fit_transform(ROWS)
        np.testing.assert_allclose(alone, vectors, rtol=0, atol=1e-6)


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_eager_attention_is_the_same_function_and_another_space(backend: str, tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "bert")
    usual, eager = (embedder(folder, backend, attention=a, store=tmp_path / "s") for a in ("auto", "eager"))
    np.testing.assert_allclose(eager.fit_transform(ROWS), usual.fit_transform(ROWS), rtol=0, atol=1e-5)
    assert usual.space_ != eager.space_ and eager.report_.hits == 0


def test_backends_do_not_share_rows(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "bert")
    for backend in ("torch", "openvino"):
        model = embedder(folder, backend, store=tmp_path / "store")
        model.fit_transform(ROWS)
        assert model.report_.hits == 0 and model.space_["backend"] == backend
        assert ("openvino" in model.space_["versions"]) == (backend == "openvino")
    assert len(list((tmp_path / "store").glob("*.sqlite"))) == 2


def test_threads_share_a_model_and_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small batches in several threads: bit for bit what one thread gives."""
    from embreg.engine import core as _engine

    monkeypatch.setitem(_engine.TOKENS_PER_BATCH, "cpu", 64)
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("0123456789.,:"), rng.integers(1, 40))) for _ in range(200)]
    model = embedder(tiny_bert(tmp_path / "bert"), "openvino")
    wanted: dict[str, Any] = {"poolings": ["mean", "max", "last"], "layers": [0, 2, -1]}
    alone = model.transform_many(texts, **wanted)
    for threads in (2, 5):
        torch.set_num_threads(threads)
        try:
            several = model.transform_many(texts, **wanted)
        finally:
            torch.set_num_threads(1)
        for key in alone:
            np.testing.assert_array_equal(several[key], alone[key])


def test_a_width_that_many_rows_share_has_a_graph_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which changes no more than the size of a batch does."""
    if not _backends._has_bfloat16():
        pytest.skip("fixed widths are for bfloat16, which this processor lacks")
    from embreg.engine import openvino_backend as _openvino

    texts = [t for n in (10, 20, 30) for t in (f"{i:0{n}d}" for i in range(20))]
    model = embedder(tiny_bert(tmp_path / "bert"), "openvino", dtype="bfloat16")
    usual = model.fit_transform(texts)
    monkeypatch.setattr(_openvino, "_WORTH", 20 * 22)  # of 12, 22 and 32 tokens, the two longer ones
    np.testing.assert_allclose(off(model.transform(texts), usual), 0, atol=2e-2)
    backend = model._engine().backend
    assert sorted(w for _, _, w in backend._compiled if w) == [22, 32]


# --- promises of the book ----------------------------------------------------------------------------


@pytest.mark.parametrize("model", REAL)
@pytest.mark.parametrize(
    ("backend", "dtype", "tolerance"),
    [("torch", "float32", 1e-6), ("openvino", "float32", 1e-6), ("torch", "bfloat16", 2e-2),
     ("openvino", "bfloat16", 2e-2), ("torch", "int8", 2e-6), ("openvino", "int8", 4e-2)],
)  # fmt: skip
def test_company_and_order_of_rows_change_little(
    model: str, backend: str, dtype: Any, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By 1e-6 of a vector's length in float32, by 2e-2 in bfloat16; int8 by what it multiplies in."""
    texts = mixed_rows()
    if backend == "openvino" and dtype == "bfloat16" and not _backends._has_bfloat16():
        pytest.skip("this processor has no bfloat16")
    usual = embedder(model, backend, dtype=dtype).fit_transform(texts)
    backwards = embedder(model, backend, dtype=dtype).fit_transform(texts[::-1])[::-1]
    alone = np.vstack([embedder(model, backend, dtype=dtype).fit_transform([t]) for t in texts])
    monkeypatch.setitem(_backends_budget(), "cpu", 10**6)
    one_batch = embedder(model, backend, dtype=dtype).fit_transform(texts)
    for other in (backwards, alone, one_batch):
        assert off(other, usual) <= tolerance


def _backends_budget() -> dict[str, int]:
    from embreg.engine import core as _engine

    return _engine.TOKENS_PER_BATCH


@pytest.mark.parametrize("model", REAL)
@pytest.mark.parametrize("backend", ["torch", "openvino"])
@pytest.mark.parametrize("pad", [1, 7, 64])
def test_padding_changes_nothing_beyond_rounding(model: str, backend: str, pad: int) -> None:
    """By 1e-6 of a vector's length in float32, however much of it and whatever token it is."""
    engine = embedder(model, backend)._engine()
    ids = engine.tokenize(mixed_rows()[:12:4])
    output = Output("mean", -1)
    from embreg.engine.core import Work

    for row in ids:
        [_, tight, _] = engine.read(Work([0], [row], len(row)), [output], "forward")
        [_, wide, _] = engine.read(Work([0], [row], len(row) + pad), [output], "forward")
        assert off(wide[output], tight[output]) <= 1e-6


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_default_model_equals_sentence_transformers(backend: str) -> None:
    """To 1e-5, not normalised."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    folder = resolve(REAL[0]).path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own deprecations
        words = Transformer(str(folder), max_seq_length=512)
        peer = SentenceTransformer(modules=[words, Pooling(384, pooling_mode="mean")], device="cpu")
        texts = [*mixed_rows(), "Plain words, too.", "x"]
        expected = peer.encode(texts, batch_size=5, show_progress_bar=False, normalize_embeddings=False)
    np.testing.assert_allclose(embedder(REAL[0], backend).fit_transform(texts), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_t5_equals_plain_t5_encoder_model(backend: str) -> None:
    """To 1e-5, row by row without padding."""
    from transformers import AutoTokenizer, T5EncoderModel

    folder = resolve(REAL[1]).path
    model = T5EncoderModel.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = mixed_rows()[::3]
    with torch.no_grad():
        expected = np.vstack(
            [model(**tokenizer(t, return_tensors="pt")).last_hidden_state.mean(1).numpy() for t in texts]
        )
    np.testing.assert_allclose(embedder(REAL[1], backend).fit_transform(texts), expected, rtol=0, atol=1e-5)


# --- which backend -----------------------------------------------------------------------------------


def test_openvino_is_taken_where_it_is_known_to_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_backends.platform, "machine", lambda: "x86_64")
    bert, other = resolve(tiny_bert(tmp_path / "bert")), tmp_path / "gpt"
    shutil.copytree(bert.path, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "model_type": "gpt2"}))
    unknown = resolve(other)
    usual: dict[str, Any] = {"stage": "forward", "dtype": "float32", "device": "cpu"}
    assert resolve_backend("auto", bert, **usual) == "openvino"
    assert resolve_backend("torch", bert, **usual) == "torch"
    assert resolve_backend("auto", bert, **{**usual, "stage": "vocab"}) == "torch"
    assert resolve_backend("auto", bert, **{**usual, "device": "cuda"}) == "torch"
    assert resolve_backend("auto", unknown, **usual) == "torch"
    with pytest.raises(ValueError, match=r"cannot be used with a model of type 'gpt2': tested are bert, "):
        resolve_backend("openvino", unknown, **usual)
    with pytest.raises(ValueError, match=r"cannot be used with device='cuda': .*; use backend='torch'"):
        resolve_backend("openvino", bert, **{**usual, "device": "cuda"})
    monkeypatch.setattr(_backends, "_has_bfloat16", lambda: False)
    assert resolve_backend("auto", bert, **{**usual, "dtype": "bfloat16"}) == "torch"
    with pytest.raises(ValueError, match=r"dtype='bfloat16': this processor lacks it; use dtype='float32'"):
        resolve_backend("openvino", bert, **{**usual, "dtype": "bfloat16"})
    monkeypatch.setattr(_backends.platform, "machine", lambda: "arm64")
    assert resolve_backend("auto", bert, **usual) == "torch"
    monkeypatch.setattr(_backends, "find_spec", lambda name: None)
    assert resolve_backend("auto", bert, **usual) == "torch"
    with pytest.raises(ImportError, match=r"pip install 'embreg\[cpu\]', or backend='torch'"):
        resolve_backend("openvino", bert, **usual)


def test_openvino_reports_nothing_to_anybody(tmp_path: Path) -> None:
    """Its telemetry would leave files in the home folder, and reach for the network."""
    folder = tiny_bert(tmp_path / "bert")
    code = (
        "import sys; from embreg import TextEmbedder; "
        "e = TextEmbedder(sys.argv[1], backend='openvino', store=None); e.fit_transform(['x']); "
        "assert e.space_['backend'] == 'openvino'; "
        "assert sys.modules['openvino_telemetry'] is None"
    )
    env = {k: v for k, v in os.environ.items() if k != "CI"} | {"HOME": str(tmp_path / "home")}
    env |= {"USERPROFILE": env["HOME"], "EMBREG_HOME": str(tmp_path / "embreg")}
    (tmp_path / "home").mkdir()
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, env=env, timeout=120)
    assert list((tmp_path / "home").rglob("*intel*")) == []


def test_a_device_that_is_not_here_is_an_error_before_anything_is_loaded(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "bert")
    with pytest.raises(ValueError, match=r"device must be 'auto', 'cpu', .* however: got 'gpu'"):
        embedder(folder, "torch", device="gpu").fit_transform(ROWS)
    with pytest.raises(ValueError, match=r"device='cuda:99' is not to be had: torch .* of cuda here"):
        embedder(folder, "torch", device="cuda:99").fit_transform(ROWS)


# --- the converted model on disk ---------------------------------------------------------------------


def kept(home: Path) -> Path:
    [folder] = [p for p in (home / "openvino").iterdir() if p.is_dir()]
    return folder


def test_a_model_is_converted_once_and_kept(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_t5(tmp_path / "t5")
    first = embedder(folder, "openvino").fit_transform(ROWS)
    assert {p.name for p in kept(own_home).iterdir()} == {"model.xml", "model.bin", "card.json"}
    load_engine.cache_clear()
    monkeypatch.setattr(_ir, "_convert", lambda *_: pytest.fail("converted again"))
    np.testing.assert_array_equal(embedder(folder, "openvino").fit_transform(ROWS), first)


@pytest.mark.parametrize(
    ("name", "damage"),
    [("model.bin", "flip"), ("model.xml", "cut"), ("model.bin", "remove"), ("card.json", "flip"),
     ("card.json", "remove")],
)  # fmt: skip
def test_a_damaged_conversion_is_made_again_with_a_warning(
    own_home: Path, tmp_path: Path, name: str, damage: str
) -> None:
    folder = tiny_t5(tmp_path / "t5")
    first = embedder(folder, "openvino").fit_transform(ROWS)
    path = kept(own_home) / name
    content = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    else:
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content if damage == "flip" else content[: len(content) // 2])
    for quiet in (name == "card.json" and damage == "remove", True):  # made anew, it is sound
        load_engine.cache_clear()
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            again = embedder(folder, "openvino").fit_transform(ROWS)
        np.testing.assert_array_equal(again, first)
        told = [str(w.message) for w in seen]
        assert len(told) == (0 if quiet else 1)
        assert quiet or "the model is converted again" in told[0]


def test_a_conversion_that_cannot_be_kept_is_one_warning(own_home: Path, tmp_path: Path) -> None:
    own_home.mkdir()
    (own_home / "openvino").write_text("in the way")
    folder = tiny_bert(tmp_path / "bert")
    with pytest.warns(UserWarning, match=r"the converted model is not kept in .*openvino") as seen:
        out = embedder(folder, "openvino").fit_transform(ROWS)
    assert len(seen) == 1
    np.testing.assert_allclose(out, embedder(folder, "torch").fit_transform(ROWS), rtol=0, atol=1e-5)


def test_a_conversion_that_computes_something_else_is_refused(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if tracing had lost the mask: padding would then change every vector."""
    openvino = _backends.import_openvino()
    convert: Callable[..., Any] = openvino.convert_model

    def without_mask(module: Any, example_input: dict[str, torch.Tensor]) -> Any:
        forward = module.model.forward

        def unmasked(input_ids: Any, attention_mask: Any, **rest: Any) -> Any:
            return forward(input_ids=input_ids, attention_mask=attention_mask * 0 + 1, **rest)

        module.model.forward = unmasked
        try:
            return convert(module, example_input=example_input)
        finally:
            module.model.forward = forward

    monkeypatch.setattr(openvino, "convert_model", without_mask)
    with pytest.raises(_ir.ConversionError, match=r"hidden state 1 is off by .* use backend='torch'"):
        embedder(tiny_bert(tmp_path / "bert"), "openvino").fit_transform(ROWS)
    assert not [p for p in (own_home / "openvino").iterdir() if p.is_dir()]


# --- accelerators, as far as a CPU can tell ----------------------------------------------------------


def test_starting_a_batch_before_the_last_is_read_changes_nothing(tmp_path: Path) -> None:
    engine: Engine = embedder(tiny_t5(tmp_path / "t5"), "torch")._engine()
    from embreg.engine.core import Work

    ids = engine.tokenize(ROWS)
    work = [Work([i], [row], len(row)) for i, row in enumerate(ids)]
    outputs = [Output("mean", -1), Output("max", 0)]
    ahead = list(engine._ahead(work, outputs, "forward"))
    for batch, got in zip(work, ahead, strict=True):
        rows, vectors, size = engine.read(batch, outputs, "forward")
        assert (rows, size) == (got[0], got[2]) == (batch.rows, batch.width)
        for output in outputs:
            np.testing.assert_array_equal(got[1][output], vectors[output])


@pytest.mark.parametrize("kind", ["t5", "bert"])
def test_a_model_larger_than_one_card_is_spread(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By accelerate; without a card, it spreads over the CPU."""
    from embreg.engine import torch_backend as _torch

    pytest.importorskip("accelerate", reason="accelerate is not installed (extra gpu)")
    engine = embedder(tiny_model(tmp_path / kind, kind), "torch")._engine()
    monkeypatch.setattr(_torch, "_too_large", lambda *_: True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spread = _torch.load_model(engine.local, engine.config, engine.recipe, device="cuda")
    tokens = torch.tensor([[5, 6, 7, 2]])
    with torch.inference_mode():
        expected = engine.backend.hidden(tokens, tokens * 0 + 1, frozenset({LAYERS}))[LAYERS]
        got = spread(input_ids=tokens, attention_mask=tokens * 0 + 1).last_hidden_state
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("model", REAL)
def test_cuda_agrees_with_the_cpu(model: str) -> None:
    texts = mixed_rows()
    cpu = embedder(model, "torch").fit_transform(texts)
    np.testing.assert_allclose(embedder(model, "torch", device="cuda").fit_transform(texts), cpu, atol=1e-4)


def test_two_threads_may_meet_openvino_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first look at numpy hung for ever where two threads came to it at once; the wait makes them."""
    if find_spec("openvino") is None:
        pytest.skip("openvino is not installed")
    code = """
import builtins, os, sys, threading, time
import torch
from embreg import TextEmbedder

real = builtins.__import__

def slow(name, *rest, **more):
    if name.startswith("numpy") and threading.current_thread().name.startswith("embreg"):
        time.sleep(0.3)
    return real(name, *rest, **more)

torch.set_num_threads(2)
embedder = TextEmbedder(sys.argv[1], backend="openvino", dtype="float32", store=None)
texts = [" ".join(["a"] * 20) + str(i) for i in range(600)]  # more than one batch
embedder.fit(texts)
builtins.__import__ = slow
assert embedder.transform(texts).shape[0] == 600
"""
    env = {**os.environ, "EMBREG_HOME": str(tmp_path / "home")}
    monkeypatch.setenv("EMBREG_HOME", env["EMBREG_HOME"])
    folder = tiny_bert(tmp_path / "model")
    TextEmbedder(str(folder), backend="openvino", store=None).fit_transform(
        ["a"]
    )  # keeps the converted graph
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, env=env, timeout=120)
