"""Fixtures and switches of the whole suite."""

import os
from pathlib import Path

import hypothesis
import pytest

# A change lands or not by its own doing: the same examples in every run there.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def _data_folder() -> Path | None:
    value = os.environ.get("SEQCORE_DATA")
    return Path(value) if value and Path(value).is_dir() else None


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real recordings, strokes and text; skips without one."""
    folder = _data_folder()
    if folder is None:
        pytest.skip("no real data: SEQCORE_DATA does not name a folder that exists")
    return folder
