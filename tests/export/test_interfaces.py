"""Names, precisions, masks and lengths of models as users build them."""

import keras
import numpy as np
import pytest

import seqcore
from seqcore import LSTM, RNN
from seqcore.export import ExportError
from seqcore.export.runtime import TFLiteRunner
from tests.export.harness import L, clip, model_of, shake


def exported(model, tmp_path, **options):
    path = tmp_path / "model.tflite"
    seqcore.export_tflite(model, path, verbose=False, **options)
    return TFLiteRunner(path)


def inputs(*names, features=3):
    return [keras.Input((None, features), name=name) for name in names]


def test_inputs_keep_the_names_they_were_given_whatever_their_order(tmp_path):
    """Numbers in a user's names are no positions: they must not be swapped."""
    a, b = inputs("input_1", "input_0")
    model = keras.Model([a, b], L.Subtract()([LSTM(2)(a), RNN(2)(b)]))
    given = {"input_1": clip(5, 3), "input_0": clip(5, 3, seed=1)}
    got = exported(model, tmp_path)(given)["output"]
    np.testing.assert_allclose(got, model.predict_on_batch(given), atol=1e-6)


@pytest.mark.parametrize(
    "name, in_file",
    [
        ("input_5", "input_5"),
        ("pen points", "pen_points"),
        ("1st", "input_1st"),
        ("class", "class_"),
        ("self", "self_"),
    ],
)
def test_names_that_no_signature_can_have_are_made_ones_that_it_can(
    name, in_file, tmp_path
):
    (x,) = inputs(name)
    runner = exported(keras.Model(x, LSTM(2)(x)), tmp_path)
    assert runner.signatures["serving_default"]["inputs"] == [in_file]


def test_two_names_that_become_one_are_refused(tmp_path):
    """Else one output would silently be gone."""
    (x,) = inputs("x")
    first, second = LSTM(2, name="a-b")(x), LSTM(3, name="a_b")(x)
    for outputs in ([first, second], {"a b": first, "a_b": second}):
        with pytest.raises(ExportError, match=r"outputs .* would both be 'a_b'"):
            exported(keras.Model(x, outputs), tmp_path)
    a, b = inputs("a-b", "a_b")
    with pytest.raises(ExportError, match="inputs 'a-b' and 'a_b' would both"):
        exported(keras.Model([a, b], L.Add()([LSTM(2)(a), LSTM(2)(b)])), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_model_trained_in_mixed_precision_becomes_a_float32_file(policy, tmp_path):
    """It has float32 weights, and gives what a float32 model of them gives."""

    def build(dtype):
        keras.utils.set_random_seed(0)
        x = keras.Input((None, 3))
        y = L.Bidirectional(LSTM(4, return_sequences=True, dtype=dtype), dtype=dtype)(x)
        return keras.Model(x, RNN(4, dtype=dtype)(y))

    mixed, plain = build(policy), build("float32")
    x = clip(7, 3)
    got = exported(mixed, tmp_path)({"input": x})["output"]
    np.testing.assert_allclose(got, plain(x), atol=1e-6)
    assert {layer.compute_dtype for layer in mixed.layers[1:]} == {policy[6:]}


def test_weights_of_another_precision_are_refused(tmp_path):
    (x,) = inputs("x")
    model = keras.Model(x, LSTM(2, dtype="float64")(x))
    with pytest.raises(ExportError, match=r"weights of float64.*dtype='float32'"):
        exported(model, tmp_path)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_may_hold_anything(bidirectional, tmp_path):
    """Masked steps count for nothing in Keras, not even as 0 times infinity."""
    (x,) = inputs("x")
    mask = keras.Input((None,), dtype="bool", name="mask")
    layer = LSTM(4)
    if bidirectional:
        layer = L.Bidirectional(layer)
    model = shake(keras.Model([x, mask], layer(x, mask=mask)))
    values, valid = clip(6, 3), np.array([[True] * 4 + [False] * 2])
    values[0, 4], values[0, 5] = np.nan, np.inf
    got = exported(model, tmp_path)({"x": values, "mask": valid})["output"]
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got, model([values, valid]), atol=1e-6)


def test_a_stream_remembers_that_a_step_was_unmasked_where_its_state_is_zero(tmp_path):
    """A dead ReLU has the state 0; the output before a masked step is repeated."""
    layer = RNN(2, activation="relu", output_units=1, return_sequences=True)
    (x,) = inputs("x")
    model = keras.Model(x, layer(L.Masking()(x)))
    layer.set_weights(
        [-np.ones((3, 2)), np.eye(2), np.zeros(2), -np.ones((2, 1)), np.full(1, 7.0)]
    )
    runner = exported(model, tmp_path, streaming=True)
    values = np.abs(clip(4, 3))
    values[:, 2:] = 0
    state = {
        name: np.zeros(detail["shape"], detail["dtype"])
        for name, detail in runner.interpreter.get_signature_runner("stream")
        .get_input_details()
        .items()
        if name != "x"
    }
    outputs = []
    for start in (0, 2):
        found = runner({"x": values[:, start : start + 2], **state}, "stream")
        state = {name: found[name] for name in state}
        outputs.append(found["output"].ravel())
    np.testing.assert_array_equal(np.concatenate(outputs), [7, 7, 7, 7])
    np.testing.assert_array_equal(np.asarray(model(values)).ravel(), [7, 7, 7, 7])


@pytest.mark.parametrize("chunk", [6, 30])
def test_a_chunk_that_does_not_fill_a_fixed_length_is_refused(chunk, tmp_path):
    model = model_of(LSTM(4, return_sequences=True), timesteps=20)
    with pytest.raises(ExportError, match=f"chunk={chunk}: .* a divisor"):
        exported(model, tmp_path, streaming=True, chunk=chunk)
    exported(model, tmp_path, streaming=True, chunk=5)


def test_what_has_no_time_is_refused_in_a_stream(tmp_path):
    (x,) = inputs("x")
    context = keras.Input((5,), name="context")
    steps = LSTM(5, return_sequences=True)(x)
    model = keras.Model([x, context], L.Add()([steps, L.Reshape((1, 5))(context)]))
    with pytest.raises(ExportError, match=r"one axis of time.*'context': \[5\]"):
        exported(model, tmp_path, streaming=True)


def test_many_sequences_at_once_are_refused_in_a_tflite_file_alone(tmp_path):
    x = keras.Input((2, 7, 3))
    model = keras.Model(x, L.TimeDistributed(LSTM(4))(x))
    import tensorflow as tf

    folder = seqcore.export_saved_model(model, tmp_path / "saved_model")
    values = clip(14, 3).reshape(1, 2, 7, 3)
    run = tf.saved_model.load(str(folder)).signatures["serving_default"]
    got = run(input=tf.constant(values))["output"]
    np.testing.assert_allclose(got, model(values), atol=1e-6)
    with pytest.raises(ExportError, match=r"many sequences at once.*inner model"):
        exported(model, tmp_path)


@pytest.mark.filterwarnings("error:.*tf.lite.Interpreter is deprecated:UserWarning")
def test_int8_of_a_free_length_calibrated_on_inputs_that_begin_with_silence(tmp_path):
    """The first turns of the loop, by themselves, would have a range of no width,
    and LiteRT ends the process at such a file."""
    x = clip(21, 3)
    x[:, :3] = 0
    model = model_of(RNN(6), features=3)
    data = [x * scale for scale in (0.5, 1.0, 1.5)]
    got = exported(model, tmp_path, quantize="int8", representative_data=data)
    np.testing.assert_allclose(got({"input": x})["output"], model(x), atol=0.08)
    with pytest.raises(ExportError, match="zeros alone"):
        exported(model, tmp_path, quantize="int8", representative_data=[0 * x])


def test_examples_of_too_many_arrays_are_refused(tmp_path):
    with pytest.raises(ExportError, match=r"holds 2 arrays, .* inputs \['input'\]"):
        exported(model_of(LSTM(4)), tmp_path, probe_data=[(clip(5), clip(5))])


def test_an_automatic_name_leaves_a_chosen_one_alone(tmp_path):
    named, plain = keras.Input((None, 3), name="input_0"), keras.Input((None, 3))
    model = keras.Model([plain, named], L.Add()([LSTM(2)(plain), LSTM(2)(named)]))
    runner = exported(model, tmp_path)
    assert set(runner.signatures["serving_default"]["inputs"]) == {"input_0", "input_1"}


def test_examples_by_other_names_than_the_inputs_are_refused(tmp_path):
    data = [{"x": clip(5)}]
    with pytest.raises(ExportError, match=r"holds \['x'\].*inputs are \['input'\]"):
        exported(model_of(LSTM(4)), tmp_path, quantize="int8", representative_data=data)
