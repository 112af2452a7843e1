"""Keras's own tests of its recurrent layers, run on ours in their place."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[2]
FILES = [
    "lstm_test.py",
    "simple_rnn_test.py",
    "rnn_test.py",
    "bidirectional_test.py",
    "stacked_rnn_cells_test.py",
    "time_distributed_test.py",
]
# The fewest tests each file is known to hold: fewer means that they did not run.
AT_LEAST = {"lstm_test.py": 6, "simple_rnn_test.py": 5, "bidirectional_test.py": 7}


@pytest.mark.long
def test_keras_tests_pass_on_our_layers():
    folder = Path(keras.__file__).parent / "src" / "layers" / "rnn"
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "tests.layers.conformance",
            "-p",
            "no:cacheprovider",
            "--noconftest",
            "-c",
            os.devnull,
            "-rA",
            "-q",
            *(str(folder / f) for f in FILES),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-8000:]
    passed = [line for line in run.stdout.splitlines() if line.startswith("PASSED")]
    for name in FILES:
        count = sum(f"{name}::" in line for line in passed)
        assert count >= AT_LEAST.get(name, 1), f"{name}: only {count} tests ran"
