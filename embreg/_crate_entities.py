"""What a crate says of runs, their files, their findings, and of the paper's claims."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from embreg._files import digest, sha256_file

__all__ = ["AUTHORS", "PAPER", "claim_entities", "file_entities", "person_id", "ref", "run_entities"]

AUTHORS = "#authors"
PAPER = "https://arxiv.org/abs/2411.14708"
_FORMATS = {
    ".json": "application/json", ".parquet": "application/vnd.apache.parquet", ".csv": "text/csv",
    ".svg": "image/svg+xml", ".png": "image/png", ".html": "text/html", ".ipynb": "application/x-ipynb+json",
}  # fmt: skip


def ref(name: str) -> dict[str, str]:
    """Reference to another entity.

    Examples
    --------
    >>> ref("#authors")
    {'@id': '#authors'}
    """
    return {"@id": name}


def person_id(author: Mapping[str, str]) -> str:
    """Name of an author of the paper within the crate.

    Examples
    --------
    >>> person_id({"given-names": "Xingyou", "family-names": "Song"})
    '#xingyou-song'
    """
    return "#" + _slug(f"{author['given-names']} {author['family-names']}")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def file_entities(files: Mapping[str, Path | bytes], runs: Path) -> list[dict[str, Any]]:
    """Files of runs that the book offers.

    Parameters
    ----------
    files : mapping
        Sources of the book by name.
    runs : Path
        Folder of the profile's runs.

    Returns
    -------
    list of dict
        With the size and the SHA-256 of each, and ``madeBy``, the run.
    """
    out = []
    for name, path in files.items():
        if not isinstance(path, Path) or path.suffix == ".ipynb" or not path.is_relative_to(runs):
            continue
        run, *inside = path.relative_to(runs).parts
        if not inside:
            continue
        out.append(
            {
                "@id": name,
                "@type": "File",
                "name": f"{run}/{'/'.join(inside)}",
                "encodingFormat": _FORMATS.get(path.suffix, "application/octet-stream"),
                "contentSize": str(path.stat().st_size),
                "sha256": sha256_file(path),
                "madeBy": f"#run-{run}",
            }
        )
    return out


def run_entities(
    files: Mapping[str, Path | bytes], profile: str, cff: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Runs of a profile: what was executed, with which parameters and software, and what it found.

    Parameters
    ----------
    files : mapping
        Sources of the book by name; the notebooks carry their run.
    profile : str
        Notebooks of another profile are left out.
    cff : mapping
        ``CITATION.cff``.

    Returns
    -------
    list of dict
        Of a run its ``CreateAction``, its page, its notebook, its parameters, its findings and its software.
    """
    out: dict[str, dict[str, Any]] = {}
    for name, content in sorted(files.items()):
        if not re.fullmatch(r"notebooks/[^/]+\.ipynb", name):
            continue
        text = content.decode() if isinstance(content, bytes) else content.read_text(encoding="utf-8")
        made = dict(json.loads(text)["metadata"].get("embreg") or {})
        if made.get("profile") == profile:
            for entity in _run(made, PurePosixPath(name).stem, cff):
                out.setdefault(entity["@id"], entity)
    return list(out.values())


def _run(made: Mapping[str, Any], stem: str, cff: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    run = str(made.get("run", stem))
    page, source = f"notebooks/{stem}.html", f"_sources/notebooks/{stem}.ipynb"
    yield {"@id": page, "@type": "File", "name": f"{run}, as a page", "encodingFormat": _FORMATS[".html"]}
    yield {
        "@id": source,
        "@type": ["File", "SoftwareSourceCode"],
        "name": f"{run}, the executed notebook",
        "encodingFormat": _FORMATS[".ipynb"],
        "programmingLanguage": "Python",
    }
    software = list(_software(made, cff))
    parameters = [
        {"@id": f"#run-{run}/{key}", "@type": "PropertyValue", "name": key, "value": _plain(value)}
        for key, value in (made.get("parameters") or {}).items()
    ]
    facts = [_fact(run, key, fact) for key, fact in (made.get("facts") or {}).items()]
    yield from (*software, *parameters, *facts)
    action: dict[str, Any] = {
        "@id": f"#run-{run}",
        "@type": "CreateAction",
        "name": f"Run {run} of profile {made.get('profile')}",
        "actionStatus": "http://schema.org/CompletedActionStatus",
        "agent": ref(AUTHORS),
        "instrument": [ref(source), ref(software[-1]["@id"])],
        "object": [ref(p["@id"]) for p in parameters],
        "result": [ref(page), *(ref(f["@id"]) for f in facts)],
    }
    if made.get("digest"):
        action["identifier"] = made["digest"]
    machine = ", ".join(f"{k} {v}" for k, v in (made.get("machine") or {}).items())
    commit = made.get("commit") or "unknown"
    action["description"] = f"Commit {commit}" + (f"; machine: {machine}" if machine else "")
    if made.get("started"):
        start = datetime.fromisoformat(str(made["started"]))
        end = start + timedelta(seconds=float(made.get("seconds") or 0))
        action["startTime"], action["endTime"] = (t.isoformat(timespec="seconds") for t in (start, end))
    yield action


def _software(made: Mapping[str, Any], cff: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Packages of a run, and last the package itself at its commit."""
    versions = dict(made.get("versions") or {})
    ours = versions.pop("embreg", str(cff["version"]))
    packages = [
        {"@id": f"#{name}-{number}", "@type": "SoftwareApplication", "name": name, "softwareVersion": number}
        for name, number in versions.items()
    ]
    yield from packages
    commit = str(made.get("commit") or "unknown")
    yield {
        # Runs of one commit may have met different packages.
        "@id": f"#embreg-{digest([commit, ours, versions])[:12]}",
        "@type": "SoftwareApplication",
        "name": "embreg",
        "softwareVersion": ours,
        "version": commit,
        "url": cff["repository-code"],
        "softwareRequirements": [ref(p["@id"]) for p in packages],
    }


def _fact(run: str, key: str, fact: Mapping[str, Any]) -> dict[str, Any]:
    out = {"@id": f"#fact-{run}/{key}", "@type": "PropertyValue", "name": f"{run}/{key}"}
    out |= {"value": _plain(fact["value"]), "description": str(fact["text"])}
    if "low" in fact:
        out |= {"minValue": _plain(fact["low"]), "maxValue": _plain(fact["high"])}
    return out


def _plain(value: Any) -> Any:
    """Value as JSON-LD takes it: what is not one number or text is written as JSON."""
    simple = isinstance(value, str | bool | int | float)
    return value if simple and value == value else json.dumps(value, ensure_ascii=False)


def claim_entities(files: Mapping[str, Path | bytes]) -> list[dict[str, Any]]:
    """Verdicts on the paper's claims, where the book has a ``claims.json``.

    Parameters
    ----------
    files : mapping
        Sources of the book by name.

    Returns
    -------
    list of dict
        A ``ClaimReview``, its ``Claim`` and its ``Rating`` for each row.

    Examples
    --------
    >>> row = {"id": "a-b", "claim": "A is B.", "where": "§3", "verdict": "undecided", "why": "wide",
    ...        "run": "02_x"}
    >>> review, claim, rating = claim_entities({"x/claims.json": json.dumps([row]).encode()})
    >>> review["claimReviewed"], claim["appearance"], rating["alternateName"]
    ('A is B.', {'@id': 'https://arxiv.org/abs/2411.14708'}, 'undecided')
    """
    found = [content for name, content in files.items() if PurePosixPath(name).name == "claims.json"]
    if not found:
        return []
    content = found[0]
    rows = json.loads(content if isinstance(content, bytes) else content.read_bytes())
    out: list[dict[str, Any]] = []
    for row in rows:
        name = f"#claim-{row['id']}"
        review = {
            "@id": name,
            "@type": "ClaimReview",
            "name": f"Verdict on {row['id']}",
            "claimReviewed": row["claim"],
            "itemReviewed": ref(f"{name}/claim"),
            "reviewRating": ref(f"{name}/verdict"),
            "author": ref(AUTHORS),
        }
        runs = [row["run"]] if isinstance(row.get("run"), str) else list(row.get("run") or [])
        if runs:
            review["isBasedOn"] = [ref(f"#run-{run}") for run in runs]
        claim = {"@id": f"{name}/claim", "@type": "Claim", "name": row["claim"], "appearance": ref(PAPER)}
        if row.get("where"):
            claim["description"] = f"In the paper: {row['where']}"
        rating = {"@id": f"{name}/verdict", "@type": "Rating", "alternateName": row["verdict"]}
        rating["name"], rating["ratingExplanation"] = row["verdict"], str(row.get("why") or "")
        out += [review, claim, rating]
    return out
