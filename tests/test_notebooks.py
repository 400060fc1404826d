"""The committed notebooks: plain papermill works on them, and each holds what book and runner need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from embreg.profiles import defaults_of

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def cells(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text(encoding="utf-8"))["cells"])


@pytest.mark.slow
def test_plain_papermill_takes_a_list_as_text(tmp_path: Path) -> None:
    notebook = next(p for p in NOTEBOOKS if p.stem == "04_pooling")
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "-k", "python3", str(notebook)]
    settings = {"dofs": "[5]", "n_seeds": "1", "functions": "Sphere", "n_samples": "40", "max_epochs": "2"}
    more = [word for name, value in settings.items() for word in ("-p", name, value)]
    done = subprocess.run([*command, "out.ipynb", *more], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    printed = [
        "".join(o.get("text", "")) for c in cells(tmp_path / "out.ipynb") for o in c.get("outputs", [])
    ]
    # Seven poolings of one function at one DOF with one seed.
    assert any(t.startswith("records.parquet: 7 rows") for t in printed)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_tells_a_story_and_can_be_run_twice(path: Path) -> None:
    text = {c["id"]: "".join(c["source"]) for c in cells(path)}
    assert text["title"].startswith("# ") and "**Question.**" in text["title"]
    assert "**Why" in text["title"] and text["paper"].startswith("## What the paper found")
    assert {"conclude", "means", "paper"} <= text.keys()
    assert defaults_of(path)
    # A label in a notebook that is run twice would be there twice in the book.
    assert not any(mark in t for t in text.values() for mark in (")=\n", ":label:", ":name:"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_logic_lives_in_the_package(path: Path) -> None:
    for cell in cells(path):
        if cell["cell_type"] == "code":
            assert len(cell["source"]) <= 60, f"{cell['id']} has {len(cell['source'])} lines"
            assert "class " not in "".join(cell["source"])
