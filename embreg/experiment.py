"""Compare representations and heads, on functions (section 3) or tables (section 5): one tidy row a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
import pandas as pd

from embreg._features import embed, features_of
from embreg._fit import check_head, fit_and_score, heads
from embreg._progress import Progress
from embreg._task import Split, Task, split_rows
from embreg.representation import TRADITIONAL, Representation

__all__ = ["TRADITIONAL", "Representation", "Suite", "compare", "compare_tasks", "fit_and_score", "heads"]


@dataclass(frozen=True)
class Suite:
    """Which functions, on which points.

    Parameters
    ----------
    variant : {"paper", "coco"}
        As for `tasks.bbob`.
    shift : float
        As for `tasks.bbob`.
    functions : tuple of str
        Empty means all of the variant.

    Examples
    --------
    >>> Suite("paper", shift=4.0).label
    'paper, shift 4'
    """

    variant: Literal["paper", "coco"] = "paper"
    shift: float = 0.0
    functions: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Name in records and figures."""
        return f"{self.variant}, shift {self.shift:g}" if self.shift else self.variant

    def targets(
        self, dof: int, n_samples: int, seed: int
    ) -> tuple[tuple[str, ...], pd.DataFrame, np.ndarray]:
        """Names, rows (shared by every function) and targets of shape (n, functions)."""
        from embreg.tasks import bbob_functions, bbob_targets

        names = self.functions or tuple(bbob_functions(self.variant))
        rows, Y = bbob_targets(names, dof, n=n_samples, seed=seed, variant=self.variant, shift=self.shift)
        return names, rows, Y


def compare(
    representations: Sequence[Representation],
    suites: Sequence[Suite],
    *,
    dofs: Sequence[int],
    seeds: Sequence[int],
    n_samples: int = 500,
    n_test: int | None = None,
    heads: Mapping[str, Sequence[str]] | None = None,
    mlp: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Fit every head on every representation of every suite; one row per task and seed.

    Points, splits and initial weights depend on the seed alone, so that any two rows that agree in
    suite, task, dof and seed are a pair. Points of one dof and seed are embedded once for all
    suites, and representations that differ in pooling and layer alone share a forward pass.

    Parameters
    ----------
    representations : sequence of Representation
        Each with a label of its own.
    suites : sequence of Suite
    dofs, seeds : sequence of int
    n_samples : int
        Points per function, split 8-1-1.
    n_test : int, optional
        This many further points are the test rows, the same for every `n_samples`, which are then split
        8-1 into training and validation; fewer samples are the first of more.
    heads : mapping, optional
        Representation label to head names (``"mlp"`` or one of `baselines.BASELINES`); a label that
        is absent gets ``["mlp"]``.
    mlp : mapping, optional
        Parameters of `MLPHead`.

    Returns
    -------
    DataFrame
        Where: ``suite, variant, shift, task, dof, seed``. What: ``representation, model, style, decimals,
        notation, names, missing, pooling, layer, stage, weights, weights_seed, dtype`` (the one computed in;
        missing without a language model), ``overflow, max_tokens, control, head, n_samples``. Scores
        on the test rows: ``kendall_tau, pearson, mse, mae, r2, constant`` (see `metrics.score_all`), and the
        same on the validation rows, where the configuration was chosen: ``val_kendall_tau, val_pearson,
        val_mse, val_mae, val_r2, val_constant``. About the fit:
        ``width`` of the features, ``chosen`` on the validation rows, ``fit_seconds`` per target. About
        the strings: ``tokens_per_row, unk_rate, truncated``, and ``embed_seconds``, the representation's
        share of the forward passes of this call.

    Raises
    ------
    ValueError
        An empty sequence, a label used twice, heads for an unknown label, an unknown head.
    TypeError
        An unknown parameter in `mlp`.

    Examples
    --------
    >>> suite, heads = Suite(functions=("Sphere",)), {"φ_trad": ["ridge_squares"]}
    >>> out = compare([TRADITIONAL], [suite], dofs=[2], seeds=[0], n_samples=60, heads=heads)
    >>> round(out.kendall_tau.item(), 2)
    1.0
    """
    heads = {r.label: ["mlp"] for r in representations} | dict(heads or {})
    given = {"representations": representations, "suites": suites, "dofs": dofs, "seeds": seeds}
    _check(given, heads, mlp)
    records: list[dict[str, Any]] = []
    cells = [(d, s) for s in seeds for d in dofs]
    with Progress("comparing", len(cells) * len(representations)) as bar:
        for dof, seed in cells:
            data = [(suite, *suite.targets(dof, n_samples + (n_test or 0), seed)) for suite in suites]
            rows = data[0][2]  # every suite has these
            parts = split_rows(n_samples, seed) if n_test is None else _nested(n_samples, n_test)
            embedded = embed(representations, rows, seed)
            for rep in representations:
                vectors, about = embedded[rep]
                features = features_of(rep, vectors, rows, parts.train, seed)
                for (suite, names, _, Y), head in product(data, heads[rep.label]):
                    scores = fit_and_score(features, rows, Y, head=head, seed=seed, mlp=mlp, parts=parts)
                    place = {"suite": suite.label, "variant": suite.variant, "shift": suite.shift}
                    for name, score in zip(names, scores, strict=True):
                        records.append({**place, "task": name, "dof": dof, "seed": seed, **_describe(rep),
                                        "head": head, "n_samples": n_samples, **score, **about})  # fmt: skip
                bar.advance(1)
    return pd.DataFrame(records)


def compare_tasks(
    representations: Sequence[Representation],
    tasks: Sequence[Task],
    *,
    seeds: Sequence[int],
    n_samples: int | None = None,
    heads: Mapping[str, Sequence[str]] | None = None,
    mlp: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Fit every head on every representation of tables with rows of their own (section 5, Table 1).

    A seed cuts the rows 8-1-1 and starts the heads; it changes no string, so that a row is embedded once.

    Parameters
    ----------
    representations : sequence of Representation
        Each with a label of its own.
    tasks : sequence of Task
        Such as ``tasks.family("compiler")``; each with a name of its own.
    seeds : sequence of int
    n_samples : int, optional
        The first so many rows of each task; default all. A task with fewer gives all it has.
    heads, mlp
        As for `compare`.

    Returns
    -------
    DataFrame
        The columns of `compare`, where ``suite`` is the family, ``dof`` the nominal number of parameters
        and ``n_samples`` what was there; and ``effective_dof, direction, noise_ratio`` of the task.

    Raises
    ------
    ValueError, TypeError
        As for `compare`; also two tasks of one name.

    Examples
    --------
    >>> from embreg.tasks import bbob
    >>> heads = {"φ_trad": ["ridge_squares"]}
    >>> out = compare_tasks([TRADITIONAL], [bbob("Sphere", 2, n=60)], seeds=[0], heads=heads)
    >>> round(out.kendall_tau.item(), 2)
    1.0
    """
    heads = {r.label: ["mlp"] for r in representations} | dict(heads or {})
    _check({"representations": representations, "tasks": tasks, "seeds": seeds}, heads, mlp)
    names = [task.name for task in tasks]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"every task needs a name of its own, however: {twice} are used twice")
    records: list[dict[str, Any]] = []
    fits = sum(len(heads[r.label]) for r in representations)
    with Progress("comparing", len(tasks) * len(seeds) * fits) as bar:
        for task, seed in product(tasks, seeds):
            n = min(n_samples or len(task), len(task))
            rows, Y, parts = task.rows.iloc[:n], task.y[:n, None], split_rows(n, seed)
            embedded = embed(representations, rows, seed)
            place = {"suite": task.suite, "variant": task.variant, "shift": task.shift, "task": task.name,
                     "dof": task.dof, "seed": seed, "effective_dof": task.effective_dof,
                     "direction": task.direction, "noise_ratio": task.noise_ratio}  # fmt: skip
            for rep in representations:
                vectors, about = embedded[rep]
                features = features_of(rep, vectors, rows, parts.train, seed)
                for head in heads[rep.label]:
                    (score,) = fit_and_score(features, rows, Y, head=head, seed=seed, mlp=mlp, parts=parts)
                    records.append(
                        {**place, **_describe(rep), "head": head, "n_samples": n, **score, **about}
                    )
                    bar.advance(1)
    return pd.DataFrame(records)


def _nested(n_samples: int, n_test: int) -> Split:
    """The first `n_test` rows test; of the others every ninth validates, so that fewer are part of more."""
    rest = np.arange(n_test, n_test + n_samples)
    ninth = np.arange(n_samples) % 9 == 8
    return Split(rest[~ninth], rest[ninth], np.arange(n_test))


def _describe(rep: Representation) -> dict[str, Any]:
    fields = {"representation": rep.label, **asdict(rep)}
    del fields["label"], fields["width"]
    if isinstance(rep.names, bool):  # a column has one type
        fields["names"] = "real" if rep.names else "none"
    kept = fields if rep.model else {k: v if k == "representation" else None for k, v in fields.items()}
    return {**kept, "control": rep.control}


def _check(
    given: Mapping[str, Sequence[Any]], heads: Mapping[str, Sequence[str]], mlp: Mapping[str, Any] | None
) -> None:
    """Refuse what would fail, or mislead, after hours of work."""
    from embreg.head import MLPHead

    for name, values in given.items():
        if len(values) == 0:
            raise ValueError(f"{name} must hold at least one, however: got {values!r}")
    labels = [r.label for r in given["representations"]]
    if twice := sorted({name for name in labels if labels.count(name) > 1}):
        raise ValueError(f"every representation needs a label of its own, however: {twice} are used twice")
    if unknown := sorted(set(heads) - set(labels)):
        raise ValueError(f"heads must be for one of {labels}, however: got {unknown}")
    for label, names in heads.items():
        if isinstance(names, str) or len(names) == 0:
            raise ValueError(
                f"heads of {label!r} must be a list of at least one name, however: got {names!r}"
            )
        for name in names:
            check_head(name)
    MLPHead(**(mlp or {}))
