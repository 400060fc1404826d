"""A Dask cluster on this machine, in a process of its own that ends when its standard input does.

In the caller's process Dask would import the caller's script again in every worker, change the caller's
environment, and die noisily of the Ctrl-C that the terminal sends to everyone. The pipe closes with the
caller, whatever ends it, so that no process is left behind.
"""

from __future__ import annotations

import logging
import sys

__all__ = ["main"]


def main(n: int) -> None:
    """Start `n` workers, print the scheduler's address, and wait for the end of standard input."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=n,
        threads_per_worker=1,
        host="127.0.0.1",
        # Port 8787 otherwise, even without a dashboard.
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        # Dask would pause a worker, or end it, for the memory that its model takes.
        memory_limit=None,
        silence_logs=logging.ERROR,
    ) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]))
