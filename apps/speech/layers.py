"""Layers of the speech models beside the features: convolution, pooling."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("seqcore")
class CausalConv2D(keras.layers.Layer):
    """A convolution over time and bands that sees no later frame.

    Zeros precede the first frame; the bands have zeros on both sides. Without
    bias: a normalisation follows.

    Args:
        filters: Width of the output.
        kernel: Length over time and over bands.
        band_stride: Step over the bands.

    Call arguments:
        features: [batch, frames, bands, channels].

    Returns:
        [batch, frames, ceil(bands / band_stride), filters].
    """

    padding = "causal"
    """"valid" while the streaming export brings the frames before a chunk."""

    def __init__(
        self, filters: int, kernel: int = 3, *, band_stride: int = 1, **kwargs
    ):
        super().__init__(**kwargs)
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"kernel must be odd and positive, got {kernel}")
        self.filters = filters
        self.kernel_length = kernel
        self.band_stride = band_stride
        self.streaming_window = (kernel, 1)
        self.streaming_padding = kernel - 1

    def build(self, input_shape):
        size = self.kernel_length
        self.kernel = self.add_weight(
            shape=(size, size, input_shape[-1], self.filters),
            initializer="he_normal",
            name="kernel",
        )

    def call(self, features):
        size = self.kernel_length
        before = size - 1 if self.padding == "causal" else 0
        side = size // 2
        padded = ops.pad(features, [[0, 0], [before, 0], [side, side], [0, 0]])
        return ops.conv(
            padded, self.kernel, strides=(1, self.band_stride), padding="valid"
        )

    def compute_output_shape(self, input_shape):
        batch, frames, bands, _ = input_shape
        return (batch, frames, -(-bands // self.band_stride), self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel": self.kernel_length,
            "band_stride": self.band_stride,
        }


@keras.saving.register_keras_serializable("seqcore")
class WindowPooling(keras.layers.Layer):
    """Mean and maximum over the frames of a window.

    A sequence is cut into windows that follow each other. In the streaming
    export the window slides, and every frame gets the pooled value of the
    window that ends with it (of zeros where the stream has just begun).

    Args:
        window: Frames.

    Call arguments:
        sequence: [batch, frames, features]; frames a multiple of `window`.

    Returns:
        [batch, frames // window, 2 * features].
    """

    padding = "valid"

    def __init__(self, window: int, **kwargs):
        super().__init__(**kwargs)
        self.window = window
        self.streaming_window = (window, 1)
        self.streaming_padding = window - 1

    def call(self, sequence):
        features = sequence.shape[-1]
        parts = ops.reshape(sequence, (-1, self.window, features))
        pooled = ops.concatenate([ops.mean(parts, axis=1), ops.max(parts, axis=1)], -1)
        return ops.reshape(pooled, (ops.shape(sequence)[0], -1, 2 * features))

    def compute_output_shape(self, input_shape):
        batch, frames, features = input_shape
        count = None if frames is None else frames // self.window
        return (batch, count, 2 * features)

    def get_config(self):
        return {**super().get_config(), "window": self.window}


@keras.saving.register_keras_serializable("seqcore")
class AttentionPooling(keras.layers.Layer):
    """The mean over time, each step weighed by its own score.

    The score is `v . tanh(W x + b)` and the weights are its softmax over time
    (Bahdanau et al. 2015, arXiv:1409.0473, with one fixed query).

    Args:
        units: Width of the hidden layer of the score.

    Call arguments:
        sequence: [batch, steps, features].

    Returns:
        [batch, features].
    """

    def __init__(self, units: int, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden = keras.layers.Dense(units, activation="tanh", name="hidden")
        self.score = keras.layers.Dense(1, use_bias=False, name="score")

    def build(self, input_shape):
        self.hidden.build(input_shape)
        self.score.build((*input_shape[:-1], self.units))

    def call(self, sequence):
        weights = ops.softmax(self.score(self.hidden(sequence)), axis=1)
        return ops.sum(weights * sequence, axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("seqcore")
class MergeClasses(keras.layers.Layer):
    """Adds the probabilities of classes that count as one, except in training.

    A detector of ten words learns more from a loss that tells thirty other
    words apart than from one that calls them all "unknown". So the network
    ends in a class for each word; while training this layer passes them all
    on, and otherwise it adds those that share a label.

    Args:
        groups: The label index of each class; every label from 0 on occurs.
        weights: Factor of each class, or None for 1. Corrects for classes that
            are more frequent in training than in use.

    Call arguments:
        probabilities: [batch, classes].

    Returns:
        [batch, classes] in training, else [batch, labels], summing to 1.
    """

    def __init__(
        self,
        groups: Sequence[int],
        weights: Sequence[float] | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if sorted(set(groups)) != list(range(max(groups) + 1)):
            raise ValueError(f"groups must name every label from 0 on, got {groups}")
        self.groups = [int(group) for group in groups]
        self.weights_of = None if weights is None else [float(w) for w in weights]
        matrix = np.zeros((len(self.groups), max(self.groups) + 1), "float32")
        matrix[range(len(self.groups)), self.groups] = self.weights_of or 1.0
        self._matrix = matrix

    def call(self, probabilities, training=False):
        if training:
            return probabilities
        merged = ops.matmul(probabilities, self._matrix)
        if self.weights_of is None:
            return merged
        return merged / ops.sum(merged, axis=-1, keepdims=True)

    def get_config(self):
        return {
            **super().get_config(),
            "groups": self.groups,
            "weights": self.weights_of,
        }
