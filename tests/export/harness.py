"""What every exported model must pass, in both LiteRT runtimes."""

from __future__ import annotations

import math
from pathlib import Path

import keras
import numpy as np

import seqcore
from seqcore.export.flatbuffer import operator_name, parse
from seqcore.export.program import model_io
from seqcore.export.runtime import TFLiteRunner
from seqcore.export.selfcheck import KerasReference, difference

FEATURES, UNITS = 16, 18
L = keras.layers


def model_of(*layers, timesteps=None, features=FEATURES, seed=0):
    """A Sequential model over (timesteps, features) with reproducible weights."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((timesteps, features)), *layers])
    return shake(model)


def shake(model, seed=0):
    """Give every weight a value of its own: zeros would hide a lost operand."""
    rng = np.random.default_rng(seed)
    for weight in model.trainable_variables:
        value = np.asarray(keras.ops.convert_to_numpy(weight))
        weight.assign(value + 0.1 * rng.standard_normal(value.shape).astype("float32"))
    return model


def clip(timesteps, features=FEATURES, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((1, timesteps, features)).astype("float32")


def builtin_only(content):
    """The names of all operators; fails on a custom or Flex one, or a variable."""
    model = parse(content)
    names = {operator_name(model, op) for g in model.subgraphs for op in g.operators}
    assert not [n for n in names if n.startswith(("CUSTOM", "UNKNOWN", "Flex"))], names
    assert "VAR_HANDLE" not in names
    return names


def variable_tensors(content):
    return [t for g in parse(content).subgraphs for t in g.tensors if t.isVariable]


def run_compiled(path, inputs, outputs, signature="serving_default"):
    """Run a file in LiteRT's CompiledModel; outputs shaped like ``outputs``."""
    from ai_edge_litert.compiled_model import CompiledModel

    model = CompiledModel.from_file(str(path))
    details = model.get_input_tensor_details(signature)
    for name, array in inputs.items():
        if tuple(details[name]["shape"]) != array.shape:
            model.resize_input_tensor_by_name(signature, name, array.shape)
    given = {n: model.create_input_buffer_by_name(signature, n) for n in inputs}
    wanted = {n: model.create_output_buffer_by_name(signature, n) for n in outputs}
    for name, array in inputs.items():
        given[name].write(np.ascontiguousarray(array))
    model.run_by_name(signature, given, wanted)
    return {
        name: wanted[name]
        .read(math.prod(like.shape), like.dtype.type)
        .reshape(like.shape)
        for name, like in outputs.items()
    }


def check_everywhere(model, path: Path, examples, bound, compiled=True, **options):
    """Export ``model``, run it in every runtime, compare with Keras.

    ``examples`` are dicts of inputs by name. Returns the file's bytes.
    """
    options.setdefault("probe_data", examples)
    report = seqcore.export_tflite(model, path, verbose=False, **options)
    content = path.read_bytes()
    builtin_only(content)
    io = model_io(model, options.get("shape"))
    runner, reference = TFLiteRunner(content), KerasReference(model, io)
    # CompiledModel crashes the process where it has no room for an output.
    assert not compiled or not [n for n in report.notes if "after a run" in n]
    for example in examples:
        want = reference(example)
        got = runner(example)
        assert set(got) == set(want)
        for name in want:
            assert difference(got[name], want[name]) <= bound, name
        if compiled:
            again = run_compiled(path, example, want)
            for name in want:
                assert difference(again[name], want[name]) <= bound, name
    if compiled:
        assert not variable_tensors(content)
    return content
