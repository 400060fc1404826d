"""What `embreg.making.automl` fits: a scaler, a feature step, and one of nine models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from embreg.making._pipeline_space import BOOSTED, TREES, Kind
from embreg.making.space import Value

__all__ = ["model", "prepare", "transform_target"]

Array = npt.NDArray[Any]


def prepare(
    kind: Kind, row: Mapping[str, Any], train: Array, y: Array, test: Array, seed: int
) -> list[Array]:
    """Return training and test features after winsorizing, scaler and feature step, all fitted on `train`.

    Parameters
    ----------
    kind : {"classes", "number"}
    row : mapping of str to value
    train, test : ndarray, shape (n, d)
    y : ndarray, shape (n_train,)
    seed : int

    Returns
    -------
    list of two ndarray

    Examples
    --------
    >>> row = {"winsorize": 0.0, "scaler": "minmax", "features": "none"}
    >>> prepare("classes", row, np.array([[0.0], [4.0]]), np.array([0, 1]), np.array([[1.0]]), 0)[1]
    array([[0.25]])
    """
    from sklearn.decomposition import PCA
    from sklearn.feature_selection import SelectKBest, f_classif, f_regression
    from sklearn.kernel_approximation import Nystroem
    from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, RobustScaler, StandardScaler

    if row["winsorize"]:
        low, high = np.quantile(train, [row["winsorize"], 1 - row["winsorize"]], axis=0)
        train, test = train.clip(low, high), test.clip(low, high)
    n, d = train.shape
    steps: list[Any] = []
    match row["scaler"]:
        case "standard":
            steps.append(StandardScaler())
        case "minmax":
            steps.append(MinMaxScaler())
        case "robust":
            steps.append(RobustScaler())
        case "quantile":
            steps.append(QuantileTransformer(n_quantiles=min(100, n), output_distribution="normal"))
    match row["features"]:
        case "pca":
            # Fewer components than rows: the last one would be rounding error, which whitening blows up.
            k = max(1, min(round(row["pca_share"] * d), n - 1))
            steps.append(PCA(k, whiten=row["whiten"], svd_solver="full"))
        case "select":
            score = f_classif if kind == "classes" else f_regression
            steps.append(SelectKBest(score, k=max(1, round(row["select_share"] * d))))
    for step in steps:
        train, test = step.fit_transform(train, y), step.transform(test)
    if row["features"] == "nystroem":
        size = min(row["map_size"], n)
        step = Nystroem(gamma=_gamma(row["map_gamma"], train), n_components=size, random_state=seed)
        train, test = step.fit_transform(train), step.transform(test)
    return [train, test]


def _gamma(factor: float, features: Array) -> float:
    """Kernel width as a multiple of scikit-learn's "scale", so that it means the same under any scaler."""
    return float(factor / (features.shape[1] * max(features.var(), 1e-12)))


def model(kind: Kind, row: Mapping[str, Any], features: Array, seed: int, probabilities: bool = False) -> Any:
    """Return the estimator of a row, not fitted.

    Parameters
    ----------
    kind : {"classes", "number"}
    row : mapping of str to value
    features : ndarray, shape (n, d)
        What it will be fitted on: the kernel width depends on it.
    seed : int
    probabilities : bool
        It must have ``predict_proba``, which a support vector machine has not by itself.

    Returns
    -------
    estimator
        Uses one thread.

    Examples
    --------
    >>> model("number", {"model": "linear", "alpha": 0.5, "l1_ratio": 0.1}, np.eye(3), 0)
    ElasticNet(alpha=0.5, l1_ratio=0.1)
    """
    classes = kind == "classes"
    weight = {"class_weight": "balanced"} if classes and row["balanced"] else {}
    name = row["model"]
    if name in TREES or name in BOOSTED:
        return _tree_model(kind, row, seed, weight)
    if name == "linear":
        from sklearn.linear_model import ElasticNet, LogisticRegression

        if classes:
            return LogisticRegression(C=row["C"], max_iter=row["iterations"], **weight)
        return ElasticNet(alpha=row["alpha"], l1_ratio=row["l1_ratio"])
    if name == "svm":
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.svm import SVC, SVR

        # A linear kernel on features that nobody scaled may need millions of steps.
        settings = {"C": row["C"], "kernel": row["kernel"], "max_iter": 20_000}
        if row["gamma"] is not None:
            settings["gamma"] = _gamma(row["gamma"], features)
        if not classes:
            return SVR(**settings)
        machine = SVC(**settings, **weight)
        return CalibratedClassifierCV(machine, cv=2, n_jobs=1) if probabilities else machine
    if name == "knn":
        from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

        nearest = KNeighborsClassifier if classes else KNeighborsRegressor
        return nearest(row["neighbors"], weights=row["weights"], metric=row["metric"], n_jobs=1)
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    network = MLPClassifier if classes else MLPRegressor
    return network(
        hidden_layer_sizes=(row["hidden"],) * row["layers"],
        activation=row["activation"],
        batch_size=min(row["batch"], len(features)),
        learning_rate_init=row["lr_init"],
        max_iter=row["iterations"],
        alpha=row["alpha"],
        random_state=seed,
    )


def _tree_model(kind: Kind, row: Mapping[str, Any], seed: int, weight: Mapping[str, Any]) -> Any:
    """Return one of the five models that grow trees."""
    from sklearn import ensemble, tree

    classes, name = kind == "classes", row["model"]
    grown = {"max_depth": row["max_depth"], "random_state": seed, **weight}
    if name == "lightgbm":
        import lightgbm

        return (lightgbm.LGBMClassifier if classes else lightgbm.LGBMRegressor)(
            boosting_type=row["boosting"],
            n_estimators=row["rounds"],
            learning_rate=row["learning_rate"],
            num_leaves=row["leaves"],
            reg_lambda=row["l2"],
            min_child_samples=row["min_leaf"],
            colsample_bytree=row["max_features"],
            subsample=row["subsample"],
            subsample_freq=1,
            num_threads=1,
            deterministic=True,
            force_row_wise=True,  # otherwise it times both ways and takes the faster
            verbosity=-1,
            **grown,
        )
    if name == "hist_gbdt":
        return (
            ensemble.HistGradientBoostingClassifier if classes else ensemble.HistGradientBoostingRegressor
        )(
            max_iter=row["rounds"],
            learning_rate=row["learning_rate"],
            max_leaf_nodes=row["leaves"],
            l2_regularization=row["l2"],
            min_samples_leaf=row["min_leaf"],
            max_features=row["max_features"],
            early_stopping=False,
            **grown,
        )
    grown |= {
        "min_samples_leaf": row["min_leaf"],
        "max_features": row["max_features"],
        "criterion": row["criterion"],
    }
    if name == "tree":
        single = tree.DecisionTreeClassifier if classes else tree.DecisionTreeRegressor
        return single(ccp_alpha=row["pruning"], **grown)
    forests = {
        "forest": (ensemble.RandomForestClassifier, ensemble.RandomForestRegressor),
        "extra_trees": (ensemble.ExtraTreesClassifier, ensemble.ExtraTreesRegressor),
    }
    forest = forests[name][0 if classes else 1]
    return forest(row["trees"], bootstrap=row["bootstrap"], n_jobs=1, **grown)


def transform_target(how: Value, y: Array) -> Any:
    """Return what turns a target into itself, its logarithm or its normal scores, and standardises it.

    Parameters
    ----------
    how : {"plain", "log", "normal"}
    y : ndarray, shape (n, 1)

    Returns
    -------
    transformer
        With ``inverse_transform``.

    Examples
    --------
    >>> y = np.array([[1.0], [10.0], [100.0]])
    >>> transform_target("log", y).transform(y).round(3).ravel().tolist()
    [-1.225, 0.0, 1.225]
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, QuantileTransformer, StandardScaler

    steps: list[Any] = [StandardScaler()]
    if how == "log":
        steps.insert(0, FunctionTransformer(np.log, np.exp))
    elif how == "normal":
        steps.insert(0, QuantileTransformer(n_quantiles=min(100, len(y)), output_distribution="normal"))
    return make_pipeline(*steps).fit(y)
