"""The paper's claims, each with a test written first, and verdicts computed from records.

``book/claims.yml`` lists the claims; nothing in it is a verdict. `verdicts` reads the records of a profile
and says of each claim whether it is reproduced, not reproduced, undecided, or not testable in that profile.
"""

from __future__ import annotations

from embreg.claims.claim import Claim, ClaimError, Part
from embreg.claims.entries import CLAIMS, load
from embreg.claims.records import RecordError, command
from embreg.claims.scoreboard import (
    as_files,
    as_table,
    table,
    verdicts,
    write,
    write_csv,
    write_json,
    write_parquet,
)
from embreg.claims.statistics import STATISTICS
from embreg.claims.verdicts import VERDICTS, Verdict

__all__ = [
    "CLAIMS",
    "STATISTICS",
    "VERDICTS",
    "Claim",
    "ClaimError",
    "Part",
    "RecordError",
    "Verdict",
    "as_files",
    "as_table",
    "command",
    "load",
    "table",
    "verdicts",
    "write",
    "write_csv",
    "write_json",
    "write_parquet",
]
