"""What `embreg.making.automl` draws: the parameters of a pipeline, and which are active when."""

from __future__ import annotations

from typing import Literal, NamedTuple

from embreg.making.space import Space, category, flag, integer, real

__all__ = ["BOOSTED", "TREES", "Kind", "Limits", "pipeline_space"]

Kind = Literal["classes", "number"]

_FOREST, TREES = ("forest", "extra_trees"), ("forest", "extra_trees", "tree")
BOOSTED = ("hist_gbdt", "lightgbm")
_MODELS = (*TREES, *BOOSTED, "linear", "svm", "knn", "mlp")
# Not hist_gbdt: with weights, scikit-learn 1.9 takes seconds to cut a column into bins.
_WEIGHTED = (*TREES, "lightgbm", "linear", "svm")


class Limits(NamedTuple):
    """How large a model may get, so that a row takes seconds at most.

    Parameters
    ----------
    trees, rounds, iterations, hidden, neighbors, min_leaf : int
        Highest values of the parameters of these names.
    """

    trees: int
    rounds: int
    iterations: int
    hidden: int
    neighbors: int
    min_leaf: int


def pipeline_space(kind: Kind, limits: Limits) -> Space:
    """Return the parameters of a pipeline.

    Parameters
    ----------
    kind : {"classes", "number"}
        What is predicted.
    limits : Limits

    Returns
    -------
    Space
        Five parameters are active in every row (six for numbers), the others where their step or model
        is drawn.

    Examples
    --------
    >>> space = pipeline_space("classes", Limits(150, 30, 60, 128, 40, 20))
    >>> space.names[:4]
    ('scaler', 'features', 'model', 'train_share')
    """
    classes = kind == "classes"
    grown = (*TREES, *BOOSTED)
    iterative, penalised = (("linear", "mlp"), ("mlp",)) if classes else (("mlp",), ("linear", "mlp"))
    split = ("gini", "entropy") if classes else ("squared_error", "absolute_error")
    return Space(
        [
            category("scaler", "none", "standard", "minmax", "robust", "quantile"),
            category("features", "none", "pca", "select", "nystroem"),
            category("model", *_MODELS),
            # Two that matter to every model: how much it sees of the training rows and of their tails.
            real("train_share", 0.4, 1.0),
            real("winsorize", 0.0, 0.1),
            flag("balanced", model=_WEIGHTED) if classes else category("target", "plain", "log", "normal"),
            real("pca_share", 0.1, 1.0, features=("pca",)),
            flag("whiten", features=("pca",)),
            real("select_share", 0.1, 1.0, features=("select",)),
            integer("map_size", 10, 100, log=True, features=("nystroem",)),
            real("map_gamma", 0.01, 10, log=True, features=("nystroem",)),
            integer("trees", 5, limits.trees, log=True, model=_FOREST),
            integer("max_depth", 1, 16, model=grown),
            integer("min_leaf", 1, limits.min_leaf, log=True, model=grown),
            real("max_features", 0.05, 1.0, model=grown),
            category("criterion", *split, model=TREES),
            flag("bootstrap", model=_FOREST),
            real("pruning", 0.0001, 0.03, log=True, model=("tree",)),
            integer("rounds", 5, limits.rounds, log=True, model=BOOSTED),
            real("learning_rate", 0.01, 1.0, log=True, model=BOOSTED),
            integer("leaves", 3, 31, log=True, model=BOOSTED),
            real("l2", 0.001, 100, log=True, model=BOOSTED),
            category("boosting", "gbdt", "dart", model=("lightgbm",)),
            real("subsample", 0.3, 1.0, model=("lightgbm",)),
            real("C", 0.001, 100, log=True, model=("linear", "svm") if classes else ("svm",)),
            *(() if classes else (real("l1_ratio", 0.0, 1.0, model=("linear",)),)),
            category("kernel", "linear", "rbf", "poly", "sigmoid", model=("svm",)),
            real("gamma", 0.01, 10, log=True, kernel=("rbf", "poly", "sigmoid")),
            integer("neighbors", 1, limits.neighbors, log=True, model=("knn",)),
            category("weights", "uniform", "distance", model=("knn",)),
            category("metric", "euclidean", "manhattan", "chebyshev", "cosine", model=("knn",)),
            integer("hidden", 4, limits.hidden, log=True, model=("mlp",)),
            integer("layers", 1, 3, model=("mlp",)),
            category("activation", "relu", "tanh", "logistic", model=("mlp",)),
            integer("batch", 16, 256, log=True, model=("mlp",)),
            real("lr_init", 0.0001, 0.1, log=True, model=("mlp",)),
            integer("iterations", 3, limits.iterations, log=True, model=iterative),
            real("alpha", 0.0001, 10, log=True, model=penalised),
        ]
    )
