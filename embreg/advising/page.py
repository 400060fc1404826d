"""One self-contained page from an executed notebook: no script, and nothing that is fetched."""

from __future__ import annotations

import html
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from embreg.advising.tables import capital

if TYPE_CHECKING:
    from embreg.advice import Advice

__all__ = ["MARK", "page_of"]

MARK = '<meta name="generator" content="embreg advise'
"""What tells a report from any other page."""

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_VERDICTS = {"yes": "Yes", "no": "No", "undecided": "Undecided", "nothing": "Nothing to predict"}


def page_of(notebook: Any, advice: Advice) -> str:
    """HTML of a report.

    Cells tagged ``book-only`` are left out, and so is all code; what the page says first comes from the
    advice. The page's own policy forbids scripts and requests, whatever a cell of the data may hold.

    Parameters
    ----------
    notebook : NotebookNode
        Executed.
    advice : Advice

    Returns
    -------
    str
    """
    from embreg import __version__

    body, contents = _with_contents(_body(notebook))
    body, contents = body + _made(advice), [*contents, ("how-this-was-made", "How this was made")]
    links = "".join(f'<li><a href="#{place}">{name}</a></li>' for place, name in contents)
    source, target = html.escape(advice.source), html.escape(advice.target)
    style = files("embreg.advising").joinpath("page.css").read_text(encoding="utf-8")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{MARK} {html.escape(__version__)}">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{source}: will embeddings help to predict {target}?</title>
<style>
{style}</style>
</head>
<body>
<a class="skip" href="#main">To the findings</a>
<header>
<p class="over">Will embeddings beat boosted trees here?</p>
<h1>{source}</h1>
<p class="about">Predicting <b>{target}</b> {_about(advice)}</p>
<p class="verdict {advice.verdict}">{_VERDICTS[advice.verdict]}</p>
<p class="answer">{html.escape(_rest(advice.answer))}</p>
<p class="advised">Advised: <b>{html.escape(advice.best)}</b></p>
</header>
<div class="columns">
<nav aria-label="Contents"><p>Contents</p><ol>{links}</ol></nav>
<main id="main">
{body}
</main>
</div>
</body>
</html>
"""


def _about(advice: Advice) -> str:
    folds = len(advice.records.drop_duplicates(["repeat", "fold"]))
    return (
        f"from {len(advice.kinds)} columns: {advice.n_rows:,} rows, {len(advice.scoreboard)} candidates, "
        f"{folds} folds, {html.escape(', '.join(advice.models))}"
    )


def _rest(answer: str) -> str:
    """Answer without the word that stands above it."""
    word, colon, rest = answer.partition(": ")
    return capital(rest) if colon and word in _VERDICTS.values() else answer


def _body(notebook: Any) -> str:
    """Text and outputs of the cells, as nbconvert renders them."""
    import nbformat
    from nbconvert import HTMLExporter

    cells = []
    for cell in notebook.cells:
        if "book-only" in cell.metadata.get("tags", ()) or cell.get("id") == "title":
            continue
        cell = nbformat.from_dict(cell)
        if cell.cell_type == "code":
            # What was printed is told again in the tables; a warning is not, and stays.
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stdout"]
            if not cell.outputs:
                continue
        cells.append(cell)
    shown = nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata)
    exporter = HTMLExporter(
        template_name="basic", exclude_input=True, exclude_output_prompt=True, exclude_anchor_links=True
    )
    body, _ = exporter.from_notebook_node(shown)
    return str(body)


def _with_contents(body: str) -> tuple[str, list[tuple[str, str]]]:
    """Sections with places to jump to, and tables that scroll by themselves."""
    contents: list[tuple[str, str]] = []

    def heading(found: re.Match[str]) -> str:
        name = re.sub(r"<[^>]+>", "", found[1]).strip()
        place = re.sub(r"[^a-z0-9]+", "-", html.unescape(name).lower()).strip("-")
        contents.append((place, name))
        return f'<h2 id="{place}">{name}</h2>'

    body = re.sub(r"<h2[^>]*>(.*?)</h2>", heading, body, flags=re.S)
    opened = '<div class="scroll" role="group" aria-label="Table" tabindex="0"><table'
    return body.replace("<table", opened).replace("</table>", "</table></div>"), contents


def _made(advice: Advice) -> str:
    """What it was made by, what it holds of the data, and where that went."""
    from embreg.services.address import is_service

    def told(facts: Any) -> str:
        words = {k: " ".join(map(str, v)) if isinstance(v, list) else v for k, v in (facts or {}).items()}
        return ", ".join(f"{k} {v}" for k, v in words.items() if v)

    made = advice.provenance
    facts = {
        "Time": f"{advice.seconds:,.0f} s, of a budget of {advice.budget_s:,.0f} s",
        "Settings": ", ".join(f"{k}={v!r}" for k, v in advice.settings.items() if v not in (None, [], {})),
        "Versions": told(made.get("versions")),
        "Commit": made.get("commit"),
        "Machine": told(made.get("machine")),
        "Weights": told(made.get("models")),
    }
    rows = "".join(
        f"<dt>{name}</dt><dd>{html.escape(str(value))}</dd>" for name, value in facts.items() if value
    )
    services = [m for m in advice.models if is_service(m)]
    went = "Nothing of it was sent anywhere."
    if services:
        went = f"Rows were sent to {html.escape(', '.join(services))}."
    return f"""<h2 id="how-this-was-made">How this was made</h2>
<dl>{rows}</dl>
<p><b>What this file holds of your data:</b> names of columns with one example value each, the
few rows that were missed by most, and true values as points in a figure. {went} The folder
<code>advice</code> beside it holds the prediction of every row and the fitted model, which keeps what it
learned: names of categories, words, and for some heads the features of training rows.</p>
"""
