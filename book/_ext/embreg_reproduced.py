"""The page on reproducibility: machines that tried it, tolerances, and what the reference was made on.

``{reproduced-machines}`` is a table of ``book/results/reproduced/*.json``, which ``embreg reproduce --json``
writes; ``{reproduced-rules}`` one of the tolerances as the package states them; ``{reproduced-reference}``
one of the committed tables of reference. Where there is no file yet, the page says so.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

RESULTS = Path("book", "results")


def machine_text(machine: dict[str, Any]) -> str:
    threads = machine.get("threads")
    used = f", {threads} threads" if threads and threads != machine["cores"] else ""
    return f"{machine['processor']}, {machine['platform']}, {machine['cores']} cores{used}"


def share(agreed: int, of: int) -> str:
    return f"{agreed:,} of {of:,}"


def largest_text(record: dict[str, Any]) -> str:
    d = record["largest"]
    if d is None:
        return "none: what is on both sides is equal to the last digit kept"
    if d["reference"] is None or d["found"] is None:
        told = "a number on one side alone"
    else:
        told = f"{abs(d['found'] - d['reference']):.2g}, allowed {d['allowed']:.2g}"
    return f"{told} ({d['run']}, {d['what']})"


def machines(folder: Path) -> tuple[list[str], list[list[str]]]:
    """Head and rows: one row a file, by profile and date."""
    head = ["profile", "machine", "date", "numbers that agree", "figures that agree", "executed again",
            "largest deviation"]  # fmt: skip
    records = [json.loads(p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*.json"))]
    records.sort(key=lambda r: (r["profile"], r["date"]))
    rows = [
        [r["profile"], machine_text(r["machine"]), r["date"], share(r["agreed"], r["of"]),
         share(r["drawn_agreed"], r["drawn"]),
         f"{share(r['repeated'], len(r['runs']))} runs", largest_text(r)]
        for r in records
    ]  # fmt: skip
    return head, rows


def references(folder: Path) -> tuple[list[str], list[list[str]]]:
    """Head and rows: what each committed table holds and where it was made."""
    from embreg.reproducing.comparing import figures

    head = ["profile", "runs", "numbers", "figures", "made on", "from", "size"]
    rows = []
    for path in sorted(folder.glob("*.json")):
        table = json.loads(path.read_text(encoding="utf-8"))
        runs = list(table["runs"].values())
        on = sorted({machine_text(r["machine"]) for r in runs})
        days = sorted({r["started"][:10] for r in runs})
        count = sum(len(figures(r)) for r in runs)
        drawn = sum(len(r["drawn"]) for r in runs)
        since = days[0] if days[:1] == days[-1:] else f"{days[0]} to {days[-1]}" if days else "—"
        size = f"{path.stat().st_size / 1000:,.0f} kB"
        rows.append(
            [table["profile"], f"{len(runs)}", f"{count:,}", f"{drawn:,}", "; ".join(on), since, size]
        )
    return head, rows


def rules(_: Path) -> tuple[list[str], list[list[str]]]:
    from embreg.reproducing.rules import RULES

    return ["what", "may differ by", "why"], [list(rule) for rule in RULES]


class _Table(SphinxDirective):
    """A table of what `make` gives for a folder of results, or a sentence where that is nothing."""

    folder = ""
    empty = ""

    def run(self) -> list[nodes.Node]:
        folder = Path(self.env.srcdir) / RESULTS / self.folder
        # The folder, too: a file that is added must be seen.
        for path in (folder, *sorted(folder.glob("*.json"))):
            if path.exists():
                self.env.note_dependency(str(path.relative_to(self.env.srcdir)))
        head, rows = self.make(folder)
        if not rows:
            return [nodes.paragraph("", self.empty)]
        widths = [max(len(r[j]) for r in [head, *rows]) for j in range(len(head))]
        group = nodes.tgroup("", *(nodes.colspec(colwidth=w) for w in widths), cols=len(widths))
        group += nodes.thead("", _row(head))
        group += nodes.tbody("", *(_row(row) for row in rows))
        return [nodes.table("", group, classes=["embreg-measured"])]

    def make(self, folder: Path) -> tuple[list[str], list[list[str]]]:
        raise NotImplementedError


class Machines(_Table):
    folder, empty = "reproduced", "No machine has been compared with the reference yet."

    def make(self, folder: Path) -> tuple[list[str], list[list[str]]]:
        return machines(folder)


class References(_Table):
    folder, empty = "reference", "No table of reference is committed yet."

    def make(self, folder: Path) -> tuple[list[str], list[list[str]]]:
        return references(folder)


class Rules(_Table):
    def make(self, folder: Path) -> tuple[list[str], list[list[str]]]:
        return rules(folder)


def _row(cells: list[str]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", nodes.Text(c))) for c in cells))


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("reproduced-machines", Machines)
    app.add_directive("reproduced-reference", References)
    app.add_directive("reproduced-rules", Rules)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
