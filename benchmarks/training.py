"""Time and memory of a training step and a forward pass, against the peers.

    python -m benchmarks.training --out training.json

Contenders: seqcore's layer and Keras's as ``fit`` runs them by default, Keras's
with ``jit_compile=True``, and torch's. The model is the recurrent layer and one
dense unit on its last output, mean squared error, plain SGD; a training step is
the step function that ``fit`` (``predict`` for the forward pass) calls, torch's is
zero_grad, forward, backward, step. With masks, lengths are drawn evenly from half
the time steps to all of them; torch gets them as a packed sequence.

Each framework has a process of its own. Within a round every contender runs once,
in turn, so that a disturbance hits all alike; the table gives medians over the
rounds and, for the peers, the ratio of medians (peer / seqcore: above 1, seqcore
is faster). Peak memory is the growth of the resident set over ten training steps
in a fresh process, so it includes what compiling takes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

SIZES = {
    "small": (32, 50, 13, 64),
    "middle": (32, 100, 40, 128),
    "large": (64, 200, 64, 256),
}
KERAS = ("seqcore", "keras", "keras-jit")
CONTENDERS = (*KERAS, "torch")
LENGTHS = (250, 500, 1000, 2000)


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


def serve():
    """A framework's process: prepare cases and time rounds, as told on stdin."""
    prepared: dict[str, Any] = {}
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Whatever a framework prints is no answer.
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "prepare":
            prepared = {
                name: steps(name, order["kind"], order["shape"], order["masked"])
                for name in order["contenders"]
            }
            for functions in prepared.values():
                for function in functions.values():
                    function()
                    function()
            answer: dict[str, Any] = {}
        else:
            answer = {}
            for name, functions in prepared.items():
                for what, function in functions.items():
                    start = time.perf_counter()
                    function()
                    answer[f"{name} {what}"] = time.perf_counter() - start
        print(json.dumps(answer), file=out, flush=True)


class Framework:
    def __init__(self, contenders):
        self.contenders = contenders
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.training", "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("SHOW") else subprocess.DEVNULL,
            text=True,
        )

    def ask(self, **order):
        assert self.process.stdin and self.process.stdout
        print(json.dumps(order), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"The process of {self.contenders} ended on {order}.")
        return json.loads(line)

    def close(self):
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def measure(frameworks, kind, shape, masked, seconds):
    for f in frameworks:
        f.ask(
            do="prepare",
            kind=kind,
            shape=shape,
            masked=masked,
            contenders=f.contenders,
        )
    times: dict[str, list[float]] = {}
    start = time.perf_counter()
    rounds = 0
    while rounds < 7 or time.perf_counter() - start < seconds:
        rounds += 1
        for f in frameworks:
            for name, taken in f.ask(do="round").items():
                times.setdefault(name, []).append(taken * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}, rounds


def memory(contender, kind, shape):
    """Growth of the peak resident set over ten training steps, in MiB."""
    me = [sys.executable, "-m", "benchmarks.training", "--memory", contender, kind]
    out = subprocess.run(
        [*me, *map(str, shape)], capture_output=True, text=True, check=True
    )
    return float(out.stdout.splitlines()[-1])


def print_memory(contender, kind, *shape):
    shape = tuple(map(int, shape))
    if contender == "torch":
        import torch  # noqa: F401
    else:
        import tensorflow  # noqa: F401

        import seqcore  # noqa: F401
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    train = steps(contender, kind, shape, False)["train"]
    for _ in range(10):
        train()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print((after - before) / 1024)


def table(rows):
    print("| layer | batch, T, F, units | mask | pass | seqcore ms | ", end="")
    peers = [c for c in CONTENDERS if any(f"{c} train" in r["ms"] for r in rows)]
    peers.remove("seqcore")
    print(" | ".join(f"{p} ms (ratio)" for p in peers), "|")
    print("|" + "---|" * (5 + len(peers)))
    for row in rows:
        for what in ("train", "forward"):
            mine = row["ms"][f"seqcore {what}"]
            theirs = [row["ms"][f"{p} {what}"] for p in peers]
            cells = [f"{ms:.2f} ({ms / mine:.2f})" for ms in theirs]
            shape = ", ".join(map(str, row["shape"]))
            mask = "yes" if row["masked"] else "no"
            print(
                f"| {row['kind']} | {shape} | {mask} | {what} | {mine:.2f} | "
                + " | ".join(cells)
                + " |",
                flush=True,
            )


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, help="write the numbers here as JSON")
    parser.add_argument("--kinds", nargs="+", default=["lstm", "rnn"])
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=SIZES)
    parser.add_argument("--masks", nargs="+", type=int, default=[0, 1])
    parser.add_argument(
        "--contenders", nargs="+", default=list(CONTENDERS), choices=CONTENDERS
    )
    parser.add_argument("--seconds", type=float, default=6.0, help="per row, at least")
    parser.add_argument("--parts", nargs="+", default=["time", "memory", "length"])
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--memory", nargs=6, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.serve:
        return serve()
    if options.memory:
        return print_memory(*options.memory)

    report: dict[str, Any] = {
        "date": date.today().isoformat(),
        "machine": {"cores": len(os.sched_getaffinity(0)), "cpu": platform.processor()},
        "command": " ".join(["python -m benchmarks.training", *sys.argv[1:]]),
        "rows": [],
    }
    groups = [[c for c in options.contenders if c in KERAS]]
    if "torch" in options.contenders:
        groups.append(["torch"])
    frameworks = [Framework(g) for g in groups]

    if "time" in options.parts:
        for kind in options.kinds:
            for size in options.sizes:
                for masked in map(bool, options.masks):
                    ms, rounds = measure(
                        frameworks, kind, SIZES[size], masked, options.seconds
                    )
                    row = {
                        "kind": kind,
                        "shape": SIZES[size],
                        "masked": masked,
                        "rounds": rounds,
                        "ms": ms,
                    }
                    report["rows"].append(row)
        table(report["rows"])
    if "length" in options.parts:
        report["length"] = []
        print("\n| T (batch 32, F 40, units 128) | ms a step | ms / T | MiB |")
        print("|---|---|---|---|")
        for length in LENGTHS:
            shape = (32, length, 40, 128)
            ms, _ = measure(frameworks[:1], "lstm", shape, False, options.seconds)
            taken = ms["seqcore train"]
            mib = memory("seqcore", "lstm", shape)
            report["length"].append({"T": length, "ms": taken, "MiB": mib})
            print(f"| {length} | {taken:.1f} | {taken / length:.3f} | {mib:.0f} |")
    for f in frameworks:
        f.close()
    if "memory" in options.parts:
        report["memory_MiB"] = []
        print("\n| layer | batch, T, F, units |", " | ".join(options.contenders), "|")
        print("|" + "---|" * (2 + len(options.contenders)))
        for kind in options.kinds:
            for size in options.sizes:
                shape = SIZES[size]
                mib = {c: memory(c, kind, shape) for c in options.contenders}
                report["memory_MiB"].append({"kind": kind, "shape": shape, **mib})
                cells = " | ".join(f"{m:.0f}" for m in mib.values())
                print(f"| {kind} | {', '.join(map(str, shape))} | {cells} |")
    if options.out:
        temporary = options.out.with_suffix(".part")
        temporary.write_text(json.dumps(report, indent=1))
        temporary.replace(options.out)
    return None


if __name__ == "__main__":
    sys.exit(main())
