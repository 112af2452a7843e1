"""Pictures: convolution alone, and convolution with our layers swept over it.

The sweep is that of ReNet (Visin et al. 2015, "ReNet: a recurrent neural network
based alternative to convolutional networks"): a bidirectional layer reads every row
of the feature map, another every column of what the first made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from benchmarks.memory.training import Batch, make_layer, predictor, train
from seqcore.inspect import receptive_field

BODIES = {
    "convolution": None,
    "convolution + RNN": "tanh",
    "convolution + LSTM": "lstm1",
}
_UNITS = 16
PAGE, _LINE = (24, 32), 6
"""Rows and columns of a page of ink, and the rows of a line."""


class Sweep(layers.Layer):
    """(batch, rows, columns, channels) to (batch, rows, columns, 2 units): a
    bidirectional layer along the rows, and one along the columns of its output."""

    def __init__(self, kind: str, units: int, **kwargs):
        super().__init__(**kwargs)
        along = [make_layer(kind, units, sequences=True) for _ in range(2)]
        self.across = layers.Bidirectional(along[0])
        self.down = layers.Bidirectional(along[1])
        self.units = units

    def build(self, shape):
        self.across.build((None, shape[2], shape[3]))
        self.down.build((None, shape[1], 2 * self.units))
        self.built = True

    def call(self, x):
        x = _along_rows(self.across, x)
        x = _along_rows(self.down, ops.transpose(x, (0, 2, 1, 3)))
        return ops.transpose(x, (0, 2, 1, 3))

    def compute_output_shape(self, shape):
        return (*shape[:3], 2 * self.units)


def _along_rows(layer, x):
    _, rows, columns, channels = x.shape
    y = layer(ops.reshape(x, (-1, columns, channels)))
    return ops.reshape(y, (-1, rows, columns, y.shape[-1]))


def build(body: str, shape: tuple[int, int], stride: int, seed: int) -> keras.Model:
    """From an image to a feature map, (batch, rows, columns, channels)."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((*shape, 1))
    x = layers.Conv2D(16, 3, stride, padding="same", activation="relu")(image)
    x = layers.Conv2D(24, 3, padding="same", activation="relu")(x)
    kind = BODIES[body]
    if kind is None:
        x = layers.Conv2D(2 * _UNITS, 3, padding="same", activation="relu")(x)
    else:
        x = Sweep(kind, _UNITS)(x)
    return keras.Model(image, x)


def digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's 1,797 digits, (n, 8, 8, 1) from 0 to 1, and their classes."""
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    found = load_digits()
    return (found.images[..., None] / 16.0).astype("float32"), found.target


def ink(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """A page of four lines of ink, some ticked with a cross in the margin.

    Every pixel of ink asks: is my line ticked? What is around a pixel says nothing
    of it but near the margin: the answer lies up to 26 pixels to the left.

    Returns:
        Pages (count, 24, 32, 1), and answers (count, 12, 16) for squares of 2 by 2
        pixels: 1 ticked, 0 not, -1 where there is no ink to ask.
    """
    pages = np.zeros((count, *PAGE), "float32")
    ticked = rng.integers(0, 2, (count, PAGE[0] // _LINE))
    answers = np.full((count, PAGE[0] // 2, PAGE[1] // 2), -1)
    for page, marks, answer in zip(pages, ticked, answers, strict=True):
        for number, mark in enumerate(marks):
            line = page[number * _LINE : (number + 1) * _LINE]
            _write(line, rng)
            inked = line.reshape(_LINE // 2, 2, -1, 2).max((1, 3)) > 0
            rows = slice(number * _LINE // 2, (number + 1) * _LINE // 2)
            answer[rows][inked] = mark
            if mark:
                for step in range(3):
                    line[step + 1, step + 1] = line[step + 1, 3 - step] = 1.0
    return pages[..., None], answers


def _write(line: np.ndarray, rng: np.random.Generator) -> None:
    """A pen's wavy way over a line from column 6 to the end."""
    columns = np.arange(6, line.shape[1])
    waves = rng.uniform(0.3, 0.9, 2)[:, None] * columns + rng.uniform(0, 6, (2, 1))
    rows = 2.5 + 1.2 * np.sin(waves[0]) + 1.2 * np.sin(waves[1])
    line[rows.round().clip(0, _LINE - 1).astype(int), columns] = 1.0


def read_digits(body: str, seed: int, quick: bool = False) -> dict[str, Any]:
    """Name digits; every fourth picture is for testing."""
    images, labels = digits()
    apart = np.arange(len(images)) % 4 == 0
    features = build(body, (8, 8), 1, seed)
    pooled = layers.Concatenate()(
        [
            layers.GlobalMaxPooling2D()(features.output),
            layers.GlobalAveragePooling2D()(features.output),
        ]
    )
    model = keras.Model(features.input, layers.Dense(10)(pooled))
    rng = np.random.default_rng(seed)
    train_images, train_labels = images[~apart], labels[~apart]

    def batches() -> Iterator[Batch]:
        while True:
            rows = rng.choice(len(train_images), 32)
            yield train_images[rows], train_labels[rows]

    run = train(
        model,
        lambda y, z: tf.nn.sparse_softmax_cross_entropy_with_logits(y, z),
        batches(),
        40 if quick else 600,
        rate=0.003,
        clip=1.0,
        decay=True,
    )
    answer = predictor(model)(images[apart]).argmax(-1)
    return {
        "accuracy": float(np.mean(answer == labels[apart])),
        "n": int(apart.sum()),
        "parameters": model.count_params(),
        "seconds": run.seconds,
    } | _seen(features, images[apart], (4, 4), seed)


def read_ink(body: str, seed: int, quick: bool = False) -> dict[str, Any]:
    """Say of each inked square whether its line is ticked."""
    features = build(body, PAGE, 2, seed)
    model = keras.Model(features.input, layers.Dense(1)(features.output))
    rng = np.random.default_rng(seed)

    def batches() -> Iterator[Batch]:
        while True:
            yield ink(rng, 16)

    def loss(y, z):
        asked = tf.cast(y >= 0, z.dtype)
        each = tf.nn.sigmoid_cross_entropy_with_logits(
            tf.cast(y, z.dtype) * asked, z[..., 0]
        )
        return tf.reduce_sum(each * asked) / tf.reduce_sum(asked)

    run = train(
        model,
        loss,
        batches(),
        40 if quick else 400,
        rate=0.005,
        clip=1.0,
        decay=True,
    )
    pages, answers = ink(np.random.default_rng(10_000), 200)
    right = (predictor(model)(pages)[..., 0] > 0) == (answers > 0)
    asked = answers >= 0
    far = asked & (np.arange(PAGE[1] // 2) >= 10)  # 16 pixels and more from the cross
    return {
        "accuracy": float(right[asked].mean()),
        "far": float(right[far].mean()),
        "n": int(asked.sum()),
        "parameters": model.count_params(),
        "seconds": run.seconds,
    } | _seen(features, pages, (4, 12), seed)


def _seen(
    features: keras.Model, images: np.ndarray, at: tuple[int, int], seed: int
) -> dict[str, Any]:
    """What the strongest feature at one place of the map sees, for the first seed.

    The mean over eight pictures: in one alone, relu may have shut the way.
    """
    if seed:
        return {}
    field = np.mean([receptive_field(features, one, at=at) for one in images[:8]], 0)
    return {
        "image": images[0, ..., 0].round(3).tolist(),
        "field": [[float(f"{v:.3g}") for v in row] for row in field],
        "seen": float(np.mean(field > 1e-4 * field.max())),
    }


def classify(task: str, body: str, seed: int, quick: bool = False) -> dict[str, Any]:
    """One training of the experiment: ``task`` is "digits" or "ink"."""
    return (read_digits if task == "digits" else read_ink)(body, seed, quick)
