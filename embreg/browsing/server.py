"""A folder of pages behind an address of this machine, compressed as a web host sends it."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

__all__ = ["serve"]

_COMPRESSED = {".html", ".css", ".js", ".json", ".svg", ".txt", ".md", ".map", ".ipynb"}


@contextmanager
def serve(root: Path) -> Iterator[str]:
    """Serve a folder on a free port of this machine while the context lasts.

    From the disk a browser refuses what it allows a site (fetching a page for the summary of a search
    result), and nothing is transferred that could be weighed.

    Parameters
    ----------
    root : Path
        Folder with ``index.html``.

    Yields
    ------
    str
        ``http://127.0.0.1:PORT/``.

    Examples
    --------
    >>> import tempfile, urllib.request
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "index.html").write_text("a page")
    >>> with serve(folder) as address, urllib.request.urlopen(address) as answer:
    ...     answer.read()
    b'a page'
    """
    packed: dict[tuple[str, int], bytes] = {}

    class Handler(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, directory=str(root), **kwargs)

        def do_GET(self) -> None:
            path = Path(self.translate_path(self.path))
            path = path / "index.html" if path.is_dir() else path
            accepted = "gzip" in self.headers.get("Accept-Encoding", "")
            if not (accepted and path.suffix in _COMPRESSED and path.is_file()):
                return super().do_GET()
            key = (str(path), path.stat().st_mtime_ns)
            body = packed.setdefault(key, b"") or gzip.compress(path.read_bytes(), 6, mtime=0)
            packed[key] = body
            self.send_response(200)
            for name, value in (
                ("Content-Type", f"{self.guess_type(str(path))}; charset=utf-8"),
                ("Content-Encoding", "gzip"),
                ("Content-Length", str(len(body))),
                ("Cache-Control", "max-age=600"),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Say nothing: what matters is reported by the browser."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: Any) -> None:
            """Say nothing: a browser that is closed drops its connections."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()
