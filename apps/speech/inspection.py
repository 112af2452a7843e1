"""What the verb inspect shows of a sound: its spectrogram, and where it changes."""

from typing import Any

import keras
import numpy as np

from apps.core.errors import UserError
from apps.core.inspection import View

_REACH = 640
"""Samples to either side that are compared: 40 ms."""


def look(task: Any, model: keras.Model, value: np.ndarray, labels: Any) -> View:
    """Recordings come without phonemes: peaks of change stand for their borders."""
    batch = value[None].astype("float32")
    if "log_mel" not in {layer.name for layer in model.layers}:
        raise UserError("a model that is made of several: inspect one of them")
    log_mel = model.get_layer("log_mel")
    features = keras.Model(model.inputs, log_mel.output)
    spectrogram = np.asarray(features.predict_on_batch(batch))[0]
    peaks = changes(spectrogram, _REACH // log_mel.hop_length)
    shares = [(frame + 0.5) / len(spectrogram) for frame in peaks]
    return View(
        model,
        batch,
        {"spectrogram": spectrogram},
        {"change of the sound (phoneme borders, by the spectrum)": shares},
    )


def changes(spectrogram: np.ndarray, reach: int) -> list[int]:
    """Frames at which the spectrum changes most: [frames, bands] to their numbers.

    The means of `reach` frames before and after are compared; a change counts where
    it is the largest among its neighbours and beyond the mean by a deviation.
    """
    frames = len(spectrogram)
    distance = np.zeros(frames)
    for t in range(reach, frames - reach):
        before = spectrogram[t - reach : t].mean(0)
        after = spectrogram[t : t + reach].mean(0)
        distance[t] = np.sqrt(np.mean(np.square(after - before)))
    least = distance.mean() + distance.std()
    return [
        t
        for t in range(frames)
        if distance[t] > least
        and distance[t] == distance[max(0, t - reach) : t + reach + 1].max()
    ]
