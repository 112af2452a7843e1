"""Training that begins with the weights of a trained model."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from apps.core.errors import UserError
from apps.handwriting.config import HandwritingConfig


def adopt(model: keras.Model, labels: Sequence[str], config: HandwritingConfig) -> None:
    """Sets `model`'s weights to those of the .keras file `config.begin_with`.

    The last layer's are taken label by label: those of a label that the file does
    not know stay as they are.

    Args:
        model: As `config` has it made; its last layer has a column a label.
        labels: Its labels; a transcriber's blank comes behind them.
        config: The settings of this training.

    Raises:
        UserError: no such model, one of another architecture, or one whose steps
            are others.
    """
    from apps.core import recogniser
    from apps.handwriting import APP

    path = config.begin_with
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
    settings = found.config(APP)
    assert isinstance(settings, HandwritingConfig)
    for name in ("resample", "stride"):
        its, own = getattr(settings, name), getattr(config, name)
        if name == "resample" and config.model == "stream":
            continue  # it keeps the points as they come, whatever the setting
        if its != own:
            raise UserError(
                f"begin_with={path}: was trained with {name}={its}, and steps of "
                f"{name}={own} would mean something else to its weights: "
                f"use --set {name}={its}"
            )
    for before, after in zip(old[:-1], new[:-1], strict=True):
        after.set_weights(before.get_weights())
    columns = {label: i for i, label in enumerate(found.labels)}
    places = list(labels)
    if config.model != "classify":
        columns[""] = len(found.labels)  # the blank
        places.append("")
    pairs = [(i, columns[c]) for i, c in enumerate(places) if c in columns]
    if not pairs:
        return
    to, of = np.array(pairs).T
    values = new[-1].get_weights()
    for value, known in zip(values, old[-1].get_weights(), strict=True):
        value[..., to] = known[..., of]
    new[-1].set_weights(values)
