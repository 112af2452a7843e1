"""Each model below exports, and agrees with Keras in Interpreter and CompiledModel.

Protects: builtin operators only, no variable tensors in any file for phones or the
web, parity with Keras within the bound documented for each quantisation.
"""

import keras
import numpy as np
import pytest

from seqcore import LSTM, RNN
from tests.export.harness import (
    FEATURES,
    UNITS,
    L,
    check_everywhere,
    clip,
    model_of,
    shake,
)

# Largest difference from Keras, relative to the largest output above 1; the
# documented bounds.
BOUNDS = {"none": 1e-5, "float16": 1e-3, "dynamic": 0.03, "int8": 0.08}


def lstm(**options):
    return LSTM(UNITS, **options)


def rnn(**options):
    return RNN(UNITS, **options)


def bidirectional(layer, **options):
    return L.Bidirectional(layer, **options)


# name: (layers, timesteps of the model, lengths to run, export options)
MATRIX = {
    "lstm last": ([lstm], None, [1, 7, 30], {}),
    "lstm sequence": ([lambda: lstm(return_sequences=True)], None, [1, 7, 30], {}),
    "lstm long sequence": ([lambda: lstm(return_sequences=True)], None, [3, 257], {}),
    "lstm fixed": ([lstm], 12, [12], {}),
    "lstm fixed prime": ([lambda: lstm(return_sequences=True)], 37, [37], {}),
    "lstm fixed long": ([lambda: lstm(return_sequences=True)], 400, [400], {}),
    "lstm short": ([lambda: lstm(return_sequences=True)], 3, [3], {}),
    "lstm one step": ([lstm], 1, [1], {}),
    "lstm backwards": (
        [lambda: lstm(go_backwards=True, return_sequences=True)],
        None,
        [1, 9],
        {},
    ),
    "lstm no bias": ([lambda: lstm(use_bias=False)], None, [5], {}),
    "lstm activations": (
        [lambda: lstm(activation="relu", recurrent_activation="hard_sigmoid")],
        None,
        [5],
        {},
    ),
    "lstm dropout": (
        [lambda: lstm(dropout=0.3, recurrent_dropout=0.2, return_sequences=True)],
        None,
        [6],
        {},
    ),
    "lstm peephole": ([lambda: lstm(peephole=True)], None, [9], {}),
    "lstm projection": (
        [lambda: lstm(projection_units=7, return_sequences=True)],
        None,
        [9],
        {},
    ),
    "lstm layer norm": ([lambda: lstm(layer_norm=True)], None, [9], {}),
    "lstm coupled clipped zoneout": (
        [lambda: lstm(couple_gates=True, cell_clip=0.5, zoneout_cell=0.1)],
        20,
        [20],
        {},
    ),
    "lstm unrolled": (
        [lambda: lstm(return_sequences=True)],
        11,
        [11],
        {"lowering": "unrolled"},
    ),
    "lstm peephole unrolled": (
        [lambda: lstm(peephole=True)],
        11,
        [11],
        {"lowering": "unrolled"},
    ),
    "rnn last": ([rnn], None, [1, 7, 30], {}),
    "rnn sequence": ([lambda: rnn(return_sequences=True)], None, [1, 33], {}),
    "rnn fixed": ([lambda: rnn(return_sequences=True)], 40, [40], {}),
    "rnn relu": ([lambda: rnn(activation="relu")], None, [5], {}),
    "rnn output equation": (
        [lambda: rnn(output_units=5, return_sequences=True)],
        None,
        [6],
        {},
    ),
    "rnn unrolled": ([rnn], 11, [11], {"lowering": "unrolled"}),
    "bidirectional last": ([lambda: bidirectional(lstm())], None, [1, 8], {}),
    "bidirectional sequence": (
        [lambda: bidirectional(lstm(return_sequences=True))],
        None,
        [1, 21],
        {},
    ),
    "bidirectional sum": (
        [lambda: bidirectional(rnn(return_sequences=True), merge_mode="sum")],
        15,
        [15],
        {},
    ),
    "stacked": (
        [lambda: lstm(return_sequences=True), rnn, lambda: L.Dense(3)],
        None,
        [1, 14],
        {},
    ),
    "stacked bidirectional": (
        [
            lambda: bidirectional(lstm(return_sequences=True)),
            lambda: bidirectional(rnn()),
            lambda: L.Dense(3, activation="softmax"),
        ],
        16,
        [16],
        {},
    ),
    "convolution and pooling": (
        [
            lambda: L.Conv1D(9, 3, padding="same", activation="relu"),
            L.BatchNormalization,
            lambda: L.MaxPooling1D(2),
            lstm,
        ],
        None,
        [2, 17],
        {},
    ),
    "time distributed": (
        [lambda: lstm(return_sequences=True), lambda: L.TimeDistributed(L.Dense(3))],
        None,
        [1, 5],
        {},
    ),
    "masking": (
        [L.Masking, lambda: lstm(return_sequences=True), lambda: bidirectional(lstm())],
        None,
        [6],
        {},
    ),
    "fixed by shape": (
        [lambda: lstm(return_sequences=True)],
        None,
        [24],
        {"shape": (1, 24, FEATURES)},
    ),
    "float16 lstm": ([lstm], None, [1, 20], {"quantize": "float16"}),
    "float16 bidirectional": (
        [lambda: bidirectional(rnn(return_sequences=True))],
        12,
        [12],
        {"quantize": "float16"},
    ),
    "dynamic lstm": ([lstm], None, [1, 20], {"quantize": "dynamic"}),
    "dynamic sequence": (
        [lambda: lstm(return_sequences=True), lambda: L.Dense(4)],
        32,
        [32],
        {"quantize": "dynamic"},
    ),
    "dynamic rnn": (
        [lambda: RNN(40, return_sequences=True)],
        None,
        [9],
        {"quantize": "dynamic"},
    ),
    "dynamic unrolled": (
        [lambda: lstm(return_sequences=True)],
        8,
        [8],
        {"quantize": "dynamic", "lowering": "unrolled"},
    ),
    "dynamic bidirectional": (
        [lambda: bidirectional(lstm())],
        None,
        [13],
        {"quantize": "dynamic"},
    ),
    "int8 lstm": ([lstm, lambda: L.Dense(4)], 12, [12], {"quantize": "int8"}),
    "int8 sequence": (
        [lambda: lstm(return_sequences=True)],
        None,
        [12],
        {"quantize": "int8"},
    ),
    "int8 rnn": ([rnn, lambda: L.Dense(4)], 12, [12], {"quantize": "int8"}),
    "int8 unrolled": ([rnn], 6, [6], {"quantize": "int8", "lowering": "unrolled"}),
}


@pytest.mark.parametrize("name", MATRIX)
def test_file_agrees_with_keras_in_every_runtime(name, tmp_path):
    layers, timesteps, lengths, options = MATRIX[name]
    model = model_of(*(make() for make in layers), timesteps=timesteps)
    quantize = options.get("quantize", "none")
    if quantize == "int8":
        calibration = [clip(lengths[0], seed=s) for s in range(30)]
        options = {**options, "representative_data": calibration}
    examples = [{"input": clip(n, seed=n)} for n in lengths]
    if name == "masking":
        examples[0]["input"][:, [0, 1, 3, 5]] = 0
    check_everywhere(
        model, tmp_path / "m.tflite", examples, BOUNDS[quantize], **options
    )


def test_the_matrix_is_as_large_as_promised():
    assert len(MATRIX) >= 40


def test_embedding_with_mask_takes_ids_padded_anywhere(tmp_path):
    keras.utils.set_random_seed(0)
    model = shake(
        keras.Sequential(
            [
                keras.Input((None,), dtype="int32"),
                L.Embedding(30, 10, mask_zero=True),
                lstm(return_sequences=True),
                rnn(),
            ]
        )
    )
    ids = [[[3, 7, 9]], [[0, 4, 5, 0, 0]], [[0, 0]]]
    examples = [{"input": np.array(i, "int32")} for i in ids]
    check_everywhere(model, tmp_path / "m.tflite", examples, 1e-5)


def test_padding_behind_the_sequence_changes_nothing_under_a_mask(tmp_path):
    from seqcore.export.runtime import TFLiteRunner

    model = model_of(L.Masking(), lstm())
    example = {"input": clip(5)}
    content = check_everywhere(model, tmp_path / "m.tflite", [example], 1e-5)
    padded = np.concatenate([example["input"], np.zeros((1, 4, FEATURES), "f")], 1)
    runner = TFLiteRunner(content)
    np.testing.assert_allclose(
        runner({"input": padded})["output"], runner(example)["output"], atol=1e-6
    )


def test_several_named_inputs_and_outputs(tmp_path):
    keras.utils.set_random_seed(0)
    a = keras.Input((None, 6), name="acceleration")
    b = keras.Input((4,), name="person")
    sequence, *state = lstm(return_sequences=True, return_state=True)(a)
    level = L.Dense(1, name="level")(sequence)
    both = L.Dense(3, name="activity")(L.Concatenate()([state[0], b]))
    model = shake(keras.Model([a, b], {"activity": both, "level": level}))
    example = {"acceleration": clip(9, 6), "person": clip(1, 4)[0]}
    check_everywhere(model, tmp_path / "m.tflite", [example], 1e-5)


def test_initial_state_given_by_the_model(tmp_path):
    keras.utils.set_random_seed(0)
    x, h = keras.Input((None, 6)), keras.Input((UNITS,))
    model = shake(keras.Model([x, h], rnn()(x, initial_state=[h])))
    example = {"input_0": clip(7, 6), "input_1": clip(1, UNITS)[0]}
    check_everywhere(model, tmp_path / "m.tflite", [example], 1e-5)


@keras.saving.register_keras_serializable("seqcore_test")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.front = L.Dense(7, activation="relu")
        self.body = L.Bidirectional(LSTM(UNITS))
        self.head = L.Dense(2)

    def call(self, x):
        return self.head(self.body(self.front(x)))


def test_subclassed_model(tmp_path):
    keras.utils.set_random_seed(0)
    model = Subclassed()
    model(clip(3))
    shake(model)
    examples = [{"input": clip(n)} for n in (6, 9)]
    shape = (1, None, FEATURES)
    check_everywhere(model, tmp_path / "m.tflite", examples, 1e-5, shape=shape)


def test_nested_functional_model(tmp_path):
    inner = model_of(lambda_dense(), lstm(return_sequences=True))
    x = keras.Input((None, FEATURES))
    model = keras.Model(x, L.Dense(2)(rnn()(inner(x))))
    check_everywhere(model, tmp_path / "m.tflite", [{"input": clip(6)}], 1e-5)


def lambda_dense():
    return L.Dense(FEATURES, activation="tanh")
