"""Files are whole or not there, and keys are equal exactly when the content is."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embreg._files import atomic_path, digest, home, sha256_file


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


# --- home ------------------------------------------------------------------------------------------------


def test_home_is_what_the_user_chose(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EMBREG_HOME", str(tmp_path / "mine"))
    assert home() == tmp_path / "mine"
    assert not (tmp_path / "mine").exists()
    monkeypatch.setenv("EMBREG_HOME", "~/embreg")
    assert home() == Path.home() / "embreg"


@pytest.mark.parametrize("value", [None, ""])
def test_home_is_the_users_cache_else(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is None:
        monkeypatch.delenv("EMBREG_HOME", raising=False)
    else:
        monkeypatch.setenv("EMBREG_HOME", value)
    assert home().is_absolute() and "embreg" in home().parts


# --- atomic_path -----------------------------------------------------------------------------------------


def test_a_file_takes_its_place_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "note.txt"
    with atomic_path(target) as tmp:
        assert tmp.parent == target.parent and not tmp.exists()
        tmp.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert names(target.parent) == ["note.txt"]


@pytest.mark.parametrize("directory", [False, True])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_the_old_content(error: type[BaseException], directory: bool, tmp_path: Path) -> None:
    target = tmp_path / "target"
    with atomic_path(target, directory=directory) as tmp:
        (tmp / "part" if directory else tmp).write_text("old")
    with pytest.raises(error), atomic_path(target, directory=directory) as tmp:
        (tmp / "part" if directory else tmp).write_text("half of the n")
        raise error
    assert (target / "part" if directory else target).read_text() == "old"
    assert names(tmp_path) == ["target"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "run"
    for content in ("one", "two"):
        with atomic_path(target, directory=True) as tmp:
            assert names(tmp) == []
            (tmp / content).write_text(content)
            (tmp / "inner").mkdir()
        assert names(target) == sorted([content, "inner"])
    assert names(tmp_path) == ["run"]


def test_the_old_folder_comes_back_when_the_new_one_cannot_take_its_place(tmp_path: Path) -> None:
    target = tmp_path / "run"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(OSError), atomic_path(target, directory=True) as tmp:
        tmp.rmdir()  # so there is nothing to rename
    assert names(target) == ["old"]
    assert names(tmp_path) == ["run"]


def test_nothing_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "file"):
        pass
    assert (tmp_path / "file").read_text() == "old"


def test_a_file_does_not_take_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x" / "inside").mkdir(parents=True)
    with pytest.raises(OSError), atomic_path(tmp_path / "x") as tmp:
        tmp.write_text("file")
    assert names(tmp_path) == ["x"] and names(tmp_path / "x") == ["inside"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_others_may_read_what_the_user_lets_them_read(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with atomic_path(tmp_path / "file") as tmp:
            tmp.write_text("text")
        with atomic_path(tmp_path / "folder", directory=True):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o755


KILLED = """
import os, sys
from embreg._files import atomic_path
with atomic_path(sys.argv[1]) as tmp:
    tmp.write_text("half of the n")
    os._exit(9)
"""


def test_a_killed_process_leaves_the_old_content(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("old")
    assert subprocess.run([sys.executable, "-c", KILLED, str(target)]).returncode == 9
    assert target.read_text() == "old"
    with atomic_path(target) as tmp:  # what it left behind is in nobody's way
        tmp.write_text("new")
    assert target.read_text() == "new"


@pytest.mark.skipif(os.name == "nt", reason="Windows refuses to replace a file that is open")
def test_a_reader_sees_one_or_the_other(tmp_path: Path) -> None:
    target, seen, done = tmp_path / "target", set(), threading.Event()
    contents = ["a" * 100_000, "b" * 200_000]
    target.write_text(contents[0])

    def read() -> None:
        while not done.is_set():
            seen.add(target.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for k in range(200):
        with atomic_path(target) as tmp:
            tmp.write_text(contents[k % 2])
    done.set()
    reader.join()
    assert seen <= set(contents)


def test_many_writers_of_one_file(tmp_path: Path) -> None:
    target, contents = tmp_path / "target", [str(k) * 10_000 for k in range(8)]

    def write(content: str) -> None:
        for _ in range(10):
            with atomic_path(target) as tmp:
                tmp.write_text(content)

    threads = [threading.Thread(target=write, args=(c,)) for c in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_text() in contents
    assert names(tmp_path) == ["target"]


# --- digests ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_sha256_of_a_file(size: int, tmp_path: Path) -> None:
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    assert sha256_file(tmp_path / "file") == sha256_file(str(tmp_path / "file"))
    assert sha256_file(tmp_path / "file") == hashlib.sha256(content).hexdigest()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def typed(value: Any) -> Any:
    """A value in which True, 1 and 1.0 differ, as does -0.0 from 0.0."""
    if isinstance(value, dict):
        return {k: typed(v) for k, v in value.items()}
    return [typed(v) for v in value] if isinstance(value, list) else (type(value).__name__, repr(value))


@given(JSON, JSON)
def test_digests_are_equal_exactly_when_the_values_are(a: Any, b: Any) -> None:
    assert (digest(a) == digest(b)) == (typed(a) == typed(b))
    assert digest({"x": a, "y": b}) == digest({"y": b, "x": a})


def test_digest_is_the_same_everywhere() -> None:
    expected = hashlib.sha256(b'{"a":[1,2.5,null,true],"b":"\\u03c6"}').hexdigest()
    assert digest({"b": "φ", "a": [1, 2.5, None, True]}) == expected
    assert digest({"b": "φ", "a": (1, 2.5, None, True)}) == expected


@pytest.mark.parametrize(
    "value",
    [{1, 2}, Path("a"), b"a", object(), {"a": [1j]}, {1: "a"}, [{"a": {None: 1}}]],
    ids=lambda v: type(v).__name__,
)
def test_what_json_does_not_know_has_no_digest(value: Any) -> None:
    with pytest.raises(TypeError):
        digest(value)


@pytest.mark.parametrize("value", [float("nan"), [float("inf")]])
def test_no_digest_of_what_is_not_equal_to_itself(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        digest(value)
