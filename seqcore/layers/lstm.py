"""Long short-term memory: cell and layer."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from seqcore.layers.cell import RecurrentCell, affine
from seqcore.layers.recurrent import FromCell, RecurrentLayer


@keras.saving.register_keras_serializable("seqcore")
class LSTMCell(RecurrentCell):
    arguments = (
        "units",
        "activation",
        "recurrent_activation",
        "use_bias",
        "kernel_initializer",
        "recurrent_initializer",
        "bias_initializer",
        "unit_forget_bias",
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
    gates = 4
    activation: Any
    recurrent_activation: Any
    unit_forget_bias: bool

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        unit_forget_bias=True,
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
        implementation = kwargs.pop("implementation", 2)
        super().__init__(locals(), **kwargs)
        # Keras's two ways to draw dropout masks: one per gate (1), or one for
        # all gates (2), and always one per gate with recurrent dropout.
        self.implementation = 1 if self.recurrent_dropout else implementation
        if self.implementation == 1:
            self.dropout_mask_count = 4
        self.state_size = [self.units, self.units]
        self.output_size = self.units

    def build(self, input_shape):
        width = 4 * self.units
        self.kernel = self._add("kernel", (input_shape[-1], width), "kernel")
        self.recurrent_kernel = self._add(
            "recurrent_kernel", (self.units, width), "recurrent"
        )
        self.bias = None
        if self.use_bias:
            initializer = (
                self._forget_one if self.unit_forget_bias else self.bias_initializer
            )
            self.bias = self._add("bias", (width,), "bias", initializer)
        self.built = True

    def _forget_one(self, _, *args, **kwargs):
        """The bias initializer with 1 for the forget gate (Jozefowicz et al. 2015)."""
        draw, units = self.bias_initializer, self.units
        ones = keras.initializers.get("ones")
        return ops.concatenate(
            [
                draw((units,), *args, **kwargs),
                ones((units,), *args, **kwargs),
                draw((2 * units,), *args, **kwargs),
            ]
        )

    def project(self, x, dropout_mask=None):
        if isinstance(dropout_mask, list):
            kernels = ops.split(ops.convert_to_tensor(self.kernel), 4, axis=1)
            z = [affine(x * m, k) for m, k in zip(dropout_mask, kernels, strict=True)]
            z = ops.concatenate(z, axis=-1)
            return z if self.bias is None else z + self.bias
        if dropout_mask is not None:
            x = x * dropout_mask
        return affine(x, self.kernel, self.bias)

    def advance(self, projected, states, recurrent_mask=None):
        h, c = states
        if recurrent_mask is None:
            z = ops.matmul(h, self.recurrent_kernel)
        else:
            kernels = ops.split(ops.convert_to_tensor(self.recurrent_kernel), 4, axis=1)
            z = ops.concatenate(
                [
                    ops.matmul(h * m, k)
                    for m, k in zip(recurrent_mask, kernels, strict=True)
                ],
                axis=-1,
            )
        i, f, g, o = ops.split(projected + z, 4, axis=-1)
        c = self.recurrent_activation(f) * c + self.recurrent_activation(
            i
        ) * self.activation(g)
        h = self.recurrent_activation(o) * self.activation(c)
        return h, [h, c]

    def call(self, inputs, states, training=False):
        dropout_mask = self.get_dropout_mask(inputs) if training else None
        recurrent_mask = (
            self.get_recurrent_dropout_mask(states[0]) if training else None
        )
        projected = self.project(inputs, dropout_mask)
        return self.advance(projected, list(states), recurrent_mask)


@keras.saving.register_keras_serializable("seqcore")
class LSTM(RecurrentLayer):
    cell_class = LSTMCell
    activation = FromCell()
    recurrent_activation = FromCell()
    unit_forget_bias = FromCell()

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        unit_forget_bias=True,
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        use_cudnn="auto",
        **kwargs,
    ):
        super().__init__(locals(), **kwargs)
        self.use_cudnn = use_cudnn
