"""Opening the trained model that a setting names."""

from pathlib import Path

import keras

from apps.core import recogniser
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
