"""Chromium on the built page; Python is the oracle for what it answers."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.web.build import PACKAGES, build
from apps.web.serve import server

ROOT = Path(__file__).parents[2]
WEB = ROOT / "apps" / "web"
SAVED = ROOT / "saved_models"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_STEP_SECONDS = 45
_SCENARIO_SECONDS = 300


@pytest.fixture(scope="session")
def built(tmp_path_factory, worker_id) -> Path:
    """The page's folder, without float variants; made once for all workers."""
    if not PACKAGES.is_dir():
        pytest.skip(f"the page's packages are not installed: npm ci --prefix {WEB}")
    shared = tmp_path_factory.getbasetemp()
    shared = shared if worker_id == "master" else shared.parent
    folder = shared / "web-page"
    with open(shared / "web-page.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "files.js").exists():  # The last file that is written.
            build(folder, SAVED, float_variants=False)
    return folder


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Path], str]]:
    """Serves a folder; returns its address."""
    running = []

    def start(folder: Path) -> str:
        found = server(folder, 0)
        running.append(found)
        threading.Thread(target=found.serve_forever, daemon=True).start()
        return f"http://localhost:{found.server_address[1]}/"

    yield start
    for found in running:
        found.shutdown()
        found.server_close()


@pytest.fixture(scope="session")
def base(built, serve) -> str:
    """The address of the page."""
    return serve(built)


def _drive(node: str, job: str, attempts: int = 2) -> str:
    """The driver's output; a Chromium that hangs as a whole gets a second try."""
    command = [node, str(Path(__file__).with_name("driver.mjs"))]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(
        command, **pipes, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as driver:
        try:
            out, errors = driver.communicate(job, timeout=_SCENARIO_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(driver.pid, signal.SIGKILL)  # And the browser with it.
            out = None
    if out is None:
        assert attempts > 1, f"nothing came back in {_SCENARIO_SECONDS} s"
        return _drive(node, job, attempts - 1)
    assert driver.returncode == 0, errors[-3000:]
    return out


@pytest.fixture(scope="session")
def browse(base) -> Callable[..., dict[str, Any]]:
    """Runs a scenario of tests/web/scenarios and returns what it found."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    if not (WEB / "node_modules" / "playwright-core").is_dir():
        pytest.skip(f"playwright-core is not installed: npm ci --prefix {WEB}")
    chromium = os.environ.get("CHROMIUM") or next(
        (path for name in _BROWSERS if (path := shutil.which(name))), None
    )
    if chromium is None:
        pytest.skip("Chromium is not installed, and CHROMIUM does not name it")

    def run(scenario: str, *, at: str = base, **job: Any) -> dict[str, Any]:
        job |= {
            "scenario": scenario,
            "base": at,
            "chromium": chromium,
            "web": str(WEB),
            "timeout": 1000 * _STEP_SECONDS,
        }
        found = json.loads(_drive(node, json.dumps(job)))
        # Whatever a scenario does, nothing may be asked of another host.
        elsewhere = [
            url
            for url in found["requests"]
            if not url.startswith((at, "data:", "blob:", "about:"))
        ]
        assert not elsewhere, elsewhere
        return found

    return run
