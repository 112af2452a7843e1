"""Padding never changes an answer, the loss is CTC, and streams stay causal."""

import dataclasses
import itertools

import keras
import numpy as np
import pytest
from keras import ops

from apps.handwriting import models, writer
from apps.handwriting.config import CONFIGS
from apps.handwriting.ctc import CTC, NO_LABEL, pad_targets
from apps.handwriting.decoding import from_indices, greedy
from apps.handwriting.features import pad_points
from apps.handwriting.layers import (
    CharacterScores,
    GreedyTranscript,
    MeanAndMax,
    PenConv1D,
)
from apps.handwriting.task import make_task

SMALL = {"units": 6, "filters": 8, "layers": 2}
LABELS = "abcdef"


def sample(text, seed):
    rng = np.random.default_rng(seed)
    return writer.write(text, writer.draw_hand(rng), rng).points()


INKS = [sample(w, i) for i, w in enumerate(["ton", "i", "quick"])]


def small(name):
    return dataclasses.replace(CONFIGS[name], **SMALL)


def call(model, points):
    """Eagerly: nothing is compiled for the few inputs of a test."""
    return keras.tree.map_structure(ops.convert_to_numpy, model(points, training=False))


BUILT = {
    "transcribe": lambda: models.transcriber(small("words"), len(LABELS)),
    "picture": lambda: models.transcriber(small("strings"), len(LABELS)),
    "stream": lambda: models.streamer(small("stream"), len(LABELS)),
}


@pytest.mark.parametrize("name", BUILT)
def test_transcribers_ignore_padding(name):
    keras.utils.set_random_seed(0)
    model = BUILT[name]()
    together = call(model, pad_points(INKS))
    for row, points in enumerate(INKS):
        alone = call(model, points[None])
        steps = alone["scores"].shape[1]
        scores = together["scores"][row]
        np.testing.assert_allclose(scores[:steps], alone["scores"][0], atol=1e-3)
        # Behind the ink, blank is certain.
        np.testing.assert_array_equal(scores[steps:, -1], 0)
        assert greedy(scores, LABELS) == greedy(alone["scores"][0], LABELS)
        indices = together["transcript"][row].reshape(-1)
        assert from_indices(indices, LABELS) == greedy(scores, LABELS)


def test_classifier_ignores_padding():
    keras.utils.set_random_seed(0)
    model = models.classifier(small("digits"), 5)
    together = call(model, pad_points(INKS))
    for row, points in enumerate(INKS):
        alone = call(model, points[None])[0]
        np.testing.assert_allclose(together[row], alone, atol=1e-4)
        assert alone.sum() == pytest.approx(1, abs=1e-5)


def test_a_stream_never_takes_anything_back():
    """What is read from the ink so far stays when more is written."""
    keras.utils.set_random_seed(0)
    model = BUILT["stream"]()
    whole = call(model, INKS[2][None])["scores"][0]
    for count in (9, 20, len(INKS[2]) - 3):
        part = call(model, INKS[2][None, :count])["scores"][0]
        np.testing.assert_allclose(part, whole[: len(part)], atol=1e-4)


def test_a_streamed_file_reads_what_the_whole_ink_reads(tmp_path):
    """Points in uneven chunks through the `stream` signature, states by name."""
    from ai_edge_litert.interpreter import Interpreter

    import seqcore

    keras.utils.set_random_seed(0)
    model = BUILT["stream"]()
    points = INKS[2]
    path = tmp_path / "stream.tflite"
    seqcore.export_tflite(
        model, path, streaming=True, probe_data=[points[None]], verbose=False
    )
    whole = call(model, points[None])
    runner = Interpreter(model_path=str(path)).get_signature_runner("stream")
    states = {
        name: np.zeros(detail["shape"], detail["dtype"])
        for name, detail in runner.get_input_details().items()
        if name != "points"
    }
    scores, transcript = [], []
    start = 0
    for size in [1, 1, 7, 2, 30, len(points)]:
        chunk = points[None, start : start + size]
        start += size
        found = runner(points=chunk, **states)
        states = {name: found[name] for name in states}
        scores.append(found["scores"][:, : found["scores_steps"][0]])
        transcript.append(found["transcript"][:, : found["transcript_steps"][0]])
    np.testing.assert_allclose(
        np.concatenate(scores, axis=1), whole["scores"], atol=1e-4
    )
    np.testing.assert_array_equal(
        np.concatenate(transcript, axis=1), whole["transcript"]
    )


@pytest.mark.parametrize("name", ["words", "strings"])
def test_a_file_of_fixed_length_reads_what_the_model_reads(name, tmp_path):
    """Padding up to the length changes nothing: web runtimes want fixed shapes."""
    from ai_edge_litert.interpreter import Interpreter

    import seqcore

    keras.utils.set_random_seed(0)
    config = dataclasses.replace(small(name), length=160)
    model = models.transcriber(config, len(LABELS))
    whole = [call(model, points[None]) for points in INKS]
    path = tmp_path / "fixed.tflite"
    shape = make_task(config).fixed_shape(model)
    assert shape == (1, 160, 4)
    probe = [pad_points(INKS[:1], 160)]
    seqcore.export_tflite(model, path, shape=shape, probe_data=probe, verbose=False)
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    # Nothing in it has a free size.
    assert all((d["shape"] > 0).all() for d in interpreter.get_tensor_details())
    runner = interpreter.get_signature_runner("serving_default")
    for points, want in zip(INKS, whole, strict=True):
        found = runner(points=pad_points([points], 160))
        steps = want["scores"].shape[1]
        scores = found["scores"][:, :steps]
        np.testing.assert_allclose(scores, want["scores"], atol=1e-3)
        transcript = found["transcript"][:, :steps]
        np.testing.assert_array_equal(transcript, want["transcript"])
        assert (found["transcript"][:, steps:] == -1).all()


@pytest.mark.parametrize("steps", [4, 5, 6, 7])
def test_convolution_is_centred_whatever_the_length(steps):
    layer = PenConv1D(1, 3, strides=2, use_bias=False)
    layer.build((None, None, 1))
    layer.kernel.assign(np.array([1.0, 10, 100]).reshape(3, 1, 1))
    x = np.arange(1.0, steps + 1)
    got = ops.convert_to_numpy(layer(x[None, :, None]))[0, :, 0]
    padded = np.concatenate([[0], x, [0, 0]])
    want = [padded[i : i + 3] @ [1, 10, 100] for i in range(0, steps, 2)]
    np.testing.assert_allclose(got, want)
    assert layer.compute_output_shape((2, steps, 1)) == (2, len(want), 1)


def test_convolution_does_not_see_masked_steps():
    layer = PenConv1D(2, 5)
    x = np.random.default_rng(0).standard_normal((1, 6, 3)).astype("float32")
    alone = ops.convert_to_numpy(layer(x[:, :4]))
    mask = np.array([[True] * 4 + [False] * 2])
    together = ops.convert_to_numpy(layer(x, mask=mask))
    np.testing.assert_allclose(together[:, :4], alone, atol=1e-6)


def test_pooling_does_not_see_masked_steps():
    x = np.array([[[1.0, -5], [3, -7], [9, 9]]], "float32")
    mask = np.array([[True, True, False]])
    got = ops.convert_to_numpy(MeanAndMax()(x, mask=mask))
    np.testing.assert_allclose(got, [[2, -6, 3, -5]])


def brute_force(log_probabilities, target):
    """-log of the summed probability of all paths that spell `target`."""
    steps, columns = log_probabilities.shape
    total = -np.inf
    for path in itertools.product(range(columns), repeat=steps):
        kept = [c for i, c in enumerate(path) if i == 0 or path[i - 1] != c]
        if [c for c in kept if c < columns - 1] == list(target):
            score = sum(log_probabilities[t, c] for t, c in enumerate(path))
            total = np.logaddexp(total, score)
    return -total


@pytest.mark.parametrize("target", [[0], [0, 1], [1, 1], []])
def test_loss_is_the_sum_over_alignments(target):
    logits = np.random.default_rng(3).standard_normal((1, 5, 3)).astype("float32")
    scores = ops.convert_to_numpy(CharacterScores()(logits))
    loss = CTC()(pad_targets([target], 3), scores)
    expected = brute_force(scores[0].astype("float64"), target)
    assert float(loss) == pytest.approx(expected, rel=1e-4)


def test_loss_does_not_see_padded_steps():
    logits = np.random.default_rng(3).standard_normal((1, 7, 3)).astype("float32")
    mask = np.array([[True] * 4 + [False] * 3])
    padded = CharacterScores()(logits, mask=mask)
    short = CharacterScores()(logits[:, :4])
    target = pad_targets([[0, 1]], 4)
    assert float(CTC()(target, padded)) == pytest.approx(float(CTC()(target, short)))


def test_ink_too_short_for_its_text_has_no_loss():
    logits = np.zeros((2, 3, 3), "float32")
    target = pad_targets([[0, 0, 1], [0]], 3)  # "aab" needs four steps
    loss = ops.convert_to_numpy(
        CTC(reduction="none")(target, CharacterScores()(logits))
    )
    assert loss[0] == 0
    assert loss[1] > 0


def test_steps_that_fill_up_do_not_make_an_ink_long_enough():
    """A training fills batches up; an infinite loss would end it."""
    logits = np.zeros((2, 7, 3), "float32")
    logits[1, 0] = [-30, -30, 0]  # certain of the blank, and a step all the same
    mask = np.arange(7) < np.array([[3], [4]])
    scores = CharacterScores()(logits, mask=mask)
    target = pad_targets([[0, 0, 1], [0, 1, 0]], 3)  # "aab" needs four steps
    loss = ops.convert_to_numpy(CTC(reduction="none")(target, scores))
    assert loss[0] == 0
    alone = brute_force(
        ops.convert_to_numpy(scores)[1, :4].astype("float64"), [0, 1, 0]
    )
    assert loss[1] == pytest.approx(alone, rel=1e-4)
    assert np.isfinite(loss).all()


def test_targets_are_filled_up():
    assert pad_targets([[2], [0, 1]], 3).tolist() == [
        [2, NO_LABEL, NO_LABEL],
        [0, 1, NO_LABEL],
    ]


def test_greedy_transcript_literally():
    best = [0, 0, 3, 0, 1, 3, 2]
    got = GreedyTranscript()(np.eye(4, dtype="float32")[best][None])
    assert ops.convert_to_numpy(got).tolist() == [[0, -1, -1, 0, 1, -1, 2]]


@pytest.mark.parametrize("name", ["transcribe", "picture"])
def test_saved_and_loaded_without_custom_objects(name, tmp_path):
    model = BUILT[name]()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    one = call(model, INKS[0][None])
    other = call(again, INKS[0][None])
    np.testing.assert_allclose(other["scores"], one["scores"], atol=1e-6)
