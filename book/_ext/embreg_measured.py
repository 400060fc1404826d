"""Figures of the benchmarks come from the files they wrote: the role and the directive ``measured``.

``{measured}`embedding/ratio_default``` shows the text of a fact of ``book/results/embedding.json``, and a
directive ``{measured-table} embedding/ratios`` one of its tables. A page depends on the files it quotes. A
name that is not there is a warning, and the book is built with warnings as errors.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

logger = logging.getLogger(__name__)

FOLDER = "book/results"


def look_up(srcdir: Path, target: str, kind: str) -> Any:
    """Entry ``FILE/NAME`` of the facts or of the tables.

    Raises
    ------
    KeyError
        With a message that says what is missing.
    """
    file, _, name = target.partition("/")
    path = srcdir / FOLDER / f"{file}.json"
    if not path.is_file():
        raise KeyError(f"{target!r}: there is no {FOLDER}/{file}.json")
    known = json.loads(path.read_text(encoding="utf-8")).get(kind, {})
    if name not in known:
        raise KeyError(
            f"{target!r} is not in {FOLDER}/{file}.json, whose {kind} are: {', '.join(sorted(known))}"
        )
    return known[name]


class MeasuredRole(SphinxRole):
    """``{measured}`FILE/NAME```."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        target = self.text.strip()
        self.env.note_dependency(f"{FOLDER}/{target.partition('/')[0]}.json")
        try:
            text = str(look_up(Path(self.env.srcdir), target, "facts")["text"])
        except KeyError as error:
            logger.warning(error.args[0], location=self.get_location(), type="embreg", subtype="measured")
            missing = nodes.inline(self.rawtext, f"[{target}: not measured]", classes=["embreg-fact-missing"])
            return [missing], []
        return [nodes.inline(self.rawtext, text, classes=["embreg-fact"])], []


class MeasuredTable(SphinxDirective):
    """``{measured-table} FILE/NAME``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        target = self.arguments[0].strip()
        self.env.note_dependency(f"{FOLDER}/{target.partition('/')[0]}.json")
        try:
            table = look_up(Path(self.env.srcdir), target, "tables")
        except KeyError as error:
            logger.warning(error.args[0], location=self.get_location(), type="embreg", subtype="measured")
            return [nodes.paragraph("", f"[{target}: not measured]", classes=["embreg-fact-missing"])]
        widths = [max(len(r[j]) for r in [table["head"], *table["rows"]]) for j in range(len(table["head"]))]
        group = nodes.tgroup("", *(nodes.colspec(colwidth=w) for w in widths), cols=len(widths))
        group += nodes.thead("", _row(table["head"]))
        group += nodes.tbody("", *(_row(row) for row in table["rows"]))
        return [nodes.table("", group, classes=["embreg-measured"])]


def _row(cells: list[str]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", nodes.Text(c))) for c in cells))


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_role("measured", MeasuredRole())
    app.add_directive("measured-table", MeasuredTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
