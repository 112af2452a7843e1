"""Scores of many texts at once, whatever holds the model."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from apps.core.batches import bucket_boundaries
from apps.core.errors import UserError
from apps.core.task import Split
from apps.text.batches import padded

_KERAS_BATCH = 256


def of_keras(model: keras.Model, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Runs the classifier on hashed texts, in batches of a few shapes."""
    texts = model.get_layer("words").many(inputs)
    classifier = model.get_layer("classifier")
    classifier.jit_compile = False  # see `TextTask.compile`
    lengths = np.array([len(text) for text in texts])
    boundaries = bucket_boundaries(lengths.tolist(), 4)
    found: list[np.ndarray] = [np.empty(0)] * len(texts)
    for low, high in zip([0, *boundaries[:-1]], boundaries, strict=True):
        members = np.flatnonzero((lengths > low) & (lengths <= high))
        size = min(_KERAS_BATCH, len(members))
        for start in range(0, len(members), size):
            chosen = members[start : start + size]
            batch = np.zeros((size, int(high), texts[0].shape[1]), "int32")
            batch[: len(chosen)] = padded([texts[i] for i in chosen], int(high))
            # Rows past the chosen ones are filling; one word keeps them valid.
            batch[len(chosen) :, 0, 0] = 1
            rows = np.asarray(classifier.predict_on_batch(batch))
            for row, index in enumerate(chosen):
                found[index] = rows[row]
    return found


def of_file(model: Any, inputs: Sequence[np.ndarray], size: int) -> list[np.ndarray]:
    """Runs a file that takes batches, texts of like length together."""
    found: dict[int, np.ndarray] = {}
    order = np.argsort([len(value) for value in inputs], kind="stable")
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        batch = np.zeros((len(chosen), len(inputs[chosen[-1]])), "int32")
        for row, index in enumerate(chosen):
            batch[row, : len(inputs[index])] = inputs[index]
        rows = np.asarray(model.predict_on_batch(batch))
        found |= dict(zip(chosen.tolist(), rows, strict=True))
    return [found[index] for index in range(len(inputs))]


def filled(split: Split, length: int) -> list[np.ndarray]:
    """The texts with zeros behind, as a file of a fixed length takes them."""
    found = []
    for value, source in zip(split.inputs, split.sources, strict=True):
        if len(value) > length:
            raise UserError(
                f"{source or 'the text'}: has {len(value)} bytes: this file takes "
                f"{length} at most (see export --length)"
            )
        found.append(np.pad(value, (0, length - len(value))))
    return found
