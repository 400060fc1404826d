"""What holds for every test: no network, no display, a fresh store, the same examples in every run."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Read once by the libraries concerned, when they are imported: so set before any test module is.
os.environ.update(
    EMBREG_OFFLINE="1",
    HF_HUB_OFFLINE="1",
    HF_DATASETS_OFFLINE="1",
    MPLBACKEND="Agg",
    TOKENIZERS_PARALLELISM="false",
    PYDEVD_DISABLE_FILE_VALIDATION="1",  # the debugger in each kernel warns about frozen modules
)
# Workers share the cores: no pool of threads in each of them.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import pytest
from hypothesis import HealthCheck, settings

# "ci": the same examples every time, no time limit that a busy machine could break.
# HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=60, database=None, print_blob=True
)
settings.register_profile(
    "explore", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


class NetworkRefused(RuntimeError):
    """A test tried to reach another machine. No OSError: code that expects a dead network must not eat it."""


def is_local(host: object) -> bool:
    """Tell whether `host`, as given to connect or getaddrinfo, can only be this machine."""
    if host is None or host in ("", b"", "localhost", b"localhost"):
        return True
    try:
        text = host.decode() if isinstance(host, bytes) else str(host)
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False


class NetworkGuard:
    """Refuse connections and look-ups that leave this machine, in tests and in docstring examples alike.

    A plugin and no plain fixture: fixtures of this file would not reach the examples under embreg/.
    """

    @pytest.fixture(autouse=True)
    def _network(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        if request.node.get_closest_marker("network"):
            for name in ("EMBREG_OFFLINE", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
                monkeypatch.delenv(name, raising=False)
            yield
            return

        def refuse_unless_local(host: object) -> None:
            if not is_local(host):
                raise NetworkRefused(
                    f"this test tried to reach {host!r}; tests use loopback only. "
                    "A test that needs the network carries @pytest.mark.network"
                )

        def guarded(method: Any) -> Any:
            def connect(self: socket.socket, address: Any) -> Any:
                if self.family in (socket.AF_INET, socket.AF_INET6):
                    refuse_unless_local(address[0])
                return method(self, address)

            return connect

        getaddrinfo = socket.getaddrinfo

        def look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
            refuse_unless_local(host)
            return getaddrinfo(host, *args, **kwargs)

        monkeypatch.setattr(socket.socket, "connect", guarded(socket.socket.connect))
        monkeypatch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex))
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --network."""
    parser.addoption("--network", action="store_true", help="also run the tests that need the network")


def pytest_configure(config: pytest.Config) -> None:
    """Put the guard in place, and give this process a home of its own."""
    config.pluginmanager.register(NetworkGuard(), "embreg-network-guard")
    config.stash[_HOME] = _fresh_home()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove that home."""
    if folder := config.stash.get(_HOME, None):
        shutil.rmtree(folder, ignore_errors=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip tests marked network unless they were asked for."""
    if not config.getoption("--network"):
        for item in items:
            if item.get_closest_marker("network"):
                item.add_marker(pytest.mark.skip(reason="needs the network: pytest --network"))


_HOME = pytest.StashKey[Path]()


def _fresh_home() -> Path:
    """Make an empty EMBREG_HOME that shares only what was fetched with the real one.

    Embeddings stored by an earlier run could hide a fault, and tests must not fill the user's cache.
    """
    from embreg._files import home

    folder = Path(tempfile.mkdtemp(prefix="embreg-tests-"))
    try:
        for name in ("models", "tables", "sources"):
            fetched = home() / name
            fetched.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(fetched.resolve(), target_is_directory=True)
    except OSError:  # Windows without developer mode: share the real home rather than copy 200 MB
        shutil.rmtree(folder)
        return folder
    os.environ["EMBREG_HOME"] = str(folder)
    return folder


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Tiny products gain nothing from a second core; tests about threads set their own number."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
