"""Write the README's part that comes from results: verdicts, and the picture that matters.

    python tools/readme.py                    from book/results/claims.json and the committed picture
    python tools/readme.py --from offline     take both from the runs of profile offline first
    python tools/readme.py --check            say whether the README is current; exit code 1 when it is not

The front page has all claims, the README the first few. Between its two marks nothing is written by hand.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from embreg._files import atomic_path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path("book", "results")
CLAIMS = RESULTS / "claims.json"
PICTURE = RESULTS / "tau_by_dof.svg"
FROM = ("02_dimension_scaling", "figures", "tau_by_dof.svg")
BEGIN, END = "<!-- verdicts: written by tools/readme.py -->", "<!-- end of verdicts -->"
ROWS = 8
MARKS = {"reproduced": "✓", "not reproduced": "✗", "undecided": "?", "not testable in this profile": "–"}


def block(claims: list[dict[str, Any]]) -> str:
    """Markdown of the first decided claims, and how many there are of each verdict."""
    counts = Counter(c["verdict"] for c in claims)
    told = ", ".join(f"{counts[v]} {v}" for v in MARKS if counts[v])
    lines = ["| claim of the paper | here | verdict |", "|---|---|---|"]
    for c in [c for c in claims if c["value"] is not None][:ROWS]:
        ours = f"{c['value']:z.2f} [{c['low']:z.2f}, {c['high']:z.2f}], claimed {c['limit']}"
        lines.append(f"| {c['claim']} | {ours} | {MARKS[c['verdict']]} {c['verdict']} |")
    profile = claims[0]["profile"]
    return "\n".join(
        [
            f"Of {len(claims)} claims, with the small models of profile `{profile}`: {told}.",
            "",
            *lines,
        ]
    )


def readme(text: str, claims: list[dict[str, Any]]) -> str:
    """Return the README with its generated part replaced.

    Raises
    ------
    ValueError
        The marks are missing, or not in order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md must hold {BEGIN!r} and, behind it, {END!r}")
    return f"{before}{BEGIN}\n{block(claims)}\n{END}{after}"


def take(profile: str, root: Path) -> None:
    """Take verdicts and picture from the runs of a profile."""
    from embreg.claims import table, write_json

    source = root.joinpath("runs", profile, *FROM)
    write_json(table(profile, root), root / CLAIMS)
    with atomic_path(root / PICTURE) as tmp:
        shutil.copyfile(source, tmp)


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--from", dest="profile", metavar="PROFILE", help="whose runs to take results from")
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args(argv)
    if args.profile:
        take(args.profile, root)
    path = root / "README.md"
    old = path.read_text(encoding="utf-8")
    new = readme(old, json.loads((root / CLAIMS).read_text(encoding="utf-8")))
    if args.check:
        if new != old:
            print("README.md is not current; run python tools/readme.py", file=sys.stderr)
        return int(new != old)
    with atomic_path(path) as tmp:
        tmp.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
