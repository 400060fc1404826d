"""Family ``accelerator``: cycles of a small layer on a machine-learning accelerator, by a model."""

from __future__ import annotations

import math
import platform
from importlib import import_module
from importlib.metadata import version
from typing import ClassVar

from embreg.making._zigzag import Layer, cycles
from embreg.making.family import Family, MissingTool, TaskSpec
from embreg.making.space import Space, Value, category, flag, integer

__all__ = ["FAMILY", "LAYERS", "Accelerator"]

_CONV = "O[b][k][oy][ox]+=W[k][c][fy][fx]*I[b][c][iy][ix]"
_CONV_FLOWS = {
    "K|C": ("K", "C"),
    "K|X": ("K", "OX"),
    "C|X": ("C", "OX"),
    "Y|X": ("OY", "OX"),
    "K|F": ("K", "FY"),
}
_GEMM = "O[b][k]+=W[k][c]*I[b][c]"
_GEMM_FLOWS = {"K|C": ("K", "C"), "K|B": ("K", "B"), "C|B": ("C", "B")}

LAYERS: dict[str, Layer] = {
    "conv3x3": Layer(_CONV, {"B": 1, "K": 32, "C": 16, "OY": 14, "OX": 14, "FY": 3, "FX": 3}, _CONV_FLOWS, 1),
    "conv3x3_stride2": Layer(
        _CONV, {"B": 1, "K": 24, "C": 12, "OY": 16, "OX": 16, "FY": 3, "FX": 3}, _CONV_FLOWS, 2
    ),
    "conv5x5": Layer(_CONV, {"B": 1, "K": 16, "C": 6, "OY": 10, "OX": 10, "FY": 5, "FX": 5}, _CONV_FLOWS, 1),
    "conv1d": Layer(
        "O[b][k][ox]+=W[k][c][fx]*I[b][c][ix]",
        {"B": 1, "K": 64, "C": 40, "OX": 96, "FX": 9},
        {"K|C": ("K", "C"), "K|X": ("K", "OX"), "C|X": ("C", "OX"), "K|F": ("K", "FX")},
        1,
    ),
    "pointwise": Layer(
        "O[b][k][oy][ox]+=W[k][c]*I[b][c][oy][ox]",
        {"B": 1, "K": 64, "C": 32, "OY": 14, "OX": 14},
        {flow: loops for flow, loops in _CONV_FLOWS.items() if flow != "K|F"},
    ),
    "depthwise": Layer(
        "O[b][g][oy][ox]+=W[g][fy][fx]*I[b][g][iy][ix]",
        {"B": 1, "G": 64, "OY": 14, "OX": 14, "FY": 3, "FX": 3},
        {"G|X": ("G", "OX"), "Y|X": ("OY", "OX"), "G|F": ("G", "FY"), "F|X": ("FY", "OX")},
        1,
    ),
    "gemm": Layer(_GEMM, {"B": 64, "K": 96, "C": 64}, _GEMM_FLOWS),
    "gemm_tall": Layer(_GEMM, {"B": 512, "K": 32, "C": 48}, _GEMM_FLOWS),
    "gemm_batch16": Layer(_GEMM, {"B": 16, "K": 128, "C": 160}, _GEMM_FLOWS),
    "attention": Layer(
        "O[g][b][k]+=W[g][k][c]*I[g][b][c]",
        {"G": 4, "B": 48, "K": 48, "C": 16},
        {"K|C": ("K", "C"), "K|B": ("K", "B"), "C|B": ("C", "B"), "G|B": ("G", "B")},
    ),
}
"""Task to the layer that it runs. Loops: B batch, K outputs, C inputs, G groups, O pixels, F window."""

_ABOUT = {
    "conv3x3": "A 3x3 convolution from 16 to 32 channels on 14x14 pixels.",
    "conv3x3_stride2": "A 3x3 convolution with stride 2 from 12 to 24 channels, to 16x16 pixels.",
    "conv5x5": "The second convolution of LeNet-5: 5x5, from 6 to 16 channels, to 10x10 pixels.",
    "conv1d": "A convolution along time, of width 9, from 40 to 64 channels, 96 steps.",
    "pointwise": "A 1x1 convolution from 32 to 64 channels on 14x14 pixels.",
    "depthwise": "A 3x3 depthwise convolution of 64 channels on 14x14 pixels.",
    "gemm": "A product of matrices, 64x64 by 64x96.",
    "gemm_tall": "A product of a tall matrix and a small one, 512x48 by 48x32.",
    "gemm_batch16": "A product of matrices, 16x160 by 160x128: a small batch through one dense layer.",
    "attention": "Scores of attention: 4 heads, 48 queries, 48 keys, 16 features.",
}


class Accelerator(Family):
    """One layer a task, one accelerator a row: array, memories, widths and dataflow are drawn.

    Examples
    --------
    >>> len(FAMILY.specs), FAMILY.space("gemm").names[:3]
    (10, ('array_rows', 'array_cols', 'dataflow'))
    """

    name: ClassVar[str] = "accelerator"
    stands_for: ClassVar[str] = "L2DA"
    title: ClassVar[str] = "Latency of a layer on a machine-learning accelerator"
    what_ran: ClassVar[str] = (
        "zigzag-dse, an analytical model of accelerators: an array of multipliers with register files, one "
        "to three buffers and a memory outside. The dataflow of a row names the two loops that run in "
        "parallel, over the rows and over the columns. The order of the other loops, and what is kept where, "
        "is searched, and the lowest latency counts. The search is the same for all rows, and none of its "
        "settings is a parameter: it tries all orders of four factors of the loops, or of the loops "
        "themselves where there are more, with the two loops of a window next to each other."
    )
    licence: ClassVar[str] = "Measured for this package; zigzag-dse is under the MIT licence"
    noise: ClassVar[str] = "None: the model is deterministic, so a repeat computes the same value again."
    flaws: ClassVar[tuple[str, ...]] = (
        "Latency is what a model counts, not what a chip was measured to take.",
        "The paper's simulator and its ten parameters are not public; the ones here are this package's own.",
        "A row is infeasible, and left out, where no order of the loops fits: zigzag fills memories from the "
        "array outwards, and full register files of a large array can be more than a small buffer holds.",
        "The layers are small, and the search for a mapping is short, so that a row costs a fraction of a "
        "second: a longer search finds lower latencies for some rows.",
        "The model's count of stalls is approximate: on some products of matrices the latency is up to a "
        "quarter below the cycles that moving every operand once from or to the memory outside would take.",
        "Energy is left out, as it would depend on costs per access that would have to be made up.",
        "A second simulator, scalesim 3.0.0, is left out: it stops with a TypeError under numpy 2.4, at "
        "int(max(...)) of arrays of one element, and could only be used after changing its code.",
    )
    specs: ClassVar[tuple[TaskSpec, ...]] = tuple(
        TaskSpec(name, about, "natural logarithm of the latency in clock cycles", "log cycles", "min")
        for name, about in _ABOUT.items()
    )

    def space(self, task: str) -> Space:
        """Parameters of a task; they differ between layers in the dataflows alone."""
        self.spec(task)
        # Sizes in bytes and kilobytes, bandwidths in bits a cycle. The smallest register file holds one
        # operand of the widest kind, so that no row fails in the array.
        return Space(
            [
                integer("array_rows", 4, 32, log=True),
                integer("array_cols", 4, 32, log=True),
                category("dataflow", *LAYERS[task].dataflows),
                integer("input_bits", 4, 16),
                integer("weight_bits", 4, 16),
                integer("acc_bits", 16, 32),
                integer("input_rf", 2, 64, log=True),
                integer("weight_rf", 2, 64, log=True),
                integer("output_rf", 4, 64, log=True),
                category("sharing", "shared", "weights_apart", "all_apart"),
                integer("buffer_kb", 2, 64, log=True),
                integer("weight_buffer_kb", 2, 64, log=True, sharing=("weights_apart", "all_apart")),
                integer("output_buffer_kb", 2, 64, log=True, sharing=("all_apart",)),
                integer("buffer_bw", 32, 2048, log=True),
                category("buffer_ports", "1rw", "1r1w", "2rw"),
                flag("double_buffer"),
                integer("dram_bw", 16, 512, log=True),
            ]
        )

    def require(self) -> None:
        """Raise `MissingTool` when zigzag-dse, or a package that it needs and does not name, is not here."""
        for package in ("six", "zigzag.stages.main"):
            try:
                import_module(package)
            except ImportError as error:
                raise MissingTool(
                    f"the accelerator family needs zigzag-dse and six, however: {error}; "
                    'install them with: pip install "embreg[data]"'
                ) from error

    def versions(self) -> dict[str, str]:
        """Versions of the model, and of what it computes with."""
        self.require()
        return {
            "zigzag-dse": version("zigzag-dse"),
            "numpy": version("numpy"),
            "python": platform.python_version(),
        }

    def measure(self, task: str, row: dict[str, Value], repeat: int = 0) -> float:
        """Return the natural logarithm of the latency in cycles; `repeat` changes nothing."""
        self.spec(task)
        self.require()
        return math.log(cycles(LAYERS[task], row))


FAMILY = Accelerator()
