"""embreg: a reproducible companion to "Understanding LLM Embeddings for Regression".

Data flows one way: rows -> strings -> embeddings -> head -> metrics -> records.

Names are loaded on first use, so that ``import embreg`` stays fast and never imports torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

_EXPORTS = {
    "serialize": "serialize",
    "TabularFeatures": "features",
    "TextEmbedder": "embedder",
    "MLPHead": "head",
    "kendall_tau": "metrics",
    "pearson": "metrics",
    "mse": "metrics",
    "mae": "metrics",
    "r2": "metrics",
    "nlfd": "lipschitz",
    "smoothness_gap": "lipschitz",
}
_MODULES = ("experiment", "metrics", "models", "pooling", "plots", "records", "stats", "tasks")

__all__ = [
    "MLPHead",
    "TabularFeatures",
    "TextEmbedder",
    "__version__",
    "kendall_tau",
    "mae",
    "metrics",
    "models",
    "mse",
    "nlfd",
    "pearson",
    "pooling",
    "r2",
    "serialize",
    "smoothness_gap",
    "tasks",
]

if TYPE_CHECKING:
    from embreg import metrics, models, pooling, tasks
    from embreg.embedder import TextEmbedder
    from embreg.features import TabularFeatures
    from embreg.head import MLPHead
    from embreg.lipschitz import nlfd, smoothness_gap
    from embreg.metrics import kendall_tau, mae, mse, pearson, r2
    from embreg.serialize import serialize


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        value = getattr(import_module(f"embreg.{_EXPORTS[name]}"), name)
        # `import embreg.serialize` binds the submodule to this name; the function must win.
        globals()[name] = value
        return value
    if name in _MODULES:
        return import_module(f"embreg.{name}")
    raise AttributeError(f"module 'embreg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_EXPORTS, *_MODULES})
