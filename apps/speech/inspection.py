"""What the verb inspect shows of a sound: its spectrogram, and where it changes."""

from typing import Any

import keras
import numpy as np

from apps.core.inspection import View

_REACH = 2
"""Frames to either side that are compared."""


def look(task: Any, model: keras.Model, value: np.ndarray, labels: Any) -> View:
    """Recordings come without phonemes: peaks of change stand for their borders."""
    batch = value[None].astype("float32")
    features = keras.Model(model.inputs, model.get_layer("log_mel").output)
    spectrogram = np.asarray(features.predict_on_batch(batch))[0]
    peaks = changes(spectrogram)
    shares = [(frame + 0.5) / len(spectrogram) for frame in peaks]
    return View(
        model,
        batch,
        {"spectrogram": spectrogram},
        {"change of the sound (phoneme borders, by the spectrum)": shares},
    )


def changes(spectrogram: np.ndarray) -> list[int]:
    """Frames at which the spectrum changes most: [frames, bands] to their numbers.

    The means of the frames before and after are compared; a change counts where it
    is the largest among its neighbours and beyond the mean by a deviation.
    """
    frames = len(spectrogram)
    distance = np.zeros(frames)
    for t in range(_REACH, frames - _REACH):
        before = spectrogram[t - _REACH : t].mean(0)
        after = spectrogram[t : t + _REACH].mean(0)
        distance[t] = np.sqrt(np.mean(np.square(after - before)))
    least = distance.mean() + distance.std()
    return [
        t
        for t in range(frames)
        if distance[t] > least
        and distance[t] == distance[max(0, t - _REACH) : t + _REACH + 1].max()
    ]
