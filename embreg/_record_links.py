"""A small link below every figure and table of an executed notebook, to the record of the run that made it.

They are added to the copy that the book renders. What a run wrote, and what is committed, stays as it is.
"""

from __future__ import annotations

import copy
import html
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["PAGE", "anchor", "commit_text", "is_shown", "linked"]

PAGE = "book/records"
"""Page of the records, as the table of contents names it."""
_RULE = re.compile(
    r"^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)+\|?\s*$", re.MULTILINE
)  # below a Markdown table's head


def anchor(run: str) -> str:
    """Name of a run's place on the page of records; another page may link to it as ``#run-…``.

    Examples
    --------
    >>> anchor("02_dimension_scaling--minilm")
    'run-02-dimension-scaling-minilm'
    """
    return "run-" + re.sub(r"[^a-z0-9]+", "-", run.lower()).strip("-")


def commit_text(commit: str | None, digits: int = 12) -> str:
    """How a commit is shown.

    Examples
    --------
    >>> commit_text("0123456789abcdef+changes", 7), commit_text(None)
    ('0123456 with changes', 'unknown')
    """
    if not commit:
        return "unknown"
    name, changed, _ = commit.partition("+")
    return name[:digits] + (" with changes" if changed else "")


def is_shown(output: Mapping[str, Any]) -> bool:
    """Whether an output of a cell is a figure or a table.

    Parameters
    ----------
    output : mapping
        As in a notebook's file. Counted are figures of `embreg.records.Run.figure`, images, and tables in
        HTML or Markdown.

    Examples
    --------
    >>> is_shown({"output_type": "display_data", "data": {"text/html": ["<table>", "</table>"]}})
    True
    >>> is_shown({"output_type": "stream", "text": "<table>"})
    False
    """
    data = output.get("data") or {}
    if any(kind.startswith("image/") for kind in data):
        return True
    page, text = ("".join(data.get(kind, "")) for kind in ("text/html", "text/markdown"))
    return bool(re.search(r"<(table|img|svg)\b|embreg-figure", page)) or bool(_RULE.search(text))


def linked(notebook: Mapping[str, Any], made: Mapping[str, Any], here: str) -> dict[str, Any] | None:
    """Copy of a notebook with a link to its record below each figure and table.

    Parameters
    ----------
    notebook : mapping
        Content of an ``.ipynb`` file.
    made : mapping
        The run, as in ``run.json``.
    here : str
        Where the page stands in the book, such as ``notebooks/02_x``.

    Returns
    -------
    dict or None
        None where the notebook shows neither figure nor table.

    Examples
    --------
    >>> table = {"output_type": "display_data", "data": {"text/html": "<table></table>"}}
    >>> cells = [{"cell_type": "code", "outputs": [table]}]
    >>> made = {"run": "02_x", "profile": "smoke", "commit": None}
    >>> new = linked({"cells": cells}, made, "notebooks/02_x")
    >>> new["cells"][0]["outputs"][1]["data"]["text/plain"]
    'record: 02_x · profile smoke · commit unknown'
    """
    commit = commit_text(made.get("commit"), 7)
    text = f"record: {made['run']} · profile {made.get('profile')} · commit {commit}"
    address = "../" * here.count("/") + f"{PAGE}.html#{anchor(made['run'])}"
    line = f'<p class="embreg-record"><a href="{address}">{html.escape(text)}</a></p>'
    # The plain text is for a renderer that takes no HTML, such as the one of the PDF.
    link = {"output_type": "display_data", "metadata": {}, "data": {"text/html": line, "text/plain": text}}
    new: dict[str, Any] = copy.deepcopy(dict(notebook))
    found = 0
    for cell in new["cells"]:
        if cell["cell_type"] != "code":
            continue
        outputs: list[dict[str, Any]] = []
        for output in cell["outputs"]:
            outputs.append(output)
            if is_shown(output):
                outputs.append(copy.deepcopy(link))
                found += 1
        cell["outputs"] = outputs
    return new if found else None
