"""Fronts: what dominates what, with and without intervals, and what a budget buys."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embreg.pareto import draw, legend, pareto, standing, take
from embreg.services.counting import count_tokens
from embreg.services.prices import price_table
from embreg.services.table import DATE, PROVIDERS
from embreg.stats import Interval

# Small whole numbers: ties and equal points are what a front gets wrong.
rows = st.lists(st.tuples(*[st.integers(0, 4)] * 4), min_size=1, max_size=14)


def dominates(b: tuple[float, ...], a: tuple[float, ...], costs: int) -> bool:
    """The definition, for points written (cost, …, quality)."""
    no_dearer = all(b[k] <= a[k] for k in range(costs))
    cheaper = any(b[k] < a[k] for k in range(costs))
    return no_dearer and b[-1] >= a[-1] and (cheaper or b[-1] > a[-1])


@given(rows, st.integers(1, 3))
def test_every_pair_is_compared(found: list[tuple[int, ...]], costs: int) -> None:
    points = [(*row[:costs], row[3]) for row in found]
    names = [f"c{k}" for k in range(costs)]
    frame = pd.DataFrame(points, columns=[*names, "q"])
    slow = [not any(dominates(b, a, costs) for b in points) for a in points]
    assert pareto(frame, names, "q").tolist() == slow


@given(rows)
def test_something_is_always_on_the_front_and_beats_the_rest(found: list[tuple[int, ...]]) -> None:
    frame = pd.DataFrame(found, columns=["a", "b", "c", "q"])
    front = pareto(frame, ["a", "b", "c"], "q")
    assert front.any()
    kept = frame[front]
    for lost in frame[~front].to_numpy():
        assert any(dominates(tuple(one), tuple(lost), 3) for one in kept.to_numpy())


def test_equal_points_stay_together() -> None:
    frame = pd.DataFrame({"ms": [1.0, 1.0, 1.0], "q": [2.0, 2.0, 1.0]})
    assert pareto(frame, ["ms"], "q").tolist() == [True, True, False]


def test_bad_points_are_refused() -> None:
    frame = pd.DataFrame({"ms": [1.0, np.nan], "q": [1.0, 2.0]})
    with pytest.raises(ValueError, match=r"rows \[1\] lack one"):
        pareto(frame, ["ms"], "q")
    for costs in ([], "ms"):
        with pytest.raises(ValueError, match="at least one column, however"):
            pareto(frame, costs, "q")


def exact(values: list[float]) -> object:
    return lambda a, b: Interval(*[float(values[int(a)] - values[int(b)])] * 3)


@given(rows)
def test_without_intervals_it_is_the_plain_front(found: list[tuple[int, ...]]) -> None:
    frame = pd.DataFrame(found, columns=["ms", "x", "y", "q"])
    names = [str(i) for i in range(len(frame))]
    states = standing(names, exact(list(frame.q)), exact(list(frame.ms))).standing  # type: ignore[arg-type]
    expected = np.where(pareto(frame, ["ms"], "q"), "front", "dominated")
    assert states.tolist() == expected.tolist()


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(0, 6), st.integers(0, 3)),
        min_size=2,
        max_size=7,
    ),
    st.randoms(use_true_random=False),
)
def test_what_is_said_for_sure_is_true_wherever_the_truth_lies(
    boxes: list[tuple[int, int, int, int]], random: object
) -> None:
    """Each true cost and quality lies within its bounds; the intervals are those of their differences."""

    def between(low: int, width: int) -> object:
        return lambda a, b: Interval(
            0.0,
            float(boxes[int(a)][low] - boxes[int(b)][low] - boxes[int(b)][width]),
            float(boxes[int(a)][low] + boxes[int(a)][width] - boxes[int(b)][low]),
        )

    names = [str(i) for i in range(len(boxes))]
    states = standing(names, between(2, 3), between(0, 1)).standing  # type: ignore[arg-type]
    for _ in range(5):
        truth = pd.DataFrame(
            [(c + random.randint(0, dc), q + random.randint(0, dq)) for c, dc, q, dq in boxes],  # type: ignore[attr-defined]
            columns=["ms", "q"],
        )
        front = pareto(truth, ["ms"], "q")
        assert not front[states == "dominated"].any()
        assert front[states == "front"].all()


def test_who_dominates_is_named() -> None:
    found = standing(["0", "1"], exact([0.5, 0.4]), exact([1.0, 2.0]))  # type: ignore[arg-type]
    assert found.by.tolist() == ["", "0"]
    with pytest.raises(ValueError, match="names must be different"):
        standing(["0", "0"], exact([1.0]), exact([1.0]))  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=8), st.integers(0, 4))
def test_a_budget_buys_the_cheapest_that_is_as_good_as_the_best(
    found: list[tuple[int, int]], width: int
) -> None:
    points = pd.DataFrame(found, columns=["ms", "q"]).assign(name=[str(i) for i in range(len(found))])

    def quality(a: str, b: str) -> Interval:
        d = float(points.q[int(a)] - points.q[int(b)])
        return Interval(d, d - width, d + width)

    budgets = [0, 1, 3, 5, 9]
    out = take(points, budgets, quality, name="name", cost="ms", value="q")
    for row in out.to_dict("records"):
        able = points[points.ms <= row["budget"]]
        if able.empty:
            assert row["take"] == "" and np.isnan(row["ms"])
            continue
        good = able[(able.q >= able.q.max() - width)]
        assert row["ms"] == good.ms.min()
        assert points.q[int(row["best"])] == able.q.max()
        assert row["short"].low <= 0
    assert (np.diff(out.ms.dropna()) >= 0).all() or width > 0


def test_a_figure_leaves_out_what_it_does_not_know() -> None:
    points = pd.DataFrame(
        {"ms": [1.0, 2.0, np.nan, 3.0], "ms_low": 0.5, "ms_high": 4.0, "value": [0.1, 0.2, 0.3, 0.4],
         "low": 0.0, "high": 0.5, "standing": ["front", "undecided", "front", None],
         "model": list("abcd"), "dtype": ["x", "x", "y", "y"]}
    )  # fmt: skip
    fig, ax = plt.subplots()
    draw(ax, points, cost="ms", color="model", marker="dtype")
    drawn = [line for line in ax.lines if line.get_marker() in "os"]
    assert [line.get_xdata()[0] for line in drawn] == [1.0, 2.0]
    # Filled for sure, pale where undecided; colors go by the whole table, so that panels agree.
    assert [line.get_markerfacecolor()[3] for line in drawn] == [1.0, 0.4]
    legend(fig, points, color="model", marker="dtype")
    assert [t.get_text() for t in fig.legends[0].get_texts()] == ["a", "b", "c", "d", "x", "y"]
    plt.close(fig)


def test_prices_are_those_of_the_table_times_tokens() -> None:
    texts = ["[1.25,-0.50]", "[1.25,-0.50,3.00]"]
    table = price_table(texts).set_index("model")
    listed = {f"service:{p.name}/{m}": (p, k) for p in PROVIDERS.values() for m, k in p.models.items()}
    assert set(table.index) == set(listed) and (table["read"] == DATE).all()
    for name, (provider, known) in listed.items():
        tokens = sum(count_tokens(t, provider.digits) for t in texts) / 2
        # A million rows, at so many dollars for a million tokens.
        assert table.dollars_per_million_rows[name] == pytest.approx(1e6 * tokens * known.price / 1e6)
    with pytest.raises(ValueError, match="got none"):
        price_table([])
