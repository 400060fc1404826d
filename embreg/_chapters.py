"""Executed notebooks as chapters: their titles, and why one may not be shown as a result."""

from __future__ import annotations

import json
from pathlib import Path

from embreg._record_links import is_shown

__all__ = ["faults_of", "title_of"]


def faults_of(path: Path, profile: str) -> list[str]:
    """Why a notebook may not be shown as a result; `profile` is empty for a committed one."""
    label = path.parent.name if profile else path.stem
    again = f"run `embreg run {label.partition('--')[0]} --profile {profile or 'smoke'}`"
    if not path.is_file():
        failed = path.parent.with_name(f"{path.parent.name}.failed")
        seen = f" (the last try failed: {failed})" if profile and failed.is_dir() else ""
        return [f"{label}: no result at {path}{seen}; {again}"]
    notebook = json.loads(path.read_text(encoding="utf-8"))
    meta = notebook["metadata"]
    faults = ["its execution ended with an error"] if meta.get("papermill", {}).get("exception") else []
    for i, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] != "code" or not "".join(cell["source"]).strip():
            continue
        errors = [o for o in cell["outputs"] if o["output_type"] == "error"]
        # A warning in a page shows that nobody looked, and the paths of a machine. Checked where we can
        # mend it: a reader's own run may have reasons to warn.
        warned = [
            o["text"] for o in cell["outputs"] if o.get("name") == "stderr" and profile in ("", "smoke")
        ]
        faults += [f"cell {i} wrote to stderr: {''.join(text).strip()[:200]!r}" for text in warned]
        faults += [f"cell {i} failed with {e.get('ename')}: {e.get('evalue')}" for e in errors]
        if cell.get("execution_count") is None:
            faults.append(f"cell {i} was not executed")
    run = meta.get("embreg") or {}
    if profile and not run.get("digest"):
        faults.append("it holds no embreg.digest, so nothing tells what made it")
    elif profile and run.get("profile") != profile:
        faults.append(f"it belongs to profile {run.get('profile')!r}, not {profile!r}")
    shows = any(is_shown(o) for c in notebook["cells"] for o in c.get("outputs", ()))
    if not profile and not faults and shows and not run.get("digest"):
        again = f"run `embreg notebooks {label}`"
        faults.append("it shows figures or tables and carries no run, so nothing tells what made them")
    return [f"{label}: {'; '.join(faults)}; {again}"] if faults else []


def title_of(path: Path) -> str:
    """The first level-one heading of a notebook."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            for line in "".join(cell["source"]).splitlines():
                if line.startswith("# "):
                    return line[2:].strip()
    return ""
