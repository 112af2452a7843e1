"""The text models: padding does not matter, files come back, exports agree."""

import dataclasses

import keras
import numpy as np
import pytest

from apps.core.task import Data, Split
from apps.text import model as models
from apps.text.batches import padded
from apps.text.config import MODELS, TextConfig
from apps.text.task import TextTask, encode

SMALL = TextConfig(features=186, embedding=8, units=6, max_words=30)
TEXTS = ("Where is my card?", "yes", "Моя карта потерялась, помогите мне скорее", "")


def build(name: str) -> keras.Model:
    keras.utils.set_random_seed(3)
    model = models.build(dataclasses.replace(SMALL, model=name), 3)
    model.get_layer("words").adapt([encode(text) for text in TEXTS], 1)
    # Large weights, so that a difference would show.
    for weight in model.trainable_weights:
        weight.assign(weight * 3 + 0.05)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_a_padded_text_scores_as_it_does_alone(name):
    """Training pads; an exported file sees one text without padding."""
    model = build(name)
    alone = np.concatenate([model(encode(text)[None]) for text in TEXTS])
    texts = model.get_layer("words").many([encode(text) for text in TEXTS])
    together = model.get_layer("classifier")(padded(texts, 20))
    np.testing.assert_allclose(together, alone, atol=2e-6)
    longest = max(len(encode(text)) for text in TEXTS)
    data = np.zeros((len(TEXTS), longest), "int32")
    for row, text in enumerate(TEXTS):
        data[row, : len(encode(text))] = encode(text)
    np.testing.assert_allclose(model(data), alone, atol=2e-6)
    np.testing.assert_allclose(alone.sum(1), 1, atol=1e-5)
    assert np.ptp(alone, axis=0).max() > 0.01


def test_saved_and_loaded(tmp_path):
    model = build("clstm")
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    value = encode(TEXTS[2])[None]
    np.testing.assert_allclose(again(value), model(value), atol=1e-6)
    assert again.get_layer("words").get_config()["max_words"] == SMALL.max_words


def test_word_embedding_adds_word_pair_and_mean_of_ngrams():
    layer = models.WordEmbedding(4, 2)
    layer.build((None, None, 4))
    table = np.array([[9, 9], [1, 2], [3, 4], [5, 6], [7, 8]], "float32")
    layer.table.assign(table)
    ids = np.array([[[1, 2, 3, 4], [0, 0, 0, 0]], [[2, 0, 0, 0], [4, 0, 1, 0]]])
    expected = models.GAIN * np.array([[[10, 13], [0, 0]], [[3, 4], [8, 10]]])
    np.testing.assert_allclose(layer(ids), expected, rtol=1e-6)
    np.testing.assert_array_equal(layer.compute_mask(ids), [[1, 0], [1, 1]])
    assert layer.compute_mask(ids[:1]) is None


def test_networks_are_trained_alone_and_answer_together():
    """The file: half the networks' mean log probability, half the linear's."""
    model = build("dense")
    classifier = model.get_layer("classifier")
    linear = classifier.get_layer("linear")
    linear.table.assign(np.random.default_rng(0).normal(size=linear.table.shape))
    experts = models.build_experts(classifier, SMALL.networks)
    ids = model.get_layer("words").many([encode(TEXTS[0])])[0][None]
    logits = keras.ops.convert_to_numpy(experts(ids))
    assert logits.shape == (1, SMALL.networks, 3)
    likely = keras.ops.convert_to_numpy(keras.ops.log_softmax(logits))
    assert np.ptp(likely, axis=1).min() > 1e-3  # networks of different seeds
    other = keras.ops.convert_to_numpy(keras.ops.log_softmax(linear(ids)))
    expected = np.exp((likely.mean(1) + other) / 2)
    expected /= expected.sum()
    np.testing.assert_allclose(classifier(ids), expected, rtol=1e-5)
    loss = models.EachCrossentropy(0.1)
    reference = keras.losses.CategoricalCrossentropy(True, label_smoothing=0.1)
    target = np.array([[0, 1, 0]], "float32")
    each = sum(float(reference(target, logits[:, i])) for i in range(SMALL.networks))
    assert float(loss(target, logits)) == pytest.approx(each, rel=1e-5)
    assert models.EachCrossentropy.from_config(loss.get_config()).label_smoothing == 0.1
    assert experts.trainable_variables == classifier.trainable_variables


@pytest.mark.parametrize("linear", [True, False])
def test_one_network_alone(linear, tmp_path):
    config = dataclasses.replace(SMALL, networks=1, linear=linear)
    model = models.build(config, 3)
    experts = models.build_experts(model.get_layer("classifier"), 1)
    assert experts.output_shape == (None, 1, 3)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    value = encode(TEXTS[0])[None]
    np.testing.assert_allclose(again(value), model(value), atol=1e-6)


@pytest.mark.parametrize("classes", [2, 7, 20, 77, 150])
def test_open_sizes_fit_the_file(classes):
    config = TextConfig()
    features, embedding = models.sizes(config, classes)
    weights = (features + 1) * (1 + config.networks * embedding + classes)
    assert 600_000 < weights <= 1.001 * models.TABLE_WEIGHTS
    assert features % 2
    fixed = TextConfig(features=11, embedding=7)
    assert models.sizes(fixed, classes) == (11, 7)


def test_pooling_leaves_padding_out():
    layer = models.Pooling()
    x = np.array([[[1.0, -5], [3, -7], [100, 100]]], "float32")
    mask = np.array([[True, True, False]])
    np.testing.assert_allclose(layer(x, mask=mask), [[3, -5, 2, -6]])


@pytest.mark.parametrize(("name", "quantize"), [("lstm", "none"), ("clstm", "dynamic")])
def test_exported_file_takes_raw_bytes_of_any_length(name, quantize, tmp_path):
    """Builtin operators only, and what Keras says, on a plain LiteRT runtime."""
    from ai_edge_litert.interpreter import Interpreter

    import seqcore

    model = build(name)
    path = tmp_path / "m.tflite"
    seqcore.export_tflite(model, path, quantize=quantize, verbose=False)
    interpreter = Interpreter(str(path))
    names = {op["op_name"] for op in interpreter._get_ops_details()}
    assert not [n for n in names if n.startswith("Flex") or n == "CUSTOM"], names
    run = interpreter.get_signature_runner()
    (key,) = run.get_input_details()
    for text in (*TEXTS, "a longer message " * 60):
        (found,) = run(**{key: encode(text)[None]}).values()
        expected = model(encode(text)[None])
        tolerance = 1e-4 if quantize == "none" else 0.08
        np.testing.assert_allclose(found, expected, atol=tolerance)


def test_a_file_of_fixed_length_scores_alike(tmp_path):
    """For runtimes that want fixed shapes: zeros behind the text change nothing."""
    import seqcore

    model = build("lstm")
    path = tmp_path / "m.tflite"
    seqcore.export_tflite(model, path, shape=(1, 90), verbose=False)
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(str(path)).get_signature_runner()
    ((key, details),) = run.get_input_details().items()
    assert details["shape_signature"].tolist() == [1, 90]
    for text in TEXTS:
        value = np.pad(encode(text), (0, 90 - len(encode(text))))
        (found,) = run(**{key: value[None]}).values()
        np.testing.assert_allclose(found, model(encode(text)[None]), atol=1e-5)


def test_an_epoch_of_many_classes_goes_through_the_texts_twice():
    assert models.passes(TextConfig(), models.FEW_CLASSES) == 1
    assert models.passes(TextConfig(passes=3), models.FEW_CLASSES) == 3
    classes = models.FEW_CLASSES + 1
    texts = [encode(f"w{i % classes}") for i in range(2 * classes)]
    targets = [i % classes for i in range(2 * classes)]
    split = Split("train", texts, targets, [""] * len(texts))
    task = TextTask(dataclasses.replace(SMALL, model="dense", batch_size=4))
    task.build_model(Data(tuple(map(str, range(classes))), {"train": split}, {}))
    batches = task.training_batches(split)
    seen = sum(batches[i][1].sum(0) for i in range(len(batches)))
    np.testing.assert_array_equal(seen, 4)
