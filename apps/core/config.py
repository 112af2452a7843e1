"""Settings of a run: a frozen dataclass, its named presets, its command line form."""

import dataclasses
import difflib
import functools
import math
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, TypeVar

from apps.core.errors import UserError

QUANTIZATIONS = ("none", "float16", "dynamic", "int8")
"""Forms of a .tflite file's numbers; see `seqcore.export_tflite`."""


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Settings that every application has; an application's own extend it.

    Every field is a plain value, so that a run's settings are a JSON object
    that travels inside the exported file.
    """

    model: str = ""
    """Name of the architecture, one of the application's models."""
    seed: int = 0
    """Seed of the weights, the order of examples and the augmentation."""
    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 2e-3
    """Peak of the schedule: linear warm-up, then a cosine down to zero."""
    warmup_epochs: float = 1.0
    weight_decay: float = 1e-4
    """Decoupled (AdamW, arXiv:1711.05101); not applied to biases and norms."""
    epsilon: float = 1e-7
    """Adam's: steps of weights whose gradients stay below it are damped. Sparse
    features want a large one, or rare ones take steps as long as frequent ones."""
    gradient_clip: float = 1.0
    """Largest global norm of the gradient; 0 switches clipping off."""
    label_smoothing: float = 0.0
    weight_averaging: float = 0.0
    """Momentum of an exponential average of the weights, which is evaluated and saved
    in their place; training goes on with the weights. 0 switches it off."""
    patience: int = 0
    """Epochs without a better validation score before training stops; 0: never."""
    keep: str = "best"
    """Which epoch's model to keep: the best by the validation score, or the last.
    With "last" the validation split decides nothing, so that its score is one of
    texts, sounds or strokes that no choice was made by."""
    quantize: str = "dynamic"
    """Form of model.tflite: none, float16, dynamic or int8."""

    of_the_files: ClassVar[tuple[str, ...]] = ()
    """Settings that say how the files given with a verb are read: a later one, on
    other files, begins with their defaults."""
    of_other_verbs: ClassVar[tuple[str, ...]] = ()
    """Settings that mean nothing to a training, or spoil it: they are given to the
    verbs of their flags alone."""

    def validated(self) -> "TrainingConfig":
        """This configuration, its values checked.

        Raises:
            UserError: a value is out of range; the message names it.
        """
        self._are_of_their_types()
        self._at_least_1("epochs", "batch_size")
        self._check("seed", lambda value: 0 <= value < 2**32, "in [0, 2^32)")
        for name in ("learning_rate", "epsilon"):
            self._check(name, lambda value: value > 0, "positive")
        self._at_least_0("warmup_epochs", "weight_decay", "gradient_clip", "patience")
        self._below_1("label_smoothing", "weight_averaging")
        self._one_of("keep", ("best", "last"))
        self._one_of("quantize", QUANTIZATIONS)
        return self

    # What `validated` of an application's settings is made of. Each names the
    # first setting that is out of range.

    def _are_of_their_types(self) -> None:
        """As those of a file that somebody has edited may not be."""
        for name, kind in _kinds(type(self)).items():
            self._check(name, functools.partial(_is, kind), _WANTED[kind])

    def _one_of(self, name: str, choices: Iterable[str]) -> None:
        what = f"one of {', '.join(choices)}"
        self._check(name, lambda value: value in choices, what)

    def _at_least_0(self, *names: str) -> None:
        for name in names:
            self._check(name, lambda value: value >= 0, "at least 0")

    def _at_least_1(self, *names: str) -> None:
        for name in names:
            self._check(name, lambda value: value >= 1, "at least 1")

    def _below_1(self, *names: str) -> None:
        for name in names:
            self._check(name, lambda value: 0 <= value < 1, "in [0, 1)")

    def _up_to(self, most: float, *names: str) -> None:
        for name in names:
            self._check(name, lambda value: 0 <= value <= most, f"in [0, {most}]")

    def _check(self, name: str, good: Callable[[Any], bool], what: str) -> None:
        value = getattr(self, name)
        if not good(value):
            raise UserError(f"{name}={value}: must be {what}")


C = TypeVar("C", bound=TrainingConfig)

_WANTED = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
}


def _kinds(config: type) -> dict[str, type]:
    """The type of each setting."""
    hints = typing.get_type_hints(config)
    return {field.name: hints[field.name] for field in dataclasses.fields(config)}


def _is(kind: type, value: Any) -> bool:
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is kind


def _parse(name: str, kind: type, text: str) -> Any:
    try:
        if kind is bool:
            return {"true": True, "false": False, "1": True, "0": False}[text.lower()]
        return kind(text)
    except (ValueError, KeyError):
        message = f"--set {name}={text}: {name} must be {_WANTED[kind]}"
        raise UserError(message) from None


def override(config: C, settings: Sequence[str]) -> C:
    """Applies `key=value` texts to `config`, each value parsed by its field's type.

    Raises:
        UserError: no `=`, an unknown key (with the nearest one), a wrong type.
    """
    kinds = _kinds(type(config))
    values = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        name = name.strip()
        if not equals:
            raise UserError(f"--set {setting}: expected key=value")
        if name not in kinds:
            close = difflib.get_close_matches(name, kinds, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise UserError(
                f"--set {setting}: there is no setting {name}{hint} "
                f"(settings: {', '.join(sorted(kinds))})"
            )
        values[name] = _parse(name, kinds[name], text.strip())
    return dataclasses.replace(config, **values)


def to_json(config: TrainingConfig) -> dict[str, Any]:
    return dataclasses.asdict(config)


def from_json(kind: type[C], values: dict[str, Any], where: str) -> C:
    """Inverse of `to_json`.

    Raises:
        UserError: `values` holds a key that `kind` does not have; `where` names
            the file it came from.
    """
    known = {field.name for field in dataclasses.fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise UserError(
            f"{where}: unknown setting {unknown[0]}: "
            "the file was made by another version of seqcore"
        )
    return kind(**values)
