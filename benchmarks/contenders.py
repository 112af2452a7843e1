"""One small model to train, built with seqcore, Keras and torch.

A recurrent layer and one dense unit on its last output, mean squared error, plain
SGD. ``steps`` gives the functions that ``benchmarks.training`` times.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

KERAS = ("seqcore", "keras", "keras-jit")
CONTENDERS = (*KERAS, "torch")


def data(shape, masked):
    batch, time_steps, features, _ = shape
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, time_steps, features)).astype("float32")
    y = rng.normal(size=(batch, 1)).astype("float32")
    lengths = rng.integers(time_steps // 2, time_steps + 1, size=batch)
    lengths[0] = time_steps
    return x, y, lengths if masked else None


def keras_steps(contender, kind, shape, masked):
    """Functions that run one training step and one forward pass."""
    import keras
    import tensorflow as tf

    import seqcore

    ours = {"lstm": seqcore.LSTM, "rnn": seqcore.RNN}
    theirs = {"lstm": keras.layers.LSTM, "rnn": keras.layers.SimpleRNN}
    _, time_steps, features, units = shape
    x, y, lengths = data(shape, masked)
    layer = (ours if contender == "seqcore" else theirs)[kind](units)
    inputs = [keras.Input((time_steps, features))]
    arrays: list[Any] = [x]
    if masked:
        inputs.append(keras.Input((time_steps,), dtype="bool"))
        arrays.append(np.arange(time_steps) < lengths[:, None])
    hidden = layer(inputs[0], mask=inputs[1] if masked else None)
    model = keras.Model(inputs, keras.layers.Dense(1)(hidden))
    model.compile(
        "sgd", "mse", jit_compile=True if contender == "keras-jit" else "auto"
    )
    if contender == "keras-jit":
        # On TensorFlow Keras's LSTM declares that it cannot be compiled, because
        # of cuDNN; on a CPU it can.
        layer.supports_jit = True
        model.jit_compile = True
    model.make_train_function()
    model.make_predict_function()
    training = iter(tf.data.Dataset.from_tensors((tuple(arrays), y)).repeat())
    inference = iter(tf.data.Dataset.from_tensors((tuple(arrays),)).repeat())

    def train():
        model.train_function(training)["loss"].numpy()

    def forward():
        model.predict_function([next(inference)]).numpy()

    return {"train": train, "forward": forward}


def torch_steps(kind, shape, masked):
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    # As TensorFlow does in its threads. The gradient fades over long sequences, and
    # without this torch's step at T = 200 takes twelve times as long.
    torch.set_flush_denormal(True)
    _, _, features, units = shape
    x, y, lengths = data(shape, masked)
    layer = {"lstm": torch.nn.LSTM, "rnn": torch.nn.RNN}[kind](
        features, units, batch_first=True
    )
    head = torch.nn.Linear(units, 1)
    optimizer = torch.optim.SGD([*layer.parameters(), *head.parameters()], lr=0.01)
    tx, ty = torch.tensor(x), torch.tensor(y)

    def run():
        sequence = tx
        if masked:
            sequence = torch.nn.utils.rnn.pack_padded_sequence(
                tx, torch.tensor(lengths), batch_first=True, enforce_sorted=False
            )
        _, state = layer(sequence)
        return head((state[0] if kind == "lstm" else state)[-1])

    def train():
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(run(), ty).backward()
        optimizer.step()

    def forward():
        with torch.no_grad():
            run()

    return {"train": train, "forward": forward}


def steps(contender, kind, shape, masked):
    if contender == "torch":
        return torch_steps(kind, shape, masked)
    return keras_steps(contender, kind, shape, masked)
