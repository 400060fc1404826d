"""The one command that makes a recorded run again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embreg._parameters import parse_value
from embreg.profiles import ProfileError, RunSpec, load_profile

__all__ = ["command_of"]


def command_of(made: Mapping[str, Any], root: str | Path) -> str:
    """Command that makes a run again, with what differs from its profile spelled out.

    Parameters
    ----------
    made : mapping
        The run, as in ``run.json``: ``run``, ``notebook``, ``profile``, ``parameters``.
    root : str or Path
        Folder of the project.

    Returns
    -------
    str
        For a shell, quoted. A parameter that the notebook no longer has is left out: only the commit of the
        run has it.

    Examples
    --------
    >>> import tempfile
    >>> top = Path(tempfile.mkdtemp())
    >>> cell = {"metadata": {"tags": ["parameters"]}, "source": "dofs = [5]"}
    >>> (top / "notebooks").mkdir()
    >>> _ = (top / "notebooks" / "02_x.ipynb").write_text(json.dumps({"cells": [cell]}))
    >>> _ = (top / "notebooks" / "profiles.yml").write_text("smoke: {02_x: {}}")
    >>> made = {"run": "02_x--wide", "notebook": "02_x", "profile": "smoke", "parameters": {"dofs": [5, 9]}}
    >>> print(command_of(made, top))
    embreg run 02_x --profile smoke -p dofs '[5, 9]' --as wide
    """
    name, notebook, profile = str(made["run"]), str(made["notebook"]), str(made["profile"])
    try:
        specs = load_profile(profile, Path(root))
    except ProfileError:
        specs = []
    specs = [spec for spec in specs if spec.notebook == notebook]
    if not specs:
        # A committed notebook that no profile runs: it has its defaults.
        return shlex.join(["embreg", "notebooks", notebook, "--force"])
    own = next((spec for spec in specs if spec.name == name), None)
    # With --as, the notebook's first run lends its parameters.
    words = ["embreg", "run", name if own else notebook, "--profile", profile]
    for key, value in _differences(own or specs[0], made["parameters"]).items():
        words += ["-p", key, _written(value)]
    return shlex.join(words if own else [*words, "--as", name.partition("--")[2]])


def _differences(spec: RunSpec, parameters: Mapping[str, Any]) -> dict[str, Any]:
    base = json.loads(json.dumps(spec.parameters))
    return {k: v for k, v in parameters.items() if k in base and base[k] != v}


def _written(value: Any) -> str:
    """Value as YAML that ``-p`` reads back: JSON is, and plain words need no quotes."""
    plain = isinstance(value, str) and value == value.strip() and value[:1] not in ("", "-")
    try:
        if plain and parse_value(value) == value:
            return str(value)
    except ProfileError:
        pass
    return json.dumps(value, ensure_ascii=False)
