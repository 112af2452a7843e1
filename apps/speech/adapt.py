"""Training that begins with the weights of a trained model."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from apps.core.errors import UserError
from apps.speech import APP
from apps.speech.features import BelowLoudest, LogMelSpectrogram
from apps.speech.layers import MergeClasses
from apps.speech.trained import open_trained

_CLASSES = "classes"
_SHOWN = (
    *("model", "bands", "filters", "units"),
    *("hop_ms", "highest_hertz", "range_db"),
)
"""Settings that decide whether weights fit."""


def adopt(model: keras.Model, classes: Sequence[str], path: str) -> int:
    """Sets `model`'s weights to those of a trained one.

    The last layer's are taken class by class: those of a word that the trained
    model does not know stay as they are.

    Args:
        model: As `models.build` makes it.
        classes: Names of its classes.
        path: A .keras file, or a folder with a model.keras.

    Returns:
        How many of the classes the trained model knows.

    Raises:
        UserError: no such model, or one of another architecture.
    """
    trained, found = open_trained(path, f"--adapt {path}")
    if "combined" in found.metadata:
        raise UserError(f"--adapt {path}: is made of several models: adapt one of them")
    old = [layer for layer in trained.layers if layer.weights]
    new = [layer for layer in model.layers if layer.weights]
    if not _fit(old, new) or _features(trained) != _features(model):
        settings = vars(found.config(APP))
        raise UserError(
            f"--adapt {path}: is a {settings['model']} of other "
            "sizes or kind: give its configuration with --config and --set (it has "
            + ", ".join(f"{key}={settings[key]}" for key in _SHOWN)
            + ")"
        )
    for before, after in zip(old, new, strict=True):
        if after.name != _CLASSES:
            after.set_weights(before.get_weights())
    columns = _columns(trained, found.labels)
    pairs = [(i, columns[c]) for i, c in enumerate(classes) if c in columns]
    if pairs:
        to, of = np.array(pairs).T
        values = model.get_layer(_CLASSES).get_weights()
        known = trained.get_layer(_CLASSES).get_weights()
        for value, before in zip(values, known, strict=True):
            value[..., to] = before[..., of]
        model.get_layer(_CLASSES).set_weights(values)
    return len(pairs)


def _features(model: keras.Model) -> list[dict[str, Any]]:
    """What no weight's shape depends on, and all weights' meaning does."""
    return [
        {k: v for k, v in layer.get_config().items() if k not in ("name", "dtype")}
        for layer in model.layers
        if isinstance(layer, (LogMelSpectrogram, BelowLoudest))
    ]


def _fit(old: Sequence[keras.layers.Layer], new: Sequence[keras.layers.Layer]) -> bool:
    if len(old) != len(new):
        return False
    for before, after in zip(old, new, strict=True):
        shapes = [
            [w.shape[:-1] if layer.name == _CLASSES else w.shape for w in layer.weights]
            for layer in (before, after)
        ]
        if type(before) is not type(after) or shapes[0] != shapes[1]:
            return False
    return True


def _columns(trained: keras.Model, labels: Sequence[str]) -> dict[str, int]:
    """The class of each label that is a class of its own."""
    merged = [layer for layer in trained.layers if isinstance(layer, MergeClasses)]
    if not merged:
        return {label: i for i, label in enumerate(labels)}
    groups = merged[0].groups
    return {
        label: groups.index(i) for i, label in enumerate(labels) if groups.count(i) == 1
    }
