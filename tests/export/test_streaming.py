"""The ``stream`` signature: any chunking gives the whole clip's result."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import seqcore
from seqcore import LSTM, RNN
from seqcore.export import ExportError
from seqcore.export.program import model_io
from seqcore.export.runtime import TFLiteRunner
from seqcore.export.selfcheck import KerasReference
from tests.export.harness import (
    UNITS,
    L,
    builtin_only,
    clip,
    model_of,
    run_compiled,
    variable_tensors,
)

TIMESTEPS = 41


def stream(runner, x, sizes, name="output"):
    """Feed ``x`` in chunks; the outputs joined, as a caller would do it."""
    details = runner._runners["stream"].get_input_details()
    states = {
        n: np.zeros(d["shape"], d["dtype"]) for n, d in details.items() if n != "input"
    }
    pieces, start, turn = [], 0, 0
    while start < x.shape[1]:
        stop = start + sizes[turn % len(sizes)]
        result = runner({"input": x[:, start:stop], **states}, "stream")
        states = {n: result[n] for n in states}
        piece = result[name]
        if f"{name}_steps" in result:
            piece = piece[:, : int(result[f"{name}_steps"][0])]
        pieces.append(piece)
        start, turn = stop, turn + 1
    return pieces


FRONTS = {
    "causal convolution": lambda: [
        L.Conv1D(7, 3, padding="causal", activation="relu"),
        L.BatchNormalization(),
    ],
    "dilated causal": lambda: [L.Conv1D(7, 3, padding="causal", dilation_rate=2)],
    "valid convolution": lambda: [L.Conv1D(7, 4)],
    "strides and pooling": lambda: [
        L.Conv1D(7, 5, strides=2),
        L.AveragePooling1D(2),
        L.DepthwiseConv1D(2),
    ],
}


@pytest.fixture(scope="module", params=FRONTS)
def streamed(request, tmp_path_factory):
    """A file with a front end and two recurrent layers, and what Keras says."""
    model = model_of(
        *FRONTS[request.param](),
        LSTM(UNITS, return_sequences=True),
        RNN(9, return_sequences=True),
        L.Dense(3),
    )
    path = tmp_path_factory.mktemp("stream") / "m.tflite"
    seqcore.export_tflite(model, path, streaming=True, verbose=False)
    content = path.read_bytes()
    builtin_only(content)
    assert not variable_tensors(content)
    x = clip(TIMESTEPS, seed=5)
    want = KerasReference(model, model_io(model))({"input": x})["output"]
    return TFLiteRunner(content), x, want


@settings(max_examples=12, deadline=None)
@given(sizes=st.lists(st.integers(1, TIMESTEPS), min_size=1, max_size=6))
def test_any_chunk_sizes_give_the_whole_result(streamed, sizes):
    runner, x, want = streamed
    got = np.concatenate(stream(runner, x, sizes), axis=1)
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_last_output_and_running_pool(tmp_path):
    x = clip(TIMESTEPS)
    for head in (LSTM(8), L.GlobalAveragePooling1D(), L.GlobalMaxPooling1D()):
        model = model_of(LSTM(UNITS, return_sequences=True), head, L.Dense(2))
        path = tmp_path / f"{head.name}.tflite"
        seqcore.export_tflite(model, path, streaming=True, verbose=False)
        got = stream(TFLiteRunner(path), x, [7, 1, 12])[-1]
        np.testing.assert_allclose(got, model(x), atol=1e-5)


class Best(L.Layer):
    """The number of the highest score of every step."""

    def call(self, x):
        return tf.argmax(x, axis=-1, output_type=tf.int32)

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape[:-1], "int32")


def test_class_numbers_of_every_step(tmp_path):
    """They have no axis behind that of time, and are compared chunk by chunk too."""
    model = model_of(LSTM(UNITS, return_sequences=True), L.Dense(5), Best())
    path = tmp_path / "numbers.tflite"
    report = seqcore.export_tflite(model, path, streaming=True, verbose=False)
    assert report.max_difference == 0
    x = clip(TIMESTEPS)
    found = np.concatenate(stream(TFLiteRunner(path), x, [7, 3]), axis=1)
    np.testing.assert_array_equal(found, model(x))


def test_fixed_chunk_in_compiled_model_with_shared_weights(tmp_path):
    model = model_of(
        L.Conv1D(32, 3, padding="causal", strides=2),
        LSTM(64, return_sequences=True),
        L.Dense(3),
    )
    plain = seqcore.export_tflite(model, tmp_path / "plain.tflite", verbose=False)
    path = tmp_path / "m.tflite"
    report = seqcore.export_tflite(
        model, path, streaming=True, chunk=4, shape=(1, 24, 16), verbose=False
    )
    assert report.size < plain.size + 20_000  # the weights are there once
    runner, x = TFLiteRunner(path), clip(24)
    details = runner._runners["stream"].get_input_details()
    assert "conv1d_phase" not in details  # a chunk of whole strides needs none
    inputs = {
        n: np.zeros(d["shape"], d["dtype"]) for n, d in details.items() if n != "input"
    }
    inputs["input"] = x[:, :4]
    want = runner(inputs, "stream")
    got = run_compiled(path, inputs, want, "stream")
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, atol=1e-6)
    whole = np.concatenate(stream(runner, x, [4]), axis=1)
    np.testing.assert_allclose(whole, model(x), atol=1e-5)


def test_masked_steps_between_chunks(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            L.Embedding(20, 6, mask_zero=True),
            LSTM(UNITS, return_sequences=True),
        ]
    )
    path = tmp_path / "m.tflite"
    seqcore.export_tflite(model, path, streaming=True, verbose=False)
    ids = np.array([[0, 0, 3, 4, 0, 0, 7, 0]], "int32")
    got = np.concatenate(stream(TFLiteRunner(path), ids, [2]), axis=1)
    np.testing.assert_allclose(got, model(ids), atol=1e-5)


@keras.saving.register_keras_serializable("seqcore_test")
class Frames(keras.layers.Layer):
    """Windows of 6 samples, a hop of 4: a front end that says how it looks."""

    streaming_window = (6, 4)

    def call(self, samples):
        count = (keras.ops.shape(samples)[1] - 6) // 4 + 1
        index = 4 * keras.ops.arange(count)[:, None] + keras.ops.arange(6)[None]
        return keras.ops.take(samples, index, axis=1)

    def compute_output_shape(self, shape):
        return (shape[0], None, 6)


def test_a_custom_front_end_streams_samples(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((None,)), Frames(), LSTM(UNITS, return_sequences=True)]
    )
    path = tmp_path / "m.tflite"
    seqcore.export_tflite(
        model,
        path,
        streaming=True,
        probe_data=[clip(1, 50)[0]],
        verbose=False,
    )
    samples = clip(1, 50)[0]
    got = np.concatenate(stream(TFLiteRunner(path), samples, [5, 3, 11]), axis=1)
    np.testing.assert_allclose(got, model(samples), atol=1e-5)


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        (lambda: [L.Bidirectional(LSTM(4))], "reads the sequence from its end"),
        (lambda: [LSTM(4, go_backwards=True)], "reads the sequence from its end"),
        (lambda: [L.Conv1D(4, 3, padding="same"), RNN(4)], "padding='causal'"),
        (lambda: [L.Dense(4)], "no state to stream"),
    ],
)
def test_what_cannot_stream_says_why_and_writes_nothing(tmp_path, layers, reason):
    path = tmp_path / "m.tflite"
    with pytest.raises(ExportError, match=reason):
        seqcore.export_tflite(model_of(*layers()), path, streaming=True)
    assert list(tmp_path.iterdir()) == []


@keras.saving.register_keras_serializable("seqcore_test")
class Centred(keras.layers.Layer):
    """Takes the mean over time off: a look beyond the chunk no rule knows."""

    def call(self, x):
        return x - keras.ops.mean(x, axis=1, keepdims=True)


def test_a_hidden_look_beyond_the_chunk_is_found(tmp_path):
    model = model_of(Centred(), LSTM(6, return_sequences=True))
    with pytest.raises(ExportError, match="looks beyond its chunk"):
        seqcore.export_tflite(model, tmp_path / "m.tflite", streaming=True)
    assert list(tmp_path.iterdir()) == []
