"""int8: matrices rounded as a slow twin rounds them, nothing else touched, and near to float32."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from transformers.pytorch_utils import Conv1D

from embreg import TextEmbedder
from embreg.cli import main
from embreg.engine import memory as _memory
from embreg.engine.backends import OPENVINO_TYPES, resolve_dtype
from embreg.engine.core import Recipe, load_engine
from embreg.engine.int8 import round_graph, round_layers, round_matrix
from embreg.models import resolve
from embreg.representation import Representation
from tests.test_backends import REAL, ROWS, mixed_rows, off, own_home  # noqa: F401
from tests.tiny import DECODERS, tiny_bert, tiny_decoder, tiny_model, tiny_t5

pytestmark = pytest.mark.usefixtures("one_thread")
openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed (extra cpu)")
BACKENDS = ["torch", pytest.param("openvino", marks=openvino)]
KINDS = [*OPENVINO_TYPES, "modernbert", *DECODERS]


def embedder(model: Path | str, backend: str = "torch", dtype: Any = "int8", **more: Any) -> TextEmbedder:
    chosen: dict[str, Any] = {"dtype": dtype, "store": None, "backend": backend, **more}
    return TextEmbedder(str(model), **chosen)


def make(folder: Path, kind: str) -> Path:
    return (tiny_decoder if kind in DECODERS else tiny_model)(folder, kind)


def linear(model: Any) -> dict[str, Any]:
    return {n: m for n, m in model.named_modules() if type(m) in (torch.nn.Linear, Conv1D)}


# --- rounding ----------------------------------------------------------------------------------------


def slow(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number by number."""
    values, scale = np.zeros(matrix.shape, dtype=np.int8), np.ones((len(matrix), 1), dtype=np.float32)
    for i, row in enumerate(matrix):
        step = np.float32(max(abs(w) for w in row)) / np.float32(127)
        scale[i] = step if step > 0 else 1
        for j, w in enumerate(row):
            values[i, j] = round(float(w / scale[i, 0]))
    return values, scale


usual = st.floats(-1e6, 1e6, width=32).map(lambda x: x if abs(x) > 1e-6 else 0.0)


@settings(max_examples=60)
@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=usual))
def test_rounding_is_that_of_the_slow_twin_and_off_by_half_a_step(matrix: np.ndarray) -> None:
    values, scale = round_matrix(matrix)
    twin_values, twin_scale = slow(matrix)
    assert (values.dtype, scale.dtype) == (twin_values.dtype, twin_scale.dtype)
    np.testing.assert_array_equal(values, twin_values)
    np.testing.assert_array_equal(scale, twin_scale)
    assert (np.abs(values * scale.astype(float) - matrix) <= 0.5001 * scale).all()
    largest = np.abs(values).max(axis=1)
    np.testing.assert_array_equal(largest, np.where(np.abs(matrix).max(axis=1) > 0, 127, 0))


def test_a_channel_of_zeros_stays_zero_beside_others() -> None:
    values, scale = round_matrix(np.array([[0, 0], [1e-30, -3e-30], [5, 1]], dtype=np.float32))
    np.testing.assert_array_equal(values, [[0, 0], [42, -127], [127, 25]])
    assert scale[0] == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"a matrix must be finite .* however: row 1 holds NaN or infinity"):
        round_matrix(np.array([[1, 2], [bad, 1]], dtype=np.float32))


def test_a_model_without_linear_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="rounds linear layers, however: Sequential has none; use dtype="):
        round_layers(torch.nn.Sequential(torch.nn.Embedding(3, 2)))


# --- torch -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_the_one_with_rounded_matrices_and_nothing_else(kind: str, tmp_path: Path) -> None:
    """The slow twin: float32 throughout, its matrices overwritten by what the rounded ones stand for."""
    folder = make(tmp_path / kind, kind)
    twin, ours = (embedder(folder, dtype=d)._engine().backend for d in ("float32", "int8"))
    layers = linear(twin.model)
    held = {n: m for n, m in ours.model.named_modules() if type(m).__name__ == "Int8Linear"}
    assert layers and held.keys() == layers.keys() and not linear(ours.model)
    for name, layer in layers.items():
        turned = type(layer) is Conv1D
        values, scale = slow((layer.weight.T if turned else layer.weight).detach().numpy())
        np.testing.assert_array_equal(held[name].weight.numpy(), values)
        layer.weight.data = torch.from_numpy((values * scale).T.copy() if turned else values * scale)
    mine, theirs = dict(ours.model.named_parameters()), dict(twin.model.named_parameters())
    for name, parameter in theirs.items():
        assert name in mine or name.removesuffix(".weight") in layers, name
        assert name not in mine or torch.equal(mine[name], parameter), name
    tokens = torch.tensor([[5, 6, 7, 2], [9, 8, 2, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    with torch.inference_mode():
        every = frozenset(range(ours.n_layers + 1))
        got, expected = ours.hidden(tokens, mask, every), twin.hidden(tokens, mask, every)
    for layer, states in expected.items():
        torch.testing.assert_close(got[layer][mask == 1], states[mask == 1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_architecture_stays_near_float32(kind: str, tmp_path: Path) -> None:
    """Measured up to 0.025 of a vector's length; weights of width 16 round worse than wide ones."""
    folder = make(tmp_path / kind, kind)
    rows = [r for r in ROWS if r]  # an empty one has no tokens in GPT-2
    exact = embedder(folder, dtype="float32").fit_transform(rows)
    rounded = embedder(folder).fit_transform(rows)
    assert 0 < off(rounded, exact) < 6e-2


def test_matrices_take_a_quarter_and_the_rest_what_it_took(tmp_path: Path) -> None:
    folder = tiny_t5(tmp_path / "t5")
    exact, ours = (embedder(folder, dtype=d)._engine().backend.model for d in ("float32", "int8"))
    matrices = [m.weight for m in linear(exact).values()]
    numbers, channels = sum(w.numel() for w in matrices), sum(len(w) for w in matrices)

    def size(model: Any) -> int:
        return sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))

    assert size(ours) == size(exact) - 3 * numbers + 4 * channels


def test_the_vocabulary_is_that_of_float32(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "bert")
    exact, rounded = (
        embedder(folder, dtype=d, stage="vocab").fit_transform(ROWS) for d in ("float32", "int8")
    )
    np.testing.assert_array_equal(rounded, exact)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("model", REAL)
def test_cuda_stays_near_float32(model: str) -> None:
    exact = embedder(model, dtype="float32").fit_transform(mixed_rows())
    engine = embedder(model, device="cuda")._engine()
    assert {b.dtype for b in engine.backend.model.buffers()} >= {torch.int8}
    assert off(embedder(model, device="cuda").fit_transform(mixed_rows()), exact) < 8e-2


# --- both backends -----------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("model", "far", "cosine"), [(REAL[0], 8e-2, 0.997), (REAL[1], 3e-2, 0.9996)])
def test_real_models_stay_near_float32(model: str, far: float, cosine: float, backend: str) -> None:
    """Measured: 0.057 of a vector's length and cosine 0.9984 for MiniLM, 0.019 and 0.9998 for the T5 arm."""
    texts = mixed_rows()[::3]
    exact = embedder(model, backend, "float32").fit_transform(texts)
    rounded = embedder(model, backend).fit_transform(texts)
    assert 1e-3 < off(rounded, exact) < far
    lengths = np.linalg.norm(rounded, axis=1) * np.linalg.norm(exact, axis=1)
    assert ((rounded * exact).sum(axis=1) / lengths).min() > cosine


@openvino
@pytest.mark.parametrize("model", REAL)
def test_products_of_int8_stay_near_those_of_float32(model: str) -> None:
    """Activations rounded by OpenVINO, or not by torch: measured 0.031 and 0.009 of a vector's length."""
    texts = mixed_rows()[::3]
    one, other = (embedder(model, backend).fit_transform(texts) for backend in ("torch", "openvino"))
    assert off(other, one) < 5e-2


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_call_repeated_gives_the_same_bits(backend: str) -> None:
    texts = mixed_rows()[::3]
    first = embedder(REAL[1], backend).fit_transform(texts)
    load_engine.cache_clear()
    np.testing.assert_array_equal(embedder(REAL[1], backend).fit_transform(texts), first)


@openvino
@pytest.mark.parametrize("kind", OPENVINO_TYPES)
def test_openvino_rounds_every_matrix_as_torch_does(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With activations as they are, the two agree like float32; with rounded ones within 3 %."""
    from embreg.engine import openvino_backend as _openvino

    folder = tiny_model(tmp_path / kind, kind)
    expected = embedder(folder).fit_transform(ROWS)
    exact = embedder(folder, dtype="float32")._engine()
    assert round_graph(_graph(exact)) == len(linear(exact.backend.model))
    assert off(embedder(folder, "openvino").fit_transform(ROWS), expected) < 3e-2
    load_engine.cache_clear()
    monkeypatch.setattr(_openvino, "_GROUP", "0")
    got = embedder(folder, "openvino").fit_transform(ROWS)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * max(1.0, float(np.abs(expected).max())))


def _graph(engine: Any) -> Any:
    from embreg.engine.openvino_graph import graph

    return graph(engine.local, engine.config, engine.recipe)


@openvino
def test_an_outlier_costs_no_more_than_its_own_group(tmp_path: Path) -> None:
    """As in T5, where single activations are a hundred times the usual: nothing is clipped."""
    from openvino import Model
    from openvino import opset8 as ops

    from embreg.engine.openvino_backend import OpenVinoBackend

    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((256, 256)).astype(np.float32)
    x = rng.standard_normal((64, 256)).astype(np.float32)
    x[:, 5] = 500.0
    given_ = ops.parameter([-1, 256], np.float32)
    model = Model([ops.matmul(given_, ops.constant(matrix), False, True)], [given_])
    assert round_graph(model) == 1
    backend = OpenVinoBackend.__new__(OpenVinoBackend)
    backend._rounded, backend._precision = True, "f32"
    got = backend._compile_part(model, 1)([x])[0]
    values, scale = round_matrix(matrix)
    exact = x.astype(float) @ (values * scale.astype(float)).T
    # Half a step of 500 / 127 in 32 of 256 activations, and of a usual largest value in the others.
    step = np.where(np.arange(256) < 32, 500 / 127, 3 / 127)
    spread = np.sqrt(((step**2 / 12)[None, :] * (values * scale.astype(float)) ** 2).sum(axis=1))
    assert (np.abs(got - exact) < 6 * spread).all()


@openvino
def test_the_rounded_form_is_kept_by_itself_and_is_small(
    own_home: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from embreg.engine import openvino_graph as _ir

    model = tiny_t5(tmp_path / "t5", d_model=64, d_kv=32, d_ff=256)
    first = embedder(model, "openvino").fit_transform(ROWS)
    sizes = sorted(p.stat().st_size for p in (own_home / "openvino").glob("*/model.bin"))
    assert len(sizes) == 2 and sizes[0] < 0.35 * sizes[1]
    load_engine.cache_clear()
    monkeypatch.setattr(_ir, "_make", lambda *_: pytest.fail("made again"))
    np.testing.assert_array_equal(embedder(model, "openvino").fit_transform(ROWS), first)


@openvino
def test_a_form_that_cannot_be_kept_is_one_warning(own_home: Path, tmp_path: Path) -> None:  # noqa: F811
    own_home.mkdir()
    (own_home / "openvino").write_text("in the way")
    folder = tiny_bert(tmp_path / "bert")
    with pytest.warns(UserWarning, match="the converted model is not kept in .*openvino") as seen:
        out = embedder(folder, "openvino").fit_transform(ROWS)
    assert len(seen) == 1
    assert off(out, embedder(folder).fit_transform(ROWS)) < 3e-2


@pytest.mark.parametrize("backend", BACKENDS)
def test_random_weights_are_drawn_as_ever_and_rounded(backend: str, tmp_path: Path) -> None:
    folder = tiny_t5(tmp_path / "t5")
    out = []
    for seed in (0, 1):
        exact, rounded = (
            embedder(folder, backend, d, weights="random", seed=seed).fit_transform(ROWS)
            for d in ("float32", "int8")
        )
        assert 0 < off(rounded, exact) < 6e-2
        out.append(rounded)
    assert off(out[0], out[1]) > 0.1


# --- the parameter -----------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_int8_is_a_space_of_its_own_and_differs_in_dtype_alone(backend: str, tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "bert")
    exact, rounded = (embedder(folder, backend, d, store=tmp_path / "s") for d in ("float32", "int8"))
    for model in (exact, rounded):
        model.fit_transform(ROWS)
        assert model.report_.hits == 0
    assert rounded.space_ == {**exact.space_, "dtype": "int8"}
    rounded.fit_transform(ROWS)
    assert rounded.report_.hits == len(ROWS)
    assert len(list((tmp_path / "s").glob("*.sqlite"))) == 2


def test_int8_is_never_chosen_and_only_for_frozen_models(tmp_path: Path) -> None:
    assert resolve_dtype("auto", "cpu", int8=True) in ("float32", "bfloat16")
    assert resolve_dtype("int8", "cpu", int8=True) == "int8"
    with pytest.raises(ValueError, match=r"dtype must be 'auto', 'float32' or 'bfloat16' .* got 'int8'"):
        resolve_dtype("int8", "cpu")
    with pytest.raises(ValueError, match=r"'float32', 'bfloat16' or 'int8' .* however: got 'int4'"):
        embedder(tiny_bert(tmp_path / "bert"), dtype="int4").fit_transform(ROWS)


def test_representation_and_command_take_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tiny_bert(tmp_path / "bert"))
    assert Representation("r", model=folder, dtype="int8").embedder().dtype == "int8"
    (tmp_path / "a.csv").write_text("x0,x1\n1,2\n3,4\n")
    out = tmp_path / "x.parquet"
    assert main(["embed", str(tmp_path / "a.csv"), "-o", str(out), "-m", folder, "--dtype", "int8"]) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        import pyarrow.parquet as pq
    assert "int8" in str(pq.read_schema(out).metadata)
    capsys.readouterr()


# --- memory ------------------------------------------------------------------------------------------

GB = 10**9


@pytest.mark.parametrize(
    ("changes", "free", "cards", "says"),
    [
        # Read in float32 first, so that bfloat16 takes less here.
        ({"dtype": "int8"}, 16, [], ["takes 20.0 GB in int8 on cpu", "dtype='bfloat16' (11.4 GB)"]),
        # Fits the card, but is rounded here first.
        ({"dtype": "int8", "device": "cuda"}, 16, [64], ["takes 20.0 GB in int8 on cpu"]),
        ({"dtype": "int8", "device": "cuda"}, 64, [8, 8], ["takes 8.6 GB in int8", "8.0 GB are free"]),
        # bfloat16 is too large for the card, and int8 is not.
        ({"device": "cuda:0"}, 64, [10], ["takes 22.9 GB in float32 on cuda:0", "dtype='int8' (8.6 GB)"]),
        ({"device": "cuda", "dtype": "bfloat16"}, 64, [10], ["dtype='int8' (8.6 GB)"]),
    ],
)  # fmt: skip
def test_what_would_fit_is_said(
    changes: dict[str, Any], free: int, cards: list[int], says: list[str], tmp_path: Path
) -> None:
    local = resolve(tiny_t5(tmp_path / "t5"))
    recipe = Recipe("t5-v1_1-xxl", "", "pretrained", 0, "float32", "cpu", "torch", "auto")._replace(**changes)
    with pytest.raises(MemoryError) as got:
        _memory.check_memory(local, recipe, 4_762 * 10**6, free * GB, [c * GB for c in cards])
    for part in says:
        assert part in str(got.value), str(got.value)


def test_what_fits_is_let_through(tmp_path: Path) -> None:
    local = resolve(tiny_t5(tmp_path / "t5"))
    recipe = Recipe("t5-v1_1-xxl", "", "pretrained", 0, "int8", "cpu", "torch", "auto")
    _memory.check_memory(local, recipe, 4_762 * 10**6, 21 * GB, [])
    _memory.check_memory(local, recipe._replace(device="cuda"), 4_762 * 10**6, 21 * GB, [9 * GB, GB])
