"""The files that say what gets installed agree with each other, with the code and with the machine."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import embreg

ROOT = Path(__file__).resolve().parents[1]
FILES = ("pyproject.toml", "constraints.txt", "environment.yml")


def load_tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"embreg_{name}", ROOT / "tools" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lock = load_tool("lock")
PROJECT = lock.read_project()
EXTRAS = PROJECT["project"]["optional-dependencies"]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with the three files, to damage."""
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


# --- pyproject.toml, constraints.txt, environment.yml -------------------------------------------------


def test_the_three_files_agree() -> None:
    assert lock.disagreements() == []


def test_a_bound_above_its_pin_is_found(copy: Path) -> None:
    edit(copy / "pyproject.toml", '"scipy>=1.14"', '"scipy>=99"')
    [found] = lock.disagreements(copy)
    assert "scipy" in found and "outside scipy>=99 (dependencies)" in found


def test_a_dependency_without_a_pin_is_found(copy: Path) -> None:
    edit(copy / "pyproject.toml", '"numpy>=2.0",', '"numpy>=2.0", "left-pad>=1",')
    assert lock.disagreements(copy) == ["constraints.txt has no pin for left-pad>=1 (dependencies)"]


def test_an_edited_pin_is_found_in_the_environment(copy: Path) -> None:
    [pin] = [
        line for line in (copy / "constraints.txt").read_text().splitlines() if line.startswith("rich==")
    ]
    edit(copy / "constraints.txt", pin, "rich==14.0.0")
    assert lock.disagreements(copy) == ["environment.yml is not what constraints.txt and pyproject.toml give"]


def test_a_pin_that_only_cuda_wants_is_found(copy: Path) -> None:
    edit(copy / "constraints.txt", "\nzipp==", "\ntriton==3.7.1\nzipp==")
    assert "constraints.txt pins triton, which pyproject.toml says to omit" in lock.disagreements(copy)


@pytest.mark.parametrize(
    "line", ["torch==2.13.0+cpu", "torch>=2.13.0", "torch==2.*", "torch @ file:///a.whl"]
)
def test_only_exact_pins_of_public_versions_are_read(line: str) -> None:
    with pytest.raises(ValueError, match="not an exact pin of a public version"):
        lock.read_pins(line)


def test_pins_come_from_no_particular_machine() -> None:
    """No index, no folder of wheels, no path: the same lines serve everybody."""
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert line.startswith("#") or Requirement(line).url is None
        assert not line.startswith("-") and "://" not in line
    assert "find-links" not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_conda_reads_the_environment() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, pip, section = environment["dependencies"]
    assert python == "python>=3.11,<3.15" and pip == "pip"
    *pins, last = section["pip"]
    assert last == "-e .[all]"
    # no options but the last: conda's pip reads this list from a folder of its own
    assert all(str(Requirement(pin).specifier).startswith("==") for pin in pins)


def test_one_xgboost_on_every_machine() -> None:
    """Both packages install a module named xgboost; the later one would overwrite the earlier."""
    requirements = [Requirement(text) for text in EXTRAS["boosting"]]
    for platform in ("linux", "darwin", "win32"):
        assert (
            sum(bool(r.marker and r.marker.evaluate({"sys_platform": platform})) for r in requirements) == 1
        )


def test_all_means_every_extra() -> None:
    [requirement] = [Requirement(text) for text in EXTRAS["all"]]
    assert requirement.name == "embreg"
    assert requirement.extras == set(EXTRAS) - {"all"}


# --- the package ------------------------------------------------------------------------------------


def test_versions_agree() -> None:
    assert embreg.__version__ == PROJECT["project"]["version"] == importlib.metadata.version("embreg")


def test_the_command_is_installed() -> None:
    [entry] = importlib.metadata.entry_points(group="console_scripts", name="embreg")
    assert callable(entry.load())


def imports(path: Path) -> set[tuple[str, bool]]:
    """Top-level packages that a file imports, each with whether the import runs when the file is imported."""
    found: set[tuple[str, bool]] = set()

    def visit(node: ast.AST, eager: bool) -> None:
        if isinstance(node, ast.Import):
            found.update((alias.name.partition(".")[0], eager) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add((node.module.partition(".")[0], eager))
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        lazy = typing_only or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, eager and not lazy)

    visit(ast.parse(path.read_text(encoding="utf-8")), True)
    return found


@cache
def installed_modules() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


def modules_of(requirements: list[str]) -> set[str]:
    """Names under which the installed distributions behind these requirements are imported."""
    names = {canonicalize_name(Requirement(text).name) for text in requirements}
    return {
        module
        for module, distributions in installed_modules().items()
        if names & {canonicalize_name(d) for d in distributions}
    }


@pytest.mark.parametrize("path", sorted((ROOT / "embreg").rglob("*.py")), ids=lambda p: p.stem)
def test_every_import_is_declared(path: Path) -> None:
    """A module imports what pyproject.toml names; what an extra brings, only inside functions."""
    core = modules_of(PROJECT["project"]["dependencies"]) | set(sys.stdlib_module_names) | {"embreg"}
    extras = modules_of([text for texts in EXTRAS.values() for text in texts])
    for module, eager in imports(path):
        assert module in core | extras, f"{path.name} imports {module}, which pyproject.toml does not declare"
        assert module in core or not eager, f"{path.name} imports {module} when it is imported itself"


def test_importing_embreg_loads_nothing_heavy() -> None:
    code = "import sys, embreg; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    heavy = {
        "torch",
        "transformers",
        "pandas",
        "numpy",
        "scipy",
        "sklearn",
        "pyarrow",
        "matplotlib",
        "xgboost",
    }
    assert not heavy & set(output.split())


needs_hatchling = pytest.mark.skipif(
    importlib.util.find_spec("hatchling") is None, reason="hatchling, which builds wheels, is not installed"
)


@needs_hatchling
def test_a_wheel_has_what_the_package_reads(tmp_path: Path) -> None:
    """Built without a network and unpacked: the notebook of the report is found where no checkout is."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    tracked = subprocess.run(
        ["git", "ls-files", "embreg"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    missing = [name for name in tracked.stdout.splitlines() if not (tmp_path / "site" / name).is_file()]
    assert not missing
    code = "from embreg.advising.report import notebook_file; print(notebook_file())"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True,
                           text=True, check=True).stdout.strip()  # fmt: skip
    assert Path(found) == (tmp_path / "site/embreg/notebooks/16_your_data.ipynb").resolve()
    assert Path(found).read_bytes() == (ROOT / "notebooks/16_your_data.ipynb").read_bytes()


# --- make -------------------------------------------------------------------------------------------

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")


def make(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    # Without MAKE*: the tests themselves may run under make.
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return subprocess.run(["make", *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


def executable(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def project(copy: Path) -> Path:
    """A folder in which `make setup` can be tried."""
    shutil.copy(ROOT / "Makefile", copy / "Makefile")
    return copy


@needs_make
def test_make_alone_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    [phony] = [line for line in text.splitlines() if line.startswith(".PHONY:")]
    listed = [line.split()[0] for line in make().stdout.splitlines() if line.startswith("  ")]
    assert sorted(listed) == sorted(phony.split()[1:])


@needs_make
def test_an_old_python_is_named(project: Path) -> None:
    old = executable(project / "old", '#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.6\nexit 1\n')
    result = make("setup", f"PYTHON={old}", cwd=project)
    assert result.returncode and "needs Python 3.11 or later" in result.stderr and "3.9.6" in result.stderr


@needs_make
def test_no_python_at_all_is_said(project: Path) -> None:
    result = make("setup", "PYTHONS=no-such-python", cwd=project)
    assert result.returncode and "found none of: no-such-python" in result.stderr


@needs_make
def test_a_python_without_ensurepip_gets_the_package_to_install(project: Path) -> None:
    """Debian ships the two modules in a package of their own."""
    script = f'#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\nexec "{sys.executable}" "$@"\n'
    result = make("setup", f"PYTHON={executable(project / 'bare', script)}", cwd=project)
    assert result.returncode and "apt-get install python3-venv" in result.stderr
    assert not (project / ".venv").exists()


@needs_make
def test_a_failed_install_is_tried_again(project: Path) -> None:
    """With no index and no wheels pip finds nothing; the stamp that says 'installed' must not appear."""
    (project / ".venv" / "bin").mkdir(parents=True)  # an environment that exists already, to save its making
    executable(project / ".venv" / "bin" / "python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    arguments = ("setup", f"PYTHON={sys.executable}", "PIP_ARGS=--isolated --no-index")
    result = make(*arguments, cwd=project)
    assert result.returncode and "No matching distribution" in result.stderr
    assert not (project / ".venv" / ".installed").exists()
    assert (
        make("--question", *arguments, cwd=project).returncode == 1
    )  # make's word for "there is work to do"


# --- committed notebooks -----------------------------------------------------------------------------


def test_the_defaults_are_the_smoke_parameters() -> None:
    """So the committed outputs, made with the defaults, are the smoke profile's."""
    profiles = yaml.safe_load((ROOT / "notebooks" / "profiles.yml").read_text(encoding="utf-8"))
    assert profiles["smoke"] == {p.stem: {} for p in (ROOT / "notebooks").glob("*.ipynb")}


# --- the network guard of conftest.py -----------------------------------------------------------------


def test_tests_cannot_leave_this_machine() -> None:
    with pytest.raises(RuntimeError, match=r"tried to reach 'example\.org'"):
        socket.create_connection(("example.org", 80), timeout=1)
    with socket.socket() as s, pytest.raises(RuntimeError, match=r"tried to reach '192\.0\.2\.1'"):
        s.connect(("192.0.2.1", 80))
    assert os.environ["EMBREG_OFFLINE"] == os.environ["HF_HUB_OFFLINE"] == "1"


def test_loopback_stays_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname(), timeout=5) as client:
            assert client.getpeername() == server.getsockname()
        with socket.create_connection(("localhost", server.getsockname()[1]), timeout=5):
            pass
