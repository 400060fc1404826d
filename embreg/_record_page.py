"""The page of records: of every run of a book what made it, its files, and how to make it again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from embreg._files import sha256_file
from embreg._provenance import column_values
from embreg._record_links import PAGE, anchor, commit_text, linked
from embreg._rerun import command_of

__all__ = ["LIMIT", "add_records"]

LIMIT = 5_000_000
"""Bytes of the largest file that the book offers; what is larger is named with its SHA-256."""


def add_records(files: dict[str, Path | bytes], root: Path, toc: Mapping[str, Any]) -> list[str]:
    """Complete the sources of a book by records: links in its notebooks, their page, files to download.

    Parameters
    ----------
    files : dict
        Sources by name, changed in place: notebooks that show a figure or a table, the page of records
        (its text is kept, the runs are added to it), and files of the runs.
    root : Path
        Folder of the project.
    toc : mapping
        Table of contents. A book that does not list ``book/records`` gets no records.

    Returns
    -------
    list of str
        Faults, one line each: a run without ``run.json``, a file that is missing or was changed after the
        run, an SVG without its PNG twin.
    """
    if PAGE not in _listed(toc):
        return []
    faults: list[str] = []
    sections: list[str] = []
    names: list[str] = []
    chapters = [name for name in files if re.fullmatch(r"notebooks/[^/]+\.ipynb", name)]
    for name in chapters:
        path = files[name]
        assert isinstance(path, Path)
        notebook = json.loads(path.read_text(encoding="utf-8"))
        page = PurePosixPath(name).with_suffix("").as_posix()
        made = dict(notebook["metadata"].get("embreg") or {})
        if not made:
            continue  # a notebook that shows something has a record: see embreg._chapters.faults_of
        folder = path.parent if path.name == "notebook.ipynb" else None
        offered: list[str] = []
        if folder is not None:
            if not (folder / "run.json").is_file():
                faults.append(f"{folder.name}: it has no run.json, so nothing tells what made it")
                continue
            made |= json.loads((folder / "run.json").read_text(encoding="utf-8"))
            faults += _file_faults(made, folder)
            offered = list(_files(made, folder, page, files))
        made.setdefault("run", PurePosixPath(page).name)
        made.setdefault("notebook", made["run"].partition("--")[0])
        if (new := linked(notebook, made, page)) is not None:
            files[name] = (json.dumps(new, indent=1, ensure_ascii=False) + "\n").encode()
        names.append(made["run"])
        sections.append(_section(made, page, offered, folder, root))
    intro = files.get(f"{PAGE}.md", b"# Records of the runs\n")
    text = intro.read_text(encoding="utf-8") if isinstance(intro, Path) else intro.decode()
    index = "\n".join(f"- [`{name}`](#{anchor(name)})" for name in names)
    files[f"{PAGE}.md"] = "\n\n".join([text.rstrip(), index, *sections]).rstrip().encode() + b"\n"
    return faults


def _listed(toc: Any) -> Iterator[str]:
    """Every file that a table of contents names."""
    if isinstance(toc, dict):
        if "file" in toc:
            yield str(toc["file"])
        toc = list(toc.values())
    if isinstance(toc, list):
        for part in toc:
            yield from _listed(part)


def _file_faults(made: Mapping[str, Any], folder: Path) -> list[str]:
    found = []
    for name, checksum in (made.get("files") or {}).items():
        if not (folder / name).is_file():
            found.append(f"{folder.name}: {name} is missing")
        elif sha256_file(folder / name) != checksum:
            found.append(f"{folder.name}: {name} was changed after the run")
        elif name.endswith(".svg") and not (folder / name).with_suffix(".png").is_file():
            found.append(f"{folder.name}: {name} has no PNG twin; save figures with Run.figure")
    again = f"run `embreg run {folder.name.partition('--')[0]} --profile {made.get('profile')} --force`"
    return [f"{fault}; {again}" for fault in found]


def _files(made: Mapping[str, Any], folder: Path, page: str, files: dict[str, Path | bytes]) -> Iterator[str]:
    """A line for each file of a run; those that the book offers are added to `files`."""
    known = made.get("files") or {}
    for name in ["run.json", *(n for n in known if n != "notebook.ipynb")]:
        path = folder / name
        if not path.is_file():
            continue
        size = path.stat().st_size
        checksum = f", SHA-256 `{known[name]}`" if name in known else ""
        # The chapter offers the records already: one copy serves both.
        records = f"notebooks/records/{PurePosixPath(page).name}.parquet"
        place = records if name == "records.parquet" else f"{PAGE}/{made.get('run', folder.name)}/{name}"
        if size > LIMIT:
            yield f"- `{name}`, {_size(size)}, too large for the book{checksum}"
            continue
        files.setdefault(place, path)
        yield f"- {{download}}`{name} </{place}>`, {_size(size)}{checksum}"


def _section(made: Mapping[str, Any], page: str, offered: list[str], folder: Path | None, root: Path) -> str:
    run, fence = made["run"], "```"
    lines = [f"({anchor(run)})=", f"## `{run}`", "", f"Chapter: [](/{page}.ipynb)", ""]
    lines += [f"{fence}sh", command_of({"profile": "smoke", "parameters": {}, **made}, root), fence, ""]
    lines += [f"- {label}: {text}" for label, text in _facts(made, folder) if text]
    if made.get("parameters"):
        lines += _folded("Parameters", [f"{fence}yaml", *map(_yaml, made["parameters"].items()), fence])
    if made.get("versions"):
        lines += _folded("Versions", [f"- {_plain(k)} {_plain(v)}" for k, v in made["versions"].items()])
    if offered:
        lines += _folded(f"Files ({len(offered)})", offered)
    return "\n".join(lines)


def _facts(made: Mapping[str, Any], folder: Path | None) -> Iterator[tuple[str, str]]:
    commit = str(made.get("commit") or "")
    name, changed, _ = commit.partition("+")
    state = "with changes that no commit holds" if changed else "nothing changed"
    yield "Profile", _plain(made.get("profile"))
    yield "Commit", f"`{name}`, {state}" if commit else commit_text(None)
    seeds = made.get("seeds")
    if seeds is None and folder is not None:  # a record of before there was this entry
        seeds = column_values(folder, "seed")
    yield "Seeds", _plain(", ".join(map(str, seeds or [])))
    if "models" in made:
        for model, of in made["models"].items():
            yield "Model", _model(model, of)
    elif folder is not None:
        for model in column_values(folder, "model"):
            yield "Model", f"`{model}`; its digest was not recorded yet"
    machine = {k: v for k, v in (made.get("machine") or {}).items()}
    counts = [f"{machine.pop(k)} {k}" for k in ("cores", "threads") if k in machine]
    yield "Machine", _plain(", ".join([*map(str, machine.values()), *counts]))
    yield "Started", _plain(made.get("started"))
    yield "Took", _duration(made.get("seconds"))
    yield "Run", f"`{made['digest']}`" if made.get("digest") else ""


def _model(name: str, of: Mapping[str, str] | None) -> str:
    if of is None:
        return f"`{name}`, which was not on the machine: no digest"
    weights, tokenizer = of["weights_digest"], of["tokenizer_digest"]
    return f"`{name}` of `{of['revision']}`, weights `{weights}`, tokenizer `{tokenizer}`"


def _folded(title: str, lines: list[str]) -> list[str]:
    return ["", f":::{{admonition}} {title}", ":class: dropdown embreg-details", "", *lines, ":::"]


def _duration(seconds: Any) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(float(seconds)), 60)
    return f"{minutes} min {rest} s" if minutes else f"{float(seconds):.1f} s"


def _yaml(entry: tuple[str, Any]) -> str:
    # Long lists of numbers are read along a line.
    flow = None if isinstance(entry[1], list | dict) else False
    text: str = yaml.safe_dump(dict([entry]), allow_unicode=True, default_flow_style=flow, width=80)
    return text.rstrip()


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} kB"


def _plain(value: Any) -> str:
    """Text that Markdown shows as it is."""
    return "" if value is None else re.sub(r"([\\`*_{}\[\]<>#$|~^])", r"\\\1", str(value))
