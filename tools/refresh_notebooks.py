"""Put the executed notebooks of profile smoke in place of the committed ones (make notebooks).

The committed outputs are those of the defaults, so a run that was given other parameters is refused, as is
one whose cells are not the committed ones: outputs must never stand under code that did not make them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from embreg._files import atomic_path

ROOT = Path(__file__).resolve().parents[1]


def sources(notebook: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return (id, type, source) of every cell."""
    return [(c["id"], c["cell_type"], "".join(c["source"])) for c in notebook["cells"]]


def refresh(root: Path = ROOT) -> list[str]:
    """Copy the smoke run of every notebook over it; return their names."""
    done = []
    for committed in sorted((root / "notebooks").glob("[0-9]*.ipynb")):
        executed = root / "runs" / "smoke" / committed.stem / "notebook.ipynb"
        if not executed.is_file():
            raise SystemExit(f"{committed.stem}: not run; is it in profile smoke of notebooks/profiles.yml?")
        before, after = (json.loads(p.read_text(encoding="utf-8")) for p in (committed, executed))
        if sources(before) != sources(after):
            raise SystemExit(
                f"{committed.stem}: the cells of runs/smoke differ from the committed ones. Its first run in "
                "profile smoke must use the notebook's defaults; after an edit: embreg run --profile smoke"
            )
        with atomic_path(committed) as temporary:
            shutil.copyfile(executed, temporary)
        done.append(committed.stem)
    return done


if __name__ == "__main__":
    print("refreshed:", *refresh())
