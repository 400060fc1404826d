"""Numbers in prose come from the runs: the role ``fact``, and a run record below each notebook.

``{fact}`02_dimension_scaling/headline``` shows the text of a fact that the notebook
``notebooks/02_dimension_scaling.ipynb`` saved with ``Run.fact``. A name that starts with ``@`` shows a
property of the run instead: ``@profile``, ``@commit``, ``@seconds``, ``@started``, ``@digest``.

A page depends on the notebooks it quotes, so it is read again when one of them changes. A fact that is
not there is a warning, and the book is built with warnings as errors.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole

logger = logging.getLogger(__name__)

FOLDER = "notebooks"
_cache: dict[Path, tuple[int, dict[str, Any]]] = {}


def run_metadata(path: Path) -> dict[str, Any]:
    """What the runner stored in a notebook, or an empty dict where nothing ran."""
    stamp = path.stat().st_mtime_ns
    if path not in _cache or _cache[path][0] != stamp:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        _cache[path] = (stamp, notebook.get("metadata", {}).get("embreg") or {})
    return _cache[path][1]


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def special(name: str, meta: dict[str, Any]) -> str | None:
    """Text of a property of the run; None where the run has none of that name."""
    if name == "commit" and meta.get("commit") is None and "profile" in meta:
        return "no commit"
    if name not in {"profile", "commit", "seconds", "started", "digest"} or meta.get(name) is None:
        return None
    if name == "seconds":
        return duration(float(meta["seconds"]))
    text = str(meta[name])
    if name == "commit":
        commit, changed, _ = text.partition("+")
        return f"{commit[:12]} with changes" if changed else commit[:12]
    return text[:12] if name == "digest" else text


def look_up(srcdir: Path, target: str) -> str:
    """Text of ``RUN/NAME``.

    Raises
    ------
    KeyError
        With a message that says what is missing and how to make it.
    """
    run, _, name = target.partition("/")
    path = srcdir / FOLDER / f"{run}.ipynb"
    if not name:
        raise KeyError(f"a fact is written RUN/NAME, however: got {target!r}")
    if not path.is_file():
        raise KeyError(f"fact {target!r}: there is no {FOLDER}/{run}.ipynb")
    meta = run_metadata(path)
    if name.startswith("@"):
        text = special(name[1:], meta)
    else:
        fact = (meta.get("facts") or {}).get(name)
        text = None if fact is None else str(fact["text"])
    if text is None:
        known = ", ".join(sorted(meta.get("facts") or {})) or "none"
        raise KeyError(f"fact {target!r} is not in {FOLDER}/{run}.ipynb, which has: {known}")
    return text


class FactRole(SphinxRole):
    """``{fact}`RUN/NAME```."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        target = self.text.strip()
        self.env.note_dependency(f"{FOLDER}/{target.partition('/')[0]}.ipynb")
        try:
            text = look_up(Path(self.env.srcdir), target)
        except KeyError as error:
            logger.warning(error.args[0], location=self.get_location(), type="embreg", subtype="fact")
            text = f"[{target}: no such fact]"
            return [nodes.inline(self.rawtext, text, classes=["embreg-fact-missing"])], []
        return [nodes.inline(self.rawtext, text, classes=["embreg-fact"])], []


def _field(name: str, *body: nodes.Node) -> nodes.field:
    paragraph = nodes.paragraph("", "", *body)
    return nodes.field("", nodes.field_name("", name), nodes.field_body("", paragraph))


def _parameters(parameters: dict[str, Any]) -> list[nodes.Node]:
    out: list[nodes.Node] = []
    for name, value in parameters.items():
        if out:
            out.append(nodes.Text(", "))
        text = f"{name} = {json.dumps(value, ensure_ascii=False)}"
        out.append(nodes.literal(text, text))
    return out


def add_run_record(app: Sphinx, doctree: nodes.document) -> None:
    """Say below a notebook what made it, and offer its records where the book has them."""
    docname = app.env.docname
    path = Path(app.srcdir) / f"{docname}.ipynb"
    if not docname.startswith(f"{FOLDER}/") or not path.is_file():
        return
    meta = run_metadata(path)
    sections = [node for node in doctree.children if isinstance(node, nodes.section)]
    if not meta or not sections:
        return
    fields = [
        _field(label, nodes.Text(text))
        for label, name in [
            ("Profile", "profile"),
            ("Started", "started"),
            ("Took", "seconds"),
            ("Commit", "commit"),
            ("Run", "digest"),
        ]
        if (text := special(name, meta)) is not None
    ]
    for label, name in [("Machine", "machine"), ("Versions", "versions")]:
        if value := meta.get(name):
            text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
            fields.append(_field(label, nodes.Text(text)))
    if meta.get("parameters"):
        fields.append(_field("Parameters", *_parameters(meta["parameters"])))
    records = f"{FOLDER}/records/{path.stem}.parquet"
    if (Path(app.srcdir) / records).is_file():
        where = {"refdoc": docname, "refdomain": "", "reftype": "download", "reftarget": f"/{records}"}
        label_node = nodes.literal("", f"{path.stem}.parquet")
        fields.append(
            _field("Records", addnodes.download_reference("", "", label_node, refexplicit=True, **where))
        )
    box = nodes.admonition("", nodes.title("", "Run record"), nodes.field_list("", *fields))
    box["classes"] += ["dropdown", "embreg-run"]
    sections[0] += box


def launch_committed(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Point launch buttons of a further run at its notebook: the repository has nothing else."""
    chapter, extra, _ = pagename.partition("--")
    if not extra:
        return
    for group in context.get("header_buttons", []):
        if group.get("label") == "launch-buttons":
            for button in group["buttons"]:
                button["url"] = button["url"].replace(pagename, chapter)


def drop_thebe(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Leave out the scripts that Jupyter Book adds for live code, which names a host and is not offered."""
    scripts = context.get("script_files", [])
    scripts[:] = [s for s in scripts if "thebe" not in f"{s}{getattr(s, 'attributes', '')}".lower()]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_role("fact", FactRole())
    # Before Sphinx collects the files to download (priority 500), or the link to the records is not one.
    app.connect("doctree-read", add_run_record, priority=400)
    app.connect("html-page-context", drop_thebe, priority=900)
    # After the theme has made its buttons (priority 501).
    app.connect("html-page-context", launch_committed, priority=510)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
