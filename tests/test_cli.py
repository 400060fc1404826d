"""The command line as its users meet it: exit codes, one-line errors, help that teaches."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import embreg
from embreg.cli import main

EMBREG = [sys.executable, "-m", "embreg.cli"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(embreg.__file__).parents[1])}


def embreg_(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {**ENVIRONMENT, **variables}
    return subprocess.run([*EMBREG, *arguments], env=env, capture_output=True, text=True, timeout=120)


def write(project: Path, code: str, name: str = "01_a") -> None:
    cells = [
        new_code_cell("n = 2\nstyle = 'json'", id="p", metadata={"tags": ["parameters"]}),
        new_code_cell(code.strip(), id="c"),
    ]
    nbformat.write(new_notebook(cells=cells), project / "notebooks" / f"{name}.ipynb")


def left(project: Path) -> list[str]:
    folder = project / "runs" / "smoke"
    return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "profiles.yml").write_text("smoke: {01_a: {}}\noffline: {01_a: {n: 3}}\n")
    write(tmp_path, "print(n)")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_day_of_work(project: Path) -> None:
    """Run, run again, break, repair: what is printed and the exit codes."""
    first = embreg_("run")
    assert (first.returncode, first.stdout) == (0, "")
    assert first.stderr.startswith("[1/1] ran 01_a in ")
    assert embreg_("run").stderr == "[1/1] current 01_a\n"
    assert embreg_("run", "--profile", "offline").returncode == 0
    assert (project / "runs" / "offline" / "01_a" / "notebook.ipynb").is_file()

    write(project, "raise ValueError('[bold]why[/]')")
    failed = embreg_("run", "01")
    assert failed.returncode == 1
    lines = failed.stderr.splitlines()
    assert lines[0].endswith("ValueError: [bold]why[/]")
    assert lines[1].strip() == f"see {project / 'runs' / 'smoke' / '01_a.failed' / 'notebook.ipynb'}"
    assert lines[2] == "embreg: 1 of 1 runs failed: 01_a"

    write(project, "print(n, style)")
    assert embreg_("run", "-p", "n", "7", "-p", "style", "pairs", "--as", "mine").returncode == 0
    beside = nbformat.read(project / "runs" / "smoke" / "01_a--mine" / "notebook.ipynb", as_version=4)
    assert beside.cells[-1].outputs[0].text == "7 pairs\n"
    assert embreg_("notebooks").returncode == 0
    assert nbformat.read(project / "notebooks" / "01_a.ipynb", as_version=4).cells[-1].outputs


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "-p", "m", "3"], "01_a: unknown parameter 'm'; it has: n, style"),
        (["run", "-p", "n", "[3]"], "01_a: n must be a number like 2; however: got the list [3]"),
        (["run", "-p", "n", "[3"], "a value must be YAML"),
        (["run", "01_b"], "no run is named '01_b' (did you mean '01_a'?)"),
        (
            ["run", "--profile", "ofline"],
            "unknown profile 'ofline' (did you mean 'offline'?); there are: smoke, offline",
        ),
        (["run", "--jobs", "0"], "must be a whole number from 1, however: got '0'"),
        (["rum"], "unknown command 'rum'; did you mean 'run'?"),
        (["models"], "required: COMMAND"),
        (
            ["models", "fetch", "all-MiniLM-L6"],
            "unknown model 'all-MiniLM-L6'. Did you mean 'all-MiniLM-L6-v2'?",
        ),
        (["notebooks", "9"], "no run is named '9'"),
        (["book", "--profile", "x"], "unknown profile 'x'"),
        (["run", "--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_a_slip_is_one_line_and_nothing_runs(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("embreg: ")
    assert expected in err
    assert err.count("\n") == 1
    assert left(project) == []


def test_outside_a_project(tmp_path: Path) -> None:
    # An editable install knows its checkout, so only a copy of the package can be lost.
    copy = tmp_path / "lib" / "embreg"
    shutil.copytree(Path(embreg.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from embreg.cli import main; sys.exit(main())"
    arguments = [sys.executable, "-P", "-c", code, str(copy.parent), "run"]
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(arguments, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "no notebooks/profiles.yml in" in done.stderr


def test_a_dry_run_counts_and_executes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    marker = project / "marker"
    write(project, f"open({str(marker)!r}, 'w')")
    assert main(["run", "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "01_a" in text and "never ran" in text and "Upper bounds" in text
    assert left(project) == [] and not marker.exists()


@pytest.mark.parametrize("command", [[], ["run"], ["book"], ["models"], ["models", "fetch"], ["notebooks"]])
def test_help_has_examples(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([*command, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "examples:\n  embreg " in text
    assert max(map(len, text.splitlines())) <= 110


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "embreg run --profile offline" in capsys.readouterr().out


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"embreg {embreg.__version__}\n"


def test_the_command_line_stays_light() -> None:
    code = "import sys, embreg.cli as c\ntry:\n    c.main(['--help'])\nexcept SystemExit:\n    pass\n"
    code += "print(sorted(m for m in ('numpy', 'yaml', 'rich', 'torch', 'papermill') if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_traceback_on_request(project: Path) -> None:
    assert "Traceback" in embreg_("run", "nobody", EMBREG_DEBUG="1").stderr
    assert "Traceback" not in embreg_("run", "nobody").stderr


def test_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "ls"]) == 0
    assert "all-MiniLM-L6-v2" in capsys.readouterr().out


WAIT = """
import os, pathlib, time
folder = pathlib.Path(os.environ["EMBREG_RUN_DIR"])
(folder / "half.txt").write_text("half")
marker = pathlib.Path({marker!r})
if not marker.exists():
    marker.with_suffix(".tmp").write_text(f"{{os.getpid()}} {{os.getppid()}}")
    marker.with_suffix(".tmp").rename(marker)
    time.sleep(100)
"""


def command(project: Path) -> subprocess.Popen[str]:
    arguments = [*EMBREG, "run", "--root", str(project)]
    return subprocess.Popen(
        arguments, env=ENVIRONMENT, text=True, stderr=subprocess.PIPE, start_new_session=True
    )


def until(condition: Callable[[], bool], seconds: float = 40) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def gone(pid: int) -> bool:
    import psutil

    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("how", ["ctrl-c", "interrupt", "kill", "kill all"])
def test_a_stopped_run_leaves_no_half_result(project: Path, how: str) -> None:
    marker = project / "marker"
    write(project, WAIT.format(marker=str(marker)))
    process = command(project)
    assert until(marker.exists)
    kernel, worker = map(int, marker.read_text().split())
    if how == "ctrl-c":  # a terminal sends it to the whole group
        os.killpg(process.pid, signal.SIGINT)
    elif how == "interrupt":
        process.send_signal(signal.SIGINT)
    else:
        if how == "kill all":
            os.kill(worker, signal.SIGKILL)
        process.kill()
    _, text = process.communicate(timeout=40)
    assert not (project / "runs" / "smoke" / "01_a").exists()
    assert until(lambda: gone(kernel) and gone(worker))
    if how in ("ctrl-c", "interrupt"):
        assert process.returncode == 130
        assert text.strip() == "embreg: interrupted; the next call goes on where this one stopped"
        assert left(project) == []
    assert embreg_("run", "--root", str(project)).returncode == 0
    assert left(project) == ["01_a"]
