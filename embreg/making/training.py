"""Small networks trained under random optimisers, schedules and initialisations (for Init2Winit)."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from embreg._task import stream, whole
from embreg.making._nets import one_thread, train
from embreg.making._training_tasks import DEFAULTS, SETTINGS
from embreg.making.family import Family, Infeasible, MissingTool, TaskSpec
from embreg.making.space import Space, Value

__all__ = ["FAMILY", "Training"]


def _spec(name: str) -> TaskSpec:
    setting = SETTINGS[name]
    if setting.measure == "error":
        return TaskSpec(name, setting.about, "share of validation rows sorted wrongly", "1", "min")
    regression = setting.rebuild or setting.source == "diabetes"
    loss = "mean squared error of standardised targets" if regression else "cross-entropy"
    return TaskSpec(name, setting.about, f"logarithm of the {loss} on validation rows", "log", "min")


class Training(Family):
    """The training family.

    Examples
    --------
    >>> row = FAMILY.draw("diabetes_schedule", 0)
    >>> list(row)
    ['learning_rate', 'one_minus_momentum', 'lr_decay_power', 'lr_decay_steps_factor']
    >>> FAMILY.measure("diabetes_schedule", row) == FAMILY.measure("diabetes_schedule", row)
    True
    """

    name = "training"
    stands_for = "Init2Winit"
    title = "Training small networks"
    what_ran = (
        "Perceptrons and convolutional nets written with torch, in float64 on one processor core, on the "
        "data sets that scikit-learn brings (digits, breast_cancer, wine, diabetes). A row is one training "
        "run; y is measured at its end, on rows that were not trained on."
    )
    licence = "the measurements: that of this package; the data sets inside scikit-learn: BSD-3-Clause"
    noise = (
        "Initial weights, order of batches and dropout: each row and each repeat has its own seed. Training "
        "rows, validation rows and the wrong labels of digits_noise are part of the task and stay."
    )
    flaws = (
        "A row repeats to the last bit on one machine with one version of torch. Elsewhere it may not: "
        "sums are taken in another order, and training at a high learning rate is chaotic. Computed in "
        "float64 for this reason: with torch held to older instructions on the machine that measured "
        "(AVX2; SSE alone), of 156 rows nine, or seven, in ten kept every bit, and 99 % moved by less "
        "than a thousandth of the standard deviation of y; one moved by a third of it. In float32, 3 % "
        "and 5 % of the rows moved by more than a tenth. No tolerance holds for every row, so it is 0, "
        "for the machine and the versions of this card; equal entries under cpu are no promise, as "
        "processors of different makers with the same instructions may sum differently.",
        "Networks, images (8 x 8) and training are tiny beside those of the paper. Learning rates are "
        "narrower, from a trial in which a third of the rows stayed at chance level; a tenth or so "
        "still do, more with convolutions.",
        "y is skewed: in tasks of errors many rows are close to the best, in those of losses a few "
        "diverge far above the rest. Errors are multiples of one validation row (1/597; 1/1497 for "
        "digits_small), so some rows tie.",
        "The digits tasks share one data set, and their validation rows overlap: they are no "
        "independent samples of tasks.",
    )
    specs = tuple(_spec(name) for name in SETTINGS)

    def space(self, task: str) -> Space:
        """Parameters of a task."""
        return SETTINGS[self.spec(task).name].space

    def require(self) -> None:
        """Raise `MissingTool` where torch or scikit-learn is not installed."""
        for module, package in (("torch", "torch"), ("sklearn", "scikit-learn")):
            if not _here(module):
                raise MissingTool(
                    f"the training family needs {package}, which is not installed: pip install {package}"
                )

    def versions(self) -> dict[str, str]:
        """Versions of torch, numpy, scikit-learn and Python, and the instructions that torch uses here."""
        import numpy
        import sklearn
        import torch

        return {
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            "scikit-learn": sklearn.__version__,
            "python": platform.python_version(),
            "cpu": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        }

    def measure(self, task: str, row: dict[str, Value], repeat: int = 0) -> float:
        """Train once; `repeat` changes initial weights, order of batches and dropout.

        Raises
        ------
        ValueError
            A row that lacks a parameter of the task or has another one, or a repeat below 0.
        Infeasible
            The outputs are not finite.
        """
        setting = SETTINGS[self.spec(task).name]
        told = _plain(setting.space, row)
        key = json.dumps(told, sort_keys=True)
        rng = stream((whole("repeat", repeat, 0),), f"{self.name}/{task}/{key}")
        with one_thread():
            output = train(setting.data, DEFAULTS | dict(setting.fixed) | told, rng)
            return _judge(output, setting.data, setting.measure)


def _here(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _plain(space: Space, row: Mapping[str, Value]) -> dict[str, Any]:
    """Active parameters as Python's own numbers: a row from a table gets the seed of the drawn one."""
    if set(row) != set(space.names):
        raise ValueError(
            f"a row must hold {', '.join(space.names)}, however: got {', '.join(map(str, row))}. "
            "Rows of a task come from draw."
        )
    kinds: dict[str, Any] = {"real": float, "integer": int, "category": str, "flag": bool}
    return {p.name: kinds[p.kind](row[p.name]) for p in space.parameters if row[p.name] is not None}


def _judge(output: Any, data: Any, measure: str) -> float:
    import torch
    from torch.nn import functional as F

    if not bool(output.isfinite().all()):
        raise Infeasible("training diverged: outputs are not finite")
    if measure == "error":
        return float((output.argmax(1) != data.y_val).double().mean())
    loss = F.cross_entropy(output, data.y_val) if data.classes else F.mse_loss(output, data.y_val.double())
    if not 0 < float(loss) < float("inf"):
        raise Infeasible(f"the logarithm of a loss of {float(loss)} is not finite")
    return float(torch.log(loss))


FAMILY = Training()
