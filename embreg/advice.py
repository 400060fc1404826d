"""Will embeddings beat boosted trees on this table? Advice with an interval and a price."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd

from embreg.stats import Interval

__all__ = ["Advice", "advise", "fit", "glance"]

DEFAULT = "all-MiniLM-L6-v2"
_TABLES = (
    "columns", "findings", "plan", "records", "scoreboard", "curve", "predictions", "smoothness",
    "importance", "costs",
)  # fmt: skip
_INTERVALS = ("difference", "skill", "cost_ratio")


def _silent(line: str) -> None:
    pass


@dataclass(eq=False)
class Advice:
    """What was found on one table, and the fitted pipeline that follows from it.

    Attributes
    ----------
    target, source : str
        Column that is predicted, and the name of the data.
    n_rows : int
        Rows that were used.
    models : tuple of str
        Language models that were tried.
    verdict : {"yes", "no", "undecided", "nothing"}
        Whether a language model helps; ``"nothing"`` where no candidate is better than chance.
    answer : str
        The same as a sentence, with its interval, its probability and its price.
    difference : Interval
        Kendall's τ of the best candidate with a language model less that of the best without, each chosen on
        other folds than those that score it.
    probability : float
        That the difference is above 0.
    skill : Interval
        τ of the best candidate of all, chosen likewise.
    rows_needed : int or None
        About how many rows would decide an undecided difference.
    best, reference, best_llm : str
        The candidate that is advised, the best without a language model, and the best with one.
    best_ : sklearn.pipeline.Pipeline
        `best`, fitted on every row: ``predict(df)`` or ``predict(df, return_interval=True)``.
    columns : DataFrame
        ``name, kind, used, why, missing, distinct, example``.
    findings : DataFrame
        ``code, columns, message, action``: what is odd about the data, and what was done about it.
    plan : DataFrame
        ``step, estimate_s, took_s``.
    early : dict
        ``z, knn_gap, n, chance, chance_low, chance_high, sentence``: the cheap prediction.
    records : DataFrame
        One row a candidate and fold: ``repeat, fold, candidate, representation, head, kendall_tau, r2, mae,
        val_kendall_tau, fit_seconds``.
    scoreboard : DataFrame
        One row a candidate, best first: ``candidate, representation, head, uses_llm, kendall_tau, low, high,
        r2, mae, difference, difference_low, difference_high, probability, chosen``. Differences are paired,
        to `reference`.
    curve : DataFrame
        ``candidate, n_train, kendall_tau, low, high``.
    predictions : DataFrame
        ``row, y, predicted, low, high, reference``, by models that had not seen the row.
    smoothness : DataFrame
        ``representation, factor``: normalised Lipschitz factors of a sample.
    importance : DataFrame
        ``column, method, value, low, high``; method ``permutation`` (fall of τ) or ``shap`` (units of y).
    costs : DataFrame
        ``candidate, ms_per_row, low, high`` on this machine.
    cost_ratio : Interval or None
        How many times as long `best_llm` takes as `reference`.
    kinds : tuple of (str, str)
        Name and kind of each column used.
    seconds, budget_s : float
        Taken, and allowed.
    settings, provenance : dict
        Arguments; versions, commit and machine.
    """

    target: str
    source: str
    n_rows: int
    models: tuple[str, ...]
    verdict: str
    answer: str
    difference: Interval
    probability: float
    skill: Interval
    rows_needed: int | None
    best: str
    reference: str
    best_llm: str
    columns: pd.DataFrame
    findings: pd.DataFrame
    plan: pd.DataFrame
    early: dict[str, Any]
    records: pd.DataFrame
    scoreboard: pd.DataFrame
    curve: pd.DataFrame
    predictions: pd.DataFrame
    smoothness: pd.DataFrame
    importance: pd.DataFrame
    costs: pd.DataFrame
    cost_ratio: Interval | None
    kinds: tuple[tuple[str, str], ...]
    seconds: float
    budget_s: float
    settings: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    best_: Any = None

    @property
    def code(self) -> str:
        """Python that fits `best` again, on the same columns read in the same way."""
        from embreg.advising.refit import code_of

        return code_of(self)

    def __str__(self) -> str:
        from embreg.advising.summary import summary_of

        return summary_of(self)

    def save(self, folder: str | Path) -> None:
        """Write everything into a folder: JSON, Parquet, and the pipeline as `embreg.save` does.

        Parameters
        ----------
        folder : str or Path
            A saved advice that is there already is replaced; anything else is not.

        Raises
        ------
        FileExistsError
            Something else than a saved advice is there.
        """
        from embreg.advising.keeping import write

        facts = {f.name: getattr(self, f.name) for f in fields(self)}
        model = facts.pop("best_")
        write(Path(folder), facts, {name: facts.pop(name) for name in _TABLES}, model)

    @classmethod
    def load(cls, folder: str | Path) -> Advice:
        """Read what `save` wrote. Nothing in the folder is executed.

        Parameters
        ----------
        folder : str or Path

        Raises
        ------
        FileNotFoundError
            Nothing is there.
        ValueError
            Not a saved advice, or one of another format, or damaged.
        """
        from embreg.advising.keeping import read

        facts, tables, model = read(Path(folder), _TABLES)
        for name in _INTERVALS:
            facts[name] = None if facts[name] is None else Interval(*facts[name])
        facts["models"] = tuple(facts["models"])
        facts["kinds"] = tuple((name, kind) for name, kind in facts["kinds"])
        known: dict[str, Any] = {**facts, **tables}
        return cls(**known, best_=model)


def advise(
    data: Any,
    target: str,
    *,
    models: Sequence[str] | str = DEFAULT,
    kinds: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    group: str | None = None,
    time: str | None = None,
    budget: str | float = "10m",
    repeats: int = 4,
    heads: Sequence[str] | None = None,
    explain: bool = True,
    random_state: int = 0,
    say: Callable[[str], None] = _silent,
) -> Advice:
    """Compare models with and without a language model on one table.

    Everything is fitted on the same folds and tuned on the same rows: the mean, ridge, boosted trees, a
    Gaussian process and the paper's MLP on φ_trad (section 2), the four heads on embeddings of the rows
    (φ_LLM), on both side by side, and, where there is free text, on counted words and on an embedding of the
    text alone.

    Parameters
    ----------
    data : DataFrame (pandas or polars), str or Path
        A table, or a CSV, TSV, JSON Lines or Parquet file.
    target : str
        Column of numbers to predict. Rows without it are left out.
    models : str or sequence of str
        As for `TextEmbedder`. Rows leave this machine for a ``service:`` model only; `say` hears beforehand
        how many, where to and for how much.
    kinds : mapping of str to str, optional
        What columns are, where the guess is wrong: ``numeric``, ``category``, ``date`` or ``text``.
    drop : sequence of str
        Columns that nobody may use.
    group : str, optional
        Rows with one value in this column are never trained on and scored both.
    time : str, optional
        Rows are predicted from rows that came before by this column.
    budget : str or float
        Time, such as ``"10m"``, or seconds. It decides on repeats of the folds and, where it must, on fewer
        candidates or rows; the plan says so.
    repeats : int
        Most repeats of the five folds.
    heads : sequence of str, optional
        Some of ``ridge``, ``xgboost``, ``gp``, ``mlp``; default all.
    explain : bool
        Also learning curve and importances.
    random_state : int
    say : callable
        Receives lines on what will be done, before it is.

    Returns
    -------
    Advice

    Raises
    ------
    ValueError
        Data that cannot be read, no such column, a target that is no number or never there, too few rows, a
        budget that is too small: each says what would do.
    embreg.weights.WeightsError
        The language model is not on this machine and cannot be fetched.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).random((80, 2))
    >>> table = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": x[:, 0] - x[:, 1]})
    >>> advice = advise(table, "y", heads=["ridge"], explain=False, budget="5m")
    >>> advice.verdict, advice.best
    ('no', 'φ_trad, ridge')
    """
    from embreg.advising.candidates import HEADS
    from embreg.advising.keeping import provenance_of
    from embreg.advising.plan import seconds_of
    from embreg.advising.problem import problem_of
    from embreg.advising.reading import read_table
    from embreg.advising.steps import run
    from embreg.models import resolve
    from embreg.services.address import check_service, is_service

    names = (models,) if isinstance(models, str) else tuple(dict.fromkeys(models))
    if not names:
        raise ValueError(f"models must hold at least one, however: got {models!r}")
    budget_s = seconds_of(budget)
    frame, source = read_table(data)
    problem = problem_of(frame, target, kinds=kinds, drop=drop, group=group, time=time, name=source)
    for name in names:  # before minutes of work, what is not there is missed
        if is_service(name):
            from embreg.embedder import TextEmbedder

            check_service(TextEmbedder(name).get_params())
        else:
            resolve(name)
    settings = {
        "path": str(data) if isinstance(data, str | Path) else None,
        "models": list(names),
        "kinds": dict(kinds or {}),
        "drop": list(drop),
        "group": group,
        "time": time,
        "heads": list(heads or HEADS),
        "repeats": repeats,
        "explain": explain,
        "random_state": random_state,
    }
    found = run(
        problem,
        names,
        budget_s=budget_s,
        repeats=repeats,
        heads=tuple(heads or HEADS),
        explain=explain,
        random_state=random_state,
        say=say,
    )
    return Advice(target=target, source=source, settings=settings, provenance=provenance_of(names), **found)


def fit(
    data: Any,
    target: str,
    *,
    candidate: str,
    models: Sequence[str] | str = DEFAULT,
    kinds: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    level: float = 0.9,
    random_state: int = 0,
) -> Any:
    """Fit one candidate, without comparing it to others.

    Parameters
    ----------
    data, target, models, kinds, drop, random_state
        As for `advise`.
    candidate : str
        Its name: ``"φ_trad + φ_LLM, xgboost"``, or ``"trad+llm, xgboost"``.
    level : float
        Of the intervals.

    Returns
    -------
    sklearn.pipeline.Pipeline
        ``predict(df)``, or ``predict(df, return_interval=True)`` for mean and both ends of the interval,
        whose width comes from cross-validation of the head.

    Raises
    ------
    ValueError
        As for `advise`; also a candidate that this table does not have.

    Examples
    --------
    >>> table = pd.DataFrame({"a": range(80), "b": [1, 2] * 40})
    >>> table["y"] = 3.0 * table["b"] + (table["a"] % 7) / 10
    >>> model = fit(table, "y", candidate="trad, ridge")
    >>> mean, low, high = model.predict(table, return_interval=True)
    >>> bool((low < mean).all() and (mean < high).all())
    True
    """
    from embreg.advising.candidates import candidates_of, find_candidate, pipeline_of
    from embreg.advising.problem import problem_of
    from embreg.advising.reading import read_table

    frame, source = read_table(data)
    problem = problem_of(frame, target, kinds=kinds, drop=drop, name=source)
    names = (models,) if isinstance(models, str) else tuple(models)
    chosen = find_candidate(candidate, candidates_of(problem, names))
    return pipeline_of(chosen, problem, random_state=random_state, level=level).fit(problem.rows, problem.y)


def glance(
    data: Any,
    target: str,
    *,
    model: str = DEFAULT,
    kinds: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    random_state: int = 0,
) -> dict[str, Any]:
    """Guess from a sample whether embeddings would help, by smoothness and neighbours (section 3.2).

    Parameters
    ----------
    data, target, kinds, drop, random_state
        As for `advise`.
    model : str
        As for `TextEmbedder`.

    Returns
    -------
    dict
        ``z`` and ``knn_gap`` (above 0 in favour of the embedding), ``n`` rows looked at, ``chance`` that
        embeddings help with ``chance_low`` and ``chance_high``, by the tables this project measured, and
        ``sentence``.

    Raises
    ------
    ValueError
        As for `advise`.
    """
    from embreg.advising.glance import glance as look
    from embreg.advising.problem import problem_of
    from embreg.advising.reading import read_table

    frame, source = read_table(data)
    return look(problem_of(frame, target, kinds=kinds, drop=drop, name=source), model, random_state)[0]
