"""What `embreg models fetch` gets: names, ladders, profiles, each model once; how much is said before."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from embreg import _wanted, weights
from embreg._specs import WeightsUnavailable
from embreg._wanted import absent, download_size, download_text, models_of_runs, named
from embreg.cli import main
from embreg.ladders import LADDERS
from embreg.models import MODELS, OFFLINE, spec_of
from embreg.profiles import find_root, load_profile, profile_names
from tests.test_models import COMMIT, hub, make_folder  # noqa: F401

PROFILES = profile_names(find_root(Path(__file__).parent))


# What is wanted


def strings_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from strings_in(one)
    elif isinstance(value, dict):
        yield from strings_in(list(value.values()))


@pytest.mark.parametrize("profile", PROFILES)
def test_every_model_that_a_profile_names_is_wanted(profile: str) -> None:
    """Under whatever parameter: a new name of a parameter must be told to `models_of_runs`."""
    runs = [spec.parameters for spec in load_profile(profile, find_root(Path(__file__).parent))]
    hubs = {spec.hub: name for name, spec in MODELS.items() if spec.hub}
    texts = {text.split(":")[0] for run in runs for text in strings_in(list(run.values()))}
    wanted = models_of_runs(runs)
    assert set(wanted.models) == {hubs.get(t, t) for t in texts if t in MODELS or t in hubs}
    assert len(wanted.models) == len(set(wanted.models)) and not wanted.skipped


def test_formats_are_cut_off_and_services_left_out() -> None:
    found = models_of_runs([
        {"models": ["all-MiniLM-L6-v2:values:2", "flan-t5-small-titles:auto", "all-MiniLM-L6-v2"]},
        {"model": "google/t5-v1_1-small:json:s", "random_models": [], "n_samples": 3, "task_models": None},
        {"task_models": ["someone/something:json:2e", "service:http://127.0.0.1:9/v1#a:b:json:s", "./here"]},
    ])  # fmt: skip
    assert found.models == (
        "all-MiniLM-L6-v2", "flan-t5-small-titles", "t5-v1_1-small", "someone/something",
    )  # fmt: skip
    assert found.skipped == ("service:http://127.0.0.1:9/v1#a:b", "./here")
    with pytest.raises(ValueError, match="unknown model 'all-MiniLM'"):
        models_of_runs([{"models": ["all-MiniLM:json:s"]}])


def test_no_ladder_has_the_name_of_a_model() -> None:
    assert not set(LADDERS) & set(MODELS)


def test_names_and_ladders_each_once() -> None:
    assert named(["all-mpnet-base-v2", "offline-encoders", "someone/something"]) == (
        "all-mpnet-base-v2", "paraphrase-MiniLM-L3-v2", "all-MiniLM-L6-v2", "bge-small-en-v1.5",
        "someone/something",
    )  # fmt: skip
    with pytest.raises(ValueError, match="Did you mean the ladder 'pythia'"):
        named(["pythai"])
    with pytest.raises(ValueError, match=r"unknown model 'zzzz'\. Named models"):
        named(["zzzz"])


def test_a_download_is_what_the_sources_hold() -> None:
    packaged = ["all-mpnet-base-v2", "wordllama-256"]
    assert download_size(packaged) == (404_534_822 + 19_155_170, True)
    size, known = download_size([*packaged, "pythia-1b"])
    assert not known and size == 404_534_822 + 19_155_170 + 2 * MODELS["pythia-1b"].parameters
    assert download_text(["pythia-12b"]) == "at least 23.2 GB"
    assert download_text(["someone/something"]) == "of unknown size"


def test_a_model_that_lends_its_tokenizer_is_fetched_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert absent(OFFLINE) == ()
    monkeypatch.setenv("EMBREG_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert absent(["paraphrase-MiniLM-L3-v2"]) == ("all-MiniLM-L6-v2", "paraphrase-MiniLM-L3-v2")
    assert absent(["all-MiniLM-L6-v2", "paraphrase-MiniLM-L3-v2"]) == absent(["paraphrase-MiniLM-L3-v2"])


# The command


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose profile names a model of the hub twice, and a service."""
    (tmp_path / "notebooks").mkdir()
    cell = {"cell_type": "code", "source": "models = ['x']\nmodel = ''",
            "metadata": {"tags": ["parameters"]}}  # fmt: skip
    content = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "notebooks" / "01_a.ipynb").write_text(json.dumps(content))
    (tmp_path / "notebooks" / "profiles.yml").write_text(
        "smoke: {01_a: {models: [all-MiniLM-L6-v2]}}\n"
        "hub: {01_a: [{models: ['someone/something:values:2', 'service:ollama/x:json:s']},"
        " {run: b, models: [], model: someone/something}]}\n"
        "slip: {01_a: {models: [all-MiniLM-L6]}}\n"
    )
    return tmp_path


def test_what_is_here_is_printed_and_not_fetched(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(name: str, say: Any) -> Path:
        raise AssertionError(f"{name} was fetched")

    monkeypatch.setattr(weights, "fetch", refuse)
    assert main(["models", "fetch", "--profile", "smoke", "--root", str(project)]) == 0
    out, err = capsys.readouterr()
    assert out.split() == [str(weights.installed("all-MiniLM-L6-v2"))]
    assert err == "nothing was downloaded: all of it is here\n"


def test_a_dry_run_fetches_nothing_and_says_how_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert main(["models", "fetch", "offline-pair", "pythia-70m", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    missing = [n for n in ("all-mpnet-base-v2", "pythia-70m") if weights.installed(n) is None]
    assert lines[: len(missing)] == [f"{n}: {download_text([n])}" for n in missing]
    assert f"all-MiniLM-L6-v2: here, {weights.installed('all-MiniLM-L6-v2')}" in lines
    assert lines[-1] == f"{len(missing)} of 3 models to download, {download_text(missing)}"
    assert main(["models", "fetch", "all-MiniLM-L6-v2", "-n"]) == 0
    assert capsys.readouterr().out.endswith("nothing to download\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--profile", "slip"], "unknown model 'all-MiniLM-L6'. Did you mean 'all-MiniLM-L6-v2'?"),
        (["--profile", "smok"], "unknown profile 'smok' (did you mean 'smoke'?)"),
        (["all-MiniLM-L6-v2", "offline-encoder"], "Did you mean the ladder 'offline-encoders'?"),
    ],
)
def test_a_slip_is_found_before_anything_is_fetched(
    arguments: list[str], says: str, project: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(weights, "fetch", lambda *a, **k: pytest.fail("something was fetched"))
    assert main(["models", "fetch", *arguments, "--root", str(project)]) == 2
    out, err = capsys.readouterr()
    assert says in err and out == ""


def test_large_downloads_are_announced_and_a_failure_stops_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line before the first download; the next call has less to do."""
    here: set[str] = set()
    working = {"all-MiniLM-L6-v2", "all-mpnet-base-v2"}

    def fetch(name: str, say: Any) -> Path:
        say(f"fetching {name}")
        if name not in working:
            raise WeightsUnavailable("no registry")
        here.add(name)
        return tmp_path / name

    monkeypatch.setattr(weights, "fetch", fetch)
    monkeypatch.setattr(weights, "installed", lambda name: tmp_path / name if name in here else None)
    assert main(["models", "fetch", "offline-encoders"]) == 1
    out, err = capsys.readouterr()
    said = err.splitlines()
    assert said[0] == "4 of 4 models to download, 624 MB" and said[1].startswith("fetching")
    assert [Path(line).name for line in out.split()] == ["all-MiniLM-L6-v2", "all-mpnet-base-v2"]
    assert re.search("2 of 4 models not fetched: paraphrase-MiniLM-L3-v2, bge-small-en-v1.5; the same", err)
    working |= {"paraphrase-MiniLM-L3-v2", "bge-small-en-v1.5"}
    assert main(["models", "fetch", "offline-encoders"]) == 0
    out, err = capsys.readouterr()
    assert [line for line in err.splitlines() if line.startswith("fetching")] == [
        "fetching paraphrase-MiniLM-L3-v2", "fetching bge-small-en-v1.5",
    ]  # fmt: skip
    assert len(out.split()) == 4
    # The only model that was asked for: its error is the answer.
    here.clear()
    working.clear()
    assert main(["models", "fetch", "wordllama-256"]) == 1
    out, err = capsys.readouterr()
    assert err.splitlines() == ["fetching wordllama-256", "embreg: no registry"], "19 MB are not announced"


def test_a_profile_with_models_of_the_hub(
    hub: tuple[str, dict[str, bytes]], project: Path, tmp_path: Path  # noqa: F811
) -> None:  # fmt: skip
    """From a real hub on this machine; the second call does without it."""
    address, files = hub
    files.update({p.name: p.read_bytes() for p in make_folder(tmp_path / "m").iterdir()})
    settings = {"HF_HOME": str(tmp_path / "hf"), "EMBREG_HOME": str(tmp_path / "home")}
    settings |= {"EMBREG_OFFLINE": "0", "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    settings |= {"PIP_NO_INDEX": "1"}

    def call(endpoint: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "embreg.cli", "models", "fetch", "-P", "hub", "--root", str(project)],
            capture_output=True, text=True, env={**os.environ, **settings, "HF_ENDPOINT": endpoint},
            timeout=120, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    code, out, err = call(address)
    assert code == 0 and Path(out.strip()).name == COMMIT, err
    assert err.splitlines()[0] == "service:ollama/x: a service or a local folder, nothing to fetch"
    assert "1 of 1 models to download, of unknown size" in err
    code, again, err = call("http://127.0.0.1:9")
    assert (code, again) == (0, out) and "nothing was downloaded" in err


# The Makefile


def test_make_gets_what_the_targets_behind_it_read() -> None:
    """`weights` before tests and smoke, the models of profile offline before the book."""
    text = (find_root(Path(__file__).parent) / "Makefile").read_text(encoding="utf-8")
    recipes = {m[1]: m[2].strip().splitlines() for m in re.finditer(r"^(\w+):.*\n((?:\t.*\n)+)", text, re.M)}
    assert [line.strip() for line in recipes["weights"]] == [
        "$(BIN)/embreg models fetch", "$(BIN)/embreg models fetch --profile smoke",
    ]  # fmt: skip
    assert recipes["book"][0].strip() == "$(BIN)/embreg models fetch --profile offline"


def test_models_of_the_book_come_from_a_package_registry() -> None:
    """`make book` promises that no hub is needed."""
    for profile in ("smoke", "offline"):
        runs = [spec.parameters for spec in load_profile(profile, find_root(Path(__file__).parent))]
        for name in _wanted.models_of_runs(runs).models:
            spec = spec_of(name)
            assert spec is not None and spec.package is not None, name
