"""The plain (Elman) recurrent network: cell and layer.

The classes bear the names of Keras's, as Keras files a layer's weights under the name
of its class: so a ``.weights.h5`` of one loads into the other. ``seqcore.RNN`` and
``seqcore.RNNCell``, at the end, are what they are called everywhere else.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from seqcore.layers.cell import (
    RecurrentCell,
    affine,
    builtin_activation,
    check_positive_integer,
)
from seqcore.layers.recurrent import FromCell, RecurrentLayer


@keras.saving.register_keras_serializable("seqcore")
class SimpleRNNCell(RecurrentCell):
    """One step of a plain recurrent network (Elman 1990, "Finding structure in
    time"), a drop-in for ``keras.layers.SimpleRNNCell``.

    ::

        h_t = tanh(x_t W + b + h_{t-1} R)
        y_t = h_t                   or, with output_units,  h_t W_y + b_y

    Args:
        units: positive integer, size of h.
        activation: of h; tanh by default.
        use_bias, kernel_initializer, recurrent_initializer, bias_initializer,
            kernel_regularizer, recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint, dropout,
            recurrent_dropout, seed: as in ``keras.layers.SimpleRNNCell``; rates
            outside [0, 1) are an error.
        output_units: positive integer or None; size of y. Adds ``output_kernel``
            (units, output_units) and ``output_bias``, which follow the options of
            ``kernel`` and ``bias``. The state stays h.

    Call arguments:
        inputs: (batch, features).
        states: h, shape (batch, units), alone or in a list.
        training: whether dropout is random.

    Returns:
        ``(y, h)``, h alone or in a list as it was given.

    Raises:
        ValueError: an argument outside its range; the message quotes it.
    """

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
        "output_units",
    )
    activation: Any
    output_units: int | None

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
        output_units=None,
        **kwargs,
    ):
        super().__init__(locals(), **kwargs)
        if output_units is not None:
            self.output_units = check_positive_integer("output_units", output_units)
        self.state_size = self.units
        self.output_size = self.output_units or self.units
        self._kernel_activation = builtin_activation(self.activation)

    def build(self, input_shape):
        self.kernel = self._add("kernel", (input_shape[-1], self.units), "kernel")
        self.recurrent_kernel = self._add(
            "recurrent_kernel", (self.units, self.units), "recurrent"
        )
        self.bias = self._add("bias", (self.units,), "bias") if self.use_bias else None
        self.output_kernel = self.output_bias = None
        if self.output_units is not None:
            shape = (self.units, self.output_units)
            self.output_kernel = self._add("output_kernel", shape, "kernel")
            if self.use_bias:
                self.output_bias = self._add("output_bias", shape[1:], "bias")
        self.built = True

    def project(self, x, dropout_mask=None):
        if dropout_mask is not None:
            x = x * dropout_mask
        return affine(x, self.kernel, self.bias)

    def step(
        self,
        projected,
        states,
        recurrent_mask=None,
        noise=None,
        inspect=False,
        probe=None,
    ):
        h = states[0] if recurrent_mask is None else states[0] * recurrent_mask
        z = projected + ops.matmul(h, self.recurrent_kernel)
        h = self.activation(z)
        if probe is not None:
            h = h + probe[0]
        return [h], ({"pre_activation": z, "h": h} if inspect else {})

    def emit(self, h):
        if self.output_kernel is None:
            return h
        return affine(h, self.output_kernel, self.output_bias)

    def has_kernel(self, training) -> bool:
        return self._kernel_activation is not None and not (
            training and self.recurrent_dropout
        )

    def run_kernel(
        self, x, states, mask, steps, *, projected, sequences, training, probes=()
    ):
        from seqcore.layers.tensorflow_rnn import rnn

        hs, h = rnn(
            x,
            self.kernel_weights(projected),
            states,
            mask,
            steps,
            activation=str(self._kernel_activation),
            sequences=sequences,
            training=training,
            probes=probes,
        )
        return hs, [h]


@keras.saving.register_keras_serializable("seqcore")
class SimpleRNN(RecurrentLayer):
    """A plain recurrent network over sequences, a drop-in for
    ``keras.layers.SimpleRNN`` that trains faster and exports cleanly.

    Arguments, weights, call arguments, masks and states are those of
    ``keras.layers.SimpleRNN``; ``output_units`` is described at :class:`RNNCell`.
    With it the layer returns y, ``return_state`` gives the last h, and
    :meth:`inspect` all of them.

    Under TensorFlow, tanh, sigmoid, relu and linear with any masks and input
    dropout run by a compiled kernel with its own gradient, in ``fit`` as elsewhere
    in a graph; other activations, and recurrent dropout while training, run by
    TensorFlow's own loop.

    Call arguments:
        sequences: (batch, time, features).
        mask: boolean (batch, time); masked steps keep the state.
        training: whether dropout is random.
        initial_state: h, or [h]; zeros by default.

    Returns:
        The last output, (batch, units or output_units), or all, (batch, time, ...),
        with ``return_sequences``; with ``return_state`` followed by h.

    Raises:
        ValueError: an argument, input rank or state shape that does not fit; the
            message quotes it.

    Example:

    >>> layer = seqcore.RNN(16, output_units=3, return_sequences=True)
    >>> layer(np.random.random((32, 10, 8))).shape
    (32, 10, 3)
    """

    cell_class = SimpleRNNCell
    cell_name = "simple_rnn_cell"
    activation = FromCell()
    output_units = FromCell()

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
        output_units=None,
        **kwargs,
    ):
        super().__init__(locals(), **kwargs)


RNNCell = SimpleRNNCell
RNN = SimpleRNN
