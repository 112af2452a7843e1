"""What a user of keras.layers.LSTM and SimpleRNN relies on, under every backend."""

import inspect

import keras
import numpy as np
import pytest

import seqcore

PAIRS = [(seqcore.LSTM, keras.layers.LSTM), (seqcore.RNN, keras.layers.SimpleRNN)]
CELLS = [
    (seqcore.LSTMCell, keras.layers.LSTMCell),
    (seqcore.RNNCell, keras.layers.SimpleRNNCell),
]


def sample(batch=4, time=6, features=3):
    """A batch and its mask."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, time, features)).astype("float32")
    mask = rng.random((batch, time)) > 0.3
    mask[0], mask[1], mask[2, :2] = True, False, False
    return x, mask


def same(a, b, atol=1e-6):
    a, b = keras.tree.flatten(a), keras.tree.flatten(b)
    assert len(a) == len(b)
    for p, q in zip(a, b, strict=True):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(p),
            keras.ops.convert_to_numpy(q),
            rtol=1e-6,
            atol=atol,
        )


def share_weights(a, b, x):
    """Builds both, and gives the weights of `b` to `a`."""
    a.build(x.shape)
    b.build(x.shape)
    a.set_weights(b.get_weights())


@pytest.mark.parametrize("ours, theirs", PAIRS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_sequences": True, "return_state": True},
        {"return_sequences": True, "zero_output_for_mask": True},
        {"go_backwards": True, "return_sequences": True},
        {"unroll": True, "return_state": True, "use_bias": False},
        {"activation": "relu", "bias_initializer": "ones"},
    ],
    ids=lambda o: "+".join(o),
)
def test_equals_keras(ours, theirs, options):
    x, mask = sample()
    # Keras's own unrolled loop cannot take a mask under torch.
    a, b = ours(5, **options), theirs(5, **{**options, "unroll": False})
    b.build(x.shape)
    a.build(x.shape)
    assert [(w.name, w.shape) for w in a.weights] == [
        (w.name, w.shape) for w in b.weights
    ]
    a.set_weights(b.get_weights())
    for m in (None, mask):
        same(a(x, mask=m), b(x, mask=m))
    if not options.get("go_backwards"):
        a, b = keras.layers.Bidirectional(a), keras.layers.Bidirectional(b)
        share_weights(a, b, x)
        same(a(x, mask=mask), b(x, mask=mask))


def tanh(z):
    """A user's own, which only bears the name of Keras's."""
    return keras.ops.tanh(2 * z)


class Gentle:
    """Callable, and Keras cannot serialise it."""

    def __call__(self, z):
        return keras.ops.tanh(0.5 * z)


@pytest.mark.parametrize("ours, theirs", PAIRS)
@pytest.mark.parametrize("activation", [tanh, Gentle()], ids=["function", "callable"])
def test_a_users_activation_is_used_in_every_loop(ours, theirs, activation):
    """In `predict`, where Keras's own tanh would run by the compiled kernel."""
    x, _ = sample()
    a, b = ours(5, activation=activation), theirs(5, activation=activation)
    share_weights(a, b, x)
    want = b(x)
    same(a(x), want)
    model = keras.Sequential([keras.Input(x.shape[1:]), a])
    same(model.predict(x, verbose=0), want)


@pytest.mark.parametrize("ours, theirs", PAIRS + CELLS)
def test_arguments_are_keras_arguments(ours, theirs):
    """Names, order and defaults; what is added comes after them."""
    mine = inspect.signature(ours.__init__).parameters
    want = inspect.signature(theirs.__init__).parameters
    assert {n: p.default for n, p in want.items()}.items() <= {
        n: p.default for n, p in mine.items()
    }.items()
    positional = [n for n, p in want.items() if p.kind == p.POSITIONAL_OR_KEYWORD]
    assert list(mine)[: len(positional)] == positional


@pytest.mark.parametrize("ours, theirs", PAIRS)
def test_regularisers_and_constraints_act(ours, theirs):
    x, _ = sample()
    options = {f"{w}_regularizer": "l2" for w in ("kernel", "recurrent", "bias")}
    options |= {
        "bias_initializer": "ones",
        "recurrent_constraint": keras.constraints.MaxNorm(0.1),
    }
    if theirs is keras.layers.LSTM:  # Keras's SimpleRNN forgets it.
        options["activity_regularizer"] = "l1"
    a, b = ours(5, **options), theirs(5, **options)
    share_weights(a, b, x)
    a(x), b(x)
    assert len(a.losses) >= 3
    same(sorted(map(float, a.losses)), sorted(map(float, b.losses)), atol=1e-5)
    model = keras.Sequential([keras.Input(x.shape[1:]), a])
    model.compile("sgd", "mse")
    model.train_on_batch(x, np.zeros((len(x), 5)))
    norms = np.linalg.norm(a.cell.recurrent_kernel.numpy(), axis=0)
    assert norms.max() < 0.1001


@pytest.mark.parametrize("ours, theirs", PAIRS)
def test_initial_weights_are_keras_weights(ours, theirs):
    options = {"kernel_initializer": keras.initializers.GlorotUniform(7)}
    options["recurrent_initializer"] = keras.initializers.Orthogonal(8)
    a, b = ours(5, **options), theirs(5, **options)
    a.build((None, None, 3))
    b.build((None, None, 3))
    same(a.get_weights(), b.get_weights(), atol=0)


@pytest.mark.parametrize("ours, theirs", PAIRS)
@pytest.mark.parametrize("rates", [(0.4, 0.0), (0.0, 0.4), (0.3, 0.3)])
def test_dropout_draws_as_keras_does(ours, theirs, rates):
    x, _ = sample()
    options = {"dropout": rates[0], "recurrent_dropout": rates[1], "seed": 5}
    a, b = ours(5, **options), theirs(5, **options)
    share_weights(a, b, x)
    same(a(x, training=True), b(x, training=True))
    same(a(x), b(x))


@pytest.mark.parametrize("ours, theirs", CELLS)
def test_cells_in_keras_wrappers(ours, theirs):
    x, mask = sample()
    for build in (lambda c: c(4), lambda c: [c(4), c(3)]):
        a = keras.layers.RNN(build(ours), return_sequences=True)
        b = keras.layers.RNN(build(theirs), return_sequences=True)
        share_weights(a, b, x)
        same(a(x, mask=mask), b(x, mask=mask))


@pytest.mark.parametrize("ours, theirs", PAIRS)
def test_stateful_and_initial_state(ours, theirs):
    x, _ = sample()
    a, b = ours(5, stateful=True), theirs(5, stateful=True)
    share_weights(a, b, x)
    first = a(x)
    same(first, b(x))
    same(a(x), b(x))
    a.reset_state()
    same(a(x), first)


@pytest.mark.parametrize("ours, theirs", PAIRS)
def test_configuration_goes_both_ways_and_saves(ours, theirs, tmp_path):
    options = {
        "units": 4,
        "kernel_regularizer": "l2",
        "recurrent_constraint": "unit_norm",
        "dropout": 0.1,
        "return_sequences": True,
    }
    a = ours.from_config(theirs(**options).get_config())
    assert a.get_config()["kernel_regularizer"]["class_name"] == "L2"
    assert ours.from_config(a.get_config()).get_config() == a.get_config()
    x, _ = sample()
    model = keras.Sequential([keras.Input((None, 3)), a])
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert type(loaded.layers[0]) is ours
    same(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_weight_files_are_interchangeable_with_keras(tmp_path):
    """Alone, repeated, wrapped, and as cells, each filed under another path."""
    x, _ = sample()

    def model(lstm, rnn, lstm_cell, rnn_cell):
        cells = keras.layers.RNN([rnn_cell(4), lstm_cell(3)], return_sequences=True)
        return keras.Sequential(
            [
                keras.Input((None, 3)),
                rnn(4, return_sequences=True),
                keras.layers.Bidirectional(lstm(4, return_sequences=True)),
                keras.layers.Bidirectional(rnn(3, return_sequences=True)),
                cells,
                lstm(2, return_sequences=True),
                rnn(5),
            ]
        )

    a = model(*(ours for ours, _ in PAIRS + CELLS))
    b = model(*(theirs for _, theirs in PAIRS + CELLS))
    b.save_weights(tmp_path / "theirs.weights.h5")
    a.load_weights(tmp_path / "theirs.weights.h5")
    same(a.predict(x, verbose=0), b.predict(x, verbose=0))
    a.set_weights([w / 2 for w in a.get_weights()])
    a.save_weights(tmp_path / "ours.weights.h5")
    b.load_weights(tmp_path / "ours.weights.h5")
    same(a.predict(x, verbose=0), b.predict(x, verbose=0))


@pytest.mark.parametrize("ours, theirs", PAIRS)
def test_follows_keras_loss_for_100_steps(ours, theirs):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(320, 8, 3)).astype("float32")
    y = x[:, :, 0].sum(1, keepdims=True)
    curves = []
    weights = None
    for layer in (ours, theirs):
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.Input((8, 3)), layer(6), keras.layers.Dense(1)])
        weights = weights or model.get_weights()
        model.set_weights(weights)
        model.compile(keras.optimizers.Adam(0.01), "mse")
        history = model.fit(x, y, batch_size=32, epochs=10, shuffle=False, verbose=0)
        curves.append(history.history["loss"])
    np.testing.assert_allclose(*curves, rtol=1e-3)
    assert curves[0][-1] < 0.7 * curves[0][0]


def test_mixed_precision():
    x, mask = sample()
    for ours, theirs in PAIRS:
        a = ours(5, dtype="mixed_bfloat16", return_sequences=True)
        b = theirs(5, return_sequences=True)
        share_weights(a, b, x)
        out = a(x, mask=mask)
        assert keras.backend.standardize_dtype(out.dtype) == "bfloat16"
        same(keras.ops.cast(out, "float32"), b(x, mask=mask), atol=0.05)
        model = keras.Sequential([keras.Input((None, 3)), a])
        assert model.predict(x, verbose=0).dtype.itemsize == 2


@pytest.mark.parametrize(
    "ours, policy",
    [(seqcore.LSTM, "mixed_bfloat16"), (seqcore.RNN, "mixed_float16")],
)
def test_training_in_mixed_precision_follows_float32(ours, policy):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 8, 3)).astype("float32")
    y = x[:, :, 0].sum(1, keepdims=True) / 3
    curves = []
    for dtype in ("float32", policy):
        keras.utils.set_random_seed(3)
        layer = ours(8, dtype=dtype)
        model = keras.Sequential(
            [keras.Input((8, 3)), keras.layers.Masking(), layer, keras.layers.Dense(1)]
        )
        optimizer = keras.optimizers.Adam(0.01)
        if dtype == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        model.compile(optimizer, "mse")
        history = model.fit(x, y, batch_size=32, epochs=8, shuffle=False, verbose=0)
        curves.append(history.history["loss"])
        assert {w.dtype for w in layer.trainable_weights} == {"float32"}
    np.testing.assert_allclose(*curves, rtol=0.03)
    assert curves[0][-1] < 0.7 * curves[0][0]


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: seqcore.LSTM(0), "`units`.*got 0"),
        (lambda: seqcore.RNNCell(-3), "`units`.*got -3"),
        (lambda: seqcore.LSTM(2.5), "`units`.*got 2.5"),
        (lambda: seqcore.LSTM(2, dropout=1.5), "`dropout`.*got 1.5"),
        (lambda: seqcore.LSTM(2, zoneout_cell=-0.1), "`zoneout_cell`.*got -0.1"),
        (lambda: seqcore.LSTM(2, cell_clip=0), "`cell_clip`.*got 0"),
        (lambda: seqcore.LSTM(2, cell_clip="1"), "`cell_clip`.*got '1'"),
        (lambda: seqcore.LSTM(2, projection_units=0), "`projection_units`.*got 0"),
        (lambda: seqcore.RNN(2, output_units="x"), "`output_units`.*got 'x'"),
        (lambda: seqcore.LSTM(2, implementation=3), "`implementation`.*got 3"),
        (lambda: seqcore.LSTM(2, use_cudnn="yes"), "`use_cudnn`.*got 'yes'"),
        (lambda: seqcore.LSTM(2, use_cudnn=True)(np.zeros((1, 2, 3))), "no cuDNN"),
        (lambda: seqcore.LSTM(2)(np.zeros((4, 3))), "expected ndim=3"),
        (
            lambda: seqcore.LSTM(2)(
                np.zeros((4, 3, 2)), initial_state=[np.zeros((4, 3))] * 2
            ),
            r"shape\(s\) \[\(4, 2\), \(4, 2\)\]. Received: \[\(4, 3\)",
        ),
        (
            lambda: seqcore.LSTM(2)(
                np.zeros((4, 3, 2)), initial_state=np.zeros((4, 2))
            ),
            r"takes 2 initial state",
        ),
        (lambda: seqcore.RNN(2)(np.zeros((4, 0, 3))), r"one time step.*\(4, 0, 3\)"),
        (
            lambda: seqcore.LSTM(2)(np.zeros((4, 3, 2)), mask=np.ones((4, 5), bool)),
            r"mask of shape \(batch, time\), here \(4, 3\). Received: \(4, 5\)",
        ),
        (
            lambda: seqcore.RNN(2)(np.zeros((4, 3, 2)), mask=np.ones((4, 3, 1), bool)),
            r"here \(4, 3\). Received: \(4, 3, 1\)",
        ),
        (
            lambda: seqcore.LSTM(2, unroll=True)(np.zeros((4, 3))[:, :, None, None]),
            "expected ndim=3, found ndim=4",
        ),
        (
            lambda: seqcore.RNN(2, stateful=True)(keras.Input((3, 2))),
            "batch size must be static",
        ),
    ],
)
def test_errors_quote_the_value(make, message):
    with pytest.raises(ValueError, match=message):
        make()
