"""Metadata by which others can cite a result: the pages as an RO-Crate, schema.org for the first page.

The crate (https://w3id.org/ro/crate/1.1) describes what lies beside it: the pages, the records of the runs,
and what made them. It is staged with the names of the sources; the extension ``book/_ext/embreg_crate.py``
knows where the renderer puts each file, and writes it into the rendered book.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from embreg._crate_entities import AUTHORS, PAPER, claim_entities, file_entities, person_id, ref, run_entities
from embreg._files import digest

__all__ = ["METADATA", "STAGED", "add_crate", "first_page", "placed"]

METADATA = "ro-crate-metadata.json"
STAGED = "book/ro-crate.json"
_CONTEXT = ["https://w3id.org/ro/crate/1.1/context", {"sha256": "https://schema.org/sha256"}]
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"


def add_crate(files: dict[str, Path | bytes], profile: str, root: Path) -> None:
    """Add the metadata of a book to its sources.

    Parameters
    ----------
    files : dict
        Sources by name, changed in place. A file named ``claims.json``, rows of verdicts, is described too.
    profile : str
        Whose runs the book shows.
    root : Path
        Folder of the project. One without ``CITATION.cff``, or without a run of the profile, has nothing to
        cite, and gets no metadata.

    Raises
    ------
    KeyError
        ``CITATION.cff`` lacks an entry.

    Examples
    --------
    >>> files = {"index.md": b"# Home"}
    >>> add_crate(files, "offline", Path("no/such/folder")); list(files)
    ['index.md']
    """
    citation = root / "CITATION.cff"
    if not citation.is_file():
        return
    cff = yaml.safe_load(citation.read_text(encoding="utf-8"))
    runs = run_entities(files, profile, cff)
    days = sorted(str(e["endTime"])[:10] for e in runs if "endTime" in e)
    if not days:
        return
    data = file_entities(files, root / "runs" / profile)
    claims = claim_entities(files)
    license_id = f"https://spdx.org/licenses/{cff['license']}"
    parts = [e["@id"] for e in (*data, *runs) if "File" in e["@type"]]
    root_entity = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"{cff['title']}: results of profile {profile}",
        "description": " ".join(cff["abstract"].split()),
        # A book is as old as its newest result: the same results give the same metadata.
        "datePublished": days[-1],
        "license": ref(license_id),
        "author": ref(AUTHORS),
        "publisher": ref(AUTHORS),
        "version": str(cff["version"]),
        "identifier": digest(sorted(str(e.get("identifier")) for e in runs if e["@type"] == "CreateAction")),
        "keywords": ", ".join(cff["keywords"]),
        "url": cff["url"],
        "conformsTo": ref(_PROFILE),
        "citation": ref(PAPER),
        "hasPart": [ref(part) for part in parts],
        "mentions": [
            ref(e["@id"]) for e in (*runs, *claims) if e["@type"] in ("CreateAction", "ClaimReview")
        ],
        "variableMeasured": [ref(e["@id"]) for e in runs if e["@id"].startswith("#fact-")],
    }
    graph = [
        {
            "@id": METADATA,
            "@type": "CreativeWork",
            "conformsTo": [ref("https://w3id.org/ro/crate/1.1")],
            "about": ref("./"),
        },
        root_entity,
        *_contextual(cff, license_id),
        *data,
        *runs,
        *claims,
    ]
    _link_results(graph)
    text = json.dumps({"@context": _CONTEXT, "@graph": graph}, indent=1, ensure_ascii=False)
    files[STAGED] = f"{text}\n".encode()


def _contextual(cff: Mapping[str, Any], license_id: str) -> list[dict[str, Any]]:
    paper = next(r for r in cff["references"] if r["type"] == "article")
    people = [
        {
            "@id": person_id(a),
            "@type": "Person",
            "name": f"{a['given-names']} {a['family-names']}",
            "givenName": a["given-names"],
            "familyName": a["family-names"],
        }
        for a in paper["authors"]
    ]
    return [
        {"@id": AUTHORS, "@type": "Organization", "name": cff["authors"][0]["name"], "url": cff["url"]},
        {
            "@id": license_id,
            "@type": "CreativeWork",
            "name": cff["license"],
            "description": "License of the code, the text and the records. Model weights keep their own.",
        },
        {
            "@id": _PROFILE,
            "@type": "CreativeWork",
            "name": "Process Run Crate",
            "version": "0.5",
        },
        {
            "@id": PAPER,
            "@type": "ScholarlyArticle",
            "name": paper["title"],
            "author": [ref(p["@id"]) for p in people],
            "datePublished": str(paper["year"]),
            "isPartOf": ref("#journal"),
            "identifier": [i["value"] for i in paper["identifiers"]],
            "url": paper["url"],
        },
        {"@id": "#journal", "@type": "Periodical", "name": paper["journal"]},
        *people,
    ]


def _link_results(graph: list[dict[str, Any]]) -> None:
    """Name the files of each run among its results."""
    actions = {e["@id"]: e for e in graph if e["@type"] == "CreateAction"}
    for entity in graph:
        if (made := entity.pop("madeBy", None)) in actions:
            actions[made]["result"].append(ref(entity["@id"]))


def placed(crate: Mapping[str, Any], where: Callable[[str], str | None]) -> dict[str, Any]:
    """Crate with the names of its files as they were published.

    Parameters
    ----------
    crate : mapping
        As it was staged.
    where : callable
        From the name of a file to its published one; None for one that was not published, which is left out.

    Examples
    --------
    >>> crate = {"@graph": [{"@id": "./", "hasPart": [{"@id": "a.csv"}, {"@id": "b.csv"}]}, {"@id": "a.csv"},
    ...                     {"@id": "b.csv"}, {"@id": "#x"}]}
    >>> placed(crate, {"a.csv": "data/a.csv"}.get)["@graph"]
    [{'@id': './', 'hasPart': [{'@id': 'data/a.csv'}]}, {'@id': 'data/a.csv'}, {'@id': '#x'}]
    """
    names = {e["@id"]: e["@id"] for e in crate["@graph"]}
    for name in names:
        if not (name.startswith(("#", "./")) or "://" in name or name == METADATA):
            names[name] = where(name)

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            if value.keys() == {"@id"}:
                name = names.get(value["@id"], value["@id"])
                return None if name is None else ref(name)
            return {k: new for k, v in value.items() if (new := renamed(v)) is not None}
        if isinstance(value, list):
            return [new for v in value if (new := renamed(v)) is not None]
        return value

    graph = [{**renamed(e), "@id": names[e["@id"]]} for e in crate["@graph"] if names[e["@id"]] is not None]
    return {**crate, "@graph": graph}


def first_page(crate: Mapping[str, Any]) -> dict[str, Any]:
    """Schema.org metadata of the first page: what the book is, who made it, and what it is about.

    Parameters
    ----------
    crate : mapping
        As staged or as published.

    Returns
    -------
    dict
        JSON-LD, nested, without the single files and runs: those are in the crate, which it names.
    """
    known = {e["@id"]: e for e in crate["@graph"]}

    def nested(entity: Mapping[str, Any]) -> dict[str, Any]:
        out = {k: v for k, v in entity.items() if k not in ("@id", "conformsTo")}
        for key, value in out.items():
            if isinstance(value, dict) and value.get("@id") in known:
                out[key] = nested(known[value["@id"]])
            elif isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
                out[key] = [nested(known[v["@id"]]) for v in value]
        return out

    book = {k: v for k, v in known["./"].items() if k not in ("hasPart", "mentions", "variableMeasured")}
    license_id = book.pop("license")["@id"]
    return {
        "@context": "https://schema.org",
        **nested(book),
        "creator": nested(known[AUTHORS]),
        "license": license_id,
        "isAccessibleForFree": True,
        "distribution": {
            "@type": "DataDownload",
            "name": "RO-Crate: runs, parameters, records, findings",
            "encodingFormat": "application/ld+json",
            "contentUrl": METADATA,
        },
    }
