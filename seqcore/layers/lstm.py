"""Long short-term memory: cell and layer."""

from __future__ import annotations

import numbers
from typing import Any

import keras
from keras import ops

from seqcore.layers.cell import (
    RecurrentCell,
    affine,
    builtin_activation,
    check_positive_integer,
    check_rate,
)
from seqcore.layers.recurrent import FromCell, RecurrentLayer

_EPSILON = 1e-5


def _normalise(x, gain):
    """``x`` with mean 0 and variance 1 over its last axis, times ``gain``."""
    mean = ops.mean(x, axis=-1, keepdims=True)
    centred = x - mean
    variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
    return centred * ops.rsqrt(variance + _EPSILON) * gain


@keras.saving.register_keras_serializable("seqcore")
class LSTMCell(RecurrentCell):
    """One step of an LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of
    Gers et al. 2000), a drop-in for ``keras.layers.LSTMCell`` with variants.

    With x_t the input, * the product of elements and [i f g o] cut from z::

        z   = x_t W + b + h_{t-1} R        project(x_t), and the rest in step()
        i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o);   g = tanh(z_g)
        c_t = f * c_{t-1} + i * g
        h_t = o * tanh(c_t)

    The weights are Keras's: ``kernel`` W (features, 4 units), ``recurrent_kernel`` R
    (units, 4 units), ``bias`` b (4 units,), gates in the order i, f, g, o.

    Args:
        units: positive integer, size of c, and of h unless projected.
        activation, recurrent_activation: of g and c_t, and of the gates.
        use_bias, kernel_initializer, recurrent_initializer, bias_initializer,
            unit_forget_bias, kernel_regularizer, recurrent_regularizer,
            bias_regularizer, kernel_constraint, recurrent_constraint,
            bias_constraint, dropout, recurrent_dropout, seed, implementation: as
            in ``keras.layers.LSTMCell``; rates outside [0, 1) are an error.
        peephole: the gates see the cell (Gers et al. 2002, "Learning precise timing
            with LSTM recurrent networks"): ``p_i * c_{t-1}``, ``p_f * c_{t-1}`` and
            ``p_o * c_t`` are added to z_i, z_f and z_o. Adds ``peephole_kernel``
            (3, units), rows i, f, o.
        projection_units: positive integer P or None; the state h is projected (Sak
            et al. 2014, "Long short-term memory recurrent neural network
            architectures for large scale acoustic modeling"):
            ``h_t = (o * tanh(c_t)) P``. Adds ``projection_kernel`` (units, P); R
            becomes (P, 4 units).
        layer_norm: layer normalisation (Ba et al. 2016, "Layer normalization",
            equations 20 to 22): ``z = N(x_t W) gain_x + N(h_{t-1} R) gain_h + b``
            and ``h_t = o * tanh(N(c_t) gain_c + offset_c)``, N with mean 0 and
            variance 1 over the last axis. Adds ``kernel_gain``,
            ``recurrent_gain`` (4 units,), ``cell_gain``, ``cell_offset`` (units,).
        couple_gates: one gate decides what to forget and what to write (Greff et
            al. 2017, "LSTM: a search space odyssey", CIFG): ``i = 1 - f``. Weights
            hold three gates, f, g, o.
        zoneout_cell, zoneout_output: rates in [0, 1) at which elements of c and h
            keep their value from the step before while training; at inference the
            expectation (Krueger et al. 2017, "Zoneout").
        cell_clip: positive number or None; c_t is clipped to [-cell_clip,
            cell_clip] before it is used (Sak et al. 2014).

    Call arguments:
        inputs: (batch, features).
        states: [h, c], shapes (batch, units or projection_units), (batch, units).
        training: whether dropout and zoneout are random.

    Returns:
        ``(h, [h, c])``.

    Raises:
        ValueError: an argument outside its range; the message quotes it.
    """

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
        "implementation",
        "peephole",
        "projection_units",
        "layer_norm",
        "couple_gates",
        "zoneout_cell",
        "zoneout_output",
        "cell_clip",
    )
    activation: Any
    recurrent_activation: Any
    unit_forget_bias: bool
    implementation: int
    peephole: bool
    projection_units: int | None
    layer_norm: bool
    couple_gates: bool
    zoneout_cell: float
    zoneout_output: float
    cell_clip: float | None

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
        implementation=2,
        peephole=False,
        projection_units=None,
        layer_norm=False,
        couple_gates=False,
        zoneout_cell=0.0,
        zoneout_output=0.0,
        cell_clip=None,
        **kwargs,
    ):
        super().__init__(locals(), **kwargs)
        if implementation not in (1, 2):
            raise ValueError(
                "Received an invalid value for argument `implementation`, "
                f"expected 1 or 2, got {implementation!r}."
            )
        if projection_units is not None:
            check_positive_integer("projection_units", projection_units)
        self.zoneout_cell = check_rate("zoneout_cell", zoneout_cell)
        self.zoneout_output = check_rate("zoneout_output", zoneout_output)
        if cell_clip is not None and not (
            isinstance(cell_clip, numbers.Real) and float(cell_clip) > 0
        ):
            raise ValueError(
                "Received an invalid value for argument `cell_clip`, "
                f"expected a positive number or None, got {cell_clip!r}."
            )
        self.gates = 3 if couple_gates else 4
        # Keras's two ways to draw dropout masks: one per gate (1), or one for
        # all gates (2), and always one per gate with recurrent dropout.
        if implementation == 1 or self.recurrent_dropout:
            self.dropout_mask_count = self.gates
        self.output_size = projection_units or self.units
        self.state_size = [self.output_size, self.units]
        self._is_plain = (
            builtin_activation(self.activation) == "tanh"
            and builtin_activation(self.recurrent_activation) == "sigmoid"
            and not (peephole or layer_norm or couple_gates)
            and projection_units is None
            and cell_clip is None
            and not (self.zoneout_cell or self.zoneout_output)
        )
        self.noise_width = (self.units if self.zoneout_cell else 0) + (
            self.output_size if self.zoneout_output else 0
        )

    def build(self, input_shape):
        units, width = self.units, self.gates * self.units
        self.kernel = self._add("kernel", (input_shape[-1], width), "kernel")
        self.recurrent_kernel = self._add(
            "recurrent_kernel", (self.output_size, width), "recurrent"
        )
        self.bias = None
        if self.use_bias:
            initializer = self._forget_one if self.unit_forget_bias else None
            self.bias = self._add("bias", (width,), "bias", initializer)
        if self.peephole:
            # One row per gate: i (unless coupled), f, o.
            shape = (self.gates - 1, units)
            self.peephole_kernel = self._add("peephole_kernel", shape, "recurrent")
        if self.projection_units is not None:
            shape = (units, self.projection_units)
            self.projection_kernel = self._add("projection_kernel", shape, "recurrent")
        if self.layer_norm:
            for name, size in (
                ("kernel_gain", width),
                ("recurrent_gain", width),
                ("cell_gain", units),
            ):
                weight = self.add_weight(name=name, shape=(size,), initializer="ones")
                setattr(self, name, weight)
            self.cell_offset = self.add_weight(
                name="cell_offset", shape=(units,), initializer="zeros"
            )
        self.built = True

    def _forget_one(self, _, *args, **kwargs):
        """The bias initializer with 1 for the forget gate (Jozefowicz et al. 2015)."""
        before = 0 if self.couple_gates else self.units
        draw = self.bias_initializer
        parts = [draw((before,), *args, **kwargs)] if before else []
        ones = keras.initializers.get("ones")((self.units,), *args, **kwargs)
        return ops.concatenate([*parts, ones, draw((2 * self.units,), *args, **kwargs)])

    def _gatewise(self, x, kernel, masks):
        """``(x * mask_k) @ kernel_k`` for the columns of every gate k."""
        kernels = ops.split(ops.convert_to_tensor(kernel), self.gates, axis=1)
        return ops.concatenate(
            [affine(x * m, k) for m, k in zip(masks, kernels, strict=True)], axis=-1
        )

    def project(self, x, dropout_mask=None):
        if isinstance(dropout_mask, (list, tuple)):
            z = self._gatewise(x, self.kernel, dropout_mask)
        else:
            z = affine(x if dropout_mask is None else x * dropout_mask, self.kernel)
        if self.layer_norm:
            z = _normalise(z, self.kernel_gain)
        return z if self.bias is None else ops.add(z, self.bias)

    def step(
        self,
        projected,
        states,
        recurrent_mask=None,
        noise=None,
        inspect=False,
        probe=None,
    ):
        h_before, c_before = states
        if recurrent_mask is None:
            recurrent = ops.matmul(h_before, self.recurrent_kernel)
        else:
            recurrent = self._gatewise(h_before, self.recurrent_kernel, recurrent_mask)
        if self.layer_norm:
            recurrent = _normalise(recurrent, self.recurrent_gain)
        *z_i, z_f, z_g, z_o = ops.split(projected + recurrent, self.gates, axis=-1)
        if self.peephole:
            *p_i, p_f, p_o = ops.unstack(
                ops.convert_to_tensor(self.peephole_kernel), axis=0
            )
            z_i = [z + p * c_before for z, p in zip(z_i, p_i, strict=True)]
            z_f = z_f + p_f * c_before
        f = self.recurrent_activation(z_f)
        i = 1 - f if self.couple_gates else self.recurrent_activation(z_i[0])
        g = self.activation(z_g)
        c = f * c_before + i * g
        if self.cell_clip is not None:
            c = ops.clip(c, -self.cell_clip, self.cell_clip)
        if probe is not None:
            c = c + probe[1]
        if self.peephole:
            z_o = z_o + p_o * c
        o = self.recurrent_activation(z_o)
        read = c
        if self.layer_norm:
            read = _normalise(c, self.cell_gain) + self.cell_offset
        h = o * self.activation(read)
        if self.projection_units is not None:
            h = ops.matmul(h, self.projection_kernel)
        if probe is not None:
            h = h + probe[0]
        c, h = self._zoneout([c, h], [c_before, h_before], noise)
        activations = {"i": i, "f": f, "candidate": g, "o": o, "c": c, "h": h}
        return [h, c], (activations if inspect else {})

    def draw_noise(self, lead):
        """1 where zoneout keeps the old value, else 0."""
        rates = [self.zoneout_cell] * (self.units if self.zoneout_cell else 0)
        rates += [self.zoneout_output] * (
            self.output_size if self.zoneout_output else 0
        )
        uniform = keras.random.uniform(
            (*lead, self.noise_width), seed=self.seed_generator
        )
        keep_old = uniform < ops.convert_to_tensor(rates, dtype=uniform.dtype)
        return ops.cast(keep_old, self.compute_dtype)

    def _zoneout(self, new, old, noise):
        """Each of c and h kept from the step before, at random or in expectation."""
        mixed, start = [], 0
        rates = (self.zoneout_cell, self.zoneout_output)
        for n, o, rate in zip(new, old, rates, strict=True):
            if rate:
                keep_old = rate
                if noise is not None:
                    keep_old = noise[:, start : start + n.shape[-1]]
                    start += n.shape[-1]
                n = keep_old * o + (1 - keep_old) * n
            mixed.append(n)
        return mixed

    def has_kernel(self, training) -> bool:
        return self._is_plain and not (training and self.recurrent_dropout)

    def run_kernel(
        self, x, states, mask, steps, *, projected, sequences, training, probes=()
    ):
        from seqcore.layers.tensorflow_lstm import lstm

        hs, h, c = lstm(
            x,
            self.kernel_weights(projected),
            states,
            mask,
            steps,
            sequences=sequences,
            training=training,
            probes=probes,
        )
        return hs, [h, c]


@keras.saving.register_keras_serializable("seqcore")
class LSTM(RecurrentLayer):
    """An LSTM over sequences, a drop-in for ``keras.layers.LSTM`` that trains faster
    and exports cleanly.

    Arguments, weights, call arguments, masks and states are those of
    ``keras.layers.LSTM``; what is added, from ``peephole`` on, and the equations
    are described at :class:`LSTMCell`. ``use_cudnn=True`` is an error when the layer
    is called, as there is no cuDNN kernel here.

    Under TensorFlow, tanh and sigmoid with any masks and input dropout run by a
    compiled kernel with its own gradient, in ``fit`` as elsewhere in a graph.
    Recurrent dropout (while training), other activations and the variants run by
    TensorFlow's own loop; see docs/layers.md.

    Call arguments:
        sequences: (batch, time, features).
        mask: boolean (batch, time); masked steps keep the states.
        training: whether dropout and zoneout are random.
        initial_state: [h, c]; zeros by default.

    Returns:
        The last output (batch, units), or all, (batch, time, units), with
        ``return_sequences``; with ``return_state`` followed by h and c.

    Raises:
        ValueError: an argument, input rank or state shape that does not fit; the
            message quotes it.

    Example:

    >>> layer = seqcore.LSTM(4, return_sequences=True, return_state=True)
    >>> outputs, h, c = layer(np.random.random((32, 10, 8)))
    >>> outputs.shape, h.shape
    ((32, 10, 4), (32, 4))
    """

    cell_class = LSTMCell
    cell_name = "lstm_cell"
    activation = FromCell()
    recurrent_activation = FromCell()
    unit_forget_bias = FromCell()
    implementation = FromCell()
    peephole = FromCell()
    projection_units = FromCell()
    layer_norm = FromCell()
    couple_gates = FromCell()
    zoneout_cell = FromCell()
    zoneout_output = FromCell()
    cell_clip = FromCell()

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
        implementation=2,
        peephole=False,
        projection_units=None,
        layer_norm=False,
        couple_gates=False,
        zoneout_cell=0.0,
        zoneout_output=0.0,
        cell_clip=None,
        **kwargs,
    ):
        super().__init__(locals(), **kwargs)
        if use_cudnn not in ("auto", True, False):
            raise ValueError(
                "Received an invalid value for argument `use_cudnn`, "
                f"expected 'auto', True or False, got {use_cudnn!r}."
            )
        self.use_cudnn = use_cudnn

    def inner_loop(self, sequences, initial_state, mask, training=False, probes=None):
        if self.use_cudnn is True:
            raise ValueError(
                f"Layer {self.name!r} has use_cudnn=True, but seqcore's LSTM has no "
                "cuDNN kernel. Pass use_cudnn='auto'."
            )
        return super().inner_loop(sequences, initial_state, mask, training, probes)
