"""Records that claims are judged by: present, current, and read as the claims ask for them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from embreg.claims.claim import Claim, Part
from embreg.profiles import RunSpec

__all__ = ["RecordError", "Records", "command"]

LLM = "@llm"


class RecordError(ValueError):
    """A record is missing, older than what made it, or does not hold what a claim asks for."""


def command(runs: Sequence[str], profile: str) -> str:
    """The command that makes the records of these runs.

    Examples
    --------
    >>> command(["02_dimension_scaling"], "offline")
    'embreg run 02_dimension_scaling --profile offline'
    """
    return f"embreg run {' '.join(runs)} --profile {profile}"


class Records:
    """Records of one profile.

    Parameters
    ----------
    profile : str
    root : Path
        Folder of the project.
    specs : mapping of str to RunSpec
        The runs of the profile by name.
    """

    def __init__(self, profile: str, root: Path, specs: Mapping[str, RunSpec]) -> None:
        self.profile, self.root, self.specs = profile, root, specs
        self._tables: dict[tuple[str, str], pd.DataFrame] = {}

    def require(self, claims: Sequence[Claim]) -> None:
        """Refuse records that are missing or not what their notebook, parameters and package would give now.

        Raises
        ------
        RecordError
            With every claim concerned, and the one command that makes the records.
        """
        from embreg.runs import stale

        asked = {run for claim in claims for run in claim.runs}
        # In the order of the profile, in which one run's embeddings serve the next.
        wanted = [run for run in self.specs if run in asked]
        why = {s.name: reason for s, reason in stale([self.specs[run] for run in wanted], self.root)}
        if not why:
            return
        lines = []
        for run, reason in why.items():
            concerned = ", ".join(claim.id for claim in claims if run in claim.runs)
            lines.append(f"  - {run} ({reason}): {concerned}")
        count = sum(any(run in why for run in claim.runs) for claim in claims)
        raise RecordError(
            f"{count} claim{'s have' if count != 1 else ' has'} no current record in profile {self.profile}\n"
            + "\n".join(lines)
            + f"\nmake them by: {command(list(why), self.profile)}"
        )

    def made(self, run: str) -> dict[str, Any]:
        """What ``run.json`` says of a run."""
        text = (self.folder(run) / "run.json").read_text(encoding="utf-8")
        return dict(json.loads(text))

    def folder(self, run: str) -> Path:
        """Where the record is."""
        return self.root / "runs" / self.profile / run

    def llm(self, run: str) -> str:
        """Label of the run's first language model, without its format.

        Raises
        ------
        RecordError
            The run has no parameter ``models`` or ``model``.
        """
        from embreg.representation import Representation

        parameters = self.specs[run].parameters
        found = parameters.get("models") or parameters.get("model")
        first = found[0] if isinstance(found, list) else found
        if not isinstance(first, str):
            raise RecordError(f"{LLM} needs a run with a parameter models or model, however: {run} has none")
        return Representation.of(first).label

    def named(self, value: Any, run: str) -> Any:
        """`value` with ``@llm`` replaced, at any depth."""
        if isinstance(value, dict):
            return {k: self.named(v, run) for k, v in value.items()}
        if isinstance(value, list):
            return [self.named(v, run) for v in value]
        return self.llm(run) if value == LLM else value

    def table(self, part: Part, run: str) -> pd.DataFrame:
        """Rows of the table that a part asks for.

        Raises
        ------
        RecordError
            The run has no such table.
        ValueError
            As `rows.choose`.
        """
        from embreg.claims.rows import choose

        path = self.folder(run) / f"{part.table}.parquet"
        if (run, part.table) not in self._tables:
            if not path.is_file():
                known = ", ".join(sorted(p.stem for p in path.parent.glob("*.parquet"))) or "none"
                raise RecordError(f"{run} has no table {part.table!r}; it has: {known}")
            self._tables[run, part.table] = pd.read_parquet(path)
        return choose(self._tables[run, part.table], self.named(part.where, run))
