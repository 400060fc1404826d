"""The README's verdicts and picture are those of the committed results, and nobody wrote them by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import readme  # noqa: E402  (a tool, no part of the package)


def test_the_readme_is_current() -> None:
    done = subprocess.run(
        [sys.executable, "tools/readme.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_verdict_changed_by_hand_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "book" / "results").mkdir(parents=True)
    for name in (readme.CLAIMS, Path("README.md")):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    assert readme.main(["--check"], tmp_path) == 0
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "✓ reproduced" in text
    (tmp_path / "README.md").write_text(text.replace("✓ reproduced", "✗ not reproduced", 1), encoding="utf-8")
    assert readme.main(["--check"], tmp_path) == 1
    assert "run python tools/readme.py" in capsys.readouterr().err
    assert readme.main([], tmp_path) == 0
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == text


def test_the_rows_are_the_first_decided_claims_and_all_are_counted() -> None:
    claims = json.loads((ROOT / readme.CLAIMS).read_text(encoding="utf-8"))
    shown = readme.block(claims)
    assert f"Of {len(claims)} claims" in shown
    rows = [line for line in shown.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == readme.ROWS
    assert all(c["claim"] in shown for c in [c for c in claims if c["value"] is not None][: readme.ROWS])


def test_a_readme_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"README.md must hold"):
        readme.readme("# embreg", [])
