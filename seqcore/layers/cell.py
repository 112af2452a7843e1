"""What every seqcore cell shares: arguments, weights, dropout, configuration."""

from __future__ import annotations

import numbers
from typing import Any

import keras
from keras import ops

# Keras's RNN layers look for this mixin to draw the dropout masks of a batch
# before the loop; it has no public name.
from keras.src.layers.rnn.dropout_rnn_cell import DropoutRNNCell

_RESOLVERS = {
    "activation": (keras.activations.get, keras.activations.serialize),
    "initializer": (keras.initializers.get, keras.initializers.serialize),
    "regularizer": (keras.regularizers.get, keras.regularizers.serialize),
    "constraint": (keras.constraints.get, keras.constraints.serialize),
}


def _resolver(name: str):
    return _RESOLVERS.get(name.rsplit("_", 1)[-1])


def builtin_activation(function: Any) -> str | None:
    """The name of Keras's own tanh, sigmoid, relu or linear; None for all else.

    Asked of the function itself: one of a user's may bear such a name too.
    """
    for name in ("tanh", "sigmoid", "relu", "linear"):
        if function is getattr(keras.activations, name):
            return name
    return None


def check_positive_integer(name: str, value: Any) -> int:
    """``value`` as an int, or a ValueError that names the argument."""
    if (
        isinstance(value, bool)
        or not isinstance(value, numbers.Integral)
        or int(value) <= 0
    ):
        raise ValueError(
            f"Received an invalid value for argument `{name}`, "
            f"expected a positive integer, got {value!r}."
        )
    return int(value)


def check_rate(name: str, value: Any) -> float:
    """``value`` as a float in [0, 1), or a ValueError that names the argument."""
    if (
        isinstance(value, bool)
        or not isinstance(value, numbers.Real)
        or not 0.0 <= float(value) < 1.0
    ):
        raise ValueError(
            f"Received an invalid value for argument `{name}`, "
            f"expected a number in [0, 1), got {value!r}."
        )
    return float(value)


def affine(x, kernel, bias=None):
    """``x @ kernel + bias`` over the last axis of ``x``, whatever its rank.

    The leading axes are folded into one, so that a whole sequence costs one
    matrix product and not one per time step.
    """
    if len(x.shape) == 2:
        y = ops.matmul(x, kernel)
    else:
        lead = [-1 if d is None else d for d in x.shape[:-1]]
        if lead.count(-1) > 1:
            lead = list(ops.shape(x))[:-1]
        y = ops.matmul(ops.reshape(x, (-1, x.shape[-1])), kernel)
        y = ops.reshape(y, (*lead, kernel.shape[-1]))
    return y if bias is None else ops.add(y, bias)


class RecurrentCell(keras.Layer, DropoutRNNCell):
    """Base of :class:`RNNCell` and :class:`LSTMCell`.

    A cell owns its equation once, cut where a layer can take work out of the time
    loop:

    - ``project(x)``: what does not depend on the state, (..., features) to
      (..., gates * units), for all time steps at once;
    - ``step(projected, states)``: the new states, the first of which is the
      hidden state h, from one projected input;
    - ``emit(h)``: the output, again for all time steps at once;
    - ``advance(projected, states)``: the last two together, one whole step.

    Subclasses list their constructor's arguments in ``arguments``; storing,
    resolving and serialising them is done here.
    """

    arguments: tuple[str, ...] = ()
    gates = 1

    units: int
    use_bias: bool
    dropout: float
    recurrent_dropout: float
    seed: int | None
    state_size: Any
    output_size: int

    def __init__(self, arguments: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in self.arguments:
            value = arguments[name]
            resolver = _resolver(name)
            setattr(self, name, resolver[0](value) if resolver else value)
        self.units = check_positive_integer("units", self.units)
        self.dropout = check_rate("dropout", self.dropout)
        self.recurrent_dropout = check_rate("recurrent_dropout", self.recurrent_dropout)
        self.seed_generator = keras.random.SeedGenerator(self.seed)

    def _add(self, name: str, shape: tuple[int, ...], role: str, initializer=None):
        """A weight with the initializer, regularizer and constraint of its role."""
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer or getattr(self, f"{role}_initializer"),
            regularizer=getattr(self, f"{role}_regularizer"),
            constraint=getattr(self, f"{role}_constraint"),
        )

    def project(self, x, dropout_mask=None):
        """The input's part of the gates, shape (..., gates * units), bias included.

        Args:
            x: (..., features).
            dropout_mask: None; or a tensor that ``x`` is multiplied by; or a list
                of one such tensor per gate.
        """
        raise NotImplementedError

    def step(
        self,
        projected,
        states,
        recurrent_mask=None,
        noise=None,
        inspect=False,
        probe=None,
    ):
        """One step from a projected input of shape (batch, gates * units).

        Args:
            projected: a row of :meth:`project`.
            states: list of tensors (batch, size), h first.
            recurrent_mask: dropout of h: None, a tensor, or one per gate.
            noise: a row of :meth:`draw_noise`.
            inspect: also return the activations by name.
            probe: None, or zeros to add to each state as it is computed, whose
                gradients are those of the states (before zoneout mixes them).

        Returns:
            ``(new_states, activations)``, the latter a dict, empty unless
            ``inspect``.
        """
        raise NotImplementedError

    def emit(self, h):
        """The output for hidden states ``h`` of shape (..., size)."""
        return h

    def advance(self, projected, states, recurrent_mask=None, noise=None):
        """One whole step: ``(output, new_states)``."""
        states, _ = self.step(projected, states, recurrent_mask, noise)
        return self.emit(states[0]), states

    noise_width = 0

    def draw_noise(self, lead):
        """Training-time noise of shape (*lead, noise_width), drawn before the loop."""
        raise NotImplementedError

    def has_kernel(self, training) -> bool:
        """Whether TensorFlow's compiled kernel computes this cell as configured."""
        return False

    def run_kernel(
        self, x, states, mask, steps, *, projected, sequences, training, probes=()
    ):
        """``(hs, states)`` by that kernel.

        ``x`` is (batch, time, features), or with ``projected`` what :meth:`project`
        makes of it.
        """
        raise NotImplementedError

    def kernel_weights(self, projected):
        """The weights as the kernel takes them: recurrent kernel, kernel, bias."""
        weights = [self.recurrent_kernel]
        if not projected:
            weights += [self.kernel, self.bias]
        return [ops.convert_to_tensor(w) for w in weights if w is not None]

    def call(self, inputs, states, training=False):
        nested = isinstance(states, (list, tuple))
        states = list(states) if nested else [states]
        dropout = recurrent = noise = None
        if training:
            dropout = self.get_dropout_mask(inputs)
            recurrent = self.get_recurrent_dropout_mask(states[0])
            if self.noise_width:
                noise = self.draw_noise((ops.shape(inputs)[0],))
        projected = self.project(inputs, dropout)
        output, states = self.advance(projected, states, recurrent, noise)
        return output, (states if nested else states[0])

    def get_initial_state(self, batch_size=None):
        """Zeros, one tensor of shape (batch, size) per state."""
        sizes = self.state_size
        sizes = sizes if isinstance(sizes, (list, tuple)) else [sizes]
        return [ops.zeros((batch_size, d), dtype=self.compute_dtype) for d in sizes]

    def get_config(self) -> dict[str, Any]:
        config = {}
        for name in self.arguments:
            resolver = _resolver(name)
            value = getattr(self, name)
            config[name] = resolver[1](value) if resolver else value
        return {**super().get_config(), **config}
