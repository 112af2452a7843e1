"""The adding problem and the copy task: at which lag does each network stop learning?

Both are from Hochreiter and Schmidhuber (1997, "Long short-term memory"), in the
form of Arjovsky et al. (2016, "Unitary evolution recurrent neural networks").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import seqcore
from benchmarks.memory.training import (
    VARIANTS,
    Batch,
    make_model,
    predictor,
    train,
)
from seqcore.inspect import gradient_flow, spectral_radius

BATCH, UNITS, RATE = 32, 32, 0.01
SYMBOLS, LETTERS = 4, 4
BASELINE = 1 / 6
"""Mean squared error of always answering 1: the variance of the sum of two uniform
numbers."""


def adding(rng: np.random.Generator, count: int, lag: int) -> Batch:
    """``lag`` random numbers; two are marked, one in each half; their sum is asked."""
    x = np.zeros((count, lag, 2), "float32")
    x[:, :, 0] = rng.random((count, lag))
    rows = np.arange(count)
    first = rng.integers(0, lag // 2, count)
    second = rng.integers(lag // 2, lag, count)
    x[rows, first, 1] = x[rows, second, 1] = 1
    return x, (x[rows, first, 0] + x[rows, second, 0])[:, None]


def copy(rng: np.random.Generator, count: int, lag: int) -> Batch:
    """Letters, then ``lag`` blanks, then a cue: the letters must be said again.

    Inputs are one-hot: the letters, blank, cue. The answer, (count, SYMBOLS) numbers
    of letters, is due in the last SYMBOLS steps.
    """
    letters = rng.integers(0, LETTERS, (count, SYMBOLS))
    blank, cue = LETTERS, LETTERS + 1
    codes = np.full((count, lag + 2 * SYMBOLS), blank)
    codes[:, :SYMBOLS] = letters
    codes[:, -SYMBOLS - 1] = cue
    return np.eye(LETTERS + 2, dtype="float32")[codes], letters


def squared(y, output):
    return tf.square(output - tf.cast(y, output.dtype))


def recall_loss(letters, output):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(letters, output[:, -SYMBOLS:])


def _forever(draw, seed: int, lag: int) -> Iterator[Batch]:
    rng = np.random.default_rng(seed)
    while True:
        yield draw(rng, BATCH, lag)


def _flows(model, x, y, loss) -> list[float]:
    """Norms of dloss/dh_t, by step, of the one recurrent layer."""
    (flow,) = gradient_flow(model, x, y, loss=loss).values()
    return [float(f"{v:.4g}") for v in flow.norms()]


def one_adding(variant: str, lag: int, seed: int, steps: int) -> dict[str, Any]:
    about = VARIANTS[variant]
    model = make_model(about["kind"], lag, 2, UNITS, 1, seed)
    x, y = adding(np.random.default_rng(10_000), 512, lag)
    answer = predictor(model)

    def error() -> float:
        return float(np.mean(np.square(answer(x) - y)))

    # One batch, and one size, for all: a fresh shape would be compiled anew.
    few = adding(np.random.default_rng(20_000), BATCH, lag)
    before = _flows(model, *few, squared)
    run = train(
        model,
        squared,
        _forever(adding, seed, lag),
        steps,
        rate=RATE,
        clip=about["clip"],
        score=error,
        until=lambda mse: mse < 0.01,
    )
    return {
        "error": run.score,
        "learned": run.score < 0.01,
        "steps": run.steps,
        "seconds": run.seconds,
        "flow_before": before,
        "flow_after": _flows(model, *few, squared),
        "radius": next(iter(spectral_radius(model).values())),
    }


def one_copy(variant: str, lag: int, seed: int, steps: int) -> dict[str, Any]:
    about = VARIANTS[variant]
    length = lag + 2 * SYMBOLS
    model = make_model(
        about["kind"], length, LETTERS + 2, UNITS, LETTERS, seed, sequences=True
    )
    x, letters = copy(np.random.default_rng(10_000), 256, lag)
    answer = predictor(model)

    def accuracy() -> float:
        return float(np.mean(answer(x)[:, -SYMBOLS:].argmax(-1) == letters))

    run = train(
        model,
        recall_loss,
        _forever(copy, seed, lag),
        steps,
        rate=RATE,
        clip=about["clip"],
        score=accuracy,
        until=lambda share: share > 0.99,
    )
    return {
        "accuracy": run.score,
        "learned": run.score > 0.99,
        "steps": run.steps,
        "seconds": run.seconds,
    }


def climb(
    one: Callable[..., dict[str, Any]],
    variant: str,
    lags: list[int],
    seeds: int,
    steps: int,
    always: tuple[int, ...] = (),
) -> list[dict[str, Any]]:
    """Rows for rising lags, up to the first at which no seed learns.

    ``always`` names lags that are tried none the less.
    """
    rows: list[dict[str, Any]] = []
    lost = False
    for lag in lags:
        if lost and lag not in always:
            continue
        found = [
            {"variant": variant, "lag": lag, "seed": seed}
            | one(variant, lag, seed, steps)
            for seed in range(seeds)
        ]
        rows += found
        lost = not any(row["learned"] for row in found)
    return rows


def adding_chain(variant: str, quick: bool) -> list[dict[str, Any]]:
    lags = [10, 50] if quick else [10, 50, 200, 500, 1000]
    always = (500,) if variant.startswith("RNN, tanh") and not quick else ()
    return climb(one_adding, variant, lags, *((1, 150) if quick else (3, 600)), always)


def copy_chain(variant: str, quick: bool) -> list[dict[str, Any]]:
    lags = [10] if quick else [10, 30, 100, 300, 1000]
    return climb(one_copy, variant, lags, *((1, 150) if quick else (3, 2000)))


EXPLODING = {"lag": 20, "radius": 1.2, "rate": 0.03}


def explode(clipped: bool, seed: int, quick: bool) -> dict[str, Any]:
    """The adding problem by a relu RNN that starts with a large spectral radius.

    Plain gradient descent, as what it does is the gradient's size; Adam divides it
    out. A loss that is no longer finite ends the run.
    """
    lag, radius = EXPLODING["lag"], EXPLODING["radius"]
    keras.utils.set_random_seed(seed)
    layer = seqcore.RNN(
        UNITS,
        activation="relu",
        recurrent_initializer=keras.initializers.Identity(gain=radius),
    )
    model = keras.Sequential([keras.Input((int(lag), 2)), layer, keras.layers.Dense(1)])
    few = adding(np.random.default_rng(20_000), BATCH, int(lag))
    found = {
        "radius": spectral_radius(layer)[layer.name]["h"],
        "flow_before": _flows(model, *few, squared),
    }
    run = train(
        model,
        squared,
        _forever(adding, seed, int(lag)),
        100 if quick else 2000,
        rate=EXPLODING["rate"],
        clip=1.0 if clipped else None,
        optimizer=keras.optimizers.SGD,
    )
    finite = [value for value in run.losses if np.isfinite(value)]
    return found | {
        "losses": [float(f"{v:.4g}") for v in finite],
        "finite": len(finite) == len(run.losses),
        "steps": run.steps,
        "seconds": run.seconds,
        "radius_after": spectral_radius(layer)[layer.name]["h"],
    }
