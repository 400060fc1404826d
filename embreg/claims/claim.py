"""A claim of the paper, and the test that decides it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from embreg._parameters import ProfileError
from embreg.claims.limits import Limit

__all__ = ["Claim", "ClaimError", "Part"]


class ClaimError(ProfileError):
    """The list of claims is wrong; the text lists every problem found."""


@dataclass(frozen=True)
class Part:
    """One test: a statistic of a table, and the limit on whose side its interval must lie.

    Attributes
    ----------
    name : str
        What this part is about; empty where a claim has one part alone.
    runs : tuple of str
        Folders below ``runs/<profile>``. Of several, each has to pass.
    table : str
        Parquet file of the run, without its ending.
    where, args : dict
    statistic : str
        One of `STATISTICS`.
    limit : Limit
    """

    name: str
    runs: tuple[str, ...]
    table: str
    statistic: str
    limit: Limit
    where: dict[str, Any] = field(default_factory=dict)
    args: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """A claim of the paper and the test that decides it; see the top of ``book/claims.yml``."""

    id: str
    claim: str
    paper: dict[str, Any]
    chapter: str
    parts: tuple[Part, ...]
    because: str
    decided_by: tuple[str, ...]
    needs: str
    caveat: str = ""

    @property
    def runs(self) -> tuple[str, ...]:
        """Every run that its test reads."""
        return tuple(dict.fromkeys(run for part in self.parts for run in part.runs))
