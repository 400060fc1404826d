"""What a book has beyond its pages: a search that finds, a sidebar on a phone, two colour schemes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embreg.browsing.faults import Fault

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["SOUGHT", "scheme_differs", "search", "sidebar"]

SOUGHT = "Lipschitz"
"""A word of the paper that the book must be found by."""

_DIALOG = "#pst-search-dialog"
_SIDEBAR = "#pst-primary-sidebar-modal"
_BUTTON = ".primary-toggle"
_CLOSE = f"{_SIDEBAR} .embreg-close"
_SOON = 15_000  # milliseconds


def search(page: Page, name: str, word: str = SOUGHT) -> list[Fault]:
    """Open the search by the keyboard, close it, open it again and look for a word.

    Parameters
    ----------
    page : Page
        Showing any page of a book; ends on the page of results.
    name : str
        What the page is called in a fault.
    word : str
        What to look for.

    Returns
    -------
    list of Fault
        The search does not open, close, or find.
    """
    from playwright.sync_api import TimeoutError as Late

    found = []
    page.keyboard.press("Control+k")
    field = page.locator(f"{_DIALOG}[open] input[name=q]")
    try:
        field.wait_for(timeout=_SOON)
    except Late:
        return [Fault(name, f"Ctrl+K opens no search ({_DIALOG})", "see whether the theme's scripts ran")]
    page.keyboard.press("Escape")
    if page.locator(f"{_DIALOG}[open]").count():
        found.append(Fault(name, f"Escape does not close the search ({_DIALOG})", "use <dialog>", _DIALOG))
    else:
        page.keyboard.press("Control+k")
    field.wait_for(timeout=_SOON)
    if not field.evaluate("el => el === document.activeElement"):
        found.append(
            Fault(name, "the opened search has not the focus", "focus its field", f"{_DIALOG} input")
        )
    field.fill(word)
    field.press("Enter")
    try:
        page.wait_for_url("**/search.html?*", timeout=_SOON)
        page.locator("#search-results ul.search > li a").first.wait_for(timeout=_SOON)
    except Late:
        mend = "see whether searchindex.js is there and whether the word is still written in the book"
        found.append(Fault("search.html", f"the search for {word!r} finds nothing", mend, "#search-results"))
    return found


def sidebar(page: Page, name: str) -> list[Fault]:
    """Open and close the sidebar at the width of a phone, by keys and by pointer, and follow a link.

    Parameters
    ----------
    page : Page
        Showing a page of a book at the width of a phone; ends on another page.
    name : str
        What the page is called in a fault.

    Returns
    -------
    list of Fault
        It does not open, or not close, or leads nowhere.
    """
    button, dialog = page.locator(_BUTTON).first, page.locator(f"{_SIDEBAR}[open]")
    if not button.count() or not button.is_visible():
        return [Fault(name, f"no button opens the sidebar on a phone ({_BUTTON})", "show one at 390 px")]

    def fault(what: str, mend: str) -> Fault:
        return Fault(name, f"{what} on a phone ({_SIDEBAR})", mend, _BUTTON)

    found = []
    button.focus()
    page.keyboard.press("Enter")
    if not dialog.count():
        return [fault("Enter on its button does not open the sidebar", "see whether the theme's scripts ran")]
    page.keyboard.press("Escape")
    if dialog.count():
        found.append(fault("Escape does not close the sidebar", "use <dialog>, or listen to the key"))
        page.locator(_SIDEBAR).evaluate("el => el.close()")
    button.click()
    closing = page.locator(_CLOSE)
    if not closing.count() or not closing.is_visible():
        mend = "a button .embreg-close in the sidebar, put there by access.js"
        return [*found, fault("no button closes the sidebar", mend)]
    closing.click()
    if dialog.count():
        found.append(fault("its button does not close the sidebar", "call close() of the dialog"))
    else:
        button.click()
    links = page.locator(f"{_SIDEBAR} nav a[href]:not([href^='#'])")
    if not links.count() or not links.first.is_visible():
        return [*found, fault("the open sidebar shows no links", "see the table of contents")]
    # The last one: a long list must scroll.
    target = links.last.evaluate("el => el.href")
    links.last.click()
    page.wait_for_load_state()
    if page.url.partition("#")[0] != target.partition("#")[0]:
        found.append(fault(f"a link of the sidebar does not lead to {target}", "see what lies over it"))
    return found


def scheme_differs(page: Page, name: str) -> list[Fault]:
    """See that the page follows the system's colour scheme; leaves it in the dark one.

    Parameters
    ----------
    page : Page
        Showing a page in the light scheme.
    name : str
        What the page is called in a fault.

    Returns
    -------
    list of Fault
        Empty when the ground gets another colour.
    """
    ground = "() => getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark")
    page.evaluate("() => embregPage.settled()")
    dark = page.evaluate(ground)
    if light != dark:
        return []
    mend = "style html[data-theme=dark], or use @media (prefers-color-scheme: dark)"
    return [Fault(name, f"the dark colour scheme changes nothing: the ground stays {light}", mend, "body")]
