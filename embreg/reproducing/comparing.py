"""The numbers of a run beside those of the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embreg.reproducing.rules import END, FEW, NOISES, ROUNDING, agrees, noise, tolerance

__all__ = ["Deviation", "Figure", "Outcome", "compare", "figures", "sentences"]


@dataclass(frozen=True)
class Figure:
    """One number that is compared, with the ends of its interval where it has one.

    Attributes
    ----------
    value, low, high : int, float or None
        None: not a finite number, or no interval.
    exact : bool
    least : float
        Least tolerance, for the few test rows and fits behind it.
    fits : int
        Behind it; 0: not known.
    """

    value: int | float | None
    low: float | None = None
    high: float | None = None
    exact: bool = False
    least: float = 0.0
    fits: int = 0


@dataclass(frozen=True)
class Deviation:
    """How far one number is from the reference.

    Attributes
    ----------
    run : str
    what : str
        Table, place and name, or a fact's name.
    reference, found : float or None
    allowed : float
    """

    run: str
    what: str
    reference: float | None
    found: float | None
    allowed: float

    @property
    def size(self) -> float:
        """Distance; infinite where one of the two is not there."""
        if self.reference is None or self.found is None:
            return 0.0 if self.reference is self.found else float("inf")
        return abs(self.found - self.reference)

    @property
    def ratio(self) -> float:
        """Distance as a part of what is allowed.

        Examples
        --------
        >>> Deviation("02_a", "fact gap", 0.25, 0.26, 0.02).ratio
        0.5
        """
        if self.size == 0:
            return 0.0
        return round(self.size / self.allowed, 9) if self.allowed else float("inf")

    @property
    def within(self) -> bool:
        """The two agree."""
        return agrees(self.reference, self.found, self.allowed)


@dataclass(frozen=True)
class Outcome:
    """A run beside its reference.

    Attributes
    ----------
    agreed, of : int
        Numbers; what is on one side alone does not agree.
    beyond : tuple of Deviation
        Those that do not agree, worst first.
    largest : Deviation or None
        The largest in parts of what is allowed, within it or beyond; None where every number is equal.
    lost, new : tuple of str
        Numbers of the reference that the run lacks, and the other way round.
    said : tuple of str
        Sentences whose words are others now.
    """

    agreed: int
    of: int
    beyond: tuple[Deviation, ...] = ()
    largest: Deviation | None = None
    lost: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    said: tuple[str, ...] = ()


def figures(summary: Mapping[str, Any]) -> dict[str, Figure]:
    """Every number of a run's summary under a name that says where it belongs.

    Examples
    --------
    >>> table = {"of": ["head"], "columns": ["n", "tau", "tau_low", "tau_high"], "exact": ["n"], "single": 1}
    >>> table["rows"] = [["mlp", 4, 0.5, 0.4, 0.6]]
    >>> list(figures({"facts": {"gap": [0.1]}, "tables": {"records": table}}))
    ['fact gap', 'records, head mlp: n', 'records, head mlp: tau']
    """
    about = summary.get("fits") or {}
    rows, fits, seeds = (about.get(k, 0) for k in ("test_rows", "fits", "seeds"))

    def least(n: int) -> float:
        return NOISES * noise(rows, n) if rows else 0.0

    found = dict[str, Figure]()
    for name, (value, *ends) in summary["facts"].items():
        low, high = ends or (None, None)
        exact = isinstance(value, int)
        found[f"fact {name}"] = Figure(value, low, high, exact, least(fits), fits)
    for name, table in summary["tables"].items():
        place, columns = table["of"], table["columns"]
        for row in table["rows"]:
            at = "".join(f", {k} {'none' if v is None else v}" for k, v in zip(place, row, strict=False))
            values = dict(zip(columns, row[len(place) :], strict=True))
            n = values["n"] if table["single"] else seeds if "task" in place else fits
            behind = least(n)
            for column, value in values.items():
                base, _, end = column.rpartition("_")
                if end in ("low", "high") and base in values:
                    continue
                ends = (values.get(f"{column}_low"), values.get(f"{column}_high"))
                exact = column in table["exact"]
                found[f"{name}{at}: {column}"] = Figure(value, *ends, exact=exact, least=behind, fits=n)
    return found


def compare(run: str, reference: Mapping[str, Any], found: Mapping[str, Any]) -> Outcome:
    """Compare two summaries of one run.

    Parameters
    ----------
    run : str
    reference, found : mapping
        As `embreg.reproducing.summary.summarize` gives them.

    Examples
    --------
    >>> a, b = ({"facts": {"gap": [v, 0.2, 0.4]}, "words": {}, "tables": {}} for v in (0.3, 0.4))
    >>> out = compare("02_a", a, b)
    >>> out.agreed, out.of, out.beyond[0].ratio
    (0, 1, 2.0)
    """
    old, new = figures(reference), figures(found)
    agreed, beyond = 0, list[Deviation]()
    largest: Deviation | None = None
    for what in old.keys() & new.keys():
        worst = max(_deviations(run, what, old[what], new[what]), key=lambda d: d.ratio)
        if worst.within:
            agreed += 1
        else:
            beyond.append(worst)
        # By name where two are as large: the order of a set differs from run to run.
        if worst.ratio and (largest is None or (worst.ratio, what) > (largest.ratio, largest.what)):
            largest = worst
    lost, more = (tuple(n for n in one if n not in other) for one, other in ((old, new), (new, old)))
    beyond.sort(key=lambda d: (-d.ratio, d.what))
    return Outcome(
        agreed, len(old) + len(more), tuple(beyond), largest, lost, more, sentences(reference, found)
    )


def sentences(reference: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of sentences that have other words now, or stand on one side alone."""
    a, b = reference["words"], found["words"]
    return tuple(name for name in dict.fromkeys((*a, *b)) if a.get(name) != b.get(name))


def _deviations(run: str, what: str, a: Figure, b: Figure) -> list[Deviation]:
    if a.exact:
        allowed = ROUNDING * abs(a.value or 0)
        return [Deviation(run, what, a.value, b.value, allowed)]
    allowed = tolerance(a.value or 0.0, a.low, a.high, least=a.least)
    middle = [Deviation(run, what, a.value, b.value, allowed)]
    if 0 < a.fits < FEW:
        return middle
    return middle + [
        Deviation(run, f"{what} ({end} end)", x, y, END * allowed)
        for end, x, y in (("lower", a.low, b.low), ("upper", a.high, b.high))
    ]
