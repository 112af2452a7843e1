"""Speech: the split of a training step's time, and the cost of a stream.

    python -m benchmarks.speech step --data DIR [--config NAME]
    python -m benchmarks.speech stream [--model FILE] [--verify FILE] [--hours 1]

`step` times its parts one after the other in turns, on two threads at most; `stream`
feeds a file with noise, 20 ms at a time, on one thread, and asks a verifier for its
opinion as often as it can be asked. Times are processor time, so
that other programs do not count.
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from apps.core.cli import exit_status

SHIPPED = "saved_models/arabic_speech_commands_stream/model.tflite"


def medians(parts: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds of processor time of each part, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in parts}
    for number in range(rounds + 2):
        for name, work in parts.items():
            begin = time.process_time()
            work()
            if number >= 2:
                times[name].append(1000 * (time.process_time() - begin))
    return {name: statistics.median(values) for name, values in times.items()}


def step(data: str, config_name: str, rounds: int) -> None:
    """What a training step is made of: the batch, the features, the network."""
    import keras
    import tensorflow as tf

    from apps.core.training import make_optimizer
    from apps.speech.config import CONFIGS
    from apps.speech.task import SpeechTask

    config = dataclasses.replace(CONFIGS[config_name], seed=0)
    task = SpeechTask(config)
    loaded = task.load(data, ("train",))
    batches = task.training_batches(loaded.splits["train"])
    model = task.build_model(loaded)
    part = task.trained_part(model)
    task.compile(part, make_optimizer(config, len(batches)))
    inputs, targets = batches[0]
    front = keras.Model(part.input, part.get_layer("log_mel")(part.input))

    @tf.function
    def features(samples):
        return front(samples, training=True)

    @tf.function
    def forward(samples):
        return part(samples, training=True)

    tensor = tf.constant(inputs)
    found = medians(
        {
            "batch": lambda: batches[1],
            "features": lambda: features(tensor).numpy(),
            "forward": lambda: forward(tensor).numpy(),
            "step": lambda: part.train_on_batch(inputs, targets),
        },
        rounds,
    )
    rows = {
        "making the batch (a thread of its own)": found["batch"],
        "features": found["features"],
        "network, forward": found["forward"] - found["features"],
        "network, backward, and the update": found["step"] - found["forward"],
    }
    total = found["batch"] + found["step"]
    print(f"{config_name}: {config.batch_size} clips, {total:.0f} ms of processor time")
    for name, value in rows.items():
        print(f"  {name:40s} {value:6.1f} ms  {100 * value / total:4.0f} %")
    epoch = len(batches) * total / 1000
    print(f"  an epoch of {len(batches)} steps: {epoch:.0f} s of processor time")


def stream(path: str, verifier: str | None, hours: float) -> None:
    """Cost of a 20 ms step, memory after each tenth of the sound, a second opinion."""
    from apps.speech.audio import SAMPLE_RATE
    from apps.speech.detector import Detector
    from apps.speech.stream import ASK_CHUNKS, Stream, Verified

    found = Stream(path)
    detector = Detector(found.rule, found.labels)
    chunk = found.rule.chunk
    chunks = int(hours * 3600 * SAMPLE_RATE / chunk)
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.03, 600 * chunk).astype("float32")
    times, memory = np.ones(chunks), []  # written once, so that it does not grow
    for number in range(chunks):
        start = number % 600 * chunk
        begin = time.process_time()
        for scores in found.feed(sound[start : start + chunk]):
            detector.step(scores)
        times[number] = time.process_time() - begin
        if number % max(chunks // 10, 1) == chunks // 20:
            memory.append(resident_megabytes())
    cost = float(np.median(times))
    seconds = chunk / SAMPLE_RATE
    print(f"{path}: {hours:g} h, {chunks} steps of {1000 * seconds:.0f} ms, one thread")
    print(f"  median {1e6 * cost:.0f} µs a step: 1/{seconds / cost:.0f} of real time")
    whole = seconds * chunks / times.sum()
    print(f"  all steps together: 1/{whole:.0f} of real time")
    print("  memory, MB: " + " ".join(f"{m:.1f}" for m in memory))
    if verifier:
        clip = np.resize(sound, SAMPLE_RATE)
        opinion = Verified(found, verifier).opinion
        asked = medians({"asked": lambda: opinion(clip)}, 200)["asked"] / 1000
        often = seconds * ASK_CHUNKS
        print(f"{verifier}: median {1e3 * asked:.2f} ms an opinion, one thread")
        print(
            f"  at most one in {1e3 * often:.0f} ms: 1/{often / asked:.0f} of real time"
        )


def resident_megabytes() -> float:
    """Memory of this process now, or where the system does not say, at its peak."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    what = parser.add_subparsers(dest="what", required=True)
    one = what.add_parser("step")
    one.add_argument("--data", required=True)
    one.add_argument("--config", default="stream_crnn")
    one.add_argument("--rounds", type=int, default=10)
    two = what.add_parser("stream")
    two.add_argument("--model", default=SHIPPED)
    two.add_argument("--verify")
    two.add_argument("--hours", type=float, default=1.0)
    arguments = parser.parse_args()
    if arguments.what == "step":
        step(arguments.data, arguments.config, arguments.rounds)
    else:
        stream(arguments.model, arguments.verify, arguments.hours)


if __name__ == "__main__":
    sys.exit(exit_status(main))
