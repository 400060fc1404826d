"""Faults made for real: whatever happens to a process or a file, rows are right and the store recovers."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embreg.spaces import gc, spaces, verify
from embreg.store import Row, Store, StoreWarning
from tests.tiny import tiny_t5

N = 150
TEXTS = [f"x0:{i}.{7 * i % 1000:03d},x1:-{i}." + "0123456789"[i % 10] * (10 + i % 30) for i in range(N)]


# --- a process that embeds ---------------------------------------------------------------------------

NURSERY = """
import json, os, resource, select, signal, sys, time, traceback, warnings
import numpy as np, torch, transformers
import embreg.engine.core
from embreg import TextEmbedder, store
from embreg.spaces import verify

torch.set_num_threads(1)
model, texts = sys.argv[1], json.load(open(sys.argv[2]))
number = {text: i for i, text in enumerate(texts)}
store._SECONDS = 0.0  # write after every batch
embreg.engine.core.TOKENS_PER_BATCH["cpu"] = 256
put = store.Store.put


def embedder(folder):
    return TextEmbedder(model, dtype="float32", backend="torch", store=folder)


def tell(channel, **what):
    os.write(channel, json.dumps(what).encode() + b"\\n")


def embed(task, channel):
    def noted(self, rows):
        put(self, rows)
        tell(channel, put=[number[text] for text in rows])
        if task.get("protect") and len(rows):  # the folder becomes read-only after the first batch
            os.chmod(self.path, 0o444)
            os.chmod(self.folder, 0o555)

    if task.get("protect") and os.geteuid() == 0:
        os.setgid(65534), os.setuid(65534)
    store.Store.put = noted
    model = embedder(task["folder"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        out = model.fit_transform(texts)
    tell(channel, hits=model.report_.hits, error=float(abs(out - want).max()),
         warnings=[f"{w.category.__name__}: {w.message}" for w in caught])


first = embedder(None)  # everything is imported and loaded, and with one thread there is no pool
want = first.fit_transform(texts)
np.save(sys.argv[3], want)
print(first.report_.forward_passes, flush=True)
for line in sys.stdin:
    task = json.loads(line)
    out, channel = os.pipe()
    started = time.perf_counter()
    child = os.fork()
    if not child:
        try:
            if task.get("limit"):  # no file grows beyond this: writes fail as on a full disk
                resource.setrlimit(resource.RLIMIT_FSIZE, (task["limit"],) * 2)
            if task.get("repair"):
                tell(channel, faults=[check.fault for check in verify(task["folder"], repair=True)])
            else:
                embed(task, channel)
        except BaseException:
            tell(channel, failed=traceback.format_exc()[-2000:])
        os._exit(0)
    os.close(channel)
    if "kill" in task:  # so long after the start, or after the first rows were written
        if task["after_first"]:
            select.select([out], [], [])
        time.sleep(task["kill"])
        os.kill(child, signal.SIGKILL)
    said = b""
    while part := os.read(out, 65536):
        said += part
    os.close(out)
    _, status = os.waitpid(child, 0)
    seconds = time.perf_counter() - started
    answer = {"put": [], "seconds": seconds, "killed": os.WIFSIGNALED(status)}
    for line in said.splitlines():
        part = json.loads(line)
        answer["put"] += part.pop("put", [])
        answer |= part
    print(json.dumps(answer), flush=True)
"""


class Nursery:
    """A process that has loaded everything; each task runs in a fork of it."""

    want: np.ndarray
    seconds: float

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, *, folder: Path, **task: Any) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({**task, "folder": str(folder)}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "failed" not in answer, answer["failed"]
        return answer


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    if os.name != "posix":
        pytest.skip("forks and permissions are POSIX's")
    base = Path(tempfile.mkdtemp())  # not pytest's own: a process without privileges must get there
    base.chmod(0o755)
    try:
        (base / "texts").write_text(json.dumps(TEXTS))
        model = tiny_t5(base / "model", d_model=128)
        for part in model.iterdir():
            part.chmod(0o644)
        arguments = [str(model), str(base / "texts"), str(base / "want.npy")]
        with subprocess.Popen(
            [sys.executable, "-c", NURSERY, *arguments], env={**os.environ, "OMP_NUM_THREADS": "1"},
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as process:  # fmt: skip
            assert process.stdout
            assert int(process.stdout.readline()) >= 20, "too few batches to be stopped between"
            nursery = Nursery(process)
            nursery.want = np.load(base / "want.npy")
            nursery.seconds = nursery(folder=base / "store")["seconds"]
            yield nursery
    finally:
        shutil.rmtree(base)


def held(folder: Path, want: np.ndarray) -> set[int]:
    """Rows that a store serves, without a warning; each of them is right, and the store verifies clean."""
    found: dict[str, Row] = {}
    for file in spaces(folder):
        if file.space:
            found |= Store(file.space, folder).get(TEXTS)
    numbers = {i for i, text in enumerate(TEXTS) if text in found}
    for i in numbers:
        np.testing.assert_allclose(found[TEXTS[i]].vector, want[i], rtol=0, atol=1e-5)
        assert found[TEXTS[i]].n_tokens == len(TEXTS[i]) + 1
    for check in verify(folder):
        assert check.clean and check.rows == len(numbers)
    return numbers


def test_killed_at_fifty_moments(nursery: Nursery, tmp_path: Path) -> None:
    """Two for each store: what was written is kept, and right; then some are filled to the end."""
    rng, stopped = random.Random(0), 0
    for i in range(50):
        folder = tmp_path / str(i // 2)
        before = held(folder, nursery.want)
        after_first, delay = bool(i % 4), rng.uniform(0, nursery.seconds / 2)
        answer = nursery(folder=folder, kill=delay, after_first=after_first)
        now = held(folder, nursery.want)
        assert before | set(answer["put"]) <= now
        stopped += answer["killed"] and len(before) < len(now) < N
    assert stopped >= 15, "too few of the moments were in the middle"
    for folder in sorted(tmp_path.iterdir())[::5]:
        before = held(folder, nursery.want)
        answer = nursery(folder=folder)
        assert (answer["hits"], answer["warnings"]) == (len(before), []) and answer["error"] < 1e-5
        assert held(folder, nursery.want) == set(range(N))


@pytest.mark.parametrize(
    ("limit", "some"), [(4_096, False), (40_000, False), (90_000, True), (130_000, True)]
)
def test_a_disk_that_fills_up(nursery: Nursery, tmp_path: Path, limit: int, some: bool) -> None:
    """Results come back with one warning; what was written stays, the next run adds the rest."""
    answer = nursery(folder=tmp_path, limit=limit)
    [warning] = answer["warnings"]
    assert warning.startswith("StoreWarning: embeddings are not kept") and answer["error"] < 1e-5
    kept = held(tmp_path, nursery.want)
    assert len(kept) < N and bool(kept) == some
    answer = nursery(folder=tmp_path)
    assert (answer["hits"], answer["warnings"]) == (len(kept), []) and answer["error"] < 1e-5
    assert held(tmp_path, nursery.want) == set(range(N))


def test_write_permission_that_goes_away(nursery: Nursery) -> None:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    try:
        if os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
        answer = nursery(folder=folder, protect=True)
        [warning] = answer["warnings"]
        assert warning.startswith("StoreWarning: embeddings are not kept") and answer["error"] < 1e-5
        first = held(folder, nursery.want)
        assert 0 < len(first) < N
        answer = nursery(folder=folder, protect=True)  # served as far as it goes
        assert answer["hits"] == len(first) and len(answer["warnings"]) == 1 and answer["error"] < 1e-5
        for path in [folder, *folder.iterdir()]:
            path.chmod(0o755)
        answer = nursery(folder=folder)
        assert (answer["hits"], answer["warnings"]) == (len(first), [])
        assert held(folder, nursery.want) == set(range(N))
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


# --- a file that is damaged --------------------------------------------------------------------------

SPACE = {"model": "m", "pooling": "mean"}
NAME = Store(SPACE, "").path.name
ROWS = {
    f"row {i}": Row(np.random.default_rng(i).normal(size=96).astype(np.float32), i, 0, False)
    for i in range(300)
}


def get(folder: Path) -> tuple[dict[str, Row], list[str]]:
    """Rows that a store serves, each of which is right; and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = Store(SPACE, folder).get(ROWS)
    assert all(w.category is StoreWarning for w in caught)
    for text, row in found.items():
        assert row.n_tokens == ROWS[text].n_tokens and np.array_equal(row.vector, ROWS[text].vector)
    return found, [str(w.message) for w in caught]


def survives(folder: Path, content: dict[str, bytes], *, complete: bool = True) -> str:
    """Try everything on files with the given content; says how bad it was."""

    def fresh() -> None:
        for part in folder.iterdir():
            part.unlink()
        for name, part in content.items():
            (folder / name).write_bytes(part)

    fresh()
    whole = all(check.clean for check in verify(folder))
    found, said = get(folder)
    if whole and complete:
        assert len(found) == len(ROWS) and not said, "what verifies clean is all there"

    fresh()
    assert all(check.clean for check in verify(folder, repair=True))
    assert all(check.clean for check in verify(folder)), "what was repaired verifies clean"
    kept, said = get(folder)
    assert not said and len(kept) >= len(found) - 1, "a repair loses no more than reading does"
    Store(SPACE, folder).put({text: row for text, row in ROWS.items() if text not in kept})
    again, said = get(folder)
    assert not said and len(again) == len(ROWS)
    assert all(check.clean for check in verify(folder))

    gc(folder, damaged=True)
    assert [p.name for p in folder.iterdir()] == [NAME]
    return "clean" if whole else "all lost" if not kept else "some lost" if len(kept) < len(ROWS) else "kept"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("good")
    for start in range(0, 300, 60):
        Store(SPACE, folder).put(dict(list(ROWS.items())[start : start + 60]))
    return (folder / NAME).read_bytes()


def test_flipped_bits(good: bytes, tmp_path: Path) -> None:
    """Anywhere, and more often in the few bytes that say how the rest is to be read."""
    rng, seen = np.random.default_rng(0), set()
    places = [*rng.integers(0, len(good), 60), *rng.integers(0, 100, 30)]
    places += [16384 * page + at for page in range(len(good) // 16384) for at in rng.integers(0, 60, 4)]
    for place in map(int, places):
        content = bytearray(good)
        content[place] ^= 1 << int(rng.integers(8))
        seen.add(survives(tmp_path, {NAME: bytes(content)}))
    assert {"clean", "some lost", "kept"} <= seen


def test_every_key_is_checked(good: bytes, tmp_path: Path) -> None:
    """A row whose key is damaged looks absent to a reader; verify finds it wherever it is."""
    from embreg.storage.row import key_of

    rng = random.Random(0)
    for text in rng.sample(sorted(ROWS), 12):
        key = key_of(text)
        for at in (good.find(key), good.rfind(key)):
            content = bytearray(good)
            content[at + rng.randrange(20)] ^= 1 << rng.randrange(8)
            assert survives(tmp_path, {NAME: bytes(content)}) in ("some lost", "kept")


def test_truncated_files(good: bytes, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for length in [0, 1, 15, 99, 100, 16383, 16384, 16385, *rng.integers(0, len(good), 30)]:
        survives(tmp_path, {NAME: good[: int(length)]}, complete=length > 0)


def test_a_bit_that_forbids_writing(good: bytes, tmp_path: Path) -> None:
    """SQLite takes the file for one of the future: it would be read for ever, and never be added to."""
    assert survives(tmp_path, {NAME: good[:18] + b"\x12" + good[19:]}) == "kept"


def test_damage_in_the_log_of_a_process_that_was_killed(tmp_path: Path) -> None:
    """What the log holds from the damage on is lost, and nothing else."""
    from embreg.storage import sqlite as _sqlite

    base, folder = tmp_path / "base", tmp_path / "hurt"
    folder.mkdir()
    store, texts = Store(SPACE, base), list(ROWS)
    store.put({text: ROWS[text] for text in texts[:100]})
    with _sqlite.connect(store.path) as db:  # while someone looks, the log stays
        db.execute("SELECT * FROM rows").fetchone()
        for start in range(100, 300, 50):
            store.put({text: ROWS[text] for text in texts[start : start + 50]})
        content = {p.name: p.read_bytes() for p in base.iterdir() if not p.name.endswith("-shm")}
    log = content[f"{NAME}-wal"]
    assert set(content) == {NAME, f"{NAME}-wal"} and len(log) > 5 * 16384
    assert survives(folder, content) == "clean"
    rng = np.random.default_rng(0)
    for place in [*range(0, 60, 7), *rng.integers(0, len(log), 30)]:
        hurt = bytearray(log)
        hurt[int(place)] ^= 1 << int(rng.integers(8))
        survives(folder, {NAME: content[NAME], f"{NAME}-wal": bytes(hurt)}, complete=False)
    for length in rng.integers(0, len(log), 15):
        survives(folder, {NAME: content[NAME], f"{NAME}-wal": log[: int(length)]}, complete=False)


def test_a_repair_that_is_killed(nursery: Nursery, good: bytes, tmp_path: Path) -> None:
    """There is the old file or the new one, and the next repair ends well."""
    from embreg.storage.row import key_of

    rng = random.Random(0)
    places = [good.find(ROWS["row 7"].vector.tobytes()), good.find(key_of("row 7"))]  # a row; the structure
    for i in range(40):
        content = bytearray(good)
        content[places[i % 2]] ^= 1
        for part in tmp_path.iterdir():
            part.unlink()
        (tmp_path / NAME).write_bytes(content)
        nursery(folder=tmp_path, repair=True, kill=rng.uniform(0, 0.02), after_first=False)
        assert all(check.clean for check in verify(tmp_path, repair=True))
        found, said = get(tmp_path)
        assert not said and len(found) >= len(ROWS) - 1
        for part in tmp_path.iterdir():
            os.utime(part, (0, 0))  # a temporary file may be of a process at work
        gc(tmp_path, damaged=True)
        assert [p.name for p in tmp_path.iterdir()] == [NAME]


def test_a_repair_without_room_changes_nothing(nursery: Nursery, good: bytes, tmp_path: Path) -> None:
    content = bytearray(good)
    content[good.find(ROWS["row 7"].vector.tobytes())] ^= 1
    (tmp_path / NAME).write_bytes(content)
    [fault] = nursery(folder=tmp_path, repair=True, limit=50_000)["faults"]
    assert fault.startswith("not repaired: ")
    assert [p.name for p in tmp_path.iterdir()] == [NAME] and (tmp_path / NAME).read_bytes() == content
