"""Measuring: a loop is the specification, and nothing that befalls a process or a file changes the result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embreg._files import sha256_file
from embreg.making._workers import resolve
from embreg.making.driver import MeasureError, make
from embreg.making.family import Infeasible, MissingTool
from embreg.making.journal import Entry, Journal, JournalError, read
from embreg.making.pack import agreement, pack
from tests.tiny_family import Tiny

HERE = Path(__file__).parent
FAMILY = "tiny_family:FAMILY"
TINY = Tiny()
posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))  # workers get the path, and import the family by its name


def twin(task: str, n: int) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Rows of a task as a loop makes them, and why others are not among them."""
    rows: list[dict[str, Any]] = []
    seen: list[dict[str, Any]] = []
    why: Counter[str] = Counter()
    index = -1
    while len(rows) < n:
        index += 1
        row = TINY.draw(task, index)
        if row in seen:
            continue
        seen.append(row)
        try:
            rows.append({"row": index, **row, "y": TINY.measure(task, row)})
        except Infeasible as error:
            why[str(error)] += 1
    return rows, why


def files(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): sha256_file(p) for p in folder.rglob("*") if p.is_file()}


def command(*arguments: object, **env: object) -> subprocess.Popen[str]:
    """``embreg data make`` in a process of its own."""
    line = [sys.executable, "-m", "embreg.cli", "data", "make", FAMILY, *map(str, arguments)]
    return subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HERE.parent,
        env={**os.environ, "PYTHONPATH": str(HERE), **{k: str(v) for k, v in env.items()}},
    )  # fmt: skip


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "nothing came of it for a minute"
        time.sleep(0.01)


# --- the journal -------------------------------------------------------------------------------------

HEADER = {"format": 1, "task": "sum", "space": "0" * 64, "versions": {"gcc": "12"}, "machine": {"cpu": "a"}}
ENTRIES = [
    Entry(i, 0, f"{i:016x}", *((None, "too läng") if i % 3 == 1 else (i / 7, None)), 0.25) for i in range(6)
]


def written(path: Path) -> bytes:
    with Journal(path, HEADER) as journal:
        for entry in ENTRIES:
            journal.add(entry)
    return path.read_bytes()


def test_a_journal_gives_back_what_was_written(tmp_path: Path) -> None:
    content = written(tmp_path / "a.jsonl")
    log = read(tmp_path / "a.jsonl")
    assert list(log.entries.values()) == ENTRIES and log.torn == 0
    assert {k: v for k, v in log.header.items() if k != "crc"} == HEADER
    lines = [json.loads(line) for line in content.splitlines()]
    assert lines[0]["versions"] == {"gcc": "12"} and lines[1]["y"] == 0.0
    assert lines[2]["infeasible"] == "too läng" and "y" not in lines[2]
    assert [p.name for p in tmp_path.iterdir()] == ["a.jsonl"]  # no lock stays behind


def test_a_journal_cut_off_anywhere_keeps_all_whole_lines_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    content = written(path)
    for size in range(len(content)):
        path.write_bytes(content[:size])
        whole = content[:size].count(b"\n")
        assert list(read(path).entries.values()) == ENTRIES[: max(whole - 1, 0)]
        if size % 11 and content[size - 1 : size + 1].count(b"\n") == 0:
            continue  # to write takes long; not so beside the ends of lines
        told: list[str] = []
        with Journal(path, HEADER, say=told.append) as journal:
            assert len(journal.log.entries) == max(whole - 1, 0)
            for entry in ENTRIES[len(journal.log.entries) :]:
                journal.add(entry)
        assert path.read_bytes() == content
        torn = size not in {0, *(i + 1 for i, c in enumerate(content) if c == 10)}
        assert [("last line was not written" in line) for line in told] == [True] * torn


@given(st.data())
def test_a_damaged_line_is_named_unless_it_is_the_last(tmp_path_factory: Any, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("journal") / "a.jsonl"
    content = bytearray(written(path))
    at = data.draw(st.integers(0, len(content) - 1), label="place")
    content[at] ^= data.draw(st.integers(1, 255), label="bits")
    path.write_bytes(content)
    line = bytes(content[:at]).count(b"\n") + 1
    if line <= len(ENTRIES):
        with pytest.raises(JournalError, match=rf"a\.jsonl, line {line}: must be whole.*--fresh"):
            read(path)
        with pytest.raises(JournalError), Journal(path, HEADER):
            pass
        assert path.read_bytes() == content  # what is damaged is looked at, not repaired
    else:
        assert list(read(path).entries.values()) == ENTRIES[:-1]


def test_zeros_that_a_power_cut_leaves_at_the_end_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    content = written(path)
    for tail in (bytes(500), bytes(500) + b"\n", content[-20:]):
        path.write_bytes(content + tail)
        with Journal(path, HEADER):
            pass
        assert path.read_bytes() == content


def test_one_row_twice_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = written(path).splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], lines[2], *lines[3:]]))
    with pytest.raises(JournalError, match=r"line 4: .* row 1, repeat 0 stands in an earlier line too"):
        read(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"space": "1" * 64}, r'space \("0000.* there, "1111.* now\)'),
        ({"versions": {"gcc": "13"}}, r'versions\.gcc \("12" there, "13" now\)'),
        ({"versions": {}}, r'versions\.gcc \("12" there, nothing now\)'),
        ({"task": "sort"}, r'task \("sum" there, "sort" now\)'),
        ({"format": 2}, r"format \(1 there, 2 now\)"),
    ],
)
def test_a_journal_of_something_else_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = tmp_path / "a.jsonl"
    content = written(path)
    with pytest.raises(JournalError, match=said + r".*--fresh, which sets the file aside as a\.jsonl\.old"):
        Journal(path, {**HEADER, **change}).__enter__()
    assert path.read_bytes() == content
    for name in ("a.jsonl.old", "a.jsonl.old1"):
        with Journal(path, {**HEADER, **change}, fresh=True) as journal:
            assert journal.log.entries == {}
        assert (tmp_path / name).exists()
    assert (tmp_path / "a.jsonl.old").read_bytes() == content


def test_another_machine_may_go_on_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    written(path)
    told: list[str] = []
    for _ in range(2):
        with Journal(
            path, {**HEADER, "machine": {"cpu": "b"}, "started": "later"}, say=told.append
        ) as journal:
            assert len(journal.log.entries) == len(ENTRIES)
    assert len(told) == 1 and "begun on another machine" in told[0]
    assert read(path).machines == [{"cpu": "a"}, {"cpu": "b"}]


def test_two_writers_of_one_journal(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with Journal(path, HEADER) as journal:
        with pytest.raises(
            JournalError, match=r"one process at a time, however: another holds a\.jsonl\.lock"
        ):
            Journal(path, HEADER).__enter__()
        journal.add(ENTRIES[0])
    with Journal(path, HEADER) as journal:
        assert len(journal.log.entries) == 1


@posix
def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    content = written(path)
    path.unlink()
    room = content.index(b"\n", len(content) // 2) + 20  # ends within a line
    script = f"""
        import resource, sys
        sys.path.insert(0, {str(HERE)!r})
        from pathlib import Path
        from embreg.making.journal import Entry, Journal
        resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))
        with Journal(Path({str(path)!r}), {HEADER!r}) as journal:
            for entry in {[tuple(getattr(e, k) for k in e.__slots__) for e in ENTRIES]!r}:
                journal.add(Entry(*entry))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert done.returncode == 1 and "OSError" in done.stderr
    assert path.read_bytes() == content[: room - 20 + 1]
    assert read(path).torn == 0


# --- the loop ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """All tasks, measured without a disturbance: journals in j, tables in out, rows in log."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        patch.setenv("TINY_LOG", str(folder / "log"))
        patch.delenv("OMP_NUM_THREADS", raising=False)
        told: list[str] = []
        found = make(FAMILY, jobs=2, folder=folder / "j", into=folder / "out", say=told.append)
        assert "OMP_NUM_THREADS" not in os.environ
    assert [m.task for m in found] == [spec.name for spec in TINY.specs]
    assert [line.partition(",")[0] for line in told] == [
        "tiny/sum: 40 rows", "tiny/noisy: 30 rows", "tiny/odd: 30 rows", "tiny/few: 6 rows",
    ]  # fmt: skip
    yield folder


@pytest.mark.parametrize("task", [spec.name for spec in TINY.specs])
def test_a_table_is_what_a_loop_makes(made: Path, task: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    spec = TINY.spec(task)
    rows, why = twin(task, spec.n)
    table = pq.read_table(made / f"out/tiny/{task}.parquet")
    assert table.to_pylist() == rows
    assert table.column_names == ["row", *TINY.space(task).names, "y"]
    kinds = {"real": pa.float64(), "integer": pa.int64(), "category": pa.string(), "flag": pa.bool_()}
    want = [pa.int64(), *(kinds[p.kind] for p in TINY.space(task).parameters), pa.float64()]
    assert table.schema.types == want
    assert json.loads(table.schema.metadata[b"embreg"]) == {
        "format": 1, "family": "tiny", "task": task, "unit": spec.unit, "direction": spec.direction,
    }  # fmt: skip
    parquet = pq.ParquetFile(made / f"out/tiny/{task}.parquet")
    assert parquet.metadata.row_group(0).column(0).compression == "ZSTD"
    card = json.loads((made / "out/tiny/card.json").read_text())["tasks"][task]
    assert card["infeasible"] == {"n": why.total(), "reasons": dict(why)}
    assert card["sha256"] == sha256_file(made / f"out/tiny/{task}.parquet")


def test_the_workers_had_one_thread_and_measured_each_row_once(made: Path) -> None:
    lines = [line.split() for line in (made / "log").read_text().splitlines()]
    assert {threads for *_, threads in lines} == {"1"}
    for task in ("sum", "noisy"):
        rows = [(lr, repeat) for name, lr, repeat, _ in lines if name == task]
        assert len(rows) == len(set(rows)) == TINY.spec(task).n + 20 * 3
        assert sorted(rows) == sorted(
            (repr(row["lr"]), str(repeat))
            for i, row in enumerate(twin(task, TINY.spec(task).n)[0])
            for repeat in range(4 if i < 20 else 1)
        )


def test_the_card(made: Path) -> None:
    text = (made / "out/tiny/card.json").read_text()
    card = json.loads(text)
    assert text.endswith("}\n") and "started" not in text
    for key in ("name", "title", "stands_for", "what_ran", "licence", "noise", "tolerance"):
        assert card[key] == getattr(TINY, key)
    assert card["flaws"] == ["It is a toy."] and card["versions"] == {"tiny": "1"}
    assert sorted(card["machine"]) == ["platform", "processor"]
    assert list(card["tasks"]) == ["sum", "noisy", "odd", "few"]
    assert "versions" not in card["tasks"]["sum"]
    noisy = card["tasks"]["noisy"]
    y = np.array([row["y"] for row in twin("noisy", 30)[0]])
    sd = np.std([0, 0.01, 0.02, 0.03], ddof=1)
    assert noisy["noise"] == pytest.approx(
        {"sd": sd, "ratio": sd / y.std(ddof=1), "n_rows": 20, "n_repeats": 3}, rel=1e-5
    )
    assert card["tasks"]["sum"]["noise"] == {"sd": 0.0, "ratio": 0.0, "n_rows": 20, "n_repeats": 3}
    assert noisy["y"] == pytest.approx(
        {"min": y.min(), "median": np.median(y), "max": y.max(), "sd": y.std(ddof=1), "distinct": 30},
        rel=1e-5,
    )
    assert (noisy["n"], noisy["nominal"], noisy["unit"], noisy["direction"]) == (30, 4, "log", "min")
    assert noisy["space"] == TINY.space("noisy").describe()
    effective = noisy["effective"]
    assert set(effective["importances"]) == set(TINY.space("noisy").names)
    assert effective["n"] == sum(v > effective["threshold"] for v in effective["importances"].values())
    few = card["tasks"]["few"]["effective"]
    assert few["n"] is None and "at least 20" in few["why"]


def test_the_package_reads_what_was_made(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from embreg import families

    monkeypatch.setattr(families, "FAMILIES", ("tiny",))
    [task] = families.family("tiny", ["sum"], folder=made / "out")
    frame = TINY.space("sum").frame([TINY.draw("sum", i) for i in range(40)])
    assert task.rows.equals(frame) and list(task.rows.dtypes) == list(frame.dtypes)
    assert (task.name, task.unit, task.direction, task.noise_sd) == ("tiny/sum", "1", "max", 0.0)


def test_again_nothing_is_measured_and_every_file_is_the_same(made: Path, tmp_path: Path) -> None:
    before = files(made)
    found = make(FAMILY, jobs=2, folder=made / "j", into=tmp_path, say=lambda _: None)
    assert [m.new for m in found] == [0, 0, 0, 0] and files(made) == before
    assert files(tmp_path) == files(made / "out")


def test_fewer_rows_are_the_first_and_more_go_on(made: Path, tmp_path: Path) -> None:
    def go(n: int, jobs: int) -> int:
        [one] = make(
            FAMILY, ["odd"], n=n, jobs=jobs, n_repeated=5, repeats=1, folder=tmp_path / "j", say=print
        )
        return one.new

    infeasible = twin("odd", 12)[1].total()
    assert go(12, 2) == 12 + infeasible + 5
    log = read(tmp_path / "j/tiny/odd.jsonl")
    assert sorted(i for i, repeat in log.entries if repeat == 0) == list(range(12 + infeasible))
    assert go(30, 1) == 30 + twin("odd", 30)[1].total() - 12 - infeasible
    path = pack(TINY, "odd", read(tmp_path / "j/tiny/odd.jsonl"), tmp_path)
    assert path.read_bytes() == (made / "out/tiny/odd.parquet").read_bytes()


def test_pack_refuses_what_is_not_finished_or_drawn_otherwise(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = read(made / "j/tiny/sum.jsonl")
    del log.entries[7, 0]
    with pytest.raises(
        JournalError, match=r"only 7 of 40 rows are\. Go on with: embreg data make tiny --tasks sum"
    ):
        pack(TINY, "sum", log, tmp_path)
    draw = Tiny.draw
    monkeypatch.setattr(Tiny, "draw", lambda self, task, index: draw(self, task, index + 1))
    with pytest.raises(JournalError, match="row 0 of tiny/sum must be the one that was measured"):
        pack(TINY, "sum", read(made / "j/tiny/sum.jsonl"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_card_keeps_the_tasks_of_other_versions_apart(made: Path, tmp_path: Path) -> None:
    logs = {task: read(made / f"j/tiny/{task}.jsonl") for task in ("sum", "noisy", "few")}
    logs["noisy"].header["versions"] = {"tiny": "2"}
    logs["few"].machines.append({"platform": "Linux", "processor": "another"})
    cards = []
    for order in (("sum", "noisy", "few"), ("few", "noisy", "sum", "noisy")):
        for task in order:
            pack(TINY, task, logs[task], tmp_path / order[0])
        cards.append((tmp_path / order[0] / "tiny/card.json").read_text())
    assert cards[0] == cards[1]
    card = json.loads(cards[0])
    assert card["versions"] == {"tiny": "1"} and card["tasks"]["noisy"]["versions"] == {"tiny": "2"}
    assert "versions" not in card["tasks"]["few"]
    assert card["tasks"]["few"]["machine"]["processor"].endswith("; another")
    (tmp_path / "sum/tiny/card.json").write_text('{"tasks": ')
    with pytest.raises(JournalError, match=r"card\.json must be a data card.*Remove it"):
        pack(TINY, "sum", logs["sum"], tmp_path / "sum")


def test_a_space_without_enough_rows(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"tiny/few .*after 6 rows 1000 draws brought none.*--rows"):
        make(FAMILY, ["few"], n=7, folder=tmp_path, say=print)
    assert len(read(tmp_path / "tiny/few.jsonl").entries) == 6


# --- what goes wrong ---------------------------------------------------------------------------------


def at(task: str, number: int, does: str, patch: pytest.MonkeyPatch) -> int:
    """Let a row do something; returns its index."""
    row = twin(task, number + 1)[0][number]
    patch.setenv("TINY_AT", repr(row["lr"]))
    patch.setenv("TINY_DOES", does)
    return int(row["row"])


@posix
@pytest.mark.parametrize("does", ["die", "leave"])
def test_a_worker_that_dies_costs_no_finished_row(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    with monkeypatch.context() as patch:
        index = at("sum", 20, does, patch)
        with pytest.raises(
            MeasureError,
            match=rf"tiny/sum: a worker process died \(signal SIGKILL\).* measured: .*\b{index}\b",
        ):
            make(FAMILY, ["sum"], jobs=2, folder=tmp_path / "j", say=print)
    assert list(scratch.iterdir()) == []
    have = {i for i, _ in read(tmp_path / "j/tiny/sum.jsonl").entries}
    assert have | {index} >= set(range(20)) and index not in have
    [one] = make(FAMILY, ["sum"], jobs=2, folder=tmp_path / "j", into=tmp_path / "out", say=print)
    assert one.new == 40 + 60 - len(have)
    assert one.parquet is not None
    assert one.parquet.read_bytes() == (made / "out/tiny/sum.parquet").read_bytes()


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("raise", "Awkward: awkward"),
        ("nan", "ValueError: measure must return a finite number, however: got nan"),
    ],
)
def test_a_row_that_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, said: str
) -> None:
    index = at("sum", 5, does, monkeypatch)
    with pytest.raises(MeasureError, match=rf"tiny/sum: row {index} cannot be measured: {said}") as caught:
        make(FAMILY, ["sum"], folder=tmp_path, say=print)
    assert ("tiny_family.py" if does == "raise" else "_workers.py") in caught.value.__notes__[0]
    assert len(read(tmp_path / "tiny/sum.jsonl").entries) == 5


def test_mostly_infeasible_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINY_REFUSES", "all")
    with pytest.raises(MeasureError, match=r"51 of 51 are not; most often \(51 times\): on is refused"):
        make(FAMILY, ["odd"], folder=tmp_path, say=print)


def test_refused_before_anything_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"unknown task of family 'tiny': 'sums'; did you mean 'sum'"):
        make(FAMILY, ["sums"], folder=tmp_path)
    for wrong in ({"jobs": 0}, {"n": 0}, {"repeats": -1}, {"tasks": "sum"}, {"tasks": []}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            make(FAMILY, **{"folder": tmp_path, **wrong})  # type: ignore[arg-type]
    monkeypatch.setenv("TINY_MISSING", "1")
    with pytest.raises(MissingTool, match="apt install tiny"):
        make(FAMILY, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_changed_space_in_the_last_task_stops_all(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINY_LOW", "0.01")
    (tmp_path / "tiny").mkdir()
    odd = (made / "j/tiny/odd.jsonl").read_bytes()
    (tmp_path / "tiny/odd.jsonl").write_bytes(odd)
    with pytest.raises(JournalError, match=r"odd\.jsonl must come from the same search space .* space \("):
        make(FAMILY, ["sum", "odd"], folder=tmp_path)
    assert list(read(tmp_path / "tiny/sum.jsonl").entries) == []
    told: list[str] = []
    make(FAMILY, ["odd"], n=3, n_repeated=0, folder=tmp_path, fresh=True, say=told.append)
    assert told[0] == "odd.jsonl was set aside as odd.jsonl.old"
    assert (tmp_path / "tiny/odd.jsonl.old").read_bytes() == odd


def test_which_families_a_worker_can_import() -> None:
    import tiny_family

    assert resolve(tiny_family.FAMILY) == (tiny_family.FAMILY, FAMILY)
    assert resolve("tiny_family:FAMILY")[0] is tiny_family.FAMILY
    with pytest.raises(ValueError, match="family must be one of"):
        resolve("tiny")
    with pytest.raises(
        ValueError, match=r"holds no name for this Tiny\. Put FAMILY = Tiny\(\) into a module"
    ):
        resolve(tiny_family.Tiny())
    with pytest.raises(
        ValueError, match="must be a module that holds FAMILY, however: tiny_family:os does not"
    ):
        resolve("tiny_family:os")


# --- processes that end ------------------------------------------------------------------------------


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@posix
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_ended_make_goes_on_where_it_stopped(made: Path, tmp_path: Path, how: signal.Signals) -> None:
    journal, log, scratch = tmp_path / "j/tiny/noisy.jsonl", tmp_path / "log", tmp_path / "scratch"
    scratch.mkdir()
    where = ("--tasks", "noisy", "--jobs", 2, "--into", tmp_path / "out", "--journals", tmp_path / "j")
    rows = twin("noisy", 30)[0]
    stuck = f"{rows[12]['lr']!r} {rows[20]['lr']!r}"  # both workers are busy with these when the end comes
    process = command(*where, TINY_AT=stuck, TINY_DOES="wait", TINY_LOG=log, TMPDIR=scratch)
    wait_for(lambda: lines(journal) == 20 and lines(log) == 21)
    if how == signal.SIGINT:  # a second one while the first one writes
        other = command(*where)
        _, err = other.communicate(timeout=60)
        assert other.returncode == 1 and "must be written by one process at a time" in err
    process.send_signal(how)
    out, err = process.communicate(timeout=60)
    assert sorted(read(journal).entries) == [(i, 0) for i in range(20) if i != 12]
    assert not (tmp_path / "out").exists()
    if how == signal.SIGINT:
        assert process.returncode == 130 and out == ""
        assert err.splitlines() == [
            "tiny/noisy: 19 of 30 rows are kept",
            "embreg: interrupted; the next call goes on where this one stopped",
        ]
    wait_for(lambda: not list(scratch.iterdir()))  # workers end too, and take their temporary files along
    again = command(*where, TINY_LOG=log)
    out, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    table = "out/tiny/noisy.parquet"
    assert (tmp_path / table).read_bytes() == (made / table).read_bytes()
    measured = Counter(log.read_text().splitlines())
    assert len(measured) == 90 and sum(measured.values()) == 90 + 2  # the rows in progress, and no other


@posix
def test_a_kill_between_any_two_files_is_put_right_by_the_next_call(made: Path, tmp_path: Path) -> None:
    """The table is in place before the card that holds its digest, and each of them is whole."""
    script = f"""
        import json, os, sys
        from pathlib import Path
        from embreg._files import sha256_file
        from embreg.making.journal import read
        from embreg.making.pack import pack
        from tiny_family import FAMILY
        import embreg.effective, pyarrow.parquet, filelock
        log, replace, seen = read(Path({str(made / "j/tiny/few.jsonl")!r})), os.replace, []
        def about(out):
            card = json.loads((out / "tiny/card.json").read_text())["tasks"]["few"]
            table = out / "tiny/few.parquet"
            digest = sha256_file(table)
            print(len(pyarrow.parquet.read_table(table)), card["n"], card["sha256"] == digest, digest)
        def child(out, call, after):
            def counted(a, b):
                seen.append(b)
                if len(seen) == call and not after:
                    os._exit(9)
                replace(a, b)
                if len(seen) == call:
                    os._exit(9)
            os.replace = counted
            pack(FAMILY, "few", log, out)
            os._exit(0)
        for call in (1, 2):
            for after in (False, True):
                out = Path({str(tmp_path)!r}) / f"{{call}}{{after}}"
                pack(FAMILY, "few", log, out, n=5)
                if (pid := os.fork()) == 0:
                    child(out, call, after)
                assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
                about(out)
                pack(FAMILY, "few", log, out)
                about(out)
                assert sorted(p.name for p in (out / "tiny").iterdir() if p.suffix != ".tmp") == [
                    "card.json", "few.parquet"
                ]
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [line.rpartition(" ") for line in done.stdout.splitlines()]
    assert [about for about, _, _ in found[0::2]] == ["5 5 True", "6 5 False", "6 5 False", "6 6 True"]
    assert {(about, sha) for about, _, sha in found[1::2]} == {
        ("6 6 True", sha256_file(made / "out/tiny/few.parquet"))
    }


# --- comparing ---------------------------------------------------------------------------------------


def test_agreement() -> None:
    import pyarrow as pa

    shipped = pa.table({"row": [0, 1, 3, 4], "a": ["p", None, "q", "r"], "y": [0.0, 1.0, 2.0, 3.0]})
    sd = float(np.std([0, 1, 2, 3], ddof=1))
    made = pa.table({
        "row": [0, 1, 2, 3, 4], "a": ["p", None, "p", "q", "s"],
        "y": [0.0, 1 + 0.09 * sd, 5.0, 2 - 0.11 * sd, 3.0],
    })  # fmt: skip
    assert agreement(made, shipped, 0.1) == (4, 1, 2, 1)
    assert agreement(made, shipped, 0.0) == (4, 1, 1, 1)
    assert agreement(shipped, shipped, 0.0) == (4, 4, 4, 0)
