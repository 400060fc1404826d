"""Colors, markers and lines that tell the groups of a figure apart."""

__all__ = ["COLORS", "LINES", "MARKERS"]

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Okabe and Ito's colors, told apart under every common color blindness."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", ":")  # the eighth group has the first one's color and marker
