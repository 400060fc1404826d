"""The report of an advice: its notebook executed, and one HTML file that needs nothing beside it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from embreg.advice import Advice

__all__ = ["NOTEBOOK", "ReportError", "check_place", "notebook_file", "write_report"]

NOTEBOOK = "16_your_data"
_PAGE, _CELLS, _BOARD, _ADVICE = "report.html", "report.ipynb", "scoreboard.csv", "advice"
_SCRATCH = ".report-"


class ReportError(RuntimeError):
    """The notebook of the report raised; the message names the cell."""


def notebook_file() -> Path:
    """The notebook: of the checkout, or the copy that an installed package has.

    Raises
    ------
    FileNotFoundError
        Neither is there.

    Examples
    --------
    >>> notebook_file().name
    '16_your_data.ipynb'
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package.parent / "notebooks", package / "notebooks"):
        if (found := folder / f"{NOTEBOOK}.ipynb").is_file():
            return found
    raise FileNotFoundError(
        f"a report is made from {NOTEBOOK}.ipynb, however: it is neither in the package nor beside it; "
        "install embreg again"
    )


def check_place(out: str | Path, *, overwrite: bool = False) -> None:
    """See that a report may be written there; nothing is written.

    Parameters
    ----------
    out : str or Path
        Folder of the report. A new one, an empty one, or one that holds a report.
    overwrite : bool
        Take a folder that holds other things too. They stay.

    Raises
    ------
    FileExistsError
        Something else is there.

    Examples
    --------
    >>> check_place(tempfile.mkdtemp())
    """
    out = Path(out)
    if not out.exists():
        return
    if not out.is_dir():
        raise FileExistsError(f"a report is a folder, however: {out} is a file; name another place")
    names = sorted(p.name for p in out.iterdir() if not p.name.startswith(_SCRATCH))
    foreign = [name for name in names if name not in (_PAGE, _CELLS, _BOARD, _ADVICE)]
    page, advice = out / _PAGE, out / _ADVICE
    if page.exists() and not _is_ours(page):
        foreign.append(_PAGE)
    if advice.exists() and not (advice / "advice.json").is_file():
        foreign.append(_ADVICE)
    if foreign and not overwrite and not _is_ours(page):
        raise FileExistsError(
            f"a report goes into a folder of its own, however: {out} holds {foreign[0]}, which is none of a "
            "report's; name another folder"
        )


def _is_ours(page: Path) -> bool:
    from embreg.advising.page import MARK

    return page.is_file() and MARK in page.read_text(encoding="utf-8", errors="replace")[:2000]


def write_report(
    advice: Advice, out: str | Path, *, table: pd.DataFrame | None = None, overwrite: bool = False
) -> Path:
    """Execute the notebook on an advice and write it as one page.

    Beside ``report.html`` the folder gets the advice (``advice``, with the fitted model), the executed
    notebook and the scoreboard as CSV. Of the data the page holds what it shows and nothing more: names of
    columns with an example each, the rows that were missed by most, and points in a figure.

    Parameters
    ----------
    advice : Advice
    out : str or Path
        Folder. A report that is there is replaced, file by file; other files are left alone.
    table : DataFrame, optional
        Rows that the advice is about, for the cells of those that were missed by most. Not needed where
        the advice was given on a file that is still there.
    overwrite : bool
        As for `check_place`.

    Returns
    -------
    Path
        ``out/report.html``.

    Raises
    ------
    FileExistsError
        Something else is there.
    ReportError
        The notebook raised. The advice is kept, and ``report.ipynb`` shows the error.
    """
    import nbformat

    from embreg._execute import execute_cells
    from embreg._provenance import cores
    from embreg.advising.page import page_of
    from embreg.profiles import RunSpec, defaults_of

    out, source = Path(out).resolve(), notebook_file()
    check_place(out, overwrite=overwrite)
    advice.save(out / _ADVICE)
    _put(out / _BOARD, advice.scoreboard.to_csv(index=False))
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=out) as scratch:
        data = _data(advice, table, Path(scratch))
        given = {"saved": str(out / _ADVICE), "data": data, "target": advice.target}
        spec = RunSpec(NOTEBOOK, NOTEBOOK, "report", {**defaults_of(source), **given})
        notebook, error = execute_cells(spec, source, Path(scratch), cores())
    _localise(notebook, advice)
    _put(out / _CELLS, nbformat.writes(notebook) + "\n")
    if error is not None:
        (out / _PAGE).unlink(missing_ok=True)  # of an earlier advice
        raise ReportError(
            f"the report stopped at {_failed_cell(notebook)}: {error}; the advice itself is in "
            f"{out / _ADVICE}, and {out / _CELLS} shows the error"
        )
    _put(out / _PAGE, page_of(notebook, advice))
    return out / _PAGE


def _put(path: Path, text: str) -> None:
    from embreg._files import atomic_path

    with atomic_path(path) as tmp:
        tmp.write_text(text, encoding="utf-8")


def _data(advice: Advice, table: pd.DataFrame | None, scratch: Path) -> str:
    """Where the notebook finds the rows; empty for nowhere."""
    from embreg.advising.views import as_frame

    if table is not None:
        # As text where cells are objects, so that any table can be written; gone when the report is made.
        frame = as_frame(table).copy()
        for name in (c for c in frame.columns if pd.api.types.is_object_dtype(frame[c])):
            frame[name] = frame[name].map(lambda v: None if v is None else str(v))
        frame.to_parquet(scratch / "table.parquet", index=False)
        return str(scratch / "table.parquet")
    path = advice.settings.get("path")
    return os.path.abspath(path) if path and Path(path).is_file() else ""


def _localise(notebook: Any, advice: Advice) -> None:
    """Let the parameters of the written notebook hold where it lies, beside the folder of the advice."""
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", ()):
            given = {"saved": _ADVICE, "data": advice.settings.get("path") or "", "target": advice.target}
            lines = (f"{name} = {value!r}" for name, value in given.items())
            cell.source = "\n".join(["# Parameters", *lines])


def _failed_cell(notebook: Any) -> str:
    for cell in notebook.cells:
        if any(o.output_type == "error" for o in cell.get("outputs", ())):
            first = next(iter(cell.source.strip().splitlines()), "")
            return f"cell {cell.get('id')!r} ({first[:80]})"
    return "no cell of its own"
