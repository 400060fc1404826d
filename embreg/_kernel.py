"""The kernel a run gets: this very interpreter, with nothing of the user's own Jupyter set-up."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

__all__ = ["LOG", "kill", "manager_class"]

LOG = "kernel.log"  # in the scratch folder


def manager_class(folder: Path, scratch: Path, threads: int, started: list[Any]) -> type:
    """Kernel manager that runs this very interpreter, whatever ``python3`` kernels are registered."""
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    env = {
        "EMBREG_RUN_DIR": str(folder),
        "IPYTHONDIR": str(scratch / "ipython"),
        # A backend forced by the environment would keep figures out of the notebook.
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # a debugger's warning about frozen modules
        "PYTHONHASHSEED": "0",  # the order of sets must not differ between runs
    }
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
        limit = os.environ.get(name, "")
        env[name] = str(min(threads, int(limit)) if limit.isdigit() and int(limit) else threads)

    log = scratch / LOG

    class OwnInterpreter(KernelSpecManager):
        def get_kernel_spec(self, kernel_name: str) -> Any:
            # Values are templates there: "$" must be written twice.
            return KernelSpec(**get_kernel_dict(), env={k: v.replace("$", "$$") for k, v in env.items()})

    class Manager(AsyncKernelManager):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.kernel_spec_manager = OwnInterpreter()
            self.connection_file = str(scratch / "kernel.json")
            if self.has_trait("transport_encryption"):
                import zmq

                # Sockets on TCP are open to other users of the machine unless they are encrypted.
                self.transport_encryption = "auto" if zmq.has("curve") else "disabled"
            self.shutdown_wait_time = 3.0
            started.append(self)

        async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
            # What a kernel says outside its cells, such as why it crashed; not for the terminal.
            with open(log, "ab") as stream:
                await super().start_kernel(**{**options, "stdout": stream, "stderr": stream})

    return Manager


def kill(manager: Any) -> None:
    """End a kernel that survived its manager (an interrupt came at a bad moment), and its children."""
    process = getattr(getattr(manager, "provisioner", None), "process", None)
    if process is None or process.poll() is not None:
        return
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)  # a kernel leads its own process group
        else:
            process.kill()
    except OSError:
        process.kill()
    process.wait(10)
