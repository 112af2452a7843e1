"""LSTM variants and the RNN's output equation against float64 NumPy loops.

The references are written from the papers, one gate at a time, and share no code
with the layers.
"""

import keras
import numpy as np
import pytest

import seqcore

to_numpy = keras.ops.convert_to_numpy
UNITS, FEATURES, BATCH, TIME = 4, 3, 3, 6


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def layer_norm(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def reference_lstm(x, weights, mask, options):
    """One sequence at a time, one gate at a time, in float64."""
    w = {name: np.asarray(value, "float64") for name, value in weights.items()}
    coupled = options.get("couple_gates", False)
    names = ["f", "g", "o"] if coupled else ["i", "f", "g", "o"]
    clip = options.get("cell_clip")
    size = options.get("projection_units") or UNITS
    outputs = np.zeros((len(x), TIME, size))
    for b in range(len(x)):
        h, c = np.zeros(size), np.zeros(UNITS)
        started = False
        for t in range(TIME):
            if mask is None or mask[b, t]:
                a = x[b, t] @ w["kernel"]
                r = h @ w["recurrent_kernel"]
                if options.get("layer_norm"):
                    a = layer_norm(a) * w["kernel_gain"]
                    r = layer_norm(r) * w["recurrent_gain"]
                z = a + r + w["bias"]
                z = {n: z[k * UNITS : (k + 1) * UNITS] for k, n in enumerate(names)}
                if options.get("peephole"):
                    peep = dict(
                        zip(
                            [n for n in names if n != "g"],
                            w["peephole_kernel"],
                            strict=True,
                        )
                    )
                    if not coupled:
                        z["i"] = z["i"] + peep["i"] * c
                    z["f"] = z["f"] + peep["f"] * c
                f = sigmoid(z["f"])
                i = 1 - f if coupled else sigmoid(z["i"])
                new_c = f * c + i * np.tanh(z["g"])
                if clip:
                    new_c = np.clip(new_c, -clip, clip)
                if options.get("peephole"):
                    z["o"] = z["o"] + peep["o"] * new_c
                read = new_c
                if options.get("layer_norm"):
                    read = layer_norm(new_c) * w["cell_gain"] + w["cell_offset"]
                new_h = sigmoid(z["o"]) * np.tanh(read)
                if options.get("projection_units"):
                    new_h = new_h @ w["projection_kernel"]
                # Zoneout at inference: the expectation of its random choice.
                zc = options.get("zoneout_cell", 0.0)
                zh = options.get("zoneout_output", 0.0)
                c = zc * c + (1 - zc) * new_c
                h = zh * h + (1 - zh) * new_h
                started = True
            outputs[b, t] = h if started else 0
    return outputs


VARIANTS = [
    {"peephole": True},
    {"projection_units": 2},
    {"layer_norm": True},
    {"couple_gates": True},
    {"zoneout_cell": 0.2, "zoneout_output": 0.1},
    {"cell_clip": 0.2},
    {
        "peephole": True,
        "projection_units": 2,
        "layer_norm": True,
        "couple_gates": True,
        "zoneout_cell": 0.3,
        "cell_clip": 0.5,
    },
]


def randomised(layer):
    rng = np.random.default_rng(0)
    layer.build((None, None, FEATURES))
    layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])
    return layer


def sample(seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(BATCH, TIME, FEATURES)).astype("float32")
    mask = rng.random((BATCH, TIME)) > 0.3
    mask[0], mask[1, :2] = True, False
    return x, mask


@pytest.mark.parametrize("options", VARIANTS, ids=lambda o: "+".join(o))
def test_variant_equals_its_reference(options):
    layer = randomised(seqcore.LSTM(UNITS, return_sequences=True, **options))
    weights = {w.name: to_numpy(w) for w in layer.weights if "seed" not in w.path}
    x, mask = sample()
    for m in (None, mask):
        want = reference_lstm(x.astype("float64"), weights, m, options)
        got = to_numpy(layer(x, mask=m))
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=5e-6)
    unrolled = seqcore.LSTM.from_config({**layer.get_config(), "unroll": True})
    unrolled.build(x.shape)
    unrolled.set_weights(layer.get_weights())
    np.testing.assert_allclose(
        to_numpy(unrolled(x, mask=mask)), want, rtol=1e-5, atol=5e-6
    )
    if options == VARIANTS[-1]:
        # The backend's own loop, in a graph.
        model = keras.Sequential([keras.Input((None, FEATURES)), layer])
        want = reference_lstm(x.astype("float64"), weights, None, options)
        got = model.predict(x, verbose=0)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=5e-6)


def test_variants_together_train_save_and_go_in_bidirectional(tmp_path):
    x, _ = sample()
    layer = seqcore.LSTM(UNITS, recurrent_dropout=0.2, seed=3, **VARIANTS[-1])
    model = keras.Sequential(
        [
            keras.Input((TIME, FEATURES)),
            keras.layers.Masking(),
            keras.layers.Bidirectional(layer),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(0.05), "mse")
    y = np.ones((BATCH, 1), "float32")
    before = model.evaluate(x, y, verbose=0)
    # Training draws dropout and zoneout anew at each step; its own loss jumps.
    losses = [float(model.train_on_batch(x, y)) for _ in range(30)]
    assert np.all(np.isfinite(losses))
    assert model.evaluate(x, y, verbose=0) < 0.1 * before
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    got, want = map(to_numpy, (loaded(x), model(x)))
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_zoneout_keeps_old_values_at_the_given_rate():
    layer = seqcore.LSTM(200, zoneout_output=0.25, return_sequences=True, seed=1)
    x = np.random.default_rng(0).normal(size=(4, 20, 3)).astype("float32")
    h = to_numpy(layer(x, training=True))
    kept = np.mean(h[:, 1:] == h[:, :-1])
    assert 0.23 < kept < 0.27
    assert np.mean(np.diff(to_numpy(layer(x)), axis=1) == 0) < 0.01


def test_output_equation():
    layer = randomised(
        seqcore.RNN(UNITS, output_units=2, return_sequences=True, return_state=True)
    )
    w = [np.asarray(v, "float64") for v in layer.get_weights()]
    x, mask = sample()
    h = np.zeros((BATCH, UNITS))
    y = np.zeros((BATCH, TIME, 2))
    for t in range(TIME):
        on = mask[:, t, None]
        h = np.where(on, np.tanh(x[:, t] @ w[0] + h @ w[1] + w[2]), h)
        before = y[:, t - 1] if t else np.zeros((BATCH, 2))
        y[:, t] = np.where(on, h @ w[3] + w[4], before)
    got_y, got_h = map(to_numpy, layer(x, mask=mask))
    np.testing.assert_allclose(got_y, y, atol=2e-6)
    np.testing.assert_allclose(got_h, h, atol=2e-6)
    assert layer.compute_output_shape(x.shape) == ((BATCH, TIME, 2), (BATCH, UNITS))
    # The cell in Keras's own wrapper has the same output.
    wrapped = keras.layers.RNN(layer.cell, return_sequences=True)
    np.testing.assert_allclose(to_numpy(wrapped(x)), to_numpy(layer(x)[0]), atol=2e-6)


def test_inspection_shows_the_gates():
    layer = randomised(seqcore.LSTM(UNITS))
    x, mask = sample()
    seen = {k: to_numpy(v) for k, v in layer.inspect(x).items()}
    assert set(seen) == {"i", "f", "o", "candidate", "c", "h", "output"}
    c = np.zeros((BATCH, UNITS))
    for t in range(TIME):
        c = seen["f"][:, t] * c + seen["i"][:, t] * seen["candidate"][:, t]
        np.testing.assert_allclose(seen["c"][:, t], c, atol=1e-6)
        np.testing.assert_allclose(
            seen["h"][:, t], seen["o"][:, t] * np.tanh(c), atol=1e-6
        )
    np.testing.assert_allclose(seen["output"][:, -1], to_numpy(layer(x)), atol=1e-6)
    masked = to_numpy(layer.inspect(x, mask=mask)["i"])
    assert np.all(masked[~mask] == 0) and np.all(masked[mask] > 0)
