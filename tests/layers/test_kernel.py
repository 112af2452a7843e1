"""The compiled kernel computes what Keras's own layers compute, and its gradient."""

import keras
import numpy as np
import pytest

import seqcore

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="TensorFlow's kernel"
)

PAIRS = {
    "lstm": (seqcore.LSTM, keras.layers.LSTM),
    "rnn": (seqcore.RNN, keras.layers.SimpleRNN),
}


def make_pair(kind, features=3, units=5, **options):
    ours, theirs = PAIRS[kind]
    ours, theirs = ours(units, **options), theirs(units, **options)
    rng = np.random.default_rng(0)
    ours.build((None, None, features))
    theirs.build((None, None, features))
    weights = [rng.normal(size=w.shape) * 0.5 for w in theirs.weights]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    return ours, theirs


def outputs_and_gradients(layer, x, mask, states, how, training):
    """All outputs, and the gradients of a fixed weighting of them."""
    import tensorflow as tf

    def run(x, states, *masks):
        with tf.GradientTape() as tape:
            tape.watch([x, *states])
            out = layer(
                x,
                mask=masks[0] if masks else None,
                initial_state=states,
                training=training,
            )
            out = keras.tree.flatten(out)
            loss = tf.add_n([tf.reduce_sum(o * weighting(o)) for o in out])
        watched = [w.value for w in layer.trainable_weights] + [x, *states]
        return out, tape.gradient(loss, watched)

    def weighting(o):
        return tf.reshape(tf.sin(tf.cast(tf.range(tf.size(o)), o.dtype)), tf.shape(o))

    args = [tf.constant(x), [tf.constant(s) for s in states]]
    if mask is not None:
        args.append(tf.constant(mask))
    if how == "eager":
        return run(*args)
    signature = None
    if how == "dynamic":
        signature = tf.nest.map_structure(
            lambda a: tf.TensorSpec(
                (None, a.shape[-1])
                if len(a.shape) == 2 and a.dtype != tf.bool
                else (None, None, *a.shape[2:]),
                a.dtype,
            ),
            args,
        )
    return tf.function(
        run, jit_compile=how == "jit", input_signature=signature, autograph=False
    )(*args)


@pytest.mark.parametrize(
    "how, masked, training",
    [
        ("graph", False, True),
        ("graph", True, True),
        ("dynamic", True, False),
        ("jit", True, True),
    ],
)
@pytest.mark.parametrize("kind", ["lstm", "rnn"])
def test_equals_keras_with_gradients(kind, masked, training, how):
    rng = np.random.default_rng(1)
    batch, time, features, units = 5, 7, 3, 5
    x = rng.normal(size=(batch, time, features)).astype("float32")
    count = 2 if kind == "lstm" else 1
    states = [rng.normal(size=(batch, units)).astype("float32")] * count
    mask = None
    if masked:
        mask = rng.random((batch, time)) > 0.4
        mask[0], mask[1], mask[2] = False, True, [False, False] + [True] * 5
    for options in (
        {"return_sequences": True, "return_state": True},
        {"return_sequences": False, "go_backwards": True},
    ):
        ours, theirs = make_pair(kind, **options)
        got = outputs_and_gradients(ours, x, mask, states, how, training)
        want = outputs_and_gradients(theirs, x, mask, states, "eager", training)
        for g, w in zip(keras.tree.flatten(got), keras.tree.flatten(want), strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("kind", ["lstm", "rnn"])
def test_a_single_step_of_a_single_row(kind):
    """Where the compiled parts meet empty slices."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(1, 1, 3)).astype("float32")
    states = [rng.normal(size=(1, 5)).astype("float32")] * (2 if kind == "lstm" else 1)
    layer, _ = make_pair(kind)
    got, want = (
        outputs_and_gradients(layer, x, None, states, how, True)
        for how in ("graph", "eager")
    )
    for g, w in zip(keras.tree.flatten(got), keras.tree.flatten(want), strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("kind", ["lstm", "rnn"])
def test_a_persistent_tape_and_a_second_one(kind):
    """Several gradients of one pass, one of them taken while the tape still runs."""
    import tensorflow as tf

    layer, _ = make_pair(kind, return_sequences=True)
    weight = layer.trainable_weights[0].value
    x = np.random.default_rng(1).normal(size=(4, 6, 3)).astype("float32")

    def run(x):
        with tf.GradientTape() as other, tf.GradientTape(persistent=True) as tape:
            other.watch(x)
            tape.watch(x)
            h = layer(x, training=True)
            one, two = tf.reduce_sum(h**2), tf.reduce_sum(tf.sin(h))
            inside = tape.gradient(one, x)
        return inside, tape.gradient(two, [x, weight]), other.gradient(two, x)

    got, want = tf.function(run)(tf.constant(x)), run(tf.constant(x))
    for g, w in zip(*map(keras.tree.flatten, (got, want)), strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("kind", ["lstm", "rnn"])
def test_inside_conditions_and_loops(kind):
    """Where gradients are graphs of their own, and shapes must not be forgotten."""
    import tensorflow as tf

    layer, _ = make_pair(kind, features=3, units=3, return_sequences=True)
    weight = layer.trainable_weights[0].value
    x = tf.constant(np.random.default_rng(1).normal(size=(4, 6, 3)).astype("float32"))

    def run(x, wanted):
        with tf.GradientTape() as tape:
            tape.watch(x)
            h = tf.cond(wanted, lambda: layer(x, training=True), lambda: x)
            _, h = tf.while_loop(
                lambda turn, h: turn < 2,
                lambda turn, h: (turn + 1, layer(h, training=True)),
                (0, h),
            )
            loss = tf.reduce_sum(h**2)
        return h, tape.gradient(loss, [x, weight])

    for wanted in (True, False):
        got = tf.function(run, autograph=False)(x, tf.constant(wanted))
        want = run(x, tf.constant(wanted))
        for g, w in zip(*map(keras.tree.flatten, (got, want)), strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-5)

    shape = []
    tf.function(lambda x: shape.append(layer(x).shape), autograph=False)(x)
    assert shape[0] == (4, 6, 3)


@pytest.mark.parametrize(
    "kind, options",
    [
        ("lstm", {"dropout": 0.4, "implementation": 1}),
        ("lstm", {"dropout": 0.4}),
        ("lstm", {"dropout": 0.3, "recurrent_dropout": 0.3}),
        ("rnn", {"dropout": 0.4}),
    ],
)
def test_dropout_is_the_same_in_graphs(kind, options):
    """The kernel, and TensorFlow's loop for recurrent dropout, against single steps."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4, 6, 3)).astype("float32")
    mask = rng.random((4, 6)) > 0.3
    count = 2 if kind == "lstm" else 1
    states = [rng.normal(size=(4, 5)).astype("float32")] * count
    results = []
    for how in ("eager", "graph"):
        layer, _ = make_pair(kind, seed=7, return_sequences=True, **options)
        results.append(outputs_and_gradients(layer, x, mask, states, how, True))
    for g, w in zip(*map(keras.tree.flatten, results), strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("kind", ["lstm", "rnn"])
def test_stateful_layers_keep_their_state_from_batch_to_batch(kind):
    """In the graphs of predict, with lengths that are padded inside."""
    rng = np.random.default_rng(1)
    batches = [rng.normal(size=(3, t, 2)).astype("float32") for t in (5, 9)]
    outputs = []
    weights = None
    for layer in PAIRS[kind]:
        model = keras.Sequential(
            [
                keras.Input((None, 2), batch_size=3),
                layer(4, stateful=True, return_sequences=True),
            ]
        )
        weights = weights or model.get_weights()
        model.set_weights(weights)
        outputs.append([model.predict(x, batch_size=3, verbose=0) for x in batches])
        model.layers[0].reset_state()
        outputs[-1].append(model.predict(batches[1], batch_size=3, verbose=0))
    for ours, theirs in zip(*outputs, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-6)
    assert np.abs(outputs[0][1] - outputs[0][2]).max() > 1e-3
