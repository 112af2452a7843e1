"""How long a message takes, and what length buckets save in training."""

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from apps.text.config import TextConfig
from benchmarks.text import peer

MESSAGE = (
    "hello i ordered a new card two weeks ago and it has still not arrived can "
    "you please help me"
)
"""Twenty words."""


def _median_ms(run: Callable[[], object], seconds: float = 0.5) -> float:
    run()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(times)


def latency(arguments: argparse.Namespace) -> None:
    import fasttext
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(arguments.model, num_threads=1)
    (inputs,) = interpreter.get_input_details()
    data = np.frombuffer(MESSAGE.encode(), "uint8")[None].astype(inputs["dtype"])
    interpreter.resize_tensor_input(inputs["index"], data.shape)
    interpreter.allocate_tensors()

    def ours() -> None:
        interpreter.set_tensor(inputs["index"], data)
        interpreter.invoke()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.txt"
        rng = np.random.default_rng(0)
        path.write_text(
            "".join(
                f"__label__{i % 77} {' '.join(rng.permutation(MESSAGE.split()))}\n"
                for i in range(2000)
            )
        )
        theirs = fasttext.train_supervised(str(path), epoch=1, wordNgrams=2, verbose=0)
    # Interleaved, so that a busy machine slows both.
    rounds = [
        (_median_ms(ours), _median_ms(lambda: peer.predict(theirs, MESSAGE)))
        for _ in range(5)
    ]
    own, other = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(
        json.dumps(
            {
                "words": len(MESSAGE.split()),
                "ours, ms": round(own, 4),
                "fastText, ms": round(other, 4),
                "ours / fastText": round(own / other, 1),
            }
        )
    )


def buckets(arguments: argparse.Namespace) -> None:
    """Texts a second with length buckets and padded to the longest."""
    import keras

    from apps.core.training import make_optimizer
    from apps.text import model as models
    from apps.text.batches import WordBatches
    from apps.text.task import encode

    rng = np.random.default_rng(0)
    # Lengths as in mail: most short, some of hundreds of words.
    lengths = np.clip(rng.lognormal(3, 0.9, 2000), 2, 400).astype(int)
    vocabulary = [f"w{i}" for i in range(5000)]
    texts = [encode(" ".join(rng.choice(vocabulary, n))) for n in lengths]
    targets = rng.integers(0, 4, len(texts)).tolist()
    words = models.build(TextConfig(), 4).get_layer("words")
    words.adapt(texts, TextConfig().least)
    hashed = words.many(texts)
    runs = {}
    for count in (1, arguments.buckets):
        config: Any = dataclasses.replace(TextConfig(), buckets=count)
        batches = WordBatches(hashed, targets, None, 4, config)
        model = models.build_experts(
            models.build_classifier(config, 4), config.networks
        )
        model.compile(
            make_optimizer(config, len(batches)),
            models.EachCrossentropy(),
            jit_compile=False,
        )
        model.fit(batches, verbose=0, shuffle=False)  # compiles every shape
        runs[count] = (model, batches)
    times: dict[int, list[float]] = {count: [] for count in runs}
    for epoch in range(1, 4):
        for count, (model, batches) in runs.items():
            batches.epoch = epoch
            begin = time.perf_counter()
            model.fit(batches, verbose=0, shuffle=False)
            times[count].append(time.perf_counter() - begin)
    keras.backend.clear_session()
    rates = {c: len(texts) / statistics.median(t) for c, t in times.items()}
    print(
        json.dumps(
            {
                "texts": len(texts),
                "words, median and longest": [
                    int(np.median(lengths)),
                    int(lengths.max()),
                ],
                "texts a second, padded to the longest": round(rates[1]),
                f"texts a second, {arguments.buckets} lengths": round(
                    rates[arguments.buckets]
                ),
                "ratio": round(rates[arguments.buckets] / rates[1], 2),
            }
        )
    )
