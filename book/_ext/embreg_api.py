"""The API page: tables of named models and ladders, and names of fitted attributes as they are written."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_ATTRIBUTES = re.compile(r"^(\s*:(?:ivar|vartype) )(\w+(?:, \w+)*):")


class ModelTable(SphinxDirective):
    """``.. embreg-models::``, one row per named model."""

    def run(self) -> list[nodes.Node]:
        from embreg import _hub_table, _model_table, _specs, ladders, models

        for module in (models, _specs, _model_table, _hub_table, ladders):
            if module.__file__:
                self.env.note_dependency(module.__file__)
        head = ["name", "source", "parameters", "layers", "width", "tokens", "licence", "ladders"]
        rows = []
        for spec in models.MODELS.values():
            sources = [spec.hub] if spec.hub else []
            sources += [spec.package.requirement] if spec.package else []
            limit = "no limit" if spec.context is None else str(spec.context)
            size = f"{spec.parameters / 1e6:,.1f} M"
            on = ", ".join(ladder.name for ladder in ladders.ladders_of(spec.name))
            shape = [size, str(spec.layers), str(spec.dim), limit]
            rows.append([spec.name, ", ".join(sources), *shape, spec.licence, on])
        return [_table(head, rows, code=2)]


class LadderTable(SphinxDirective):
    """``.. embreg-ladders::``, one row per family of models, with what it holds fixed."""

    def run(self) -> list[nodes.Node]:
        from embreg import ladders, models

        if ladders.__file__:
            self.env.note_dependency(ladders.__file__)
        rows = []
        for ladder in ladders.LADDERS.values():
            sizes = [models.MODELS[ladder.models[i]].parameters / 1e6 for i in (0, -1)]
            span = f"{sizes[0]:,.1f} M to {sizes[1]:,.1f} M"
            rows.append(
                [ladder.name, str(len(ladder.models)), span, ladder.axis, ladder.reachable, ladder.sentence]
            )
        return [_table(["ladder", "models", "parameters", "compares", "from", "recipe"], rows, code=1)]


def _table(head: list[str], rows: list[list[str]], code: int) -> nodes.table:
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in head), cols=len(head))
    group += nodes.thead("", _row(head))
    group += nodes.tbody("", *(_row(row, code=code) for row in rows))
    return nodes.table("", group)


def _row(cells: list[str], code: int = 0) -> nodes.row:
    entries = []
    for i, text in enumerate(cells):
        shown: list[nodes.Node] = [nodes.Text(text)]
        if i < code:
            parts = text.split(", ")
            shown = [node for part in parts for node in (nodes.literal(part, part), nodes.Text(" "))]
        entries.append(nodes.entry("", nodes.paragraph("", "", *shown)))
    return nodes.row("", *entries)


def keep_names(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep names of attributes as written.

    In a field of reStructuredText, ``dim_`` would be read as a link and the first of ``rows, distinct``
    as a type.
    """

    def kept(match: re.Match[str]) -> str:
        names = [re.sub("_$", r"\\_", each) for each in match[2].split(", ")]
        return f"{match[1]}{','.join(names)}:"

    lines[:] = [_ATTRIBUTES.sub(kept, line) for line in lines]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("embreg-models", ModelTable)
    app.add_directive("embreg-ladders", LadderTable)
    # After napoleon (priority 500) has made fields of the sections.
    app.connect("autodoc-process-docstring", keep_names, priority=600)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
