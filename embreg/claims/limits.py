"""A limit, on which side of it an interval lies, and how many tasks or seeds would tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from embreg.claims.measured import Measured
from embreg.stats import Interval

__all__ = ["Limit", "Side", "side_of", "what_would_decide"]

Side = Literal["reproduced", "not reproduced", "undecided"]
_MOST = 1000  # beyond this many tasks or seeds nobody goes


@dataclass(frozen=True)
class Limit:
    """Where a value is claimed to lie: between `low` and `high`, one of which may be infinite.

    Examples
    --------
    >>> str(Limit.of({"above": 0})), str(Limit.of({"within": [-0.05, 0.05]}))
    ('> 0', 'within [-0.05, 0.05]')
    """

    low: float
    high: float

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Limit:
        """From ``above: x``, ``below: x`` or ``within: [low, high]``, one of them.

        Raises
        ------
        ValueError
            None of them, several, or what is no number.
        """
        if len(given) != 1:
            got = " and ".join(given) or "none"
            raise ValueError(f"a test has one limit, above, below or within, however: got {got}")
        ((kind, value),) = given.items()
        ends = value if kind == "within" else [value]
        if not isinstance(ends, list) or len(ends) != (2 if kind == "within" else 1):
            raise ValueError(f"within must be [low, high], however: got {value!r}")
        for end in ends:
            if isinstance(end, bool) or not isinstance(end, int | float) or not math.isfinite(end):
                raise ValueError(f"{kind} must be a finite number, however: got {end!r}")
        if kind == "within" and not ends[0] < ends[1]:
            raise ValueError(f"within goes from low to high, however: got {value!r}")
        low = -math.inf if kind == "below" else float(ends[0])
        return cls(low, math.inf if kind == "above" else float(ends[-1]))

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"> {self.low:g}"
        return f"< {self.high:g}" if math.isinf(self.low) else f"within [{self.low:g}, {self.high:g}]"

    def nearest(self, value: float) -> float:
        """The end that `value` is nearest to."""
        return min((end for end in (self.low, self.high) if math.isfinite(end)), key=lambda e: abs(value - e))


def side_of(interval: Interval, limit: Limit) -> Side:
    """On which side of the limit the whole interval lies; one that touches it is undecided.

    Raises
    ------
    ValueError
        A value or an end that is not a number, or ends that do not hold the value.

    Examples
    --------
    >>> side_of(Interval(0.2, 0.1, 0.3), Limit.of({"above": 0}))
    'reproduced'
    >>> side_of(Interval(0.2, 0.0, 0.3), Limit.of({"above": 0}))
    'undecided'
    """
    if any(math.isnan(v) for v in interval):
        raise ValueError(f"an interval must be of numbers, however: got {tuple(interval)}")
    if interval.low > interval.high:
        raise ValueError(f"an interval goes from low to high, however: got [{interval.low}, {interval.high}]")
    if limit.low < interval.low and interval.high < limit.high:
        return "reproduced"
    return "not reproduced" if interval.high < limit.low or interval.low > limit.high else "undecided"


def what_would_decide(found: Measured, limit: Limit) -> str:
    """About how many tasks or seeds would tell, if effect and spread stay as they are.

    Means over tasks and seeds go by their variance components (`embreg.power`, 80 % power); a share or a
    correlation goes by the width of its interval, which shrinks with the root of the number of tasks.

    Examples
    --------
    >>> what_would_decide(Measured(Interval(0.6, 0.4, 0.8), "share", 20, 3), Limit.of({"above": 0.5}))
    'at this effect and spread about 80 tasks would decide it, instead of 20'
    """
    end = limit.nearest(found.interval.value)
    distance = abs(found.interval.value - end)
    if math.isinf(found.interval.low) or math.isinf(found.interval.high):
        return "one task with one seed shows no spread; it takes at least two seeds"
    if distance < 1e-9:
        return "the value is at the limit, so no feasible number of tasks or seeds would decide it"
    toward = found.interval.low if found.interval.value > end else found.interval.high
    scale = (abs(found.interval.value - toward) / distance) ** 2
    single = found.n == 1
    seeds, tasks = math.inf, max(math.ceil(found.n * scale - 1e-9), found.n + 1) if not single else math.inf
    if single and found.seeds:
        seeds = max(math.ceil(found.seeds * scale - 1e-9), found.seeds + 1)
    elif found.cells is not None and "weights_seed" not in found.cells and found.seeds > 1:
        seeds, tasks = _by_power(found, distance)
    start = "at this effect and spread"
    if seeds <= _MOST:
        of = f" on the same {found.n} {found.of}" if not single else " on the same task"
        return f"{start} about {seeds:.0f} seeds{of} would decide it, instead of {found.seeds}"
    if tasks > _MOST:
        return (
            f"{start} no feasible number of {'seeds' if single else found.of + ' or seeds'} would decide it"
        )
    if found.available is not None and tasks > found.available:
        return (
            f"{start} it would take about {tasks:.0f} {found.of}, however: there are {found.available}, and "
            "more seeds alone do not decide it"
        )
    return f"{start} about {tasks:.0f} {found.of} would decide it, instead of {found.n}"


def _by_power(found: Measured, distance: float) -> tuple[float, float]:
    """Seeds on the same tasks, and tasks with the same seeds."""
    from embreg.power import components, seeds_needed, tasks_needed

    assert found.cells is not None
    parts = components(found.cells, found.cells.assign(difference=0.0), "difference")
    seeds = seeds_needed(parts, distance, found.n)
    tasks = tasks_needed(parts, distance, found.seeds)
    # Where the chance is good already and this sample was unlucky, it still takes more than there was.
    return max(seeds, found.seeds + 1), max(tasks, found.n + 1)
