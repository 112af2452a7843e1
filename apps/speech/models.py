"""The architectures: raw samples to class probabilities."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers, ops

import seqcore
from apps.speech.clips import CLIP_SAMPLES
from apps.speech.config import SpeechConfig
from apps.speech.features import (
    BandWarp,
    LogMelSpectrogram,
    SpecAugment,
)

# Keras's 0.99 lags behind for the first hundreds of steps, which is most of a
# short training.
_BATCH_NORM_MOMENTUM = 0.95


@keras.saving.register_keras_serializable("seqcore")
class MergeClasses(layers.Layer):
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


def build(
    config: SpeechConfig,
    classes: int,
    groups: Sequence[int] | None = None,
    weights: Sequence[float] | None = None,
) -> keras.Model:
    """The model that `config` names: [batch, 16000] PCM to probabilities.

    Args:
        config: Architecture and sizes.
        classes: Number of classes that training tells apart.
        groups, weights: As in `MergeClasses`; None where classes are labels.
    """
    samples = keras.Input((CLIP_SAMPLES,), name="samples")
    x = LogMelSpectrogram(config.bands, name="log_mel")(samples)
    # From about -14 .. 5 to unit scale and zero mean.
    x = layers.Rescaling(0.25, offset=2.25, name="scale")(x)
    x = BandWarp(config.band_warp, seed=config.seed, name="band_warp")(x)
    x = SpecAugment(
        time_masks=config.time_masks,
        time_width=config.time_mask_frames,
        band_masks=config.band_masks,
        band_width=config.band_mask_bands,
        seed=config.seed,
        name="spec_augment",
    )(x)
    x = BODIES[config.model](x, config)
    x = layers.Dropout(config.dropout, seed=config.seed)(x)
    x = layers.Dense(classes, activation="softmax", name="classes")(x)
    if groups is not None:
        x = MergeClasses(groups, weights, name="labels")(x)
    return keras.Model(samples, x, name=config.model)


def _convolution(x, filters: int, kernel: int, strides: tuple[int, int]):
    x = layers.Conv2D(filters, kernel, strides, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM)(x)
    return layers.ReLU()(x)


def _crnn(x, config: SpeechConfig):
    x = layers.Reshape((*x.shape[1:], 1))(x)
    x = _convolution(x, config.filters, 3, (1, 2))
    x = _convolution(x, config.filters * 2, 3, (2, 2))
    x = _convolution(x, config.filters * 3, 3, (1, 2))
    x = layers.Reshape((x.shape[1], x.shape[2] * x.shape[3]))(x)
    x = layers.Dropout(config.dropout, seed=config.seed)(x)
    x = seqcore.LSTM(config.units, return_sequences=True)(x)
    return layers.Concatenate()(
        [layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)]
    )


def _pairs(x):
    """Joins neighbouring frames: half as many steps, twice as wide."""
    frames, bands = x.shape[1:]
    x = layers.Cropping1D((0, frames % 2))(x)
    return layers.Reshape((frames // 2, 2 * bands))(x)


def _stack(layer, x, config: SpeechConfig):
    x = _pairs(x)
    x = layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM)(x)
    x = layer(config.units, return_sequences=True)(x)
    x = layers.Dropout(config.dropout, seed=config.seed)(x)
    x = layer(config.units, return_sequences=True)(x)
    return layers.Concatenate()(
        [layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)]
    )


def _lstm(x, config: SpeechConfig):
    return _stack(seqcore.LSTM, x, config)


def _rnn(x, config: SpeechConfig):
    return _stack(seqcore.RNN, x, config)


def _dense(x, config: SpeechConfig):
    x = layers.AveragePooling1D(4)(x)
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dense(config.units, use_bias=False)(x)
        x = layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM)(x)
        x = layers.ReLU()(x)
        x = layers.Dropout(config.dropout, seed=config.seed)(x)
    return x


BODIES = {"crnn": _crnn, "lstm": _lstm, "rnn": _rnn, "dense": _dense}
