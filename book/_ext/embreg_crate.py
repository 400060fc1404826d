"""Put the metadata of the book into its pages: RO-Crate beside them, schema.org in the first one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from embreg._crate import METADATA, STAGED, first_page, placed


def staged(app: Sphinx) -> dict[str, Any] | None:
    """The crate as it was staged; None in a book without one, and in another form than pages."""
    path = Path(app.srcdir) / STAGED
    if app.builder.name != "html" or not path.is_file():
        return None
    return dict(json.loads(path.read_text(encoding="utf-8")))


def add_schema_org(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    if pagename != app.config.root_doc or (crate := staged(app)) is None:
        return
    # A browser ends the script at the first "</".
    text = json.dumps(first_page(crate), ensure_ascii=False).replace("<", "\\u003c")
    context["metatags"] = (
        context.get("metatags", "")
        + f'\n<link rel="describedby" type="application/ld+json" href="{METADATA}">'
        + f'\n<script type="application/ld+json">{text}</script>\n'
    )


def write_crate(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None or (crate := staged(app)) is None:
        return
    out = Path(app.outdir)
    offered = app.env.dlfiles

    def where(name: str) -> str | None:
        if name in offered:
            name = f"_downloads/{offered[name][1]}"
        return name if (out / name).is_file() else None

    text = json.dumps(placed(crate, where), indent=1, ensure_ascii=False)
    (out / METADATA).write_text(f"{text}\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", add_schema_org)
    app.connect("build-finished", write_crate)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
