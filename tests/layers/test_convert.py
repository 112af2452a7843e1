"""convert() gives the same model with our layers: outputs, names, settings."""

import keras
import numpy as np
import pytest

import seqcore

L = keras.layers


def functional():
    inputs = keras.Input((None, 4), name="sound")
    inner = keras.Sequential(
        [keras.Input((None, 4)), L.SimpleRNN(3, return_sequences=True)], name="inner"
    )
    h = L.Masking()(inputs)
    h = inner(h)
    h = L.Bidirectional(L.LSTM(5, return_sequences=True), merge_mode="sum")(h)
    h = L.RNN(L.LSTMCell(4), return_sequences=True, name="wrapped")(h)
    h = L.RNN([L.LSTMCell(4), L.SimpleRNNCell(3)])(h)
    return keras.Model(inputs, L.Dense(2, name="answer")(h))


def sequential():
    return keras.Sequential(
        [
            keras.Input((3, 6, 4)),
            L.TimeDistributed(L.LSTM(4, activation="relu", go_backwards=True)),
            L.SimpleRNN(3, dropout=0.1),
        ]
    )


def left(model):
    theirs = (L.LSTM, L.SimpleRNN, L.LSTMCell, L.SimpleRNNCell)
    return [layer for layer in model._flatten_layers() if isinstance(layer, theirs)]


@pytest.mark.parametrize(
    "make, shape", [(functional, (3, 6, 4)), (sequential, (2, 3, 6, 4))]
)
def test_outputs_and_names_are_kept(make, shape):
    model = make()
    assert left(model)
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    converted = seqcore.convert(model)
    assert not left(converted)
    assert left(model), "the given model was changed"
    assert [a.name for a in converted.layers] == [b.name for b in model.layers]
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(converted(x)),
        keras.ops.convert_to_numpy(model(x)),
        atol=1e-6,
    )
    again = seqcore.convert(converted)
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])


def test_a_cell_in_keras_rnn_becomes_the_layer():
    converted = seqcore.convert(functional())
    assert type(converted.get_layer("wrapped")) is seqcore.LSTM


def test_compilation_is_kept():
    model = functional()
    model.compile(keras.optimizers.Adam(0.125), "mae", metrics=["mse"])
    converted = seqcore.convert(model)
    assert float(converted.optimizer.learning_rate) == 0.125
    assert converted.loss == "mae"
    assert not seqcore.convert(sequential()).compiled


def test_losses_and_metrics_of_ones_own_are_kept():
    """Functions and classes that no file could name, as a CTC loss often is."""

    def squares(y, output):
        return keras.ops.mean((y - output) ** 2, axis=-1)

    def farthest(y, output):
        return keras.ops.max(keras.ops.abs(y - output), axis=-1)

    class Most(keras.metrics.MeanMetricWrapper):
        def __init__(self, name="most", **kwargs):
            super().__init__(farthest, name=name, **kwargs)

        def get_config(self):
            return {"name": self.name}

    model = functional()
    model.compile("sgd", squares, metrics=[Most(), squares])
    x = np.random.default_rng(0).normal(size=(3, 6, 4)).astype("float32")
    y = np.zeros((3, 2), "float32")
    want = model.evaluate(x, y, verbose=0, return_dict=True)
    converted = seqcore.convert(model)
    found = converted.evaluate(x, y, verbose=0, return_dict=True)
    assert found == pytest.approx(want, rel=1e-5)
    assert not set(map(id, converted.metrics)) & set(map(id, model.metrics))
    converted.train_on_batch(x, y)
    assert int(model.optimizer.iterations) == 0


def test_what_cannot_be_converted_says_so():
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__(name="own")
            self.lstm = L.LSTM(3)

        def call(self, x):
            return self.lstm(x)

    with pytest.raises(ValueError, match="'own' is a subclassed model"):
        seqcore.convert(Subclassed())
    with pytest.raises(TypeError, match="'text'"):
        seqcore.convert("text")
    with pytest.raises(ValueError, match="no weights yet"):
        seqcore.convert(keras.Sequential([L.LSTM(3)]))
    inputs = keras.Input((5, 2))
    with pytest.raises(ValueError, match=r"cannot reach: lstm\w* \(LSTM\)"):
        seqcore.convert(keras.Model(inputs, Hidden()(inputs)))


@keras.saving.register_keras_serializable("tests")
class Hidden(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.lstm = L.LSTM(3)

    def build(self, shape):
        self.lstm.build(shape)

    def call(self, x):
        return self.lstm(x)
