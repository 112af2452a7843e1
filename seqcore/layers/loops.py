"""Time loops in Keras operations, for every backend and every cell."""

from __future__ import annotations

import keras
from keras import ops, tree


def _after_mask(mask_t, new, old):
    if mask_t is None:
        return list(new)
    return [ops.where(mask_t, n, o) for n, o in zip(new, old, strict=True)]


def unrolled(step, sequences, states, mask=None):
    """The loop written out step by step; differentiable to any order.

    Args:
        step: ``step(row, states) -> (new_states, extra)``, ``row`` being a tuple
            of one time step of each of ``sequences``; ``extra`` is a dict of
            tensors, empty if there is nothing to tell.
        sequences: tuple of tensors (time, batch, ...) of known length.
        states: list of tensors (batch, size).
        mask: boolean (time, batch, 1) or None; masked steps keep the states.

    Returns:
        ``(states, outputs, extras)``: the last states, the first state after every
        step, and the extras, both with a leading time axis.
    """
    masks = None if mask is None else ops.unstack(mask, axis=0)
    outputs, extras = [], []
    rows = zip(*(ops.unstack(s, axis=0) for s in sequences), strict=True)
    for t, row in enumerate(rows):
        new, extra = step(row, states)
        states = _after_mask(None if masks is None else masks[t], new, states)
        outputs.append(states[0])
        extras.append(extra)
    if extras[0] is None:  # a leaf to tree.map_structure
        return states, ops.stack(outputs), None
    extras = tree.map_structure(lambda *rows: ops.stack(rows), *extras)
    return states, ops.stack(outputs), extras


def scanned(step, sequences, states, mask=None):
    """The same by the backend's own loop, for any length."""

    def body(carry, row):
        row, mask_t = row if mask is not None else (row, None)
        new, extra = step(row, list(carry))
        new = _after_mask(mask_t, new, carry)
        return tuple(new), (new[0], extra)

    xs = tuple(sequences) if mask is None else (tuple(sequences), mask)
    scan = ops.scan
    if keras.backend.backend() == "tensorflow":
        from seqcore.layers.tensorflow_loop import scan
    elif keras.backend.backend() == "torch":
        # Keras's scan for torch runs the same Python loop, for flat emissions only.
        return unrolled(step, sequences, states, mask)
    states, (outputs, extras) = scan(body, tuple(states), xs)
    return list(states), outputs, extras
