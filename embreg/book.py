"""The book: put the results of a profile in place, render the pages, check them."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from embreg._chapters import faults_of, title_of
from embreg._crate import add_crate
from embreg._files import atomic_path, digest, sha256_file
from embreg._record_page import add_records
from embreg.profiles import load_profile

__all__ = ["BookError", "build", "stage"]

_RENDERERS = ("jupyter-book", "sphinx", "myst-nb", "sphinx-book-theme", "pydata-sphinx-theme", "docutils")


class BookError(RuntimeError):
    """The book cannot be made from what is there; the message says what is missing or wrong."""


def stage(profile: str, root: str | Path) -> Path:
    """Put the sources of the book and the results of `profile` in one folder.

    Each notebook that the profile lists is replaced by its executed run; its further runs, of the
    profile or made by hand, become sections below its chapter. A notebook that the profile does
    not list is shown as committed. Only what differs is written, and what no longer belongs is
    removed, so that Sphinx reads again exactly the pages that changed.

    Parameters
    ----------
    profile : str
        A profile of ``notebooks/profiles.yml``, executed before with ``embreg run``.
    root : str or Path
        The repository: the folder of ``_config.yml`` and ``_toc.yml``.

    Returns
    -------
    Path
        ``_build/<profile>/src``.

    Raises
    ------
    BookError
        A run is missing, failed, was not executed to its end, or belongs to another profile.
        Sphinx itself would render all of these without a word.
    ProfileError
        There is no such profile, or the file of profiles has a fault.

    Examples
    --------
    >>> stage("offline", "no/such/folder")
    Traceback (most recent call last):
    ...
    embreg.book.BookError: no _config.yml in no/such/folder: give the folder of the repository
    """
    root = Path(root)
    if not (root / "_config.yml").is_file():
        raise BookError(f"no _config.yml in {root}: give the folder of the repository")
    target = root / "_build" / profile / "src"
    wanted = _sources(profile, root)
    target.mkdir(parents=True, exist_ok=True)
    for name, content in wanted.items():
        _write(target / name, content)
    for path in sorted(target.rglob("*"), reverse=True):
        name = path.relative_to(target).as_posix()
        if "__pycache__" in path.parts:
            continue
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif name not in wanted:
            path.unlink()
    return target


def build(profile: str, root: str | Path) -> Path:
    """Render the book of `profile` with warnings as errors, and check its pages.

    When neither the staged sources nor the package nor the renderers changed since the last good
    build, nothing is rendered.

    Parameters
    ----------
    profile, root
        As in :func:`embreg.book.stage`.

    Returns
    -------
    Path
        The first page, ``index.html``.

    Raises
    ------
    BookError
        From staging; a warning or error of the renderer; a fault in a page (see
        :func:`embreg.pages.check_pages`).

    Examples
    --------
    >>> build("offline", "no/such/folder")
    Traceback (most recent call last):
    ...
    embreg.book.BookError: no _config.yml in no/such/folder: give the folder of the repository
    """
    from embreg.pages import check_pages

    source = stage(profile, root)
    output = source.parent
    html = output / "_build" / "html"
    first, record = html / "index.html", output / "book.json"
    key = _key(source)
    made = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    if made.get("key") == key and all((html / page).is_file() for page in made["pages"]):
        return first
    # An incremental build repeats no warning of a page it does not read again: after a build that
    # did not end well, or one by another renderer, everything is read.
    fresh = [] if made.get("renderers") == _renderers() else ["--all"]
    record.unlink(missing_ok=True)
    # The command line by its function: the package cannot be run with -m, and its script may not be on PATH.
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(source)]
    command += ["--path-output", str(output), "-W", "-n", "--keep-going", *fresh]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")
    if done.returncode:
        raise BookError(f"the book of profile {profile!r} was not rendered:\n{_complaints(done)}")
    problems = check_pages(html)
    if problems:
        listed = "\n".join(f"  {p}" for p in problems)
        raise BookError(f"the book of profile {profile!r} has {len(problems)} faults:\n{listed}")
    pages = sorted(p.relative_to(html).as_posix() for p in html.rglob("*.html"))
    with atomic_path(record) as tmp:
        text = json.dumps({"key": key, "pages": pages, "renderers": _renderers()}, indent=1)
        tmp.write_text(text, encoding="utf-8")
    return first


def _sources(profile: str, root: Path) -> dict[str, Path | bytes]:
    """Every file of the staged tree: its name and where it comes from, or its content."""
    files: dict[str, Path | bytes] = {"_config.yml": root / "_config.yml", "index.md": root / "index.md"}
    for path in sorted((root / "book").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            files[path.relative_to(root).as_posix()] = path
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    runs = _runs(profile, root)
    problems: list[str] = []
    for entry in list(_entries(toc)):
        name = Path(entry["file"]).stem
        if not entry["file"].startswith("notebooks/"):
            continue
        if name not in runs:
            files[f"notebooks/{name}.ipynb"] = committed = root / "notebooks" / f"{name}.ipynb"
            problems += faults_of(committed, "")
            continue
        titles: dict[str, str] = {}
        for i, run in enumerate(runs[name]):
            folder = root / "runs" / profile / run
            notebook = folder / "notebook.ipynb"
            if faults := faults_of(notebook, profile):
                problems += faults
                continue
            title = title_of(notebook)
            if title in titles:
                problems.append(f"{run}: its title, {title!r}, is also the one of {titles[title]}")
            titles[title] = run
            page = run if i else name  # prose quotes the chapter by the notebook's name
            if i:
                entry.setdefault("sections", []).append({"file": f"notebooks/{page}"})
            files[f"notebooks/{page}.ipynb"] = notebook
            if (folder / "records.parquet").is_file():
                files[f"notebooks/records/{page}.parquet"] = folder / "records.parquet"
    problems += add_records(files, root, toc)
    if problems:
        raise BookError("the book cannot be made:\n" + "\n".join(f"  {p}" for p in problems))
    files |= _verdicts(profile, root)
    files["_toc.yml"] = yaml.safe_dump(toc, sort_keys=False, allow_unicode=True).encode()
    add_crate(files, profile, root)
    return files


def _verdicts(profile: str, root: Path) -> dict[str, bytes]:
    """Files of the scoreboard; a claim whose record is missing, or older than its code, stops the build."""
    from embreg.claims import CLAIMS, ClaimError, RecordError, as_files

    if not (root / CLAIMS).is_file():
        return {}
    try:
        return as_files(profile, root)
    except (ClaimError, RecordError) as error:
        raise BookError(
            f"the book cannot be made, as verdicts on claims cannot be computed:\n{error}"
        ) from error


def _entries(toc: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every entry of a table of contents that names a file."""
    if "file" in toc:
        yield toc
    for kind in ("parts", "chapters", "sections", "subtrees", "entries"):
        for child in toc.get(kind) or []:
            yield from _entries(child)


def _runs(profile: str, root: Path) -> dict[str, list[str]]:
    """Runs of each notebook: the chapter, the profile's further ones, then those made by hand."""
    out: dict[str, list[str]] = {}
    for spec in load_profile(profile, root):
        out.setdefault(spec.notebook, []).append(spec.name)
    for path in sorted((root / "runs" / profile).glob("*--*")):
        known = out.get(path.name.partition("--")[0], [])
        if known and path.name not in known and path.suffix != ".failed" and (path / "run.json").is_file():
            known.append(path.name)
    return out


def _write(path: Path, content: Path | bytes) -> None:
    """Write `content` unless it is already there: an untouched file keeps its time, which Sphinx reads."""
    data = content if isinstance(content, bytes) else content.read_bytes()
    if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
        return
    with atomic_path(path) as tmp:
        tmp.write_bytes(data)


def _renderers() -> dict[str, str]:
    out = {"python": platform.python_version()}
    for name in _RENDERERS:
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            raise BookError(f"{name} is not installed: pip install 'embreg[book]'") from None
    return out


def _key(source: Path) -> str:
    """Digest of everything the pages are made from: sources, docstrings, renderers."""
    package = Path(__file__).parent
    trees = {"source": (source, source.rglob("*")), "package": (package, package.glob("*.py"))}
    content = {
        f"{tree}/{path.relative_to(base).as_posix()}": sha256_file(path)
        for tree, (base, paths) in trees.items()
        for path in paths
        if path.is_file() and "__pycache__" not in path.parts
    }
    return digest({"content": content, "renderers": _renderers()})


def _complaints(done: subprocess.CompletedProcess[str]) -> str:
    """The lines of a failed rendering that say why, or its last lines."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", f"{done.stdout}\n{done.stderr}").splitlines()
    kept: list[str] = []
    for before, line in zip(["", *lines], lines, strict=False):
        if re.search(r"WARNING|ERROR|[a-z]Error\b", line) or (kept[-1:] == [before] and before.endswith(":")):
            kept.append(line)
    return "\n".join(kept or lines[-30:])
