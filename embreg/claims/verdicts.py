"""From a claim and its records to a verdict, with the reason in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from embreg._files import digest
from embreg.claims.claim import Claim, Part
from embreg.claims.limits import Limit, side_of, what_would_decide
from embreg.claims.measured import Measured
from embreg.claims.records import RecordError, Records, command
from embreg.claims.rows import choose
from embreg.claims.statistics import STATISTICS

__all__ = ["FEWEST", "VERDICTS", "Verdict", "judge", "overall", "untestable"]

FEWEST = 4
"""Tasks below which an interval says nothing of tasks, as for correlations (`findings.task_correlation`)."""

VERDICTS = ("reproduced", "not reproduced", "undecided", "not testable in this profile")


@dataclass(frozen=True)
class Verdict:
    """What the records of a profile say of a claim; see `table` for the columns."""

    id: str
    claim: str
    where: str
    paper_number: str | None
    paper_says: str
    evidence: str
    value: float | None
    low: float | None
    high: float | None
    unit: str | None
    n: int | None
    limit: str | None
    verdict: str
    why: str
    profile: str
    run: str | None
    record: str | None
    chapter: str
    models: str | None
    commit: str | None
    computed_from_digest: str | None
    seeds: int | None
    because: str
    needs: str
    caveat: str
    command: str | None


class _Found(NamedTuple):
    name: str
    run: str
    part: Part
    got: Measured
    verdict: str
    table: pd.DataFrame


def overall(sides: list[str]) -> str:
    """Verdict on a claim of several parts: true only where all are, false where one is.

    Examples
    --------
    >>> overall(["reproduced", "undecided"]), overall(["not reproduced", "undecided"])
    ('undecided', 'not reproduced')
    """
    for verdict in ("not reproduced", "undecided"):
        if verdict in sides:
            return verdict
    return "reproduced"


def untestable(claim: Claim, profile: str) -> Verdict:
    """The verdict in a profile that cannot decide the claim."""
    others = " or ".join(claim.decided_by)
    why = f"profile {profile} cannot decide it; {others} can. It needs {claim.needs}."
    return _verdict(claim, profile, VERDICTS[3], why)


def judge(claim: Claim, records: Records) -> Verdict:
    """Compute every part of a claim's test and say what follows.

    Parameters
    ----------
    claim : Claim
    records : Records
        With the claim's runs present and current (`Records.require`).

    Raises
    ------
    RecordError
        A record does not hold what the claim asks for, or holds a value that is no number.
    """
    found = [_measure(claim, part, run, records) for part in claim.parts for run in part.runs]
    verdict = overall([f.verdict for f in found])
    # The part that is furthest from passing stands for the claim.
    worst = min(found, key=lambda f: _margin(f.got, f.part.limit))
    why = "; ".join(_say(f) for f in found)
    runs = list(dict.fromkeys(f.run for f in found))
    made = {run: records.made(run) for run in runs}
    sources = {
        f"{f.run}/{f.part.table}.parquet": made[f.run]["files"][f"{f.part.table}.parquet"] for f in found
    }
    commits = dict.fromkeys(str(m["commit"]) for m in made.values() if m.get("commit"))
    models = dict.fromkeys(m for f in found for m in _models(f, records))
    return _verdict(
        claim, records.profile, verdict, why[0].upper() + why[1:] + ".", worst, run=", ".join(runs),
        record=", ".join(f"{records.profile}/{run}/run.json" for run in runs),
        models=", ".join(models) or None, commit=", ".join(commits) or None,
        computed_from_digest=next(iter(sources.values())) if len(sources) == 1 else digest(sources),
    )  # fmt: skip


def _measure(claim: Claim, part: Part, run: str, records: Records) -> _Found:
    name = part.name if len(part.runs) == 1 else f"{part.name} {run}".strip()
    try:
        table = records.table(part, run)
        got = STATISTICS[part.statistic](table, **records.named(part.args, run))
        if "task" in part.where:  # the claim names its tasks: there are no more of them
            got = got._replace(available=got.n)
        side = side_of(got.interval, part.limit)
        return _Found(name, run, part, got, side if got.n >= FEWEST else "undecided", table)
    except (ValueError, KeyError) as error:
        text = error.args[0] if error.args else error
        of = f", part {name!r}" if name else ""
        raise RecordError(
            f"claim {claim.id}{of}: {part.statistic} of {run}/{part.table} cannot be computed: {text}"
        ) from error


def _models(found: _Found, records: Records) -> list[str]:
    """Language models whose rows the test reads; none where it is about φ_trad alone."""
    if "model" not in found.table.columns:
        return [records.llm(found.run)]
    sides = [side for side in (found.part.args.get(k) for k in ("a", "b", "side")) if side is not None]
    parts = [choose(found.table, records.named(side, found.run)) for side in sides] or [found.table]
    return [str(m) for m in pd.concat(parts)["model"].dropna().drop_duplicates()]


def _margin(found: Measured, limit: Limit) -> float:
    """How far inside the limit the interval ends; below zero it reaches over, or lies beyond."""
    return min(found.interval.low - limit.low, limit.high - found.interval.high)


def _say(found: _Found) -> str:
    name = f"{found.name}: " if found.name else ""
    where = {"reproduced": "the whole interval is", "not reproduced": "the whole interval is not"}
    if found.got.n < FEWEST:
        of = found.got.of if found.got.n != 1 else found.got.of[:-1]
        tail = f"{found.got.n} {of} can decide nothing of others; it takes at least {FEWEST}"
    elif found.verdict == "undecided":
        tail = f"the interval reaches both sides of {_end(found)}; " + what_would_decide(
            found.got, found.part.limit
        )
    else:
        tail = f"{where[found.verdict]} {found.part.limit}"
    return f"{name}{found.got.unit} {found.got}, {tail}"


def _end(found: _Found) -> str:
    return f"{found.part.limit.nearest(found.got.interval.value):g}"


def _verdict(
    claim: Claim, profile: str, verdict: str, why: str, found: _Found | None = None, **record: str | None
) -> Verdict:
    got = found.got if found else None
    value, low, high = got.interval if got else (None, None, None)
    number = claim.paper["number"]
    sources = {"run": None, "record": None, "models": None, "commit": None, "computed_from_digest": None}
    return Verdict(
        id=claim.id, claim=claim.claim, where=claim.paper["where"], paper_says=claim.paper["says"],
        paper_number=None if number is None else str(number), evidence=claim.paper["evidence"],
        value=value, low=low, high=high, unit=got.unit if got else None, n=got.n if got else None,
        seeds=got.seeds if got else None, limit=str(found.part.limit) if found else None, verdict=verdict,
        why=why, profile=profile, chapter=claim.chapter, because=claim.because, needs=claim.needs,
        caveat=claim.caveat, command=command(claim.runs, profile) if found else None, **{**sources, **record},
    )  # fmt: skip
