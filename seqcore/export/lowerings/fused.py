"""The ``fused`` lowering: one builtin operator per layer, for microcontrollers.

LSTM becomes UNIDIRECTIONAL_SEQUENCE_LSTM: the converter's composite-function pass
recognises a ``tf.function`` whose attribute ``api_implements`` starts with
``lstm_`` and whose signature is exactly the one below. It knows the standard cell
only. An LSTM with peepholes, projection, coupled gates or a cell clip, all of which
the operator has, and RNN, which becomes UNIDIRECTIONAL_SEQUENCE_RNN, are traced as
custom operators that :mod:`seqcore.export.flatbuffer` rewrites afterwards.

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
from seqcore.export.flatbuffer import FUSED_LSTM_OP, FUSED_RNN_OP
from seqcore.export.lowerings.steps import in_running_order
from seqcore.layers.cell import builtin_activation
from seqcore.layers.lstm import LSTM
from seqcore.layers.rnn import RNN

_RNN_ACTIVATIONS = ("tanh", "relu", "linear")
_unique = itertools.count()


def fused(
    layer: Any,
    sequences: tf.Tensor,
    initial_state: Any,
    mask: Any,
    begun: Any = None,
    quantize: str = "none",
):
    """Lower ``layer`` to its builtin sequence operator, or say why not."""
    _check(layer, initial_state, mask)
    standard = isinstance(layer, LSTM) and layer.cell._is_plain
    if quantize in ("float16", "int8") and not standard:
        # Neither the converter nor its calibrator knows an operator put in later,
        # and LiteRT has no integer kernel for SEQUENCE_RNN.
        kind = "an LSTM variant" if isinstance(layer, LSTM) else "an RNN"
        raise _refuse(
            layer,
            f"the fused operator of {kind} has float32 weights only, and "
            f"quantize={quantize!r}",
        )
    sequences, _ = in_running_order(layer, sequences, None)
    run = _rnn
    if isinstance(layer, LSTM):
        run = _lstm if standard else _lstm_variant
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
        functions = (cell.activation, cell.recurrent_activation)
        if tuple(map(builtin_activation, functions)) != ("tanh", "sigmoid"):
            raise _refuse(
                layer, f"its activations are {functions}, not Keras's tanh and sigmoid"
            )
        if cell.layer_norm or cell.zoneout_cell or cell.zoneout_output:
            raise _refuse(layer, "the operator has no such layer_norm and no zoneout")
    elif type(layer) is RNN:
        if builtin_activation(cell.activation) not in _RNN_ACTIVATIONS:
            raise _refuse(layer, f"its activation is {cell.activation!r}")
    else:
        raise _refuse(layer, f"there is no builtin operator for {type(layer).__name__}")


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


def _implements(name: str, **attributes: str) -> str:
    """The attribute that makes the converter keep a function as a custom operator."""
    values = "".join(
        f' attr {{ key: "{key}" value {{ s: "{value}" }} }}'
        for key, value in attributes.items()
    )
    return (
        f'name: "{name}" attr {{ key: "tfl_fusable_op" value {{ b: true }} }}{values}'
    )


def _lstm_variant(cell: Any, sequences: tf.Tensor) -> tf.Tensor:
    """The operands by their slots in UNIDIRECTIONAL_SEQUENCE_LSTM."""
    kernel, recurrent_kernel, bias = _weights(cell, cell.gates * cell.units)
    # Gates are i, f, c, o everywhere; coupled gates leave i's slots empty.
    first = 4 - cell.gates
    slots: dict[int, tf.Tensor] = {}
    for start, matrix in ((1, kernel), (5, recurrent_kernel)):
        for gate, part in enumerate(tf.split(matrix, cell.gates, axis=1)):
            slots[start + first + gate] = tf.transpose(part)
    for gate, part in enumerate(tf.split(bias, cell.gates)):
        slots[12 + first + gate] = part
    if cell.peephole:
        rows = tf.unstack(_constant(cell.peephole_kernel))
        for slot, row in zip((9, 10, 11)[first:], rows, strict=True):
            slots[slot] = row
    if cell.projection_units is not None:
        slots[16] = tf.transpose(_constant(cell.projection_kernel))
    implements = _implements(
        FUSED_LSTM_OP,
        slots=",".join(str(slot) for slot in slots),
        cell_clip=str(cell.cell_clip or 0.0),
        units=str(cell.units),
    )
    width = cell.output_size

    @tf.function(autograph=False, experimental_implements=implements)
    def sequence_lstm(inputs, *operands):
        # Of the right shape; the operator replaces what is computed here.
        lead = tf.reduce_sum(inputs, axis=2, keepdims=True)
        return lead * tf.add_n([tf.reduce_sum(o) for o in operands]) * tf.ones([width])

    outputs = sequence_lstm(sequences, *slots.values())
    return tf.ensure_shape(outputs, (1, sequences.shape[1], width))


def _constant(weight: Any) -> tf.Tensor:
    return tf.convert_to_tensor(weight._value, dtype=tf.float32)


def _rnn(cell: Any, sequences: tf.Tensor) -> tf.Tensor:
    implements = _implements(
        FUSED_RNN_OP, activation=str(builtin_activation(cell.activation))
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
