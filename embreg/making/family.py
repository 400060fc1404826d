"""What a family of measured tasks is: what to draw, how to measure it, and what to say about it."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from embreg._task import stream
from embreg.making.space import Space, Value

__all__ = ["FAMILIES", "Family", "Infeasible", "MissingTool", "TaskSpec", "get_family"]

FAMILIES = ("automl", "training", "compiler", "accelerator", "hpo_tables")
"""Names of all families, in the order of the book."""


class Infeasible(Exception):
    """A row that cannot be measured, for a reason that lies in the row; it is counted and left out."""


class MissingTool(RuntimeError):
    """A program or package that a family needs is not on this machine; the message says how to get it."""


@dataclass(frozen=True)
class TaskSpec:
    """One task of a family, before anything was measured.

    Parameters
    ----------
    name : str
        Unique within the family; lower case, digits and underscores.
    about : str
        One sentence: what runs.
    target : str
        What y is, in words.
    unit : str
        Of y; ``"1"`` for a ratio.
    direction : {"max", "min"}
        Which end is the good one.
    n : int
        Rows that are shipped.

    Examples
    --------
    >>> TaskSpec("sort", "Sorts 4,000 integers.", "log of instructions", "log", "min").n
    500
    """

    name: str
    about: str
    target: str
    unit: str
    direction: Literal["max", "min"]
    n: int = 500


class Family(ABC):
    """Tasks that are measured alike. A subclass is one module of `embreg.making`.

    Attributes
    ----------
    name, stands_for : str
        Its own name, and the paper's family that it replaces.
    specs : tuple of TaskSpec
    title, what_ran, licence : str
        For the data card.
    flaws : tuple of str
        For the data card: what a reader must know before trusting a number.
    tolerance : float
        How far a row that is measured again may be from the shipped one, as a share of the standard
        deviation of y: 0 where it repeats to the last bit with the same versions.
    noise : str
        What differs between repeats of a row, or why nothing can.
    """

    name: ClassVar[str]
    stands_for: ClassVar[str]
    title: ClassVar[str]
    what_ran: ClassVar[str]
    licence: ClassVar[str]
    noise: ClassVar[str]
    flaws: ClassVar[tuple[str, ...]]
    tolerance: ClassVar[float] = 0.0
    specs: ClassVar[tuple[TaskSpec, ...]]

    def spec(self, task: str) -> TaskSpec:
        """Return a task by name, or raise ValueError that lists the names."""
        for spec in self.specs:
            if spec.name == task:
                return spec
        raise ValueError(
            f"family {self.name!r} has no task {task!r}; it has: {', '.join(s.name for s in self.specs)}"
        )

    @abstractmethod
    def space(self, task: str) -> Space:
        """Parameters of a task."""

    @abstractmethod
    def require(self) -> None:
        """Raise `MissingTool` when something that `measure` needs is not here."""

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Name to version of everything that a measured value depends on."""

    @abstractmethod
    def measure(self, task: str, row: dict[str, Value], repeat: int = 0) -> float:
        """Return y of one row. `repeat` 0 is the shipped value; others change what is random (see `noise`).

        Called in a process with one thread; must not print. Raises `Infeasible` for a row that has no y.
        """

    def draw(self, task: str, index: int) -> dict[str, Value]:
        """Row number `index` of a task: it depends on nothing else, so that any row can be made alone."""
        return self.space(task).sample(stream((index,), f"{self.name}/{task}"))


def get_family(name: str) -> Any:
    """Return the one object of a family, importing its module.

    Raises
    ------
    ValueError
        Unknown family.

    Examples
    --------
    >>> get_family("compiler").stands_for
    'XLA'
    """
    if name not in FAMILIES:
        raise ValueError(f"family must be one of {FAMILIES}, however: got {name!r}")
    return importlib.import_module(f"embreg.making.{name}").FAMILY
