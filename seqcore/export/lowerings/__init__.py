"""The forms a recurrence can take in an exported file, and the choice of one.

A lowering is a function ``(layer, sequences, initial_state, mask)`` that returns
``(last_output, outputs, states)``; see :func:`seqcore.layers.lowering.lowering`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from seqcore.export.lowerings.fused import fused
from seqcore.export.lowerings.loop import Blocking, plan_blocking, run_steps
from seqcore.export.lowerings.steps import Lowered, steps_of, weight_elements
from seqcore.export.lowerings.unrolled import unrolled

LOWERINGS = ("auto", "loop", "unrolled", "fused")

# Up to this fixed length `auto` writes the steps out: a loop would turn once.
AUTO_UNROLLED = 4


def make_lowering(
    name: str, quantize: str, *, continued: bool = False
) -> Callable[..., Lowered]:
    """The lowering called ``name`` for a file quantised as ``quantize`` says.

    Args:
        name: One of :data:`LOWERINGS`.
        quantize: As for :func:`seqcore.export_tflite`.
        continued: For the ``stream`` signature: states come from an earlier chunk,
            and chunks are short.
    """
    if name == "fused":
        return functools.partial(fused, quantize=quantize)
    weight_bytes = 1 if quantize in ("dynamic", "int8") else 4

    def lower(layer, sequences, initial_state, mask) -> Lowered:
        timesteps = sequences.shape[1]
        few = timesteps is not None and timesteps <= AUTO_UNROLLED
        if name == "unrolled" or (name == "auto" and few):
            return unrolled(layer, sequences, initial_state, mask, continued)
        steps = steps_of(layer, sequences, initial_state, mask, continued)
        output_size = int(steps.states[0].shape[-1]) if layer.return_sequences else None
        blocking = plan_blocking(
            timesteps,
            4 * (output_size or 0),
            weight_bytes * weight_elements(layer.cell),
            layer.return_sequences,
        )
        if continued and timesteps is None:
            blocking = Blocking(1, 0)
        outputs, states = run_steps(
            steps.step,
            steps.rows,
            steps.states,
            steps.timesteps,
            blocking,
            output_size,
        )
        return steps.finish(outputs, states)

    return lower
