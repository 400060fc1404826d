"""Family ``compiler``: instructions that a C program executes, by the flags gcc built it with."""

from __future__ import annotations

import math
from functools import cache
from hashlib import sha256
from typing import ClassVar

from embreg.making import _gcc
from embreg.making._sdist import SourceFile, fetch, members
from embreg.making.family import Family, TaskSpec
from embreg.making.space import Parameter, Space, Value, category, flag, integer

__all__ = ["CHECKSUMS", "FAMILY", "LZ4", "Compiler", "arguments"]

LZ4 = SourceFile(
    "lz4",
    "lz4-4.4.5.tar.gz",
    "5f0b9e53c1e82e88c10d7c180069363980136b9d7a8306c4dca4f760d60c39f0",
    172886,
)
"""Where the source of the task `lz4` comes from. BSD-2-Clause; it is not kept here."""

CHECKSUMS: dict[str, int] = {
    "edit": 15043690262556874816,
    "fft": 7910594186222414716,
    "hash": 1113522320267185767,
    "lz4": 15006946746982085091,
    "matmul": 7523766592226991369,
    "nbody": 613671,
    "sort": 16781567851723703660,
    "spmv": 17660301680778522572,
    "stencil": 16157764953107004522,
    "tokens": 18385379082705617171,
    "tree": 14143540219293136151,
}
"""Kernel to what it prints, whatever the flags: a row under which it prints something else has no y."""

_ABOUT = {
    "matmul": "Products of 48 x 48 matrices: by rows, transposed, in blocks, and a chain of small ones.",
    "stencil": "Grids whose cells look at their neighbours: smoothing, the game of life, a cube, a median.",
    "sort": "2,000 integers put in order by quick, heap, merge, shell and radix sort.",
    "hash": "Checksums and hashes of 6 KB, then a hash table with 1,400 keys.",
    "nbody": "Bodies that attract each other, a chain of springs, and a pair potential, in floating point.",
    "edit": "Dynamic programming: edit distance, subsequence, alignment, knapsack, shortest paths.",
    "tree": "Pointers and recursion: search trees, a heap of events, lists, the eight queens.",
    "tokens": "A text of 6 KB is cut into tokens, parsed, turned into code and run; words are counted.",
    "lz4": "LZ4 1.9.4 compresses and restores 24 KB, three times.",
    "sort_o2": "The program of sort, with the level fixed at O2.",
    "fft_o2": "Fourier transforms, a filter with 16 taps and transforms of 8 x 8 blocks, at O2.",
    "spmv_o2": "Sparse matrices of 400 rows: products, scatter, breadth-first search, ranks, at O2.",
}

_LEVEL = category("opt_level", "O1", "O2", "O3", "Os", "Ofast")
_PARAMETERS: tuple[Parameter, ...] = (
    # No AVX-512: valgrind does not know it.
    category("march", "x86-64", "x86-64-v2", "x86-64-v3"),
    category("mtune", "generic", "haswell", "silvermont", "znver2"),
    # Only there are multiplication and addition one instruction.
    category("fp_contract", "off", "fast", march=("x86-64-v3",)),
    flag("tree_loop_vectorize"),
    flag("tree_slp_vectorize"),
    category("vect_cost_model", "unlimited", "dynamic", "cheap", "very-cheap"),
    flag("unroll_loops"),
    integer("max_unroll_times", 2, 16, unroll_loops=(True,)),
    flag("peel_loops"),
    integer("max_peel_times", 2, 16, peel_loops=(True,)),
    integer("max_completely_peel_times", 1, 32, log=True),
    integer("max_completely_peeled_insns", 10, 400, log=True),
    flag("inline_functions"),
    flag("inline_small_functions"),
    flag("inline_functions_called_once"),
    integer("max_inline_insns_auto", 2, 60, log=True),
    flag("if_conversion"),
    integer("max_rtl_if_conversion_unpredictable_cost", 0, 100),
    category("ira_algorithm", "CB", "priority"),
    *(
        flag(name)
        for name in (
            "gcse",
            "guess_branch_probability",
            "ivopts",
            "jump_tables",
            "move_loop_invariants",
            "omit_frame_pointer",
            "optimize_sibling_calls",
            "schedule_insns2",
            "strict_aliasing",
            "tree_ch",
            "tree_pre",
            "tree_reassoc",
            "tree_sra",
            "tree_ter",
            "tree_vrp",
        )
    ),
)


def arguments(space: Space, row: dict[str, Value]) -> list[str]:
    """Return the flags of gcc that a row stands for; O2 where the space has no level.

    Parameters
    ----------
    space : Space
    row : dict
        Inactive parameters are None: gcc's own default.

    Returns
    -------
    list of str

    Examples
    --------
    >>> space = Space([flag("gcse"), integer("max_peel_times", 1, 9)])
    >>> arguments(space, {"gcse": False, "max_peel_times": 3})
    ['-O2', '-fno-gcse', '--param=max-peel-times=3']
    """
    out = [f"-{row.get('opt_level') or 'O2'}"]
    for parameter in space.parameters:
        value, name = row[parameter.name], parameter.name.replace("_", "-")
        if value is None or parameter is _LEVEL:
            continue
        if parameter.kind == "flag":
            out.append(f"-f{name}" if value else f"-fno-{name}")
        elif parameter.kind == "integer":
            out.append(f"--param={name}={value}")
        else:
            out.append(f"-{name}={value}" if name in ("march", "mtune") else f"-f{name}={value}")
    return out


class Compiler(Family):
    """One program a task, one set of flags a row.

    Examples
    --------
    >>> len(FAMILY.specs), len(FAMILY.space("sort")), len(FAMILY.space("sort_o2"))
    (12, 35, 34)
    """

    name: ClassVar[str] = "compiler"
    stands_for: ClassVar[str] = "XLA"
    title: ClassVar[str] = "Instructions of a program by the flags of its compiler"
    what_ran: ClassVar[str] = (
        "gcc builds a C program with the flags of the row, and valgrind counts the instructions that it "
        "executes. Eleven small programs, of one to four million instructions: ten written for this package, "
        "and the block compressor LZ4. They are linked with no C library, so that nothing but the program is "
        "counted. Of 35 parameters 23 switch a pass on or off for good, whatever the level would choose; in "
        "tasks that end in _o2 the level is fixed at O2."
    )
    licence: ClassVar[str] = (
        "Measured for this package; the programs are under its licence. LZ4 (BSD-2-Clause) is fetched and "
        "not redistributed"
    )
    noise: ClassVar[str] = "None: instructions are counted, not timed, so a repeat gives the same number."
    flaws: ClassVar[tuple[str, ...]] = (
        "A handful of the parameters carries nearly all of the signal of one program, the level first where "
        "it varies. Call a task by its effective dimension, not by the number of its columns.",
        "Instructions are not time: memory, branches and wide instructions cost what no count shows.",
        "Another version of gcc or valgrind gives other counts; the same versions repeat them exactly.",
        "Flags that do nothing for a program can leave different rows with equal y.",
        "Ofast may change last digits of floating-point results; checksums are coarse enough not to show it.",
        "XLA's own flags were tried and left out: the run time hung on two switches, and with these fixed "
        "repeats of a row differed nearly as much as rows did.",
    )
    specs: ClassVar[tuple[TaskSpec, ...]] = tuple(
        TaskSpec(name, about, "natural logarithm of the instructions executed", "log instructions", "min")
        for name, about in _ABOUT.items()
    )

    def space(self, task: str) -> Space:
        """Flags of a task: with the level, or without where it is fixed."""
        self.spec(task)
        return Space(_PARAMETERS if task.endswith("_o2") else (_LEVEL, *_PARAMETERS))

    def require(self) -> None:
        """Raise `MissingTool` unless gcc and valgrind are here, on Linux and x86-64.

        The source of LZ4 is not asked for: only its own task needs it, and fetches it.
        """
        _gcc.require()

    def versions(self) -> dict[str, str]:
        """Return the versions of gcc and valgrind, and a digest of the programs."""
        together = sha256()
        for path in sorted(_gcc.KERNELS.glob("*.[ch]")):
            together.update(path.name.encode() + b"\0" + path.read_bytes())
        return _gcc.versions() | {"kernels": together.hexdigest()[:16], "lz4": "1.9.4"}

    def measure(self, task: str, row: dict[str, Value], repeat: int = 0) -> float:
        """Return the logarithm of the instructions of a row; repeats count again."""
        del repeat
        kernel = task.removesuffix("_o2")
        flags = arguments(self.space(task), row)
        extra = _lz4() if kernel == "lz4" else None
        return math.log(_gcc.count(f"{kernel}.c", flags, CHECKSUMS[kernel], extra))


@cache
def _lz4() -> dict[str, bytes]:
    """Return the two files of the block compressor, by the names that ``kernels/lz4.c`` includes."""
    names = ("lz4libs/lz4.c", "lz4libs/lz4.h")
    found = members(fetch(LZ4), tuple(f"lz4-4.4.5/{name}" for name in names))
    return {name: found[f"lz4-4.4.5/{name}"] for name in names}


FAMILY = Compiler()
