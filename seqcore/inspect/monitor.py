"""Watching the gradient's way back through time while a model trains."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from seqcore.inspect.gradients import GradientFlow, flow_function, spectral_radius
from seqcore.inspect.observe import need_tensorflow, recurrent_layers, to_inputs


class GradientMonitor(keras.callbacks.Callback):
    """Measures :func:`gradient_flow` while training; logs it and warns.

    After every ``every``-th epoch, on a batch that stays the same, it takes each
    layer's :meth:`GradientFlow.ratio`: the gradient that reaches the first step over
    that at the last. A ratio below ``vanishing`` means that what happens early
    cannot be learned from this loss; one above ``exploding``, or a gradient that is
    not finite, that a step along it leads anywhere. Either is a ``UserWarning``
    that names the layer, once a layer and kind.

    Args:
        x, y: a batch, some tens of examples, in the form that ``fit`` takes.
        log_dir: folder for TensorBoard; None writes nothing. Scalars are named
            ``gradient_flow/LAYER/...``: ``h_first``, ``h_last``,
            ``log10_ratio``, and ``spectral_radius/LAYER/GATE``.
        every: epochs from one measurement to the next.
        vanishing, exploding: the bounds of the ratio.
        loss: as for :func:`gradient_flow`; the compiled one by default.

    Attributes:
        history: one dict a measurement: ``epoch`` and, by layer, ``ratio``.

    Raises:
        ValueError: ``every`` or a bound out of range; in ``fit``, a model without
            seqcore layers, or ``x`` that does not fit it.

    Example:

    >>> monitor = seqcore.inspect.GradientMonitor(x[:32], y[:32], log_dir="logs")
    >>> model.fit(x, y, callbacks=[monitor])
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        *,
        log_dir: str | None = None,
        every: int = 1,
        vanishing: float = 1e-6,
        exploding: float = 1e3,
        loss: Any = None,
    ):
        super().__init__()
        if every < 1:
            raise ValueError(f"every={every!r}: expected at least 1")
        if not 0 < vanishing < 1 < exploding:
            raise ValueError(
                f"vanishing={vanishing!r}, exploding={exploding!r}: expected numbers "
                "below and above 1"
            )
        self.x, self.y, self.loss = x, y, loss
        self.log_dir = log_dir
        self.every = every
        self.vanishing, self.exploding = vanishing, exploding
        self.history: list[dict[str, Any]] = []
        self._warned: set[tuple[str, str]] = set()
        self._flow: Any = None
        self._writer: Any = None

    def on_train_begin(self, logs=None):
        need_tensorflow("GradientMonitor")
        recurrent_layers(self.model)
        self._inputs = to_inputs(self.model, self.x, "GradientMonitor")
        self._targets = None
        if self.y is not None:
            self._targets = tree.map_structure(ops.convert_to_tensor, self.y)
        self._flow = flow_function(self.model, self.loss)
        if self.log_dir is not None:
            import tensorflow as tf

            self._writer = tf.summary.create_file_writer(str(self.log_dir))

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every == 0:
            self._measure(epoch)

    def on_train_end(self, logs=None):
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _measure(self, epoch: int) -> None:
        flows = self._flow(self._inputs, self._targets)
        ratios = {name: flow.ratio() for name, flow in flows.items()}
        self.history.append({"epoch": epoch, "ratio": ratios})
        if self._writer is not None:
            self._log(epoch, flows, ratios)
        for name, flow in flows.items():
            self._judge(name, flow, ratios[name], epoch)

    def _log(
        self, epoch: int, flows: dict[str, GradientFlow], ratios: dict[str, float]
    ) -> None:
        import tensorflow as tf

        with self._writer.as_default(step=epoch):
            for name, flow in flows.items():
                first, last = flow.ends()
                base = f"gradient_flow/{name}"
                tf.summary.scalar(f"{base}/h_first", first)
                tf.summary.scalar(f"{base}/h_last", last)
                if ratios[name] > 0:
                    tf.summary.scalar(f"{base}/log10_ratio", np.log10(ratios[name]))
            for name, radii in spectral_radius(self.model).items():
                for gate, radius in radii.items():
                    tf.summary.scalar(f"spectral_radius/{name}/{gate}", radius)
        self._writer.flush()

    def _judge(self, name: str, flow: GradientFlow, ratio: float, epoch: int) -> None:
        if not np.isfinite(flow.h).all() or ratio > self.exploding:
            self._warn(
                name,
                "explodes",
                epoch,
                ratio,
                "Clip it (an optimizer's global_clipnorm=1.0), or start with a "
                "smaller spectral radius.",
            )
        elif ratio < self.vanishing:
            self._warn(
                name,
                "vanishes",
                epoch,
                ratio,
                "What happens early is not learned from: an LSTM, a larger forget "
                "bias or shorter sequences help.",
            )

    def _warn(
        self, name: str, what: str, epoch: int, ratio: float, advice: str
    ) -> None:
        if (name, what) in self._warned:
            return
        self._warned.add((name, what))
        warnings.warn(
            f"Layer {name!r}: the gradient {what} over the sequence (epoch "
            f"{epoch + 1}: at the first step it is {ratio:.2g} times that at the "
            f"last). {advice}",
            stacklevel=2,
        )
