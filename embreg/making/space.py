"""Search spaces: named parameters of four kinds, some active only where another one says so."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

__all__ = ["Parameter", "Space", "category", "flag", "integer", "real"]

Value = float | int | bool | str | None


@dataclass(frozen=True)
class Parameter:
    """One parameter of a search space; made by `real`, `integer`, `category` or `flag`.

    Parameters
    ----------
    name : str
    kind : {"real", "integer", "category", "flag"}
    low, high : float
        Limits of a number, both included.
    log : bool
        Draw its logarithm uniformly.
    choices : tuple of str
        Of a category.
    when : mapping of str to tuple
        Active only where each named parameter, which stands before this one, has one of these values;
        elsewhere its value is None.

    Raises
    ------
    ValueError
        Limits out of order, a logarithm of what is not above 0, fewer than two choices.

    Examples
    --------
    >>> real("lr", 1e-5, 1e-1, log=True).kind
    'real'
    """

    name: str
    kind: Literal["real", "integer", "category", "flag"]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[str, ...] = ()
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind in ("real", "integer") and not (self.low < self.high and (self.low > 0 or not self.log)):
            raise ValueError(
                f"parameter {self.name!r}: low must be below high, and above 0 on a log scale, however: "
                f"got low={self.low}, high={self.high}, log={self.log}"
            )
        if self.kind == "category" and len(set(self.choices)) < 2:
            raise ValueError(
                f"parameter {self.name!r}: needs two choices or more, however: got {self.choices}"
            )

    def draw(self, rng: np.random.Generator) -> Value:
        """One value, uniform over the range or the choices; a real one keeps three significant digits."""
        if self.kind == "flag":
            return bool(rng.random() < 0.5)
        if self.kind == "category":
            return self.choices[int(rng.integers(len(self.choices)))]
        if self.kind == "integer" and not self.log:
            return int(rng.integers(int(self.low), int(self.high) + 1))
        # A logarithm of an integer covers half a unit more on both sides, so that the ends are as likely.
        pad = 0.5 if self.kind == "integer" else 0.0
        low, high = self.low - pad, self.high + pad
        value = math.exp(rng.uniform(math.log(low), math.log(high))) if self.log else rng.uniform(low, high)
        if self.kind == "integer":
            return int(min(max(round(value), self.low), self.high))
        return min(max(float(f"{value:.3g}"), self.low), self.high)


def real(name: str, low: float, high: float, *, log: bool = False, **when: tuple[Value, ...]) -> Parameter:
    """Return a real parameter; further keywords are its `when`.

    Examples
    --------
    >>> real("momentum", 0.0, 0.99, optimizer=("sgd",)).when
    {'optimizer': ('sgd',)}
    """
    return Parameter(name, "real", low, high, log, when=when)


def integer(name: str, low: int, high: int, *, log: bool = False, **when: tuple[Value, ...]) -> Parameter:
    """Return an integer parameter; further keywords are its `when`.

    Examples
    --------
    >>> integer("depth", 1, 9).high
    9
    """
    return Parameter(name, "integer", low, high, log, when=when)


def category(name: str, *choices: str, **when: tuple[Value, ...]) -> Parameter:
    """Return a parameter with named choices; keywords are its `when`.

    Examples
    --------
    >>> category("act", "relu", "tanh").choices
    ('relu', 'tanh')
    """
    return Parameter(name, "category", choices=choices, when=when)


def flag(name: str, **when: tuple[Value, ...]) -> Parameter:
    """Return a parameter that is on or off; keywords are its `when`.

    Examples
    --------
    >>> flag("bias").draw(np.random.default_rng(0)) in (True, False)
    True
    """
    return Parameter(name, "flag", when=when)


class Space:
    """An ordered set of parameters that rows are drawn from.

    Parameters
    ----------
    parameters : iterable of Parameter
        A parameter stands after those its `when` names.

    Raises
    ------
    ValueError
        A name used twice, or a `when` that names no earlier parameter or a value it cannot take.

    Examples
    --------
    >>> space = Space([category("model", "knn", "tree"), integer("depth", 1, 9, model=("tree",))])
    >>> rows = [space.sample(np.random.default_rng(seed)) for seed in (0, 1)]
    >>> frame = space.frame(rows)
    >>> frame.dtypes.astype(str).to_dict()
    {'model': 'str', 'depth': 'Int64'}
    """

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        self.parameters = tuple(parameters)
        known: dict[str, Parameter] = {}
        for parameter in self.parameters:
            if parameter.name in known:
                raise ValueError(f"two parameters are called {parameter.name!r}; rename one")
            for parent, values in parameter.when.items():
                if parent not in known:
                    raise ValueError(
                        f"parameter {parameter.name!r} depends on {parent!r}, which must stand before it"
                    )
                if odd := [v for v in values if not _possible(known[parent], v)]:
                    raise ValueError(
                        f"parameter {parameter.name!r} depends on {parent}={odd[0]!r}, a value that "
                        f"{parent!r} does not take"
                    )
            known[parameter.name] = parameter

    def __len__(self) -> int:
        return len(self.parameters)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order: the columns of a task."""
        return tuple(parameter.name for parameter in self.parameters)

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """Draw one row; inactive parameters are None, and take no random number."""
        row: dict[str, Value] = {}
        for parameter in self.parameters:
            active = all(row[parent] in values for parent, values in parameter.when.items())
            row[parameter.name] = parameter.draw(rng) if active else None
        return row

    def frame(self, rows: Iterable[Mapping[str, Value]]) -> pd.DataFrame:
        """Rows as a table whose columns have the type of their parameter: a gap changes no type."""
        kinds: dict[str, Any] = {"real": "float64", "integer": "Int64", "category": "str", "flag": "boolean"}
        table = list(rows)
        return pd.DataFrame(
            {p.name: pd.Series([row[p.name] for row in table], dtype=kinds[p.kind]) for p in self.parameters}
        )

    def describe(self) -> list[dict[str, Any]]:
        """Return the space as plain data, for the data card."""
        out: list[dict[str, Any]] = []
        for p in self.parameters:
            entry: dict[str, Any] = {"name": p.name, "kind": p.kind}
            if p.kind in ("real", "integer"):
                entry |= {"low": p.low, "high": p.high, "log": p.log}
            if p.choices:
                entry["choices"] = list(p.choices)
            if p.when:
                entry["when"] = {parent: list(values) for parent, values in p.when.items()}
            out.append(entry)
        return out


def _possible(parameter: Parameter, value: Value) -> bool:
    if parameter.kind == "category":
        return value in parameter.choices
    if parameter.kind == "flag":
        return isinstance(value, bool)
    return isinstance(value, int | float) and parameter.low <= value <= parameter.high
