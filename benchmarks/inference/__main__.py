"""Latency of exported recurrent layers on one CPU thread, against their peers.

    python -m benchmarks.inference [--models DIR] [--json FILE]

For every layer below the same weights run as: this library's file in each lowering,
Keras's own LSTM converted with a batch of 1, LiteRT's fused LSTM operator, and ONNX
Runtime's LSTM operator; in float32 and with dynamic-range int8 weights. All of them
take turns in one process, one thread each, so that a disturbance hits them alike;
a cell holds the median, and ratios are ratios of medians. Memory is the resident
memory that loading and running adds to a fresh process. `--models` keeps the
converted files, so that a second run only measures.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from apps.core.cli import exit_status
from benchmarks.inference.files import build
from benchmarks.inference.measure import measure


def table(rows: list[dict[str, Any]]) -> str:
    """A Markdown table, one line per measured file."""
    lines = [
        "| T, F, units | output | weights | file | ms | to ONNX Runtime | KB | MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        lines.append(
            f"| {r['timesteps']}, {r['features']}, {r['units']} | {r['kind']} "
            f"| {r['precision']} | {r['who'].replace('_', ' ')} | {r['ms']:.3f} "
            f"| {r['ratio_to_onnxruntime']:.2f} | {r['bytes'] / 1000:.0f} "
            f"| {r['memory_mb']:.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, help="folder to keep converted files in")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--seconds", type=float, default=4.0, help="time per cell")
    parser.add_argument(
        "--build-only", action="store_true", help="convert, not measure"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.models or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        build(folder)
        if arguments.build_only:
            return
        rows = measure(folder, arguments.seconds)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    sys.exit(exit_status(main))
