"""The benchmark of the engine counts right, refuses to compare what differs, and feeds the book's page."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import embreg.engine.backends
import embreg.engine.core
from benchmarks import _compare, embedding
from benchmarks._contenders import Plain, cut, ours, sentence_transformer
from benchmarks._extra import measure_lengths, measure_others, measure_steps
from benchmarks._facts import facts_of
from benchmarks._others import OTHERS, Other, Unavailable
from benchmarks._rows import dof_for, mixed_rows, rows_of
from benchmarks._tables import show, tables_of
from benchmarks._work import Peak, work_of
from embreg import TextEmbedder
from embreg._machine import Watch
from embreg._turns import alternate, spread, times_faster
from embreg.models import MODELS, OFFLINE, resolve
from tests.tiny import LAYERS, tiny_bert, tiny_t5

REPO = Path(__file__).parents[1]
COMMITTED = REPO / "book" / "results" / "embedding.json"
PAGE = REPO / "book" / "speed.md"

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    base = tmp_path_factory.mktemp("models")
    return {"t5": str(tiny_t5(base / "t5")), "bert": str(tiny_bert(base / "bert"))}


@pytest.fixture(scope="module")
def compared(models: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the command writes for a tiny BERT, through its own main."""
    path = tmp_path_factory.mktemp("out") / "embedding.json"
    code = embedding.main(
        ["--model", models["bert"], "--dofs", "1", "3", "--rows", "6", "--repeat", "2", "--json", str(path)]
    )
    assert code == 0
    return json.loads(path.read_text(encoding="utf-8"))


# --- counting -----------------------------------------------------------------------------------------


def test_every_round_runs_everyone_once_and_starts_with_the_next() -> None:
    seen: list[str] = []
    calls = {name: (lambda name=name: seen.append(name)) for name in "abc"}
    seconds = alternate(calls, 4, between=lambda: seen.append("|"))
    assert "".join(seen) == "|abc|bca|cab|abc"
    assert {name: len(s) for name, s in seconds.items()} == {"a": 4, "b": 4, "c": 4}
    assert all(s >= 0 for times in seconds.values() for s in times)


def test_a_ratio_is_of_pairs_not_of_averages() -> None:
    """A machine that slows down threefold midway slows both: the ratio stays, its interval is narrow."""
    fast, slow = np.array([1.0, 1.0, 3.0, 3.0]), np.array([2.0, 2.1, 6.0, 6.3])
    ratio = times_faster(fast, slow)
    assert ratio.value == pytest.approx(math.sqrt(2.0 * 2.1))
    assert ratio.low is not None and ratio.high is not None
    assert 1.9 < ratio.low < ratio.value < ratio.high < 2.2
    back = times_faster(slow, fast)
    assert back.value == pytest.approx(1 / ratio.value) and back.low == pytest.approx(1 / ratio.high)


def test_student_s_interval_by_hand() -> None:
    ratio = times_faster([1.0, 1.0], [math.exp(1.0), math.exp(3.0)])
    assert ratio.value == pytest.approx(math.exp(2.0))
    # Two values a distance of 2 apart: standard error 1, and Student's 97.5 % quantile of one degree.
    assert ratio.high == pytest.approx(math.exp(2.0 + 12.7062047), rel=1e-6)


def test_one_round_has_no_interval() -> None:
    assert times_faster([1.0], [2.0])[1:] == (None, None)


def test_speed_counts_tokens_over_seconds() -> None:
    assert spread(600, [2.0, 3.0, 6.0]) == {"median": 200.0, "low": 100.0, "high": 300.0}


@pytest.mark.parametrize("kind", ["bert", "t5"])
def test_work_counts_the_layers_and_nothing_else(models: dict[str, str], kind: str) -> None:
    work = work_of(Path(models[kind]))
    if kind == "bert":  # width 16, feed-forward 32, biases and two norms
        each = 4 * (16 * 16 + 16) + (16 * 32 + 32) + (32 * 16 + 16) + 2 * 2 * 16
    else:  # no biases; gated feed-forward; the table of positions is an embedding
        each = 4 * 16 * 16 + 3 * 16 * 32 + 2 * 16
    assert (work.parameters, work.width, work.layers) == (LAYERS * each, 16, LAYERS)
    lengths = [3, 7]
    slow = sum(2 * 2 * n * n * 16 for n in lengths for _ in range(LAYERS))  # q·kᵀ and weights·v, each 2 n² d
    assert work.attention(lengths) == slow
    assert work.linear(lengths) == 2 * LAYERS * each * 10


@pytest.mark.parametrize("name", OFFLINE)
def test_work_of_the_named_models_is_what_their_table_says(name: str) -> None:
    """The table counts parameters with the vocabulary; positions, types and norms around them are few."""
    spec = MODELS[name]
    body = spec.parameters - spec.vocab * spec.dim
    around = (512 + 2 + 2) * spec.dim if spec.architecture == "bert" else 0
    work = work_of(resolve(name).path)
    # Some entries count BERT's unused pooler, and T5 its table of positions and last norm.
    assert 0 <= body - around - work.parameters <= spec.dim**2 + 2 * spec.dim
    assert work.layers == spec.layers


def test_peak_keeps_the_fastest_product() -> None:
    peak = Peak("cpu", ["float32"])
    start = time.perf_counter()
    peak(tries=1)
    slowest = 2 * peak.n**3 / (time.perf_counter() - start)
    first = peak.best["float32"]
    assert first >= slowest > 0
    peak(tries=1)
    assert peak.best["float32"] >= first


def test_rows_are_an_equal_mix_and_shuffled_alike_every_time() -> None:
    rows = mixed_rows([1, 3], 12)
    assert rows == mixed_rows([1, 3], 12) and rows != [*rows_of(1, 12), *rows_of(3, 12)]
    assert sorted(rows) == sorted([*rows_of(1, 12), *rows_of(3, 12)])
    assert len(set(rows)) == 24  # equal strings would be embedded once by one contender only


@pytest.mark.parametrize("wanted", [40, 600])
def test_dof_for_finds_the_nearest(wanted: int) -> None:
    def count(texts: list[str]) -> list[int]:
        return [len(t) // 2 for t in texts]

    dof = dof_for(wanted, count)
    gaps = {d: abs(np.mean(count(rows_of(d, 10))) - wanted) for d in range(1, 2 * dof)}
    assert gaps[dof] == min(gaps.values())


def test_batches_hold_every_row_once_within_the_budget() -> None:
    lengths = [5, 1, 9, 30, 2, 2, 7]
    for order in (range(7), sorted(range(7), key=lambda i: lengths[i])):
        batches = list(cut(list(order), lengths, budget=20))
        assert sorted(i for b in batches for i in b) == list(range(7))
        assert all(len(b) * max(lengths[i] for i in b) <= 20 for b in batches if len(b) > 1)


def test_no_timed_run_loads_a_model(models: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """More models take turns than the package keeps; each is loaded by its first call and never again."""
    loaded: list[str] = []
    load = embreg.engine.backends.load_backend

    def counted(*args: Any, **kwargs: Any) -> Any:
        loaded.append("model")
        return load(*args, **kwargs)

    monkeypatch.setattr(embreg.engine.backends, "load_backend", counted)
    embreg.engine.core.load_engine.cache_clear()
    texts = mixed_rows([1], 10)
    embedders = [ours(m, d, "cpu") for m in models.values() for d in ("float32", "bfloat16")]
    for _ in range(3):
        for embedder in embedders:
            embedder.fit_transform(texts)
    assert len(loaded) == len(embedders) == 4


# --- a comparison, through the command -------------------------------------------------------------------


def test_the_result_counts_what_the_tokenizer_gives(compared: dict[str, Any], models: dict[str, str]) -> None:
    [(name, result)] = compared["models"].items()
    assert name == models["bert"]
    texts = mixed_rows([1, 3], 6)
    embedder = TextEmbedder(models["bert"], dtype="float32", store=None)
    encode = embedder._engine().tokenizer.backend_tokenizer.encode
    lengths = [len(encode(t).ids) for t in texts]
    assert (result["rows"], result["tokens"]) == (12, sum(lengths))
    work = work_of(Path(models["bert"]))
    assert result["work"]["linear_flop"] == 2 * work.parameters * sum(lengths)
    assert result["work"]["attention_flop"] == sum(4 * n**2 * 16 * LAYERS for n in lengths)
    assert 1 <= result["padded_per_real"] <= len(lengths) * max(lengths) / sum(lengths)
    for contender, c in result["contenders"].items():
        assert len(c["seconds"]) == 2
        rates = [result["tokens"] / s for s in c["seconds"]]
        assert c["tokens_per_s"]["median"] == pytest.approx(np.median(rates))
        dtype = "float32" if contender.endswith("fp32") else "bfloat16"
        flop = result["work"]["linear_flop"]
        share = flop * np.median(rates) / sum(lengths) / result["peak"][dtype]
        assert result["shares"][contender]["linear"] == pytest.approx(share)
        assert result["shares"][contender]["full"] > result["shares"][contender]["linear"]
    fast, slow = (result["contenders"][n]["seconds"] for n in ("embreg fp32", "sentence-transformers fp32"))
    assert result["ratios"]["fp32"]["value"] == pytest.approx(
        math.sqrt(np.prod(np.array(slow) / np.array(fast)))
    )


def test_the_result_holds_parity_with_sentence_transformers(compared: dict[str, Any]) -> None:
    [result] = compared["models"].values()
    exact = {n: p for n, p in result["parity"].items() if n.endswith("fp32")}
    assert exact and all(0 <= p["max_abs"] <= 1e-5 for p in exact.values())
    rounded = {n: p for n, p in result["parity"].items() if n.endswith("bf16")}
    assert all(1e-4 < p["max_relative"] < 0.1 for p in rounded.values())  # really computed in bf16
    assert bool(rounded) == (result["auto"]["dtype"] == "bfloat16")


def test_the_record_names_no_machine_user_or_folder(compared: dict[str, Any]) -> None:
    [result] = compared["models"].values()
    run = result["run"]
    assert {"started", "machine", "versions", "threads", "load_before", "others", "quiet", "commit"} <= set(
        run
    )
    assert str(Path.home()) not in json.dumps(run)


@pytest.mark.parametrize("kind", ["bert", "t5"])
def test_a_difference_from_sentence_transformers_ends_in_failure(
    models: dict[str, str],
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A real fault: sentence-transformers gets a folder whose weights differ in one matrix by a little."""
    from safetensors.numpy import load_file, save_file

    other = {"bert": tiny_bert, "t5": tiny_t5}[kind](tmp_path / "other")
    weights = load_file(other / "model.safetensors")
    name = next(n for n in sorted(weights) if weights[n].ndim == 2 and "embed" not in n and "shared" not in n)
    save_file({**weights, name: weights[name] * 1.001}, other / "model.safetensors", {"format": "pt"})

    def peer(folder: Path, *args: Any, **kwargs: Any) -> Any:
        return sentence_transformer(other, *args, **kwargs)

    monkeypatch.setattr(_compare, "sentence_transformer", peer)
    kept = tmp_path / "embedding.json"
    kept.write_text("{}", encoding="utf-8")
    arguments = ["--model", models[kind], "--dofs", "1", "--rows", "4", "--repeat", "1", "--json", str(kept)]
    assert embedding.main(arguments) == 1
    said = capsys.readouterr()
    assert re.search(r"embreg fp32 must equal sentence-transformers within 1e-05, however: .*\d", said.err)
    assert "tokens/s" in said.out  # the figures are shown all the same
    assert kept.read_text(encoding="utf-8") == "{}"  # and not kept


def test_rows_that_one_of_the_two_cuts_end_in_failure(
    models: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def peer(*args: Any, longest: int, **kwargs: Any) -> Any:
        made = sentence_transformer(*args, longest=longest, **kwargs)
        made.max_seq_length = longest - 1
        return made

    monkeypatch.setattr(_compare, "sentence_transformer", peer)
    code = embedding.main(["--model", models["bert"], "--dofs", "2", "--rows", "4", "--repeat", "1"])
    assert code == 1
    assert "one of them cuts rows" in capsys.readouterr().err


def test_nan_is_no_parity() -> None:
    good = np.ones((2, 3), np.float32)
    bad = np.array([[1, 1, np.nan], [1, 1, 1]], np.float32)
    _, problems = _compare._parity({"embreg fp32": bad, "sentence-transformers fp32": good})
    assert len(problems) == 1
    assert not _compare._parity({"embreg fp32": good, "sentence-transformers fp32": good})[1]


def test_targets_are_printed_met_or_not(compared: dict[str, Any]) -> None:
    [result] = compared["models"].values()
    slow = {**result, "ratios": {k: {"value": 1.0, "low": 0.9, "high": 1.1} for k in ("default", "fp32")}}
    slow["padded_per_real"] = 1.05
    table = tables_of({"models": {"all-MiniLM-L6-v2": slow}})["targets"]
    verdicts = {row[0]: row[-1] for row in table["rows"]}
    assert verdicts["its default over sentence-transformers' default"] == "not met"
    assert verdicts["fp32 over fp32"] == "not met" and verdicts["padded tokens for each real one"] == "met"
    fast = {**slow, "ratios": {"default": {"value": 4.5, "low": None, "high": None}}}
    assert tables_of({"models": {"all-MiniLM-L6-v2": fast}})["targets"]["rows"][0][-1] == "met"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rows", "0"], "must be a whole number from 1"),
        (["--model", "a", "--all"], "--model and --all exclude each other"),
        (["--model"], "expected one argument"),
    ],
)
def test_a_wrong_command_is_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert embedding.main(arguments) == 2
    assert message in capsys.readouterr().err


def test_the_module_runs_from_the_repository() -> None:
    command = [sys.executable, "-m", "benchmarks.embedding", "--help"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True)
    assert "--lengths" in done.stdout and "--all" in done.stdout


# --- the other tables -------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{"rows": 2}, {"budget": 60, "by_length": True}])
@pytest.mark.parametrize("kind", ["bert", "t5"])
def test_the_plain_loop_gives_what_the_engine_gives(
    models: dict[str, str], kind: str, settings: dict[str, Any]
) -> None:
    texts = mixed_rows([1, 3], 10)
    found = Plain(Path(models[kind]), "float32").embed(texts, **settings)
    expected = TextEmbedder(models[kind], dtype="float32", store=None).fit_transform(texts)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_lengths_compare_the_same_number_of_tokens(
    models: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks._extra.LENGTHS", (13, 60))
    found = measure_lengths(models["t5"], 10, repeat=1, device="cpu", say=lambda line: None)
    short, long = found["points"]
    assert abs(short["per_row"] - 13) < 8 and abs(long["per_row"] - 60) < 8
    plain = Plain(Path(models["t5"]), "float32")
    for point in found["points"]:
        lengths = plain.lengths(rows_of(point["dof"], point["rows"]))
        assert (point["tokens"], point["rows"]) == (sum(lengths), len(lengths))
    speed = {n: c["tokens_per_s"]["median"] for n, c in found["contenders"].items()}
    assert found["kept"]["embreg"]["value"] == pytest.approx(speed["embreg at 60"] / speed["embreg at 13"])
    assert len(tables_of({"lengths": found})["lengths"]["rows"]) == len(found["engines"])


def test_steps_are_in_order_and_the_last_reads_the_store(models: dict[str, str]) -> None:
    texts = mixed_rows([1, 3], 10)
    found = measure_steps(models["bert"], texts, repeat=1, device="cpu", say=lambda line: None)
    assert found["steps"][0] == "transformers, batches of 32 rows" and found["steps"][-1] == "from the store"
    seconds = {n: c["seconds"][0] for n, c in found["contenders"].items()}
    for before, after in zip(found["steps"], found["steps"][1:], strict=False):
        over = found["over_previous"][after]["value"]
        assert over == pytest.approx(seconds[before] / seconds[after])
    assert found["tokens"] == sum(Plain(Path(models["bert"]), "float32").lengths(texts))


def test_a_backend_that_is_missing_says_why_and_one_that_is_wrong_is_a_problem(
    models: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(folder: Path, longest: int) -> Any:
        raise Unavailable("it is not installed")

    def wrong(folder: Path, longest: int) -> Any:
        plain = Plain(folder, "float32")
        return lambda texts: 1.01 * plain.embed(texts, rows=4)

    torch = OTHERS["torch fp32"]
    monkeypatch.setattr(
        "benchmarks._extra.OTHERS",
        {"good": torch, "absent": Other("float32", absent, "x"), "wrong": Other("float32", wrong, "y")},
    )
    texts = mixed_rows([1, 3], 10)
    found, problems = measure_others(models["bert"], texts, repeat=1, say=lambda line: None)
    assert found["absent"]["missing"] == "it is not installed"
    assert len(problems) == 1 and problems[0].startswith("wrong differs from this engine")
    assert found["good"]["max_relative"] < 1e-4
    rows = tables_of({"others": found})["others"]["rows"]
    assert [r[0] for r in rows] == ["good", "absent", "wrong"] and rows[1][1] == "not measured"


# --- what is kept ------------------------------------------------------------------------------------------


def part(threads: int = 2, others: float = 0.0, **more: Any) -> dict[str, Any]:
    """An entry of the section of other backends."""
    run = {
        "started": "2026-01-01T00:00:00+00:00", "threads": threads, "others": others, "versions": {},
        "quiet": others < 0.05, "machine": {"processor": "P", "cores": 2, "flags": []},
    }  # fmt: skip
    speed = {"median": 1.0, "low": 1.0, "high": 1.0}
    measured = {"tokens_per_s": speed, "engine_faster": {"value": 2.0, "low": None, "high": None}}
    return {"why": "w", "dtype": "float32", "run": run, **({} if "missing" in more else measured), **more}


def test_a_second_run_adds_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "embedding.json"
    embedding.merge(path, {"others": {"a": part(max_relative=0.5), "b": part(missing="not here")}})
    embedding.merge(path, {"others": {"a": part(missing="gone"), "b": part()}})
    found = json.loads(path.read_text(encoding="utf-8"))
    assert list(found["others"]) == ["a", "b"]
    assert found["others"]["a"]["max_relative"] == 0.5  # measured figures outlive an environment without it
    assert "missing" not in found["others"]["b"]
    assert found["facts"]["others_count"]["value"] == 2
    embedding.merge(path, {"others": {"a": part(missing="never"), "c": part(missing="never")}})
    found = json.loads(path.read_text(encoding="utf-8"))
    assert set(found["others"]) == {"a", "b", "c"} and found["others"]["c"]["missing"] == "never"


def test_figures_of_a_busy_machine_call_themselves_interim() -> None:
    quiet = facts_of({"others": {"a": part()}})["status"]
    assert quiet["value"] is True and quiet["text"].startswith("Measured on a quiet machine")
    busy = facts_of({"others": {"a": part(), "b": part(others=0.4)}})["status"]
    assert busy["value"] is False and busy["text"].startswith("Interim figures") and "40%" in busy["text"]


def test_own_work_does_not_count_as_others(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = iter([(100.0, 10.0, 0.0), (104.0, 13.0, 2.0)])  # all processors, this process, the wall
    monkeypatch.setattr(Watch, "_clocks", lambda self: next(clocks))
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with Watch() as watch:
        pass
    assert watch.record["others"] == pytest.approx((4 - 3) / (2 * 2))
    assert watch.record["quiet"] is False and watch.record["wall_seconds"] == 2.0


def test_another_process_counts() -> None:
    code = "import time\nwhile time.process_time() < 1.0: pass"
    # Twice removed: the time of children that have ended is this process' own.
    starter = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {code!r}])"
    with Watch() as watch:
        subprocess.run([sys.executable, "-c", starter], check=True)
        time.sleep(0.8)
    assert watch.record["others"] > 0.2 / (os.cpu_count() or 1)


# --- the book's page ---------------------------------------------------------------------------------------


def test_the_committed_summary_is_what_its_figures_give() -> None:
    whole = json.loads(COMMITTED.read_text(encoding="utf-8"))
    assert whole["facts"] == json.loads(json.dumps(facts_of(whole)))
    assert whole["tables"] == tables_of(whole)
    assert all(show(table) for table in whole["tables"].values())


def test_the_committed_figures_cover_every_model_that_works_offline() -> None:
    whole = json.loads(COMMITTED.read_text(encoding="utf-8"))
    assert set(OFFLINE) <= set(whole["models"])
    assert {"steps", "lengths", "others"} <= set(whole)


def test_the_page_shows_only_what_was_measured() -> None:
    whole = json.loads(COMMITTED.read_text(encoding="utf-8"))
    text = PAGE.read_text(encoding="utf-8")
    facts = re.findall(r"\{measured\}`embedding/(\w+)`", text)
    tables = re.findall(r"\{measured-table\} embedding/(\w+)", text)
    assert facts and set(facts) <= set(whole["facts"])
    assert set(tables) == set(whole["tables"])
    # Numbers with a unit or a multiplication sign are figures: they come from the file.
    prose = re.sub(r"```.*?```|`[^`]*`|\{[^}]*\}", "", text, flags=re.S)
    assert not re.findall(r"\d[\d.,]*\s*(?:×|%|tokens/s|GFLOP)", prose)


def test_the_page_is_in_the_table_of_contents() -> None:
    toc = yaml.safe_load((REPO / "_toc.yml").read_text(encoding="utf-8"))
    listed = [c["file"] for p in toc["parts"] for c in p["chapters"]]
    assert "book/speed" in listed
