"""What a whole store holds: list its spaces, verify them, make room, export them.

`embreg.store` reads and writes the rows of one space; ``embreg store`` is this module as a command.
"""

from __future__ import annotations

from embreg._export import export, read_texts
from embreg._gc import Freed, gc
from embreg._spacefile import SpaceFile, leftovers, pick, spaces
from embreg._verify import Check, verify

__all__ = [
    "Check", "Freed", "SpaceFile", "export", "gc", "leftovers", "pick", "read_texts", "spaces", "verify",
]  # fmt: skip
