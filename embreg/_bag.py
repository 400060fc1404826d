"""BagOfRandomFeatures: random features of single coordinates, averaged as mean pooling averages tokens."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.kernel_approximation import RBFSampler
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["BagOfRandomFeatures"]

_LARGEST_SEED = 2**31 - 1


class BagOfRandomFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Random features ``z -> cos(w z + b)`` of every coordinate, averaged over the coordinates.

    With one shared map this is what mean pooling would give if each token showed one coordinate and
    nothing of the others: symmetric in the coordinates and additive, and there is no language in it.

    Parameters
    ----------
    width : int
        Number of random features.
    gamma : float
        The features approximate the kernel ``exp(-gamma (z - z')²)``. Coordinates are expected with
        mean 0 and variance 1, as `TabularFeatures` makes them; 0.5 is then one over the mean squared
        distance of two values, which makes the kernel as wide as the coordinate's standard deviation.
    shared : bool
        One map for all coordinates, so that their order plays no part. Otherwise each coordinate gets
        a map of its own: as additive, and not symmetric.
    random_state : int, RandomState or None
        Of the maps.

    Attributes
    ----------
    maps_ : list of RBFSampler
        The one map, or one per coordinate.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only when `fit` got a DataFrame whose column names are text.

    Examples
    --------
    >>> bag = BagOfRandomFeatures(width=3).fit([[0.0, 1.0]])
    >>> bool(np.allclose(bag.transform([[0.5, -1.0]]), bag.transform([[-1.0, 0.5]])))
    True
    """

    def __init__(
        self,
        width: int = 512,
        gamma: float = 0.5,
        shared: bool = True,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.width = width
        self.gamma = gamma
        self.shared = shared
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> BagOfRandomFeatures:
        """Draw the maps; of X, only the number of columns matters.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y : ignored

        Raises
        ------
        ValueError
            A width below 1, a gamma that is not positive and finite; X empty, not 2-D or not finite.
        """
        if isinstance(self.width, bool) or not isinstance(self.width, Integral) or self.width < 1:
            raise ValueError(f"width must be a whole number of at least 1, however: got {self.width!r}")
        if isinstance(self.gamma, bool) or not isinstance(self.gamma, Real) or not 0 < self.gamma < np.inf:
            raise ValueError(f"gamma must be a positive finite number, however: got {self.gamma!r}")
        X = validate_data(self, X, dtype=np.float64)
        rng = check_random_state(self.random_state)
        self.maps_: list[RBFSampler] = [
            RBFSampler(
                gamma=float(self.gamma), n_components=int(self.width), random_state=rng.randint(_LARGEST_SEED)
            ).fit(X[:1, :1])  # it looks at the number of columns alone
            for _ in range(1 if self.shared else X.shape[1])
        ]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Average over the coordinates.

        Parameters
        ----------
        X : array-like of shape (n, d)

        Returns
        -------
        ndarray of shape (n, width), float64
            Each number from -1 to 1.

        Raises
        ------
        ValueError
            X with another number of columns than in `fit`, not 2-D or not finite.
        """
        check_is_fitted(self, "maps_")
        X = validate_data(self, X, reset=False, dtype=np.float64)
        total = np.zeros((len(X), int(self.width)))
        # Coordinate by coordinate: (n, d, width) at once would not fit into memory.
        for j in range(X.shape[1]):
            total += self.maps_[0 if self.shared else j].transform(X[:, [j]])
        # RBFSampler scales its cosines by sqrt(2 / width), for the kernel's sake.
        total *= np.sqrt(self.width / 2) / X.shape[1]
        return total

    @property
    def _n_features_out(self) -> int:
        return int(self.width)
