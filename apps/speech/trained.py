"""Trained models: opening the one that a setting names, writing one made of others."""

from pathlib import Path
from typing import Any

import keras

from apps.core import exporting, recogniser, training
from apps.core.errors import UserError


def open_trained(path: str, named: str) -> tuple[keras.Model, recogniser.Recogniser]:
    """The Keras model at `path`, and what its file says about it.

    Args:
        path: A .keras file, or a folder with a model.keras.
        named: How messages name it, as "teacher=runs/first".

    Raises:
        UserError: no such model, or one of another kind.
    """
    from apps.speech import APP

    file = Path(path) / "model.keras" if Path(path).is_dir() else Path(path)
    found = recogniser.load(str(file), APP)
    if not isinstance(found.runner, keras.Model):
        raise UserError(f"{named}: must be a .keras file or a folder with one")
    return found.runner, found


def write(
    model: keras.Model, out: Path, quantize: str, metadata: dict[str, Any]
) -> None:
    """Writes the forms of a model that was not trained but made of trained ones.

    Args:
        model: The model.
        out: A folder: gets model.keras, model.tflite and saved_model.
        quantize: Form of the weights in model.tflite.
        metadata: As the models had it, with what has changed.
    """
    from apps.core.config import from_json
    from apps.speech import APP
    from apps.speech.config import SpeechConfig

    metadata = {key: value for key, value in metadata.items() if key != "seqcore"}
    task = APP.make_task(from_json(SpeechConfig, metadata["settings"], str(out)))
    exporting.export_all(
        model,
        out,
        quantize,
        metadata,
        streaming=task.streaming,
        chunk=task.stream_chunk,
    )
    training.save_model(model, out / "model.keras", metadata)
