"""Run keys: what a result was made from, and whether making it today would start from the same.

The key travels inside the result (notebook metadata and ``run.json``), so a result that was copied or
committed shows by itself whether it is current. Comments and docstrings of the package are left out of the
key: editing the documentation must not throw away hours of results.
"""

from __future__ import annotations

import ast
import io
import json
import tokenize
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from embreg._files import digest, sha256_file
from embreg.profiles import ProfileError, defaults_of, find_root

__all__ = ["current_key_of", "digest", "is_current", "notebook_is_current", "package_folder", "run_key"]

# Modules that start, check or show runs. None of them can change a number in a result.
_NO_EFFECT = {
    "_crate.py", "_crate_entities.py", "_pdf.py",
    "_execute.py", "_kernel.py", "_parameters.py", "_progress.py", "_provenance.py", "book.py", "cli.py",
    "keys.py", "pages.py", "plan.py", "profiles.py", "runs.py", "_chapters.py",
    "_plan_table.py", "_record_links.py", "_record_page.py", "_rerun.py", "_show.py", "cluster.py",
    "reproduction.py", "spaces.py", "stream.py", "engine/local_cluster.py", "engine/workers.py",
    "storage/checks.py",
    "storage/cleaning.py", "storage/exporting.py", "storage/quantities.py",
}  # fmt: skip
_FOLDERS_WITHOUT_EFFECT = {"browsing", "claims", "commands", "planning", "reproducing", "streaming"}
_PARTS = {
    "notebook": "the notebook's cells",
    "parameters": "the parameters",
    "package": "the package's code",
    "pins": "constraints.txt",
    "data": "the package's data files",
}


def package_folder() -> Path:
    """Folder of the package whose code enters the key."""
    return Path(__file__).resolve().parent


def run_key(notebook: str | Path, parameters: Mapping[str, Any], root: str | Path) -> dict[str, Any]:
    """Everything that decides the numbers of a run, bar the machine.

    Parameters
    ----------
    notebook : str or Path
        The source ``.ipynb``; its cells count, its outputs do not.
    parameters : mapping
        All parameters of the run.
    root : str or Path
        Folder of the project, which holds ``constraints.txt``.

    Returns
    -------
    dict
        ``notebook``, ``package``, ``pins`` and ``data`` as 16 hexadecimal digits, ``parameters`` as they are.

    Examples
    --------
    >>> import tempfile
    >>> top = Path(tempfile.mkdtemp())
    >>> _ = (top / "a.ipynb").write_text(json.dumps({"cells": [{"cell_type": "code", "source": "n = 1"}]}))
    >>> sorted(run_key(top / "a.ipynb", {"n": 1}, top))
    ['data', 'notebook', 'package', 'parameters', 'pins']
    """
    package = package_folder()
    code = {
        p.relative_to(package).as_posix(): _code_digest(p, p.stat().st_mtime_ns)
        for p in sorted(package.rglob("*.py"))
        if not _is_without_effect(p.relative_to(package))
    }
    data = {
        p.relative_to(package).as_posix(): sha256_file(p)
        for p in sorted((package / "data").rglob("*"))
        if p.is_file() and p.suffix not in {".py", ".pyc"}
    }
    return {
        "notebook": _notebook_digest(Path(notebook)),
        # As they will look when read back: a tuple becomes a list.
        "parameters": json.loads(json.dumps(dict(parameters))),
        "package": digest(code)[:16],
        "pins": _pins_digest(Path(root) / "constraints.txt"),
        "data": digest(data)[:16],
    }


def _is_without_effect(module: Path) -> bool:
    return module.as_posix() in _NO_EFFECT or module.parts[0] in _FOLDERS_WITHOUT_EFFECT


def current_key_of(notebook_path: str | Path, root: str | Path | None = None) -> dict[str, Any]:
    """Key that the result in a notebook would get if it were made now.

    Parameters
    ----------
    notebook_path : str or Path
        A committed notebook, or ``notebook.ipynb`` of a run, wherever it was copied to.
    root : str or Path, optional
        Folder of the project; found from the notebook's place when not given.

    Raises
    ------
    ProfileError
        The notebook carries no run, or its source is no longer in the project.
    """
    path = Path(notebook_path)
    made = _embreg_metadata(path)
    root = Path(root) if root else find_root(path.parent)
    source = root / "notebooks" / f"{made['notebook']}.ipynb"
    if not source.is_file():
        raise ProfileError(f"{path} was made from {source.name}, which is not in {source.parent}")
    # A committed notebook is its own source: its parameters are its defaults of now.
    committed = path.resolve() == source.resolve()
    return run_key(source, defaults_of(source) if committed else made["parameters"], root)


def notebook_is_current(notebook_path: str | Path, root: str | Path | None = None) -> tuple[bool, str]:
    """Whether the result in a notebook is what its code, parameters and pins would give now.

    Returns
    -------
    (bool, str)
        And the reason, such as ``"changed: constraints.txt"``.
    """
    try:
        stored, key = _embreg_metadata(Path(notebook_path)), current_key_of(notebook_path, root)
        cells = json.loads(Path(notebook_path).read_text(encoding="utf-8"))["cells"]
    except (ProfileError, OSError, ValueError) as error:
        return False, str(error)
    if stored.get("error"):
        return False, f"it failed: {stored['error']}"
    for index, cell in enumerate(cells):
        # Cleared outputs leave the key in place.
        if (
            cell["cell_type"] == "code"
            and "".join(cell["source"]).strip()
            and not cell.get("execution_count")
        ):
            return False, f"cell {index} has no output: it was cleared, or never executed"
    return _compare(stored, key)


def is_current(folder: str | Path, key: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether a run folder holds the whole and undamaged result of `key`.

    Parameters
    ----------
    folder : str or Path
        ``runs/<profile>/<run name>``.
    key : mapping
        What a run made now would have (`run_key`).

    Returns
    -------
    (bool, str)
        The reason names what changed, and for parameters their old and new values.

    Examples
    --------
    >>> is_current("no/such/folder", {})
    (False, 'never ran')
    """
    folder = Path(folder)
    if not folder.is_dir():
        failed = folder.with_name(folder.name + ".failed").is_dir()
        return False, "failed last time" if failed else "never ran"
    try:
        stored = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        files = dict(stored["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return False, "its run.json is missing or damaged"
    for name, checksum in {"notebook.ipynb": None, **files}.items():
        if not (folder / name).is_file():
            return False, f"{name} is missing"
        if checksum is not None and sha256_file(folder / name) != checksum:
            return False, f"{name} was changed after the run"
    return _compare(stored, key)


def _compare(stored: Mapping[str, Any], key: Mapping[str, Any]) -> tuple[bool, str]:
    old = stored.get("key")
    if not isinstance(old, dict) or stored.get("digest") != digest(old):
        return False, "its key is missing or damaged"
    if old == key:
        return True, "current"
    changed = []
    for part in dict.fromkeys((*key, *old)):
        if old.get(part) == key.get(part):
            continue
        text = _PARTS.get(part, part)
        if part == "parameters":
            a, b = old.get(part, {}), key.get(part, {})
            names = [n for n in dict.fromkeys((*b, *a)) if a.get(n) != b.get(n) or (n in a) != (n in b)]
            text += " (" + ", ".join(f"{n}: {a.get(n, 'none')} → {b.get(n, 'none')}" for n in names) + ")"
        changed.append(text)
    return False, "changed: " + ", ".join(changed)


def _embreg_metadata(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    made = content.get("metadata", {}).get("embreg")
    if not isinstance(made, dict) or not {"notebook", "parameters", "key"} <= made.keys():
        raise ProfileError(
            f"{path.name} carries no run: it was never executed by 'embreg run' or 'embreg notebooks'"
        )
    return made


def _notebook_digest(path: Path) -> str:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    # Tags count too: they decide which cell takes the parameters and which cells the book hides.
    content = [
        [c["cell_type"], "".join(c["source"]), sorted(c.get("metadata", {}).get("tags", []))]
        for c in cells
        if c["cell_type"] in {"code", "markdown"}
    ]
    return digest(content)[:16]


def _pins_digest(path: Path) -> str:
    if not path.is_file():
        return "none"
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return digest(sorted(line for line in lines if line))[:16]


@lru_cache(maxsize=512)
def _code_digest(path: Path, _mtime: int) -> str:
    return digest(_code_only(path.read_text(encoding="utf-8")))


def _code_only(source: str) -> str:
    r"""Source without comments, docstrings, blank lines and trailing blanks.

    Text, not syntax tree, is compared: the dump of a tree differs between Python versions, and a key made
    under one must hold under another.

    Examples
    --------
    >>> print(_code_only('def f():\n    "About f."\n\n    return "# 1"  # why'))
    def f():
        return "# 1"
    """
    try:
        tree = ast.parse(source)
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (SyntaxError, tokenize.TokenError):
        return source  # it will fail when imported; every edit counts
    lines = source.split("\n")
    for token in tokens:
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    exact: set[int] = set()  # lines inside a longer string: their blanks are part of its value
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr):
            exact.update(range(node.lineno - 1, (node.end_lineno or node.lineno) - 1))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = node.body[0] if node.body else None
        if not (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)):
            continue
        start, end = first.lineno - 1, (first.end_lineno or first.lineno) - 1
        before = lines[start].encode()[: first.col_offset]
        after = lines[end].encode()[first.end_col_offset :]
        if isinstance(first.value.value, str) and not before.strip() and not after.strip():
            lines[start : end + 1] = [""] * (end + 1 - start)
            exact.difference_update(range(start, end + 1))
    return "\n".join(
        line if i in exact else line.rstrip() for i, line in enumerate(lines) if line.strip() or i in exact
    )
