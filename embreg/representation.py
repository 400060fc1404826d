"""Representation: a way to turn rows into vectors, by a language model, without one, or by a control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

__all__ = ["TRADITIONAL", "Representation"]

_STYLES = ("json", "pairs", "values")


@dataclass(frozen=True)
class Representation:
    """A way to turn rows into vectors; ``model=None`` is φ_trad.

    Parameters
    ----------
    label : str
        Name in records and figures.
    model : str or None
        As for `TextEmbedder`.
    style, decimals : str, int
        As for `serialize`.
    pooling, layer, stage, weights, dtype : as for `TextEmbedder`
    control : str
        One of `controls.CONTROLS`, or ``"concat"`` for φ_trad and φ_LLM side by side; empty for none.
    width : int or None
        Features of a control that has a width of its own; others refuse it.

    Raises
    ------
    ValueError
        An unknown control, one that needs a model and has none (or has one and takes none), or a width
        where there is none to choose.

    Examples
    --------
    >>> Representation.of("flan-t5-small-titles").style
    'json'
    >>> Representation.of("all-MiniLM-L6-v2:values:2").decimals
    2
    >>> Representation("bag", control="bag", width=512).model is None
    True
    """

    label: str
    model: str | None = None
    style: Literal["json", "pairs", "values"] = "json"
    decimals: int = 4
    pooling: str = "mean"
    layer: int = -1
    stage: Literal["forward", "vocab"] = "forward"
    weights: Literal["pretrained", "random"] = "pretrained"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    control: str = ""
    width: int | None = None

    def __post_init__(self) -> None:
        if not self.control:
            if self.width is not None:
                raise ValueError(
                    f"width is for controls that have one, however: {self.label!r} has width {self.width} "
                    "and no control"
                )
            return
        from embreg.controls import CONTROLS

        known = ("concat", *CONTROLS)
        if self.control not in known:
            raise ValueError(f"control must be one of {known}, however: got {self.control!r}")
        level = CONTROLS[self.control].level if self.control in CONTROLS else ""
        needs_model = self.control == "concat" or level == "strings"
        if needs_model and self.model is None:
            raise ValueError(
                f"control {self.control!r} needs a language model, however: {self.label!r} has none"
            )
        if level == "traditional" and self.model is not None:
            raise ValueError(
                f"control {self.control!r} is made of φ_trad, however: {self.label!r} has model "
                f"{self.model!r}"
            )
        if self.width is not None and not (self.control in CONTROLS and CONTROLS[self.control].sized):
            raise ValueError(
                f"width is for controls that have one, however: {self.label!r} has width {self.width} and "
                f"control {self.control!r}"
            )

    @classmethod
    def of(cls, text: str, **settings: Any) -> Representation:
        """From ``model``, ``model:style`` or ``model:style:decimals``, as notebooks write it.

        Raises
        ------
        ValueError
            No model, an unknown style, decimals that are no number, or more parts than three.
        """
        parts = text.split(":")
        good = parts[0] and parts[1:2] in ([], *([s] for s in _STYLES))
        if not good or len(parts) > 3 or (len(parts) == 3 and not parts[2].isdecimal()):
            raise ValueError(
                f"a representation is written model[:style[:decimals]] with style one of {_STYLES}, "
                f"however: got {text!r}"
            )
        if len(parts) > 1:
            settings["style"] = parts[1]
        if len(parts) > 2:
            settings["decimals"] = int(parts[2])
        return cls(**{"label": parts[0], "model": parts[0], **settings})

    @property
    def level(self) -> str:
        """What the control acts on: ``rows, strings, features, traditional``; empty for none."""
        if self.control in ("", "concat"):
            return ""
        from embreg.controls import CONTROLS

        return str(CONTROLS[self.control].level)

    def strings(self, rows: pd.DataFrame | Any, random_state: int = 0) -> list[str]:
        """The strings that the model reads; `random_state` is that of a control of rows or strings."""
        from embreg.serialize import serialize

        if self.level == "strings":
            from embreg.controls import control_strings

            return control_strings(self.control, rows, self.style, self.decimals, random_state)
        return serialize(rows, style=self.style, decimals=self.decimals)

    def embedder(self) -> Any:
        """The `TextEmbedder` of this representation."""
        from embreg.embedder import TextEmbedder

        if self.model is None:
            raise ValueError(f"{self.label} has no language model")
        return TextEmbedder(
            self.model, pooling=self.pooling, layer=self.layer, stage=self.stage, weights=self.weights,
            dtype=self.dtype,
        )  # fmt: skip


TRADITIONAL = Representation("φ_trad")
"""Numbers scaled, categories one-hot, no language model."""
