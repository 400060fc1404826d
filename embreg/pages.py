"""Check rendered pages the way a reader without a network would notice: links, images, formulas, facts."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["check_pages", "formulas", "main"]

_VOID = {
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track",
    "wbr",
}  # fmt: skip
_FETCHED_RELS = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "preconnect", "manifest"}
_SOURCES = {  # attribute of each element whose content a browser fetches by itself
    "script": "src", "img": "src", "iframe": "src", "embed": "src", "source": "src", "track": "src",
    "video": "src", "audio": "src", "object": "data", "image": "href", "use": "href",
}  # fmt: skip
_RAW_TEX = re.compile(r"\$\$|\\\(|\\\[|\\begin\{")
_REMOTE_CSS = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s]+)""")


class _Page(HTMLParser):
    """What one page fetches, links to, names, and shows as text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.assets: list[tuple[str, str]] = []  # (element, address)
        self.links: list[str] = []
        self.names: set[str] = set()
        self.faults: list[str] = []
        self.formulas = 0
        self._open: list[tuple[str, str]] = []  # (element, "code" | "math" | "css" | "" inherited inwards)
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element fetches, where it links, what it is called."""
        got = {k: v or "" for k, v in attrs}
        classes = got.get("class", "").split()
        self.names.update(got[k] for k in ("id", "name") if got.get(k))
        kind = self._open[-1][1] if self._open else ""
        if tag in ("pre", "code", "script", "textarea", "style"):
            kind = "css" if tag == "style" else "code"
        elif "math" in classes and tag in ("span", "div"):
            kind, self.formulas = "math", self.formulas + 1
        if tag == "a" and "href" in got:
            self.links.append(got["href"])
        elif tag == "link" and _FETCHED_RELS & set(got.get("rel", "").split()):
            self.assets.append(("link", got.get("href", "")))
        elif address := got.get(_SOURCES.get(tag, ""), got.get("xlink:href", "") if tag in _SOURCES else ""):
            self.assets.append((tag, address))
        for candidate in got.get("srcset", "").split(", "):
            if candidate.strip() and not candidate.startswith("data:"):
                self.assets.append((tag, candidate.split()[0]))
        self._css(got.get("style", ""))
        if tag == "img":
            self._image(got, in_article=any(t == "article" for t, _ in self._open))
        if "embreg-fact-missing" in classes:
            self.faults.append("a fact is missing (see the warning of the build)")
        if {"problematic", "system-message"} & set(classes):
            self.faults.append("markup that could not be read (class 'problematic' or 'system-message')")
        if tag not in _VOID:
            self._open.append((tag, kind))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take ``<use/>`` and the like as opened and closed at once."""
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Close the element and whatever was left open in it."""
        for i in range(len(self._open) - 1, -1, -1):
            if self._open[i][0] == tag:
                del self._open[i:]
                return

    def handle_data(self, data: str) -> None:
        """Look for what should have become something else."""
        kind = self._open[-1][1] if self._open else ""
        if kind == "css":
            self._css(data)
        elif not kind:
            shown = " ".join(data.split())[:60]
            if _RAW_TEX.search(data):
                self.faults.append(f"raw TeX outside a formula: {shown!r}")
            if "{fact}" in data:
                self.faults.append(f"unresolved fact: {shown!r}")

    def _css(self, text: str) -> None:
        self.faults += [f"remote address in a style: {found}" for found in _REMOTE_CSS.findall(text)]

    def _image(self, got: dict[str, str], *, in_article: bool) -> None:
        source, alt = got.get("src", ""), got.get("alt")
        shown = source if len(source) <= 60 else f"{source[:60]}…"
        # An empty alt marks decoration, which the theme has and an article has not.
        if alt is None or (in_article and not alt.strip()):
            self.faults.append(f"image without alt text: {shown}")
        elif in_article and alt == source:
            self.faults.append(f"image whose alt text is only its file name: {shown}")


def check_pages(html_dir: str | Path) -> list[str]:
    """Faults in a folder of rendered pages; an empty list means none.

    Looked for: anything fetched from another host (scripts, styles, images, fonts, frames); links
    and anchors that lead nowhere; missing files; images without alternative text; TeX outside a
    formula, and formulas on a page without a local MathJax; facts that were not filled in.

    Parameters
    ----------
    html_dir : str or Path
        Folder with ``index.html``.

    Returns
    -------
    list of str
        One line per fault, ``page: what is wrong``, sorted.

    Raises
    ------
    FileNotFoundError
        There is no ``index.html``.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "index.html").write_text('<a href="gone.html">x</a> <img src="//a.b/c.png" alt="c">')
    >>> for fault in check_pages(folder):
    ...     print(fault)
    index.html: link to a page or file that does not exist: gone.html
    index.html: remote img: //a.b/c.png
    """
    root = Path(html_dir).resolve()
    if not (root / "index.html").is_file():
        raise FileNotFoundError(f"no index.html in {html_dir}: render the book first (`embreg book`)")
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in sorted(root.rglob("*.html"))
             if "_static" not in path.relative_to(root).parts}  # fmt: skip
    faults: set[str] = set()
    for path, page in pages.items():
        name = path.relative_to(root).as_posix()
        found = [*page.faults, *_assets(path, page, root), *_links(path, page, pages, root)]
        mathjax = [a for tag, a in page.assets if tag == "script" and "mathjax" in a.lower()]
        if page.formulas and not mathjax:
            found.append(f"{page.formulas} formulas and no MathJax script")
        faults.update(f"{name}: {fault}" for fault in found)
    for path in root.rglob("*.css"):
        for address in _REMOTE_CSS.findall(path.read_text(encoding="utf-8", errors="replace")):
            faults.add(f"{path.relative_to(root).as_posix()}: remote address in a style: {address}")
    return sorted(faults)


def formulas(path: Path) -> int:
    """Count the formulas that MathJax has to render on a page."""
    return _Page(path.read_text(encoding="utf-8")).formulas


def _local(address: str, page: Path, root: Path) -> Path | None:
    """File that a relative address names; None for an address of another kind."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return None
    base = root / parts.path.lstrip("/") if parts.path.startswith("/") else page.parent / parts.path
    path = Path(unquote(str(base))).resolve() if parts.path else page
    return path / "index.html" if path.is_dir() else path


def _assets(path: Path, page: _Page, root: Path) -> list[str]:
    found = []
    for tag, address in page.assets:
        parts = urlsplit(address)
        if parts.scheme in ("http", "https", "ftp") or parts.netloc:
            found.append(f"remote {tag}: {address}")
        elif (target := _local(address, path, root)) is not None and not target.is_file():
            found.append(f"missing file of {tag}: {address}")
    return found


def _links(path: Path, page: _Page, pages: dict[Path, _Page], root: Path) -> list[str]:
    found = []
    for address in page.links:
        target = _local(address, path, root)
        if target is None:
            continue
        anchor = unquote(urlsplit(address).fragment)
        if not target.is_file():
            found.append(f"link to a page or file that does not exist: {address}")
        elif anchor and anchor != "top" and target in pages and anchor not in pages[target].names:
            found.append(f"link to an anchor that does not exist: {address}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Check a folder of pages: ``python -m embreg.pages FOLDER [--browser] [--faults DIR]``.

    Returns
    -------
    int
        1 when there is a fault, else 0.
    """
    parser = argparse.ArgumentParser(prog="python -m embreg.pages", description="Check rendered pages.")
    parser.add_argument("folder", help="folder with index.html")
    parser.add_argument("--browser", action="store_true", help="open every page in Chromium too")
    parser.add_argument("--faults", metavar="DIR", help="where screenshots of faulty pages go")
    given = parser.parse_args(arguments)
    faults = check_pages(given.folder)
    screenshots: list[str] = []
    if given.browser:
        from embreg.browsing import check_in_browser

        seen = check_in_browser(given.folder, given.faults)
        faults += seen.faults
        screenshots = [f"screenshot: {path}" for path in seen.screenshots]
        print(seen.note, file=sys.stderr)
    print(*faults, *screenshots, f"{len(faults)} faults", sep="\n")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
