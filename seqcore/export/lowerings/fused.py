"""The ``fused`` lowering: one builtin operator per layer, for microcontrollers.

LSTM becomes UNIDIRECTIONAL_SEQUENCE_LSTM: the converter's composite-function pass
recognises a ``tf.function`` whose attribute ``api_implements`` starts with
``lstm_`` and whose signature is exactly the one below. RNN becomes
UNIDIRECTIONAL_SEQUENCE_RNN, for which the converter has no pass: it is traced as a
custom operator that :mod:`seqcore.export.flatbuffer` rewrites afterwards.

Both operators keep their state in variable tensors, which LiteRT's CompiledModel
and the browser refuse, and which carry over to the next call until
``reset_all_variables``.
"""

from __future__ import annotations

import itertools
from typing import Any

import keras
import tensorflow as tf

from seqcore.export.errors import ExportError
from seqcore.export.flatbuffer import FUSED_RNN_OP
from seqcore.export.lowerings.steps import in_running_order
from seqcore.layers.lstm import LSTM
from seqcore.layers.rnn import RNN

_RNN_ACTIVATIONS = ("tanh", "relu", "linear")
_unique = itertools.count()


def fused(layer: Any, sequences: tf.Tensor, initial_state: Any, mask: Any):
    """Lower ``layer`` to its builtin sequence operator, or say why not."""
    _check(layer, initial_state, mask)
    sequences, _ = in_running_order(layer, sequences, None)
    run = _lstm if isinstance(layer, LSTM) else _rnn
    outputs = run(layer.cell, sequences)
    # The operator keeps its own state; handing it on is what `loop` is for.
    states = [outputs[:, -1, :]]
    return layer._finish(outputs if layer.return_sequences else None, states, None)


def _refuse(layer: Any, reason: str) -> ExportError:
    return ExportError(
        f"layer {layer.name!r} cannot be lowered as 'fused': {reason}; "
        "use lowering='loop', which expresses every option"
    )


def _check(layer: Any, initial_state: Any, mask: Any) -> None:
    if mask is not None:
        raise _refuse(layer, "the builtin operator takes no mask")
    if layer.return_state:
        raise _refuse(layer, "the builtin operator does not hand out its state")
    for state in initial_state:
        value = tf.get_static_value(state)
        if value is None or value.any():
            raise _refuse(layer, "the builtin operator starts from zeros")
    cell = layer.cell
    if type(layer) is LSTM:
        if not cell._is_plain:
            raise _refuse(layer, "the converter knows only the standard LSTM cell")
    elif type(layer) is RNN:
        if _name(cell.activation) not in _RNN_ACTIVATIONS:
            raise _refuse(layer, f"its activation is {_name(cell.activation)!r}")
    else:
        raise _refuse(layer, f"there is no builtin operator for {type(layer).__name__}")


def _name(activation: Any) -> str:
    return getattr(activation, "__name__", str(activation))


def _weights(cell: Any, width: int) -> list[tf.Tensor]:
    # Tensors, never the variables: those crash the converter's pass.
    bias = tf.zeros([width]) if cell.bias is None else cell.bias
    weights = (cell.kernel, cell.recurrent_kernel, bias)
    return [
        tf.convert_to_tensor(getattr(w, "_value", w), dtype=tf.float32) for w in weights
    ]


def _lstm(cell: Any, sequences: tf.Tensor) -> tf.Tensor:
    attributes = {
        "api_implements": f"lstm_seqcore_{next(_unique)}",
        "time_major": False,
        "go_backwards": False,
    }

    @tf.function(autograph=False, experimental_attributes=attributes)
    def sequence_lstm(inputs, h, c, kernel, recurrent_kernel, bias):
        outputs, (h, c) = _scan(
            lambda row, states: _lstm_step(row, states, recurrent_kernel),
            tf.tensordot(inputs, kernel, 1) + bias,
            [h, c],
        )
        return h, outputs, h, c, tf.constant(0.0)

    zeros = [tf.zeros([1, cell.units])] * 2
    weights = _weights(cell, 4 * cell.units)
    _, outputs, *_ = sequence_lstm(sequences, *zeros, *weights)
    return tf.ensure_shape(outputs, (1, sequences.shape[1], cell.units))


def _lstm_step(row, states, recurrent_kernel):
    h, c = states
    i, f, g, o = tf.split(row + tf.matmul(h, recurrent_kernel), 4, axis=1)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
    h = tf.sigmoid(o) * tf.tanh(c)
    return h, [h, c]


def _rnn(cell: Any, sequences: tf.Tensor) -> tf.Tensor:
    implements = (
        f'name: "{FUSED_RNN_OP}" '
        'attr { key: "tfl_fusable_op" value { b: true } } '
        f'attr {{ key: "activation" value {{ s: "{_name(cell.activation)}" }} }}'
    )

    @tf.function(autograph=False, experimental_implements=implements)
    def sequence_rnn(inputs, kernel, recurrent_kernel, bias):
        def step(row, states):
            z = tf.matmul(states[0], recurrent_kernel, transpose_b=True)
            h = cell.activation(row + z)
            return h, [h]

        projected = tf.tensordot(inputs, tf.transpose(kernel), 1) + bias
        outputs, _ = _scan(step, projected, [tf.zeros([1, cell.units])])
        return outputs

    kernel, recurrent_kernel, bias = _weights(cell, cell.units)
    # The builtin multiplies with rows of (units, features).
    outputs = sequence_rnn(
        sequences, tf.transpose(kernel), tf.transpose(recurrent_kernel), bias
    )
    return tf.ensure_shape(outputs, (1, sequences.shape[1], cell.units))


def _scan(step, projected, states):
    """What the operator computes, for TensorFlow's eyes only."""
    _, outputs, states = keras.src.backend.rnn(
        step, projected, states, input_length=projected.shape[1]
    )
    return outputs, states
