"""A bar is shown on a terminal, after a while, and never anywhere else."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from embreg._progress import Progress

CODE = """
import embreg._progress as p
p._PATIENCE = {patience}
with p.Progress("outer work", 2) as outer:
    outer.advance(1)
    with p.Progress("inner work", 2) as inner:
        inner.advance(1)
        if inner._bar: inner._bar.refresh()
        inner.advance(1)
    outer.advance(1)
assert (outer.done, inner.done) == (2, 2) and p.Progress._shown is None
print("result")
"""


def on_terminal(patience: float) -> tuple[str, str]:
    """Standard output and what a terminal on standard error got."""
    import pty

    ours, theirs = pty.openpty()
    code = CODE.format(patience=patience)
    env = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=theirs, text=True, check=True, env=env
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:  # Linux's way to say that the other end is closed
        pass
    os.close(ours)
    return done.stdout, shown.decode()


def test_nothing_when_it_is_no_terminal() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(patience=0.0)], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("result\n", "")


@pytest.mark.skipif(os.name == "nt", reason="no pseudo-terminals")
def test_a_bar_for_the_outer_and_a_line_for_the_inner_work() -> None:
    out, shown = on_terminal(0.0)
    assert out == "result\n"
    assert "outer work" in shown and "inner work" in shown


@pytest.mark.skipif(os.name == "nt", reason="no pseudo-terminals")
def test_nothing_for_what_is_quick() -> None:
    assert on_terminal(60.0) == ("result\n", "")


def test_an_error_passes_through() -> None:
    with pytest.raises(ZeroDivisionError), Progress("work", 1) as bar:
        bar.advance(1 / 0)
    assert Progress._shown is None
