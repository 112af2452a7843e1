"""Time and memory of a training step and a forward pass, against the peers.

    python -m benchmarks.training --out training.json

Contenders: seqcore's layer and Keras's as ``fit`` runs them by default, Keras's
with ``jit_compile=True``, and torch's. The model is the recurrent layer and one
dense unit on its last output, mean squared error, plain SGD; a training step is
the step function that ``fit`` (``predict`` for the forward pass) calls, torch's is
zero_grad, forward, backward, step. With masks, lengths are drawn evenly from half
the time steps to all of them; torch gets them as a packed sequence.

Each framework has a process of its own. Within a round every contender runs twice,
in turn, so that a disturbance hits all alike, and its second run counts: in ``fit``
too a step follows upon a step. The table gives medians over the rounds and, for the
peers, the ratio of medians (peer / seqcore: above 1, seqcore is faster). Memory is the
highest resident set during ten training steps in a fresh process, less what it was
before the model was made: it includes what compiling takes.

The three parts, each of which can be had alone with ``--parts``: ``time`` is the table
above, ``length`` shows seqcore's cost and memory for growing numbers of time steps,
``memory`` compares all contenders' memory.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.contenders import CONTENDERS, KERAS, steps

SIZES = {
    "small": (32, 50, 13, 64),
    "middle": (32, 100, 40, 128),
    "large": (64, 200, 64, 256),
}
LENGTHS = (250, 500, 1000, 2000)


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
                    function()  # Or whoever is first finds the caches cold.
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
    """What ten training steps take of memory, in MiB, by a process of its own."""
    me = [sys.executable, "-m", "benchmarks.training", "--memory", contender, kind]
    out = subprocess.run(
        [*me, *map(str, shape)], capture_output=True, text=True, check=True
    )
    return float(out.stdout.splitlines()[-1])


def resident(what):
    """VmRSS, the resident set, or VmHWM, the highest there was, in MiB (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{what}:")[1].split()[0]) / 1024


def print_memory(contender, kind, *shape):
    shape = tuple(map(int, shape))
    if contender == "torch":
        import torch  # noqa: F401
    else:
        import tensorflow  # noqa: F401

        import seqcore  # noqa: F401
    before = resident("VmRSS")
    # Importing may have needed more for a moment: count the highest anew.
    Path("/proc/self/clear_refs").write_text("5")
    train = steps(contender, kind, shape, False)["train"]
    for _ in range(10):
        train()
    print(resident("VmHWM") - before)


def print_header(columns):
    print("|", " | ".join(columns), "|")
    print("|" + "---|" * len(columns), flush=True)


def print_row(row, peers):
    shape, mask = ", ".join(map(str, row["shape"])), "yes" if row["masked"] else "no"
    for what in ("train", "forward"):
        mine = row["ms"][f"seqcore {what}"]
        cells = [row["kind"], shape, mask, what, f"{mine:.2f}"]
        for peer in peers:
            ms = row["ms"][f"{peer} {what}"]
            cells.append(f"{ms:.2f} ({ms / mine:.2f})")
        print("|", " | ".join(cells), "|", flush=True)


def measure_time(options):
    groups = [[c for c in options.contenders if c in KERAS]]
    if "torch" in options.contenders:
        groups.append(["torch"])
    frameworks = [Framework(g) for g in groups]
    peers = [c for c in options.contenders if c != "seqcore"]
    columns = ["layer", "batch, T, F, units", "mask", "pass", "seqcore ms"]
    print_header(columns + [f"{p} ms (ratio)" for p in peers])
    rows = []
    for kind in options.kinds:
        for size in options.sizes:
            for masked in map(bool, options.masks):
                case = (kind, SIZES[size], masked)
                ms, rounds = measure(frameworks, *case, options.seconds)
                row = dict(zip(("kind", "shape", "masked"), case, strict=True))
                rows.append({**row, "rounds": rounds, "ms": ms})
                print_row(rows[-1], peers)
    for f in frameworks:
        f.close()
    return rows


def measure_length(options):
    framework = Framework(["seqcore"])
    rows = []
    print_header(["T (lstm, batch 32, F 40, units 128)", "ms a step", "ms / T", "MiB"])
    for length in LENGTHS:
        shape = (32, length, 40, 128)
        ms, _ = measure([framework], "lstm", shape, False, options.seconds)
        taken, mib = ms["seqcore train"], memory("seqcore", "lstm", shape)
        rows.append({"T": length, "ms": taken, "MiB": mib})
        cells = [str(length), f"{taken:.1f}", f"{taken / length:.3f}", f"{mib:.0f}"]
        print("|", " | ".join(cells), "|", flush=True)
    framework.close()
    return rows


def measure_memory(options):
    rows = []
    names = [f"{c} MiB" for c in options.contenders]
    print_header(["layer", "batch, T, F, units", *names])
    for kind in options.kinds:
        for size in options.sizes:
            shape = SIZES[size]
            mib = {c: memory(c, kind, shape) for c in options.contenders}
            rows.append({"kind": kind, "shape": shape, **mib})
            cells = [
                kind,
                ", ".join(map(str, shape)),
                *(f"{m:.0f}" for m in mib.values()),
            ]
            print("|", " | ".join(cells), "|", flush=True)
    return rows


PARTS = {"time": measure_time, "length": measure_length, "memory": measure_memory}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, help="write the numbers here as JSON")
    kinds = ["lstm", "rnn"]
    parser.add_argument("--kinds", nargs="+", default=kinds, choices=kinds)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=SIZES)
    parser.add_argument("--masks", nargs="+", type=int, default=[0, 1])
    parser.add_argument(
        "--contenders", nargs="+", default=list(CONTENDERS), choices=CONTENDERS
    )
    parser.add_argument("--seconds", type=float, default=6.0, help="per row, at least")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--memory", nargs=6, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.serve:
        return serve()
    if options.memory:
        return print_memory(*options.memory)

    if "seqcore" not in options.contenders:
        parser.error("--contenders has to include seqcore, the others are compared to")
    report: dict[str, Any] = {
        "date": date.today().isoformat(),
        "machine": {"cores": len(os.sched_getaffinity(0)), "cpu": platform.processor()},
        "command": " ".join(["python -m benchmarks.training", *sys.argv[1:]]),
    }
    for part in options.parts:
        report[part] = PARTS[part](options)
        print()
    if options.out:
        temporary = options.out.with_suffix(".part")
        temporary.write_text(json.dumps(report, indent=1))
        temporary.replace(options.out)
    return None


if __name__ == "__main__":
    sys.exit(main())
