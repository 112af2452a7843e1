"""What the flags of a verb say of its settings. No Keras here."""

from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from apps.core.app import App, Option
from apps.core.config import TrainingConfig, override
from apps.core.errors import UserError
from apps.core.rundir import RunDirectory


def settings(app: App, arguments: Namespace) -> list[str]:
    """The app's shorthand flags that were given, as key=value."""
    found = []
    for option, value in _given(app, arguments):
        found.append(f"{option.field}={'true' if value is True else value}")
        found += option.implies
    return found


def applied(app: App, arguments: Namespace, config: TrainingConfig) -> TrainingConfig:
    """A model's settings under the flags that were given, checked.

    Raises:
        UserError: a setting that is wrong, or a flag that means nothing.
    """
    config = override(config, settings(app, arguments)).validated()
    fields = {option.flag: option.field for option in app.options}
    for option, _ in _given(app, arguments):
        if option.needs and not getattr(config, fields[option.needs]):
            raise UserError(
                f"{option.flag}: means nothing without {option.needs}: give that too"
            )
    return config


def _given(app: App, arguments: Namespace) -> Iterator[tuple[Option, Any]]:
    for option in app.options:
        name = option.flag.lstrip("-").replace("-", "_")
        value = getattr(arguments, name, None)
        if arguments.verb in option.verbs and value not in (None, False):
            yield option, value


def training(app: App, arguments: Namespace) -> tuple[RunDirectory, dict[str, Any]]:
    """The run that `train` is to begin or to go on with, and what is known of it:
    "config", "data" and, checked, "settings".

    Raises:
        UserError: a setting that is wrong or of another verb; a folder that holds
            something else; with --resume no run, or one of other settings or data.
    """
    given = settings(app, arguments) + arguments.set
    if arguments.resume:
        run, record = RunDirectory.resume(arguments.workdir, app)
        if (
            override(record["settings"], given) != record["settings"]
            or arguments.config not in (None, record["config"])
            or arguments.data not in (None, record["data"])
        ):
            raise UserError(
                f"{arguments.workdir}: --resume goes on with the settings and data "
                "the run began with: leave the changed ones out, or start a new run"
            )
        return run, record
    name = arguments.config or app.default_config
    config = override(app.configs[name], given).validated()
    _check_of_training(app, app.configs[name], config)
    run = RunDirectory.unused(arguments.workdir)
    return run, {"config": name, "data": arguments.data, "settings": config}


def _check_of_training(app: App, preset: TrainingConfig, config: TrainingConfig):
    for option in app.options:
        name, value = option.field, getattr(config, option.field)
        if name in config.of_other_verbs and value != getattr(preset, name):
            flag = " ".join(filter(None, (option.flag, option.metavar)))
            raise UserError(
                f"--set {name}={value}: is not for train: leave it out, and give "
                f"{flag} to {' or '.join(option.verbs)}"
            )
