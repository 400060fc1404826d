"""The keyboard: Tab comes to everything that a pointer can use, shows where it is, and Escape closes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embreg.browsing.faults import Fault, listed

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["keyboard"]

_MENUS = "[data-bs-toggle=dropdown], [aria-haspopup=true], [aria-haspopup=menu], [aria-haspopup=dialog]"


def keyboard(page: Page, name: str) -> list[Fault]:
    """Walk through a page with the Tab key, then open and close its menus.

    Parameters
    ----------
    page : Page
        With the scripts of `embreg.browsing.chromium` in it.
    name : str
        What the page is called in a fault.

    Returns
    -------
    list of Fault
        Controls that Tab does not come to; focus that cannot be seen; menus that Escape does not close.
    """
    expected = page.evaluate("() => embregPage.expectControls()")
    for _ in range(2 * expected + 20):
        page.keyboard.press("Tab")
        if page.evaluate("() => embregPage.focused()"):
            break
    seen = page.evaluate("() => embregPage.keyboard()")
    found = listed(
        name,
        [tuple(pair) for pair in seen["missed"]],
        "the Tab key does not come to",
        "use a link or a button, without a negative tabindex, outside of what traps the focus",
    )
    found += listed(
        name,
        [tuple(pair) for pair in seen["unseen"]],
        "focus cannot be seen on",
        "give it an outline on :focus-visible, and let it be scrolled into view",
    )
    return found + _menus(page, name)


def _menus(page: Page, name: str) -> list[Fault]:
    stubborn = []
    for menu in page.locator(_MENUS).all():
        if not menu.is_visible():
            continue
        menu.focus()
        page.keyboard.press("Enter")
        opened = menu.get_attribute("aria-expanded") == "true"
        page.keyboard.press("Escape")
        if opened and menu.get_attribute("aria-expanded") == "true":
            stubborn += menu.evaluate("el => embregPage.named([el])")
            menu.evaluate("el => el.click()")
    pairs = [(selector, words) for selector, words in stubborn]
    return listed(name, pairs, "Escape does not close the menu of", "close it when the key Escape is pressed")
