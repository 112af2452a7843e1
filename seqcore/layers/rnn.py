"""The plain (Elman) recurrent network: cell and layer."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from seqcore.layers.cell import RecurrentCell, affine
from seqcore.layers.recurrent import FromCell, RecurrentLayer


@keras.saving.register_keras_serializable("seqcore")
class RNNCell(RecurrentCell):
    arguments = (
        "units",
        "activation",
        "use_bias",
        "kernel_initializer",
        "recurrent_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "recurrent_regularizer",
        "bias_regularizer",
        "kernel_constraint",
        "recurrent_constraint",
        "bias_constraint",
        "dropout",
        "recurrent_dropout",
        "seed",
    )
    activation: Any

    def __init__(
        self,
        units,
        activation="tanh",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(locals(), **kwargs)
        self.state_size = self.units
        self.output_size = self.units

    def build(self, input_shape):
        self.kernel = self._add("kernel", (input_shape[-1], self.units), "kernel")
        self.recurrent_kernel = self._add(
            "recurrent_kernel", (self.units, self.units), "recurrent"
        )
        self.bias = self._add("bias", (self.units,), "bias") if self.use_bias else None
        self.built = True

    def project(self, x, dropout_mask=None):
        if dropout_mask is not None:
            x = x * dropout_mask
        return affine(x, self.kernel, self.bias)

    def advance(self, projected, states, recurrent_mask=None):
        h = states[0]
        if recurrent_mask is not None:
            h = h * recurrent_mask
        h = self.activation(projected + ops.matmul(h, self.recurrent_kernel))
        return h, [h]

    def call(self, sequence, states, training=False):
        nested = isinstance(states, (list, tuple))
        states = list(states) if nested else [states]
        dropout_mask = self.get_dropout_mask(sequence) if training else None
        recurrent_mask = (
            self.get_recurrent_dropout_mask(states[0]) if training else None
        )
        projected = self.project(sequence, dropout_mask)
        output, states = self.advance(projected, states, recurrent_mask)
        return output, (states if nested else states[0])


@keras.saving.register_keras_serializable("seqcore")
class RNN(RecurrentLayer):
    cell_class = RNNCell
    activation = FromCell()

    def __init__(
        self,
        units,
        activation="tanh",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(locals(), **kwargs)
