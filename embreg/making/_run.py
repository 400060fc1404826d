"""One task under way: every worker busy with one row, and what they return in the journal at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool

from embreg._progress import Progress
from embreg.making._draws import Draw, check_entry, draws
from embreg.making._workers import Outcome, Workers
from embreg.making.family import Family, MissingTool
from embreg.making.journal import Entry, Journal

__all__ = ["MeasureError", "Run"]

_ENOUGH = 50  # rows after which the share of infeasible ones means something


class MeasureError(RuntimeError):
    """Rows of a task cannot be measured; what was measured before is kept."""


class Run:
    """One task under way: keeps every worker busy with one row, and writes what they return.

    One row at a time and no queue: an interrupt loses what is being measured and nothing else, and when a
    worker dies the rows that may have killed it are known.
    """

    def __init__(
        self, family: Family, task: str, journal: Journal, pool: Workers, jobs: int, bar: Progress
    ) -> None:
        self.family, self.task, self.journal, self.pool = family, task, journal, pool
        self.jobs, self.bar, self.new = jobs, bar, 0
        self.name = f"{family.name}/{task}"
        self._running: dict[Future[Outcome], tuple[Draw, int]] = {}
        self._reasons: Counter[str] = Counter()

    def done(self) -> int:
        """Rows that are in the journal."""
        return sum(repeat == 0 for _, repeat in self.journal.log.entries)

    def rows(self, n: int) -> list[Draw]:
        """Measure until the first `n` rows that have a y are known, and return them."""
        source = draws(self.family, self.task)
        kept: list[Draw] = []

        def want() -> tuple[Draw, int] | None:
            # Never more than could still be needed: rows that nobody wants cost as much as others.
            while len(kept) + len(self._running) < n:
                draw = next(source)
                if (entry := self.journal.log.entries.get((draw.index, 0))) is None:
                    return draw, 0
                check_entry(entry, draw, self.name)
                note(draw, entry)
            return None

        def note(draw: Draw, entry: Entry) -> None:
            if entry.y is not None:
                kept.append(draw)
                self.bar.advance(1)
                return
            self._reasons[entry.reason or ""] += 1
            bad, most = self._reasons.total(), self._reasons.most_common(1)[0]
            if bad + len(kept) > _ENOUGH and bad > len(kept):
                raise MeasureError(
                    f"{self.name}: at least half of the rows must be feasible, however: {bad} of "
                    f"{bad + len(kept)} are not; most often ({most[1]} times): {most[0]}. Narrow the space"
                )

        self._drive(want, note)
        return sorted(kept, key=lambda draw: draw.index)

    def repeats(self, first: Sequence[Draw], times: int) -> None:
        """Measure rows again."""
        wanted = [(draw, repeat) for draw in first for repeat in range(1, times + 1)]
        todo = [w for w in wanted if (w[0].index, w[1]) not in self.journal.log.entries]
        self.bar.advance(len(wanted) - len(todo))
        todo.reverse()
        self._drive(lambda: todo.pop() if todo else None, lambda _draw, _entry: self.bar.advance(1))

    def _drive(
        self, want: Callable[[], tuple[Draw, int] | None], note: Callable[[Draw, Entry], None]
    ) -> None:
        while True:
            while len(self._running) < self.jobs and (job := want()) is not None:
                draw, repeat = job
                try:
                    self._running[self.pool.measure(self.task, draw.row, repeat)] = job
                except BrokenProcessPool:
                    self._running[Future()] = job
                    raise self._died() from None
            if not self._running:
                return
            done, _ = wait(self._running, return_when=FIRST_COMPLETED)
            # Rows that are finished come before those that failed: they are to be kept.
            for future in sorted(done, key=lambda f: f.exception() is not None):
                if isinstance(future.exception(), BrokenProcessPool):
                    raise self._died()
                draw, repeat = self._running.pop(future)
                entry = self._entry(draw, repeat, future.result())
                self.journal.add(entry)
                self.new += 1
                note(draw, entry)

    def _entry(self, draw: Draw, repeat: int, outcome: Outcome) -> Entry:
        if outcome.kind == "missing":
            raise MissingTool(outcome.text)
        if outcome.kind == "error":
            error = MeasureError(
                f"{self.name}: row {draw.index} cannot be measured: {outcome.text}. Finished rows are kept; "
                "the same command goes on when this is repaired. EMBREG_DEBUG=1 shows where it was raised"
            )
            error.add_note(outcome.trace)
            raise error
        feasible = outcome.kind == "y"
        return Entry(
            draw.index, repeat, draw.key, outcome.y if feasible else None,
            None if feasible else outcome.text, round(outcome.seconds, 6),
        )  # fmt: skip

    def _died(self) -> MeasureError:
        rows = ", ".join(str(draw.index) for draw, _ in self._running.values())
        return MeasureError(
            f"{self.name}: a worker process died ({self.pool.how_one_died()}) while these rows were "
            f"measured: {rows}. Finished rows are kept; the same command goes on. If memory was short, use "
            "fewer --jobs"
        )
