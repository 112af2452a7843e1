"""The small training loop and the layers that every experiment here shares."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import seqcore

Batch = tuple[Any, np.ndarray]


@dataclass
class Run:
    """What one training came to."""

    steps: int
    losses: list[float]
    scores: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def score(self) -> float:
        return self.scores[-1][1] if self.scores else math.nan


def train(
    model: keras.Model,
    loss: Callable[[Any, Any], Any],
    batches: Iterator[Batch],
    steps: int,
    *,
    rate: float,
    clip: float | None = None,
    decay: bool = False,
    optimizer: type[keras.optimizers.Optimizer] = keras.optimizers.Adam,
    score: Callable[[], float] | None = None,
    every: int = 50,
    until: Callable[[float], bool] | None = None,
    after: Callable[[int], None] | None = None,
) -> Run:
    """Train ``model`` for ``steps`` updates, or ``until`` the score is good.

    Args:
        loss: ``loss(y, output)``, a tensor whose mean is minimised.
        clip: the gradient's global norm is cut to this.
        decay: let the learning rate fall to 0 along half a cosine.
        score: measures the model every ``every`` updates and at the end; NaN where
            a loss that is no number ended the training.
        after: called with the number of updates done, after each.
    """
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps) if decay else rate
    update = optimizer(schedule, global_clipnorm=clip)
    update.build(model.trainable_variables)

    @tf.function(autograph=False, reduce_retracing=True)
    def step(x, y):
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(loss(y, model(x, training=True)))
        variables = model.trainable_variables
        update.apply_gradients(
            zip(tape.gradient(value, variables), variables, strict=True)
        )
        return value

    run, start = Run(0, []), time.process_time()
    for number, (x, y) in zip(range(1, steps + 1), batches, strict=False):
        run.losses.append(float(step(x, y)))
        run.steps = number
        if after is not None:
            after(number)
        if score is not None and (number % every == 0 or number == steps):
            run.scores.append((number, score()))
            if until is not None and until(run.score):
                break
        if not math.isfinite(run.losses[-1]):
            # What was measured before says nothing of what is left.
            run.scores.append((number, math.nan))
            break
    run.seconds = time.process_time() - start
    return run


def chrono(layer: seqcore.LSTM, longest: int, seed: int) -> None:
    """Chrono initialisation (Tallec and Ollivier 2018, "Can recurrent neural
    networks warp time?"): forget biases log u with u uniform from 1 to the longest
    lag less one, input biases their negatives. So each unit starts with a memory
    of its own length."""
    kernel, recurrent, bias = layer.get_weights()
    units = layer.units
    drawn = np.random.default_rng(seed).uniform(1, max(longest - 1, 2), units)
    bias[:] = 0
    bias[units : 2 * units] = np.log(drawn)
    bias[:units] = -np.log(drawn)
    layer.set_weights([kernel, recurrent, bias])


VARIANTS: dict[str, dict[str, Any]] = {
    "RNN, tanh": {"kind": "tanh", "clip": None},
    "RNN, tanh, clipped": {"kind": "tanh", "clip": 1.0},
    "RNN, relu + identity": {"kind": "identity", "clip": None},
    "RNN, relu + identity, clipped": {"kind": "identity", "clip": 1.0},
    "LSTM, forget bias 0": {"kind": "lstm0", "clip": 1.0},
    "LSTM, forget bias 1": {"kind": "lstm1", "clip": 1.0},
    "LSTM, chrono": {"kind": "chrono", "clip": 1.0},
}


def make_layer(kind: str, units: int, *, sequences: bool = False) -> Any:
    """One of the recurrent layers that are compared; chrono is set once it is built."""
    options: dict[str, Any] = {"return_sequences": sequences}
    if kind == "identity":
        # Le, Jaitly and Hinton 2015, "A simple way to initialize recurrent networks
        # of rectified linear units".
        return seqcore.RNN(
            units,
            activation="relu",
            recurrent_initializer="identity",
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
            **options,
        )
    if kind == "tanh":
        return seqcore.RNN(units, **options)
    return seqcore.LSTM(units, unit_forget_bias=kind != "lstm0", **options)


def make_model(
    kind: str, steps: int, features: int, units: int, outputs: int, seed: int,
    *, sequences: bool = False,
) -> keras.Model:  # fmt: skip
    """One recurrent layer and a dense one."""
    keras.utils.set_random_seed(seed)
    layer = make_layer(kind, units, sequences=sequences)
    model = keras.Sequential(
        [keras.Input((steps, features)), layer, keras.layers.Dense(outputs)]
    )
    if kind == "chrono":
        chrono(layer, steps, seed)
    return model


def predictor(model: keras.Model) -> Callable[[Any], np.ndarray]:
    """The model in a graph of its own, without Keras's loop around it."""
    run = tf.function(lambda x: model(x, training=False), autograph=False)
    return lambda x: run(x).numpy()
