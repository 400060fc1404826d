"""Page checks: each kind of fault is planted once and found, and a sound page has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from embreg.pages import check_pages, main

SOUND = """<!DOCTYPE html><html><head><title>t</title>
<link rel="stylesheet" href="_static/a.css"><link rel="canonical" href="https://example.org/">
<script src="_static/mathjax/tex-svg.js?v=1"></script></head><body><article>
<h1 id="top-of-it">T</h1><p>Costs $5, f{x}. <a href="#top-of-it">up</a> <a href="other.html#there">o</a>
<a href="https://example.org/x">away</a> <a href="mailto:a@b.c">write</a>
<a href="_sources/raw.txt">raw</a></p>
<p><img src="_static/f.svg" alt="a curve"><img src="data:image/png;base64,AAAA" alt="dot"></p>
<p><span class="math notranslate nohighlight">\\(x^2\\)</span> <code>$$ {fact}`a/b` \\(</code></p>
<pre>\\[ raw \\]</pre><svg><use href="#top-of-it"/></svg></article></body></html>"""
OTHER = '<html><body><p id="there">There. <a href="index.html">back</a></p></body></html>'


@pytest.fixture
def html(tmp_path: Path) -> Path:
    (tmp_path / "_static/mathjax").mkdir(parents=True)
    (tmp_path / "_sources").mkdir()
    (tmp_path / "_static/mathjax/tex-svg.js").write_text("")
    (tmp_path / "_static/a.css").write_text("p { background: url('f.svg') }")
    (tmp_path / "_static/f.svg").write_text("<svg/>")
    (tmp_path / "_sources/raw.txt").write_text("raw")
    (tmp_path / "index.html").write_text(SOUND)
    (tmp_path / "other.html").write_text(OTHER)
    return tmp_path


def test_a_sound_page_has_no_fault(html: Path) -> None:
    assert check_pages(html) == []


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        ('<script src="https://cdn.org/a.js"></script>', "remote script: https://cdn.org/a.js"),
        ('<script src="//cdn.org/a.js"></script>', "remote script: //cdn.org/a.js"),
        ('<link rel="stylesheet" href="https://cdn.org/a.css">', "remote link: https://cdn.org/a.css"),
        ('<link rel="preload" as="font" href="https://c.org/a.woff2">', "remote link: https://c.org/a.woff2"),
        ('<img src="https://c.org/a.png" alt="a">', "remote img: https://c.org/a.png"),
        (
            '<img srcset="https://c.org/a.png 2x" src="_static/f.svg" alt="a">',
            "remote img: https://c.org/a.png",
        ),
        ('<iframe src="https://c.org/"></iframe>', "remote iframe: https://c.org/"),
        ("<style>@import 'https://c.org/a.css';</style>", "remote address in a style: https://c.org/a.css"),
        ('<p style="background:url(//c.org/a.png)">x</p>', "remote address in a style: //c.org/a.png"),
        ('<a href="gone.html">x</a>', "link to a page or file that does not exist: gone.html"),
        ('<a href="#gone">x</a>', "link to an anchor that does not exist: #gone"),
        ('<a href="other.html#gone">x</a>', "link to an anchor that does not exist: other.html#gone"),
        ('<img src="gone.svg" alt="a curve">', "missing file of img: gone.svg"),
        ('<script src="gone.js"></script>', "missing file of script: gone.js"),
        ('<img src="_static/f.svg">', "image without alt text: _static/f.svg"),
        ('<img src="_static/f.svg" alt="">', "image without alt text: _static/f.svg"),
        (
            '<img src="_static/f.svg" alt="_static/f.svg">',
            "image whose alt text is only its file name: _static/f.svg",
        ),
        ("<p>so $$x^2$$ grows</p>", "raw TeX outside a formula: 'so $$x^2$$ grows'"),
        (r"<p>so \(x\) grows</p>", r"raw TeX outside a formula: 'so \\(x\\) grows'"),
        ("<p>see {fact}`a/b`</p>", "unresolved fact: 'see {fact}`a/b`'"),
        (
            '<span class="embreg-fact-missing">[a/b: no such fact]</span>',
            "a fact is missing (see the warning of the build)",
        ),
        (
            '<span class="problematic">x</span>',
            "markup that could not be read (class 'problematic' or 'system-message')",
        ),
    ],
)
def test_a_planted_fault_is_found(html: Path, planted: str, fault: str) -> None:
    (html / "index.html").write_text(SOUND.replace("</article>", f"{planted}</article>"))
    assert check_pages(html) == [f"index.html: {fault}"]


def test_formulas_need_a_local_mathjax(html: Path) -> None:
    (html / "index.html").write_text(
        SOUND.replace('<script src="_static/mathjax/tex-svg.js?v=1"></script>', "")
    )
    assert check_pages(html) == ["index.html: 1 formulas and no MathJax script"]


def test_fonts_of_a_style_sheet_are_local(html: Path) -> None:
    (html / "_static/a.css").write_text('@font-face { src: url("https://fonts.org/a.woff2") }')
    assert check_pages(html) == ["_static/a.css: remote address in a style: https://fonts.org/a.woff2"]


def test_the_command_says_how_many_faults(html: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(html)]) == 0
    (html / "other.html").unlink()
    assert main([str(html)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 faults"


def test_a_folder_without_pages_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="embreg book"):
        check_pages(tmp_path)
