"""The list of experiments: which jobs each has, and how they are run and kept."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """One training, or a chain of them: ``module.function(**arguments)``."""

    function: str
    arguments: dict[str, Any]


def jobs(experiment: str, quick: bool) -> list[Job]:
    """The jobs of one experiment, the longest first."""
    seeds = range(1 if quick else 3)
    if experiment in ("adding", "copy"):
        return [
            Job(f"lags.{experiment}_chain", {"variant": variant, "quick": quick})
            for variant in reversed(_variants())
        ]
    if experiment == "exploding":
        return [
            Job("lags.explode", {"clipped": clipped, "seed": s, "quick": quick})
            for clipped in (True, False)
            for s in seeds
        ]
    if experiment == "classify":
        return [
            Job("series.speakers", {"kind": kind, "seed": s, "quick": quick})
            for kind in ("lstm1", "tanh")
            for s in range(1 if quick else 5)
        ]
    if experiment == "process":
        return [Job("series.flip_exactly", {})] + [
            Job("series.flip", {"kind": kind, "seed": s, "quick": quick})
            for kind in ("lstm1", "tanh", "convolution")
            for s in seeds
        ]
    if experiment == "predict":
        return [
            Job("series.forecast", {"name": n, "kind": k, "seed": s, "quick": quick})
            for n in ("Airline", "Mackey-Glass")
            for k in ("lstm1", "tanh", "linear", "seasonal naive")
            for s in (seeds if k in ("lstm1", "tanh") else range(1))
        ]
    return [
        Job("images.classify", {"task": t, "body": b, "seed": s, "quick": quick})
        for t in ("ink", "digits")
        for b in ("convolution + LSTM", "convolution + RNN", "convolution")
        for s in seeds
    ]


EXPERIMENTS = (
    "adding",
    "copy",
    "exploding",
    "classify",
    "process",
    "predict",
    "images",
)


def _variants() -> list[str]:
    return [
        "RNN, tanh",
        "RNN, tanh, clipped",
        "RNN, relu + identity",
        "RNN, relu + identity, clipped",
        "LSTM, forget bias 0",
        "LSTM, forget bias 1",
        "LSTM, chrono",
    ]


def _one_thread() -> None:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    # A job has a core of its own; two threads on small products only wait.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def _run(job: Job) -> dict[str, Any]:
    import importlib

    module, name = job.function.split(".")
    begin = time.process_time()
    found = getattr(importlib.import_module(f"benchmarks.memory.{module}"), name)(
        **job.arguments
    )
    return {
        "arguments": job.arguments,
        "result": found,
        "cpu_seconds": round(time.process_time() - begin, 2),
    }


def run(
    wanted: Iterable[str], folder: Path, quick: bool, workers: int, say: Any
) -> None:
    """Run the jobs whose results are not in ``folder`` yet.

    Each experiment's results are one file, replaced after every job, so that a run
    that was killed goes on where it stopped.
    """
    wanted = list(wanted)
    folder.mkdir(parents=True, exist_ok=True)
    kept = results(folder)
    todo = [(n, job) for n in wanted for job in missing(n, quick, kept)]
    if not todo:
        return
    # The longest chains first, so that no core is left with one at the end.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _one_thread) as pool:
        pending = {pool.submit(_run, job): (name, job) for name, job in todo}
        for number, future in enumerate(as_completed(pending), 1):
            name, job = pending[future]
            row = future.result()
            value = kept.setdefault(name, {"quick": quick, "jobs": []})
            value["jobs"].append(row)
            order = [job.arguments for job in jobs(name, quick)]
            value["jobs"].sort(key=lambda row: order.index(row["arguments"]))
            write(folder / f"{name}.json", json.dumps(value))
            about = ", ".join(str(v) for v in job.arguments.values())
            say(f"{number}/{len(todo)} {name}: {about} ({row['cpu_seconds']:.0f} s)")


def missing(name: str, quick: bool, kept: dict[str, dict[str, Any]]) -> list[Job]:
    """The jobs of an experiment that have no result yet."""
    done = [row["arguments"] for row in kept.get(name, {}).get("jobs", [])]
    return [job for job in jobs(name, quick) if job.arguments not in done]


def write(path: Path, text: str) -> None:
    """Replace a file in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, "utf-8")
    temporary.replace(path)


def results(folder: Path) -> dict[str, dict[str, Any]]:
    """The finished experiments of a folder, by name."""
    return {
        name: json.loads((folder / f"{name}.json").read_text("utf-8"))
        for name in EXPERIMENTS
        if (folder / f"{name}.json").is_file()
    }
