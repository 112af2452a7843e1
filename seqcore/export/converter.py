"""The one road from TensorFlow functions to a .tflite file."""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Callable, Collection, Iterator
from typing import Any

import tensorflow as tf
from tensorflow.lite.python.convert import mlir_quantize

from seqcore.export.errors import ExportError
from seqcore.export.flatbuffer import finish, operators_of, shield_calibrator
from seqcore.export.program import Program
from seqcore.export.signatures import SERVING
from seqcore.export.stderr import quiet

INFERENCE_IO = ("float32", "int8")
QUANTIZATIONS = ("none", "float16", "dynamic", "int8")


def convert(
    program: Program,
    quantize: str,
    representative: Callable[[], Iterator[Any]] | None = None,
    keep_float: Collection[str] = (),
    inference_io: str = "float32",
) -> bytes:
    """Convert every signature of ``program``, builtin operators only.

    ``int8`` leaves the operators of the layers named in ``keep_float`` alone, and
    takes and gives int8 where ``inference_io`` says so.
    """
    with tempfile.TemporaryDirectory() as folder, quiet():
        program.save(folder)
        keys = list(program.signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=sorted(keys, key=lambda k: k != SERVING)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        # finish() turns the fused RNN into a builtin, and refuses any other custom
        # operator with the name of its layer.
        converter.allow_custom_ops = True
        if quantize != "none":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if quantize == "int8":
            converter.representative_dataset = representative
            converter.inference_input_type = tf.as_dtype(inference_io)
            converter.inference_output_type = tf.as_dtype(inference_io)
            _choose_quantizer(converter, keep_float)
        try:
            with warnings.catch_warnings():
                # The calibrator is TensorFlow's, and runs by what it calls deprecated.
                warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter")
                model = converter.convert()
        except Exception as error:
            raise ExportError(_explain(error)) from error
    if not model:
        raise ExportError("the TFLite converter returned an empty file")
    return finish(model)


def _choose_quantizer(converter: Any, keep_float: Collection[str]) -> None:
    """Puts `shield_calibrator`, and what `keep_float` asks, before int8."""
    quantize = converter._quantize

    def shielded(content, *args, **kwargs):
        return quantize(shield_calibrator(content), *args, **kwargs)

    def partly(content, *args, **kwargs):
        converter._experimental_calibrate_only = True
        try:
            calibrated = shielded(content, *args, **kwargs)
        finally:
            converter._experimental_calibrate_only = False
        # The converter offers no list of exceptions; its quantizer takes one.
        return mlir_quantize(
            calibrated, denylisted_nodes=operators_of(calibrated, keep_float)
        )

    converter._quantize = partly if keep_float else shielded


def _explain(error: Exception) -> str:
    """The line of the converter's report that names the operator."""
    text = str(error)
    ops = sorted(set(re.findall(r"\btf\.([A-Z]\w+)", text)))
    first = next((line for line in text.splitlines() if "error" in line), text)
    named = f" (TensorFlow operators {', '.join(ops)})" if ops else ""
    return (
        f"the model uses something TFLite's builtin operators cannot express{named}: "
        f"{first.strip()[:300]}; write that layer with operations from "
        "https://ai.google.dev/edge/litert/models/ops_compatibility"
    )
