"""The directive that shows data cards: built by Sphinx for real, warnings as errors."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from embreg.families import card
from embreg.making.family import FAMILIES
from tests.test_families import put

EXT = Path(__file__).parents[1] / "book" / "_ext"


def fill(folder: Path, name: str = "compiler", **more: Any) -> None:
    """Complete a card that `put` has begun."""
    path = folder / name / "card.json"
    known = json.loads(path.read_text())
    known |= {
        "title": "gcc <flags> & C programs", "stands_for": "XLA", "what_ran": "gcc 12.2 under valgrind",
        "licence": "BSD-2-Clause", "noise": "None: instructions are counted.", "tolerance": 0.0,
        "flaws": ["Few flags matter.", "Counts change with libc."],
        "versions": {"gcc": "12.2", "libc": "2.36"},
        "machine": {"processor": "x86-64", "system": "Linux"},
    }  # fmt: skip
    for task in known["tasks"].values():
        task["y"] = {"min": -1.5, "median": 0.1, "max": 12345.678, "sd": 1.0, "distinct": 30}
    path.write_text(json.dumps(known | more))


def build(tmp_path: Path, text: str, folder: Path | None) -> tuple[int, str, str]:
    """Exit code, messages and the text of a page."""
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir(exist_ok=True)
    (source / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(EXT)!r})\nextensions = ['data_cards']\n"
        f"embreg_data_folder = {None if folder is None else str(folder)!r}\n"
    )
    (source / "index.rst").write_text(f"Page\n====\n\n{text}\n")
    run = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(source), str(out)]
    done = subprocess.run(run, capture_output=True, text=True)
    page = out / "index.html"
    plain = re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8")) if page.is_file() else ""
    return done.returncode, done.stderr, " ".join(html.unescape(plain).split())


def test_a_page_shows_what_the_card_says(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    put(folder, n=30)
    put(folder, "sort", n=1200, noise=None, effective=None)
    fill(folder)
    code, messages, page = build(tmp_path, ".. data-card:: compiler", folder)
    assert (code, messages) == (0, "")
    assert "compiler: gcc <flags> & C programs (2 tasks, 1,230 rows)" in page
    for said in (
        "Stands for : XLA", "Versions : gcc 12.2, libc 2.36", "Machine : x86-64, Linux",
        "Licence : BSD-2-Clause", "Measured again : equal to the last bit", "Known flaws: Few flags matter.",
        "lz4 Packs text. log of instructions log max 30 6 2 not known -1.5 … 1.235e+04",
        "sort Packs text. log of instructions log max 1,200 6 not known not known -1.5",
    ):  # fmt: skip
        assert said in page, said
    # Both tasks have one search space: it is shown once.
    assert page.count("Search space of") == 1 and "Search space of all tasks" in page
    assert "lr real 0.0001 … 1, logarithmic" in page and "opt category sgd, adam" in page
    assert (
        "decay category linear, cosine nesterov is true" in page
        and "nesterov flag true, false opt is sgd" in page
    )


def test_a_tolerance_and_another_machine_are_said(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    put(folder)
    put(folder, "sort")
    fill(folder, tolerance=0.05)
    path = folder / "compiler" / "card.json"
    known = card("compiler", folder)
    known["tasks"]["sort"]["versions"] = {"gcc": "13.1"}
    known["tasks"]["sort"]["noise"]["ratio"] = 0.12345
    known["tasks"]["sort"]["space"] = known["tasks"]["sort"]["space"][:2]
    path.write_text(json.dumps(known))
    code, messages, page = build(tmp_path, ".. data-card:: compiler", folder)
    assert (code, messages) == (0, "")
    assert "within 0.05 standard deviations of y" in page and "Versions of sort : gcc 13.1" in page
    assert " 0.12 " in page and "Search space of lz4" in page and "Search space of sort" in page


def test_without_an_argument_all_families_in_their_order(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for name in FAMILIES:
        put(folder, name=name)
        fill(folder, name)
    code, messages, page = build(tmp_path, ".. data-card::", folder)
    assert (code, messages) == (0, "")
    at = [page.index(f"{name}: gcc <flags>") for name in FAMILIES]
    assert at == sorted(at)


@pytest.mark.parametrize(
    ("argument", "says"),
    [("compilr", "did you mean 'compiler'?"), ("automl", "card.json is missing")],
)
def test_a_card_that_is_not_there_stops_the_book(tmp_path: Path, argument: str, says: str) -> None:
    folder = tmp_path / "data"
    put(folder)
    code, messages, page = build(tmp_path, f".. data-card:: {argument}", folder)
    assert code != 0 and says in messages and "index.rst:4" in messages
    assert f"[{argument}: no data card]" in page
