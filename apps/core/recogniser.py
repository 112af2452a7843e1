"""A trained model in any of its three forms, behind one method."""

import contextlib
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from apps.core.app import App
from apps.core.config import TrainingConfig, from_json
from apps.core.errors import UserError, first_line

DAMAGE = (
    ValueError, OSError, RuntimeError, TypeError, KeyError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip
"""What Keras and the interpreters raise at a damaged file."""


class Runner(Protocol):
    """`predict_on_batch` of a Keras model, whatever runs underneath."""

    def predict_on_batch(self, batch: np.ndarray) -> Any: ...


class Recogniser:
    """A model file with what it says of itself.

    Attributes:
        path: As the user gave it.
        metadata: What the file carries (labels, settings, training data).
        labels: Names of the classes, in the order of the scores.
        runner: Runs batches.
    """

    def __init__(self, path: str, metadata: dict[str, Any], runner: Runner):
        self.path = path
        self.metadata = metadata
        self.labels: tuple[str, ...] = tuple(metadata["labels"])
        self.runner = runner

    def config(self, app: App) -> TrainingConfig:
        kind = type(app.configs[app.default_config])
        return from_json(kind, self.metadata["settings"], self.path)


class _SavedModel:
    def __init__(self, path: str):
        import tensorflow as tf

        self._module = tf.saved_model.load(path)
        self._call = self._module.signatures["serving_default"]
        ((_, specs),) = [self._call.structured_input_signature]
        ((self._name, self._spec),) = specs.items()

    def predict_on_batch(self, batch: np.ndarray) -> Any:
        import tensorflow as tf

        value = tf.convert_to_tensor(batch, self._spec.dtype)
        found = {k: v.numpy() for k, v in self._call(**{self._name: value}).items()}
        return next(iter(found.values())) if len(found) == 1 else found


def open_interpreter(path: str) -> Any:
    """LiteRT's interpreter of a .tflite file, on one thread."""
    from ai_edge_litert.interpreter import Interpreter

    from seqcore.export.stderr import quiet

    # At its first allocation it tells of a delegate, on standard error.
    with quiet():
        interpreter = Interpreter(model_path=path, num_threads=1)
        with contextlib.suppress(RuntimeError):  # a free length may be too short
            interpreter.allocate_tensors()
    return interpreter


class _TFLite:
    """One example an invocation, as a phone does it; lengths are set as needed."""

    batch_size = 1

    def __init__(self, path: str):
        self._interpreter = open_interpreter(path)
        self._runner = self._interpreter.get_signature_runner("serving_default")
        ((self._name, detail),) = self._runner.get_input_details().items()
        self._dtype = detail["dtype"]

    def predict_on_batch(self, batch: np.ndarray) -> Any:
        rows = []
        for example in batch:
            value = np.ascontiguousarray(example[None], self._dtype)
            found = self._runner(**{self._name: value})
            rows.append({name: np.array(value) for name, value in found.items()})
        stacked = {name: np.concatenate([r[name] for r in rows]) for name in rows[0]}
        return next(iter(stacked.values())) if len(stacked) == 1 else stacked


def _keras(path: str) -> Runner:
    import keras

    return keras.saving.load_model(path, compile=False)


def load(path: str, app: App) -> Recogniser:
    """Opens a .tflite file, a SavedModel folder or a .keras file of `app`.

    Raises:
        UserError: missing, not one of the three, damaged, without seqcore's
            metadata, or made by another application.
    """
    file = Path(path)
    # Path's own test raises at a name that is too long for one.
    if not os.path.exists(file):
        raise UserError(f"{path}: there is no such model file")
    open_runner: Any
    if file.is_dir():
        if not (file / "saved_model.pb").exists():
            raise UserError(f"{path}: is a folder, but not a SavedModel")
        open_runner = _SavedModel
    elif file.suffix == ".tflite":
        open_runner = _TFLite
    elif file.suffix == ".keras":
        open_runner = _keras
    else:
        raise UserError(
            f"{path}: is not a model: expected a .tflite file, a .keras file "
            "or a SavedModel folder"
        )
    from seqcore import read_metadata

    try:
        metadata = read_metadata(path)
    except (ValueError, OSError) as error:
        raise UserError(
            f"{path}: cannot be read as a seqcore model: {first_line(error)}"
        ) from error
    if not metadata:
        raise UserError(
            f"{path}: carries no metadata of an application: it is cut short, or was "
            "not made by one"
        )
    if metadata.get("app") != app.name:
        raise UserError(
            f"{path}: is a model of apps.{metadata.get('app', '?')}, "
            f"and this is apps.{app.name}"
        )
    missing = [key for key in ("labels", "settings") if key not in metadata]
    if missing:
        raise UserError(f"{path}: its metadata lacks {missing[0]!r}")
    app.make_task(app.configs[app.default_config])  # registers the app's layers
    try:
        runner = open_runner(os.fspath(file))
    except DAMAGE as error:
        raise UserError(f"{path}: is damaged: {first_line(error)}") from error
    return Recogniser(path, metadata, runner)
