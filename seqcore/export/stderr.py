"""Where native code's standard error goes: it does not pass through ``sys.stderr``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def stderr_to(file: Any) -> Iterator[None]:
    """Send what C++ code writes to standard error into an open file."""
    saved = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep native code's progress notes off the terminal."""
    with open(os.devnull, "w") as null, stderr_to(null):
        yield
