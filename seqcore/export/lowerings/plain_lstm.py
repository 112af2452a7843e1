"""The plain LSTM's step in as few operators as XNNPACK allows.

An operator on some hundred values costs more to start than to compute, so the step
of :class:`seqcore.layers.lstm.LSTMCell` is written once more for the commonest cell:
one sigmoid over all four gates before they are cut apart, and the candidate's tanh
from its own cut. Several directions are rows of the same tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from seqcore.layers.lstm import LSTM

Product = Callable[[tf.Tensor], tf.Tensor]

# With as many units, a float32 product is computed as the sum of two halves: XNNPACK
# adds up a row in one chain of dependent operations, and two shorter ones overlap. It
# was worth 8 % of the whole latency at 128 units; at 64 the operators cost more, and
# at 256 the cache is the limit.
_HALVED_UNITS = range(96, 182)


def is_plain(layer: Any) -> bool:
    """Whether :func:`plain_step` computes this layer's step."""
    return isinstance(layer, LSTM) and layer.cell._is_plain


def product(cell: Any, exact: bool) -> Product:
    """The multiplication of h (1, units) with the recurrent weights.

    ``exact`` says that the file keeps them in float32. Integer products gain
    nothing from halves, which would each be quantised by themselves.
    """
    kernel, units = cell.recurrent_kernel, cell.units
    if not exact or units not in _HALVED_UNITS:
        return lambda h: tf.matmul(h, tf.convert_to_tensor(kernel))

    def in_halves(h: tf.Tensor) -> tf.Tensor:
        weights, half = tf.convert_to_tensor(kernel), units // 2
        first = tf.matmul(h[:, :half], weights[:half])
        return first + tf.matmul(h[:, half:], weights[half:])

    return in_halves


def product_of_both(cells: Sequence[Any], exact: bool) -> Product:
    """The multiplication of h (2, units), a row for each direction's cell.

    In float32 and below the sizes worth halving it is one batched product, where two
    need operators that cut the rows apart and join them: 2 % of the whole latency at
    64 units. Integer products gain nothing from it.
    """
    units = cells[0].units
    if exact and units < _HALVED_UNITS.start:

        def batched(h: tf.Tensor) -> tf.Tensor:
            kernels = [tf.convert_to_tensor(cell.recurrent_kernel) for cell in cells]
            z = tf.matmul(tf.reshape(h, [2, 1, units]), tf.stack(kernels))
            return tf.reshape(z, [2, -1])

        return batched
    products = [product(cell, exact) for cell in cells]

    def one_by_one(h: tf.Tensor) -> tf.Tensor:
        rows = zip(products, tf.split(h, 2), strict=True)
        return tf.concat([multiply(row) for multiply, row in rows], 0)

    return one_by_one


def project_both(cells: Sequence[Any], sequences: tf.Tensor) -> tf.Tensor:
    """Projections of (1, time, features) by two cells: (2 * time, 4 * units).

    One product for both; the rows of a step of time are neighbours.
    """
    kernel = tf.concat([tf.convert_to_tensor(cell.kernel) for cell in cells], 1)
    rows = tf.matmul(tf.reshape(sequences, [-1, sequences.shape[-1]]), kernel)
    if any(cell.bias is not None for cell in cells):
        none = tf.zeros([4 * cells[0].units])
        biases = [none if c.bias is None else c.bias for c in cells]
        rows += tf.concat([tf.convert_to_tensor(b) for b in biases], 0)
    return tf.reshape(rows, [-1, 4 * cells[0].units])


def plain_step(
    multiply: Product, row: tf.Tensor, states: list[tf.Tensor], units: int
) -> list[tf.Tensor]:
    """h and c after one step.

    Args:
        multiply: The product of h with the recurrent weights.
        row: (directions, 4 * units), gates in the order i, f, candidate, o.
        states: h and c before it, (directions, units) each.
        units: The cell's.
    """
    h, c = states
    z = multiply(h) + row
    gates = tf.sigmoid(z)
    i, f, o = (gates[:, k * units : (k + 1) * units] for k in (0, 1, 3))
    candidate = tf.tanh(z[:, 2 * units : 3 * units])
    c = f * c + i * candidate
    return [o * tf.tanh(c), c]
