"""Every page of a folder in a browser: the order of the checks, the screenshots, the report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from embreg.browsing import chromium
from embreg.browsing.access import accessibility
from embreg.browsing.faults import Fault, gathered, listed
from embreg.browsing.keyboard import keyboard
from embreg.browsing.server import serve
from embreg.browsing.shots import Shots, faults_folder
from embreg.browsing.theme import scheme_differs, search, sidebar

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["FIRST_PAGE_BYTES", "Seen", "check_in_browser"]

FIRST_PAGE_BYTES = 1_500_000
"""What the first page may transfer: everything it loads, compressed as web hosts send it."""


class Seen(NamedTuple):
    """What the browser showed.

    Parameters
    ----------
    faults : list of str
        One line each, ``page: what is wrong. To mend: what to do``.
    note : str
        What was looked at and how long it took, or why nothing was.
    screenshots : list of str
        Pictures of the faulty pages, the faulty elements framed.
    skipped : bool
        Nothing was looked at.
    """

    faults: list[str]
    note: str
    screenshots: list[str]
    skipped: bool


def check_in_browser(html_dir: str | Path, faults_dir: str | Path | None = None) -> Seen:
    """Open every page in Chromium without a network and report what went wrong there.

    Looked for on every page: errors on the console, requests to other hosts, files and images that do
    not come, formulas that stay raw, the rules of axe-core, contrast in both colour schemes, and
    sideways scrolling at the width of a phone. On the first page and on the longest chapter: that the
    keyboard reaches everything. Once for a book (a folder with ``searchindex.js``): the search, the
    sidebar of a phone, the dark scheme. The first page is weighed.

    Parameters
    ----------
    html_dir : str or Path
        Folder with ``index.html``.
    faults_dir : str or Path, optional
        Where screenshots of faulty pages go; `faults_folder` when not given. Older ones are removed.

    Returns
    -------
    Seen
        The faults, a note, and where the screenshots are.

    Raises
    ------
    FileNotFoundError
        There is no ``index.html``.

    Examples
    --------
    >>> check_in_browser("no/such/folder")
    Traceback (most recent call last):
    ...
    FileNotFoundError: no index.html in no/such/folder: render the book first (`embreg book`)
    """
    if not Path(html_dir, "index.html").is_file():
        raise FileNotFoundError(f"no index.html in {html_dir}: render the book first (`embreg book`)")
    why = chromium.missing()
    if why:
        return Seen([], f"browser check skipped: {why}", [], True)
    root = Path(html_dir).resolve()
    pages = [p for p in sorted(root.rglob("*.html")) if "_static" not in p.relative_to(root).parts]
    shots = Shots(Path(faults_dir) if faults_dir else faults_folder(html_dir))
    from embreg._progress import Progress

    started = time.perf_counter()
    found: list[Fault] = []
    with serve(root) as home, chromium.launched() as browser:
        check = _Checks(browser, root, home, shots)
        walked = _walked(root, pages)
        book = (root / "searchindex.js").is_file()
        with Progress("pages in Chromium", len(pages) + len(walked) + book) as bar:
            weight, faults = check.weight()
            found += faults
            with chromium.opened(browser) as page:
                heard = chromium.Heard(home)
                heard.listen(page)
                for path in pages:
                    found += check.one(page, heard, path)
                    bar.advance(1)
            for path in walked:
                found += check.hands(path)
                bar.advance(1)
            if book:
                found += check.book(walked[-1])
                bar.advance(1)
        version = browser.version
    took = time.perf_counter() - started
    note = (
        f"browser check: {len(pages)} pages in Chromium {version.partition('.')[0]}, "
        f"first page {weight / 1e6:.2f} MB, {took:.0f} s"
    )
    return Seen(
        [str(fault) for fault in gathered(found)], note, [path.as_posix() for path in shots.made], False
    )


def _walked(root: Path, pages: list[Path]) -> list[Path]:
    """Pages to walk through by keyboard: the first, and the largest notebook."""
    notebooks = [p for p in pages if p.parent.name == "notebooks"]
    return [root / "index.html", *([max(notebooks, key=lambda p: p.stat().st_size)] if notebooks else [])]


class _Checks:
    def __init__(self, browser: Browser, root: Path, home: str, shots: Shots) -> None:
        self.browser, self.root, self.home, self.shots = browser, root, home, shots
        self.probe, self.axe = chromium.probe_source(), chromium.axe_source()

    def name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def go(self, page: Page, path: Path) -> None:
        page.goto(self.home + self.name(path))
        self.settle(page)

    def settle(self, page: Page) -> None:
        page.evaluate(self.probe)
        page.evaluate(self.axe)
        page.evaluate("() => embregPage.settled()")

    def weight(self) -> tuple[int, list[Fault]]:
        """Bytes that the first page transfers to somebody who was never here."""
        with chromium.opened(self.browser) as page:
            heard = chromium.Heard(self.home)
            heard.listen(page)
            page.goto(self.home + "index.html", wait_until="networkidle")
            sizes = {r.url: r.sizes()["responseBodySize"] for r in heard.loaded if r.url.startswith("http")}
        total = sum(sizes.values())
        if total <= FIRST_PAGE_BYTES:
            return total, []
        largest = sorted(sizes, key=lambda url: -sizes[url])[:3]
        named = ", ".join(
            f"{u.removeprefix(self.home).partition('?')[0]} {sizes[u] / 1e6:.2f}" for u in largest
        )
        what = f"the first page transfers {total / 1e6:.2f} MB, however: at most {FIRST_PAGE_BYTES / 1e6} MB"
        return total, [Fault("index.html", what, f"make the largest smaller (MB): {named}")]

    def one(self, page: Page, heard: chromium.Heard, path: Path) -> list[Fault]:
        """What is asked of every page."""
        from embreg.pages import formulas

        name, expected = self.name(path), formulas(path)
        page.set_viewport_size({"width": chromium.DESK["width"], "height": chromium.DESK["height"]})
        page.emulate_media(color_scheme="light")
        self.go(page, path)
        found = heard.faults(name)
        broken = [(selector, words) for selector, words in page.evaluate("() => embregPage.images()")]
        found += listed(name, broken, "image does not load", "put the file in place, or correct its address")
        seen = page.evaluate("() => embregPage.formulas()")
        if seen["made"] < expected:
            what = f"{expected} formulas, {seen['made']} rendered"
            found.append(
                Fault(name, what, "see whether MathJax is loaded and the formula is closed", ".math")
            )
        unread = [(selector, words) for selector, words in seen["failed"]]
        found += listed(name, unread, "MathJax cannot read", "correct the TeX")
        found += accessibility(page, name, where="light")
        self.shots.take(page, "light", found)
        page.emulate_media(color_scheme="dark")
        page.evaluate("() => embregPage.settled()")
        dark = accessibility(page, name, contrast_only=True, where="dark")
        self.shots.take(page, "dark", dark)
        page.set_viewport_size({"width": chromium.PHONE["width"], "height": chromium.PHONE["height"]})
        page.evaluate("() => embregPage.settled()")
        wide = [(selector, words) for selector, words in page.evaluate("() => embregPage.tooWide()")]
        mend = "let it wrap, or scroll by itself (overflow-x: auto)"
        phone = listed(name, wide, "the page scrolls sideways at 390 px because of", mend)
        self.shots.take(page, "phone", phone)
        return found + dark + phone

    def hands(self, path: Path) -> list[Fault]:
        """The keyboard at a desk, and the other rules again at the width of a phone."""
        name = self.name(path)
        with chromium.opened(self.browser) as page:
            self.go(page, path)
            found = keyboard(page, name)
            self.shots.take(page, "keyboard", found)
        with chromium.opened(self.browser, "dark", chromium.PHONE) as page:
            self.go(page, path)
            small = accessibility(page, name, where="dark, 390 px")
            self.shots.take(page, "small", small)
        return found + small

    def book(self, other: Path) -> list[Fault]:
        """Search, sidebar and colour scheme."""
        name = self.name(other)
        with chromium.opened(self.browser) as page:
            heard = chromium.Heard(self.home)
            heard.listen(page)
            self.go(page, other)
            found = search(page, name)
            self.settle(page)
            found += accessibility(page, "search.html", where="results")
            found += heard.faults("search.html")
            self.shots.take(page, "search", found)
        with chromium.opened(self.browser, size=chromium.PHONE) as page:
            self.go(page, other)
            narrow = sidebar(page, name)
            self.shots.take(page, "sidebar", narrow)
        with chromium.opened(self.browser) as page:
            self.go(page, self.root / "index.html")
            scheme = scheme_differs(page, "index.html")
            self.shots.take(page, "scheme", scheme)
        return found + narrow + scheme
