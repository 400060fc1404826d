"""The store: what comes back is what went in, or nothing at all; never another row, never a crash."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embreg.storage import sqlite as _sqlite
from embreg.store import Row, Store, StoreWarning

SPACE = {"model": "m", "pooling": "mean", "layer": -1}
POSIX = os.name == "posix"


def row(seed: int = 0, d: int = 5) -> Row:
    rng = np.random.default_rng(seed)
    return Row(rng.normal(size=d).astype(np.float32), int(rng.integers(1, 99)), 2, bool(seed % 2))


def same(a: Row, b: Row) -> bool:
    counts = (a.n_tokens, a.n_unk, a.truncated) == (b.n_tokens, b.n_unk, b.truncated)
    return counts and a.vector.dtype == b.vector.dtype == np.float32 and np.array_equal(a.vector, b.vector)


def query(path: Path, sql: str, *values: Any) -> list[tuple]:
    """Reach into the file behind the store's back."""
    with closing(sqlite3.connect(path)) as db, db:
        return db.execute(sql, values).fetchall()


# --- round trip --------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(), max_size=20)  # surrogates and NUL included


@settings(max_examples=40)
@given(texts=st.lists(TEXTS, unique=True, min_size=1, max_size=8), absent=TEXTS)
def test_round_trip(texts: list[str], absent: str) -> None:
    """Every string is a key of its own, whatever is in it; the order of asking plays no part."""
    folder = Path(tempfile.mkdtemp())
    try:
        rows = {t: row(i) for i, t in enumerate(texts)}
        Store(SPACE, folder).put(rows)
        found = Store(SPACE, folder).get([*reversed(texts), absent])
        assert set(found) == set(texts) | ({absent} & set(texts))
        assert all(same(found[t], rows[t]) for t in texts)
    finally:
        shutil.rmtree(folder)


def test_strings_that_look_alike_are_different_keys(tmp_path: Path) -> None:
    alike = [
        "",
        " ",
        "\0",
        "a",
        "a\0",
        "\ud800",
        "\udc00",
        "?",
        "\ufffd",
        "é",
        "e\u0301",
        "😀",
        "x" * 100_000,
    ]
    rows = {t: row(i) for i, t in enumerate(alike)}
    Store(SPACE, tmp_path).put(rows)
    found = Store(SPACE, tmp_path).get(alike)
    assert len(found) == len(alike) and all(same(found[t], rows[t]) for t in alike)


def test_more_rows_than_one_statement_takes(tmp_path: Path) -> None:
    rows = {f"row {i}": row(i) for i in range(1203)}
    Store(SPACE, tmp_path).put(rows)
    found = Store(SPACE, tmp_path).get(rows)
    assert all(same(found[t], rows[t]) for t in rows)


def test_a_row_written_again_is_replaced(tmp_path: Path) -> None:
    store = Store(SPACE, tmp_path)
    store.put({"a": row(1)})
    store.put({"a": row(2), "b": row(3)})
    assert same(store.get(["a"])["a"], row(2)) and len(store.get("ab")) == 2


def test_special_values_survive_bit_by_bit(tmp_path: Path) -> None:
    vector = np.array([0.0, -0.0, np.inf, np.nan, 1e-45, np.finfo(np.float32).max], np.float32)
    store = Store(SPACE, tmp_path)
    store.put({"a": Row(vector, 1, 0, False)})
    assert store.get(["a"])["a"].vector.tobytes() == vector.tobytes()


def test_numbers_of_numpy_are_taken(tmp_path: Path) -> None:
    store = Store(SPACE, tmp_path)
    store.put({"a": Row(np.ones(2), np.int64(3), np.int64(1), np.bool_(True))})  # type: ignore[arg-type]
    found = store.get(["a"])["a"]
    assert (found.n_tokens, found.n_unk, found.truncated, found.vector.dtype) == (3, 1, True, np.float32)


def test_vectors_that_come_back_may_be_changed(tmp_path: Path) -> None:
    store = Store(SPACE, tmp_path)
    store.put({"a": row()})
    store.get(["a"])["a"].vector[:] = 0
    assert same(store.get(["a"])["a"], row())


def test_nothing_is_created_by_asking(tmp_path: Path) -> None:
    assert Store(SPACE, tmp_path / "sub").get(["a"]) == {}
    assert not (tmp_path / "sub").exists()
    store = Store(SPACE, tmp_path / "sub")
    store.put({"a": row()})
    store.get(["a"])
    assert list((tmp_path / "sub").iterdir()) == [store.path], "no log is left beside the file"


def test_asking_for_nothing_and_putting_nothing(tmp_path: Path) -> None:
    store = Store(SPACE, tmp_path)
    store.put({})
    assert store.get([]) == {}


def test_default_folder_is_below_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EMBREG_HOME", str(tmp_path))
    assert Store(SPACE).path.parent == tmp_path / "store"


def test_path_with_characters_that_mean_something_in_a_uri(tmp_path: Path) -> None:
    folder = tmp_path / "a b?mode=memory#c%20é"
    Store(SPACE, folder).put({"a": row()})
    assert same(Store(SPACE, folder).get(["a"])["a"], row())


def test_spaces_do_not_share_rows(tmp_path: Path) -> None:
    store = Store(SPACE, tmp_path)
    store.put({"a": row()})
    for name, value in {"model": "n", "pooling": "max", "layer": 0, "extra": None}.items():
        other = Store({**SPACE, name: value}, tmp_path)
        assert other.path != store.path and other.get(["a"]) == {}
    turned = Store(dict(reversed(SPACE.items())), tmp_path)
    assert turned.path == store.path, "the order in which a space is written down is no difference"


def test_the_file_says_what_it_holds(tmp_path: Path) -> None:
    store = Store(SPACE, tmp_path)
    store.put({"a": row()})
    assert query(store.path, "SELECT description FROM space") == [
        ('{"layer": -1, "model": "m", "pooling": "mean"}',)
    ]


# --- damage ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE rows SET vector = zeroblob(20)",
        "UPDATE rows SET vector = substr(vector, 1, 16)",
        "UPDATE rows SET vector = 'text'",
        "UPDATE rows SET vector = 7",
        "UPDATE rows SET n_tokens = n_tokens + 1",
        "UPDATE rows SET n_tokens = n_tokens + 0.5",
        "UPDATE rows SET n_unk = 'many'",
        "UPDATE rows SET truncated = 1 - truncated",
        "UPDATE rows SET sum = zeroblob(8)",
        "UPDATE rows SET sum = ''",
    ],
)
def test_a_changed_row_is_never_served(tmp_path: Path, edit: str) -> None:
    Store(SPACE, tmp_path).put({"a": row(0), "b": row(1)})
    path = Store(SPACE, tmp_path).path
    key = query(path, "SELECT key FROM rows ORDER BY n_tokens LIMIT 1")[0][0]
    query(path, f"{edit} WHERE key = ?", key)
    store = Store(SPACE, tmp_path)
    with pytest.warns(StoreWarning, match="1 rows of .* fail their checksum and are computed again"):
        found = store.get("ab")
    [kept] = found
    assert same(found[kept], {"a": row(0), "b": row(1)}[kept])
    store.put({"a": row(0), "b": row(1)})
    assert len(Store(SPACE, tmp_path).get("ab")) == 2, "computed again and kept"


def test_rows_cannot_be_swapped(tmp_path: Path) -> None:
    """A checksum covers the key: the vector of another string does not pass for this one's."""
    Store(SPACE, tmp_path).put({"a": row(0), "b": row(1)})
    path = Store(SPACE, tmp_path).path
    (one, *rest), (two, *others) = query(path, "SELECT * FROM rows")
    columns = "vector = ?, n_tokens = ?, n_unk = ?, truncated = ?, sum = ?"
    query(path, f"UPDATE rows SET {columns} WHERE key = ?", *rest, two)
    query(path, f"UPDATE rows SET {columns} WHERE key = ?", *others, one)
    with pytest.warns(StoreWarning, match="2 rows of .* fail their checksum"):
        assert Store(SPACE, tmp_path).get("ab") == {}


def recovers(path: Path, rows: dict[str, Row]) -> list[str]:
    """Read a damaged file, complete it as the embedder would, read it again; returns the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        store = Store(SPACE, path.parent)
        found = store.get(rows)
        assert all(same(found[t], rows[t]) for t in found), "a wrong row was served"
        if missing := {t: r for t, r in rows.items() if t not in found}:
            store.put(missing)
    assert all(w.category is StoreWarning for w in caught)
    again = Store(SPACE, path.parent).get(rows)
    assert all(same(again[t], rows[t]) for t in again), "a wrong row was served"
    return [str(w.message) for w in caught]


def damage(mode: str, content: bytes, rng: np.random.Generator) -> bytes:
    out, at = bytearray(content), int(rng.integers(len(content)))
    if mode == "flip a bit":
        out[at] ^= 1 << int(rng.integers(8))
    elif mode == "flip a bit of the header":
        out[at % 100] ^= 1 << int(rng.integers(8))
    elif mode == "garble a piece":
        out[at : at + 100] = rng.bytes(len(out[at : at + 100]))
    elif mode == "blank a piece":
        out[at : at + 512] = bytes(len(out[at : at + 512]))
    else:
        del out[at:]
    return bytes(out)


@pytest.mark.parametrize(
    "mode", ["flip a bit", "flip a bit of the header", "garble a piece", "blank a piece", "truncate"]
)
@pytest.mark.filterwarnings("always::embreg.store.StoreWarning")
def test_damage_anywhere_in_the_file_ends_in_right_rows(tmp_path: Path, mode: str) -> None:
    rows = {f"row {i}": row(i, d=24) for i in range(200)}
    path = Store(SPACE, tmp_path).path
    Store(SPACE, tmp_path).put(rows)
    good, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(30):
        for part in tmp_path.iterdir():
            part.unlink()
        path.write_bytes(damage(mode, good, rng))
        for _ in range(3):  # what one round puts out of reach, the next one finds missing
            recovers(path, rows)
        assert recovers(path, rows) == [] and len(Store(SPACE, tmp_path).get(rows)) == len(rows)


@pytest.mark.parametrize(
    "content",
    [b"not a database at all, whatever the name says", b"SQLite format 3\0" + bytes(84), b"\0" * 9000],
)
def test_garbage_is_set_aside_and_the_file_made_again(tmp_path: Path, content: bytes) -> None:
    path = Store(SPACE, tmp_path).path
    path.write_bytes(content)
    [message] = recovers(path, {"a": row(0), "b": row(1)})
    assert "is set aside as *.damaged and rebuilt" in message
    assert path.with_name(path.name + ".damaged").read_bytes() == content
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(Store(SPACE, tmp_path).get("ab")) == 2


def test_damage_that_only_writing_meets_does_not_stop_writing(tmp_path: Path) -> None:
    store = Store(SPACE, tmp_path)
    store.path.write_bytes(b"not a database at all, whatever the name says")
    with pytest.warns(StoreWarning, match=r"set aside as \*.damaged and rebuilt"):
        store.put({"a": row()})
    assert same(Store(SPACE, tmp_path).get(["a"])["a"], row())


def test_another_programs_database_is_set_aside(tmp_path: Path) -> None:
    path = Store(SPACE, tmp_path).path
    query(path, "CREATE TABLE rows (something_else TEXT)")
    assert "set aside" in recovers(path, {"a": row()})[0]
    assert len(Store(SPACE, tmp_path).get("a")) == 1


def test_an_empty_file_is_a_store_that_was_just_begun(tmp_path: Path) -> None:
    path = Store(SPACE, tmp_path).path
    path.touch()
    assert recovers(path, {"a": row()}) == []


# --- files that cannot be used -----------------------------------------------------------------------


def test_a_locked_database_is_not_taken_for_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sqlite, "PATIENCE", 0.1)
    path = Store(SPACE, tmp_path).path
    Store(SPACE, tmp_path).put({"a": row(0)})
    store = Store(SPACE, tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert same(store.get(["a"])["a"], row(0)), "one may read while another writes"
        with pytest.warns(StoreWarning, match="embeddings are not kept: .* cannot be written .*locked"):
            store.put({"b": row(1)})
    query(path, "PRAGMA journal_mode=DELETE")  # then readers have to wait as well
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.warns(StoreWarning, match="cannot be read now .*locked.*; its rows are computed again"):
            assert store.get(["a"]) == {}
    assert [p.name for p in tmp_path.glob("*.damaged")] == []
    assert same(Store(SPACE, tmp_path).get(["a"])["a"], row(0))


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that a process without privileges can enter, other than pytest's own."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        for part in [folder, *folder.rglob("*")]:
            part.chmod(0o755)
        shutil.rmtree(folder)


WITHOUT_PRIVILEGES = """
import os, sys, warnings
import numpy as np
from embreg.store import Row, Store
if os.geteuid() == 0:
    os.setgid(65534), os.setuid(65534)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    store = Store({"model": "m"}, sys.argv[1])
    found = store.get(["a", "b"])
    for text in "bcd":
        store.put({text: Row(np.ones(2, np.float32), 1, 0, False)})
    print(sorted(found), [float(r.vector.sum()) for r in found.values()])
for w in caught:
    print(w.category.__name__, str(w.message)[:24])
"""


def run_without_privileges(folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PRIVILEGES, str(folder)], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.skipif(not POSIX, reason="permissions of folders are POSIX's")
def test_read_only_folder_serves_what_it_has_with_one_warning(shared: Path) -> None:
    Store({"model": "m"}, shared).put({"a": Row(np.ones(3, np.float32), 1, 0, False)})
    for part in shared.iterdir():
        os.utime(part, (0, 0))  # used long ago: the attempt to note the new use fails in silence
        part.chmod(0o444)
    shared.chmod(0o555)
    before = {p.name: p.read_bytes() for p in shared.iterdir()}
    assert run_without_privileges(shared) == ["['a'] [3.0]", "StoreWarning embeddings are not kept:"]
    assert {p.name: p.read_bytes() for p in shared.iterdir()} == before


@pytest.mark.skipif(not POSIX, reason="permissions of folders are POSIX's")
def test_folder_that_may_not_be_entered_is_one_warning_for_each_kind_of_trouble(shared: Path) -> None:
    (shared / "store").mkdir()
    Store({"model": "m"}, shared / "store").put({"a": Row(np.ones(3, np.float32), 1, 0, False)})
    (shared / "store").chmod(0o000)
    printed = run_without_privileges(shared / "store")
    assert printed[0] == "[] []" and len(printed) == 3
    assert {line.split()[0] for line in printed[1:]} == {"StoreWarning"}


def test_folder_that_cannot_be_made_is_one_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = Store(SPACE, tmp_path / "file" / "store")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        store.put({"a": row(0)})
        store.put({"b": row(1)})
    assert [w.category for w in caught] == [StoreWarning]


def test_stores_that_share_their_warnings_give_one_together(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    warned: set[str] = set()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for layer in range(4):
            Store({"layer": layer}, tmp_path / "file" / "store", warned=warned).put({"a": row(0)})
    assert len(caught) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_full_disk_is_a_warning(tmp_path: Path) -> None:
    """Every write to this file fails as on a full disk."""
    store = Store(SPACE, tmp_path)
    store.path.symlink_to("/dev/full")
    with pytest.warns(StoreWarning, match="embeddings are not kept"):
        store.put({"a": row()})


# --- several processes -------------------------------------------------------------------------------

FILL = """
import sys, warnings
import numpy as np
from embreg.store import Row, Store
warnings.simplefilter("error")
store, seed = Store({"model": "m"}, sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for i in np.random.default_rng(seed).permutation(60).tolist():
    text = f"row {i}"
    store.put({text: Row(np.full(4, i, np.float32), i, 0, False)})
    assert store.get([text])[text].n_tokens == i
    print(i, flush=True)
"""


def start(folder: Path, seed: int) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", FILL, str(folder), str(seed)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout and process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def filled(folder: Path) -> dict[str, Row]:
    found = Store({"model": "m"}, folder).get(f"row {i}" for i in range(60))
    assert all(r.vector.tolist() == [r.n_tokens] * 4 and t == f"row {r.n_tokens}" for t, r in found.items())
    return found


def test_processes_may_fill_one_space_at_once(tmp_path: Path) -> None:
    """Three begin the same new file at the same moment; nobody is warned, nothing is lost."""
    several = [start(tmp_path, seed) for seed in range(3)]
    for process in several:
        go(process)
    for process in several:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert len(filled(tmp_path)) == 60


@pytest.mark.skipif(not POSIX, reason="SIGKILL is POSIX's")
def test_a_killed_process_keeps_what_it_had_finished(tmp_path: Path) -> None:
    with start(tmp_path, 0) as process:
        go(process)
        assert process.stdout
        done = [int(process.stdout.readline()) for _ in range(12)]
        process.kill()
    assert {f"row {i}" for i in done} <= set(filled(tmp_path))
    assert query(Store({"model": "m"}, tmp_path).path, "PRAGMA integrity_check") == [("ok",)]


def test_the_name_of_a_file_is_the_digest_of_its_space(tmp_path: Path) -> None:
    """Files are found again by later versions: this may only change together with ``format``."""
    text = json.dumps(SPACE, sort_keys=True, separators=(",", ":"))
    assert Store(SPACE, tmp_path).path.name == hashlib.sha256(text.encode()).hexdigest()[:32] + ".sqlite"
