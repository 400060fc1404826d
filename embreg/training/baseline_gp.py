"""Gaussian process with a Matérn kernel: scikit-learn's, with a start and a budget for few hundred rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

__all__ = ["LARGEST", "ROOM", "MaternGP", "gradient_bytes", "has_room", "quietly"]

LARGEST = 2000
"""Most training rows: an exact Gaussian process takes n³ operations a step."""

_WIDEST = 100
"""Most features with a length scale each."""

ROOM = 2**30
"""Bytes that n x n x d gradients may take, of all fits at once."""


def gradient_bytes(n: int, d: int) -> int:
    """Size of the gradient of the kernel by d length scales on n rows.

    Examples
    --------
    >>> gradient_bytes(400, 25) // 2**20
    30
    """
    return 8 * n * n * d


def has_room(n: int, d: int) -> bool:
    """Tell whether n rows of d features get a length scale per feature.

    scikit-learn holds the gradient as one n x n x d tensor, several times over. Beyond a GiB, or 100
    features, where 400 rows say too little about each, one length scale is shared.

    Examples
    --------
    >>> has_room(400, 100), has_room(400, 101), has_room(2000, 40)
    (True, False, False)
    """
    return d <= _WIDEST and gradient_bytes(n, d) <= ROOM


class _Ascent:
    """L-BFGS-B with a limit on its iterations, which remembers whether it converged."""

    def __init__(self, max_iter: int) -> None:
        self.max_iter = max_iter
        self.converged = False

    def __call__(
        self, loss: Callable[..., Any], start: np.ndarray, bounds: np.ndarray
    ) -> tuple[np.ndarray, float]:
        from scipy.optimize import minimize

        options = {"maxiter": self.max_iter, "maxfun": self.max_iter + self.max_iter // 3}
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        self.converged = bool(found.success)
        return found.x, found.fun


class MaternGP(RegressorMixin, BaseEstimator):
    """Exact Gaussian process: variance x Matérn + noise, by marginal likelihood; X and y standardised.

    One length scale is found first, to convergence; from there, each feature's own. A cold start of as
    many steps ends at a smaller likelihood, and a shared scale costs a tenth of the others.

    Parameters
    ----------
    nu : float
        Smoothness: 1.5 or 2.5, for which scikit-learn has gradients in closed form.
    length_scales : {"per feature", "one"}
    max_iter : int
        Steps of the second stage; the first has up to 50.

    Attributes
    ----------
    process_ : sklearn.gaussian_process.GaussianProcessRegressor
    facts_ : dict
        ``converged``: whether the last stage ended before its limit. ``at_bounds``: how many
        hyper-parameters ended at a bound (noise of a function without noise does).

    Examples
    --------
    >>> x = np.linspace(-2, 2, 20)[:, None]
    >>> with quietly():
    ...     gp = MaternGP(length_scales="one").fit(x, np.sin(x[:, 0]))
    >>> bool(abs(gp.predict(np.array([[0.5]])) - np.sin(0.5)).max() < 1e-3)
    True
    """

    def __init__(
        self,
        nu: float = 2.5,
        length_scales: Literal["per feature", "one"] = "per feature",
        max_iter: int = 15,
    ) -> None:
        self.nu = nu
        self.length_scales = length_scales
        self.max_iter = max_iter

    def fit(self, X: np.ndarray, y: np.ndarray) -> MaternGP:
        """Find hyper-parameters.

        Parameters
        ----------
        X : ndarray of shape (n, d)
        y : ndarray of shape (n,)

        Raises
        ------
        ValueError
            An unknown choice of length scales.
        """
        if self.length_scales not in ("per feature", "one"):
            raise ValueError(
                f"length_scales must be 'per feature' or 'one', however: got {self.length_scales!r}"
            )
        d = X.shape[1]
        self._unit = float(np.sqrt(X.var(0).sum())) or 1.0  # √d on standardised columns, in any basis
        start: tuple[float, Any, float] = 1.0, self._unit, 1e-2
        each = self.length_scales == "per feature" and d > 1
        process, ascent = self._search(X, y, start, 15 if each else 50)
        if each:
            kernel = process.kernel_
            start = kernel.k1.k1.constant_value, np.full(d, kernel.k1.k2.length_scale), kernel.k2.noise_level
            process, ascent = self._search(X, y, start, self.max_iter)
        kernel = process.kernel_
        at = np.isclose(kernel.theta[:, None], kernel.bounds, rtol=0, atol=1e-6)
        self.process_ = process
        self.facts_ = {"converged": ascent.converged, "at_bounds": int(at.sum())}
        return self

    def _search(
        self, X: np.ndarray, y: np.ndarray, start: tuple[float, Any, float], steps: int
    ) -> tuple[Any, _Ascent]:
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        variance, length, noise = start
        unit = self._unit
        kernel = ConstantKernel(variance, (1e-3, 1e5)) * Matern(
            length, (1e-2 * unit, 1e3 * unit), nu=self.nu
        ) + WhiteKernel(noise, (1e-6, 1e1))
        ascent = _Ascent(steps)
        # scikit-learn's warnings say what facts_ says: see `quietly`.
        return GaussianProcessRegressor(kernel, optimizer=ascent).fit(X, y), ascent

    def predict(self, X: np.ndarray, return_std: bool = False) -> Any:
        """Mean of shape (n,), and on request the standard deviation, noise included."""
        return self.process_.predict(X, return_std=return_std)


def quietly() -> warnings.catch_warnings:
    """Silence what `MaternGP.facts_` records.

    To be entered by one thread around all others: filters of warnings belong to the whole process.

    Examples
    --------
    >>> from sklearn.exceptions import ConvergenceWarning
    >>> with quietly():
    ...     warnings.warn("the optimal value is close to its bound", ConvergenceWarning)
    """
    from sklearn.exceptions import ConvergenceWarning

    return warnings.catch_warnings(action="ignore", category=ConvergenceWarning)
