"""What a whole store holds: list its spaces, verify them, make room, export them.

`embreg.store` reads and writes the rows of one space; ``embreg store`` is this module as a command.
"""

from __future__ import annotations

from embreg.storage.checks import Check, verify
from embreg.storage.cleaning import Freed, gc
from embreg.storage.exporting import export, read_texts
from embreg.storage.spacefile import SpaceFile, leftovers, pick, spaces

__all__ = [
    "Check", "Freed", "SpaceFile", "export", "gc", "leftovers", "pick", "read_texts", "spaces", "verify",
]  # fmt: skip
