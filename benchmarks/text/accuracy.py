"""Accuracy of the exported file and of fastText on the same texts."""

import argparse
import contextlib
import csv
import io
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apps.core.cli import main as command_line
from apps.text import APP
from benchmarks.text import peer
from benchmarks.text.sets import Pairs, load

SETTINGS = ["keep=last"]
"""Beside the default ones, which were chosen on folds of the training data."""


def _write(path: Path, pairs: Pairs) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *pairs])


def _run(arguments: Sequence[str]) -> Any:
    """The application's command line; its --json answer."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        status = command_line(APP, [*arguments, "--json"])
    if status:
        raise SystemExit(status)
    return json.loads(output.getvalue())


def accuracy(arguments: argparse.Namespace) -> None:
    for name in arguments.sets:
        train, val = load(Path(arguments.data), name)
        work = Path(arguments.workdir) / name if arguments.workdir else None
        with tempfile.TemporaryDirectory() as temporary:
            data = Path(temporary) / "data"
            data.mkdir()
            _write(data / "train.csv", train)
            _write(data / "val.csv", val)
            peers = peer.accuracies(train, val, Path(temporary))
            settings = SETTINGS + arguments.set
            begin = time.perf_counter()
            ours = _run(
                [
                    "train",
                    *("--data", str(data)),
                    *("--workdir", str(work or Path(temporary) / "run")),
                    *("--config", arguments.config),
                    *(part for s in settings for part in ("--set", s)),
                ]
            )
        best = max(peers, key=lambda key: peers[key])
        print(
            json.dumps(
                {
                    "set": name,
                    "train": len(train),
                    "reported on": len(val),
                    "ours, int8 file": round(100 * ours["accuracy"], 2),
                    "fastText, best of grid": round(100 * peers[best], 2),
                    "fastText's best": best,
                    "grid": {k: round(100 * v, 2) for k, v in peers.items()},
                    "int8 bytes": ours["tflite_bytes"],
                    "seconds": round(time.perf_counter() - begin, 1),
                    "forms": {
                        row["form"]: round(100 * row["accuracy"], 2)
                        for row in ours["forms"]
                    },
                }
            ),
            flush=True,
        )
