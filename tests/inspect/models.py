"""Small models that the tests look into, and a reference for their gradients."""

import keras
import numpy as np
import tensorflow as tf

import seqcore


def make(*layers, steps=7, features=3, mask=False, outputs=2):
    """Input, maybe masking, the layers, a dense output; weights are random."""
    keras.utils.set_random_seed(1)
    parts = [keras.Input((steps, features))]
    parts += [keras.layers.Masking()] if mask else []
    model = keras.Sequential([*parts, *layers, keras.layers.Dense(outputs)])
    model.compile("sgd", "mse")
    return model


def data(model, batch=4, seed=0, lengths=None):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(batch, *model.input_shape[1:])).astype("float32")
    for row, length in zip(x, lengths or [], strict=False):
        row[length:] = 0
    y = rng.normal(size=(batch, *model.output_shape[1:])).astype("float32")
    return x, y


def state_gradients(layer, x, loss_of_outputs, mask=None):
    """Norms of dloss/dh_t and dloss/dc_t, from one tape over a loop over steps.

    The loop is written out here with tensors that the tape watches; nothing of the
    layer is used but its weights.
    """
    weights = [w.numpy().astype("float64") for w in layer.weights]
    kernel, recurrent, *bias = weights
    bias = bias[0] if bias else 0.0
    lstm = isinstance(layer, seqcore.LSTM)
    x = np.asarray(x, "float64")
    if layer.go_backwards:
        x = x[:, ::-1]
        mask = None if mask is None else mask[:, ::-1]
    units = recurrent.shape[0]
    h = c = tf.zeros((len(x), units), tf.float64)
    hs, cs, outputs = [], [], []
    with tf.GradientTape(persistent=True) as tape:
        for t in range(x.shape[1]):
            z = x[:, t] @ kernel + bias + h @ recurrent
            if lstm:
                i, f, g, o = tf.split(z, 4, axis=1)
                new_c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
                tape.watch(new_c)
                new_h = tf.sigmoid(o) * tf.tanh(new_c)
            else:
                new_c, new_h = c, layer.activation(z)
            tape.watch(new_h)
            hs.append(new_h)
            cs.append(new_c)
            if mask is not None:
                keep = mask[:, t, None]
                new_h, new_c = tf.where(keep, new_h, h), tf.where(keep, new_c, c)
            h, c = new_h, new_c
            outputs.append(h)
        # Keras leaves the outputs of a backward layer in the order of its steps.
        out = tf.stack(outputs, axis=1) if layer.return_sequences else h
        loss = loss_of_outputs(out)
    found = []
    for states in (hs, cs) if lstm else (hs,):
        grads = [tape.gradient(loss, s) for s in states]
        grads = [tf.zeros_like(h) if g is None else g for g in grads]
        norms = np.stack([np.linalg.norm(g.numpy(), axis=1) for g in grads], axis=1)
        found.append(norms[:, ::-1] if layer.go_backwards else norms)
    return found
