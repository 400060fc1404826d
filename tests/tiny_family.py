"""A family that measures nothing but itself: quick, exact, and ready to fail in every way on request."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from embreg.making.family import Family, Infeasible, MissingTool, TaskSpec
from embreg.making.space import Space, Value, category, flag, integer, real

# What a test asks for travels by environment variables, which worker processes inherit.


class Tiny(Family):
    name = "tiny"
    stands_for = "nothing"
    title = "Tiny"
    what_ran = "Arithmetic."
    licence = "Apache-2.0"
    noise = "repeats of task noisy differ; those of the others cannot"
    flaws = ("It is a toy.",)
    tolerance = 0.0
    specs = (
        TaskSpec("sum", "Adds.", "a sum", "1", "max", 40),
        TaskSpec("noisy", "Adds something.", "a noisy sum", "log", "min", 30),
        TaskSpec("odd", "Refuses flags.", "a sum", "1", "max", 30),
        TaskSpec("few", "Has 6 rows.", "a sum", "1", "max", 6),
    )

    def space(self, task: str) -> Space:
        if task == "few":
            return Space([flag("on"), category("kind", "a", "b", "c")])
        low = float(os.environ.get("TINY_LOW", "1e-3"))
        return Space([
            category("kind", "knn", "tree"), integer("depth", 1, 9, kind=("tree",)),
            real("lr", low, 1.0, log=True), flag("on", kind=("tree",)),
        ])  # fmt: skip

    def require(self) -> None:
        if os.environ.get("TINY_MISSING"):
            raise MissingTool("family tiny needs the program tiny: apt install tiny")

    def versions(self) -> dict[str, str]:
        return {"tiny": os.environ.get("TINY_VERSION", "1")}

    def measure(self, task: str, row: dict[str, Value], repeat: int = 0) -> float:
        lr = float(row.get("lr") or 0.0)
        if log := os.environ.get("TINY_LOG"):
            with open(log, "a") as f:
                f.write(f"{task} {lr!r} {repeat} {os.environ['OMP_NUM_THREADS']}\n")
        if repr(lr) in os.environ.get("TINY_AT", "").split():
            match os.environ["TINY_DOES"]:
                case "die":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "wait":
                    time.sleep(300)
                case "raise":
                    raise Awkward("awkward", "to send")
                case "nan":
                    return float("nan")
                case "leave":
                    import tempfile

                    Path(tempfile.mkdtemp(), "left").write_text("behind")
                    os.kill(os.getpid(), signal.SIGKILL)
        if task == "odd" and (row["on"] or os.environ.get("TINY_REFUSES")):
            raise Infeasible("on is refused")
        y = lr + float(row.get("depth") or 0) + (row["kind"] == "knn") + 0.5 * bool(row["on"])
        return y + 0.01 * repeat * (task == "noisy")


class Awkward(Exception):
    """Cannot be unpickled: its constructor wants two arguments."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)


FAMILY = Tiny()
