"""The tasks of the training family: data, what is varied, and what stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from embreg._task import stream
from embreg.making._descent import OPTIMIZERS, SCHEDULES
from embreg.making._nets import ACTIVATIONS, INITIALIZERS, NORMALIZATIONS, Data
from embreg.making.space import Parameter, Space, Value, category, flag, integer, real

__all__ = ["DEFAULTS", "SETTINGS", "Setting", "load"]

MOMENTUM = ("momentum", "nesterov", "adam", "adamw")
ADAPTIVE = ("rmsprop", "adam", "adamw")
DECAYING = SCHEDULES[1:]

RULES = (
    real("one_minus_momentum", 0.01, 0.3, log=True, optimizer=MOMENTUM),
    real("one_minus_beta2", 1e-3, 0.3, log=True, optimizer=ADAPTIVE),
)
RATES = (
    real("weight_decay", 1e-6, 1e-2, log=True),
    category("lr_schedule", *SCHEDULES),
    real("lr_decay_power", 0.3, 3.0, log=True, lr_schedule=("polynomial",)),
    real("lr_decay_steps_factor", 0.3, 1.0, lr_schedule=DECAYING),
    real("lr_end_factor", 1e-3, 1.0, log=True, lr_schedule=DECAYING),
)
DROPOUT, CLIP = real("dropout", 0.0, 0.5), real("grad_clip", 0.3, 30.0, log=True)
BATCH = integer("batch_size", 16, 128, log=True)
ACTIVATION = category("activation", *ACTIVATIONS)
SCALE = real("init_scale", 0.3, 3.0, log=True)
NORMALIZATION = category("normalization", *NORMALIZATIONS)

# Learning rates from 1e-5 to 10, as in the paper, leave a third of all rows at chance level.
REGRESSION = (
    category("optimizer", *OPTIMIZERS),
    real("learning_rate", 4e-3, 0.4, log=True),
    *RULES,
    real("epsilon", 1e-8, 1e-2, log=True, optimizer=(*ADAPTIVE, "adagrad")),
    *RATES,
    real("warmup_fraction", 0.0, 0.3),
    BATCH,
    ACTIVATION,
    category("initializer", *INITIALIZERS),
    SCALE,
    NORMALIZATION,
    integer("hidden_width", 8, 128, log=True),
    integer("num_layers", 1, 4),
    flag("residual", num_layers=(2, 3, 4)),
    DROPOUT,
    CLIP,
)
PERCEPTRON = (*REGRESSION, real("label_smoothing", 0.0, 0.2))
CONVOLUTION = (
    category("optimizer", *MOMENTUM, "rmsprop"),
    real("learning_rate", 4e-3, 0.2, log=True),
    *RULES,
    real("epsilon", 1e-8, 1e-2, log=True, optimizer=ADAPTIVE),
    *RATES,
    BATCH,
    ACTIVATION,
    SCALE,
    NORMALIZATION,
    integer("channels", 3, 16, log=True),
    integer("kernel_size", 2, 4),
    integer("num_layers", 1, 2),
    category("pooling", "max", "average"),
    DROPOUT,
    CLIP,
)
PAPER = (
    real("learning_rate", 2e-3, 0.3, log=True),
    real("one_minus_momentum", 0.01, 1.0, log=True),
    real("lr_decay_power", 0.1, 2.0),
    real("lr_decay_steps_factor", 0.1, 1.0),
)
"""The four of Init2Winit."""

DEFAULTS: dict[str, Value] = {
    "optimizer": "nesterov",
    "weight_decay": 0.0,
    "lr_schedule": "polynomial",
    "lr_end_factor": 0.01,
    "warmup_fraction": 0.0,
    "batch_size": 32,
    "epochs": 5,
    "activation": "relu",
    "initializer": "he_normal",
    "init_scale": 1.0,
    "normalization": "none",
    "hidden_width": 32,
    "channels": 8,
    "kernel_size": 3,
    "pooling": "max",
    "num_layers": 2,
    "residual": False,
    "dropout": 0.0,
    "label_smoothing": 0.0,
    "grad_clip": 5.0,
}
"""What a task that does not vary a parameter takes, unless its setting says otherwise."""


@dataclass(frozen=True)
class Setting:
    """One task.

    Parameters
    ----------
    about : str
        One sentence for the data card.
    measure : {"error", "loss"}
        Share of validation rows sorted wrongly, or the logarithm of the loss on them.
    parameters : tuple of Parameter
    source : str
        Data set of scikit-learn.
    rows : int
        To train on; the others validate.
    fixed : mapping
        Goes before `DEFAULTS`.
    image : bool
        Rows are 8 x 8 images for a convolutional net.
    wrong : float
        Share of training labels that are made wrong.
    rebuild : bool
        The target is the input.
    """

    about: str
    measure: Literal["error", "loss"]
    parameters: tuple[Parameter, ...]
    source: str = "digits"
    rows: int = 1200
    fixed: Mapping[str, Value] = field(default_factory=dict)
    image: bool = False
    wrong: float = 0.0
    rebuild: bool = False

    @property
    def space(self) -> Space:
        """The parameters as a space."""
        return Space(self.parameters)

    @property
    def data(self) -> Data:
        """The rows; loaded once in a process."""
        return load(self.source, self.rows, self.image, self.wrong, self.rebuild)


SETTINGS = {
    "digits_error": Setting("A perceptron learns to tell 1,200 digits apart.", "error", PERCEPTRON),
    "digits_loss": Setting("A perceptron learns to tell 1,200 digits apart.", "loss", PERCEPTRON),
    "digits_small": Setting(
        "A perceptron learns from 300 digits.", "error", PERCEPTRON, rows=300, fixed={"epochs": 15}
    ),
    "digits_noise": Setting(
        "A perceptron learns from 1,200 digits, a fifth of them wrongly labelled.",
        "error",
        PERCEPTRON,
        wrong=0.2,
    ),
    "digits_rebuild": Setting("An autoencoder learns from 1,200 digits.", "loss", REGRESSION, rebuild=True),
    "conv_error": Setting(
        "A convolutional net learns from 1,200 digits.",
        "error",
        CONVOLUTION,
        fixed={"epochs": 3},
        image=True,
    ),
    "cancer_loss": Setting(
        "A perceptron learns from 380 rows of breast_cancer.",
        "loss",
        PERCEPTRON,
        "breast_cancer",
        380,
        {"epochs": 10},
    ),
    "wine_loss": Setting(
        "A perceptron learns from 100 rows of wine.", "loss", PERCEPTRON, "wine", 100, {"epochs": 20}
    ),
    "diabetes_loss": Setting(
        "A perceptron learns a regression from 300 rows of diabetes.",
        "loss",
        REGRESSION,
        "diabetes",
        300,
        {"epochs": 15},
    ),
    "digits_schedule": Setting("A fixed perceptron learns from 1,200 digits.", "error", PAPER),
    "conv_schedule": Setting(
        "A fixed convolutional net learns from 1,200 digits.",
        "error",
        PAPER,
        fixed={"epochs": 3},
        image=True,
    ),
    "rebuild_schedule": Setting("A fixed autoencoder learns from 1,200 digits.", "loss", PAPER, rebuild=True),
    "diabetes_schedule": Setting(
        "A fixed perceptron learns a regression from 300 rows of diabetes.",
        "loss",
        PAPER,
        "diabetes",
        300,
        {"epochs": 15},
    ),
}


@lru_cache(maxsize=len(SETTINGS))
def load(source: str, rows: int, image: bool = False, wrong: float = 0.0, rebuild: bool = False) -> Data:
    """Load a data set of scikit-learn and cut it; arguments as in `Setting`.

    The order of rows depends on the data set alone, so that tasks with as many training rows validate alike.

    Examples
    --------
    >>> data = load("wine", 100)
    >>> tuple(data.x.shape), tuple(data.y_val.shape), data.outputs
    ((100, 13), (78,), 3)
    """
    import torch
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{source}")(return_X_y=True)
    rng = stream((0,), f"training/{source}")
    order = rng.permutation(len(x))
    x, y = x[order], y[order]
    if source == "digits":
        x = (x - x[:rows].mean()) / x[:rows].std()
    else:
        x = (x - x[:rows].mean(axis=0)) / x[:rows].std(axis=0)
    if rebuild:
        y = x
    elif source == "diabetes":
        y = ((y - y[:rows].mean()) / y[:rows].std())[:, None]
    outputs = y.shape[1] if y.ndim == 2 else int(y.max()) + 1
    if wrong:
        # Another class, never the right one by luck.
        odd = rng.random(rows) < wrong
        y[:rows][odd] = (y[:rows][odd] + rng.integers(1, outputs, int(odd.sum()))) % outputs
    if image:
        x = x.reshape(-1, 1, 8, 8)
    # Tensors of their own: how numpy's memory is aligned may differ, and with it the order of sums.
    inputs = torch.tensor(x, dtype=torch.float64, device="cpu")
    targets = torch.tensor(y, dtype=torch.int64 if y.ndim == 1 else torch.float64, device="cpu")
    return Data(
        inputs[:rows].clone(), targets[:rows].clone(), inputs[rows:].clone(), targets[rows:].clone(), outputs
    )
