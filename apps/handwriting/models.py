"""The networks: raw pen points in, a symbol or a transcript out."""

from __future__ import annotations

import keras
from keras import layers

import seqcore
from apps.handwriting.config import HandwritingConfig
from apps.handwriting.features import PenFeatures, StepMask
from apps.handwriting.layers import (
    CharacterScores,
    GreedyTranscript,
    MeanAndMax,
    PenConv1D,
)
from apps.handwriting.pictures import LinePicture, ReadColumns, StrokeMap, WithoutX
from apps.handwriting.streaming import (
    GreedyChanges,
    Previous,
    SilentPadding,
    stream_features,
)

SCORES = "scores"
TRANSCRIPT = "transcript"


def features(config: HandwritingConfig) -> PenFeatures:
    """What decides how many steps the configured model takes."""
    if config.model == "stream":
        return PenFeatures("spread")
    if config.model == "classify":
        return PenFeatures("box", config.resample)
    return PenFeatures("spread", config.resample, with_x=config.picture)


def classifier(config: HandwritingConfig, labels: int) -> keras.Model:
    """The path, by convolutions and bidirectional LSTMs, and a picture of it, by a
    convolution: [B, N, 4] to probabilities [B, labels]."""
    points = keras.Input((None, 4), name="points")
    steps = StepMask()(features(config)(points))
    x = _convolutions(steps, config)
    x = _recurrent(x, config, bidirectional=True)
    # Now and then the whole path is left out, or the picture would learn nothing.
    x = layers.Dropout(config.dropout, noise_shape=(None, 1))(MeanAndMax()(x))
    picture = layers.Conv2D(16, 3, padding="same", activation="relu")(
        StrokeMap()(steps)
    )
    picture = layers.Flatten()(layers.MaxPooling2D()(picture))
    picture = layers.Dropout(config.dropout)(picture)
    picture = layers.Dense(32, activation="relu")(picture)
    x = layers.Dropout(config.dropout)(layers.Concatenate()([x, picture]))
    x = layers.Dense(labels, activation="softmax", name="probabilities")(x)
    return keras.Model(points, x, name="classify")


def transcriber(config: HandwritingConfig, labels: int) -> keras.Model:
    """Bidirectional: [B, N, 4] to log probabilities and the greedy transcript.

    Returns:
        A model with the outputs "scores" [B, steps, labels + 1], natural
        logarithms with the blank last, and "transcript" int32 [B, steps].
    """
    points = keras.Input((None, 4), name="points")
    steps = features(config)(points)
    # x is not among the path's features: a line has no middle.
    path = WithoutX()(steps) if config.picture else steps
    x = _convolutions(StepMask()(path), config)
    if config.picture:
        # Now and then the whole path is left out, or the picture would learn nothing.
        x = layers.Dropout(config.dropout / 2, noise_shape=(None, 1, 1))(x)
        x = ReadColumns(config.stride)([x, *_line_picture(steps, config)])
    x = _recurrent(x, config, bidirectional=True)
    x = layers.Dropout(config.dropout)(x)
    x = layers.Dense(labels + 1, name="logits")(x)
    scores = CharacterScores(name=SCORES)(x)
    outputs = {SCORES: scores, TRANSCRIPT: GreedyTranscript(name=TRANSCRIPT)(scores)}
    return keras.Model(points, outputs, name="transcribe")


def streamer(config: HandwritingConfig, labels: int) -> keras.Model:
    """The same without a look ahead: a step depends on the ink before it only.

    Made of layers that the export can stream. They take no masks: padding stands
    behind the ink, where nothing that is causal sees it, and says blank.
    """
    points = keras.Input((None, 4), name="points")
    x = stream_features(points)
    # Keeps every step that the strided convolution keeps.
    real = layers.MaxPooling1D(1, config.stride, name="real")(x[..., -1:])
    widths = (config.filters, config.filters * 3 // 2)
    for filters, strides in zip(widths, (1, config.stride), strict=True):
        x = layers.Conv1D(filters, 5, strides, padding="causal", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.Activation("relu")(x)
        x = layers.Dropout(config.dropout / 2)(x)
    x = _recurrent(x, config, bidirectional=False)
    x = layers.Dropout(config.dropout)(x)
    x = layers.Dense(labels + 1, name="logits")(x)
    scores = SilentPadding(name=SCORES)([CharacterScores()(x), real])
    changes = GreedyChanges(name=TRANSCRIPT)
    transcript = changes([scores, Previous(name="last_scores")(scores)])
    return keras.Model(points, {SCORES: scores, TRANSCRIPT: transcript}, name="stream")


def _line_picture(steps, config: HandwritingConfig):
    """What is in each column of a picture of the line, [B, columns, 64], and in which
    of them each step is, [B, steps, columns].

    Nothing here has a bias: empty columns stay empty, so that neither padding nor the
    line's ends change what is seen.
    """
    conv = {"padding": "same", "use_bias": False, "activation": "relu"}
    picture, places = LinePicture(margin=5)(steps)
    picture = layers.Conv2D(16, 3, **conv)(picture)
    picture = layers.MaxPooling2D((1, 2))(picture)
    picture = layers.Conv2D(32, (5, 3), **conv)(picture)
    picture = layers.MaxPooling2D((1, 2))(picture)
    columns = layers.Reshape((-1, picture.shape[2] * picture.shape[3]))(picture)
    columns = layers.Dropout(config.dropout)(columns)
    return layers.Conv1D(64, 5, **conv)(columns), places


def _convolutions(x, config: HandwritingConfig):
    widths = (config.filters, config.filters * 3 // 2)
    for filters, strides in zip(widths, (1, config.stride), strict=True):
        x = PenConv1D(filters, 5, strides, use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.Activation("relu")(x)
        x = layers.Dropout(config.dropout / 2)(x)
    return x


def _recurrent(x, config: HandwritingConfig, bidirectional: bool):
    for number in range(config.layers):
        if number:
            x = layers.Dropout(config.dropout)(x)
        layer = seqcore.LSTM(config.units, return_sequences=True)
        x = (layers.Bidirectional(layer) if bidirectional else layer)(x)
    return x
