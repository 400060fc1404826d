"""The front page's table of claims: what it shows, in which order, and where its links lead."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXT = Path(__file__).parent.parent / "book" / "_ext"
ROW: dict[str, Any] = {
    "id": "dof",
    "claim": "It holds up.",
    "where": "§3.1",
    "paper_says": "flat lines",
    "evidence": "S1",
    "value": 0.25,
    "low": 0.125,
    "high": 0.5,
    "limit": "> 0",
    "verdict": "reproduced",
    "why": "The whole interval is > 0.",
    "caveat": "",
    "chapter": "02_a",
    "run": "02_a",
}
FALLS = {"claim": "It falls.", "verdict": "not reproduced", "value": -0.5, "low": -0.75, "high": -0.25}
NOTHING = {"value": None, "low": None, "high": None, "limit": None, "run": None}
LATER = {"claim": "Size helps.", "verdict": "not testable in this profile", "why": "It needs larger models."}
OTHERS = [{**ROW, "id": "no", **FALLS}, {**ROW, "id": "later", **LATER, **NOTHING}]


def build(folder: Path, rows: list[dict[str, Any]] | None, directive: str = "```{scoreboard}\n```") -> str:
    source = folder / "src"
    (source / "notebooks").mkdir(parents=True)
    (source / "book").mkdir()
    config = "extensions = ['myst_parser', 'embreg_scoreboard']\nhtml_theme = 'basic'\n"
    config += f"import sys\nsys.path.insert(0, {str(EXT)!r})\n"
    (source / "conf.py").write_text(config)
    (source / "index.md").write_text(
        f"# Front\n\n{directive}\n\n```{{toctree}}\nnotebooks/02_a\nbook/records\n```\n"
    )
    (source / "notebooks" / "02_a.md").write_text("# Chapter\n")
    (source / "book" / "records.md").write_text("(run-02-a)=\n# Records\n")
    if rows is not None:
        (source / "claims.json").write_text(json.dumps(rows))
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", str(source), str(folder / "html")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return (folder / "html" / "index.html").read_text(encoding="utf-8")


def test_every_claim_has_its_number_verdict_and_links(tmp_path: Path) -> None:
    page = build(tmp_path, [ROW, *OTHERS])
    assert (
        "<strong>3 claims</strong>: 1 reproduced, 1 not reproduced, 1 not testable in this profile." in page
    )
    for text in (
        "0.25 [0.12, 0.50]; claimed &gt; 0",
        "-0.50 [-0.75, -0.25]",
        "✓ reproduced",
        "✗ not reproduced",
        "\N{EN DASH} not testable in this profile",
        "flat lines (§3.1) [S1]",
        "It needs larger models.",
    ):
        assert text in page, text
    assert page.count('href="notebooks/02_a.html"') >= 3
    # A claim without a run has no record to link to.
    assert page.count('href="book/records.html#run-02-a"') == 2
    assert page.index("It holds up.") < page.index("It falls.") < page.index("Size helps.")


def test_the_first_few_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    page = build(tmp_path, [ROW, *OTHERS], "```{scoreboard}\n:first: 1\n```")
    assert "3 claims" in page and "It holds up." in page and "It falls." not in page


def test_a_book_without_verdicts_is_not_built(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"no claims\.json"):
        build(tmp_path, None)
