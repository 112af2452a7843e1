"""How the gradient travels back through time, and what decides it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from seqcore.inspect.observe import (
    need_tensorflow,
    observed,
    recurrent_layers,
    to_inputs,
)
from seqcore.layers.lstm import LSTM


@dataclass(frozen=True)
class GradientFlow:
    """The gradient of the loss with respect to one layer's states, by step.

    Attributes:
        layer: its name.
        h: |dloss/dh_t|, the Euclidean norm over the units, for every example and
            step: (batch, time). Step t belongs to the layer's t-th input, also in a
            layer that goes backwards. 0 at masked steps.
        c: |dloss/dc_t| likewise, through h_t and through c_{t+1}; None for an RNN.
        mask: boolean (batch, time), or None.
        backwards: whether the layer takes the last step first.
    """

    layer: str
    h: np.ndarray
    c: np.ndarray | None
    mask: np.ndarray | None
    backwards: bool

    def norms(self, state: str = "h") -> np.ndarray:
        """The norm over the whole batch and the units: (time,)."""
        values = self.h if state == "h" else self.c
        if values is None:
            raise ValueError(f"{self.layer} has no state {state!r}")
        return np.sqrt(np.square(values.astype("float64")).sum(0))

    def _taken(self) -> list[np.ndarray]:
        """The norms of dloss/dh of each example, of unmasked steps in the order in
        which the layer takes them; examples of no step are left out."""
        rows = list(self.h.astype("float64"))
        if self.mask is not None:
            rows = [row[kept] for row, kept in zip(rows, self.mask, strict=True)]
        return [row[:: -1 if self.backwards else 1] for row in rows if len(row)]

    def ends(self) -> tuple[float, float]:
        """|dloss/dh| at the first and at the last unmasked step that the layer takes,
        each the norm over the whole batch and the units."""
        taken = self._taken()
        first, last = (np.array([row[end] for row in taken]) for end in (0, -1))
        return float(np.linalg.norm(first)), float(np.linalg.norm(last))

    def ratio(self) -> float:
        """|dloss/dh| at the first step that the layer takes, over the last.

        The geometric mean over the examples, of unmasked steps. Far below 1 the
        gradient vanishes on its way back, far above 1 it explodes. Where the loss
        reads every step, and not only the last, each step gets gradient at first
        hand and the ratio stays near 1. NaN without a gradient at the last step.
        """
        logs = [
            # The smallest float stands for what has vanished altogether.
            np.log(max(row[0], 1e-38)) - np.log(row[-1])
            for row in self._taken()
            if row[-1] > 0
        ]
        with np.errstate(over="ignore"):
            return float(np.exp(np.mean(logs))) if logs else float("nan")


def _as_loss(model: Any, loss: Any) -> Callable[[Any, Any, Any], Any]:
    """``loss(x, y, output)`` of the argument ``loss``, or the compiled one."""
    if loss is None:
        if not getattr(model, "compiled", False) or model.loss is None:
            raise ValueError(
                f"gradient_flow: model {model.name!r} is not compiled with a loss. "
                "Compile it, or pass loss=, a Keras loss or a function of y and the "
                "model's output."
            )
        return lambda x, y, output: model.compute_loss(
            x=x, y=y, y_pred=output, training=False
        )
    function = loss if callable(loss) else keras.losses.get(loss)
    return lambda x, y, output: ops.mean(function(y, output))


def flow_function(model: Any, loss: Any = None) -> Callable[[Any, Any], dict]:
    """``f(x, y)``, traced once a shape: what :func:`gradient_flow` runs."""
    import tensorflow as tf

    compute = _as_loss(model, loss)
    about: dict[str, tuple[Any, bool]] = {}

    @tf.function(autograph=False)
    def run(x, y):
        probes: dict[str, list[Any]] = {}
        masks: dict[str, Any] = {}
        with tf.GradientTape(watch_accessed_variables=False) as tape:

            def look(name, layer, sequences, states, mask):
                shape = tf.shape(sequences)[:2]
                zeros = [
                    tf.zeros((shape[0], shape[1], s.shape[-1]), s.dtype) for s in states
                ]
                for z, s in zip(zeros, states, strict=True):
                    z.set_shape((*sequences.shape[:2], s.shape[-1]))
                tape.watch(zeros)
                probes[name], masks[name] = zeros, mask
                about[name] = (layer, layer.go_backwards)
                return layer.inner_loop(sequences, states, mask, False, zeros)

            value = compute(x, y, observed(model, x, look))
        gradients = tape.gradient(
            value, probes, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        norms = tf.nest.map_structure(
            lambda g: tf.norm(tf.cast(g, tf.float32), axis=-1), gradients
        )
        return norms, {n: m for n, m in masks.items() if m is not None}

    def flow(x: Any, y: Any) -> dict[str, GradientFlow]:
        norms, masks = run(x, y)
        return {
            name: GradientFlow(
                name,
                h=states[0].numpy(),
                c=states[1].numpy() if len(states) > 1 else None,
                mask=masks[name].numpy() if name in masks else None,
                backwards=about[name][1],
            )
            for name, states in norms.items()
        }

    return flow


def gradient_flow(
    model: Any, x: Any, y: Any = None, *, loss: Any = None
) -> dict[str, GradientFlow]:
    """The norm of dloss/dh_t and dloss/dc_t at every step of every seqcore layer.

    The model runs as in ``fit``, in a graph with the compiled kernels where they
    apply, at inference (no dropout). Zeros are added to the states at every step,
    and the gradient is taken with respect to them: what the hand-written backward
    loop itself computes, read out. The derivative is the total one: that of h_t
    counts all that follows from h_t, that of c_t also what h_t does with it.

    Args:
        model: a built Keras model that holds seqcore layers.
        x: what the model takes, with the batch axis.
        y: targets for the loss; None if it needs none.
        loss: a Keras loss, its name, or a function ``loss(y, output)``, whose mean
            is taken; by default the loss that the model is compiled with.

    Returns:
        :class:`GradientFlow` by layer name.

    Raises:
        TypeError: ``model`` is no Keras model.
        ValueError: no seqcore layer, no loss, ``x`` does not fit the model, or a
            Keras backend other than TensorFlow.

    Example:

    >>> flow = seqcore.inspect.gradient_flow(model, x, y)
    >>> flow["lstm"].ratio()
    """
    need_tensorflow("gradient_flow")
    recurrent_layers(model)
    x = to_inputs(model, x, "gradient_flow")
    y = tree.map_structure(ops.convert_to_tensor, y) if y is not None else None
    return flow_function(model, loss)(x, y)


def spectral_radius(model: Any) -> dict[str, dict[str, float]]:
    """The largest absolute eigenvalue of the recurrent weights.

    For a plain network without nonlinearity the gradient grows or shrinks by this
    factor a step in the long run; tanh can only make it smaller (Pascanu et al.
    2013, "On the difficulty of training recurrent neural networks"). An LSTM has
    another way back, the cell, so its radii say less.

    Args:
        model: a built Keras model that holds seqcore layers, or one such layer.

    Returns:
        For each layer, ``{"h": radius}`` for an RNN, and for an LSTM one radius a
        gate, of that gate's columns (``i``, ``f``, ``candidate``, ``o``); with
        ``projection_units`` of the projection times them. NaN of weights that are
        not finite.

    Raises:
        TypeError, ValueError: not such a model, or not built.
    """
    return {
        name: _radii(name, layer) for name, layer in recurrent_layers(model).items()
    }


def _radii(name: str, layer: Any) -> dict[str, float]:
    if not layer.built:
        raise ValueError(f"Layer {name!r} has no weights yet. Call it once first.")
    kernel = _array(layer.cell.recurrent_kernel)
    if not isinstance(layer, LSTM):
        return {"h": _largest(kernel)}
    gates = (
        ("f", "candidate", "o") if layer.couple_gates else ("i", "f", "candidate", "o")
    )
    blocks = np.split(kernel, len(gates), axis=1)
    if layer.projection_units is not None:
        projection = _array(layer.cell.projection_kernel)
        blocks = [projection @ block for block in blocks]
    return {g: _largest(block) for g, block in zip(gates, blocks, strict=True)}


def _array(variable: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(variable), "float64")


def _largest(matrix: np.ndarray) -> float:
    if not np.isfinite(matrix).all():
        return float("nan")
    return float(np.abs(np.linalg.eigvals(matrix)).max())
