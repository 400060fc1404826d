"""Reads one entry of the list of claims and notes every slip in it, with what to write instead."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from embreg._parameters import hint
from embreg.claims.claim import Claim, Part
from embreg.claims.limits import Limit
from embreg.claims.statistics import STATISTICS

__all__ = ["EVIDENCE", "Checker"]

EVIDENCE = ("V", "S2", "S1", "C", "A", "M", "I", "?")
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_CLAIM = {"id", "claim", "paper", "chapter", "test", "decided_by", "needs"}
_PAPER = {"where", "says", "number", "evidence"}
_PART = {"run", "table", "where", "statistic", "args", "above", "below", "within"}


class Checker:
    """Reads one entry; what is wrong is noted under its id and the rest is read on."""

    def __init__(self, name: str, problems: list[str]) -> None:
        self.name, self.problems = name, problems

    def wrong(self, text: str) -> None:
        """Note a problem."""
        self.problems.append(f"{self.name}: {text}")

    def mapping(self, value: Any, what: str, needed: set[str], optional: set[str]) -> dict[str, Any] | None:
        """`value` when it is a mapping with all needed keys."""
        if not isinstance(value, dict):
            self.wrong(f"{what} must be a mapping, however: got {value!r:.80}")
            return None
        for key in value:
            if key not in needed | optional:
                known = ", ".join(sorted(needed | optional))
                self.wrong(f"unknown key {key!r} in {what}{hint(key, needed | optional)}; it takes: {known}")
        if lost := sorted(needed - value.keys()):
            self.wrong(f"{what} needs {', '.join(lost)}")
            return None
        return value

    def text(self, entry: Mapping[str, Any], key: str) -> str:
        """A sentence on one line."""
        value = entry.get(key)
        if not isinstance(value, str) or not value.strip():
            self.wrong(f"{key} must be a sentence, however: got {value!r}")
            return ""
        return " ".join(value.split())

    def claim(self, entry: Any, known: Mapping[str, set[str]], chapters: set[str]) -> Claim | None:
        """Read an entry, given the runs of each profile and the names of the chapters."""
        if isinstance(entry, dict) and isinstance(entry.get("id"), str):
            self.name = entry["id"]
        before = len(self.problems)
        got = self.mapping(entry, "the entry", _CLAIM, {"caveat"})
        if got is None:
            return None
        if not isinstance(got["id"], str) or not _ID.fullmatch(got["id"]):
            self.wrong(f"id must be letters a-z, digits and '-', however: got {got['id']!r}")
        paper = self.mapping(got["paper"], "paper", _PAPER, set()) or {}
        if paper and paper["evidence"] not in EVIDENCE:
            self.wrong(f"evidence must be one of {', '.join(EVIDENCE)}, however: got {paper['evidence']!r}")
        if paper and not isinstance(paper["number"], str | int | float | None):
            self.wrong(
                f"the paper's number must be a number, a text or null, however: got {paper['number']!r}"
            )
        paper |= {key: self.text(paper, key) for key in ("where", "says") if paper}
        if got["chapter"] not in chapters:
            self.wrong(
                f"no chapter {got['chapter']!r}{hint(got['chapter'], chapters)}; it is the name of a notebook"
            )
        texts = {
            key: self.text(got, key) for key in ("claim", "needs", *(["caveat"] if "caveat" in got else []))
        }
        decided_by = got["decided_by"] if isinstance(got["decided_by"], list) else [got["decided_by"]]
        for profile in decided_by:
            if profile not in known:
                self.wrong(
                    f"unknown profile {profile!r}{hint(profile, known)}; there are: {', '.join(known)}"
                )
        if not decided_by:
            self.wrong("decided_by must name at least one profile; a claim that none can decide is no test")
        parts, because = self.test(got["test"])
        for run in dict.fromkeys(run for part in parts for run in part.runs):
            for profile in decided_by:
                if run not in known.get(profile, {run}):
                    self.wrong(
                        f"profile {profile} has no run {run!r}{hint(run, known[profile])}; leave the "
                        "profile out of decided_by, or add the run to notebooks/profiles.yml"
                    )
        if len(self.problems) > before:
            return None
        return Claim(
            id=got["id"], paper=paper, chapter=got["chapter"], parts=parts, because=because,
            decided_by=tuple(decided_by), **texts,
        )  # fmt: skip

    def test(self, test: Any) -> tuple[tuple[Part, ...], str]:
        """Parts of a test, and why it is as it is. What is common to all parts stands beside ``all_of``."""
        got = self.mapping(test, "test", {"because"}, _PART | {"all_of"})
        if got is None:
            return (), ""
        because = self.text(got, "because")
        common = {k: v for k, v in got.items() if k not in ("because", "all_of")}
        if "all_of" not in got:
            return tuple(p for p in [self.part("", common)] if p), because
        if not isinstance(got["all_of"], list) or len(got["all_of"]) < 2:
            self.wrong("all_of must be a list of at least two parts; a single one is written without it")
            return (), because
        parts = []
        for one in got["all_of"]:
            own = self.mapping(one, "a part of all_of", {"name"}, _PART)
            if own is not None:
                name = self.text(own, "name")
                parts.append(self.part(name, {**common, **{k: v for k, v in own.items() if k != "name"}}))
        return tuple(p for p in parts if p), because

    def part(self, name: str, got: Mapping[str, Any]) -> Part | None:
        """One statistic with its limit."""
        before = len(self.problems)
        where = f"part {name!r}: " if name else ""
        for key in ("run", "table", "statistic"):
            if key not in got:
                self.wrong(f"{where}test needs {key}")
        runs = got.get("run")
        runs = runs if isinstance(runs, list) else [runs]
        if "run" in got and not (runs and all(isinstance(r, str) for r in runs)):
            self.wrong(f"{where}run must be a name or a list of names, however: got {got['run']!r}")
        for key in ("where", "args"):
            if not isinstance(got.get(key, {}), dict):
                self.wrong(f"{where}{key} must be a mapping, however: got {got[key]!r:.80}")
        statistic, args = got.get("statistic"), got.get("args", {})
        if statistic is not None and statistic not in STATISTICS:
            known = ", ".join(STATISTICS)
            self.wrong(
                f"{where}unknown statistic {statistic!r}{hint(statistic, STATISTICS)}; there are: {known}"
            )
        elif statistic is not None and isinstance(args, dict):
            self.arguments(where, statistic, args)
        limit = None
        try:
            limit = Limit.of({k: got[k] for k in ("above", "below", "within") if k in got})
        except ValueError as error:
            self.wrong(f"{where}{error}")
        if len(self.problems) > before or limit is None:
            return None
        return Part(
            name, tuple(runs), got["table"], str(statistic), limit, dict(got.get("where", {})), dict(args)
        )

    def arguments(self, where: str, statistic: str, args: Mapping[str, Any]) -> None:
        """Hold arguments against the statistic's own."""
        takes = {k: p for k, p in inspect.signature(STATISTICS[statistic]).parameters.items() if k != "table"}
        for key in args:
            if key not in takes:
                self.wrong(
                    f"{where}{statistic} has no argument {key!r}{hint(key, takes)}; it takes: "
                    + ", ".join(takes)
                )
        if lost := [k for k, p in takes.items() if p.default is p.empty and k not in args]:
            self.wrong(f"{where}{statistic} needs the argument {', '.join(lost)}")
