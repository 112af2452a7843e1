"""The mean of a model's weights over the last steps of its training."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from apps.core.errors import UserError
from apps.core.recogniser import DAMAGE


class Average(keras.callbacks.Callback):
    """Exponential moving average of weights (Polyak & Juditsky 1992).

    Training goes on with the weights themselves; evaluated and saved is their
    average. Keras's own, `use_ema` of an optimizer, does not serve a `fit` for
    every epoch: each `fit` ends by writing the average over the weights, so that
    an epoch begins near where the last one began.

    The statistics of batch normalisation are averaged as well: those of the last
    steps do not belong to the average of earlier weights. In the beginning the
    average covers about the last tenth of the steps so far.

    Args:
        model: What is trained, built.
        momentum: Of the average: about the last 1 / (1 - momentum) steps count. 0:
            nothing is averaged.
    """

    def __init__(self, model: keras.Model, momentum: float):
        super().__init__()
        self._momentum = momentum
        values = [w.value for w in model.weights] if momentum else []
        self._weights = [v for v in values if v.dtype.is_floating]
        self._averages = [tf.Variable(w) for w in self._weights]
        self._steps = tf.Variable(0.0)
        # One call of the runtime a step, in place of one for every variable.
        self._update = tf.function(self._add)

    def _add(self) -> None:
        self._steps.assign_add(1.0)
        most = (1.0 + self._steps) / (10.0 + self._steps)
        share = 1.0 - tf.minimum(tf.constant(self._momentum), most)
        for average, weight in zip(self._averages, self._weights, strict=True):
            average.assign_add(tf.cast(share, weight.dtype) * (weight - average))

    def on_train_batch_end(self, batch, logs=None):
        if self._weights:
            self._update()

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """The model has the averages for weights inside."""
        kept = [weight.numpy() for weight in self._weights]
        for average, weight in zip(self._averages, self._weights, strict=True):
            weight.assign(average)
        try:
            yield
        finally:
            for value, weight in zip(kept, self._weights, strict=True):
                weight.assign(value)

    def save(self, path: Path) -> None:
        """Writes what `load` reads."""
        values = [v.numpy() for v in (self._steps, *self._averages)]
        np.savez(path, *values)

    def load(self, path: Path) -> None:
        """Goes on from what `save` wrote.

        Raises:
            UserError: the file is not there or not of this model.
        """
        try:
            with np.load(path) as file:
                stored = [file[f"arr_{i}"] for i in range(len(file.files))]
            for variable, value in zip(
                (self._steps, *self._averages), stored, strict=True
            ):
                variable.assign(value)
        except (*DAMAGE, EOFError) as error:
            raise UserError(
                f"{path}: not the averages of this training ({error}): "
                "train anew in another --workdir"
            ) from error
