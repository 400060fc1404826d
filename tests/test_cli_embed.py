"""``embreg embed`` as its users meet it: what is printed, exit codes, one-line errors, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import embreg
from embreg import TextEmbedder, serialize
from embreg.cli import main
from embreg.commands.embed import _as_options
from tests.tiny import tiny_bert, tiny_t5

pytestmark = pytest.mark.usefixtures("one_thread")
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(Path(embreg.__file__).parents[1]),
    "OMP_NUM_THREADS": "1",
    "COLUMNS": "80",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_t5(tmp_path_factory.mktemp("models") / "t5"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table, to work in, and a store of its own."""
    monkeypatch.chdir(tmp_path)
    models = Path(os.environ.get("EMBREG_HOME", "")) / "models"
    (tmp_path / ".home").mkdir()
    if models.is_dir():
        (tmp_path / ".home" / "models").symlink_to(models, target_is_directory=True)
    monkeypatch.setenv("EMBREG_HOME", str(tmp_path / ".home"))
    r = np.random.default_rng(0)
    data = pd.DataFrame({"x0": r.normal(size=6), "act": list("aababb"), "y": range(6)})
    data.to_csv("data.csv", index=False)
    return tmp_path


def left() -> list[str]:
    return sorted(p.name for p in Path().iterdir() if p.name[0] != ".")


def test_a_day_of_work(here: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Embed, again, differently, by force: what is printed and where."""
    line = ["embed", "data.csv", "--out", "x.parquet", "--model", model, "--dtype", "float32"]
    asked = ["--drop", "y", "--keep", "y", "--decimals", "2"]
    assert main([*line, *asked]) == 0
    out, err = capsys.readouterr()
    assert out == "x.parquet\n"
    first, last = err.splitlines()
    assert first.startswith("the first row reads: {x0:0.13,act:a}")
    assert last.startswith("6 rows; 6 strings embedded, 0 from the store, 0 repeated; ")
    assert " a second; " in last and last.endswith("% unknown; no row cut")
    written = pd.read_parquet("x.parquet")
    texts = serialize(pd.read_csv("data.csv").drop(columns="y"), decimals=2)
    expected = TextEmbedder(model, dtype="float32", store=None).transform(texts)
    np.testing.assert_allclose(np.stack(written["mean"]), expected, rtol=0, atol=1e-6)
    assert list(written) == ["y", "mean", "n_tokens"] and list(written["y"]) == list(range(6))

    assert main([*line, *asked]) == 0
    out, err = capsys.readouterr()
    assert out == "x.parquet\n"
    assert err.splitlines()[0] == "x.parquet is finished, with these settings and this input: nothing to do"

    assert main([*line, "--drop", "y"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "exists and has other settings: text.decimals (2 there, 4 now), kept" in err and "--force" in err

    many = ["--drop", "y", "--pooling", "mean,max", "--layer", "0", "-1", "--keep", "all", "--force"]
    assert main([*line, *many]) == 0
    assert "0 from the store" in capsys.readouterr().err
    names = ["x0", "act", "y", "mean_layer0", "max_layer0", "mean", "max", "n_tokens"]
    assert list(pd.read_parquet("x.parquet")) == names
    assert left() == ["data.csv", "x.parquet"]


def test_the_store_is_used_unless_it_is_not_wanted(
    here: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["embed", "data.csv", "--model", model, "--drop", "y", "--out"]
    assert main([*line, "a.parquet", "--no-store"]) == 0
    assert not (here / ".home" / "store").exists()
    for out, stored in (("b.parquet", 0), ("c.parquet", 6)):
        assert main([*line, out]) == 0
        assert f"{stored} from the store" in capsys.readouterr().err.splitlines()[-1]


def test_other_forms_of_the_same_table(here: Path, model: str) -> None:
    data = pd.read_csv("data.csv")
    data.to_json("data.jsonl", orient="records", lines=True)
    data.to_parquet("data.parquet")
    data.to_csv("data.txt", index=False, sep=";")
    as_csv = ["--format", "csv", "--separator", ";"]
    for name in ("data.csv", "data.jsonl", "data.parquet", "data.txt"):
        more = as_csv if name == "data.txt" else []
        asked = ["-c", "act,x0", "--style", "values", "--block-rows", "4", "--dtype", "float32"]
        assert main(["embed", name, "-o", f"{name}.x.parquet", "-m", model, *asked, *more]) == 0
    first, *others = [np.stack(pd.read_parquet(p)["mean"]) for p in sorted(here.glob("*.x.parquet"))]
    assert len(others) == 3 and all(np.allclose(first, other, rtol=0, atol=1e-6) for other in others)


def test_names_with_commas_are_quoted_as_in_csv(here: Path, model: str) -> None:
    Path("data.csv").write_text('"a,b",c,d\n1,2,3\n')
    assert main(["embed", "data.csv", "-o", "x.parquet", "-m", model, "--keep", '"a,b",c', "d"]) == 0
    assert list(pd.read_parquet("x.parquet")) == ["a,b", "c", "d", "mean", "n_tokens"]


def test_a_column_of_texts_that_are_too_long(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bert = str(tiny_bert(here / ".bert"))
    Path("t.jsonl").write_text('{"t":"short"}\n{"t":"' + "x" * 99 + '"}\n')
    capsys.readouterr()
    line = ["embed", "t.jsonl", "--out", "x.parquet", "--model", bert, "--text", "t"]
    assert main(line) == 1
    err = capsys.readouterr().err
    assert err.startswith("embreg: t.jsonl: line 2 has 101 tokens, however: ") and err.count("\n") == 1
    assert "use --overflow truncate to cut" in err and left() == ["data.csv", "t.jsonl"]
    assert main([*line, "--overflow", "truncate"]) == 0
    assert capsys.readouterr().err.endswith("; 1 rows cut\n")
    assert main([*line[:-2], "--text", "t", "--max-tokens", "9", "--overflow", "truncate", "--force"]) == 0
    assert pd.read_parquet("x.parquet")["n_tokens"].max() == 9


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["data.cvs", "-o", "x.parquet"], "no file data.cvs; did you mean 'data.csv'?"),
        (["data.csv"], "the following arguments are required: --out"),
        (["-o", "x.parquet", "--pooling", "mean", "data.csv"], "a table is needed, and stands first"),
        (["data.csv", "-o", "x.csv"], "must end in .parquet, however: got 'x.csv'"),
        (["data.csv", "-o", "x.parquet", "--drop", "Y"], "has no column 'Y'; did you mean 'y'?"),
        (["data.csv", "-o", "x.parquet", "--columns", "x0,acd"], "did you mean 'act'?"),
        (["data.csv", "-o", "x.parquet", "--text", "act", "--drop", "y"], "not allowed with argument --text"),
        (["data.csv", "-o", "x.parquet", "--pooling", "meen"], "pooling must be one of ('mean', "),
        (["data.csv", "-o", "x.parquet", "--layer", "9"], "layer must be from 0 to 3"),
        (["data.csv", "-o", "x.parquet", "--layer", "last"], "a layer must be a whole number, however"),
        (["data.csv", "-o", "x.parquet", "--decimals", "99"], "decimals must be a whole number from 0 to 17"),
        (["data.csv", "-o", "x.parquet", "--block-rows", "0"], "must be a whole number from 1, however"),
        (["data.csv", "-o", "x.parquet", "--model", "all-MiniLM-L6"], "Did you mean 'all-MiniLM-L6-v2'?"),
        (["data.csv", "-o", "x.parquet", "--model", "./nowhere"], "no model folder at"),
        (["data.csv", "-o", "data.csv/x.parquet"], "data.csv/x.parquet cannot be written"),
    ],
)  # fmt: skip
def test_a_slip_is_one_line_and_nothing_is_written(
    here: Path, model: str, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    default = [] if "--model" in arguments else ["--model", model]
    assert main(["embed", *default, *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("embreg: ") and err.count("\n") == 1
    assert expected in err
    assert left() == ["data.csv"]


def test_a_bad_line_is_named(here: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("data.csv").write_text("a,b\n1,2\n3\n")
    assert main(["embed", "data.csv", "-o", "x.parquet", "--model", model]) == 1
    assert capsys.readouterr().err == (
        "embreg: data.csv, line 3: a row must have 2 cells, as the header has, however: got 1\n"
    )
    assert left() == ["data.csv"]


def test_no_weights_and_no_network(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The tests run with EMBREG_OFFLINE=1."""
    assert main(["embed", "data.csv", "-o", "x.parquet", "--model", "nobody/nothing"]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "nobody/nothing at revision main is not on this machine" in err and "embreg models fetch" in err
    assert left() == ["data.csv"]


def test_a_warning_is_one_line_once(
    here: Path, model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "file").touch()
    monkeypatch.setenv("EMBREG_HOME", str(here / "file"))
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # pytest's own filter makes every warning an error
        line = ["embed", "data.csv", "-o", "x.parquet", "--model", model, "--block-rows", "2"]
        assert main([*line, "--dtype", "float32"]) == 0
    err = capsys.readouterr().err.splitlines()
    assert len([e for e in err if e.startswith("embreg: warning: embeddings are not kept: ")]) == 1
    assert pq.ParquetFile("x.parquet").metadata.num_rows == 6


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_says_that_the_next_call_goes_on(here: Path, model: str) -> None:
    Path("data.csv").write_text("a\n" + "".join(f"{i}.5\n" for i in range(4000)))
    line = [sys.executable, "-m", "embreg.cli", "embed", "data.csv", "-o", "x.parquet", "--model", model]
    line += ["--block-rows", "50"]
    first = subprocess.Popen(line, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    end = time.monotonic() + 400
    while len(list(here.glob("x.parquet.parts/*.parquet"))) < 3:
        assert first.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=400)
    assert first.returncode == 130 and out == ""
    assert err.splitlines()[-1] == "embreg: interrupted; the next call goes on where this one stopped"
    assert "Traceback" not in err
    second = subprocess.run(line, env=ENVIRONMENT, text=True, capture_output=True, timeout=400)
    assert (second.returncode, second.stdout) == (0, "x.parquet\n")
    assert second.stderr.startswith("going on: ") and " done before); " in second.stderr
    assert len(pd.read_parquet("x.parquet")) == 4000 and left() == ["data.csv", "x.parquet"]


def test_messages_speak_of_options() -> None:
    said = "use overflow='truncate' or max_tokens=1024 (serialize style='values'); pooling must be 'mean'"
    assert _as_options(said) == (
        "use --overflow truncate or --max-tokens 1024 (serialize --style values); pooling must be 'mean'"
    )


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["embed", "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "examples:\n  embreg embed data.csv --out x.parquet --drop y --keep y" in text
    assert max(map(len, text.splitlines())) <= 110


def test_nothing_heavy_is_loaded_for_the_help() -> None:
    code = (
        "import sys, embreg.cli as c\ntry:\n    c.main(['embed', '--help'])\nexcept SystemExit:\n    pass\n"
    )
    code += "print([m for m in ('numpy', 'pyarrow', 'torch', 'filelock', 'rich') if m in sys.modules])"
    done: Any = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
