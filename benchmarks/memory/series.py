"""Time series whose lags nobody tells the model: classify, process, predict."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from benchmarks.memory.training import (
    Batch,
    make_layer,
    make_model,
    predictor,
    train,
)


def sktime_file(*parts: str) -> Path:
    """A data file that the package sktime carries, found without importing it.

    Raises:
        SystemExit: sktime is not installed, or no longer carries the file.
    """
    found = importlib.util.find_spec("sktime")
    folders = list(found.submodule_search_locations or []) if found else []
    if not folders:
        raise SystemExit(
            "the series need the package sktime: pip install -e '.[bench]'"
        )
    path = Path(folders[0], "datasets", "data", *parts)
    if not path.is_file():
        raise SystemExit(f"{path}: this version of sktime does not carry the file")
    return path


# Classify: JapaneseVowels (Kudo, Toyama and Shimbo 1999): nine men say /ae/, 12
# cepstral coefficients a frame, 7 to 29 frames; who speaks? 270 recordings to train
# with and 370 to test, as published.

_LONGEST, _COEFFICIENTS, _SPEAKERS = 29, 12, 9


def japanese_vowels(split: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Recordings (frames, 12) and speakers of "TRAIN" or "TEST"."""
    path = sktime_file("JapaneseVowels", f"JapaneseVowels_{split}.ts")
    series, speakers = [], []
    for line in path.read_text("utf-8").splitlines():
        if not line or line[0] in "#@":
            continue
        *columns, label = line.split(":")
        rows = [np.array(c.split(","), "float32") for c in columns]
        series.append(np.stack(rows, axis=1))
        speakers.append(int(label) - 1)
    return series, np.array(speakers)


class MaskedMean(layers.Layer):
    """(batch, steps, units) to (batch, units): the mean of the unmasked steps."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, x, mask=None):
        weights = ops.cast(mask, x.dtype)[..., None]
        return ops.sum(x * weights, axis=1) / ops.sum(weights, axis=1)

    def compute_mask(self, x, mask=None):
        return None


def _speaker_model(kind: str, seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    x = frames = keras.Input((_LONGEST, _COEFFICIENTS))
    mask = keras.Input((_LONGEST,), dtype="bool")
    for _ in range(2):
        layer = make_layer(kind, 32, sequences=True)
        x = layers.Bidirectional(layer)(x, mask=mask)
        x = layers.Dropout(0.5)(x)
    x = MaskedMean()(x, mask=mask)
    x = layers.Dropout(0.5)(x)
    return keras.Model([frames, mask], layers.Dense(_SPEAKERS)(x))


def _padded(series: list[np.ndarray], mean, spread) -> list[np.ndarray]:
    frames = np.zeros((len(series), _LONGEST, _COEFFICIENTS), "float32")
    mask = np.zeros((len(series), _LONGEST), bool)
    for row, valid, one in zip(frames, mask, series, strict=True):
        row[: len(one)] = (one - mean) / spread
        valid[: len(one)] = True
    return [frames, mask]


def speakers(
    kind: str, seed: int, quick: bool = False, held_out: int | None = None
) -> dict[str, Any]:
    """Train on the 270 recordings, test on the 370.

    Noise on every frame and a shift of each recording's coefficients stand for the
    differences between sessions; the weights of the last quarter are averaged
    (Izmailov et al. 2018, "Averaging weights leads to wider optima").

    Args:
        held_out: how the settings were chosen: this third (0, 1, 2) of the
            recordings of each speaker is tested on, and the test split not read.
    """
    series, who = japanese_vowels("TRAIN")
    if held_out is None:
        test, answers = japanese_vowels("TEST")
    else:
        # In the file, the 30 recordings of a speaker follow one another.
        apart = np.arange(len(series)) % 30 // 10 == held_out
        test = [one for one, out in zip(series, apart, strict=True) if out]
        series = [one for one, out in zip(series, apart, strict=True) if not out]
        answers, who = who[apart], who[~apart]
    every_frame = np.concatenate(series)
    mean, spread = every_frame.mean(0), every_frame.std(0)
    frames, mask = _padded(series, mean, spread)
    targets = np.eye(_SPEAKERS, dtype="float32")[who] * 0.9 + 0.1 / _SPEAKERS
    model = _speaker_model(kind, seed)
    size, epochs = 30, 10 if quick else 100
    steps = epochs * (len(series) // size)

    def batches() -> Iterator[Batch]:
        rng = np.random.default_rng(seed)
        while True:
            order = rng.permutation(len(series))
            for start in range(0, len(order) - size + 1, size):
                rows = order[start : start + size]
                noise = 0.3 * rng.normal(size=frames[rows].shape)
                noise += 0.3 * rng.normal(size=(size, 1, _COEFFICIENTS))
                x = (frames[rows] + noise).astype("float32")
                yield [x, mask[rows]], targets[rows]

    kept: list[list[np.ndarray]] = []

    def keep(number: int) -> None:
        if number > 0.75 * steps and number % 5 == 0:
            kept.append(model.get_weights())

    run = train(
        model,
        lambda y, z: tf.nn.softmax_cross_entropy_with_logits(y, z),
        batches(),
        steps,
        rate=0.003,
        clip=1.0,
        decay=True,
        after=keep,
    )
    model.set_weights([np.mean(w, axis=0) for w in zip(*kept, strict=True)])
    answer = predictor(model)(_padded(test, mean, spread)).argmax(-1)
    return {
        "accuracy": float(np.mean(answer == answers)),
        "n": len(answers),
        "seconds": run.seconds,
        "parameters": model.count_params(),
    }


# Process: a switch in noise. Rare pulses set and reset a hidden state; at every step
# the state is asked, long after the pulse that made it has passed.

_FLIP_STEPS, _FLIP_WINDOW = 200, 15


def switch(rng: np.random.Generator, count: int) -> Batch:
    """Signals (count, steps, 1) and states (count, steps): 1 after a pulse up.

    Pulses of +-2 come with probability 1/40 a step, in noise of deviation 0.5. The
    first step always has one.
    """
    pulses = rng.choice(
        [-1, 0, 1], (count, _FLIP_STEPS), p=[1 / 80, 1 - 1 / 40, 1 / 80]
    )
    pulses[:, 0] = rng.choice([-1, 1], count)
    last = np.maximum.accumulate(np.where(pulses != 0, np.arange(_FLIP_STEPS), 0), 1)
    state = np.take_along_axis(pulses, last, 1) > 0
    signal = 2.0 * pulses + 0.5 * rng.normal(size=pulses.shape)
    return signal[..., None].astype("float32"), state.astype("int32")


def flip(kind: str, seed: int, quick: bool = False) -> dict[str, Any]:
    """Name the state at every step, by a layer or by a causal convolution."""
    keras.utils.set_random_seed(seed)
    if kind == "convolution":
        layer = layers.Conv1D(64, _FLIP_WINDOW, padding="causal", activation="relu")
        shape = keras.Input((_FLIP_STEPS, 1))
        model = keras.Sequential([shape, layer, layers.Dense(1)])
    else:
        model = make_model(kind, _FLIP_STEPS, 1, 32, 1, seed, sequences=True)

    def batches() -> Iterator[Batch]:
        rng = np.random.default_rng(seed)
        while True:
            yield switch(rng, 32)

    run = train(
        model,
        lambda y, z: tf.nn.sigmoid_cross_entropy_with_logits(
            tf.cast(y, "float32"), z[..., 0]
        ),
        batches(),
        40 if quick else 400,
        rate=0.01,
        clip=1.0,
        decay=True,
    )
    x, state = switch(np.random.default_rng(10_000), 256)
    scores = predictor(model)(x)[..., 0]
    return {
        "accuracy": float(np.mean((scores > 0) == (state > 0))),
        "seconds": run.seconds,
    }


def flip_exactly() -> dict[str, Any]:
    """The best that can be known: Bayes's rule, with the true rates and noise."""
    x, state = switch(np.random.default_rng(10_000), 256)
    signal = x[..., 0].astype("float64")

    def likelihood(pulse: float) -> np.ndarray:
        return np.exp(-np.square(signal - 2 * pulse) / (2 * 0.5**2))

    quiet, up, down = likelihood(0) * (1 - 1 / 40), likelihood(1), likelihood(-1)
    chance = up[:, 0] / (up[:, 0] + down[:, 0])  # the first step has a pulse
    right = [(chance > 0.5) == (state[:, 0] > 0)]
    for t in range(1, _FLIP_STEPS):
        is_up = quiet[:, t] * chance + up[:, t] / 80
        is_down = quiet[:, t] * (1 - chance) + down[:, t] / 80
        chance = is_up / (is_up + is_down)
        right.append((chance > 0.5) == (state[:, t] > 0))
    return {"accuracy": float(np.mean(right)), "seconds": 0.0}


# Predict: several steps ahead, against what needs no learning or only a linear fit.


def airline() -> np.ndarray:
    """Passengers a month, 1949 to 1960 (Box and Jenkins 1976): (144,)."""
    lines = sktime_file("Airline", "Airline.csv").read_text("utf-8").split()[1:]
    return np.array([float(line.split(",")[1]) for line in lines])


def mackey_glass(length: int) -> np.ndarray:
    """The chaotic series of Mackey and Glass (1977), delay 17, a value a time unit.

    dx/dt = 0.2 x(t - 17) / (1 + x(t - 17)^10) - 0.1 x(t), by Runge and Kutta's
    fourth order with ten steps a unit and the delayed value held through each; the
    first 500 values are left out.
    """
    per, delay = 10, 170
    x = np.full((length + 500) * per + delay + 1, 1.2)
    for t in range(delay, len(x) - 1):
        gain = 0.2 * x[t - delay] / (1 + x[t - delay] ** 10)
        h = 1 / per
        a = gain - 0.1 * x[t]
        b = gain - 0.1 * (x[t] + h / 2 * a)
        c = gain - 0.1 * (x[t] + h / 2 * b)
        d = gain - 0.1 * (x[t] + h * c)
        x[t + 1] = x[t] + h / 6 * (a + 2 * b + 2 * c + d)
    return x[delay + 1 :: per][500 : 500 + length]


def _windows(
    series: np.ndarray, past: int, ahead: int
) -> tuple[np.ndarray, np.ndarray]:
    rows = np.lib.stride_tricks.sliding_window_view(series, past + ahead)
    return rows[:, :past], rows[:, past:]


def _ridge(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """Weights, intercept last (which the penalty spares)."""
    x = np.hstack([x, np.ones((len(x), 1))])
    weight = penalty * np.eye(x.shape[1])
    weight[-1, -1] = 0
    return np.linalg.solve(x.T @ x + weight, x.T @ y)


SERIES: dict[str, dict[str, Any]] = {
    # season: what the seasonal-naive forecast repeats. Mackey-Glass has none; 50 is
    # the highest peak of the training part's autocorrelation after lag 20.
    "Airline": {"past": 24, "ahead": 12, "season": 12, "test": 36, "units": 32},
    "Mackey-Glass": {"past": 64, "ahead": 24, "season": 50, "test": 1000, "units": 32},
}


def forecast(name: str, kind: str, seed: int, quick: bool = False) -> dict[str, Any]:
    """Forecast the test part from rolling origins, ``ahead`` steps from each.

    The test part is the end of the series; each window's past may reach back into
    the training part, its future never into it. Networks and the linear fit see the
    same windows, less their last value (Airline: its logarithms).
    """
    about = SERIES[name]
    past, ahead, season = about["past"], about["ahead"], about["season"]
    values = airline() if name == "Airline" else mackey_glass(3000)
    scaled = np.log(values) if name == "Airline" else values
    cut = len(values) - about["test"]
    x, y = _windows(scaled[:cut], past, ahead)
    test_x, _ = _windows(scaled[cut - past :], past, ahead)
    _, truth = _windows(values[cut - past :], past, ahead)
    last, test_last = x[:, -1:], test_x[:, -1:]
    spread = (x - last).std()
    inputs, targets = (x - last) / spread, (y - last) / spread
    test_inputs = (test_x - test_last) / spread
    seconds = 0.0
    if kind == "seasonal naive":
        found = test_x[:, [past - season + h % season for h in range(ahead)]]
    elif kind == "linear":
        weights = _ridge(inputs, targets, 1.0 if name == "Airline" else 1e-3)
        ones = np.ones((len(test_inputs), 1))
        found = np.hstack([test_inputs, ones]) @ weights * spread + test_last
    else:
        model = make_model(kind, past, 1, about["units"], ahead, seed)
        rng = np.random.default_rng(seed)

        def batches() -> Iterator[Batch]:
            while True:
                rows = rng.choice(len(inputs), 32)
                yield inputs[rows, :, None].astype("float32"), targets[rows]

        run = train(
            model,
            lambda y, z: tf.square(tf.cast(y, z.dtype) - z),
            batches(),
            60 if quick else 800,
            rate=0.005,
            clip=1.0,
            decay=True,
        )
        seconds = run.seconds
        answer = predictor(model)(test_inputs[..., None].astype("float32"))
        found = answer * spread + test_last
    if name == "Airline":
        found = np.exp(found)
    error = found - truth
    return {
        # Mean absolute percentage error, and the root mean square error over the
        # series' own deviation.
        "mape": float(100 * np.mean(np.abs(error) / truth)),
        "nrmse": float(np.sqrt(np.mean(error**2)) / values[:cut].std()),
        "nrmse_last": float(np.sqrt(np.mean(error[:, -1] ** 2)) / values[:cut].std()),
        "n": len(truth),
        "seconds": seconds,
        "example": {
            "past": values[cut - past : cut].round(4).tolist(),
            "truth": truth[0].round(4).tolist(),
            "found": found[0].round(4).tolist(),
        },
    }
