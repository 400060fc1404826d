"""The list of claims, ``book/claims.yml``: read and checked before anything is computed."""

from __future__ import annotations

from pathlib import Path

import yaml

from embreg._parameters import ProfileError, parse_yaml
from embreg.claims.checker import Checker
from embreg.claims.claim import Claim, ClaimError
from embreg.profiles import load_profile, profile_names

__all__ = ["CLAIMS", "load"]

CLAIMS = Path("book", "claims.yml")


def load(root: Path) -> tuple[Claim, ...]:
    """Claims of a project, checked.

    Parameters
    ----------
    root : Path
        Folder of the project (`embreg.profiles.find_root`).

    Returns
    -------
    tuple of Claim
        In the order of the file.

    Raises
    ------
    ClaimError
        With every problem of the file: unknown keys, statistics, arguments, profiles, chapters and runs, an
        id that is there twice, no limit or two.

    Examples
    --------
    >>> from embreg.profiles import find_root
    >>> load(find_root())[0].id
    'dof-llm-flat'
    """
    try:
        content = parse_yaml((root / CLAIMS).read_text(encoding="utf-8"))
    except OSError as error:
        raise ClaimError(f"{CLAIMS.as_posix()} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ProfileError) as error:
        raise ClaimError(f"{CLAIMS.as_posix()}: " + " ".join(str(error).split())) from error
    if not isinstance(content, list) or not content:
        raise ClaimError(f"{CLAIMS.as_posix()} must be a list of claims, however: got {content!r:.80}")
    known = {name: {spec.name for spec in load_profile(name, root)} for name in profile_names(root)}
    chapters = {p.stem for p in (root / "notebooks").glob("*.ipynb")}
    problems: list[str] = []
    claims: list[Claim] = []
    for number, entry in enumerate(content, 1):
        checker = Checker(f"claim {number}", problems)
        claim = checker.claim(entry, known, chapters)
        if claim and claim.id in [c.id for c in claims]:
            problems.append(f"{claim.id}: is there twice; every claim has an id of its own")
        elif claim:
            claims.append(claim)
    if problems:
        more = f"{len(problems)} problems\n" + "\n".join(f"  - {p}" for p in problems)
        raise ClaimError(f"{CLAIMS.as_posix()}: " + (problems[0] if len(problems) == 1 else more))
    return tuple(claims)
