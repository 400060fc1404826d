"""A server that is not ours: llama.cpp's, where llama_cpp is importable, with weights embreg reads too."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from embreg import TextEmbedder
from embreg.service import ServiceError
from tests.test_ladders import gguf_file

pytestmark = pytest.mark.skipif(
    find_spec("llama_cpp") is None or find_spec("uvicorn") is None,
    reason="needs pip install 'llama-cpp-python[server]', which is built for ten minutes or more",
)

TEXTS = ["{x0:1.2346,x1:-4.5}", "7", "x0:12,x1:0.25", "{x0:1.2347,x1:-4.5}"]


@contextmanager
def serving(model: Path, log: Path) -> Iterator[str]:
    """Name of the model behind llama.cpp's server on loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(model), "--embedding", "true"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--n_threads", "1", "--n_ctx", "128"]
    with open(log, "wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, env=os.environ)
    try:
        end = time.time() + 60
        while True:
            assert process.poll() is None and time.time() < end, log.read_text(errors="replace")[-2000:]
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=2).close()
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.1)
        yield f"service:http://127.0.0.1:{port}/v1#tiny"
    finally:
        process.terminate()
        process.wait(20)


def test_its_token_vectors_are_those_of_the_same_weights_here(tmp_path: Path) -> None:
    """Text by text; it gives a decoder's tokens one by one, so the mean is taken here."""
    from embreg._gguf import gguf_to_folder

    gguf_file(tmp_path / "model.gguf")
    here = TextEmbedder(
        str(gguf_to_folder(tmp_path / "model.gguf", tmp_path / "out")), dtype="float32", store=None
    )
    wanted = here.fit_transform(TEXTS)
    with serving(tmp_path / "model.gguf", tmp_path / "log") as name:
        url = name.removeprefix("service:").partition("#")[0] + "/embeddings"
        got = []
        for text in TEXTS:  # several at once share an offset that is wrong in 0.2.90
            body = json.dumps({"model": "tiny", "input": [text]}).encode()
            request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=60) as answer:
                got.append(np.array(json.loads(answer.read())["data"][0]["embedding"]))
    assert [len(vectors) for vectors in got] == here.report_.tokens_per_row.tolist()
    means = np.stack([vectors.mean(0) for vectors in got])
    assert np.linalg.norm(means - wanted) <= 0.01 * np.linalg.norm(wanted)


def test_a_decoder_that_it_does_not_pool_is_refused(tmp_path: Path) -> None:
    """It answers with a list for each token, which is not the format."""
    gguf_file(tmp_path / "model.gguf")
    with (
        serving(tmp_path / "model.gguf", tmp_path / "log") as name,
        pytest.raises(ServiceError, match="not with embeddings in OpenAI's format"),
    ):
        TextEmbedder(name, store=None).fit_transform(TEXTS)
