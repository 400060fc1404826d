"""Representation: a way to turn rows into vectors, by a language model, without one, or by a control."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

__all__ = ["TRADITIONAL", "Representation"]

_NOTATIONS = {"e": "scientific", "d": "digits"}
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
    style, decimals, notation, names, missing : as for `serialize`
    pooling, layer, stage, weights, dtype, overflow, max_tokens : as for `TextEmbedder`
    weights_seed : int
        The `seed` of `TextEmbedder`: which random weights.
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
    >>> Representation.of("all-MiniLM-L6-v2:json:2e").notation
    'scientific'
    >>> Representation("bag", control="bag", width=512).model is None
    True
    """

    label: str
    model: str | None = None
    style: Literal["json", "pairs", "values"] = "json"
    decimals: int = 4
    notation: Literal["decimal", "scientific", "digits", "shortest"] = "decimal"
    names: bool | Literal["numbered"] = True
    missing: Literal["null", "omit"] = "null"
    pooling: str = "mean"
    layer: int = -1
    stage: Literal["forward", "vocab"] = "forward"
    weights: Literal["pretrained", "random"] = "pretrained"
    weights_seed: int = 0
    dtype: Literal["auto", "float32", "bfloat16", "int8"] = "auto"
    overflow: Literal["error", "truncate"] = "error"
    max_tokens: int | None = None
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
        plain = (self.notation, self.names, self.missing) == ("decimal", True, "null")
        if level == "strings" and not plain:
            raise ValueError(
                f"control {self.control!r} writes names, decimals and null, however: {self.label!r} has "
                f"notation {self.notation!r}, names {self.names!r} and missing {self.missing!r}"
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
        """From ``model``, ``model:style`` or ``model:style:numbers``, as notebooks write it.

        ``numbers`` is a count of decimals, alone or followed by ``e`` (scientific) or ``d`` (digits apart),
        or ``s`` for the shortest text that keeps every bit.

        Raises
        ------
        ValueError
            No model, an unknown style, numbers written in no such way, or more parts than three.
        """
        # The name of a service has colons of its own.
        service = re.fullmatch(r"(service:.+?)((?::(?:json|pairs|values)(?::[^:/]+)?)?)", text)
        parts = [service[1], *service[2].split(":")[1:]] if service else text.split(":")
        numbers = re.fullmatch(r"(\d+)([ed]?)|s", parts[2]) if len(parts) > 2 else None
        good = parts[0] and parts[1:2] in ([], *([s] for s in _STYLES))
        if not good or len(parts) > 3 or (len(parts) == 3 and numbers is None):
            raise ValueError(
                f"a representation is written model[:style[:numbers]] with style one of {_STYLES} and "
                f"numbers such as 2, 2e (scientific), 2d (digits apart) or s (shortest), however: "
                f"got {text!r}"
            )
        if len(parts) > 1:
            settings["style"] = parts[1]
        if numbers is not None:
            settings["notation"] = _NOTATIONS.get(numbers[2] or "", "decimal") if numbers[1] else "shortest"
        if numbers is not None and numbers[1]:
            settings["decimals"] = int(numbers[1])
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
        return serialize(
            rows, style=self.style, decimals=self.decimals, notation=self.notation, names=self.names,
            missing=self.missing,
        )  # fmt: skip

    def embedder(self) -> Any:
        """The `TextEmbedder` of this representation."""
        from embreg.embedder import TextEmbedder

        if self.model is None:
            raise ValueError(f"{self.label} has no language model")
        return TextEmbedder(
            self.model, pooling=self.pooling, layer=self.layer, stage=self.stage, weights=self.weights,
            dtype=self.dtype, overflow=self.overflow, max_tokens=self.max_tokens, seed=self.weights_seed,
        )  # fmt: skip


TRADITIONAL = Representation("φ_trad")
"""Numbers scaled, categories one-hot, no language model."""
