"""A server that speaks OpenAI's embeddings format on loopback and embeds for real, with faults to order."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

__all__ = ["KEY", "MODEL", "EmbeddingServer", "running"]

MODEL = "all-MiniLM-L6-v2"
KEY = "sk-test-3f9c1d7e5b"  # no service's; tests look for it wherever something is written

Fault = Callable[["Handler", dict[str, Any]], dict[str, Any] | None]
"""Takes the handler and the right answer; gives another answer, or has answered itself and gives None."""


class EmbeddingServer(ThreadingHTTPServer):
    """Serves `MODEL`, computed by embreg's own engine in float32.

    Attributes
    ----------
    key : str
        What requests must carry; empty for none.
    rows : int
        Most texts that one request may hold.
    faults : deque
        One for each coming request, None for no fault.
    seen : list of dict
        Time, path, headers and body of each request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        from embreg import TextEmbedder

        super().__init__(("127.0.0.1", 0), Handler)
        self.key, self.rows = KEY, 2048
        self.faults: deque[Fault | None] = deque()
        self.seen: list[dict[str, Any]] = []
        self.embedder = TextEmbedder(MODEL, dtype="float32", store=None)
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Up to the version."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def model(self) -> str:
        """As `TextEmbedder` takes it."""
        return f"service:{self.url}#{MODEL}"

    def reset(self) -> None:
        """As after the start."""
        self.key, self.rows = KEY, 2048
        self.faults.clear()
        self.seen.clear()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: EmbeddingServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer a request for embeddings."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        server.seen.append(
            {"time": time.monotonic(), "path": self.path, "headers": dict(self.headers), "body": body}
        )
        if server.key and self.headers.get("Authorization") != f"Bearer {server.key}":
            wrong = self.headers.get("Authorization")
            return self.error(401, f"Incorrect API key provided: {wrong}", "invalid_api_key")
        if self.path != "/v1/embeddings" or body["model"] != MODEL:
            return self.error(404, f"The model {body['model']!r} does not exist", "model_not_found")
        texts = body["input"]
        if len(texts) > server.rows:
            return self.error(400, f"at most {server.rows} requests can be in one batch", "invalid")
        answer: dict[str, Any] | None = self.embed(texts, body)
        fault = server.faults.popleft() if server.faults else None
        if fault is not None and answer is not None:
            answer = fault(self, answer)
        if answer is not None:
            self.send(200, answer)
        return None

    def embed(self, texts: list[str], body: dict[str, Any]) -> dict[str, Any]:
        """The right answer."""
        with self.server.lock:  # one model, and a report that belongs to the last call
            vectors = self.server.embedder.transform(texts)
            tokens = int(self.server.embedder.report_.tokens_per_row.sum())
        if size := body.get("dimensions"):  # as models do that were trained to be cut
            vectors = vectors[:, :size] / np.linalg.norm(vectors[:, :size], axis=1, keepdims=True)
        as_text = body.get("encoding_format") == "base64"
        data = [{"object": "embedding", "index": i, "embedding": encoded(v) if as_text else v.tolist()}
                for i, v in enumerate(vectors)]  # fmt: skip
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": data, "model": body["model"], "usage": usage}

    def error(self, code: int, message: str, kind: str, **headers: str) -> None:
        """Answer with an error in OpenAI's format."""
        body = {"error": {"message": message, "type": "invalid_request_error", "code": kind}}
        self.send(code, body, **headers)

    def send(self, code: int, body: Any, **headers: str) -> None:
        """Answer with JSON; a client that has gone away is none of ours."""
        data = json.dumps(body).encode()
        try:
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(data)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr: tests read it."""


def encoded(vector: np.ndarray) -> str:
    """Little-endian float32 in base64, as documented."""
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


@contextmanager
def running() -> Iterator[EmbeddingServer]:
    """A server that answers, until the block ends."""
    server = EmbeddingServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
