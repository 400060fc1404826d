"""What is compared on a table: representations with and without a language model, times heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from embreg.advising.problem import Problem

__all__ = [
    "HEADS",
    "Candidate",
    "candidates_of",
    "find_candidate",
    "head_of",
    "parts_of",
    "pipeline_of",
    "representations_of",
    "transformer_of",
]

HEADS = ("ridge", "xgboost", "gp", "mlp")
"""Heads on every representation; the mean of y stands beside them."""

GP_ROWS = 500
"""Training rows of a Gaussian process, drawn from those there are: its time grows with their cube."""

# Six points each, so that no head wins by having been tuned for longer. A Gaussian process has four: the rest
# of it is tuned by its own likelihood.
GRIDS: dict[str, dict[str, Any]] = {
    "ridge": {"alpha": (0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0)},
    "xgboost": {"max_depth": (2, 4, 6), "min_child_weight": (1.0, 10.0)},
}
MLP: dict[str, Any] = {"learning_rates": (5e-4, 1e-3, 5e-3), "weight_decays": (0.1, 1.0), "patience": 20}

TRAD, WORDS, LLM, TEXT = "φ_trad", "φ_words", "φ_LLM", "φ_text"
BOTH, TEXT_BOTH = f"{TRAD} + {LLM}", f"{TRAD} + {TEXT}"
_PLAIN = {TRAD: "trad", WORDS: "words", LLM: "llm", TEXT: "text", BOTH: "trad+llm", TEXT_BOTH: "trad+text"}


@dataclass(frozen=True)
class Candidate:
    """A representation and a head.

    Parameters
    ----------
    representation : str
        ``φ_trad`` (numbers scaled, categories one-hot), ``φ_words`` (φ_trad and counted words of free
        text), ``φ_LLM`` (the row as a string, embedded), ``φ_text`` (free text alone, embedded), or φ_trad
        beside one of the last two.
    head : str
        ``mean`` or one of `HEADS`.
    model : str or None
        Language model; None without one.
    several : bool
        Whether there are several models, so that the name has to say which.

    Examples
    --------
    >>> Candidate("φ_trad + φ_LLM", "xgboost", "all-MiniLM-L6-v2").name
    'φ_trad + φ_LLM, xgboost'
    """

    representation: str
    head: str
    model: str | None = None
    several: bool = False

    @property
    def label(self) -> str:
        """Representation, and the model where there are several."""
        return f"{self.representation} ({self.model})" if self.model and self.several else self.representation

    @property
    def name(self) -> str:
        """Name in records and sentences."""
        return "mean" if self.head == "mean" else f"{self.label}, {self.head}"

    @property
    def uses_llm(self) -> bool:
        """Whether a language model has a part in it."""
        return self.model is not None


def representations_of(problem: Problem) -> tuple[list[str], list[str]]:
    """Representations that this table has, without and with a language model.

    Free text has its own: counted words on the one side, an embedding of the text alone on the other.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    without, with_llm : list of str
    """
    texts, kinds = problem.texts, {kind for _, kind in problem.kinds}
    structured = bool(kinds - {"text"})
    without = [TRAD] if structured else []
    with_llm = [LLM, BOTH] if structured else []
    if texts:
        without.append(WORDS)
        with_llm += [TEXT, TEXT_BOTH] if structured else [TEXT]
    return without, with_llm


def candidates_of(problem: Problem, models: Sequence[str], heads: Sequence[str] = HEADS) -> list[Candidate]:
    """Every candidate for a table, the mean first.

    Parameters
    ----------
    problem : Problem
    models : sequence of str
        Language models.
    heads : sequence of str
        Some of `HEADS`.

    Returns
    -------
    list of Candidate

    Raises
    ------
    ValueError
        An unknown head, or none.
    """
    if not heads or (odd := [h for h in heads if h not in HEADS]):
        raise ValueError(f"heads must be some of {HEADS}, however: got {tuple(odd) if heads else heads!r}")
    without, with_llm = representations_of(problem)
    several = len(models) > 1
    return [
        Candidate(without[0], "mean"),
        *(Candidate(r, h) for r in without for h in heads),
        *(Candidate(r, h, m, several) for m in models for r in with_llm for h in heads),
    ]


def find_candidate(text: str, candidates: Sequence[Candidate]) -> Candidate:
    """Candidate by its name, or by one that a keyboard has: ``"trad+llm, xgboost"``.

    Examples
    --------
    >>> find_candidate("trad,ridge", [Candidate("φ_trad", "ridge")]).name
    'φ_trad, ridge'
    >>> find_candidate("llm, ridge", [Candidate("φ_trad", "ridge")])
    Traceback (most recent call last):
    ...
    ValueError: a candidate must be one of 'trad, ridge', however: got 'llm, ridge'
    """
    typed = {c: c.name for c in candidates}
    for greek, plain in reversed(_PLAIN.items()):  # the longer ones first
        typed = {c: name.replace(greek, plain) for c, name in typed.items()}
    wanted = "".join(text.split())
    for candidate, name in typed.items():
        if wanted in ("".join(candidate.name.split()), "".join(name.split())):
            return candidate
    known = ", ".join(repr(name) for name in typed.values())
    raise ValueError(f"a candidate must be one of {known}, however: got {text!r}")


def head_of(head: str, random_state: int = 0) -> Any:
    """An unfitted head with the grid that advice is given on.

    Examples
    --------
    >>> len(head_of("xgboost").grid["max_depth"]) * len(head_of("xgboost").grid["min_child_weight"])
    6
    """
    if head == "mlp":
        from embreg.head import MLPHead

        return MLPHead(**MLP, random_state=random_state)
    from embreg.baselines import baseline

    return baseline(
        head, grid=GRIDS.get(head), max_rows=GP_ROWS if head == "gp" else None, random_state=random_state
    )


def parts_of(candidate: Candidate, kinds: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Blocks of features that stand side by side: some of ``trad``, ``words``, ``llm`` and ``text``.

    Examples
    --------
    >>> parts_of(Candidate("φ_words", "ridge"), [("age", "numeric"), ("note", "text")])
    ('trad', 'words')
    """
    if candidate.representation == WORDS and any(kind != "text" for _, kind in kinds):
        return "trad", "words"
    return tuple(_PLAIN[candidate.representation].split("+"))


def transformer_of(
    part: str, kinds: Sequence[tuple[str, str]], model: str | None, store: Any = "auto"
) -> Any:
    """Unfitted transformer of one block: DataFrame in, numbers out.

    Parameters
    ----------
    part : {"trad", "words", "llm", "text"}
    kinds : sequence of (str, str)
        Name and kind of each column.
    model : str or None
        Language model of the last two.
    store : "auto", path or None
        As for `TextEmbedder`.

    Returns
    -------
    sklearn.pipeline.Pipeline
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    from embreg.advising.views import TableRows

    kinds = tuple(kinds)
    if part == "trad":
        from embreg.features import TabularFeatures

        return make_pipeline(TableRows(kinds, "numbers"), TabularFeatures())
    if part == "words":
        from embreg.advising.words import WordCounts

        return make_pipeline(TableRows(kinds, "text"), WordCounts())
    from embreg.embedder import TextEmbedder

    # A row longer than the model reads is cut: the advice counts such rows and says so.
    embedder = TextEmbedder(model, overflow="truncate", store=store)  # type: ignore[arg-type]
    if part == "text":
        return make_pipeline(TableRows(kinds, "text"), embedder)
    from embreg.serialize import serialize

    written = FunctionTransformer(serialize, kw_args={"notation": "shortest", "missing": "omit"})
    return make_pipeline(TableRows(kinds, "strings"), written, embedder)


def pipeline_of(candidate: Candidate, problem: Problem, *, random_state: int = 0, level: float = 0.9) -> Any:
    """Unfitted scikit-learn pipeline of a candidate, from a DataFrame to predictions with intervals.

    Parameters
    ----------
    candidate : Candidate
    problem : Problem
        Names and kinds of the columns.
    random_state : int
    level : float
        Of the intervals of ``predict(X, return_interval=True)``.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Steps ``features`` and ``head``.
    """
    from sklearn.pipeline import FeatureUnion, Pipeline

    from embreg.advising.heads import IntervalHead

    parts = parts_of(candidate, problem.kinds)
    blocks = [(part, transformer_of(part, problem.kinds, candidate.model)) for part in parts]
    features = blocks[0][1] if len(blocks) == 1 else FeatureUnion(blocks)
    head = IntervalHead(head_of(candidate.head, random_state), level=level, random_state=random_state)
    return Pipeline([("features", features), ("head", head)])
