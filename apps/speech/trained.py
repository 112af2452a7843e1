"""Trained models: opening the one that a setting names, writing one made of others."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from apps.core import exporting, recogniser, training
from apps.core.config import to_json
from apps.core.errors import UserError
from apps.speech import APP
from apps.speech.config import SpeechConfig


def open_trained(path: str, named: str) -> tuple[keras.Model, recogniser.Recogniser]:
    """The Keras model at `path`, and what its file says about it.

    Args:
        path: A .keras file, or a folder with a model.keras.
        named: How messages name it, as "teacher=runs/first".

    Raises:
        UserError: no such model, or one of another kind.
    """
    # Path's own test raises at a name that is too long for one.
    file = Path(path) / "model.keras" if os.path.isdir(path) else Path(path)
    found = recogniser.load(str(file), APP)
    if not isinstance(found.runner, keras.Model):
        raise UserError(f"{named}: must be a .keras file or a folder with one")
    return found.runner, found


def check_out(out: Path, models: Sequence[str]) -> None:
    """Raises:
    UserError: a model that is read would be written over, or a training run.
    """
    if (out / "config.json").exists():
        raise UserError(f"--out {out}: holds a training run: name another folder")
    for path in models:
        if Path(path).resolve() in (out.resolve(), (out / "model.keras").resolve()):
            raise UserError(f"--out {out}: {path} is there: name another folder")


def write(
    model: keras.Model,
    out: Path,
    quantize: str,
    metadata: dict[str, Any],
    config: SpeechConfig,
) -> None:
    """Writes the forms of a model that was not trained but made of trained ones.

    Args:
        model: The model.
        out: A folder: gets model.keras, model.tflite and saved_model.
        quantize: Form of the weights in model.tflite.
        metadata: As the models had it, with what has changed, but for the settings.
        config: The settings.
    """
    metadata = metadata | {"settings": to_json(config)}
    metadata.pop("seqcore", None)
    task = APP.make_task(config)
    exporting.export_all(
        model,
        out,
        quantize,
        metadata,
        streaming=task.streaming,
        chunk=task.stream_chunk,
    )
    training.save_model(model, out / "model.keras", metadata)
