"""What lets others cite and open a result: RO-Crate, schema.org, CITATION.cff, launch buttons, Binder."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

import embreg
from embreg import cli
from embreg._crate import METADATA, STAGED, first_page
from embreg.book import build, stage
from tests.test_book import REPO, make, save

CLAIM = {
    "id": "a-b", "claim": "A is </script> B.", "where": "§3.1", "verdict": "undecided", "why": "too wide",
    "run": "01_one",
}  # fmt: skip
FACT = {"value": 0.58, "text": "0.58 [0.51, 0.64]", "low": 0.51, "high": 0.64}


def make_citable(root: Path) -> Path:
    make(root)
    shutil.copy(REPO / "CITATION.cff", root)
    cff = (root / "CITATION.cff").read_text(encoding="utf-8")
    (root / "CITATION.cff").write_text(cff.replace("abstract: >-\n", "abstract: >-\n  </script>\n"))
    for i, run in enumerate(("01_one", "01_one--wide")):
        path = root / f"runs/offline/{run}/notebook.ipynb"
        content = json.loads(path.read_text(encoding="utf-8"))
        content["metadata"]["embreg"] |= {
            "started": f"2026-01-0{i + 2}T23:59:00+00:00",
            "versions": {"embreg": "0.1", "numpy": f"2.{i}"},
            "machine": {"processor": "some"},
            "facts": {"headline": FACT, "table": {"value": [1, 2], "text": "1, 2"}},
        }
        save(path, content)
    (root / "book/claims.json").write_text(json.dumps([CLAIM]), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("offline", make_citable(tmp_path_factory.mktemp("citing"))).parent


@pytest.fixture
def crate(pages: Path) -> dict[str, Any]:
    return dict(json.loads((pages / METADATA).read_text(encoding="utf-8")))


def references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for v in value:
            yield from references(v)
    elif isinstance(value, dict):
        yield value["@id"]


def faults(crate: dict[str, Any], folder: Path) -> list[str]:
    """What RO-Crate 1.1 demands, by hand."""
    found: list[str] = []
    known: dict[str, dict[str, Any]] = {}
    for entity in crate["@graph"]:
        if entity["@id"] in known:
            found.append(f"twice: {entity['@id']}")
        known[entity["@id"]] = entity
    if "https://w3id.org/ro/crate/1.1/context" not in crate["@context"]:
        found.append("context")
    descriptor, root = known.get(METADATA, {}), known.get("./", {})
    if descriptor.get("@type") != "CreativeWork" or descriptor.get("about") != {"@id": "./"}:
        found.append("descriptor")
    if {"@id": "https://w3id.org/ro/crate/1.1"} not in descriptor.get("conformsTo", []):
        found.append("version of the specification")
    if root.get("@type") != "Dataset":
        found.append("no root")
    found += [
        f"root without {k}" for k in ("name", "description", "license", "datePublished") if not root.get(k)
    ]
    try:
        date.fromisoformat(str(root.get("datePublished")))
    except ValueError:
        found.append("datePublished")
    parts = set(references(root.get("hasPart", [])))
    for name, entity in known.items():
        if not entity.get("@type"):
            found.append(f"no type: {name}")
        if "File" in entity.get("@type", ()):
            path = folder / name
            found += [f"not in hasPart: {name}"] * (name not in parts)
            if not path.is_file():
                found.append(f"no file: {name}")
            elif "sha256" in entity and hashlib.sha256(path.read_bytes()).hexdigest() != entity["sha256"]:
                found.append(f"other content: {name}")
        for key, value in entity.items():
            nested = [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, dict)]
            if any(v.keys() != {"@id"} for v in nested):
                found.append(f"not flat: {name} {key}")
                continue
            found += [
                f"leads nowhere: {key} of {name}: {r}"
                for r in references(nested)
                if r not in known and not r.startswith("https://w3id.org/ro/crate/")
            ]
    return found


def test_the_pages_are_a_crate(crate: dict[str, Any], pages: Path) -> None:
    assert faults(crate, pages) == []


def entity(crate: dict[str, Any], name: str) -> dict[str, Any]:
    [found] = [e for e in crate["@graph"] if e["@id"] == name]
    return dict(found)


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda g: g[1].pop("license"), "root without license"),
        (lambda g: g[1].update(datePublished="yesterday"), "datePublished"),
        (lambda g: g[1].update(author={"@id": "#nobody"}), "leads nowhere: author of ./: #nobody"),
        (lambda g: g[1]["hasPart"].clear(), "not in hasPart: notebooks/01_one.html"),
        (lambda g: g[0].pop("about"), "descriptor"),
        (lambda g: g.append(g[-1]), "twice: #claim-a-b/verdict"),
        (lambda g: g[1].update(author={"@type": "Person"}), "not flat: ./ author"),
        (lambda g: g.append({"@id": "gone.csv", "@type": "File"}), "no file: gone.csv"),
    ],
)
def test_the_check_can_fail(
    crate: dict[str, Any], pages: Path, spoil: Callable[[Any], Any], fault: str
) -> None:
    spoil(crate["@graph"])
    assert fault in faults(crate, pages)


def test_a_run_names_its_parameters_software_files_and_findings(crate: dict[str, Any], pages: Path) -> None:
    action = entity(crate, "#run-01_one--wide")
    assert action["@type"] == "CreateAction" and action["identifier"] == "ab" * 32
    assert (action["startTime"], action["endTime"]) == (
        "2026-01-03T23:59:00+00:00",
        "2026-01-04T00:02:07+00:00",
    )
    assert [entity(crate, r)["value"] for r in references(action["object"])] == [9]
    notebook, software = (entity(crate, r) for r in references(action["instrument"]))
    assert notebook["@type"] == ["File", "SoftwareSourceCode"]
    assert (software["name"], software["version"]) == ("embreg", "0123456789abcdef+changes")
    assert [r for r in references(software["softwareRequirements"])] == ["#numpy-2.1"]
    results = [entity(crate, r) for r in references(action["result"])]
    assert {r["name"] for r in results} == {
        "01_one--wide, as a page", "01_one--wide/headline", "01_one--wide/table",
        "01_one--wide/records.parquet",
    }  # fmt: skip
    [records] = [r for r in results if r["name"].endswith(".parquet")]
    assert records["contentSize"] == "4" and (pages / records["@id"]).read_bytes() == b"PAR1"
    fact = entity(crate, "#fact-01_one--wide/headline")
    assert (fact["value"], fact["minValue"], fact["maxValue"]) == (0.58, 0.51, 0.64)
    assert entity(crate, "#fact-01_one--wide/table")["value"] == "[1, 2]"
    assert crate["@graph"][1]["datePublished"] == "2026-01-04"
    assert {e["name"] for e in crate["@graph"] if e["@type"] == "CreateAction"} == {
        "Run 01_one of profile offline", "Run 01_one--wide of profile offline"
    }  # fmt: skip


def test_a_verdict_is_a_review_of_a_claim_of_the_paper(crate: dict[str, Any]) -> None:
    review = entity(crate, "#claim-a-b")
    assert review["@type"] == "ClaimReview" and review["isBasedOn"] == [{"@id": "#run-01_one"}]
    assert entity(crate, review["reviewRating"]["@id"])["alternateName"] == "undecided"
    claim = entity(crate, review["itemReviewed"]["@id"])
    paper = entity(crate, claim["appearance"]["@id"])
    assert paper["@type"] == "ScholarlyArticle" and len(paper["author"]) == 3


def test_the_first_page_says_it_to_search_engines(crate: dict[str, Any], pages: Path) -> None:
    home = (pages / "index.html").read_text(encoding="utf-8")
    [text] = re.findall(r'<script type="application/ld\+json">(.*?)</script>', home, re.S)
    said = json.loads(text)
    assert said == first_page(crate) and "</script>" in said["description"]
    assert (said["@context"], said["@type"]) == ("https://schema.org", "Dataset")
    assert said["creator"]["name"] == "The embreg authors" and said["license"].startswith("https://spdx.org/")
    assert [a["familyName"] for a in said["citation"]["author"]] == ["Tang", "Yang", "Song"]
    assert f'rel="describedby" type="application/ld+json" href="{said["distribution"]["contentUrl"]}"' in home
    assert "ld+json" not in (pages / "notebooks/02_two.html").read_text(encoding="utf-8")


def test_equal_results_give_equal_metadata_and_nothing_to_cite_gives_none(tmp_path: Path) -> None:
    root = make_citable(tmp_path)
    first = (stage("offline", root) / STAGED).read_bytes()
    assert (stage("offline", root) / STAGED).read_bytes() == first
    assert not (stage("smoke", root) / STAGED).exists()  # no run of that profile
    (root / "CITATION.cff").unlink()
    assert not (stage("offline", root) / STAGED).exists()


# --- CITATION.cff -------------------------------------------------------------------------------------


def test_the_citation_file_agrees_with_the_package() -> None:
    cff = yaml.safe_load((REPO / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert cff["cff-version"] == "1.2.0" and cff["type"] == "software"
    assert cff["message"] and cff["title"] and cff["abstract"]
    assert cff["version"] == project["version"] == embreg.__version__
    assert cff["license"] == project["license"] and cff["keywords"] == project["keywords"]
    assert cff["authors"] == [{"name": "The embreg authors"}]
    [paper] = cff["references"]
    assert {"type", "title", "authors", "year", "url", "identifiers"} <= paper.keys()
    assert paper["url"].rpartition("/")[2] in paper["identifiers"][0]["value"]


# --- launch buttons -----------------------------------------------------------------------------------


def launches(page: str) -> dict[str, str]:
    """Notebook that each launch button of a page opens, by service."""
    found = {}
    binder = r'href="https://mybinder\.org/v2/gh/embreg/embreg/main\?urlpath=lab/tree/([^"]+)"'
    colab = r'href="https://colab\.research\.google\.com/github/embreg/embreg/blob/main/([^"]+)"'
    for name, pattern in (("binder", binder), ("colab", colab)):
        [found[name]] = re.findall(pattern, page)
    return found


@pytest.mark.parametrize("name", ["01_one", "01_one--wide", "02_two"])
def test_launch_buttons_lead_to_committed_notebooks(pages: Path, name: str) -> None:
    page = (pages / f"notebooks/{name}.html").read_text(encoding="utf-8")
    committed = f"notebooks/{name.partition('--')[0]}.ipynb"
    assert launches(page) == {"binder": committed, "colab": committed}
    assert (pages.parents[3] / committed).is_file()
    assert "mybinder" not in (pages / "index.html").read_text(encoding="utf-8")


def chapters() -> list[str]:
    toc = yaml.safe_load((REPO / "_toc.yml").read_text(encoding="utf-8"))
    return [entry["file"] for part in toc["parts"] for entry in part["chapters"]]


def test_every_chapter_is_a_committed_notebook_or_a_page() -> None:
    for name in chapters():
        ending = ".ipynb" if name.startswith("notebooks/") else ".md"
        assert (REPO / f"{name}{ending}").is_file(), name


def test_binder_installs_this_package_and_its_weights() -> None:
    """Its builder reads nothing but the folder binder/ once there is one."""
    folder = REPO / "binder"
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    python = (folder / "runtime.txt").read_text(encoding="utf-8").strip().removeprefix("python-")
    assert f"Programming Language :: Python :: {python}" in project["classifiers"]
    lines = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    options = dict(line.split(maxsplit=1) for line in lines if not line.startswith("#"))
    assert (folder / options["-c"]).resolve() == REPO / "constraints.txt"  # from the file's own folder
    [extras] = re.findall(r"^\.\[(.*)\]$", options["-e"])  # from the root of the repository
    needed = {"models", "tasks", "boosting", "stats", "uncertainty", "run", "plots"}
    assert needed <= set(extras.split(",")) <= project["optional-dependencies"].keys()
    commands = (folder / "postBuild").read_text(encoding="utf-8").splitlines()
    assert commands[0].startswith("#!") and "set -euo pipefail" in commands
    calls = [shlex.split(c)[1:] for c in commands if c.startswith("embreg ")]
    assert [cli._parser().parse_args(c).profile for c in calls] == [[], ["smoke"]]


def test_the_line_for_colab_names_extras_that_exist() -> None:
    page = (REPO / "book/howto.md").read_text(encoding="utf-8")
    [line] = re.findall(r'%pip install -q "([^"]+)"', page)
    requirement = Requirement(line)
    config = yaml.safe_load((REPO / "_config.yml").read_text(encoding="utf-8"))
    assert requirement.url == f"git+{config['repository']['url']}"
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"models", "plots"} <= requirement.extras <= project["optional-dependencies"].keys()
