"""Tools over a whole store: what they say is there is there, what they call whole is whole."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors import safe_open

from embreg.spaces import SpaceFile, export, gc, leftovers, pick, read_texts, spaces, verify
from embreg.storage.row import key_of
from embreg.store import Row, Store, StoreWarning

DAY = 86400.0


def row(i: int, d: int = 5) -> Row:
    return Row(np.random.default_rng(i).normal(size=d).astype(np.float32), i + 3, i % 3, bool(i % 2))


def rows(n: int, d: int = 5) -> dict[str, Row]:
    return {f"row {i}": row(i, d) for i in range(n)}


def same(a: Row, b: Row) -> bool:
    counts = (a.n_tokens, a.n_unk, a.truncated) == (b.n_tokens, b.n_unk, b.truncated)
    return counts and np.array_equal(a.vector, b.vector)


def fill(folder: Path, n: int = 20, days: float = 0, **space: Any) -> Store:
    """A space of `n` rows, last used so many days ago."""
    store = Store({"model": "m", "pooling": "mean", "layer": -1, **space}, folder)
    store.put(rows(n))
    os.utime(store.path, (time.time() - days * DAY,) * 2)
    return store


def query(path: Path, sql: str, *values: Any) -> list[tuple]:
    with closing(sqlite3.connect(path)) as db, db:
        return db.execute(sql, values).fetchall()


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()}


# --- what there is -----------------------------------------------------------------------------------


def test_every_space_is_listed_as_it_is(tmp_path: Path) -> None:
    stores = [fill(tmp_path, n, days=n, layer=n) for n in (1, 2, 3)]
    found = {s.digest: s for s in spaces(tmp_path)}
    assert len(found) == 3
    for n, store in enumerate(stores, 1):
        file = found[store.path.stem]
        assert (file.path, file.rows, file.space, file.problem) == (store.path, n, store.space, "")
        assert file.size == store.path.stat().st_size
        assert time.time() - file.used == pytest.approx(n * DAY, abs=60)
        assert file.label == f"{store.path.stem[:8]} m mean {n}"


def test_to_look_is_not_to_use_and_changes_nothing(tmp_path: Path) -> None:
    store = fill(tmp_path, days=40)
    before = state(tmp_path)
    spaces(tmp_path)
    verify(tmp_path)
    export(spaces(tmp_path)[0], tmp_path.parent / "out.parquet")
    gc(tmp_path, older_than=DAY, dry_run=True)
    assert state(tmp_path) == before
    store.get(["another"])
    assert time.time() - spaces(tmp_path)[0].used < 60, "to read is to use"


def test_reading_within_the_hour_does_not_touch_the_file(tmp_path: Path) -> None:
    store = fill(tmp_path, days=0.5 / 24)
    before = state(tmp_path)
    assert len(store.get(rows(20))) == 20
    assert state(tmp_path) == before


def test_no_store_is_an_empty_one(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    assert spaces(folder) == verify(folder) == gc(folder, older_than=0) == leftovers(folder) == []
    assert not folder.exists()


def test_home_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EMBREG_HOME", str(tmp_path))
    Store({"model": "m"}).put(rows(1))
    assert [s.rows for s in spaces()] == [c.rows for c in verify()] == [1]


def test_a_new_file_is_no_damage(tmp_path: Path) -> None:
    """As another process leaves it for a moment: empty, or without tables."""
    for layer in (0, 1):
        Store({"layer": layer}, tmp_path).path.touch()
    query(Store({"layer": 0}, tmp_path).path, "PRAGMA journal_mode=WAL")
    assert [(s.rows, s.problem) for s in spaces(tmp_path)] == [(0, ""), (0, "")]
    assert all(check.clean for check in verify(tmp_path))
    for layer in (0, 1):
        assert Store({"layer": layer}, tmp_path).get(["a"]) == {}  # and no warning


def test_models_have_their_names(tmp_path: Path) -> None:
    from embreg.models import MODELS

    spec = MODELS["all-MiniLM-L6-v2"]
    names = {spec.revision: spec.name, spec.package.requirement: spec.name, "f" * 40: "f" * 12}
    names["local"] = "local 0a1b2c3d"
    for revision, name in names.items():
        file = SpaceFile(tmp_path, {"model": revision, "weights": "0a1b2c3d4e"}, 0, 0, 0.0)
        assert file.model == name
    assert (
        SpaceFile(tmp_path, {"model": spec.revision, "random": 3}, 0, 0, 0.0).model
        == f"{spec.name}, random 3"
    )
    assert SpaceFile(tmp_path, {}, 0, 0, 0.0).model == "?"


def test_the_start_of_a_name_is_enough_if_it_is_the_only_one(tmp_path: Path) -> None:
    files = [SpaceFile(Path(f"{d * 8}.sqlite"), {"model": "m"}, 0, 0, 0.0) for d in ("abcd", "abce", "f000")]
    assert pick(files, [], tmp_path) == files
    assert pick(files, ["abce", "F", "abce"], tmp_path) == [files[1], files[2]]
    with pytest.raises(ValueError, match=r"'abc' begins 2 spaces; .*: (abc[de]){3} \(m\), (abce){3} \(m\)$"):
        pick(files, ["abc"], tmp_path)
    with pytest.raises(ValueError, match=r"no space of .* begins with 'f001'; there are: f000f000f000 \(m\)"):
        pick(files, ["f001"], tmp_path)
    with pytest.raises(ValueError, match="begins with '9'; it is empty"):
        pick([], ["9"], tmp_path)


# --- verify ------------------------------------------------------------------------------------------


def test_whole_stores_verify_clean(tmp_path: Path) -> None:
    for layer in range(3):
        fill(tmp_path, 20 + layer, layer=layer)
    checks = verify(tmp_path)
    assert sorted(check.rows for check in checks) == [20, 21, 22]
    assert all(check.clean and not check.fault for check in checks)
    [one] = verify(tmp_path, [checks[1].file.digest[:6]])
    assert one.file == checks[1].file


@pytest.mark.parametrize(
    "edit", ["vector = zeroblob(20)", "n_tokens = n_tokens + 1", "sum = x'00'", "n_unk = 'many'"]
)
def test_a_changed_row_is_found_and_removed(tmp_path: Path, edit: str) -> None:
    store = fill(tmp_path)
    query(store.path, f"UPDATE rows SET {edit} WHERE n_tokens = 3")
    [check] = verify(tmp_path)
    assert (check.rows, check.damaged, check.fault, check.clean) == (19, 1, "", False)
    [check] = verify(tmp_path, repair=True)
    assert (check.rows, check.damaged, check.clean) == (19, 1, True)
    assert [p.name for p in tmp_path.iterdir()] == [store.path.name], "nothing of worth was left to set aside"
    complete(store, 20, missing=1)


def complete(store: Store, n: int, missing: int | None = None, d: int = 5) -> None:
    """After a repair: the store verifies clean, serves right rows without a warning, takes the others."""
    assert all(check.clean for check in verify(store.folder))
    wanted = rows(n, d)
    found = Store(store.space, store.folder).get(wanted)
    assert all(same(found[t], wanted[t]) for t in found)
    assert missing is None or len(found) == n - missing
    Store(store.space, store.folder).put({t: r for t, r in wanted.items() if t not in found})
    assert len(Store(store.space, store.folder).get(wanted)) == n
    assert all(check.clean for check in verify(store.folder))


def test_a_damaged_key_is_found(tmp_path: Path) -> None:
    """To an embedder the row just looks absent: both copies of its key were changed alike."""
    store = fill(tmp_path)
    query(store.path, "UPDATE rows SET key = zeroblob(20) WHERE n_tokens = 3")
    assert len(store.get(rows(20))) == 19  # no warning
    [check] = verify(tmp_path, repair=True)
    assert (check.rows, check.damaged) == (19, 1)
    complete(store, 20, missing=1)


def test_a_damaged_key_in_one_place_is_found(tmp_path: Path) -> None:
    """In the table, or in the index: by bytes of the file, as a disk would."""
    key = key_of("row 7")
    good = fill(tmp_path / "good").path.read_bytes()
    assert good.count(key) == 2
    for at in (good.find(key), good.rfind(key)):
        folder = tmp_path / str(at)
        store = fill(folder)
        store.path.write_bytes(good[: at + 9] + bytes([good[at + 9] ^ 4]) + good[at + 10 :])
        [check] = verify(folder)
        assert check.fault and check.repairable and not check.clean
        [check] = verify(folder, repair=True)
        assert check.clean and check.rows >= 19
        assert [p.name for p in leftovers(folder)] == [f"{store.path.name}.damaged"]
        complete(store, 20)


def test_an_index_that_leads_to_another_row_serves_no_wrong_one(tmp_path: Path) -> None:
    """The row it leads to is whole, and not the one that was asked for."""
    store = fill(tmp_path)
    content = bytearray(store.path.read_bytes())
    at = content.rfind(key_of("row 7")) + 20  # what follows the key in the index is the row's number
    assert content[at] == 8
    content[at] = 12
    store.path.write_bytes(content)
    with pytest.warns(StoreWarning):
        found = store.get(["row 7"])
    assert all(same(found[t], row(7)) for t in found)
    store.path.write_bytes(content)
    assert not verify(tmp_path)[0].clean
    assert verify(tmp_path, repair=True)[0].clean
    complete(store, 20)


def test_a_renamed_file_is_not_served_and_is_set_aside(tmp_path: Path) -> None:
    mine, other = fill(tmp_path), Store({"model": "m", "pooling": "max"}, tmp_path)
    shutil.copy(mine.path, other.path)
    checks = {c.file.path: c for c in verify(tmp_path)}
    assert checks[mine.path].clean
    assert checks[other.path].fault == "it describes another space than its name does"
    assert other.path.name[:8] in {s.label for s in spaces(tmp_path)}
    with pytest.warns(StoreWarning, match="describes another space.*set aside"):
        assert other.get(rows(20)) == {}
    shutil.copy(mine.path, other.path)
    with pytest.warns(StoreWarning, match="describes another space.*set aside"):
        Store(other.space, tmp_path).put(rows(1))
    assert len(Store(other.space, tmp_path).get(rows(20))) == 1
    shutil.copy(mine.path, other.path)
    assert all(c.clean for c in verify(tmp_path, repair=True))
    assert not other.path.exists() and len(mine.get(rows(20))) == 20


def test_no_database_is_set_aside(tmp_path: Path) -> None:
    store = fill(tmp_path)
    store.path.write_bytes(b"not a database at all, whatever the name says")
    [check] = verify(tmp_path)
    assert check.repairable and "not a database" in check.fault
    [check] = verify(tmp_path, repair=True)
    assert check.clean and check.rows == 0
    assert verify(tmp_path) == [] and len(leftovers(tmp_path)) == 1
    complete(store, 20, missing=20)


def test_files_of_the_first_versions_are_read_repaired_and_taken_over(tmp_path: Path) -> None:
    """They had no row numbers: one tree by key."""
    store = fill(tmp_path)
    records = query(store.path, "SELECT * FROM rows")
    store.path.unlink()
    query(
        store.path,
        "CREATE TABLE rows (key BLOB PRIMARY KEY, vector BLOB NOT NULL, n_tokens INTEGER NOT NULL, "
        "n_unk INTEGER NOT NULL, truncated INTEGER NOT NULL, sum BLOB NOT NULL) WITHOUT ROWID",
    )
    query(store.path, "CREATE TABLE space (description TEXT PRIMARY KEY)")
    query(store.path, "INSERT INTO space VALUES (?)", json.dumps(store.space, sort_keys=True))
    with closing(sqlite3.connect(store.path)) as db, db:
        db.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)", records[:15])
    wanted = rows(20)
    assert set(store.get(wanted)) == set(list(wanted)[:15])
    store.put(wanted)
    assert all(same(r, wanted[t]) for t, r in store.get(wanted).items())
    assert [c.clean for c in verify(tmp_path)] == [True]
    query(store.path, "UPDATE rows SET n_unk = 77 WHERE n_tokens = 3")
    assert [c.damaged for c in verify(tmp_path, repair=True)] == [1]
    assert "WITHOUT ROWID" not in query(store.path, "SELECT sql FROM sqlite_master")[0][0]
    complete(store, 20, missing=1)


def test_a_repair_keeps_what_both_ends_of_a_broken_file_hold(tmp_path: Path) -> None:
    store = Store({"model": "m"}, tmp_path)
    store.put(rows(400, d=384))
    content = bytearray(store.path.read_bytes())
    middle = len(content) // 2 // 16384 * 16384
    content[middle : middle + 16384] = b"\xff" * 16384
    store.path.write_bytes(content)
    [check] = verify(tmp_path, repair=True)
    assert check.clean and check.fault and 380 <= check.rows < 400
    complete(store, 400, missing=400 - check.rows, d=384)


def test_a_file_in_use_is_not_repaired_and_not_hurt(tmp_path: Path) -> None:
    store = fill(tmp_path)
    query(store.path, "UPDATE rows SET n_unk = 77 WHERE n_tokens = 3")
    with closing(sqlite3.connect(store.path)) as other:
        assert other.execute("SELECT count(*) FROM rows").fetchone() == (20,)
        [check] = verify(tmp_path, repair=True)
        assert not check.clean and "not repaired: database is locked" in check.fault
        assert other.execute("SELECT count(*) FROM rows").fetchone() == (20,)
    assert verify(tmp_path, repair=True)[0].clean
    complete(store, 20, missing=1)


def test_a_busy_file_is_no_damaged_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from embreg.storage import sqlite as _sqlite

    monkeypatch.setattr(_sqlite, "PATIENCE", 0.1)
    store = fill(tmp_path)
    query(store.path, "PRAGMA journal_mode=DELETE")
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        [check] = verify(tmp_path, repair=True)
    assert (check.clean, check.repairable) == (False, False)
    assert check.fault == "it cannot be read now (database is locked)"
    assert verify(tmp_path)[0].clean


def test_another_process_may_fill_a_space_while_it_is_verified(tmp_path: Path) -> None:
    """What is read is one state of the file: never a half-written one."""
    code = (
        "import sys, numpy as np\nfrom embreg.store import Row, Store\n"
        "store, i = Store({'model': 'm'}, sys.argv[1]), 0\nprint(flush=True)\n"
        "while True:\n"
        "    store.put({f'{i} {j}': Row(np.full(384, j, np.float32), j, 0, False) for j in range(50)})\n"
        "    i += 1\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout and process.stdout.readline()
            counts = []
            end = time.monotonic() + 30
            while len(set(counts)) < 8 and time.monotonic() < end:
                for check in verify(tmp_path):
                    assert check.clean, check.fault
                    counts.append(check.rows)
            assert process.poll() is None
        finally:
            process.kill()
    assert counts == sorted(counts) and len(set(counts)) >= 8 and not any(c % 50 for c in counts)


# --- gc ----------------------------------------------------------------------------------------------


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def test_by_age(tmp_path: Path) -> None:
    old, new = fill(tmp_path, days=31, layer=0), fill(tmp_path, days=29, layer=1)
    size = old.path.stat().st_size
    [would] = gc(tmp_path, older_than=30 * DAY, dry_run=True)
    assert names(tmp_path) == {old.path.name, new.path.name}
    [freed] = gc(tmp_path, older_than=30 * DAY)
    assert freed == would and (freed.path, freed.size, freed.kept) == (old.path, size, "")
    assert names(tmp_path) == {new.path.name}
    assert len(new.get(rows(20))) == 20 and old.get(rows(20)) == {}


def test_by_size_the_least_recently_used_go_first(tmp_path: Path) -> None:
    stores = [fill(tmp_path, days=d, layer=d) for d in (3, 9, 5, 1)]
    size = stores[0].path.stat().st_size
    assert gc(tmp_path, max_size=4 * size) == []
    assert [f.path for f in gc(tmp_path, max_size=3 * size - 1)] == [stores[1].path, stores[2].path]
    assert names(tmp_path) == {stores[0].path.name, stores[3].path.name}
    assert [f.path for f in gc(tmp_path, max_size=0)] == [stores[0].path, stores[3].path]
    assert names(tmp_path) == set()


def test_reading_saves_a_space(tmp_path: Path) -> None:
    stores = [fill(tmp_path, days=40, layer=layer) for layer in range(2)]
    stores[0].get(["anything"])
    gc(tmp_path, older_than=30 * DAY)
    assert names(tmp_path) == {stores[0].path.name}


def test_damaged_files_go_when_asked_for(tmp_path: Path) -> None:
    store = fill(tmp_path, days=2)
    for name in ("a.sqlite.damaged", "a.sqlite-wal.damaged", ".b.sqlite.0123456789abcdef.tmp"):
        (tmp_path / name).write_bytes(bytes(1000))
    os.utime(tmp_path / ".b.sqlite.0123456789abcdef.tmp", (0, 0))
    (tmp_path / ".c.sqlite.0123456789abcdef.tmp").touch()  # of a process at work
    (tmp_path / "notes.txt").touch()
    assert gc(tmp_path, older_than=3 * DAY) == [] and len(names(tmp_path)) == 6
    # They count as part of the store.
    assert len(gc(tmp_path, max_size=store.path.stat().st_size, dry_run=True)) == 1
    assert gc(tmp_path, max_size=store.path.stat().st_size, damaged=True, dry_run=True)[0].size == 1000
    assert len(gc(tmp_path, damaged=True)) == 3
    assert names(tmp_path) == {store.path.name, ".c.sqlite.0123456789abcdef.tmp", "notes.txt"}


def test_a_space_used_just_now_is_kept(tmp_path: Path) -> None:
    """Its process may wait for the next rows of a long batch, and has nothing open meanwhile."""
    store = fill(tmp_path)
    [freed] = gc(tmp_path, max_size=0)
    assert freed.kept == "used in the last ten minutes" and len(store.get(rows(20))) == 20


def test_a_space_that_is_open_is_kept(tmp_path: Path) -> None:
    store = fill(tmp_path, days=40)
    with closing(sqlite3.connect(store.path)) as other:
        other.execute("SELECT * FROM rows").fetchone()
        [freed] = gc(tmp_path, older_than=DAY)
        assert freed.kept == "in use (database is locked)"
    [freed] = gc(tmp_path, older_than=DAY)
    assert not freed.kept and names(tmp_path) == set()


def test_rubbish_goes_as_well(tmp_path: Path) -> None:
    path = fill(tmp_path, days=40).path
    path.write_bytes(b"rubbish" * 100)
    path.with_name(path.name + "-wal").write_bytes(b"rubbish")
    for part in tmp_path.iterdir():
        os.utime(part, (0, 0))
    assert [f.kept for f in gc(tmp_path, older_than=DAY)] == [""]
    assert names(tmp_path) == set()


def test_rows_of_a_writer_that_waited_while_its_file_was_removed_are_kept(tmp_path: Path) -> None:
    store = fill(tmp_path, days=40)
    with closing(sqlite3.connect(store.path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        late = Store(store.space, tmp_path)
        writer = threading.Thread(target=late.put, args=[{"late": row(1)}])
        writer.start()
        time.sleep(0.5)
        assert writer.is_alive()
        store.path.unlink()  # what gc does
        other.execute("ROLLBACK")
    writer.join(20)
    assert set(late.get(["late", *rows(20)])) == {"late"}
    assert all(check.clean for check in verify(tmp_path))


def test_what_cannot_be_removed_is_reported(tmp_path: Path) -> None:
    store = fill(tmp_path, days=40)
    store.path.unlink()
    store.path.mkdir()  # no way to unlink a folder, whoever asks
    (tmp_path / "a.sqlite.damaged").mkdir()
    os.utime(store.path, (0, 0))
    aside, space = gc(tmp_path, older_than=DAY, damaged=True)
    assert aside.failed and "a.sqlite.damaged" in aside.kept
    assert space.kept and store.path.is_dir()


# --- export ------------------------------------------------------------------------------------------


def exported(store: Store) -> dict[str, tuple]:
    """What must come out, from the table itself."""
    found = query(store.path, "SELECT key, vector, n_tokens, n_unk, truncated FROM rows")
    return {key.hex(): (np.frombuffer(v, "<f4").tolist(), n, u, bool(t)) for key, v, n, u, t in found}


@pytest.mark.parametrize("n", [1, 3, 4096, 5000])
def test_parquet_holds_every_row(tmp_path: Path, n: int) -> None:
    store = fill(tmp_path, n)
    out = tmp_path / "sub" / "x.parquet"
    assert export(spaces(tmp_path)[0], out) == n
    table = pq.read_table(out)
    types = [str(field.type) for field in table.schema]
    assert types == ["string", "fixed_size_list<element: float>[5]", "int64", "int64", "bool"]
    columns = (table[c].to_pylist() for c in ("key", "vector", "n_tokens", "n_unk", "truncated"))
    assert {k: tuple(rest) for k, *rest in zip(*columns, strict=True)} == exported(store)
    assert json.loads(table.schema.metadata[b"embreg.space"]) == store.space
    assert names(out.parent) == {out.name}


@pytest.mark.parametrize("n", [1, 3, 4096, 5000])
def test_safetensors_hold_the_same(tmp_path: Path, n: int) -> None:
    store = fill(tmp_path, n)
    out = tmp_path / "x.safetensors"
    assert export(spaces(tmp_path)[0], out) == n
    with safe_open(out, "numpy") as f:
        part = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118
        assert json.loads(f.metadata()["embreg.space"]) == store.space
    assert {k: v.dtype.name for k, v in part.items()} == {
        "key": "uint8", "vector": "float32", "n_tokens": "int64", "n_unk": "int64", "truncated": "bool",
    }  # fmt: skip
    keys = [k.tobytes().hex() for k in part["key"]]
    columns = (part[c].tolist() for c in ("vector", "n_tokens", "n_unk", "truncated"))
    assert {k: tuple(rest) for k, *rest in zip(keys, *columns, strict=True)} == exported(store)


def test_texts_stand_beside_their_rows(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    (tmp_path / "texts").write_bytes("row 3\r\nnothing\nrow 0\n\nrow\x0b1\x85\u2028\nrow 4".encode())
    texts = read_texts(tmp_path / "texts")
    assert list(texts.values()) == ["row 3", "nothing", "row 0", "", "row\x0b1\x85\u2028", "row 4"]
    export(spaces(tmp_path)[0], tmp_path / "x.parquet", texts=texts)
    table = pq.read_table(tmp_path / "x.parquet")
    got = dict(zip(table["n_tokens"].to_pylist(), table["text"].to_pylist(), strict=True))
    assert got == {3: "row 0", 4: None, 5: None, 6: "row 3", 7: "row 4"}


def test_what_cannot_be_exported_says_why_and_leaves_what_is_there(tmp_path: Path) -> None:
    store = fill(tmp_path)
    out = tmp_path / "x.parquet"
    out.write_text("before")
    query(store.path, "UPDATE rows SET n_unk = 77 WHERE n_tokens = 3")
    for name in ("x.parquet", "x.safetensors"):
        with pytest.raises(ValueError, match=r"is damaged \(some rows fail their check\).* --repair"):
            export(spaces(tmp_path)[0], tmp_path / name)
    with pytest.raises(ValueError, match=r"must end in .parquet or .safetensors, however: got 'x.csv'"):
        export(spaces(tmp_path)[0], tmp_path / "x.csv")
    with pytest.raises(ValueError, match="safetensors hold no strings"):
        export(spaces(tmp_path)[0], tmp_path / "x.safetensors", texts={})
    (tmp_path / "latin").write_bytes(b"caf\xe9\n")
    with pytest.raises(ValueError, match="latin must be text in UTF-8"):
        read_texts(tmp_path / "latin")
    query(store.path, "DELETE FROM rows")
    with pytest.raises(ValueError, match="has no rows to export"):
        export(spaces(tmp_path)[0], out)
    store.path.write_bytes(b"rubbish" * 1000)
    with pytest.raises(ValueError, match=r"cannot be read: .*see embreg store verify"):
        export(spaces(tmp_path)[0], out)
    assert out.read_text() == "before" and names(tmp_path) == {"x.parquet", "latin", store.path.name}


def test_vectors_of_several_lengths_are_an_error(tmp_path: Path) -> None:
    fill(tmp_path).put({"longer": row(0, d=6)})
    with pytest.raises(ValueError, match=r"vectors of one length, however: got \[5, 6\]"):
        export(spaces(tmp_path)[0], tmp_path / "x.parquet")


def test_a_file_that_breaks_off_is_not_exported_in_part(tmp_path: Path) -> None:
    store = Store({"model": "m"}, tmp_path)
    store.put(rows(400, d=384))
    [file] = spaces(tmp_path)
    with open(store.path, "r+b") as f:
        f.truncate(store.path.stat().st_size // 2)
    for name in ("x.parquet", "x.safetensors"):
        with pytest.raises(ValueError, match=r"is damaged .* --repair"):
            export(file, tmp_path / name)
    assert names(tmp_path) == {store.path.name}
