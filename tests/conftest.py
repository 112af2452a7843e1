"""Fixtures and switches of the whole suite."""

import os
from pathlib import Path

import hypothesis
import pytest

# A test passes or not by its own doing: on a busy machine as on a quiet one, and with
# the same examples in every run. `--hypothesis-profile=explore` draws new ones.
hypothesis.settings.register_profile(
    "explore",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "same", hypothesis.settings.get_profile("explore"), derandomize=True
)
hypothesis.settings.load_profile("same")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def _data_folder() -> Path | None:
    value = os.environ.get("SEQCORE_DATA")
    return Path(value) if value and Path(value).is_dir() else None


def pytest_collection_modifyitems(items) -> None:
    """The long tests first, or one worker is still busy when the others are done."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_terminal_summary(terminalreporter) -> None:
    """Prints what tests measured (`record_property("measured", text)`): those that run
    in a worker process cannot."""
    reports = [r for group in terminalreporter.stats.values() for r in group]
    for report in reports:
        if getattr(report, "when", "") == "call":
            for name, text in report.user_properties:
                if name == "measured":
                    terminalreporter.write_line(f"measured: {text}")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real recordings, strokes and text; skips without one."""
    folder = _data_folder()
    if folder is None:
        pytest.skip("no real data: SEQCORE_DATA does not name a folder that exists")
    return folder
