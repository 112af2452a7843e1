"""Builders of TensorFlow Datasets: the repository's own, in datasets/, and others."""

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

from apps.core.errors import UserError

_FOLDER = Path(__file__).parents[2] / "datasets"
_NOT_INSTALLED = (
    "; the repository's own builders, in datasets/, are not part of an installed "
    "package: run from a copy of the repository"
)


def find_builder(name: str) -> Any:
    """The builder that `tfds:NAME` means: one of ours, or TensorFlow Datasets'.

    Raises:
        UserError: there is none, or no TensorFlow Datasets.
    """
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise UserError(
            f"tfds:{name}: needs the package tensorflow-datasets: "
            "pip install tensorflow-datasets"
        ) from error
    ours = re.split("[/:]", name)[0]
    if is_ours(ours):
        return builder_module(ours).Builder()
    try:
        return tfds.builder(name)
    except tfds.core.registered.DatasetNotFoundError as error:
        more = "" if _FOLDER.is_dir() else _NOT_INSTALLED
        raise UserError(
            f"tfds:{name}: TensorFlow Datasets has no set of that name{more}"
        ) from error


def is_ours(name: str) -> bool:
    """Whether datasets/ has a builder of this name."""
    return name.isidentifier() and _file(name).is_file()


def builder_module(name: str) -> Any:
    """The module of a builder; its class is `Builder`.

    Loaded by its path: a package called `datasets` may be installed, too.

    Raises:
        UserError: it is not there.
    """
    # A builder finds its name and its files through its module's name.
    module_name = f"datasets.{name}.{_file(name).stem}"
    if module_name not in sys.modules:
        if not is_ours(name):
            raise UserError(f"{name}: has no builder{_NOT_INSTALLED}")
        spec = importlib.util.spec_from_file_location(module_name, _file(name))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[module_name]
            raise
    return sys.modules[module_name]


def _file(name: str) -> Path:
    return _FOLDER / name / f"{name}_dataset_builder.py"
