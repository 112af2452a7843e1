"""The architectures: right shapes, a probability out, clean and equal TFLite."""

import keras
import numpy as np
import pytest

import seqcore
from apps.speech import layers, models
from apps.speech.config import CONFIGS, SpeechConfig

LABELS = 4
GROUPS = [0, 1, 3, 2, 2, 2]
WEIGHTS = [1.0, 1.0, 1.0, 0.2, 0.2, 0.2]
SMALL = {"units": 12, "filters": 4}


def small(name, **settings):
    keras.utils.set_random_seed(0)
    config = SpeechConfig(**{**vars(CONFIGS[name]), **SMALL, **settings})
    return models.build(config, len(GROUPS), GROUPS, WEIGHTS)


@pytest.fixture
def clips():
    rng = np.random.default_rng(0)
    level = 10 ** rng.uniform(-3, -0.5, (6, 1))
    return (level * rng.normal(size=(6, 16_000))).astype("float32")


def test_merge_adds_what_counts_as_one():
    layer = layers.MergeClasses(GROUPS)
    given = np.array([[0.1, 0.2, 0.05, 0.3, 0.25, 0.1]], "float32")
    found = keras.ops.convert_to_numpy(layer(given))
    np.testing.assert_allclose(found, [[0.1, 0.2, 0.65, 0.05]], atol=1e-6)
    same = keras.ops.convert_to_numpy(layer(given, training=True))
    np.testing.assert_array_equal(same, given)


def test_merge_weighs_and_still_sums_to_one():
    layer = layers.MergeClasses(GROUPS, WEIGHTS)
    given = np.array([[0.1, 0.2, 0.05, 0.3, 0.25, 0.1]], "float32")
    found = keras.ops.convert_to_numpy(layer(given))
    # 0.65 * 0.2 = 0.13; all together 0.48.
    expected = np.array([[0.1, 0.2, 0.13, 0.05]]) / 0.48
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_merge_wants_every_label():
    with pytest.raises(ValueError, match="every label"):
        layers.MergeClasses([0, 2])


@pytest.mark.parametrize(("hop_ms", "frames"), [(5, 195), (10, 98), (20, 49)])
def test_frames_of_a_clip(hop_ms, frames):
    model = small("attention", hop_ms=hop_ms)
    assert model.get_layer("log_mel").output.shape == (None, frames, 40)


@pytest.mark.parametrize("name", CONFIGS)
def test_raw_samples_to_probabilities(name, clips):
    model = small(name)
    assert model.input_shape == (None, 16_000)
    assert model.output_shape == (None, LABELS)
    found = model.predict_on_batch(clips)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert (found >= 0).all()


@pytest.mark.parametrize("name", CONFIGS)
def test_training_tells_all_classes_apart(name, clips):
    assert small(name)(clips, training=True).shape == (6, len(GROUPS))


def test_the_bands_end_where_they_are_told(clips):
    """Above 3.8 kHz such a model hears nothing."""
    time = np.arange(16_000) / 16_000
    tones = np.sin(2 * np.pi * time * np.array([[1000.0], [6000.0]]))
    features = keras.Model(
        (model := small("crnn", highest_hertz=3800.0, bands=32)).input,
        model.get_layer("log_mel").output,
    )
    low, high = features.predict_on_batch(tones.astype("float32"))
    assert low.shape[-1] == 32 and low.max() - high.max() > 9


@pytest.mark.parametrize("name", CONFIGS)
def test_tflite_agrees_with_keras(name, clips, tmp_path):
    """Builtin operators alone, under LiteRT, within 1e-4 of Keras."""
    from ai_edge_litert.interpreter import Interpreter

    model = small(name)
    path = tmp_path / "model.tflite"
    seqcore.export_tflite(model, path, quantize="none", verbose=False)
    # The stock resolver knows builtin operators only, and refuses any other.
    interpreter = Interpreter(str(path), num_threads=1)
    runner = interpreter.get_signature_runner()
    ((key, detail),) = runner.get_input_details().items()
    assert detail["dtype"] == np.float32 and list(detail["shape"]) == [1, 16_000]
    expected = model.predict_on_batch(clips)
    for clip, row in zip(clips, expected, strict=True):
        (found,) = runner(**{key: clip[None]}).values()
        np.testing.assert_allclose(found[0], row, atol=1e-4)


@pytest.mark.parametrize("quantize", ["dynamic", "int8"])
def test_quantisation_leaves_the_features_alone(quantize, clips, tmp_path):
    """Eight bits would ruin powers that span eight decades."""
    from ai_edge_litert.interpreter import Interpreter

    model = small("dense", units=64)
    path = tmp_path / "model.tflite"
    seqcore.export_tflite(
        model,
        path,
        quantize=quantize,
        representative_data=[clip[None] for clip in clips],
        probe_data=[clip[None] for clip in clips],
        verbose=False,
    )
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    narrow = [
        detail["name"]
        for detail in interpreter.get_tensor_details()
        if detail["dtype"] == np.int8
    ]
    assert narrow  # the dense layers are 8-bit
    # Its last result, the logarithm, is what the rest may quantise.
    inside = [name for name in narrow if "log_mel" in name and "/Log" not in name]
    assert not inside
    runner = interpreter.get_signature_runner()
    expected = model.predict_on_batch(clips)
    for clip, row in zip(clips, expected, strict=True):
        (found,) = runner(samples=clip[None]).values()
        np.testing.assert_allclose(found[0], row, atol=0.03)


@pytest.mark.parametrize("name", ["crnn", "dense"])
def test_saving_and_loading(name, clips, tmp_path):
    model = small(name)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        again.predict_on_batch(clips), model.predict_on_batch(clips)
    )
