"""What a notebook leaves behind: tidy records, figures with a text alternative, and named facts."""

from __future__ import annotations

import base64
import html
import io
import json
import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from embreg._files import atomic_path, home
from embreg.stats import Interval

__all__ = ["Run", "lists", "load", "slug"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")


class Run:
    """One execution of a notebook.

    The runner names the folder by ``EMBREG_RUN_DIR``; a notebook opened by hand writes below
    ``home()/interactive``.

    Parameters
    ----------
    name : str
        The notebook's name without its ending.

    Raises
    ------
    ValueError
        A name with anything but lower case letters, digits and underscores.

    Examples
    --------
    >>> import tempfile
    >>> os.environ["EMBREG_RUN_DIR"] = tempfile.mkdtemp()
    >>> run = Run("00_example")
    >>> run.fact("tau", 0.5, 0.4, 0.6)
    '0.50 [0.40, 0.60]'
    >>> del os.environ["EMBREG_RUN_DIR"]
    """

    def __init__(self, name: str) -> None:
        given = os.environ.get("EMBREG_RUN_DIR")
        self.name = _checked(name)
        self.folder = Path(given) if given else home() / "interactive" / name
        self._facts: dict[str, dict[str, Any]] = {}

    def save(self, records: pd.DataFrame, name: str = "records") -> None:
        """Write a tidy table as Parquet and say what it holds.

        The table called ``records`` also gets the columns ``commit`` (of the package's checkout; missing
        without one) and ``versions`` (JSON), so that a row says by itself what made it.

        Parameters
        ----------
        records : DataFrame
            One row per result.
        name : str
            File name without its ending.

        Raises
        ------
        ValueError
            A bad name, or an index with a name, which the file would not hold.
        """
        if named := [n for n in records.index.names if n is not None]:
            raise ValueError(f"the index is not saved, however: it has the name {named}; reset_index() first")
        if name == "records":
            from embreg._provenance import package_commit, versions

            records = records.assign(commit=package_commit(), versions=json.dumps(versions(), sort_keys=True))
        with atomic_path(self.folder / f"{_checked(name)}.parquet") as tmp:
            records.to_parquet(tmp, index=False)
        print(f"{name}.parquet: {len(records)} rows, {records.shape[1]} columns")

    def figure(self, fig: Any, name: str, alt: str) -> Any:
        """Save a figure as SVG and PNG, close it, and return it for display with its text alternative.

        Parameters
        ----------
        fig : matplotlib Figure
        name : str
            File name without its ending.
        alt : str
            What a reader who cannot see the figure should know: the finding, not the axes.

        Returns
        -------
        IPython.display.HTML

        Raises
        ------
        ValueError
            A bad name, or `alt` is empty.
        """
        import matplotlib as mpl
        import matplotlib.pyplot as plt
        from IPython.display import HTML

        _checked(name)
        if not alt.strip():
            raise ValueError(f"figure {name!r} needs a text alternative, however: alt is empty")
        images = {}
        for kind in ("svg", "png"):
            buffer = io.BytesIO()
            # A date, a creator or random ids would make two equal runs differ.
            metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
            with mpl.rc_context({"svg.hashsalt": "embreg"}):
                fig.savefig(buffer, format=kind, metadata=metadata, bbox_inches="tight", dpi=150)
            images[kind] = buffer.getvalue()
        for kind, image in images.items():
            with atomic_path(self.folder / "figures" / f"{name}.{kind}") as tmp:
                tmp.write_bytes(image)
        plt.close(fig)
        source = base64.b64encode(images["svg"]).decode()
        text = html.escape(alt, quote=True)
        return HTML(
            f'<figure class="embreg-figure"><img alt="{text}" src="data:image/svg+xml;base64,{source}"/>'
            f"<figcaption>{text}</figcaption></figure>"
        )

    def fact(
        self,
        name: str,
        value: Any,
        low: float | None = None,
        high: float | None = None,
        *,
        text: str | None = None,
    ) -> str:
        """Record a computed value under a name that prose can cite, and return its text.

        Parameters
        ----------
        name : str
            Lower case letters, digits and underscores.
        value : number or str
            An `Interval` gives its own ends.
        low, high : float, optional
            Ends of the interval.
        text : str, optional
            How prose shows it; by default two decimals with the interval.

        Returns
        -------
        str
            The text.

        Raises
        ------
        TypeError
            A value that is neither a number nor a string.
        ValueError
            A bad name, a number that is not finite, or one end of an interval without the other.
        """
        if isinstance(value, Interval):
            value, low, high = value
        value, low, high = (v.item() if isinstance(v, np.generic) else v for v in (value, low, high))
        if not isinstance(value, str | int | float):
            raise TypeError(f"a fact must be a number or a string, however: {name} is {type(value).__name__}")
        if (low is None) != (high is None) or (low is not None and isinstance(value, str)):
            raise ValueError(
                f"an interval has a number and two ends, however: {name} is {value!r} [{low}, {high}]"
            )
        if not all(math.isfinite(v) for v in (value, low, high) if isinstance(v, float | int)):
            raise ValueError(f"a fact must be finite, however: {name} is {value} [{low}, {high}]")
        shown = f"{value:z.2f}" if isinstance(value, float) else str(value)
        fact: dict[str, Any] = {"value": value, "text": shown if text is None else text}
        if low is not None and high is not None:
            if low > high:
                raise ValueError(f"an interval goes from low to high, however: {name} has [{low}, {high}]")
            fact |= {"low": float(low), "high": float(high)}
            fact["text"] = f"{shown} [{low:z.2f}, {high:z.2f}]" if text is None else text
        self._facts[_checked(name)] = fact
        with atomic_path(self.folder / "facts.json") as tmp:
            tmp.write_text(json.dumps(self._facts, indent=1, ensure_ascii=False), encoding="utf-8")
        return str(fact["text"])


def load(folder: str | Path) -> pd.DataFrame:
    """Every record of a folder of runs, one below the other.

    Parameters
    ----------
    folder : str or Path
        Such as ``runs/offline``, or the folder of one run.

    Returns
    -------
    DataFrame
        The columns of `experiment.compare`, and ``run``, the run's name. A column that some runs lack is
        missing in their rows.

    Raises
    ------
    FileNotFoundError
        No records there.

    Examples
    --------
    >>> import tempfile
    >>> top = Path(tempfile.mkdtemp())
    >>> (top / "02_x").mkdir()
    >>> pd.DataFrame({"task": ["Sphere"], "kendall_tau": [0.5]}).to_parquet(top / "02_x" / "records.parquet")
    >>> load(top).run.tolist()
    ['02_x']
    """
    found = sorted(Path(folder).rglob("records.parquet"))
    # What failed keeps its files for a look, beside what counts.
    found = [path for path in found if not path.parent.name.endswith(".failed")]
    if not found:
        raise FileNotFoundError(
            f"records are in runs/PROFILE once 'embreg run' made them, however: {folder} has none"
        )
    tables = [pd.read_parquet(path).assign(run=path.parent.name) for path in found]
    return pd.concat([table.dropna(axis=1, how="all") for table in tables], ignore_index=True)


def slug(text: str) -> str:
    """Name of a fact from any text.

    Examples
    --------
    >>> slug("google/t5-v1_1-xl")
    'google_t5_v1_1_xl'
    """
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def lists(*values: Any) -> list[list[Any]]:
    """Each value as a list: papermill's ``-p dofs '[5]'`` gives a notebook the text ``[5]``.

    Parameters
    ----------
    *values : list, tuple, str or number
        Text in brackets is read as YAML; anything else that is no list becomes a list of one.

    Raises
    ------
    ValueError
        Text in brackets that is no list.

    Examples
    --------
    >>> lists([1, 2], "[5, 10]", "Sphere", 0.1)
    [[1, 2], [5, 10], ['Sphere'], [0.1]]
    """
    import yaml

    out: list[list[Any]] = []
    for value in values:
        if isinstance(value, str) and value.lstrip().startswith("["):
            try:
                value = yaml.safe_load(value)
            except yaml.YAMLError:
                raise ValueError(f"a list is written [a, b], however: got {value!r}") from None
        out.append(list(value) if isinstance(value, list | tuple) else [value])
    return out


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"a name has lower case letters, digits and underscores, however: got {name!r}")
    return name
