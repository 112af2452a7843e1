"""Augmentation of finished features, as layers that do nothing at inference."""

import keras
import numpy as np
from keras import ops

from apps.speech.features import QUIETEST


@keras.saving.register_keras_serializable("seqcore")
class EachClip(keras.layers.Wrapper):
    """Applies a layer of features to every clip of a longer sequence by itself.

    Args:
        layer: Takes and returns [batch, frames, bands].
        frames: Frames of one clip.

    Call arguments:
        features: [batch, clips * frames, bands].
    """

    def __init__(self, layer: keras.layers.Layer, frames: int, **kwargs):
        super().__init__(layer, **kwargs)
        self.frames = frames

    def call(self, features, training=False):
        _, length, bands = features.shape
        parts = ops.reshape(features, (-1, self.frames, bands))
        parts = self.layer(parts, training=training)
        return ops.reshape(parts, (-1, length, bands))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "frames": self.frames}


class _Augmentation(keras.layers.Layer):
    """Changes features at random while training. Does nothing at inference.

    Args:
        seed: Seed of the random numbers.

    Call arguments:
        features: [batch, frames, bands].
        training: Whether to change them.
    """

    def __init__(self, *, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def changed(self, features):
        """`features` of the same shape, each clip in a way of its own."""
        raise NotImplementedError

    def call(self, features, training=False):
        return self.changed(features) if training else features

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable("seqcore")
class SpecAugment(_Augmentation):
    """Blanks stretches of time and of frequency while training.

    Park et al. 2019 (arXiv:1904.08779), without time warping. Expects features
    whose mean is about 0, which is what a blanked cell becomes.

    Args:
        time_masks, band_masks: Number of stretches of each kind.
        time_width, band_width: Longest stretch, in frames and in bands.
    """

    def __init__(
        self,
        *,
        time_masks: int = 2,
        time_width: int = 20,
        band_masks: int = 2,
        band_width: int = 7,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.time_masks = time_masks
        self.time_width = time_width
        self.band_masks = band_masks
        self.band_width = band_width

    def _keep(self, batch, length: int, masks: int, width: int):
        """float32 [batch, length]: 0 where blanked."""
        shape = (batch, masks, 1)
        widths = keras.random.uniform(shape, 0, width + 1, seed=self.seed_generator)
        widths = ops.floor(widths)
        starts = keras.random.uniform(shape, seed=self.seed_generator)
        starts = ops.floor(starts * (length - widths + 1))
        positions = ops.arange(length, dtype="float32")
        blanked = ops.logical_and(positions >= starts, positions < starts + widths)
        return 1 - ops.cast(ops.any(blanked, axis=1), "float32")

    def changed(self, features):
        batch = ops.shape(features)[0]
        _, frames, bands = features.shape
        if self.time_masks:
            keep = self._keep(batch, frames, self.time_masks, self.time_width)
            features = features * keep[:, :, None]
        if self.band_masks:
            keep = self._keep(batch, bands, self.band_masks, self.band_width)
            features = features * keep[:, None, :]
        return features

    def get_config(self):
        return {
            **super().get_config(),
            "time_masks": self.time_masks,
            "time_width": self.time_width,
            "band_masks": self.band_masks,
            "band_width": self.band_width,
        }


class _Stretch(_Augmentation):
    """Stretches one axis.

    Args:
        amount: Largest relative stretch, either way.
    """

    def __init__(self, amount: float = 0.1, **kwargs):
        super().__init__(**kwargs)
        self.amount = amount

    def stretched(self, features, factor):
        """`features` with factors [batch, 1, 1] applied."""
        raise NotImplementedError

    def changed(self, features):
        if not self.amount:
            return features
        factor = keras.random.uniform(
            (ops.shape(features)[0], 1, 1),
            1 - self.amount,
            1 + self.amount,
            seed=self.seed_generator,
        )
        return self.stretched(features, factor)

    def get_config(self):
        return {**super().get_config(), "amount": self.amount}


@keras.saving.register_keras_serializable("seqcore")
class BandWarp(_Stretch):
    """Stretches the band axis from its lower end: another vocal tract.

    Vocal tract length perturbation (Jaitly & Hinton 2013), applied to finished
    mel bands by linear interpolation.
    """

    def stretched(self, features, factor):
        bands = features.shape[-1]
        target = ops.arange(bands, dtype="float32")
        return ops.matmul(features, _interpolation(target * factor, bands))


@keras.saving.register_keras_serializable("seqcore")
class Tempo(_Stretch):
    """Plays the frames faster or slower about the middle one, at the same pitch.

    By linear interpolation between frames.
    """

    def stretched(self, features, factor):
        frames = features.shape[1]
        middle = (frames - 1) / 2
        wanted = (ops.arange(frames, dtype="float32") - middle) * factor + middle
        weights = ops.transpose(_interpolation(wanted, frames), (0, 2, 1))
        return ops.matmul(weights, features)


def _interpolation(wanted, length: int):
    """Weights that read a sequence between its steps.

    Args:
        wanted: Positions, [batch, 1, length]; those outside count as the ends.
        length: Steps of the sequence.

    Returns:
        [batch, length (from), length (to)].
    """
    wanted = ops.clip(wanted, 0.0, length - 1.0)
    known = ops.arange(length, dtype="float32")
    return ops.maximum(0.0, 1 - ops.abs(known[:, None] - wanted))


@keras.saving.register_keras_serializable("seqcore")
class Equaliser(_Augmentation):
    """Another microphone and line: a random gain for each band.

    The gain is a smooth curve over the bands (three cosines, each of at most
    `decibels`); some clips also lose their upper bands, half of them everything
    from `first` on (31 is 4 kHz of the usual 40 bands: telephones, sound sampled at
    8 kHz), the others from a random band on.

    Args:
        decibels: Largest amplitude of each cosine.
        band_limit: Share of the clips that lose their upper bands.
        first: The lowest band that may be lost.

    Call arguments:
        features: [batch, frames, bands], natural logarithms of power.
    """

    def __init__(
        self,
        decibels: float = 6.0,
        band_limit: float = 0.0,
        *,
        first: int = 31,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.decibels = decibels
        self.band_limit = band_limit
        self.first = first

    def changed(self, features):
        if not (self.decibels or self.band_limit):
            return features
        batch, bands = ops.shape(features)[0], features.shape[-1]
        band = ops.arange(bands, dtype="float32")
        waves = ops.cos(
            ops.arange(1.0, 4.0)[:, None] * (band + 0.5) * float(np.pi / bands)
        )
        nepers = float(self.decibels * np.log(10) / 10)
        amounts = keras.random.uniform(
            (batch, 3), -nepers, nepers, seed=self.seed_generator
        )
        gains = ops.matmul(amounts, waves)
        if self.band_limit:
            chosen = keras.random.uniform((batch, 2), seed=self.seed_generator)
            above = ops.maximum(0.0, 2 * chosen[:, :1] - 1)
            limit = self.first + above * (bands - self.first)
            lost = ops.logical_and(chosen[:, 1:] < self.band_limit, band >= limit)
            gains = gains + ops.cast(lost, "float32") * 2 * QUIETEST
        return ops.maximum(features + gains[:, None, :], QUIETEST)

    def get_config(self):
        return {
            **super().get_config(),
            "decibels": self.decibels,
            "band_limit": self.band_limit,
            "first": self.first,
        }


AUGMENTATIONS = (BandWarp, Equaliser, SpecAugment, Tempo)
"""What happens to every clip by itself."""
