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

__all__ = ["Run"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_]*$")


class Run:
    """One execution of a notebook.

    The runner names the folder by ``EMBREG_RUN_DIR``; a notebook opened by hand writes below
    ``home()/interactive``.

    Parameters
    ----------
    name : str
        The notebook's name without its ending.

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
        self.name = name
        self.folder = Path(given) if given else home() / "interactive" / name
        self._facts: dict[str, dict[str, Any]] = {}

    def save(self, records: pd.DataFrame, name: str = "records") -> None:
        """Write a tidy table as Parquet and say what it holds.

        Parameters
        ----------
        records : DataFrame
            One row per result.
        name : str
            File name without its ending.
        """
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

        Raises
        ------
        ValueError
            `alt` is empty.
        """
        import matplotlib.pyplot as plt
        from IPython.display import HTML

        if not alt.strip():
            raise ValueError(f"figure {name!r} needs a text alternative, however: alt is empty")
        images = {}
        for kind in ("svg", "png"):
            buffer = io.BytesIO()
            # A date or a creator would make two equal runs differ.
            metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
            fig.savefig(buffer, format=kind, metadata=metadata, bbox_inches="tight", dpi=150)
            images[kind] = buffer.getvalue()
            with atomic_path(self.folder / "figures" / f"{_checked(name)}.{kind}") as tmp:
                tmp.write_bytes(images[kind])
        plt.close(fig)
        source = base64.b64encode(images["svg"]).decode()
        text = html.escape(alt, quote=True)
        return HTML(
            f'<figure class="embreg-figure"><img alt="{text}" src="data:image/svg+xml;base64,{source}"/>'
            f"<figcaption>{text}</figcaption></figure>"
        )

    def fact(
        self, name: str, value: Any, low: float | None = None, high: float | None = None, *, text: str | None = None
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

        Raises
        ------
        ValueError
            A bad name, or a number that is not finite.
        """
        if hasattr(value, "low"):
            value, low, high = value.value, value.low, value.high
        if isinstance(value, np.generic):
            value = value.item()
        numbers = [v for v in (value, low, high) if isinstance(v, float | int)]
        if not all(math.isfinite(v) for v in numbers):
            raise ValueError(f"a fact must be finite, however: {name}={value} [{low}, {high}]")
        if text is None:
            shown = f"{value:.2f}" if isinstance(value, float) else str(value)
            text = shown if low is None or high is None else f"{shown} [{low:.2f}, {high:.2f}]"
        fact: dict[str, Any] = {"value": value, "text": text}
        if low is not None and high is not None:
            fact |= {"low": float(low), "high": float(high)}
        self._facts[_checked(name)] = fact
        with atomic_path(self.folder / "facts.json") as tmp:
            tmp.write_text(json.dumps(self._facts, indent=1, ensure_ascii=False), encoding="utf-8")
        return text


def _checked(name: str) -> str:
    if not _NAME.match(name):
        raise ValueError(f"a name has lower case letters, digits and underscores, however: got {name!r}")
    return name
