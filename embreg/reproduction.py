"""Reproducibility as a number: how many figures of a profile agree with those that were committed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embreg._execute import run_folder
from embreg.keys import is_current, run_key
from embreg.profiles import RunSpec, load_profile, select
from embreg.reproducing.comparing import Deviation, Outcome, compare, figures
from embreg.reproducing.summary import summarize
from embreg.reproducing.table import entry, read, write

__all__ = ["Report", "RunReport", "compare_with_reference", "execute_stale", "write_reference"]


@dataclass(frozen=True)
class RunReport:
    """One run beside its reference.

    Attributes
    ----------
    name : str
    trouble : str
        Why it was not compared; empty where it was.
    outcome : Outcome
        Of a run that was not compared nothing agrees.
    drawn, drawn_agreed : int
        Figures in the sense of images. What a run draws comes from the tables it keeps, so its images agree
        when all its numbers do and each image of the reference is there.
    itself : bool
        The reference was written from this very run, which then agrees with itself.
    """

    name: str
    trouble: str
    outcome: Outcome
    drawn: int = 0
    drawn_agreed: int = 0
    itself: bool = False

    @property
    def agrees(self) -> bool:
        """Compared, and nothing differs or is missing."""
        return not self.trouble and self.outcome.agreed == self.outcome.of and self.drawn == self.drawn_agreed


@dataclass(frozen=True)
class Report:
    """A profile beside its reference.

    Attributes
    ----------
    profile : str
    runs : tuple of RunReport
    """

    profile: str
    runs: tuple[RunReport, ...]

    @property
    def agreed(self) -> int:
        """Numbers that agree."""
        return sum(r.outcome.agreed for r in self.runs)

    @property
    def of(self) -> int:
        """Numbers in the reference or in the runs."""
        return sum(r.outcome.of for r in self.runs)

    @property
    def agrees(self) -> bool:
        """There is something to compare, and all of it agrees."""
        return bool(self.runs) and all(r.agrees for r in self.runs)

    @property
    def largest(self) -> Deviation | None:
        """Largest deviation as a part of what is allowed."""
        found = [r.outcome.largest for r in self.runs if r.outcome.largest]
        return max(found, key=lambda d: (d.ratio, d.run), default=None)

    @property
    def beyond(self) -> tuple[Deviation, ...]:
        """Deviations beyond what is allowed, worst first."""
        found = [d for r in self.runs for d in r.outcome.beyond]
        return tuple(sorted(found, key=lambda d: (-d.ratio, d.run, d.what)))

    def record(self, root: Path) -> dict[str, Any]:
        """What the book shows of one machine: counts, the largest deviation, circumstances.

        Parameters
        ----------
        root : Path
            Folder of the project, for its commit.
        """
        from datetime import UTC, datetime

        from embreg._provenance import commit, machine, versions

        return {
            "format": 1,
            "profile": self.profile,
            "date": datetime.now(UTC).date().isoformat(),
            "machine": machine(),
            "commit": commit(root),
            "versions": versions(),
            "agreed": self.agreed,
            "of": self.of,
            "drawn_agreed": sum(r.drawn_agreed for r in self.runs),
            "drawn": sum(r.drawn for r in self.runs),
            "repeated": sum(not r.trouble and not r.itself for r in self.runs),
            "sentences": sum(len(r.outcome.said) for r in self.runs),
            "largest": _told(self.largest),
            "beyond": [_told(d) for d in self.beyond],
            "runs": [
                {"name": r.name, "agreed": r.outcome.agreed, "of": r.outcome.of, "trouble": r.trouble,
                 "largest": _told(r.outcome.largest), "lost": list(r.outcome.lost),
                 "new": list(r.outcome.new)}
                for r in self.runs
            ],
        }  # fmt: skip


def _told(d: Deviation | None) -> dict[str, Any] | None:
    if d is None:
        return None
    return {"run": d.run, "what": d.what, "reference": d.reference, "found": d.found,
            "allowed": d.allowed, "within": d.within}  # fmt: skip


def execute_stale(profile: str, root: Path, names: Sequence[str] = (), *, jobs: int = 1) -> list[str]:
    """Execute the runs that are not current.

    Parameters
    ----------
    profile : str
    root : Path
        Folder of the project.
    names : sequence of str
        As for ``embreg run``; none: all.
    jobs : int
        Runs at the same time.

    Returns
    -------
    list of str
        Names of those that failed.

    Raises
    ------
    ProfileError
        No such profile or run.
    """
    from embreg.runs import run_all

    results = run_all(select(load_profile(profile, root), names), root, jobs=jobs)
    return [r.name for r in results if r.status == "failed"]


def compare_with_reference(profile: str, root: Path, names: Sequence[str] = ()) -> Report:
    """Compare the runs of a profile with the committed table; nothing is executed.

    Parameters
    ----------
    profile : str
    root : Path
        Folder of the project.
    names : sequence of str
        As for ``embreg run``; none: all, those included that the table alone has.

    Returns
    -------
    Report
        A run that is missing, or not the result of the code as it is, is in it with its reason.

    Raises
    ------
    ProfileError
        No such profile or run.
    FileNotFoundError
        The profile has no table.
    ValueError
        The table is damaged, or of another format.

    Examples
    --------
    >>> import tempfile
    >>> top = Path(tempfile.mkdtemp())
    >>> (top / "notebooks").mkdir(); _ = (top / "notebooks" / "profiles.yml").write_text("smoke: {}")
    >>> compare_with_reference("smoke", top)
    Traceback (most recent call last):
    ...
    FileNotFoundError: profile 'smoke' must have a table of reference, however: there is no ...smoke.json...
    """
    specs = load_profile(profile, root)
    chosen = select(specs, names)
    table = read(profile, root)
    if table is None:
        raise FileNotFoundError(
            f"profile {profile!r} must have a table of reference, however: there is no "
            f"book/results/reference/{profile}.json; make it from current runs: embreg reproduce --profile "
            f"{profile} --write"
        )
    known: Mapping[str, Mapping[str, Any]] = table["runs"]
    runs = [_beside(spec, known.get(spec.name), root) for spec in chosen]
    if not names:
        gone = [name for name in known if name not in {s.name for s in specs}]
        runs += [_not_compared(name, f"not in profile {profile}", known[name]) for name in gone]
    return Report(profile, tuple(runs))


def write_reference(profile: str, root: Path, names: Sequence[str] = ()) -> Path:
    """Write the committed table from runs that are current.

    Parameters
    ----------
    profile : str
    root : Path
        Folder of the project.
    names : sequence of str
        As for ``embreg run``; the other runs stay in the table as they are. None: all, and what the profile
        no longer has leaves the table.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        A run is not the result of the code as it is; the tables would be too large.
    """
    specs = select(load_profile(profile, root), names)
    stale = {spec.name: why for spec in specs if (why := _stale(spec, root))}
    if stale:
        listed = "; ".join(f"{name}: {why}" for name, why in stale.items())
        raise ValueError(
            f"a table of reference must come from current runs, however: {listed}; make them first: embreg "
            f"run --profile {profile}"
        )
    table = read(profile, root) if names else None
    runs: dict[str, Mapping[str, Any]] = dict(table["runs"]) if table else {}
    for spec in specs:
        folder = run_folder(spec, root)
        runs[spec.name] = entry(_made(folder), summarize(folder))
    return write(profile, runs, root)


def _made(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "run.json").read_text(encoding="utf-8")))


def _stale(spec: RunSpec, root: Path) -> str:
    """Why a run is not current; empty where it is."""
    key = run_key(root / "notebooks" / f"{spec.notebook}.ipynb", spec.parameters, root)
    current, reason = is_current(run_folder(spec, root), key)
    return "" if current else reason


def _beside(spec: RunSpec, reference: Mapping[str, Any] | None, root: Path) -> RunReport:
    folder = run_folder(spec, root)
    if why := _stale(spec, root):
        return _not_compared(spec.name, why, reference)
    found = summarize(folder)
    if reference is None:
        return _not_compared(spec.name, "not in the reference", found)
    made = _made(folder)
    old, new = reference["parameters"], made["parameters"]
    if old != new:
        other = [k for k in dict.fromkeys((*new, *old)) if old.get(k) != new.get(k)]
        return _not_compared(spec.name, f"the reference has other parameters: {', '.join(other)}", reference)
    outcome = compare(spec.name, reference, found)
    whole = outcome.agreed == outcome.of
    drawn = set(reference["drawn"]) | set(found["drawn"])
    there = set(reference["drawn"]) & set(found["drawn"])
    # Whoever made it: a run has one moment of one machine.
    itself = all(reference[k] == made[k] for k in ("digest", "started", "machine"))
    return RunReport(spec.name, "", outcome, len(drawn), len(there) if whole else 0, itself)


def _not_compared(name: str, why: str, summary: Mapping[str, Any] | None) -> RunReport:
    of, drawn = (len(figures(summary)), len(summary["drawn"])) if summary else (0, 0)
    return RunReport(name, why, Outcome(0, of), drawn)
