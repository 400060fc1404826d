"""The grids behind the family ``hpo_tables``, in the order of the tables' keys, and the tables' digests."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from embreg.making.space import Parameter, Value, category, integer, real

__all__ = ["GRIDS", "TABLES", "Grid"]

_OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
_UNITS = (16, 32, 64, 128, 256, 512)


@dataclass(frozen=True)
class Grid:
    """A search space of which every point was measured.

    Parameters
    ----------
    metric : str
        The tables' main metric.
    values : mapping of str to tuple
        Values of each parameter, from the lowest. A point has one place: the last parameter changes first.
    log : frozenset of str
        Parameters whose values are evenly spaced on a logarithmic scale.

    Examples
    --------
    >>> grid = Grid("loss", {"lr": (0.01, 0.1), "act": ("relu", "tanh", "elu")})
    >>> len(grid), grid.point(4), grid.place({"lr": 0.01, "act": "tanh"})
    (6, {'lr': 0.1, 'act': 'tanh'}, 1)
    """

    metric: str
    values: Mapping[str, tuple[float | int | str, ...]]
    log: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return math.prod(map(len, self.values.values()))

    def parameter(self, name: str) -> Parameter:
        """Return one parameter as the other families write it: a number has limits, and no word of a grid."""
        values = self.values[name]
        if isinstance(values[0], str):
            return category(name, *map(str, values))
        low, high, log = float(values[0]), float(values[-1]), name in self.log
        if isinstance(values[0], int):
            return integer(name, int(low), int(high), log=log)
        return real(name, low, high, log=log)

    def point(self, place: int) -> dict[str, Value]:
        """Return the point at a place, from 0 to ``len(grid) - 1``."""
        row: dict[str, Value] = {}
        for name in reversed(list(self.values)):
            place, digit = divmod(place, len(self.values[name]))
            row[name] = self.values[name][digit]
        return {name: row[name] for name in self.values}

    def place(self, row: Mapping[str, Value]) -> int:
        """Return the place of a point, or raise ValueError for a value that is not on the grid."""
        place = 0
        for name, values in self.values.items():
            value = row.get(name)
            if value is None or value not in values:
                raise ValueError(
                    f"{name} must be one of {values}, however: got {value!r}. Nothing was measured between "
                    "the points of the grid; take rows from draw()"
                )
            place = place * len(values) + values.index(value)
        return place


GRIDS = {
    "hpobench": Grid(
        "val_acc",
        {
            "alpha": (
                *(1e-08, 7.742637e-08, 5.994842e-07, 4.641589e-06, 3.5938137e-05),
                *(0.00027825593, 0.0021544348, 0.016681006, 0.12915497, 1.0),
            ),
            "batch_size": (4, 6, 10, 16, 25, 40, 64, 101, 161, 256),
            "depth": (1, 2, 3),
            "learning_rate_init": (
                *(1e-05, 3.5938137e-05, 0.00012915497, 0.0004641589, 0.0016681006),
                *(0.0059948424, 0.021544347, 0.07742637, 0.27825594, 1.0),
            ),
            "width": (16, 25, 40, 64, 101, 161, 256, 406, 645, 1024),
        },
        frozenset({"alpha", "batch_size", "learning_rate_init", "width"}),
    ),
    "hpolib": Grid(
        "val_loss",
        {
            "activation_fn_1": ("relu", "tanh"),
            "activation_fn_2": ("relu", "tanh"),
            "batch_size": (8, 16, 32, 64),
            "dropout_1": (0.0, 0.3, 0.6),
            "dropout_2": (0.0, 0.3, 0.6),
            "init_lr": (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1),
            "lr_schedule": ("cosine", "const"),
            "n_units_1": _UNITS,
            "n_units_2": _UNITS,
        },
        frozenset({"batch_size", "init_lr", "n_units_1", "n_units_2"}),
    ),
    "nasbench201": Grid("val_acc", {f"Op{i}": _OPERATIONS for i in range(6)}),
}
"""Name to grid."""

TABLES = {
    "hpobench_australian": "9e218898ba8a937f405a25c7b333342b5152bd14ad173218aeae8f2334de1b91",
    "hpobench_blood_transfusion": "47596acae26fca5803ddb049b02a8dec0c9d999f5618a67f3fe3bc0c24dfad4c",
    "hpobench_car": "6c348ed056869f8dcc991b498f758e043435eb9ece5b9872940a365fc7940819",
    "hpobench_credit_g": "97cf95dbead6c11004469e3bc3ee7396ce29b088128b6d3a031d4a9d0318494d",
    "hpobench_kc1": "c682823ca58c308f2c0ac64430dda6941bbccc6a55c6abccdacbd62a811bb3d9",
    "hpobench_phoneme": "2e8b9cb0a2726968dd185a4824f14c288c5625a281438550b0d4a46ba2549302",
    "hpobench_segment": "a6db9d0fbf921a1cda604c376282465f683c8c7a6467eff12aa73260f62a83b5",
    "hpobench_vehicle": "12cf1793f7860457bf3da149aa3a5b69c9c8e2872181f44162e9858590f35992",
    "hpolib_naval_propulsion": "4d10de47056702a57cf8c0cef19088c1ce830a8eba9175ea5983aa5785256fe4",
    "hpolib_parkinsons_telemonitoring": "7299fbec18a74f27f3af5355b633cf9854f34ca0569a4fd85fa13d470e722b9d",
    "hpolib_protein_structure": "583e6b45d18d1cd38dc2d823f3567724d92e451694fe82c5c89f80790a5ec620",
    "hpolib_slice_localization": "9b454266def7d64d38138def520c39017513e748c0ba73be51e9925000332ff1",
    "nasbench201_cifar10": "2f6f8dcb4c6c8d12e33a8202cec38bcef7614ae04bd233c81e3726e4d20eba11",
    "nasbench201_cifar100": "a038736ae0f19bf169df58632f3d2941102270818931a0034f280eb52b8893b2",
    "nasbench201_imagenet": "59ac8d52a62a66d3df0fab19f7569d71fb2a1aa246eac811d56d550143a970b8",
}
"""Task name, whose first part names its grid, to the SHA-256 of its table."""
