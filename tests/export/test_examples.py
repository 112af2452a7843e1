"""What users give an export to run: for its check, and for int8 ranges."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import seqcore
from seqcore import LSTM, RNN
from seqcore.export import ExportError, read_metadata
from seqcore.export.program import model_io
from seqcore.export.runtime import TFLiteRunner
from seqcore.export.selfcheck import KerasReference, check, probes
from tests.export.harness import L, clip, model_of

# Whatever LiteRT's calibrator does not survive ends the test run itself.


def exported(model, tmp_path, **options):
    return seqcore.export_tflite(
        model, tmp_path / "model.tflite", verbose=False, **options
    )


def ids(*layers):
    return keras.Sequential([keras.Input((None,), dtype="int32"), *layers])


def silent(length, *places):
    x = clip(length, 3)
    for place in places:
        x[:, place] = 0
    return x


@pytest.mark.parametrize(
    "make, timesteps, places, options",
    [
        (lambda: RNN(6), None, [slice(14)], {}),
        (lambda: RNN(6), None, [slice(14)], {"streaming": True, "tolerance": 0.4}),
        # Of these lengths no number of steps a turn leaves none over.
        (lambda: RNN(6), 47, [slice(14)], {}),
        (lambda: RNN(6, go_backwards=True), 47, [slice(20, 47)], {}),
        # What is left of the ends fills the turns of the loop.
        (lambda: RNN(6), None, [slice(6), slice(16, 21)], {}),
        (lambda: L.Bidirectional(RNN(6)), None, [slice(14, 21)], {}),
    ],
    ids=[
        "left",
        "left, streamed",
        "left, fixed",
        "right, fixed",
        "both",
        "right, both directions",
    ],
)
def test_int8_ranges_where_examples_are_padded(
    make, timesteps, places, options, tmp_path
):
    """A loop that saw silence alone has a range of no width, and ends the process."""
    x = silent(timesteps or 21, *places)
    model = model_of(make(), timesteps=timesteps, features=3)
    data = [x * scale for scale in (0.5, 1.0, 1.5)]
    given = {"representative_data": data, "probe_data": data}
    exported(model, tmp_path, quantize="int8", **given, **options)
    got = TFLiteRunner(tmp_path / "model.tflite")({"input": x})["output"]
    np.testing.assert_allclose(got, model(x), atol=0.08)


@pytest.mark.parametrize(
    "make", [lambda: LSTM(5), L.GlobalAveragePooling1D], ids=["lstm", "pooled"]
)
def test_int8_of_examples_whose_half_is_shorter_than_a_kernel(make, tmp_path):
    model = model_of(L.Conv1D(3, 5), make(), features=3)
    data = [clip(8, 3, seed=seed) for seed in range(4)]
    exported(model, tmp_path, quantize="int8", representative_data=data)
    data.append(clip(4, 3))
    with pytest.raises(
        ExportError, match=r"_data: example 4, of shape .*1, 4, 3.*no step"
    ):
        exported(model, tmp_path, quantize="int8", representative_data=data)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("argument", ["representative_data", "probe_data"])
def test_numbers_that_are_none_are_refused(value, argument, tmp_path):
    data = [clip(9, 3, seed=seed) for seed in range(3)]
    data[2][0, 4, 1] = value
    with pytest.raises(
        ExportError,
        match=rf"{argument}: example 2, input 'input', holds {value} at \(0, 4, 1\)",
    ):
        exported(
            model_of(RNN(4), features=3),
            tmp_path,
            **{"quantize": "int8", "representative_data": [clip(9, 3)], argument: data},
        )


def test_an_id_that_the_model_does_not_have_is_named_as_such(tmp_path):
    """Not as an operator that TFLite lacks."""
    data = [np.array([[1, 2, 3]]), np.array([[1, 2, 30]])]
    with pytest.raises(ExportError, match=r"representative_data: example 1, .*= 30 is"):
        exported(
            ids(L.Embedding(10, 4), RNN(4)),
            tmp_path,
            quantize="int8",
            representative_data=data,
        )


def test_the_check_reads_letters_where_the_model_knows_them(tmp_path):
    """0 and 1 alone may be padding, at which a wrong file is as good as a right one."""
    small, large = ids(L.Embedding(10, 4), RNN(4)), ids(L.Embedding(128, 4), RNN(4))
    exported(small, tmp_path)
    exported(large, tmp_path)
    content = (tmp_path / "model.tflite").read_bytes()
    table = large.layers[0].embeddings
    value = keras.ops.convert_to_numpy(table).copy()
    value[2:] += 1
    table.assign(value)
    io = model_io(large)
    with pytest.raises(ExportError, match="differs from Keras"):
        check(content, KerasReference(large, io), list(probes(io)), 1e-4)


class Best(L.Layer):
    def call(self, x):
        return tf.argmax(x, axis=-1, output_type=tf.int32)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_file_whose_outputs_cannot_be_compared_says_so(streaming, tmp_path, capsys):
    x = keras.Input((None, 3))
    y = L.Dense(4)(LSTM(5, return_sequences=True)(x))
    model = keras.Model(x, Best()(y))
    path = tmp_path / "model.tflite"
    report = seqcore.export_tflite(model, path, quantize="dynamic", streaming=streaming)
    assert math.isnan(report.max_difference)
    assert any("none was compared" in note for note in report.notes)
    assert "bytes, not compared with Keras\n" in capsys.readouterr().out
    assert read_metadata(path)["seqcore"]["max_difference_from_keras"] is None
    assert exported(model, tmp_path).max_difference == 0.0


def test_inputs_for_the_check_are_some_that_the_model_takes(tmp_path):
    model = model_of(L.Conv1D(4, 5), RNN(4), features=3)
    with pytest.raises(ExportError, match="probe_data holds no example: give some"):
        exported(model, tmp_path, probe_data=[])
    with pytest.raises(ExportError, match=r"refuses every probe input.*negative"):
        exported(model, tmp_path, probe_data=[clip(3, 3)])
    assert not list(tmp_path.iterdir())
    # The last one, which Keras refuses, is not what the file's shapes are read by.
    exported(model, tmp_path, probe_data=[clip(8, 3), clip(3, 3)])
