"""embreg: a reproducible companion to "Understanding LLM Embeddings for Regression".

Data flows one way: rows -> strings -> embeddings -> head -> metrics -> records.

Names are loaded on first use, so that ``import embreg`` stays fast and never imports torch.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

_EXPORTS = {
    "Advice": "advice",
    "advise": "advice",
    "serialize": "serialize",
    "TabularFeatures": "features",
    "TextEmbedder": "embedder",
    "use_workers": "engine.workers",
    "MLPHead": "head",
    "ConformalRegressor": "conformal",
    "save": "saving",
    "load": "saving",
    "kendall_tau": "metrics",
    "pearson": "metrics",
    "mse": "metrics",
    "mae": "metrics",
    "r2": "metrics",
    "nlfd": "lipschitz",
    "smoothness_gap": "lipschitz",
}
_MODULES = (
    "advice", "baselines", "calibration", "checking", "cluster", "comparison", "conformal", "controls",
    "effective", "experiment", "families", "findings", "geometry", "ladders", "latency", "lipschitz",
    "metrics", "models", "pareto", "plots", "pooling", "power", "records", "reference", "representation",
    "saving", "scaling", "service", "smoothness", "stats", "symmetry", "tables", "tasks",
)  # fmt: skip

__all__ = [
    "Advice",
    "ConformalRegressor",
    "MLPHead",
    "TabularFeatures",
    "TextEmbedder",
    "__version__",
    "advise",
    "cluster",
    "kendall_tau",
    "load",
    "mae",
    "metrics",
    "models",
    "mse",
    "nlfd",
    "pearson",
    "pooling",
    "r2",
    "save",
    "serialize",
    "smoothness_gap",
    "tasks",
    "use_workers",
]

if TYPE_CHECKING:
    from embreg import cluster, metrics, models, pooling, tasks
    from embreg.advice import Advice, advise
    from embreg.conformal import ConformalRegressor
    from embreg.embedder import TextEmbedder
    from embreg.engine.workers import use_workers
    from embreg.features import TabularFeatures
    from embreg.head import MLPHead
    from embreg.lipschitz import nlfd, smoothness_gap
    from embreg.metrics import kendall_tau, mae, mse, pearson, r2
    from embreg.saving import load, save
    from embreg.serialize import serialize


class _Package(ModuleType):
    """Type of this package: its functions win over submodules of the same name.

    Python binds every imported submodule to its name in the package: without this, `embreg.serialize`
    would be the function or the module, depending on what was imported before.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if _EXPORTS.get(name) == name and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        value = getattr(import_module(f"embreg.{_EXPORTS[name]}"), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return import_module(f"embreg.{name}")
    raise AttributeError(f"module 'embreg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_EXPORTS, *_MODULES})
