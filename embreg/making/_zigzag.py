"""Describes one layer to zigzag-dse, and returns the cycles that its model counts on an accelerator."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

from embreg.making._zigzag_hardware import accelerator, number
from embreg.making.family import Infeasible
from embreg.making.space import Value

__all__ = ["Layer", "cycles", "silent"]

# zigzag splits loops into factors until there are this many loops, and tries their orders; a layer that has
# more loops to begin with is not split. With 6 a row costs seconds.
_LOOPS = 4


@dataclass(frozen=True)
class Layer:
    """One layer of a network, as nested loops.

    Parameters
    ----------
    equation : str
        What the innermost statement adds, in zigzag's notation.
    loops : mapping of str to int
        Loop to number of iterations.
    dataflows : mapping of str to pair of str
        Name of a dataflow to the two loops that run in parallel: over the rows, and over the columns.
    stride : int or None
        Of a layer that slides a window; None where nothing slides.

    Examples
    --------
    >>> Layer("O[b][k]+=W[k][c]*I[b][c]", {"B": 8, "K": 4, "C": 2}, {"K|C": ("K", "C")}).macs
    64
    """

    equation: str
    loops: Mapping[str, int]
    dataflows: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    stride: int | None = None

    @property
    def macs(self) -> int:
        """Multiplications in the layer."""
        product = 1
        for size in self.loops.values():
            product *= size
        return product


@contextmanager
def silent() -> Iterator[None]:
    """Keep zigzag's own log from reaching any handler, and restore its level afterwards.

    Examples
    --------
    >>> with silent():
    ...     logging.getLogger("zigzag").warning("not shown")
    """
    logger = logging.getLogger("zigzag")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def cycles(layer: Layer, row: Mapping[str, Value]) -> float:
    """Return the latency of a layer on the accelerator of a row, with the best mapping that was tried.

    Parameters
    ----------
    layer : Layer
    row : mapping
        A row of the accelerator family.

    Returns
    -------
    float
        Clock cycles, loading and unloading included.

    Raises
    ------
    Infeasible
        In no order of the loops does the layer fit into the memories.

    Examples
    --------
    >>> from embreg.making.accelerator import FAMILY, LAYERS
    >>> cycles(LAYERS["gemm"], FAMILY.draw("gemm", 0)) >= LAYERS["gemm"].macs / 32**2
    True
    """
    # The stages of zigzag's own pipeline, less those that parse files and those that write results as files.
    from zigzag.mapping.temporal_mapping import TemporalMappingType
    from zigzag.opt.loma.engine import NoValidLoopOrderingFoundException
    from zigzag.stages.evaluation.cost_model_evaluation import CostModelStage
    from zigzag.stages.main import MainStage
    from zigzag.stages.mapping.spatial_mapping_generation import SpatialMappingGeneratorStage
    from zigzag.stages.results.reduce_stages import MinimalLatencyStage
    from zigzag.stages.workload_iterator import WorkloadStage

    stages: list[Any] = [WorkloadStage, MinimalLatencyStage, SpatialMappingGeneratorStage]
    stages += [MinimalLatencyStage, _search(), CostModelStage]
    with silent():
        main = MainStage(
            stages,
            accelerator=accelerator(row),
            workload=_workload(layer, row),
            loma_lpf_limit=_LOOPS,
            loma_show_progress_bar=False,
            nb_mappings_generated=1,
            access_same_data_considered_as_no_access=True,
            temporal_mapping_type=TemporalMappingType.UNEVEN,
        )
        try:
            ((evaluation, _),) = main.run()
        except NoValidLoopOrderingFoundException as error:
            raise Infeasible("the layer fits into the memories in no order of its loops") from error
    return float(evaluation.latency_total2)


def _together(order: Iterable[tuple[Any, int]]) -> bool:
    """Whether the two loops of a window, where both are there, follow each other: FX within FY."""
    names = [loop.name for loop, _ in order]
    return not {"FX", "FY"} <= set(names) or names.index("FY") == names.index("FX") + 1


@cache
def _search() -> Any:
    """Return the stage that searches orders of loops: for the six of a convolution 120 orders, not 720."""
    # Taken as Any, so that types are checked alike with zigzag and without.
    engine: Any = import_module("zigzag.opt.loma.engine").LomaEngine
    stage: Any = import_module(
        "zigzag.stages.mapping.temporal_mapping_generator_stage"
    ).TemporalMappingGeneratorStage

    class Engine(engine):  # type: ignore[misc]  # a base class of type Any
        def ordering_generator(self) -> Iterator[Any]:
            return (order for order in super().ordering_generator() if _together(order))

    class Search(stage):  # type: ignore[misc]  # a base class of type Any
        def generate_temporal_mappings(self) -> Iterator[Any]:
            yield from Engine(
                accelerator=self.accelerator,
                layer=self.layer,
                spatial_mapping=self.spatial_mapping,
                mapping_type=self.mapping_type,
                **self.kwargs,
            ).run()

    return Search


def _workload(layer: Layer, row: Mapping[str, Value]) -> Any:
    from zigzag.parser.mapping_validator import MappingValidator
    from zigzag.parser.workload_factory import WorkloadFactory
    from zigzag.parser.workload_validator import WorkloadValidator

    inputs, weights, sums = (number(row, name) for name in ("input_bits", "weight_bits", "acc_bits"))
    windows = [] if layer.stride is None else [w for w in "xy" if f"O{w}".upper() in layer.loops]
    workload = WorkloadValidator(
        [
            {
                "id": 0,
                "name": "layer",
                "operator_type": "Gemm" if layer.stride is None else "Conv",
                "equation": layer.equation,
                "dimension_relations": [f"i{w}={layer.stride}*o{w}+1*f{w}" for w in windows],
                "loop_dims": list(layer.loops),
                "loop_sizes": list(layer.loops.values()),
                "operand_source": {"W": 0},
                # A finished sum leaves as an input of the next layer.
                "operand_precision": {"I": inputs, "W": weights, "O": sums, "O_final": inputs},
            }
        ]
    )
    rows, columns = layer.dataflows[str(row["dataflow"])]
    # A dataflow that is spelled out leaves nothing to choose: with hints alone, zigzag would go through sets.
    mapping = MappingValidator(
        [
            {
                "name": "default",
                "memory_operand_links": {"O": "O", "W": "I2", "I": "I1"},
                "spatial_mapping": {
                    "D1": [f"{rows}, {row['array_rows']}"],
                    "D2": [f"{columns}, {row['array_cols']}"],
                },
            }
        ]
    )
    if not (workload.validate() and mapping.validate()):
        raise ValueError(
            f"zigzag must accept the layer, however: it refuses {layer} with {row['dataflow']!r}; "
            "the release that is installed may describe layers differently, see constraints.txt"
        )
    return WorkloadFactory(workload.normalized_data, mapping.normalized_data).create()
