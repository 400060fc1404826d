"""What a store lacks: tokenised, computed batch by batch, kept as it comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from embreg._progress import Progress
from embreg.engine.tokens import read_tokens
from embreg.engine.workers import workers
from embreg.store import Buffer, Row

if TYPE_CHECKING:
    from embreg.engine.core import Engine, Output

__all__ = ["fill"]


def fill(
    engine: Engine,
    texts: Sequence[str],
    numbers: Sequence[int],
    outputs: Sequence[Output],
    rows: Mapping[Output, dict[str, Row]],
    kept: Buffer,
    *,
    stage: str,
    max_tokens: int | None,
    overflow: str,
) -> tuple[int, int, int]:
    """Add to `rows` every output of every text that it lacks.

    Parameters
    ----------
    engine : Engine
    texts, numbers : sequence of str, sequence of int
        Distinct strings, and the rows where the user finds them.
    outputs : sequence of Output
    rows : mapping
        What is known of each output; changed in place.
    kept : Buffer
        Of the stores that go with the outputs.
    stage, max_tokens, overflow : as for `TextEmbedder`

    Returns
    -------
    tuple of int
        Real tokens, tokens with padding, forward passes.

    Raises
    ------
    ValueError
        A layer that the model does not have, a row that is too long or has no token.
    FloatingPointError
        A vector that is not finite.
    """
    name = engine.recipe.model
    if stage == "forward":
        for output in outputs:
            engine.check_layer(output.layer)
    tokens, cut = read_tokens(
        engine, texts, numbers, model=name, stage=stage, max_tokens=max_tokens, overflow=overflow,
        poolings={o.pooling for o in outputs},
    )  # fmt: skip
    padded = passes = 0
    run = engine.run(tokens, outputs, stage, workers())
    with Progress("embedding", sum(map(len, tokens))) as bar, closing(run) as batches, kept:
        for batch, vectors, size in batches:
            unknown = [engine.count_unknown(tokens[i]) for i in batch]
            for output in outputs:
                bad = ~np.isfinite(vectors[output]).all(axis=1)
                if bad.any():
                    dtype = engine.recipe.dtype
                    way_out = "use dtype='float32'" if dtype != "float32" else "its weights may be damaged"
                    row = numbers[batch[int(bad.argmax())]]
                    raise FloatingPointError(
                        f"{name} gives non-finite values for row {row} in {dtype}; {way_out}"
                    )
                # What was stored stays: in bfloat16 another batch gives slightly other numbers.
                new = {
                    texts[i]: Row(v, len(tokens[i]), unk, cut[i])
                    for i, v, unk in zip(batch, vectors[output], unknown, strict=True)
                    if texts[i] not in rows[output]
                }
                rows[output].update(new)
                kept.add(output, new)
            padded, passes = padded + size, passes + (stage == "forward")
            bar.advance(sum(len(tokens[i]) for i in batch))
    return sum(map(len, tokens)), padded, passes
