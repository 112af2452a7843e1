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

    A cell owns its equation once, in two parts:

    - ``project(x)``, the part that does not depend on the state, so that a layer
      computes it for all time steps at once;
    - ``advance(projected, states)``, one step on an already projected input.

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
