"""Saved models: the same bits after a round trip, and a clear error for every way a folder can be wrong."""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
import re
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from embreg import MLPHead, TabularFeatures, TextEmbedder, serialize
from embreg.baselines import BASELINES, baseline
from embreg.saved.allowed import CLASSES, FUNCTIONS, class_of, function_of, name_of_class, name_of_function
from embreg.saved.state import Decoder, Encoder
from embreg.saving import load, save
from tests.tiny import tiny_bert

RNG = np.random.default_rng(0)
X, NEW = RNG.normal(size=(60, 5)), RNG.normal(size=(33, 5))
Y = np.column_stack([X[:, 0] + X[:, 1] ** 2, 3 * X[:, 2], np.full(60, 2.0)])
TABLE = pd.DataFrame(
    {"lr": RNG.lognormal(size=60), "act": RNG.choice(["relu", "tänh"], 60), "depth": RNG.integers(1, 9, 60)}
)
HEAD = MLPHead(hidden=(8,), learning_rates=(1e-3, 1e-2), weight_decays=(0,), max_epochs=5, random_state=0)


def head() -> MLPHead:
    return clone(HEAD)


def again(model: Any, folder: Path) -> Any:
    save(model, folder / "model")
    return load(folder / "model")


def same(a: Any, b: Any) -> None:
    """Equal in type, value, order in memory, and all the way down."""
    assert type(a) is type(b), (a, b)
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype and a.shape == b.shape and b.flags.writeable and b.flags.aligned
        assert a.flags.f_contiguous == b.flags.f_contiguous or not (a.flags.forc)
        if a.dtype == object:
            same(a.ravel().tolist(), b.ravel().tolist())
        else:
            assert a.tobytes() == b.tobytes()
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        same(list(a.values()), list(b.values()))
    elif isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b, check_exact=True)
    elif isinstance(a, float):
        assert np.float64(a).tobytes() == np.float64(b).tobytes() or (math.isnan(a) and math.isnan(b))
    elif hasattr(a, "get_params"):
        same(a.get_params(deep=False), b.get_params(deep=False))
        assert set(vars(a)) == set(vars(b))
    else:
        assert a == b


# ---------------------------------------------------------------------------------------- round trips

FITTED: dict[str, Callable[[], Any]] = {
    "head": lambda: head().fit(X, Y[:, 0]),
    "head of several targets": lambda: head().fit(X, Y),
    "ensemble": lambda: head().set_params(ensemble=2).fit(X, Y, sample_weight=np.arange(1.0, 61.0)),
    "ridge": lambda: Ridge().fit(X, Y),
    "bayesian ridge": lambda: BayesianRidge().fit(X, Y[:, 0]),
    "neighbours": lambda: KNeighborsRegressor(3).fit(X, Y[:, 0]),
    "neighbours of a column": lambda: KNeighborsRegressor(3, weights="distance").fit(X, Y[:, :1]),
    "gaussian process": lambda: GaussianProcessRegressor(
        ConstantKernel() * Matern(np.ones(5), nu=2.5) + WhiteKernel(), optimizer=None, normalize_y=True
    ).fit(X, Y[:, 0]),
    "pipeline": lambda: make_pipeline(StandardScaler(), PCA(3), head()).fit(X, Y[:, 0]),
    "union": lambda: Pipeline(
        [("both", FeatureUnion([("a", PCA(2)), ("b", "passthrough"), ("c", "drop")])), ("ridge", Ridge())]
    ).fit(X, Y[:, 0]),
    "columns": lambda: make_pipeline(
        ColumnTransformer(
            [("a", StandardScaler(), [0, 1]), ("b", PCA(1), slice(2, 4))], remainder="passthrough"
        ),
        Ridge(),
    ).fit(X, Y[:, 0]),
    "target": lambda: TransformedTargetRegressor(
        Ridge(), func=np.arcsinh, inverse_func=np.sinh
    ).fit(X, Y[:, 0]),
    "target by a transformer": lambda: TransformedTargetRegressor(
        head(), transformer=StandardScaler()
    ).fit(X, Y[:, 0]),
}  # fmt: skip


@pytest.mark.parametrize("name", FITTED)
def test_predictions_are_the_same_bits(name: str, tmp_path: Path, one_thread: None) -> None:
    model = FITTED[name]()
    loaded = again(model, tmp_path)
    assert loaded.predict(NEW).tobytes() == model.predict(NEW).tobytes()
    if isinstance(model, GaussianProcessRegressor | BayesianRidge):
        same(model.predict(NEW, return_std=True), loaded.predict(NEW, return_std=True))
    same(model, loaded)
    clone(loaded).fit(X, Y[:, 0])  # and it can be fitted again


def test_every_attribute_of_a_head_comes_back(tmp_path: Path, one_thread: None) -> None:
    model = head().set_params(random_state=np.random.RandomState(3)).fit(X, Y)
    loaded = again(model, tmp_path)
    for name, value in vars(model).items():
        if name != "random_state":
            same(value, getattr(loaded, name))
    assert loaded.random_state.randint(1 << 30) == model.random_state.randint(1 << 30)


@pytest.mark.parametrize("name", [n for n in BASELINES if n not in ("random_forest", "xgboost_paper")])
def test_baselines(name: str, tmp_path: Path) -> None:
    grid = {"max_depth": [2]} if name == "xgboost" else {"nu": [1.5]} if name == "gp" else None
    for i, y in enumerate((Y[:, 0], Y)):
        model = baseline(name, grid=grid).fit(X, y)
        loaded = again(model, tmp_path / str(i))
        assert loaded.predict(NEW).tobytes() == model.predict(NEW).tobytes()
        if BASELINES[name].has_std:
            same(model.predict(NEW, return_std=True), loaded.predict(NEW, return_std=True))
        same(model.best_params_, loaded.best_params_)
        same(model.tried_, loaded.tried_)


def test_a_table_of_mixed_types(tmp_path: Path) -> None:
    table = TABLE.assign(gap=np.where(TABLE.depth > 4, np.nan, TABLE.lr), same="x")
    model = make_pipeline(TabularFeatures(), Ridge()).fit(table, Y[:, 0])
    loaded = again(model, tmp_path)
    assert loaded.predict(table[::-1]).tobytes() == model.predict(table[::-1]).tobytes()
    same(model[0].columns_, loaded[0].columns_)
    same(model[0].feature_names_in_, loaded[0].feature_names_in_)
    with pytest.raises(ValueError, match="columns must be those of fit"):
        loaded.predict(table.drop(columns="lr"))


@pytest.mark.slow
def test_another_process_predicts_the_same_bits(tmp_path: Path, one_thread: None) -> None:
    model = make_pipeline(StandardScaler(), head()).fit(X, Y[:, 0])
    save(model, tmp_path / "model")
    np.save(tmp_path / "new.npy", NEW)
    code = (
        "import sys, numpy as np; from embreg.saving import load; p = sys.argv[1]\n"
        "sys.stdout.buffer.write(load(p + '/model').predict(np.load(p + '/new.npy')).tobytes())"
    )
    out = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=True)
    # Another process may choose another number of threads for a product.
    np.testing.assert_allclose(np.frombuffer(out.stdout), model.predict(NEW), rtol=1e-6)


# -------------------------------------------------------------------------------- values of every kind

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    | st.floats().map(np.float64) | st.floats(width=32).map(np.float32) | st.integers(-128, 127).map(np.int8)
    | st.booleans().map(np.bool_) | st.text().map(np.str_)
)  # fmt: skip
arrays = hnp.arrays(
    st.sampled_from(["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "<U4"]),
    hnp.array_shapes(min_dims=0, min_side=0, max_side=4),
)
values = st.recursive(
    scalars | arrays | arrays.map(np.asfortranarray) | st.lists(st.none() | st.text()).map(
        lambda v: np.array([*v, None], dtype=object)
    ),
    lambda inner: st.lists(inner, max_size=3)
    | st.lists(inner, max_size=3).map(tuple)
    | st.dictionaries(st.text() | st.just("$") | st.integers() | st.booleans(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def through_files(value: Any) -> Any:
    encoder = Encoder()
    text = json.dumps(encoder.encode(value, "v"), allow_nan=False)
    decoder = Decoder(load_tensors(save_tensors(encoder.tensors)))
    out = decoder.decode(json.loads(text))
    assert not decoder.unused
    return out


@given(values)
def test_any_value_comes_back(value: Any) -> None:
    same(value, through_files(value))


def test_arrays_that_do_not_lie_plainly() -> None:
    """safetensors writes what lies in memory: a transposed array comes back wrong from it."""
    a = np.arange(12.0).reshape(3, 4)
    for value in (a.T, a[:, ::2], a[::-1], np.broadcast_to(1.5, (2, 3)), a.astype(">f8")):
        np.testing.assert_array_equal(through_files(value), value)
    assert (
        through_files(a.T).flags.f_contiguous and through_files({"a.b": a, "a": {"b": -a}})["a.b"][0, 1] == 1
    )


def test_one_array_in_two_places_is_written_once() -> None:
    a, encoder = np.arange(3.0), Encoder()
    node = encoder.encode({"weights": [a], "members": [[a], [a + 1]], "slices": [a[:2], a[1:]]}, "v")
    assert sorted(encoder.tensors) == ["v.members.1.0", "v.slices.0", "v.slices.1", "v.weights.0"]
    got = Decoder(encoder.tensors).decode(node)
    assert got["weights"][0] is got["members"][0][0] and got["members"][1][0][0] == 1


def test_tables_come_back() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [np.inf, np.nan], "c": ["x", None], 3: [True, False]})
    for value in (frame, frame.set_axis([7, 3]), frame.set_axis(["p", "q"]), frame[:0], frame.astype(object)):
        got = through_files(value)
        pd.testing.assert_frame_equal(got, value, check_exact=True, check_index_type="equiv")
    with pytest.raises(ValueError, match=r"v must have columns of numbers or text, however: 'd'"):
        through_files(pd.DataFrame({"d": pd.to_datetime(["2020-01-01"])}))


@pytest.mark.parametrize(
    "value",
    [{1, 2}, object(), lambda: 0, print, np.array([1j]), np.datetime64("2020"), b"", Path("x"), Ridge],
)
def test_other_things_are_refused_by_name(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^v\.0\.a must .*however: "):
        through_files([{"a": value}])


# ------------------------------------------------------------------------------------ language models


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return serialize(TABLE[["depth"]].assign(z=1)[:12], style="pairs")


def embedding(folder: Path, **settings: Any) -> Pipeline:
    settings = {"dtype": "float32", "backend": "torch", "device": "cpu", "store": None, **settings}
    return make_pipeline(TextEmbedder(str(folder), **settings), Ridge())


def test_a_pipeline_with_a_language_model(tmp_path: Path, texts: list[str], one_thread: None) -> None:
    model = embedding(tiny_bert(tmp_path / "bert"), store=tmp_path / "store").fit(texts, Y[:12, 0])
    before = model.predict(texts)
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded[0].store == "auto"  # a path of the machine that saved it means nothing elsewhere
    assert loaded.set_params(textembedder__store=None).predict(texts).tobytes() == before.tobytes()
    assert (tmp_path / "model" / "tensors.safetensors").stat().st_size < 10_000  # no language model in it
    rows = TABLE[["depth"]].assign(z=1)[:12]
    whole = make_pipeline(FunctionTransformer(serialize, kw_args={"style": "pairs"}), *clone(model))
    whole = again(whole.fit(rows, Y[:12, 0]), tmp_path / "whole")
    np.testing.assert_allclose(whole.set_params(textembedder__store=None).predict(rows), before, rtol=1e-6)


def test_other_weights_are_noticed(tmp_path: Path, texts: list[str], one_thread: None) -> None:
    folder = tiny_bert(tmp_path / "bert")
    save(embedding(folder).fit(texts, Y[:12, 0]), tmp_path / "model")
    shutil.copytree(tmp_path / "model", tmp_path / "copy")
    load(tmp_path / "copy")
    other = tiny_bert(tmp_path / "other", hidden_act="relu")
    shutil.rmtree(folder)
    shutil.copytree(other, folder)
    with pytest.raises(ValueError, match=r"must be the one that was used, however: weights of "):
        load(tmp_path / "copy")
    shutil.rmtree(folder)
    with pytest.raises((FileNotFoundError, ValueError), match=re.escape(str(folder))):
        load(tmp_path / "copy")


def test_another_way_to_embed_is_said(tmp_path: Path, texts: list[str], one_thread: None) -> None:
    save(embedding(tiny_bert(tmp_path / "bert")).fit(texts, Y[:12, 0]), tmp_path / "model")

    def change(head: dict[str, Any]) -> None:
        head["model"]["params"]["steps"][0]["items"][1]["state"]["space_"]["dtype"] = "bfloat16"

    edit(tmp_path / "model", change)
    with pytest.warns(UserWarning, match="may differ .*dtype 'bfloat16' -> 'float32'"):
        load(tmp_path / "model")


# -------------------------------------------------------------------------------- what cannot be saved


class Mine(Ridge):
    """A subclass runs code that the list does not know."""


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Ridge(), r"model must be fitted, however: This Ridge instance is not fitted yet"),
        (make_pipeline(StandardScaler(), Ridge()), "model must be fitted"),
        (HEAD, "model must be fitted"),
        (3, "model must be a fitted estimator, however: got int"),
        (Ridge, "model must be a fitted estimator, however: got ABCMeta"),
        (RandomForestRegressor(3).fit(X, Y), r"RandomForestRegressor; .*as pickles alone"),
        (make_pipeline(StandardScaler(), DecisionTreeRegressor()).fit(X, Y), r"model\.steps\.1\.1 must"),
        (Mine().fit(X, Y), r"model must be of a class .*test_saving\.Mine; those are .*MLPHead.*Ridge"),
        (make_pipeline(FunctionTransformer(abs), Ridge()).fit(X, Y), r"model\.steps\.0\.1\.func must be"),
        (KNeighborsRegressor(weights=lambda d: 1 / d).fit(X, Y), r"model\.weights must be"),
    ],
)  # fmt: skip
def test_what_cannot_be_saved(model: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        save(model, tmp_path / "model")
    assert not any(tmp_path.iterdir())


def test_a_random_forest_baseline_says_what_can_be_saved(tmp_path: Path) -> None:
    model = baseline("random_forest", grid={"max_depth": [2]}).fit(X, Y[:, 0])
    with pytest.raises(ValueError, match=r"model\.models_.*RandomForestRegressor; .*XGBoost.*can be saved"):
        save(model, tmp_path / "model")


def test_only_a_saved_model_is_replaced(tmp_path: Path) -> None:
    one, two = Ridge().fit(X, Y[:, 0]), Ridge(9).fit(X, Y[:, 0])
    (tmp_path / "empty").mkdir()
    for name in ("new/deep", "new/deep", "empty"):
        save(one, tmp_path / name)
        save(two, tmp_path / name)
        assert load(tmp_path / name).alpha == 9
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "model.json").write_text("{}")
    (tmp_path / "empty" / "notes.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    for name in ("file", "folder", "empty"):
        with pytest.raises(FileExistsError, match="only a saved model is replaced, however"):
            save(one, tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_failed_save_leaves_the_old_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(Ridge(9).fit(X, Y), tmp_path / "model")
    write = Path.write_text

    def full(self: Path, *args: Any, **kwargs: Any) -> int:
        write(self, "{", encoding="ascii")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        save(Ridge(1).fit(X, Y), tmp_path / "model")
    assert load(tmp_path / "model").alpha == 9 and [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_reader_beside_a_writer_sees_one_whole_model(tmp_path: Path) -> None:
    models = [Ridge(a).fit(X * a, Y[:, 0]) for a in (1.0, 2.0)]
    expected = {m.alpha: m.predict(NEW) for m in models}
    save(models[0], tmp_path / "model")
    done = threading.Event()

    def write() -> None:
        try:
            for i in range(40):
                save(models[i % 2], tmp_path / "model")
        finally:
            done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = 0
    while not done.is_set():
        got = load(tmp_path / "model")
        assert got.predict(NEW).tobytes() == expected[got.alpha].tobytes()
        seen += 1
    writer.join()
    assert seen > 5


# -------------------------------------------------------------------------------- what cannot be loaded


def edit(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    head = json.loads((folder / "model.json").read_text())
    change(head)
    (folder / "model.json").write_text(json.dumps(head))


def edit_tensors(folder: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    """Change tensors, and the checksum with them: what is left must be noticed by itself."""
    tensors = load_tensors((folder / "tensors.safetensors").read_bytes())
    change(tensors)
    data = save_tensors(tensors)
    (folder / "tensors.safetensors").write_bytes(data)
    edit(folder, lambda head: head.update(tensors_sha256=hashlib.sha256(data).hexdigest()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(make_pipeline(StandardScaler(), Ridge()).fit(X, Y[:, 0]), tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """`load` tries again before it gives up; here nobody is about to finish a save."""
    monkeypatch.setattr("embreg.saving._PAUSE", 0)


def test_every_truncation_is_noticed(folder: Path, no_pause: None) -> None:
    for name in ("model.json", "tensors.safetensors"):
        whole = (folder / name).read_bytes()
        for n in {0, 1, 7, 8, 9, len(whole) // 2, len(whole) - 2, len(whole) - 1}:
            (folder / name).write_bytes(whole[:n])
            with pytest.raises(ValueError, match=rf"{name} must .*however: .*cut off or altered"):
                load(folder)
        (folder / name).write_bytes(whole)
    load(folder)


def test_flipped_bits_of_the_tensors_are_noticed(folder: Path, no_pause: None) -> None:
    file = folder / "tensors.safetensors"
    whole = file.read_bytes()
    for at in np.random.default_rng(0).choice(len(whole), 40, replace=False):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(ValueError, match="must have the SHA-256"):
            load(folder)


def node(head: dict[str, Any], step: int) -> dict[str, Any]:
    return head["model"]["params"]["steps"][step]["items"][1]


def _set(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda head: head.__setitem__(key, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("version", 2), r"reads format version 1, however: .*model\.json has 2, written by embreg 0"),
        (_set("version", "1"), "format version 1, however"),
        (_set("version", True), "format version 1, however"),
        (lambda h: h.pop("version"), "format version 1, however: .* has None"),
        (_set("format", "another"), "must say 'format'"),
        (lambda h: h.pop("tensors_sha256"), "must have 'tensors_sha256', however"),
        (lambda h: h.pop("model"), "must have 'model', however"),
        (_set("model", [1]), "must hold an estimator, however: it holds a list"),
        (_set("model", {"$": "pickle", "value": "gASV"}), "a node of kind 'pickle' is not known"),
        (_set("model", {"$": ["tensor"]}), "is not known"),
        (_set("model", {"$": "tensor", "name": "model.nothing"}), "'model.nothing' is named, but"),
        (_set("tensors", {}), r"however: .*tensors\.safetensors has extra \['model\.steps"),
        (lambda h: h["tensors"].update(more={"dtype": "float64", "shape": [1]}), r"lacks \['more'\]"),
        (lambda h: next(iter(h["tensors"].values())).update(shape=[1, 2, 3]), r"must be .*\[1, 2, 3\]"),
        (lambda h: node(h, 1)["state"].pop("coef_"), r"has 1 that .* 'model\.steps\.1\.1\.coef_'"),
        (lambda h: node(h, 1).pop("state"), r"damaged \(KeyError\('state'\)\)"),
        (lambda h: node(h, 1)["params"].update(nonsense=1), "damaged .*nonsense"),
        (lambda h: node(h, 1).update(params=[]), "damaged"),
        (lambda h: node(h, 1)["state"].update(predict=1), "Ridge.predict is no attribute that fitting sets"),
        (lambda h: node(h, 1)["state"].update(__class__=1), "no attribute that fitting sets"),
        (lambda h: node(h, 1)["state"].update({"a b": 1}), "no attribute that fitting sets"),
        (lambda h: h["model"]["params"].update(memory="/cache"), "cache holds pickles and is never loaded"),
    ],
)  # fmt: skip
def test_altered_json(folder: Path, change: Callable[[dict[str, Any]], None], message: str) -> None:
    edit(folder, change)
    with pytest.raises(ValueError, match=message):
        load(folder)


def test_tensors_too_many_or_too_few(folder: Path) -> None:
    whole = (folder / "tensors.safetensors").read_bytes(), (folder / "model.json").read_bytes()
    edit_tensors(folder, lambda t: t.update(more=np.zeros(3)))
    with pytest.raises(ValueError, match=r"has extra \['more'\] and lacks \[\]"):
        load(folder)
    (folder / "tensors.safetensors").write_bytes(whole[0])
    (folder / "model.json").write_bytes(whole[1])
    edit_tensors(folder, lambda t: t.pop("model.steps.1.1.coef_"))
    with pytest.raises(ValueError, match=r"has extra \[\] and lacks \['model.steps.1.1.coef_'\]"):
        load(folder)
    edit_tensors(folder, lambda t: t.update({"model.steps.1.1.coef_": np.zeros(5, np.float32)}))
    with pytest.raises(ValueError, match=r"must be .*float64.*however: .*float32"):
        load(folder)
    (folder / "tensors.safetensors").write_bytes(b"\xff" * 64)
    edit(folder, _set("tensors_sha256", hashlib.sha256(b"\xff" * 64).hexdigest()))
    with pytest.raises(ValueError, match=r"must be a safetensors file, however"):
        load(folder)


def test_json_that_is_too_deep(folder: Path) -> None:
    (folder / "model.json").write_text("[" * 200_000)
    with pytest.raises(ValueError, match=r"model\.json must be JSON"):
        load(folder)
    for depth in (400, 5000):  # the second is within what JSON reads and beyond what Python recurses
        deep: Any = "x"
        for _ in range(400):
            deep = {"$": "tuple", "items": [deep]}
        text = json.dumps(deep)
        for _ in range(depth // 400 - 1):
            text = text.replace('"x"', json.dumps(deep))
        (folder / "model.json").write_text(
            json.dumps({"format": "embreg model", "version": 1, "embreg": "0",
                        "libraries": {"scikit-learn": "1.9"},
                        "tensors": {}, "tensors_sha256": hashlib.sha256(save_tensors({})).hexdigest(),
                        "model": "deep"}).replace('"deep"', text)
        )  # fmt: skip
        (folder / "tensors.safetensors").write_bytes(save_tensors({}))
        with warnings.catch_warnings(), pytest.raises(ValueError, match=r"model\.json must|cannot be loaded"):
            warnings.simplefilter("ignore")
            load(folder)


def test_not_a_folder_of_ours(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no saved model at"):
        load(tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"a saved model is a folder, however: .* is a file"):
        load(folder / "model.json")
    (folder / "tensors.safetensors").unlink()
    with pytest.raises(ValueError, match=r"lacks tensors\.safetensors"):
        load(folder)
    (folder / "model.json").unlink()
    with pytest.raises(ValueError, match=r"lacks model\.json and tensors\.safetensors"):
        load(folder)


class Bomb:
    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (self.marker,)


def test_a_pickle_in_its_place_is_not_opened(folder: Path, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    bomb = pickle.dumps(Bomb(str(marker)))
    (tmp_path / "model.pkl").write_bytes(bomb)
    with pytest.raises(ValueError, match="is a pickle, which embreg never reads"):
        load(tmp_path / "model.pkl")
    whole = (folder / "tensors.safetensors").read_bytes()
    (folder / "tensors.safetensors").write_bytes(bomb)
    edit(folder, _set("tensors_sha256", hashlib.sha256(bomb).hexdigest()))
    with pytest.raises(ValueError, match="must be a safetensors file"):
        load(folder)
    (folder / "tensors.safetensors").write_bytes(whole)
    (folder / "model.json").write_bytes(bomb)
    with pytest.raises(ValueError, match="it is a pickle, which embreg never reads"):
        load(folder)
    assert not marker.exists()
    pickle.loads(bomb)  # what would have happened
    assert marker.exists()


@pytest.mark.parametrize(
    "name",
    ["subprocess.Popen", "os.system", "sklearn.linear_model.Lars", "evil.Model", "Ridge", "", None, ["x"],
     "../../evil.Ridge", "numpy.load", "sklearn.linear_model.Ridge.fit", "embreg.saving.load"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["class", "function"])
def test_names_outside_the_list_are_never_imported(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Any, kind: str
) -> None:
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    if kind == "class":
        edit(folder, lambda h: node(h, 1).update({"class": name}))
    else:
        edit(folder, lambda h: node(h, 1)["params"].update(alpha={"$": "function", "name": name}))
    with pytest.raises(ValueError, match=f"{kind} .* is not one that embreg loads: nothing was imported"):
        load(folder)
    assert "evil" not in sys.modules and not (tmp_path / "ran").exists()


def test_the_list_says_what_it_means() -> None:
    for name in CLASSES:
        kind = class_of(name)
        assert isinstance(kind, type) and name_of_class(kind) == name
        assert hasattr(kind, "get_params") or is_dataclass(kind)
    for name in FUNCTIONS:
        assert name_of_function(function_of(name)) == name
    assert name_of_class(Mine) is None and name_of_function(eval) is None


def test_another_scikit_learn_is_said(folder: Path) -> None:
    edit(folder, lambda h: h["libraries"].update({"scikit-learn": "1.2.0"}))
    with pytest.warns(UserWarning, match=r"saved with scikit-learn 1\.2\.0, this is"):
        load(folder)


def test_the_files_are_what_they_say(folder: Path) -> None:
    head = json.loads((folder / "model.json").read_bytes())
    assert head["format"] == "embreg model" and head["version"] == 1
    data = (folder / "tensors.safetensors").read_bytes()
    assert head["tensors_sha256"] == hashlib.sha256(data).hexdigest()
    tensors = load_tensors(data)
    assert head["tensors"] == {k: {"dtype": str(v.dtype), "shape": list(v.shape)} for k, v in tensors.items()}
    assert sorted(p.name for p in folder.iterdir()) == ["model.json", "tensors.safetensors"]
