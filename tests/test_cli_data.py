"""``embreg data`` as its users meet it: tables, exit codes, one-line errors, help that teaches."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from embreg import checking, families
from embreg.cli import main
from embreg.commands import data_make as command
from embreg.making.driver import make
from tests.tiny_family import Tiny

HERE = Path(__file__).parent
FAMILY = "tiny_family:FAMILY"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two tasks: journals in j, tables in out."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        make(FAMILY, ["sum", "odd"], folder=folder / "j", into=folder / "out", say=print)
    yield folder


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setenv("EMBREG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "160")
    for module in (families, checking):
        monkeypatch.setattr(module, "FAMILIES", ("tiny", "compiler"))


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["data", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_ls(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "ls", "tiny", "--from", made / "out")
    head, first, second, empty, family, total = out.splitlines()
    assert (code, err, empty) == (0, "", "")
    assert head.split() == ["task", "rows", "params", "used", "noise", "unit", "best", "y"]
    card = json.loads((made / "out/tiny/card.json").read_text())["tasks"]
    used = [str(card[task]["effective"]["n"]) for task in ("sum", "odd")]
    assert first.split() == ["tiny/sum", "40", "4", used[0], "0", "1", "max", "a", "sum"]
    assert second.split() == ["tiny/odd", "30", "4", used[1], "0", "1", "max", "a", "sum"]
    assert family == "tiny: Tiny; stands for nothing. Licence: Apache-2.0"
    assert total == "1 family, 2 tasks, 70 rows"
    code, out, _ = run(capsys, "ls", "tiny", "--from", made / "out", "--json")
    assert json.loads(out) == {"tiny": json.loads((made / "out/tiny/card.json").read_text())}


def test_ls_of_what_is_not_there(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "ls", "--from", made / "out")
    assert code == 0 and out.endswith("1 family, 2 tasks, 70 rows\n")
    assert err.startswith("embreg: ") and "compiler/card.json is missing" in err and err.count("\n") == 1
    code, out, err = run(capsys, "ls", "compiler", "--from", made / "out")
    assert (code, out) == (1, "") and "compiler/card.json is missing" in err
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny/card.json").write_text("{")
    code, out, err = run(capsys, "ls", "tiny", "--from", tmp_path)
    assert (code, out) == (1, "") and "tiny/card.json must be the data card" in err


def test_show(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "show", "tiny/odd", "--from", made / "out", "--rows", 2)
    assert (code, err) == (0, "")
    facts = dict(
        line.split(maxsplit=1) for line in out.partition("\n\n")[0].splitlines() if "flaw" not in line
    )
    assert facts["what"] == "Refuses flags." and facts["licence"] == "Apache-2.0"
    assert facts["y"] == "a sum (unit 1, good is max)" and facts["versions"] == "tiny 1"
    infeasible = json.loads((made / "out/tiny/card.json").read_text())["tasks"]["odd"]["infeasible"]["n"]
    assert facts["rows"] == f"30; {infeasible} more were infeasible"
    assert facts["noise"].startswith(
        "standard deviation 0, 0 of that of y (20 rows repeated). repeats of task"
    )
    first, second = out.partition("first rows of 30, and y:\n")[2].splitlines()
    row = next(r for i in range(99) if not (r := Tiny().draw("odd", i))["on"])
    assert first.startswith(f"{{kind:{row['kind']},depth:{row['depth'] or 'null'},lr:{row['lr']},on:")
    assert first.endswith(f"  {Tiny().measure('odd', row):.6g}") and second.startswith("{kind:")
    code, out, _ = run(capsys, "show", "tiny/odd", "--from", made / "out", "--json")
    assert json.loads(out)["space"] == Tiny().space("odd").describe()
    assert json.loads(out)["versions"] == {"tiny": "1"}


def test_make(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--journals", made / "j", "--into", tmp_path / "new")
    code, out, err = run(capsys, "make", FAMILY, "--tasks", "odd", "sum", *where)
    assert code == 0
    assert out.splitlines() == [
        f"{tmp_path}/new/tiny/sum.parquet: 40 rows", f"{tmp_path}/new/tiny/odd.parquet: 30 rows",
    ]  # fmt: skip
    assert "tiny/sum: 40 rows, 0 infeasible, 0 measured now" in err
    for name in ("sum.parquet", "odd.parquet", "card.json"):
        assert (tmp_path / "new/tiny" / name).read_bytes() == (made / "out/tiny" / name).read_bytes()


def test_make_with_nothing_said_keeps_to_the_home_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "make", FAMILY, "--tasks", "few", "--rows", 5, "--repeats", 0)
    assert code == 0 and out == f"{tmp_path}/home/data/tiny/few.parquet: 5 rows\n"
    assert (tmp_path / "home/making/tiny/few.jsonl").read_bytes().count(b"\n") == 6


def test_make_compares_with_what_came_with_the_package(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    package = tmp_path / "package"
    (package / "data/tiny").mkdir(parents=True)
    monkeypatch.setattr(command.resources, "files", lambda _: package)
    table = pq.read_table(made / "out/tiny/sum.parquet").slice(10)
    y = table["y"].to_pylist()
    moved = [y[0] + 1e-6, y[1] + 1e-3, *y[2:]]
    pq.write_table(table.set_column(5, "y", pa.array(moved)), package / "data/tiny/sum.parquet")

    def said() -> str:
        where = ("--journals", made / "j", "--into", tmp_path / "new")
        code, out, _ = run(capsys, "make", FAMILY, "--tasks", "sum", *where)
        assert code == 0
        return out.partition(": ")[2]

    assert said() == "40 rows; of 30 that came with the package too 28 are equal\n"
    import tiny_family

    monkeypatch.setattr(tiny_family.Tiny, "tolerance", 1e-5)
    assert said() == (
        "40 rows; of 30 that came with the package too 28 are equal, "
        "29 within the tolerance (1e-05 standard deviations)\n"
    )
    (package / "data/tiny/sum.parquet").write_bytes(b"rubbish")
    assert "40 rows; the table that came with the package cannot be read: " in said()


def test_make_without_what_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINY_MISSING", "1")
    code, out, err = run(capsys, "make", FAMILY)
    assert (code, out) == (1, "")
    assert err == "embreg: family tiny needs the program tiny: apt install tiny\n"


def test_check(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check", "tiny", "--from", made / "out")
    assert code == 1 and "\ntiny: sizes: error: " in out  # 2 tasks, and a family has 8
    *_, last = out.splitlines()
    assert last.startswith("2 tasks checked: ")
    quiet = run(capsys, "check", "tiny", "--from", made / "out", "--quiet")[1]
    assert ": note: " in out and ": note: " not in quiet and quiet.splitlines()[-1] == last


def test_check_names_a_damaged_file(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import shutil

    shutil.copytree(made / "out", tmp_path / "out")
    path = tmp_path / "out/tiny/sum.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    code, out, _ = run(capsys, "check", "tiny", "--from", tmp_path / "out")
    assert code == 1 and f"tiny: error: {path} is damaged" in out
    assert out.endswith("0 tasks checked: 1 error, 0 warnings and notes\n")
    path.unlink()
    code, out, err = run(capsys, "show", "tiny/sum", "--from", tmp_path / "out")
    assert (code, out) == (1, "") and err.startswith(f"embreg: {path} is missing. Measure it again with")


def test_check_of_what_is_in_order(
    made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = checking.check(families.family("tiny", folder=made / "out"), folder=made / "out")
    found = found[found["level"] != "error"]
    monkeypatch.setattr(checking, "check", lambda tasks, folder: found)
    code, out, _ = run(capsys, "check", "tiny", "--from", made / "out")
    assert code == 0 and out.endswith(f"2 tasks checked: 0 errors, {len(found)} warnings and notes\n")


SHARED = os.environ.get("EMBREG_HOME", "")
"""What tests share: read here, as every test of this file has a home of its own."""


def test_fetch_says_where_everything_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is here already is verified and not fetched again; `make data` brings it before the tests."""
    from embreg._files import home
    from embreg.making.compiler import LZ4
    from embreg.tables import TABLES

    monkeypatch.setenv("EMBREG_HOME", SHARED)
    wanted = [home() / "tables" / spec.file for spec in TABLES.values()] + [home() / "sources" / LZ4.file]
    if missing := [path.name for path in wanted if not path.is_file()]:
        pytest.skip(f"not fetched: {', '.join(missing)}; run make data")
    code, out, err = run(capsys, "fetch")
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"{n}: {p}" for n, p in zip([*TABLES, "lz4"], wanted, strict=True)]


def test_fetch_without_a_network_names_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBREG_HOME", str(tmp_path))
    monkeypatch.setenv("EMBREG_OFFLINE", "1")
    monkeypatch.delenv("EMBREG_WHEELS", raising=False)
    code, out, err = run(capsys, "fetch")
    assert (code, out) == (1, "") and "network is switched off" in err and "EMBREG_WHEELS" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "required: COMMAND"),
        (["lss"], "unknown command 'lss'; did you mean 'ls'?"),
        (["ls", "compilers"], "unknown family: 'compilers'; did you mean 'compiler'?"),
        (["ls", "--from", "nowhere"], "--from must be a folder, however: there is none at nowhere"),
        (["show", "tiny"], "unknown task: 'tiny'"),
        (["show", "tiny/sums"], "unknown task: 'tiny/sums'; did you mean 'tiny/sum'?"),
        (["show", "tny/sum"], "unknown family: 'tny'; did you mean 'tiny'?"),
        (["show", "tiny/sum", "--rows", "0"], "must be a whole number from 1, however: got '0'"),
        (["make", "compilers"], "unknown family: 'compilers'; did you mean 'compiler'?"),
        (["make", FAMILY, "--tasks", "sun"], "unknown task of family 'tiny': 'sun'; did you mean 'sum'?"),
        (["make", FAMILY, "--jobs", "0"], "must be a whole number from 1, however: got '0'"),
        (["make", FAMILY, "--repeats", "-1"], "must be a whole number from 0, however: got '-1'"),
        (["make", "tiny_family:os"], "must be a module that holds FAMILY"),
        (["make", "no.such.module"], "no.such.module cannot be imported: No module named 'no'"),
        (["check", "compilers"], "unknown family: 'compilers'; did you mean 'compiler'?"),
    ],
)
def test_a_slip_is_one_line(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    if arguments[:1] == ["show"]:
        arguments = [*arguments, "--from", str(made / "out")]
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "") and err.startswith("embreg: ") and err.count("\n") == 1
    assert said in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "ls", "show", "make", "check", "fetch"])
def test_help_has_examples(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS")
    with pytest.raises(SystemExit) as end:
        main(["data", *name.split(), "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert f"examples:\n  embreg data {name}" in text
    assert max(map(len, text.splitlines())) <= 110
    assert ("Exit code: " in text) == (name in ("make", "check"))
