"""What a run embeds, by the parameter names that the notebooks share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import product
from typing import Any

__all__ = ["Part", "parts_of", "written"]


@dataclass(frozen=True)
class Part:
    """Rows of one kind that one model reads; equal parts of several runs are embedded once.

    Attributes
    ----------
    model : str
        As `TextEmbedder` takes it.
    format : str
        Style of its strings, and behind a colon the way of writing numbers when it is not the usual one.
    dof : int
        Coordinates of a point; 0 for the rows of a measured task.
    rows, times : int
        Rows of one seed, and seeds; of a measured task rows, and formats of each.
    weights : {"pretrained", "random"}
    draw : int
        Which random weights.
    dtype : str
        Precision, where a run reads its models in several; empty for the usual one.
    poolings : tuple of str
    layers : tuple of int
        What is kept of each row beside the last layer, which always is. A model leaves out what it lacks.
    table : str
        Digest of a measured task's rows, empty for points: tasks that share them are embedded once.
    task : str
        Name of a measured task.
    """

    model: str
    format: str
    dof: int
    rows: int
    times: int
    weights: str = "pretrained"
    draw: int = 0
    dtype: str = ""
    poolings: tuple[str, ...] = ("mean",)
    layers: tuple[int, ...] = ()
    table: str = ""
    task: str = field(default="", compare=False)

    @property
    def total(self) -> int:
        """Strings of all seeds and formats."""
        return self.rows * self.times

    @property
    def kind(self) -> Part:
        """What two parts have in common when the larger one holds the rows of the smaller.

        The first rows of a table are part of more of them; points of another number are other points.
        """
        return replace(self, rows=0 if self.table else self.rows, times=0, poolings=(), layers=())


def parts_of(parameters: Mapping[str, Any]) -> list[Part]:
    """Rows that a run with these parameters embeds; none where its parameters tell of none.

    Parameters
    ----------
    parameters : mapping
        See `embreg.plan.plan`.

    Examples
    --------
    >>> [(p.dof, p.total) for p in parts_of({"model": "m", "dofs": [5, 9], "n": 100, "n_seeds": 3})]
    [(5, 300), (9, 300)]
    """
    models = [str(m) for m in several(parameters, "models", "model")]
    found = [*_points(parameters, models), *_measured(parameters, models), *_balls(parameters, models),
             *_one_table(parameters, models)]  # fmt: skip
    random = [
        replace(part, weights="random", draw=draw)
        for part in found
        for draw in range(int(parameters.get("random_seeds") or 0))
        if part.weights == "pretrained" and not part.model.startswith("service:")
    ]
    poolings = tuple(map(str, several(parameters, "poolings"))) or ("mean",)
    layers = tuple(map(int, several(parameters, "layers")))
    dtypes = tuple(map(str, several(parameters, "dtypes"))) or ("",)
    return [
        replace(part, poolings=poolings, layers=layers, dtype=dtype)
        for part in (*found, *random)
        for dtype in dtypes
    ]


def _points(parameters: Mapping[str, Any], models: Sequence[str]) -> Iterator[Part]:
    """Points of benchmark functions: other ones for each seed, the same for all functions."""
    dofs = [int(d) for d in several(parameters, "dofs", "dof")]
    sizes = several(parameters, "n_samples", "n", "n_points", "sizes")
    if not (dofs and sizes):
        return
    seeds = (
        int(parameters["n_seeds"]) if "n_seeds" in parameters else len(several(parameters, "seeds", "seed"))
    )
    rows = max(map(int, sizes)) + int(parameters.get("n_test") or 0)
    read = [(m, "pretrained") for m in models]
    read += [(str(m), "random") for m in several(parameters, "random_models")]
    styles = [str(s) for s in several(parameters, "styles", "style")] or ["json"]
    for (model, weights), dof, style in product(read, dofs, styles):
        yield Part(*written(model, style), dof, rows, max(seeds, 1), weights)


def _measured(parameters: Mapping[str, Any], models: Sequence[str]) -> Iterator[Part]:
    """Measured tasks: their rows are the same for every seed, and their strings differ by format."""
    from embreg.families import card

    sizes = several(parameters, "task_rows") or several(parameters, "n_samples", "n", "n_points", "sizes")
    limit = int(parameters.get("tasks_per_family") or 0) or None
    names = [str(name) for name in several(parameters, "tasks")]
    names += [f"{family}/{task}" for family in several(parameters, "families")
              for task in list(card(str(family))["tasks"])[:limit]]  # fmt: skip
    if not (names and sizes):
        return
    n, formats = max(map(int, sizes)), max(len(several(parameters, "formats")), 1)
    for name, model in product(names, [str(m) for m in several(parameters, "task_models")] or models):
        family, _, task = name.partition("/")
        if family == "bbob":
            dof = int(parameters.get("bbob_dof") or max(map(int, several(parameters, "dofs", "dof"))))
            points = n * int(parameters.get("n_seeds") or 1)
            yield Part(*written(model), dof, points, formats)
        else:
            table = _digest(name)  # an unknown task is answered there
            rows = min(n, card(family)["tasks"][task]["n"])
            yield Part(*written(model), 0, rows, formats, table=table, task=name)


def _balls(parameters: Mapping[str, Any], models: Sequence[str]) -> Iterator[Part]:
    """Points of balls around a reference, which is one more."""
    if "ball_dof" not in parameters:
        return
    rows = 1 + len(several(parameters, "radii")) * int(parameters["n_per_ball"])
    for model in models:
        yield Part(*written(model), int(parameters["ball_dof"]), rows, int(parameters["n_seeds"]))


def _one_table(parameters: Mapping[str, Any], models: Sequence[str]) -> Iterator[Part]:
    """Rows of one table, and its free text once more, which is shorter than a row."""
    data = str(parameters.get("data") or "")
    if not data or parameters.get("saved"):
        return
    from embreg.planning.rows import free_text, rows_of

    n, table, most = 0, rows_of(data), int(parameters.get("n_samples") or 0)
    for model in models:
        form = written(model, "json:s")
        if table is None:  # not on this machine yet: of the usual size
            yield Part(*form, 20, most or 1000, 1)
            continue
        n = min(most or len(table), len(table))
        yield Part(*form, 0, n, 1 + free_text(data), table=_digest(data), task=data)


def written(model: str, style: str = "json") -> tuple[str, str]:
    """Model, and format, of what notebooks write in one.

    Examples
    --------
    >>> written("all-MiniLM-L6-v2:values:2"), written("service:ollama/nomic", "pairs")
    (('all-MiniLM-L6-v2', 'values:2'), ('service:ollama/nomic', 'pairs'))
    """
    from embreg.representation import Representation

    try:
        name = str(Representation.of(model).model)
    except ValueError:  # the notebook's own word for a format, such as "auto"
        return model.split(":")[0], style
    return name, model[len(name) + 1 :] or style


@lru_cache(maxsize=256)
def _digest(task: str) -> str:
    from embreg.planning.rows import rows_of

    rows = rows_of(task)
    text = "" if rows is None else rows.to_csv(index=False)
    return hashlib.sha256(text.encode()).hexdigest()


def several(parameters: Mapping[str, Any], *names: str) -> list[Any]:
    """Values of the first of these parameters that there is, as a list."""
    for name in names:
        value = parameters.get(name)
        if value is not None:
            return list(value) if isinstance(value, list | tuple) else [value]
    return []
