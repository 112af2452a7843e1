"""The forms a recurrence can take in an exported file, and the choice of one.

A lowering is a function ``(layer, sequences, initial_state, mask)`` that returns
``(last_output, outputs, states)``; see :func:`seqcore.layers.lowering.lowering`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from seqcore.export.lowerings.fused import fused
from seqcore.export.lowerings.loop import plan_blocking, run_steps
from seqcore.export.lowerings.steps import steps_of, weight_elements
from seqcore.export.lowerings.unrolled import unrolled

LOWERINGS = ("auto", "loop", "unrolled", "fused")

_FIXED = {"fused": fused, "unrolled": unrolled}

Lowered = tuple[Any, Any, list[Any]]


def make_lowering(name: str, quantize: str) -> Callable[..., Lowered]:
    """The lowering called ``name`` for a file quantised as ``quantize`` says."""
    weight_bytes = 1 if quantize in ("dynamic", "int8") else 4

    def loop(layer, sequences, initial_state, mask) -> Lowered:
        steps = steps_of(layer, sequences, initial_state, mask)
        sequence = bool(layer.return_sequences)
        blocking = plan_blocking(
            steps.timesteps if isinstance(steps.timesteps, int) else None,
            4 * steps.output_size,
            weight_bytes * weight_elements(layer.cell),
            sequence,
        )
        y, carry = run_steps(
            steps.step,
            steps.rows,
            steps.carry,
            steps.timesteps,
            blocking,
            steps.output_size if sequence else None,
        )
        last = steps.last_output(carry)
        outputs = last[:, None, :] if y is None else y[None]
        return last, outputs, carry[: steps.n_states]

    if name in _FIXED:
        return _FIXED[name]
    return loop
