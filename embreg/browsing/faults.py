"""What a check of pages finds: where, what, at which element, and how it is mended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

__all__ = ["MOST", "Fault", "gathered", "listed"]

MOST = 5
"""Elements of a page that are named for one fault; the rest is counted."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong on one page.

    Parameters
    ----------
    page : str
        Its path below the folder of pages.
    what : str
        What is wrong, with the element in words.
    mend : str
        What to do about it.
    element : str
        CSS selector, for the screenshot; empty where no single element is at fault.
    more : int
        How many further elements have the same fault.

    Examples
    --------
    >>> print(Fault("index.html", "image does not load: a.png", "put the file in place"))
    index.html: image does not load: a.png. To mend: put the file in place
    """

    page: str
    what: str
    mend: str
    element: str = ""
    more: int = 0

    def __str__(self) -> str:
        more = f" (and {self.more} more like it)" if self.more else ""
        return f"{self.page}: {self.what.rstrip('.')}{more}. To mend: {self.mend}"


def listed(page: str, elements: list[tuple[str, str]], what: str, mend: str) -> list[Fault]:
    """One fault an element, for the first few of them.

    Parameters
    ----------
    page : str
        Path of the page.
    elements : list of (str, str)
        Selector and words of each element.
    what, mend : str
        What is wrong, without the element; what to do.

    Returns
    -------
    list of Fault
        No more than `MOST`; the last one counts the rest.

    Examples
    --------
    >>> [fault.more for fault in listed("a.html", [("p", "a paragraph")] * 8, "x", "y")]
    [0, 0, 0, 0, 3]
    """
    rest = max(len(elements) - MOST, 0)
    shown = elements[:MOST]
    return [
        Fault(page, f"{what}: {words}", mend, selector, rest if i == len(shown) - 1 else 0)
        for i, (selector, words) in enumerate(shown)
    ]


def gathered(faults: Iterable[Fault]) -> list[Fault]:
    """Say once what several pages share: a fault of the theme is on all of them.

    Parameters
    ----------
    faults : iterable of Fault
        In the order of the report.

    Returns
    -------
    list of Fault
        Each named by its first page and the number of the others.

    Examples
    --------
    >>> shared = [Fault("a.html", "x", "y"), Fault("b.html", "x", "y")]
    >>> for fault in gathered([*shared, Fault("a.html", "z", "y")]):
    ...     print(fault)
    a.html and 1 more page: x. To mend: y
    a.html: z. To mend: y
    """
    pages: dict[Fault, list[str]] = {}
    for fault in faults:
        pages.setdefault(replace(fault, page=""), []).append(fault.page)
    out = []
    for fault, names in pages.items():
        others = len(dict.fromkeys(names)) - 1
        named = f" and {others} more page{'s' if others > 1 else ''}" if others else ""
        out.append(replace(fault, page=f"{names[0]}{named}"))
    return out
