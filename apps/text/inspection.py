"""What the verb inspect shows of a text: its words, and where a clause ends."""

import re
from typing import Any

import keras
import numpy as np

from apps.core.inspection import View


def look(task: Any, model: keras.Model, value: np.ndarray, labels: Any) -> View:
    """The classifier behind the hashing, whose every step is a word or a mark."""
    slots = model.get_layer("words").many([value])[0]
    text = bytes(value.astype("uint8")).decode("utf-8", "replace")
    # As `hash_words` cuts, which counts the end of the text as a word.
    words = [*re.findall(r"(?:[^\W_]|')+|[^\w\s']|_", text), "(end)"]
    known = len(words) == len(slots)  # not in a few scripts, nor past the most words
    ends = [bool(re.fullmatch(r"[.,;:!?]", word)) for word in words] if known else []
    return View(
        model.get_layer("classifier"),
        slots[None],
        {"words": words} if known else {},
        {"end of a clause": [(i + 0.5) / len(words) for i, e in enumerate(ends) if e]},
    )
