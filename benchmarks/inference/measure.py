"""Latency, size and memory of the files, the contestants of a cell taking turns."""

from __future__ import annotations

import functools
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.inference.files import KINDS, PRECISIONS, SHAPES, file_path
from benchmarks.inference.runs import Run, onnx_run, tflite_run, tflite_stream


def interleave(runs: dict[str, Run], seconds: float) -> dict[str, float]:
    """Median latency in ms, the contestants taking turns for about ``seconds``."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        for _ in range(3):
            run()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(next(iter(times.values()))) < 20:
        for name, run in runs.items():
            for _ in range(3):
                start = time.perf_counter()
                run()
                times[name].append(1e3 * (time.perf_counter() - start))
    return {name: float(np.median(values)) for name, values in times.items()}


def added_memory(load: Callable[[], Run]) -> float:
    """MB of resident memory that loading and three runs add to a fresh process: in
    one that has run something before, freed memory would be used again."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_added_here, (load,))


def _added_here(load: Callable[[], Run]) -> float:
    # Loaded first, so that libraries do not count as a model's memory.
    import onnxruntime  # noqa: F401
    from ai_edge_litert.interpreter import Interpreter  # noqa: F401

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    before = resident()
    run = load()
    for _ in range(3):
        run()
    return (resident() - before) / 1e6


def measure(folder: Path, seconds: float) -> list[dict[str, Any]]:
    """One row per shape, kind, precision and contestant."""
    rows = []
    for shape in SHAPES:
        array = np.random.default_rng(1).standard_normal((1, *shape[:2]))
        array = array.astype(np.float32)
        for kind in (*KINDS, "stream"):
            for precision in PRECISIONS:
                rows += _measure_cell(folder, shape, kind, precision, array, seconds)
    return rows


def _measure_cell(
    folder: Path,
    shape: tuple[int, int, int],
    kind: str,
    precision: str,
    array: np.ndarray,
    seconds: float,
) -> list[dict[str, Any]]:
    units = shape[2]
    loads: dict[str, Callable[[], Run]] = {}
    paths: dict[str, Path] = {}
    if kind == "stream":
        array = array[:, :1]
        names = ["stream", "stream_fixed", "onnxruntime"]
    else:
        names = ["loop", "unrolled", "fused", "keras", "onnxruntime"]
    for who in names:
        path = file_path(folder, shape, kind, who, precision)
        if not path.exists():
            continue
        paths[who] = path
        if who == "onnxruntime":
            size = units if kind == "stream" else None
            loads[who] = functools.partial(onnx_run, path, array, size)
        elif kind == "stream":
            loads[who] = functools.partial(tflite_stream, path, array, units)
        else:
            loads[who] = functools.partial(tflite_run, path, array)
    memory = {who: added_memory(load) for who, load in loads.items()}
    latency = interleave({who: load() for who, load in loads.items()}, seconds)
    return [
        {
            "timesteps": shape[0],
            "features": shape[1],
            "units": units,
            "kind": kind,
            "precision": precision,
            "who": who,
            "ms": round(latency[who], 4),
            "ratio_to_onnxruntime": round(latency[who] / latency["onnxruntime"], 3),
            "bytes": paths[who].stat().st_size,
            "memory_mb": round(memory[who], 2),
        }
        for who in loads
    ]
