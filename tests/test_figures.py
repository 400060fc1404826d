"""Figures for every reader: colours told apart, a light plate in the dark, words that state the finding."""

from __future__ import annotations

import base64
import html
import itertools
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from embreg import plots

REPO = Path(__file__).parents[1]

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
SEEN = {
    "all colours": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
APART = 15.0
"""Least distance in CIELAB between two colours; about 2 can just be seen side by side."""


def linear(color: str) -> np.ndarray:
    value = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    t = to_xyz @ np.clip(rgb, 0, 1) / (0.95047, 1, 1.08883)
    x, y, z = np.where(t > 216 / 24389, np.cbrt(t), (24389 / 27 * t + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def nearest(colors: tuple[str, ...], seen: np.ndarray) -> float:
    """Distance of the two colours most alike."""
    points = [lab(seen @ linear(color)) for color in colors]
    return min(math.dist(a, b) for a, b in itertools.combinations(points, 2))


@pytest.mark.parametrize("sight", SEEN)
def test_colors_are_told_apart(sight: str) -> None:
    assert nearest(plots.COLORS, SEEN[sight]) >= APART


@pytest.mark.parametrize("sight", ["protanopia", "deuteranopia"])
def test_the_usual_colors_of_matplotlib_would_not_pass(sight: str) -> None:
    usual = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd")
    assert nearest(usual, SEEN["all colours"]) >= APART > nearest(usual, SEEN[sight])


def test_in_the_dark_figures_lie_on_a_light_plate() -> None:
    css = (REPO / "book/_static/embreg.css").read_text(encoding="utf-8")
    rule = re.search(r'html\[data-theme="dark"\][^{]*\.embreg-figure :is\(img, svg\)[^{]*\{([^}]*)\}', css)
    assert rule is not None
    color = re.search(r"background: (#[0-9a-f]{6});", rule[1])
    assert color is not None and "filter: none" in rule[1]
    # Text is drawn black, ticks and grids grey: 7 is what WCAG asks of text at its stricter level.
    luminance = float(linear(color[1]) @ (0.2126729, 0.7151522, 0.0721750))
    assert (luminance + 0.05) / 0.05 >= 7


# --- the text alternatives of the committed figures ------------------------------------------------------

IMAGE = re.compile(
    r'<figure class="embreg-figure"><img alt="([^"]*)" src="data:image/svg\+xml;base64,([^"]+)"'
)
FIGURES = [
    pytest.param(html.unescape(alt), base64.b64decode(image).decode(), id=f"{path.stem}/{cell['id']}")
    for path in sorted((REPO / "notebooks").glob("*.ipynb"))
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
    for output in cell.get("outputs", ())
    for alt, image in IMAGE.findall("".join(output.get("data", {}).get("text/html", "")))
]
NUMBER = re.compile(r"(?<![\w.-])[+-]?\d+(?:\.\d+)?(?![\w-])")  # none of those inside a model's name


def words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d]+", text.lower()))


def says_more_than_axes(alt: str, svg: str) -> bool:
    """Whether a text has a number, and words or numbers that are not drawn as label, tick or legend."""
    drawn = " ".join(re.findall(r"<text[^>]*>([^<]*)<", svg))
    new = len(words(alt) - words(drawn)) + len(set(NUMBER.findall(alt)) - set(NUMBER.findall(drawn)))
    return len(alt) >= 80 and bool(NUMBER.search(alt)) and new >= 6


def test_there_are_figures_to_look_at() -> None:
    assert len(FIGURES) >= 12


@pytest.mark.parametrize(("alt", "svg"), FIGURES)
def test_the_text_alternative_states_a_finding(alt: str, svg: str) -> None:
    assert says_more_than_axes(alt, svg), alt


@pytest.mark.parametrize(
    "alt",
    [
        "Figure 1",
        "Kendall's tau against degrees of freedom for each of the functions of the suite and all models.",
        "Mean Kendall τ against degrees of freedom: 5, 10, 25, 50, 100 degrees of freedom; paper and coco",
    ],
)
def test_names_of_axes_would_not_pass(alt: str) -> None:
    drawn = ["degrees of freedom", "mean Kendall τ", "paper", "coco", "5", "10", "25", "50", "100"]
    assert not says_more_than_axes(alt, "".join(f"<text>{word}</text>" for word in drawn))


@pytest.mark.parametrize("path", sorted((REPO / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_every_figure_was_saved_as_svg_and_png(path: Path) -> None:
    kept = json.loads(path.read_text(encoding="utf-8"))["metadata"].get("embreg", {}).get("records", [])
    vector, raster = ({f[:-4] for f in kept if f.endswith(ending)} for ending in (".svg", ".png"))
    assert vector == raster
    assert len(vector) >= sum(p.id.startswith(f"{path.stem}/") for p in FIGURES)
