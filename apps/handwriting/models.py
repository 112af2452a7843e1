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

SCORES = "scores"
TRANSCRIPT = "transcript"


def features(config: HandwritingConfig) -> PenFeatures:
    """The first layer of the configured model."""
    if config.model == "stream":
        return PenFeatures("running")
    scale = "box" if config.model == "classify" else "spread"
    return PenFeatures(scale, config.resample)


def classifier(config: HandwritingConfig, labels: int) -> keras.Model:
    """Convolutions and bidirectional LSTMs: [B, N, 4] to probabilities [B, labels]."""
    points = keras.Input((None, 4), name="points")
    x = StepMask()(features(config)(points))
    x = _convolutions(x, config, causal=False)
    x = _recurrent(x, config, bidirectional=True)
    x = layers.Dropout(config.dropout)(MeanAndMax()(x))
    x = layers.Dense(labels, activation="softmax", name="probabilities")(x)
    return keras.Model(points, x, name="classify")


def transcriber(config: HandwritingConfig, labels: int) -> keras.Model:
    """Bidirectional: [B, N, 4] to log probabilities and the greedy transcript.

    Returns:
        A model with the outputs "scores" [B, steps, labels + 1], natural
        logarithms with the blank last, and "transcript" int32 [B, steps].
    """
    points = keras.Input((None, 4), name="points")
    x = features(config)(points)
    return _with_ctc(points, x, config, labels, causal=False)


def streamer(config: HandwritingConfig, labels: int) -> keras.Model:
    """The same without a look ahead: a step depends on the ink before it only."""
    points = keras.Input((None, 4), name="points")
    x = features(config)(points)
    return _with_ctc(points, x, config, labels, causal=True)


def _with_ctc(points, x, config: HandwritingConfig, labels: int, causal: bool):
    x = _convolutions(StepMask()(x), config, causal)
    x = _recurrent(x, config, bidirectional=not causal)
    x = layers.Dropout(config.dropout)(x)
    x = layers.Dense(labels + 1, name="logits")(x)
    scores = CharacterScores(name=SCORES)(x)
    outputs = {SCORES: scores, TRANSCRIPT: GreedyTranscript(name=TRANSCRIPT)(scores)}
    return keras.Model(points, outputs, name="stream" if causal else "transcribe")


def _convolutions(x, config: HandwritingConfig, causal: bool):
    widths = (config.filters, config.filters * 3 // 2)
    for filters, strides in zip(widths, (1, config.stride), strict=True):
        x = PenConv1D(filters, 5, strides, causal, use_bias=False)(x)
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
