"""The architectures: raw samples to class probabilities."""

from collections.abc import Sequence

import keras
from keras import layers

import seqcore
from apps.speech.audio import SAMPLE_RATE
from apps.speech.clips import CLIP_SAMPLES
from apps.speech.config import STREAM_CHUNK, SpeechConfig
from apps.speech.features import BelowLoudest, LogMelSpectrogram
from apps.speech.layers import (
    AttentionPooling,
    CausalConv2D,
    MergeClasses,
    WindowPooling,
)
from apps.speech.spectral import (
    AUGMENTATIONS,
    BandWarp,
    EachClip,
    Equaliser,
    SpecAugment,
    Tempo,
)

# Keras's 0.99 lags behind for the first hundreds of steps, which is most of a
# short training.
_BATCH_NORM_MOMENTUM = 0.95
_TELEPHONE_HERTZ = 4000.0
"""Where the sound of telephones, and all sound sampled at 8 kHz, ends."""
CLIP_FRAMES = CLIP_SAMPLES // STREAM_CHUNK
"""Frames of a clip in a streaming model, one a chunk."""


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
    padding = "causal" if config.streams else "valid"
    log_mel = LogMelSpectrogram(
        config.bands,
        hop_length=config.hop_ms * SAMPLE_RATE // 1000,
        highest_hertz=config.highest_hertz,
        padding=padding,
        name="log_mel",
    )
    x = Equaliser(
        config.equaliser_db,
        config.band_limit,
        first=log_mel.first_band_beyond(_TELEPHONE_HERTZ),
        seed=config.seed,
        name="equaliser",
    )(log_mel(samples))
    if config.range_db:
        x = BelowLoudest(config.range_db, name="below_loudest")(x)
    # From about -14 .. 5 to unit scale and zero mean.
    x = layers.Rescaling(0.25, offset=2.25, name="scale")(x)
    x = Tempo(config.tempo, seed=config.seed, name="tempo")(x)
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
    if config.streams:
        x = layers.Reshape((classes,), name="last")(x)
    if groups is not None:
        x = MergeClasses(groups, weights, name="labels")(x)
    return keras.Model(samples, x, name=config.model)


def joined(model: keras.Model, clips: int) -> keras.Model:
    """A streaming model's own layers, on several clips after each other.

    What a stream does to the state, a clip alone cannot teach: here only the
    first clip of a sequence finds the state at zero.

    Args:
        model: As `build` makes it for a streaming configuration.
        clips: Clips in a sequence.

    Returns:
        [batch, clips * 16000] PCM to [batch, clips, classes].
    """

    def same_or_longer(layer):
        if isinstance(layer, AUGMENTATIONS):
            return EachClip(layer, CLIP_FRAMES, name=f"each_{layer.name}")
        if layer.name == "last":
            return layers.Activation("linear", name="every_clip")
        return layer

    return keras.models.clone_model(
        model,
        input_tensors=keras.Input((clips * CLIP_SAMPLES,), name="sequence"),
        clone_function=same_or_longer,
    )


def combined(trained: Sequence[keras.Model]) -> keras.Model:
    """A model whose probabilities are the mean of those of several.

    Args:
        trained: Models of whole clips, of the same labels. Their layers are copied.
    """
    samples = keras.Input((CLIP_SAMPLES,), name="samples")
    answers = []
    for number, model in enumerate(trained):

        def named(layer, number=number):
            config = layer.get_config()
            return type(layer).from_config({**config, "name": f"{layer.name}_{number}"})

        copy = keras.models.clone_model(
            model, input_tensors=samples, clone_function=named
        )
        copy.set_weights(model.get_weights())
        answers.append(copy.output)
    return keras.Model(samples, layers.Average(name="mean")(answers), name="combined")


def _normalised(x):
    x = layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM)(x)
    return layers.ReLU()(x)


def _convolution(x, filters: int, kernel: int, strides: tuple[int, int]):
    x = layers.Conv2D(filters, kernel, strides, padding="same", use_bias=False)(x)
    return _normalised(x)


def _residual(x, convolution):
    """Two convolutions around which the input passes (He et al. 2016)."""
    y = _normalised(convolution()(x))
    y = layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM)(convolution()(y))
    return layers.ReLU()(layers.Add()([x, y]))


def _joined_bands(x):
    """[batch, frames, bands, filters] to [batch, frames, bands * filters]."""
    return layers.Reshape((-1, x.shape[2] * x.shape[3]))(x)


def _mean_and_maximum(x):
    return layers.Concatenate()(
        [layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)]
    )


def _crnn(x, config: SpeechConfig):
    x = layers.Reshape((*x.shape[1:], 1))(x)
    x = _convolution(x, config.filters, 3, (1, 2))
    x = _convolution(x, config.filters * 2, 3, (2, 2))
    x = _convolution(x, config.filters * 3, 3, (1, 2))
    x = _joined_bands(x)
    x = layers.Dropout(config.dropout, seed=config.seed)(x)
    x = seqcore.LSTM(config.units, return_sequences=True)(x)
    return _mean_and_maximum(x)


def _attention(x, config: SpeechConfig):
    """Residual convolutions, an LSTM each way, attention over time."""

    def convolution(filters):
        return lambda: layers.Conv2D(filters, 3, padding="same", use_bias=False)

    filters = config.filters
    x = layers.Reshape((*x.shape[1:], 1))(x)
    x = _convolution(x, filters, 3, (1, 2))
    x = _convolution(x, filters * 2, 3, (2, 2))
    x = _residual(x, convolution(filters * 2))
    x = _convolution(x, filters * 3, 3, (1, 2))
    x = _residual(x, convolution(filters * 3))
    x = _joined_bands(x)
    x = layers.Dropout(config.dropout, seed=config.seed)(x)
    x = layers.Dense(config.units, use_bias=False)(x)
    x = _normalised(x)
    x = layers.Bidirectional(seqcore.LSTM(config.units, return_sequences=True))(x)
    return layers.Concatenate()(
        [
            AttentionPooling(config.units // 2, name="attention")(x),
            layers.GlobalMaxPooling1D()(x),
        ]
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
    return _mean_and_maximum(x)


def _lstm(x, config: SpeechConfig):
    return _stack(seqcore.LSTM, x, config)


def _rnn(x, config: SpeechConfig):
    return _stack(seqcore.RNN, x, config)


def _dense(x, config: SpeechConfig):
    x = layers.AveragePooling1D(4)(x)
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dense(config.units, use_bias=False)(x)
        x = _normalised(x)
        x = layers.Dropout(config.dropout, seed=config.seed)(x)
    return x


def _stream_crnn(x, config: SpeechConfig):
    """Causal convolutions, an LSTM, and the last second of its output pooled."""
    filters = config.filters
    x = layers.Reshape((-1, x.shape[2], 1))(x)
    x = _normalised(CausalConv2D(filters, band_stride=2)(x))
    x = _normalised(CausalConv2D(filters * 2, band_stride=2)(x))
    x = _residual(x, lambda: CausalConv2D(filters * 2))
    x = _normalised(CausalConv2D(filters * 3, band_stride=2)(x))
    x = _residual(x, lambda: CausalConv2D(filters * 3))
    x = _joined_bands(x)
    x = layers.Dropout(config.dropout, seed=config.seed)(x)
    x = layers.Dense(config.units * 6 // 7, use_bias=False)(x)
    x = _normalised(x)
    x = seqcore.LSTM(config.units, return_sequences=True)(x)
    return WindowPooling(CLIP_FRAMES, name="pool")(x)


def _stream_lstm(x, config: SpeechConfig):
    """Two LSTMs on the frames, and the last second of their output pooled."""
    x = layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM)(x)
    x = seqcore.LSTM(config.units, return_sequences=True)(x)
    x = layers.Dropout(config.dropout, seed=config.seed)(x)
    x = seqcore.LSTM(config.units, return_sequences=True)(x)
    return WindowPooling(CLIP_FRAMES, name="pool")(x)


BODIES = {
    "crnn": _crnn,
    "attention": _attention,
    "lstm": _lstm,
    "rnn": _rnn,
    "dense": _dense,
    "stream_crnn": _stream_crnn,
    "stream_lstm": _stream_lstm,
}
