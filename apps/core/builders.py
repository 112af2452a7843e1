"""The repository's own TensorFlow Datasets builders, in datasets/."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

from apps.core.errors import UserError

_FOLDER = Path(__file__).parents[2] / "datasets"


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
            raise UserError(
                f"{name} is read by the repository's datasets/, which an installed "
                "package does not hold: run from a copy of the repository"
            )
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
