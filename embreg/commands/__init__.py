"""The commands of ``embreg`` that have a module of their own; `embreg.cli` holds the rest."""
