"""The layers under Keras's other backends."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[2]
TESTS = (
    "equals_keras or cells_in or dropout or stateful or variant_equals or "
    "output_equation or inspection or errors_quote"
)


@pytest.mark.long
@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="starts the other backends"
)
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_layer_tests_pass_under(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed (the test extra brings it)")
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-k",
            TESTS,
            "tests/layers/test_layers.py",
            "tests/layers/test_variants.py",
        ],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-6000:]
    passed = int(run.stdout.split(" passed")[0].split()[-1])
    assert passed >= 45, run.stdout[-500:]


def test_importing_the_layers_does_not_import_tensorflow():
    code = "import sys, seqcore; sys.exit('tensorflow' in sys.modules)"
    env = {**os.environ, "KERAS_BACKEND": "torch"}
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed (the test extra brings it)")
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env).returncode == 0
    )
