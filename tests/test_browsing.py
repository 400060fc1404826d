"""Page checks in a browser: each kind of fault is made for real and caught, and sound pages have none."""

from __future__ import annotations

import importlib.util
import random
import urllib.request
from pathlib import Path
from types import ModuleType

import pytest

from embreg.browsing import Seen, check_in_browser, chromium, theme
from embreg.browsing.access import WAIVED
from embreg.browsing.chromium import missing
from embreg.browsing.faults import MOST, Fault, gathered, listed
from embreg.browsing.server import serve
from embreg.pages import main

ROOT = Path(__file__).parents[1]
needs_browser = pytest.mark.skipif(bool(missing()), reason=f"pages cannot be opened here: {missing()}")

STYLE = """<style>body { background: white; color: black } a { color: #00c }
@media (prefers-color-scheme: dark) { body { background: black; color: white } a { color: #aaf } }</style>"""


def page(content: str, head: str = "") -> str:
    return f"""<!DOCTYPE html><html lang="en"><head><title>A page</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width">{STYLE}{head}</head>
<body><main><h1>A page</h1><p>Text and <a href="#here" id="here">a link</a>.</p>{content}</main></body>
</html>"""


DOT = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><circle cx="4" cy="4" r="4"/></svg>'
FAULTY = {
    "alt.html": page('<img src="dot.svg">'),
    "broken.html": page('<img src="gone.png" alt="a curve">'),
    "console.html": page("<script>console.error('oh no')</script><script>nothing()</script>"),
    "dark.html": page('<p class="d">Only pale in the dark.</p>', "<style>.d { color: #555 }</style>"),
    "formula.html": page('<span class="math">\\(x^2\\)</span>'),
    "label.html": page('<input type="text">'),
    "pale.html": page('<p style="color: #bbb; background: white">Hard to read.</p>'),
    "remote.html": page('<script>fetch("http://192.0.2.1/data").catch(() => 0)</script>'),
    "remote-name.html": page('<img src="https://example.org/a.png" alt="a curve">'),
    "wide.html": page('<div style="width: 700px">A wide thing.</div>'),
    "notebooks/keys.html": page(
        '<button tabindex="-1">Skipped</button><div role="button" id="clicked">Pointer only</div>'
        '<button style="outline: none" id="unseen">Unseen</button>'
        '<button aria-haspopup="true" aria-expanded="false" id="menu" '
        "onclick=\"this.setAttribute('aria-expanded', 'true')\">Menu</button>"
        '<button disabled>Off</button><button hidden>Away</button><button id="sound">Sound</button>'
    ),
}
SOUND = {
    "index.html": page(
        '<img src="dot.svg" alt="a dot"><p><a href="other.html">Other</a> <button>Press</button></p>'
        '<label>Name <input></label><label><input type="radio" name="r">1</label>'
        '<label><input type="radio" name="r" checked>2</label><details><summary>More</summary>'
        '<button>Inside</button></details><div style="overflow-x: auto" tabindex="0">'
        '<div style="width: 1500px">Scrolls by itself.</div></div>'
    ),
    "other.html": page("<p>Nothing else.</p>"),
}


def write(folder: Path, pages: dict[str, str]) -> Path:
    for name, text in {"dot.svg": DOT, **pages}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    html = tmp_path_factory.mktemp("pages") / "_build/smoke/_build/html"
    html.mkdir(parents=True)
    (html.parents[1] / "faults").mkdir()
    (html.parents[1] / "faults/old.png").write_bytes(b"")
    return check_in_browser(write(html, {**SOUND, **FAULTY}))


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("alt.html", '(image-alt, light): img <img src="dot.svg">'),
        ("broken.html", "a file is not there: gone.png (status 404)"),
        ("broken.html", 'image does not load: <img src="gone.png">'),
        ("console.html", "console error: oh no"),
        ("console.html", "console error: nothing is not defined"),
        ("dark.html", '(color-contrast, dark): .d <p class="d">'),
        ("formula.html", "1 formulas, 0 rendered"),
        ("label.html", '(label, light): input <input type="text">'),
        ("pale.html", "(color-contrast, light): p:nth-child(3)"),
        ("remote.html", "request to another host: http://192.0.2.1/data"),
        ("remote-name.html", "request to another host: https://example.org/a.png"),
        ("wide.html", "the page scrolls sideways at 390 px because of: <div>A wide thing."),
        ("notebooks/keys.html", "the Tab key does not come to: <button>Skipped"),
        ("notebooks/keys.html", 'the Tab key does not come to: <div id="clicked">Pointer only'),
        ("notebooks/keys.html", 'focus cannot be seen on: <button id="unseen">Unseen'),
        ("notebooks/keys.html", 'Escape does not close the menu of: <button id="menu">Menu'),
    ],
)
def test_a_fault_made_for_real_is_caught_with_its_page_element_and_cure(
    seen: Seen, where: str, what: str
) -> None:
    caught = [fault for fault in seen.faults if fault.startswith(f"{where}: ") and what in fault]
    assert len(caught) == 1, "\n".join(seen.faults)
    assert caught[0].partition(". To mend: ")[2]


@needs_browser
@pytest.mark.slow
def test_sound_pages_and_sound_controls_have_no_fault(seen: Seen) -> None:
    pages = {fault.partition(".html")[0] + ".html" for fault in seen.faults}
    assert pages == set(FAULTY)
    assert not [fault for fault in seen.faults if "dark.html" in fault and "light)" in fault]
    for control in ('id="sound"', "Off", "Away", "here"):
        assert not [fault for fault in seen.faults if "keys.html" in fault and control in fault]


@needs_browser
@pytest.mark.slow
def test_a_faulty_page_leaves_a_picture_beside_the_book(seen: Seen) -> None:
    folder = Path(seen.screenshots[0]).parent
    assert folder.parts[-2:] == ("smoke", "faults")
    kept = {path.name for path in folder.iterdir()}
    assert {"alt--light.png", "dark--dark.png", "wide--phone.png", "notebooks-keys--keyboard.png"} <= kept
    assert kept == {Path(path).name for path in seen.screenshots}  # the ones of an earlier run are gone
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in folder.iterdir())


@needs_browser
@pytest.mark.slow
def test_the_command_gives_what_it_saw_and_the_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    html, shots = write(tmp_path / "site", SOUND), tmp_path / "shots"
    assert main([str(html), "--browser", "--faults", str(shots)]) == 0
    said = capsys.readouterr()
    assert said.out == "0 faults\n" and "browser check: 2 pages in Chromium" in said.err
    assert not shots.exists()


# A book in small: what the checks press and look for, as the theme has it.
BOOK_HEAD = """<style>:root { --g: white } html[data-theme=dark] { --g: #111 }
body { background: var(--g) } html[data-theme=dark] body { color: white }
dialog { background: white; color: black } dialog:not([open]) .embreg-close { display: none }</style>
<script>const dark = matchMedia("(prefers-color-scheme: dark)");
const set = () => { document.documentElement.dataset.theme = dark.matches ? "dark" : "light"; };
dark.onchange = set; set();
addEventListener("keydown", (e) => { if (e.key === "k" && e.ctrlKey) { e.preventDefault();
document.getElementById("pst-search-dialog").showModal(); } });</script>"""
BOOK = page(
    '<button class="primary-toggle" '
    "onclick=\"document.getElementById('pst-primary-sidebar-modal').showModal()\">Contents</button>"
    '<dialog id="pst-primary-sidebar-modal" aria-label="Contents"><button class="embreg-close" '
    "onclick=\"this.closest('dialog').close()\">Close</button>"
    '<nav><a href="other.html">Other</a></nav></dialog><dialog id="pst-search-dialog" aria-label="Search">'
    '<form action="search.html"><input name="q" aria-label="Search"></form></dialog>',
    BOOK_HEAD,
)
RESULTS = page(
    '<div id="search-results"></div><script>if (location.search.includes("Lipschitz")) '
    'document.getElementById("search-results").innerHTML = "<ul class=search>'
    '<li><a href=other.html>Lipschitz factors</a></li></ul>"'
    "</script>",
    BOOK_HEAD,
)
A_BOOK = {"index.html": BOOK, "other.html": BOOK, "search.html": RESULTS, "searchindex.js": ""}


@needs_browser
@pytest.mark.slow
def test_a_sound_book_has_no_fault(tmp_path: Path) -> None:
    assert check_in_browser(write(tmp_path / "b", A_BOOK)).faults == []


CANCEL = '<dialog oncancel="event.preventDefault()" id="pst-search'
BROKEN = {  # what is taken out of the book, and what is then said
    "Ctrl+K opens no search": ("ctrlKey", "altKey"),
    "the search for 'Lipschitz' finds nothing": ("<form action", "<form onsubmit='return false' action"),
    "Escape does not close the search": ('<dialog id="pst-search', CANCEL),
    "no button opens the sidebar": ('class="primary-toggle"', 'class="primary-toggle" hidden'),
    "no button closes the sidebar": ('class="embreg-close"', 'class="other"'),
    "its button does not close the sidebar": ("this.closest('dialog').close()", ""),
    "a link of the sidebar does not lead to": ('html">Other', 'html" onclick="return false">Other'),
    "the dark colour scheme changes nothing": ("dark.onchange = set;", ""),
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What is said of each broken book, all of them opened by one browser."""
    folder, out = tmp_path_factory.mktemp("books"), {}
    with pytest.MonkeyPatch.context() as patch, serve(folder) as home, chromium.launched() as browser:
        patch.setattr(theme, "_SOON", 700)
        for i, (fault, (old, new)) in enumerate(BROKEN.items()):
            assert old in BOOK
            write(folder / str(i), {**A_BOOK, "index.html": BOOK.replace(old, new)})
            found = []
            for check, size in (
                (theme.search, None), (theme.sidebar, chromium.PHONE), (theme.scheme_differs, None),
            ):  # fmt: skip
                with chromium.opened(browser, size=size) as page:
                    page.goto(f"{home}{i}/index.html")
                    page.evaluate(chromium.probe_source())
                    found += check(page, "index.html")
            out[fault] = [str(fault) for fault in found]
    return out


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("fault", BROKEN)
def test_a_book_that_does_not_work_is_caught(said: dict[str, list[str]], fault: str) -> None:
    assert len(said[fault]) == 1 and fault in said[fault][0]


@needs_browser
@pytest.mark.slow
def test_a_heavy_first_page_is_caught_with_what_makes_it_so(tmp_path: Path) -> None:
    html = write(tmp_path / "b", {"index.html": page("<script>fetch('big.bin')</script>")})
    (html / "big.bin").write_bytes(random.Random(0).randbytes(1_600_000))  # what no compression makes smaller
    (fault,) = check_in_browser(html).faults
    assert "the first page transfers 1.6" in fault and "big.bin 1.60" in fault


def test_without_a_browser_the_check_says_why_it_was_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    html = write(tmp_path / "site", SOUND)
    monkeypatch.setenv("PATH", "")
    seen = check_in_browser(html)
    assert seen.faults == [] and seen.skipped and "no chromium" in seen.note
    assert main([str(html), "--browser"]) == 0
    assert "browser check skipped: no chromium, chromium-browser or google-chrome" in capsys.readouterr().err


def test_a_folder_without_pages_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="embreg book"):
        check_in_browser(tmp_path)


def test_what_a_browser_accepts_compressed_is_sent_so(tmp_path: Path) -> None:
    html = write(tmp_path, {"index.html": "x" * 10_000})
    with serve(html) as home:
        asked = urllib.request.Request(f"{home}index.html", headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(asked) as answer:
            assert answer.headers["Content-Encoding"] == "gzip" and len(answer.read()) < 200
        with urllib.request.urlopen(f"{home}index.html") as answer:
            assert answer.read() == b"x" * 10_000


def test_many_elements_are_counted_and_shared_faults_said_once() -> None:
    many = listed("a.html", [(f"#e{i}", f"e{i}") for i in range(MOST + 3)], "wrong", "mend")
    assert len(many) == MOST and "(and 3 more like it)" in str(many[-1]) and "more" not in str(many[0])
    both = gathered([Fault("a.html", "wrong", "m"), Fault("b.html", "wrong", "m"), Fault("a.html", "x", "m")])
    assert [fault.page for fault in both] == ["a.html and 1 more page", "a.html"]


def test_each_waived_rule_has_a_reason_and_they_are_few() -> None:
    assert len(WAIVED) <= 3 and all(len(reason) > 30 for reason in WAIVED.values())


@pytest.fixture(scope="module")
def extension() -> ModuleType:
    spec = importlib.util.spec_from_file_location("embreg_access", ROOT / "book/_ext/embreg_access.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_get_cells_and_roles_that_assistive_technology_knows(extension: ModuleType) -> None:
    table = '<tr><th></th><th class="head"><p></p></th><th>Z</th><th scope="row"> </th><thead></thead></tr>'
    mended = '<tr><td></td><td class="head"></td><th>Z</th><td scope="row"></td><thead></thead></tr>'
    assert extension.mend(table) == mended
    assert extension.mend('<div role="doc-biblioentry">') == '<div role="listitem">'


@pytest.mark.parametrize(("body", "kept"), [("<p>x</p>", ["a.js"]), ('<p class="math">x</p>', None)])
def test_a_page_without_formulas_does_not_load_mathjax(
    extension: ModuleType, body: str, kept: list[str] | None
) -> None:
    class Script:
        def __init__(self, filename: str, **attributes: str) -> None:
            self.filename, self.attributes = filename, attributes

    scripts = [Script("a.js"), Script("", body="window.MathJax = {}"), Script("_static/mathjax/tex-svg.js")]
    context = {"body": body, "script_files": list(scripts)}
    extension.mend_page(None, "p", "page.html", context, None)
    left = [script.filename for script in context["script_files"]]
    assert left == (kept or [script.filename for script in scripts])
