"""Workers: the numbers of one process, whoever computes them, and all rows, whoever dies.

Real schedulers, real processes, real signals.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import embreg
from embreg import TextEmbedder, cluster, keys, use_workers
from embreg.cli import main
from embreg.cluster import ClusterError, connect
from embreg.engine import remote as _remote
from embreg.engine import workers as _workers
from embreg.engine.core import Output
from tests.tiny import tiny_bert, tiny_t5

pytestmark = pytest.mark.usefixtures("one_thread")

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(embreg.__file__).parents[1])}
posix = pytest.mark.skipif(os.name != "posix", reason="signals")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("models")
    return {"t5": tiny_t5(base / "t5"), "bert": tiny_bert(base / "bert")}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Home of the workers: another one than the caller's, as on another machine."""
    return tmp_path_factory.mktemp("worker-home")


@pytest.fixture(scope="module")
def scheduler(elsewhere: Path) -> Iterator[str]:
    """Address of a Dask cluster with two worker processes."""
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EMBREG_HOME", str(elsewhere))
            address = stack.enter_context(cluster._local(2))
        yield address


@pytest.fixture(scope="module")
def dask(scheduler: str) -> Iterator[Executor]:
    with connect(scheduler) as executor:
        yield executor


@pytest.fixture(scope="module")
def processes(elsewhere: Path) -> Iterator[Executor]:
    with connect("processes:2") as executor:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EMBREG_HOME", str(elsewhere))
            for future in [executor.submit(time.sleep, 0.1) for _ in range(2)]:
                future.result()  # they start with the first tasks
        yield executor


@pytest.fixture(params=["dask", "processes"])
def executor(request: pytest.FixtureRequest) -> Executor:
    return request.getfixturevalue(request.param)


@pytest.fixture
def small_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """One batch a task: a tiny model would have everything in one."""
    monkeypatch.setattr(_remote, "_FIRST", 1)
    monkeypatch.setattr(_remote, "_SECONDS", 0.0)


class Counting(Executor):
    """An executor that counts, and remembers its futures."""

    def __init__(self, inner: Any) -> None:
        self._inner, self._max_workers = inner, 2
        self.futures: list[Future] = []
        self.most = 0

    def submit(self, fn: Callable, /, *args: Any, **options: Any) -> Future:
        self.futures.append(self._inner.submit(fn, *args, **options))
        self.most = max(self.most, sum(not f.done() for f in self.futures))
        return self.futures[-1]


def needs(backend: str) -> None:
    # Found, not imported: embreg has a way of its own to do that.
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed (extra cpu)")


def rows(n: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("0123456789.,:x"), rng.integers(1, 40))) for _ in range(n)]


def embedder(model: Path | str, **settings: Any) -> TextEmbedder:
    return TextEmbedder(str(model), **{"dtype": "float32", "store": None, **settings})


# --- the numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_the_numbers_are_those_of_one_process(
    executor: Executor, folders: dict[str, Path], backend: str
) -> None:
    """To the last bit: what a batch gives does not depend on who computes it."""
    needs(backend)
    for name, n in {"t5": 300, "bert": 40}.items():
        model, texts = embedder(folders[name], backend=backend), rows(n)
        want = {"poolings": ["mean", "last"], "layers": [0, -1]}
        here = model.transform_many(texts, **want)
        report = model.report_
        with use_workers(executor):
            there = model.transform_many(texts, **want)
        assert list(there) == list(here)
        for key, vectors in here.items():
            assert np.array_equal(there[key], vectors)
        assert np.array_equal(model.report_.tokens_per_row, report.tokens_per_row)
        assert (model.report_.padded_tokens, model.report_.forward_passes) == (
            report.padded_tokens,
            report.forward_passes,
        )


@pytest.mark.parametrize("settings", [{"weights": "random", "seed": 3}, {"stage": "vocab"}])
def test_controls_too(dask: Executor, folders: dict[str, Path], settings: dict[str, Any]) -> None:
    model, texts = embedder(folders["t5"], backend="torch", **settings), rows(30)
    here = model.transform(texts)
    with use_workers(dask):
        assert np.array_equal(model.transform(texts), here)


def test_any_executor_will_do(folders: dict[str, Path]) -> None:
    model, texts = embedder(folders["t5"]), rows(30)
    here = model.transform(texts)
    with ThreadPoolExecutor(3) as pool, use_workers(pool):
        assert np.array_equal(model.transform(texts), here)


def test_a_relative_folder_is_found_by_workers(
    dask: Executor, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folders["t5"].parent)
    with use_workers(dask):
        there = embedder("t5", backend="torch").transform(rows(5))
    assert np.array_equal(there, embedder(folders["t5"], backend="torch").transform(rows(5)))


# --- the store ---------------------------------------------------------------------------------------


def test_only_the_caller_writes_the_store(
    executor: Executor, folders: dict[str, Path], elsewhere: Path, tmp_path: Path
) -> None:
    model, texts = embedder(folders["t5"], store=tmp_path / "store"), rows(50)
    counting = Counting(executor)
    with use_workers(counting):
        first = model.transform(texts)
        assert len(counting.futures) > 1
        kept = model._open(model._space(), Output("mean", -1), set())
        assert kept is not None and set(kept.get(texts)) == set(texts)
        assert len(list((tmp_path / "store").glob("*.sqlite"))) == 1
        assert not list(elsewhere.rglob("*.sqlite*"))

        counting.futures.clear()
        assert np.array_equal(model.transform(texts[::-1]), first[::-1])
        assert counting.futures == []
        assert model.report_.hits == len(set(texts))


@pytest.mark.usefixtures("small_tasks")
def test_tasks_are_bounded(dask: Executor, folders: dict[str, Path]) -> None:
    """Two for each worker: the rest waits with the caller, and small work reaches all workers."""
    counting = Counting(dask)
    with use_workers(counting):
        embedder(folders["t5"], backend="torch").transform(rows(600))
    assert len(counting.futures) > 8
    assert 2 <= counting.most <= 4


# --- deaths ------------------------------------------------------------------------------------------


def pids(executor: Any) -> list[int]:
    return list(executor._client.run(os.getpid).values())


@contextmanager
def murdered(pid: int) -> Iterator[None]:
    """Stop a process, so that it holds on to its tasks, and kill it a moment later."""
    os.kill(pid, signal.SIGSTOP)
    timer = threading.Timer(1.0, os.kill, (pid, signal.SIGKILL))
    timer.start()
    try:
        yield
    finally:
        timer.join()


def read_all(model: TextEmbedder, texts: list[str], executor: Any, kill: Callable[[], int]) -> np.ndarray:
    """Vectors of rows, with a worker killed when the first of them have come."""
    engine = model._engine()
    output = Output("mean", -1)
    reads = engine.run(engine.tokenize(texts), [output], "forward", executor)
    seen, out = [], np.full((len(texts), engine.dim), np.nan, dtype=np.float32)
    positions, vectors, _ = next(reads)
    with murdered(kill()):
        while True:
            seen += positions
            out[positions] = vectors[output]
            try:
                positions, vectors, _ = next(reads)
            except StopIteration:
                break
    assert sorted(seen) == list(range(len(texts)))  # all of them, each once
    return out


@posix
@pytest.mark.usefixtures("small_tasks")
def test_rows_of_a_killed_dask_worker_are_computed_by_another(
    dask: Executor, folders: dict[str, Path]
) -> None:
    model, texts = embedder(folders["t5"], backend="torch"), rows(600)
    here = model.transform(texts)
    victim = pids(dask)[0]
    assert np.array_equal(read_all(model, texts, dask, lambda: victim), here)
    assert victim not in pids(dask)


@posix
@pytest.mark.usefixtures("small_tasks")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of a fork; fresh ones take seconds
def test_rows_of_a_broken_pool_are_computed_by_the_caller(folders: dict[str, Path]) -> None:
    model, texts = embedder(folders["t5"], backend="torch"), rows(600)
    here = model.transform(texts)
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        with pytest.warns(RuntimeWarning, match=r"lost.*; their (\d+) rows are computed in") as said:
            there = read_all(model, texts, pool, lambda: next(iter(pool._processes)))
        assert len(said) == 1
        assert np.array_equal(there, here)
        # What had come before is not computed again.
        count = int(str(said[0].message).split("their ")[1].split()[0])
        assert 0 < count < len(texts)
        with pytest.warns(RuntimeWarning, match=f"their {len(set(texts))} rows"), use_workers(pool):
            assert np.array_equal(model.transform(texts), here)


@posix
@pytest.mark.usefixtures("small_tasks")
def test_a_task_that_dask_gives_up_is_computed_by_the_caller(dask: Any, folders: dict[str, Path]) -> None:
    """As it does when a task has killed several workers; here after the first."""
    model, texts = embedder(folders["t5"], backend="torch"), rows(600)
    here = model.transform(texts)
    victim = pids(dask)[0]
    dask._client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 0))
    try:
        with pytest.warns(RuntimeWarning, match="workers were lost .*all those workers died") as said:
            there = read_all(model, texts, dask, lambda: victim)
    finally:
        dask._client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 3))
    assert len(said) == 1
    assert np.array_equal(there, here)


@posix
def test_rows_of_a_lost_scheduler_are_computed_by_the_caller(folders: dict[str, Path]) -> None:
    model, texts = embedder(folders["t5"], backend="torch"), rows(600)
    here = model.transform(texts)
    with cluster._local(1) as address, connect(address, timeout=2) as executor, use_workers(executor):
        head = executor._client.run_on_scheduler(os.getpid)  # type: ignore[attr-defined]
        with (
            murdered(head),
            pytest.warns(
                RuntimeWarning, match=f"the scheduler is gone.*their {len(set(texts))} rows"
            ) as said,
        ):
            assert np.array_equal(model.transform(texts), here)
    assert len(said) == 1


# --- refusals ----------------------------------------------------------------------------------------


def test_other_weights_are_refused(dask: Executor, tmp_path: Path) -> None:
    model = embedder(tiny_t5(tmp_path / "t5", seed=5), backend="torch")
    engine = model._engine()
    tiny_t5(tmp_path / "t5", seed=6)  # what the worker finds there
    other = model._local().weights_digest
    ids = engine.tokenize(["x"])
    with pytest.raises(ClusterError, match="must have the caller's weights") as caught:
        list(engine.run(ids, [Output("mean", -1)], "forward", dask))
    for part in (engine.recipe.digest[:16], other[:16], str(tmp_path / "t5"), "embreg models fetch"):
        assert part in str(caught.value)


def test_absent_weights_are_named(dask: Executor) -> None:
    """The home of these workers holds none, and nothing may be fetched."""
    with (
        use_workers(dask),
        pytest.raises(ClusterError, match=r"'all-MiniLM-L6-v2'.*Every machine needs the weights"),
    ):
        embedder("all-MiniLM-L6-v2").transform(["x"])


def test_other_versions_are_refused(
    dask: Executor, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = {**_remote.numbers_of("torch"), "torch": "1.0"}
    monkeypatch.setattr(_remote, "numbers_of", lambda backend: numbers)
    with use_workers(dask), pytest.raises(ClusterError, match=r"it has torch [\d.]+ \(caller: 1\.0\)"):
        embedder(folders["t5"], backend="torch").transform(["x"])


@pytest.mark.usefixtures("small_tasks")
def test_an_error_cancels_what_waits(dask: Executor, folders: dict[str, Path]) -> None:
    engine, counting = embedder(folders["t5"], backend="torch")._engine(), Counting(dask)
    ids = engine.tokenize(rows(600))
    with pytest.raises(IndexError):
        list(engine.run(ids, [Output("mean", 99)], "forward", counting))
    assert all(f.done() for f in counting.futures)
    assert len(counting.futures) < 8  # and nothing more was sent

    reads = engine.run(ids, [Output("mean", -1)], "forward", counting)
    next(reads)
    reads.close()  # as by Ctrl-C
    assert all(f.done() for f in counting.futures)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # that is the point
def test_a_fork_of_a_process_that_used_openvino_is_refused(folders: dict[str, Path]) -> None:
    """It would wait for ever; torch works."""
    needs("openvino")
    texts = rows(5)
    embedder(folders["t5"], backend="openvino").transform(texts)
    here = embedder(folders["t5"], backend="torch").transform(texts)
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool, use_workers(pool):
        with pytest.raises(ClusterError, match="fork of a process that had used OpenVINO"):
            embedder(folders["t5"], backend="openvino").transform(texts)
        assert np.array_equal(embedder(folders["t5"], backend="torch").transform(texts), here)


def test_a_closed_executor_is_named(scheduler: str, folders: dict[str, Path]) -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with connect(scheduler) as closed:
        pass
    for executor in (pool, closed):
        with use_workers(executor), pytest.raises(ClusterError, match="Executor was shut down"):
            embedder(folders["t5"]).transform(["x"])


@pytest.mark.parametrize("where", ["", "local", "local:0", "processes:-1", "tcp://host", "http://h:1", "2"])
def test_an_address_that_means_nothing(where: str) -> None:
    with pytest.raises(ValueError, match=r"must be local:N, processes:N, .* however: got"), connect(where):
        pass


def test_nobody_answers() -> None:
    started = time.monotonic()
    with (
        pytest.raises(ClusterError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9 within 1 s"),
        connect("tcp://127.0.0.1:9", timeout=1),
    ):
        pass
    assert time.monotonic() - started < 10


def test_a_scheduler_without_workers(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused at first; waited for, with a warning, when the last one has gone later on."""
    from distributed import LocalCluster

    monkeypatch.setattr(_remote, "_PATIENCE", 0.2)
    settings = {"protocol": "tcp", "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    model, texts = embedder(folders["t5"], backend="torch"), rows(30)
    here = model.transform(texts)
    with LocalCluster(n_workers=0, processes=False, threads_per_worker=4, **settings) as empty:
        address = empty.scheduler_address
        with (
            pytest.raises(ClusterError, match=r"has no workers.*dask worker tcp://127"),
            connect(address, timeout=0.5),
        ):
            pass
        with empty.get_client() as client, use_workers(client.get_executor()):
            timer = threading.Timer(1, empty.scale, (1,))
            timer.start()
            with pytest.warns(RuntimeWarning, match="no workers now; embedding waits") as said:
                assert np.array_equal(model.transform(texts), here)
            timer.join()
        assert len(said) == 1


def test_without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    for where in ("local:1", "tcp://127.0.0.1:8786"):
        with pytest.raises(ImportError, match=r"pip install 'embreg\[cluster\]'"), connect(where):
            pass


def test_a_cluster_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "distributed.py").write_text("raise OSError('no luck')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ClusterError, match=r"(?s)of 1 workers could be started.*no luck"), connect("local:1"):
        pass


# --- whose workers -----------------------------------------------------------------------------------


def test_the_environment_names_a_cluster(scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _workers.workers() is None
    monkeypatch.setenv("EMBREG_CLUSTER", scheduler)
    try:
        found = _workers.workers()
        assert found is not None and found is _workers.workers()
        assert found.submit(abs, -3).result() == 3
        with use_workers(None):
            assert _workers.workers() is None
    finally:
        _workers._close()
    assert _workers._OPEN == {}


SCRIPT = """
import os, psutil, sys, time
from embreg.cluster import connect

with connect(sys.argv[1]) as executor:
    print(executor.submit(os.getpid).result(), os.getpid())
    print(*(p.pid for p in psutil.Process().children(recursive=True)), flush=True)
    time.sleep(100)
"""


@posix
@pytest.mark.parametrize("where", ["processes:1", "local:1"])
def test_a_script_needs_no_guard_and_leaves_no_process(where: str, tmp_path: Path) -> None:
    """The usual ``if __name__ == "__main__"`` is not needed; and nothing survives a script that is killed."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), where]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        worker, own = process.stdout.readline().split()
        started = process.stdout.readline().split()
        process.kill()
    assert worker != own and worker in started
    assert until(lambda: all(gone(int(pid)) for pid in started))


def until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def gone(pid: int) -> bool:
    import psutil

    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


# --- embreg run --------------------------------------------------------------------------------------

NOTEBOOK = """
import json, os, pathlib
from embreg import TextEmbedder
from embreg.engine.workers import workers

model = TextEmbedder({model!r}, dtype="float32", backend="torch", store={store!r})
vectors = model.fit_transform(["1", "2", "3"])
found = dict(vectors=vectors.tobytes().hex(), cluster=os.environ["EMBREG_CLUSTER"], hits=model.report_.hits)
if workers() is not None:
    found["names"] = sorted(w["name"] for w in workers()._client.scheduler_info()["workers"].values())
pathlib.Path(os.environ["EMBREG_RUN_DIR"], "found.json").write_text(json.dumps(found))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "profiles.yml").write_text("smoke: {01_a: {}}\n")
    return tmp_path


def write(project: Path, code: str) -> None:
    cells = [
        new_code_cell("n = 2", id="p", metadata={"tags": ["parameters"]}),
        new_code_cell(code.strip(), id="c"),
    ]
    nbformat.write(new_notebook(cells=cells), project / "notebooks" / "01_a.ipynb")


def test_notebooks_embed_on_a_cluster(
    project: Path,
    folders: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(project, NOTEBOOK.format(model=str(folders["t5"]), store=str(project / "store")))
    (project / "package").mkdir()
    monkeypatch.setattr(keys, "package_folder", lambda: project / "package")
    assert main(["run", "--root", str(project), "--cluster", "local:2"]) == 0
    assert capsys.readouterr().err.startswith("[1/1] ran 01_a")
    assert "EMBREG_CLUSTER" not in os.environ
    found = json.loads((project / "runs" / "smoke" / "01_a" / "found.json").read_text())
    assert found["cluster"].startswith("tcp://127.0.0.1:")
    assert found["names"] == [0, 1]
    assert found["hits"] == 0
    here = embedder(folders["t5"], backend="torch").transform(["1", "2", "3"])
    assert found["vectors"] == here.tobytes().hex()
    assert len(list((project / "store").glob("*.sqlite"))) == 1
    # The same run without a cluster: the numbers are the same, and so is the key. Nobody is asked.
    assert main(["run", "--root", str(project), "--cluster", "tcp://127.0.0.1:9"]) == 0
    assert capsys.readouterr().err == "[1/1] current 01_a\n"


@pytest.mark.parametrize(
    ("where", "code", "says"),
    [
        ("local", 2, "a cluster must be local:N, processes:N"),
        ("tcp://127.0.0.1:9", 1, "no Dask scheduler answers at tcp://127.0.0.1:9"),
    ],
)
def test_a_cluster_that_is_not_there_costs_no_notebook(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    code: int,
    says: str,
) -> None:
    monkeypatch.setattr(cluster.handed_on.__wrapped__, "__kwdefaults__", {"timeout": 1.0})
    write(project, "1")
    assert main(["run", "--root", str(project), "--cluster", where]) == code
    err = capsys.readouterr().err
    assert err.startswith(f"embreg: {says}") and err.count("\n") == 1
    assert not (project / "runs").exists()
    assert "EMBREG_CLUSTER" not in os.environ


WAIT = """
import pathlib, time
from embreg.engine.workers import workers
assert workers().submit(abs, -1).result() == 1
pathlib.Path({marker!r}).touch()
time.sleep(100)
"""


@posix
def test_an_interrupt_leaves_no_process(project: Path) -> None:
    import psutil

    marker = project / "marker"
    write(project, WAIT.format(marker=str(marker)))
    command = [sys.executable, "-m", "embreg.cli", "run", "--root", str(project), "--cluster", "local:1"]
    with subprocess.Popen(
        command,
        env=ENVIRONMENT,
        text=True,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert until(marker.exists, 60)
        started = psutil.Process(process.pid).children(recursive=True)
        assert any("local_cluster" in " ".join(p.cmdline()) for p in started)
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the whole group
        _, text = process.communicate(timeout=40)
    assert process.returncode == 130
    # Once in a while Jupyter's client adds that the kernel it was waiting for has died.
    assert text.startswith("embreg: interrupted; the next call goes on where this one stopped\n")
    assert until(lambda: all(gone(p.pid) for p in started))
