"""Pages that every reader can use: roles and headers that assistive technology understands, and less weight.

- An empty header cell, as pandas writes above an index, becomes an ordinary cell.
- References are items of their list; docutils gives them a role that the standard has withdrawn.
- A page without a formula does not load MathJax, the largest file of the book.
- ``access.js`` mends what the theme's own parts lack.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

_EMPTY_HEADER = re.compile(r"<th((?:\s[^>]*)?)>(?:\s|<p></p>)*</th>")


def mend(body: str) -> str:
    """Page content with the roles and cells that it should have."""
    body = _EMPTY_HEADER.sub(r"<td\1></td>", body)
    return body.replace('role="doc-biblioentry"', 'role="listitem"')


def mend_page(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Mend the content of a page, and take MathJax from one that has no formula."""
    if not context.get("body"):
        return
    context["body"] = mend(context["body"])
    if 'class="math' not in context["body"]:
        scripts = context["script_files"]
        scripts[:] = [script for script in scripts if not _of_mathjax(script)]


def _of_mathjax(script: Any) -> bool:
    name, body = str(getattr(script, "filename", "") or ""), getattr(script, "attributes", {}).get("body")
    return "mathjax" in name.lower() or str(body or "").startswith("window.MathJax")


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_js_file("access.js")
    # After MathJax was added (priority 500).
    app.connect("html-page-context", mend_page, priority=800)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
