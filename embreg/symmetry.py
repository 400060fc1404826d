"""How symmetric a function is in its coordinates: what mean pooling could live on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from embreg.experiment import Suite

__all__ = ["symmetry"]


def symmetry(suite: Suite, *, dof: int, seed: int = 0, n_samples: int = 500) -> pd.DataFrame:
    """Kendall's τ between f(x) and f of the same numbers in another order.

    1: only which numbers occur matters, not where, as for Sphere. 0: the order is all that matters. A
    representation that forgets which coordinate a number belongs to can rank the points no better than
    this allows.

    Parameters
    ----------
    suite : Suite
        Of variant ``"paper"``.
    dof : int
    seed : int
        Of the points, of the shift, and of the orders, which differ from point to point.
    n_samples : int

    Returns
    -------
    DataFrame
        ``suite, variant, shift, task, dof, seed, symmetry``, a row per function.

    Raises
    ------
    ValueError
        Another variant: its functions cannot be evaluated at points of one's own.

    Examples
    --------
    >>> from embreg.experiment import Suite
    >>> symmetry(Suite(functions=("Sphere", "LinearSlope")), dof=5).symmetry.round(1).tolist()
    [1.0, 0.4]
    """
    from embreg import bbob
    from embreg._task import stream
    from embreg.metrics import kendall_tau
    from embreg.tasks import bbob_shift

    if suite.variant != "paper":
        raise ValueError(f"symmetry is measured on variant 'paper', however: got {suite.variant!r}")
    names, rows, Y = suite.targets(dof, n_samples, seed)
    other = stream((dof, seed), "orders of coordinates").permuted(rows.to_numpy(), axis=1)
    out = []
    for t, name in enumerate(names):
        moved = bbob.evaluate(name, other - bbob_shift(name, dof, seed=seed, shift=suite.shift))
        constant = np.ptp(moved) == 0 or np.ptp(Y[:, t]) == 0
        out.append({"suite": suite.label, "variant": suite.variant, "shift": suite.shift, "task": name,
                    "dof": dof, "seed": seed,
                    "symmetry": 0.0 if constant else kendall_tau(Y[:, t], moved)})  # fmt: skip
    return pd.DataFrame(out)
