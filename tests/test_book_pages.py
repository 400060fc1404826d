"""The pages written by hand: their order, their words, and numbers that come from computation."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml

REPO = Path(__file__).parents[1]


def text_of(name: str) -> str:
    return (REPO / "book" / f"{name}.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("embreg_worked_row", REPO / "tools/worked_row.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_book_has_an_order_and_leaves_no_page_out() -> None:
    parts = yaml.safe_load((REPO / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    assert [part["caption"] for part in parts] == ["Start", "Experiments", "Use it", "Reference"]
    files = [[entry["file"] for entry in part["chapters"]] for part in parts]
    assert files[0] == ["book/introduction", "book/methods"]
    assert all(name.startswith("notebooks/") for name in files[1]) and files[1] == sorted(files[1])
    assert files[2][0] == "book/howto" and files[3][-1] == "book/bibliography"
    assert {"book/threats", "book/glossary", "book/differences", "book/api"} <= set(files[3])
    listed = {name for part in files for name in part if name.startswith("book/")}
    assert listed == {f"book/{path.stem}" for path in (REPO / "book").glob("*.md")}


def test_the_introduction_is_short_and_its_numbers_are_computed() -> None:
    text = text_of("introduction")
    assert len(text.split()) <= 900
    prose = re.sub(r"```.*?```|\{[\w-]+\}`[^`]*`|`[^`]*`|\]\([^)]*\)|\[[A-Z]\d?\]", "", text, flags=re.S)
    prose = re.sub(r"^\d\. ", "", prose, flags=re.M).replace("95 %", "").replace("T5", "")
    assert re.findall(r"\d[\d.]*", prose) == []


def test_every_word_that_is_linked_is_in_the_glossary() -> None:
    glossary = text_of("glossary")
    terms = set(re.findall(r"^(\S.*)$", glossary.partition("{glossary}")[2].partition("\n```")[0], re.M))
    assert len(terms) >= 20
    for name in ("introduction", "glossary"):
        for shown, target in re.findall(r"\{term\}`([^`<]+?)(?: <([^>]+)>)?`", text_of(name)):
            assert (target or shown) in terms, (name, shown)
    asked = set(re.findall(r"\{term\}`([^`<]+)`", text_of("introduction")))
    assert {"φ_LLM", "φ_trad", "DOF", "τ", "NLFD"} <= asked


def test_every_threat_says_what_is_done_and_what_would_settle_it() -> None:
    *threats, untested = text_of("threats").split("\n## ")[1:]
    assert len(threats) >= 10 and untested.startswith("What nobody has tested yet")
    for threat in threats:
        body = " ".join(threat.split())
        assert "**Here.**" in body and "**Would settle it.**" in body, body[:60]
    linked = [t for t in threats if re.search(r"\]\([^)]+\)|\{fact\}|\{cite", t)]
    assert len(linked) >= 9


def test_the_worked_row_is_what_the_code_computes(tool: ModuleType, tmp_path: Path) -> None:
    now = tool.compute()
    assert tool.differences(now) == []
    assert tool.differences({**now, "tokens": now["tokens"] + 1}) == [
        f"tokens: {now['tokens']} is now {now['tokens'] + 1}"
    ]
    off = {**now, "predicted": now["predicted"] + now["spread"]}
    assert [f.partition(":")[0] for f in tool.differences(off)] == ["predicted"]
    # A hand in the file of results shows too.
    shown = f"{now['target']:.1f}"
    for name, old, new in ((tool.RESULT, f'"{shown}"', '"0.1"'), (tool.PICTURE, f"= {shown}<", "= 0.1<")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        text = (REPO / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace(old, new), encoding="utf-8")
    found = tool.differences(now, tmp_path)
    assert "the texts do not come from the numbers" in found
    assert f"{tool.PICTURE} does not come from the texts" in found
