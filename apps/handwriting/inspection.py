"""What the verb inspect shows of an ink: its strokes, its pen lifts, its spaces."""

from typing import Any

import keras
import numpy as np

from apps.core.inspection import View
from apps.handwriting.features import PenFeatures
from apps.handwriting.models import SCORES


def look(task: Any, model: keras.Model, value: np.ndarray, labels: Any) -> View:
    """Pen lifts are found among the steps that the model makes of the points."""
    batch = value[None].astype("float32")
    resampling = [x for x in model.layers if isinstance(x, PenFeatures)]
    if resampling:
        # The third feature is whether the pen was up.
        up = np.asarray(resampling[0](batch))[0, :, 2] > 0.5
    else:
        up = np.append(False, value[:-1, 3] > 0.5)
    events = {"pen-up": _shares(up)}
    if SCORES in model.output_names and " " in labels:
        scores = np.asarray(model.predict_on_batch(batch)[SCORES])[0]
        events["word boundary"] = _shares(scores.argmax(-1) == list(labels).index(" "))
    return View(model, batch, {"strokes": value}, events)


def _shares(steps: np.ndarray) -> list[float]:
    return ((np.flatnonzero(steps) + 0.5) / len(steps)).tolist()
