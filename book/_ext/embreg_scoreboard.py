"""The scoreboard of claims: the directive ``scoreboard``, from the ``claims.json`` that staging wrote.

``{scoreboard}`` shows one row for each claim of ``book/claims.yml``: what the paper says, the number that was
computed here with its interval, the verdict, and links to the chapter and to the record of the run.
``:first: 5`` shows so many. The table can be sorted by its heads (``_static/sortable.js``); without scripts
it is a plain table.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from embreg._record_links import anchor

logger = logging.getLogger(__name__)

SOURCE = "claims.json"
HEADS = ("Claim", "The paper", "Here", "Verdict", "Check")
VERDICTS = {"reproduced": "✓", "not reproduced": "✗", "undecided": "?", "not testable in this profile": "–"}
RECORDS = "book/records"


class Scoreboard(SphinxDirective):
    """``{scoreboard}``, of all claims or of the first few."""

    option_spec = {"first": directives.positive_int}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        path = Path(self.env.srcdir) / SOURCE
        self.env.note_dependency(str(path))
        if not path.is_file():
            logger.warning(
                "no %s: `embreg book` writes it from book/claims.yml and the records of a profile", SOURCE,
                location=self.get_location(), type="embreg", subtype="claims",
            )  # fmt: skip
            return [nodes.paragraph("", "[no verdicts]", classes=["embreg-fact-missing"])]
        rows = json.loads(path.read_text(encoding="utf-8"))
        counts = Counter(row["verdict"] for row in rows)
        told = ", ".join(f"{counts[v]} {v}" for v in VERDICTS if counts[v])
        shown = rows[: self.options.get("first", len(rows))]
        summary = nodes.paragraph("", "", nodes.strong("", f"{len(rows)} claims"), nodes.Text(f": {told}."))
        return [summary, self._table(shown)]

    def _table(self, rows: list[dict[str, Any]]) -> nodes.table:
        group = nodes.tgroup(cols=len(HEADS))
        group += [nodes.colspec(colwidth=w) for w in (32, 22, 24, 12, 10)]
        head = nodes.row("", *(nodes.entry("", nodes.paragraph("", name)) for name in HEADS))
        group += nodes.thead("", head)
        group += nodes.tbody("", *(self._row(row) for row in rows))
        return nodes.table("", group, classes=["embreg-scoreboard", "embreg-sortable"])

    def _row(self, row: dict[str, Any]) -> nodes.row:
        verdict = row["verdict"]
        mark = nodes.inline("", f"{VERDICTS.get(verdict, '')} {verdict}", classes=["embreg-verdict"])
        beside = [_paragraph(ours)] if (ours := interval(row)) else []
        if row.get("why"):
            beside.append(_paragraph(row["why"], "embreg-why"))
        if row.get("caveat"):
            beside.append(_paragraph(row["caveat"], "embreg-why"))
        paper = f"{row['paper_says']} ({row['where']}) [{row['evidence']}]"
        links = [self._link(f"notebooks/{row['chapter']}", "chapter")]
        if row.get("run"):
            links += [self._record(run) for run in row["run"].split(", ")]
        cells: list[list[nodes.Node]] = [
            [_paragraph(row["claim"])], [_paragraph(paper)], beside, [nodes.paragraph("", "", mark)],
            [nodes.paragraph("", "", *[part for link in links for part in (link, nodes.Text(" "))])],
        ]  # fmt: skip
        return nodes.row("", *(nodes.entry("", *cell) for cell in cells), ids=[f"claim-{row['id']}"])

    def _link(self, page: str, text: str) -> nodes.Node:
        about = {"refdoc": self.env.docname, "refdomain": "std", "reftype": "doc", "refexplicit": True}
        return addnodes.pending_xref("", nodes.inline("", text), reftarget=f"/{page}", refwarn=True, **about)

    def _record(self, run: str) -> nodes.Node:
        page = self.env.app.builder.get_relative_uri(self.env.docname, RECORDS)
        return nodes.reference("", "record", refuri=f"{page}#{anchor(run)}", internal=True)


def interval(row: dict[str, Any]) -> str:
    """The number with its interval; empty where none was computed."""
    if row.get("value") is None:
        return ""
    ends = "" if row.get("low") is None else f" [{row['low']:z.2f}, {row['high']:z.2f}]"
    limit = f"; claimed {row['limit']}" if row.get("limit") else ""
    return f"{row['value']:z.2f}{ends}{limit}"


def _paragraph(text: str, *classes: str) -> nodes.paragraph:
    return nodes.paragraph("", text, classes=list(classes))


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("scoreboard", Scoreboard)
    app.add_js_file("sortable.js", loading_method="defer")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
