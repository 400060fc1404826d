"""Screenshots of faulty pages: where they go and how they are taken."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from embreg.browsing.faults import Fault

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["Shots", "faults_folder"]


def faults_folder(html_dir: str | Path) -> Path:
    """Where screenshots of faulty pages go: beside the rendered pages.

    Examples
    --------
    >>> faults_folder("_build/smoke/_build/html").as_posix()
    '_build/smoke/faults'
    >>> faults_folder("site").as_posix()
    'site-faults'
    """
    html = Path(html_dir)
    if html.parent.name == "_build":
        return html.parent.parent / "faults"
    return html.with_name(f"{html.name}-faults")


class Shots:
    """Pictures of faulty pages, the faulty elements framed; those of an earlier check are removed.

    Parameters
    ----------
    folder : Path
        Made when there is something to keep.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[Path] = []
        for old in folder.glob("*.png") if folder.is_dir() else ():
            old.unlink()
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def take(self, page: Page, kind: str, faults: Iterable[Fault]) -> None:
        """Keep what the page shows now, when there are faults.

        Parameters
        ----------
        page : Page
            Showing what is at fault.
        kind : str
            The check that found it, for the file's name.
        faults : iterable of Fault
            What was found; nothing is kept when there is none.
        """
        faults = list(faults)
        if not faults:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        page.evaluate("s => window.embregPage?.mark(s)", [f.element for f in faults if f.element])
        name = f"{faults[0].page.removesuffix('.html').replace('/', '-')}--{kind}.png"
        page.screenshot(path=self.folder / name)
        page.evaluate("() => window.embregPage?.unmark()")
        self.made.append(self.folder / name)
