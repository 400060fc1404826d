"""Every family of models that must work gives what a slow loop gives, row by row and without padding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from embreg import TextEmbedder
from embreg._shape import folder_shape
from embreg.engine import memory as _memory
from embreg.engine import torch_backend as _torch
from embreg.engine.backends import OPENVINO_TYPES
from embreg.engine.core import Output, Recipe, Work
from embreg.models import resolve
from tests.tiny import (
    DECODERS,
    LAYERS,
    tiny_decoder,
    tiny_model,
    tiny_sentencepiece_t5,
    tiny_t5,
)

pytestmark = pytest.mark.usefixtures("one_thread")

ENCODERS = ("bert", "roberta", "distilbert", "mpnet", "modernbert", "nomic_bert")
T5 = {"t5-v1_1": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
      "flan-t5": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "whole": True},
      "t5-v1_0": {"feed_forward_proj": "relu", "tie_word_embeddings": True}}  # fmt: skip
ALL = (*T5, *ENCODERS, *DECODERS)
ROWS = ["x", "x0:1.2346,x1:-4.5", "12", "x0=1.2346; x1=-4.5", "a b c d e f", "x0:1.0000,x1:2.5000,x2:-3.25"]
TOLERANCE = 1e-5  # of the largest value, in float32


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    base = tmp_path_factory.mktemp("architectures")

    @cache
    def one(name: str) -> Path:
        if name in T5:
            return tiny_sentencepiece_t5(base / name, **T5[name])
        return tiny_decoder(base / name, name) if name in DECODERS else tiny_model(base / name, name)

    return one


def embedder(model: Path, **settings: Any) -> TextEmbedder:
    return TextEmbedder(str(model), **{"dtype": "float32", "store": None, "backend": "torch", **settings})


# --- the slow twin: transformers, one row at a time, pooled by hand ----------------------------------


@lru_cache(maxsize=8)
def twin(folder: Path) -> tuple[Any, Callable[[str], list[int]]]:
    from tokenizers import Tokenizer
    from transformers import AutoModel, AutoTokenizer, T5EncoderModel

    t5 = json.loads((folder / "config.json").read_text())["model_type"] == "t5"
    model = (T5EncoderModel if t5 else AutoModel).from_pretrained(folder, dtype=torch.float32)
    if (folder / "tokenizer.json").is_file():
        own = Tokenizer.from_file(str(folder / "tokenizer.json"))
        return model.eval(), lambda text: own.encode(text).ids
    made = AutoTokenizer.from_pretrained(folder)
    return model.eval(), lambda text: made(text)["input_ids"]


def twin_states(folder: Path, text: str) -> list[np.ndarray]:
    """All hidden states of one row, (tokens, d) each."""
    model, read = twin(folder)
    with torch.no_grad():
        out = model(input_ids=torch.tensor([read(text)]), output_hidden_states=True)
    return [h[0].numpy() for h in (*out.hidden_states[:-1], out.last_hidden_state)]


POOLED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": lambda h: h.mean(0),
    "weighted_mean": lambda h: np.average(h, axis=0, weights=np.arange(1, len(h) + 1)),
    "last": lambda h: h[-1],
    "cls": lambda h: h[0],
}


def expected(folder: Path, pooling: str, layer: int) -> np.ndarray:
    return np.stack([POOLED[pooling](twin_states(folder, text)[layer]) for text in ROWS])


def assert_close(got: np.ndarray, wanted: np.ndarray, what: Any = "") -> None:
    scale = max(1.0, float(np.abs(wanted).max()))
    np.testing.assert_allclose(got, wanted, rtol=0, atol=TOLERANCE * scale, err_msg=str(what))


@pytest.mark.parametrize("name", ALL)
def test_every_family_equals_its_twin_in_every_layer(name: str, make: Callable[[str], Path]) -> None:
    """In one batch of rows of all lengths, by the backend that it gets by itself and by the reference."""
    folder, layers = make(name), range(LAYERS + 1)
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    for backend in ("torch", "auto"):
        model = embedder(folder, backend=backend)
        many = model.transform_many(ROWS, poolings=list(POOLED), layers=layers)
        for (pooling, layer), vectors in many.items():
            assert_close(vectors, expected(folder, pooling, layer), (backend, pooling, layer))
        assert model.report_.truncated == 0 and model.report_.tokens_per_row.tolist() == [
            len(twin(folder)[1](text)) for text in ROWS
        ]
    if find_spec("openvino") is None or kind not in OPENVINO_TYPES:
        assert model.space_["backend"] == "torch"


# --- decoders ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["left", "right", "both"])
@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_reads_the_same_wherever_the_padding_is(
    name: str, side: str, make: Callable[[str], Path]
) -> None:
    """Position ids count tokens, the mask hides padding of whatever kind, poolings find the last token."""
    from embreg.pooling import get

    folder = make(name)
    engine = embedder(folder)._engine()
    ids = engine.tokenize(ROWS)
    width = max(map(len, ids)) + 3
    tokens = torch.full((len(ids), width), 7)
    mask = torch.zeros((len(ids), width), dtype=torch.long)
    for row, one in enumerate(ids):
        start = {"left": width - len(one), "right": 0, "both": (width - len(one)) // 2}[side]
        tokens[row, start : start + len(one)] = torch.from_numpy(one)
        mask[row, start : start + len(one)] = 1
    with torch.inference_mode():
        states = engine.backend.hidden(tokens, mask, frozenset(range(LAYERS + 1)))
    for layer, hidden in states.items():
        for pooling in ("mean", "weighted_mean", "last"):
            assert_close(
                get(pooling)(hidden, mask).numpy(), expected(folder, pooling, layer), (pooling, layer)
            )


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_is_causal(name: str, make: Callable[[str], Path]) -> None:
    """The vector of the first token does not know the rest; that of an encoder does."""

    def first(model: str) -> np.ndarray:
        engine = embedder(make(model))._engine()
        [ids] = engine.tokenize(["x0:-2.5000,x1:4.0000"])
        work, output = Work([0, 1], [ids[:3], ids], len(ids)), Output("cls", -1)
        return engine.read(work, [output], "forward")[1][output]

    short, long = first(name)
    assert_close(long, short)
    short, long = first("bert")
    assert np.abs(long - short).max() > 1e-2


@pytest.mark.parametrize("name", DECODERS)
def test_a_tokenizer_without_a_padding_token_is_no_obstacle(name: str, make: Callable[[str], Path]) -> None:
    engine = embedder(make(name))._engine()
    assert engine.tokenizer.pad_token_id is None
    usual = embedder(make(name)).fit_transform(ROWS)
    engine.pad, before = 9, engine.pad  # whatever stands in the padding
    try:
        np.testing.assert_array_equal(embedder(make(name)).fit_transform(ROWS), usual)
    finally:
        engine.pad = before


@pytest.mark.parametrize("name", DECODERS)
def test_special_tokens_are_those_of_the_tokenizers_file(name: str, make: Callable[[str], Path]) -> None:
    """Not of a class of transformers that means well, and would forget that digits are split."""
    texts = [*ROWS, "  two  spaces\nline ", "naïve 😀", "<eos> in the middle", "{x}"]
    ids = [i.tolist() for i in embedder(make(name))._engine().tokenize(texts)]
    assert ids == [twin(make(name))[1](t) for t in texts]
    assert all(row[0] == 0 for row in ids) == ("before" in DECODERS[name])
    assert all(row[-1] == 1 for row in ids) == ("after" in DECODERS[name])
    if name == "smollm":
        assert len(ids[0]) == 1 and len(embedder(make(name))._engine().tokenize(["12345678"])[0]) == 8
    if "before" not in DECODERS[name] and "after" not in DECODERS[name]:
        with pytest.raises(ValueError, match="row 0 has no tokens"):
            embedder(make(name)).fit_transform([""])


def test_truncation_keeps_the_ending_of_a_decoder_that_has_one(make: Callable[[str], Path]) -> None:
    for name, last in (("qwen3", True), ("qwen2", False)):
        model = embedder(make(name), max_tokens=5, overflow="truncate")
        [ids] = model._engine().tokenize(["x0:1.2346,x1:-4.5"])
        cut = model._engine().truncate(ids, 5)
        assert cut.tolist() == [*ids[: 5 - last].tolist(), *([1] if last else [])]


def test_chat_templates_play_no_part(tmp_path: Path, make: Callable[[str], Path]) -> None:
    """Whether in the settings or in a file of its own: no roles, no system text."""
    folder = tiny_decoder(tmp_path / "chat", "qwen2")
    chat = "{{ '<|system|>You are helpful.' }}{% for m in messages %}<|user|>{{ m.content }}{% endfor %}"
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "chat_template": chat}))
    (folder / "chat_template.jinja").write_text(chat)
    model = embedder(folder)
    engine = model._engine()
    assert "You are helpful" in engine.tokenizer.apply_chat_template(
        [{"role": "user", "content": "x"}], tokenize=False
    )
    plain = embedder(make("qwen2"))
    for one, other in zip(engine.tokenize(ROWS), plain._engine().tokenize(ROWS), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(model.fit_transform(ROWS), plain.fit_transform(ROWS))


@pytest.mark.parametrize("name", ["mistral", "gemma2", "gemma3_text", "gpt_oss", "modernbert"])
def test_a_window_changes_long_rows_only(name: str, tmp_path: Path) -> None:
    """A row that the window holds reads as it does under full attention; a longer one does not."""
    window = "local_attention" if name == "modernbert" else "sliding_window"
    write: Any = tiny_model if name == "modernbert" else tiny_decoder
    narrow, wide = (
        embedder(write(tmp_path / str(size), name, **{window: size}), pooling="last").fit_transform(
            ["x0:", "x0:1.2346,x1:-4.5,x2:1.25,x3:-0.75"]
        )
        for size in (16, 512)
    )
    assert_close(narrow[0], wide[0])
    assert np.abs(narrow[1] - wide[1]).max() > 1e-4


# --- T5 with the tokenizer it is published with ------------------------------------------------------


@pytest.mark.parametrize("name", T5)
def test_sentencepiece_tokens_are_those_of_the_package(name: str, make: Callable[[str], Path]) -> None:
    import sentencepiece

    folder = make(name)
    assert not (folder / "tokenizer.json").exists()
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    texts = [*ROWS, "", "{x0:1.5}", "  two  spaces\nline ", "naïve 😀 ﬁ Ⅷ ²", "a\tb", "7" * 300]
    engine = embedder(folder)._engine()
    got = [ids.tolist() for ids in engine.tokenize(texts)]
    assert got == [[*pieces.encode(text), 1] for text in texts]
    assert 2 in got[texts.index("{x0:1.5}")], "braces are unknown, as in T5"
    assert engine.context is None


def test_only_the_encoder_of_a_whole_t5_is_loaded(make: Callable[[str], Path]) -> None:
    from safetensors import safe_open
    from transformers import T5ForConditionalGeneration

    folder = make("flan-t5")
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert any(key.startswith("decoder.") for key in file.keys())  # noqa: SIM118
    model = embedder(folder)._engine().backend.model
    names = [name for name, _ in model.named_parameters()]
    assert names and not any("decoder" in name or "lm_head" in name for name in names)
    whole = T5ForConditionalGeneration.from_pretrained(folder).eval()
    read = twin(folder)[1]
    with torch.no_grad():
        wanted = [whole.encoder(torch.tensor([read(t)]))[0][0].mean(0).numpy() for t in ROWS]
    assert_close(embedder(folder).fit_transform(ROWS), np.stack(wanted))


def test_of_another_encoder_decoder_the_encoder_is_read(tmp_path: Path) -> None:
    """BART's whole model ends in its decoder."""
    from transformers import BartConfig, BartModel

    folder = tiny_model(tmp_path / "bart", "bert")
    vocabulary = json.loads((folder / "config.json").read_text())["vocab_size"]
    shape = {f"{side}_{what}": n for side in ("encoder", "decoder")
             for what, n in (("layers", 2), ("attention_heads", 2), ("ffn_dim", 32))}  # fmt: skip
    settings = BartConfig(vocab_size=vocabulary, d_model=16, max_position_embeddings=64, **shape)
    torch.manual_seed(0)
    whole = BartModel(settings).eval()
    whole.save_pretrained(folder)
    ids = embedder(folder)._engine().tokenize(ROWS)
    with torch.no_grad():
        wanted = [whole.encoder(torch.tensor(i[None]).long())[0][0].mean(0).numpy() for i in ids]
    assert_close(embedder(folder).fit_transform(ROWS), np.stack(wanted))
    assert set(embedder(folder).transform_many(ROWS, layers=[0, 1, 2, -1])) == {
        ("mean", k) for k in (0, 1, 2, -1)
    }


# --- limits, stages, weights -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_the_context_is_what_the_configuration_says(name: str, make: Callable[[str], Path]) -> None:
    engine = embedder(make(name))._engine()
    limit = None if name in T5 else 64 if name in DECODERS else 48
    if name in ("modernbert", "nomic_bert"):
        limit = 50  # these count positions from 0: all of them can be used
    assert engine.context == limit
    if limit is None:
        return
    [framed] = engine.tokenize(["1"])
    extra = len(framed) - 1
    texts = ["1" + "~" * (limit - extra - 1), "1" + "~" * (limit - extra)]  # bytes that nothing was merged of
    model = embedder(make(name))
    assert model.fit_transform(texts[:1]).shape == (1, 16) and model.report_.tokens_per_row[0] == limit
    with pytest.raises(ValueError, match=f"row 1 has {limit + 1} tokens, however: .* reads at most {limit}"):
        model.fit_transform(texts)


PUBLISHED: dict[str, tuple[int | None, dict[str, Any]]] = {
    "gpt2": (1024, {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024}),
    "pythia-70m": (2048, {"model_type": "gpt_neox", "hidden_size": 512, "num_hidden_layers": 6,
                          "num_attention_heads": 8, "intermediate_size": 2048,
                          "max_position_embeddings": 2048}),
    "SmolLM2-135M": (8192, {"model_type": "llama", "hidden_size": 576, "num_hidden_layers": 30,
                            "num_attention_heads": 9, "num_key_value_heads": 3, "intermediate_size": 1536,
                            "max_position_embeddings": 8192}),
    "Qwen3-Embedding-0.6B": (32768, {"model_type": "qwen3", "hidden_size": 1024, "num_hidden_layers": 28,
                                     "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
                                     "intermediate_size": 3072, "max_position_embeddings": 32768}),
    "gemma-3-270m": (32768, {"model_type": "gemma3_text", "hidden_size": 640, "num_hidden_layers": 18,
                             "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256,
                             "intermediate_size": 2048, "max_position_embeddings": 32768}),
    "flan-t5-small": (None, {"model_type": "t5", "d_model": 512, "d_kv": 64, "d_ff": 1024, "num_layers": 8,
                             "num_heads": 6, "feed_forward_proj": "gated-gelu", "n_positions": 512}),
    "ModernBERT-base": (8192, {"model_type": "modernbert", "hidden_size": 768, "num_hidden_layers": 22,
                               "num_attention_heads": 12, "intermediate_size": 1152,
                               "max_position_embeddings": 8192}),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_size_estimated_from_the_configuration_is_the_real_one(name: str, tmp_path: Path) -> None:
    """To 2 % of what the class has without token and position embeddings."""
    from transformers import AutoConfig

    context, settings = PUBLISHED[name]
    (tmp_path / "config.json").write_text(json.dumps(settings))
    shape = folder_shape(tmp_path)
    assert shape is not None and shape.context == context
    config = AutoConfig.for_model(**{**settings, "vocab_size": 4, "pad_token_id": 0})
    tables = 4 * shape.dim + (context or 0) * shape.dim * (name == "gpt2")
    empty = _torch.empty_model(config, recipe(tmp_path))
    assert shape.body == pytest.approx(sum(p.numel() for p in empty.parameters()) - tables, rel=0.02)


@pytest.mark.parametrize("name", ALL)
def test_the_vocabulary_is_looked_up_in_every_family(name: str, make: Callable[[str], Path]) -> None:
    folder = make(name)
    out = embedder(folder, stage="vocab").fit_transform(ROWS)
    model, read = twin(folder)
    table = model.get_input_embeddings()
    with torch.no_grad():
        wanted = [table(torch.tensor(read(t))).mean(0).numpy() for t in ROWS]
    assert_close(out, np.stack(wanted))


@pytest.mark.parametrize("name", ALL)
def test_random_weights_are_those_of_their_seed_in_every_family(
    name: str, make: Callable[[str], Path]
) -> None:
    from embreg.engine.core import load_engine

    def draw(seed: int) -> np.ndarray:
        load_engine.cache_clear()
        return embedder(make(name), weights="random", seed=seed).fit_transform(ROWS)

    one, other = draw(3), draw(4)
    np.testing.assert_array_equal(draw(3), one)
    assert np.isfinite(one).all() and np.abs(one - other).max() > 1e-4
    assert np.abs(one - embedder(make(name)).fit_transform(ROWS)).max() > 1e-4


@pytest.mark.parametrize("weights", ["random", "pretrained"])
@pytest.mark.parametrize("name", ["gpt_neox", "llama", "qwen3", "gemma3_text", "modernbert", "nomic_bert"])
def test_bfloat16_does_not_move_positions(name: str, weights: Any, make: Callable[[str], Path]) -> None:
    """Weights are rounded; rotary frequencies are no weights."""
    exact, half = (
        embedder(make(name), weights=weights, dtype=d)._engine().backend.model
        for d in ("float32", "bfloat16")
    )
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    frequencies = {n: b for n, b in exact.named_buffers() if "inv_freq" in n}
    assert frequencies
    for name_, buffer in half.named_buffers():
        if name_ in frequencies:
            assert torch.equal(buffer, frequencies[name_]), name_


@pytest.mark.parametrize("name", ["t5-v1_1", "gpt2", "llama", "gemma3_text"])
def test_bfloat16_stays_near_in_every_family(name: str, make: Callable[[str], Path]) -> None:
    exact = embedder(make(name)).fit_transform(ROWS)
    half = embedder(make(name), dtype="bfloat16").fit_transform(ROWS)
    gap = np.linalg.norm(half - exact, axis=1) / np.linalg.norm(exact, axis=1)
    assert 0 < gap.max() < 5e-2


# --- checkpoints that cannot be used -----------------------------------------------------------------


def test_a_checkpoint_without_a_fast_tokenizer(tmp_path: Path) -> None:
    """CTRL's tokenizer has no fast form; a SentencePiece file that is none cannot be converted."""
    folder = tiny_t5(tmp_path / "slow")
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps({"a": 0, "<unk>": 1}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CTRLTokenizer"}))
    with pytest.raises(
        ValueError, match=r"must hold a fast tokenizer .*vocab\.json.*no fast form.*add the"
    ) as got:
        embedder(folder).fit_transform(ROWS)
    assert str(folder) in str(got.value)
    folder = tiny_sentencepiece_t5(tmp_path / "broken")
    (folder / "spiece.model").write_bytes(b"no model at all")
    with pytest.raises(ValueError, match=r"must hold a fast tokenizer .*spiece\.model.*makes none"):
        embedder(folder).fit_transform(ROWS)


def test_a_model_without_hidden_states(tmp_path: Path) -> None:
    """DPR's question encoder gives one vector for a row, and no tokens to pool."""
    from transformers import DPRConfig, DPRQuestionEncoder

    folder = tiny_model(tmp_path / "dpr", "bert")
    settings = json.loads((folder / "config.json").read_text())
    keep = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    DPRQuestionEncoder(DPRConfig(**{k: settings[k] for k in keep})).save_pretrained(folder)
    with pytest.raises(
        ValueError, match=r"DPRQuestionEncoder gives no hidden state of every token .*pooler_output"
    ):
        embedder(folder).fit_transform(ROWS)


def test_a_model_whose_layers_cannot_be_told_apart(make: Callable[[str], Path]) -> None:
    backend = embedder(make("llama"))._engine().backend
    mask = torch.ones((1, 2), dtype=torch.long)
    backend.n_layers, before = LAYERS + 1, backend.n_layers
    try:
        with pytest.raises(ValueError, match=r"gives 4 hidden states, however: 4 layers .* only layer=-1"):
            backend.hidden(mask, mask, frozenset({0}))
    finally:
        backend.n_layers = before


def test_a_model_that_reads_no_text(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "vit", "bert")
    (folder / "config.json").write_text(json.dumps({"model_type": "vit", "hidden_size": 16}))
    from transformers import ViTConfig, ViTModel

    ViTModel(ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
                       image_size=8, patch_size=4)).save_pretrained(folder)  # fmt: skip
    with pytest.raises(ValueError, match=r"ViTModel takes no input_ids, however"):
        embedder(folder).fit_transform(ROWS)


def test_an_architecture_that_transformers_does_not_know(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "new", "bert")
    (folder / "config.json").write_text(json.dumps({"model_type": "no_such_architecture"}))
    with pytest.raises(
        ValueError, match=r"config\.json cannot be used with transformers \d.*no_such_architecture"
    ):
        embedder(folder).fit_transform(ROWS)


def test_weights_of_another_model_are_not_filled_up_with_random_ones(tmp_path: Path) -> None:
    """transformers would only have warned."""
    from safetensors.torch import load_file, save_file

    folder = tiny_decoder(tmp_path / "part", "llama")
    weights = load_file(folder / "model.safetensors")
    weights.pop("layers.1.mlp.up_proj.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        ValueError, match=r"every weight of LlamaModel, however: it lacks 1, first: layers\.1\.mlp"
    ):
        embedder(folder).fit_transform(ROWS)


def test_nomic_as_published_asks_for_remote_code(tmp_path: Path) -> None:
    """Its repository names code of its own; without that entry the class of transformers loads it."""
    folder = tiny_model(tmp_path / "nomic", "nomic_bert")
    settings = json.loads((folder / "config.json").read_text())
    code = {"auto_map": {"AutoModel": "modeling_hf_nomic_bert.NomicBertModel"}}
    (folder / "config.json").write_text(json.dumps({**settings, **code}))
    with pytest.raises(ValueError, match=r"never runs remote code.*remove auto_map from a local copy"):
        embedder(folder).fit_transform(ROWS)


# --- repositories that do not let everybody in -------------------------------------------------------


@pytest.fixture
def closed_hub() -> Iterator[tuple[str, dict[str, Any]]]:
    """A hub with one repository: what it says of itself, and the answer to who wants its files."""
    state: dict[str, Any] = {"info": 200, "file": 401, "code": "GatedRepo"}
    names = ("config.json", "model.safetensors", "tokenizer.json")
    commit = "0123456789abcdef0123456789abcdef01234567"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            about = self.path.startswith("/api/")
            status = state["info"] if about else state["file"]
            body = b"{}"
            if about and "/tree/" in self.path:
                body = json.dumps(
                    [{"type": "file", "path": n, "size": 2, "oid": "0" * 40} for n in names]
                ).encode()
            elif about:
                siblings = [{"rfilename": n} for n in names]
                body = json.dumps({"id": "someone/gated", "sha": commit, "siblings": siblings}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if status != 200:
                self.send_header("X-Error-Code", state["code"])
                self.send_header("X-Error-Message", "Access to model someone/gated is restricted.")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", state
    server.shutdown()
    server.server_close()
    thread.join()


ASK = """
from embreg._gated import access_advice
from embreg.models import resolve
from embreg.weights import WeightsUnavailable
try:
    resolve("someone/gated")
except WeightsUnavailable as error:
    print(error)
    print("ADVICE", access_advice(error, "someone/gated"))
"""


@pytest.mark.parametrize(
    ("state", "token", "says"),
    [
        ({"file": 401}, None, ["is gated", "no token is set: set HF_TOKEN", "/someone/gated"]),
        (
            {"file": 403},
            "hf_secret",
            ["is gated", "the account of the token that is set", "has not, or not yet"],
        ),
        ({"info": 401, "code": "RepoNotFound"}, None, ["shows no repository someone/gated", "set HF_TOKEN"]),
    ],
)
def test_a_repository_without_the_right_to_read_it(
    state: dict[str, Any], token: str | None, says: list[str], tmp_path: Path,
    closed_hub: tuple[str, dict[str, Any]],
) -> None:  # fmt: skip
    """The real client, in a process of its own: it reads its settings when it is imported."""
    address, answers = closed_hub
    answers.update(state)
    settings = {"HF_ENDPOINT": address, "EMBREG_OFFLINE": "0", "HF_HUB_OFFLINE": "0"}
    settings |= {"HF_HOME": str(tmp_path / "hf"), "EMBREG_HOME": str(tmp_path / "home")}
    settings |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    settings |= {"HF_TOKEN": token} if token else {}
    inherited = {
        k: v for k, v in os.environ.items() if token or k not in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
    }
    done = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, env={**inherited, **settings},
        timeout=120, check=False,
    )  # fmt: skip
    message, _, advice = done.stdout.partition("ADVICE ")
    assert "cannot get someone/gated at revision main" in message, done.stderr
    for part in says:
        assert part in advice, (message, advice)
    assert "hf_secret" not in done.stdout + done.stderr


# --- memory ------------------------------------------------------------------------------------------


def recipe(model: Path, **changes: Any) -> Recipe:
    usual = Recipe(str(model), "", "pretrained", 0, "float32", "cpu", "torch", "auto")
    return usual._replace(**changes)


def test_parameters_are_counted_without_loading(make: Callable[[str], Path]) -> None:
    for name in ("llama", "distilbert", "t5-v1_1"):
        model = embedder(make(name))._engine().backend.model
        wanted = sum(p.numel() for p in model.parameters())
        assert _memory.stored_parameters(make(name)) == wanted
        empty = _torch.empty_model(model.config, recipe(make(name)))
        assert {p.device.type for p in empty.parameters()} == {"meta"}
        assert sum(p.numel() for p in empty.parameters()) == wanted
    assert _memory.stored_parameters(make("flan-t5")) > wanted  # with its decoder
    assert _memory.stored_parameters(Path("no/such/folder")) == 0


def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded(
    tmp_path: Path, make: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from embreg.engine.core import load_engine

    loaded: list[Any] = []
    monkeypatch.setattr("embreg.engine.torch_backend.load_model", lambda *a, **k: loaded.append(a))
    load_engine.cache_clear()
    monkeypatch.setattr(_memory, "free_memory", lambda device: 1000)
    with pytest.raises(
        MemoryError, match=r"takes .* in float32 on cpu, however: 0\.0 MB are free; what would fit"
    ):
        embedder(make("llama")).fit_transform(ROWS)
    assert loaded == []
    load_engine.cache_clear()


def test_a_whole_checkpoint_is_not_refused_for_the_decoder_it_leaves_on_the_disk(
    make: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from embreg.engine.core import load_engine

    folder = make("flan-t5")
    encoder = sum(p.numel() for p in embedder(folder)._engine().backend.model.parameters())
    assert encoder < 0.6 * _memory.stored_parameters(folder)
    for room, fits in ((4.9, True), (4.7, False)):  # bytes of a parameter: 4, and a fifth for activations
        load_engine.cache_clear()
        monkeypatch.setattr(_memory, "free_memory", lambda device, room=room: int(room * encoder))
        if fits:
            assert embedder(folder).fit_transform(ROWS).shape == (len(ROWS), 16)
        else:
            with pytest.raises(MemoryError):
                embedder(folder).fit_transform(ROWS)
    load_engine.cache_clear()


GB = 10**9


@pytest.mark.parametrize(
    ("changes", "parameters", "free", "cards", "says", "silent"),
    [
        # bfloat16 fits, and so does the next smaller T5.
        ({}, 4_762, 20, [], ["takes 22.9 GB in float32 on cpu", "20.0 GB are free",
                             "dtype='bfloat16' (11.4 GB)", "t5-v1_1-xl (5.9 GB)"], ["device='cpu'"]),
        # Nothing but a smaller model.
        ({"dtype": "bfloat16"}, 4_762, 2, [], ["takes 11.4 GB in bfloat16", "t5-v1_1-large (0.8 GB)"],
         ["dtype='bfloat16' ("]),
        # OpenVINO's form is made beside torch's.
        ({"backend": "openvino"}, 1_223, 8, [], ["backend='torch' (5.9 GB)"], ["dtype='bfloat16' ("]),
        # Both together, where neither alone helps.
        ({"backend": "openvino"}, 1_223, 4, [], ["dtype='bfloat16', backend='torch' (2.9 GB)"],
         ["which would", "backend='torch' (5.9"]),
        # One card is too small; the computer is not.
        ({"device": "cuda:0", "dtype": "bfloat16"}, 4_762, 64, [8],
         ["on cuda:0", "8.0 GB are free", "device='cpu' (64.0 GB are free there)", "t5-v1_1-xl"], []),
        # All cards together are too small.
        ({"device": "cuda"}, 4_762, 4, [8, 8],
         ["on 2 cards", "16.0 GB are free", "dtype='bfloat16' (11.4 GB)"], ["device='cpu'"]),
        # Random weights are not spread, so bfloat16 alone does not help here.
        ({"device": "cuda", "weights": "random"}, 4_762, 4, [8, 64], ["8.0 GB are free"], []),
    ],
)  # fmt: skip
def test_what_would_fit_is_said(
    changes: dict[str, str], parameters: int, free: int, cards: list[int], says: list[str], silent: list[str],
    tmp_path: Path, make: Callable[[str], Path],
) -> None:  # fmt: skip
    with pytest.raises(MemoryError) as got:
        _memory.check_memory(
            resolve(make("t5-v1_1")), recipe(make("t5-v1_1"), **changes), parameters * 10**6, free * GB,
            [c * GB for c in cards],
        )  # fmt: skip
    message = str(got.value)
    for part in (*says, "a machine, or cards together, with"):
        assert part in message, message
    for part in silent:
        assert part not in message, message


def test_other_cards_are_named_when_one_was_asked_for(
    make: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_memory, "free_cards", lambda device: [8 * GB] * 4)
    wanted = recipe(make("t5-v1_1"), device="cuda:0")
    with pytest.raises(MemoryError, match=r"device='cuda', which spreads it over 4 cards with 32\.0 GB free"):
        _memory.check_memory(resolve(make("t5-v1_1")), wanted, 4_762 * 10**6, None, [8 * GB])


def test_what_fits_is_let_through(make: Callable[[str], Path]) -> None:
    local = resolve(make("t5-v1_1"))
    for changes, free, cards in (
        ({}, 23 * GB, []),
        ({}, None, []),  # the system does not tell
        ({"device": "cuda"}, 1 * GB, [12 * GB, 12 * GB]),
        ({"dtype": "bfloat16"}, 12 * GB, []),
    ):
        _memory.check_memory(local, recipe(make("t5-v1_1"), **changes), 4_762 * 10**6, free, cards)


def test_the_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = _memory.free_memory("cpu")
    if usual is None:
        pytest.skip("this system does not tell")
    for name, value in (
        ("max", "3000000"),
        ("current", "2500000"),
        ("stat", "anon 5\ninactive_file 100000\n"),
    ):
        (tmp_path / f"memory.{name}").write_text(value)
    monkeypatch.setattr(_memory, "_CGROUP", tmp_path)
    assert _memory.free_memory("cpu") == 600_000
    (tmp_path / "memory.max").write_text("max\n")
    assert (_memory.free_memory("cpu") or 0) > 600_000


@pytest.fixture(scope="module")
def laid_out() -> dict[str, Any]:
    """Larger models on the meta device: no memory is taken."""
    from transformers import AutoConfig

    llama = AutoConfig.for_model("llama", vocab_size=100, hidden_size=64, intermediate_size=256,
                                 num_hidden_layers=8, num_attention_heads=4)  # fmt: skip
    t5 = AutoConfig.for_model("t5", vocab_size=100, d_model=64, d_kv=16, d_ff=256, num_layers=8, num_heads=4)
    return {name: _torch.empty_model(config, recipe(Path(name))) for name, config in
            (("llama", llama), ("t5", t5))}  # fmt: skip


@pytest.mark.parametrize("kind", ["llama", "t5"])
@pytest.mark.parametrize(
    "shares", [[1.3], [0.7, 0.7], [0.2, 0.0, 0.8, 0.5], [0.01, 1.3], [0.4, 0.4, 0.4, 0.4]]
)
def test_cards_are_filled_one_after_another(kind: str, shares: list[float], laid_out: dict[str, Any]) -> None:
    """Every weight has one home, no block is cut, no card holds more than five sixths of what it has free."""
    model = laid_out[kind]
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    free = [int(share * size) for share in shares]
    where = _memory.spread_over(model, free)
    assert where is not None
    homes: dict[str, int] = {}
    for name, card in where.items():
        for weight, _ in model.get_submodule(name).named_parameters(prefix=name, remove_duplicate=False):
            assert homes.setdefault(weight, card) == card
    assert set(homes) == {n for n, _ in model.named_parameters(remove_duplicate=False)}
    used = [0] * len(free)
    for name, parameter in model.named_parameters():
        used[homes[name]] += parameter.numel() * parameter.element_size()
    assert all(u * _memory.ROOM <= f for u, f in zip(used, free, strict=True))
    whole = [m for m, part in model.named_modules() if type(part).__name__ in model._no_split_modules]
    assert len(whole) == 8
    for block in whole:
        assert len({card for weight, card in homes.items() if weight.startswith(block + ".")}) == 1
    order = [homes[next(w for w in homes if w.startswith(b + "."))] for b in whole]
    assert order == sorted(order)


def test_weights_that_are_shared_have_one_home() -> None:
    """Though other cards were filled in between."""
    first, last = torch.nn.Embedding(10, 8), torch.nn.Linear(8, 10, bias=False)
    last.weight = first.weight
    between = torch.nn.Linear(8, 20, bias=False)
    model = torch.nn.Sequential(first, between, torch.nn.Linear(8, 20, bias=False), last)
    free = [int(_memory.ROOM * 4 * n) + 1 for n in (90, 170, 170)]
    assert _memory.spread_over(model, free) == {"0": 0, "1": 1, "2": 2, "3": 0}


@pytest.mark.parametrize("shares", [[], [0.5], [0.5, 0.5], [0.1] * 12, [0.0, 1.0]])
def test_what_does_not_fit_on_all_cards_is_not_spread(shares: list[float], laid_out: dict[str, Any]) -> None:
    model = laid_out["llama"]
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    assert _memory.spread_over(model, [int(s * size) for s in shares]) is None


@pytest.mark.parametrize("name", ["t5-v1_1", "llama", "gpt2", "gemma3_text", "modernbert"])
def test_a_model_loads_by_the_plan_and_computes_the_same(
    name: str, make: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the cards of the plan replaced by the CPU: names that transformers does not know would fail."""
    pytest.importorskip("accelerate", reason="accelerate is not installed (extra gpu)")
    engine = embedder(make(name))._engine()
    size = sum(4 * p.numel() for p in engine.backend.model.parameters())
    plan = _memory.spread_over(engine.backend.model, [size, size])
    assert plan is not None and set(plan.values()) == {0, 1}
    monkeypatch.setattr(_torch, "_too_large", lambda *_: True)
    monkeypatch.setattr(_torch, "_device_map", lambda *_: dict.fromkeys(plan, "cpu"))
    spread = _torch.load_model(engine.local, engine.config, engine.recipe, device="cuda")
    ids = torch.tensor(engine.tokenize(ROWS[1:2])[0][None]).long()
    with torch.inference_mode():
        got = spread(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.mean(1).numpy()
    assert_close(got, embedder(make(name)).fit_transform(ROWS[1:2]))


def test_a_model_that_has_to_be_spread_needs_accelerate(
    make: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = embedder(make("llama"))._engine()
    monkeypatch.setattr(_torch, "_too_large", lambda *_: True)
    monkeypatch.setattr(_torch, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"needs accelerate .*pip install 'embreg\[gpu\]'"):
        _torch.load_model(engine.local, engine.config, engine.recipe, device="cuda")
