"""Training that begins with the weights of a trained model."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from apps.core.errors import UserError


def adopt(model: keras.Model, labels: Sequence[str], path: str) -> None:
    """Sets `model`'s weights to those of the .keras file `path`.

    The last layer's are taken label by label: those of a label that the file does
    not know stay as they are.

    Args:
        model: A transcriber with the logits in a layer named "logits".
        labels: Its labels; the blank comes behind them.

    Raises:
        UserError: no such model, or one of another architecture.
    """
    from apps.core import recogniser
    from apps.handwriting import APP

    found = recogniser.load(path, APP)
    if not isinstance(found.runner, keras.Model):
        raise UserError(f"begin_with={path}: must be a .keras file")
    old = [layer for layer in found.runner.layers if layer.weights]
    new = [layer for layer in model.layers if layer.weights]
    fits = len(old) == len(new) and all(
        [w.shape for w in a.weights] == [w.shape for w in b.weights]
        for a, b in zip(old[:-1], new[:-1], strict=True)
    )
    if not fits or old[-1].weights[0].shape[0] != new[-1].weights[0].shape[0]:
        raise UserError(
            f"begin_with={path}: has another architecture: its model, filters, units "
            "and layers must be the same"
        )
    for before, after in zip(old[:-1], new[:-1], strict=True):
        after.set_weights(before.get_weights())
    places = {label: i for i, label in enumerate(found.labels)}
    places[""] = len(found.labels)  # the blank
    pairs = [(i, places[c]) for i, c in enumerate([*labels, ""]) if c in places]
    to, of = np.array(pairs).T
    values = new[-1].get_weights()
    for value, known in zip(values, old[-1].get_weights(), strict=True):
        value[..., to] = known[..., of]
    new[-1].set_weights(values)
