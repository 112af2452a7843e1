"""A Keras model as named TensorFlow functions, ready to save or to convert."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from seqcore.export.errors import ExportError
from seqcore.export.overrides import (
    overridden,
    plain_calls,
    without_dropout_masks,
)
from seqcore.layers.convert import is_convertible
from seqcore.layers.lowering import lowering
from seqcore.layers.recurrent import RecurrentLayer

_AUTOMATIC_NAME = re.compile(r"(keras_tensor|input_layer)(_\d+)?$")


@dataclass(frozen=True)
class ModelIO:
    """The model's inputs by name, and how to call it with them.

    Attributes:
        specs: Input name to TensorSpec, in the model's order. The batch is None.
        structure: The nested structure the model is called with; its leaves are
            the names of ``specs``.
    """

    specs: dict[str, tf.TensorSpec]
    structure: Any

    def call(self, model: Any, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The model's outputs by name."""
        args = keras.tree.map_structure(lambda name: inputs[name], self.structure)
        outputs = model(args, training=False)
        return name_outputs(model, outputs)


def check_model(model: Any) -> None:
    """Refuse what cannot be exported, with the way out.

    Raises:
        TypeError: Not a Keras model.
        ValueError: Not built, another backend, or a recurrent layer that is not
            seqcore's.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"expected a keras.Model, got {model!r} of type {type(model).__name__}; "
            "load a .keras file with keras.saving.load_model first"
        )
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            "export runs on Keras's TensorFlow backend, and this process uses "
            f"{keras.backend.backend()!r}; save the model, then export it in a "
            "process started with KERAS_BACKEND=tensorflow"
        )
    if not model.built or (not _inputs(model) and not model.get_build_config()):
        raise ExportError(
            f"model {model.name!r} is not built; call it on an input, or give it "
            "one with model.build(input_shape), before exporting it"
        )
    for layer in model._flatten_layers(include_self=False):
        if not layer.built:
            raise ExportError(
                f"layer {layer.name!r} of model {model.name!r} is not built; call the "
                "model on an input before exporting it"
            )
        if isinstance(layer, RecurrentLayer):
            if layer.stateful:
                raise ExportError(
                    f"layer {layer.name!r} is stateful, and an exported file holds no "
                    "hidden state; build it with stateful=False and export with "
                    "streaming=True, which hands the state in and out"
                )
        elif isinstance(layer, keras.layers.RNN):
            kind = type(layer).__name__
            way_out = (
                "pass the model through seqcore.convert(model) first"
                if is_convertible(getattr(layer, "cell", None))
                else "only seqcore.LSTM and seqcore.RNN have an export; build with them"
            )
            raise ExportError(
                f"layer {layer.name!r} is Keras's own {kind}, whose loop does not "
                f"export to builtin operators; {way_out}"
            )


def check_batch_of_one(model: Any) -> None:
    """Refuse what computes several sequences at once, whatever the batch.

    Raises:
        ExportError: a recurrent layer inside a TimeDistributed.
    """
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.TimeDistributed) and any(
            isinstance(part, RecurrentLayer) for part in layer._flatten_layers()
        ):
            raise ExportError(
                f"layer {layer.name!r} runs a recurrent layer over many sequences at "
                "once, and a .tflite file has a batch of 1: export the inner model, "
                "and run it for each of them"
            )


def _inputs(model: Any) -> list[Any]:
    """The symbolic inputs of a functional or sequential model; none of others."""
    return list(getattr(model, "inputs", None) or [])


def model_io(model: Any, shape: Any = None) -> ModelIO:
    """Names, shapes and types of the model's inputs.

    Args:
        model: A built Keras model.
        shape: None, the shape of the single input, or a dict from input name to
            shape; batch included, None for a free length.
    """
    if _inputs(model):
        structure = model.input if not isinstance(model, keras.Sequential) else None
        tensors = _inputs(model)
        names = _names([t.name for t in tensors], "input")
        if structure is None or (
            len(tensors) == 1 and not keras.tree.is_nested(structure)
        ):
            structure = names[0]
        else:
            structure = keras.tree.pack_sequence_as(structure, names)
        shapes = [tuple(t.shape) for t in tensors]
        dtypes = [t.dtype for t in tensors]
    else:
        config = model.get_build_config()
        shapes_dict = config.get("shapes_dict") or {"input": config["input_shape"]}
        nested = next(iter(shapes_dict.values()))
        if len(shapes_dict) > 1 or not _is_shape(nested):
            raise ExportError(
                f"subclassed model {model.name!r} has several inputs; wrap it in a "
                "functional model, keras.Model(inputs, model(inputs)), to name them"
            )
        names, shapes = ["input"], [tuple(nested)]
        if shape is not None and not isinstance(shape, Mapping):
            # What it was called with says nothing of the lengths it takes.
            shapes = [tuple(shape)]
        dtypes, structure = [model.input_dtype], "input"
    wanted = _wanted_shapes(names, shapes, shape)
    return ModelIO(
        {
            n: tf.TensorSpec((None, *s[1:]), d, name=n)
            for n, s, d in zip(names, wanted, dtypes, strict=True)
        },
        structure,
    )


def _is_shape(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(
        d is None or isinstance(d, int) for d in value
    )


def _wanted_shapes(names: list[str], shapes: list[tuple], shape: Any) -> list[tuple]:
    if shape is None:
        return shapes
    if not isinstance(shape, Mapping):
        if len(names) != 1:
            raise ExportError(
                f"shape={shape!r}: the model has inputs {names}; "
                "give a dict from input name to shape"
            )
        shape = {names[0]: shape}
    unknown = set(shape) - set(names)
    if unknown:
        raise ExportError(f"shape names {sorted(unknown)}, the inputs are {names}")
    wanted = []
    for name, own in zip(names, shapes, strict=True):
        new = tuple(shape.get(name, own))
        fits = len(new) == len(own) and all(
            d is None or (isinstance(d, int) and d > 0 and o in (None, d))
            for d, o in zip(new[1:], own[1:], strict=True)
        )
        if not fits or new[0] not in (None, 1):
            raise ExportError(
                f"shape {new} for input {name!r} does not fit the model's {own}; "
                "lengths that are None there can be fixed, and the batch is 1"
            )
        wanted.append(
            tuple(o if n is None else n for n, o in zip(new, own, strict=True))
        )
    return wanted


def _names(names: list[str], default: str) -> list[str]:
    """The names a user chose; plain ones in place of Keras's automatic names."""
    chosen = {name for name in names if not _AUTOMATIC_NAME.match(name)}
    plain = [default] if len(names) == 1 else []
    plain += [f"{default}_{i}" for i in range(2 * len(names))]
    free = (name for name in plain if name not in chosen)
    return _clean_names(default, [n if n in chosen else next(free) for n in names])


def clean_name(name: str, kind: str) -> str:
    """``name`` of a ``kind`` as TensorFlow takes it in a signature."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if not name[:1].isalpha():
        name = f"{kind}_{name}"
    return f"{name}_" if keyword.iskeyword(name) or name == "self" else name


def _clean_names(kind: str, names: Iterable[str]) -> list[str]:
    """Clean names.

    Raises:
        ExportError: two are the same.
    """
    clean: dict[str, str] = {}
    for name in names:
        new = clean_name(name, kind)
        if new in clean:
            raise ExportError(
                f"the {kind}s {clean[new]!r} and {name!r} would both be {new!r} in a "
                "signature: give one of them another name"
            )
        clean[new] = name
    return list(clean)


def name_outputs(model: Any, outputs: Any) -> dict[str, tf.Tensor]:
    """Outputs by name: a dict's own keys, else the model's names or ``output``."""
    if isinstance(outputs, Mapping):
        keys = _clean_names("output", map(str, outputs))
        values = [tf.convert_to_tensor(value) for value in outputs.values()]
        return dict(zip(keys, values, strict=True))
    flat = keras.tree.flatten(outputs)
    if len(flat) == 1:
        return {"output": tf.convert_to_tensor(flat[0])}
    names = getattr(model, "output_names", None)
    if not names or len(set(names)) != len(flat):
        names = [f"output_{i}" for i in range(len(flat))]
    values = [tf.convert_to_tensor(value) for value in flat]
    return dict(zip(_clean_names("output", names), values, strict=True))


Signature = Callable[..., dict[str, tf.Tensor]]


class Program:
    """The model's weights and its signatures, as ``tf.saved_model`` wants them."""

    def __init__(self, model: Any):
        self.module = tf.Module()
        self.module.weights = [w._value for w in model.variables]
        self.signatures: dict[str, Any] = {}

    def add(
        self, name: str, specs: Mapping[str, tf.TensorSpec], function: Signature
    ) -> None:
        """Trace ``function(**inputs)`` under ``name``."""
        self.signatures[name] = trace(function, specs)

    def save(self, folder: str) -> None:
        tf.saved_model.save(self.module, folder, signatures=self.signatures)


def trace(function: Signature, specs: Mapping[str, tf.TensorSpec]) -> Any:
    """The graph of ``function(**inputs)``; ExportError where a layer refuses."""
    try:
        traced = tf.function(function, autograph=False)
        return traced.get_concrete_function(**specs)
    except Exception as error:
        # Keras wraps what a layer raises in several lines, the cause in bold.
        text = str(error)
        causes = re.findall(r"\x1b\[1m(.*?)\x1b\[0m", text, re.DOTALL)
        callers = re.findall(r"Exception encountered when calling (.+?)\.call", text)
        cause = " ".join((causes[-1] if causes else text).split())[:500]
        if isinstance(error, ExportError):
            raise ExportError(cause) from None
        where = f"layer {callers[-1]}" if callers else "the model"
        shapes = {n: tuple(spec.shape) for n, spec in specs.items()}
        raise ExportError(
            f"{where} cannot be traced for inputs of shape {shapes}: {cause}"
        ) from error


def serving(model: Any, io: ModelIO, lower: Any) -> Signature:
    """The whole-sequence signature, its recurrences written by ``lower``."""

    def serve(**inputs):
        calls = plain_calls(model)
        with lowering(lower), overridden(calls), without_dropout_masks(model):
            outputs = io.call(model, inputs)
        # A result that is a bare input or a weight needs an operator of its own.
        return {name: tf.identity(value) for name, value in outputs.items()}

    return serve


def with_batch(specs: Mapping[str, tf.TensorSpec], batch: int | None):
    """The same specs at another batch size."""
    return {
        name: tf.TensorSpec((batch, *spec.shape[1:]), spec.dtype, name=name)
        for name, spec in specs.items()
    }
