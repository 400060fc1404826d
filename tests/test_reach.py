"""How far coordinates reach: seen in models whose attention is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from embreg._task import stream
from embreg.experiment import TRADITIONAL, Representation
from embreg.findings import mean_difference
from embreg.reach import reach, tilt
from tests.tiny import tiny_bert, tiny_decoder

pytestmark = pytest.mark.usefixtures("one_thread")


def rep(folder: Path, label: str = "r", **settings: object) -> Representation:
    return Representation.of(
        "x:values:1", **{"label": label, "model": str(folder), "dtype": "float32", **settings}
    )


def test_one_cell_by_hand(tmp_path: Path) -> None:
    one = rep(tiny_bert(tmp_path / "m"))
    out = reach([one], dof=3, seed=2, n_rows=4)
    base, other = stream((3, 2), "rows and one coordinate drawn anew").uniform(-5, 5, (2, 4, 3))
    other = np.where(base < 0, -np.abs(other), np.abs(other))  # as long as before
    table = [*base]
    for row in range(4):
        for j in range(3):
            table.append(np.where(np.arange(3) == j, other[row], base[row]))
    vectors = one.embedder().set_params(store=None).fit_transform(one.strings(np.array(table))).astype(float)
    z = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    distances = [np.linalg.norm(z[4 + i] - z[i // 3]) for i in range(12)]
    np.testing.assert_allclose(out.moved, np.array(distances) / np.mean(distances), rtol=1e-6)
    assert out.place.tolist() == [1, 2, 3] * 4 and out.task.tolist() == sorted([0, 1, 2, 3] * 3)


def test_a_causal_token_is_moved_from_in_front_alone(tmp_path: Path) -> None:
    """The first token of a decoder reads nothing else; in an encoder it reads the row."""
    decoder, encoder = tiny_decoder(tmp_path / "d", "llama"), tiny_bert(tmp_path / "e")
    with pytest.raises(ValueError, match="must move a vector somewhere, however: 'first' never moves"):
        reach([rep(decoder, "first", pooling="cls")], dof=4, n_rows=4)
    read = reach([rep(encoder, "first", pooling="cls")], dof=4, n_rows=8)
    assert (read.groupby("place").moved.mean() > 0.3).all()


def test_the_mean_of_a_decoder_leans_to_the_front_and_its_vocabulary_does_not(tmp_path: Path) -> None:
    folder = tiny_decoder(tmp_path / "d", "smollm")
    pair = [rep(folder, "forward"), rep(folder, "vocab", stage="vocab")]
    tilts = tilt(reach(pair, dof=6, n_rows=30))
    found = {label: mean_difference(part) for label, part in tilts.groupby("representation")}
    assert found["forward"].low > 0.05
    assert abs(found["vocab"].value) < 0.15 and found["forward"].value > 2 * abs(found["vocab"].value)


def test_representations_are_asked_about_the_same_rows_and_each_has_mean_one(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "m")
    pair = [rep(folder, "mean"), rep(folder, "last", pooling="last")]
    both = reach(pair, dof=3, n_rows=5)
    assert both.groupby("representation").moved.mean().to_numpy() == pytest.approx([1, 1])
    alone = reach(pair[1:], dof=3, n_rows=5)
    part = both[both.representation == "last"].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, alone, rtol=1e-4)


def test_tilt_leaves_the_middle_out() -> None:
    moves = pd.DataFrame({"representation": "u", "task": [0] * 5, "seed": 0, "place": [1, 2, 3, 4, 5]})
    assert tilt(moves.assign(moved=[3.0, 2.0, 99.0, 1.0, 0.0])).difference.tolist() == [2.0]


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="reach is measured in language models, however: 'φ_trad' has none"):
        reach([TRADITIONAL], dof=4)
    one = rep(tiny_bert(tmp_path / "m"))
    with pytest.raises(ValueError, match="a label of its own"):
        reach([one, one], dof=4)
    with pytest.raises(ValueError, match="dof must be a whole number of at least 2"):
        reach([one], dof=1)
