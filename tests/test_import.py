"""`import embreg` is quick and light, and every public name is what it says, whatever was imported before."""

from __future__ import annotations

import os
import pkgutil
import statistics
import subprocess
import sys
import time
import types
from typing import Any

import pytest

import embreg

# The contract: these exactly.
FUNCTIONS = [
    "serialize",
    "kendall_tau",
    "pearson",
    "mse",
    "mae",
    "r2",
    "nlfd",
    "smoothness_gap",
    "use_workers",
]
CLASSES = ["TabularFeatures", "TextEmbedder", "MLPHead"]
MODULES = ["cluster", "tasks", "models", "pooling"]
POOLINGS = ["mean", "padded_mean", "max", "cls", "last", "mean_sqrt", "weighted_mean"]

HEAVY = [
    "torch", "transformers", "tokenizers", "safetensors", "matplotlib", "seaborn", "sklearn", "scipy",
    "pandas", "polars", "numpy", "xgboost", "cma", "papermill", "rich", "IPython", "dask", "distributed",
]  # fmt: skip
EXTRAS = [
    "torch", "transformers", "tokenizers", "onnx", "huggingface_hub", "matplotlib", "seaborn", "xgboost",
    "cma", "papermill", "nbclient", "nbformat", "IPython", "polars", "jupyter_book", "sphinx",
    "dask", "distributed", "openvino", "openai", "gguf", "lightgbm", "zigzag", "statsmodels", "mapie",
]  # fmt: skip


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_import_is_quick() -> None:
    # Bare Python takes its time too, on a busy machine more: its own part is left out, the limit is generous.
    def seconds(code: str) -> float:
        times = []
        for _ in range(3):
            start = time.perf_counter()
            python(code)
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    assert seconds("import embreg") - seconds("pass") < 1.0


def test_import_loads_nothing_heavy() -> None:
    loaded = python(f"import sys, embreg; print(*(m for m in {HEAVY} if m in sys.modules))")
    assert loaded == ""


def test_no_module_loads_an_extra_when_it_is_imported() -> None:
    modules = [f"embreg.{m.name}" for m in pkgutil.iter_modules(embreg.__path__) if m.name != "__main__"]
    assert "embreg.embedder" in modules
    code = f"import importlib, sys\nfor m in {modules}: importlib.import_module(m)\n"
    assert python(code + f"print(*(m for m in {EXTRAS} if m in sys.modules))") == ""


def test_every_name_of_the_contract() -> None:
    for name in FUNCTIONS:
        assert isinstance(getattr(embreg, name), types.FunctionType), name
    for name in CLASSES:
        assert isinstance(getattr(embreg, name), type), name
    for name in MODULES:
        assert isinstance(getattr(embreg, name), types.ModuleType), name
    for name in POOLINGS:
        assert callable(getattr(embreg.pooling, name)), name
    assert callable(embreg.tasks.bbob)
    assert set(FUNCTIONS + CLASSES + MODULES) <= set(embreg.__all__) <= set(dir(embreg))


@pytest.mark.parametrize("name", sorted(embreg._EXPORTS))
def test_every_export_says_where_it_comes_from(name: str) -> None:
    thing = getattr(embreg, name)
    assert thing.__module__ == f"embreg.{embreg._EXPORTS[name]}"
    assert thing.__doc__


def test_modules_of_the_package_are_attributes() -> None:
    assert python(
        f"import embreg; print(*(getattr(embreg, m).__name__ for m in {embreg._MODULES}))"
    ) == " ".join(f"embreg.{m}" for m in embreg._MODULES)


def test_star() -> None:
    assert python("from embreg import *; print(serialize([[1]]), callable(nlfd), tasks.__name__)") == (
        "['{x0:1}'] True embreg.tasks"
    )


@pytest.mark.parametrize(
    "before",
    [
        "pass",
        "import embreg.serialize",
        "from embreg.serialize import serialize as other",
        "import embreg.serialize as other",
        "import importlib; importlib.import_module('embreg.serialize')",
        "import embreg; embreg.serialize; import embreg.serialize",
        "import embreg.experiment, embreg.lipschitz, embreg.features, embreg.head, embreg.embedder",
        "import embreg.serialize, importlib; importlib.reload(embreg)",
        "import embreg.serialize, importlib, sys; importlib.reload(sys.modules['embreg.serialize'])",
        "import embreg.serialize, sys; del sys.modules['embreg.serialize']; import embreg.serialize",
    ],
)
def test_the_function_wins_over_the_module_of_its_name(before: str) -> None:
    code = f"{before}\nimport embreg\nfrom embreg import serialize\n"
    code += (
        "print(type(serialize).__name__, embreg.serialize is serialize, serialize([[1.0]], names=False)[0])\n"
    )
    code += "import sys; print(sys.modules['embreg.serialize'].serialize([[2]], names=False)[0])"
    assert python(code).split() == ["function", "True", "{1.0000}", "{2}"]


@pytest.mark.parametrize("name", sorted({*embreg._EXPORTS, *embreg._MODULES}))
def test_no_import_of_a_submodule_changes_a_name(name: str) -> None:
    before: Any = getattr(embreg, name)
    for module in pkgutil.iter_modules(embreg.__path__):
        if module.name != "__main__":
            __import__(f"embreg.{module.name}")
    assert getattr(embreg, name) is before


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'embreg' has no attribute 'serialise'"):
        _ = embreg.serialise
    with pytest.raises(ImportError, match="cannot import name 'Serialize'"):
        from embreg import Serialize  # noqa: F401


def test_version_is_a_string() -> None:
    assert embreg.__version__.count(".") >= 2


@pytest.mark.skipif(os.name == "nt", reason="the check reads a POSIX path")
def test_nothing_is_written_by_an_import(tmp_path: Any) -> None:
    subprocess.run(
        [sys.executable, "-c", "import embreg, embreg.memo, embreg.records, embreg.weights"],
        env=os.environ | {"EMBREG_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)},
        cwd=tmp_path,
        check=True,
    )
    assert list(tmp_path.iterdir()) == []
