"""The ``unrolled`` lowering: every step written out, for short fixed lengths.

No loop, no copies of a growing sequence, nothing that a delegate could refuse. The
price is a dozen operators a step in the file, and a packed copy of the recurrent
weights for each step in memory (XNNPACK packs per operator).
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from seqcore.export.errors import ExportError
from seqcore.export.lowerings.steps import steps_of

MOST_TIMESTEPS = 512


def unrolled(
    layer: Any,
    sequences: tf.Tensor,
    initial_state: Any,
    mask: Any,
    continued: bool = False,
):
    """Lower ``layer`` to one chain of operators per time step."""
    steps = steps_of(layer, sequences, initial_state, mask, continued)
    timesteps = steps.timesteps
    if not isinstance(timesteps, int) or timesteps > MOST_TIMESTEPS:
        length = (
            "a free length" if not isinstance(timesteps, int) else f"{timesteps} steps"
        )
        raise ExportError(
            f"layer {layer.name!r} cannot be lowered as 'unrolled': it has {length}, "
            f"and this needs a fixed one of at most {MOST_TIMESTEPS} (fix it with "
            "shape=); lowering='loop' takes any length"
        )
    states, outputs = steps.states, []
    for row in tf.split(steps.rows, timesteps):
        states = steps.step(row, states)
        outputs.append(states[0])
    return steps.finish(
        tf.concat(outputs, 0) if layer.return_sequences else None, states
    )
