"""From a model with Keras's recurrent layers to the same one with seqcore's."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import keras

# The class of the functional models that keras.Model(inputs, outputs) makes.
from keras.src.models.functional import Functional

from seqcore.layers.lstm import LSTM, LSTMCell
from seqcore.layers.rnn import RNN, RNNCell

_REPLACEMENTS: dict[type, type] = {
    keras.layers.LSTM: LSTM,
    keras.layers.LSTMCell: LSTMCell,
    keras.layers.SimpleRNN: RNN,
    keras.layers.SimpleRNNCell: RNNCell,
}
_BY_NAME = {theirs.__name__: ours for theirs, ours in _REPLACEMENTS.items()}
_LAYER_OF_CELL = {"LSTMCell": LSTM, "SimpleRNNCell": RNN}


def _is_keras(config: dict[str, Any], *names: str) -> bool:
    return (
        config.get("class_name") in names
        and str(config.get("module", "")).split(".")[0] == "keras"
        and not config.get("registered_name")
    )


def _as_ours(ours: type, config: dict[str, Any]) -> dict[str, Any]:
    return {
        "module": ours.__module__,
        "class_name": ours.__name__,
        "config": config,
        "registered_name": f"seqcore>{ours.__name__}",
    }


def _rewrite(config):
    """A serialised object with every recurrent layer and cell in it replaced."""
    if isinstance(config, (list, tuple)):
        return type(config)(_rewrite(item) for item in config)
    if not isinstance(config, dict):
        return config
    if _is_keras(config, *_BY_NAME):
        return _as_ours(_BY_NAME[config["class_name"]], config["config"])
    if _is_keras(config, "RNN") and _is_keras(
        config["config"]["cell"], *_LAYER_OF_CELL
    ):
        # RNN(LSTMCell(...)) is the LSTM layer, which has the fast loop.
        loop = dict(config["config"])
        cell = loop.pop("cell")
        ours = _LAYER_OF_CELL[cell["class_name"]]
        loop |= {n: v for n, v in cell["config"].items() if n not in loop}
        return _as_ours(ours, loop)
    return {key: _rewrite(value) for key, value in config.items()}


def _clone(layer):
    """The layer anew, its recurrent parts replaced."""
    config = keras.saving.serialize_keras_object(layer)
    rewritten = _rewrite(config)
    if rewritten == config:
        return layer.__class__.from_config(layer.get_config())
    classes = {type(part).__name__: type(part) for part in layer._flatten_layers()}
    return keras.saving.deserialize_keras_object(rewritten, custom_objects=classes)


def is_convertible(part: Any) -> bool:
    """Whether ``convert`` has a layer or cell of ours for this one of Keras's."""
    return type(part) in _REPLACEMENTS


def _left_over(model) -> list[str]:
    layers: Any = model._flatten_layers()
    return [
        f"{layer.name} ({type(layer).__name__})"
        for layer in layers
        if is_convertible(layer)
    ]


@contextmanager
def _not_compiled(model):
    """Keeps ``clone_model`` from compiling the clone, which it does by way of JSON:
    from there a loss or metric function of one's own does not come back."""
    nested = [part for part in model._flatten_layers() if isinstance(part, keras.Model)]
    compiled = [part for part in nested if part.compiled]
    for part in compiled:
        part.compiled = False
    try:
        yield
    finally:
        for part in compiled:
            part.compiled = True


def _fresh(setting):
    """The same without its state; a loss or a function has none."""
    if isinstance(setting, (keras.optimizers.Optimizer, keras.metrics.Metric)):
        return setting.from_config(setting.get_config())
    return setting


def convert(model):
    """The same model with seqcore's layers in place of Keras's.

    Every ``keras.layers.LSTM``, ``SimpleRNN``, ``LSTMCell`` and ``SimpleRNNCell``
    is replaced, also inside ``Bidirectional``, ``TimeDistributed``, ``RNN``,
    ``StackedRNNCells`` and nested models. Weights are copied, so the outputs are
    equal; a compiled model is compiled anew with the same settings and a fresh
    optimizer state. The given model is left as it is.

    Args:
        model: a built functional or Sequential ``keras.Model``.

    Returns:
        A new ``keras.Model``.

    Raises:
        TypeError: ``model`` is no Keras model.
        ValueError: ``model``, or a model nested in it, is a subclassed one, whose
            layers live in Python code that cannot be rewritten.

    Example:

    ```python
    model = seqcore.convert(keras.models.load_model("model.keras"))
    seqcore.export_tflite(model, "model.tflite")
    ```
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"convert() takes a keras.Model. Received: {model!r}.")
    advice = (
        "Put seqcore.LSTM and seqcore.RNN in its code in place of keras.layers.LSTM "
        "and keras.layers.SimpleRNN, and copy the weights: "
        "new.set_weights(old.get_weights())."
    )
    if not isinstance(model, (keras.Sequential, Functional)):
        raise ValueError(
            f"Model {model.name!r} is a subclassed model ({type(model).__name__}), "
            f"which convert() cannot rebuild. {advice}"
        )
    if not model.built:
        raise ValueError(
            f"Model {model.name!r} has no weights yet. Build it or call it once "
            "before convert()."
        )
    with _not_compiled(model):
        converted = keras.models.clone_model(
            model, clone_function=_clone, recursive=True
        )
    missed = _left_over(converted)
    if missed:
        raise ValueError(
            f"Model {model.name!r} holds recurrent layers that convert() cannot "
            f"reach: {', '.join(missed)}; they belong to subclassed layers or models. "
            f"{advice}"
        )
    if not converted.built:
        converted.build(model.input_shape)
    converted.set_weights(model.get_weights())
    if model.compiled:
        given = model._compile_config.config
        converted.compile(**keras.tree.map_structure(_fresh, given))
    return converted
