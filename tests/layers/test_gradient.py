"""The hand-written gradients against automatic differentiation, on random cases.

The kernels run operation by operation here, not compiled, which would take seconds
a case; that the compiled ones agree is test_kernel.py's business.
"""

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import seqcore

if keras.backend.backend() != "tensorflow":
    pytest.skip("TensorFlow's kernel", allow_module_level=True)

import tensorflow as tf

from seqcore.layers import tensorflow_kernel
from seqcore.layers.tensorflow_lstm import lstm as fast_lstm
from seqcore.layers.tensorflow_rnn import rnn as fast_rnn


@pytest.fixture
def interpreted(monkeypatch):
    monkeypatch.setattr(
        tensorflow_kernel, "compiled", lambda fn, **flags: lambda *a: fn(*a, **flags)
    )


def random(rng, *shape):
    return tf.constant(rng.normal(size=shape).astype("float32"))


def close(got, want):
    for g, w in zip(got, want, strict=True):
        scale = max(1.0, float(tf.reduce_max(tf.abs(w))))
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("kind", ["lstm", "tanh", "sigmoid", "relu", "linear"])
@settings(
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    data=st.data(),
    batch=st.integers(1, 4),
    time=st.integers(1, 6),
    units=st.integers(1, 5),
    sequences=st.booleans(),
    training=st.booleans(),
)
def test_gradient_equals_autodiff(
    interpreted, kind, data, batch, time, units, sequences, training
):
    seed = data.draw(st.integers(0, 2**16))
    masked = data.draw(st.booleans())
    tail = data.draw(st.integers(0, 2))  # buffer rows beyond the steps to run
    rng = np.random.default_rng(seed)
    lstm = kind == "lstm"
    width = units * (4 if lstm else 1)
    # The recurrent kernel; also a kernel; also a bias.
    shapes = [(units, width), (2, width), (width,)]
    weights = [random(rng, *s) * 0.5 for s in shapes[: data.draw(st.integers(1, 3))]]
    x = random(rng, batch, time + tail, width if len(weights) == 1 else 2)
    states = [random(rng, batch, units) for _ in range(2 if lstm else 1)]
    mask = None
    if masked:
        mask = tf.constant(rng.random((batch, time + tail)) > 0.4)
    upstream = [random(rng, batch, time, units), *(random(rng, batch, units),) * 2]

    def by_kernel(x, states, weights):
        flags = {"sequences": sequences, "training": training}
        if not lstm:
            flags["activation"] = kind
        run = fast_lstm if lstm else fast_rnn
        hs, *final = run(x, weights, states, mask, time, **flags)
        return None if hs is None else hs[:, :time], *final

    def by_steps(p, states, weights):
        matrix, *rest = weights
        for term, add in zip(rest, (tf.matmul, tf.add), strict=False):
            p = add(p, term)
        if lstm:
            cell = seqcore.LSTMCell(units)
        else:
            cell = seqcore.RNNCell(units, activation=kind)
        cell.recurrent_kernel = matrix
        states, hs = list(states), []
        for t in range(time):
            new, _ = cell.step(p[:, t], states)
            if masked:
                new = [
                    tf.where(mask[:, t, None], n, o)
                    for n, o in zip(new, states, strict=True)
                ]
            states = new
            hs.append(states[0])
        return tf.stack(hs, axis=1) if sequences else None, *states

    results = []
    for run in (by_kernel, by_steps):
        inputs = [x, states, weights]
        with tf.GradientTape() as tape:
            tape.watch(tf.nest.flatten(inputs))
            out = run(*inputs)
            loss = tf.add_n(
                [
                    tf.reduce_sum(o * u)
                    for o, u in zip(out, upstream, strict=False)
                    if o is not None
                ]
            )
        results.append((out, tape.gradient(loss, tf.nest.flatten(inputs))))
    (out, grads), (want_out, want_grads) = results
    close([o for o in out if o is not None], [o for o in want_out if o is not None])
    close(grads, want_grads)


@settings(max_examples=4)
@given(data=st.data())
def test_variants_have_the_same_gradient_in_a_loop_and_in_single_steps(data):
    """What the kernel does not compute: TensorFlow's loop against its eager steps."""
    draw = data.draw
    options = {
        "peephole": draw(st.booleans()),
        "layer_norm": draw(st.booleans()),
        "couple_gates": draw(st.booleans()),
        "projection_units": draw(st.none() | st.integers(1, 3)),
        "cell_clip": draw(st.none() | st.floats(0.2, 1.0)),
        "zoneout_cell": draw(st.sampled_from([0.0, 0.3])),
        "zoneout_output": draw(st.sampled_from([0.0, 0.2])),
        "dropout": draw(st.sampled_from([0.0, 0.3])),
        "recurrent_dropout": draw(st.sampled_from([0.0, 0.3])),
        "activation": draw(st.sampled_from(["tanh", "softsign"])),
        "go_backwards": draw(st.booleans()),
    }
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 5)), 2)
    mask = tf.constant(rng.random(shape[:2]) > 0.3) if draw(st.booleans()) else None
    x = random(rng, *shape)
    layer = seqcore.LSTM(draw(st.integers(2, 4)), return_sequences=True, **options)
    layer.build(shape)
    values = [0.5 * rng.normal(size=w.shape) for w in layer.trainable_weights]
    weights = [w.value for w in layer.trainable_weights]
    noise = layer.cell.seed_generator.state
    start = noise.numpy()

    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            out = layer(x, mask=mask, training=True)
            loss = tf.reduce_sum(out * tf.cos(tf.range(out.shape[-1], dtype=x.dtype)))
        return out, tape.gradient(loss, [x, *weights])

    results = []
    for how in (run, tf.function(run, autograph=False)):
        for w, v in zip(layer.trainable_weights, values, strict=True):
            w.assign(v)
        noise.assign(start)
        results.append(how(x))
    for got, want in zip(*map(tf.nest.flatten, results), strict=True):
        close([got], [want])


def test_second_order_is_refused_by_the_kernel_and_right_without():
    x = np.random.default_rng(0).normal(size=(2, 3, 2)).astype("float32")

    def second(layer, x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.reduce_sum(layer(x) ** 2)
            first = tf.reduce_sum(inner.gradient(y, x) ** 2)
        return outer.gradient(first, x)

    layer = seqcore.LSTM(3)
    layer.build(x.shape)
    with pytest.raises(NotImplementedError, match="unroll=True"):
        tf.function(second)(layer, tf.constant(x))
    unrolled = seqcore.LSTM(3, unroll=True)
    unrolled.build(x.shape)
    unrolled.set_weights(layer.get_weights())
    want = second(layer, tf.constant(x))
    got = tf.function(second)(unrolled, tf.constant(x))
    assert float(tf.reduce_max(tf.abs(want))) > 1e-3
    np.testing.assert_allclose(got, want, atol=1e-6)
