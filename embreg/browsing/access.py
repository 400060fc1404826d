"""Accessibility of a page by the rules of axe-core: text alternatives, names, roles, contrast."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from embreg.browsing.faults import MOST, Fault

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["WAIVED", "accessibility"]

WAIVED: dict[str, str] = {}
"""Rules of axe-core that are not asked for, and why. Keep it short: mend the pages instead."""


def accessibility(page: Page, name: str, *, contrast_only: bool = False, where: str = "") -> list[Fault]:
    """Violations of the rules on the page as it is shown now.

    Contrast is looked at on one element of each look (colours, size, what lies behind), which finds the
    same as every element would, in a fraction of the time.

    Parameters
    ----------
    page : Page
        With the scripts of `embreg.browsing.chromium` in it.
    name : str
        What the page is called in a fault.
    contrast_only : bool
        Leave the other rules out: a second colour scheme changes none of them.
    where : str
        Said beside each fault: the colour scheme or the width.

    Returns
    -------
    list of Fault
        Some elements of each violated rule.
    """
    found: list[dict[str, Any]] = page.evaluate("off => embregPage.axeFaults(off, true)", [])
    if not contrast_only:
        found += page.evaluate("off => embregPage.axeFaults(off, false)", list(WAIVED))
    return [fault for violation in found for fault in _faults(name, violation, where)]


def _faults(name: str, violation: dict[str, Any], where: str) -> list[Fault]:
    out = []
    nodes = violation["nodes"]
    for i, node in enumerate(nodes[:MOST]):
        html = re.sub(r"\s+", " ", node["html"])[:120]
        what = f"{violation['help']} ({violation['id']}{', ' if where else ''}{where}): {node['at']} {html}"
        mend = "; ".join(line.strip() for line in (node["mend"] or "").splitlines()[1:] if line.strip())
        more = len(nodes) - MOST if i == MOST - 1 else 0
        out.append(Fault(name, what, mend or violation["help"], str(node["at"]), max(more, 0)))
    return out
