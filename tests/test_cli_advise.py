"""``embreg advise``, ``fit`` and ``predict`` as people meet them: answers, one-line errors, exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from embreg.cli import main
from tests.embedding_server import KEY, running
from tests.text_table import text_table

QUICK = ("--heads", "ridge", "--budget", "40s")


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    text_table(120).to_csv(tmp_path / "notes.csv", index=False)
    return Path("notes.csv")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([*map(str, arguments)])
    return code, *capsys.readouterr()


def test_answers(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "advise", table, "--target", "y", *QUICK, "--save", "kept")
    assert code == 0
    assert out.startswith("notes.csv: 120 rows, target y\n")
    assert "text: note" in out and "\nAdvised: " in out and "Kendall's τ" in out
    assert any(line.startswith(("Yes", "No", "Undecided")) for line in out.splitlines())
    # The plan and the look at a sample come first, and beside the answer.
    assert "plan (times" in err and "φ_LLM" in err
    text_table(200, seed=5).to_csv("fresh.csv", index=False)
    code, out, _ = run(
        capsys, "predict", "kept", "fresh.csv", "--out", "p.csv", "--keep", "day", "--level", 0.5
    )
    assert code == 0 and out == "p.csv: 200 rows\n"
    found = pd.read_csv("p.csv")
    assert found.columns.tolist() == ["day", "predicted", "low", "high"]
    inside = (pd.read_csv("fresh.csv")["y"].between(found["low"], found["high"])).mean()
    assert 0.3 < inside < 0.7


def test_quick_is_a_sentence(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "advise", table, "--target", "y", "--quick")
    assert code == 0 and "Z = " in out and len(out.splitlines()) <= 3


def test_fit_one_candidate_and_predict(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "fit", table, "-t", "y", "-c", "words, ridge", "--out", "model")
    assert (code, out) == (0, "model\n")
    code, out, _ = run(capsys, "predict", "model", table, "--out", "p.parquet")
    found = pd.read_parquet("p.parquet")
    assert code == 0 and len(found) == 120 and (found["low"] < found["high"]).all()


def test_other_formats_give_the_same(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.read_csv(table)
    frame.to_json("notes.jsonl", orient="records", lines=True)
    frame.to_parquet("notes.parquet", index=False)
    run(capsys, "fit", table, "-t", "y", "-c", "trad, ridge", "--out", "model")
    for name in ("notes.csv", "notes.jsonl", "notes.parquet"):
        assert run(capsys, "predict", "model", name, "--out", f"{name}.csv")[0] == 0
    first, *rest = (pd.read_csv(f"{n}.csv") for n in ("notes.csv", "notes.jsonl", "notes.parquet"))
    for other in rest:
        np.testing.assert_allclose(first, other)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("advise", "note.csv", "-t", "y"), "did you mean 'notes.csv'?"),
        (("advise", "notes.csv", "-t", "Y"), "did you mean 'y'?"),
        (("advise", "notes.csv"), "--target"),
        (("advise", "notes.csv", "-t", "day"), "class"),
        (("advise", "notes.csv", "-t", "y", "-k", "note:text"), "--kind must be COLUMN=KIND"),
        (("advise", "notes.csv", "-t", "y", "-k", "note=words"), "words"),
        (("advise", "notes.csv", "-t", "y", "--group", "day", "--time", "length"), "exclude each other"),
        (("advise", "notes.csv", "-t", "y", "--models", "ofline-pair"), "did you mean 'offline-pair'?"),
        (("advise", "notes.csv", "-t", "y", "--budget", "soon"), "a budget must be a time"),
        (("advise", "notes.csv", "-t", "y", "--heads", "trees"), "heads must be some of"),
        (("fit", "notes.csv", "-t", "y", "-c", "trees", "--out", "m"), "a candidate must be one of"),
        (("predict", "absent", "notes.csv", "--out", "p.csv"), "no saved model"),
        (("predict", "absent", "notes.csv", "--out", "p.txt"), "FILE.csv or FILE.parquet"),
    ],
)
def test_errors_are_one_line(
    table: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    code, out, err = run(capsys, *arguments)
    assert code in (1, 2) and out == ""
    assert err.startswith("embreg: ") and len(err.splitlines()) == 1
    assert says in err


def test_a_missing_column_is_named(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "fit", table, "-t", "y", "-c", "trad, ridge", "--out", "model")
    pd.read_csv(table).drop(columns="length").to_csv("less.csv", index=False)
    code, _, err = run(capsys, "predict", "model", "less.csv", "--out", "p.csv")
    assert code != 0 and "'length'" in err and not Path("p.csv").exists()


def test_a_model_of_another_kind_is_refused(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import embreg
    from embreg.baselines import baseline

    X = np.random.default_rng(0).normal(size=(40, 2))
    embreg.save(baseline("ridge").fit(X, X[:, 0]), "ridge")
    code, _, err = run(capsys, "predict", "ridge", table, "--out", "p.csv")
    assert code == 2 and "embreg fit" in err


def test_interrupted(table: Path) -> None:
    """Ctrl-C: one line, exit code 130, nothing half-written."""
    command = [sys.executable, "-m", "embreg.cli", "advise", str(table), "-t", "y", "--save", "kept"]
    environment = {**os.environ, "EMBREG_OFFLINE": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        for line in process.stderr:  # the plan is printed: the work has begun
            if line.startswith("plan"):
                break
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(60) == 130
    assert "Traceback" not in rest and "interrupted" in rest
    assert not Path("kept").exists()


def test_a_service_is_announced_before_it_is_asked(
    table: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with running() as server:
        monkeypatch.setenv("EMBREG_SERVICE_KEY", KEY)
        seen: list[int] = []
        monkeypatch.setattr(
            "embreg.commands.advise.say", lambda line: (seen.append(len(server.seen)), print(line))
        )
        code, out, err = run(capsys, "advise", table, "-t", "y", "--model", server.model, *QUICK)
        assert code == 0, err
        first = out.splitlines()[0]
        assert first.startswith("leaves this machine: 120 rows") and "127.0.0.1" in first
        assert seen[0] == 0 and len(server.seen) > 0  # said before the first request
        assert KEY not in out + err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("advise", "fit", "predict"):
        with pytest.raises(SystemExit) as done:
            main([name, "--help"])
        out = capsys.readouterr().out
        assert done.value.code == 0 and "examples:" in out and f"embreg {name} " in out
