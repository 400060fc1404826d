"""The PDF of the book: one file with every page, formulas drawn, and a plain word where it cannot be made."""

from __future__ import annotations

import re
import shutil
import stat
from pathlib import Path

import pytest

from embreg import _pdf
from embreg._pdf import PdfError, find_browser, print_book, still
from embreg.cli import main
from tests.test_book import INDEX, make

BROWSER = next(filter(None, map(shutil.which, _pdf._BROWSERS)), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="neither Chromium nor Chrome is on the PATH")


@pytest.fixture(scope="module")
def pdf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if BROWSER is None:
        pytest.skip("neither Chromium nor Chrome is on the PATH")
    root = make(tmp_path_factory.mktemp("pdf"))
    (root / "index.md").write_text(INDEX.replace("as $x^2$ grows", r"before $\sqrt{x^2}$ after"))
    return print_book("offline", root)


@pytest.mark.slow
def test_the_book_is_one_pdf(pdf: Path) -> None:
    assert pdf.parts[-3:] == ("_build", "offline", "embreg.pdf")
    content = pdf.read_bytes()
    assert content.startswith(b"%PDF-") and content.rstrip().endswith(b"%%EOF")
    # A title page, then the contents, the first page and three chapters on pages of their own.
    assert len(re.findall(rb"/Type\s*/Page\b", content)) >= 6
    assert b"/Outlines" in content


@pytest.mark.slow
def test_what_the_pages_say_is_in_it(pdf: Path) -> None:
    pypdf = pytest.importorskip("pypdf", reason="pypdf, which reads the text of the PDF, is not installed")
    pages = [" ".join(page.extract_text().split()) for page in pypdf.PdfReader(pdf).pages]
    title, *numbered = pages
    found = [re.findall(r"\d+ / \d+", page) for page in numbered]
    assert found == [[f"{i} / {len(pages)}"] for i in range(2, len(pages) + 1)] and " / " not in title
    contents, home, *chapters = (re.sub(r"\d+ / \d+ ?", "", page) for page in numbered)
    for expected in ("Profile offline", "Version 0.", "2 runs", "0123456789ab with changes"):
        assert expected in title
    assert "Contents" in contents and "1. One" in contents and "One (wide: dof 9)" in contents
    assert "We find 0.58 [0.51, 0.64] (profile offline" in home
    # The formula is a drawing: no TeX is left between its neighbors.
    assert re.search(r"before\s+after", home) and "sqrt" not in "".join(pages)
    assert [c[: c.index(" Text.")] for c in chapters] == ["One", "One (wide: dof 9)", "Two"]
    assert " ".join(chapters).count("Run record") == 2


@pytest.mark.slow
def test_only_the_printed_page_has_no_script(pdf: Path) -> None:
    folder = pdf.parent / "pdf/_build/singlehtml"
    printed = (folder / "print.html").read_text(encoding="utf-8")
    assert "<script" not in printed and 'data-theme="light"' in printed
    assert len(re.findall(r"<mjx-container[\s>]", printed)) == 1
    assert "<script" in (folder / "index.html").read_text(encoding="utf-8")


def test_links_between_pages_stay_within_the_pdf() -> None:
    links = {
        '<a href="../book/records.html#run-02">': '<a href="#run-02">',
        '<a href="notebooks/02_x.html">': '<a href="#document-notebooks/02_x">',
        '<a href="https://example.org/a.html">': '<a href="https://example.org/a.html">',
        '<a href="#here">': '<a href="#here">',
    }
    page = f"<html><head></head><body><article>{''.join(links)}</article></body></html>"
    assert "".join(links.values()) in still(page, "")


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize(
    ("browser", "message"),
    [
        ("echo gone >&2; exit 3", r"it ended with 3\. gone"),
        ("echo '<html></html>'", r"every formula must be drawn, however: MathJax drew 0 of 1"),
        ("echo '<mjx-container data-mjx-error=\"x\">'", r"MathJax drew 1 of 1"),
        ("echo '<mjx-container>'", r"must print .*print\.html, however: it wrote no PDF"),
    ],
)
@pytest.mark.skipif(shutil.which("sh") is None, reason="the stand-in for a browser is a shell script")
def test_a_browser_that_does_not_do_its_part_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, browser: str, message: str
) -> None:
    page = tmp_path / "index.html"
    page.write_text('<html><body><span class="math">x</span></body></html>')
    stand_in = script(tmp_path / "browser", browser)
    monkeypatch.setattr(_pdf, "find_browser", lambda: stand_in)
    monkeypatch.setattr(_pdf, "_render", lambda source, folder: page)
    root = make(tmp_path / "root") if (tmp_path / "root").mkdir() is None else tmp_path
    with pytest.raises(PdfError, match=message):
        print_book("offline", root)
    assert not (root / "_build/offline/embreg.pdf").exists()


def test_without_a_browser_nothing_is_rendered_and_the_way_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PdfError, match="the PATH has none of chromium"):
        find_browser()
    assert main(["book", "--profile", "offline", "--pdf", "--root", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "apt-get install chromium" in said
    assert not (tmp_path / "_build").exists()
