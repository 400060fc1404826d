"""One file of a package index, such as a source distribution: found, downloaded, verified, then read.

pip cannot do this: to download a source distribution it runs the set-up code inside.
"""

from __future__ import annotations

import ast
import base64
import json
import os
import ssl
import subprocess
import sys
import tarfile
import urllib.request
from dataclasses import dataclass
from hashlib import sha256
from html.parser import HTMLParser
from http.client import HTTPException
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

from embreg._files import atomic_path, home
from embreg._folder import offline
from embreg.making.family import MissingTool

__all__ = ["SourceError", "SourceFile", "fetch", "members"]

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


class SourceError(RuntimeError):
    """A file is not the pinned one. It was not opened."""


@dataclass(frozen=True)
class SourceFile:
    """A pinned file of a package index.

    Parameters
    ----------
    project : str
        Name in the index, in lower case, words joined by hyphens.
    file, sha256 : str
        Its name, and the SHA-256 that is checked before it is opened.
    size : int
        Its bytes. No more is read.

    Examples
    --------
    >>> SourceFile("six", "six-1.17.0.tar.gz", 64 * "0", 34031).file
    'six-1.17.0.tar.gz'
    """

    project: str
    file: str
    sha256: str
    size: int


def fetch(source: SourceFile) -> Path:
    """Path of the verified file: in ``EMBREG_WHEELS``, kept from an earlier call, or from pip's index.

    Parameters
    ----------
    source : SourceFile

    Returns
    -------
    Path
        A download is kept in ``sources`` below `embreg._files.home`.

    Raises
    ------
    MissingTool
        It is not on this machine, and no index could or may be asked.
    SourceError
        A file of that name has another SHA-256.
    """
    folder, kept = os.environ.get("EMBREG_WHEELS"), home() / "sources" / source.file
    if folder and (local := Path(folder).expanduser() / source.file).is_file():
        _verified(source, local.read_bytes(), local)
        return local
    if kept.is_file():
        _verified(source, kept.read_bytes(), kept)
        return kept
    way = f"put {source.file} in a folder and set EMBREG_WHEELS to it"
    settings = {} if (off := offline("EMBREG_OFFLINE", "HF_HUB_OFFLINE")) else _pip_settings()
    if off or settings.get("no-index", "").lower() in (
        "1",
        "true",
        "yes",
        "on",
    ):
        raise MissingTool(
            f"{source.file} is not on this machine, and the network is switched off (EMBREG_OFFLINE=1, "
            f"HF_HUB_OFFLINE=1, or pip's no-index). Switch it on, or {way}"
        )
    said = []
    for index in [settings["index-url"], *settings.get("extra-index-url", "").split()]:
        try:
            data = _download(source, index.rstrip("/") + f"/{source.project}/", settings.get("cert"))
        except (OSError, HTTPException, LookupError, ValueError) as error:
            said.append(f"{_shown(index)}: {type(error).__name__}: {error}")
            continue
        _verified(source, data, _shown(index))
        with atomic_path(kept) as tmp:
            tmp.write_bytes(data)
        return kept
    raise MissingTool(
        f"could not get {source.file}. {'; '.join(said)}. Ways out: point pip at an index that has it "
        f"(PIP_INDEX_URL), or {way}"
    )


def members(archive: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """Contents of named regular files of a tar archive; nothing is written and nothing is run.

    Parameters
    ----------
    archive : Path
        Verified, see `fetch`.
    names : tuple of str
        Paths in the archive.

    Returns
    -------
    dict of str to bytes

    Raises
    ------
    KeyError
        The archive has no such member.
    """
    out = {}
    with tarfile.open(archive, "r:*") as tar:
        for name in names:
            member = tar.extractfile(name)
            if member is None:
                raise KeyError(f"{name} in {archive} is no regular file")
            out[name] = member.read()
    return out


def _verified(source: SourceFile, data: bytes, origin: Path | str) -> None:
    found = sha256(data).hexdigest()
    if found != source.sha256:
        raise SourceError(
            f"{source.file} from {origin} is not the pinned file: its SHA-256 must be {source.sha256}, "
            f"however: got {found} ({len(data):,} bytes). It was not opened. If it is on this machine, "
            "delete it; if an index repeats it, that index serves something else"
        )


def _pip_settings() -> dict[str, str]:
    """What pip is configured to use; the environment goes before its files, as in pip."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found: dict[str, str] = {}
    for section in ("global", "download"):
        for line in done.stdout.splitlines():
            key, _, value = line.partition("=")
            if key.startswith(f"{section}."):
                found[key.removeprefix(f"{section}.")] = str(ast.literal_eval(value))
    for key in ("index-url", "extra-index-url", "cert", "no-index"):
        if given := os.environ.get(f"PIP_{key.upper().replace('-', '_')}"):
            found[key] = given
    if "index-url" not in found:
        # pip's own default, asked of pip: it has no public name for it.
        ask = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
        found["index-url"] = subprocess.run(
            [sys.executable, "-c", ask], capture_output=True, text=True, check=False
        ).stdout.strip()
    return found


def _shown(url: str) -> str:
    """Return a URL without user name and password, which must not reach a log."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))


def _open(url: str, cert: str | None, limit: int) -> tuple[bytes, str, str]:
    """Content, type of content and final address of a URL; at most `limit` bytes."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https", "file"):
        raise ValueError(f"an index must be http, https or file, however: got {parts.scheme!r}")
    user, _, netloc = parts.netloc.rpartition("@")
    request = urllib.request.Request(
        urlunsplit(parts._replace(netloc=netloc)), headers={"Accept": _ACCEPT, "User-Agent": "embreg"}
    )
    if user:
        # Not redirected: another host must not see it.
        token = base64.b64encode(unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    context = ssl.create_default_context(cafile=cert) if parts.scheme == "https" else None
    with urllib.request.urlopen(request, timeout=60, context=context) as answer:
        return answer.read(limit), answer.headers.get_content_type(), answer.geturl()


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for key, value in attrs if tag == "a" and key == "href" and value]


def _download(source: SourceFile, page: str, cert: str | None) -> bytes:
    """Bytes of the file that the page of a project in a simple index (PEP 503 or 691) links to."""
    if urlsplit(page).scheme == "file":
        page += "index.html"
    listing, kind, base = _open(page, cert, 1 << 26)
    text = listing.decode("utf-8")
    if kind.endswith("+json"):
        links = [str(entry["url"]) for entry in json.loads(text)["files"]]
    else:
        parser = _Links()
        parser.feed(text)
        links = parser.found
    for link in links:
        url = urldefrag(urljoin(base, link)).url
        if unquote(urlsplit(url).path).rpartition("/")[2] != source.file:
            continue
        if urlsplit(base).scheme != "file" and urlsplit(url).scheme == "file":
            raise ValueError("a page from the network points to a file of this machine")
        # The password of an index is also that of its files, when they lie on the same host.
        asked, given = urlsplit(page), urlsplit(url)
        if asked.netloc.rpartition("@")[2] == given.netloc and asked.scheme == given.scheme:
            url = urlunsplit(given._replace(netloc=asked.netloc))
        data = _open(url, cert, source.size + 1)[0]
        if len(data) < source.size:
            raise OSError(f"{source.file} ended after {len(data):,} of {source.size:,} bytes")
        return data
    raise LookupError(f"no {source.file} among its {len(links)} files")
