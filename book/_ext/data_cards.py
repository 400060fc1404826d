"""Data cards of the families of measured tasks: the directive ``data-card``.

``{data-card} compiler`` shows the card that came with the package: what ran, versions, tasks, search spaces
and flaws; without an argument the cards of all families. A page depends on the cards it shows. A card that is
not there is a warning, and the book is built with warnings as errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)

HEAD = ("task", "what runs", "y", "unit", "best", "rows", "parameters", "in use", "noise", "range of y")
WHEN = ("parameter", "kind", "values", "active where")


class DataCard(SphinxDirective):
    """``{data-card} FAMILY``, or of all families."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        from embreg.families import card, families, family_folder

        folder = self.config.embreg_data_folder
        wanted = [self.arguments[0].strip()] if self.arguments else list(families())
        out: list[nodes.Node] = []
        for name in wanted:
            try:
                self.env.note_dependency(str(family_folder(name, folder).joinpath("card.json")))
                out += render(card(name, folder))
            except (ValueError, OSError) as error:
                logger.warning(str(error), location=self.get_location(), type="embreg", subtype="card")
                out.append(nodes.paragraph("", f"[{name}: no data card]", classes=["embreg-fact-missing"]))
        return out


def render(card: dict[str, Any]) -> list[nodes.Node]:
    tasks: dict[str, dict[str, Any]] = card["tasks"]
    count = sum(task["n"] for task in tasks.values())
    fields = [
        _field("Stands for", card["stands_for"]),
        _field("What ran", card["what_ran"]),
        _field("Versions", _pairs(card["versions"])),
        _field("Machine", ", ".join(map(str, card["machine"].values()))),
        _field("Noise", card["noise"]),
        _field("Measured again", _tolerance(card["tolerance"])),
        _field("Licence", card["licence"]),
    ]
    for name, task in tasks.items():
        for key, label in (("versions", "Versions"), ("machine", "Machine")):
            if key in task:
                fields.append(_field(f"{label} of {name}", _pairs(task[key])))
    flaws = nodes.bullet_list("", *(nodes.list_item("", _paragraph(flaw)) for flaw in card["flaws"]))
    rows = [_task(name, task) for name, task in tasks.items()]
    title = f"{card['name']}: {card['title']} ({len(tasks)} tasks, {count:,} rows)"
    return [
        nodes.rubric("", title, classes=["embreg-card"]),
        nodes.field_list("", *fields),
        _table(HEAD, rows, code=1),
        *([_paragraph("Known flaws:"), flaws] if card["flaws"] else []),
        *_spaces(tasks),
    ]


def _task(name: str, task: dict[str, Any]) -> list[str]:
    ratio, used, y = task["noise"]["ratio"], task["effective"].get("n"), task["y"]
    return [
        name, task["about"], task["target"], task["unit"], task["direction"], f"{task['n']:,}",
        str(task["nominal"]), "not known" if used is None else str(used),
        "not known" if ratio is None else f"{ratio:.2g}", f"{y['min']:.4g} … {y['max']:.4g}",
    ]  # fmt: skip


def _tolerance(share: float) -> str:
    if share == 0:
        return "equal to the last bit, with the same versions"
    return f"within {share:g} standard deviations of y"


def _spaces(tasks: dict[str, dict[str, Any]]) -> list[nodes.Node]:
    """Search spaces, each once, folded away; tasks that share one are named together."""
    shared: list[tuple[list[str], list[dict[str, Any]]]] = []
    for name, task in tasks.items():
        for names, space in shared:
            if space == task["space"]:
                names.append(name)
                break
        else:
            shared.append(([name], task["space"]))
    out: list[nodes.Node] = []
    for names, space in shared:
        of = "all tasks" if len(names) == len(tasks) > 1 else ", ".join(names)
        rows = [[p["name"], p["kind"], _values(p), _when(p.get("when", {}))] for p in space]
        box = nodes.admonition("", nodes.title("", f"Search space of {of}"), _table(WHEN, rows, code=1))
        box["classes"] += ["dropdown"]
        out.append(box)
    return out


def _values(p: dict[str, Any]) -> str:
    if p["kind"] in ("real", "integer"):
        return f"{p['low']:g} … {p['high']:g}" + (", logarithmic" if p["log"] else "")
    return ", ".join(p["choices"]) if p["kind"] == "category" else "true, false"


def _when(when: dict[str, list[Any]]) -> str:
    return "; ".join(f"{parent} is {' or '.join(map(_word, values))}" for parent, values in when.items())


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _pairs(named: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in named.items())


def _paragraph(text: str) -> nodes.paragraph:
    return nodes.paragraph("", "", nodes.Text(text))


def _field(name: str, text: str) -> nodes.field:
    return nodes.field("", nodes.field_name("", name), nodes.field_body("", _paragraph(text)))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], code: int = 0) -> nodes.table:
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in head), cols=len(head))
    group += nodes.thead("", _row(head))
    group += nodes.tbody("", *(_row(row, code) for row in rows))
    return nodes.table("", group, classes=["embreg-measured"])


def _row(cells: Sequence[str], code: int = 0) -> nodes.row:
    """One row; its first `code` cells are names that somebody may type."""
    shown = [nodes.literal(cell, cell) if i < code else nodes.Text(cell) for i, cell in enumerate(cells)]
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", node)) for node in shown))


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("embreg_data_folder", None, "env", types=(str, type(None)))
    app.add_directive("data-card", DataCard)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
