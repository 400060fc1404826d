"""WordCounts: the counted words of free text, what an embedding of it has to beat."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from embreg._task import whole
from embreg.engine.texts import strings

__all__ = ["WordCounts"]


class WordCounts(TransformerMixin, BaseEstimator):
    """Strings to TF-IDF of their most frequent words (scikit-learn's `TfidfVectorizer`), as a dense array.

    Parameters
    ----------
    max_words : int
        Words that are kept, the most frequent of the training rows.

    Attributes
    ----------
    words_ : ndarray of str
    idf_ : ndarray of float64
        Weight of each word: rarer ones weigh more.
    n_features_in_ : int

    Examples
    --------
    >>> counts = WordCounts().fit(["by the sea", "by the park"])
    >>> counts.get_feature_names_out().tolist()
    ['by', 'park', 'sea', 'the']
    >>> counts.transform(["sea"]).tolist()
    [[0.0, 0.0, 1.0, 0.0]]
    """

    def __init__(self, max_words: int = 300) -> None:
        self.max_words = max_words

    def fit(self, X: Iterable[str], y: Any = None) -> WordCounts:
        """Count the words of the training rows; texts without any give no column.

        Parameters
        ----------
        X : sequence of str, array of shape (n,) or (n, 1), or Series
        """
        whole("max_words", self.max_words, 1)
        texts = strings(X)
        vectorizer = _vectorizer(max_features=self.max_words)
        words = vectorizer.build_analyzer()
        if not any(words(text) for text in texts):
            self.words_, self.idf_ = np.empty(0, dtype="U1"), np.empty(0)
        else:
            vectorizer.fit(texts)
            self.words_ = np.array(vectorizer.get_feature_names_out(), dtype=str)
            self.idf_ = np.asarray(vectorizer.idf_, dtype=float)
        self.n_features_in_ = 1
        return self

    def transform(self, X: Iterable[str]) -> np.ndarray:
        """Weighted counts, shape (n, words), float64; rows have length 1, or 0 without a known word."""
        check_is_fitted(self, "words_")
        texts = strings(X)
        if not len(self.words_):
            return np.zeros((len(texts), 0))
        vectorizer = _vectorizer(vocabulary=self.words_.tolist())
        vectorizer.idf_ = self.idf_
        return np.asarray(vectorizer.transform(texts).toarray(), dtype=float)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """The words."""
        check_is_fitted(self, "words_")
        return self.words_.astype(object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = tags.input_tags.two_d_array = True
        return tags


def _vectorizer(**parameters: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(sublinear_tf=True, **parameters)
