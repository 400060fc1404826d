"""Figures show the numbers that the statistics give, and leave nothing out in silence."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from embreg import _plot_style, plots
from embreg.stats import mean_interval


@pytest.fixture(autouse=True)
def close() -> Iterator[None]:
    yield
    plt.close("all")


def records(groups: tuple[str, ...] = ("llm", "trad"), dofs: tuple[int, ...] = (5, 100)) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    cells = list(product(groups, dofs, ("Sphere", "Discus", "Katsuura"), range(3)))
    table = pd.DataFrame(cells, columns=["method", "dof", "task", "seed"])
    return table.assign(kendall_tau=rng.uniform(-0.2, 0.8, len(table)))


def axes() -> Any:
    return plots.panels(1)[1][0]


def test_curves_return_and_draw_the_intervals() -> None:
    table, ax = records(), axes()
    got = plots.curves(ax, table, x="dof", by="method")
    assert got.columns.tolist() == ["method", "dof", "value", "low", "high"]
    assert list(zip(got.method, got.dof, strict=True)) == list(product(("llm", "trad"), (5, 100)))
    for row in got.itertuples():
        expected = mean_interval(table[(table.method == row.method) & (table.dof == row.dof)])
        assert (row.value, row.low, row.high) == expected
    for k, (line, band) in enumerate(zip(ax.lines, ax.collections, strict=True)):
        part = got.iloc[2 * k : 2 * k + 2]
        np.testing.assert_array_equal(line.get_ydata(), part.value)
        np.testing.assert_allclose(
            band.get_datalim(ax.transData).intervaly, [part.low.min(), part.high.max()]
        )
    assert ax.get_xscale() == "log"
    assert [t.get_text() for t in ax.get_xticklabels()] == ["5", "100"]


def test_a_group_keeps_its_color_when_others_are_absent() -> None:
    table, order = records(("a", "b", "c")), ["a", "b", "c"]
    colors = []
    for part in (table, table[table.method != "b"]):
        ax = axes()
        plots.curves(ax, part, x="dof", by="method", order=order)
        colors.append({line.get_label(): line.get_color() for line in ax.lines})
    assert colors[0]["c"] == colors[1]["c"] == plots.COLORS[2]
    assert list(colors[1]) == ["a", "c"]


def test_no_two_of_many_groups_look_alike() -> None:
    ax = axes()
    plots.curves(ax, records(tuple("abcdefghijklmnop")), x="dof", by="method", log=False)
    looks = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in ax.lines}
    assert len(looks) == 16


def test_what_curves_refuse() -> None:
    table = records()
    with pytest.raises(
        ValueError, match=r"every method of the records, however: \['trad'\] would not be drawn"
    ):
        plots.curves(axes(), table, x="dof", by="method", order=["llm"])
    with pytest.raises(ValueError, match="need records, however: there is none"):
        plots.curves(axes(), table.iloc[:0], x="dof", by="method")
    with pytest.raises(ValueError, match="1 cells are missing"):
        plots.curves(axes(), table.iloc[1:], x="dof", by="method")


@pytest.mark.parametrize(
    ("n", "columns", "shape"), [(1, 3, (1, 1)), (3, 3, (1, 3)), (5, 3, (2, 3)), (4, 1, (4, 1))]
)
def test_panels(n: int, columns: int, shape: tuple[int, int]) -> None:
    fig, ax = plots.panels(n, columns=columns, width=2, height=1)
    assert len(ax) == n
    assert sum(a.get_visible() for a in fig.axes) == n and len(fig.axes) == shape[0] * shape[1]
    assert fig.get_size_inches().tolist() == [2 * shape[1], shape[0]]


def test_the_lowest_panel_of_every_column_shows_its_scale() -> None:
    fig, ax = plots.panels(5, columns=3)
    fig.canvas.draw()
    shown = [any(t.label1.get_visible() for t in a.xaxis.get_major_ticks()) for a in ax]
    assert shown == [False, False, True, True, True]


@pytest.mark.parametrize("size", [{"n": 0}, {"n": 3, "columns": 0}])
def test_no_panel(size: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one panel and one column, however: got n="):
        plots.panels(**size)


def test_histograms_are_densities_with_their_means() -> None:
    rng, ax = np.random.default_rng(0), axes()
    values = {"φ_LLM": rng.exponential(size=500), "φ_trad": rng.exponential(3, size=500)}
    plots.histograms(ax, values, bins=20)
    assert len(ax.patches) == 40
    for k, v in enumerate(values.values()):
        bars = ax.patches[20 * k : 20 * k + 20]
        assert sum(b.get_height() * b.get_width() for b in bars) == pytest.approx(1)
        assert to_hex(bars[0].get_facecolor()) == plots.COLORS[k]
        assert ax.lines[k].get_xdata()[0] == pytest.approx(v.mean())


def test_histograms_say_what_they_cannot_draw() -> None:
    ax = axes()
    plots.histograms(ax, {"a": np.array([1.0, 2.0, np.inf]), "b": np.zeros(3)})
    assert ax.get_legend_handles_labels()[1] == ["a (1 infinite)", "b"]
    with pytest.raises(ValueError, match=r"finite values, however: \['a'\] has none"):
        plots.histograms(ax, {"a": np.array([np.inf]), "b": np.ones(3)})


def test_scatter_has_the_least_squares_line() -> None:
    x, ax = np.array([3.0, 1.0, 2.0]), axes()
    y = np.array([1.0, 0.0, 5.0])
    plots.scatter_fit(ax, x, y, ["a", "b", "c"])
    slope, start = np.polyfit(x, y, 1)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), slope * np.array([1.0, 3.0]) + start)
    assert [t.get_text() for t in ax.texts] == ["b", "c", "a"]  # lowest, highest, leftmost, rightmost
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), np.column_stack([x, y]))


def test_scatter_without_a_line() -> None:
    ax = axes()
    plots.scatter_fit(ax, np.ones(3), np.arange(3.0))
    assert len(ax.lines) == 2  # the axes alone
    assert not ax.texts


@pytest.mark.parametrize(
    ("x", "y", "labels", "message"),
    [
        ([1.0, 2.0], [1.0], (), r"x.shape=\(2,\), y.shape=\(1,\)"),
        ([1.0, 2.0], [1.0, 2.0], ("a",), "1 labels"),
        ([], [], (), "one length"),
        ([1.0, np.nan], [1.0, 2.0], (), "must be finite"),
    ],
)
def test_what_scatter_refuses(x: Any, y: Any, labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plots.scatter_fit(axes(), x, y, labels)


def test_colors_are_apart() -> None:
    assert len(set(plots.COLORS)) == len(plots.COLORS) == len(_plot_style.MARKERS)


def test_intervals_show_value_and_ends_and_hide_none() -> None:
    table = pd.DataFrame(
        [
            {"head": head, "on": on, "value": v, "low": v - 0.1, "high": v + 0.2}
            for v, (head, on) in enumerate(product(("mlp", "gp", "knn"), ("trad", "llm")))
        ]
    )
    ax = axes()
    plots.intervals(ax, table, y="head", by="on")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["mlp", "gp", "knn"]
    assert ax.get_ylim() == (2.5, -0.5), "the first on top"
    lines = [container.lines[0] for container in ax.containers]
    drawn = np.concatenate([line.get_xdata() for line in lines])
    assert sorted(drawn) == sorted(table.value)
    places = np.concatenate([line.get_ydata() for line in lines])
    assert len(set(places.round(6))) == len(table), "no marker on another"
    ends = [bar.get_segments() for c in ax.containers for bar in c.lines[2]]
    low = sorted(segment[0][0] for part in ends for segment in part)
    assert low == pytest.approx(sorted(table.low))


def test_groups_of_points_have_colors_and_markers_of_their_own() -> None:
    points = pd.DataFrame({"x": range(6), "y": range(6), "shift": [0.0, 0.0, 2.0, 2.0, 4.0, 4.0]})
    ax = axes()
    plots.scatter_groups(ax, points, x="x", y="y", by="shift")
    assert [c.get_label() for c in ax.collections] == ["0", "2", "4"]
    assert len({to_hex(c.get_facecolor()[0]) for c in ax.collections}) == 3
    assert sum(len(c.get_offsets()) for c in ax.collections) == len(points)


def test_points_stand_at_their_values_and_only_a_series_is_joined() -> None:
    table = pd.DataFrame({"size": [8.0, 2.0, 4.0], "of": ["T5", "T5", "other"], "who": list("bac")})
    table = table.assign(value=[0.6, 0.5, 0.4], low=[0.5, 0.3, 0.3], high=[0.8, 0.6, 0.5])
    ax = axes()
    plots.points(ax, table, x="size", by="of", name="who", joined=["T5"])
    first, other = (box.lines[0] for box in ax.containers)
    assert first.get_xdata().tolist() == [2, 8] and first.get_ydata().tolist() == [0.5, 0.6]
    assert (first.get_linestyle(), other.get_linestyle()) == ("-", "None")
    ends = ax.containers[0].lines[2][0].get_segments()
    assert np.allclose([e[:, 1] for e in ends], [[0.3, 0.6], [0.5, 0.8]])
    assert sorted(t.get_text() for t in ax.texts) == ["a", "b", "c"]
    assert ax.get_xscale() == "log"
    with pytest.raises(ValueError, match="size must be above zero on a logarithmic axis, however: got 0"):
        plots.points(axes(), table.assign(size=0.0), x="size", by="of")


@pytest.mark.parametrize(("low", "high"), [(384, 384), (17e6, 23e6), (17e6, 109e6), (35e6, 4762e6), (1, 1e9)])
def test_points_have_a_few_round_ticks_on_any_range(low: float, high: float) -> None:
    table = pd.DataFrame({"size": [low, high], "of": "T5", "value": 0.5, "low": 0.4, "high": 0.6})
    ax = axes()
    plots.points(ax, table, x="size", by="of")
    (left, right), ticks = ax.get_xlim(), ax.get_xticks()
    assert left < low <= high < right
    assert 2 <= len([t for t in ticks if left <= t <= right]) <= 12
    drawn = ax.containers[0].lines[0].get_xdata()
    assert drawn[0] < drawn[1]  # also where both models are of one size
