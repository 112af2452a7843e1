"""The layer around a cell: arguments, masks, and the choice of the time loop."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops, tree

from seqcore.layers.cell import RecurrentCell
from seqcore.layers.lowering import current_lowering

_LOOP_ARGUMENTS = (
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
)


class FromCell:
    """A read-only attribute of the layer that its cell owns."""

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, layer, owner=None):
        return self if layer is None else getattr(layer.cell, self.name)


class RecurrentLayer(keras.layers.RNN):
    """Base of :class:`RNN` and :class:`LSTM`."""

    cell_class: type[RecurrentCell]

    units = FromCell()
    use_bias = FromCell()
    kernel_initializer = FromCell()
    recurrent_initializer = FromCell()
    bias_initializer = FromCell()
    kernel_regularizer = FromCell()
    recurrent_regularizer = FromCell()
    bias_regularizer = FromCell()
    kernel_constraint = FromCell()
    recurrent_constraint = FromCell()
    bias_constraint = FromCell()
    dropout = FromCell()
    recurrent_dropout = FromCell()
    seed = FromCell()

    def __init__(self, arguments: dict[str, Any], **kwargs: Any) -> None:
        implementation = kwargs.pop("implementation", None)
        cell_kwargs = (
            {} if implementation is None else {"implementation": implementation}
        )
        cell = self.cell_class(
            **{name: arguments[name] for name in self.cell_class.arguments},
            **cell_kwargs,
            name=f"{self.cell_class.__name__.removesuffix('Cell').lower()}_cell",
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
        )
        super().__init__(
            cell,
            activity_regularizer=arguments["activity_regularizer"],
            **{name: arguments[name] for name in _LOOP_ARGUMENTS},
            **kwargs,
        )
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def call(self, sequences, initial_state=None, mask=None, training=False):
        return super().call(
            sequences, initial_state=initial_state, mask=mask, training=training
        )

    def inner_loop(self, sequences, initial_state, mask, training=False):
        if tree.is_nested(mask):
            mask = mask[0]
        if mask is not None:
            mask = ops.cast(mask, "bool")
        if not tree.is_nested(initial_state):
            initial_state = [initial_state]
        lower = current_lowering()
        if lower is not None:
            return lower(self, sequences, initial_state, mask)
        return super().inner_loop(sequences, initial_state, mask, training)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["cell"]
        cell_config = self.cell.get_config()
        config.update({name: cell_config[name] for name in self.cell.arguments})
        config["activity_regularizer"] = keras.regularizers.serialize(
            self.activity_regularizer
        )
        return config

    @classmethod
    def from_config(cls, config):
        return cls(**config)
