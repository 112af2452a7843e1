"""What an application declares. Importing this module must stay cheap (no Keras)."""

import dataclasses
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from apps.core.config import TrainingConfig

if TYPE_CHECKING:
    from apps.core.task import Task


@dataclasses.dataclass(frozen=True)
class Option:
    """A command line flag that is a shorthand for `--set field=...`."""

    flag: str
    field: str
    help: str
    verbs: tuple[str, ...] = ("train",)
    """The verbs that take it. On `evaluate` it overrides the model's setting."""
    is_switch: bool = False
    implies: tuple[str, ...] = ()
    """What else it sets, each as key=value."""
    needs: str = ""
    """The flag without which, and without whose setting, it means nothing."""
    metavar: str | None = None


@dataclasses.dataclass(frozen=True)
class Verb:
    """A verb that only one application has, such as `listen`."""

    help: str
    module: str
    """Import path of a module with `add_arguments(parser)` and `run(arguments)`.
    It is imported only when the verb is used, `add_arguments` excepted, so its
    top level must not import Keras."""
    runs_models: bool = False
    """Whether it needs TensorFlow, whose start-up chatter is then kept off the
    terminal."""


@dataclasses.dataclass(frozen=True)
class App:
    """The declaration that the shared command line is built from."""

    name: str
    summary: str
    """First line of --help."""
    configs: Mapping[str, TrainingConfig]
    default_config: str
    task: str
    """Import path of the `Task` subclass, as "package.module:Class"."""
    data_help: str
    """What --data takes and what is used without it."""
    input_help: str
    """What the files given to predict are."""
    examples: str
    """Commands shown at the end of --help."""
    options: tuple[Option, ...] = ()
    verbs: Mapping[str, Verb] = dataclasses.field(default_factory=dict)

    def make_task(self, config: TrainingConfig) -> "Task":
        module, _, name = self.task.partition(":")
        return getattr(importlib.import_module(module), name)(config)
