"""Embeddings by a service: its numbers are the model's, nothing is paid for twice, and nobody sees the key.

A real server on loopback that embeds with the offline weights, called by the real client.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

import embreg
from embreg import TextEmbedder, spaces
from embreg.service import ServiceError, estimate, use_limits
from embreg.services import fill as _fill
from embreg.services import table
from embreg.services.address import parse
from embreg.services.counting import count_tokens, pack
from embreg.services.limits import limits
from embreg.stream import embed_file
from tests.embedding_server import KEY, MODEL, EmbeddingServer, Handler, running

pytestmark = pytest.mark.usefixtures("one_thread")

TEXTS = [f"{{x0:{i / 7:.4f},x1:{-3.3 * i:.4f}}}" for i in range(12)]
REMOTE = "service:https://embeddings.example.org/v1#m"


@pytest.fixture(scope="module")
def shared() -> Iterator[EmbeddingServer]:
    with running() as server:
        yield server


@pytest.fixture
def server(shared: EmbeddingServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddingServer]:
    """The server without faults, the right key in the environment, and little patience."""
    shared.reset()
    monkeypatch.setenv("EMBREG_SERVICE_KEY", KEY)
    for name in (n for p in table.PROVIDERS.values() for n in (*p.keys, p.url_variable) if n):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(_fill, "_ANNOUNCED", {})
    with use_limits(backoff=0.01, timeout=20):
        yield shared


@pytest.fixture(scope="module")
def own() -> np.ndarray:
    return TextEmbedder(MODEL, dtype="float32", store=None).fit_transform(TEXTS)


def named(server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch, name: str, **changes: Any) -> None:
    """Let a named provider be the server."""
    changed = replace(table.PROVIDERS[name], url=server.url, **changes)
    monkeypatch.setattr(table, "PROVIDERS", {**table.PROVIDERS, name: changed})


def sent(server: EmbeddingServer) -> list[str]:
    return [text for request in server.seen for text in request["body"]["input"]]


# --- the numbers ---------------------------------------------------------------------------------------


def test_vectors_are_those_of_the_model(server: EmbeddingServer, own: np.ndarray) -> None:
    embedder = TextEmbedder(server.model, store=None)
    found = embedder.fit_transform(TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, own, rtol=0, atol=1e-6)
    assert embedder.dim_ == 384
    assert embedder.get_feature_names_out()[-1] == "e383"


@pytest.mark.parametrize(("name", "encoding"), [("vllm", "base64"), ("ollama", "float")])
def test_both_encodings_give_the_same_bits(
    server: EmbeddingServer, own: np.ndarray, monkeypatch: pytest.MonkeyPatch, name: str, encoding: str
) -> None:
    named(server, monkeypatch, name)
    monkeypatch.setenv(table.PROVIDERS[name].keys[0], KEY)
    found = TextEmbedder(f"service:{name}/{MODEL}", store=None).transform(TEXTS)
    assert [r["body"]["encoding_format"] for r in server.seen] == [encoding]
    np.testing.assert_array_equal(found, server.embedder.transform(TEXTS))
    np.testing.assert_allclose(found, own, rtol=0, atol=1e-6)


def test_an_answer_in_the_other_encoding_is_read(server: EmbeddingServer, own: np.ndarray) -> None:
    def as_base64(_: Handler, answer: dict[str, Any]) -> dict[str, Any]:
        for item in answer["data"]:
            item["embedding"] = base64.b64encode(np.asarray(item["embedding"], "<f4").tobytes()).decode()
        return answer

    server.faults.append(as_base64)
    found = TextEmbedder(server.model, store=None).transform(TEXTS)
    np.testing.assert_allclose(found, own, rtol=0, atol=1e-6)


def test_repeated_rows_are_sent_once_and_come_back_in_order(server: EmbeddingServer, own: np.ndarray) -> None:
    order = [3, 0, 3, 7, 0]
    embedder = TextEmbedder(server.model, store=None)
    found = embedder.transform([TEXTS[i] for i in order])
    np.testing.assert_allclose(found, own[order], rtol=0, atol=1e-6)
    assert sent(server) == [TEXTS[3], TEXTS[0], TEXTS[7]]
    assert (embedder.report_.rows, embedder.report_.distinct) == (5, 3)


def test_fewer_dimensions(server: EmbeddingServer, own: np.ndarray, tmp_path: Path) -> None:
    short = TextEmbedder(f"{server.model}?dimensions=64", store=tmp_path).fit(TEXTS)
    assert short.dim_ == 64
    assert not server.seen  # the width is known, so nothing is sent
    expected = own[:, :64] / np.linalg.norm(own[:, :64], axis=1, keepdims=True)
    np.testing.assert_allclose(short.transform(TEXTS), expected, rtol=0, atol=1e-6)
    assert TextEmbedder(server.model, store=tmp_path).transform(TEXTS).shape == (12, 384)
    assert len(spaces.spaces(tmp_path)) == 2


# --- requests ------------------------------------------------------------------------------------------


def test_requests_keep_to_the_rows_of_the_provider(
    server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"x={i}" for i in range(250)]
    server.rows = 100
    named(server, monkeypatch, "gemini", models={})
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    embedder = TextEmbedder(f"service:gemini/{MODEL}", store=None)
    embedder.transform(texts)
    assert [len(r["body"]["input"]) for r in server.seen] == [100, 100, 50]
    assert sent(server) == texts
    assert embedder.report_.requests == 3


def test_requests_keep_to_tokens(server: EmbeddingServer) -> None:
    with use_limits(tokens=60):
        TextEmbedder(server.model, store=None).transform(TEXTS)
    sizes = [[count_tokens(t) for t in r["body"]["input"]] for r in server.seen]
    assert len(sizes) > 3
    assert all(sum(s) <= 60 for s in sizes)


def test_too_many_rows_are_refused_with_the_way_out(server: EmbeddingServer) -> None:
    server.rows = 5
    with pytest.raises(ServiceError, match=r"HTTP 400: at most 5 .*12 texts were sent; .*use_limits\(rows"):
        TextEmbedder(server.model, store=None).transform(TEXTS)
    assert len(server.seen) == 1


@pytest.mark.parametrize("sizes", [[], [1], [9, 9, 9], [1, 30, 1], [5] * 10])
def test_packing_keeps_order_and_limits(sizes: list[int]) -> None:
    batches = list(pack(sizes, rows=4, tokens=12))
    assert [i for b in batches for i in b] == list(range(len(sizes)))
    for batch in batches:
        assert 1 <= len(batch) <= 4
        assert len(batch) == 1 or sum(sizes[i] for i in batch) <= 12


def test_the_pace_is_kept(server: EmbeddingServer) -> None:
    with use_limits(rows=3, requests_per_minute=600):
        TextEmbedder(server.model, store=None).transform(TEXTS)
    times = [r["time"] for r in server.seen]
    assert len(times) == 4
    assert times[-1] - times[0] > 0.28  # three pauses of 0.1 s, but for the way
    server.seen.clear()
    tokens = sum(map(count_tokens, TEXTS[:3]))
    with use_limits(rows=3, tokens_per_minute=600 * tokens):
        TextEmbedder(server.model, store=None).transform(TEXTS[:9])
    times = [r["time"] for r in server.seen]
    assert times[-1] - times[0] > 0.18


def test_limits_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBREG_SERVICE_LIMITS", "requests_per_minute=60, timeout=2.5 tries=3")
    found = limits()
    assert (found.requests_per_minute, found.timeout, found.tries) == (60, 2.5, 3)
    for bad in ("speed=3", "tries", "tries=many", "tries=1.5", "timeout=0", "rows=nan"):
        monkeypatch.setenv("EMBREG_SERVICE_LIMITS", bad)
        with pytest.raises(ValueError, match="must"):
            limits()


# --- faults --------------------------------------------------------------------------------------------


def status(code: int, kind: str = "some_error", **headers: str) -> Any:
    def fault(handler: Handler, _: dict[str, Any]) -> None:
        handler.error(code, "something is wrong", kind, **headers)

    return fault


@pytest.mark.parametrize("code", [429, 500, 503, 408])
def test_what_passes_is_tried_again(server: EmbeddingServer, own: np.ndarray, code: int) -> None:
    server.faults.extend([status(code), status(code)])
    embedder = TextEmbedder(server.model, store=None)
    np.testing.assert_allclose(embedder.transform(TEXTS), own, rtol=0, atol=1e-6)
    assert (embedder.report_.requests, embedder.report_.retries) == (3, 2)


@pytest.mark.parametrize(
    ("headers", "least"),
    [({"Retry_After": "1"}, 0.95), ({"retry_after_ms": "300"}, 0.28), ({"Retry_After": "date"}, 0.5)],
)
def test_the_wait_that_a_service_asks_for_is_kept(
    server: EmbeddingServer, headers: dict[str, str], least: float
) -> None:
    headers = {k: formatdate(time.time() + 2, usegmt=True) if v == "date" else v for k, v in headers.items()}
    server.faults.append(status(429, **headers))
    TextEmbedder(server.model, store=None).transform(TEXTS[:1])
    first, second = (r["time"] for r in server.seen)
    assert second - first > least


def test_a_wait_beyond_patience_is_an_error(server: EmbeddingServer) -> None:
    server.faults.append(status(429, Retry_After="3600"))
    with pytest.raises(ServiceError, match=r"asks to wait 3,600 s; .*patience=3600"):
        TextEmbedder(server.model, store=None).transform(TEXTS)
    assert len(server.seen) == 1


def test_tries_are_bounded(server: EmbeddingServer) -> None:
    server.faults.extend([status(500)] * 20)
    with (
        use_limits(tries=4),
        pytest.raises(ServiceError, match=r"HTTP 500: something.*given up after 4 tries"),
    ):
        TextEmbedder(server.model, store=None).transform(TEXTS)
    assert len(server.seen) == 4


def test_an_empty_account_is_not_asked_again(server: EmbeddingServer) -> None:
    server.faults.append(status(429, "insufficient_quota"))
    with pytest.raises(ServiceError, match="HTTP 429"):
        TextEmbedder(server.model, store=None).transform(TEXTS)
    assert len(server.seen) == 1


def test_timeouts(server: EmbeddingServer, own: np.ndarray) -> None:
    def late(_: Handler, answer: dict[str, Any]) -> dict[str, Any]:
        time.sleep(1.0)
        return answer

    server.faults.append(late)
    with use_limits(timeout=0.5):
        embedder = TextEmbedder(server.model, store=None)
        np.testing.assert_allclose(embedder.transform(TEXTS), own, rtol=0, atol=1e-6)
    assert embedder.report_.retries == 1
    server.faults.extend([late] * 3)
    with use_limits(timeout=0.2, tries=2), pytest.raises(ServiceError, match=r"within 0\.2 s; .*timeout="):
        TextEmbedder(server.model, store=None).transform(TEXTS)


def test_a_connection_that_breaks_is_tried_again(server: EmbeddingServer, own: np.ndarray) -> None:
    def hang_up(handler: Handler, _: dict[str, Any]) -> None:
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True

    def cut(handler: Handler, answer: dict[str, Any]) -> None:
        data = json.dumps(answer).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[: len(data) // 2])
        handler.wfile.flush()
        hang_up(handler, answer)

    server.faults.extend([hang_up, cut])
    embedder = TextEmbedder(server.model, store=None)
    np.testing.assert_allclose(embedder.transform(TEXTS), own, rtol=0, atol=1e-6)
    assert embedder.report_.retries == 2


def test_answers_out_of_order_are_sorted_by_their_numbers(server: EmbeddingServer, own: np.ndarray) -> None:
    def shuffled(_: Handler, answer: dict[str, Any]) -> dict[str, Any]:
        return {**answer, "data": [answer["data"][i] for i in (5, 2, 11, 0, 1, 10, 9, 3, 8, 4, 7, 6)]}

    def without_zeros(handler: Handler, answer: dict[str, Any]) -> dict[str, Any]:
        answer = shuffled(handler, answer)
        for item in answer["data"]:
            if item["index"] == 0:
                del item["index"]
        return answer

    for fault in (shuffled, without_zeros):
        server.faults.append(fault)
        embedder = TextEmbedder(server.model, store=None)
        np.testing.assert_allclose(embedder.transform(TEXTS), own, rtol=0, atol=1e-6)
        assert embedder.report_.retries == 0


def edited(change: Any) -> Any:
    def fault(_: Handler, answer: dict[str, Any]) -> dict[str, Any]:
        change(answer["data"])
        return answer

    return fault


def _twice(data: list[dict[str, Any]]) -> None:
    data[1]["index"] = 0


def _narrow(data: list[dict[str, Any]]) -> None:
    data[3]["embedding"] = data[3]["embedding"][:-1]


def _words(data: list[dict[str, Any]]) -> None:
    data[3]["embedding"] = ["a", "b"]


def _none(data: list[dict[str, Any]]) -> None:
    for item in data:
        item["embedding"] = []


BAD = {
    "11 vectors for 12 texts": edited(lambda data: data.pop(4)),
    "13 vectors for 12 texts": edited(lambda data: data.append(data[0])),
    "not numbered 0 to 11": edited(_twice),
    r"widths \[383, 384\]": edited(_narrow),
    "does not hold numbers": edited(_words),
    r"widths \[0\]": edited(_none),
    "no list of embeddings": lambda *_: {"greeting": "hello"},
}


@pytest.mark.parametrize("words", BAD)
def test_an_answer_that_is_none_is_asked_for_once_more(
    server: EmbeddingServer, own: np.ndarray, words: str, tmp_path: Path
) -> None:
    server.faults.append(BAD[words])
    embedder = TextEmbedder(server.model, store=tmp_path)
    np.testing.assert_allclose(embedder.transform(TEXTS), own, rtol=0, atol=1e-6)
    assert embedder.report_.retries == 1
    server.faults.extend([BAD[words]] * 2)
    server.seen.clear()
    with pytest.raises(ServiceError, match=words):
        TextEmbedder(server.model, store=None).transform(TEXTS)
    assert len(server.seen) == 2


def test_a_page_is_no_answer(server: EmbeddingServer) -> None:
    def page(handler: Handler, _: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Length", "13")
        handler.end_headers()
        handler.wfile.write(b"<html></html>")

    server.faults.extend([page] * 2)
    with pytest.raises(ServiceError, match="not with embeddings in OpenAI's format"):
        TextEmbedder(server.model, store=None).transform(TEXTS)


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), None, 1e300])  # null is how JSON says NaN
def test_values_that_are_not_finite_name_the_row_and_the_others_are_kept(
    server: EmbeddingServer, tmp_path: Path, value: float | None
) -> None:
    def broken(data: list[dict[str, Any]]) -> None:
        data[5]["embedding"][9] = value

    server.faults.append(edited(broken))
    with pytest.raises(FloatingPointError, match="non-finite values for row 5"):
        TextEmbedder(server.model, store=tmp_path).transform(TEXTS)
    server.seen.clear()
    TextEmbedder(server.model, store=tmp_path).transform(TEXTS)
    assert sent(server) == [TEXTS[5]]


def test_another_width_than_before_is_an_error(server: EmbeddingServer, tmp_path: Path) -> None:
    def half(data: list[dict[str, Any]]) -> None:
        for item in data:
            item["embedding"] = item["embedding"][:32]

    TextEmbedder(server.model, store=tmp_path).transform(TEXTS[:2])
    server.faults.append(edited(half))
    with pytest.raises(ServiceError, match=r"width 32, however: 384 was expected; another model"):
        TextEmbedder(server.model, store=tmp_path).transform(TEXTS)
    server.faults.append(edited(half))
    with pytest.raises(ServiceError, match=r"width 32, however: 64 was .*leave \?dimensions= out"):
        TextEmbedder(f"{server.model}?dimensions=64", store=None).transform(TEXTS)


def test_a_redirect_is_not_followed(server: EmbeddingServer) -> None:
    server.faults.append(status(307, Location=f"{server.url}/elsewhere"))
    with pytest.raises(ServiceError, match=r"sends on to another address \(HTTP 307\)"):
        TextEmbedder(server.model, store=None).transform(TEXTS)
    assert len(server.seen) == 1


def test_an_unknown_model(server: EmbeddingServer) -> None:
    with pytest.raises(ServiceError, match="does not know the model 'bert-huge', or the address is wrong"):
        TextEmbedder(f"service:{server.url}#bert-huge", store=None).transform(TEXTS)
    assert len(server.seen) == 1


def test_a_server_that_is_not_there_is_said_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ServiceError, match=r"nothing listens there; is the server running\?"):
        TextEmbedder(f"service:http://127.0.0.1:{port}/v1#m", store=None).transform(TEXTS)


# --- the store -----------------------------------------------------------------------------------------


def test_nothing_is_paid_for_twice(
    server: EmbeddingServer, own: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = TextEmbedder(server.model, store=tmp_path)
    first.fit_transform(TEXTS[:8])  # the width is unknown, so fit asks for the first row
    assert sorted(sent(server)) == sorted(TEXTS[:8])
    server.seen.clear()
    again = TextEmbedder(server.model, store=tmp_path)
    np.testing.assert_allclose(again.fit_transform(TEXTS), own, rtol=0, atol=1e-6)
    assert sent(server) == TEXTS[8:]
    assert (again.report_.hits, again.report_.requests) == (8, 1)
    # What is stored needs neither server nor key.
    monkeypatch.delenv("EMBREG_SERVICE_KEY")
    server.seen.clear()
    stored = TextEmbedder(server.model, store=tmp_path)
    np.testing.assert_allclose(stored.fit_transform(TEXTS), own, rtol=0, atol=1e-6)
    assert not server.seen
    assert (stored.report_.requests, stored.report_.billed_tokens) == (0, 0)


def test_an_error_in_the_middle_keeps_what_was_paid_for(server: EmbeddingServer, tmp_path: Path) -> None:
    server.faults.extend([None, None, status(400)])
    with use_limits(rows=3), pytest.raises(ServiceError, match=r"\(6 of 12 texts were embedded before\)"):
        TextEmbedder(server.model, store=tmp_path).transform(TEXTS)
    server.seen.clear()
    TextEmbedder(server.model, store=tmp_path).transform(TEXTS)
    assert sent(server) == TEXTS[6:]


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_killed_process_keeps_what_was_paid_for(server: EmbeddingServer, tmp_path: Path) -> None:
    code = (
        "import json, sys; from embreg import TextEmbedder\n"
        "TextEmbedder(sys.argv[1], store=sys.argv[2]).transform(json.loads(sys.argv[3]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(embreg.__file__).parents[1]),
                   "EMBREG_SERVICE_LIMITS": "rows=4"}  # fmt: skip
    process: list[subprocess.Popen[bytes]] = []

    def kill(_: Handler, __: dict[str, Any]) -> None:
        process[0].send_signal(signal.SIGKILL)

    server.faults.extend([None, None, kill])
    command = [sys.executable, "-c", code, server.model, str(tmp_path), json.dumps(TEXTS)]
    process.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
    assert process[0].wait(60) == -signal.SIGKILL
    server.seen.clear()
    TextEmbedder(server.model, store=tmp_path).transform(TEXTS)
    assert sent(server) == TEXTS[8:]


def test_the_space_holds_provider_model_and_dimensions(
    server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    space = parse("service:openai/text-embedding-3-large?dimensions=256").space()
    assert (space["provider"], space["service_model"], space["dimensions"]) == (
        "openai", "text-embedding-3-large", 256,
    )  # fmt: skip
    names = ["openai/a", "openai/b", "gemini/a", "openai/a?dimensions=2", "http://localhost:1/v1#a"]
    names += ["http://localhost:2/v1#a"]
    assert len({json.dumps(parse(f"service:{n}").space()) for n in names}) == len(names)
    with use_limits(rows=1, tries=2):  # change no number
        TextEmbedder(server.model, store=tmp_path).transform(TEXTS[:2])
    assert len(spaces.spaces(tmp_path)) == 1
    [found] = spaces.spaces(tmp_path)
    assert (found.model, found.rows) == (server.model, 2)
    assert not [c for c in spaces.verify(tmp_path) if c.fault or c.damaged]


# --- the key -------------------------------------------------------------------------------------------


def test_the_key_is_written_nowhere(
    server: EmbeddingServer,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    pipeline = make_pipeline(TextEmbedder(server.model, store=tmp_path / "store"), Ridge())
    server.faults.append(status(500))
    pipeline.fit(TEXTS, np.arange(12.0))
    embedder = pipeline[0]
    server.faults.append(lambda handler, _: handler.error(400, f"bad key {KEY}, Bearer {KEY}", KEY))
    with pytest.raises(ServiceError) as quoted:
        TextEmbedder(server.model, store=None).transform(TEXTS)
    server.key = "another"  # and the server's words quote the wrong one
    with pytest.raises(ServiceError) as refused:
        TextEmbedder(server.model, store=None).transform(TEXTS)
    embreg.save(pipeline, tmp_path / "saved")
    pd.DataFrame({"space": [json.dumps(embedder.space_)], "report": [str(embedder.report_)]}).to_parquet(
        tmp_path / "records.parquet"
    )
    errors = [quoted.value, refused.value]
    texts = [repr(embedder), str(embedder.report_), str(embedder.__dict__), embedder._repr_html_()]
    texts += [text for e in errors for text in (str(e), repr(e), "".join(traceback.format_exception(e)))]
    texts += [str(estimate(TEXTS, embedder)), repr(parse(server.model)), caplog.text, *capfd.readouterr()]
    assert KEY in server.seen[0]["headers"].get(
        "authorization", server.seen[0]["headers"].get("Authorization")
    )
    assert not [t for t in texts if KEY in t]
    assert all(e.__cause__ is None and e.__context__ is None for e in errors)
    assert KEY.encode() not in pickle.dumps([embedder, errors])
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert len(files) > 3
    assert not [p for p in files if KEY.encode() in p.read_bytes()]


def test_a_wrong_key_is_not_tried_again(server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBREG_SERVICE_KEY", "sk-wrong-one")
    with pytest.raises(ServiceError, match=r"refuses the key in EMBREG_SERVICE_KEY.*HTTP 401") as error:
        TextEmbedder(server.model, store=None).transform(TEXTS)
    assert len(server.seen) == 1
    assert "sk-wrong-one" not in str(error.value)


def test_a_missing_key(server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    named(server, monkeypatch, "gemini")
    embedder = TextEmbedder("service:gemini/gemini-embedding-001", store=None)
    assert embedder.fit(TEXTS).dim_ == 3072
    with pytest.raises(ServiceError, match="GEMINI_API_KEY and GOOGLE_API_KEY are not set; set one in the"):
        embedder.transform(TEXTS)
    monkeypatch.setenv("GEMINI_API_KEY", "two words")
    with pytest.raises(ServiceError, match="GEMINI_API_KEY must hold one key") as error:
        embedder.transform(TEXTS)
    assert "two words" not in str(error.value)
    assert not server.seen


def test_keys_and_settings_meant_for_openai_go_nowhere_else(
    server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-mine")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.delenv("EMBREG_SERVICE_KEY")
    server.key = ""
    TextEmbedder(server.model, store=None).transform(TEXTS)
    said = json.dumps(server.seen[0]["headers"])
    assert not [word for word in ("sk-openai", "org-mine", "proj-mine") if word in said]


def test_an_address_with_a_secret_is_refused_without_showing_it() -> None:
    for url in ("https://me:secret@host/v1", "https://host/v1?api-key=secret"):
        with pytest.raises(ValueError, match="no user, password or query") as error:
            TextEmbedder(f"service:{url}#m", store=None).fit(TEXTS)
        assert "secret" not in str(error.value)


# --- what is said and what it costs --------------------------------------------------------------------


def test_one_line_says_what_is_sent_where(server: EmbeddingServer, capfd: pytest.CaptureFixture[str]) -> None:
    TextEmbedder(server.model, store=None).transform(TEXTS)
    characters = sum(map(len, TEXTS))
    [line] = capfd.readouterr().err.splitlines()
    assert line.startswith(f"embreg: sends 12 rows ({characters} characters, about ")
    assert f"tokens) in 1 request to 127.0.0.1:{server.server_address[1]} (this machine) for {MODEL}" in line
    TextEmbedder(server.model, store=None).transform(TEXTS[:5])  # no more than was announced
    assert capfd.readouterr().err == ""
    TextEmbedder(server.model, store=None).transform([*TEXTS, "one more"])
    assert "sends 13 rows" in capfd.readouterr().err


def test_cost_before_and_after(
    server: EmbeddingServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    card = table.Known(384, 512, 2.0)
    named(server, monkeypatch, "openai", models={MODEL: card}, digits=1)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    embedder = TextEmbedder(f"service:openai/{MODEL}", store=tmp_path)
    before = estimate([*TEXTS, TEXTS[0]], embedder)
    assert (before.rows, before.stored, before.price, before.date) == (12, 0, 2.0, table.DATE)
    assert not server.seen
    embedder.transform(TEXTS)
    assert f"about ${before.cost:.2g} at $2.00 per million tokens (price of {table.DATE})" in (
        capfd.readouterr().err
    )
    report = embedder.report_
    real = int(server.embedder.report_.tokens_per_row.sum())
    assert report.billed_tokens == real
    assert report.cost == pytest.approx(2e-6 * real)
    assert real <= before.tokens <= 2 * real
    assert abs(report.tokens_per_row.sum() - real) <= 6  # shares are rounded
    after = estimate([*TEXTS, "one more"], embedder)
    assert (after.rows, after.stored, after.requests) == (13, 12, 1)
    assert "12 rows are stored and cost nothing" in str(after)


def test_an_unknown_price_says_so(server: EmbeddingServer) -> None:
    about = estimate(TEXTS, server.model)
    assert about.cost is None
    assert "its price is not known here" in str(about)
    embedder = TextEmbedder(server.model, store=None)
    embedder.transform(TEXTS)
    assert embedder.report_.cost is None
    assert "machine of yours" in str(estimate(TEXTS, "service:ollama/nomic-embed-text"))


def test_a_service_that_does_not_count(server: EmbeddingServer) -> None:
    server.faults.append(lambda _, answer: {**answer, "usage": None})
    embedder = TextEmbedder(server.model, store=None)
    embedder.transform(TEXTS)
    assert embedder.report_.billed_tokens is None
    assert embedder.report_.real_tokens == embedder.report_.estimated_tokens > 0


def test_a_model_that_is_no_service_has_no_price() -> None:
    with pytest.raises(ValueError, match="a service is written"):
        estimate(TEXTS, MODEL)


def test_the_table_is_consistent() -> None:
    for name, provider in table.PROVIDERS.items():
        assert provider.name == name
        assert parse(f"service:{name}/m").url == provider.url
        assert provider.needs_key == (not provider.free)
        assert provider.url.startswith("https://" if provider.needs_key else "http://localhost:")


# --- what makes no sense -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [{"layer": 3}, {"stage": "vocab"}, {"pooling": "max"}, {"weights": "random"}, {"dtype": "bfloat16"},
     {"device": "cuda"}, {"max_tokens": 100}, {"backend": "torch"}, {"attention": "eager"}],
)  # fmt: skip
def test_what_only_weights_can_do(settings: dict[str, Any]) -> None:
    [(name, value)] = settings.items()
    embedder = TextEmbedder("service:openai/text-embedding-3-small", **settings)
    with pytest.raises(ValueError, match=rf"{name} is decided by a service .* got {name}={value!r}; leave"):
        embedder.fit(TEXTS)
    with pytest.raises(ValueError, match=name):
        embedder.transform(TEXTS)


def test_other_poolings_and_layers_of_one_pass() -> None:
    embedder = TextEmbedder("service:openai/text-embedding-3-small")
    for asked in ({"poolings": ["mean", "max"]}, {"layers": [-1, 0]}):
        with pytest.raises(ValueError, match="is decided by a service"):
            embedder.transform_many(TEXTS, **asked)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("service:opnai/m", "Did you mean 'openai'"),
        ("service:", "unknown service ''"),
        ("service:openai", "the name of a model, however: got none"),
        ("service:openai/", "the name of a model, however: got none"),
        ("service:http://localhost:1/v1", "the name of a model, however: got none"),
        ("service:ftp://host/v1#m", "must be http"),
        ("service:http://host:port/v1#m", "must be http"),
        ("service:https:///v1#m", "must be http"),
        ("service:http://host/v1/embeddings#m", "must end before /embeddings"),
        ("service:openai/m?dimensions=0", "with N at least 1"),
        ("service:openai/m?size=3", "with N at least 1"),
        ("service:openai/text-embedding-3-small?dimensions=4096", "at most 1536 dimensions"),
        ("service:openai/text-embedding-ada-002?dimensions=100", "1536 and no other number"),
    ],
)
def test_names_that_are_none(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TextEmbedder(name).fit(TEXTS)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["a", ""], "row 1 is empty"),
        (["a", " \n"], "row 1 is empty"),
        (["a", "\ud800"], "row 1 holds a lone"),
    ],
)
def test_texts_that_cannot_be_sent(server: EmbeddingServer, texts: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TextEmbedder(server.model, store=None).transform(texts)
    assert not server.seen


def test_a_text_that_is_too_long(server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    named(server, monkeypatch, "openai", models={MODEL: table.Known(384, 50, 1.0)})
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    texts = ["short", "1234567890" * 20]
    with pytest.raises(ValueError, match=r"row 1 has about 67 tokens, however: .* at most 50; use overflow="):
        TextEmbedder(f"service:openai/{MODEL}", store=None).transform(texts)
    assert not server.seen
    embedder = TextEmbedder(f"service:openai/{MODEL}", store=None, overflow="truncate")
    embedder.transform(texts)
    assert embedder.report_.truncated == 1


# --- where it may go -----------------------------------------------------------------------------------


def test_offline_forbids_other_machines_and_permits_this_one(
    server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBREG_OFFLINE", "1")
    with pytest.raises(
        ServiceError, match=r"embeddings\.example\.org is on another machine, however: EMBREG_OFF"
    ):
        TextEmbedder(REMOTE, store=None).transform(TEXTS)
    assert TextEmbedder(server.model, store=None).transform(TEXTS[:1]).shape == (1, 384)
    for url, here in [("http://localhost:1", True), ("http://[::1]:1", True), ("http://127.9.9.9", True),
                      ("http://10.0.0.1", False), ("http://localhost.example.org", False)]:  # fmt: skip
        assert parse(f"service:{url}/v1#m").here is here


def test_no_proxy_stands_between_this_machine_and_itself(
    server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert TextEmbedder(server.model, store=None).transform(TEXTS[:1]).shape == (1, 384)


def test_another_address_for_openai(server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    found = TextEmbedder(f"service:openai/{MODEL}", store=None).transform(TEXTS[:2])
    np.testing.assert_array_equal(found, server.embedder.transform(TEXTS[:2]))
    other = parse("service:openai/text-embedding-3-small")
    assert other.price is None  # another address, another price, and perhaps another model
    monkeypatch.delenv("OPENAI_BASE_URL")
    assert parse("service:openai/text-embedding-3-small").space() != other.space()


# --- with the rest of the package ----------------------------------------------------------------------


def test_a_pipeline_is_saved_and_read_again(server: EmbeddingServer, tmp_path: Path) -> None:
    model = make_pipeline(TextEmbedder(server.model), Ridge()).fit(TEXTS, np.arange(12.0))
    embreg.save(model, tmp_path / "model")
    server.seen.clear()
    again = embreg.load(tmp_path / "model")
    np.testing.assert_allclose(again.predict(TEXTS), model.predict(TEXTS))
    assert not server.seen  # the store has them
    assert clone(model)[0].model == server.model


def test_a_file_is_embedded(server: EmbeddingServer, own: np.ndarray, tmp_path: Path) -> None:
    pd.DataFrame({"text": TEXTS}).to_csv(tmp_path / "texts.csv", index=False)
    embedder = TextEmbedder(server.model, store=tmp_path / "store")
    report = embed_file(tmp_path / "texts.csv", tmp_path / "x.parquet", embedder, text="text", block_rows=5)
    assert report.rows == 12
    found = np.stack(pd.read_parquet(tmp_path / "x.parquet")["mean"].to_list())
    np.testing.assert_allclose(found, own, rtol=0, atol=1e-6)


def test_torch_is_not_needed(server: EmbeddingServer) -> None:
    code = (
        "import sys; from embreg import TextEmbedder\n"
        "print(TextEmbedder(sys.argv[1], store=None).fit_transform(['a b']).shape, 'torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(embreg.__file__).parents[1])}
    found = subprocess.run(
        [sys.executable, "-c", code, server.model],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "(1, 384) False"
