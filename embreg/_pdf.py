"""The whole book as one PDF: one page of HTML, its formulas drawn by a browser, printed by the same browser.

Two steps rather than one, so that nothing depends on how long a script takes: the browser first gives back
the page with every formula in it, which is counted; then that page, without any script, is printed.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from embreg._files import atomic_path

__all__ = ["PdfError", "find_browser", "print_book", "still"]

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
_SECONDS = 600


class PdfError(RuntimeError):
    """The PDF cannot be made; the message says what is missing or wrong."""


def find_browser(names: Sequence[str] = _BROWSERS) -> str:
    """Browser that prints.

    Parameters
    ----------
    names : sequence of str
        Commands to look for; default: Chromium and its relatives.

    Returns
    -------
    str
        Path of the first that is there.

    Raises
    ------
    PdfError
        None is.

    Examples
    --------
    >>> find_browser(["no-such-browser"])
    Traceback (most recent call last):
    ...
    embreg._pdf.PdfError: the PDF must be printed by Chromium or Chrome, however: the PATH has none of ...
    """
    for name in names:
        if path := shutil.which(name):
            return path
    raise PdfError(
        f"the PDF must be printed by Chromium or Chrome, however: the PATH has none of {', '.join(names)}; "
        "install one (Debian: apt-get install chromium; macOS: brew install chromium)"
    )


def print_book(profile: str, root: str | Path) -> Path:
    """Print the book of a profile.

    Parameters
    ----------
    profile, root
        As in :func:`embreg.book.stage`.

    Returns
    -------
    Path
        ``_build/<profile>/embreg.pdf``.

    Raises
    ------
    PdfError
        No browser; a page that does not render; a formula that was not drawn; a browser that did not print.
    BookError
        From staging.

    Examples
    --------
    >>> print_book("offline", "no/such/folder")
    Traceback (most recent call last):
    ...
    embreg.book.BookError: no _config.yml in no/such/folder: give the folder of the repository
    """
    from embreg.book import stage

    source = stage(profile, root)
    browser = find_browser()
    folder = source.parent / "pdf"
    page = _render(source, folder)
    drawn = _browse(browser, page, "--virtual-time-budget=120000", "--dump-dom")
    expected, found = _formulas(page), len(re.findall(r"<mjx-container[\s>]", drawn))
    if found < expected or "data-mjx-error" in drawn:
        raise PdfError(f"every formula must be drawn, however: MathJax drew {found} of {expected} in {page}")
    paper = page.with_name("print.html")
    paper.write_text(still(drawn, _title(profile, Path(root), source)), encoding="utf-8")
    target = source.parent / "embreg.pdf"
    with atomic_path(target) as tmp:
        out = tmp.with_suffix(".pdf")  # the browser looks at the ending
        said = _browse(
            browser,
            paper,
            f"--print-to-pdf={out}",
            "--no-pdf-header-footer",
            "--generate-pdf-document-outline",
        )
        if not out.is_file() or not out.read_bytes().startswith(b"%PDF"):
            raise PdfError(f"{browser} must print {paper}, however: it wrote no PDF. {said[-500:]}")
        out.replace(tmp)
    return target


def still(page: str, title: str) -> str:
    """Make a page as a browser left it one that only has to be printed.

    Parameters
    ----------
    page : str
        HTML of the whole book, formulas drawn.
    title : str
        HTML of the title page.

    Returns
    -------
    str
        Without scripts, in light colors, with the title page and a list of contents, and with links between
        pages made links within this one.

    Examples
    --------
    >>> body = '<script>1</script><span id="document-a"></span><h2>A</h2><a href="../a.html">a</a>'
    >>> made = still(f"<html><head></head><body><article>{body}</article></body></html>", "T")
    >>> print(made.partition("</section>")[2])
    <section class="embreg-contents"><h2>Contents</h2><ol><li><a href="#document-a">A</a></li></ol></section>
    <span id="document-a"></span><h2>A</h2><a href="#document-a">a</a></article></body></html>
    """
    page = re.sub(r"<(script|noscript)\b.*?</\1\s*>", "", page, flags=re.DOTALL | re.IGNORECASE)
    page = re.sub(r"<link\b[^>]*\brel=\"preload\"[^>]*>", "", page)
    page = re.sub(r'(<html\b[^>]*?) data-(?:mode|theme)="[^"]*"', r"\1", page)
    page = re.sub(r'(<html\b[^>]*?) data-(?:mode|theme)="[^"]*"', r"\1", page)
    page = page.replace("<html", '<html data-mode="light" data-theme="light"', 1)
    page = page.replace("</head>", '<link rel="stylesheet" href="_static/print.css"></head>', 1)
    page = re.sub(r'href="([^":#]*)\.html(#[^"]*)?"', _inner, page)
    front = f'<section class="embreg-title">{title}</section>{_contents(page)}'
    return re.sub(r"(<article\b[^>]*>)", lambda found: f"{found[1]}{front}\n", page, count=1)


def _inner(link: re.Match[str]) -> str:
    """Address within the one page of a link that was written for pages of their own."""
    docname = re.sub(r"^(\.\./)+", "", link[1])
    return f'href="{link[2] or f"#document-{docname}"}"'


def _contents(page: str) -> str:
    """List of the chapters: as one page, each comes right after a mark with its file's name."""
    rows = []
    for name, heading in re.findall(
        r'<span id="(document-[^"]+)"></span>.*?<h\d>(.*?)</h\d>', page, re.DOTALL
    ):
        text = re.sub(r'<a class="headerlink".*?</a>|<[^>]+>', "", heading, flags=re.DOTALL).strip()
        rows.append(f'<li><a href="#{name}">{text}</a></li>')
    return f'<section class="embreg-contents"><h2>Contents</h2><ol>{"".join(rows)}</ol></section>'


def _render(source: Path, folder: Path) -> Path:
    """Render the staged book as one page."""
    from embreg.book import _complaints

    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(source)]
    command += ["--path-output", str(folder), "--builder", "singlehtml", "-W", "-n", "--keep-going"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")
    page = folder / "_build" / "singlehtml" / "index.html"
    if done.returncode or not page.is_file():
        raise PdfError(f"the book was not rendered as one page:\n{_complaints(done)}")
    return page


def _formulas(page: Path) -> int:
    from embreg.pages import formulas

    return formulas(page)


def _browse(browser: str, page: Path, *options: str) -> str:
    """Open a local page without a network, and return what the browser printed."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                   "--disable-background-networking", "--disable-component-update", "--disable-sync",
                   "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={scratch}",
                   *options, page.resolve().as_uri()]  # fmt: skip
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise PdfError(f"{browser} must open {page} within {_SECONDS} s, however: it did not") from None
    if done.returncode:
        raise PdfError(
            f"{browser} must open {page}, however: it ended with {done.returncode}. {done.stderr[-500:]}"
        )
    return done.stdout or done.stderr


def _title(profile: str, root: Path, source: Path) -> str:
    """HTML of the title page: what this is, of which version, commit and profile."""
    from embreg import __version__
    from embreg._provenance import commit

    config = yaml.safe_load((source / "_config.yml").read_text(encoding="utf-8"))
    runs = [made for path in sorted((source / "notebooks").glob("*.ipynb")) if (made := _made(path))]
    results = [made for made in runs if made.get("profile") == profile]
    days = sorted(str(made["started"])[:10] for made in results if made.get("started"))
    code = sorted({_short(made.get("commit")) for made in results})
    rows = {
        "Version": __version__,
        "Commit": _short(commit(root)),
        "Profile": profile,
        "Results": f"{len(results)} runs" + (f", {days[0]} to {days[-1]}" if days else ""),
        "Computed at": ", ".join(code),
        "Pages and code": config.get("repository", {}).get("url", ""),
    }
    listed = "".join(f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>" for k, v in rows.items() if v)
    title, author = (html.escape(str(config.get(name, ""))) for name in ("title", "author"))
    note = "Printed from the pages of the book. Code that they fold away is in the notebooks."
    return f"<h1>{title}</h1><p>{author}</p><dl>{listed}</dl><p>{note}</p>"


def _made(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))["metadata"].get("embreg") or {})


def _short(commit: Any) -> str:
    if not commit:
        return "unknown"
    name, changed, _ = str(commit).partition("+")
    return name[:12] + (" with changes" if changed else "")
