"""Profiles: which notebooks run with which parameters (``notebooks/profiles.yml``).

A profile names notebooks; a notebook has one mapping of parameters, or a list of them for several runs::

    smoke:
      02_dimension_scaling: {}            # the notebook's own defaults
    offline:
      02_dimension_scaling:
        - {dofs: [5, 25], n_seeds: 3}     # the chapter
        - {run: shifted, shift: 4.0}      # a further run, 02_dimension_scaling--shifted

Parameters are checked against the cell tagged ``parameters`` of the notebook, all of them, before anything
runs: papermill itself lets a misspelt parameter pass with a line in the log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from embreg._parameters import (
    ProfileError,
    check_parameters,
    defaults_of,
    hint,
    overlay,
    parse_value,
    parse_yaml,
)

__all__ = [
    "ProfileError",
    "RunSpec",
    "defaults_of",
    "find_root",
    "load_profile",
    "parse_value",
    "profile_names",
    "select",
    "with_overrides",
]

PROFILES = Path("notebooks", "profiles.yml")
_RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class RunSpec:
    """One run of one notebook.

    Attributes
    ----------
    name : str
        Run name and output folder: the notebook's name, or ``notebook--run`` for further parameter sets.
    notebook : str
        Name of the notebook without ``.ipynb``.
    profile : str
        Profile the run belongs to.
    parameters : dict
        Every parameter of the notebook: its defaults, overlaid by the profile and the command line.
    suffix : str
        Text appended to the notebook's title, so that several runs of one notebook can be told apart.

    Examples
    --------
    >>> RunSpec("02_a--wide", "02_a", "smoke", {"dof": 5}).name
    '02_a--wide'
    """

    name: str
    notebook: str
    profile: str
    parameters: dict[str, Any] = field(default_factory=dict)
    suffix: str = ""


def find_root(start: str | Path | None = None) -> Path:
    """Folder of the project: the nearest one upwards that holds ``notebooks/profiles.yml``.

    Without one above `start` (default: the working folder) it is the checkout that an editable install
    points to.

    Raises
    ------
    ProfileError
        There is no project in sight.

    Examples
    --------
    >>> import tempfile
    >>> top = Path(tempfile.mkdtemp()).resolve()
    >>> (top / "notebooks").mkdir(); _ = (top / "notebooks" / "profiles.yml").write_text("smoke: {}")
    >>> find_root(top / "notebooks") == top
    True
    """
    here = Path(start or Path.cwd()).resolve()
    for folder in (here, *here.parents, Path(__file__).resolve().parent.parent):
        if (folder / PROFILES).is_file():
            return folder
    raise ProfileError(
        f"no {PROFILES.as_posix()} in {here} or above it; go to a clone of the project, or name it by --root"
    )


def _fail(problems: Sequence[str], path: Path | None = None) -> None:
    if problems:
        head = f"{path.as_posix()}: " if path else ""
        if len(problems) == 1:
            raise ProfileError(head + problems[0])
        raise ProfileError(head + f"{len(problems)} problems\n" + "\n".join(f"  - {p}" for p in problems))


def _read(root: Path) -> dict[str, Any]:
    try:
        content = parse_yaml((root / PROFILES).read_text(encoding="utf-8"))
    except OSError as error:
        raise ProfileError(f"{PROFILES.as_posix()} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ProfileError) as error:
        raise ProfileError(f"{PROFILES.as_posix()}: " + " ".join(str(error).split())) from error
    if not isinstance(content, dict):
        raise ProfileError(f"{PROFILES.as_posix()} must map profiles to notebooks; however: got {content!r}")
    return content


def profile_names(root: Path) -> list[str]:
    """Names of the profiles of a project, in the order of the file."""
    return [str(name) for name in _read(root)]


def load_profile(profile: str, root: Path) -> list[RunSpec]:
    """Runs of a profile, checked.

    Every profile of the file is checked, so that a slip in ``paper`` shows in the daily ``smoke``.

    Parameters
    ----------
    profile : str
        Name of a profile.
    root : Path
        Folder of the project (see `find_root`).

    Returns
    -------
    list of RunSpec
        In the order of the notebooks' names; the first run of a notebook is the book's chapter.

    Raises
    ------
    ProfileError
        With every problem of the file: unknown notebooks and parameters, values of the wrong type, notebooks
        without a ``parameters`` cell, two runs of one name.
    """
    content = _read(root)
    if profile not in content:
        raise ProfileError(
            f"unknown profile {profile!r}{hint(profile, content)}; there are: {', '.join(content)}"
        )
    problems: list[str] = []
    specs: dict[str, list[RunSpec]] = {}
    for name, notebooks in content.items():
        specs[name] = []
        if not isinstance(notebooks, dict | None):
            problems.append(f"{name}: must map notebooks to parameters; however: got {notebooks!r}")
            continue
        for notebook, sets in (notebooks or {}).items():  # in the file's order
            runs, found = _runs_of(str(name), str(notebook), sets, root)
            specs[name] += runs
            problems += found
    # One notebook in three profiles has one missing cell, not three.
    _fail(list(dict.fromkeys(problems)), PROFILES)
    return specs[profile]


def _runs_of(profile: str, notebook: str, sets: Any, root: Path) -> tuple[list[RunSpec], list[str]]:
    where = f"{profile} / {notebook}"
    folder = root / PROFILES.parent
    if not (folder / f"{notebook}.ipynb").is_file():
        known = [p.stem for p in folder.glob("*.ipynb")]
        return [], [f"{where}: no such notebook{hint(notebook, known)}"]
    try:
        defaults = defaults_of(folder / f"{notebook}.ipynb")
    except ProfileError as error:
        return [], [str(error)]
    sets = [sets] if isinstance(sets, dict | None) else sets
    if not isinstance(sets, list) or not sets or not all(isinstance(s, dict | None) for s in sets):
        return [], [f"{where}: must be a mapping of parameters or a list of them; however: got {sets!r}"]
    runs: list[RunSpec] = []
    problems: list[str] = []
    for one in sets:
        given = {str(k): v for k, v in (one or {}).items()}
        run = given.pop("run", None)
        if run is not None and not (isinstance(run, str) and _RUN_NAME.fullmatch(run) and "--" not in run):
            problems.append(
                f"{where}: a run's name is letters, digits, '-', '_' and '.'; however: got {run!r}"
            )
            run = None
        name = f"{notebook}--{run}" if run else notebook
        if name in [r.name for r in runs]:
            problems.append(f"{where}: two runs are named {name!r}; give each further one its own 'run: …'")
        problems += check_parameters(where, given, defaults)
        parameters = overlay(defaults, given) if not problems else defaults
        suffix = _suffix(run, parameters, runs[0].parameters) if runs and run else ""
        runs.append(RunSpec(name, notebook, profile, parameters, suffix))
    return runs, problems


def _suffix(run: str, parameters: Mapping[str, Any], chapter: Mapping[str, Any]) -> str:
    changed = {k: v for k, v in parameters.items() if v != chapter.get(k)}
    shown = "; ".join(
        f"{k} {', '.join(map(str, v)) if isinstance(v, list) else v}" for k, v in changed.items()
    )
    # A page title is read in a sidebar: long lists stay in the parameters cell.
    return f" ({run}: {shown})" if shown and len(shown) <= 60 else f" ({run})"


def select(specs: Sequence[RunSpec], names: Sequence[str]) -> list[RunSpec]:
    """Runs that `names` ask for; all of them when there are no names.

    A name is a run, a notebook (all its runs), a path of a notebook, or the start of one that fits a single
    notebook, such as ``02``.

    Raises
    ------
    ProfileError
        A name fits nothing, or several notebooks.

    Examples
    --------
    >>> runs = [RunSpec("02_a", "02_a", "smoke"), RunSpec("02_a--b", "02_a", "smoke")]
    >>> [r.name for r in select(runs, ["02"])], [r.name for r in select(runs, ["02_a--b"])]
    (['02_a', '02_a--b'], ['02_a--b'])
    """
    if not names:
        return list(specs)
    chosen: set[str] = set()
    problems = []
    for asked in names:
        name = Path(asked).name.removesuffix(".ipynb")
        fits = [s for s in specs if name == s.name and "--" in name] or [
            s for s in specs if name == s.notebook
        ]
        fits = fits or [s for s in specs if s.notebook.startswith(name)]
        notebooks = sorted({s.notebook for s in fits})
        if not fits:
            known = [*{s.name: 0 for s in specs}]
            problems.append(f"no run is named {asked!r}{hint(name, known)}; there are: {', '.join(known)}")
        elif len(notebooks) > 1:
            problems.append(f"{asked!r} fits several notebooks: {', '.join(notebooks)}")
        chosen.update(s.name for s in fits)
    _fail(problems)
    return [s for s in specs if s.name in chosen]


def with_overrides(
    specs: Sequence[RunSpec], given: Mapping[str, Any], root: Path, run: str | None = None
) -> list[RunSpec]:
    """Runs with parameters of the command line on top, checked like those of the file.

    Parameters
    ----------
    specs : sequence of RunSpec
        Chosen runs.
    given : mapping
        Parameter name to value.
    root : Path
        Folder of the project.
    run : str, optional
        Put the results beside the profile's own, as ``notebook--run``, instead of in their place. Of several
        runs of a notebook the first lends its parameters.

    Raises
    ------
    ProfileError
        A parameter that one of the notebooks does not have, a value of the wrong type, or a `run` that cannot
        be part of a folder's name.
    """
    if run is not None:
        if not _RUN_NAME.fullmatch(run) or "--" in run:
            raise ProfileError(f"a run's name is letters, digits, '-', '_' and '.'; however: got {run!r}")
        # One new name a notebook, so one set of parameters: the first chosen one, which is the chapter.
        specs = list({s.notebook: s for s in reversed(specs)}.values())[::-1]
    problems: list[str] = []
    done: list[RunSpec] = []
    for spec in specs:
        defaults = defaults_of(root / PROFILES.parent / f"{spec.notebook}.ipynb")
        problems += check_parameters(spec.notebook, given, defaults)
        new = replace(spec, parameters=overlay(spec.parameters, given) if not problems else {})
        if run is not None:
            suffix = _suffix(run, new.parameters, spec.parameters)
            new = replace(new, name=f"{spec.notebook}--{run}", suffix=suffix)
        done.append(new)
    _fail(list(dict.fromkeys(problems)))
    return done
