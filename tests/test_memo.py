"""Results are found again when nothing changed, and only then."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import embreg
from embreg import memo
from embreg.memo import array_digest, memoize

INPUTS: dict[str, Any] = {"features": "ab", "seed": 0, "mlp": {"max_epochs": 3, "rates": [0.1, 1e-3]}}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMBREG_HOME", str(tmp_path))
    monkeypatch.delenv("EMBREG_MEMO", raising=False)
    return tmp_path / "memo"


class Counted:
    """A computation that knows how often it ran."""

    def __init__(self, result: Any = 1.5) -> None:
        self.result, self.times = result, 0

    def __call__(self) -> Any:
        self.times += 1
        return self.result


def stored(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def test_the_second_call_computes_nothing() -> None:
    work = Counted([{"kendall_tau": 0.1 + 0.2, "chosen": "{}"}])
    assert memoize(INPUTS, work) == memoize(dict(reversed(INPUTS.items())), work) == work.result
    assert work.times == 1


@pytest.mark.parametrize(
    "other",
    [
        {**INPUTS, "features": "ac"},
        {**INPUTS, "seed": 1},
        {**INPUTS, "mlp": {**INPUTS["mlp"], "max_epochs": 4}},
        {**INPUTS, "mlp": {**INPUTS["mlp"], "rates": [1e-3, 0.1]}},
        {**INPUTS, "mlp": None},
        {k: v for k, v in INPUTS.items() if k != "seed"},
        {**INPUTS, "more": None},
        {**INPUTS, "seed": False},
        {**INPUTS, "seed": "0"},
        {**INPUTS, "seed": 0.0},
    ],
)
def test_any_other_input_is_computed(other: dict[str, Any]) -> None:
    work = Counted()
    memoize(INPUTS, work)
    memoize(other, work)
    assert work.times == 2


@pytest.mark.parametrize("result", [0, 0.0, [], {}, False, "", 0.1, {"a": [1, "φ", None]}, 5e-324])
def test_every_result_comes_back_as_it_was(result: Any) -> None:
    work = Counted(result)
    first, second = memoize(INPUTS, work), memoize(INPUTS, work)
    assert first == second == result and type(first) is type(second) is type(result)
    assert work.times == 1


def test_the_first_result_is_like_the_later_ones() -> None:
    work = Counted([(1, 2), {"a": (3,)}])
    assert memoize(INPUTS, work) == memoize(INPUTS, work) == [[1, 2], {"a": [3]}]
    first = memoize(INPUTS, work)
    first.append("changed by the caller")
    assert memoize(INPUTS, work) == [[1, 2], {"a": [3]}]


@pytest.mark.parametrize("result", [float("nan"), [np.inf], {1}, np.zeros(2), object()])
def test_what_cannot_be_kept_is_an_error(result: Any, folder: Path) -> None:
    with pytest.raises((TypeError, ValueError)):
        memoize(INPUTS, Counted(result))
    assert not folder.exists()


def test_a_failed_computation_leaves_nothing(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        memoize(INPUTS, lambda: 1 / 0)
    assert not folder.exists()
    assert memoize(INPUTS, Counted(2)) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: p.write_bytes(p.read_bytes()[:-5]),
        lambda p: p.write_bytes(b""),
        lambda p: p.write_bytes(b"\xff\xfe"),
        lambda p: p.write_bytes(p.read_bytes().replace(b"1.5", b"2.5")),
        lambda p: p.write_text("[]"),
        lambda p: p.write_text('{"sum": "0", "result": 5}'),
        lambda p: p.write_text('{"result": "1.5"}'),
        lambda p: (p.unlink(), p.mkdir()),
    ],
    ids=["truncated", "empty", "binary", "one digit", "list", "number", "no sum", "folder"],
)
def test_a_damaged_file_is_computed_again(damage: Callable[[Path], object], folder: Path) -> None:
    work = Counted()
    memoize(INPUTS, work)
    (path,) = stored(folder)
    whole = path.read_bytes()
    damage(path)
    assert memoize(INPUTS, work) == 1.5
    assert work.times == 2
    if path.is_file():
        assert path.read_bytes() == whole
        memoize(INPUTS, work)
        assert work.times == 2


def test_off(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    work = Counted((1, 2))
    memoize(INPUTS, work)
    before = stored(folder)[0].stat().st_mtime_ns
    monkeypatch.setenv("EMBREG_MEMO", "off")
    assert memoize(INPUTS, work) == [1, 2]
    assert memoize({"other": 1}, work) == [1, 2]
    assert work.times == 3
    assert [p.stat().st_mtime_ns for p in stored(folder)] == [before]


def test_a_home_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("EMBREG_HOME", str(tmp_path / "file"))
    work = Counted()
    assert memoize(INPUTS, work) == memoize(INPUTS, work) == 1.5
    assert work.times == 2


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not bind this user"
)
def test_a_home_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert memoize(INPUTS, Counted()) == 1.5
    finally:
        tmp_path.chmod(0o700)


SCRIPT = """
import sys
from embreg.memo import memoize
assert sys.modules["embreg"].__file__.startswith(sys.argv[1]), sys.modules["embreg"].__file__
print(memoize({"a": 1}, lambda: sys.argv[2]))
"""


def test_changed_code_is_computed_again(tmp_path: Path) -> None:
    package = tmp_path / "package" / "embreg"
    shutil.copytree(Path(embreg.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))

    def result(answer: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", SCRIPT, str(package.parent), answer],
            env=os.environ | {"PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=tmp_path,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    assert (result("first"), result("second")) == ("first", "first")
    (package / "cli.py").write_text("# computes nothing\n")
    assert result("third") == "first"
    with open(package / "_task.py", "a") as file:  # splits the rows
        file.write("\n# changed\n")
    assert (result("fourth"), result("fifth")) == ("fourth", "fourth")


FITS = """
import sys
import numpy as np
import pandas as pd
from embreg.experiment import fit_and_score

rows = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["x0", "x1"])
mlp = {"max_epochs": 2, "learning_rates": [0.01], "weight_decays": [0.0]}
for head in ("mlp", "xgboost", "ridge_squares", "knn", "gp", "random_forest", "bayesian_ridge"):
    fit_and_score(None, rows, rows.to_numpy()[:, :1], head=head, mlp=mlp if head == "mlp" else None)
print(*(m.split(".")[1] for m in sys.modules if m.startswith("embreg.")))
"""


def test_every_module_that_a_fit_runs_through_is_watched() -> None:
    done = subprocess.run([sys.executable, "-c", FITS], check=True, capture_output=True, text=True)
    # Move bytes, show bars, share cores; or their answer is among the inputs (precision, rows, targets).
    without_effect = {
        "_files",
        "_progress",
        "_threads",
        "memo",
        "engine",
        "models",
        "_specs",
        "_static",
    }
    without_effect |= {"_features", "representation", "tasks", "bbob", "coco", "_bbob_checks"}
    without_effect |= {"_bbob_transforms", "experiment", "_provenance"}
    assert set(done.stdout.split()) - without_effect == {s.removesuffix(".py") for s in memo._SOURCES}


def test_libraries_that_are_not_installed_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo, "_LIBRARIES", ("numpy", "no-such-library"))
    memo._code.cache_clear()
    try:
        assert memo._code()["numpy"] == np.__version__
        assert "no-such-library" not in memo._code()
    finally:
        memo._code.cache_clear()


# --- arrays ------------------------------------------------------------------------------------------------


def test_digest_is_of_the_content() -> None:
    x = np.arange(6.0).reshape(2, 3)
    same = [
        x.copy(),
        np.asfortranarray(x),
        np.arange(12.0).reshape(2, 6)[:, ::2] / 2,
        json.loads("[[0,1,2],[3,4,5]]"),
    ]
    assert {array_digest(np.asarray(v, dtype=float)) for v in same} == {array_digest(x)}
    other = [
        x.reshape(3, 2),
        x.ravel(),
        x.astype(np.float32),
        x.astype(int),
        x + 1e-15,
        x.T,
        -0.0 * x,
        0.0 * x,
    ]
    assert len({array_digest(v) for v in [x, *other]}) == len(other) + 1


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 3)), np.array(1.0), np.array([True]), np.array(["2024-01-01"], dtype="datetime64[D]")],
)
def test_digest_of_odd_arrays(array: np.ndarray) -> None:
    assert len(array_digest(array)) == 64


def test_objects_have_no_digest() -> None:
    with pytest.raises(TypeError, match="an array of numbers is needed, however: dtype is object; convert"):
        array_digest(np.array(["a", 1], dtype=object))
