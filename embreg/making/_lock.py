"""One process at a time writes a journal or a card."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["JournalError", "locked"]


class JournalError(ValueError):
    """A journal is damaged, belongs to something else, or is in use; the message names the way out."""


@contextmanager
def locked(path: Path, timeout: float = 0.0) -> Iterator[None]:
    """Keep other processes from writing `path` for the length of the block; its folder is made.

    Parameters
    ----------
    path : Path
    timeout : float
        Seconds to wait for another process.

    Raises
    ------
    JournalError
        Another process writes it.
    OSError
        Nothing can be written there.

    Examples
    --------
    >>> import tempfile
    >>> with locked(Path(tempfile.mkdtemp()) / "card.json"):
    ...     pass
    """
    try:
        from filelock import FileLock, Timeout
    except ImportError as error:
        raise ImportError("measuring needs filelock: pip install 'embreg[models]'") from error

    path.parent.mkdir(parents=True, exist_ok=True)
    lock_path = path.with_name(path.name + ".lock")
    lock_path.touch()  # where that cannot be, the lock would wait for it
    lock = FileLock(str(lock_path), timeout=timeout)
    try:
        lock.acquire()
    except Timeout:
        raise JournalError(
            f"{path} must be written by one process at a time, however: another holds {lock_path.name}. "
            "Wait for it, or let each make other tasks (--tasks)"
        ) from None
    try:
        yield
    finally:
        # Before the release: whoever gets the lock of a removed file sees that, and tries again.
        with suppress(OSError):
            lock_path.unlink(missing_ok=True)
        lock.release()
