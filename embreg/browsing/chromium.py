"""The browser: which one, how it is started, and what it says of a page while it loads."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from embreg.browsing.faults import Fault

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Request, Response

__all__ = ["DESK", "PHONE", "Heard", "axe_source", "launched", "missing", "opened", "probe_source"]

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_AXE = "axe_playwright_python"  # of this package the script alone: axe.min.js of axe-core, MPL-2.0
_PATIENCE = 60_000  # milliseconds: a busy machine is no fault


def missing() -> str:
    """Why pages cannot be opened here; empty when they can.

    Examples
    --------
    >>> isinstance(missing(), str)
    True
    """
    if _executable() is None:
        return f"no {', '.join(_NAMES[:-1])} or {_NAMES[-1]} on PATH"
    lacking = [name for name in ("playwright", _AXE) if find_spec(name) is None]
    if lacking:
        names = " and ".join(lacking).replace("_", "-")
        return f"{names} not installed: pip install 'embreg[browser]'"
    return ""


def _executable() -> str | None:
    return next(filter(None, map(shutil.which, _NAMES)), None)


def axe_source() -> str:
    """Script of axe-core."""
    return files(_AXE).joinpath("axe.min.js").read_text(encoding="utf-8")


def probe_source() -> str:
    """Script with what the checks ask of a page."""
    return Path(__file__).with_name("page.js").read_text(encoding="utf-8")


@contextmanager
def launched() -> Iterator[Browser]:
    """Start the system's browser, headless, unable to look up or reach any other machine.

    Yields
    ------
    Browser
        Closed at the end.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=_executable(),
            chromium_sandbox=False,  # tests run as root in containers; what is opened is our own
            args=["--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, scheme: str = "light", size: dict[str, int] | None = None) -> Iterator[Page]:
    """Open an empty page as a reader has who was never here before.

    Parameters
    ----------
    browser : Browser
        From `launched`.
    scheme : {"light", "dark"}
        What the system is set to.
    size : dict, optional
        ``width`` and ``height`` in CSS pixels; a desk's when not given.

    Yields
    ------
    Page
        Its context is closed at the end.
    """
    context: BrowserContext = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",  # smooth scrolling would be looked at half-way
        viewport={"width": (size or DESK)["width"], "height": (size or DESK)["height"]},
    )
    context.set_default_timeout(_PATIENCE)
    try:
        yield context.new_page()
    finally:
        context.close()


@dataclass
class Heard:
    """What a page said and asked for since it was last asked.

    Parameters
    ----------
    home : str
        Address that pages are served from; a request to anywhere else is a fault.
    """

    home: str
    console: list[str] = field(default_factory=list)
    remote: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    loaded: list[Request] = field(default_factory=list)

    def listen(self, page: Page) -> None:
        """Hear everything that `page` does from now on."""
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.console.append(str(error).splitlines()[0]))
        page.on("request", self._asked)
        page.on("websocket", lambda socket: self.remote.append(socket.url))
        page.on("response", self._answered)
        page.on("requestfinished", lambda request: self.loaded.append(request))

    def faults(self, name: str) -> list[Fault]:
        """Faults of the page called `name`; what was heard is forgotten."""
        found = [
            Fault(name, f"request to another host: {address[:150]}", "ship the file with the pages")
            for address in sorted(set(self.remote))
        ]
        found += [
            Fault(name, f"a file is not there: {path}", "correct the address, or put the file in place")
            for path in sorted(set(self.unanswered))
        ]
        found += [
            Fault(name, f"console error: {text[:200]}", "mend or remove the script that says so")
            for text in dict.fromkeys(self.console)
        ]
        for kept in (self.console, self.remote, self.unanswered, self.loaded):
            kept.clear()
        return found

    def _said(self, message: Any) -> None:
        # A file that does not come is reported by its own name; the console only repeats it.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.console.append(message.text.splitlines()[0] if message.text else "(no text)")

    def _asked(self, request: Request) -> None:
        scheme = urlsplit(request.url).scheme
        if scheme not in ("data", "blob", "about") and not request.url.startswith(self.home):
            self.remote.append(request.url)

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and response.url.startswith(self.home):
            self.unanswered.append(f"{response.url.removeprefix(self.home)} (status {response.status})")
