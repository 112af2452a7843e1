"""gradient_flow against one tape over a loop over steps, written out in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import seqcore
from seqcore.inspect import gradient_flow
from seqcore.layers import tensorflow_kernel, tensorflow_loop
from tests.inspect.models import data, make, state_gradients


@pytest.fixture
def interpreted(monkeypatch):
    """The kernel operation by operation: compiling takes seconds a case."""
    monkeypatch.setattr(
        tensorflow_kernel, "compiled", lambda fn, **flags: lambda *a: fn(*a, **flags)
    )


def squares(y, output):
    return tf.square(output - y)


def head(model, y):
    """The mean square as a function of the recurrent layer's output, in float64."""
    kernel, bias = (w.numpy().astype("float64") for w in model.layers[-1].weights)

    def loss(outputs):
        out = tf.tensordot(outputs, kernel, 1) + bias
        return tf.reduce_mean(tf.square(out - y.astype("float64")))

    return loss


@pytest.mark.parametrize(
    "layer, masked",
    [
        (seqcore.LSTM(5), False),
        (seqcore.LSTM(5, return_sequences=True), True),
        (seqcore.RNN(5, return_sequences=True), False),
        (seqcore.RNN(5), True),
        (seqcore.LSTM(5, go_backwards=True), True),
        (seqcore.LSTM(5, go_backwards=True, return_sequences=True), False),
        (seqcore.RNN(5, activation="relu", use_bias=False), False),
        (seqcore.LSTM(5, unroll=True), True),
    ],
    ids=[
        "lstm",
        "lstm-all-masked",
        "rnn-all",
        "rnn-masked",
        "backwards-masked",
        "backwards-all",
        "relu",
        "unrolled-masked",
    ],
)
def test_equals_a_tape_over_the_steps(interpreted, layer, masked):
    model = make(layer, mask=masked)
    x, y = data(model, lengths=[3, 7, 1, 5] if masked else None)
    mask = np.any(x != 0, axis=-1) if masked else None
    flow = gradient_flow(model, x, y, loss=squares)[layer.name]
    want = state_gradients(layer, x, head(model, y), mask)
    np.testing.assert_allclose(flow.h, want[0], atol=1e-6, rtol=1e-5)
    if len(want) > 1:
        np.testing.assert_allclose(flow.c, want[1], atol=1e-6, rtol=1e-5)
    else:
        assert flow.c is None
    assert (flow.mask is None) == (mask is None)
    assert want[0].max() > 1e-3


def test_the_compiled_kernel_is_what_is_measured(monkeypatch):
    """Long, many rows: padded, cut in parts, and through the fast loop."""
    seen = []
    fast = tensorflow_loop.fast_loop

    def counted(*args):
        seen.append(args[0].name)
        return fast(*args)

    monkeypatch.setattr(tensorflow_loop, "fast_loop", counted)
    model = make(seqcore.LSTM(6), steps=None)  # any length: padded
    rng = np.random.default_rng(0)
    x = rng.normal(size=(19, 11, 3)).astype("float32")
    y = rng.normal(size=(19, 2)).astype("float32")
    layer = model.layers[0]
    flow = gradient_flow(model, x, y)[layer.name]
    assert seen == [layer.name]
    want_h, want_c = state_gradients(layer, x, head(model, y))
    np.testing.assert_allclose(flow.h, want_h, atol=1e-6, rtol=1e-5)
    np.testing.assert_allclose(flow.c, want_c, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"peephole": True, "couple_gates": True, "projection_units": 3},
        {"layer_norm": True, "activation": "softsign", "zoneout_cell": 0.2},
    ],
    ids=lambda o: "-".join(o),
)
def test_variants_move_the_loss_as_the_gradient_says(options):
    """A central difference: one step's state nudged, in a loop over the cell."""
    keras.utils.set_random_seed(1)
    layer = seqcore.LSTM(4, **options, dtype="float64")
    model = keras.Sequential([keras.Input((5, 3), dtype="float64"), layer])
    x, y = data(model, batch=1)
    flow = gradient_flow(model, x, y, loss="mse")[layer.name]
    projected = layer.cell.project(tf.constant(x, "float64"))

    def loss(state, step, unit, size):
        states = layer.cell.get_initial_state(1)
        for t in range(5):
            probe = [np.zeros((1, s.shape[-1])) for s in states]
            if t == step:
                probe[state][0, unit] = size
            states, _ = layer.cell.step(projected[:, t], states, probe=probe)
        return float(np.mean((states[0].numpy() - y) ** 2))

    for state, got in ((0, flow.h), (1, flow.c)):
        for step in (1, 3):
            moved = [
                (loss(state, step, u, 1e-4) - loss(state, step, u, -1e-4)) / 2e-4
                for u in range(layer.cell.state_size[state])
            ]
            np.testing.assert_allclose(got[0, step], np.linalg.norm(moved), rtol=1e-4)


@pytest.mark.parametrize("backwards", [False, True])
def test_ends_are_unmasked_steps(interpreted, backwards):
    """The padding behind a sequence has no gradient, and is not its last step."""
    model = make(seqcore.LSTM(3, go_backwards=backwards), mask=True)
    x, y = data(model, lengths=[3, 7, 5, 1])
    (flow,) = gradient_flow(model, x, y).values()
    starts, stops = flow.h[:, 0], flow.h[range(4), [2, 6, 4, 0]]
    first, last = (stops, starts) if backwards else (starts, stops)
    np.testing.assert_allclose(
        flow.ends(), [np.linalg.norm(first), np.linalg.norm(last)], rtol=1e-6
    )
    want = np.exp(np.mean(np.log(first.astype("float64") / last)))
    assert flow.ratio() == pytest.approx(want, rel=1e-6)


def test_several_layers_and_wrappers_are_named(interpreted):
    model = make(
        keras.layers.Bidirectional(seqcore.LSTM(3, return_sequences=True)),
        seqcore.RNN(4),
    )
    x, y = data(model)
    flow = gradient_flow(model, x, y)
    assert [n.rsplit("_", 1)[0] if n[-1].isdigit() else n for n in flow] == [
        "forward_lstm",
        "backward_lstm",
        "simple_rnn",
    ]
    forward, backward, top = flow.values()
    assert not forward.backwards and backward.backwards
    assert forward.h.shape == (4, 7) and top.c is None
    # In layers below, every step gets gradient from the layer above.
    assert (backward.h > 0).all() and (backward.c > 0).all()
