"""Parameters of a notebook: what its ``parameters`` cell declares, and whether given values fit it."""

from __future__ import annotations

import ast
import difflib
import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

__all__ = ["ProfileError", "check_parameters", "defaults_of", "hint", "overlay", "parse_value", "parse_yaml"]


class ProfileError(ValueError):
    """A profile, a parameter or a name is wrong; the text lists every problem found."""


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: ``1e-3`` is a number, and a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)  # type: ignore[no-untyped-call]
            if isinstance(key, str) and key in seen:
                raise ProfileError(f"line {key_node.start_mark.line + 1}: {key!r} is given twice")
            seen.add(key if isinstance(key, str) else repr(key))
        return super().construct_mapping(node, deep)


# YAML 1.1 wants a dot in a float, so "1e-3" would silently become a string.
_Loader.add_implicit_resolver(  # type: ignore[no-untyped-call]
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+0123456789.")
)


def parse_yaml(text: str) -> Any:
    """YAML read safely, with exponents as numbers and repeated keys refused."""
    return yaml.load(text, Loader=_Loader)


def parse_value(text: str) -> Any:
    """Value of ``-p key value`` read as YAML.

    Examples
    --------
    >>> parse_value("[5, 25]"), parse_value("1e-3"), parse_value("json"), parse_value("true")
    ([5, 25], 0.001, 'json', True)

    Raises
    ------
    ProfileError
        The text is not YAML.
    """
    try:
        return parse_yaml(text)
    except yaml.YAMLError as error:
        raise ProfileError(
            f"a value must be YAML, such as 3, [5, 25] or json; however: got {text!r}"
        ) from error


def defaults_of(notebook: str | Path) -> dict[str, Any]:
    """Parameters of a notebook and their defaults, from its one cell tagged ``parameters``.

    Parameters
    ----------
    notebook : str or Path
        An ``.ipynb`` file.

    Returns
    -------
    dict
        Name to value, in the order of the cell.

    Raises
    ------
    ProfileError
        The file is no notebook, has no such cell or several, or the cell holds more than assignments of
        literals: nothing else could be known without running it.

    Examples
    --------
    >>> import tempfile
    >>> cell = {"metadata": {"tags": ["parameters"]}, "source": ["dofs = [5]", chr(10), "n: int = 40"]}
    >>> path = Path(tempfile.mkdtemp()) / "a.ipynb"
    >>> _ = path.write_text(json.dumps({"cells": [cell]}))
    >>> defaults_of(path)
    {'dofs': [5], 'n': 40}
    """
    path = Path(notebook)
    stat = path.stat()
    return dict(_defaults(path, stat.st_mtime_ns, stat.st_size))


@lru_cache(maxsize=256)
def _defaults(path: Path, _mtime: int, _size: int) -> dict[str, Any]:
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (ValueError, KeyError, TypeError) as error:
        raise ProfileError(f"{path.name} is not a notebook ({type(error).__name__}: {error})") from error
    tagged = [c for c in cells if "parameters" in c.get("metadata", {}).get("tags", [])]
    if len(tagged) != 1:
        raise ProfileError(
            f"{path.name} needs exactly one cell tagged 'parameters'; however: {len(tagged)} found"
        )
    try:
        body = ast.parse("".join(tagged[0]["source"])).body
    except SyntaxError as error:
        raise ProfileError(f"{path.name}: the parameters cell is no Python: {error.msg}") from error
    found: dict[str, Any] = {}
    for node in body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            target, value = node.target, node.value
        else:
            raise ProfileError(f"{path.name}: the parameters cell may hold assignments only; however: "
                               f"{ast.unparse(node)!r}")  # fmt: skip
        try:
            if not isinstance(target, ast.Name):
                raise ValueError
            found[target.id] = ast.literal_eval(value)
        except ValueError:
            raise ProfileError(f"{path.name}: a parameter's default must be a literal; however: "
                               f"{ast.unparse(node)!r}") from None  # fmt: skip
    return found


def _kind(value: Any) -> str:
    """Kind of value a user thinks of: an int is a number, a tuple is a list."""
    if isinstance(value, bool) or value is None:
        return {None: "null", True: "bool", False: "bool"}[value]
    for kind, types in {
        "number": (int, float),
        "text": (str,),
        "list": (list, tuple),
        "mapping": (dict,),
    }.items():
        if isinstance(value, types):
            return kind
    return type(value).__name__


def _type_problem(default: Any, value: Any) -> str | None:
    if default is None or value is None:
        return None  # null means "not set": any type can take its place
    want, got = _kind(default), _kind(value)
    if want != got:
        return f"must be a {want} like {default!r}; however: got the {got} {value!r}"
    if isinstance(default, int) and isinstance(value, float) and not value.is_integer():
        return f"must be a whole number like {default!r}; however: got {value!r}"
    if want == "list" and default:
        kinds = {_kind(v) for v in default}
        for item in value:
            if item is not None and not kinds & {_kind(item), "null"}:
                return f"must be a list like {default!r}; however: it holds the {_kind(item)} {item!r}"
    return None


def check_parameters(where: str, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[str]:
    """Problems of the parameters `given`, each starting with `where`; an empty list is good news."""
    problems = []
    for name, value in given.items():
        if name not in defaults:
            known = ", ".join(defaults) or "none"
            problems.append(f"{where}: unknown parameter {name!r}{hint(name, defaults)}; it has: {known}")
        elif problem := _type_problem(defaults[name], value):
            problems.append(f"{where}: {name} {problem}")
    return problems


def overlay(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Put checked parameters over the defaults; numbers take the default's type.

    Examples
    --------
    >>> overlay({"n": 40, "rate": 0.5}, {"n": 1e3, "rate": 1})
    {'n': 1000, 'rate': 1.0}
    """
    merged = dict(defaults)
    for name, value in given.items():
        default = defaults.get(name)
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (default, value))
        merged[name] = type(default)(value) if default is not None and numbers else value
    return merged


def hint(name: str, known: Iterable[str]) -> str:
    """Text such as `` (did you mean 'dofs'?)``, or nothing when no known name is near."""
    near = difflib.get_close_matches(str(name), list(known), 1, 0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""
