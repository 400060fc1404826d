"""Classes and functions that a saved model may name: the whole list, and nothing outside it is imported."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

__all__ = ["CLASSES", "FUNCTIONS", "class_of", "function_of", "name_of_class", "name_of_function"]

CLASSES: tuple[str, ...] = (
    "embreg._bag.BagOfRandomFeatures",
    "embreg.advising.heads.IntervalHead",
    "embreg.advising.views.TableRows",
    "embreg.advising.words.WordCounts",
    "embreg.training.baseline_gp.MaternGP",
    "embreg.training.baseline_rows.Features",
    "embreg.baselines.Tuned",
    "embreg.embedder.TextEmbedder",
    "embreg.features.TabularFeatures",
    "embreg.head.MLPHead",
    "sklearn.compose.ColumnTransformer",
    "sklearn.compose.TransformedTargetRegressor",
    "sklearn.decomposition.PCA",
    "sklearn.dummy.DummyRegressor",
    "sklearn.gaussian_process.GaussianProcessRegressor",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.DotProduct",
    "sklearn.gaussian_process.kernels.Exponentiation",
    "sklearn.gaussian_process.kernels.Matern",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.gaussian_process.kernels.RationalQuadratic",
    "sklearn.gaussian_process.kernels.Sum",
    "sklearn.gaussian_process.kernels.WhiteKernel",
    "sklearn.impute.SimpleImputer",
    "sklearn.kernel_approximation.RBFSampler",
    "sklearn.kernel_ridge.KernelRidge",
    "sklearn.linear_model.ARDRegression",
    "sklearn.linear_model.BayesianRidge",
    "sklearn.linear_model.ElasticNet",
    "sklearn.linear_model.Lasso",
    "sklearn.linear_model.LinearRegression",
    "sklearn.linear_model.Ridge",
    "sklearn.linear_model.RidgeCV",
    "sklearn.neighbors.KNeighborsRegressor",
    "sklearn.pipeline.FeatureUnion",
    "sklearn.pipeline.Pipeline",
    "sklearn.preprocessing.FunctionTransformer",
    "sklearn.preprocessing.MinMaxScaler",
    "sklearn.preprocessing.OneHotEncoder",
    "sklearn.preprocessing.PolynomialFeatures",
    "sklearn.preprocessing.PowerTransformer",
    "sklearn.preprocessing.QuantileTransformer",
    "sklearn.preprocessing.RobustScaler",
    "sklearn.preprocessing.StandardScaler",
    "sklearn.random_projection.GaussianRandomProjection",
    "xgboost.XGBRegressor",
)
"""Where each class is imported from. Their constructors store parameters and do nothing else."""

FUNCTIONS: tuple[str, ...] = (
    "embreg.serialize.serialize",
    "numpy.arcsinh",
    "numpy.cbrt",
    "numpy.exp",
    "numpy.expm1",
    "numpy.log",
    "numpy.log1p",
    "numpy.negative",
    "numpy.reciprocal",
    "numpy.sinh",
    "numpy.sqrt",
    "numpy.square",
)
"""Functions of arrays and tables, for `FunctionTransformer` and `TransformedTargetRegressor`."""


def name_of_class(kind: type) -> str | None:
    """Entry of `CLASSES` for a class; None for any other, a subclass of one of them too.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> name_of_class(Ridge)
    'sklearn.linear_model.Ridge'
    >>> class Mine(Ridge): pass
    >>> name_of_class(Mine) is None
    True
    """
    return _name(kind, CLASSES)


def name_of_function(function: Callable[..., Any]) -> str | None:
    """Entry of `FUNCTIONS` for a function; None for any other.

    Examples
    --------
    >>> import numpy
    >>> name_of_function(numpy.log1p), name_of_function(print)
    ('numpy.log1p', None)
    """
    return _name(function, FUNCTIONS)


def class_of(name: str) -> Any:
    """Class of that name, when the list has it.

    Raises
    ------
    ValueError
        The list does not have it; nothing is imported.

    Examples
    --------
    >>> class_of("sklearn.linear_model.Ridge")().alpha
    1.0
    >>> class_of("subprocess.Popen")
    Traceback (most recent call last):
    ...
    ValueError: class 'subprocess.Popen' is not one that embreg loads: ...
    """
    return _import(name, CLASSES, "class")


def function_of(name: str) -> Any:
    """Function of that name, when the list has it; otherwise as `class_of`."""
    return _import(name, FUNCTIONS, "function")


def _name(thing: Any, names: tuple[str, ...]) -> str | None:
    own, package = getattr(thing, "__name__", None), (getattr(thing, "__module__", None) or "numpy")
    for name in names:
        module, _, last = name.rpartition(".")
        # Only from the package that the thing says it is of: nothing else needs to be imported.
        same = module.split(".")[0] == package.split(".")[0]
        if last == own and same and getattr(import_module(module), last) is thing:
            return name
    return None


def _import(name: Any, names: tuple[str, ...], what: str) -> Any:
    if name not in names:
        raise ValueError(
            f"{what} {name!r} is not one that embreg loads: nothing was imported. A newer embreg may know "
            "it; embreg.saved.allowed lists those of this one"
        )
    module, _, last = name.rpartition(".")
    try:
        return getattr(import_module(module), last)
    except ImportError as error:
        extra = "boosting" if module == "xgboost" else "all"
        raise ImportError(f"{name} is needed to load this model: pip install 'embreg[{extra}]'") from error
