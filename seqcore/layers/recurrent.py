"""The layer around a cell: arguments, masks, and the choice of the time loop."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops, tree

from seqcore.layers import loops
from seqcore.layers.cell import RecurrentCell
from seqcore.layers.lowering import current_lowering

_LOOP_ARGUMENTS = (
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
)


def _is_eager() -> bool:
    """Whether TensorFlow runs operation by operation, with no graph to compile."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return tf.executing_eagerly()


class FromCell:
    """A read-only attribute of the layer that its cell owns."""

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, layer, owner=None):
        return self if layer is None else getattr(layer.cell, self.name)


class RecurrentLayer(keras.layers.RNN):
    """Base of :class:`RNN` and :class:`LSTM`: a Keras RNN layer over one cell.

    Building, states, statefulness and the plumbing of masks are Keras's own. The
    time loop is seqcore's; which one runs:

    ==================================  ==========================================
    inside ``lowering(fn)``             ``fn``, for an export
    ``unroll=True``, or eager           the steps one after the other
    TensorFlow graph, cell permitting   the compiled kernel with its own gradient
    otherwise                           the backend's loop and its automatic
                                        differentiation
    ==================================  ==========================================

    All but the first compute the input projection of all steps at once.
    """

    cell_class: type[RecurrentCell]
    cell_name: str

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
        names = self.cell_class.arguments
        given = {n: arguments[n] for n in names if n in arguments}
        given |= {n: kwargs.pop(n) for n in names if n in kwargs}
        cell = self.cell_class(
            **given,
            name=self.cell_name,
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
        self._check_sequences(sequences, mask[0] if tree.is_nested(mask) else mask)
        if initial_state is not None:
            self._check_states(initial_state, sequences.shape[0])
        return super().call(
            sequences, initial_state=initial_state, mask=mask, training=training
        )

    def _check_states(self, initial_state, batch) -> None:
        shapes = [tuple(s.shape) for s in tree.flatten(initial_state)]
        expected = [(batch, size) for size in self.state_size]
        fits = len(shapes) == len(expected) and all(
            len(got) == 2
            and got[1] == want[1]
            and (got[0] == batch or None in (got[0], batch))
            for got, want in zip(shapes, expected, strict=True)
        )
        if not fits:
            raise ValueError(
                f"Layer {self.name!r} takes {len(expected)} initial state(s) of "
                f"shape(s) {expected}. Received: {shapes}."
            )

    def _check_sequences(self, sequences, mask) -> None:
        """Refuse what would end in wrong numbers, or far from here."""
        shape = tuple(sequences.shape)
        if shape[1] == 0:
            raise ValueError(
                f"Layer {self.name!r} takes sequences of at least one time step. "
                f"Received: shape {shape}."
            )
        got = shape[:2] if mask is None else tuple(mask.shape)
        if len(got) != 2 or any(
            a != b and None not in (a, b) for a, b in zip(got, shape, strict=False)
        ):
            raise ValueError(
                f"Layer {self.name!r} takes a mask of shape (batch, time), here "
                f"{shape[:2]}. Received: {got}."
            )

    def inner_loop(self, sequences, initial_state, mask, training=False, probes=None):
        """Keras's hook for the time loop: ``(last_output, outputs, states)``.

        ``probes``, which Keras does not pass, are zeros (batch, time, size), one
        tensor a state: their gradients are those of the states at every step,
        zero at masked steps. So gradients can be read out of every loop, the
        compiled kernel's included.
        """
        if tree.is_nested(mask):
            mask = mask[0]
        if mask is not None:
            mask = ops.cast(mask, "bool")
        states = list(initial_state)
        if self.stateful and keras.backend.backend() == "torch":
            # The state variables are assigned in place after the loop, and the
            # gradient needs their values from before it.
            states = [ops.copy(s) for s in states]
        lower = current_lowering()
        if lower is not None:
            return lower(self, sequences, states, mask)

        sequences = ops.convert_to_tensor(sequences)
        if self.go_backwards:
            sequences = ops.flip(sequences, axis=1)
            mask = None if mask is None else ops.flip(mask, axis=1)
            probes = probes and [ops.flip(p, axis=1) for p in probes]
        if self._takes_kernel(training):
            from seqcore.layers.tensorflow_loop import fast_loop

            outputs, states = fast_loop(
                self, sequences, states, mask, training, probes or ()
            )
        else:
            states, outputs, _ = self._loop(
                sequences, states, mask, training, probes=probes
            )
            outputs = ops.swapaxes(outputs, 0, 1) if self.return_sequences else None
        return self._finish(outputs, states, mask)

    def _takes_kernel(self, training) -> bool:
        return (
            keras.backend.backend() == "tensorflow"
            and not (self.unroll or _is_eager())
            and self.cell.has_kernel(training)
        )

    def _loop(self, sequences, states, mask, training, inspect=False, probes=None):
        """The loop in Keras operations: ``(states, outputs, extras)``, time first."""
        cell = self.cell
        dropout = cell.get_dropout_mask(sequences[:, 0, :]) if training else None
        recurrent = cell.get_recurrent_dropout_mask(states[0]) if training else None
        projected = cell.project(ops.swapaxes(sequences, 0, 1), dropout)
        xs = [projected, *(ops.swapaxes(p, 0, 1) for p in probes or ())]
        noisy = training and cell.noise_width
        if noisy:
            xs.append(cell.draw_noise(ops.shape(projected)[:2]))

        def step(row, states):
            return cell.step(
                row[0],
                states,
                recurrent_mask=recurrent,
                noise=row[-1] if noisy else None,
                inspect=inspect,
                probe=row[1 : 1 + len(states)] if probes else None,
            )

        if mask is not None:
            mask = ops.expand_dims(ops.swapaxes(mask, 0, 1), -1)
        run = loops.unrolled if self.unroll or _is_eager() else loops.scanned
        return run(step, tuple(xs), states, mask)

    def _finish(self, outputs, states, mask):
        """The cell's output equation, and Keras's rule for masked outputs.

        A masked step repeats the output before it, or gives zeros with
        ``zero_output_for_mask``; before the first unmasked step there are zeros.
        """
        last = self.cell.emit(states[0])
        outputs = None if outputs is None else self.cell.emit(outputs)
        if mask is not None:
            if self.zero_output_for_mask:
                valid = mask
            else:
                valid = ops.cumsum(ops.cast(mask, "int32"), axis=1) > 0
            last = ops.where(valid[:, -1:], last, ops.zeros_like(last))
            if outputs is not None:
                outputs = ops.where(valid[:, :, None], outputs, ops.zeros_like(outputs))
        if outputs is None:
            outputs = last[:, None]
        return last, outputs, states

    def inspect(self, sequences, initial_state=None, mask=None) -> dict[str, Any]:
        """What happens inside, step by step, at inference.

        Args:
            sequences: (batch, time, features).
            initial_state: list of tensors (batch, size); zeros by default.
            mask: boolean (batch, time).

        Returns:
            A dict of tensors (batch, time, size): ``"i"``, ``"f"``, ``"o"`` (gate
            activations), ``"candidate"``, ``"c"``, ``"h"`` for an LSTM,
            ``"pre_activation"`` and ``"h"`` for an RNN, and ``"output"`` for both.
            Steps are in the order in which the layer takes them (reversed with
            ``go_backwards``); masked steps, which compute nothing, hold zeros.
        """
        sequences = ops.convert_to_tensor(sequences, dtype=self.compute_dtype)
        if not self.built:
            self.build(sequences.shape)
        states = initial_state
        if states is None:
            states = self.get_initial_state(ops.shape(sequences)[0])
        states = [ops.convert_to_tensor(s) for s in tree.flatten(states)]
        self._check_states(states, sequences.shape[0])
        if mask is not None:
            mask = ops.convert_to_tensor(mask, dtype="bool")
        if self.go_backwards:
            sequences = ops.flip(sequences, axis=1)
            mask = None if mask is None else ops.flip(mask, axis=1)
        _, _, traced = self._loop(sequences, states, mask, False, inspect=True)
        traced = {name: ops.swapaxes(v, 0, 1) for name, v in traced.items()}
        traced["output"] = self.cell.emit(traced["h"])
        if mask is not None:
            keep = ops.expand_dims(mask, -1)
            traced = {
                n: ops.where(keep, v, ops.zeros_like(v)) for n, v in traced.items()
            }
        return traced

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
