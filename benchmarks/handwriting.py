"""Handwriting: what bucketing saves in training, and the time to read one word.

    python benchmarks/handwriting.py                      # both
    python benchmarks/handwriting.py --model MODEL.tflite --keras MODEL.keras
    python benchmarks/handwriting.py --only transcripts --model MODEL.tflite \\
        --keras MODEL.keras --data gw_online.zip   # how many are the same

Ratios are of medians of interleaved runs; absolute times are this machine's.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

import seqcore
from apps.core import recogniser
from apps.core.cli import exit_status
from apps.core.task import Data
from apps.handwriting import APP, models, writer
from apps.handwriting.config import CONFIGS, HandwritingConfig
from apps.handwriting.decoding import greedy
from apps.handwriting.scores import transcript_metrics
from apps.handwriting.task import make_task
from apps.handwriting.transcribe import Transcribe


def interleaved(runs: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Median seconds of each of `runs`, taken in turns; the first round is left out."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, work in runs.items():
            begin = time.perf_counter()
            work()
            if number:
                times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in times.items()}


def bucketing(words: int, rounds: int) -> None:
    """An epoch in length buckets against one padded to the longest word.

    The points are not resampled here, so that every batch of the second kind is
    as long as the longest word of all.
    """
    config = dataclasses.replace(
        CONFIGS["words"], synthetic_size=words, resample=0.0, stride=2
    )
    data: Data = make_task(config).load(None, ("train",))
    epochs: dict[str, Callable[[], None]] = {}
    for name, buckets in (("buckets", config.buckets), ("padded to the longest", 1)):
        task = make_task(dataclasses.replace(config, buckets=buckets))
        model = task.build_model(data)
        task.compile(model, keras.optimizers.AdamW(1e-3))
        batches = task.training_batches(data.splits["train"])

        def epoch(model=model, batches=batches) -> None:
            model.fit(batches, epochs=1, verbose=0, shuffle=False)

        epochs[name] = epoch
    seconds = interleaved(epochs, rounds)
    lengths = [len(points) for points in data.splits["train"].inputs]
    print(
        f"{words} words of {min(lengths)} to {max(lengths)} points, "
        f"{np.mean(lengths):.0f} on average"
    )
    for name, value in seconds.items():
        print(f"  {name:24s} {words / value:8.0f} words a second")
    ratio = seconds["padded to the longest"] / seconds["buckets"]
    print(f"  bucketing is {ratio:.2f} times as fast")


def one_word() -> np.ndarray:
    """A synthetic word of 100 points."""
    rng = np.random.default_rng(0)
    points = writer.write("word", writer.draw_hand(rng), rng).points()
    at = np.linspace(0, len(points) - 1, 100).round().astype(int)
    return points[at]


def decoding(tflite: str | None, keras_file: str | None, rounds: int) -> None:
    """Milliseconds to read 100 points: the .tflite on one thread against Keras."""
    from ai_edge_litert.interpreter import Interpreter

    if keras_file:
        model = keras.saving.load_model(keras_file, compile=False)
    else:
        model = models.transcriber(CONFIGS["words"], 36)
    with tempfile.TemporaryDirectory() as folder:
        if tflite is None:
            tflite = f"{folder}/model.tflite"
            seqcore.export_tflite(model, tflite, quantize="dynamic", verbose=False)
        content = Path(tflite).read_bytes()
    runner = Interpreter(model_content=content, num_threads=1).get_signature_runner()
    points = one_word()[None]

    def in_keras() -> None:
        model.predict_on_batch(points)

    def in_tflite() -> None:
        runner(points=points)

    seconds = interleaved({"Keras": in_keras, ".tflite": in_tflite}, rounds)
    for name, value in seconds.items():
        print(f"  {name:24s} {1000 * value:8.2f} ms for {points.shape[1]} points")
    print(f"  the file is {seconds['Keras'] / seconds['.tflite']:.1f} times as fast")


def transcripts(tflite: str, keras_file: str, data: str | None) -> None:
    """How many greedy transcripts of the validation split two forms agree on."""
    read: list[list[str]] = []
    for path in (keras_file, tflite):
        model = recogniser.load(path, APP)
        config = model.config(APP)
        assert isinstance(config, HandwritingConfig)
        task = Transcribe(config)
        split = task.load(data, ("val",), model.labels).splits["val"]
        outputs = task.outputs(model.runner, split)
        read.append([greedy(scores, model.labels) for scores in outputs])
        cer = transcript_metrics(task.references(split, model.labels), read[-1])["cer"]
        print(f"  {Path(path).suffix:8s} CER {100 * cer:.2f} %")
    same = sum(a == b for a, b in zip(*read, strict=True))
    print(f"  {same} of {len(read[0])} transcripts are the same")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--words", type=int, default=960)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", help="a transcriber's .tflite file")
    parser.add_argument("--keras", help="the same model's .keras file")
    parser.add_argument("--only", choices=("bucketing", "decoding", "transcripts"))
    parser.add_argument("--data", help="for transcripts; synthetic words by default")
    arguments = parser.parse_args()
    if arguments.model and not arguments.keras:
        parser.error("--model needs --keras: the same network, to compare with")
    if arguments.only == "transcripts":
        if not arguments.model:
            parser.error("--only transcripts needs --model and --keras")
        transcripts(arguments.model, arguments.keras, arguments.data)
        return
    if arguments.only != "decoding":
        bucketing(arguments.words, arguments.rounds)
    if arguments.only != "bucketing":
        decoding(arguments.model, arguments.keras, 20 * arguments.rounds)


if __name__ == "__main__":
    sys.exit(exit_status(main))
